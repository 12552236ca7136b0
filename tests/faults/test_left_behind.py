"""What is left by real processes that are killed or hang, or whose files are taken away."""

import contextlib
import functools
import json
import os
import random
import re
import resource
import shutil
import signal
import socket
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import psutil
import pytest
from conftest import EXPORTS, ROOT, Tool, await_that, export_options, program

from micropie_benchlib.cli.targets import parse_target
from micropie_benchlib.core.errors import BenchError
from micropie_benchlib.core.targets import Target, UrlTarget
from micropie_benchlib.serve.kinds import TARGET_KINDS
from micropie_benchlib.serve.logs import LOG_LIMIT_BYTES, LOG_TAIL_BYTES, new_log, trim
from micropie_benchlib.system.children import Child, Finished, run_guarded

PACKAGE = "micropie_benchlib"
FEW = ("-c", "20", "-t", "2", "-w", "1", "--warm-up", "0s")
FAST = ("-d", "1s", *FEW)
LONG = ("-r", "1", "-d", "300s", *FEW)
on_linux = pytest.mark.skipif(sys.platform != "linux", reason="of Linux")
nightly = functools.partial(pytest.param, marks=pytest.mark.nightly)  # the rest of a grid
WRK = re.compile(r"\S*wrk -t2 .* -d300s")


@pytest.fixture
def scratch(tmp_path: Path) -> Path:
    directory = tmp_path / "scratch"
    directory.mkdir()
    return directory


def await_nothing_left(tool: Tool, directory: Path) -> None:
    tool.await_running(lambda running: not running, seconds=30)
    assert list(directory.iterdir()) == []


def forbid_core(process: subprocess.Popen[str]) -> None:
    if sys.platform == "linux":
        resource.prlimit(process.pid, resource.RLIMIT_CORE, (0, 0))


def read_until(process: subprocess.Popen[str], text: str) -> None:
    assert process.stderr
    for line in process.stderr:
        if text in line:
            return
    pytest.fail(f"it ended before it said {text!r}")


def is_one_line(text: str, pattern: str) -> bool:
    return text.count("\n") == 1 and bool(re.match(pattern, text))


# A tool that is killed.


@pytest.mark.parametrize(
    "number",
    [
        signal.SIGKILL,
        signal.SIGTERM,
        nightly(signal.SIGQUIT),
        nightly(signal.SIGHUP),
        nightly(signal.SIGINT),  # see the run whose guards were stopped
    ],
)
def test_a_tool_that_is_killed_while_it_measures_leaves_no_process_and_no_file(
    number: signal.Signals, tool: Tool, scratch: Path
) -> None:
    process = tool.start("compare", "asgi", *LONG, "--no-paired", TMPDIR=str(scratch))
    forbid_core(process)
    tool.await_running(lambda running: any(map(WRK.match, running)), seconds=60)
    assert list(scratch.glob("micropie_bench-*/server-0.log"))
    process.send_signal(number)
    _, err = process.communicate(timeout=60)
    assert process.returncode in (130, -number)
    assert "Traceback" not in err
    await_nothing_left(tool, scratch)


CAMPAIGNS = {
    "a comparison": ("compare", "asgi", "starlette", *FAST, "-r", "1"),
    "a search for a capacity": ("capacity", "asgi", *FAST, "--p99-limit", "50ms"),
    "a .pyz without a cache": ("compare", "asgi", *FAST, "-r", "1", "--rate", "100"),
}
MOMENTS = 60


