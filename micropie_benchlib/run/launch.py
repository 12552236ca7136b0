"""One launch: its servers while they run, its trials, and what failed."""

import contextlib
import dataclasses
import itertools
import time
from collections.abc import Iterator, Mapping, Sequence
from http import HTTPStatus

from micropie_benchlib.core.choices import Limit
from micropie_benchlib.core.errors import BenchError, CannotGoOnError, Reason
from micropie_benchlib.core.loads import Load, LoadId, rate_problem
from micropie_benchlib.core.measurements import Capacity, Measurement
from micropie_benchlib.core.plan import Launch, Trial
from micropie_benchlib.core.requests import WORKLOADS, Response, Workload, redirect_advice
from micropie_benchlib.core.results import TargetFacts
from micropie_benchlib.core.targets import Target
from micropie_benchlib.core.warnings import BenchWarning, Kind
from micropie_benchlib.load.readings import Observation
from micropie_benchlib.run.actions import Actions, Step
from micropie_benchlib.run.capacity import Bisection
from micropie_benchlib.run.facts import facts_of
from micropie_benchlib.run.observed import MAY_COUNT, core_use, warnings_in, wrong_load
from micropie_benchlib.run.schedule import start_estimate_s
from micropie_benchlib.serve.servers import RunningServer
from micropie_benchlib.stats.equal_work import changed_responses
from micropie_benchlib.stats.search import are_enough, over_limit
from micropie_benchlib.stats.validity import ResponseSizes, changes_on_connection, too_slow
from micropie_benchlib.system.children import TRIAL_ERRORS, reason_of

MIN_PROBES = 5  # requests of one kind, before any load
MAX_PROBES = 30  # where the responses' sizes vary
PROBES_S = 1.0  # for all of these, except the first two


def failure(error: str) -> BenchWarning:
    return BenchWarning.of(Kind.FAILED, error=error)


def why_invalid(
    name: str,
    failures: Mapping[str, BenchWarning | None],
    reason: BenchWarning | None,
    *,
    is_measured: bool,
) -> list[BenchWarning]:
    """Return why a target's trial is invalid; the failure of its partner is told of that one.

    `failures` are those of each target, `reason` is that of the trial.
    """
    own = failures[name]
    failed = [each for each, error in failures.items() if error]
    if failed and not own and not is_measured:
        return [BenchWarning.of(Kind.PARTNER_FAILED, partner=failed[0])]
    return list(filter(None, [reason, own if own != reason else None]))


