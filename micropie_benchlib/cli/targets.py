"""The syntax of targets as typed, and the targets that it means."""

from __future__ import annotations

import dataclasses
import datetime
import itertools
import re
import shlex
import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from micropie_benchlib.cli.options import ServingOptions
from micropie_benchlib.cli.tables import (
    AT_COMMIT,
    NO_FILE,
    SERVER_SETTINGS,
    SPEC_KEYS,
    BenchFile,
    TargetTable,
)
from micropie_benchlib.cli.terminal import say
from micropie_benchlib.cli.text import did_you_mean, named_twice
from micropie_benchlib.core.built_ins import BUILT_INS, BuiltIn
from micropie_benchlib.core.choices import AsgiServer
from micropie_benchlib.core.errors import UsageError
from micropie_benchlib.core.paths import APPS, BUNDLED, ROOT
from micropie_benchlib.core.secrets import without_named_secrets, without_url_secrets
from micropie_benchlib.core.targets import (
    AsgiTarget,
    CommandTarget,
    ServerSettings,
    Source,
    Target,
    UrlTarget,
)
from micropie_benchlib.serve.addresses import split_url
from micropie_benchlib.serve.asgi import ASGI_SERVERS
from micropie_benchlib.serve.commits import in_src
from micropie_benchlib.serve.versions import package_versions
from micropie_benchlib.system.git import find_commit

# The syntax of `[NAME=]SPEC`.


def split_target(text: str) -> tuple[str | None, str]:
    """Return the name, if there is one, and the spec."""
    match = re.fullmatch(r"(?:([\w.@-]+)=)?(.+)", text, re.DOTALL)
    return (match[1], match[2]) if match else (None, text)


def spec_table(spec: str) -> TargetTable:
    if spec.startswith("cmd:"):
        return TargetTable(command=spec.removeprefix("cmd:"))
    if is_url(spec):
        return TargetTable(url=spec)
    app, at_commit, ref = spec.partition(AT_COMMIT)
    return TargetTable(app=app, git=ref if at_commit else None)


def is_url(spec: str) -> bool:
    return re.match(r"https?://", spec) is not None


def default_name(spec: str) -> str:
    kind, _, rest = spec.partition(":")
    if kind != "cmd":
        return spec_table(spec).git or without_url_secrets(spec)
    return Path(command_words(rest)[0]).name.replace("{python}", "python")


def command_words(command_line: str) -> list[str]:
    """Return the words of a command. Raises UsageError for one that would need a shell."""
    shown = f"'cmd:{without_named_secrets(command_line)}'"
    try:
        words = shlex.split(command_line)
    except ValueError as error:
        raise UsageError(f"{shown}: {error}") from None
    if not words:
        raise UsageError("cmd: needs a command, as in 'cmd:server --port {port}'")
    remedy = ""
    if match := re.match(r"([A-Za-z_]\w*)=", words[0]):
        remedy = f"--set NAME.env.{match[1]}=VALUE, or env in bench.toml"
    elif words[0] == "cd":
        remedy = "--set NAME.directory=DIRECTORY, or directory in bench.toml"
    if remedy:
        raise UsageError(f"{shown}: no shell runs this: leave {words[0]} out, and use {remedy}")
    for word in words:
        if re.fullmatch(r"&&?|\|\|?|[<>]{1,2}|\S*;", word):
            raise UsageError(f"{shown}: {word!r} needs a shell: use 'cmd:sh -c \"...\"'")
    return words


def is_day(text: str) -> bool:
    """Return whether the text is a day, as 2025-06-03. Raises UsageError for one that is not."""
    if not re.fullmatch(r"\d{4}-\d\d-\d\d", text):
        return False
    try:
        day = datetime.date.fromisoformat(text)
    except ValueError as error:
        raise UsageError(f"{text}: {error}") from None
    if day > datetime.datetime.now(datetime.UTC).date():
        raise UsageError(f"{text} is in the future: use a day up to today")
    return True


def unknown_target(spec: str, tables: Iterable[str] = ()) -> UsageError:
    """`tables` are the names of a file's targets."""
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
    if spec.isidentifier() and Path(f"{spec}.py").exists():
        return UsageError(f"{shown}: name the app in the module, as in {spec}:app")
    names = [*tables, *BUILT_INS]
    return UsageError(
        f"{shown}{did_you_mean(spec, names)}: use {', '.join(names)}, "
        "one of these @VERSION or @DAY, module:attribute for an ASGI app in this directory, "
        "cmd:COMMAND, or http://HOST:PORT/"
    )


