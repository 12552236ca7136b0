"""bench.toml and --set: read by pydantic, and made defaults of the options."""

import dataclasses
import functools
import inspect
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar

import typer

from micropie_benchlib.cli.commands import (
    COMMANDS,
    OTHER_NAMES,
    REQUEST_NAMES,
    Command,
    option,
    with_groups_as_options,
)
from micropie_benchlib.cli.requests import MAX_CONFIG_BYTES, read_whole
from micropie_benchlib.cli.tables import (
    NO_FILE,
    TABLE_CONFIG,
    BenchFile,
    TargetTable,
    WorkloadTable,
    without_variables,
)
from micropie_benchlib.cli.targets import default_name, spec_table, split_target
from micropie_benchlib.cli.text import Reads, did_you_mean, named_twice
from micropie_benchlib.core.errors import BenchError, UsageError, problem_in
from micropie_benchlib.core.requests import Workload
from micropie_benchlib.core.secrets import has_secret_name
from micropie_benchlib.core.values import Name


class Variables:
    def __init__(self, values: Sequence[str] = ()) -> None:
        self.values = list(values)

    def fill(self, value: Any, location: str) -> Any:
        """Return the value with each ${VARIABLE} in its texts replaced; $${VARIABLE} is a text.

        true and false become texts, too: else pydantic takes them for numbers.
        """
        if isinstance(value, dict):
            return {key: self.fill(each, f"{location}.{key}") for key, each in value.items()}
        if isinstance(value, list):
            return [self.fill(each, location) for each in value]
        if isinstance(value, bool):
            return str(value).lower()
        if not isinstance(value, str):
            return value
        if "\0" in value:
            raise UsageError(f"{location}: must not contain a NUL character")
        return re.sub(r"\$(\$?)\{(\w+)\}", functools.partial(self._value, location), value)

    def _value(self, location: str, match: re.Match[str]) -> str:
        escape, name = match.groups()
        if escape:
            return match[0][1:]
        if name not in os.environ:
            raise UsageError(
                f"{location}: environment variable {name} is not set: set it, "
                f"or write $${{{name}}} for the text itself"
            )
        self.values.append(os.environ[name])
        return os.environ[name]


def named_targets(targets: Any, _: Path) -> Any:
    """Return targets that are as on the command line, in a list or by name, as tables by name."""
    tables: dict[str, Any] = {}
    if isinstance(targets, dict):
        for name, value in targets.items():
            tables[name] = spec_table(value) if isinstance(value, str) else value
        return tables
    if not isinstance(targets, list):
        return targets
    for text in map(str, targets):
        given_name, spec = split_target(text)
        name = given_name or default_name(spec)
        if name in tables:
            raise ValueError(named_twice(name, tables[name].spec, spec))
        tables[name] = spec_table(spec)
    return tables


@functools.cache
def content_type() -> Any:
    """Return the type of all that bench.toml may have: options of commands, and tables."""
    from pydantic import create_model

    fields: dict[str, Any] = {}
    for command in ("bisect", "capacity", "compare"):
        function = with_groups_as_options(COMMANDS[command])
        for parameter in inspect.signature(function).parameters.values():
            fields[parameter.name] = parameter.annotation, None
    for name in ("config", "settings"):
        del fields[name]
    fields["targets"] = Annotated[dict[Name, TargetTable], Reads(named_targets)], {}
    fields["workloads"] = dict[Name, WorkloadTable], {}
    return create_model("Content", __config__=TABLE_CONFIG, **fields)  # type: ignore[call-overload]


def read_content(content: Mapping[str, Any], directory: Path) -> Any:
    from pydantic import ValidationError

    try:
        return content_type().model_validate(content, context=directory)
    except ValidationError as error:
        raise UsageError(plain_line(error.errors()[0])) from None


def plain_line(error: Mapping[str, Any]) -> str:
    """Return what is wrong, and where, of an error of pydantic's."""
    kind = error["type"]
    steps = []
    for step in error["loc"]:
        # pydantic's mark of a name, and positions in unions and lists, say nothing to a user
        if step != "[key]" and not isinstance(step, int):
            steps.append(step if step.isprintable() and step else repr(step))
    location = ".".join(steps)
    if kind in ("extra_forbidden", "unexpected_keyword_argument"):
        return f"{location}: unknown key{known_keys(*error['loc'])}"
    return f"{location}: {problem_in(error, shows_value=not has_secret_name(location))}"


