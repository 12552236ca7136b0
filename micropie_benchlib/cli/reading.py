"""How pydantic reads what bench.toml writes otherwise than the command line; see bench_file.py."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

from micropie_benchlib.core.errors import UsageError

Reader = Callable[[Any, Path], Any]


class Reads:
    """Has pydantic check what a function makes of a value, with the directory of the file.

    pydantic's own BeforeValidator would have to be imported at each start.
    """

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
