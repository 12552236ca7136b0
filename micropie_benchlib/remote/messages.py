"""How values cross to another machine and back: as JSON, checked against their type."""

import contextlib
import functools
import time
import types
from enum import StrEnum
from typing import Any

from micropie_benchlib.core.errors import BenchError, CannotGoOnError, first_complaint

HEARTBEAT_S = 0.5
CONTROLLER_SILENCE_S = 10.0  # a controller gives up an agent that was silent for so long
BEAT = "beat"
SHUTDOWN = "shutdown"  # instead of a call


class Outcome(StrEnum):
    """What became of a call. All but the first come with a reason."""

    DONE = "done"
    FAILED = "failed"
    CANNOT_GO_ON = "cannot go on"


def send_beats(channel: Any) -> None:
    with contextlib.suppress(OSError):
        while True:
            channel.send(BEAT)
            time.sleep(HEARTBEAT_S)


def to_text(value: object) -> str:
    """Raises BenchError for what is not text, such as a path whose bytes are not UTF-8."""
    from pydantic_core import PydanticSerializationError, to_json

    try:
        return to_json((value,), bytes_mode="base64").decode()
    except PydanticSerializationError as error:
        raise BenchError(f"cannot be sent to another machine: {error}") from None


def from_text(kind: Any, text: str) -> Any:
    from pydantic import ValidationError

    try:
        (value,) = reader(kind).validate_json(text)
    except ValidationError as error:
        raise CannotGoOnError(first_complaint(error.errors(), whole="a message")) from None
    return value


@functools.cache
def reader(kind: Any) -> Any:
    from pydantic import ConfigDict, TypeAdapter

    # As the only item of a tuple, since a dataclass alone takes no configuration.
    config = ConfigDict(extra="forbid", strict=True, val_json_bytes="base64")
    tuple_of_one: Any = types.GenericAlias(tuple, (kind,))
    return TypeAdapter(tuple_of_one, config=config)
