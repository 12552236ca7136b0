"""URLs, addresses and free ports."""

import contextlib
import errno
import ipaddress
import random
import re
import socket
from collections.abc import Sequence
from typing import Any

from micropie_benchlib.core.errors import BenchError, UsageError
from micropie_benchlib.system.processes import listener_pids


def split_url(url: str) -> tuple[str, str, int]:
    """Return scheme, host and port of an http or https URL. Raises UsageError."""
    match = re.fullmatch(
        r"(https?)://(\[[0-9A-Fa-f:.]+\]|[\w.-]+)(?::([1-9]\d{0,4}))?(?:/[!\"$-~]*)?", url, re.ASCII
    )
    if not match or int(match[3] or 80) > 65535:
        raise UsageError(f"{url!r} is not an HTTP URL: use http://HOST:PORT/PATH")
    scheme = match[1]
    default_port = 443 if scheme == "https" else 80
    return scheme, match[2].strip("[]"), int(match[3] or default_port)


def addresses_of(host: str) -> list[str]:
    with contextlib.suppress(OSError, UnicodeError):
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
        return list(dict.fromkeys(str(info[4][0]) for info in found))
    return []


def are_loopback(addresses: Sequence[str]) -> bool:
    found = [ipaddress.ip_address(text.partition("%")[0]) for text in addresses]
    return bool(found) and all(address.is_loopback for address in found)


OWN_PORTS = range(20_000, 30_000)  # below Kubernetes', and those that Linux gives to clients


def free_port(host: str, wanted: int | None) -> int:
    """The system's choice, the last resort, could go to a client before the server has it."""
    try:
        addresses = socket.getaddrinfo(host, wanted or 0, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UsageError(f"host {host!r}: {reason}") from None
    family, _, _, _, (address, _, *rest) = addresses[0]
    tried = [wanted] if wanted else [*random.SystemRandom().sample(OWN_PORTS, 20), 0]
    failure = OSError()
    for port in tried:
        try:
            return _bound_port(family, (address, port, *rest))
        except OSError as error:
            failure = error
    raise BenchError(_port_failure(host, wanted, failure))


def _bound_port(family: int, address: tuple[Any, ...]) -> int:
    with socket.socket(family, socket.SOCK_STREAM) as listener:
        # As uvicorn does: an address in TIME_WAIT is not an obstacle.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen()
        port: int = listener.getsockname()[1]
    return port


def _port_failure(host: str, port: int | None, error: OSError) -> str:
    if not port:
        return f"cannot listen on {host}: {error.strerror}; use another --host"
    failure = f"port {port} on {host} cannot be used: {error.strerror}"
    if error.errno != errno.EADDRINUSE:
        return failure
    pids = [pid for pid in listener_pids(port) if pid]
    owner = f"process {pids[0]} listens there" if pids else "another process has it"
    return f"{failure} ({owner}); stop it, or choose another --port"
