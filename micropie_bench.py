#!/usr/bin/env python3
"""Compare MicroPie with FastAPI, or any two HTTP servers, under identical load.

Each command is told here, in terms of the rooms of micropie_benchlib/. A room uses only those
above it in its own column:

core      targets, loads, plans, measurements, results: what everything else speaks of
  wrk     its command line, its exact figures, its text reports
  stats   intervals, verdicts, ranks, the gate's decision, whether a trial counts
  report  tables and sentences; a module for each export
  system  processes and their guard, /proc, clocks, checks of the machine (core alone)
  serve   how targets are started, asked and ended; a module for each ASGI server
  load    one trial: servers on one side, wrks on the other (wrk and stats, too)
  remote  the same on other machines; run does not know it
  run     rounds, launches, rates, capacities; it knows neither remote nor report
cli       options, bench.toml, targets as typed, progress, exports (uses all)
programs  what runs as a process of its own, with the standard library alone
"""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
import errno
import functools
import io
import itertools
import json
import math
import os
import platform
import signal
import sys
import tempfile
import traceback
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, NoReturn

import psutil
import typer
from typer.exceptions import TyperException

from micropie_benchlib import __version__
from micropie_benchlib.cli.bench_file import ConfigOptions, hiding_variables
from micropie_benchlib.cli.commands import command, command_line, renamed
from micropie_benchlib.cli.loads import planned_loads
from micropie_benchlib.cli.options import (
    DEFAULTS,
    QUICK,
    SEARCH,
    SHORT,
    BisectOptions,
    BisectTrialOptions,
    ExportOptions,
    GateOptions,
    GitOption,
    LimitOptions,
    LoadOptions,
    MachineOptions,
    PortOptions,
    PresetOptions,
    QuickOptions,
    RateOptions,
    ReferenceOption,
    RemoteOptions,
    RequestOptions,
    SearchLoadOptions,
    SearchOptions,
    SearchTrialOptions,
    ServingOptions,
    TargetsArgument,
    TimingOptions,
    VerboseOption,
    WorkersOptions,
    WrkOption,
    target_names,
)
from micropie_benchlib.cli.plans import make_plan
from micropie_benchlib.cli.targets import compared_targets, parse_target, parse_targets
from micropie_benchlib.cli.terminal import (
    console_on,
    say,
    show_lines,
    show_table,
    show_text,
    table_of_texts,
)
from micropie_benchlib.core.built_ins import BUILT_INS
from micropie_benchlib.core.errors import BenchError, CannotGoOnError, UnmeasurableError, UsageError
from micropie_benchlib.core.plan import USEFUL_ROUNDS
from micropie_benchlib.core.published import GIST_DAY
from micropie_benchlib.core.secrets import without_url_secrets
from micropie_benchlib.core.targets import ServerSettings
from micropie_benchlib.system.children import TRIAL_ERRORS, reason_of


def top(
    context: typer.Context,
    version: Annotated[  # noqa: ARG001  # main() reads it
        bool, typer.Option("-V", "--version", help="Print the version.")
    ] = False,
    debug: Annotated[  # noqa: ARG001  # main() reads it
        bool, typer.Option("--debug", help="Show the traceback of an error.")
    ] = False,
) -> None:
    """Print the help if there is no command."""
    if context.invoked_subcommand is None:
        console_on(sys.stdout).print(context.get_help())


@command("serve")
@hiding_variables
def serve(
    target: Annotated[
        str,
        typer.Argument(metavar="TARGET", help="The target to serve.", autocompletion=target_names),
    ],
    port: Annotated[
        int, typer.Option(min=1, max=65535, metavar="N", help="The port to listen on.")
    ] = 8000,
    *,
    config: ConfigOptions,
    serving: ServingOptions,
) -> int:
    """Run one target in the foreground, as the gist did; Ctrl-C ends it."""
    from micropie_benchlib.load.hosts import ThisHost
    from micropie_benchlib.serve.launched import run_prepare, start_server
    from micropie_benchlib.system.children import await_any
    from micropie_benchlib.system.processes import require_proc
    from micropie_benchlib.system.temporary import temporary_directory

    settings = serving.settings(port=port)
    (served,) = parse_targets([target], serving, server=settings, file=config.read())
    if not served.is_launched:
        raise UsageError(f"{target}: this server is already running")
    require_proc()
    settings = served.server or settings
    with contextlib.ExitStack() as stack:
        work_dir = stack.enter_context(temporary_directory())
        (fetched,) = ThisHost("", work_dir).fetch([served], say)
        run_prepare(fetched, timeout_s=settings.start_timeout_s)
        try:
            running = stack.enter_context(start_server(fetched, settings, log=None))
            running.await_workers(deadline_s=math.inf)
            child = running.child
            while child and not child.exit:
                await_any([child], 3600)
        except KeyboardInterrupt:
            return 0
    status = child.exit.code if child and child.exit else "unknown"
    raise BenchError(f"{target}: the server ended by itself, with status {status}")


