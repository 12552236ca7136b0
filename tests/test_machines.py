"""Servers and load on several machines: network namespaces, each with a real sshd."""

import contextlib
import functools
import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest
from conftest import MARK, ROOT, Marked, await_that, program
from lab import CONTROLLER, THIS_PYTHON, Lab, laboratory, pids_in, reason_against
from results_schema import loaded

REASON = reason_against()
pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(600),
    pytest.mark.skipif(REASON is not None, reason=str(REASON)),
]
nightly = functools.partial(pytest.param, marks=pytest.mark.nightly)  # the rest of a grid
Results = dict[str, Any]
PATIENTLY = ("--timeout", "20s")  # late answers are the busy machine's, as other tests run
LONG_S = 2  # of each trial of a run that is broken
SOON_S = 60  # until nothing is left, which a run that goes on exceeds by far


@dataclass
class Site(Marked):
    lab: Lab
    pyz: Path
    mark: str
    directory: Path

    def start(self, *args: str, **env: str) -> subprocess.Popen[str]:
        machine = self.lab.machines[CONTROLLER]
        return subprocess.Popen(
            [*machine.command, str(THIS_PYTHON), str(self.pyz), *args],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=self.directory,
            env={
                "PATH": os.environ["PATH"],
                "HOME": str(machine.directory),
                MARK: self.mark,
                **env,
            },
        )

    def run(self, *args: str, **env: str) -> subprocess.CompletedProcess[str]:
        process = self.start(*args, **env)
        out, err = process.communicate(timeout=300)
        return subprocess.CompletedProcess(args, process.returncode, out, err)

    def compare(self, *args: str) -> subprocess.Popen[str]:
        return self.start("compare", *args, "--ssh-config", str(self.lab.ssh_config))

    def await_load(self) -> None:
        is_wrk = re.compile(rf"(?!.*guard).* -d{LONG_S}s ").match
        self.await_running(lambda running: any(map(is_wrk, running)), seconds=90)


