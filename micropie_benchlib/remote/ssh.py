"""How other machines are reached over the user's own ssh, and which Python they have."""

import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from micropie_benchlib.core.errors import BenchError
from micropie_benchlib.core.paths import packaged_text
from micropie_benchlib.system.children import run_guarded

SSH_OPTIONS = (
    *("-T", "-x", "-oBatchMode=yes", "-oConnectTimeout=10", "-oClearAllForwardings=yes"),
    *("-oControlPath=none", "-oServerAliveInterval=1", "-oServerAliveCountMax=2"),
)
SSH_DEADLINE_S = 30.0
PYTHON_TOO_OLD, NO_PYTHON = 3, 4  # exit statuses of find_python.sh
SSH_ADVICE = {
    "Host key verification failed": "connect once by hand and check its key",
    "Permission denied": "add your key there (ssh-copy-id): ssh runs without passwords",
    "Could not resolve hostname": "check the name, or give it a HostName in ~/.ssh/config",
    "timed out": "is it up, and does its firewall let ssh in?",
    "Connection refused": "is sshd running there?",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Ssh:
    """What ssh has to say is kept in `directory`; `config` is a file instead of the user's own."""

    directory: Path
    config: str | None = None


def ssh_reason(lines: Sequence[str]) -> str:
    told = [line.strip() for line in lines if line.strip()]
    for line in told:
        for words, advice in SSH_ADVICE.items():
            if words in line:
                return f"{line.rstrip('.')} ({advice})"
    return told[-1] if told else ""


def find_remote_python(host: str, ssh: Ssh) -> str:
    script = packaged_text(__package__, "find_python.sh")
    config = ["-F", ssh.config] if ssh.config else []
    command = ["ssh", *config, *SSH_OPTIONS, host, f"sh -c {shlex.quote(script)}"]
    try:
        done = run_guarded(command, timeout_s=SSH_DEADLINE_S)
    except BenchError as error:
        raise BenchError(f"{host}: {error}") from None
    last_line = (done.output.strip().splitlines() or [""])[-1]
    wanted = "it needs 3.11 or newer"
    if done.status == PYTHON_TOO_OLD:
        raise BenchError(f"{host}: {last_line} is too old: {wanted}")
    if done.status == NO_PYTHON:
        raise BenchError(f"{host}: no python3 on its PATH (over ssh): {wanted}")
    if done.status or not last_line.startswith("/"):
        reason = ssh_reason(done.errors.splitlines()) or f"ssh ended with status {done.status}"
        raise BenchError(f"{host}: {reason}")
    return re.sub("/+", "/", last_line)  # of a PATH with / at an end; // has a meaning to execnet
