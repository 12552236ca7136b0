"""Which cores servers and load generators of a paired trial have."""

from __future__ import annotations

import itertools
from typing import NamedTuple

from micropie_benchlib.system.processes import all_cores, search_file


class CoreHalves(NamedTuple):
    """The cores of both servers in a paired trial, and those of both load generators."""

    servers: list[int]
    loads: list[int]


def paired_cores() -> CoreHalves:
    """Return the two halves of the cores.

    No physical core is in both, unless there is just one: its threads are shared out.
    """
    by_physical_core: dict[str, list[int]] = {}
    for core in all_cores():
        topology = f"/sys/devices/system/cpu/cpu{core}/topology"
        siblings = search_file(f"{topology}/thread_siblings_list", r"^(.+)$")
        by_physical_core.setdefault(siblings or str(core), []).append(core)
    groups = list(by_physical_core.values())
    if len(groups) == 1:
        groups = [[core] for core in groups[0]]
    half = len(groups) // 2
    return CoreHalves(list(itertools.chain(*groups[:half])), list(itertools.chain(*groups[half:])))
