"""Every kind of target: its command and environment, then all of them for real."""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import shlex
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest
from conftest import ROOT, TARGETS, InProcess, Tool, await_that, set_bundled
from results_schema import loaded

from micropie_benchlib.cli.targets import parse_target
from micropie_benchlib.core import paths as core_paths
from micropie_benchlib.core.choices import AsgiServer, Http, Loop
from micropie_benchlib.core.errors import BenchError
from micropie_benchlib.core.paths import APPS
from micropie_benchlib.core.requests import WORKLOADS, Workload
from micropie_benchlib.core.targets import AsgiTarget, CommandTarget, LaunchedTarget, ServerSettings
from micropie_benchlib.serve.addresses import free_port
from micropie_benchlib.serve.kinds import TARGET_KINDS, app_environment, server_environment
from micropie_benchlib.serve.packages import fetch, user_cache, with_one_index
from micropie_benchlib.serve.probe import Probe
from micropie_benchlib.serve.versions import examine_python, package_versions

OWN = AsgiTarget(name="own", label="Own", spec="app:app", app="app:app", directory=Path("/srv/app"))
BUILT_IN = AsgiTarget(
    name="asgi", label="ASGI", spec="asgi", app="apps:asgi", directory=APPS, is_built_in=True
)
RELEASE = replace(
    BUILT_IN, spec="starlette@0.45.3", package_dir=Path("/cache/s"), directory=Path("/cache/s")
)


# Commands.


def argv_of(target: LaunchedTarget, settings: ServerSettings) -> list[str]:
    """Return the command that serves the target on port 8000."""
    return TARGET_KINDS[type(target)].argv(target, settings, 8000)


def words(target: LaunchedTarget, **settings: Any) -> str:
    """Return the command that serves the target on port 8000, after its Python."""
    python, *rest = argv_of(target, ServerSettings(**settings))
    assert python == sys.executable
    return shlex.join(rest)


UVICORN = "-m uvicorn --host 127.0.0.1 --port 8000 --workers 4 --loop auto --http auto"
GRANIAN = "-m granian --interface asgi --host 127.0.0.1 --port 8000"
ALL_SETTINGS: dict[str, Any] = {"host": "::1", "workers": 2, "access_log": False}
BY_GRANIAN = {"asgi": AsgiServer.GRANIAN}
BY_HYPERCORN = {"asgi": AsgiServer.HYPERCORN}


SERVED = {
    "the gist's": (OWN, {}, f"{UVICORN} --app-dir /srv/app app:app"),
    "a built-in": (BUILT_IN, {}, f"{UVICORN} --app-dir {APPS} apps:asgi"),
    "a release does without the packages installed here": (
        RELEASE,
        {},
        f"-S {UVICORN} --app-dir /cache/s apps:asgi",
    ),
    "all settings": (
        OWN,
        {**ALL_SETTINGS, "loop": Loop.ASYNCIO, "http": Http.H11, "proxy_headers": False},
        "-m uvicorn --host ::1 --port 8000 --workers 2 --loop asyncio --http h11 "
        "--app-dir /srv/app --no-access-log --no-proxy-headers app:app",
    ),
    "granian": (OWN, BY_GRANIAN, f"{GRANIAN} --workers 4 --loop auto --access-log app:app"),
    "granian, all settings": (
        RELEASE,
        {**BY_GRANIAN, "workers": 2, "loop": Loop.UVLOOP, "access_log": False},
        f"-S {GRANIAN} --workers 2 --loop uvloop --no-access-log apps:asgi",
    ),
    "hypercorn": (
        OWN,
        BY_HYPERCORN,
        "-m hypercorn --bind 127.0.0.1:8000 --workers 4 --access-logfile - "
        "--worker-class asyncio app:app",
    ),
    "hypercorn, all settings": (
        OWN,
        {**BY_HYPERCORN, **ALL_SETTINGS, "loop": Loop.UVLOOP},
        "-m hypercorn --bind '[::1]:8000' --workers 2 --worker-class uvloop app:app",
    ),
}


