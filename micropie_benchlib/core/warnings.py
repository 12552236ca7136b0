"""What a reader should know of a figure: kinds of warnings, and data; report/ has the words."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum, auto

from micropie_benchlib.core.secrets import Secrets


class Kind(StrEnum):
    """What happened, in a word; report/warnings.toml has the sentence."""

    UNKNOWN = auto()  # one that only a later version has

    # Of the machines and the run.
    MACHINE = auto()
    ONE_MACHINE = auto()
    INTERRUPTED = auto()
    ENDED = auto()
    UNFINISHED = auto()
    # A target or trial failed; the error is told in words.
    FAILED = auto()
    FAILED_AFTER_LOAD = auto()
    PARTNER_FAILED = auto()  # of a paired trial, which so was none
    TOO_SLOW = auto()
    CHANGES_ON_CONNECTION = auto()
    WARM_UP_FAILED = auto()
    LIFESPAN_FAILED = auto()
    # What wrk counted.
    CONNECT_ERRORS = auto()
    READ_ERRORS = auto()
    WRITE_ERRORS = auto()
    TIMEOUTS = auto()
    STATUS_ERRORS = auto()
    SUCCESSES = auto()  # where errors are expected
    FEW_REQUESTS = auto()
    NO_LATENCY = auto()
    CONTRADICTION = auto()
    CORRECTED_LATENCY = auto()
    UNREAD_REPORT = auto()
    # The load was another than the one asked for.
    OTHER_DURATION = auto()
    SUSPENDED = auto()  # at a rate
    SATURATED = auto()
    SATURATED_FOREIGN = auto()  # of a server whose use is not known
    LINK_FULL = auto()
    CLOCK_SET = auto()
    LATE_GENERATOR = auto()
    UNANSWERED = auto()
    NOT_SUSTAINED = auto()
    # The responses were others than the ones asked for.
    SIZE_CHANGED = auto()
    SIZE_DIFFERS = auto()  # by less
    SIZE_AFTER_LOAD = auto()
    BODY_AFTER_LOAD = auto()
    LATE_AFTER_LOAD = auto()
    RESPONSE_CHANGED = auto()  # since a baseline
    ACCEPT_CHANGES = auto()
    OTHER_MACHINE = auto()  # had the baseline
    EXTRA_RESPONSES = auto()
    SILENT_CONNECTIONS = auto()
    KEPT_OPEN = auto()
    IDLE_CONNECTIONS = auto()
    CUT_OFF = auto()
    # Somebody else used the machine.
    STOLEN = auto()
    NEIGHBOURS = auto()
    THROTTLED = auto()
    SERVER_THROTTLED = auto()
    BUSY_PARTNER = auto()
    # A server works when no request asks for it, or later.
    POLLS = auto()
    RESTLESS_PART = auto()
    IDLE_USE = auto()
    PUT_OFF = auto()
    STILL_WORKING = auto()
    BACKLOG = auto()
    UNSEEN_WORK = auto()
    # A rate, or a search for one.
    RATE_UNKNOWN = auto()
    SEARCH_INTERRUPTED = auto()
    LIMIT_MISSED = auto()
    LIMIT_INCONCLUSIVE = auto()
    LATE_FOR_LIMIT = auto()
    CANNOT_OFFER = auto()
    RATE_NOT_KEPT = auto()
    TOO_FEW_CONNECTIONS = auto()
    PAIRED_RATE_NOT_KEPT = auto()
    THROUGHPUT_UNKNOWN = auto()
    # What follows from the results as a whole.
    P99_MET = auto()
    P99_MISSED = auto()
    P99_INCONCLUSIVE = auto()
    ONE_TARGET = auto()
    ONE_ROUND = auto()
    ONE_TRIAL = auto()
    CAPACITY = auto()
    CAPACITY_NONE = auto()
    CAPACITY_SPREAD = auto()  # over launches that differ too much for an interval
    CAPACITY_OF_ONE = auto()  # launch: it has no interval
    CAPACITY_IN_PART = auto()  # of the launches
    KNEE = auto()
    OVERLAPPING_RANKS = auto()
    FEW_FOR_P99 = auto()
    WAITED = auto()
    DELAYED_ACKS = auto()
    UNEQUAL_WORK = auto()
    UNEQUAL_WORKERS = auto()
    UNEQUAL_RESPONSES = auto()
    UNEQUAL_BUILT_INS = auto()  # the same, where a workload has equal ones
    RECONNECTS = auto()
    RECONNECTS_COUNTED = auto()
    IMPRECISE = auto()
    WARMING_UP = auto()
    TREND = auto()  # of the rounds
    TWO_MODES = auto()
    OUTLYING_LAUNCH = auto()
    DEPENDENT_PAIR = auto()
    WIDE_SPREAD = auto()
    SHARED_CORES = auto()
    DISAGREEMENT = auto()

    @classmethod
    def _missing_(cls, _value: object) -> Kind:
        return cls.UNKNOWN


@dataclass(frozen=True, slots=True, kw_only=True)
class BenchWarning:
    """A warning: figures in SI units, words as they were found, by names of its kind's own.

    Where it was seen is known by what carries it.
    """

    kind: Kind
    figures: Mapping[str, float] = dataclasses.field(default_factory=dict)
    words: Mapping[str, str] = dataclasses.field(default_factory=dict)

    @classmethod
    def of(cls, kind: Kind, **data: float | str) -> BenchWarning:
        figures: dict[str, float] = {}
        words: dict[str, str] = {}
        for name, value in data.items():
            if isinstance(value, str):
                words[name] = value
            else:
                figures[name] = float(value)
        return cls(kind=kind, figures=figures, words=words)

    def without(self, secrets: Secrets) -> BenchWarning:
        words = {name: secrets.hide_whole_words(text) for name, text in self.words.items()}
        return dataclasses.replace(self, words=words)