@pytest.fixture(scope="module")
def site(pyz: Path, unpacked: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Return machines of which b alone has never had the tool."""
    directory = tmp_path_factory.mktemp("lab")
    mark = uuid.uuid4().hex
    with laboratory(["s", "a", "b"], directory, {MARK: mark}) as lab:
        have_tool(lab.machines[CONTROLLER].directory / ".cache", pyz, unpacked)
        for name in ("s", "a"):
            have_tool(lab.machines[name].directory / "cache", pyz, unpacked)
        work = directory / "work"
        work.mkdir()
        yield Site(lab=lab, pyz=pyz, mark=mark, directory=work)


def have_tool(cache: Path, pyz: Path, unpacked: Path) -> None:
    """Fill a machine's cache with what a run before would have left there."""
    shutil.copytree(unpacked, cache / unpacked.name)
    digest = hashlib.sha256(pyz.read_bytes()).hexdigest()
    shutil.copy(pyz, cache / unpacked.name / f"{digest[:16]}.pyz")


def finished(process: subprocess.Popen[str]) -> subprocess.CompletedProcess[str]:
    out, err = process.communicate(timeout=300)
    return subprocess.CompletedProcess(process.args, process.returncode, out, err)


def results_in(path: Path) -> Results:
    return loaded(path.read_text())


def test_servers_on_one_machine_and_load_from_two(site: Site, tmp_path: Path) -> None:
    """Each request of wrk is in the second server's log."""
    log, out, page = tmp_path / "access.log", tmp_path / "out.json", tmp_path / "out.md"
    serve = (
        f"logged=cmd:sh -c 'exec {sys.executable} -m uvicorn apps:asgi --app-dir {ROOT} "
        f"--host {{host}} --port {{port}} --no-use-colors >> {log} 2>&1'"
    )
    process = site.compare(
        *("asgi", serve, "--server-on", "s", "--load-on", "a,b", "--paired", *PATIENTLY),
        *("-r", "1", "-d", "1s", "-c", "40", "-t", "2", "-w", "1", "--warm-up", "0s"),
        *("--export-json", str(out), "--export-markdown", str(page)),
    )
    done = finished(process)
    assert done.returncode == 0, done.stdout + done.stderr
    assert site.running() == []
    assert "servers listen on 198.18.0.2 of s; load comes from a and b" in done.stderr
    for text in (done.stdout, page.read_text()):
        assert "served on s, load from a and b" in text
    results = results_in(out)
    roles = [(machine["host"], machine["role"]) for machine in results["machines"]]
    assert roles == [("s", "server"), ("a", "load"), ("b", "load")]
    measurements = results["measurements"]
    assert len(measurements) == 4, "each server alone, and both in a paired trial"
    for measurement in measurements:
        assert measurement["valid"], measurement["invalid"]
        counts = [int(count) for count in re.findall(r"(\d+) requests in ", measurement["report"])]
        assert len(counts) == 2
        assert measurement["wrk"]["requests"] == sum(counts)
        assert measurement["use"]["server_cpu_s"] > 0
    logged = [each["wrk"]["requests"] for each in measurements if each["target"] == "logged"]
    lines = re.findall(r"198\.18\.0\.[34]:\d+ - ", log.read_text())
    unread = 40 * len(logged)  # answers that were on their way when wrk ended
    asked = 2 * 10 * 40  # by both machines, before and after: ten on each connection
    assert sum(logged) <= len(lines) <= sum(logged) + unread + asked


@pytest.mark.nightly
@pytest.mark.parametrize(
    "options",
    [("--load-on", "a"), ("--server-on", "s"), ("--server-on", "s", "--load-on", "s")],
    ids=["servers here", "load from here", "all on one"],
)
def test_one_other_machine(site: Site, tmp_path: Path, options: Sequence[str]) -> None:
    out = tmp_path / "out.json"
    words = ("-r", "2", "-d", "1s", "-c", "20", "--export-json", str(out))
    done = finished(site.compare(*options, *PATIENTLY, *words))
    assert done.returncode == 0, done.stderr
    results = results_in(out)
    methods = {measurement["method"] for measurement in results["measurements"]}
    assert methods == {"single", "paired"}
    assert all(measurement["valid"] for measurement in results["measurements"])
    assert not site.running()


@contextlib.contextmanager
def start_long(site: Site, out: Path) -> Iterator[subprocess.Popen[str]]:
    """Start a comparison whose second round can be broken, and wait for that round's load."""
    process = site.compare(
        *("asgi", "--server-on", "s", "--load-on", "a,b", "--no-paired", "-r", "99"),
        *("-d", f"{LONG_S}s", "-c", "20", "-t", "2", "-w", "1", "--warm-up", "0s"),
        *("--export-json", str(out)),
    )
    try:
        site.await_load()
        await_that(lambda: out.exists() and json.loads(out.read_text() or "{}").get("measurements"))
        site.await_load()
        yield process
    finally:
        process.kill()
        process.communicate()


def break_link(site: Site, _: subprocess.Popen[str]) -> None:
    site.lab.cut("a")


def kill_controller(_: Site, process: subprocess.Popen[str]) -> None:
    process.kill()


def agent_of_a(site: Site) -> psutil.Process | None:
    bare = "exec(eval(sys.stdin.readline()))"  # what execnet starts, and what that forks
    agents = []
    for pid in pids_in(site.lab.machines["a"].namespace):
        with contextlib.suppress(psutil.NoSuchProcess):
            process = psutil.Process(pid)
            if process.name().startswith("python") and bare in " ".join(process.cmdline()):
                agents.append(process)
    return min(agents, key=psutil.Process.create_time, default=None)


def kill_agent(site: Site, _: subprocess.Popen[str]) -> None:
    agent = agent_of_a(site)
    assert agent
    agent.kill()


def stop_agent(site: Site, _: subprocess.Popen[str]) -> None:
    agent = agent_of_a(site)
    assert agent
    agent.suspend()


def kill_sshd(site: Site, _: subprocess.Popen[str]) -> None:
    """Kill what serves the connection, not the one that listens."""
    listening = site.lab.machines["s"].sshd
    assert listening
    for pid in pids_in(site.lab.machines["s"].namespace):
        if pid != listening.pid and psutil.Process(pid).name().startswith("sshd"):
            os.kill(pid, signal.SIGKILL)


def lose(
    site: Site, out: Path, fault: Callable[[Site, subprocess.Popen[str]], None]
) -> subprocess.CompletedProcess[str]:
    """Have a run refused that would disturb another, break that one, and wait for its end."""
    with start_long(site, out) as process:
        second = finished(site.compare("-r", "1", "-d", "1s", "--load-on", "b"))
        assert second.returncode == 1
        assert "b: another run of this tool is measuring there: wait for it" in second.stderr
        site.await_load()
        fault(site, process)
        try:
            site.await_running(lambda running: not running, seconds=SOON_S)
            done = finished(process)
        finally:
            site.lab.restore("a")
    assert results_in(out)["measurements"]
    assert "Traceback" not in done.stderr
    return done


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (kill_agent, "the connection to a was lost: its agent ended"),
        (stop_agent, "a does not respond any more"),
        nightly(break_link, "the connection to a was lost"),
        nightly(kill_sshd, "the connection to s was lost"),
    ],
)
def test_nothing_is_left_when_a_machine_is_lost_and_the_run_says_which(
    site: Site, tmp_path: Path, fault: Callable[[Site, subprocess.Popen[str]], None], said: str
) -> None:
    done = lose(site, tmp_path / "out.json", fault)
    assert done.returncode == 1
    assert said in done.stderr
    assert "results cover only the rounds before" in done.stderr


