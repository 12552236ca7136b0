"""Which wrk is used, and whether it can be."""

import re
import shutil
import sysconfig
from pathlib import Path

from micropie_benchlib.core.errors import BenchError
from micropie_benchlib.core.paths import BUNDLED, ROOT
from micropie_benchlib.system.checks import Finding, State
from micropie_benchlib.system.children import run_guarded

WRK_HELP = (
    "Debian/Ubuntu: apt-get install wrk; Fedora: dnf install wrk; "
    "macOS: brew install wrk; or name one with --wrk PATH or MICROPIE_BENCH_WRK"
)
WRK_USAGE = "Usage: wrk "
MIN_WRK = (4, 1)  # what this tool undoes in latencies was read from 4.1 and 4.2


class UnusableWrkError(BenchError):
    def __init__(self, problem: str) -> None:
        super().__init__(f"{problem}. {WRK_HELP}")
        self.problem = problem


def find_wrk(wanted: str | None) -> str:
    """Return the path of the wrk asked for, the one on PATH, or the one that comes with this."""
    if wanted:
        path = shutil.which(wanted)
    else:
        own = str(ROOT / "wrk") if BUNDLED else sysconfig.get_path("scripts")
        path = shutil.which("wrk") or shutil.which("wrk", path=own)
    if path:
        return str(Path(path).absolute())
    if wanted and Path(wanted).exists():
        raise UnusableWrkError(f"{wanted} is not executable: use chmod +x")
    raise UnusableWrkError(f"wrk not found at {wanted}" if wanted else "wrk not found on PATH")


def wrk_output(wrk: str, *options: str) -> str:
    try:
        done = run_guarded([wrk, *options], timeout_s=10)
    except BenchError as error:
        raise UnusableWrkError(f"{wrk} does not run: {error}") from None
    return done.output + done.errors


def wrk_version(wrk: str) -> str:
    """Return the version that wrk prints of itself, such as `debian/4.1.0-3+b2`.

    It is `unknown` where wrk was built without. wrk2, whose program and version (4.0.0) are
    wrk's too, has --rate in its usage.
    """
    usage = wrk_output(wrk, "-v")
    match = re.match(r"wrk (\S*) ?\[", usage)
    if match and WRK_USAGE not in usage:  # some print it only without arguments
        usage = wrk_output(wrk)
    if not match or WRK_USAGE not in usage:
        raise UnusableWrkError(f"{wrk} is not wrk")
    if "--rate" in usage:
        raise UnusableWrkError(
            f"{wrk} is wrk2, which sends requests at a fixed rate: use wrk 4.1 or later"
        )
    version = match[1]
    number = re.search(r"(\d+)\.(\d+)", version)
    if number and (int(number[1]), int(number[2])) < MIN_WRK:
        raise UnusableWrkError(f"{wrk} is wrk {version}: use wrk 4.1 or later")
    return version or "unknown"


def wrk_error(text: str) -> str:
    for line in text.splitlines():
        if line.strip() and not line.startswith((" ", "Usage: ", "Running ")):
            return line.strip()
    return "it printed no error"


def examine_wrk(wanted: str | None) -> Finding:
    try:
        path = find_wrk(wanted)
        found, state = f"{wrk_version(path)}, {path}", State.OK
    except UnusableWrkError as error:
        found, state = error.problem, State.WARNING
    return Finding(check="wrk", state=state, found=found, why="it makes the load", remedy=WRK_HELP)
