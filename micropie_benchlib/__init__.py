"""The rooms that micropie_bench is made of; the script names them in order."""

from __future__ import annotations

__version__ = "0.1.0"
