"""Targets at a commit: their files, their packages, and that the repository stays as it is."""

import dataclasses
import os
import platform
import re
import signal
import subprocess
import sys
import sysconfig
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from conftest import Asked, InProcess, Tool, report_of, run_command, single_results
from results_schema import loaded

from micropie_benchlib.cli.options import ServingOptions
from micropie_benchlib.cli.tables import NO_FILE
from micropie_benchlib.cli.targets import parse_target, parse_targets
from micropie_benchlib.cli.versions import versions_of
from micropie_benchlib.core.errors import BenchError, UsageError
from micropie_benchlib.core.results import WorkerFacts
from micropie_benchlib.core.targets import AsgiTarget, CommandTarget, Source, StartedTarget
from micropie_benchlib.load.hosts import ThisHost
from micropie_benchlib.report.markdown import to_markdown
from micropie_benchlib.run.facts import facts_of
from micropie_benchlib.serve.commits import with_code
from micropie_benchlib.serve.kinds import TARGET_KINDS
from micropie_benchlib.serve.versions import LOADER
from micropie_benchlib.serve.workers import Worker, check_origin
from micropie_benchlib.system.children import Finished
from micropie_benchlib.system.git import find_commit

WHO = {"NAME": "A", "EMAIL": "a@example.com", "DATE": "2026-01-01T00:00:00Z"}


class Repository:
    """A repository made for a test, by the git of this machine."""

    def __init__(self, top: Path) -> None:
        self.top = top
        top.mkdir()
        self.git("init", "--quiet", "--initial-branch=main", "--template=")

    def git(self, *words: str) -> str:
        return subprocess.run(
            ["git", "-C", self.top, *words], check=True, capture_output=True, text=True
        ).stdout

    def write(self, **texts: str) -> None:
        """Write files; `__` in a name stands for a slash, `_` for a dot."""
        for name, text in texts.items():
            path = self.top / name.replace("__", "/").replace("_", ".")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)

    def commit(self, message: str = "change", **texts: str) -> str:
        """Return the hash of a new commit with these files."""
        self.write(**texts)
        self.git("add", "--all")
        self.git("commit", "--quiet", "--allow-empty", "-m", message)
        return self.git("rev-parse", "HEAD").strip()

    def state(self) -> dict[str, object]:
        """Return what must stay as it is."""
        own = self.top / ".git"
        files: dict[str, object] = {}
        for path in sorted(own.rglob("*")):
            if path.is_file():
                files[str(path.relative_to(own))] = path.stat().st_mtime_ns, path.read_bytes()
        return {**files, "worktrees": self.git("worktree", "list")}


def run_unguarded(argv: Sequence[str], *, timeout_s: float, **options: Any) -> Finished:
    """Do what run_guarded() does, without its guard, which takes longer than git."""
    done = subprocess.run(argv, capture_output=True, text=True, timeout=timeout_s, **options)
    return Finished(status=done.returncode, output=done.stdout, errors=done.stderr)


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Repository:
    """Return an empty repository, which is the current directory; no settings of a user's hold."""
    for name, value in WHO.items():
        monkeypatch.setenv(f"GIT_AUTHOR_{name}", value)
        monkeypatch.setenv(f"GIT_COMMITTER_{name}", value)
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    monkeypatch.setenv("GIT_CONFIG_SYSTEM", os.devnull)
    for module in ("serve.environments", "system.git"):
        monkeypatch.setattr(f"micropie_benchlib.{module}.run_guarded", run_unguarded)
    made = Repository(tmp_path / "repository")
    monkeypatch.chdir(made.top)
    return made


@pytest.fixture
def work_dir(tmp_path: Path) -> Path:
    directory = tmp_path / "work"
    directory.mkdir()
    return directory


def placed(text: str, work_dir: Path, said: list[str] | None = None) -> StartedTarget:
    """Return the target with its commit's files."""
    announced = [] if said is None else said
    target = with_code(parse_target(text), work_dir, announced.append)
    assert isinstance(target, StartedTarget)
    return target


def texts_in(directory: Path) -> dict[str, str]:
    files = [path for path in directory.rglob("*") if path.is_file()]
    return {str(path.relative_to(directory)): path.read_text() for path in files}


