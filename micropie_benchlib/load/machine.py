"""What results depend on of this machine: what is recorded of it, and its network link."""

import json
import platform
import sys
import time
from dataclasses import dataclass

import psutil

from micropie_benchlib.core.built_ins import FRAMEWORK_PACKAGES
from micropie_benchlib.core.paths import BUNDLE, BUNDLED
from micropie_benchlib.core.results import Environment
from micropie_benchlib.core.warnings import BenchWarning, Kind
from micropie_benchlib.load.wrk_program import wrk_version
from micropie_benchlib.serve.addresses import are_loopback
from micropie_benchlib.serve.asgi import SERVER_PACKAGES
from micropie_benchlib.serve.versions import package_versions
from micropie_benchlib.stats.cores import FULL_SHARE
from micropie_benchlib.system.checks import cpu_governor
from micropie_benchlib.system.processes import core_count, search_file


def describe_machine(wrk: str) -> Environment:
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    device: str
    speed_mbit_s: float | None


NO_LINK = Link(device="", speed_mbit_s=None)


def link_of(address: str) -> Link:
    if not address or are_loopback([address]):
        return NO_LINK
    for device, addresses in psutil.net_if_addrs().items():
        if any(each.address.partition("%")[0] == address for each in addresses):
            status = psutil.net_if_stats().get(device)
            return Link(device=device, speed_mbit_s=(status and status.speed) or None)
    return NO_LINK


class LinkMeter:
    """Tells how full a link was since this was made, by the device's own counters."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self._before = self._bytes()
        self._start = time.monotonic()

    def _bytes(self) -> tuple[int, int]:
        """Sent, and received."""
        if not self._link.device:
            return 0, 0
        counters = psutil.net_io_counters(pernic=True).get(self._link.device)
        return (counters.bytes_sent, counters.bytes_recv) if counters else (0, 0)

    def full(self) -> BenchWarning | None:
        seconds = time.monotonic() - self._start
        sent_before, received_before = self._before
        sent, received = self._bytes()
        moved = max(sent - sent_before, received - received_before)
        return link_full(self._link, moved / seconds * 8 / 1e6)


def link_full(link: Link, mbit_s: float) -> BenchWarning | None:
    if not link.speed_mbit_s or mbit_s < FULL_SHARE * link.speed_mbit_s:
        return None
    return BenchWarning.of(
        Kind.LINK_FULL,
        device=link.device,
        bits_per_s=mbit_s * 1e6,
        capacity_bits_per_s=link.speed_mbit_s * 1e6,
    )
