"""Several machines on this one, for what crosses a network.

Each is a network namespace with an address of 198.18.0.0/24 (RFC 2544's, for benchmarks) on
one switch, an sshd of its own, and no route to anywhere else. They share the processor, the
kernel and the file system; each has a cache directory of its own.

sudo python tests/lab.py HOSTS COMMAND...: runs the command on the controller's, with
MACHINES_SSH_CONFIG naming the file for --ssh-config; HOSTS are names, joined by commas.
"""

import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

SSHD = shutil.which("sshd", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
THIS_PYTHON = Path(getattr(sys, "_base_executable", sys.executable))  # not the one of .venv
CONTROLLER = "controller"


def reason_against() -> str | None:
    """Return why machines cannot be made here; None if they can."""
    if sys.platform != "linux" or os.geteuid():
        return "network namespaces need Linux and root"
    if not shutil.which("ip") or not SSHD or not shutil.which("ssh"):
        return "it needs ip, ssh and sshd (.ci/env --dev installs them as root)"
    name = f"mb-try-{os.getpid()}"
    made = subprocess.run(["ip", "netns", "add", name], capture_output=True, text=True, check=False)
    if made.returncode:
        return f"no network namespace can be made: {made.stderr.strip()}"
    subprocess.run(["ip", "netns", "del", name], check=True)
    return None


def ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True)


@dataclass
class Machine:
    """A namespace with an address, and where its sshd keeps its files."""

    name: str
    namespace: str
    address: str
    directory: Path
    sshd: subprocess.Popen[bytes] | None = None

    @property
    def link(self) -> str:  # the end of its cable that is in the switch
        return f"v-{self.name}"

    @property
    def command(self) -> list[str]:
        return ["ip", "netns", "exec", self.namespace]


@dataclass
class Lab:
    directory: Path
    variables: Mapping[str, str]
    machines: dict[str, Machine] = field(default_factory=dict)
    switch: str = ""

    @property
    def ssh_config(self) -> Path:
        return self.directory / "ssh_config"

    def cut(self, name: str) -> None:
        ip("-n", self.switch, "link", "set", self.machines[name].link, "down")

    def restore(self, name: str) -> None:
        ip("-n", self.switch, "link", "set", self.machines[name].link, "up")


@contextlib.contextmanager
def laboratory(
    names: Sequence[str], directory: Path, variables: Mapping[str, str] = {}
) -> Iterator[Lab]:
    """Make the controller's machine and those of the names; their sshd set the variables."""
    mark = f"mb{os.getpid()}"
    lab = Lab(directory=directory, variables=variables, switch=f"{mark}-switch")
    try:
        ip("netns", "add", lab.switch)
        ip("-n", lab.switch, "link", "add", "lan", "type", "bridge", "stp_state", "0")
        ip("-n", lab.switch, "link", "set", "lan", "up")
        for number, name in enumerate([CONTROLLER, *names], start=1):
            (directory / name).mkdir()
            machine = Machine(
                name=name,
                namespace=f"{mark}-{name}",
                address=f"198.18.0.{number}",
                directory=directory / name,
            )
            lab.machines[name] = machine
            connect(lab, machine)
        make_keys(lab)
        for name in names:
            start_sshd(lab, lab.machines[name])
        yield lab
    finally:
        take_down(lab)


def connect(lab: Lab, machine: Machine) -> None:
    ip("netns", "add", machine.namespace)
    peer = ["peer", "name", "eth0", "netns", machine.namespace]
    ip("-n", lab.switch, "link", "add", machine.link, "type", "veth", *peer)
    ip("-n", lab.switch, "link", "set", machine.link, "master", "lan", "up")
    ip("-n", machine.namespace, "addr", "add", f"{machine.address}/24", "dev", "eth0")
    for device in ("lo", "eth0"):
        ip("-n", machine.namespace, "link", "set", device, "up")


def make_keys(lab: Lab) -> None:
    user_key = lab.directory / "key"
    make_key(user_key)
    known = []
    blocks = []
    for name, machine in lab.machines.items():
        make_key(machine.directory / "host_key")
        public = (machine.directory / "host_key.pub").read_text()
        known.append(f"{machine.address} {public}")
        blocks.append(f"Host {name}\n  HostName {machine.address}\n")
    (lab.directory / "known_hosts").write_text("".join(known))
    common = f"Host *\n  User root\n  IdentityFile {user_key}\n  IdentitiesOnly yes\n"
    common += f"  UserKnownHostsFile {lab.directory}/known_hosts\n  StrictHostKeyChecking yes\n"
    lab.ssh_config.write_text("".join(blocks) + common)


def make_key(path: Path) -> None:
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(path)], check=True)


def start_sshd(lab: Lab, machine: Machine) -> None:
    assert SSHD
    variables = {
        "PATH": f"{machine.directory}/bin:{THIS_PYTHON.parent}:/usr/sbin:/usr/bin:/sbin:/bin",
        "HOME": str(machine.directory),  # whose shell has no settings
        "XDG_CACHE_HOME": str(machine.directory / "cache"),
        "TMPDIR": str(machine.directory / "tmp"),
        **lab.variables,
    }
    for name in ("cache", "tmp"):
        (machine.directory / name).mkdir(mode=0o700)
    Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)  # sshd wants it
    config = machine.directory / "sshd_config"
    set_env = " ".join(f"{name}={value}" for name, value in variables.items())
    config.write_text(
        f"ListenAddress {machine.address}\nHostKey {machine.directory}/host_key\n"
        f"AuthorizedKeysFile {lab.directory}/key.pub\nStrictModes no\nUsePAM no\n"
        f"PasswordAuthentication no\nPermitRootLogin yes\nPidFile none\nSetEnv {set_env}\n"
    )
    with (machine.directory / "sshd.log").open("wb") as log:
        machine.sshd = subprocess.Popen(
            [*machine.command, SSHD, "-D", "-e", "-f", str(config)], stdout=log, stderr=log
        )
    deadline = time.monotonic() + 30
    scan = [*machine.command, "ssh-keyscan", "-T", "2", machine.address]
    while subprocess.run(scan, capture_output=True, check=False).stdout == b"":
        assert machine.sshd.poll() is None, (machine.directory / "sshd.log").read_text()
        assert time.monotonic() < deadline
        time.sleep(0.1)


def take_down(lab: Lab) -> None:
    """End each sshd, and remove the namespaces, which ends what is left in them."""
    for machine in lab.machines.values():
        for pid in pids_in(machine.namespace):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, 9)
        if machine.sshd:
            machine.sshd.wait(timeout=30)
        ip("netns", "del", machine.namespace)
    subprocess.run(["ip", "netns", "del", lab.switch], check=False)


def pids_in(namespace: str) -> list[int]:
    """Return the processes that have the namespace as theirs."""
    listed = subprocess.run(
        ["ip", "netns", "pids", namespace], capture_output=True, text=True, check=False
    )
    return [int(pid) for pid in listed.stdout.split()]


def main() -> int:
    hosts, *command = sys.argv[1:]
    with (
        tempfile.TemporaryDirectory() as directory,
        laboratory(hosts.split(","), Path(directory)) as lab,
    ):
        env = {**os.environ, "MACHINES_SSH_CONFIG": str(lab.ssh_config)}
        return subprocess.run(
            [*lab.machines[CONTROLLER].command, *command], env=env, check=False
        ).returncode


if __name__ == "__main__":
    sys.exit(main())
