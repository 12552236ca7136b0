"""What the tests share: the tool as a user starts it, and the proof that it leaves nothing running."""

from __future__ import annotations

import os
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import pytest

import micropie_bench as mb

ROOT = Path(__file__).parent.parent
TARGETS = Path(__file__).parent / "targets"
MARK = "MICROPIE_BENCH_TEST_RUN"


@dataclass
class Tool:
    """Starts the tool in a directory with faulty apps; each process it starts carries this test's mark."""

    marks: Path
    mark: str = field(default_factory=lambda: uuid.uuid4().hex)
    started: list[subprocess.Popen[str]] = field(default_factory=list)

    def start(self, *args: str, cwd: Path = TARGETS, **env: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, str(ROOT / "micropie_bench.py"), *args],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=cwd,
            env={
                **{k: v for k, v in os.environ.items() if k != "FORCE_COLOR"},
                "FAULTY_MARKS": str(self.marks),
                MARK: self.mark,
                **env,
            },
        )
        self.started.append(process)
        return process

    def run(self, *args: str, cwd: Path = TARGETS, **env: str) -> subprocess.CompletedProcess[str]:
        process = self.start(*args, cwd=cwd, **env)
        out, err = process.communicate(timeout=100)
        return subprocess.CompletedProcess(args, process.returncode, out, err)

    def running(self) -> list[str]:
        """Return the command lines of the live processes that carry the mark."""
        found = []
        for process in psutil.process_iter():
            try:
                if process.environ().get(MARK) == self.mark and process.status() != psutil.STATUS_ZOMBIE:
                    found.append(" ".join(process.cmdline()))
            except (psutil.NoSuchProcess, psutil.AccessDenied):
                continue
        return found

    def await_running(self, condition: Callable[[list[str]], bool], *, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while not condition(running := self.running()):
            assert time.monotonic() < deadline, running
            time.sleep(0.05)


@pytest.fixture
def tool(tmp_path: Path) -> Iterator[Tool]:
    tool = Tool(marks=tmp_path)
    yield tool
    for process in tool.started:
        process.kill()
        process.communicate()
    tool.await_running(lambda running: not running, seconds=5)


Start = Callable[..., mb.RunningServer]


@pytest.fixture
def start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Start:
    """Return what launches a target, the faulty apps among them."""
    monkeypatch.chdir(TARGETS)
    monkeypatch.setenv("FAULTY_MARKS", str(tmp_path))

    def start(spec: str, *, workers: int = 4) -> mb.RunningServer:
        target, server = mb.parse_target(spec), mb.Server(workers=workers)
        running = mb.RunningServer(target, server, log=tmp_path / f"log-{spec.partition('=')[0]}")
        try:
            running.await_workers()
        except mb.BenchError:
            running.__exit__()
            raise
        return running

    return start
