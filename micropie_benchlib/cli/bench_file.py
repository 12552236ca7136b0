"""bench.toml and --set: read, checked, and made defaults of the options."""

from __future__ import annotations

import dataclasses
import functools
import re
import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar, get_args

import typer

from micropie_benchlib.cli.commands import OLD_NAMES, REQUEST_NAMES, Command, group_parameters
from micropie_benchlib.cli.load_options import (
    LoadOptions,
    RateOptions,
    RequestOptions,
    TimingOptions,
)
from micropie_benchlib.cli.options import (
    ExportOptions,
    GateOptions,
    GistOption,
    PlaceOptions,
    PortOption,
    QuickOption,
    RemoteOption,
    ServingOptions,
    ShortOption,
    StrictOption,
    VerboseOption,
    WrkOption,
)
from micropie_benchlib.cli.requests import MAX_CONFIG_BYTES, read_whole
from micropie_benchlib.cli.tables import (
    MAX_SHOWN,
    NO_FILE,
    TABLE_CONFIG,
    BenchFile,
    TargetTable,
    WorkloadTable,
    check_spec,
)
from micropie_benchlib.cli.target_syntax import default_name, spec_table, split_target
from micropie_benchlib.cli.text import did_you_mean
from micropie_benchlib.cli.variables import VARIABLE_NAME, Variables
from micropie_benchlib.core.errors import BenchError, HopelessError, UsageError
from micropie_benchlib.core.requests import Workload

PATH_OPTIONS = (
    "baseline",
    "ssh_config",
    *(field.name for field in dataclasses.fields(ExportOptions)),
)
PROGRAM_OPTIONS = ("python", "wrk")


# Groups of options, and options by name, that may stand in bench.toml; as `compare` has them.
FILE_OPTIONS: tuple[Any, ...] = (
    *(LoadOptions, RateOptions, TimingOptions),
    {"quick": QuickOption, "short": ShortOption, "gist": GistOption},
    *(RequestOptions, ServingOptions),
    {"port": PortOption, "strict": StrictOption},
    PlaceOptions,
    {"wrk": WrkOption, "allow_remote": RemoteOption},
    *(GateOptions, ExportOptions),
    {"verbose": VerboseOption},
)


def validated(kind: Any, value: Any, place: str) -> Any:
    """Return the value as one of that kind. Raises UsageError, in one line with the place."""
    from pydantic import TypeAdapter, ValidationError

    config = None if dataclasses.is_dataclass(kind) else TABLE_CONFIG
    try:
        read = TypeAdapter(kind, config=config).validate_python(value)  # type: ignore[arg-type]
    except ValidationError as error:
        first = error.errors()[0]
    else:
        check_booleans(value, read, place)
        return read
    steps = [place, *(str(step) for step in first["loc"] if not isinstance(step, int))]
    steps = [step for step in steps if step != "nullable"]  # pydantic's, of what may be None
    if first["type"] == "unexpected_keyword_argument":
        known = [field.name for field in dataclasses.fields(kind)]
        raise unknown_key(".".join(steps), known)
    wanted = first["msg"].replace("Input should be", "use").replace("dictionary", "table")
    shown = repr(first["input"])
    if len(shown) > MAX_SHOWN:  # whole or not at all: a part of a secret would not be known
        raise UsageError(f"{'.'.join(steps)}: {wanted}")
    raise UsageError(f"{'.'.join(steps)} is {shown}: {wanted}")


def check_booleans(value: Any, read: Any, place: str) -> None:
    """Raise UsageError where true or false was read as a number, as pydantic does."""
    if isinstance(value, bool) and read is not value:
        raise UsageError(f"{place} is {str(value).lower()}: use a number")
    if dataclasses.is_dataclass(read):
        for key, each in value.items():
            check_booleans(each, getattr(read, key), f"{place}.{key}")


def unknown_key(place: str, known: Sequence[str]) -> UsageError:
    """Return that there is no such key at the place, whose last part it is."""
    key = place.rpartition(".")[2]
    where = did_you_mean(key, known)
    if key in file_options():
        where = " here: it belongs above the first [table]"
    return UsageError(f"{place}: unknown key{where or '; use ' + ', '.join(known)}")


