"""Every kind of target, for real: commands, running servers, versions from the index, another Python."""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil
import pytest
from results_schema import loaded

import micropie_bench as mb

if TYPE_CHECKING:
    from conftest import Tool

ROOT = Path(__file__).parent.parent
SHORT = ("--quick", "-c", "8", "-t", "2", "-w", "2")


def results(tool: Tool, *args: str, cwd: Path = ROOT / "tests/targets", **env: Any) -> dict[str, Any]:
    done = tool.run("compare", *args, "--export-json", "-", cwd=cwd, **env)
    assert done.returncode == 0, done.stderr
    return loaded(done.stdout)


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        ("exits", "command died while starting with status 1: ValueError: nothing to serve"),
        ("other-port", r"command: nothing serves on port \d+, .* \(it listens on port \d+\)"),
        ("silent", "no whole answer to GET /: timed out"),
        ("daemon", "command: the command ended and left 1 processes behind, a daemon"),
    ],
)
def test_a_command_that_goes_wrong_is_told_in_one_line_and_leaves_nothing(fault: str, told: str, tool: Tool) -> None:
    done = tool.run("compare", f"command=cmd:{{python}} command.py {fault} {{port}}", *SHORT)
    assert done.returncode == 1
    (line,) = [line for line in done.stdout.splitlines() if line.startswith("command, ")]
    assert re.search(told, line), line
    assert not tool.running()


def test_a_command_is_measured_over_its_process_tree_and_in_duets(tool: Tool) -> None:
    command = "g=cmd:sh -c '{python} -m uvicorn faulty:good --host {host} --port {port} --workers {workers}; exit'"
    data = results(tool, "asgi", command, "-r", "2", "-d", "1s", "-c", "8", "-t", "2", "-w", "2")
    assert all(m["valid"] for m in data["measurements"])
    mine = [m for m in data["measurements"] if m["target"] == "g"]
    assert {m["method"] for m in mine} == {"solo", "duet"}
    assert all(m["server_cpu_s"] > 0.1 for m in mine), "the workers are two generations below the shell"
    assert data["targets"][1]["server_command"].startswith("sh -c '")


@pytest.mark.skipif(not shutil.which("node"), reason="no Node.js here")
def test_a_server_that_is_not_python(tool: Tool, tmp_path: Path) -> None:
    code = "require('http').createServer((q, r) => r.end('ok')).listen(process.argv[2], '127.0.0.1')"
    (tmp_path / "server.js").write_text(code)
    data = results(tool, "cmd:node server.js {port}", *SHORT, cwd=tmp_path)
    (m,) = data["measurements"]
    assert (m["target"], m["valid"], m["server_cpu_s"] > 0) == ("node", True, True)


@contextlib.contextmanager
def somebodys_server(tool: Tool) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    port = mb.free_port("127.0.0.1", None)
    serving = tool.start("serve", "asgi", "--port", str(port), "-w", "2", "--no-access-log")
    deadline = time.monotonic() + 30
    while True:
        try:
            mb.probe(f"http://127.0.0.1:{port}/", mb.Workload())
            break
        except mb.BenchError:
            assert time.monotonic() < deadline
            time.sleep(0.1)
    yield f"http://127.0.0.1:{port}/", serving


def test_a_running_server_is_measured_and_left_alone(tool: Tool) -> None:
    with somebodys_server(tool) as (url, serving):
        before = {child.pid for child in psutil.Process(serving.pid).children(recursive=True)}
        data = results(tool, "asgi", f"there={url}", "-r", "2", "-d", "1s", "-c", "8", "-t", "2")
        assert {m["method"] for m in data["measurements"]} == {"solo"}, "nobody else's server is pinned or frozen"
        theirs = [m for m in data["measurements"] if m["target"] == "there"]
        assert all(m["valid"] and m["server_cpu_s"] is None for m in theirs)
        assert {c["metric"] for c in data["comparisons"]} == {
            "requests_per_s",
            "latency_p99_s",
            "server_cpu_per_request_s",
        }
        assert serving.poll() is None
        assert {child.pid for child in psutil.Process(serving.pid).children(recursive=True)} == before
        paths = results(tool, f"there={url}index?name=Ann", *SHORT)
        assert paths["targets"][0]["response"]["body_sha256"] == hashlib.sha256(b"Hello Ann").hexdigest()
        done = tool.run("compare", "asgi", url, "--duet")
        assert (done.returncode, "--duet needs two targets that it starts" in done.stderr) == (2, True)


