"""The commands as a user types them: what they print, where, and the exit status."""

import contextlib
import importlib.metadata
import json
import os
import pty
import re
import shutil
import subprocess
import sys
import tempfile
import termios
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from conftest import ROOT, Compared, Tool, Typed, single_results
from results_schema import loaded

from micropie_benchlib import __version__
from micropie_benchlib.cli.commands import command_line
from micropie_benchlib.core.built_ins import BUILT_INS
from micropie_benchlib.core.errors import BenchError
from micropie_benchlib.load.wrk_program import find_wrk
from micropie_benchlib.report.results_file import to_json
from micropie_benchlib.report.tables import result_tables
from micropie_benchlib.wrk.rows import parse_reports

DATA = ROOT / "tests" / "data"
GIST = DATA / "gist.txt"


@pytest.mark.parametrize(
    ("args", "status", "complaint"),
    [
        (["nosuch"], 2, "No such command 'nosuch'"),
        (["compar"], 2, "No such command 'compar'. Did you mean 'compare'?"),
        (["serve"], 2, "Missing argument"),
        (["compare", "fastap"], 2, "unknown target 'fastap' (did you mean fastapi?): use "),
        (["compare", "--wrk", "/no/wrk"], 1, "wrk not found at /no/wrk. Debian/Ubuntu: apt-get"),
        pytest.param(["compare", "--wrk", sys.executable], 1, "is not wrk", marks=pytest.mark.slow),
        (["parse", "/dev/null"], 1, "the text is empty"),
        (["parse", "/no/such/file"], 1, "cannot read '/no/such/file': No such"),
    ],
)
def test_bad_input_is_one_line_and_a_status(
    typed: Typed, args: list[str], status: int, complaint: str
) -> None:
    done = typed(*args)
    assert done.returncode == status
    assert done.stdout == ""
    assert complaint in done.stderr
    assert done.stderr.count("\n") == 1


def test_help_has_each_command_with_its_whole_line(tool: Tool, typed: Typed) -> None:
    done = tool.run("--help", COLUMNS="80")
    assert (done.returncode, done.stderr) == (0, "")
    assert typed(COLUMNS="80").stdout == done.stdout, "the same without a word"
    assert max(map(len, done.stdout.splitlines())) <= 80
    words = " ".join(done.stdout.split())
    assert "..." not in words.replace("[ARGS]...", "")
    for line in (
        "compare Measure targets under the same load, and print the gist's tables and a verdict.",
        "doctor Show what would spoil a measurement on this machine, with remedies.",
        "Examples: micropie-bench compare ",
    ):
        assert line in words


@pytest.mark.parametrize(
    "command",
    [
        *("serve", "compare", "capacity", "calibrate", "reproduce"),
        *("doctor", "parse", "report", "targets"),
    ],
)
def test_help_of_each_command_fits_80_columns_and_names_what_is_wanted(
    typed: Typed, command: str
) -> None:
    done = typed(command, "--help", COLUMNS="80")
    assert (done.returncode, done.stderr) == (0, "")
    assert max(map(len, done.stdout.splitlines())) <= 80
    assert "<int" not in done.stdout
    assert "<str" not in done.stdout
    assert "<list" not in done.stdout
    assert len(re.findall(r"(?m)^ +micropie_bench ", done.stdout)) == done.stdout.count(
        "  micropie_bench "
    )


def test_help_of_compare_has_groups_target_syntax_and_examples(typed: Typed) -> None:
    text = typed("compare", "--help", COLUMNS="80").stdout
    titles = re.findall(r"(?m)^([A-Z][a-z ]+):$", text)
    assert titles == [
        "Arguments",
        "Targets",
        "Load",
        "Rounds and trials",
        "Request",
        "Server",
        "Machines",
        "Gate",
        "Exports",
        "Other options",
    ]
    assert "A target is one of" in text
    assert "  micropie-bench compare -c 50,400 -r 12\n" in text


@pytest.mark.parametrize(
    ("shell", "script"),
    [
        ("bash", "complete -o default -F _micropie_bench_completion micropie-bench"),
        ("zsh", "#compdef micropie-bench"),
        ("fish", "complete --command micropie-bench "),
    ],
)
def test_each_shell_has_its_completion(typed: Typed, shell: str, script: str) -> None:
    """It is named, as where it cannot be detected, which is decided as the options are made."""
    command_line.cache_clear()
    done = typed("--show-completion", shell, _TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION="1")
    command_line.cache_clear()
    assert (done.returncode, done.stderr) == (0, "")
    assert script in done.stdout


