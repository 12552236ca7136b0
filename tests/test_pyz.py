"""The whole .pyz, without site packages and wrk on PATH, and with a new HOME."""

import hashlib
import io
import json
import os
import re
import shutil
import subprocess
import sys
import textwrap
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import ROOT, only_build, program
from results_schema import loaded

pytestmark = [
    pytest.mark.timeout(600),
    pytest.mark.skipif(sys.platform != "linux", reason="wrk comes from Debian"),
]
Run = Callable[..., "subprocess.CompletedProcess[str]"]

THIS_PYTHON = getattr(sys, "_base_executable", sys.executable)  # not the one of .venv
TELL = "import sys; print(sys.implementation.name, *sys.version_info[:2])"


def pythons() -> list[str]:
    """Return every CPython from 3.11 on that this machine has, one of each minor version."""
    named = [shutil.which(f"python3.{minor}") for minor in range(11, 16)]
    installed = sorted(map(str, Path.home().glob(".pyenv/versions/*/bin/python")))
    by_version: dict[tuple[int, int], str] = {}
    for path in [THIS_PYTHON, *filter(None, named), *installed]:
        done = subprocess.run([path, "-c", TELL], capture_output=True, text=True, check=False)
        match = re.fullmatch(r"cpython (3) (1[1-5])\n", done.stdout)
        if match:
            by_version.setdefault((int(match[1]), int(match[2])), path)
    return [by_version[version] for version in sorted(by_version)]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / "home").mkdir()
    return tmp_path / "home"


@pytest.fixture
def warm(home: Path, unpacked: Path) -> None:
    shutil.copytree(unpacked, home / ".cache" / unpacked.name)


@pytest.fixture
def env(tmp_path: Path, home: Path) -> dict[str, str]:
    """Return a whole environment: a PATH with python3, env and sh alone."""
    tools = tmp_path / "bin"
    tools.mkdir()
    for name in ("env", "sh"):
        (tools / name).symlink_to(shutil.which(name) or "")
    (tools / "python3").symlink_to(THIS_PYTHON)
    (tmp_path / "tmp").mkdir()
    return {"PATH": str(tools), "HOME": str(home), "TMPDIR": str(tmp_path / "tmp")}


@pytest.fixture
def run(pyz: Path, env: dict[str, str], tmp_path: Path) -> Run:
    def run(*args: str, python: str = "python3", **more: str) -> subprocess.CompletedProcess[str]:
        command = [python if "/" in python else f"{env['PATH']}/{python}", str(pyz), *args]
        return subprocess.run(
            command,
            env={**env, **more},
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )

    return run


def cached(home: Path) -> list[str]:
    return sorted(
        path.name for path in (home / ".cache/micropie_bench").iterdir() if path.name != "lock"
    )


FAST = ("-r", "1", "-d", "1s", "-c", "8", "-t", "2", "-w", "1", "--warm-up", "0s")


def write_app(directory: Path) -> None:
    """Write who:app, which answers with the Python that serves it."""
    app = """
        import sys
        async def app(scope, receive, send):
            body = sys.executable.encode() + sys.version.encode()
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": body})
    """
    (directory / "who.py").write_text(textwrap.dedent(app))


def assert_served_by(python: str, text: str) -> None:
    """Check results of a run in that Python, with who:app as the last target."""
    data = loaded(text)
    version = subprocess.run(
        [python, "-c", "import sys; print(sys.version, end='')"], capture_output=True, check=True
    )
    assert data["environment"]["python"] == version.stdout.decode().split()[0]
    assert data["environment"]["executable"] == python
    assert {target["server_command"].split()[0] for target in data["targets"]} == {python}
    answered = data["targets"][-1]["responses"]["hello"]["body_sha256"]
    assert answered == hashlib.sha256(python.encode() + version.stdout).hexdigest()
    assert re.fullmatch(
        r".*/\.cache/micropie_bench/\w+-cp3\d+-linux-\w+/wrk/wrk", data["environment"]["wrk"]
    )
    assert data["environment"]["bundle"] in data["environment"]["wrk"]


@pytest.mark.nightly
def test_each_python_serves_what_it_was_asked_to_in_any_order_from_one_cache(
    run: Run, tmp_path: Path
) -> None:
    write_app(tmp_path)
    found = pythons()
    for python in [*found, *reversed(found)]:
        done = run("compare", "asgi", "who:app", *FAST, "--export-json", "-", python=python)
        assert done.returncode == 0, done.stderr
        assert_served_by(python, done.stdout)


