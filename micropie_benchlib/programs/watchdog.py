"""The watchdog: kills the process that started it once that falls silent.

    python -I -S watchdog.py SECONDS

A byte on standard input is a sign of life, its end is that of the process. One that is stopped
(SIGSTOP) would else keep its servers and files for ever.
"""

from __future__ import annotations

import os
import select
import signal
import sys


def main() -> None:
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    silence_s = float(sys.argv[1])
    owner, signs = os.getppid(), sys.stdin.fileno()
    while select.select([signs], [], [], silence_s)[0]:
        if not os.read(signs, 4096):
            return
    if os.getppid() == owner:
        os.kill(owner, signal.SIGKILL)


if __name__ == "__main__":
    main()
