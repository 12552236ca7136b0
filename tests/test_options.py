"""What the arguments mean, and what is refused: pure functions, and each command's options."""

import errno
import io
import re
import shlex
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import pytest
from conftest import (
    NAMES,
    RATES,
    Asked,
    Typed,
    results_of,
    run_command,
    run_of,
    set_bundled,
    set_cores,
    single_results,
)
from pydantic import BaseModel, ValidationError

import micropie_bench as mb
from micropie_benchlib.cli.bench_file import content_type
from micropie_benchlib.cli.commands import command_line
from micropie_benchlib.cli.gate import check_baseline, make_gate
from micropie_benchlib.cli.loads import make_loads, parse_connections, parse_workloads
from micropie_benchlib.cli.options import (
    DEFAULTS,
    GIST,
    QUICK,
    GateOptions,
    Preset,
    RequestOptions,
    ServingOptions,
    TimingOptions,
)
from micropie_benchlib.cli.plans import make_plan
from micropie_benchlib.cli.progress import ProgressReport
from micropie_benchlib.cli.records import settings_of
from micropie_benchlib.cli.requests import RESERVED_HEADERS, parse_path
from micropie_benchlib.cli.targets import parse_target, parse_targets
from micropie_benchlib.cli.text import Reads, parse_seconds
from micropie_benchlib.core.choices import AsgiServer, Decisive, Http, Loop
from micropie_benchlib.core.errors import UsageError, first_complaint
from micropie_benchlib.core.loads import Load, LoadId
from micropie_benchlib.core.paths import APPS, ROOT
from micropie_benchlib.core.plan import Plan
from micropie_benchlib.core.published import published_tables
from micropie_benchlib.core.requests import DEFAULT_WORKLOAD, WORKLOADS, WRK_TIMEOUT_S, Workload
from micropie_benchlib.core.results import Results
from micropie_benchlib.core.targets import (
    AsgiTarget,
    CommandTarget,
    ServerSettings,
    Target,
    UrlTarget,
)
from micropie_benchlib.load.trial import endless
from micropie_benchlib.report.results_file import to_json
from micropie_benchlib.run.actions import SecondStage, Step
from micropie_benchlib.run.schedule import planned_s
from micropie_benchlib.serve.asgi import SERVER_PACKAGES
from micropie_benchlib.serve.versions import package_versions

# Targets.


HERE = Path.cwd()


@pytest.mark.parametrize(
    ("text", "kind", "label", "details"),
    [
        ("fastapi", AsgiTarget, "FastAPI", {"app": "apps:fastapi", "directory": APPS}),
        ("micropie", AsgiTarget, "MicroPie", {"packages": ("micropie",)}),
        ("a=asgi", AsgiTarget, "a", {"name": "a", "app": "apps:asgi", "requirements": ()}),
        ("micropie@0.9", AsgiTarget, "MicroPie 0.9", {"app": "apps:micropie"}),
        ("v0.9=micropie@0.9", AsgiTarget, "v0.9", {"name": "v0.9", "spec": "micropie@0.9"}),
        ("sanic@25.3.0rc1", AsgiTarget, "Sanic 25.3.0rc1", {"package_dir": None}),
        ("app:app", AsgiTarget, "app:app", {"app": "app:app", "directory": HERE}),
        ("mine=site.asgi:app", AsgiTarget, "mine", {"app": "site.asgi:app"}),
        ("app:make.it", AsgiTarget, "app:make.it", {"app": "app:make.it"}),
        ("cmd:node a.js {port}", CommandTarget, "node", {"command": "node a.js {port}"}),
        ("cmd:nginx -p {port} -g 'daemon off;'", CommandTarget, "nginx", {}),
        ("cmd:/opt/s/bin/server -p{port}", CommandTarget, "server", {"name": "server"}),
        ("cmd:{python} -m s {port}", CommandTarget, "python", {"directory": HERE}),
        ("g=cmd:s {port}", CommandTarget, "g", {"spec": "cmd:s {port}"}),
        ("http://127.0.0.1:80/", UrlTarget, "http://127.0.0.1:80/", {}),
        ("http://h/?a=b", UrlTarget, "http://h/?a=b", {"name": "http://h/?a=b"}),
        ("there=https://[::1]:84/x?a=b", UrlTarget, "there", {"url": "https://[::1]:84/x?a=b"}),
        ("fastapi=fastapi@0.115.7", AsgiTarget, "FastAPI", {}),
        ("fastapi=cmd:serve {port}", CommandTarget, "FastAPI", {}),
        ("litestar=http://127.0.0.1:1/", UrlTarget, "Litestar", {}),
        ("litestar=app:app", AsgiTarget, "Litestar", {}),
    ],
)
def test_a_spec_names_a_target(
    text: str, kind: type[Target], label: str, details: dict[str, object]
) -> None:
    target = parse_target(text)
    assert type(target) is kind
    assert target.label == label
    assert {name: getattr(target, name) for name in details} == details


