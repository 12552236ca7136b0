"""The command line of wrk, and the scripts that it is given."""

from micropie_benchlib.core.loads import Load
from micropie_benchlib.core.paths import packaged_text
from micropie_benchlib.core.requests import WRK_TIMEOUT_S, Workload

READY_S = 2  # for wrk to open its connections, before a load at a rate begins


def wrk_script(load: Load) -> str:
    names = ("rate.lua", "done.lua") if load.rate_per_s else ("done.lua",)
    return "".join(packaged_text(__package__, name) for name in names)


def wrk_request(workload: Workload) -> bytes:
    """Return the file from which done.lua takes the request: other users see no command's words."""
    lines = [f"{workload.method} {workload.path}"]
    lines += [f"{name}: {value}" for name, value in workload.sent_headers]
    return "\n".join([*lines, "", ""]).encode() + workload.body


def wrk_argv(
    wrk: str, load: Load, url: str, script: str, *, timeout_s: int = WRK_TIMEOUT_S
) -> list[str]:
    duration_s = load.duration_s
    if load.rate_per_s:  # it ends by itself, once it has all answers
        duration_s += READY_S + timeout_s
    argv = [wrk, f"-t{load.wrk_threads}", f"-c{load.connections}", f"-d{duration_s}s"]
    argv.append("--latency")
    if timeout_s != WRK_TIMEOUT_S:
        argv += ["--timeout", f"{timeout_s}s"]
    return [*argv, "-s", script, url]
