"""Network links, and whether one was the limit."""

from __future__ import annotations

import time
from dataclasses import dataclass

import psutil

from micropie_benchlib.core.warnings import BenchWarning, Kind
from micropie_benchlib.serve.addresses import are_loopback
from micropie_benchlib.stats.cores import FULL_SHARE


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """The network device that has an address of this machine, and its speed."""

    device: str
    speed_mbit_s: float | None


NO_LINK = Link(device="", speed_mbit_s=None)


def link_of(address: str) -> Link:
    """Return the link with that address; NO_LINK if no device has it, or only loopback."""
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
        """Return how many bytes the device has sent and received."""
        if not self._link.device:
            return 0, 0
        counters = psutil.net_io_counters(pernic=True).get(self._link.device)
        return (counters.bytes_sent, counters.bytes_recv) if counters else (0, 0)

    def full(self) -> BenchWarning | None:
        """Return that the link was the limit, if it was."""
        seconds = time.monotonic() - self._start
        moved = max(
            after - before for after, before in zip(self._bytes(), self._before, strict=True)
        )
        return link_full(self._link, moved / seconds * 8 / 1e6)


def link_full(link: Link, mbit_s: float) -> BenchWarning | None:
    """Return that a link that carried so much was the limit, if it was."""
    if not link.speed_mbit_s or mbit_s < FULL_SHARE * link.speed_mbit_s:
        return None
    return BenchWarning.of(
        Kind.LINK_FULL,
        device=link.device,
        bits_per_s=mbit_s * 1e6,
        capacity_bits_per_s=link.speed_mbit_s * 1e6,
    )
