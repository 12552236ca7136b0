"""Lists the distributions of the Python that runs it, started by its path.

Without -I and -S: a server in that Python has its site-packages and PYTHONPATH, too. It
prints JSON: the Python's version, and each distribution's, by its name in lower case.
"""

from __future__ import annotations

import contextlib
import importlib.metadata
import json
import platform
import sys
from typing import Any


def main() -> None:
    versions: dict[str, str] = {}
    for distribution in importlib.metadata.distributions():
        with contextlib.suppress(OSError):  # newer Pythons raise it where there is no METADATA
            fields: Any = distribution.metadata or {}
            name, version = fields.get("Name"), fields.get("Version")
            if name and version:
                versions.setdefault(name.lower(), version)  # the first is imported
    json.dump([platform.python_version(), versions], sys.stdout)


if __name__ == "__main__":
    main()
