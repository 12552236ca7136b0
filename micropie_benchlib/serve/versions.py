"""Versions of the packages that decide a target's speed."""

from __future__ import annotations

import contextlib
import functools
import json
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

from micropie_benchlib.core.built_ins import FRAMEWORK_PACKAGES, OTHER_PACKAGES
from micropie_benchlib.core.errors import BenchError
from micropie_benchlib.core.targets import Target
from micropie_benchlib.serve.asgi import SERVER_PACKAGES
from micropie_benchlib.system.children import run_guarded

LIST_DISTRIBUTIONS = """
import contextlib, importlib.metadata, json, platform
versions = {}
for distribution in importlib.metadata.distributions():
    with contextlib.suppress(OSError):  # newer Pythons raise it where there is no METADATA
        fields = distribution.metadata or {}
        name, version = fields.get("Name"), fields.get("Version")
        if name and version:
            versions.setdefault(name.lower(), version)  # the first is imported
print(json.dumps([platform.python_version(), versions]))
"""


class PythonFacts(NamedTuple):
    """An interpreter's version, and those of all its distributions, by lower-case name."""

    version: str | None
    distributions: Mapping[str, str]


@functools.cache  # else another Python would start at each launch of its server
def examine_python(python: str) -> PythonFacts:
    with contextlib.suppress(BenchError, ValueError):
        command = [python, "-c", LIST_DISTRIBUTIONS]
        done = run_guarded(command, timeout_s=20, cwd=Path("/"))  # away from modules here
        return PythonFacts(*json.loads(done.output))
    return PythonFacts(version=None, distributions={})


def package_versions(
    names: Iterable[str], *, directory: Path | None = None, python: str = ""
) -> dict[str, str]:
    """Return the version of each of the distributions that is there.

    In the directory, or else in this or another Python.
    """
    if python:
        known = examine_python(python).distributions
        return {name: known[name] for name in names if name in known}
    import importlib.metadata

    path = [str(directory)] if directory else sys.path
    versions = {}
    for name in names:
        for distribution in importlib.metadata.distributions(name=name, path=path):
            versions[name] = distribution.version
            break  # the first on the path is the one that is imported
    return versions


def all_versions(directory: Path) -> dict[str, str]:
    import importlib.metadata

    found = importlib.metadata.distributions(path=[str(directory)])
    return dict(sorted((each.name.lower(), each.version) for each in found))


class PackageVersions(NamedTuple):
    packages: dict[str, str]
    python: str | None


def package_versions_of(target: Target) -> dict[str, str]:
    if not target.is_app and not target.python:
        return {}
    packages = [*target.packages, *SERVER_PACKAGES]
    if target.python:
        packages += [*FRAMEWORK_PACKAGES, *OTHER_PACKAGES]
    if target.package_dir and target.requirements:
        return all_versions(target.package_dir)
    return package_versions(
        dict.fromkeys(packages), directory=target.package_dir, python=target.python
    )


def versions_of(target: Target) -> PackageVersions:
    return PackageVersions(
        packages=package_versions_of(target),
        python=examine_python(target.python).version if target.python else None,
    )