@pytest.mark.parametrize("after_s", [0, nightly(0.2), nightly(0.5), nightly(1)])
def test_the_machine_of_an_agent_that_is_killed_at_its_start_is_named(
    site: Site, after_s: float
) -> None:
    process = site.compare("asgi", "--load-on", "a", "-r", "1", "-d", "9s")
    while not (agent := agent_of_a(site)):
        assert process.poll() is None
    time.sleep(after_s)
    agent.kill()
    done = finished(process)
    assert (done.returncode, done.stdout) == (1, "")
    told = r"micropie_bench: (a: |the connection to a was lost: )its agent ended"
    assert re.fullmatch(told, done.stderr.splitlines()[-1]), done.stderr
    site.await_running(lambda running: not running, seconds=SOON_S)


@pytest.mark.nightly
def test_nothing_is_left_when_the_director_is_killed(site: Site, tmp_path: Path) -> None:
    lose(site, tmp_path / "out.json", kill_controller)


@pytest.mark.nightly
def test_an_interrupted_run_ends_on_all_machines(site: Site, tmp_path: Path) -> None:
    out = tmp_path / "out.json"
    with start_long(site, out) as process:
        process.send_signal(signal.SIGINT)  # `ip netns exec` has become the tool
        done = finished(process)
    site.await_running(lambda running: not running, seconds=SOON_S)
    assert done.returncode == 130, done.stderr
    assert results_in(out)["measurements"]
    assert "Traceback" not in done.stderr


def refused(site: Site, *options: str, config: str = "", **env: str) -> str:
    file = site.directory / "ssh_config"
    file.write_text(config + site.lab.ssh_config.read_text())
    done = site.run("compare", "-r", "1", "-d", "1s", "--ssh-config", str(file), *options, **env)
    assert done.returncode == 1, done.stderr
    lines = [line for line in done.stderr.splitlines() if "unpacking" not in line]
    assert len(lines) == 1, done.stderr
    assert not done.stdout
    assert not site.running()
    return lines[0]


