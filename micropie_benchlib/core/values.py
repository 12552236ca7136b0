"""Types of figures and texts with their bounds, which pydantic checks where a file is read."""

from typing import Annotated, Any, Literal, NamedTuple


class Bounds(NamedTuple):
    """The bounds of a figure; annotated_types has such, but takes 9 ms to import at each start."""

    least: float
    most: float

    def __get_pydantic_core_schema__(self, source: Any, handler: Any) -> dict[str, Any]:
        return {**handler(source), "ge": self.least, "le": self.most}


class Printable:
    def __get_pydantic_core_schema__(self, source: Any, handler: Any) -> Any:
        from pydantic_core import core_schema

        return core_schema.no_info_after_validator_function(self.check, handler(source))

    def check(self, text: str) -> str:
        if not text or not text.isprintable():
            raise ValueError("it must have printable characters only")
        return text


Seconds = Annotated[float, Bounds(0, 1e9)]
Rate = Annotated[float, Bounds(0, 1e15)]
PositiveRate = Annotated[float, Bounds(1e-3, 1e7)]
Count = Annotated[int, Bounds(0, 10**18)]
Ordinal = Annotated[int, Bounds(0, 100_000)]
Positive = Annotated[int, Bounds(1, 10**9)]
Microseconds = Annotated[float, Bounds(0, 1e15)]
BucketMicroseconds = Annotated[int, Bounds(0, 1e10)]  # wrk's histogram ends at its timeout
MIN_RATIO, MAX_RATIO = 1e-100, 1e100
Ratio = Annotated[float, Bounds(MIN_RATIO, MAX_RATIO)]
Share = Annotated[float, Bounds(0, 1)]
Percent = Annotated[float, Bounds(0, 100)]
Confidence = Annotated[float, Bounds(0.95, 0.999999)]
Connections = Annotated[int, Bounds(1, 999_999)]
Port = Annotated[int, Bounds(1, 65535)]
Status = Annotated[int, Bounds(100, 999)]  # what has three digits
FinalStatus = Annotated[int, Bounds(200, 599)]
Scheme = Literal["http", "https"]
Name = Annotated[str, Printable()]
Pairs = tuple[tuple[str, str], ...]  # names and values
Headers = Pairs  # in the order sent
