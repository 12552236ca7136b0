"""Versions of the packages that decide a target's speed."""

import contextlib
import functools
import json
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from micropie_benchlib.core.errors import BenchError
from micropie_benchlib.core.paths import ROOT
from micropie_benchlib.system.children import run_guarded

LOADER = ROOT / "micropie_benchlib" / "programs" / "loader" / "micropie_bench_app.py"


class PackageVersions(NamedTuple):
    packages: Mapping[str, str]
    python: str | None  # None where it is this one


NO_VERSIONS = PackageVersions(packages={}, python=None)


@functools.cache  # else another Python would start at each launch of its server
def examine_python(python: str) -> PackageVersions:
    """Return the versions of all in another Python; nothing if it does not tell."""
    with contextlib.suppress(BenchError, ValueError):
        version, packages = json.loads(run_guarded([python, str(LOADER)], timeout_s=20).output)
        return PackageVersions(packages=packages, python=version)
    return NO_VERSIONS


def package_versions(names: Iterable[str], *, python: str = "") -> dict[str, str]:
    if python:
        known = examine_python(python).packages
        return {name: known[name] for name in names if name in known}
    import importlib.metadata

    versions = {}
    for name in names:
        for distribution in importlib.metadata.distributions(name=name):
            versions[name] = distribution.version
            break  # the first on the path is the one that is imported
    return versions
