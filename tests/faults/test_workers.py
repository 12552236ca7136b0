"""What is known of a server from inside it: its code, its Python, its settings, who listens."""

import json
import os
import socket
import sys
from pathlib import Path

import pytest
from conftest import InProcess, Start, facts_of, program

from micropie_benchlib.core.errors import BenchError
from micropie_benchlib.core.results import TargetFacts, WorkerFacts
from micropie_benchlib.run.facts import check_different_code

APP = """
async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        return
    headers = [(b"content-length", b"1")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": b"NAME"})
"""
QUICK = ("-r", "1", "-d", "1s", "-c", "10", "-w", "1", "-t", "1", "--no-paired", "--warm-up", "0s")


def project(directory: Path, name: str) -> Path:
    package = directory / "src" / "p"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text(APP.replace("NAME", name))
    return directory


def python_with(directory: Path, *paths: Path) -> str:
    """Return a Python that has the packages of this one and those of the paths (as .pth has)."""
    import venv

    venv.create(directory, with_pip=False)
    (site_packages,) = directory.glob("lib/python*/site-packages")
    own = [path for path in sys.path if path.endswith("site-packages")]
    (site_packages / "here.pth").write_text("\n".join([*own, *map(str, paths)]))
    return str(directory / "bin" / "python")


def facts_of_file(name: str, file: str, directory: str) -> TargetFacts:
    worker = WorkerFacts(
        executable="python",
        implementation="CPython",
        python="3.13.1",
        gil=True,
        flags={},
        event_loop="",
        module_file=file,
        directory=directory,
        variables={},
        nice=0,
    )
    return facts_of(name, name, worker=worker)


def test_one_file_under_two_directories_is_refused() -> None:
    main = facts_of_file("main", "/b/p.py", "/a")
    with pytest.raises(BenchError, match=r"main and new run the same code: from /a and /b .*p.py"):
        check_different_code([main], facts_of_file("new", "/b/p.py", "/b"))
    check_different_code([main], facts_of_file("new", "/a/p.py", "/b"))
    check_different_code([main], facts_of_file("again", "/b/p.py", "/a"))  # A/A


def test_the_code_in_a_directory_wins_over_an_editable_install(
    in_process: InProcess, tmp_path: Path
) -> None:
    old, new = project(tmp_path / "old", "a"), project(tmp_path / "new", "b")
    python = python_with(tmp_path / "venv", new / "src")
    targets = ("old=p:app", "new=p:app", "--python", python)
    directories = ("--set", f"old.directory={old}", "--set", f"new.directory={new}")
    done = in_process.run(
        "compare", *targets, *directories, *QUICK, "--export-json", f"{tmp_path}/r.json"
    )
    assert done.returncode == 0, done.stderr
    assert f"old: p is imported from {old / 'src'}" in done.stderr
    targets = json.loads((tmp_path / "r.json").read_text())["targets"]
    files = [each["worker"]["module_file"] for each in targets]
    assert files == [str(each / "src" / "p" / "__init__.py") for each in (old, new)]
    assert len({each["responses"]["hello"]["body_sha256"] for each in targets}) == 2


def test_code_that_a_directory_only_seems_to_hold_is_refused(
    in_process: InProcess, tmp_path: Path
) -> None:
    elsewhere = project(tmp_path / "elsewhere", "b")
    python = python_with(tmp_path / "venv", elsewhere / "src")
    here = project(tmp_path / "here", "a")
    (here / "src" / "p" / "__init__.py").unlink()  # a folder of data, by the package's name
    arguments = ("old=p:app", "--python", python, "--set", f"old.directory={here / 'src'}")
    done = in_process.run("compare", *arguments, *QUICK)
    assert done.returncode == 1
    assert "old: p lies in" in done.stderr
    assert f"imports it from {elsewhere}" in done.stderr


def test_facts_come_from_the_worker_whatever_starts_it(start: Start, tmp_path: Path) -> None:
    """A shim that runs programs first, as pyenv's does; none of them is a worker."""
    python = sys.executable
    script = f'v=$({python} -c "print(1)")\nsleep 0.3 &\nexec {python} "$@"'
    shim = program(tmp_path / "python-shim", script)
    changes = {"python": shim, "env": (("PYTHONASYNCIODEBUG", "1"),)}
    with start("faulty:good", workers=2, **changes) as server:
        facts = server.worker_facts()
        assert facts
        assert facts.executable == sys.executable
        assert facts.python == sys.version.split()[0]
        assert facts.variables == {"PYTHONASYNCIODEBUG": "1"}
        assert facts.nice == os.getpriority(os.PRIO_PROCESS, 0)
        assert facts.scheduling.startswith("SCHED_")
        assert facts.event_loop
        assert server.versions().packages["uvicorn"]


def test_a_stranger_that_joins_the_port_is_found(start: Start) -> None:
    with start("asgi", workers=1) as server:
        assert server.lost_workers() is None
        with socket.create_server(("127.0.0.2", server.port)):
            assert "listens on port" in str(server.lost_workers())
