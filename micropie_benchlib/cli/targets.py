"""All targets of a command, with the settings that each has of its own."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from micropie_benchlib.cli.options import ServingOptions
from micropie_benchlib.cli.tables import NO_FILE, SPEC_KEYS, BenchFile, TargetTable, check_spec
from micropie_benchlib.cli.target_specs import TargetSpec
from micropie_benchlib.cli.target_syntax import default_name, spec_table, split_target
from micropie_benchlib.cli.text import did_you_mean
from micropie_benchlib.core.errors import UsageError
from micropie_benchlib.core.targets import ServerSettings, Target


def parse_target(text: str, serving: ServingOptions | None = None) -> Target:
    """Return the target that `[NAME=]SPEC` names. Raises UsageError if there is none."""
    (target,) = parse_targets([text], serving or ServingOptions())
    return target


def parse_targets(
    texts: Sequence[str],
    serving: ServingOptions,
    *,
    server: ServerSettings | None = None,
    file: BenchFile = NO_FILE,
) -> tuple[Target, ...]:
    """Return the targets that the texts name, with the settings that each has of its own.

    All others are as `serving` and `server` say. Raises UsageError for what is no target,
    for a name or label used twice, and for settings of a target that is not among them.
    """
    server = server or serving.settings()
    targets: dict[str, Target] = {}
    for text in texts:
        try:
            spec = target_spec(text, serving, server=server, file=file)
            target = spec.target()
        except UsageError as error:
            raise UsageError(file.hide(str(error))) from None
        labels = [each.label for each in targets.values()]
        if target.name in targets or target.label in labels:
            raise UsageError(
                f"two targets are named {target.name!r}: name them apart, "
                f"as in 'a={target.spec}' 'b={target.spec}'"
            )
        targets[target.name] = dataclasses.replace(target, spec=file.hide(target.spec))
    for name in file.settings:
        if name not in targets:
            raise UsageError(
                f"--set {name}: no target has that name{did_you_mean(name, targets)}: "
                f"there are {', '.join(targets)}"
            )
    return tuple(targets.values())


def target_spec(
    text: str, serving: ServingOptions, *, server: ServerSettings, file: BenchFile
) -> TargetSpec:
    """Return what is asked for by `[NAME=]SPEC`, or by the name of a table of the file.

    --set goes before the command line's target, and that before the file.
    """
    if text in file.targets:
        name, table, directory = text, file.targets[text], file.directory
    else:
        given_name, spec = split_target(text)
        name = given_name or file.hide(default_name(spec))
        table = merged(file.targets.get(name, {}), spec_table(spec))
        directory = Path()
    table = merged(table, file.settings.get(name, {}))
    check_spec(table, f"--set {name}")
    return TargetSpec(
        name=name,
        table=TargetTable(**table),
        directory=directory,
        server=server,
        python=serving.python,
    )


def merged(table: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Return the table of a target with the changes, which may make it another target."""
    result = dict(table)
    if any(key in changes for key in SPEC_KEYS):
        for key in SPEC_KEYS:
            result.pop(key, None)
    result.update(changes)
    if "env" in table and "env" in changes:
        result["env"] = {**table["env"], **changes["env"]}
    return result


def compared_targets(
    texts: Sequence[str] | None, serving: ServingOptions, *, server: ServerSettings, file: BenchFile
) -> tuple[Target, ...]:
    """Return the targets asked for, or those of the file, or the gist's. Raises UsageError."""
    wanted = texts or [*file.targets] or ["fastapi", "micropie"]
    return parse_targets(wanted, serving, server=server, file=file)