def known_keys(*location: str) -> str:
    key = location[-1]
    options = content_type().model_fields
    tables = {"targets": TargetTable, "workloads": WorkloadTable}
    known = [*options]
    if len(location) > 1:
        if key in options:
            return " here: move it above the first [table]"
        known = [field.name for field in dataclasses.fields(tables[location[0]])]
    return did_you_mean(key, known) or f"; use {', '.join(known)}"


def take_defaults(context: typer.Context, file: str | None) -> str | None:
    if file is not None:
        context.default_map = dict(read_bench_file(file).options)
    return file


@functools.cache  # the command line asks for it first, then the command
def read_bench_file(file: str) -> BenchFile:
    """Raises UsageError, in one line with the location."""
    import tomllib

    content = read_whole(file, option="--config", most_bytes=MAX_CONFIG_BYTES)
    try:
        data = tomllib.loads(content.decode("utf-8"))
    except (ValueError, RecursionError) as error:  # not TOML, or not UTF-8
        raise UsageError(f"{file!r}: {error}", option="--config") from None
    variables = Variables()
    try:
        filled = {}
        for key, value in data.items():
            name = OTHER_NAMES[key].replace("-", "_") if key in OTHER_NAMES else key
            filled[name] = variables.fill(value, key)
        directory = Path(file).parent
        read = read_content(filled, directory)
        options = {name: getattr(read, name) for name in read.model_fields_set}
        for name in ("targets", "workloads"):
            options.pop(name, None)
        described = [name for name in REQUEST_NAMES if name in options]
        if read.workloads and described:
            raise UsageError(f"{described[0]}: leave it out: [workloads] has the requests")
        return BenchFile(
            directory=directory,
            targets=read.targets,
            workloads=tuple(file_workload(name, table) for name, table in read.workloads.items()),
            options=options,
            variables=tuple(variables.values),
        )
    except UsageError as error:
        raise UsageError(f"{file}: {without_variables(str(error), variables.values)}") from None


def file_workload(name: str, table: WorkloadTable) -> Workload:
    try:
        return table.workload(name)
    except UsageError as error:
        location = f"workloads.{name} {error.option.removeprefix('--')}".rstrip()
        raise UsageError(f"{location}: {error.problem}") from None


# NAME.KEY=VALUE, or NAME.env.VARIABLE=VALUE; a name may have dots in it.
SETTING = re.compile(r"(?:targets\.)?([^=]+?)\.(?:(env)\.|(?!env=))(\w+)=(.*)", re.DOTALL)


def parse_settings(texts: Sequence[str], variables: Variables) -> Mapping[str, TargetTable]:
    tables: dict[str, dict[str, Any]] = {}
    for text in texts:
        match = SETTING.fullmatch(text)
        if not match:
            shown = text.partition("=")[0]  # its value may be a secret
            raise UsageError(f"{shown}: use NAME.KEY=VALUE, as in mine.workers=1", option="--set")
        name, env, key, value = match.groups()
        table = tables.setdefault(name, {})
        if env:
            table = table.setdefault("env", {})
        table[key] = value
    try:
        filled = variables.fill(tables, "targets")
        settings: Mapping[str, TargetTable] = read_content({"targets": filled}, Path()).targets
    except UsageError as error:
        raise UsageError(without_variables(str(error), variables.values), option="--set") from None
    return settings


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfigOptions:
    """bench.toml, and --set."""

    PANEL: ClassVar = "Targets"

    config: str | None = option(
        metavar="FILE",
        help="Targets, workloads and options in TOML, such as bench.toml.",
        callback=take_defaults,
        is_eager=True,
    )
    settings: list[str] | None = option(
        "--set",
        metavar="NAME.KEY=VALUE",
        help="A setting of one target, such as mine.workers=1; repeatable.",
    )

    def read(self) -> BenchFile:
        file = NO_FILE if self.config is None else read_bench_file(self.config)
        if not self.settings:
            return file
        variables = Variables(file.variables)
        settings = parse_settings(self.settings, variables)
        return dataclasses.replace(file, settings=settings, variables=tuple(variables.values))


def hiding_variables(function: Command) -> Command:
    """Return the command so that no error of it has a value taken from the environment."""

    @functools.wraps(function)
    def call(*, config: ConfigOptions, **values: Any) -> int:
        try:
            return function(config=config, **values)
        except BenchError as error:
            error.args = (config.read().hide(str(error)),)
            raise

    return call
