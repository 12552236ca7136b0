"""The versions that `bisect` searches, the oldest first: releases, or commits."""

import dataclasses
import re
import textwrap
from collections.abc import Sequence

from micropie_benchlib.cli.options import ServingOptions
from micropie_benchlib.cli.tables import AT_COMMIT, BenchFile
from micropie_benchlib.cli.targets import is_day, parse_targets
from micropie_benchlib.cli.text import did_you_mean
from micropie_benchlib.core.built_ins import BUILT_INS
from micropie_benchlib.core.errors import UsageError
from micropie_benchlib.core.targets import ServerSettings, Source, StartedTarget, Target
from micropie_benchlib.report.printing import printable
from micropie_benchlib.serve.packages import releases
from micropie_benchlib.system.git import commits_between

MAX_SUBJECT = 40  # characters of a commit's in tables


def versions_of(
    text: str, git: str | None, serving: ServingOptions, *, server: ServerSettings, file: BenchFile
) -> tuple[Target, ...]:
    """Return a target for each version. Raises UsageError for fewer than two."""
    if git is None:
        targets = parse_targets(releases_of(text), serving, server=server, file=file)
    else:
        _, newest = parse_targets([text], serving, server=server, file=file, git=git)
        targets = commits_of(newest, git)
    if len(targets) < 2:
        raise UsageError(f"{git or text!r}: there is no version between to compare with")
    return targets


def commits_of(newest: Target, git: str) -> tuple[Target, ...]:
    """Return a target for each of the commits A..B, as the one at B."""
    first, _, last = git.partition("..")
    if not isinstance(newest, StartedTarget) or not last:
        reason = f"{git!r}: bisect needs two commits, such as v1..main"
        raise UsageError(reason, option="--git")
    targets: list[Target] = []
    for commit in commits_between(newest.directory, first, last):
        subject = textwrap.shorten(printable(commit.subject), MAX_SUBJECT, placeholder=" ...")
        at_commit = dataclasses.replace(
            newest,
            name=commit.short,
            label=f"{commit.short} {subject}".rstrip(),
            spec=newest.spec.replace(f"{AT_COMMIT}{last}", f"{AT_COMMIT}{commit.short}"),
            source=Source(commit=commit.hash, ref=commit.short),
        )
        targets.append(at_commit)
    return tuple(targets)


def releases_of(text: str) -> list[str]:
    """Return the releases that `NAME@A..B` means, both ends among them, as targets."""
    match = re.fullmatch(r"([\w.-]+)@([^.\s]\S*?)\.\.([^.\s]\S*)", text)
    if not match:
        raise UsageError(
            f"{text!r}: use NAME@A..B with two releases or days, such as fastapi@0.110..0.120; "
            "for an app of yours --git A..B"
        )
    key, first, last = match.groups()
    if key not in BUILT_INS or not BUILT_INS[key].packages:
        known = [name for name, built_in in BUILT_INS.items() if built_in.packages]
        hint = did_you_mean(key, known)
        raise UsageError(f"{key!r} has no releases{hint}: {', '.join(known)}")
    package = BUILT_INS[key].packages[0]
    if is_day(first) and is_day(last):
        found = releases_between_days(package, first, last)
    else:
        found = releases_between(package, first, last)
    return [f"{key}@{each}" for each in found]


def releases_between_days(package: str, first: str, last: str) -> list[str]:
    """Return the newest release of the first day, and those that came out up to the last."""
    before = releases(package, as_of=first)
    later = releases(package, as_of=last)
    if not before:
        raise UsageError(f"{package} had no release before {first}: use a later day")
    return later[later.index(before[-1]) :]


def releases_between(package: str, first: str, last: str) -> list[str]:
    known = releases(package)
    start = position_of(first, known, package)
    end = position_of(last, known, package) + 1
    return known[start:end]


def position_of(version: str, known: Sequence[str], package: str) -> int:
    """Return where a release stands among those known; 0.110 is 0.110.0. Raises UsageError."""
    for position, each in enumerate(known):
        if without_zeros(each) == without_zeros(version):
            return position
    raise UsageError(
        f"{package} {version} cannot be installed here{did_you_mean(version, known)}: "
        f"the index has {known[0]} to {known[-1]}"
    )


def without_zeros(version: str) -> str:
    return re.sub(r"(\.0)+$", "", version)