NOT_A_URL = "is not an HTTP URL: use http://HOST:PORT/PATH"


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("nosuch", "unknown target 'nosuch': use micropie, fastapi, starlette, asgi, "),
        ("", "unknown target ''"),
        ("app:", "unknown target 'app:'"),
        ("a:b:c", "unknown target 'a:b:c'"),
        ("my app:app", "unknown target 'my app:app'"),
        ("fastapi@", "unknown target 'fastapi@': a version is like fastapi@0.32"),
        ("fastapi@1 --pre", "a version is like fastapi@0.32"),
        ("asgi@1.0", "'asgi@1.0': asgi is built into this tool and has no versions"),
        ("cmd:server", "a command needs {port} where its port goes"),
        ("cmd:", "cmd: needs a command, as in 'cmd:server --port {port}'"),
        ("localhost:8000", "a URL begins with http://, as in http://localhost:8000"),
        ("127.0.0.1:8000/items", "as in http://127.0.0.1:8000/items"),
        ("[::1]:8000", "as in http://[::1]:8000"),
        ("shop/main.py:app", "name the module, not its file, as in shop.main:app"),
        ("/srv/shop/main.py:app", "as in main:app"),
        ("main.py", "as in main:app"),
        ("cmd:X=1 s {port}", "leave X=1 out, and use --set NAME.env.X=VALUE"),
        ("cmd:cd shop && s {port}", "leave cd out, and use --set NAME.directory=DIRECTORY"),
        ("cmd:a; s {port}", "'a;' needs a shell: use 'cmd:sh -c \"...\"'"),
        ("cmd:'", "No closing quotation"),
        ("http://", NOT_A_URL),
        ("http://h:0/", NOT_A_URL),
        ("http://127.0.0.1:99999/", NOT_A_URL),
        ("https://ann@h/", NOT_A_URL),
        ("fastapi@2025-02-30", "2025-02-30: day is out of range"),
        ("fastapi@2999-01-01", "2999-01-01 is in the future: use a day up to today"),
        ("fastapi@2025-6-3", "unknown target 'fastapi@2025-6-3': a version is like fastapi@0.32"),
    ],
)
def test_a_spec_that_names_no_target_is_refused(text: str, complaint: str) -> None:
    with pytest.raises(UsageError, match=re.escape(complaint)):
        parse_target(text)


def test_a_release_is_fetched_with_the_servers_of_the_others() -> None:
    target = parse_target("fastapi@0.115.7")
    assert isinstance(target, AsgiTarget)
    here = package_versions(SERVER_PACKAGES)
    assert "uvicorn" in here
    servers = {f"{name}=={version}" for name, version in here.items()}
    assert target.requirements[0] == "fastapi==0.115.7"
    assert set(target.requirements[1:]) == servers


def test_a_day_is_fetched_with_its_server() -> None:
    target = parse_target("fastapi@2025-06-03", ServingOptions(server=AsgiServer.GRANIAN))
    assert isinstance(target, AsgiTarget)
    assert (target.label, target.as_of) == ("FastAPI 2025-06-03", "2025-06-03")
    assert target.requirements == ("fastapi", "granian", "uvloop")