@pytest.mark.parametrize(
    ("words", "completed"),
    [
        ("micropie_bench cal", ["calibrate"]),
        ("micropie_bench compare --conn", ["--connections"]),
        ("micropie_bench compare mic", ["micropie"]),
        ("micropie_bench compare --workload up", ["upload"]),
    ],
)
def test_a_shell_completes_commands_options_and_targets(
    typed: Typed, words: str, completed: list[str]
) -> None:
    env = {"_MICROPIE_BENCH_COMPLETE": "complete_bash", "COMP_WORDS": words}
    done = typed(COMP_CWORD=str(words.count(" ")), **env)
    assert done.stdout.split() == completed


def test_wrk_missing_from_path_says_how_to_get_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sysconfig.get_path", lambda _: str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(
        BenchError, match=r"(?s)apt-get install wrk.*dnf install wrk.*brew install wrk"
    ):
        find_wrk(None)


def test_debug_shows_the_traceback(typed: Typed) -> None:
    done = typed("--debug", "parse", "/dev/null")
    assert done.returncode == 1
    assert "Traceback" in done.stderr


def test_the_version_is_printed(typed: Typed) -> None:
    for option in ("--version", "-V"):
        assert typed(option).stdout == f"micropie_bench {__version__}\n"


@pytest.mark.slow
def test_targets_are_listed_with_their_versions_on_a_narrow_terminal_too(typed: Typed) -> None:
    listed = typed("targets").stdout
    assert all(f"| {name} " in listed for name in BUILT_INS)
    assert f"| micropie {importlib.metadata.version('micropie')} |" in " ".join(listed.split())
    listed = typed("targets", FORCE_COLOR="1", COLUMNS="60", NO_COLOR="1").stdout
    for line in listed.splitlines():
        assert len(line) <= 60 or " " not in line.strip(), "broken at spaces alone"


def test_parse_prints_the_gists_two_tables(typed: Typed) -> None:
    expected = (DATA / "gist_tables.md").read_text()
    assert typed("parse", str(GIST)).stdout.strip() == expected.strip()


def test_parse_exports_json_to_stdout_alone(typed: Typed) -> None:
    done = typed("parse", str(GIST), "--export-json", "-")
    data = loaded(done.stdout)
    throughputs = [m["wrk"]["requests_per_s"] for m in data["measurements"]]
    assert throughputs == [2031.28, 2195.34, 2239.68, 2450.02]
    assert "2031.28" in done.stderr


PERCENTILES = ("p50_s", "p75_s", "p90_s", "p99_s", "p99_9_s")


def test_one_round_measures_the_gists_apps(tool: Tool, tmp_path: Path) -> None:
    out = tmp_path / "out.json"
    args = ("--quick", "-r", "1", "-c", "20", "-w", "2", "-v")
    done = tool.run("compare", *args, "--export-json", str(out))
    assert done.returncode == 0, done.stdout + done.stderr
    data = loaded(out.read_text())
    assert data["environment"]["wrk_version"]
    assert data["environment"]["python"] == ".".join(map(str, sys.version_info[:3]))
    assert [measurement["valid"] for measurement in data["measurements"]] == [True, True]
    fastapi, micropie = [measurement["wrk"] for measurement in data["measurements"]]
    for wrk in (fastapi, micropie):
        assert wrk["requests_per_s"] == wrk["requests"] / wrk["duration_s"]
        percentiles = [wrk["latency"][name] for name in PERCENTILES]
        assert percentiles == sorted(percentiles)
    sizes = [target["responses"]["hello"]["bytes"] for target in data["targets"]]
    assert sizes[0] == 144
    for size, wrk in zip(sizes, (fastapi, micropie), strict=True):
        under_way = wrk["bytes"] - size * wrk["requests"]
        assert 0 <= under_way <= 20 * size, (
            "wrk counts the bytes of answers that were under way at the end"
        )
    assert f"{fastapi['requests_per_s']:.2f}" in done.stdout
    *_, heading, last = done.stdout.splitlines()
    assert heading == "MicroPie against FastAPI: uvicorn, 2 workers, 1 round of 1 s"
    assert last == "One round gives no verdict: use -r 6."
    for fact in (r"server +\| uvicorn [\d.]+ +\| uvicorn [\d.]+ +\| equal", r"body bytes +\| 19 "):
        assert re.search(rf"\| {fact}", done.stdout)
    assert re.search(r"(?m)^FastAPI\n\nRunning 1s test @ ", done.stdout)
    assert [m.target for m in parse_reports(done.stdout).measurements] == ["FastAPI", "MicroPie"]
    *steps, progress = [x for x in done.stderr.splitlines() if not x.startswith("warning: ")]
    assert steps == [
        "MicroPie: starting (round 1)",
        "FastAPI: starting (round 1)",
        "FastAPI: 20 connections (round 1)",
        "MicroPie: starting (round 1)",
        "MicroPie: 20 connections (round 1)",
    ]
    assert re.fullmatch(r"round 1 of 1, 0:\d\d left", progress)


