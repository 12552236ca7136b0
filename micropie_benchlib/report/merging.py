"""Results of several files as one."""

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from micropie_benchlib.core.errors import UsageError
from micropie_benchlib.core.results import Results

BY_TARGET = ("targets", "measurements", "capacities", "comparisons", "distributions")
NAMES = ("name", "label", "target", "partner", "reference")  # that records may have of targets


def suffixed(results: Results, suffix: str) -> Results:
    changes: dict[str, Any] = {}
    for field in BY_TARGET:
        changes[field] = tuple(with_suffix(record, suffix) for record in getattr(results, field))
    targets = []
    for facts in changes["targets"]:
        reference = facts.reference or results.names[0] + suffix
        targets.append(dataclasses.replace(facts, reference=reference))
    changes["targets"] = tuple(targets)
    return dataclasses.replace(results, **changes)


def with_suffix(record: Any, suffix: str) -> Any:
    changes = {}
    for field in NAMES:
        name = getattr(record, field, None)
        if name:
            changes[field] = name + suffix
    return dataclasses.replace(record, **changes)


def short_names(files: Iterable[str]) -> dict[str, str]:
    """Return the files' stems, by file; the files' own names where stems are alike."""
    stems = {file: Path(file).stem for file in files}
    if len(set(stems.values())) == len(stems):
        return stems
    return {file: file for file in stems}


def suffixed_by_file(files: Mapping[str, Results]) -> list[Results]:
    names = short_names(files)
    return [suffixed(results, f" [{names[file]}]") for file, results in files.items()]


def check_same_load(files: Mapping[str, Results]) -> None:
    (first_file, first), *others = files.items()
    for file, results in others:
        differing: list[str] = []
        if first.settings and results.settings:
            differing = results.settings.load_differences(first.settings)
        elif first.settings != results.settings:
            differing = ["settings"]
        if differing:
            raise UsageError(
                f"{file!r} and {first_file!r} differ in {', '.join(differing)}: "
                "report each file alone"
            )


def merge(parts: Sequence[Results]) -> Results:
    """Seed, settings, environment and machines are left out where they differ."""
    changes: dict[str, Any] = {}
    for field in (*BY_TARGET, "warnings"):
        changes[field] = ()
        for part in parts:
            changes[field] += getattr(part, field)
    unknown: dict[str, Any] = {"seed": None, "settings": None, "environment": None, "machines": ()}
    for field in unknown:
        values = [getattr(part, field) for part in parts]
        is_shared = all(value == values[0] for value in values)
        changes[field] = values[0] if is_shared else unknown[field]
    commands = dict.fromkeys(part.command for part in parts)
    return dataclasses.replace(parts[0], command="; ".join(commands), **changes)
