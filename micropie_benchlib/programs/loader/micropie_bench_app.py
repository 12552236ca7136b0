"""The app of a server under test, as `micropie_bench_app:app`; tells what its worker sees.

MICROPIE_BENCH_APP names the app, `module:attribute`: the server gets that very object.
MICROPIE_BENCH_VARIABLES matches the names of variables to tell, and
MICROPIE_BENCH_FACTS is a directory. A worker leaves an empty file there, PID.json, before it
imports the app, and its facts after that: so one that dies of the import is known, too.

Started by its path, it prints the Python's version and all distributions as JSON: without -I
and -S, since a server in that Python has its site-packages and PYTHONPATH, too.

It runs in the target's own Python, from 3.8 on, and needs the standard library alone.
"""

from __future__ import annotations

import importlib
import json
import os
import platform
import re
import sys

DISTRIBUTION = re.compile(r"(.+?)-([^-]+)(?:-.*)?\.(?:dist|egg)-info")


def distributions() -> dict[str, str]:
    """Return the version of each distribution on the path, by lower-case name."""
    found: dict[str, str] = {}
    for directory in sys.path:
        try:
            names = os.listdir(directory or ".")  # noqa: PTH208  # quick: this is a server's start
        except OSError:
            continue
        for name in names:
            match = DISTRIBUTION.fullmatch(name)
            if match:
                found.setdefault(match[1].lower().replace("_", "-"), match[2])
    return found


def loaded_files() -> list[str]:
    files = {getattr(module, "__file__", None) for module in list(sys.modules.values())}
    return sorted(os.path.abspath(file) for file in files if file)  # noqa: PTH100


def running_loop() -> str:
    """Return the class of the event loop that runs; empty if none does yet."""
    asyncio = sys.modules.get("asyncio")
    if asyncio is None:
        return ""
    try:
        loop = type(asyncio.get_running_loop())
    except RuntimeError:
        return ""
    return f"{loop.__module__}.{loop.__qualname__}"


def changed_flags() -> dict[str, int]:
    """Return the interpreter's flags (python -O, -X dev ...) that are on."""
    flags: dict[str, int] = {}
    for name in ("debug", "dev_mode", "optimize", "verbose"):
        value = getattr(sys.flags, name, 0)
        if value:
            flags[name] = int(value)
    return flags


def scheduling() -> str:
    """Return the name of the scheduling class; empty where there is none."""
    if not hasattr(os, "sched_getscheduler"):
        return ""
    number = os.sched_getscheduler(0)
    classes = ("SCHED_OTHER", "SCHED_BATCH", "SCHED_IDLE", "SCHED_FIFO", "SCHED_RR")
    names = {getattr(os, name, None): name for name in classes}
    return names.get(number, str(number))


def facts(module_file: str | None) -> dict[str, object]:
    """Return what is recorded of this worker."""
    told = re.compile(os.environ["MICROPIE_BENCH_VARIABLES"])
    variables = {}
    for name, text in os.environ.items():
        if told.match(name):
            variables[name] = text
    is_gil_enabled = getattr(sys, "_is_gil_enabled", lambda: True)
    return {
        "executable": sys.executable,
        "implementation": platform.python_implementation(),
        "python": platform.python_version(),
        "gil": is_gil_enabled(),
        "flags": changed_flags(),
        "event_loop": running_loop(),
        "module_file": module_file and os.path.realpath(module_file),
        "directory": os.getcwd(),  # noqa: PTH109
        "variables": variables,
        "nice": os.getpriority(os.PRIO_PROCESS, 0),
        "scheduling": scheduling(),
    }


def loaded(module_file: str | None) -> dict[str, object]:
    """Return what this worker is made of, in JSON's own types."""
    return {
        "facts": facts(module_file),
        "distributions": distributions(),
        "modules": sorted({name.partition(".")[0] for name in list(sys.modules)}),
        "files": loaded_files(),
    }


def write(directory: str, text: str) -> None:
    """Put the text under this process's name; it is there at once as a whole."""
    path = os.path.join(directory, f"{os.getpid()}.json")  # noqa: PTH118
    with open(f"{path}.part", "w", encoding="utf-8") as file:
        file.write(text)
    os.replace(f"{path}.part", path)  # noqa: PTH105


def load(spec: str) -> tuple[object, str | None]:
    """Return the app, and the file of its module."""
    name, _, attributes = spec.partition(":")
    module = importlib.import_module(name)
    found: object = module
    for attribute in attributes.split("."):
        found = getattr(found, attribute)
    return found, getattr(module, "__file__", None)


def main() -> object:
    """Return the app, once its worker's facts are written."""
    directory = os.environ["MICROPIE_BENCH_FACTS"]
    write(directory, "")
    found, module_file = load(os.environ["MICROPIE_BENCH_APP"])
    write(directory, json.dumps(loaded(module_file)))
    return found


if __name__ == "__main__":
    json.dump([platform.python_version(), distributions()], sys.stdout)
elif "MICROPIE_BENCH_APP" in os.environ:
    app = main()
