"""Several machines, as far as that can be tried on one without a network."""

import itertools
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, get_type_hints

import pytest
from conftest import ENVIRONMENT, Asked, program, run_command, wrk_of
from hypothesis import given
from hypothesis import strategies as st

from micropie_benchlib.cli.machines import with_address
from micropie_benchlib.cli.options import QUICK, RemoteOptions, TimingOptions
from micropie_benchlib.cli.plans import make_plan
from micropie_benchlib.cli.records import new_results
from micropie_benchlib.cli.targets import parse_target
from micropie_benchlib.core.choices import Loop
from micropie_benchlib.core.errors import BenchError, CannotGoOnError
from micropie_benchlib.core.loads import Load
from micropie_benchlib.core.measurements import Errors, Histogram, ServerUse, WrkResult
from micropie_benchlib.core.paths import APPS, ROOT
from micropie_benchlib.core.plan import MachineNames
from micropie_benchlib.core.requests import Response, Workload
from micropie_benchlib.core.results import Machine, Role
from micropie_benchlib.core.targets import AsgiTarget, CommandTarget, ServerSettings, UrlTarget
from micropie_benchlib.core.warnings import BenchWarning, Kind
from micropie_benchlib.load.cpu_accounts import Work
from micropie_benchlib.load.generators import Goal, WrkGroup
from micropie_benchlib.load.hosts import ThisHost, share_out
from micropie_benchlib.load.machine import NO_LINK, Link, link_full, link_of
from micropie_benchlib.load.merging import merge_runs
from micropie_benchlib.load.readings import Ending, LoadReading, ServerReading
from micropie_benchlib.load.servers import ServerGroup
from micropie_benchlib.remote.agent import Agent, AgentFacts, StartedServer, placed_here, reply_to
from micropie_benchlib.remote.machines import own_pyz, remote_program
from micropie_benchlib.remote.messages import Outcome, from_text, to_text
from micropie_benchlib.remote.ssh import Ssh, find_remote_python, ssh_reason
from micropie_benchlib.report.about import machine_tables, machines_sentence
from micropie_benchlib.report.results_file import from_json, to_json
from micropie_benchlib.report.warnings import text_of
from micropie_benchlib.serve.launched import LaunchedServer
from micropie_benchlib.serve.servers import LocalServer
from micropie_benchlib.serve.versions import PackageVersions
from micropie_benchlib.system.checks import Finding, State
from micropie_benchlib.wrk.histogram import latency_from_histogram, sample_count

LATENCIES = st.lists(
    st.tuples(st.integers(1, 2_000_000), st.integers(1, 1000)),
    min_size=1,
    max_size=50,
    unique_by=lambda bucket: bucket[0],
).map(lambda buckets: tuple(sorted(buckets)))


def run_of(histogram: Histogram, *, duration_s: float = 2.0) -> WrkResult:
    latency = latency_from_histogram(histogram)
    return wrk_of(
        sample_count(histogram) / duration_s,
        seconds=duration_s,
        latency=latency,
        latency_uncorrected=latency,
        errors=Errors(read=1, timeout=2),
    )


@given(st.lists(LATENCIES, min_size=1, max_size=4))
def test_runs_at_once_are_summed_and_their_latencies_are_those_of_all_samples(
    histograms: list[Histogram],
) -> None:
    runs = [run_of(histogram) for histogram in histograms]
    merged = merge_runs(runs)
    samples = sorted(
        itertools.chain(
            *([value] * count for histogram in histograms for value, count in histogram)
        )
    )
    assert merged.requests == len(samples) == sum(run.requests for run in runs)
    assert merged.bytes == sum(run.bytes for run in runs)
    assert merged.errors.total == 3 * len(runs)
    assert merged.contradiction is None
    assert merged.latency
    assert merged.latency.max_s == samples[-1] / 1e6
    assert merged.latency.mean_s == pytest.approx(sum(samples) / len(samples) / 1e6)
    for percent, found_s in ((50, merged.latency.p50_s), (99, merged.latency.p99_s)):
        rank = min(len(samples), int(percent / 100 * len(samples) + 1))  # wrk's own
        assert found_s == samples[rank - 1] / 1e6


def test_the_rate_of_runs_of_unequal_length_is_the_sum_of_their_rates() -> None:
    runs = [run_of(((100, 1000),), duration_s=2.0), run_of(((100, 1000),), duration_s=2.1)]
    merged = merge_runs(runs)
    assert merged.requests_per_s == pytest.approx(1000 / 2.0 + 1000 / 2.1)
    assert merged.requests == 2000
    assert 2.0 < merged.duration_s < 2.1