def find_python(wanted: str | None) -> str:
    """Return the path of the Python asked for, empty if none is. Raises UsageError."""
    if not wanted:
        return ""
    path = shutil.which(wanted)
    if path:
        return str(Path(path).absolute())
    hint = ": no such program"
    if Path(wanted, "bin", "python").exists():
        hint = f" is a directory: use {Path(wanted, 'bin', 'python')}"
    raise UsageError(f"python {wanted!r}{hint}")


# Targets with the settings that each has of its own.

DECIDED_ARGUMENT = re.compile(
    r"--(host|port|bind|uds|fd|workers|reload|app-dir|interface|loop|worker-class"
    r"|(no-)?access-log(file)?|(no-)?proxy-headers)(=|$)|-[bwk]"
)
KEYS_WITHOUT_MEANING: Mapping[str, Sequence[str]] = {
    "an ASGI app": (),
    "a built-in": ("scheme", "directory", "git"),
    "a command": ("server", "arguments", "access_log", "loop", "http", "proxy_headers"),
    "a URL": [field.name for field in dataclasses.fields(TargetTable) if field.name != "url"],
}


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetSpec:
    """A target as asked for, and what decides how it is served.

    `table` has what it sets itself, `server` what all do. Without a directory of its own it
    runs in `directory`, and without a Python apps of the user's by `python`. The file has
    `tables` of targets.
    """

    name: str
    table: TargetTable
    directory: Path
    server: ServerSettings
    python: str | None
    tables: tuple[str, ...] = ()

    def target(self) -> Target:
        table = self.table
        if sum(key in table.given for key in SPEC_KEYS) != 1:
            raise UsageError(f"targets.{self.name}: a target needs one of app, command and url")
        if table.command is not None:
            return self._command_target(table.command)
        if table.url is not None:
            return self._url_target(table.url)
        app = table.app or ""
        built_in = app.partition("@")[0]
        if built_in in BUILT_INS:
            return self._built_in_target(built_in)
        if not re.fullmatch(r"[^\W\d][\w.]*:[^\W\d][\w.]*", app) or ".py:" in app:
            raise unknown_target(table.spec, self.tables)
        target = AsgiTarget(
            app=app,
            label=self._label,
            arguments=self._arguments(),
            **self._surroundings(),
            **self._common("an ASGI app"),
        )
        return target if target.source else in_src(target, say)

    def _check_keys(self, kind: str) -> None:
        """Raise UsageError for what has no meaning for a target of that kind."""
        for key in KEYS_WITHOUT_MEANING[kind]:
            if key in self.table.given:
                raise UsageError(f"{self.name}.{key} does not apply to {kind}: leave it out")

    @property
    def _label(self) -> str:
        """The name; that of a built-in in its own capitals, as others beside it have them."""
        return BUILT_INS[self.name].label if self.name in BUILT_INS else self.name

    def _common(self, kind: str) -> dict[str, Any]:
        """Return what all targets that are started have. Raises UsageError."""
        self._check_keys(kind)
        return {
            "name": self.name,
            "spec": without_named_secrets(self.table.spec),
            "env": tuple(self.table.variables.items()),
            "prepare": self.table.prepare or "",
            "server": self.table.server_settings(self.server),
        }

    def _surroundings(self) -> dict[str, Any]:
        """Return where and how what is the user's own runs. Raises UsageError."""
        directory = Path(self.table.directory or self.directory).absolute()
        if not directory.is_dir():
            raise UsageError(f"{self.name}.directory: there is no directory {str(directory)!r}")
        ref, source = self.table.git, None
        if ref is not None:
            source = Source(commit=find_commit(directory, ref), ref=ref)
        return {
            "directory": directory,
            "source": source,
            "python": find_python(self.table.python or self.python),
            "scheme": self.table.scheme or "http",
        }

    def _arguments(self) -> tuple[str, ...]:
        """Return what its server gets besides. Raises UsageError for what the tool decides."""
        arguments = self.table.arguments or ()
        for argument in arguments:
            if DECIDED_ARGUMENT.match(argument):
                raise UsageError(
                    f"{self.name}.arguments: leave out {argument}, which this tool sets; "
                    f"{', '.join(SERVER_SETTINGS)} have their own keys"
                )
        return arguments

    def _url_target(self, url: str) -> UrlTarget:
        if not is_url(url):
            raise UsageError(f"{url!r}: a URL begins with http:// or https://")
        self._check_keys("a URL")
        split_url(url)  # raises UsageError
        return UrlTarget(name=self.name, label=self._label, spec=without_url_secrets(url), url=url)

    def _command_target(self, command_line: str) -> CommandTarget:
        texts = [*command_words(command_line), *self.table.variables.values()]
        if not any("{port}" in text for text in texts):
            shown = without_named_secrets(self.table.spec)
            raise UsageError(
                f"{shown!r}: a command needs {{port}} where its port goes, "
                "as in 'cmd:server --port {port}'; of a server that already runs give the URL"
            )
        if self.table.workers and not any("{workers}" in text for text in texts):
            raise UsageError(f"{self.name}.workers: the command has no {{workers}} placeholder")
        return CommandTarget(
            label=self._label,
            command=command_line,
            **self._surroundings(),
            **self._common("a command"),
        )

    def _built_in_target(self, key: str) -> AsgiTarget:
        """Return a built-in; raise UsageError if it is neither here nor to be fetched."""
        self._check_keys("a built-in")
        built_in = BUILT_INS[key]
        version = self._release(key)
        if "PYTHONPATH" in self.table.variables:
            raise UsageError(
                f"{self.name}.env.PYTHONPATH does not apply to a built-in: leave it out"
            )
        label = f"{built_in.label} {version}" if version else built_in.label
        python = find_python(self.table.python)
        target = AsgiTarget(
            label=label if self.name == self.table.spec else self._label,
            app=f"apps:{key}",
            directory=APPS,
            python=python,
            arguments=self._arguments(),
            packages=built_in.packages,
            package_dir=ROOT if BUNDLED and not version and not python else None,
            is_built_in=True,
            **self._common("a built-in"),
        )
        asgi = (target.server or self.server).asgi
        if is_day(version):
            requirements = (*built_in.packages[:1], *ASGI_SERVERS[asgi].packages)
            return dataclasses.replace(target, requirements=requirements, as_of=version)
        if version:
            requirements = self._requirements(built_in, version, asgi)
            return dataclasses.replace(target, requirements=requirements)
        self._require_installed(target, asgi)
        return target

    def _release(self, key: str) -> str:
        """Return the version of a built-in that is asked for, or the day; empty if none is.

        Raises UsageError for what is neither.
        """
        spec = self.table.spec
        if spec == key:
            return ""
        release = spec.removeprefix(f"{key}@")
        if not is_day(release) and not re.fullmatch(r"\d[\w.!+]*", release):
            raise UsageError(
                f"unknown target {spec!r}: a version is like {key}@0.32, a day like "
                f"{key}@2025-06-03"
            )
        if self.table.python:
            raise UsageError(f"{self.name}.python: a fetched version runs on this tool's Python")
        return release

    def _require_installed(self, target: AsgiTarget, asgi: AsgiServer) -> None:
        for package in [*target.packages[:1], asgi]:
            if package_versions([package], python=target.python):
                continue
            if target.python:
                raise UsageError(
                    f"{self.name}: {package} is not installed there: "
                    f"{target.python} -m pip install {package}"
                )
            release = f"{target.spec if package == asgi else package}@VERSION"
            raise UsageError(
                f"{package} is not installed here: install it, or use {release} to fetch it"
            )

    def _requirements(self, built_in: BuiltIn, version: str, asgi: AsgiServer) -> tuple[str, ...]:
        spec = self.table.spec
        if not built_in.packages:
            key = spec.partition("@")[0]
            raise UsageError(f"{spec!r}: {key} is built into this tool and has no versions")
        uvicorn, chosen = ASGI_SERVERS[AsgiServer.UVICORN], ASGI_SERVERS[asgi]
        versions = package_versions([*uvicorn.packages, *chosen.packages])
        requirements = [f"{built_in.packages[0]}=={version}"]
        requirements += [f"{name}=={pinned}" for name, pinned in versions.items()]
        if asgi not in versions:
            requirements.append(asgi)
        return tuple(requirements)


