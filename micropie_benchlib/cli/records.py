"""What is recorded of the command and its plan."""

import dataclasses
import datetime
import hashlib
import shlex
import sys
from pathlib import Path
from typing import Any

from micropie_benchlib.core.plan import Plan
from micropie_benchlib.core.results import Results, Settings, WorkloadFacts
from micropie_benchlib.core.secrets import NO_SECRETS, Secrets


def new_results(*, secrets: Secrets = NO_SECRETS, **facts: Any) -> Results:
    """Return results of this moment and this command, without its secrets, and with the facts."""
    created = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    words = secrets.hide_in_words(sys.argv[1:])
    command_line = shlex.join([Path(sys.argv[0]).name, *words])
    shown = command_line.encode(errors="backslashreplace").decode()
    return Results(created=created, command=shown, **facts)


def settings_of(plan: Plan) -> Settings:
    secrets = plan.secrets
    workloads = {load.workload.name: load.workload for load in plan.loads}
    facts = [
        WorkloadFacts(
            name=workload.name,
            method=workload.method,
            path=secrets.hide_whole_words(workload.path),
            headers=secrets.hide_in_headers(workload.headers),
            body_sha256=hashlib.sha256(workload.body).hexdigest(),
            expect_status=workload.expect_status,
            keep_alive=workload.keep_alive,
            timeout_s=workload.timeout_s,
        )
        for workload in workloads.values()
    ]
    connections = dict.fromkeys(load.connections for load in plan.loads)
    return Settings(
        server=dataclasses.replace(plan.server, host=secrets.hide_whole_words(plan.server.host)),
        workloads=tuple(facts),
        connections=tuple(connections),
        threads=plan.threads,
        duration_s=plan.loads[0].duration_s,
        rounds=plan.rounds,
        paired=plan.paired,
        warm_up_s=plan.warm_up_s,
        metric=plan.metric,
        precision=plan.precision,
        first_rounds=plan.rounds if plan.precision else None,
        rate_per_s=None if plan.rate_share else plan.loads[0].rate_per_s,
        rate_share=plan.rate_share,
        p99_limit_s=plan.p99_limit_s,
    )
