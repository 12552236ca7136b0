"""Packages of releases and days, fetched once by pip."""

from __future__ import annotations

import ast
import dataclasses
import fcntl
import hashlib
import itertools
import json
import os
import platform
import shutil
import sys
import sysconfig
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from micropie_benchlib.core.errors import BenchError
from micropie_benchlib.core.paths import APPS, BUNDLED, ROOT
from micropie_benchlib.core.secrets import without_url_secrets
from micropie_benchlib.core.targets import AsgiTarget, Target, UrlTarget
from micropie_benchlib.serve.logs import NO_REASON
from micropie_benchlib.system.cache import trusted_cache
from micropie_benchlib.system.children import Finished, run_guarded
from micropie_benchlib.system.temporary import remove_at_end

FETCH_DEADLINE_S = 3600.0  # pip has deadlines of its own for the network


def user_cache() -> Path:
    cache = trusted_cache()
    if cache is None:
        raise BenchError(
            "no cache directory (XDG_CACHE_HOME, else ~/.cache) that only you can write to: "
            "set XDG_CACHE_HOME to your own directory"
        )
    return Path(cache)


def fetch(target: Target, announce: Callable[[str], None]) -> Target:
    """Return the target with its packages, which pip puts there once for this Python and user.

    `announce` is told so. Raises BenchError if pip cannot have them.
    """
    if not isinstance(target, AsgiTarget) or not target.requirements:
        return target
    apps = (APPS / "apps.py").read_bytes()  # it must lie where -S finds it
    wanted = [
        target.requirements,
        sysconfig.get_config_var("SOABI"),
        hashlib.sha256(apps).hexdigest(),
        target.as_of,
    ]

    def make(directory: Path) -> None:
        day = f" as of {target.as_of}" if target.as_of else ""
        announce(f"{target.spec}: fetching {', '.join(target.requirements)}{day} (once)")
        install(target.spec, target.requirements, directory, as_of=target.as_of)
        (directory / "apps.py").write_bytes(apps)

    return with_packages(target, kept_in_cache(target.spec, wanted, make))


def kept_in_cache(name: str, wanted: object, make: Callable[[Path], None]) -> Path:
    """Return the directory of what is wanted, in JSON's types; `make` makes it the first time."""
    wanted_hash = hashlib.sha256(json.dumps(wanted).encode()).hexdigest()
    directory = user_cache() / f"{name}-{wanted_hash[:16]}"
    with (directory.parent / "lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not directory.is_dir():
            for stale in directory.parent.glob("*.part"):  # of what was killed: we have the lock
                shutil.rmtree(stale, ignore_errors=True)
            # What was killed has a child that removes its own part for 2 s more.
            part = directory.with_name(f"{directory.name}-{os.getpid()}.part")
            remove = remove_at_end(str(part))
            try:
                part.mkdir()
                packages = part / "packages"
                make(packages)
                packages.rename(directory)
            finally:
                remove()
    return directory


def with_packages(target: Target, directory: Path) -> Target:
    if isinstance(target, UrlTarget):
        return target
    return dataclasses.replace(target, package_dir=directory, directory=directory)


def install(name: str, requirements: Sequence[str], directory: Path, *, as_of: str = "") -> None:
    """Let pip put the requirements into the directory, with `scratch` beside it."""
    scratch = directory.with_name("scratch")
    scratch.mkdir()
    options = ["--quiet", "--root-user-action=ignore", "--target", str(directory)]
    done = run_pip(
        ["install", *options, *requirements],
        environment=dict(os.environ, TMPDIR=str(scratch)),
        as_of=as_of,
    )
    if done.status:
        or_older = ", or do its packages need an older Python?" if as_of else "?"
        raise BenchError(
            f"{name} is not in the cache, and pip cannot fetch it for Python "
            f"{platform.python_version()}: {pip_error(done)}. Is the index reachable{or_older}"
        )


def run_pip(words: Sequence[str], *, environment: Mapping[str, str], as_of: str = "") -> Finished:
    """Run pip with these words; it sees packages as of that day, if one is given."""
    pip = [sys.executable, "-m", "pip", *words, "--no-input", "--disable-pip-version-check"]
    environment = dict(environment)
    if BUNDLED:
        environment["PYTHONPATH"] = str(ROOT)
    if as_of:
        pip += ["--uploaded-prior-to", as_of]
        environment = with_one_index(environment)
    return run_guarded(pip, timeout_s=FETCH_DEADLINE_S, env=environment)


def pip_error(done: Finished) -> str:
    lines = done.errors.splitlines()
    errors = [line for line in lines if line.startswith(("ERROR", sys.executable))]
    return (errors or lines or [NO_REASON])[-1].removeprefix("ERROR: ")


def releases(package: str, *, as_of: str = "") -> list[str]:
    """Return the releases that pip would install here, the oldest first; those before a day.

    It takes no prereleases, nor what was yanked. Raises BenchError.
    """
    done = run_pip(["index", "versions", package, "--json"], environment=os.environ, as_of=as_of)
    if done.status:
        raise BenchError(
            f"pip cannot list the releases of {package}: {pip_error(done)}. Is the index reachable?"
        )
    versions: list[str] = json.loads(done.output)["versions"]
    return versions[::-1]


PIP_SECTIONS = ("global", "install", ":env:")  # of its settings; the last one holds
# Of pip's options, those that say how an index is reached.
INDEX_OPTIONS = (
    *("index-url", "proxy", "cert", "client-cert", "trusted-host", "keyring-provider"),
    *("timeout", "default-timeout", "retries"),
)


def with_one_index(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the environment so that pip takes packages from its one index alone.

    Only an index says when a package was uploaded: what lies in a directory of wheels would be
    taken whatever its age. Raises BenchError for an index of files.
    """
    listed = run_guarded(
        [sys.executable, "-m", "pip", "config", "list"], timeout_s=20, env=environment
    )
    one_index = {name: value for name, value in environment.items() if name[:4] != "PIP_"}
    settings = [line.partition("=") for line in listed.output.splitlines()]
    for section, (key, _, value) in itertools.product(PIP_SECTIONS, settings):
        prefix, _, option = key.rpartition(".")
        if prefix == section and option in INDEX_OPTIONS:
            one_index[f"PIP_{option.replace('-', '_').upper()}"] = ast.literal_eval(value)
    if one_index.get("PIP_INDEX_URL", "https:").partition(":")[0] not in ("https", "http"):
        raise BenchError(
            f"pip's index is {without_url_secrets(one_index['PIP_INDEX_URL'])!r}, which does "
            "not say when files were uploaded: for a day use an index that does, such as PyPI"
        )
    return one_index | {"PIP_CONFIG_FILE": os.devnull}
