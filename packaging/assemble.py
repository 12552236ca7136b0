"""Assembles micropie_bench.pyz; build_pyz.sh gathers what goes into it.

python packaging/assemble.py TREES OUTPUT

In TREES is a directory of packages for each Python and platform (cp311-linux-x86_64),
and one of wrk for each platform that has it (wrk-linux-x86_64).

Python reads a zip's whole directory at each start, so OUTPUT has few members, stored:

__main__.py                packaging/launcher.py, with BUILD and INSIDE filled in
trusted_cache.py           files of micropie_benchlib that the launcher needs
temporary_files.py         before that is unpacked: COPIED
micropie_benchlib/programs/cleanup.py
common.zip                 this tool, and the files that all Pythons share
cp311-linux-x86_64.zip     for each directory of TREES: its other files
bundle.json                what is inside

The same files make the same OUTPUT, byte for byte.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import re
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
OWN = {
    "LICENSE": "LICENSE",
    "apps/apps.py": "apps.py",
    "micropie_bench.py": "micropie_bench.py",
}  # from a name in common.zip to one in the checkout
PACKAGE = "micropie_benchlib"  # all of it, under the same names
COPIED = {
    "trusted_cache.py": "micropie_benchlib/system/cache.py",
    "temporary_files.py": "micropie_benchlib/system/temporary.py",
    "micropie_benchlib/programs/cleanup.py": "micropie_benchlib/programs/cleanup.py",
}  # from a member to the file in the checkout that it is
SHEBANG = b"#!/usr/bin/env python3\n"
EARLIEST = (1980, 1, 1, 0, 0, 0)  # of the times that a zip can hold
# What rich needs for what this tool does not do: code in colours, and Markdown.
UNUSED = re.compile(r"(pygments|markdown_it(_py)?|mdurl)(-[\d.]+\.dist-info)?$")
# For type checkers, Cython and Windows: what no Python here opens.
UNUSED_SUFFIXES = {".exe", ".pxd", ".pxi", ".pyi", ".pyx"}
WRITTEN_BY_INSTALLER = {"RECORD", "INSTALLER", "REQUESTED", ".lock"}


@dataclass(frozen=True, slots=True, kw_only=True)
class File:
    """A file to pack: what is in it, and its permissions."""

    content: bytes
    mode: int = 0o644


Files = dict[str, File]  # by relative path, in the order they are packed


def main() -> None:
    """Assemble OUTPUT from TREES, and print what it consists of."""
    if len(sys.argv) != 3:
        sys.exit("usage: python packaging/assemble.py TREES OUTPUT")
    output = Path(sys.argv[2])
    members = assembled(Path(sys.argv[1]), ROOT)
    archive = zipped(members, zipfile.ZIP_STORED, SHEBANG)
    write_program(output, archive)
    for name, member in members.items():
        if name.endswith(".zip") and name != "common.zip":
            print(f"{megabytes(member.content)} {name.removesuffix('.zip')}")
    print(f"{megabytes(archive)} {output}")
    print(f"sha256 {hashlib.sha256(archive).hexdigest()}")


def assembled(trees: Path, checkout: Path) -> Files:
    """Return the members of the .pyz."""
    launcher = (checkout / "packaging/launcher.py").read_text(encoding="utf-8")
    files_by_tree = {}
    for directory in sorted(trees.iterdir()):
        files_by_tree[directory.name] = installed_files(directory)
    pythons = [name for name in files_by_tree if name.startswith("cp")]
    if not pythons:
        sys.exit(f"assemble: {trees} has no directory of packages, such as cp311-...")
    common = common_files([files_by_tree[name] for name in pythons])
    members = {}
    for name, source in COPIED.items():
        members[name] = File(content=(checkout / source).read_bytes())
    members["common.zip"] = inner_zip(common | own_files(checkout))
    for name, files in files_by_tree.items():
        own = {path: file for path, file in files.items() if common.get(path) != file}
        members[f"{name}.zip"] = inner_zip(own)
    build = build_name(launcher, members)
    bundle: dict[str, object] = {"build": build, "pythons": pythons}
    for name, files in files_by_tree.items():
        if name.startswith("wrk"):
            bundle[name] = debian_packages(files["wrk/packages"].content.decode())
    members["bundle.json"] = File(content=f"{json.dumps(bundle, indent=2)}\n".encode())
    launcher = launcher.replace("@BUILD@", build)
    launcher = launcher.replace("@INSIDE@", " ".join(pythons))
    return {"__main__.py": File(content=launcher.encode()), **members}


# --- what goes into it ---------------------------------------------------------------


def installed_files(directory: Path) -> Files:
    """Return the directory's files that are used.

    That is without commands, bytecode, the installer's records, and UNUSED packages and
    suffixes.
    """
    files = {}
    for path in sorted(directory.rglob("*")):
        name = path.relative_to(directory)
        if name.parts[0] == "bin" or "__pycache__" in name.parts or not path.is_file():
            continue
        if UNUSED.match(name.parts[0]) or path.suffix in UNUSED_SUFFIXES:
            continue
        if path.name in WRITTEN_BY_INSTALLER:
            continue
        mode = 0o755 if os.access(path, os.X_OK) else 0o644
        files[str(name)] = File(content=path.read_bytes(), mode=mode)
    return files


def own_files(checkout: Path) -> Files:
    files = {}
    for name, source in OWN.items():
        files[name] = File(content=(checkout / source).read_bytes())
    for path in sorted((checkout / PACKAGE).rglob("*")):
        if path.is_file() and "__pycache__" not in path.parts:
            files[str(path.relative_to(checkout))] = File(content=path.read_bytes())
    return files


def common_files(trees: list[Files]) -> Files:
    """Return the files that are in each of the trees, and the same there."""
    common = dict(trees[0])
    for files in trees[1:]:
        for name in list(common):
            if files.get(name) != common[name]:
                del common[name]
    return common


def debian_packages(listing: str) -> list[dict[str, str]]:
    packages = []
    for line in listing.splitlines():
        package, version, sha256 = line.split()
        packages.append({"package": package, "version": version, "sha256": sha256})
    return packages


def build_name(launcher: str, members: Files) -> str:
    """Return a name that differs if the launcher, or any of the members, does."""
    every = hashlib.sha256(hashlib.sha256(launcher.encode()).digest())
    for member in members.values():
        every.update(hashlib.sha256(member.content).digest())
    return every.hexdigest()[:16]


# --- zips ----------------------------------------------------------------------------


def inner_zip(files: Files) -> File:
    return File(content=zipped(files, zipfile.ZIP_DEFLATED))


def zipped(files: Files, compression: int, start: bytes = b"") -> bytes:
    """Return the zip of the files, in order and with their modes, after the start."""
    buffer = io.BytesIO()
    buffer.write(start)
    with zipfile.ZipFile(buffer, "w", compression) as archive:
        for name, file in files.items():
            info = zipfile.ZipInfo(name, EARLIEST)
            info.create_system = 3  # Unix, whose modes follow
            info.external_attr = file.mode << 16
            info.compress_type = compression
            archive.writestr(info, file.content, compresslevel=6)
    return buffer.getvalue()


def write_program(output: Path, content: bytes) -> None:
    """Write the program, so that the output is either whole or as it was before."""
    part = output.with_suffix(".part")
    part.write_bytes(content)
    part.chmod(0o755)
    part.replace(output)


def megabytes(content: bytes) -> str:
    """Return the size of the content in megabytes, as text for a column."""
    return f"{len(content) / 1e6:6.1f} MB"


if __name__ == "__main__":
    main()
