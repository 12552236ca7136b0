"""Commands whose options come in groups, made into a Typer app."""

import dataclasses
import functools
import inspect
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Annotated, Any, get_type_hints

import typer
from typer.core import TyperCommand, TyperGroup

from micropie_benchlib.cli.examples import ABOUT, EXAMPLES, TOP_EXAMPLES
from micropie_benchlib.cli.text import Reader, Reads
from micropie_benchlib.core.errors import UsageError, problem_in

OTHER_OPTIONS = "Other options"


def write_options(subject: Any, context: typer.Context, formatter: Any) -> None:
    records: dict[str, list[tuple[str, str]]] = {}
    for parameter in subject.get_params(context):
        record = parameter.get_help_record(context)
        if record is None:
            continue
        name, text = record
        title = getattr(parameter, "rich_help_panel", None) or OTHER_OPTIONS
        # typer puts a default that we describe in brackets of its own
        text = re.sub(r"\[default: \((.*?)\)(?=[;\]])", r"[default: \1", text)
        if parameter.param_type_name == "argument":
            title, name = "Arguments", name.partition(" <")[0]  # without typer's type
        records.setdefault(title, []).append((name, text))
    for title in sorted(records, key=lambda title: title == OTHER_OPTIONS):  # these last
        with formatter.section(title):
            formatter.write_dl(records[title], col_max=26)


REQUEST_NAMES = ("path", "method", "header", "body")
ROUND_NAMES = ("duration", "rounds", "precision", "max_time")
# What an option of the command line overrides of a bench.toml: what its help says.
OVERRIDES: Mapping[str, Sequence[str]] = {
    "quick": (*ROUND_NAMES, "short", "gist"),
    "short": ("connections", *ROUND_NAMES, "quick", "gist"),
    "gist": ("connections", *ROUND_NAMES, "quick", "short"),
    "workload": REQUEST_NAMES,
    **dict.fromkeys(REQUEST_NAMES, ("workload",)),
}  # what bench.toml says of these does not count beside such an option
NEEDS = {"p99_limit": "rate"}  # what bench.toml says of it counts only with the other


OTHER_NAMES = {
    "duet": "paired",
    "no-duet": "no-paired",
    "p99": "p99-limit",  # older ones
    "runs": "rounds",
    "warmup": "warm-up",  # hyperfine's
}  # of options


def renamed(word: str) -> str:
    """Return the word of a command line with the name that its option has in the help."""
    name, sign, value = word.partition("=")
    known = OTHER_NAMES.get(name.removeprefix("--")) if name.startswith("--") else None
    return f"--{known}{sign}{value}" if known else word


def came_from(context: Any, name: str) -> str:
    """Return COMMANDLINE, DEFAULT_MAP or another."""
    source = context.get_parameter_source(name)
    return source.name if source else ""


class GroupedCommand(TyperCommand):
    """Its help has options in groups; the command line goes before bench.toml."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        try:
            return super().parse_args(ctx, args)
        except typer.BadParameter as error:
            if not error.param or not isinstance(error.__cause__, ValueError):
                raise
            (first, *_) = error.__cause__.errors()  # type: ignore[attr-defined]  # of pydantic
            said = f"{error.param.opts[-1]}: {problem_in(first, shows_value=True)}"
            if came_from(ctx, error.param.name or "") == "DEFAULT_MAP":
                said = f"{ctx.params['config']}: {said}"
            raise UsageError(said) from None

    def invoke(self, ctx: Any) -> Any:
        defaults = {parameter.name: parameter.default for parameter in self.params}
        in_vain: list[str] = []
        for name, overridden in OVERRIDES.items():
            if came_from(ctx, name) == "COMMANDLINE":
                in_vain += overridden
        for name, needed in NEEDS.items():
            if needed in defaults and not ctx.params[needed]:
                in_vain.append(name)
        for name in in_vain:
            if came_from(ctx, name) == "DEFAULT_MAP":
                ctx.params[name] = defaults[name]
        try:
            return super().invoke(ctx)
        except UsageError as error:
            for parameter in self.params:
                flags = (*parameter.opts, *parameter.secondary_opts)
                if error.option in flags and came_from(ctx, parameter.name) == "DEFAULT_MAP":
                    error.args = (f"{ctx.params['config']}: {error}",)
            raise

    def format_options(self, ctx: Any, formatter: Any) -> None:
        write_options(self, ctx, formatter)


class GroupedTop(TyperGroup):
    """The top command: its help has each command's line whole."""

    def format_options(self, ctx: Any, formatter: Any) -> None:
        rows = []
        for name in self.list_commands(ctx):
            subcommand = self.get_command(ctx, name)
            text = (subcommand.help if subcommand else None) or ""
            rows.append((name, text.partition("\n")[0]))
        with formatter.section("Commands"):
            formatter.write_dl(rows)
        write_options(self, ctx, formatter)


Command = Callable[..., int]


COMMANDS: dict[str, Command] = {}


def command(name: str) -> Callable[[Command], Command]:
    """A parameter that is a dataclass stands for a group of options, one for each field."""

    def decorate(function: Command) -> Command:
        COMMANDS[name] = function
        return function

    return decorate


@functools.cache
def command_line(top: Callable[..., None]) -> TyperGroup:
    """It is made only once it is needed; `top` is its top command."""
    app = typer.Typer(
        cls=GroupedTop,
        help=ABOUT,
        epilog=TOP_EXAMPLES,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback(invoke_without_command=True)(top)
    for name, function in COMMANDS.items():
        register = app.command(name=name, cls=GroupedCommand, epilog=EXAMPLES.get(name))
        register(with_groups_as_options(function))
    group = typer.main.get_command(app)
    assert isinstance(group, TyperGroup)  # noqa: S101  # as of all apps with a callback
    return group


def option(
    *names: str, default: Any = None, reads: Reader | None = None, **declaration: Any
) -> Any:
    """`reads` says how bench.toml writes it, where that is not as on the command line."""
    metadata = {"option": (typer.Option(*names, **declaration), Reads(reads) if reads else None)}
    return dataclasses.field(default=default, metadata=metadata)


def with_groups_as_options(function: Command) -> Command:
    hints = get_type_hints(function, include_extras=True)
    groups: dict[str, Any] = {}
    parameters: list[inspect.Parameter] = []
    for name, parameter in inspect.signature(function).parameters.items():
        if dataclasses.is_dataclass(hints[name]):
            groups[name] = hints[name]
            parameters += group_parameters(hints[name])
        else:
            parameters.append(
                parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY, annotation=hints[name])
            )

    @functools.wraps(function)
    def call(**values: Any) -> int:
        for name, group in groups.items():
            fields = {field.name: values.pop(field.name) for field in dataclasses.fields(group)}
            values[name] = group(**fields)
        return function(**values)

    signature = inspect.Signature(parameters)
    call.__signature__ = signature  # type: ignore[attr-defined]  # typer reads it
    return call


def group_parameters(group: Any) -> Iterator[inspect.Parameter]:
    """Yield a parameter for each field; in the help they stand under the group's PANEL."""
    hints = get_type_hints(group)
    for field in dataclasses.fields(group):
        declaration, reads = field.metadata["option"]
        declaration.rich_help_panel = group.PANEL
        yield inspect.Parameter(
            field.name,
            inspect.Parameter.KEYWORD_ONLY,
            default=field.default,
            annotation=Annotated[hints[field.name], declaration, reads],
        )
