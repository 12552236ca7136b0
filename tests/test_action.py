"""action.yml and the workflow of docs/ci.md: by GitHub's schemas, and the steps run as scripts."""

import json
import os
import re
import shutil
import subprocess
import sys
import textwrap
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from micropie_benchlib.report.github import COMMENT_MARK

ROOT = Path(__file__).parent.parent
ACTION = ROOT / "action.yml"
pytestmark = pytest.mark.slow
yaml = pytest.importorskip("ruamel.yaml", reason=".ci/env --dev installs check-jsonschema")

TOOL = f"""\
import json, os, sys
from pathlib import Path

words = sys.argv[1:]
Path("asked.json").write_text(json.dumps(words))
measured = os.environ["OUTCOME"] != "1"
if measured:
    comment = Path(words[words.index("--export-github-comment") + 1])
    comment.write_text("{COMMENT_MARK}\\n### a verdict\\n")
    Path(os.environ["GITHUB_STEP_SUMMARY"]).write_text("### a verdict\\n")
sys.exit(int(os.environ["OUTCOME"]))
"""
APP = """\
async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        return
    for _ in range({loops}):
        pass
    await send({{"type": "http.response.start", "status": 200, "headers": []}})
    await send({{"type": "http.response.body", "body": b"ok"}})
"""
# It knows no filter, and so lists its own comment alone.
GH = f"""\
#!{sys.executable} -IS
import json, os, sys
from pathlib import Path

words = sys.argv[2:]
ids, calls = Path("ids"), Path("calls.jsonl")
body = [Path(word.partition("@")[2]).read_text() for word in words if word.startswith("body=@")]
with calls.open("a") as file:
    file.write(json.dumps([os.environ["GH_TOKEN"], words, body]) + "\\n")
if body and "FORBIDDEN" in os.environ:
    sys.exit("gh: Resource not accessible by integration (HTTP 403)")
if "--paginate" in words:
    print(ids.read_text() if ids.exists() else "", end="")
elif "PATCH" not in words:
    ids.write_text("41\\n")
"""


def git(directory: Path, *words: str) -> str:
    names = ("-c", "user.name=a", "-c", "user.email=a@b", "-c", "commit.gpgsign=false")
    command = ["git", *names, "-c", "init.defaultBranch=main", *words]
    return subprocess.run(
        command, cwd=directory, check=True, capture_output=True, text=True
    ).stdout.strip()


def write(path: Path, text: str, mode: int = 0o755) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(mode)


@dataclass
class Job:
    """A job of a pull request, with the repository as actions/checkout leaves it."""

    directory: Path
    inputs: dict[str, str] = field(default_factory=lambda: {"app": "app:app"})
    number: str = "7"
    variables: dict[str, str] = field(default_factory=lambda: {"GITHUB_BASE_REF": "main"})
    said: str = ""
    summary: str = ""

    @property
    def repository(self) -> Path:
        return self.directory / "repository"

    def run(self, *, outcome: int = 0) -> int:
        """Run the steps, and return the status of the last one that failed, or 0."""
        action = yaml.YAML(typ="safe").load(ACTION)
        values = {
            "github.token": "t0ken",
            "github.event.pull_request.number": self.number,
            "github.event.pull_request.head.sha": "feed",
        }
        for name, about in action["inputs"].items():
            values[f"inputs.{name}"] = self.inputs.get(name, about.get("default"))
        status = 0
        self.said = self.summary = ""
        for step in action["runs"]["steps"]:
            assert step.get("if", "${{ !cancelled() }}") == "${{ !cancelled() }}"
            if status and "if" not in step:
                continue
            status = self.run_step(step, values, outcome) or status
        return status

    def run_step(self, step: dict[str, Any], values: dict[str, str], outcome: int) -> int:
        summary = self.directory / "summary.md"
        summary.write_text("")
        env = {
            "PATH": f"{self.directory}/bin:{os.environ['PATH']}",
            "GITHUB_ACTION_PATH": str(self.directory / "action"),
            "GITHUB_STEP_SUMMARY": str(summary),
            "GITHUB_REPOSITORY": "owner/name",
            "GITHUB_SERVER_URL": "https://github.example",
            "GITHUB_RUN_ID": "99",
            "GITHUB_BASE_REF": "",
            "RUNNER_TEMP": str(self.directory / "temp"),
            "OUTCOME": str(outcome),
            **self.variables,
        }
        for name, text in step.get("env", {}).items():
            env[name] = re.sub(r"\$\{\{ (.+?) \}\}", lambda match: values[match[1]], text)
        assert "${{" not in step["run"], "an input would be run as code"
        script = self.directory / "step.sh"
        script.write_text(step["run"])
        shell = ["bash", "--noprofile", "--norc", "-e", "-o", "pipefail", str(script)]
        done = subprocess.run(
            shell, cwd=self.repository, env=env, capture_output=True, text=True, check=False
        )
        self.said += done.stdout + done.stderr
        self.summary += summary.read_text()
        return done.returncode

    @property
    def asked(self) -> list[str]:
        """What the tool was given."""
        words: list[str] = json.loads((self.repository / "asked.json").read_text())
        return words

    @property
    def range(self) -> str:
        return self.asked[self.asked.index("--git") + 1]

    @property
    def calls(self) -> list[list[Any]]:
        file = self.repository / "calls.jsonl"
        return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []

    @property
    def bodies(self) -> list[str]:
        return [body for _, _, bodies in self.calls for body in bodies]