def parse_target(text: str, serving: ServingOptions | None = None) -> Target:
    """Return the target that `[NAME=]SPEC` names. Raises UsageError if there is none."""
    (target,) = parse_targets([text], serving or ServingOptions())
    return target


class NamedTable(NamedTuple):
    name: str
    table: TargetTable
    directory: Path


def named_table(text: str, file: BenchFile) -> NamedTable:
    if text in file.targets:
        name, table, directory = text, file.targets[text], file.directory
    else:
        given_name, spec = split_target(text)
        name = given_name or file.hide(default_name(spec))
        table = file.targets.get(name, TargetTable()).changed_by(spec_table(spec))
        directory = Path()
    table = table.changed_by(file.settings.get(name, TargetTable()))
    return NamedTable(name, table, directory)


WORKING_TREE = "working tree"


def at_both_commits(git: str, asked: Sequence[NamedTable], file: BenchFile) -> list[NamedTable]:
    """Return the one target that is asked for as two, named by their commits."""
    before, dots, after = git.partition("..")
    if dots and (not before or not after or after.startswith(".")):
        raise UsageError(f"{git!r}: use A..B, or A to compare it with your files", option="--git")
    if before == after:
        raise UsageError(f"{git!r}: both are one commit, with nothing to compare", option="--git")
    if len(asked) != 1:
        raise UsageError("compares one target at two commits: name it", option="--git")
    (target,) = asked
    if target.table.spec.partition("@")[0] in BUILT_INS:
        reason = f"{target.table.spec} is built in: use an app of yours, such as app:app"
        raise UsageError(reason, option="--git")
    sides = []
    for ref in (before, after or None):
        name = file.hide(ref) if ref else WORKING_TREE
        table = dataclasses.replace(target.table, git=ref)
        table = table.changed_by(file.settings.get(name, TargetTable()))
        sides.append(NamedTable(name, table, target.directory))
    return sides