@pytest.mark.usefixtures("warm")
def test_compare_needs_this_python_alone_no_network_no_site_packages_and_compiles_nothing(
    env: dict[str, str], home: Path, pyz: Path, tmp_path: Path
) -> None:
    up = """
        import fcntl, os, socket, struct, sys
        SIOCSIFFLAGS, IFF_UP, IFF_RUNNING = 0x8914, 0x1, 0x40  # netdevice(7)
        request = struct.pack("16sh", b"lo", IFF_UP | IFF_RUNNING)
        fcntl.ioctl(socket.socket(), SIOCSIFFLAGS, request)
        os.execv(sys.argv[1], sys.argv[1:])
    """
    python = f"{env['PATH']}/python3"
    cut = [shutil.which("unshare") or "unshare", *([] if os.getuid() == 0 else ["-r"]), "-n"]
    if subprocess.run([*cut, "true"], capture_output=True, check=False).returncode:
        pytest.skip("network namespaces are not to be had here")
    write_app(tmp_path)
    compiled = set(home.rglob("*.pyc"))
    page, results = home / "page.html", home / "results.json"
    compare = [python, "-I", "-S", str(pyz), "compare", "micropie", "fastapi", "who:app", *FAST]
    exports = ["--export-html", str(page), "--export-json", str(results)]
    command = [*cut, python, "-c", textwrap.dedent(up), *compare, *exports]
    done = subprocess.run(
        command, env=env, cwd=tmp_path, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "unpacking" not in done.stderr
    assert "<svg" in page.read_text()
    assert re.search(r"^\| MicroPie +\|", done.stdout, re.MULTILINE)
    assert_served_by(python, results.read_text())
    assert set(home.rglob("*.pyc")) == compiled, "a server compiled while it was measured"


@pytest.mark.usefixtures("warm")
def test_it_runs_by_itself_through_links_and_spaces_from_anywhere(
    pyz: Path, env: dict[str, str], tmp_path: Path
) -> None:
    there = tmp_path / "a dir with 'spaces'"
    there.mkdir()
    shutil.copy(pyz, there / "bench.pyz")
    (tmp_path / "link").symlink_to(there / "bench.pyz")
    for command in (
        ["./bench.pyz", "compare", "asgi", *FAST],
        [str(tmp_path / "link"), "-V"],
        [f"{env['PATH']}/python3", "../link", "-V"],
    ):
        done = subprocess.run(command, env=env, cwd=there, capture_output=True, check=False)
        assert done.returncode == 0, done.stderr.decode()


def test_first_starts_at_the_same_time_share_one_whole_cache(
    pyz: Path, env: dict[str, str], home: Path, tmp_path: Path
) -> None:
    argv = [f"{env['PATH']}/python3", str(pyz), "targets"]
    started = [
        subprocess.Popen(argv, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for _ in range(3)
    ]
    outputs = [process.communicate(timeout=300) for process in started]
    assert [process.returncode for process in started] == [0, 0, 0], outputs
    assert sum("unpacking and compiling into" in errors for _, errors in outputs) == 1
    assert len(cached(home)) == 1
    assert not list((tmp_path / "tmp").iterdir())


def test_without_a_home_to_trust_it_unpacks_for_this_start_alone(
    run: Run, home: Path, unpacked: Path, tmp_path: Path
) -> None:
    planted = home / ".cache/micropie_bench"
    shutil.copytree(unpacked, planted)
    (entry,) = cached(home)
    (planted / entry / "micropie_bench.py").write_text("raise SystemExit('planted')")
    planted.chmod(0o777)
    done = run("targets")
    assert done.returncode == 0, done.stderr
    assert str(tmp_path / "tmp") in done.stdout, "wrk should be in the private directory"
    assert not list((tmp_path / "tmp").iterdir())


@pytest.mark.usefixtures("warm")
def test_wrk_is_the_named_one_then_the_one_on_path_then_the_bundled(
    run: Run, env: dict[str, str], tmp_path: Path
) -> None:
    def fake(path: Path, version: str) -> str:
        return program(path, f"echo 'wrk {version} [epoll]'\necho 'Usage: wrk <url>'")

    assert ".cache/micropie_bench/" in run("targets").stdout
    fake(Path(env["PATH"]) / "wrk", "on-path")
    assert "Load by wrk on-path" in run("targets").stdout
    named = fake(tmp_path / "mine", "named")
    assert "Load by wrk named" in run("targets", MICROPIE_BENCH_WRK=named).stdout
    assert "named" in run("doctor", "--wrk", named).stdout


@pytest.mark.nightly
def test_two_builds_are_the_same_file(pyz: Path) -> None:
    before = pyz.read_bytes()
    build = [str(ROOT / "build_pyz.sh")]
    with only_build():
        done = subprocess.run(build, check=True, capture_output=True, text=True)
    assert pyz.read_bytes() == before
    assert done.stdout.splitlines()[-1] == f"sha256 {hashlib.sha256(before).hexdigest()}"


def test_all_that_is_bundled_comes_with_its_licence_and_its_origin(pyz: Path) -> None:
    with zipfile.ZipFile(pyz) as archive:
        bundle = json.loads(archive.read("bundle.json"))
        parts = {
            name: zipfile.ZipFile(io.BytesIO(archive.read(name)))
            for name in archive.namelist()
            if ".zip" in name
        }
    names = [name for part in parts.values() for name in part.namelist()]
    packages = {name.partition("/")[0] for name in names if ".dist-info/" in name}
    licensed = {
        name.partition("/")[0]
        for name in names
        if re.search(r"\.dist-info/(.*/)?(LICEN|COPY)", name)
    }
    assert packages - licensed == set()
    assert {"LICENSE", "micropie_bench.py", "apps/apps.py"} <= set(names)
    (wrk,) = [bundle[name] for name in bundle if name.startswith("wrk-")]
    assert "wrk" in [package["package"] for package in wrk]
    assert all(re.fullmatch(r"[0-9a-f]{64}", package["sha256"]) for package in wrk)
    assert {f"wrk/licenses/{package['package']}" for package in wrk} <= set(names)


def test_what_each_python_gets_was_built_for_it(pyz: Path) -> None:
    """Also for those that this machine does not have."""
    with zipfile.ZipFile(pyz) as archive:
        pythons = json.loads(archive.read("bundle.json"))["pythons"]
        assert [name.partition("-")[0] for name in pythons] == [
            *("cp311", "cp312", "cp313", "cp314", "cp315")
        ]
        for name in pythons:
            tag = name.partition("-")[0]
            with zipfile.ZipFile(io.BytesIO(archive.read(f"{name}.zip"))) as files:
                native = [each for each in files.namelist() if ".so" in Path(each).suffixes]
            assert native
            assert [
                each for each in native if f".{tag.replace('cp', 'cpython-')}-" not in each
            ] == []