@pytest.mark.nightly
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("campaign", CAMPAIGNS)
def test_nothing_is_left_by_signals_at_random_moments(
    campaign: str, tool: Tool, scratch: Path, request: pytest.FixtureRequest
) -> None:
    seed = random.SystemRandom().randrange(2**32)
    draw = random.Random(seed)
    if ".pyz" in campaign:
        tool.program = request.getfixturevalue("pyz")
    for moment in range(MOMENTS):
        number = draw.choice([signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
        after_s = draw.uniform(0, 8)
        where = f"moment {moment} of seed {seed}: {number.name} after {after_s:.2f} s"
        cache = scratch.with_name(f"cache-{moment}")
        process = tool.start(*CAMPAIGNS[campaign], TMPDIR=str(scratch), XDG_CACHE_HOME=str(cache))
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(after_s)
        process.send_signal(number)
        _, err = process.communicate(timeout=60)
        assert process.returncode in (0, 130, -number), (where, err)
        tool.await_running(lambda running: not running, seconds=30)
        assert list(scratch.iterdir()) == [], where
        assert not list(cache.rglob("*.part")), where
        shutil.rmtree(cache, ignore_errors=True)


def test_nohup_keeps_a_run_alive(tool: Tool, scratch: Path) -> None:
    handler = signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as the child will
    try:
        process = tool.start("compare", "asgi", *FAST, "-r", "1", TMPDIR=str(scratch))
    finally:
        signal.signal(signal.SIGHUP, handler)
    tool.await_running(lambda running: any("wrk -t2" in command for command in running), seconds=60)
    process.send_signal(signal.SIGHUP)
    _, err = process.communicate(timeout=100)
    assert process.returncode == 0, err
    await_nothing_left(tool, scratch)


@pytest.fixture
def silent_index() -> Iterator[str]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/simple"


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_a_tool_that_is_killed_while_pip_fetches_leaves_no_pip_and_no_file(
    number: signal.Signals, tool: Tool, scratch: Path, silent_index: str, tmp_path: Path
) -> None:
    cache = tmp_path / "cache"
    process = tool.start(
        *("compare", "starlette@0.45.3", *FAST),
        TMPDIR=str(scratch),
        XDG_CACHE_HOME=str(cache),
        PIP_INDEX_URL=silent_index,
        no_proxy="127.0.0.1",
    )
    scratch_of_pip = "micropie_bench/*.part/scratch/*"
    await_that(lambda: list(cache.glob(scratch_of_pip)), "pip's own temporary files")
    process.send_signal(number)
    process.communicate(timeout=60)
    assert process.returncode in (130, -number)
    await_nothing_left(tool, scratch)
    assert [path.name for path in (cache / "micropie_bench").iterdir()] == ["lock"]


# Commands that hang.

HANGS = "sleep 600 &\nsleep 600\n"


@pytest.mark.slow
def test_a_command_that_hangs_is_ended_with_all_that_it_started(tmp_path: Path) -> None:
    path = program(tmp_path / "hangs", HANGS)
    with pytest.raises(BenchError, match=f"^{path} did not end within 1 s$"):
        run_guarded([path], timeout_s=1)
    assert not psutil.Process().children()


@pytest.mark.slow
def test_what_a_command_leaves_behind_is_ended_too(tmp_path: Path) -> None:
    path = program(tmp_path / "leaves", "sleep 600 &\necho out; echo err >&2; exit 3")
    done = run_guarded([path], timeout_s=60)
    assert done == Finished(status=3, output="out\n", errors="err\n")
    assert not psutil.Process().children()


def test_a_python_that_hangs_when_asked_for_its_packages_dies_with_the_tool(
    tool: Tool, scratch: Path
) -> None:
    text = f"""\
        case "$*" in
            *micropie_bench_app.py*) sleep 600 & sleep 600 ;;
            *) exec {sys.executable} "$@" ;;
        esac
    """
    path = program(scratch.with_name("python"), text)
    server = "cmd:{python} -m uvicorn faulty:good --host {host} --port {port}"
    args = ("--python", path, *FAST, "-r", "1")
    process = tool.start("compare", server, *args, TMPDIR=str(scratch))
    tool.await_running(lambda running: running.count("sleep 600") == 2, seconds=60)
    process.kill()
    await_nothing_left(tool, scratch)


# A guard that is stopped.


@pytest.mark.slow
@pytest.mark.parametrize("can_go_on", [True, False])
def test_a_guard_that_was_stopped_does_not_keep_its_command_alive(
    can_go_on: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = program(tmp_path / "two", HANGS)
    with (tmp_path / "out").open("w+b") as output:
        child = Child([path], output=output)
        await_that(lambda: len(child.processes()) == 3, "the shell and two that sleep")
        tree = child.processes()
        os.kill(child.guard_pid, signal.SIGSTOP)
        if not can_go_on:
            monkeypatch.setattr("micropie_benchlib.system.children.GUARD_DEADLINE_S", 0.1)
            monkeypatch.setattr(subprocess.Popen, "send_signal", lambda *_: None)
            monkeypatch.setattr(
                subprocess.Popen, "kill", lambda process: os.kill(process.pid, signal.SIGKILL)
            )
        child.stop()
        child.stop()  # which does nothing
    await_that(lambda: not any(process.is_running() for process in tree), tree)


def test_ctrl_c_ends_a_run_whose_guards_were_stopped(tool: Tool, scratch: Path) -> None:
    process = tool.start("compare", "asgi", *LONG, "--no-paired", TMPDIR=str(scratch))
    tool.await_running(lambda running: any(map(WRK.match, running)), seconds=60)
    for child in psutil.Process(process.pid).children():
        if "guard.py" in " ".join(child.cmdline()):
            child.suspend()
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)
    assert process.returncode == 130
    await_nothing_left(tool, scratch)


# A server's log.


@pytest.mark.slow
def test_a_log_is_cut_while_its_server_writes_and_keeps_its_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("micropie_benchlib.serve.logs.LOG_LIMIT_BYTES", 2**20)
    log = tmp_path / "log"
    log.write_text("of the launch before")
    writes = "i = 0\nwhile True: print(i := i + 1, 'x' * 1000, flush=True)"
    with new_log(log) as output:
        child = Child([sys.executable, "-c", writes], output=output)
    try:
        for _ in range(5):
            await_that(lambda: log.stat().st_size > 2**20, "the log grows again")
            os.kill(child.pid, signal.SIGSTOP)  # else it might be large again by then
            await_that(lambda: child.processes()[0].status() == psutil.STATUS_STOPPED, "stopped")
            before = log.read_bytes()[-1000:]
            trim(log)
            assert log.stat().st_size == LOG_TAIL_BYTES
            assert log.read_bytes().endswith(before)
            os.kill(child.pid, signal.SIGCONT)
    finally:
        child.stop()
    numbers = [int(line.split()[0]) for line in log.read_text().splitlines()[1:-1]]
    assert numbers == list(range(numbers[0], numbers[-1] + 1)), "without a gap since the cut"


def test_a_log_that_grows_fast_is_cut_during_the_trial(tool: Tool, tmp_path: Path) -> None:
    app = """
        async def app(scope, receive, send):
            if scope["type"] == "http":
                print("x" * 50_000)
                await send({"type": "http.response.start", "status": 200, "headers": []})
                await send({"type": "http.response.body", "body": b"hi"})
    """
    (tmp_path / "talks.py").write_text(textwrap.dedent(app))
    (tmp_path / "scratch").mkdir()
    scratch = str(tmp_path / "scratch")
    process = tool.start("compare", "talks:app", *LONG, cwd=tmp_path, TMPDIR=scratch)
    largest = 0

    def is_cut() -> bool:
        nonlocal largest
        for log in (tmp_path / "scratch").glob("*/server-0.log"):
            size = log.stat().st_size
            largest = max(largest, size)
            return largest > LOG_LIMIT_BYTES and size < largest
        return False

    await_that(is_cut, "the log is cut")
    process.send_signal(signal.SIGINT)  # by which it ends sooner than by SIGKILL
    process.communicate(timeout=60)


# What a run needs is taken away.


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    directory = tmp_path / "checkout"
    directory.mkdir()
    for name in ("micropie_bench.py", "apps.py"):
        shutil.copy(ROOT / name, directory)
    compiled = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / PACKAGE, directory / PACKAGE, ignore=compiled)
    return directory


def assert_all_exported(directory: Path, *, rounds: int | None = None) -> None:
    data = json.loads((directory / "out.json").read_text())
    assert data["measurements"]
    if rounds is not None:
        made = {measurement["round"] for measurement in data["measurements"]}
        assert made == {*range(1, rounds + 1)}
    assert (directory / "out.html").read_text().endswith("</html>\n")
    for kind in EXPORTS:
        assert (directory / f"out.{kind}").read_text()


def replace_tool(directory: Path) -> None:
    """Replace all that the tool consists of, as another release would."""
    paths = [directory / "micropie_bench.py", *(directory / PACKAGE).rglob("*.*")]
    for path in paths:
        if "programs" not in path.parts:  # they are processes of their own
            path.write_text("raise SystemExit('another release')\n")


def test_a_tool_that_is_replaced_in_mid_run_changes_nothing_since_all_was_read_before(
    tool: Tool, copy: Path, tmp_path: Path
) -> None:
    """What is imported later is not there, either, if the cache was emptied by then."""
    text = f"""
        import sys
        sys.path.insert(0, {str(copy)!r})
        import micropie_bench
        import micropie_benchlib.load.hosts as user

        start_server = user.start_server
        before = set()

        def start(*args, **options):
            before.update(before or sys.modules)
            return start_server(*args, **options)

        user.start_server = start
        try:
            micropie_bench.entry_point()
        finally:
            print(micropie_bench.__file__, sorted(set(sys.modules) - before), file=sys.stderr)
    """
    tool.program = tmp_path / "watched.py"
    tool.program.write_text(textwrap.dedent(text))
    args = ("asgi", "starlette", *FAST, "-r", "2", *export_options(tmp_path))
    process = tool.start("compare", *args)
    read_until(process, "round 1 of 2, ")
    replace_tool(copy)
    _, err = process.communicate(timeout=100)
    assert process.returncode == 0, err
    assert "Traceback" not in err
    assert_all_exported(tmp_path, rounds=2)
    assert err.splitlines()[-1] == f"{copy}/micropie_bench.py []"


@pytest.mark.parametrize("is_removed", [True, False])
def test_an_app_that_is_removed_or_changed_ends_the_run_at_the_next_launch(
    is_removed: bool, tool: Tool, tmp_path: Path
) -> None:
    app = tmp_path / "mine.py"
    shutil.copy(ROOT / "apps.py", app)
    words = ("mine:asgi", *FAST, "-r", "30", *export_options(tmp_path))
    process = tool.start("compare", *words, cwd=tmp_path)
    read_until(process, "round 1 of 30, ")
    if is_removed:
        app.unlink()
    else:
        app.write_text(app.read_text() + "\n")
    _, err = process.communicate(timeout=100)
    assert process.returncode == 1
    what = "cannot be read: No such file or directory" if is_removed else "was changed"
    said = (
        rf"^ended in round \d+ of 30, because {app} {what}: the results cover only the rounds bef"
    )
    assert re.search(said, err, re.MULTILINE), err
    assert "Traceback" not in err
    assert_all_exported(tmp_path)


def test_what_a_server_is_read_from_is_found(tmp_path: Path) -> None:
    for name in ("app.py", "shop/main.py", "shop/parts/cart.py", "other.py", "data.db", "go.js"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()

    def sources(target: Target) -> set[str]:
        assert not isinstance(target, UrlTarget)
        moved = replace(target, directory=tmp_path)
        files = TARGET_KINDS[type(moved)].files(moved)
        return {str(file.relative_to(tmp_path)) for file in files}

    assert sources(parse_target("app:app")) == {"app.py"}
    assert sources(parse_target("shop.main:app")) == {"shop/main.py", "shop/parts/cart.py"}
    assert sources(parse_target("elsewhere:app")) == set()
    assert sources(parse_target("cmd:node go.js --db data.db {port}")) == {"go.js"}


@pytest.mark.skipif(sys.platform != "linux", reason="limits of other processes are Linux's")
def test_a_log_that_cannot_be_written_invalidates(tool: Tool) -> None:
    process = tool.start("compare", "asgi", *FAST, "-r", "1")
    resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (50_000, 50_000))
    out, _ = process.communicate(timeout=100)
    assert process.returncode == 1
    assert re.search(r"its log cannot be written \(File too large\): make room", out)


# The .pyz.


@pytest.fixture
def packed(tool: Tool, pyz: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Tool:
    tool.program = pyz
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tool


@pytest.fixture
def bundle(packed: Tool, unpacked: Path, tmp_path: Path) -> Path:
    """Return the directory into which the .pyz was unpacked before, in that cache."""
    cache = tmp_path / "cache" / unpacked.name
    shutil.copytree(unpacked, cache)
    (directory,) = [path for path in cache.iterdir() if path.is_dir()]
    return directory


pyz_tests = pytest.mark.timeout(600)


@pyz_tests
def test_a_cache_that_is_removed_in_mid_run_ends_it_with_what_was_measured(
    packed: Tool, bundle: Path, scratch: Path, tmp_path: Path
) -> None:
    args = ("asgi", "starlette", *FAST, "-r", "30", *export_options(tmp_path))
    process = packed.start("compare", *args, TMPDIR=str(scratch))
    read_until(process, "round 1 of 30, ")
    (tmp_path / "cache").rename(tmp_path / "no cache")  # all at once
    _, err = process.communicate(timeout=100)
    assert process.returncode == 1
    assert "Traceback" not in err
    gone = rf"{bundle}\S* cannot be read: No such file or directory"
    said = rf"^ended in round \d+ of 30, because {gone}: the results cover only the rounds before"
    assert re.search(said, err, re.MULTILINE), err
    assert_all_exported(tmp_path)
    await_nothing_left(packed, scratch)


@pyz_tests
@pytest.mark.parametrize(
    ("number", "place"),
    [
        (signal.SIGHUP, "cache"),
        (signal.SIGTERM, "private"),
        (signal.SIGKILL, "cache"),
        nightly(signal.SIGHUP, "private"),
        nightly(signal.SIGTERM, "cache"),
        nightly(signal.SIGKILL, "private"),
    ],
)
def test_an_unpacking_that_is_killed_leaves_nothing(
    number: signal.Signals, place: str, packed: Tool, scratch: Path, tmp_path: Path
) -> None:
    where = {"cache": str(tmp_path / "cache"), "private": "/proc/none"}[place]
    process = packed.start("targets", TMPDIR=str(scratch), XDG_CACHE_HOME=where)
    await_that(lambda: list(tmp_path.rglob("*.part/uvicorn")), "it unpacks")
    process.send_signal(number)
    _, err = process.communicate(timeout=60)
    assert process.returncode in (0, 130, -number)  # 0: it had unpacked before the signal came
    assert "Traceback" not in err
    await_nothing_left(packed, scratch)
    assert not list(tmp_path.rglob("*.part"))
    if process.returncode:
        assert not list(tmp_path.rglob("uvicorn")), "nothing that is taken for whole"


@pyz_tests
def test_a_damaged_cache_is_unpacked_anew_and_what_another_build_left_is_swept(
    packed: Tool, bundle: Path
) -> None:
    half = bundle.with_name("another-build.part")
    half.mkdir()
    shutil.rmtree(bundle / "pydantic")
    os.truncate(bundle / "rich/console.py", 0)
    (bundle / "h11/_util.py").chmod(0o000)
    done = packed.run("compare", "asgi", *FAST, "-r", "1")
    assert done.returncode == 0, done.stderr
    assert (bundle / "pydantic").is_dir()
    assert not half.exists()


@pyz_tests
def test_a_cache_whose_damage_does_not_show_in_a_size_is_told_in_one_line(
    packed: Tool, bundle: Path
) -> None:
    script = bundle / "micropie_bench.py"
    for compiled in script.parent.glob("__pycache__/micropie_bench.*"):
        compiled.unlink()
    script.write_bytes(b"(" * script.stat().st_size)
    done = packed.run("-V")
    assert (done.returncode, done.stdout) == (1, "")
    reason = r"\((SyntaxError|MemoryError|RecursionError): .*\): remove that directory"
    said = rf"micropie_bench: cannot import what was unpacked into {script.parent} {reason}"
    assert is_one_line(done.stderr, said), done.stderr


# A machine without /proc.


@pytest.mark.slow
@on_linux
@pytest.mark.parametrize("command", [["compare", "asgi", "--quick"], ["serve", "asgi"], ["doctor"]])
def test_without_proc_it_is_said_in_one_line(command: list[str]) -> None:
    hide = ["unshare", *([] if os.getuid() == 0 else ["-r"]), "-m", "sh", "-c"]
    cover = 'mount -t tmpfs none /proc && exec "$@"'
    if subprocess.run([*hide, cover, "sh", "true"], capture_output=True, check=False).returncode:
        pytest.skip("mounts are not to be had here")
    argv = [*hide, cover, "sh", sys.executable, str(ROOT / "micropie_bench.py"), *command]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=100, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert is_one_line(done.stderr, "micropie_bench: /proc is empty"), done.stderr
