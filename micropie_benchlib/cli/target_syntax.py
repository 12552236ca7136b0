"""The syntax of targets as typed."""

from __future__ import annotations

import datetime
import re
import shlex
import shutil
from pathlib import Path
from typing import Any

from micropie_benchlib.cli.tables import TARGET_NAME
from micropie_benchlib.cli.text import did_you_mean
from micropie_benchlib.core.built_ins import BUILT_INS
from micropie_benchlib.core.errors import UsageError
from micropie_benchlib.core.secrets import without_url_secrets


def find_python(wanted: str | None) -> str:
    """Return the path of the Python asked for, empty if none is. Raises UsageError."""
    if not wanted:
        return ""
    path = shutil.which(wanted)
    if path:
        return str(Path(path).absolute())
    hint = ": there is no such program"
    if Path(wanted, "bin", "python").exists():
        hint = f" is a directory: use {Path(wanted, 'bin', 'python')}"
    raise UsageError(f"python {wanted!r}{hint}")


def split_target(text: str) -> tuple[str | None, str]:
    """Return the name, if there is one, and the spec of `[NAME=]SPEC`."""
    match = re.fullmatch(rf"(?:({TARGET_NAME})=)?(.+)", text, re.DOTALL)
    return (match[1], match[2]) if match else (None, text)


def spec_table(spec: str) -> dict[str, Any]:
    """Return what a spec says, by the keys of a target's table."""
    kind, _, rest = spec.partition(":")
    if kind == "cmd":
        return {"command": rest}
    return {"url" if is_url(spec) else "app": spec}


def is_url(spec: str) -> bool:
    """Return whether a spec is the URL of a server that somebody else runs."""
    return re.match(r"https?://", spec) is not None


def default_name(spec: str) -> str:
    """Return the name of a target that is given none. Raises UsageError."""
    kind, _, rest = spec.partition(":")
    if kind != "cmd":
        return without_url_secrets(spec)
    return Path(command_words(rest)[0]).name.replace("{python}", "python")


def command_words(command_line: str) -> list[str]:
    """Return the words of a command. Raises UsageError for one that would need a shell."""
    shown = f"'cmd:{command_line}'"
    try:
        words = shlex.split(command_line)
    except ValueError as error:
        raise UsageError(f"{shown}: {error}") from None
    if not words:
        raise UsageError("cmd: needs a command, as in 'cmd:server --port {port}'")
    if match := re.match(r"([A-Za-z_]\w*)=", words[0]):
        raise UsageError(
            f"{shown}: no shell reads this: leave {words[0]} out, "
            f"and use --set NAME.env.{match[1]}=VALUE, or env in bench.toml"
        )
    if words[0] == "cd":
        raise UsageError(
            f"{shown}: no shell reads this: leave cd out, "
            "and use --set NAME.directory=DIRECTORY, or directory in bench.toml"
        )
    for word in words:
        if re.fullmatch(r"&&?|\|\|?|[<>]{1,2}|\S*;", word):
            raise UsageError(f"{shown}: no shell reads {word!r}: use 'cmd:sh -c \"...\"'")
    return words


def parse_day(text: str) -> str | None:
    """Return the day, as 2025-06-03; None for another text. Raises UsageError."""
    if not re.fullmatch(r"\d{4}-\d\d-\d\d", text):
        return None
    try:
        day = datetime.date.fromisoformat(text)
    except ValueError as error:
        raise UsageError(f"{text}: {error}") from None
    if day > datetime.datetime.now(datetime.UTC).date():
        raise UsageError(f"{text} is in the future: use a day up to today")
    return text


def unknown_target(spec: str) -> UsageError:
    """Return that the spec is no target, and what was probably meant."""
    shown = f"unknown target {without_url_secrets(spec)!r}"
    if re.fullmatch(r"[\w.-]+:\d+(/\S*)?|\[[\da-f:]+\](:\d+)?(/\S*)?", spec):
        return UsageError(f"{shown}: a URL begins with http://, as in http://{spec}")
    path, _, attribute = spec.partition(":")
    if path.endswith(".py"):
        module = ".".join(Path(path).with_suffix("").parts)
        if path.startswith(("/", "..")):
            module = Path(path).stem
        meant = f"{module}:{attribute or 'app'}"
        return UsageError(f"{shown}: name the module, not its file, as in {meant}")
    return UsageError(
        f"{shown}{did_you_mean(spec, BUILT_INS)}: use {', '.join(BUILT_INS)}, "
        "one of these @VERSION or @DAY, module:attribute for an ASGI app in this directory, "
        "cmd:COMMAND, or http://HOST:PORT/"
    )