@pytest.mark.parametrize("ref", ["v1", "HEAD~1", "main~1"])
def test_a_commit_is_named_as_git_names_it_and_its_files_are_its_own(
    ref: str, repository: Repository, work_dir: Path
) -> None:
    first = repository.commit(app_py="old")
    repository.git("tag", "v1")
    repository.commit(app_py="new", other_py="")
    repository.write(app_py="not committed")
    target = placed(f"app:app@git:{ref}", work_dir)
    assert (target.name, target.label, target.spec) == (ref, ref, f"app:app@git:{ref}")
    assert target.source == Source(commit=first, ref=ref)
    assert texts_in(target.directory) == {"app.py": "old"}
    assert target.directory.name.startswith(first[:10])


def commits_named(text: str, git: str) -> list[str]:
    """Return the labels of what `bisect` would search."""
    serving = ServingOptions()
    versions = versions_of(text, git, serving, server=serving.settings(), file=NO_FILE)
    assert {version.spec for version in versions} == {f"app:app@git:{v.name}" for v in versions}
    return [version.label for version in versions]


def test_bisect_searches_a_branch_without_what_was_merged_into_it(repository: Repository) -> None:
    short = [repository.commit("one", app_py="1")[:7]]
    repository.git("checkout", "--quiet", "-b", "side")
    repository.commit("aside", other_py="")
    repository.git("checkout", "--quiet", "main")
    short.append(repository.commit("a subject that is much longer than what fits", app_py="2")[:7])
    repository.git("merge", "--quiet", "--no-ff", "-m", "merged", "side")
    short.append(repository.git("rev-parse", "HEAD")[:7])
    titles = ("one", "a subject that is much longer than ...", "merged")
    labels = [" ".join(each) for each in zip(short, titles, strict=True)]
    assert commits_named("app:app", "main~2..main") == labels
    assert commits_named("mine=app:app", "main~1..main") == labels[1:]


@pytest.mark.parametrize(
    ("text", "git", "complaint"),
    [
        ("app:app", "HEAD~1..v9", "has no commit 'v9'"),
        ("app:app", "HEAD..HEAD~1", "HEAD~1 does not follow HEAD"),
        ("app:app", "HEAD", "--git 'HEAD': bisect needs two commits"),
        ("app:app", "main..HEAD", "there is no version between"),
        ("fastapi", "HEAD~1..HEAD", "fastapi is built in"),
        ("http://127.0.0.1:1/", "HEAD~1..HEAD", "git does not apply to a URL"),
    ],
)
def test_commits_that_bisect_cannot_search_are_refused(
    text: str, git: str, complaint: str, repository: Repository
) -> None:
    repository.commit(app_py="1")
    repository.commit(app_py="2")
    with pytest.raises(UsageError, match=re.escape(complaint)):
        commits_named(text, git)


# An app that needs so many microseconds of CPU time for a request.
BURNING = """
import time

async def app(scope, receive, send):
    if scope["type"] != "http":
        return
    end = time.thread_time() + {us} / 1e6
    while time.thread_time() < end:
        pass
    await send({{"type": "http.response.start", "status": 200, "headers": []}})
    await send({{"type": "http.response.body", "body": b"ok"}})
"""
BISECT = ("bisect", "app:app", "-w", "1", "-c", "20", "-r", "3")


def test_bisect_finds_a_step_beside_a_commit_that_does_not_start(
    in_process: InProcess, repository: Repository
) -> None:
    older = repository.commit("good", app_py=BURNING.format(us=100))
    repository.commit("broken", app_py="app = ")
    newer = repository.commit("slow", app_py=BURNING.format(us=600))
    before = repository.state()
    done = in_process.run(*BISECT, "--git", "main~2..main", "-r", "2")
    assert done.returncode == 3, done.stderr
    *_, which, answer = done.stdout.splitlines()
    assert which == "Which of the last 2 versions did it, is not decided."
    assert re.fullmatch(
        rf"{newer[:7]} slow needs .*x \(.*\) of the CPU time of {older[:7]} good\.", answer
    )
    assert " broken was skipped: " in done.stdout
    assert repository.state() == before


@pytest.mark.nightly
@pytest.mark.timeout(600)
def test_bisect_finds_the_commit_among_twelve(repository: Repository, tool: Tool) -> None:
    for number in range(12):
        us = 100 if number < 7 else 250
        repository.commit(f"number {number}", app_py=BURNING.format(us=us) + f"# {number}\n")
    done = tool.run(*BISECT, "--git", "main~11..main", cwd=repository.top, timeout=590)
    assert done.returncode == 3, done.stderr
    answer = done.stdout.splitlines()[-1]
    assert re.fullmatch(r"\w+ number 7 needs .*x \(.*\) of the CPU time of \w+ number 6\.", answer)


