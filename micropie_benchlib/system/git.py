"""git, asked about a repository and for a commit's files. Nothing in the repository changes."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from micropie_benchlib.core.errors import BenchError, UsageError
from micropie_benchlib.system.children import Finished, run_guarded

DEADLINE_S = 600.0  # for a large checkout
# What of the user's settings would run a program, or write or leave out files.
SETTINGS = {
    "core.fsmonitor": "false",
    "core.hooksPath": os.devnull,
    "core.sparseCheckout": "false",
    "core.splitIndex": "false",
}
VARIABLES = {"GIT_LFS_SKIP_SMUDGE": "1", "GIT_OPTIONAL_LOCKS": "0", "LC_ALL": "C"}
# A hook of git's has these, which would go before the directory.
INHERITED = ("GIT_DIR", "GIT_INDEX_FILE", "GIT_PREFIX", "GIT_WORK_TREE")
SUBMODULE = "160000"  # its mode in a tree
LFS_POINTER = b"version https://git-lfs.github.com/spec/"
MAX_POINTER_BYTES = 1024


def ask_git(directory: Path, *words: str, **variables: str) -> Finished:
    argv = ["git", "-C", str(directory)]
    for name, value in SETTINGS.items():
        argv += ["-c", f"{name}={value}"]
    environment = os.environ | VARIABLES
    for name in INHERITED:
        environment.pop(name, None)
    return run_guarded([*argv, *words], timeout_s=DEADLINE_S, env=environment | variables)


def git_output(directory: Path, *words: str, **variables: str) -> str:
    """Raises BenchError if git fails."""
    done = ask_git(directory, *words, **variables)
    if done.status:
        lines = done.errors.splitlines()
        fatal = [line for line in lines if line.startswith(("fatal:", "error:"))]
        reason = (fatal or lines or [f"status {done.status}"])[0]
        raise BenchError(f"git {words[0]} in {directory}: {reason}")
    return done.output


@dataclass(frozen=True, slots=True, kw_only=True)
class Repository:
    """A working tree from its `top`; `prefix` is where in it one stands."""

    top: Path
    prefix: Path


def find_repository(directory: Path) -> Repository:
    """Raises UsageError if the directory is in none."""
    done = ask_git(directory, "rev-parse", "--show-toplevel", "--show-prefix")
    if done.status:
        raise UsageError(f"{directory}: git reads no repository here: run it inside of one")
    top, prefix, *_ = done.output.split("\n")
    return Repository(top=Path(top), prefix=Path(prefix))


def find_commit(directory: Path, ref: str) -> str:
    """Return the commit's hash. Raises UsageError if there is none of that name."""
    done = ask_git(directory, "rev-parse", "--verify", "--quiet", f"{ref}^{{commit}}")
    if not done.status:
        return done.output.strip()
    top = find_repository(directory).top
    remedy = "check its name, or `git fetch` it"
    if "true" in git_output(directory, "rev-parse", "--is-shallow-repository"):
        remedy = "the clone is shallow: `git fetch --unshallow` (fetch-depth: 0 in a workflow)"
    raise UsageError(f"{top} has no commit {ref!r}: {remedy}")


class Commit(NamedTuple):
    hash: str
    short: str
    subject: str


def commits_between(directory: Path, first: str, last: str) -> list[Commit]:
    """Return the first commit and those up to the last, without the side branches of merges.

    Raises UsageError if one of them is not there, or the last does not follow the first.
    """
    start, end = find_commit(directory, first), find_commit(directory, last)
    if ask_git(directory, "merge-base", "--is-ancestor", start, end).status:
        raise UsageError(f"{last} does not follow {first}: begin at `git merge-base A B`")
    log = ("log", "--first-parent", "--reverse", "--format=%H%x00%h%x00%s")
    lines = git_output(directory, *log, "--max-count=1", start).splitlines()
    lines += git_output(directory, *log, f"{start}..{end}").splitlines()
    return [Commit(*line.split("\0")) for line in lines]


def is_clean(directory: Path) -> bool:
    return not git_output(directory, "status", "--porcelain")


def check_out(top: Path, commit: str, directory: Path) -> None:
    """Put all of the commit's files into the empty directory, by an index of ours beside it.

    So attributes are the commit's, and those of export-ignore are among them.
    """
    index = directory.with_name(f"{directory.name}.index")
    ours = {"GIT_INDEX_FILE": str(index), "GIT_WORK_TREE": str(directory)}
    git_output(top, "read-tree", commit, **ours)
    git_output(top, "checkout-index", "--all", **ours)
    index.unlink()


def submodules(top: Path, commit: str) -> list[str]:
    found = []
    for entry in git_output(top, "ls-tree", "-r", "-z", "--full-tree", commit).split("\0"):
        about, _, path = entry.partition("\t")
        if about.startswith(SUBMODULE):
            found.append(path)
    return found


def lfs_pointers(directory: Path) -> list[str]:
    """Return the files in the directory that only say what Git LFS would have in their place."""
    found = []
    for path in sorted(directory.rglob("*")):
        if not path.is_file() or path.stat().st_size > MAX_POINTER_BYTES:
            continue
        if path.read_bytes().startswith(LFS_POINTER):
            found.append(str(path.relative_to(directory)))
    return found