@pytest.mark.parametrize(
    ("text", "missing", "complaint"),
    [
        ("litestar", "litestar", "litestar is not installed here: install it, or use litestar@VER"),
        ("fastapi", "granian", "granian is not installed here: install it, or use fastapi@VERSION"),
    ],
)
def test_what_is_not_installed_is_told_with_what_to_do(
    text: str, missing: str, complaint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def versions(names: Sequence[str], **_: object) -> dict[str, str]:
        return {name: "1" for name in names if name != missing}

    monkeypatch.setattr("micropie_benchlib.cli.targets.package_versions", versions)
    parse_target("starlette", ServingOptions(server=AsgiServer.HYPERCORN))
    with pytest.raises(UsageError, match=complaint):
        parse_target(text, ServingOptions(server=AsgiServer.GRANIAN))


def test_a_bundle_serves_the_built_ins_with_its_own_packages(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    set_bundled(monkeypatch, True)
    built_in, release = parse_target("fastapi"), parse_target("fastapi@0.115.7")
    own = parse_target("app:app")
    package_dirs = [
        target.package_dir for target in (built_in, release, own) if isinstance(target, AsgiTarget)
    ]
    assert package_dirs == [ROOT, None, None]


@pytest.mark.parametrize(
    ("text", "python"),
    [
        ("app:app", sys.executable),
        ("cmd:{python} -m s {port}", sys.executable),
        ("fastapi", ""),
        ("fastapi@0.115.7", ""),
    ],
)
def test_another_python_runs_what_is_the_users_own(text: str, python: str) -> None:
    """The built-ins need the packages that are installed for this one."""
    assert parse_target(text, ServingOptions(python=sys.executable)).python == python


@pytest.mark.parametrize(
    ("texts", "name", "example"),
    [
        (["a=asgi", "a=fastapi"], "a", "'a=asgi' 'b=fastapi'"),
        (["fastapi", "asgi", "FastAPI=cmd:x {port}"], "FastAPI", "'a=fastapi' 'b=cmd:x {port}'"),
    ],
)
def test_two_targets_of_one_name_are_refused(texts: list[str], name: str, example: str) -> None:
    said = f"^two targets have the name {name!r}: rename one, as in {re.escape(example)}$"
    with pytest.raises(UsageError, match=said):
        parse_targets(texts, ServingOptions())


def test_a_wrong_value_in_a_file_is_told_in_our_words() -> None:
    class Whole(BaseModel):
        count: int
        text: Annotated[str, Reads(lambda value, _: parse_path(value))] = "/"

    def told(**values: Any) -> str:
        with pytest.raises(ValidationError) as refusal:
            Whole.model_validate(values, context=Path())
        return first_complaint(refusal.value.errors(), whole="JSON")

    assert told(count="x") == "count contains an impossible value, 'x': must be a whole number"
    assert told(count=1, text="x").startswith("text contains an impossible value, 'x': 'x': a path")


# The request.


@pytest.mark.parametrize(
    ("option", "texts", "complaint"),
    [
        (
            "--path",
            ["", "a", "/a b", "/a#b", "/ä", "/a\n", "/a\r\nX: y"],
            "a path must start with /",
        ),
        (
            "--method",
            ["", "head", "Connect", "G T", "GET\n", "GÊT", "A" * 21],
            "use a method such as GET",
        ),
        ("--header", ["nocolon", ": a", "X Key: a", "X-Key : a"], "use 'Name: value'"),
        ("--header", ["X-Key: ä", "X-Kéy: a", "X-Key: a\r\nX-Other: b"], "use 'Name: value'"),
        ("--header", [f"{name.title()}: a" for name in RESERVED_HEADERS], "use 'Name: value'"),
        ("--warm-up", ["", "s", "-1s", "1e3", "nan", "1d", "1.s"], "use a time such as 0.3s"),
        ("--connections", ["", "0", "-1", "x", "1.5", "010", "1000000"], "use different whole num"),
        ("--connections", ["100,", "100,100", "100;200"], "use different whole numbers"),
        ("--connections", ["100,3"], "3 is below --threads 4"),
        ("--fail-if-slower", ["", "5", "-5%", "5 %", "5%%", ".5%"], "use a share such as 5%"),
    ],
)
def test_a_value_that_an_option_cannot_have_is_refused(
    option: str, texts: Sequence[str], complaint: str, asked: Asked
) -> None:
    for text in texts:
        refusal = asked.refusal("compare", f"{option}={text}")
        assert refusal.startswith(option)
        assert complaint in refusal


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, Workload()),
        ({"path": ["/"], "method": "get"}, Workload()),
        ({"path": ["/x?a=b"]}, Workload(name="GET /x?a=b", path="/x?a=b")),
        ({"method": "delete"}, Workload(name="DELETE /", method="DELETE")),
        ({"path": ['/a"b%20!$~']}, Workload(name='GET /a"b%20!$~', path='/a"b%20!$~')),
        ({"method": "Header"}, Workload(name="HEADER /", method="HEADER")),
        ({"header": ["A: 1"]}, Workload(name="GET /", headers=(("A", "1"),))),
        (
            {"header": ["X-Key: \t a  ", "Cookie:a=b: c", "B:"]},
            Workload(name="GET /", headers=(("X-Key", "a"), ("Cookie", "a=b: c"), ("B", ""))),
        ),
        ({"body": "@body"}, Workload(name="POST /", method="POST", body=b"\x00\xff\n")),
        ({"body": "@empty"}, Workload()),
        ({"body": "a=b"}, Workload(name="POST /", method="POST", body=b"a=b")),
        (
            {"expect_status": 404, "keep_alive": False, "timeout": "1m"},
            Workload(expect_status=404, keep_alive=False, timeout_s=60),
        ),
        ({"workload": ["json"], "timeout": "5"}, Workload(name="json", path="/json", timeout_s=5)),
    ],
)
def test_a_request_is_described_by_its_options(
    options: dict[str, Any], expected: Workload, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("body").write_bytes(b"\x00\xff\n")
    Path("empty").touch()
    assert parse_workloads(RequestOptions(**options)) == (expected,)


def test_standard_input_can_be_the_body(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"\x00a")))
    (workload,) = parse_workloads(RequestOptions(body="-"))
    assert (workload.method, workload.body) == ("POST", b"\x00a")