def test_a_name_of_its_own_is_the_label(repository: Repository) -> None:
    repository.commit(app_py="")
    target = parse_target("before=app:app@git:main")
    assert (target.name, target.label) == ("before", "before")


@pytest.mark.parametrize("ref", ["nosuch", "", "-h", "HEAD~9", "HEAD:app.py"])
def test_what_is_not_a_commit_is_refused(ref: str, repository: Repository) -> None:
    repository.commit(app_py="")
    with pytest.raises(UsageError, match=f"has no commit '{ref}': check its name"):
        parse_target(f"app:app@git:{ref}")


def test_a_shallow_clone_says_how_to_get_the_rest(repository: Repository, tmp_path: Path) -> None:
    repository.commit(app_py="")
    repository.commit(app_py="new")
    clone = tmp_path / "clone"
    repository.git("clone", "--quiet", "--depth=1", f"file://{repository.top}", str(clone))
    with pytest.raises(UsageError, match=r"`git fetch --unshallow` \(fetch-depth: 0"):
        find_commit(clone, "HEAD~1")


def test_a_directory_in_no_repository_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    with pytest.raises(UsageError, match="git reads no repository here: run it inside of one"):
        parse_target("app:app@git:main")


@pytest.mark.parametrize("spec", ["fastapi@git:main", "asgi@git:main"])
def test_a_built_in_has_no_commit(spec: str, repository: Repository) -> None:
    with pytest.raises(UsageError, match="git does not apply to a built-in"):
        parse_target(spec)


