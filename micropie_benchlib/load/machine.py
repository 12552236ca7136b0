"""What is recorded of this machine: the environment that results depend on."""

from __future__ import annotations

import json
import platform
import sys

from micropie_benchlib.core.built_ins import FRAMEWORK_PACKAGES
from micropie_benchlib.core.paths import BUNDLE, BUNDLED
from micropie_benchlib.core.results import Environment
from micropie_benchlib.load.wrk_program import wrk_version
from micropie_benchlib.serve.asgi import SERVER_PACKAGES
from micropie_benchlib.serve.versions import package_versions
from micropie_benchlib.system.checks import cpu_governor
from micropie_benchlib.system.processes import core_count, search_file


def describe_machine(wrk: str) -> Environment:
    """Return what the results depend on: interpreter, machine, wrk and packages."""
    cpu_model = search_file("/proc/cpuinfo", r"^model name\s*: (.*)$")
    return Environment(
        python=platform.python_version(),
        executable=sys.executable,
        bundle=json.loads(BUNDLE.read_text())["build"] if BUNDLED else None,
        implementation=platform.python_implementation(),
        platform=platform.platform(),
        kernel=platform.release(),
        cpu_model=cpu_model or platform.processor() or None,
        cpu_count=core_count(),
        governor=cpu_governor(),
        wrk=wrk,
        wrk_version=wrk_version(wrk) if wrk else "",
        packages=package_versions([*SERVER_PACKAGES, *FRAMEWORK_PACKAGES]),
    )