@command("compare")
@hiding_variables
def compare(
    targets: TargetsArgument = None,
    *,
    reference: ReferenceOption = None,
    git: GitOption = None,
    config: ConfigOptions,
    load: LoadOptions,
    rate: RateOptions,
    limit: LimitOptions,
    timing: TimingOptions,
    presets: PresetOptions,
    request: RequestOptions,
    serving: PortOptions,
    machines: RemoteOptions,
    wrk: WrkOption = None,
    gate_options: GateOptions,
    export: ExportOptions,
    verbose: VerboseOption = False,
) -> int:
    """Measure targets under the same load, and print the gist's tables and a verdict."""
    from micropie_benchlib.cli.gate import make_gate
    from micropie_benchlib.cli.session import run_and_report

    preset = presets.preset()
    file = config.read()
    server = timing.serving(serving.settings(port=serving.port))
    parsed = compared_targets(
        targets, serving, server=server, file=file, reference=reference, git=git
    )
    loads = planned_loads(load, timing, request, preset, file, rate=rate)
    if limit.p99_limit and not rate.rate:
        reason = "needs a --rate; `capacity` finds the highest one that keeps it"
        raise UsageError(reason, option="--p99-limit")
    plan = make_plan(
        parsed,
        loads=loads,
        server=server,
        timing=timing,
        preset=preset,
        variables=file.variables,
        strict=gate_options.strict,
        machines=machines,
        rate_share=rate.share,
        p99_limit_s=limit.limit_s(loads[0].duration_s),
    )
    baseline, new_baseline = gate_options.baseline, gate_options.new_baseline
    inputs = [baseline] if baseline and not new_baseline else []
    exports = export.opened(inputs=inputs, new_baseline=new_baseline)
    gate = make_gate(gate_options, plan)
    if gate and gate.baseline and not gate_options.accept_changed_response:
        plan = dataclasses.replace(plan, baseline=gate.baseline.targets)
    return run_and_report(
        plan, exports, wrk=wrk, verbose=verbose, gate=gate, inconclusive=gate_options.inconclusive
    )


@command("capacity")
@hiding_variables
def capacity(
    targets: TargetsArgument = None,
    *,
    reference: ReferenceOption = None,
    git: GitOption = None,
    config: ConfigOptions,
    search: SearchOptions,
    load: SearchLoadOptions,
    trials: SearchTrialOptions,
    request: RequestOptions,
    serving: ServingOptions,
    machines: RemoteOptions,
    wrk: WrkOption = None,
    export: ExportOptions,
    verbose: VerboseOption = False,
) -> int:
    """Find the highest rate at which targets keep their p99 latency below a limit."""
    from micropie_benchlib.cli.session import run_and_report
    from micropie_benchlib.run.schedule import SEARCH_STEPS, planned_s, schedule

    file = config.read()
    server = trials.serving(serving.settings())
    parsed = compared_targets(
        targets, serving, server=server, file=file, reference=reference, git=git
    )
    loads = planned_loads(load, trials, request, SEARCH, file, seeks_capacity=True)
    plan = make_plan(
        parsed,
        loads=loads,
        server=server,
        timing=TimingOptions(**dataclasses.asdict(trials), paired=False),
        preset=SEARCH,
        variables=file.variables,
        machines=machines,
        p99_limit_s=search.limit_s(loads[0].duration_s),
    )
    exports = export.opened()
    takes = datetime.timedelta(seconds=round(planned_s(plan)))
    say(
        f"per launch: one trial without a rate, then about {SEARCH_STEPS} rates by bisection "
        f"(a missed rate twice); launches: {len(schedule(plan))}, about {takes} in all"
    )
    return run_and_report(plan, exports, wrk=wrk, verbose=verbose)


