"""Where this tool's own files lie, in a checkout and unpacked from the .pyz."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
BUNDLE = ROOT / "bundle.json"
BUNDLED = BUNDLE.exists()  # whether this runs from micropie_bench.pyz, unpacked
APPS = ROOT / "apps" if BUNDLED else ROOT  # where apps.py lies, without packages