@pytest.fixture
def job(tmp_path: Path) -> Job:
    """Return a job with the merge of a branch into main, which has gone on since it began."""
    job = Job(tmp_path)
    write(tmp_path / "action/.ci/env", "#!/bin/sh\n")
    write(tmp_path / "action/micropie_bench.py", TOOL)
    write(tmp_path / "bin/gh", GH)
    python = tmp_path / "action/.venv/bin/python"
    python.parent.mkdir(parents=True)
    python.symlink_to(sys.executable)
    (tmp_path / "temp").mkdir()
    origin = tmp_path / "origin"
    origin.mkdir()
    git(origin, "init", "-q")
    write(origin / "app.py", APP.format(loops=0))
    git(origin, "add", "-A")
    for name in ("one", "two"):
        git(origin, "commit", "-q", "--allow-empty", "-m", name)
    git(origin, "switch", "-q", "-c", "branch", "HEAD~1")
    write(origin / "app.py", APP.format(loops=20_000))
    git(origin, "commit", "-q", "-a", "-m", "change")
    git(origin, "switch", "-q", "--detach", "main")
    git(origin, "merge", "-q", "--no-edit", "branch")
    git(origin, "branch", "pull")
    git(origin, "switch", "-q", "main")
    git(tmp_path, "clone", "-q", "-b", "pull", f"file://{origin}", str(job.repository))
    git(origin, "commit", "-q", "--allow-empty", "-m", "later")
    git(job.repository, "fetch", "-q")
    return job


def check_schema(name: str, file: Path) -> str:
    """Return what is wrong with the file by that schema, which check-jsonschema brings along."""
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", f"vendor.{name}"]
    done = subprocess.run([*command, str(file)], capture_output=True, text=True, check=False)
    return "" if done.returncode == 0 else done.stdout + done.stderr


def documented_workflow() -> str:
    """Return the first block of code of the chapter in docs/ci.md."""
    chapter = (ROOT / "docs/ci.md").read_text().partition("\n## Pull requests\n")[2]
    lines: list[str] = []
    for line in chapter.splitlines():
        if line.startswith("    ") or (lines and not line):
            lines.append(line)
        elif lines:
            break
    return textwrap.dedent("\n".join(lines))


def test_the_action_is_as_githubs_schema_says(tmp_path: Path) -> None:
    assert not check_schema("github-actions", ACTION)
    wrong = tmp_path / "action.yml"
    wrong.write_text(ACTION.read_text().replace("      shell: bash\n", "", 1))
    assert "shell" in check_schema("github-actions", wrong), "it finds what is missing"


def test_the_documented_workflow_is_as_githubs_schema_and_the_action_say(tmp_path: Path) -> None:
    file = tmp_path / "benchmark.yml"
    file.write_text(documented_workflow())
    assert not check_schema("github-workflows", file)
    load = yaml.YAML(typ="safe").load
    (job,) = load(file)["jobs"].values()
    checkout, *_, used = job["steps"]
    assert checkout["with"] == {"fetch-depth": 0}
    inputs = load(ACTION)["inputs"]
    assert set(used["with"]) <= set(inputs)
    assert {name for name, about in inputs.items() if about.get("required")} <= set(used["with"])


def test_one_comment_is_written_and_then_updated(job: Job) -> None:
    assert COMMENT_MARK in ACTION.read_text()
    assert job.run() == 0, job.said
    assert job.run() == 0, job.said
    first, made, second, updated = [words for _, words, _ in job.calls]
    listed = "repos/owner/name/issues/7/comments?per_page=100"
    assert first == second
    assert first[:2] == ["--paginate", listed]
    assert made[1] == "repos/owner/name/issues/7/comments"
    assert updated[1:4] == ["--method", "PATCH", "repos/owner/name/issues/comments/41"]
    link = "feed: [summary and log](https://github.example/owner/name/actions/runs/99)"
    assert job.bodies == [f"{COMMENT_MARK}\n### a verdict\n{link}\n"] * 2
    assert {token for token, _, _ in job.calls} == {"t0ken"}


