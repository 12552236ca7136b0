"""Warnings in words: the sentence of each kind, with the range of its figures where it was seen."""

from __future__ import annotations

import itertools
import string
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from micropie_benchlib.core.results import Results
from micropie_benchlib.core.text import UNKNOWN, format_latency, format_precision, format_rate
from micropie_benchlib.core.warnings import BenchWarning, Kind
from micropie_benchlib.stats.warnings import Sighting, warnings_of

FORMATS: Mapping[str, Callable[[float], str]] = {
    "count": "{:.0f}".format,
    "decimal": "{:.1f}".format,
    "cores": "{:.2f}".format,
    "percent": "{:.0%}".format,
    "precision": format_precision,
    "seconds": "{:.4g} s".format,
    "silence": "{:.1f} s".format,
    "step": "{:+.2f} s".format,
    "latency": format_latency,
    "rate": format_rate,
    "period": lambda count: "request" if count < 1.5 else f"{count:.0f} requests",
    "mbit": lambda bits: f"{bits / 1e6:.0f} Mbit/s",
}
TEXTS: Mapping[Kind, str] = {
    Kind.UNKNOWN: "a warning that this version does not know",
    Kind.MACHINE: "{check}: {found}; {remedy}",
    Kind.ONE_MACHINE: "{hosts} are one machine: what runs there shares its cores",
    Kind.INTERRUPTED: "interrupted in round {round:count} of {rounds:count}",
    Kind.ENDED: "ended in round {round:count} of {rounds:count}, because {error}",
    Kind.UNFINISHED: "These are {made:count} of {rounds:count} rounds: the run was cut short.",
    Kind.FAILED: "{error}",
    Kind.FAILED_AFTER_LOAD: "after the load: {error}",
    Kind.WARM_UP_FAILED: "the first warm-up failed: {error}",
    Kind.LIFESPAN_FAILED: "lifespan startup failed: the app's startup code did not run",
    Kind.CONNECT_ERRORS: "{count:count failed connection}: use fewer connections, or a larger "
    "backlog or ulimit -n",
    Kind.READ_ERRORS: "{count:count read error}: the server closed or reset connections, "
    "as when it crashes or limits keep-alive",
    Kind.WRITE_ERRORS: "{count:count write error}: the server closed connections before it had "
    "read the request",
    Kind.TIMEOUTS: "{count:count timeout}: slower responses are missing from the latency; "
    "use fewer connections, or a longer --timeout",
    Kind.STATUS_ERRORS: "{count:count} of {requests:count} responses had a status above 399",
    Kind.SUCCESSES: "{count:count} of {requests:count} responses had a status below 400, "
    "not {expected_status:count}",
    Kind.FEW_REQUESTS: "{requests:count request}: fewer than the {connections:count connection}",
    Kind.NO_LATENCY: "the latency is not known: wrk timed no request, and printed nan% beside 0",
    Kind.CONTRADICTION: "the report contradicts itself: {unit} per second are not the {unit} "
    "over the duration",
    Kind.CORRECTED_LATENCY: "by Little's law {busy:count} of {open:count} connections were busy: "
    "the mean latency is too high for that many requests, as wrk's correction can make it",
    Kind.UNREAD_REPORT: "The wrk report at line {line} could not be read: {reason}",
    Kind.OTHER_DURATION: "wrk ran for {duration_s:seconds} instead of {asked_s:seconds}",
    Kind.SATURATED: "load generator saturated: wrk used {load_cpu:cores} of {load_cores:count} "
    "cores, the server {server_cpu:cores} of {server_cores:count}; use more --threads or cores, "
    "or a slower target",
    Kind.SATURATED_FOREIGN: "load generator saturated: wrk used {load_cpu:cores} of "
    "{load_cores:count} cores; use more --threads or cores, or a slower target",
    Kind.LINK_FULL: "the network was the limit: {device} carried {bits_per_s:mbit} of "
    "{capacity_bits_per_s:mbit}; use smaller responses, or a faster link",
    Kind.CLOCK_SET: "the machine's clock was set by {step_s:step} meanwhile, and wrk uses it",
    Kind.LATE_GENERATOR: "wrk itself sent {late_p99_s:latency} too late (p99), over a quarter "
    "of the p99 latency of {p99_s:latency}, which includes it",
    Kind.UNANSWERED: "{count:count} of {offered:count} requests had no response "
    "{timeout_s:seconds} after the last was scheduled",
    Kind.NOT_SUSTAINED: "not sustained: {offered_per_s:rate} offered, "
    "{answered_per_s:rate} answered",
    Kind.SIZE_CHANGED: "responses under load had {mean_bytes:count bytes} on average, "
    "the checked one {checked_bytes:count}: they were not the same",
    Kind.SIZE_DIFFERS: "responses under load had {mean_bytes:count bytes} on average, "
    "the checked one {checked_bytes:count}",
    Kind.SIZE_AFTER_LOAD: "after the load the response had {bytes:count bytes}, before it "
    "{checked_bytes:count}: it was not the same",
    Kind.BODY_AFTER_LOAD: "after the load the response had another body than before",
    Kind.LATE_AFTER_LOAD: "after the load the response took {took_s:silence}, over the "
    "{timeout_s:seconds} of --timeout",
    Kind.EXTRA_RESPONSES: "by Little's law {busy:count} connections were busy, and only "
    "{open:count} open: the server sent responses without a request (such as 103, which wrk "
    "counts), or the clock was set",
    Kind.SILENT_CONNECTIONS: "{silent:count} of {open:count} connections had no response for the "
    "last {silence_s:silence} or longer: the server stopped responding to them",
    Kind.KEPT_OPEN: "{requests:count request} used {opened:count connection}: the server kept "
    "some open that it was asked to close (--no-keep-alive)",
    Kind.IDLE_CONNECTIONS: "by Little's law {busy:count} of {open:count} connections were busy: "
    "wrk waited for the CPU or for new connections, or the last responses were late",
    Kind.CUT_OFF: "each connection had {per_connection:decimal} responses in a trial, and one "
    "that was cut off does not count: requests/s are up to {loss:percent} too low",
    Kind.STOLEN: "the hypervisor took {share:percent} of the machine (steal)",
    Kind.NEIGHBOURS: "other processes took {share:percent} of the machine",
    Kind.THROTTLED: "the CPU quota throttled the machine",
    Kind.SECOND_TRY: "tried a second time",
    Kind.RATE_UNKNOWN: "whether it keeps {rate_per_s:rate} is unknown",
    Kind.NO_RATE_KEPT: "no rate keeps the limit, down to {rate_per_s:rate}",
    Kind.LIMIT_MISSED: "no rate keeps the limit: the p99 latency is {p99_s:latency} even at "
    "{rate_per_s:rate}",
    Kind.LATE_FOR_LIMIT: "wrk itself sent {late_p99_s:latency} too late (p99) for that limit: "
    "use a higher --p99-limit, fewer -c, or another machine's cores (--load-on)",
    Kind.CANNOT_OFFER: "wrk cannot offer {load} from these cores: use a lower --rate, or more "
    "cores, such as another machine's (--load-on)",
    Kind.RATE_NOT_KEPT: "{target} does not keep {load}: use a lower --rate",
    Kind.PAIRED_RATE_NOT_KEPT: "{target} does not keep {load}: use a lower --rate, or "
    "--no-paired, so that each server has all cores",
    Kind.THROUGHPUT_UNKNOWN: "--rate {share:percent}: the throughput of {target} at {load} is "
    "unknown",
    Kind.ONE_TARGET: "Only one target was measured.",
    Kind.KNEE: "throughput grows up to here (95% of its maximum); beyond, only latency grows",
    Kind.OVERLAPPING_RANKS: "Targets with overlapping ranks are not significantly different "
    "(95%, all pairs). Add rounds to separate them.",
    Kind.FEW_FOR_P99: "A trial has only {count:count} requests, so its p99 is the latency of one "
    "or two of them: use -d {enough_s:count}s for {enough:count}.",
    Kind.WAITED: "neither server nor wrk was busy, so CPU time says nothing about speed; "
    "it waited, as for sleeps, locks or an upstream",
    Kind.DELAYED_ACKS: "neither server nor wrk was busy, so CPU time says nothing about speed; "
    "responses took some 40 ms, as with delayed ACKs: is TCP_NODELAY set?",
    Kind.UNEQUAL_WORK: 'The targets differ in {facts}: see "Equal work?".',
    Kind.UNEQUAL_WORKERS: "With different numbers of workers the verdicts are based on requests/s.",
    Kind.EQUAL_RESPONSES: "--workload json compares the built-ins by equal responses.",
    Kind.RECONNECTS: "reconnects every {requests:period}, which adds overhead",
    Kind.RECONNECTS_COUNTED: "reconnects every {requests:period} (machine-wide count), "
    "which adds overhead",
    Kind.IMPRECISE: "the interval is {half_width:precision}, not the {wanted:precision} of "
    "--precision: allow more time (--max-time)",
    Kind.SHARED_CORES: "wrk took {share:percent} of the CPU time that it shared with the servers, "
    "so requests/s differ less than CPU per request does.",
    Kind.DISAGREEMENT: "requests/s and CPU per request disagree: something other than the "
    "servers' CPU may limit requests/s here.",
}


