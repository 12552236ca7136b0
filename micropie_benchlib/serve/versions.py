"""Versions of the packages that decide a target's speed."""

import contextlib
import functools
import json
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

from micropie_benchlib.core.built_ins import FRAMEWORK_PACKAGES, OTHER_PACKAGES
from micropie_benchlib.core.errors import BenchError
from micropie_benchlib.core.paths import ROOT
from micropie_benchlib.core.targets import Target
from micropie_benchlib.serve.asgi import SERVER_PACKAGES
from micropie_benchlib.system.children import run_guarded

LOADER = ROOT / "micropie_benchlib" / "programs" / "loader" / "micropie_bench_app.py"


class PackageVersions(NamedTuple):
    packages: Mapping[str, str]
    python: str | None  # None where it is this one


@functools.cache  # else another Python would start at each launch of its server
def examine_python(python: str) -> PackageVersions:
    """Return the versions of all in another Python; nothing if it does not tell."""
    with contextlib.suppress(BenchError, ValueError):
        version, packages = json.loads(run_guarded([python, str(LOADER)], timeout_s=20).output)
        return PackageVersions(packages=packages, python=version)
    return PackageVersions(packages={}, python=None)


def package_versions(
    names: Iterable[str], *, directory: Path | None = None, python: str = ""
) -> dict[str, str]:
    if python:
        known = examine_python(python).packages
        return {name: known[name] for name in names if name in known}
    import importlib.metadata

    path = [str(directory)] if directory else sys.path
    versions = {}
    for name in names:
        for distribution in importlib.metadata.distributions(name=name, path=path):
            versions[name] = distribution.version
            break  # the first on the path is the one that is imported
    return versions


def versions_of(target: Target) -> PackageVersions:
    packages = [*target.packages, *SERVER_PACKAGES]
    python = None
    if target.python:
        packages += [*FRAMEWORK_PACKAGES, *OTHER_PACKAGES]
        python = examine_python(target.python).python
    elif not target.is_app:  # what a command runs is not known
        return PackageVersions(packages={}, python=None)
    if target.package_dir and target.requirements:
        import importlib.metadata

        found = importlib.metadata.distributions(path=[str(target.package_dir)])
        versions = dict(sorted((each.name.lower(), each.version) for each in found))
    else:
        names = dict.fromkeys(packages)
        versions = package_versions(names, directory=target.package_dir, python=target.python)
    return PackageVersions(packages=versions, python=python)