def test_a_target_stands_where_its_user_does(
    repository: Repository, work_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    repository.commit(sub__src__app_py="old", sub__data_txt="")
    monkeypatch.chdir(repository.top / "sub")
    said: list[str] = []
    target = placed("app:app@git:main", work_dir, said)
    assert target.root
    assert target.directory == target.root / "sub" / "src"
    assert said == ["main: app is imported from sub/src"]
    (repository.top / "new").mkdir()
    monkeypatch.chdir(repository.top / "new")
    with pytest.raises(BenchError, match=r"main: commit .* has no directory new"):
        placed("app:app@git:main", work_dir)


def test_all_files_are_there_by_the_commits_own_attributes(
    repository: Repository, work_dir: Path
) -> None:
    repository.commit(
        app_py="", hidden_txt="1", line_txt="1\n", _gitattributes="hidden.txt export-ignore\n"
    )
    repository.write(_gitattributes="line.txt text eol=crlf\n")
    target = placed("app:app@git:main", work_dir)
    assert set(texts_in(target.directory)) == {"app.py", "hidden.txt", "line.txt", ".gitattributes"}
    assert (target.directory / "line.txt").read_bytes() == b"1\n"


def test_nothing_in_the_repository_is_touched(
    repository: Repository, work_dir: Path, tmp_path: Path
) -> None:
    """Not by settings that make git write beside an index, nor by hooks."""
    repository.commit(app_py="old", sub__other_py="")
    repository.commit(app_py="new")
    repository.git("sparse-checkout", "set", "--no-cone", "sub")
    hook = repository.top / ".git/hooks/post-index-change"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(f"#!/bin/sh\ntouch {tmp_path}/hooked\n")
    hook.chmod(0o755)
    repository.write(staged_py="")
    repository.git("add", "--sparse", "staged.py")
    repository.git("config", "core.splitIndex", "true")
    (tmp_path / "hooked").unlink()
    before = repository.state()
    target = placed("app:app@git:HEAD~1", work_dir)
    assert placed("app:app", work_dir).source
    assert repository.state() == before
    assert not (tmp_path / "hooked").exists()
    assert texts_in(target.directory) == {"app.py": "old", "sub/other.py": ""}
    assert list(work_dir.iterdir()) == [target.directory]


def test_what_a_checkout_lacks_is_named(
    repository: Repository, work_dir: Path, tmp_path: Path
) -> None:
    library = Repository(tmp_path / "library")
    library.commit(lib_py="")
    repository.git(
        "-c", "protocol.file.allow=always", "submodule", "--quiet", "add", str(library.top), "lib"
    )
    pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n"
    repository.commit(app_py="", a_bin=pointer)
    said: list[str] = []
    placed("app:app@git:main", work_dir, said)
    assert said == [
        "warning: main: submodules are left empty: lib",
        "warning: main: Git LFS has no content here for: a.bin",
    ]


def test_the_working_tree_is_recorded_with_its_commit(
    repository: Repository, work_dir: Path
) -> None:
    commit = repository.commit(app_py="")
    assert placed("app:app", work_dir).source == Source(commit=commit)
    repository.write(app_py="changed")
    assert placed("app:app", work_dir).source == Source(commit=commit, is_clean=False)


def test_reports_have_the_commits() -> None:
    results = single_results()
    sources = (
        Source(commit="0123456789abcdef", ref="main"),
        Source(commit="f" * 40, is_clean=False),
    )
    targets = []
    for facts, source in zip(results.targets, sources, strict=True):
        targets.append(dataclasses.replace(facts, source=source))
    text = to_markdown(
        report_of(dataclasses.replace(results, targets=tuple(targets)), details=False)
    )
    assert "Base at commit 0123456789, More at commit ffffffffff with changes" in text


# Two commits of one target.


def compared(*args: str, asked: Asked) -> tuple[StartedTarget, ...]:
    run_command("compare", *args)
    assert asked.plan
    targets = tuple(each for each in asked.plan.targets if isinstance(each, StartedTarget))
    assert len(targets) == len(asked.plan.targets)
    return targets


def test_git_compares_two_commits_of_one_target(repository: Repository, asked: Asked) -> None:
    first = repository.commit(app_py="old")
    second = repository.commit(app_py="new")
    own = ("--set", "mine.workers=1", "--set", "HEAD.workers=2", "--set", "HEAD~1.env.A=b")
    before, after = compared("--git", "HEAD~1..HEAD", "mine=app:app", *own, asked=asked)
    assert (before.name, before.label, before.spec) == ("HEAD~1", "HEAD~1", "app:app@git:HEAD~1")
    assert before.source == Source(commit=first, ref="HEAD~1")
    assert after.source == Source(commit=second, ref="HEAD")
    assert before.server
    assert after.server
    assert (before.server.workers, after.server.workers) == (1, 2)
    assert (before.env, after.env) == ((("A", "b"),), ())


def test_git_compares_a_commit_with_the_files_as_they_are(
    repository: Repository, asked: Asked
) -> None:
    repository.commit(app_py="old")
    text = 'git = "main"\n[targets.s]\ncommand = "s {port}"\nprepare = "make"'
    repository.write(bench_toml=text)
    before, after = compared("--config", str(repository.top / "bench.toml"), asked=asked)
    assert [before.name, after.name] == ["main", "working tree"]
    assert before.source
    assert after.source is None
    assert before.prepare == after.prepare == "make"


def test_a_commit_from_the_environment_is_not_shown(
    repository: Repository, asked: Asked, monkeypatch: pytest.MonkeyPatch
) -> None:
    repository.commit(app_py="")
    repository.git("branch", "secret-branch")
    monkeypatch.setenv("REF", "secret-branch")
    repository.write(bench_toml='git = "${REF}"\n[targets.s]\napp = "app:app"')
    before, _ = compared("--config", str(repository.top / "bench.toml"), asked=asked)
    assert asked.plan
    assert isinstance(before, AsgiTarget)
    facts = facts_of(before, None, {}, asked.plan.secrets)
    assert (facts.name, facts.spec) == ("***", "app:app@git:***")
    assert facts.source == Source(commit=find_commit(repository.top, "HEAD"), ref="***")


@pytest.mark.parametrize(
    ("args", "complaint"),
    [
        (("--git", "main..", "app:app"), r"--git 'main\.\.': use A\.\.B, or A to compare it"),
        (("--git", "a...b", "app:app"), r"--git 'a\.\.\.b': use A\.\.B"),
        (("--git", "main"), "--git compares one target at two commits: name it"),
        (("--git", "main", "app:app", "asgi"), "--git compares one target"),
        (("--git", "main..main", "app:app"), "both are one commit"),
        (("--git", "main..nosuch", "app:app"), "has no commit 'nosuch'"),
        (("--git", "main", "fastapi"), "fastapi is built in: use an app of yours"),
        (("--git", "main", "http://127.0.0.1/"), "main.git does not apply to a URL"),
        (("--git", "main", "app:app", "--set", "mian.workers=1"), "did you mean main"),
    ],
)
def test_what_git_cannot_compare_is_refused(
    args: tuple[str, ...], complaint: str, repository: Repository, asked: Asked
) -> None:
    repository.commit(app_py="")
    with pytest.raises(UsageError, match=complaint):
        compared(*args, asked=asked)


ENV_FILE = """
# a comment
PLAIN=a b#c  # of it
export NAME = 'raw $A \\n'
QUOTED="say \\"#1\\""  # that
EMPTY=
OTHER=from the file
"""


def test_variables_are_read_from_a_file(repository: Repository, asked: Asked) -> None:
    repository.commit(app_py="")
    repository.write(sub___env=ENV_FILE)
    own = ("--set", "a.env_file=sub/.env", "--set", "a.env.OTHER=from env")
    (target, _) = compared("a=app:app", "b=app:app", *own, asked=asked)
    assert dict(target.env) == {
        "PLAIN": "a b#c",
        "NAME": "raw $A \\n",
        "QUOTED": 'say "#1"',
        "EMPTY": "",
        "OTHER": "from env",
    }
    repository.write(_env='A=1\nB="2\n')
    with pytest.raises(UsageError, match=r"env_file '\.env': line 2 is not KEY=VALUE"):
        compared("a=app:app", "--set", "a.env_file=.env", asked=asked)
    with pytest.raises(UsageError, match=r"env_file 'none': No such file"):
        compared("a=app:app", "--set", "a.env_file=none", asked=asked)


# Their packages.

FAKE_UV = """#!/bin/sh
echo "uv $*" >>"$UV_CALLS"
case "$1" in
    venv) for dir; do :; done; mkdir -p "$dir/bin"; ln -s "$PYTHON_OF_TEST" "$dir/bin/python" ;;
    *) if grep -qs broken requirements.txt; then echo 'error: no such package' >&2; exit 1; fi ;;
esac
"""


@pytest.fixture
def uv_calls(home: Path, repository: Repository, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the file with the calls of the uv on PATH, which installs nothing."""
    programs = home / "bin"
    programs.mkdir()
    (programs / "uv").write_text(FAKE_UV)
    (programs / "uv").chmod(0o755)
    monkeypatch.setenv("PATH", str(programs), prepend=os.pathsep)
    monkeypatch.setenv("UV_CALLS", str(home / "calls"))
    monkeypatch.setenv("PYTHON_OF_TEST", sys.executable)
    monkeypatch.chdir(repository.top)
    return home / "calls"


def with_packages(
    work_dir: Path, *texts: str, serving: ServingOptions | None = None
) -> tuple[list[StartedTarget], list[str]]:
    """Return the targets with Pythons, and what was announced."""
    said: list[str] = []
    targets = parse_targets(texts, serving or ServingOptions())
    fetched = ThisHost("", work_dir).fetch(targets, said.append)
    return [each for each in fetched if isinstance(each, StartedTarget)], said


BOTH = ("app:app@git:HEAD~1", "app:app@git:HEAD", "now=app:app")


def test_one_python_serves_commits_with_the_same_lock_files(
    repository: Repository, uv_calls: Path, work_dir: Path
) -> None:
    repository.commit(app_py="old", uv_lock="1", _gitignore=".venv\n")
    repository.commit(app_py="new")
    targets, said = with_packages(work_dir, *BOTH)
    assert [each.python for each in targets] == ["", "", ""], "this tool's"
    python = repository.top / ".venv/bin/python"
    python.parent.mkdir(parents=True)
    python.symlink_to(sys.executable)
    targets, said = with_packages(work_dir, *BOTH)
    assert {each.python for each in targets} == {str(python)}
    assert said == [f"{each.name}: run by {python} (same lock files)" for each in targets]
    assert [each.root == repository.top for each in targets] == [False, False, True]
    assert not uv_calls.exists()


def test_each_commit_gets_the_packages_of_its_own_lock_file(
    repository: Repository, uv_calls: Path, work_dir: Path
) -> None:
    repository.commit(app_py="old", requirements_txt="a==1")
    repository.commit(app_py="new", uv_lock="1")
    targets, said = with_packages(work_dir, *BOTH)
    assert said == [
        f"{name}: installing {lock} for Python {platform.python_version()} (once)"
        for name, lock in (("HEAD~1", "requirements.txt"), ("HEAD", "uv.lock"))
    ]
    before, after, now = (each.python for each in targets)
    assert before != after == now, "the working tree has the lock file of HEAD"
    venv, install, venv_of_after, sync = uv_calls.read_text().splitlines()
    assert venv.startswith(f"uv venv --quiet --relocatable --python {sys.executable} ")
    assert venv_of_after.partition(".cache")[0] == venv.partition(".cache")[0]
    assert install.startswith("uv pip install --quiet --python ")
    assert install.endswith(f"-r {targets[0].root}/requirements.txt")
    assert sync.startswith("uv sync --quiet --frozen --no-install-project ")
    again, said = with_packages(work_dir, *BOTH)
    assert ([each.python for each in again], said) == ([before, after, now], [])


def test_a_python_that_is_named_goes_before_lock_files(
    repository: Repository, uv_calls: Path, work_dir: Path
) -> None:
    repository.commit(app_py="old", uv_lock="1")
    repository.commit(app_py="new", uv_lock="2")
    targets, _ = with_packages(work_dir, *BOTH, serving=ServingOptions(python=sys.executable))
    assert {each.python for each in targets} == {sys.executable}
    assert not uv_calls.exists()


@pytest.mark.parametrize(
    ("lock", "complaint"),
    [
        pytest.param("poetry_lock", r"uv cannot install its own \(poetry\.lock\)", id="poetry"),
        pytest.param("app_py", r"uv cannot install its own \(it has no lock file\)", id="none"),
        pytest.param("requirements_txt", "requirements.txt: error: no such package", id="broken"),
    ],
)
def test_what_uv_cannot_install_is_told_with_what_to_do(
    lock: str, complaint: str, repository: Repository, uv_calls: Path, work_dir: Path
) -> None:
    repository.commit(**{lock: "broken"})
    repository.commit(uv_lock="2")
    with pytest.raises(BenchError, match=rf"^HEAD~1: .*{complaint}.*: use --python, or --set"):
        with_packages(work_dir, *BOTH)
    assert not list((uv_calls.parent / ".cache").rglob("*.part"))


def test_modules_of_the_commit_come_before_all_others(
    repository: Repository, uv_calls: Path, work_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also of an app that lies elsewhere in it, where they are installed from the working tree."""
    repository.commit(examples__app_py="", src__own_py="")
    own = ("old=app:app@git:main", "now=app:app", "c=cmd:{python} -m s {port}")
    monkeypatch.chdir(repository.top / "examples")
    targets, _ = with_packages(work_dir, *own)
    for target in targets:
        assert isinstance(target, AsgiTarget | CommandTarget)
        kind = TARGET_KINDS[type(target)]
        path = kind.environment(target, {"PYTHONPATH": "lib"})["PYTHONPATH"]
        assert path == f"{target.root}/src:{target.root}:lib"
    assert [each.root == repository.top for each in targets] == [False, True, True]


# Whose code it is.


def worker_with(executable: Path, module_file: Path, *files: Path) -> Worker:
    facts = WorkerFacts(
        executable=str(executable),
        implementation="CPython",
        python="3.11.7",
        gil=True,
        flags={},
        event_loop="",
        module_file=str(module_file),
        directory="/",
        variables={},
        nice=0,
    )
    return Worker(facts=facts, distributions={}, modules=frozenset(), files=files)


COMMIT = AsgiTarget(
    name="main",
    label="main",
    spec="app:app@git:main",
    app="app:app",
    directory=Path("/work/c/sub"),
    source=Source(commit="0123456789abcdef", ref="main"),
    root=Path("/work/c"),
    repository=Path("/r"),
)
VENV = Path("/r/.venv/bin/python")


@pytest.mark.parametrize(
    ("module_file", "files"),
    [
        pytest.param("/work/c/sub/app.py", ["/usr/lib/os.py"], id="its own"),
        pytest.param("/work/c/lib/app.py", [], id="from elsewhere in it"),
        pytest.param("/work/c/app.py", ["/r/.venv/lib/a.py", str(LOADER)], id="packages beside"),
    ],
)
def test_what_a_commit_may_import(module_file: str, files: list[str]) -> None:
    check_origin(COMMIT, worker_with(VENV, Path(module_file), *map(Path, files)))


@pytest.mark.parametrize(
    ("module_file", "files", "foreign"),
    [
        pytest.param("/r/sub/app.py", [], "/r/sub/app.py", id="the app, installed editable"),
        pytest.param("/r/.venv/lib/app.py", [], "/r/.venv/lib/app.py", id="the app, installed"),
        pytest.param("/work/c/app.py", ["/r/lib/b.py"], "/r/lib/b.py", id="what it uses"),
    ],
)
def test_a_commit_that_runs_other_code_is_refused(
    module_file: str, files: list[str], foreign: str
) -> None:
    complaint = f"main: {VENV} imports {foreign}, which is not of commit 0123456789: "
    with pytest.raises(BenchError, match=complaint):
        check_origin(COMMIT, worker_with(VENV, Path(module_file), *map(Path, files)))


# With real servers.

LAYOUT = """
from {package} import answer

async def app(scope, receive, send):
    if scope["type"] == "http":
        await send({{"type": "http.response.start", "status": 200, "headers": []}})
        await send({{"type": "http.response.body", "body": answer}})
"""
ROUND = ("-r", "1", "-d", "1s", "-c", "4", "-t", "1", "-w", "1", "--warm-up", "0s")


def test_each_commit_is_measured_with_its_own_code(
    repository: Repository, in_process: InProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The package in src/ is the commit's, and `prepare` runs where the commit's files are."""
    first = repository.commit(app_py=LAYOUT.format(package="own"), src__own_py='answer = b"old"')
    second = repository.commit(src__own_py='answer = b"newer"')
    repository.write(src__own_py='answer = b"changed"')
    before = repository.state()
    monkeypatch.chdir(repository.top)
    prepare = ("--set", "HEAD.prepare=test -d src && touch prepared")
    done = in_process.run("compare", *BOTH, *prepare, *ROUND, "--export-json", "-")
    assert done.returncode == 0, done.stderr
    old, new, now = loaded(done.stdout)["targets"]
    bodies = [each["responses"]["hello"]["body_bytes"] for each in (old, new, now)]
    assert bodies == [len("old"), len("newer"), len("changed")]
    assert old["source"] == {"commit": first, "ref": "HEAD~1", "is_clean": True}
    assert new["source"] == {"commit": second, "ref": "HEAD", "is_clean": True}
    assert now["source"] == {"commit": second, "ref": "", "is_clean": False}
    assert (old["worker"]["module_file"], old["worker"]["directory"]) == ("app.py", ".")
    assert "--app-dir . " in old["server_command"]
    assert not (repository.top / "prepared").exists()
    assert repository.state() == before


def test_a_commit_that_imports_what_is_installed_from_the_working_tree_is_refused(
    repository: Repository, in_process: InProcess, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", tmp_path / "venv"], check=True)
    (site,) = (tmp_path / "venv/lib").glob("python*/site-packages")
    (site / "editable.pth").write_text(f"{sysconfig.get_path('purelib')}\n{repository.top}/lib\n")
    repository.commit(app_py=LAYOUT.format(package="own"), lib__own_py='answer = b"old"')
    repository.commit(lib__own_py='answer = b"new"')
    monkeypatch.chdir(repository.top)
    options = ("--git", "HEAD~1..HEAD", "app:app", "--python", str(tmp_path / "venv/bin/python"))
    done = in_process.run("compare", *options, *ROUND)
    assert (done.returncode, done.stdout) == (1, "")
    for name in ("HEAD~1", "HEAD"):
        file = f"{repository.top}/lib/own.py"
        line = f"^micropie_bench: {name}: .* imports {file}, which is not of commit "
        assert re.search(line, done.stderr, re.MULTILINE), done.stderr


MOMENTS = 10


@pytest.mark.nightly
@pytest.mark.timeout(600)
def test_ctrl_c_at_any_moment_leaves_nothing(
    repository: Repository, tool: Tool, tmp_path: Path
) -> None:
    repository.commit(app_py=LAYOUT.format(package="own"), src__own_py='answer = b"old"')
    repository.commit(src__own_py='answer = b"new"')
    before = repository.state()
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    for moment in range(MOMENTS):
        options = ("--git", "HEAD~1..HEAD", "app:app", *ROUND)
        process = tool.start("compare", *options, cwd=repository.top, TMPDIR=str(scratch))
        time.sleep(0.2 + 0.6 * moment)
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)
        tool.await_running(lambda running: not running, seconds=30)
        assert list(scratch.iterdir()) == [], moment
        assert repository.state() == before, moment
    assert repository.git("status", "--porcelain") == ""
