"""Results of several files as one."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from micropie_benchlib.core.errors import UsageError
from micropie_benchlib.core.results import Results


def suffixed(results: Results, suffix: str) -> Results:
    """Return the results with that suffix after each target's name and label."""
    targets = []
    for facts in results.targets:
        targets.append(
            dataclasses.replace(
                facts,
                name=facts.name + suffix,
                label=facts.label + suffix,
                reference=(facts.reference or results.names[0]) + suffix,
            )
        )
    measurements = []
    for measurement in results.measurements:
        partner = measurement.partner + suffix if measurement.partner else None
        measurements.append(
            dataclasses.replace(measurement, target=measurement.target + suffix, partner=partner)
        )
    comparisons = [
        dataclasses.replace(
            comparison, target=comparison.target + suffix, reference=comparison.reference + suffix
        )
        for comparison in results.comparisons
    ]
    distributions = [
        dataclasses.replace(distribution, target=distribution.target + suffix)
        for distribution in results.distributions
    ]
    capacities = [
        dataclasses.replace(capacity, target=capacity.target + suffix)
        for capacity in results.capacities
    ]
    return dataclasses.replace(
        results,
        targets=tuple(targets),
        measurements=tuple(measurements),
        capacities=tuple(capacities),
        comparisons=tuple(comparisons),
        distributions=tuple(distributions),
    )


def short_names(files: Iterable[str]) -> dict[str, str]:
    """Return the files' stems, by file; the files' own names where stems are alike."""
    stems = {file: Path(file).stem for file in files}
    if len(set(stems.values())) == len(stems):
        return stems
    return {file: file for file in stems}


def suffixed_by_file(files: Mapping[str, Results]) -> list[Results]:
    """Return each file's results, their targets suffixed by the file's short name."""
    names = short_names(files)
    return [suffixed(results, f" [{names[file]}]") for file, results in files.items()]


def check_same_load(files: Mapping[str, Results]) -> None:
    """Raise UsageError if the results were not made under the same load."""
    (first_file, first), *others = files.items()
    for file, results in others:
        if first.settings and results.settings:
            differing = results.settings.load_differences(first.settings)
        else:
            differing = [] if first.settings == results.settings else ["settings"]
        if differing:
            raise UsageError(
                f"{file!r} and {first_file!r} differ in {', '.join(differing)}: "
                "show them one by one"
            )


def merge(parts: Sequence[Results]) -> Results:
    """Return the results of several files as one.

    Seed, settings, environment and machines are each file's own, and left out where they
    differ.
    """

    def all_of(field: str) -> tuple[Any, ...]:
        return tuple(itertools.chain(*(getattr(part, field) for part in parts)))

    def shared(field: str) -> Any:
        values = [getattr(part, field) for part in parts]
        return values[0] if all(value == values[0] for value in values) else None

    commands = dict.fromkeys(part.command for part in parts)
    return dataclasses.replace(
        parts[0],
        command="; ".join(commands),
        seed=shared("seed"),
        settings=shared("settings"),
        environment=shared("environment"),
        targets=all_of("targets"),
        measurements=all_of("measurements"),
        capacities=all_of("capacities"),
        comparisons=all_of("comparisons"),
        distributions=all_of("distributions"),
        warnings=all_of("warnings"),
        machines=shared("machines") or (),
    )
