"""What is recorded about a target."""

import dataclasses
import os
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path

from micropie_benchlib.core.errors import BenchError
from micropie_benchlib.core.requests import Response
from micropie_benchlib.core.results import Results, TargetFacts, WorkerFacts
from micropie_benchlib.core.secrets import HIDDEN, NO_SECRETS, Secrets, has_secret_name
from micropie_benchlib.core.targets import StartedTarget, Target
from micropie_benchlib.serve.asgi import served_as
from micropie_benchlib.serve.servers import RunningServer
from micropie_benchlib.serve.versions import NO_VERSIONS


def facts_of(
    target: Target,
    server: RunningServer | None,
    responses: Mapping[str, Response],
    secrets: Secrets = NO_SECRETS,
) -> TargetFacts:
    versions = server.versions() if server else NO_VERSIONS
    worker = server.worker_facts() if server else None
    if worker:
        variables = {
            name: secrets.hide_whole_words(value) for name, value in worker.variables.items()
        }
        worker = dataclasses.replace(worker, variables=variables)
    settings = None
    served: Mapping[str, str] = {}
    if target.is_app and server and server.settings:
        host = secrets.hide_whole_words(server.settings.host)
        settings = dataclasses.replace(server.settings, host=host)
        served = served_as(settings, versions.packages, worker)
    root, source = None, None
    if isinstance(target, StartedTarget):
        root, source = target.repository and target.root, target.source
    if source:
        source = dataclasses.replace(source, ref=secrets.hide_whole_words(source.ref))
    command = server_command(server, secrets) if server else ""
    if root:  # a name of ours, and gone by the time that it is read
        command = command.replace(str(root), ".")
        worker = worker and within(root, worker)
    return TargetFacts(
        name=target.name,
        spec=secrets.hide_whole_words(target.spec),
        label=target.label,
        versions=versions.packages,
        server_command=command,
        responses=responses,
        server=settings,
        python=versions.python,
        scheme=target.scheme,
        served_as=served,
        worker=worker,
        source=source,
    )


def within(root: Path, worker: WorkerFacts) -> WorkerFacts:
    file = worker.module_file
    return dataclasses.replace(
        worker,
        directory=os.path.relpath(worker.directory, root),
        module_file=file and os.path.relpath(file, root),
    )


def server_command(server: RunningServer, secrets: Secrets) -> str:
    """Secrets are hidden before a shell's quotes change the words."""
    words = []
    for name, value in server.target.env:
        shown = HIDDEN if has_secret_name(name) else secrets.hide_whole_words(value)
        words.append(f"{name}={quoted(shown)}")
    words += map(quoted, secrets.hide_in_words(server.argv))
    return " ".join(words)


def quoted(word: str) -> str:
    return word if word == HIDDEN else shlex.quote(word)


def check_different_code(others: Sequence[TargetFacts], facts: TargetFacts) -> None:
    for other in others:
        if not other.worker or not facts.worker or not facts.worker.module_file:
            continue
        is_same_code = other.worker.module_file == facts.worker.module_file
        if is_same_code and other.worker.directory != facts.worker.directory:
            raise BenchError(
                f"{other.name} and {facts.name} run the same code: from {other.worker.directory} "
                f"and {facts.worker.directory} both import {facts.worker.module_file}"
            )


def with_facts(results: Results, facts: TargetFacts, names: Sequence[str]) -> Results:
    """Facts that say no more show how responses vary from launch to launch."""
    check_different_code(results.targets, facts)
    known = {each.name: each for each in results.targets}
    earlier = known.get(facts.name)
    if earlier is None or len(facts.responses) > len(earlier.responses):
        known[facts.name] = facts
    else:
        responses = {}
        for workload, response in earlier.responses.items():
            others = filter(None, [facts.responses.get(workload)])
            responses[workload] = response.beside(others)
        known[facts.name] = dataclasses.replace(earlier, responses=responses)
    in_order = [known[name] for name in names if name in known]
    return dataclasses.replace(results, targets=tuple(in_order))
