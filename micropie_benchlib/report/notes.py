"""What was odd about the measurements, by kind and round."""

from __future__ import annotations

import re
from collections.abc import Iterable

from micropie_benchlib.core.choices import Method
from micropie_benchlib.core.loads import LoadId
from micropie_benchlib.core.measurements import Measurement
from micropie_benchlib.core.results import Results


def name_rounds(numbers: Iterable[int]) -> str:
    """Return the rounds in words, each once."""
    distinct = sorted(set(numbers))
    listed = ", ".join(map(str, distinct))
    return f"round {listed}" if len(distinct) == 1 else f"rounds {listed}"


def measurement_notes(results: Results) -> list[str]:
    """Return a line for each kind of invalid measurement, then one for each kind of oddity."""
    rounds_by_cause: dict[tuple[str, LoadId, Method, str], list[int]] = {}
    for measurement in results.measurements:
        if measurement.invalid_reason and not results.is_step(measurement.load):
            cause = (
                measurement.target,
                measurement.load,
                measurement.method,
                measurement.invalid_reason,
            )
            rounds_by_cause.setdefault(cause, []).append(measurement.round)
    for capacity in results.capacities:
        if capacity.reason:
            unknown = (capacity.target, capacity.load, Method.SINGLE, capacity.reason)
            rounds_by_cause.setdefault(unknown, []).append(capacity.round)
    lines = []
    for (target, load, method, reason), rounds in rounds_by_cause.items():
        lines.append(
            f"{results.label(target)}, {load.sentence}, {name_rounds(rounds)} ({method}): "
            f"invalid, {reason}"
        )
    return lines + oddities(results)


def oddities(results: Results) -> list[str]:
    """Return each kind of note once, at its worst, with its rounds and targets.

    What is noted of a parsed text is about one row, and has a line for each.
    """
    launched = {facts.name for facts in results.targets}
    alike: dict[tuple[str, str], list[tuple[str, Measurement, str]]] = {}
    for measurement in results.measurements:
        if results.is_step(measurement.load):
            continue
        label = results.label(measurement.target)
        row = f"{label}, {measurement.load.sentence}"
        for note in measurement.notes:
            kind = re.sub(r"\d+", "#", note)
            if measurement.target in launched:
                alike.setdefault((kind, ""), []).append((label, measurement, note))
            else:
                alike.setdefault((kind, row), []).append((row, measurement, note))
    lines = []
    for noted in alike.values():
        rounds = name_rounds(measurement.round for _, measurement, _ in noted)
        labels = sorted({label for label, _, _ in noted})
        worst = max((note for _, _, note in noted), key=lambda note: (len(note), note))
        lines.append(f"{rounds.capitalize()} ({', '.join(labels)}): {worst}")
    return lines