class LaunchRun:
    def __init__(self, launch: Launch, actions: Actions) -> None:
        self._launch = launch
        self._actions = actions
        load_by_workload: dict[str, Load] = {}
        for trial in launch.trials:
            load_by_workload.setdefault(trial.load.workload.name, trial.load)
        self._first_loads = load_by_workload.values()
        self._servers: dict[str, RunningServer] = {}
        self._broken: dict[str, BenchWarning] = {}  # reasons, by target
        self._logs: dict[str, list[str]] = {}  # of servers that failed to start, likewise
        self._failed: dict[tuple[str, str], BenchWarning] = {}  # by target and workload
        self._odd_warm_ups: dict[str, BenchWarning] = {}  # by target
        self._responses: dict[tuple[str, str], list[Response]] = {}  # before any load, likewise
        self._changed: dict[str, Reason] = {}  # since the baseline, by target
        self._secrets = actions.secrets

    def start(self, stack: contextlib.ExitStack) -> None:
        """Start all servers at once: of two that start in turn, the second has the better luck."""
        self._announce(self._launch.targets, None, start_estimate_s(self._launch))
        for target in self._launch.targets:
            with self._taking_failures(target.name):
                self._actions.prepare(target)
        for target in self._launch.targets:
            if target.name not in self._broken:
                with self._taking_failures(target.name):
                    server = stack.enter_context(self._actions.start(target))
                    self._servers[target.name] = server
        for name, server in self._servers.items():
            with self._taking_failures(name):
                server.await_workers(tick=self._actions.tick)
            if name in self._broken:
                self._logs[name] = server.log_excerpt()

    @contextlib.contextmanager
    def _taking_failures(self, name: str) -> Iterator[None]:
        try:
            yield
        except TRIAL_ERRORS as error:
            self._broken[name] = failure(reason_of(error))

    def ask_each_workload(self, target: Target) -> TargetFacts:
        """Ask it, and note for which workloads it failed.

        A response other than 2xx, none in time, or one that changes as its connection is used,
        is a failure.
        """
        responses: dict[str, Response] = {}
        for load in self._first_loads:
            if target.name in self._broken:
                break
            workload = load.workload
            connections: list[tuple[Response, ...]] = []
            found: BenchWarning | None
            try:
                for answered in self._ask_repeatedly(target, workload):
                    connections.append(answered)
                    headers = self._secrets.hide_in_headers(answered[0].headers)
                    shown = dataclasses.replace(answered[0], headers=headers)
                    responses.setdefault(workload.name, shown)
                    self._check_statuses(target, workload, answered)
                    self._check_closing(target, workload, answered[0])
            except TRIAL_ERRORS as error:
                found = failure(reason_of(error))
                server = self._servers[target.name]
                if server.lost_workers():
                    self._logs[target.name] = server.log_excerpt()
            else:
                found = changes_on_connection(target.name, load, connections)
            before = list(itertools.chain(*connections))
            self._responses[target.name, workload.name] = before
            if not found and before:
                found = too_slow(target.name, load, before)
            if found:
                self._failed[target.name, workload.name] = found
        order = [*WORKLOADS, *responses]
        in_order = {}
        for name in sorted(responses, key=order.index):
            before = self._responses[target.name, name]
            in_order[name] = responses[name].beside(before)
        running = self._servers.get(target.name)
        facts = facts_of(target, running, in_order, self._secrets)
        self._compare_with_baseline(facts)
        return facts

    def _compare_with_baseline(self, facts: TargetFacts) -> None:
        before = self._actions.baseline.get(facts.name, facts)
        changes = changed_responses(before, facts)
        if not changes:
            return
        body_by_request = {}
        for change in changes:
            request = change.words["request"]
            excerpt = facts.responses[request].excerpt
            body_by_request[request] = self._secrets.hide(excerpt)
        warnings = (*changes, BenchWarning.of(Kind.ACCEPT_CHANGES))
        log = tuple(filter(None, body_by_request.values()))
        self._changed[facts.name] = Reason(warnings=warnings, log=log)

    def _ask_repeatedly(self, target: Target, workload: Workload) -> Iterator[tuple[Response, ...]]:
        """Yield responses on some connections, which show whether their size varies by nature."""
        start = time.monotonic()
        sizes: set[int] = set()
        for number in range(MAX_PROBES):
            is_enough = number >= MIN_PROBES and len(sizes) == 1
            is_late = number >= 2 and time.monotonic() - start > PROBES_S
            if is_enough or is_late:
                break
            answered = self._actions.ask(self._servers[target.name], workload)
            sizes.update(response.bytes for response in answered)
            yield answered

    def _change_since(
        self, target: Target, load: Load, sizes: ResponseSizes
    ) -> BenchWarning | None:
        workload = load.workload
        try:
            answered = self._actions.ask(self._servers[target.name], workload)
            self._check_statuses(target, workload, answered)
        except TRIAL_ERRORS as error:
            return BenchWarning.of(Kind.FAILED_AFTER_LOAD, error=str(error))
        took_s = max(response.took_s for response in answered)
        limit_s = workload.timeout_s
        if took_s > limit_s:
            return BenchWarning.of(Kind.LATE_AFTER_LOAD, took_s=took_s, timeout_s=limit_s)
        for response in answered:
            if not sizes.is_like(response):
                return BenchWarning.of(
                    Kind.SIZE_AFTER_LOAD,
                    bytes=response.bytes,
                    checked_bytes_min=sizes.least,
                    checked_bytes_max=sizes.most,
                )
        before = self._responses[target.name, workload.name]
        bodies = {each.body_sha256 for each in before}
        if len(bodies) == 1 and bodies != {each.body_sha256 for each in answered}:
            return BenchWarning.of(Kind.BODY_AFTER_LOAD)
        return None

    def _check_closing(self, target: Target, workload: Workload, response: Response) -> None:
        if not workload.keep_alive and not response.says_close:
            raise BenchError(
                f"{target.name} keeps its connection open when asked to close it "
                "(--no-keep-alive): use --keep-alive"
            )

    def _check_statuses(
        self, target: Target, workload: Workload, answered: Sequence[Response]
    ) -> None:
        for number, response in enumerate(answered, 1):
            if not workload.expects(response.status):
                raise BenchError(self._complaint(target, workload, response, number))

    def _complaint(
        self, target: Target, workload: Workload, response: Response, number: int
    ) -> str:
        server = self._servers[target.name]
        url = server.url(workload.path)
        path = url.split("/", 3)[3]
        complaint = f"{target.name}: {workload.method} /{path} returned {response.status}"
        if number > 1:
            complaint += f" as response {number} of a connection"
        if workload.expect_status:
            complaint += f", not {workload.expect_status} as expected"
        elif response.status == HTTPStatus.NOT_FOUND:
            complaint += " (use --path for one that it has, or --expect-status 404)"
        complaint += redirect_advice(url, response)
        if response.excerpt:
            complaint += f": {response.excerpt}"
        if response.status >= 500 and server.complaint():
            complaint += f"; its last error line: {server.complaint()}"
        return complaint

    def warm_up(self) -> None:
        for load in self._first_loads:
            names = []
            for target in self._launch.targets:
                if not self._failure(target.name, load.workload):
                    names.append(target.name)
            if names:
                self._warm_up(names, load)

    def _warm_up(self, names: Sequence[str], load: Load) -> None:
        """Warm them up together; if that fails, each alone, to see which of them fails."""
        try:
            self._actions.warm_up([self._servers[name] for name in names], load)
        except TRIAL_ERRORS as error:
            if len(names) == 1:
                self._failed[names[0], load.workload.name] = failure(reason_of(error))
                return
            for name in names:
                odd = BenchWarning.of(Kind.WARM_UP_FAILED, error=reason_of(error))
                self._odd_warm_ups[name] = odd
                self._warm_up([name], load)

    def unmeasurable(self) -> list[Reason]:
        hide = self._secrets.hide_whole_words
        reasons = []
        for target in self._launch.targets:
            name = target.name
            failures = [self._failure(name, load.workload) for load in self._first_loads]
            reason = failures[0]
            if reason and all(failures):
                error = reason.words.get("error", name)
                if name not in error:
                    reason = failure(f"{name}: {error}")
                shown = reason.without(self._secrets)
                log = tuple(map(hide, self._logs.get(name, [])))
                reasons.append(Reason(warnings=(shown,), log=log))
            elif name in self._changed:
                reasons.append(self._changed[name])
        return reasons

    def _failure(self, name: str, workload: Workload) -> BenchWarning | None:
        return self._broken.get(name) or self._failed.get((name, workload.name))

    def measure(self, trial: Trial) -> Iterator[Measurement]:
        """If only one target of a paired trial fails under load, the other is valid."""
        self._announce(trial.targets, trial.load.id, trial.load.duration_s)
        names = [target.name for target in trial.targets]
        observations: list[Observation] = []
        cores = None
        reason = None
        failures = {name: self._failure(name, trial.load.workload) for name in names}
        if not any(failures.values()):
            servers = [self._servers[name] for name in names]
            try:
                observations = self._actions.load(servers, trial.load)
                cores = core_use(observations, trial.load, self._workers(trial))
                reason = wrong_load(observations, trial.load, cores)
            except TRIAL_ERRORS as error:
                reason = failure(reason_of(error))
            for name, server in zip(names, servers, strict=True):
                lost = server.lost_workers()
                failures[name] = failure(lost) if lost else None
        for position, target in enumerate(trial.targets):
            yield self._measurement(
                trial,
                target,
                observations[position] if observations else None,
                invalid=why_invalid(target.name, failures, reason, is_measured=bool(observations)),
                limited_by=cores.limited_by if cores else None,
            )

    def _announce(self, targets: tuple[Target, ...], load: LoadId | None, seconds: float) -> None:
        number = self._launch.round
        step = Step(targets=targets, load=load, round=number, seconds=seconds)
        self._actions.announce(step)

    def _workers(self, trial: Trial) -> int | None:
        count = 0
        for target in trial.targets:
            settings = self._servers[target.name].settings
            if not target.is_app or not settings:
                return None
            count += settings.workers
        return count

    def _measurement(
        self,
        trial: Trial,
        target: Target,
        seen: Observation | None,
        *,
        invalid: list[BenchWarning],
        limited_by: Limit | None,
    ) -> Measurement:
        load, name = trial.load, target.name
        partners = [each.name for each in trial.targets if each.name != name]
        warnings: list[BenchWarning] = []
        if name in self._odd_warm_ups:
            warnings.append(self._odd_warm_ups[name])
        if name not in self._broken:
            warnings += self._servers[name].warnings
        if seen:
            sizes = ResponseSizes.of(self._responses[name, load.workload.name])
            change = self._change_since(target, load, sizes)
            found = [*warnings_in(trial, seen, sizes), change]
            for warning in filter(None, found):
                if warning.kind in MAY_COUNT:
                    warnings.append(warning)
                else:
                    invalid.append(warning)
        return Measurement(
            round=self._launch.round,
            method=trial.method,
            target=name,
            partner=partners[0] if partners else None,
            load=load.id,
            threads=load.wrk_threads,
            wrk=seen.wrk if seen else None,
            use=seen.use if seen else None,
            limited_by=limited_by,
            connections_opened=seen.connections_opened if seen else None,
            report=self._secrets.hide(seen.report) if seen else "",
            warnings=tuple(warning.without(self._secrets) for warning in warnings),
            invalid=tuple(warning.without(self._secrets) for warning in invalid),
        )

    def search(self, trial: Trial, limit_s: float) -> Iterator[Measurement | Capacity]:
        """Yield a trial as fast as it goes, others at rates, and the capacity."""
        (target,), load = trial.targets, trial.load
        (fastest,) = self.measure(trial)
        yield fastest
        bounds = Bisection(fastest.requests_per_s or 0.0, load)
        bounds.reasons = fastest.invalid
        interruption: BaseException | None = None
        while not bounds.is_over:
            rate_per_s = bounds.next_per_s()
            step = dataclasses.replace(load, rate_per_s=rate_per_s)
            problem = rate_problem(step)
            if problem:
                bounds.reasons = (failure(problem),)
                break
            trials: list[Measurement] = []
            try:
                while not trials or not are_enough(trials):
                    seed = load.schedule_seed + round(rate_per_s) + len(trials)
                    seeded = dataclasses.replace(step, schedule_seed=seed)
                    (measurement,) = self.measure(dataclasses.replace(trial, load=seeded))
                    over = over_limit(measurement, limit_s)
                    trials.append(dataclasses.replace(measurement, over_limit=over))
            except (KeyboardInterrupt, CannotGoOnError) as error:
                interruption, bounds.reasons = error, bounds.reached
            yield from trials
            if not interruption:
                bounds.take(trials, rate_per_s)
        yield Capacity(
            round=self._launch.round,
            target=target.name,
            load=load.id,
            p99_limit_s=limit_s,
            rate_per_s=None if bounds.reasons else bounds.middle_per_s,
            reasons=bounds.reasons,
        )
        if interruption:
            raise interruption
