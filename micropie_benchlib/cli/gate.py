"""The gate of the options, and its baseline."""

import itertools
from pathlib import Path

from micropie_benchlib.cli.options import GateOptions
from micropie_benchlib.cli.records import settings_of
from micropie_benchlib.cli.text import parse_share
from micropie_benchlib.core.choices import Inconclusive, Method
from micropie_benchlib.core.errors import BenchError, UsageError
from micropie_benchlib.core.plan import Plan
from micropie_benchlib.core.results import Results
from micropie_benchlib.core.secrets import without_named_secrets
from micropie_benchlib.report.results_file import from_json
from micropie_benchlib.stats.deciding import deciding_metrics
from micropie_benchlib.stats.gate import Gate

NEEDED = {
    "baseline": "fail_if_slower",
    "inconclusive": "fail_if_slower",
    "baseline_optional": "baseline",
    "accept_changed_response": "baseline",
}  # by the option that needs it


def make_gate(options: GateOptions, plan: Plan) -> Gate | None:
    for name, needed in NEEDED.items():
        is_given = getattr(options, name) not in (None, False, Inconclusive.PASS)
        if is_given and getattr(options, needed) is None:
            option, other = (f"--{each.replace('_', '-')}" for each in (name, needed))
            raise UsageError(f"needs {other}", option=option)
    if options.fail_if_slower is None:
        return None
    margin = parse_share("--fail-if-slower", options.fail_if_slower)
    if plan.rounds < 2 or len(plan.targets) < 2:
        raise UsageError(
            "--fail-if-slower needs at least 2 rounds and 2 targets: it decides by an interval"
        )
    if options.baseline is None:
        return Gate(margin=margin)
    if plan.rate_share:
        raise UsageError(
            "--baseline needs a --rate in requests/s: a share gives a different rate each time"
        )
    if options.new_baseline:
        return Gate(margin=margin, new_baseline=options.new_baseline)
    return Gate(margin=margin, baseline=read_baseline(options.baseline, plan))


def read_baseline(file: str, plan: Plan) -> Results:
    """Raises UsageError if its results are not such as the plan's."""
    if not Path(file).exists():
        raise UsageError(
            f"{file!r}: there is no such file; with --baseline-optional this run writes it",
            option="--baseline",
        )
    try:
        baseline = read_results(file)
    except BenchError as error:
        raise UsageError(f"--baseline: {error}") from None
    check_baseline(file, baseline, plan)
    return baseline


SERVING_FIELDS = ("asgi", "workers", "loop", "http", "access_log", "proxy_headers")


def baseline_differences(baseline: Results, plan: Plan) -> list[str]:
    """Return how targets and requests of the same name differ, other than by versions."""
    differences = []
    facts_by_name = {facts.name: facts for facts in baseline.targets}
    for target in plan.targets:
        facts = facts_by_name.get(target.name)
        if facts is None:
            continue
        spec = plan.secrets.hide_whole_words(target.spec)
        earlier = plan.secrets.hide_whole_words(without_named_secrets(facts.spec))
        if earlier != spec:
            differences.append(f"{target.name} was {earlier} there, and is {spec} now")
        then, now = facts.server, plan.server_of(target)
        if then is None or not target.is_app:
            continue
        for field in SERVING_FIELDS:
            before, after = getattr(then, field), getattr(now, field)
            if before != after:
                differences.append(f"{target.name} had {field} {before} there, and {after} now")
    requests = {request.name: request for request in settings_of(plan).workloads}
    for request in baseline.settings.workloads if baseline.settings else ():
        if request != requests.get(request.name, request):
            differences.append(
                f"{request.name} was a different request there (method, path, headers, body, "
                "expected status, --keep-alive or --timeout)"
            )
    return differences


def check_baseline(file: str, baseline: Results, plan: Plan) -> None:
    differing = baseline_differences(baseline, plan)
    if differing:
        raise UsageError(f"--baseline {file!r} does not match: {'; '.join(differing)}")
    reference, *others = plan.names
    available = []
    for comparison in baseline.comparisons:
        is_planned = comparison.method is Method.SINGLE or plan.paired
        kind = (comparison.method, comparison.metric)
        decides = kind in deciding_metrics(comparison.load, plan.metric)
        if comparison.interval and is_planned and decides:
            available.append((comparison.target, comparison.reference, comparison.load))
    for name, load in itertools.product(others, plan.loads):
        if (name, reference, load.id) in available:
            continue
        described = [
            f"{target} against {against}, {load_id.in_full}"
            for target, against, load_id in dict.fromkeys(available)
        ]
        raise UsageError(
            f"--baseline {file!r} has no interval for {name} against {reference} at "
            f"{load.id.sentence}; it has: {'; '.join(described) or 'none'}"
        )


def read_results(file: str) -> Results:
    try:
        return from_json(Path(file).read_text(encoding="utf-8"))
    except OSError as error:
        raise BenchError(f"cannot read {file!r}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise BenchError(f"cannot read {file!r}: it is not text") from None
    except BenchError as error:
        raise BenchError(f"{file!r}: {error}") from None