def file_options() -> dict[str, Any]:
    """Return the type of each option that bench.toml may have, by its name there."""
    annotations: dict[str, Any] = {}
    for each in FILE_OPTIONS:
        if isinstance(each, dict):
            annotations |= each
        else:
            annotations |= {option.name: option.annotation for option in group_parameters(each)}
    return {name: get_args(annotation)[0] for name, annotation in annotations.items()}


def take_defaults(context: typer.Context, file: str | None) -> str | None:
    """Let the file's options be the defaults of the command line's."""
    if file is not None:
        context.default_map = dict(read_bench_file(file).options)
    return file


@functools.cache  # the command line asks for it first, then the command
def read_bench_file(file: str) -> BenchFile:
    """Return what the file says. Raises UsageError, in one line with the place."""
    import tomllib

    try:
        content = read_whole(file, f"--config {file!r}", most_bytes=MAX_CONFIG_BYTES)
        data = tomllib.loads(content.decode("utf-8"))
    except (ValueError, RecursionError) as error:  # not TOML, or not UTF-8
        raise UsageError(f"--config {file!r}: {error}") from None
    variables = Variables()
    try:
        filled = {key: variables.fill(value, key) for key, value in data.items()}
        return bench_file(filled, directory=Path(file).parent, variables=variables.values)
    except UsageError as error:
        raise UsageError(f"{file}: {variables.hide(str(error))}") from None


def bench_file(
    content: Mapping[str, Any], *, directory: Path, variables: Sequence[str]
) -> BenchFile:
    """Return what the content of a file in the directory says. Raises UsageError."""
    content = dict(content)
    targets = content.pop("targets", {})
    workloads = content.pop("workloads", {})
    types = file_options()
    options = {}
    for key, value in content.items():
        name = OLD_NAMES.get(key, key)
        if name not in types:
            raise unknown_key(name, [*types, "targets", "workloads"])
        options[name] = file_option(name, value, types[name], directory)
    described = [name for name in REQUEST_NAMES if name in options]
    if workloads and described:
        raise UsageError(f"{described[0]}: leave it out, for [workloads] has the requests")
    return BenchFile(
        directory=directory,
        targets=target_tables(targets, directory),
        workloads=tuple(file_workloads(workloads, directory)),
        options=options,
        variables=tuple(dict.fromkeys(variables)),
    )


def file_option(name: str, value: Any, kind: Any, directory: Path) -> Any:
    """Return an option of the file as the command line has it. Raises UsageError."""
    if name == "connections" and isinstance(value, list):
        value = ",".join(map(str, value))
    if name == "rate" and isinstance(value, int | float) and not isinstance(value, bool):
        value = str(value)
    if kind == list[str] | None and isinstance(value, str):
        value = [value]
    value = validated(kind, value, name)
    if not isinstance(value, str):
        return value
    if name in PATH_OPTIONS and value != "-":
        return str(directory / value)
    if name in PROGRAM_OPTIONS:
        return program_path(value, directory)
    if name == "body" and value.startswith("@"):
        return f"@{directory / value[1:]}"
    return str(value)


def program_path(text: str, directory: Path) -> str:
    """Return a program as seen from here: a path is from the directory, a name is left."""
    return str(directory / text) if "/" in text else text


def target_tables(targets: Any, directory: Path) -> dict[str, Mapping[str, Any]]:
    """Return what a file says of its targets, by name. Raises UsageError.

    They are tables, or each is as on the command line.
    """
    if isinstance(targets, list):
        targets = named_targets(validated(list[str], targets, "targets"))
    tables: dict[str, Mapping[str, Any]] = {}
    for name, value in validated(dict[str, Any], targets, "targets").items():
        place = checked_place("targets", name)
        table = spec_table(value) if isinstance(value, str) else value
        given = target_table(validated(dict[str, Any], table, place), place)
        check_spec(given, place)
        if "python" in given:
            given["python"] = program_path(given["python"], directory)
        if "directory" in given:
            given["directory"] = str(directory / given["directory"])
        tables[name] = given
    return tables


