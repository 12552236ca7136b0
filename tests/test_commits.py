"""Targets at a commit: their files, their packages, and that the repository stays as it is."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest
from conftest import Tool

from micropie_benchlib.cli.options import ServingOptions
from micropie_benchlib.cli.tables import NO_FILE
from micropie_benchlib.cli.targets import parse_target
from micropie_benchlib.cli.versions import versions_of
from micropie_benchlib.core.errors import BenchError, UsageError
from micropie_benchlib.core.targets import Source, StartedTarget
from micropie_benchlib.serve.commits import with_code
from micropie_benchlib.system.git import find_commit

WHO = {"NAME": "A", "EMAIL": "a@example.com", "DATE": "2026-01-01T00:00:00Z"}


class Repository:
    """A repository made for a test, by the git of this machine."""

    def __init__(self, top: Path) -> None:
        self.top = top
        top.mkdir()
        self.git("init", "--quiet", "--initial-branch=main")

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


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Repository:
    """Return an empty repository, which is the current directory; no settings of a user's hold."""
    for name, value in WHO.items():
        monkeypatch.setenv(f"GIT_AUTHOR_{name}", value)
        monkeypatch.setenv(f"GIT_COMMITTER_{name}", value)
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    monkeypatch.setenv("GIT_CONFIG_SYSTEM", os.devnull)
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
        ("app:app", "HEAD", "--git 'HEAD': use two commits"),
        ("app:app", "HEAD..HEAD", "there is no version between"),
        ("fastapi", "HEAD~1..HEAD", "fastapi.git does not apply to a built-in"),
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


@pytest.mark.slow
def test_bisect_finds_a_step_beside_a_commit_that_does_not_start(
    repository: Repository, tool: Tool
) -> None:
    older = repository.commit("good", app_py=BURNING.format(us=100))
    repository.commit("broken", app_py="app = ")
    newer = repository.commit("slow", app_py=BURNING.format(us=600))
    before = repository.state()
    done = tool.run(*BISECT, "--git", "main~2..main", cwd=repository.top)
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
    with pytest.raises(BenchError, match="not a git repository"):
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
    assert said == [f"main: app is imported from {target.directory}"]
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
