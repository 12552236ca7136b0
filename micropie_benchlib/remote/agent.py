"""The agent's end: hears requests, has them done on this machine, and ends with the controller."""

from __future__ import annotations

import contextlib
import os
import time
from enum import StrEnum
from typing import Any, NoReturn

from micropie_benchlib.core.errors import CannotGoOnError
from micropie_benchlib.load.failures import TRIAL_ERRORS, reason_of
from micropie_benchlib.remote.messages import Agent, Request, from_text, to_text
from micropie_benchlib.serve.probe import NotReachedError
from micropie_benchlib.system.temporary import remove_at_end, temporary_directory

HEARTBEAT_S = 0.5
AGENT_SILENCE_S = 2.5  # an agent that has not heard from its controller for so long ends
CONTROLLER_SILENCE_S = 10.0  # a controller gives up an agent that was silent for so long
BEAT = "beat"
FAREWELL = "farewell"  # instead of a request


class Outcome(StrEnum):
    """What became of a request. All but the first come with a reason."""

    DONE = "done"
    FAILED = "failed"
    NOT_REACHED = "not reached"
    CANNOT_GO_ON = "cannot go on"


def serve_controller(channel: Any, private: str) -> None:
    """Do what the controller asks for, and end this process as soon as it cannot be heard.

    The directory `private`, if there is one, goes with this process.
    """
    import queue
    import threading

    requests: queue.SimpleQueue[Any] = queue.SimpleQueue()
    heard_at = time.monotonic()

    def hear(message: Any) -> None:
        nonlocal heard_at
        heard_at = time.monotonic()
        if message is None:  # the connection has ended
            end_process()
        if message != BEAT:
            requests.put(message)

    def watch() -> None:
        while time.monotonic() - heard_at < AGENT_SILENCE_S:
            time.sleep(HEARTBEAT_S / 2)
        end_process()

    if private:
        remove_at_end(private)
    channel.setcallback(hear, endmarker=None)
    threading.Thread(target=watch, daemon=True).start()
    threading.Thread(target=send_beats, args=[channel], daemon=True).start()
    with temporary_directory() as work_dir:
        agent = Agent(work_dir)
        while (message := requests.get()) != FAREWELL:
            number, kind, text = message
            outcome, reply = reply_to(agent, kind, text)
            channel.send((number, outcome.value, reply))
    end_process()


def send_beats(channel: Any) -> None:
    """Let the other end know that somebody is here, until the connection ends."""
    with contextlib.suppress(OSError):
        while True:
            channel.send(BEAT)
            time.sleep(HEARTBEAT_S)


def end_process() -> NoReturn:
    """End this process at once: its guards end the servers and wrks, its keeper the files."""
    os._exit(1)


def reply_to(agent: Agent, kind: str, text: str) -> tuple[Outcome, str]:
    """Return what became of the request of that kind, and its response as JSON, or why."""
    try:
        request = from_text(Request.kinds[kind], text, whole="a request of a controller")
        return Outcome.DONE, to_text(request.do(agent))
    except NotReachedError as error:
        return Outcome.NOT_REACHED, str(error)
    except CannotGoOnError as error:
        return Outcome.CANNOT_GO_ON, str(error)
    except TRIAL_ERRORS as error:
        return Outcome.FAILED, reason_of(error)
    except Exception as error:  # the controller is to hear of it, whatever it is
        return Outcome.CANNOT_GO_ON, f"a fault of this tool: {type(error).__name__}: {error}"