@pytest.mark.parametrize("url", ["http://example.invalid/", "http://192.0.2.1:8000/"])
def test_no_load_goes_to_another_machine_unasked(url: str, tool: Tool) -> None:
    done = tool.run("compare", url)
    assert (done.returncode, done.stdout) == (2, "")
    assert re.fullmatch(
        rf"micropie_bench: {re.escape(url)}: not this machine\. .* --allow-remote if it is\n", done.stderr
    )


def test_a_version_is_fetched_once_and_then_needs_no_network(tool: Tool, tmp_path: Path) -> None:
    env: dict[str, Any] = {"XDG_CACHE_HOME": str(tmp_path)}
    offline = {**env, "PIP_NO_INDEX": "1", "PIP_FIND_LINKS": ""}
    done = tool.run("compare", "starlette@0.45.3", *SHORT, **offline)
    assert done.returncode == 1
    assert re.fullmatch(r"(.*\n)?micropie_bench: starlette@0\.45\.3 is not in the cache, and pip .*\n", done.stderr)
    data = results(tool, "starlette@0.45.3", "asgi", *SHORT, **env)
    assert data["targets"][0]["versions"]["starlette"] == "0.45.3"
    assert data["targets"][0]["versions"]["uvicorn"] == mb.package_versions(["uvicorn"])["uvicorn"]
    assert all(m["valid"] for m in results(tool, "starlette@0.45.3", *SHORT, **offline)["measurements"])


@pytest.mark.parametrize("server", ["granian", "hypercorn"])
def test_other_servers_serve_a_release_and_its_versions_are_told(server: str, tool: Tool, tmp_path: Path) -> None:
    args = ("starlette@0.45.3", *SHORT, "--server", server, "--workload", "json")
    data = results(tool, *args, XDG_CACHE_HOME=str(tmp_path))
    (m,) = data["measurements"]
    assert (m["valid"], m["workload"]) == (True, "json")
    assert server in data["targets"][0]["versions"]