def parse_targets(
    texts: Sequence[str],
    serving: ServingOptions,
    *,
    server: ServerSettings | None = None,
    file: BenchFile = NO_FILE,
    git: str | None = None,
) -> tuple[Target, ...]:
    """Return the targets that the texts name, with the settings that each has of its own.

    All others are as `serving` and `server` say. A text is `[NAME=]SPEC`, or the name of a table
    of the file. --set goes before the command line's target, and that before the file. With
    `git`, A..B or A, a target is meant at both commits, or at A and as it is. Raises UsageError
    for what is no target, for a name or label used twice, and for settings of a target that is
    not among them.
    """
    server = server or serving.settings()
    asked = [named_table(text, file) for text in texts]
    names = {each.name for each in asked}  # that --set may use
    if git is not None:
        asked = at_both_commits(git, asked, file)
    targets: dict[str, Target] = {}
    for name, table, directory in asked:
        target = TargetSpec(
            name=name,
            table=table,
            directory=directory,
            server=server,
            python=serving.python,
            tables=tuple(file.targets),
        ).target()
        for other in targets.values():
            if target.name == other.name or target.label == other.label:
                shared = target.name if target.name == other.name else target.label
                raise UsageError(named_twice(shared, other.spec, target.spec))
        targets[target.name] = dataclasses.replace(target, spec=file.hide(target.spec))
    for name in file.settings:
        if name not in targets and name not in names:
            raise UsageError(
                f"{name}: no target has that name{did_you_mean(name, targets)}: "
                f"there are {', '.join(targets)}",
                option="--set",
            )
    return tuple(targets.values())


def warn_of_twins(targets: Sequence[Target]) -> None:
    for first, second in itertools.combinations(targets, 2):
        if dataclasses.replace(first, name=second.name, label=second.label) == second:
            say(
                f"warning: {first.name} and {second.name} are one target: all differences are noise"
            )


def compared_targets(
    texts: Sequence[str] | None,
    serving: ServingOptions,
    *,
    server: ServerSettings,
    file: BenchFile,
    reference: str | None = None,
    git: str | None = None,
) -> tuple[Target, ...]:
    """Return the targets asked for, or those of the file, or the gist's; the reference first.

    Raises UsageError.
    """
    wanted = texts or [*file.targets] or ["fastapi", "micropie"]
    targets = parse_targets(wanted, serving, server=server, file=file, git=git)
    warn_of_twins(targets)
    names = [target.name for target in targets]
    if reference is None:
        return targets
    if reference not in names:
        raise UsageError(
            f"{reference!r}: no target has that name{did_you_mean(reference, names)}: "
            f"use {', '.join(names)}",
            option="--reference",
        )
    return tuple(sorted(targets, key=lambda target: target.name != reference))