@given(st.integers(1, 16), st.integers(1, 2000), st.integers(1, 9))
def test_each_thread_of_each_machine_has_its_share(threads: int, each: int, machines: int) -> None:
    load = Load(connections=threads * max(each, machines), threads=threads, duration_s=1)
    shares = share_out(load, machines)
    assert sum(share.connections for share in shares) == load.connections
    assert all(share.connections % threads == 0 for share in shares)
    per_thread = [share.connections // threads for share in shares]
    assert min(per_thread) >= 1
    assert max(per_thread) - min(per_thread) <= 1


def test_a_share_leaves_out_what_wrk_would_not_open() -> None:
    load = Load(connections=103, threads=4, duration_s=1)
    assert [share.connections for share in share_out(load, 2)] == [52, 48]
    assert load.open_connections == 100


@pytest.mark.parametrize(
    ("speed", "moved", "is_full"),
    [(1000, 899, False), (1000, 901, True), (None, 10_000, False), (10_000, 901, False)],
)
def test_a_link_is_the_limit_at_nine_tenths_of_its_speed(
    speed: float | None, moved: float, is_full: bool
) -> None:
    full = link_full(Link(device="eth0", speed_mbit_s=speed), moved)
    assert (full is not None) == is_full
    if full:
        assert "eth0 carried 901 Mbit/s of 1000 Mbit/s" in text_of(full)


def test_loopback_is_no_link() -> None:
    assert link_of("127.0.0.1") == NO_LINK
    assert link_of("") == NO_LINK


def test_machines_are_part_of_the_plan(asked: Asked, tmp_path: Path) -> None:
    config = tmp_path / "config"
    config.touch()
    run_command("compare", "--server-on", "s", "--load-on", "me@a,b", "--ssh-config", str(config))
    assert asked.plan.machine_names == MachineNames(
        server="s", loads=("me@a", "b"), ssh_config=str(config)
    )
    assert asked.plan.paired


@pytest.mark.parametrize(
    ("lines", "reason"),
    [
        (["", "Host key verification failed."], "Host key verification failed (connect once"),
        (
            ["me@a: Permission denied (publickey)."],
            "me@a: Permission denied (publickey) (add your key",
        ),
        (["ssh: connect to host a port 22: Connection refused"], "(is sshd running there?)"),
        (["Timeout, server a not responding."], "Timeout, server a not responding."),
        ([], ""),
    ],
)
def test_what_ssh_says_is_told_with_what_to_do(lines: list[str], reason: str) -> None:
    assert reason in ssh_reason(lines)


def test_a_built_in_is_served_from_the_packages_of_its_own_machine() -> None:
    own = parse_target("asgi")
    assert isinstance(own, AsgiTarget)
    elsewhere = Path("/elsewhere")
    sent = replace(own, directory=elsewhere, package_dir=elsewhere)
    placed = placed_here(sent)
    assert isinstance(placed, AsgiTarget)
    assert (placed.directory, placed.package_dir) == (APPS, ROOT)
    fetched = replace(sent, requirements=("micropie==0.13",))
    assert placed_here(fetched) == fetched  # it lies here already


def test_servers_listen_where_the_load_reaches_them() -> None:
    own = parse_target("asgi")
    assert isinstance(own, AsgiTarget)
    public = replace(own, name="public", server=ServerSettings(host="192.0.2.9", workers=1))
    plan = make_plan(
        (own, public),
        loads=(Load(connections=10, threads=1, duration_s=1),),
        server=ServerSettings(),
        timing=TimingOptions(),
        preset=QUICK,
        machines=RemoteOptions(load_on="a"),
    )
    placed = with_address(plan, "198.18.0.1")
    assert placed.server_of(placed.targets[0]).host == "198.18.0.1"
    assert placed.server_of(placed.targets[1]).host == "192.0.2.9"
    with pytest.raises(BenchError, match="--host"):
        with_address(plan, "")


def test_a_program_that_did_not_copy_itself_says_what_to_build() -> None:
    with pytest.raises(BenchError, match="build_pyz"):
        own_pyz()


def test_the_program_for_another_machine_stands_alone(home: Path) -> None:
    """A bare interpreter runs it up to its first word."""

    class Channel:
        def receive(self) -> bytes:
            raise EOFError

    names: dict[str, Any] = {"__name__": "__channelexec__", "channel": Channel()}
    with pytest.raises(EOFError):
        exec(compile(remote_program(), "there", "exec"), names)  # noqa: S102
    assert names["trusted_cache"]() == str(home / ".cache/micropie_bench")


ASGI_TARGET = AsgiTarget(
    name="a",
    label="A",
    spec="app:app",
    app="app:app",
    directory=Path("/srv"),
    server=ServerSettings(loop=Loop.UVLOOP, port=8000),
    env=(("A", "{port}"),),
)
COMMAND_TARGET = CommandTarget(
    name="c", label="C", spec="cmd:c", command="c", directory=Path("/srv"), package_dir=Path("/p")
)
URL_TARGET = UrlTarget(name="u", label="U", spec="http://u/", url="http://u/", addresses=("::1",))
POST = Workload(name="p", method="POST", headers=(("a", "b"),), body=bytes(range(256)))
POSTS = Load(connections=2, threads=1, duration_s=1, workload=POST, rate_per_s=0.5)
RESPONSE = Response(
    status=200,
    bytes=9,
    headers=(("a", "b"),),
    body_sha256="0",
    body_bytes=2,
    http_version="1.1",
    excerpt="\x00",
)
WRK_RESULT = run_of(((100, 3), (2000, 1)))
THROTTLED = BenchWarning.of(Kind.THROTTLED)
WORK = Work(seconds=1.0, cpu_s=0.5, delay_s=0.0, threads=2, busiest_s=0.5)
SERVER_READING = ServerReading(
    uses=(None, ServerUse(server_cpu_s=1.0, server_rss_bytes=2, worker_balance=0.5)),
    endings=(Ending(), Ending(silences_s=(1.0, math.inf), work=WORK)),
    disturbances=(THROTTLED,),
    cores=2,
    full_link=None,
)
LOAD_READING = LoadReading(
    runs=(WRK_RESULT,),
    reports=("wrk",),
    silences_s=((0.5,), ()),
    cpu_s=1.0,
    delay_s=0.5,
    cores=2,
    clock_step_s=-0.5,
    connections_opened=None,
    disturbances=(),
    full_link=THROTTLED,
)
FACTS = AgentFacts(environment=ENVIRONMENT, boot_id=None, address="::1", controller="")
STARTED = StartedServer(part="server 0", argv=("a", "b"), env=(("a", "b"),), port=1)
TARGETS = (ASGI_TARGET, COMMAND_TARGET, URL_TARGET)
FINDING = Finding(check="a", state=State.UNKNOWN, found="b", why="c", remedy="d")
VERSIONS = PackageVersions(packages={"a": "1"}, python=None)
CALLS: list[tuple[Callable[..., object], dict[str, object], object]] = [
    (Agent.ping, {}, None),
    (Agent.describe, {"wrk": None, "makes_load": True}, FACTS),
    (Agent.fetch, {"targets": TARGETS}, TARGETS),
    (Agent.need, {"targets": TARGETS}, None),
    (Agent.prepare, {"target": COMMAND_TARGET, "timeout_s": math.inf}, None),
    (Agent.start, {"target": ASGI_TARGET, "settings": ServerSettings()}, STARTED),
    (Agent.stop, {"part": "server 0"}, None),
    (Agent.await_workers, {"part": "server 0"}, (THROTTLED,)),
    (Agent.ask, {"part": "server 0", "workload": POST}, ((RESPONSE,), (THROTTLED,))),
    (Agent.reach, {"url": "http://u/", "workload": POST, "address": ""}, (RESPONSE,)),
    (Agent.enter_servers, {"parts": ("server 0", "server 1"), "halves": True}, None),
    (Agent.require_alive, {}, None),
    (Agent.enter_load, {"goals": (Goal(url="http://u/"),), "load": POSTS, "halves": False}, None),
    (ThisHost.examine, {"workers": 1, "threads": 2, "connections": 3}, [FINDING]),
    (LocalServer.versions, {}, VERSIONS),
    (LaunchedServer.lost_workers, {}, "one"),
    (LaunchedServer.complaint, {}, "why"),
    (LaunchedServer.log_excerpt, {}, ["one", "  two"]),
    (ServerGroup.reading, {"load_cpu_s": math.inf}, SERVER_READING),
    (ServerGroup.__exit__, {}, None),
    (WrkGroup.wait, {"seconds": 0.5}, True),
    (WrkGroup.reading, {}, LOAD_READING),
]


@pytest.mark.parametrize(
    ("method", "arguments", "returned"), CALLS, ids=[call[0].__qualname__ for call in CALLS]
)
def test_arguments_and_what_is_returned_arrive_as_they_were_sent(
    method: Callable[..., object], arguments: dict[str, object], returned: object
) -> None:
    kinds = get_type_hints(method)
    for name, value in {**arguments, "return": returned}.items():
        assert from_text(kinds[name], to_text(value)) == value


def test_each_call_of_an_agent_is_tried() -> None:
    own = {name for name in vars(Agent) if not name.startswith("_")}
    assert own <= {method.__name__ for method, _, _ in CALLS}


@given(st.binary(), st.floats(allow_nan=False), st.text(st.characters(codec="utf-8")))
def test_any_body_figure_and_text_arrive(body: bytes, seconds: float, text: str) -> None:
    workload = Workload(body=body, headers=((text, text),))
    assert from_text(Workload, to_text(workload)) == workload
    assert from_text(float, to_text(seconds)) == seconds


@pytest.mark.parametrize(
    ("kind", "text", "complaint"),
    [
        pytest.param(int, '["1"]', "impossible value, '1'", id="text for a number"),
        pytest.param(Goal, '[{"url": "u", "command": "rm"}]', "command", id="a field too many"),
        pytest.param(StartedServer, '[{"part": "server 0"}]', "argv", id="a field too few"),
        pytest.param(int, "none", "not a message", id="not JSON"),
    ],
)
def test_what_is_not_as_agreed_is_not_taken(kind: Any, text: str, complaint: str) -> None:
    with pytest.raises(CannotGoOnError, match=complaint):
        from_text(kind, text)


def test_what_a_call_raises_is_a_reply(tmp_path: Path) -> None:
    agent = Agent(tmp_path)
    assert reply_to(agent, "agent", "ping", {}) == (Outcome.DONE, "[null]")
    arguments = {"url": "http://127.0.0.1:9/", "workload": Workload(), "address": ""}
    texts = {name: to_text(value) for name, value in arguments.items()}
    outcome, text = reply_to(agent, "agent", "reach", texts)
    assert outcome is Outcome.FAILED
    assert "127.0.0.1" in text
    fault = "internal error: KeyError: 'server 7'"
    assert reply_to(agent, "server 7", "complaint", {}) == (Outcome.CANNOT_GO_ON, fault)
    outcome, text = reply_to(agent, "agent", "stop", {"part": "[7]"})
    assert outcome is Outcome.CANNOT_GO_ON
    assert "impossible value" in text


@pytest.mark.slow
def test_a_machine_without_python_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The ssh here runs the command in a shell whose PATH has nothing but sh."""
    for name in ("here", "there"):
        (tmp_path / name).mkdir()
    (tmp_path / "there" / "sh").symlink_to("/bin/sh")
    last = f'for last; do :; done\nPATH={tmp_path}/there exec sh -c "$last"'
    program(tmp_path / "here" / "ssh", last)
    monkeypatch.setenv("PATH", f"{tmp_path}/here:/bin:/usr/bin")
    with pytest.raises(BenchError) as refusal:
        find_remote_python("a", Ssh(directory=tmp_path))
    assert str(refusal.value) == ("a: no python3 on its PATH (over ssh): it needs 3.11 or newer")


def machine(role: Role, host: str) -> Machine:
    return Machine(role=role, host=host, environment=ENVIRONMENT)


@pytest.mark.parametrize(
    ("machines", "sentence"),
    [
        (
            [(Role.SERVER, "s"), (Role.LOAD, "a"), (Role.LOAD, "b")],
            "served on s, load from a and b",
        ),
        ([(Role.SERVER, ""), (Role.LOAD, "a")], "served here, load from a"),
        ([(Role.SERVER, "s"), (Role.LOAD, "")], "served on s, load from here"),
        ([(Role.BOTH, "s")], "all on s"),
    ],
)
def test_machines_are_told_in_words_and_in_a_table(
    machines: list[tuple[Role, str]], sentence: str
) -> None:
    made = tuple(machine(role, host) for role, host in machines)
    assert machines_sentence(made) == sentence
    results = new_results(machines=made)
    (table,) = machine_tables(from_json(to_json(results)))
    assert [row[0] for row in table.rows] == [host or "here" for _, host in machines]
    assert machine_tables(new_results()) == []