def test_an_unwritable_result_is_said_after_the_tables(compared: Compared) -> None:
    done = compared(single_results(), "--export-json", "/dev/full")
    assert done.returncode == 1
    assert "| Base " in done.stdout
    assert "not written: /dev/full: No space left on device" in done.stderr


def test_ci_runs_what_the_readme_says() -> None:
    command = (ROOT / ".ci" / "run").read_text().splitlines()[-1]
    assert f"\n    {command}\n" in (ROOT / "README.md").read_text()


def on_a_terminal(*args: str, columns: int, **env: str) -> str:
    primary, secondary = pty.openpty()
    termios.tcsetwinsize(secondary, (50, columns))
    command = [sys.executable, str(ROOT / "micropie_bench.py"), *args]
    plain = {k: v for k, v in os.environ.items() if k not in ("FORCE_COLOR", "COLUMNS")}
    env = {**plain, "TERM": "xterm-256color", **env}
    process = subprocess.Popen(
        command, stdin=secondary, stdout=secondary, stderr=secondary, env=env
    )
    os.close(secondary)
    seen = b""
    with contextlib.suppress(OSError):  # EIO: the other side is closed
        while chunk := os.read(primary, 65536):
            seen += chunk
    assert process.wait(timeout=60) == 0
    os.close(primary)
    return seen.decode().replace("\r\n", "\n")


ESCAPES = re.compile(r"\x1b\[[\d;?]*[A-Za-z]")
RED = "\x1b[1;31mslower"


@pytest.mark.slow
def test_on_a_terminal_progress_shows_the_time_left_and_tables_fit() -> None:
    words = ("-r", "1", "-d", "1s", "-c", "100", "-w", "1", "--warm-up", "0s")
    seen = on_a_terminal("compare", "asgi", *words, columns=80)
    assert re.search(r"round 1 of 1, 0:\d\d left\s+ASGI: 100 connections", seen)
    plain = ESCAPES.sub("", seen)
    table = plain[plain.index("100 Connections") :].splitlines()
    assert max(map(len, table[:5])) <= 80


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    file = tmp_path / "results.json"
    file.write_text(to_json(single_results()))
    return file


@pytest.mark.slow
def test_every_figure_of_every_table_is_on_the_terminal(saved: Path) -> None:
    text = ESCAPES.sub("", on_a_terminal("report", str(saved), "-v", columns=60))
    assert max(map(len, text.splitlines())) <= 60
    shown = Counter(text.split())
    tables = result_tables(single_results())
    assert len(tables) == 3
    for table in tables:
        for row in table.rows:
            shown.subtract(" ".join(row).split())
    missing = [word for word, count in shown.items() if count < 0]
    assert missing == []


@pytest.mark.slow
@pytest.mark.parametrize(
    ("env", "is_coloured"),
    [({}, True), ({"NO_COLOR": "1"}, False), ({"TERM": "dumb"}, False)],
    ids=["as it is", "NO_COLOR", "dumb"],
)
def test_the_verdict_is_coloured_on_a_terminal_unless_that_is_not_wanted(
    saved: Path, env: dict[str, str], is_coloured: bool
) -> None:
    text = on_a_terminal("report", str(saved), columns=80, **env)
    assert (RED in text) == ("31m" in text) == is_coloured
    assert "slower  " in ESCAPES.sub("", text)