def test_a_fork_gets_the_summary_alone_and_does_not_fail(job: Job) -> None:
    job.variables["FORBIDDEN"] = "1"
    assert job.run() == 0
    assert "::notice title=micropie_bench::No comment: " in job.said
    assert job.summary == "### a verdict\n"


@pytest.mark.parametrize(("comment", "number"), [("false", "7"), ("true", "")])
def test_no_comment_is_written_where_none_is_wanted_or_has_a_place(
    comment: str, number: str, job: Job
) -> None:
    job.inputs["comment"], job.number = comment, number
    assert job.run() == 0, job.said
    assert not job.calls
    assert job.summary


def test_a_failed_gate_fails_the_job_and_is_told_in_the_comment(job: Job) -> None:
    assert job.run(outcome=3) == 3
    (body,) = job.bodies
    assert body.startswith(f"{COMMENT_MARK}\n### a verdict\n")


def test_where_nothing_is_measured_the_comment_no_longer_shows_an_older_verdict(job: Job) -> None:
    assert job.run() == 0
    assert job.run(outcome=1) == 1
    said = "micropie_bench measured nothing: the job's log has the reason.\n"
    assert job.summary == said
    assert job.bodies[-1].startswith(f"{COMMENT_MARK}\n{said}")
    assert "PATCH" in job.calls[-1][1]


@pytest.mark.parametrize("head", ["pull", "branch"])
def test_the_base_is_what_the_branch_was_merged_with_or_left_not_what_main_is_now(
    head: str, job: Job
) -> None:
    git(job.repository, "switch", "-q", "--detach", f"origin/{head}")
    assert job.run() == 0, job.said
    base, _, compared = job.range.partition("..")
    assert compared == "HEAD"
    expected = "origin/main~1" if head == "pull" else "origin/main~2"
    assert git(job.repository, "rev-parse", base) == git(job.repository, "rev-parse", expected)


def test_a_push_is_compared_with_the_commit_before_and_a_given_base_is_taken_as_typed(
    job: Job,
) -> None:
    job.inputs["base"] = "v1.0"
    assert job.run() == 0, job.said
    assert job.range == "v1.0..HEAD"
    job.inputs["base"] = ""
    job.variables["GITHUB_BASE_REF"] = ""
    assert job.run() == 0, job.said
    assert job.range == "HEAD~1..HEAD"


def test_a_clone_without_the_base_is_told_what_it_lacks(job: Job) -> None:
    job.variables["GITHUB_BASE_REF"] = "not-fetched"
    assert job.run() == 1
    remedy = "use actions/checkout with fetch-depth: 0.\n"
    assert f"::error title=micropie_bench::The base is not in this clone: {remedy}" in job.said
    assert job.summary.endswith(remedy)
    assert remedy in job.bodies[0]


def test_options_are_split_as_they_are_quoted_and_nothing_in_them_is_run(job: Job) -> None:
    job.inputs |= {
        "app": "mine=app:app",
        "fail-if-slower": "2%",
        "python": ".venv/bin/python",
        "args": "--path /items\n-H 'A: $(touch ran) b' --short",
    }
    assert job.run() == 0, job.said
    mine = job.asked.index("mine=app:app")
    assert job.asked[mine + 1 : mine + 3] == ["--fail-if-slower", "2%"]
    given = ["--path", "/items", "-H", "A: $(touch ran) b", "--short"]
    assert job.asked[-7:] == [*given, "--python", ".venv/bin/python"]
    assert not (job.repository / "ran").exists()


def test_a_pull_request_that_is_much_slower_fails_by_the_real_comparison(job: Job) -> None:
    action = job.directory / "action"
    shutil.rmtree(action / ".venv")
    (action / ".venv").symlink_to(sys.prefix)
    (action / "micropie_bench.py").unlink()
    (action / "micropie_bench.py").symlink_to(ROOT / "micropie_bench.py")
    job.inputs["args"] = "--quick -c 8 -t 2 -w 1"
    job.variables["HOME"] = str(job.directory)
    assert job.run() == 3, job.said
    (body,) = job.bodies
    assert body.startswith(f"{COMMENT_MARK}\n### HEAD against ")
    assert "gate failed: HEAD at 8 connections is " in body
    assert "gate failed: HEAD at 8 connections is " in job.summary
    assert git(job.repository, "status", "--porcelain") == "?? calls.jsonl\n?? ids"