@command("bisect")
@hiding_variables
def bisect(
    target: Annotated[
        str,
        typer.Argument(
            metavar="TARGET",
            help="NAME@A..B: the releases of a built-in, or those between two days; or an app "
            "of yours, with --git.",
        ),
    ],
    *,
    git: GitOption = None,
    config: ConfigOptions,
    search: BisectOptions,
    load: SearchLoadOptions,
    trials: BisectTrialOptions,
    request: RequestOptions,
    serving: ServingOptions,
    machines: RemoteOptions,
    wrk: WrkOption = None,
    export: ExportOptions,
    verbose: VerboseOption = False,
) -> int:
    """Find the version that made it slower, or faster; each step compares two."""
    from micropie_benchlib.cli.bisect import run_bisect
    from micropie_benchlib.cli.versions import versions_of

    file = config.read()
    server = trials.serving(serving.settings())
    loads = planned_loads(load, trials, request, SHORT, file)
    if len(loads) > 1:
        raise UsageError("bisect decides by one load: use one request and one -c")
    if trials.rounds == 1:
        raise UsageError("1 gives no interval: bisect needs at least 2", option="--rounds")
    slower_than = search.share
    versions = versions_of(target, git, serving, server=server, file=file)
    plan = make_plan(
        (versions[0], versions[-1]),
        loads=loads,
        server=server,
        timing=TimingOptions(**dataclasses.asdict(trials)),
        preset=SHORT,
        variables=file.variables,
        machines=machines,
    )
    return run_bisect(
        versions, plan, export.opened(), slower_than=slower_than, wrk=wrk, verbose=verbose
    )


@command("calibrate")
@hiding_variables
def calibrate(
    target: Annotated[
        str | None,
        typer.Argument(
            metavar="[NAME=]TARGET",
            help="The target to measure against itself.  [default: fastapi]",
            show_default=False,
            autocompletion=target_names,
        ),
    ] = None,
    *,
    config: ConfigOptions,
    load: LoadOptions,
    rate: RateOptions,
    timing: TimingOptions,
    request: RequestOptions,
    serving: ServingOptions,
    machines: RemoteOptions,
    wrk: WrkOption = None,
    export: ExportOptions,
    verbose: VerboseOption = False,
) -> int:
    """Measure a target against itself: how small a difference can this machine resolve?"""
    from micropie_benchlib.cli.session import run_and_report
    from micropie_benchlib.report.conclusions import calibration_conclusion

    if timing.rounds == 1:
        raise UsageError("1 gives no interval: calibrate needs at least 2", option="--rounds")
    file = config.read()
    server = timing.serving(serving.settings())
    texts = [target] if target else [*file.targets, "fastapi"][:1]
    (original,) = parse_targets(texts, serving, server=server, file=file)
    twins = [
        dataclasses.replace(original, name=name, label=f"{original.label} ({name})")
        for name in ("a", "b")
    ]
    loads = planned_loads(load, timing, request, DEFAULTS, file, rate=rate)
    plan = make_plan(
        tuple(twins),
        loads=loads,
        server=server,
        timing=timing,
        preset=DEFAULTS,
        variables=file.variables,
        machines=machines,
        rate_share=rate.share,
    )
    return run_and_report(
        plan, export.opened(), wrk=wrk, concluding=calibration_conclusion, verbose=verbose
    )


@command("reproduce")
def reproduce(
    day: Annotated[
        str, typer.Argument(metavar="TABLE", help="The day of a published table; see --list.")
    ] = GIST_DAY,
    *,
    list_tables: Annotated[
        bool, typer.Option("--list", help="List the published tables, and measure nothing.")
    ] = False,
    timing: TimingOptions,
    presets: QuickOptions,
    wrk: WrkOption = None,
    export: ExportOptions,
    verbose: VerboseOption = False,
) -> int:
    """Measure a published table with its day's packages, next to its figures."""
    from micropie_benchlib.cli.plans import find_published, published_loads, published_targets
    from micropie_benchlib.cli.session import run_and_report
    from micropie_benchlib.report.published import list_of_published_tables, reproduction_conclusion

    if list_tables:
        show_table(list_of_published_tables(), console_on(sys.stdout))
        return 0
    chosen = find_published(day)
    preset = presets.preset()
    if preset is DEFAULTS and len(chosen.names) > 2:
        preset = dataclasses.replace(preset, rounds=USEFUL_ROUNDS)
    server = timing.serving(chosen.server)
    plan = make_plan(
        published_targets(chosen, server),
        loads=published_loads(chosen, timing.duration_s(preset)),
        server=server,
        timing=timing,
        preset=preset,
    )
    concluding = functools.partial(reproduction_conclusion, published=chosen)
    return run_and_report(plan, export.opened(), wrk=wrk, concluding=concluding, verbose=verbose)


