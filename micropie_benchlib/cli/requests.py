"""Paths, methods, headers and bodies as typed."""

import contextlib
import json
import re
import sys
from collections.abc import Iterable
from pathlib import Path

from micropie_benchlib.core.errors import UsageError
from micropie_benchlib.core.requests import Workload, header_value
from micropie_benchlib.core.secrets import HIDDEN
from micropie_benchlib.core.values import Headers

RESERVED_HEADERS = ("connection", "content-length", "expect", "transfer-encoding", "upgrade")


def make_workload(
    *, name: str = "", method: str | None, path: str, headers: Iterable[str], body: bytes
) -> Workload:
    sent = parse_headers(headers)
    if is_json(body) and header_value(sent, "Content-Type") is None:
        sent = (*sent, ("Content-Type", "application/json"))
    method = parse_method(method, default="POST" if body else "GET")
    return Workload(name=name, method=method, path=parse_path(path), headers=sent, body=body)


def parse_path(text: str) -> str:
    if not re.fullmatch(r"/[!\"$-~]*", text):
        raise UsageError(
            f"{text!r}: a path must start with / and have only ASCII characters, no space or #",
            option="--path",
        )
    return text


def parse_method(text: str | None, *, default: str) -> str:
    method = default if text is None else text.upper()
    if not re.fullmatch(r"(?!HEAD$|CONNECT$)[A-Z]{1,20}", method):
        raise UsageError(
            f"{text!r}: use a method such as GET or POST; "
            "wrk cannot read responses to HEAD or CONNECT",
            option="--method",
        )
    return method


def parse_headers(texts: Iterable[str]) -> Headers:
    """Raises UsageError for a header that wrk sets, or two alike."""
    headers: dict[str, tuple[str, str]] = {}
    for text in texts:
        match = re.fullmatch(r"([!#$%&'*+.^_`|~\w-]+):[ \t]*([ -~]*)", text, re.ASCII)
        name = match[1].lower() if match else ""
        if not match or name in headers or name in RESERVED_HEADERS:
            before, colon, _ = text.partition(":")
            # All of it may be a secret.
            shown = repr(f"{before}: {HIDDEN}") if colon else f"{HIDDEN!r} has no colon"
            raise UsageError(
                f"{shown}: use 'Name: value', one line of ASCII; each name once; "
                f"not allowed: {', '.join(RESERVED_HEADERS)}",
                option="--header",
            )
        headers[name] = (match[1], match[2].strip())
    return tuple(headers.values())


MAX_BODY_BYTES = 64 << 20
MAX_CONFIG_BYTES = 1 << 20


def read_body(text: str | None) -> bytes:
    if text is None:
        return b""
    if text == "-":
        return sys.stdin.buffer.read()
    if not text.startswith("@"):
        if is_file(text):
            raise UsageError(
                f"{text!r} is a file: to send its content, use @{text}", option="--body"
            )
        return text.encode("utf-8", errors="surrogateescape")
    return read_whole(text[1:], option="--body", most_bytes=MAX_BODY_BYTES)


def read_whole(file: str, *, option: str, most_bytes: int) -> bytes:
    try:
        with Path(file).open("rb") as opened:
            content = opened.read(most_bytes + 1)
    except OSError as error:
        raise UsageError(f"{file!r}: {error.strerror}", option=option) from None
    if len(content) > most_bytes:
        raise UsageError(f"{file!r}: it has more than {most_bytes >> 20} MiB", option=option)
    return content


def is_file(text: str) -> bool:
    with contextlib.suppress(OSError, ValueError):  # no name of a file at all
        return Path(text).is_file()
    return False


def is_json(body: bytes) -> bool:
    try:
        return isinstance(json.loads(body), dict | list)
    except (ValueError, RecursionError):
        return False
