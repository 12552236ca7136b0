"""Warnings in words: the sentence of each kind, with the range of its figures where it was seen."""

import functools
import string
import tomllib
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from micropie_benchlib.core.paths import packaged_text
from micropie_benchlib.core.results import Results
from micropie_benchlib.core.text import UNKNOWN, format_latency, format_precision, format_rate
from micropie_benchlib.core.warnings import BenchWarning
from micropie_benchlib.stats.warnings import Sighting

FORMATS: Mapping[str, Callable[[float], str]] = {
    "count": "{:.0f}".format,
    "decimal": "{:.1f}".format,
    "cores": lambda count: f"{count:.2f}" if count >= 0.01 else f"{count:.1g}",
    "percent": "{:.0%}".format,
    "share": "{:.2%}".format,
    "factor": "{:.3g}".format,
    "speed": "{:.3g}x".format,
    "precision": format_precision,
    "seconds": "{:.4g} s".format,
    "silence": "{:.1f} s".format,
    "step": "{:+.2f} s".format,
    "latency": format_latency,
    "rate": format_rate,
    "period": lambda count: "request" if count < 1.5 else f"{count:.0f} requests",
    "mbit": lambda bits: f"{bits / 1e6:.0f} Mbit/s",
}


@functools.cache
def templates() -> Mapping[str, str]:
    return tomllib.loads(packaged_text(__package__, "warnings.toml"))


def text_of(*warnings: BenchWarning) -> str:
    first = warnings[0]
    parts = []
    for literal, name, how, _ in string.Formatter().parse(templates()[first.kind]):
        parts.append(literal)
        if how:
            parts.append(range_text(warnings, name or "", how))
        elif name:
            parts.append(first.words.get(name, UNKNOWN))
    return "".join(parts)


def range_text(warnings: Sequence[BenchWarning], name: str, how: str) -> str:
    """`how` is a name of FORMATS, before a noun if there is one."""
    values = []
    for warning in warnings:
        for figure in (name, f"{name}_min", f"{name}_max"):
            if figure in warning.figures:
                values.append(warning.figures[figure])
    if not values:
        return UNKNOWN
    format_name, _, noun = how.partition(" ")
    show = FORMATS[format_name]
    text, first = show(max(values)), show(min(values))
    if noun and text != "1" and not noun.endswith("s"):
        noun += "s"
    if first != text:
        if unit_of(first) == unit_of(text):
            first = first.removesuffix(unit_of(text))
        text = f"{first} to {text}"
    return f"{text} {noun}".rstrip()


def unit_of(text: str) -> str:
    return text.lstrip("±+-.,0123456789")


def texts_of(warnings: Iterable[BenchWarning]) -> str:
    return "; ".join(map(text_of, warnings))


def lines_of(results: Results, sightings: Iterable[Sighting]) -> list[str]:
    """Return a line for each kind of warning with the same words.

    What invalidates is told by target, load and method; what was odd about somebody else's
    report, by its row.
    """
    launched = {None, *(facts.name for facts in results.targets)}
    groups: dict[tuple[object, ...], list[Sighting]] = {}
    for each in sightings:
        group: tuple[object, ...] = (
            each.warning.kind,
            *each.warning.words.items(),
            each.is_invalid,
        )
        if each.is_invalid or each.target not in launched:
            group = (*group, each.target, each.load, each.method)
        groups.setdefault(group, []).append(each)
    lines = []
    for sighted in groups.values():
        lines.append(line_of(results, sighted))
    return lines


def line_of(results: Results, group: Sequence[Sighting]) -> str:
    warnings, targets, loads, rounds, methods, invalid = zip(*group, strict=True)
    in_order = filter(targets.__contains__, [*results.names, *targets])
    parts = [" and ".join(map(results.label, distinct(in_order)))]
    some_loads = distinct(loads)
    if len(some_loads) < len(results.reported_loads):
        parts.append(" and ".join(load.sentence for load in some_loads))
    parts.append(rounds_text(results, distinct(rounds)))
    text = text_of(*warnings)
    if any(invalid):
        text = f"invalid: {text}"
        made = {trial.method for trial in results.measurements}
        parts.append(f"{methods[0]} trials" if len(made) > 1 and methods[0] else "")
    where = ", ".join(filter(None, parts))
    return f"{where}: {text}" if where else text


def rounds_text(results: Results, rounds: Sequence[int]) -> str:
    made = {trial.round for trial in results.measurements}
    if not rounds or len(made) == 1:
        return ""
    if len(rounds) == len(made):
        return f"{len(rounds)} of {len(made)} rounds"
    listed = ", ".join(map(str, sorted(rounds)))
    return f"{len(rounds)} of {len(made)} rounds ({listed})"


def distinct(items: Iterable[Any]) -> list[Any]:
    found = dict.fromkeys(items)
    found.pop(None, None)
    return list(found)