@command("doctor")
def doctor(
    *,
    workers: WorkersOptions,
    load: LoadOptions,
    machines: MachineOptions,
    wrk: WrkOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the findings as JSON.")] = False,
) -> int:
    """Show what would spoil a measurement on this machine, with remedies."""
    from micropie_benchlib.cli.machines import examine_machines
    from micropie_benchlib.cli.screen import show_findings
    from micropie_benchlib.system.processes import require_proc

    require_proc()
    plan = make_plan(
        (parse_target("asgi"),),
        loads=planned_loads(load, TimingOptions(), RequestOptions(), DEFAULTS),
        server=ServerSettings(workers=workers.workers),
        timing=TimingOptions(),
        preset=QUICK,
        machines=RemoteOptions(**dataclasses.asdict(machines)),
    )
    findings = examine_machines(plan, wrk)
    if as_json:
        data = [dataclasses.asdict(finding) for finding in findings]
        sys.stdout.write(json.dumps(data, indent=2) + "\n")
        return 0
    show_findings(findings, console_on(sys.stdout))
    return 0


@command("parse")
def parse(
    file: Annotated[
        str,
        typer.Argument(metavar="FILE", help="A file with wrk's reports; '-' is standard input."),
    ] = "-",
    *,
    export: ExportOptions,
    verbose: VerboseOption = False,
) -> int:
    """Print the gist's tables from wrk's own text; the heading above a report names it."""
    from micropie_benchlib.cli.records import new_results
    from micropie_benchlib.cli.screen import finish
    from micropie_benchlib.report.conclusions import conclude
    from micropie_benchlib.report.layout import Report
    from micropie_benchlib.report.warnings import text_of
    from micropie_benchlib.wrk.reports import decode_text
    from micropie_benchlib.wrk.rows import parse_reports

    exports = export.opened(inputs=[file])
    try:
        data = sys.stdin.buffer.read() if file == "-" else Path(file).read_bytes()
    except OSError as error:
        raise BenchError(f"cannot read {file!r}: {error.strerror}") from None
    parsed = parse_reports(decode_text(data))
    if not parsed.measurements:
        for warning in parsed.warnings:
            say(f"micropie_bench: {text_of(warning)}")
        return 1
    results = new_results(measurements=parsed.measurements, warnings=parsed.warnings)
    report = Report(results=results, conclusion=conclude(results), details=verbose)
    failure = finish(report, exports)
    if failure:
        raise failure
    has_figures = any(measurement.valid for measurement in results.measurements)
    return 0 if has_figures and not results.warnings else 1


@command("report")
def report_again(
    files: Annotated[
        list[str], typer.Argument(metavar="RESULTS.json", help="Files of --export-json.")
    ],
    *,
    export: ExportOptions,
    verbose: VerboseOption = False,
) -> int:
    """Show saved results again, in any format; several side by side."""
    from micropie_benchlib.cli.gate import read_results
    from micropie_benchlib.cli.screen import finish
    from micropie_benchlib.report.conclusions import conclude, conclude_side_by_side
    from micropie_benchlib.report.layout import Report
    from micropie_benchlib.report.merging import check_same_load, merge, suffixed_by_file

    exports = export.opened(inputs=files)
    results_by_file = {file: read_results(file) for file in dict.fromkeys(files)}
    if len(results_by_file) == 1:
        (results,) = results_by_file.values()
        conclusion = conclude(results)
    else:
        check_same_load(results_by_file)
        results = merge(suffixed_by_file(results_by_file))
        conclusion = conclude_side_by_side(results_by_file)
    report = Report(results=results, conclusion=conclusion, details=verbose)
    failure = finish(report, exports)
    if failure:
        raise failure
    return 0


def describe_versions(versions: Mapping[str, str]) -> str:
    return ", ".join(f"{package} {version}" for package, version in versions.items())