def test_elsewhere_the_verdict_is_coloured_only_where_that_is_forced(
    saved: Path, typed: Typed
) -> None:
    assert "\x1b" not in typed("report", str(saved)).stdout
    assert RED in typed("report", str(saved), FORCE_COLOR="1").stdout


def test_json_on_standard_output_named_as_a_file_stands_alone(tool: Tool) -> None:
    done = tool.run("parse", str(GIST), "--export-json", "/dev/stdout")
    assert json.loads(done.stdout)["schema"] == "micropie-bench/3"


def test_json_goes_into_a_pipe(typed: Typed, tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    with ThreadPoolExecutor() as pool:
        read = pool.submit(fifo.read_text)
        done = typed("parse", str(GIST), "--export-json", str(fifo))
    assert len(json.loads(read.result())["measurements"]) == 4
    assert done.returncode == 0


@pytest.mark.slow
@pytest.mark.parametrize(
    ("redirection", "status", "complaint"),
    [
        (
            ">/dev/full",
            1,
            "micropie_bench: [Errno 28] No space left on device: standard output or "
            f"{tempfile.gettempdir()}\n",
        ),
        ("<&- >&- 2>&-", 0, ""),
        pytest.param(">&-", 0, "", marks=pytest.mark.nightly),
        pytest.param("2>/dev/full", 0, "", marks=pytest.mark.nightly),
        ("| head -n 1 >/dev/null", 0, ""),
    ],
)
def test_odd_standard_streams_give_no_traceback(
    redirection: str, status: int, complaint: str
) -> None:
    command = f"{sys.executable} {ROOT}/micropie_bench.py targets {redirection}"
    done = subprocess.run(
        ["sh", "-c", command], capture_output=True, text=True, timeout=30, check=False
    )
    assert (done.returncode, done.stderr) == (status, complaint)


@pytest.mark.slow
def test_installed_by_pip_the_command_measures_anywhere(tmp_path: Path) -> None:
    source = tmp_path / "source"
    not_source = shutil.ignore_patterns(".*", "tests", "build", "*.egg-info", "__pycache__")
    shutil.copytree(ROOT, source, ignore=not_source)
    install = ["-m", "pip", "install", "-q", "--no-index", "--no-deps", "--no-build-isolation"]
    subprocess.run(
        [sys.executable, *install, "--target", str(tmp_path / "lib"), str(source)], check=True
    )
    shutil.rmtree(source)
    script = str(tmp_path / "lib" / "bin" / "micropie-bench")
    command = [script, "compare", "asgi", "-r", "1", "-d", "1s", "-c", "20", "-w", "1"]
    env = {**os.environ, "PYTHONPATH": str(tmp_path / "lib")}
    done = subprocess.run(
        command, cwd=tmp_path, env=env, capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr
    assert "| ASGI " in done.stdout


IMPORT = """
import json
import os
import signal
import sys
import threading

import psutil


def state():
    handlers = {}
    for number in signal.valid_signals():
        handlers[number] = signal.getsignal(number)
    streams = [sys.stdin, sys.stdout, sys.stderr]
    return {
        "streams": streams,
        "how streams encode": [(stream.encoding, stream.errors) for stream in streams],
        "signal handlers": handlers,
        "wakeup": signal.set_wakeup_fd(-1),
        "children": psutil.Process().children(),
        "threads": threading.enumerate(),
        "environment": dict(os.environ),
        "directory": os.getcwd(),
        "path": list(sys.path),
        "excepthook": sys.excepthook,
        "arguments": list(sys.argv),
    }


before = state()
import micropie_bench
after = state()

changed = [name for name in before if before[name] != after[name]]
modules = sorted({name.partition(".")[0] for name in sys.modules})
print(json.dumps({"changed": changed, "modules": modules}))
"""


@pytest.mark.slow
def test_importing_the_script_changes_nothing_and_needs_not_what_only_some_commands_need() -> None:
    argv = [sys.executable, "-c", IMPORT]
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=True, timeout=60)
    assert done.stderr == ""
    found = json.loads(done.stdout)
    assert found["changed"] == []
    assert "typer" in found["modules"]
    seldom = {"pydantic", "rich", "fastapi", "starlette", "micropie", "uvicorn", "h11"}
    assert seldom.isdisjoint(found["modules"])