@pytest.mark.parametrize(("target", "settings", "expected"), SERVED.values(), ids=SERVED)
def test_each_asgi_server_is_given_each_setting(
    target: AsgiTarget, settings: dict[str, Any], expected: str
) -> None:
    assert words(target, **settings) == expected


SHELL_ENVIRONMENT = {
    "HOME": "/home/ann",
    "PYTHONPATH": "/own",
    "UVICORN_WORKERS": "9",
    "GRANIAN_WORKERS": "9",
    "HYPERCORN_WORKERS": "9",
    "WEB_CONCURRENCY": "9",
    "FORWARDED_ALLOW_IPS": "*",
    "MY_UVICORN_WORKERS": "kept",
    "WEB_CONCURRENCY_NOTE": "kept",
}
KEPT = {"HOME": "/home/ann", "MY_UVICORN_WORKERS": "kept", "WEB_CONCURRENCY_NOTE": "kept"}


@pytest.mark.parametrize(
    ("target", "bundled", "python_path"),
    [
        pytest.param(OWN, False, "/own", id="an app of the user's"),
        pytest.param(RELEASE, False, "/cache/s", id="a release has its packages alone"),
        pytest.param(OWN, True, f"{core_paths.ROOT}:/own", id="from a .pyz the bundled come first"),
        pytest.param(RELEASE, True, "/cache/s", id="from a .pyz a release has its own too"),
        pytest.param(
            replace(OWN, python="/opt/venv/bin/python"),
            True,
            "/own",
            id="another Python cannot use the bundled",
        ),
    ],
)
def test_no_setting_reaches_a_server_unseen(
    target: AsgiTarget, bundled: bool, python_path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_bundled(monkeypatch, bundled)
    inherited = dict(SHELL_ENVIRONMENT)
    kept = dict(KEPT)
    if target.python:
        kept["PATH"] = f"/opt/venv/bin:{os.defpath}"
    assert app_environment(target, inherited) == {**kept, "PYTHONPATH": python_path}
    assert inherited == SHELL_ENVIRONMENT, "the tool's own is left as it is"


def command_target(command: str, python: str = "") -> CommandTarget:
    return CommandTarget(
        name="c", label="C", spec="cmd:", command=command, directory=Path("/srv"), python=python
    )


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        pytest.param("server --port {port}", ["server", "--port", "8000"], id="the port"),
        pytest.param("s -b {host}:{port}", ["s", "-b", "::1:8000"], id="two in one word"),
        pytest.param("s {port} -w {workers}", ["s", "8000", "-w", "2"], id="the workers"),
        pytest.param(
            "{python} -m s {port}",
            ["/a path/python", "-m", "s", "8000"],
            id="a value with a space stays one word",
        ),
        pytest.param(
            """sh -c 'exec s --name "a b" -p {port}'""",
            ["sh", "-c", 'exec s --name "a b" -p 8000'],
            id="quoted as in a shell",
        ),
        pytest.param(
            "s {port} {other} {{port}} $HOME *",
            ["s", "8000", "{other}", "{8000}", "$HOME", "*"],
            id="all else stays as it is: there is no shell",
        ),
    ],
)
def test_a_commands_placeholders_are_filled_in(command: str, expected: list[str]) -> None:
    target = command_target(command, python="/a path/python")
    assert argv_of(target, ServerSettings(host="::1", workers=2)) == expected


def test_a_command_runs_under_this_python_unless_another_is_named() -> None:
    argv = argv_of(command_target("{python} {port}"), ServerSettings())
    assert argv == [sys.executable, "8000"]


def test_a_commands_settings_are_the_users_own() -> None:
    """What it starts may well be told by WEB_CONCURRENCY how many workers to have."""
    target = command_target("server {port}")
    assert server_environment(target, SHELL_ENVIRONMENT) == SHELL_ENVIRONMENT


# What is fetched. The real pip comes further down.

WANTED = replace(
    BUILT_IN, spec="starlette@0.45.3", requirements=("starlette==0.45.3", "uvicorn==0.34.0")
)


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return this user's directory for what is fetched, which is not there yet."""
    tmp_path.chmod(0o700)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path / "micropie_bench"