@command("targets")
def list_targets(wrk: WrkOption = None) -> int:
    """List what can be measured here, with versions."""
    from micropie_benchlib.load.wrk_program import examine_wrk
    from micropie_benchlib.serve.asgi import SERVER_PACKAGES
    from micropie_benchlib.serve.versions import package_versions

    rows = []
    for name, built_in in BUILT_INS.items():
        versions = package_versions(built_in.packages)
        described = describe_versions(versions)
        if len(versions) < len(built_in.packages):
            described = f"not installed; {name}@VERSION is fetched"
        rows.append((name, built_in.about, described))
    rows += [
        ("NAME@VERSION", "one of these at a version, fetched from the Python index", ""),
        ("NAME@DAY", "one of these, with its server, as of a day, such as 2025-06-03", ""),
        ("module:attribute", "an ASGI app found from this directory", ""),
        ("cmd:COMMAND", "any server, with {port}, {host}, {workers} and {python} filled in", ""),
        ("http://HOST:PORT/", "a server that is already running", ""),
    ]
    console = console_on(sys.stdout)
    show_table(table_of_texts(("Target", "What it is", "Versions"), rows), console)
    servers = describe_versions(package_versions(SERVER_PACKAGES))
    python = f"Python {platform.python_version()} ({sys.executable})"
    console.print()
    show_text(console, f"Served by {servers}; {python}.")
    wrk_found = examine_wrk(wrk)
    load = f"{wrk_found.found}: {wrk_found.remedy}" if wrk_found.warns else f"wrk {wrk_found.found}"
    show_text(console, f"Load by {load}.")
    return 0


def repair_streams() -> None:
    """Replace standard streams that were closed, which Python sets to None.

    Characters that the others cannot encode are escaped.
    """
    for name in ("stdin", "stdout", "stderr"):
        if getattr(sys, name) is None:
            null = open(os.devnull, "r+")  # noqa: SIM115  # as long as the process
            setattr(sys, name, null)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def handle_signals() -> None:
    """Let SIGTERM and SIGHUP end the tool as Ctrl-C does, unless they are ignored."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, signal.default_int_handler)


def print_error(
    error: BenchError | CannotGoOnError | TyperException | OSError | MemoryError | psutil.Error,
) -> int:
    """Print the error as one line on standard error, and return the exit status."""
    number = getattr(error, "errno", None)
    if number in (errno.EPIPE, errno.ENOSPC):
        # So that Python's last flush of standard output is quiet.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    if number == errno.ENOSPC and getattr(error, "filename", None) is None:
        say(f"micropie_bench: {error}: standard output or {tempfile.gettempdir()}")
    elif number != errno.EPIPE:
        message = error.format_message() if isinstance(error, TyperException) else reason_of(error)
        logs_by_text: dict[str, tuple[str, ...]] = {message: ()}
        if isinstance(error, UnmeasurableError):
            from micropie_benchlib.report.warnings import texts_of

            logs_by_text = {texts_of(reason.warnings): reason.log for reason in error.reasons}
        for text, log in logs_by_text.items():  # a log before its error, which stays on the screen
            with contextlib.suppress(OSError):  # as say() does; but its lines stay as they are
                lines = [f"    {without_url_secrets(line)}" for line in log]
                show_lines(lines, console_on(sys.stderr))
            say(f"micropie_bench: {without_url_secrets(' '.join(text.split()))}")
    return getattr(error, "exit_code", 1)


def main(argv: Sequence[str]) -> int:
    """Run one command and return the exit status."""
    repair_streams()
    handle_signals()
    leading = list(itertools.takewhile(lambda word: word.startswith("-"), argv))
    try:
        if {"-V", "--version"} & set(leading):  # typer takes longer
            console_on(sys.stdout).print(f"micropie_bench {__version__}")
            return 0
        arguments = [renamed(word) for word in argv]
        name = Path(sys.argv[0]).name  # by this name a shell completes the command
        if name.endswith(".py"):
            name = "micropie-bench"
        return command_line(top)(args=arguments, prog_name=name, standalone_mode=False) or 0
    except (KeyboardInterrupt, typer.Abort):
        return 130
    except (*TRIAL_ERRORS, CannotGoOnError, TyperException, MemoryError) as error:
        if "--debug" in leading:
            traceback.print_exc()
        return print_error(error)


def entry_point() -> NoReturn:
    sys.exit(main(sys.argv[1:]))


if __name__ == "__main__":
    entry_point()