@pytest.mark.parametrize(
    ("config", "reason"),
    [
        pytest.param("HostName nowhere.invalid", "Could not resolve", id="no such name"),
        pytest.param("UserKnownHostsFile /dev/null", "Host key verification", id="unknown key"),
        pytest.param("User nobody", "Permission denied", id="no key for that user"),
        nightly("HostName 198.18.0.99", "", id="no answer"),
    ],
)
def test_a_machine_that_ssh_does_not_reach_is_refused(site: Site, config: str, reason: str) -> None:
    first = f"Host other\n  {config}\n  HostName 198.18.0.3\n"
    line = refused(site, "--load-on", "other", config=first)
    assert re.match(f"micropie_bench: other: .*{reason}", line)


@pytest.fixture
def tools_of_a(site: Site) -> Iterator[Path]:
    """Return a directory that is first on the PATH of a: its sshd reads it anew each time."""
    directory = site.lab.machines["a"].directory / "bin"
    directory.mkdir(exist_ok=True)
    yield directory
    for tool in directory.iterdir():
        tool.unlink()


PYTHONS = ("python3", "python3.15", "python3.14", "python3.13", "python3.12", "python3.11")


def test_a_machine_whose_python_is_too_old_is_refused(site: Site, tools_of_a: Path) -> None:
    for name in PYTHONS:
        program(tools_of_a / name, 'test "$1" != -V || echo Python 3.9.2\ntest "$1" = -V')
    line = refused(site, "--load-on", "a")
    assert line == "micropie_bench: a: Python 3.9.2 is too old: it needs 3.11 or newer"


def test_no_room_for_the_program_is_refused(site: Site) -> None:
    machine = site.lab.machines["b"]
    assert machine.sshd
    cache = machine.directory / "cache"
    # `ip netns exec` gives what it starts a view of its own on what is mounted.
    inside = ["nsenter", f"--target={machine.sshd.pid}", "--mount"]
    small = ["mount", "-t", "tmpfs", "-o", "size=1m,mode=700", "tmpfs", str(cache)]
    subprocess.run([*inside, *small], check=True)
    try:
        done = site.run(
            *("compare", "-r", "1", "-d", "1s", "--load-on", "b"),
            *("--ssh-config", str(site.lab.ssh_config)),
        )
    finally:
        subprocess.run([*inside, "umount", str(cache)], check=True)
    assert done.returncode == 1
    assert "b: " in done.stderr
    assert "No space left" in done.stderr
    assert "Traceback" not in done.stderr
    assert not site.running()


def test_the_doctor_examines_all_machines_and_what_lies_between(site: Site) -> None:
    places = ("--server-on", "s", "--load-on", "a,b", "--ssh-config", str(site.lab.ssh_config))
    done = site.run("doctor", "--json", *places)
    assert done.returncode == 0, done.stderr
    findings = {finding["check"]: finding for finding in json.loads(done.stdout)}
    assert {"s: cores", "a: open files", "b: round trip", "a: programs"} <= set(findings)
    assert findings["server from load"]["state"] == "ok"
    assert findings["one machine"]["found"].startswith("s and a and b are the same machine")
    assert not site.running()


@pytest.mark.nightly
def test_a_load_machine_that_cannot_reach_the_servers_is_named(site: Site) -> None:
    namespace = site.lab.machines["s"].namespace
    route = ["unreachable", "198.18.0.3/32"]  # s answers a no more
    subprocess.run(["ip", "-n", namespace, "route", "add", *route], check=True)
    try:
        done = site.run(
            *("compare", "asgi", "-r", "1", "-d", "1s", "-c", "20"),
            *("--server-on", "s", "--load-on", "a", "--ssh-config", str(site.lab.ssh_config)),
        )
    finally:
        subprocess.run(["ip", "-n", namespace, "route", "del", *route], check=True)
    assert done.returncode == 1
    last_line = done.stderr.splitlines()[-1]
    assert "from a: " in last_line
    assert "check for a firewall" in last_line
    assert not site.running()
