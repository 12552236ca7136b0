"""What to do about the last words of an ASGI server."""

from __future__ import annotations

import re
import sys
from typing import NamedTuple

from micropie_benchlib.core.choices import AsgiServer
from micropie_benchlib.core.targets import AsgiTarget


class Hint(NamedTuple):
    """What to do where a server's last words match the pattern.

    The advice has {app}, {directory}, {python} and the pattern's groups, {0} and so on, to be
    filled in.
    """

    pattern: str
    advice: str


HINTS = (
    Hint(
        r"TypeError: .*(required positional argument: 'start_response'"
        r"|takes 2 positional arguments but 3 were given|takes 3 .* but 4 were given)",
        "it seems to be a WSGI app: serve it as 'cmd:gunicorn -w {{workers}} -b {{host}}:{{port}} "
        "{app}', or wrap it with a2wsgi",
    ),
    Hint(
        r".*(Could not import|module not found|ModuleNotFoundError: No module named)",
        "modules are looked for in {directory} and in the packages of {python}",
    ),
    Hint(
        rf".*No module named ({'|'.join(AsgiServer)})$", "install it: {python} -m pip install {0}"
    ),
)


def advice_on(words: str, target: AsgiTarget) -> str:
    """Return what to do about an ASGI server's last words, if that is known."""
    for hint in HINTS:
        match = re.match(hint.pattern, words)
        if match:
            python = target.python or sys.executable
            filled = hint.advice.format(
                *match.groups(), app=target.app, directory=target.directory, python=python
            )
            return f" ({filled})"
    return ""