def span_text(values: Sequence[float], how: str) -> str:
    """Return the range of a figure in a format of FORMATS, before a noun if there is one."""
    name, _, noun = how.partition(" ")
    first, last = FORMATS[name](min(values)), FORMATS[name](max(values))
    unit = last.lstrip("±+-.,0123456789")
    text = last if first == last else f"{first.removesuffix(unit)} to {last}"
    if noun and text != "1" and not noun.endswith("s"):
        noun += "s"
    return f"{text} {noun}".rstrip()


def text_of(*warnings: BenchWarning) -> str:
    """Return what warnings of one kind and with the same words say, with their range."""
    parts = []
    for literal, name, how, _ in string.Formatter().parse(TEXTS[warnings[0].kind]):
        parts.append(literal)
        if how:
            names = (name, f"{name}_min", f"{name}_max")
            figures = itertools.chain(*(warning.figures.items() for warning in warnings))
            values = [value for found, value in figures if found in names]
            parts.append(span_text(values, how) if values else UNKNOWN)
        elif name:
            parts.append(warnings[0].words.get(name, UNKNOWN))
    return "".join(parts)


def texts_of(warnings: Iterable[BenchWarning]) -> str:
    """Return what several warnings say of one thing."""
    return "; ".join(map(text_of, warnings))


