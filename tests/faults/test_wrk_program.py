"""Programs that are named wrk: which can be used, and why the others cannot."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import Typed, program

from micropie_benchlib.load.wrk_program import WRK_HELP, UnusableWrkError, wrk_error, wrk_version

pytestmark = pytest.mark.slow

COPYRIGHT = "[epoll] Copyright (C) 2012 Will Glozer"
USAGE = """\
Usage: wrk <options> <url>
  Options:
    -c, --connections <N>  Connections to keep open
        --latency          Print latency statistics
  Numeric arguments may include a SI unit (1k, 1M, 1G)
"""
WRK2_USAGE = USAGE + "    -R, --rate        <T>  work rate (throughput)\n"
NO_RATE = "Throughput MUST be specified with the --rate or -R option\n"

WRK2 = "is wrk2, which sends requests at a fixed rate: use wrk 4.1 or later"
OLD = "is wrk {}: use wrk 4.1 or later"

MakeProgram = Callable[[str, str], str]


@pytest.fixture
def make_program(tmp_path: Path) -> MakeProgram:
    """Return what makes a program that prints one text for -v, and another for all else."""

    def make(about: str, other: str) -> str:
        (tmp_path / "about").write_text(about)
        (tmp_path / "other").write_text(other)
        choice = f'if [ "$1" = -v ]; then cat {tmp_path}/about; else cat {tmp_path}/other; fi'
        return program(tmp_path / "wrk", f"{choice}; exit 1")

    return make


@pytest.mark.parametrize(
    ("about", "version"),
    [
        pytest.param("wrk debian/4.1.0-3+b2 ", "debian/4.1.0-3+b2", id="Debian's"),
        pytest.param("wrk 4.2.0 ", "4.2.0", id="4.2"),
        pytest.param("wrk 4.10.1-3-ga211dd5 ", "4.10.1-3-ga211dd5", id="4.10"),
        pytest.param("wrk 5.0 ", "5.0", id="5"),
        pytest.param("wrk a211dd5 ", "a211dd5", id="of a commit"),
        pytest.param("wrk  ", "unknown", id="built without one"),
    ],
)
def test_a_wrk_is_accepted_with_its_version(
    about: str, version: str, make_program: MakeProgram
) -> None:
    assert wrk_version(make_program(f"{about}{COPYRIGHT}\n{USAGE}", USAGE)) == version


@pytest.mark.parametrize(
    ("about", "other", "problem"),
    [
        pytest.param(f"wrk 4.0.0 {COPYRIGHT}\n", NO_RATE + USAGE, WRK2, id="wrk2"),
        pytest.param(f"wrk  {COPYRIGHT}\n{WRK2_USAGE}", WRK2_USAGE, WRK2, id="unversioned wrk2"),
        pytest.param(f"wrk 3.1.0 {COPYRIGHT}\n", USAGE, OLD.format("3.1.0"), id="an old one"),
        pytest.param(f"wrk 4.0.0 {COPYRIGHT}\n", USAGE, OLD.format("4.0.0"), id="4.0"),
        pytest.param("wrk [x]\n", "hello\n", "is not wrk", id="without a usage"),
        pytest.param("hey 1.0\n", USAGE, "is not wrk", id="another program"),
        pytest.param("", "", "is not wrk", id="silence"),
    ],
)
def test_a_program_that_cannot_be_used_is_refused_with_its_reason(
    about: str, other: str, problem: str, make_program: MakeProgram
) -> None:
    program = make_program(about, other)
    with pytest.raises(UnusableWrkError) as caught:
        wrk_version(program)
    assert caught.value.problem == f"{program} {problem}"
    assert str(caught.value).endswith(WRK_HELP)


def test_a_program_that_prints_without_end_is_not_run_twice() -> None:
    with pytest.raises(UnusableWrkError, match="yes is not wrk"):
        wrk_version("/usr/bin/yes")


def test_doctor_and_compare_refuse_wrk2_by_name(typed: Typed, make_program: MakeProgram) -> None:
    wrk2 = make_program(f"wrk 4.0.0 {COPYRIGHT}\n", NO_RATE + USAGE)
    findings = json.loads(typed("doctor", "--wrk", wrk2, "--json").stdout)
    assert findings[0]["state"] == "warning"
    assert WRK2 in findings[0]["found"]
    done = typed("compare", "asgi", "--wrk", wrk2)
    assert (done.returncode, done.stdout) == (1, "")
    assert WRK2 in done.stderr
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (NO_RATE + USAGE, NO_RATE.strip()),
        (USAGE + NO_RATE, NO_RATE.strip()),
        (
            "unable to connect to 127.0.0.1:1 Connection refused\n",
            "unable to connect to 127.0.0.1:1 Connection refused",
        ),
        (USAGE, "it printed no error"),
        ("", "it printed no error"),
        (
            "Running 1s test @ http://127.0.0.1:1/\n  1 threads and 1 connections\nout of memory\n",
            "out of memory",
        ),
    ],
)
def test_the_line_of_wrk_is_quoted_that_says_why(text: str, expected: str) -> None:
    assert wrk_error(text) == expected
