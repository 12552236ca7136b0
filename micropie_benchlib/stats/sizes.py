"""Whether the responses of a trial have the size of the one that was checked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from micropie_benchlib.core.estimates import Interval
from micropie_benchlib.core.loads import Load
from micropie_benchlib.core.measurements import WrkResult
from micropie_benchlib.core.requests import Response


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerSizes:
    """The sizes of the answers to single requests, in bytes on the wire.

    Where the body varies by nature, `least` and `most` differ, and others may lie as far
    again beyond them, twice over. `body` is the smallest body; 0 if it is not known.
    """

    least: int
    most: int
    body: int

    @classmethod
    def of(cls, responses: Sequence[Response]) -> AnswerSizes:
        """Return the sizes of these answers; there must be one or more."""
        sizes = [response.bytes for response in responses]
        bodies = [response.body_bytes for response in responses]
        return cls(least=min(sizes), most=max(sizes), body=min(bodies))

    @property
    def possible(self) -> Interval:
        """The bounds of what other answers of the kind may have."""
        spread = self.most - self.least
        return Interval(max(1, self.least - 2 * spread), self.most + 2 * spread)

    def expected(self, wrk: WrkResult, load: Load) -> Interval:
        """Return the bounds of the bytes for each request of a trial.

        wrk counts the bytes of answers that were under way at the end: one for each
        connection at most.
        """
        under_way = load.open_connections / wrk.requests
        return Interval(self.possible.low, self.possible.high * (1 + under_way))

    def invalid_reason(self, wrk: WrkResult, load: Load) -> str | None:
        """Return that the answers under load were others than the checked ones, if so.

        Their mean size is off by 10%, or half of the bodies are missing.
        """
        if not wrk.requests:
            return None
        mean = wrk.bytes / wrk.requests
        low, high = self.expected(wrk, load)
        if max(0.9 * low, low - self.body / 2) <= mean <= 1.1 * high:
            return None
        return (
            f"{mean:.0f} bytes came for each answer under load, and {self.sentence} "
            "for the one that was checked: it was not the same answer"
        )

    def note(self, wrk: WrkResult, load: Load) -> str | None:
        """Return that the mean size was off by 1% or more, if that alone does not invalidate."""
        if not wrk.requests or self.invalid_reason(wrk, load):
            return None
        mean = wrk.bytes / wrk.requests
        low, high = self.expected(wrk, load)
        if 0.99 * low <= mean <= 1.01 * high:
            return None
        return f"{mean:.0f} bytes came for each answer under load, and {self.sentence} when checked"

    def is_like(self, response: Response) -> bool:
        """Return whether another answer may be of the same kind, by its size."""
        return 0.9 * self.possible.low <= response.bytes <= 1.1 * self.possible.high

    @property
    def sentence(self) -> str:
        """The sizes in words."""
        return str(self.least) if self.least == self.most else f"{self.least} to {self.most}"