def distinct(items: Iterable[Any]) -> list[Any]:
    """Return the items that are not None, each once."""
    return [item for item in dict.fromkeys(items) if item is not None]


def lines_of(results: Results, sightings: Iterable[Sighting]) -> list[str]:
    """Return a line for each kind of warning with the same words.

    What invalidates is told by target, load and method; what was odd about somebody else's
    report, by its row; and each target has its own knee.
    """
    launched = {None, *(facts.name for facts in results.targets)}
    groups: dict[tuple[object, ...], list[Sighting]] = {}
    for sighting in sightings:
        kind = sighting.warning.kind
        group: tuple[object, ...] = (kind, *sighting.warning.words.items(), sighting.is_invalid)
        if sighting.is_invalid or kind is Kind.KNEE or sighting.target not in launched:
            group = (*group, sighting.target, sighting.load, sighting.method)
        groups.setdefault(group, []).append(sighting)
    return [line_of(results, group) for group in groups.values()]


def line_of(results: Results, group: Sequence[Sighting]) -> str:
    """Return where something was seen, if it is about a part of the results, and what it was."""
    text = text_of(*(sighting.warning for sighting in group))
    if group[0].is_invalid:
        text = f"invalid: {text}"
    where = where_seen(results, group)
    return f"{where}: {text}" if where else text


def where_seen(results: Results, group: Sequence[Sighting]) -> str:
    """Return the targets, then loads, rounds and methods where there are others."""
    parts = [" and ".join(results.label(name) for name in distinct(s.target for s in group))]
    loads = distinct(sighting.load for sighting in group)
    if len(loads) < len(results.reported_loads):
        parts.append(" and ".join(load.sentence for load in loads))
    rounds = distinct(sighting.round for sighting in group)
    made = {measurement.round for measurement in results.measurements}
    if rounds and len(made) > 1:
        parts.append(f"{len(rounds)} of {len(made)} rounds")
        if len(rounds) < len(made):
            parts[-1] += f" ({', '.join(map(str, sorted(rounds)))})"
    methods = {measurement.method for measurement in results.measurements}
    if group[0].is_invalid and group[0].method and len(methods) > 1:
        parts.append(f"{group[0].method} trials")
    return ", ".join(filter(None, parts))


def warning_lines(results: Results) -> list[str]:
    """Return what should be known before the results are quoted, but for their own warnings."""
    return lines_of(results, warnings_of(results))