def test_two_that_fetch_at_once_do_it_once(tmp_path: Path) -> None:
    code = """if True:
        import dataclasses, micropie_bench as mb
        target = dataclasses.replace(mb.parse_target("asgi"), spec="two@1", requirements=("mdurl==0.1.2",))
        print(mb.fetch(target, print).package_dir)"""
    env = {**os.environ, "XDG_CACHE_HOME": str(tmp_path), "PYTHONPATH": str(ROOT)}
    argv = [sys.executable, "-c", code]
    started = [subprocess.Popen(argv, env=env, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    told = "".join(process.communicate(timeout=60)[0] for process in started)
    assert told.count("fetching mdurl==0.1.2 (once)") == 1
    (directory,) = {line for line in told.splitlines() if line.startswith("/")}
    assert (Path(directory) / "mdurl/__init__.py").exists()
    assert sorted(path.name for path in Path(directory).parent.iterdir()) == ["lock", Path(directory).name]


def test_a_cache_that_others_may_write_is_not_used(tool: Tool, tmp_path: Path) -> None:
    (tmp_path / "micropie_bench").mkdir()
    (tmp_path / "micropie_bench").chmod(0o777)
    done = tool.run("compare", "starlette@0.45.3", *SHORT, XDG_CACHE_HOME=str(tmp_path))
    assert done.returncode == 1
    assert "is not yours alone to write: set XDG_CACHE_HOME" in done.stderr


def test_another_python_serves_an_app_with_packages_of_its_own(tool: Tool, tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", tmp_path / "venv"], check=True)
    (site,) = (tmp_path / "venv/lib").glob("python*/site-packages")
    (site / "uvicorns.pth").write_text(sysconfig.get_path("purelib"))
    (site / "only_there.py").write_text("")
    source = (ROOT / "tests/targets/faulty.py").read_text()
    (tmp_path / "app.py").write_text(source + "\nimport only_there\n")
    alone = tool.run("compare", "app:good", *SHORT, cwd=tmp_path)
    assert "No module named 'only_there'" in alone.stdout
    command = "g=cmd:{python} -m uvicorn app:good --port {port} --workers {workers}"
    data = results(tool, "app:good", command, *SHORT, "--python", "venv/bin/python", cwd=tmp_path)
    for target in data["targets"]:
        assert target["server_command"].startswith(f"{tmp_path}/venv/bin/python -m uvicorn")
    assert data["targets"][0]["versions"]["uvicorn"]


def test_reproduce_measures_the_stack_that_was_published(tool: Tool) -> None:
    done = tool.run("reproduce", "--quick", "--export-json", "/dev/stderr")
    assert done.returncode == 0, done.stderr
    assert loaded(done.stderr[done.stderr.rindex("\n{") :])["settings"]["workers"] == 4
    for line in (
        "FastAPI answers 144 bytes, as published: the same stack.",
        "MicroPie answers 265 bytes, as published: the same stack.",
    ):
        assert line in done.stdout
    assert "at 100 connections: published 1.103, here " in done.stdout
    assert "at 200 connections: published 1.116, here " in done.stdout
    for cells in (
        "| 49.15ms | 102.39ms | 2031.28 | 8.39 | 285.95 |",
        "| 81.46ms | 142.96ms | 2450.02 | 18.61 | 634.76 |",
    ):
        assert cells in re.sub(" +", " ", done.stdout)


def test_named_workloads_each_get_their_table_and_their_requests(tool: Tool) -> None:
    data = results(tool, "asgi", "micropie", "--workload", "json", "--workload", "upload", *SHORT)
    assert [m["workload"] for m in data["measurements"]] == ["json", "upload"] * 2
    assert all(m["valid"] for m in data["measurements"])
    for target in data["targets"]:
        assert target["responses"]["json"]["body_sha256"] == hashlib.sha256(b'{"Hello":"World"}').hexdigest()
        assert target["responses"]["upload"]["body_sha256"] == hashlib.sha256(mb.UPLOAD.encode()).hexdigest()
    assert [w["name"] for w in data["settings"]["workloads"]] == ["json", "upload"]
    assert 9_500 < len(mb.UPLOAD) < 10_500


def test_method_header_and_body_reach_the_server(tool: Tool, tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text("""if True:
        async def app(scope, receive, send):
            if scope["type"] == "http":
                body = (await receive())["body"]
                right = scope["method"] == "PUT" and (b"x-key", b"a b") in scope["headers"] and body == b"12\\n3"
                head = {"type": "http.response.start", "status": 200 if right else 400}
                await send({**head, "headers": [(b"content-length", b"0")]})
                await send({"type": "http.response.body"})
    """)
    (tmp_path / "body").write_bytes(b"12\n3")
    options = ("--path", "/x", "--method", "PUT", "--header", "X-Key: a b", "--body", "body")
    data = results(tool, "app:app", *SHORT, *options, cwd=tmp_path)
    (m,) = data["measurements"]
    assert (m["valid"], m["errors"]["status"], m["workload"]) == (True, 0, "PUT /x")


@pytest.mark.parametrize(
    ("args", "told"),
    [
        (("cmd:server",), "a command needs {port}"),
        (("cmd:'",), "No closing quotation"),
        (("fastapi@",), "a version is like fastapi@"),
        (("asgi@1",), "has no versions"),
        (("http://",), "is no URL of an HTTP server"),
        (("http://127.0.0.1:99999/",), "is no URL of an HTTP server"),
        (("--python", "/nowhere", "app:app"), "--python '/nowhere': no such program"),
        (("--workload", "nope"), "--workload 'nope': use hello, greet, json, delayed, compute, upload"),
        (("--workload", "json", "--path", "/"), "--workload names a whole request"),
        (("--header", "Host: x"), "none of connection, content-length, expect, host,"),
        (("--header", "A: 1", "--header", "a: 2"), "each name once"),
        (("--method", "HEAD"), "wrk cannot read the answers to HEAD"),
        (("http://h:0/",), "is no URL of an HTTP server"),
        (("http://a..b/",), "not this machine"),
        (("--server", "hypercorn", "--http", "h11", "a=app:app"), "--http is uvicorn's"),
        (("--header", "nocolon"), "use 'Name: value'"),
        (("--method", "G T"), "use one such as GET or POST"),
        (("--body", "/nowhere"), "--body '/nowhere': No such file or directory"),
        (("--server", "granian"), "granian is not installed here"),
    ],
)
def test_wrong_arguments_are_told_in_one_line(args: tuple[str, ...], told: str, tool: Tool) -> None:
    done = tool.run("compare", *args)
    assert (done.returncode, done.stdout) == (2, "")
    assert told in done.stderr
    assert len(done.stderr.splitlines()) == 1
