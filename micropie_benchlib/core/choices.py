"""What a user chooses from by a word, and the words of verdicts."""

from enum import StrEnum


class Loop(StrEnum):
    """The event loop of uvicorn's workers."""

    AUTO = "auto"
    ASYNCIO = "asyncio"
    UVLOOP = "uvloop"


class Http(StrEnum):
    """The HTTP parser of uvicorn's workers."""

    AUTO = "auto"
    H11 = "h11"
    HTTPTOOLS = "httptools"


class AsgiServer(StrEnum):
    """What serves ASGI apps."""

    UVICORN = "uvicorn"
    GRANIAN = "granian"
    HYPERCORN = "hypercorn"


class Method(StrEnum):
    """How a trial is made: one target alone, or two at the same moment."""

    SINGLE = "single"
    PAIRED = "paired"


class Limit(StrEnum):
    """What limited the throughput of a trial."""

    SERVER_CPU = "server_cpu"
    LOAD_GENERATOR = "load_generator"
    NEITHER = "neither"


class Decisive(StrEnum):
    """What verdicts and gate are based on, where the user chooses."""

    CPU = "cpu"
    THROUGHPUT = "throughput"
    P99 = "p99"


class Inconclusive(StrEnum):
    """What a gate does that cannot tell."""

    PASS = "pass"  # noqa: S105  # no password
    FAIL = "fail"


class Verdict(StrEnum):
    """What an interval says of a target's speed against the reference's.

    Faster and slower: the interval leaves 1 out. Same: all of it lies near 1 (SAME_WITHIN).
    Inconclusive: it holds 1 and is wider than that, or there is no interval.
    """

    FASTER = "faster"
    SLOWER = "slower"
    SAME = "same"
    INCONCLUSIVE = "inconclusive"
