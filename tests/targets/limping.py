"""limping.py PORT MODE [ARG]: an HTTP server in one thread that limps, for test_cpu.py.

    plain           answers at once
    cost N          N turns of an empty loop for each request
    spin N          the same, and polls without ever resting
    ticks MS        plain, with MS ms of work of its own in each 20
    bgproc          plain, with a child that burns a core
    deferred S      answers at once, does 2,000 turns for each request once it was idle for S s
    forks N         N turns for each request, in a grandchild that it leaves behind

At its end it appends a JSON line to LIMPING_LOG: its requests, and the CPU seconds that it spent on
them by its own clock.
"""

import json
import os
import select
import signal
import socket
import sys
import time

port, mode = int(sys.argv[1]), sys.argv[2]
arg = float(sys.argv[3]) if len(sys.argv) > 3 else 0.0
BODY = b"x" * 100
RESPONSE = (
    b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 100\r\n\r\n" + b"x" * 100
)
requests, on_requests_s = 0, 0.0


def loop(turns: float) -> None:
    for _ in range(int(turns)):
        pass


def burn(seconds: float) -> None:
    end = time.thread_time() + seconds
    while time.thread_time() < end:
        pass


def end(*_: object) -> None:
    path = os.environ.get("LIMPING_LOG")
    if path:
        told = {"mode": mode, "requests": requests, "on_requests_s": on_requests_s}
        with open(path, "a") as log:
            log.write(json.dumps(told) + "\n")
    os._exit(0)


if mode == "bgproc" and not os.fork():
    while True:
        pass
listener = socket.create_server(("127.0.0.1", port), backlog=1024)
listener.setblocking(False)
poll = select.epoll()
poll.register(listener.fileno(), select.EPOLLIN)
connections = {}
signal.signal(signal.SIGTERM, end)
owed, last = 0, time.monotonic()
next_tick = time.monotonic()
timeout_s = {"spin": 0.0, "ticks": 0.005}.get(mode, 0.05)
while True:
    events = poll.poll(timeout_s)
    has_worked = bool(events)
    begun_s = time.thread_time()
    for descriptor, _ in events:
        last = time.monotonic()
        if descriptor == listener.fileno():
            try:
                accepted, _ = listener.accept()
            except OSError:
                continue
            accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connections[accepted.fileno()] = accepted
            poll.register(accepted.fileno(), select.EPOLLIN)
            continue
        connection = connections[descriptor]
        try:
            data = connection.recv(65536)
        except OSError:
            data = b""
        if not data:
            poll.unregister(descriptor)
            connections.pop(descriptor).close()
            continue
        if mode in ("cost", "spin"):
            loop(arg)
        elif mode == "deferred":
            owed += 1
        elif mode == "forks" and not os.fork():
            if not os.fork():  # an orphan, whose CPU time its grandparent never gets
                loop(arg)
            os._exit(0)
        try:
            connection.send(RESPONSE)
        except OSError:
            continue
        requests += 1
    if mode == "forks":
        try:
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        except ChildProcessError:
            pass
    if owed and not events and time.monotonic() - last > arg:
        for _ in range(owed):
            loop(2000)
        owed = 0
        has_worked = True
    if has_worked:
        on_requests_s += time.thread_time() - begun_s
    if mode == "ticks" and time.monotonic() >= next_tick:
        burn(arg / 1000)
        next_tick = time.monotonic() + 0.02 - arg / 1000
