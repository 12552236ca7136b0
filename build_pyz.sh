#!/bin/sh
# Builds micropie_bench.pyz: this tool, what requirements.lock pins, and the distribution's wrk, in one file.
#
# ./build_pyz.sh [--all]    for CPython 3.11 to 3.14 on this architecture; --all: on Linux x86_64 and aarch64, macOS arm64
#
# It needs Debian or Ubuntu with Python 3.11 or newer and the network, not root. What it works with lies in .venv and
# build/. The file holds few and stored members, since Python reads a zip's whole directory at each start: __main__.py
# (below), bundle.json (what is in it), common.zip, and for each Python and platform what only that needs.
set -eu
export LC_ALL=C
CDPATH='' cd -- "$(dirname "$0")"
. .ci/debian.sh

pythons="3.11 3.12 3.13 3.14"
case "${1-}" in
    --all) platforms="linux-x86_64 linux-aarch64 macos-arm64" ;;
    "") platforms=$(uname -sm | sed 's/Linux /linux-/; s/Darwin /macos-/') ;;
    *) echo "usage: ./build_pyz.sh [--all]" >&2; exit 2 ;;
esac

.ci/env --build
rm -rf build/pyz
mkdir -p build/pyz
for platform in $platforms; do
    case $platform in
        linux-x86_64) wheels=x86_64-manylinux2014 debian=amd64 ;;
        linux-aarch64) wheels=aarch64-manylinux2014 debian=arm64 ;;
        macos-arm64) wheels=aarch64-apple-darwin debian= ;;
        *) echo "build_pyz: cannot build for $platform: its wheels' name is not known here" >&2; exit 1 ;;
    esac
    for python in $pythons; do
        .venv/bin/uv --quiet pip install --python .venv/bin/python --python-version "$python" --python-platform "$wheels" \
            --target "build/pyz/cp$(echo "$python" | tr -d .)-$platform" --link-mode copy --no-build --require-hashes -r requirements.lock
    done
    case $debian in
        "") ;;
        "$(dpkg --print-architecture 2>/dev/null)") run=yes ;;
        *) run= ;;
    esac
    if [ "$debian" ] && portable_wrk "build/debian-$debian" "$debian" $run; then
        mkdir "build/pyz/wrk-$platform"
        cp -R "build/debian-$debian/wrk" "build/pyz/wrk-$platform/wrk"
    elif [ "${run-}" ]; then
        echo "build_pyz: cannot fetch wrk, or it does not run" >&2
        exit 1
    else
        echo "build_pyz: no wrk for $platform can be had here: there the file uses the system's" >&2
    fi
done

cat >build/__main__.py <<'MAIN'
"""Starts micropie_bench in the Python that runs this, from the user's cache, where it is unpacked once for each Python.

Any Python must be able to read this file, to say that it is too old.
"""

import os
import sys

BUILD = "@BUILD@"
INSIDE = "@INSIDE@".split()  # cp311-linux-x86_64 and so on
HERE = os.path.dirname(os.path.abspath(__file__))


def fail(message):
    sys.stderr.write("micropie_bench: " + message + "\n")
    sys.exit(1)


def this_python():
    """Return the name of what this Python needs, as in INSIDE; another one if it is none of those."""
    system = {"linux": "linux", "linux2": "linux", "darwin": "macos"}.get(sys.platform, sys.platform)
    if system == "linux" and sys.version_info >= (3, 11):
        try:
            os.confstr("CS_GNU_LIBC_VERSION")
        except (OSError, ValueError):
            system = "linux-without-glibc"
    kind = getattr(getattr(sys, "implementation", None), "name", "cpython").replace("cpython", "cp")
    threads = "t" if "t" in getattr(sys, "abiflags", "") else ""  # free-threaded builds need other wheels
    bits = "" if sys.maxsize > 2**32 else "-32bit"
    machine = os.uname()[4] if hasattr(os, "uname") else "unknown"
    return "%s%d%d%s-%s-%s%s" % (kind, sys.version_info[0], sys.version_info[1], threads, system, machine, bits)


def unpack(wanted, directory):
    """Unpack what this Python needs, and compile it, so that no server does while it is measured."""
    part = directory + ".part"
    remove(part)
    try:
        fill(part, wanted, directory)
        os.rename(part, directory)  # so that what has this name is whole
    finally:
        remove(part)


def fill(part, wanted, directory):
    import compileall
    import io
    import zipfile

    with zipfile.ZipFile(HERE) as outer:
        for name in ("common", wanted, "wrk-" + wanted.partition("-")[2]):
            if name + ".zip" in outer.namelist():
                with zipfile.ZipFile(io.BytesIO(outer.read(name + ".zip"))) as inner:
                    inner.extractall(part)
                    for info in inner.infolist():
                        os.chmod(os.path.join(part, info.filename), info.external_attr >> 16)
        outer.extract("bundle.json", part)
    compileall.compile_dir(part, ddir=directory, quiet=2)


def remove(path):
    import shutil

    shutil.rmtree(path, ignore_errors=True)


def usable(directory):
    """Return whether the directory is this user's alone to write, and programs there may run."""
    import stat

    told = os.lstat(directory)
    own = stat.S_ISDIR(told.st_mode) and told.st_uid == os.geteuid() and not told.st_mode & 0o022
    return own and not os.statvfs(directory).f_flag & getattr(os, "ST_NOEXEC", 0)