@pytest.mark.parametrize(
    ("body", "headers", "sent"),
    [
        ('{"a": 1}', None, ("Content-Type", "application/json")),
        (" [1]\n", ["X: 1"], ("Content-Type", "application/json")),
        ("1", None, None),
        ("{", None, None),
        ("[" * 100_000, None, None),
        ('{"a": 1}', ["content-type: text/plain"], ("content-type", "text/plain")),
    ],
)
def test_a_body_that_is_json_is_sent_as_json_and_that_is_said(
    body: str,
    headers: list[str] | None,
    sent: tuple[str, str] | None,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (workload,) = parse_workloads(RequestOptions(body=body, header=headers))
    types = [each for each in workload.headers if each[0].lower() == "content-type"]
    assert types == ([sent] if sent else [])
    is_added = sent == ("Content-Type", "application/json")
    assert ("Content-Type: application/json is sent" in capsys.readouterr().err) == is_added


def test_each_path_is_a_workload_with_the_same_options() -> None:
    options = RequestOptions(path=["/", "/b?token=a-secret"], header=["A: 1"], method="PUT")
    workloads = parse_workloads(options)
    assert [(each.name, each.path) for each in workloads] == [
        ("PUT /", "/"),
        ("PUT /b?token=***", "/b?token=a-secret"),
    ]
    assert {(each.method, each.headers) for each in workloads} == {("PUT", (("A", "1"),))}


@pytest.mark.parametrize(
    ("status", "expected", "is_right"),
    [
        *((200, None, True), (204, None, True), (302, None, False), (404, None, False)),
        *((404, 404, True), (200, 404, False), (302, 302, True), (201, 200, False)),
    ],
)
def test_which_status_is_right(status: int, expected: int | None, *, is_right: bool) -> None:
    assert Workload(expect_status=expected).expects(status) == is_right


@pytest.mark.parametrize(
    ("text", "seconds"), [("0.3s", 0.3), ("500ms", 0.5), ("2m", 120), ("3", 3), ("0", 0)]
)
def test_times_that_need_not_be_whole(text: str, seconds: float) -> None:
    assert parse_seconds("--warm-up", text) == seconds


def test_named_workloads_come_once_each_in_the_order_of_the_tables() -> None:
    options = RequestOptions(workload=["upload", "json", "upload", "hello"])
    names = [workload.name for workload in parse_workloads(options)]
    assert names == ["hello", "json", "upload"]


# The load.


@pytest.mark.parametrize(
    ("text", "counts"), [("200,100", [200, 100]), (" 8 , 999999 ", [8, 999999])]
)
def test_each_count_of_connections_is_a_load(text: str, counts: list[int]) -> None:
    assert parse_connections(text, threads=4) == counts
    workloads = [WORKLOADS["json"], WORKLOADS["upload"]]
    loads = make_loads(counts, threads=4, duration_s=5, workloads=workloads)
    loads_of_one = [Load(connections=n, threads=4, duration_s=5) for n in counts]
    assert [replace(load, workload=Workload()) for load in loads] == 2 * loads_of_one
    assert [load.workload.name for load in loads[:: len(counts)]] == ["json", "upload"]


# The plan.

ONE, TWO = ("a=asgi",), ("a=asgi", "b=asgi")
FOREIGN = ("a=asgi", "b=http://127.0.0.1:1/")


def plan_of(
    targets: Sequence[str] = TWO,
    *,
    rounds: int | None = None,
    paired: bool | None = None,
    port: int | None = None,
    connections: int = 100,
    workload: str = DEFAULT_WORKLOAD,
    preset: Preset = DEFAULTS,
) -> Plan:
    load = Load(connections=connections, threads=4, duration_s=1, workload=WORKLOADS[workload])
    return make_plan(
        tuple(map(parse_target, targets)),
        loads=(load,),
        server=ServerSettings(port=port),
        timing=TimingOptions(rounds=rounds, paired=paired),
        preset=preset,
    )


@pytest.fixture
def two_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    set_cores(monkeypatch, [0, 1])


@pytest.mark.parametrize(
    ("targets", "options", "paired"),
    [
        (TWO, {}, True),
        (("a=asgi", "b=asgi", "c=cmd:s {port}"), {}, True),
        (TWO, {"rounds": 2}, True),
        (TWO, {"rounds": 1}, False),
        (TWO, {"preset": QUICK}, True),
        (TWO, {"preset": GIST}, False),
        (TWO, {"port": 8000}, False),
        (ONE, {}, False),
        (FOREIGN, {}, False),
        (TWO, {"paired": False}, False),
        (TWO, {"paired": True, "rounds": 1}, True),
    ],
)
@pytest.mark.usefixtures("two_cores")
def test_paired_trials_are_made_where_they_tell_something(
    targets: Sequence[str], options: dict[str, Any], paired: bool
) -> None:
    assert plan_of(targets, **options).paired is paired


@pytest.mark.parametrize("cores", [[], [0]], ids=["a system that does not tell", "one core"])
def test_a_paired_needs_a_core_for_each_side(
    cores: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    set_cores(monkeypatch, cores)
    assert not plan_of().paired
    with pytest.raises(UsageError, match="at least 2 cores, and a system with CPU affinity"):
        plan_of(paired=True)


def test_without_a_seed_one_is_chosen_anew() -> None:
    assert len({plan_of().seed for _ in range(10)}) > 1


# The gate.


@pytest.mark.parametrize(
    ("text", "margin"), [("5%", 0.05), ("0.5%", 0.005), (" 5% ", 0.05), ("0%", 0), ("150%", 1.5)]
)
def test_a_gate_has_the_margin_asked_for(text: str, margin: float) -> None:
    gate = make_gate(GateOptions(fail_if_slower=text), plan_of())
    assert gate
    assert gate.margin == pytest.approx(margin)
    assert gate.baseline is None


BASE_AND_MORE = tuple(f"{name}=asgi" for name in NAMES)


def test_a_gate_goes_by_the_comparisons_of_its_baseline(tmp_path: Path) -> None:
    baseline = single_results()
    file = tmp_path / "baseline.json"
    file.write_text(to_json(baseline))
    options = GateOptions(baseline=str(file), fail_if_slower="5%")
    gate = make_gate(options, plan_of(BASE_AND_MORE))
    assert gate
    assert gate.baseline
    assert gate.baseline.comparisons == baseline.comparisons


ITS_OWN = "it has: more against base, 100 connections, hello"


@pytest.mark.parametrize(
    ("plan", "rounds", "complaint"),
    [
        (plan_of((*BASE_AND_MORE, "other=asgi")), 4, ITS_OWN),
        (plan_of(("base=asgi", "other=asgi")), 4, ITS_OWN),
        (plan_of(("more=asgi", "base=asgi")), 4, ITS_OWN),
        (plan_of(BASE_AND_MORE, connections=200), 4, ITS_OWN),
        (plan_of(BASE_AND_MORE, workload="json"), 4, ITS_OWN),
        (plan_of(BASE_AND_MORE), 1, "it has: none"),
    ],
)
def test_a_baseline_that_says_nothing_of_the_plan_is_refused_before_the_run(
    plan: Plan, rounds: int, complaint: str
) -> None:
    baseline = single_results(RATES[:rounds])
    told = f"^--baseline 'old.json' has no interval for .*{re.escape(complaint)}$"
    with pytest.raises(UsageError, match=told):
        check_baseline("old.json", baseline, plan)


def test_a_baseline_of_paired_trials_alone_is_no_baseline_of_a_run_without() -> None:
    baseline = results_of(run_of([(101.0, 101.0), (102.0, 102.0)], partners=True))
    check_baseline("old.json", baseline, plan_of(BASE_AND_MORE, paired=True))
    with pytest.raises(UsageError, match="has no interval for more against base"):
        check_baseline("old.json", baseline, plan_of(BASE_AND_MORE, paired=False))


def test_a_baseline_that_shows_a_secret_in_a_command_is_of_the_same_target() -> None:
    def baseline_of(command: str) -> Results:
        baseline = single_results()
        base, more = baseline.targets
        shown = replace(base, spec=f"cmd:{command}")
        return replace(baseline, targets=(shown, more))

    plan = plan_of(("base=cmd:serve --token tok-1 {port}", "more=asgi"))
    check_baseline("old.json", baseline_of("serve --token tok-1 {port}"), plan)
    with pytest.raises(UsageError) as refusal:
        check_baseline("old.json", baseline_of("other --token tok-1 {port}"), plan)
    was = "base was cmd:other --token *** {port} there, and is cmd:serve --token *** {port} now"
    assert str(refusal.value) == f"--baseline 'old.json' does not match: {was}"


def test_a_baseline_of_another_request_of_that_name_is_refused() -> None:
    plan = plan_of(BASE_AND_MORE)
    baseline = single_results(settings=settings_of(plan))
    check_baseline("old.json", baseline, plan)
    (load,) = plan.loads
    workload = replace(load.workload, body=b"other")
    changed = replace(plan, loads=(replace(load, workload=workload),))
    with pytest.raises(UsageError, match="hello was a different request there"):
        check_baseline("old.json", baseline, changed)


STEP = Step(
    targets=plan_of().targets, load=LoadId(workload="hello", connections=100), round=1, seconds=2.0
)
STAGE = SecondStage(first_rounds=2, reached=0.03, wanted=0.01, needed=14, seconds=60)


class Terminal(io.StringIO):
    """A terminal that remembers all that it was sent, until its window is closed."""

    error: OSError | None = None

    def isatty(self) -> bool:
        return True

    def write(self, text: str) -> int:
        if self.error:
            raise self.error
        return super().write(text)

    def flush(self) -> None:
        if self.error:
            raise self.error


def standard_error(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("TERM", "xterm")
    return terminal


@pytest.mark.usefixtures("two_cores")
def test_quick_is_planned_to_give_an_interval_within_15_s(asked: Asked) -> None:
    plan = asked.plan_of("compare", "--quick")
    assert plan.paired
    assert plan.rounds >= 3
    assert planned_s(plan) <= 15


def test_why_there_are_more_rounds_stays_above_what_is_live(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    terminal = standard_error(monkeypatch)
    progress = ProgressReport(plan_of(), verbose=False)
    progress.announce(STEP)
    progress.extend(plan_of(), STAGE)
    progress.close()
    before, _, after = terminal.getvalue().partition("2 rounds gave ±3%; ±1% needs 14")
    erase_line = "\x1b[2K"
    assert before.endswith(erase_line)
    assert "round 1 of 18, " in after


def test_progress_names_the_metric_and_keeps_it(capsys: pytest.CaptureFixture[str]) -> None:
    """Requests/s decide at first; then CPU time could, and a reader would not know the change."""
    rates = [(100.0, 121.0), (100.0, 122.0)]
    alone, together = run_of(rates), run_of(rates, partners=True, cpu_s=(1.01, 1.01))
    progress = ProgressReport(plan_of(), verbose=False)
    progress.update(results_of(alone[:2]))
    progress.update(results_of(alone))
    progress.update(results_of([*alone, *together]))
    one_round, *others = capsys.readouterr().err.splitlines()
    assert re.fullmatch(r"round 1 of 18, \d:\d\d left", one_round)
    pattern = r"round 1 of 18, \d:\d\d left: 1\.2\dx in requests/s \(1\.\d\d to 1\.\d\d\)"
    assert len(others) == 2
    assert all(re.fullmatch(pattern, line) for line in others)


@pytest.mark.parametrize("number", [errno.EIO, errno.EPIPE])
def test_a_terminal_that_goes_away_does_not_end_the_run(
    monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    terminal = standard_error(monkeypatch)
    progress = ProgressReport(plan_of(), verbose=False)
    progress.announce(STEP)
    terminal.error = OSError(number, "gone")
    progress.announce(STEP)
    progress.extend(plan_of(), STAGE)
    progress.close()


def test_a_warm_up_of_minutes_is_not_cut_short() -> None:
    load = Load(connections=1, threads=1, duration_s=1)
    assert endless(load, 120.5).duration_s > 121


def test_the_threads_that_are_recorded_do_not_depend_on_the_order_of_loads(asked: Asked) -> None:
    for connections in ("10,100", "100,10"):
        plan = asked.plan_of("compare", "--rate", "500", "-c", connections, "-t", "4")
        assert settings_of(plan).threads == 4


# What is refused.

NOT_OUR_OWN = "--paired needs two targets that this tool starts"
NO_INTERVAL = "at least 2 rounds and 2 targets"
DESCRIBED = "--workload already describes the request"
REFUSED = [
    ("compare --rounds x", "--rounds: must be a whole number, not 'x'"),
    ("compare -w 0", "--workers: must be 1 or more, not '0'"),
    ("compare --port 65536", "--port: must be 65,535 or less, not '65536'"),
    ("compare --http x", "--http: 'x' is not one of 'auto', 'h11', 'httptools'"),
    ("compare -d 0s", "--duration '0s'"),
    ("compare --quick --gist", "exclude each other"),
    ("compare --reference micropy", "did you mean micropie"),
    ("calibrate -r 1", "calibrate needs at least 2"),
    ("compare asgi --server granian --http h11", "--http is uvicorn's: granian has its own"),
    ("compare --python /nowhere app:app", "python '/nowhere': no such program"),
    ("compare http://a..b/", "not this machine"),
    ("compare http://192.0.2.1:8000/", "http://192.0.2.1:8000/ is not this machine"),
    ("compare http://example.invalid/", "add --allow-remote"),
    # Requests.
    ("compare --workload jason", "--workload 'jason' (did you mean json?): use hello, greet, json"),
    ("compare --workload json --path /", DESCRIBED),
    ("compare --workload json --body b", DESCRIBED),
    ("compare --path /a --path /a", "--path '/a' is given twice"),
    ("compare -H 'X-Key: 1' -H 'x-key: 2'", "each name once"),
    ("compare --timeout 121s", "--timeout '121s': at most 120s"),
    ("compare --timeout 0.5s", "--timeout '0.5s': wrk takes whole seconds"),
    (f"compare --body {__file__}", f"--body {__file__!r} is a file: to send its content, use @"),
    ("compare --body @/nowhere", "--body '/nowhere': No such file or directory"),
    ("compare --body @/", "--body '/': Is a directory"),
    ("compare --body @/dev/zero", "it has more than 64 MiB"),
    ("compare --config /dev/zero", "--config '/dev/zero'"),
    # Paired trials, and the gate.
    ("compare --paired asgi", NOT_OUR_OWN),
    ("compare --paired asgi http://127.0.0.1:1/", NOT_OUR_OWN),
    ("compare --paired --port 8000", "leave out --port, or use --no-paired"),
    ("compare --fail-if-slower 5% -r 1", NO_INTERVAL),
    ("compare --fail-if-slower 5% asgi", NO_INTERVAL),
    ("compare --baseline a.json", "--baseline needs --fail-if-slower"),
    ("compare --inconclusive fail", "--inconclusive needs --fail-if-slower"),
    ("compare --fail-if-slower 5% --baseline-optional", "--baseline-optional needs --baseline"),
    (
        "compare --fail-if-slower 5% --accept-changed-response",
        "--accept-changed-response needs --baseline",
    ),
    ("compare --baseline-optional --baseline x --export-json x", "two exports go to one file: "),
    ("compare --export-json - --export-csv -", "cannot share standard output"),
    ("compare --export-json same --export-csv ./same", "two exports go to one file: "),
    ("compare --export-csv /nowhere/x.csv", "--export-csv '/nowhere/x.csv': No such file or dir"),
    (
        "compare --fail-if-slower 5% --baseline /nowhere/x.json --baseline-optional",
        "--baseline '/nowhere/x.json': No such file or directory",
    ),
    (
        "compare --fail-if-slower 5% --baseline /nowhere.json",
        "--baseline '/nowhere.json': there is no such file; with --baseline-optional",
    ),
    (
        "compare --fail-if-slower 5% --baseline main.json --export-json main.json",
        "'main.json' is an input: export to another file",
    ),
    # Rates, and limits of latency.
    ("compare --rate 0", "use requests/s such as 5000"),
    ("compare --rate fast", "use requests/s such as 5000"),
    ("compare --rate 0%", "use a share from 1% to 100%"),
    ("compare --rate 101%", "use a share from 1% to 100%"),
    ("compare --rate 1 -d 2s -c 1", "1 requests/s are 2 requests in a trial of 2 s: use -d 20s"),
    ("compare --rate 5000 -c 2000", "use 1000 or fewer"),
    ("compare --rate 5000 --no-keep-alive", "the time of a new connection would count"),
    ("compare --rate 20 -c 100 -d 30s", "idle for 5.0 s, and servers close idle ones: use -c 40"),
    ("compare --rate 9999999", "19,999,998 requests in a trial of 2 s: use a shorter -d"),
    ("compare --rate 5000 --metric throughput", "use cpu or p99"),
    ("capacity --p99-limit 0", "such as 50ms"),
    ("capacity --p99-limit x", "0.3s"),
    ("capacity --p99-limit 50", "use a time with its unit, such as 50ms"),
    ("capacity --p99-limit 200ms", "would not reach it in 2 s: use -d 4s or longer"),
    # Machines.
    ("compare --load-on '-oProxyCommand=touch /tmp/x'", "is not a host name for ssh"),
    ("compare --server-on ''", "is not a host name for ssh"),
    ("compare --load-on ,", "names no machine"),
    ("compare --load-on a,a", "names a machine twice"),
    ("compare --server-on a --load-on a,b", "both the server and one of several load machines"),
    ("compare --load-on a,b,c -c 8 -t 4", "use a smaller -t, or a larger -c"),
    ("compare --ssh-config /dev/null", "--ssh-config is for other machines"),
    ("compare --load-on a --ssh-config /nowhere", "there is no such file"),
    ("compare --load-on a http://127.0.0.1:9000/", "means a different server on each machine"),
    ("reproduce 2025-06-04", "'2025-06-04' (did you mean 2025-06-03?): use"),
]


@pytest.mark.parametrize(("words", "complaint"), REFUSED)
def test_what_cannot_be_carried_out_is_refused_before_the_run(
    words: str, complaint: str, asked: Asked
) -> None:
    assert complaint in asked.refusal(*shlex.split(words))


def test_no_server_refuses_its_own_settings() -> None:
    for server in AsgiServer:
        ServingOptions(server=server).settings()
    ServingOptions(http=Http.H11).settings()


# Each command's options.


COMMANDS = sorted(command_line(mb.top).commands)


def options_of(command: str) -> list[Any]:
    parameters = command_line(mb.top).commands[command].params
    return [each for each in parameters if each.param_type_name == "option"]


def test_an_option_means_the_same_in_every_command() -> None:
    meanings: dict[str, set[tuple[object, ...]]] = {}
    for command in COMMANDS:
        for each in options_of(command):
            aliases = (*each.opts, *each.secondary_opts)
            values = (each.default, each.min, each.max, each.multiple)
            for alias in aliases:
                meaning = (aliases, each.help, each.metavar, each.envvar, values)
                meanings.setdefault(alias, set()).add(meaning)
    differing = [name for name, each in meanings.items() if len(each) > 1]
    # `capacity` always has a limit; `serve` listens where it always does, `compare` anywhere.
    assert differing == ["--p99-limit", "--port"]
    assert {"--connections", "-c", "--no-paired", "--export-json", "--wrk"} <= set(meanings)


def test_each_option_of_a_command_that_reads_a_file_is_a_key_of_the_file() -> None:
    keys = content_type().model_fields.keys()
    for command in COMMANDS:
        names = {each.name for each in options_of(command)}
        if "config" in names:
            assert names - {"config", "settings", "help"} <= keys, command


def shown_defaults(command: str, capsys: pytest.CaptureFixture[str]) -> dict[str, str]:
    run_command(command, "--help")
    options = capsys.readouterr().out
    defaults = {}
    for entry in re.split(r"\n  (?=-)", options):
        name = re.search(r"--[\w-]+", entry)
        default = re.search(r"\[default: (.*?)(; [^\]]*)?\]", " ".join(entry.split()))
        if name and default:
            defaults[name[0]] = default[1]
    return defaults


def test_without_options_a_comparison_is_what_its_help_says(
    asked: Asked, capsys: pytest.CaptureFixture[str]
) -> None:
    plan = asked.plan_of("compare")
    (method,) = {load.workload.method for load in plan.loads}
    (path,) = {load.workload.path for load in plan.loads}
    (threads,) = {load.threads for load in plan.loads}
    (duration_s,) = {load.duration_s for load in plan.loads}
    assert shown_defaults("compare", capsys) == {
        "--connections": ",".join(str(load.connections) for load in plan.loads),
        "--threads": str(threads),
        "--rate": "as fast as possible",
        "--duration": f"{duration_s}s",
        "--rounds": str(plan.rounds),
        "--warm-up": f"{plan.warm_up_s}s",
        "--start-timeout": f"{plan.server.start_timeout_s:.0f}s",
        "--paired": "where possible",
        "--metric": "cpu if CPU limits the servers, else throughput (p99 at a rate)",
        "--max-time": f"{plan.most_s / 3600:.0f}h",
        "--path": path,
        "--method": method,
        "--expect-status": "any 2xx",
        "--keep-alive": "keep-alive",
        "--timeout": f"{WRK_TIMEOUT_S}s",
        "--workers": str(plan.server.workers),
        "--access-log": "access-log" if plan.server.access_log else "no-access-log",
        "--loop": plan.server.loop,
        "--http": plan.server.http,
        "--proxy-headers": "proxy-headers" if plan.server.proxy_headers else "",
        "--server": plan.server.asgi,
        "--host": plan.server.host,
        "--port": "free ports",
        "--inconclusive": "pass",
        "--reference": "the first",
    }
    assert plan.paired
    assert plan.server.port is None
    assert asked.options["gate"] is None
    assert asked.options["wrk"] is None


@pytest.mark.parametrize(
    ("args", "labels"),
    [
        (["compare", "x=asgi", "asgi"], ["x", "ASGI"]),
        (["calibrate", "asgi"], ["ASGI (a)", "ASGI (b)"]),
        (["calibrate"], ["FastAPI (a)", "FastAPI (b)"]),
        (["reproduce"], ["FastAPI", "MicroPie"]),
    ],
)
def test_a_command_measures_its_targets(args: list[str], labels: list[str], asked: Asked) -> None:
    plan = asked.plan_of(*args)
    assert [target.label for target in plan.targets] == labels
    assert plan.paired


@pytest.mark.parametrize("command", ["compare", "calibrate"])
def test_every_option_of_a_group_reaches_the_plan(
    command: str, asked: Asked, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("body").write_bytes(b"12")
    load = ("-c", "6", "-t", "3", "-d", "2m", "-r", "3", "--seed", "4", "--no-paired")
    request = (
        *("--path", "/json", "--method", "put", "-H", "A: 1", "--body", "@body"),
        *("--expect-status", "201", "--no-keep-alive", "--timeout", "7s"),
    )
    limits = ("--warm-up", "2.5s", "--start-timeout", "3m", "--metric", "p99")
    precision = ("--precision", "2%", "--max-time", "10m")
    serving = ("-w", "2", "--no-access-log", "--loop", "asyncio", "--http", "h11")
    run_command(command, "asgi", *load, *request, *serving, *limits, *precision, "--wrk", "/my/wrk")
    workload = Workload(
        name="PUT /json",
        method="PUT",
        path="/json",
        headers=(("A", "1"),),
        body=b"12",
        expect_status=201,
        keep_alive=False,
        timeout_s=7,
    )
    assert replace(asked.plan, targets=()) == Plan(
        targets=(),
        loads=(Load(connections=6, threads=3, duration_s=120, workload=workload),),
        rounds=3,
        seed=4,
        server=ServerSettings(
            workers=2, access_log=False, loop=Loop.ASYNCIO, http=Http.H11, start_timeout_s=180
        ),
        paired=False,
        warm_up_s=2.5,
        metric=Decisive.P99,
        precision=0.02,
        most_s=600,
    )
    assert asked.options["wrk"] == "/my/wrk"


def test_each_published_table_is_asked_for_as_it_was_published(asked: Asked) -> None:
    plan = asked.plan_of("reproduce", "2026-05-11", "-d", "2s")
    assert plan.names == ["MicroPie", "BlackSheep", "Starlette", "FastAPI", "Quart"]
    assert [(load.connections, load.threads) for load in plan.loads] == [(1000, 4)]
    assert plan.server == ServerSettings(workers=8, asgi=AsgiServer.GRANIAN)
    assert plan.rounds == 6, "five targets take longer than two"
    micropie = plan.targets[0]
    assert isinstance(micropie, AsgiTarget)
    assert micropie.app == "apps:plain_micropie"
    assert micropie.as_of == "2026-05-11T07:00:00Z", "0.29 is of that day"
    assert micropie.requirements == ("micropie[all]", "granian", "uvloop")

    gist = asked.plan_of("reproduce", "-d", "30s", "-r", "2")
    assert [(load.connections, load.threads) for load in gist.loads] == [(100, 4), (200, 4)]
    assert {load.duration_s for load in gist.loads} == {30}
    assert (gist.server, gist.rounds) == (ServerSettings(workers=4), 2)
    for target, framework in zip(gist.targets, ("fastapi", "micropie"), strict=True):
        assert isinstance(target, AsgiTarget)
        assert target.as_of == "2025-01-29"
        assert {framework, "uvicorn", "uvloop", "httptools"} <= set(target.requirements)

    fastapi = asked.plan_of("reproduce", "2025-06-03").targets[-1]
    assert isinstance(fastapi, AsgiTarget)
    assert fastapi.app == "apps:plain_fastapi_def"

    loads = asked.plan_of("reproduce", "2025-01-30").loads
    assert [load.workload.path for load in loads] == ["/json", "/compute", "/delayed"]


def test_published_tables_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    run_command("reproduce", "--list")
    out = capsys.readouterr().out
    for published in published_tables().values():
        assert published.day in out
    assert "granian, 8 workers" in out


def test_the_help_of_capacity_has_its_own_defaults(
    asked: Asked, capsys: pytest.CaptureFixture[str]
) -> None:
    plan = asked.plan_of("capacity")
    defaults = shown_defaults("capacity", capsys)
    assert defaults["--rounds"] == str(plan.rounds)
    assert [defaults["--connections"]] == [str(load.connections) for load in plan.loads]


@pytest.mark.parametrize(
    ("args", "names"),
    [
        (("a=asgi", "b=asgi", "c=asgi", "--reference", "b"), ["b", "a", "c"]),
        (("a=asgi", "b=asgi"), ["a", "b"]),
        (("--reference", "micropie"), ["micropie", "fastapi"]),
    ],
)
def test_the_reference_can_be_named(args: Sequence[str], names: list[str], asked: Asked) -> None:
    assert asked.plan_of("compare", *args).names == names


def test_the_name_of_a_module_is_told_how_to_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "shop.py").touch()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match=r"name the app in the module, as in shop:app$"):
        parse_target("shop")


@pytest.mark.parametrize(
    ("args", "are_twins"),
    [
        (("a=fastapi", "b=fastapi"), True),
        (("a=fastapi", "b=micropie"), False),
        (("a=fastapi", "b=fastapi", "--set", "b.workers=1"), False),
    ],
)
def test_two_names_of_one_target_are_warned_of(
    args: Sequence[str], are_twins: bool, typed: Typed, asked: Asked
) -> None:
    done = typed("compare", *args)
    assert asked.plan.names == ["a", "b"]
    told = "warning: a and b are one target: all differences are noise"
    assert (told in done.stderr) == are_twins


def test_options_have_hyperfines_names_too(typed: Typed, asked: Asked) -> None:
    assert typed("compare", "--runs", "4", "--warmup=1s", "-R", "300").returncode == 0
    assert (asked.plan.rounds, asked.plan.warm_up_s) == (4, 1)
    assert asked.plan.loads[0].rate_per_s == 300