def refuse_install(*_: object, **__: object) -> None:
    raise AssertionError("pip was asked")


@pytest.mark.slow
def test_a_release_is_fetched_once_into_the_users_cache(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    notes: list[str] = []
    monkeypatch.setattr(
        "micropie_benchlib.serve.packages.install", lambda *given, **_: given[-1].mkdir()
    )
    fetched = fetch(WANTED, notes.append)
    assert notes == ["starlette@0.45.3: fetching starlette==0.45.3, uvicorn==0.34.0 (once)"]
    assert isinstance(fetched, AsgiTarget)
    directory = fetched.directory
    assert directory.parent == cache == user_cache()
    assert fetched == replace(WANTED, package_dir=directory, directory=directory)
    assert (directory / "apps.py").read_bytes() == (APPS / "apps.py").read_bytes()
    other = fetch(replace(WANTED, requirements=("starlette==0.45.3",)), print)
    assert isinstance(other, AsgiTarget)
    assert other.directory != directory
    monkeypatch.setattr("micropie_benchlib.serve.packages.install", refuse_install)
    assert fetch(WANTED, notes.append) == fetched
    assert len(notes) == 1
    left = {path.name for path in cache.iterdir()}
    assert left == {"lock", directory.name, other.directory.name}


def test_nothing_is_fetched_for_what_is_here(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("micropie_benchlib.serve.packages.install", refuse_install)
    url = parse_target("http://127.0.0.1:1/")
    for target in (OWN, BUILT_IN, command_target("server {port}"), url):
        assert fetch(target, print) is target
    assert not cache.exists()


def test_no_package_is_run_from_where_others_may_write(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache.mkdir()
    cache.chmod(0o777)
    monkeypatch.setattr("micropie_benchlib.serve.packages.install", refuse_install)
    refusal = r"that only you can write to: set XDG_CACHE_HOME"
    with pytest.raises(BenchError, match=refusal):
        user_cache()
    with pytest.raises(BenchError, match=refusal):
        fetch(WANTED, print)
    assert not list(cache.iterdir())


# All of it for real.

SHORT = ("--quick", "-r", "1", "-c", "8", "-t", "2", "-w", "1", "--warm-up", "0s")


def results(tool: Tool, *args: str, cwd: Path = TARGETS, **env: Any) -> dict[str, Any]:
    """Return what the results file holds of a run that went well."""
    done = tool.run("compare", *args, "--export-json", "-", cwd=cwd, **env)
    assert done.returncode == 0, done.stderr
    return loaded(done.stdout)


def test_commands_that_go_wrong_are_told_in_a_line_each_and_leave_nothing(
    in_process: InProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("micropie_benchlib.serve.launched.VAIN_WAIT_S", 0.3)
    faults = ("exits", "other-port", "daemon", "worker")
    commands = [f"{fault}=cmd:{{python}} command.py {fault} {{port}}" for fault in faults]
    done = in_process.run("compare", *commands, *SHORT)
    assert (done.returncode, done.stdout) == (1, "")
    for complaint in (
        "exits died while starting with status 1: ValueError: nothing to serve",
        r"other-port: nothing listens on port \d+ .* \(it listens on port \d+: use \{port\}",
        r"worker: .* \(processes of its own have ended\); .*: ValueError: nothing to import",
        r"daemon: the command ended and left 1 processes behind \(a daemon\)",
    ):
        assert re.search(f"^micropie_bench: {complaint}", done.stderr, re.MULTILINE), done.stderr
    assert done.stderr.count("micropie_bench: ") == 4
    assert not in_process.running()


def test_a_command_is_measured_over_its_process_tree_and_in_paired_trials(tool: Tool) -> None:
    command = (
        "g=cmd:sh -c '{python} -m uvicorn faulty:good --host {host} --port {port} "
        "--workers {workers}; exit'"
    )
    data = results(tool, "asgi", command, *SHORT, "-r", "2", "--set", "g.workers=2")
    assert all(m["valid"] for m in data["measurements"])
    commands = [m for m in data["measurements"] if m["target"] == "g"]
    assert {m["method"] for m in commands} == {"single", "paired"}
    assert all(m["use"]["server_cpu_s"] > 0.1 for m in commands), (
        "the workers are two generations below the shell"
    )
    assert data["targets"][1]["server_command"].startswith("sh -c '")


@pytest.mark.skipif(not shutil.which("node"), reason="no Node.js here")
def test_a_server_that_is_not_python(tool: Tool, tmp_path: Path) -> None:
    code = (
        "require('http').createServer((q, r) => r.end('ok')).listen(process.argv[2], '127.0.0.1')"
    )
    (tmp_path / "server.js").write_text(code)
    data = results(tool, "cmd:node server.js {port}", *SHORT, cwd=tmp_path)
    (m,) = data["measurements"]
    assert (m["target"], m["valid"], m["use"]["server_cpu_s"] > 0) == ("node", True, True)


def children_of(pid: int) -> set[psutil.Process]:
    return set(psutil.Process(pid).children(recursive=True))


def test_a_running_server_is_measured_and_left_alone(tool: Tool) -> None:
    port = free_port("127.0.0.1", None)
    url = f"http://127.0.0.1:{port}/"
    serving = tool.start("serve", "asgi", "--port", str(port), "-w", "2", "--no-access-log")

    def answers() -> bool:
        with contextlib.suppress(BenchError):
            return bool(Probe(url, Workload()).ask())
        return False

    await_that(answers)
    before = children_of(serving.pid)
    data = results(tool, "asgi", f"there={url}index?name=Ann", *SHORT, "-r", "2")
    methods = {m["method"] for m in data["measurements"]}
    assert methods == {"single"}, "nobody else's server is pinned or frozen"
    theirs = [m for m in data["measurements"] if m["target"] == "there"]
    assert all(m["valid"] and m["use"] is None for m in theirs)
    metrics = {c["metric"] for c in data["comparisons"]}
    assert metrics == {"requests_per_s", "latency_p99_s", "server_cpu_per_request_s"}
    assert serving.poll() is None
    assert children_of(serving.pid) == before
    greeting = hashlib.sha256(b"Hello Ann").hexdigest()
    assert data["targets"][1]["responses"]["hello"]["body_sha256"] == greeting


def test_a_version_is_fetched_once_and_then_needs_no_network(
    tool: Tool, in_process: InProcess, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    offline: dict[str, Any] = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": ""}
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with monkeypatch.context() as patch:
        for name, value in offline.items():
            patch.setenv(name, value)
        done = in_process.run("compare", "starlette@0.45.3", *SHORT)
    assert done.returncode == 1
    assert re.fullmatch(
        r"(.*\n)?micropie_bench: starlette@0\.45\.3 is not in the cache, and pip .*\n", done.stderr
    )
    fetch(parse_target("starlette@0.45.3"), print)
    data = results(tool, "starlette@0.45.3", "asgi", *SHORT, **offline)
    versions = data["targets"][0]["versions"]
    assert versions["starlette"] == "0.45.3"
    assert versions["uvicorn"] == package_versions(["uvicorn"])["uvicorn"]
    assert all(m["valid"] for m in data["measurements"])


@pytest.mark.nightly
@pytest.mark.parametrize("server", ["granian", "hypercorn"])
def test_other_servers_serve_a_release_and_its_versions_are_told(
    server: str, tool: Tool, tmp_path: Path
) -> None:
    args = ("starlette@0.45.3", *SHORT, "--server", server, "--workload", "json")
    data = results(tool, *args, XDG_CACHE_HOME=str(tmp_path))
    (m,) = data["measurements"]
    assert (m["valid"], m["load"]["workload"]) == (True, "json")
    assert server in data["targets"][0]["versions"]


FETCH_TWO = """
import dataclasses
from micropie_benchlib.serve.packages import fetch
from micropie_benchlib.cli.targets import parse_target

target = parse_target("asgi")
target = dataclasses.replace(target, spec="two@1", requirements=("mdurl==0.1.2",))
print(fetch(target, print).package_dir)
"""


@pytest.mark.slow
def test_two_that_fetch_at_once_do_it_once(tmp_path: Path) -> None:
    env = {**os.environ, "XDG_CACHE_HOME": str(tmp_path), "PYTHONPATH": str(ROOT)}
    argv = [sys.executable, "-c", FETCH_TWO]
    started = [subprocess.Popen(argv, env=env, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    output = "".join(process.communicate(timeout=100)[0] for process in started)
    assert output.count("fetching mdurl==0.1.2 (once)") == 1
    (directory,) = {line for line in output.splitlines() if line.startswith("/")}
    assert (Path(directory) / "mdurl/__init__.py").exists()
    assert sorted(path.name for path in Path(directory).parent.iterdir()) == [
        "lock",
        Path(directory).name,
    ]


def test_another_python_serves_an_app_with_packages_of_its_own(
    tool: Tool, in_process: InProcess, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", tmp_path / "venv"], check=True)
    (site,) = (tmp_path / "venv/lib").glob("python*/site-packages")
    (site / "uvicorns.pth").write_text(sysconfig.get_path("purelib"))
    (site / "only_there.py").write_text("")
    source = (TARGETS / "faulty.py").read_text()
    (tmp_path / "app.py").write_text(f"{source}\nimport only_there\n")
    monkeypatch.chdir(tmp_path)
    alone = in_process.run("compare", "app:good", *SHORT)
    assert "No module named 'only_there'" in alone.stderr
    command = "g=cmd:{python} -m uvicorn app:good --port {port} --workers {workers}"
    data = results(tool, "app:good", command, *SHORT, "--python", "venv/bin/python", cwd=tmp_path)
    for target in data["targets"]:
        assert target["server_command"].startswith(f"{tmp_path}/venv/bin/python -m uvicorn")
    assert data["targets"][0]["versions"]["uvicorn"]


@pytest.mark.slow
def test_of_two_versions_in_another_python_the_one_that_is_imported_is_recorded(
    tmp_path: Path,
) -> None:
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", tmp_path / "venv"], check=True)
    (site,) = (tmp_path / "venv/lib").glob("python*/site-packages")
    for where, version in ((site, "2.0"), (site / "shadowed", "1.0")):
        metadata = where / f"Twice-{version}.dist-info" / "METADATA"
        metadata.parent.mkdir(parents=True)
        metadata.write_text(f"Metadata-Version: 2.1\nName: Twice\nVersion: {version}\n")
    (site / "nameless-1.dist-info").mkdir()
    (site / "shadowed.pth").write_text("shadowed")
    python = str(tmp_path / "venv" / "bin" / "python")
    assert examine_python(python).packages["twice"] == "2.0"
    assert package_versions(["twice", "none"], python=python) == {"twice": "2.0"}


def write_wheel(directory: Path, name: str, version: str) -> None:
    """Write a wheel of one module that does nothing."""
    directory.mkdir(parents=True, exist_ok=True)
    metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
    wheel = "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    with zipfile.ZipFile(directory / f"{name}-{version}-py3-none-any.whl", "w") as file:
        file.writestr(f"{name}.py", "")
        file.writestr(f"{name}-{version}.dist-info/METADATA", metadata)
        file.writestr(f"{name}-{version}.dist-info/WHEEL", wheel)
        file.writestr(f"{name}-{version}.dist-info/RECORD", "")


@pytest.mark.nightly
def test_a_days_packages_are_of_that_day_and_work_offline(tool: Tool, tmp_path: Path) -> None:
    """What lies in a directory that pip is set to look into is not of that day."""
    write_wheel(tmp_path / "wheels", "micropie", "99.0")
    cache = str(tmp_path / "cache")
    found: dict[str, Any] = {"PIP_FIND_LINKS": str(tmp_path / "wheels"), "XDG_CACHE_HOME": cache}
    data = results(tool, "micropie@2025-01-29", *SHORT, **found)
    versions = data["targets"][0]["versions"]
    assert (versions["micropie"], versions["uvicorn"]) == ("0.9", "0.34.0")
    assert {"jinja2", "httptools", "uvloop", "h11"} <= set(versions), "each distribution's"
    again = results(
        tool,
        "micropie@2025-01-29",
        *SHORT,
        XDG_CACHE_HOME=cache,
        PIP_INDEX_URL="http://127.0.0.1:9",
    )
    assert again["targets"][0]["versions"] == versions


@pytest.mark.slow
def test_of_pips_settings_the_environment_goes_before_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "pip.conf"
    file.write_text("[global]\nindex-url=http://a/\nproxy=b\n[install]\nproxy=c\n[freeze]\nproxy=d")
    environment = {"PIP_CONFIG_FILE": str(file), "PIP_INDEX_URL": "http://mine/", "KEPT": "1"}
    found = with_one_index(environment)
    assert (found["PIP_INDEX_URL"], found["PIP_PROXY"]) == ("http://mine/", "c")
    assert (found["KEPT"], found["PIP_CONFIG_FILE"]) == ("1", os.devnull)


def test_an_index_that_tells_no_day_is_refused_in_a_line(
    in_process: InProcess, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("PIP_INDEX_URL", f"file://{tmp_path}")
    done = in_process.run("compare", "micropie@2025-01-29", *SHORT)
    assert done.returncode == 1
    assert "which does not say when files were uploaded" in done.stderr.splitlines()[-1]


def test_strict_refuses_what_is_not_equal_work_before_it_measures(in_process: InProcess) -> None:
    own = ("fastapi", "micropie", "--set", "micropie.workers=2")
    done = in_process.run("compare", *own, "--strict", *SHORT)
    assert (done.returncode, done.stdout) == (1, "")
    line = done.stderr.splitlines()[-1]
    assert "--strict: the targets do not do equal work: " in line
    assert "content type (FastAPI" in line
    assert "workers (FastAPI 1, MicroPie 2)" in line
    assert line.endswith("Nothing was measured")


@pytest.mark.nightly
def test_reproduce_measures_the_stack_that_was_published(tool: Tool) -> None:
    done = tool.run("reproduce", "--quick", "--export-json", "/dev/stderr")
    assert done.returncode == 0, done.stderr
    data = loaded(done.stderr[done.stderr.rindex("\n{") :])
    assert data["settings"]["server"]["workers"] == 4
    for line in (
        "FastAPI sends 144 bytes, as published.",
        "MicroPie sends 265 bytes, as published.",
    ):
        assert line in done.stdout
    versions = {target["name"]: target["versions"] for target in data["targets"]}
    assert (versions["MicroPie"]["micropie"], versions["FastAPI"]["fastapi"]) == ("0.9", "0.115.7")
    assert {facts["uvicorn"] for facts in versions.values()} == {"0.34.0"}
    for ratio in ("1.103x", "1.116x"):
        assert re.search(rf"MicroPie over FastAPI: published {ratio}, here ", done.stdout)
    for cells in (
        "| 49.15ms | 102.39ms | 2031.28 | 8.39 | 285.95 |",
        "| 81.46ms | 142.96ms | 2450.02 | 18.61 | 634.76 |",
    ):
        assert cells in re.sub(" +", " ", done.stdout)


def test_workloads_of_equal_work_each_get_their_table_and_their_requests(tool: Tool) -> None:
    targets = ("fastapi", "micropie", "--strict")
    data = results(tool, *targets, "--workload", "json", "--workload", "upload", *SHORT)
    assert [m["load"]["workload"] for m in data["measurements"]] == ["json", "upload"] * 2
    assert all(m["valid"] for m in data["measurements"])
    upload = WORKLOADS["upload"].body
    assert 9_500 < len(upload) < 10_500
    for target in data["targets"]:
        hashes = {name: answer["body_sha256"] for name, answer in target["responses"].items()}
        assert hashes == {
            "json": hashlib.sha256(b'{"Hello":"World"}').hexdigest(),
            "upload": hashlib.sha256(upload).hexdigest(),
        }
    assert [w["name"] for w in data["settings"]["workloads"]] == ["json", "upload"]