def named_targets(texts: Iterable[str]) -> dict[str, str]:
    """Return the specs of targets as on the command line, by name. Raises UsageError."""
    specs: dict[str, str] = {}
    for text in texts:
        name, spec = split_target(text)
        name = name or default_name(spec)
        if name in specs:
            raise UsageError(f"targets: two are named {name!r}: name them apart, as 'a={spec}'")
        specs[name] = spec
    return specs


def checked_place(table: str, name: str) -> str:
    """Return where the table of that name stands. Raises UsageError for what is no name."""
    if not name or not name.isprintable():
        raise UsageError(f"{table}.{name!r}: a name consists of characters that can be printed")
    return f"{table}.{name}"


def target_table(table: Mapping[str, Any], place: str) -> dict[str, Any]:
    """Return what the table of a target sets, by key. Raises UsageError."""
    table = dict(table)
    if isinstance(table.get("arguments"), str):
        try:
            table["arguments"] = shlex.split(table["arguments"])
        except ValueError as error:
            raise UsageError(f"{place}.arguments: {error}") from None
    read: TargetTable = validated(TargetTable, table, place)
    for name in read.env or {}:
        if not re.fullmatch(VARIABLE_NAME, name):
            raise UsageError(f"{place}.env.{name}: a variable's name has letters, digits and _")
    return read.given


def file_workloads(workloads: Any, directory: Path) -> Iterator[Workload]:
    """Yield the file's workloads. Raises UsageError."""
    for name, table in validated(dict[str, Any], workloads, "workloads").items():
        place = checked_place("workloads", name)
        read: WorkloadTable = validated(WorkloadTable, table, place)
        try:
            yield read.workload(name, directory=directory)
        except UsageError as error:
            raise UsageError(f"{place}: {error}") from None


def parse_settings(texts: Iterable[str], variables: Variables) -> dict[str, dict[str, Any]]:
    """Return what --set says: a table for each target, by name. Raises UsageError."""
    keys = [field.name for field in dataclasses.fields(TargetTable) if field.name != "env"]
    setting = re.compile(
        rf"(?:targets\.)?(.+?)\.({'|'.join(keys)}|env\.{VARIABLE_NAME})=(.*)", re.S
    )
    tables: dict[str, dict[str, Any]] = {}
    for text in texts:
        match = setting.fullmatch(text)
        if not match:
            shown = text.partition("=")[0]  # its value may be a secret
            raise UsageError(
                f"--set {shown}: use NAME.KEY=VALUE, as in mine.workers=1; KEY is one of "
                f"{', '.join(keys)}, env.VARIABLE"
            )
        name, key, value = match.groups()
        value = variables.fill(value, f"--set {name}.{key}")
        table = tables.setdefault(name, {})
        if key.startswith("env."):
            table.setdefault("env", {})[key.removeprefix("env.")] = value
        else:
            table.update(target_table({key: value}, f"--set {name}"))
    return tables


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfigOptions:
    """Where targets have settings of their own."""

    PANEL: ClassVar = "Targets"

    config: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            help="Targets, workloads and options in TOML, such as bench.toml.",
            callback=take_defaults,
            is_eager=True,
        ),
    ] = None
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="NAME.KEY=VALUE",
            help="A setting of one target, such as mine.workers=1; repeatable.",
        ),
    ] = None

    def read(self) -> BenchFile:
        """Return what the file and --set say; nothing if there is none. Raises UsageError."""
        file = NO_FILE if self.config is None else read_bench_file(self.config)
        variables = Variables(file.variables)
        try:
            settings = parse_settings(self.settings or (), variables)
        except UsageError as error:
            raise UsageError(variables.hide(str(error))) from None
        return dataclasses.replace(file, settings=settings, variables=tuple(variables.values))


def hiding_variables(function: Command) -> Command:
    """Return the command so that no error of it has a value taken from the environment."""

    @functools.wraps(function)
    def call(*, config: ConfigOptions, **values: Any) -> int:
        try:
            return function(config=config, **values)
        except HopelessError:  # its reasons are without them
            raise
        except BenchError as error:
            message = config.read().hide(str(error))
            if message == str(error):
                raise
            raise type(error)(message) from None

    return call