def cached(wanted):
    """Return the directory in the user's cache, unpacked if need be; None if there can be none."""
    import fcntl

    home = os.environ.get("HOME") or ""
    cache = os.environ.get("XDG_CACHE_HOME") or os.path.join(home, ".cache")
    root = os.path.join(cache, "micropie_bench")
    try:
        if not os.path.isabs(root):
            return None
        above = cache
        while not os.path.exists(above) and above not in (home, "/"):
            above = os.path.dirname(above)
        told = os.stat(above)
        if told.st_uid != os.geteuid():  # as under sudo: neither trust it nor leave anything there
            return None
        if told.st_mode & 0o022 and not told.st_mode & 0o1000:  # others could put another in its place
            return None
        if not os.path.isdir(root):
            os.makedirs(root, 0o700)
        if not usable(root):
            return None
        directory = os.path.join(root, BUILD + "-" + wanted)
        if not os.path.isdir(directory):
            with open(os.path.join(root, "lock"), "a") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX)  # ends with this process, however it ends
                if not os.path.isdir(directory):
                    unpack(wanted, directory)
        return directory
    except OSError:
        return None


def temporary(wanted):
    """Return a directory for this start alone, unpacked."""
    import tempfile

    places = [tempfile.gettempdir(), "/var/tmp", "/dev/shm", os.environ.get("XDG_RUNTIME_DIR"), os.getcwd()]
    reason = "none may be written to and run programs"
    for place in places:
        directory = None
        try:
            directory = place and tempfile.mkdtemp(prefix="micropie_bench-", dir=place)
            if directory and usable(directory):
                unpack(wanted, os.path.join(directory, "bundle"))
                return directory
        except OSError as error:
            reason = str(error)
        finally:
            if directory and not os.path.isdir(os.path.join(directory, "bundle")):
                remove(directory)
    return fail("no directory to unpack into: %s; set TMPDIR or XDG_CACHE_HOME to one" % reason)


def main():
    wanted = this_python()
    if wanted not in INSIDE:
        versions = sorted({"%s.%s" % (name[2], name[3:].partition("-")[0]) for name in INSIDE})
        platforms = sorted({name.partition("-")[2] for name in INSIDE})
        fail("in this file are CPython %s for %s; %s is %s: start it with one of those, as in python%s %s" % (
            ", ".join(versions), ", ".join(platforms), sys.executable, wanted, versions[-1], os.path.basename(HERE)))
    import signal

    signal.signal(signal.SIGTERM, signal.default_int_handler)
    private = None
    try:
        directory = cached(wanted)
        private = None if directory else temporary(wanted)
        sys.path[0] = directory or os.path.join(private, "bundle")  # in the place of this file
        import micropie_bench

        micropie_bench.entry_point()
    except KeyboardInterrupt:
        sys.exit(130)
    finally:
        if private:
            remove(private)


main()
MAIN

.venv/bin/python - micropie_bench.pyz <<'ASSEMBLE'
import hashlib, io, json, os, sys, zipfile
from pathlib import Path

TIME = (1980, 1, 1, 0, 0, 0)  # zip's first: two builds of the same files are the same file


def zipped(files, method=zipfile.ZIP_DEFLATED, start=b""):
    """Return the zip of these contents by name, with modes, in order, after that start."""
    buffer = io.BytesIO()
    buffer.write(start)
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for name, (content, mode) in files.items():
            info = zipfile.ZipInfo(name, TIME)
            info.external_attr, info.compress_type, info.create_system = mode << 16, method, 3
            archive.writestr(info, content, compresslevel=6)
    return buffer.getvalue()


def tree(directory):
    """Return contents and modes by name, without what the installer wrote about itself."""
    skipped = {"RECORD", "INSTALLER", "REQUESTED", ".lock"}
    files = {}
    for path in sorted(path for path in directory.rglob("*") if path.is_file()):
        name = path.relative_to(directory)
        if name.parts[0] != "bin" and "__pycache__" not in name.parts and path.name not in skipped:
            files[str(name)] = (path.read_bytes(), 0o755 if os.access(path, os.X_OK) else 0o644)
    return files


trees = {path.name: tree(path) for path in sorted(Path("build/pyz").iterdir())}
pythons = {name: files for name, files in trees.items() if name.startswith("cp")}
first = next(iter(pythons.values()))
common = {name: file for name, file in first.items() if all(files.get(name) == file for files in pythons.values())}
own = {"LICENSE": "LICENSE", "apps/apps.py": "apps.py", "micropie_bench.py": "micropie_bench.py"}
own = {name: (Path(source).read_bytes(), 0o644) for name, source in own.items()}
members = {"common.zip": zipped(common | own)}
for name, files in trees.items():
    members[f"{name}.zip"] = zipped({name: file for name, file in files.items() if common.get(name) != file})
wrk = {
    name: [dict(zip(("package", "version", "sha256"), line.split())) for line in files["wrk/packages"][0].decode().splitlines()]
    for name, files in trees.items()
    if name.startswith("wrk")
}
main = Path("build/__main__.py").read_text()
build = hashlib.sha256(b"".join(hashlib.sha256(x).digest() for x in [main.encode(), *members.values()])).hexdigest()[:16]
members["bundle.json"] = (json.dumps({"build": build, "pythons": list(pythons), **wrk}, indent=2) + "\n").encode()
main = main.replace("@BUILD@", build).replace("@INSIDE@", " ".join(pythons))
members = {"__main__.py": main.encode(), **members}
inside = {name: (content, 0o644) for name, content in members.items()}
archive = zipped(inside, zipfile.ZIP_STORED, b"#!/usr/bin/env python3\n")
output = Path(sys.argv[1])
part = output.with_suffix(".part")
part.write_bytes(archive)
part.chmod(0o755)
part.replace(output)
for name in sorted(trees):
    print(f"{len(members[f'{name}.zip']) / 1e6:6.1f} MB {name}")
print(f"{len(archive) / 1e6:6.1f} MB {output}\nsha256 {hashlib.sha256(archive).hexdigest()}")
ASSEMBLE
