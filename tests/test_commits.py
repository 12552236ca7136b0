"""Targets at a commit: their files, their packages, and that the repository stays as it is."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from micropie_benchlib.cli.targets import parse_target
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
