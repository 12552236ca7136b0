"""Values as typed on the command line, and how bench.toml may write them instead."""

import re
import shlex
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from micropie_benchlib.core.errors import UsageError
from micropie_benchlib.core.secrets import without_named_secrets
from micropie_benchlib.core.text import SECONDS_IN


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return a question that names the known word most like it; nothing if none is."""
    import difflib

    matches = difflib.get_close_matches(word, known, n=1)
    return f" (did you mean {matches[0]}?)" if matches else ""


def named_twice(name: str, first: str, second: str) -> str:
    example = without_named_secrets(f"'a={first}' 'b={second}'")
    return f"two targets have the name {name!r}: rename one, as in {example}"


def parse_seconds(option: str, text: str) -> float:
    match = re.fullmatch(r"(\d{1,6}(?:\.\d{1,3})?)(ms|s|m|h)?", text.strip())
    if not match:
        raise UsageError(f"{text!r}: use a time such as 0.3s, 500ms or 2m", option=option)
    return float(match[1]) * SECONDS_IN[match[2] or "s"]


def parse_rate(text: str) -> float:
    match = re.fullmatch(r"\d{1,7}(\.\d{1,3})?", text.strip())
    if not match or not float(text):
        raise UsageError(
            f"{text!r}: use requests/s such as 5000, or a share such as 70%", option="--rate"
        )
    return float(text)


def parse_share(option: str, text: str) -> float:
    match = re.fullmatch(r"(\d{1,3}(?:\.\d+)?)%", text.strip())
    if not match:
        raise UsageError(f"{text!r}: use a share such as 5%", option=option)
    return float(match[1]) / 100


# What bench.toml may write in another way.

Reader = Callable[[Any, Path], Any]


class Reads:
    """Lets pydantic check a value as `reader` returns it; BeforeValidator is slow to import."""

    def __init__(self, reader: Reader) -> None:
        self.reader = reader

    def __get_pydantic_core_schema__(self, source: Any, handler: Any) -> Any:
        from pydantic_core import core_schema

        def read(value: Any, info: Any) -> Any:
            try:
                return self.reader(value, info.context)
            except UsageError as error:
                raise ValueError(error.problem) from None

        return core_schema.with_info_before_validator_function(read, handler(source))


def beside_file(value: Any, directory: Path) -> Any:
    """Read the path of a file; `-` is standard output."""
    return str(directory / value) if isinstance(value, str) and value != "-" else value


def program(value: Any, directory: Path) -> Any:
    """Read a program: a path is from the directory, a name is left."""
    return str(directory / value) if isinstance(value, str) and "/" in value else value


def request_body(value: Any, directory: Path) -> Any:
    if isinstance(value, str) and value.startswith("@"):
        return f"@{directory / value[1:]}"
    return value


def comma_separated(value: Any, _: Path) -> Any:
    return ",".join(map(str, value)) if isinstance(value, list) else value


def one_or_more(value: Any, _: Path) -> Any:
    return [value] if isinstance(value, str) else value


def words(value: Any, _: Path) -> Any:
    return shlex.split(value) if isinstance(value, str) else value
