"""Where this tool's own files lie, in a checkout and unpacked from the .pyz."""

import functools
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
BUNDLE = ROOT / "bundle.json"
BUNDLED = BUNDLE.exists()  # whether this runs from micropie_bench.pyz, unpacked
APPS = ROOT / "apps" if BUNDLED else ROOT  # where apps.py lies, without packages


@functools.cache
def packaged_text(package: str, name: str) -> str:
    import importlib.resources  # slow to import

    return importlib.resources.files(package).joinpath(name).read_text(encoding="utf-8")


def has_module(directory: Path, name: str) -> bool:
    return (directory / name).is_dir() or (directory / f"{name}.py").is_file()
