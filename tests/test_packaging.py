"""What starts the .pyz and what assembles it, without a build; and the cache's rule."""

import ast
import importlib.util
import io
import itertools
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from conftest import ROOT, kept_signals

from micropie_benchlib.system import temporary
from micropie_benchlib.system.cache import trusted_cache

LAUNCHER = ROOT / "packaging/launcher.py"
SCRIPT = '''\
"""A script that stands for micropie_bench.py."""

def entry_point():
    print(__file__)
'''


def load(path: Path) -> Any:
    spec = importlib.util.spec_from_file_location(f"loaded_{path.stem}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # where dataclasses look for it
    spec.loader.exec_module(module)
    return module


def write(path: Path, text: str, mode: int = 0o644) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(mode)


def below(directory: Path) -> list[str]:
    return sorted(str(path.relative_to(directory)) for path in directory.rglob("*"))


@pytest.fixture(scope="module")
def assemble() -> Any:
    return load(ROOT / "packaging/assemble.py")


@pytest.fixture
def launcher(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setitem(sys.modules, "temporary_files", temporary)
    launcher = load(LAUNCHER)
    launcher.WANTED = launcher.this_python()  # the name of what it needs
    return launcher


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    directory = tmp_path / "checkout"
    write(directory / "packaging/launcher.py", LAUNCHER.read_text())
    write(directory / "micropie_bench.py", SCRIPT)
    package = "micropie_benchlib"
    for name in ("system/cache.py", "system/temporary.py", "programs/cleanup.py"):
        write(directory / package / name, (ROOT / package / name).read_text())
    write(directory / "apps.py", "")
    write(directory / "LICENSE", "")
    return directory


@pytest.fixture
def trees(tmp_path: Path, launcher: Any) -> Path:
    directory = tmp_path / "trees"
    for name in (launcher.WANTED, "cp396-linux-x86_64"):
        write(directory / name / "package/shared.py", "")
        write(directory / name / "package/native.so", name)
        write(directory / name / "package/tool.sh", "", 0o755)
    wrk = directory / f"wrk-{launcher.WANTED.partition('-')[2]}/wrk"
    write(wrk / "wrk", "#!/bin/sh\n", 0o755)
    write(wrk / "packages", "wrk 4.1.0-4 00ff\nlibc6 2.41-12 11ee\n")
    return directory


@pytest.fixture
def pyz(launcher: Any, assemble: Any, trees: Path, checkout: Path) -> Path:
    """Return a small .pyz, which the launcher takes for the one it was started from."""
    path = trees.with_name("small.pyz")
    members = assemble.assembled(trees, checkout)
    stored = assemble.zipped(members, zipfile.ZIP_STORED, assemble.SHEBANG)
    assemble.write_program(path, stored)
    launcher.HERE = str(path)
    return path


# --- the launcher in a Python that is not inside -------------------------------------


def test_an_old_python_reads_the_launcher_and_imports_only_os_and_sys_at_first() -> None:
    """Of syntax this tells what is newer than 3.4; a Python 2.7 here, if any, tells the rest."""
    tree = ast.parse(LAUNCHER.read_text(), feature_version=(3, 4))
    assert LAUNCHER.read_bytes().isascii(), "Python 2 reads nothing else undeclared"
    imported = set()
    for statement in tree.body:
        if isinstance(statement, ast.Import):
            imported |= {alias.name for alias in statement.names}
        assert not isinstance(statement, ast.ImportFrom)
    assert imported == {"os", "sys"}


def test_python_that_is_not_inside_is_told_so_in_one_line_and_nothing_is_unpacked(
    launcher: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    launcher.INSIDE = ["cp395-linux-x86_64", "cp396-linux-x86_64", "cp396-macos-arm64"]
    launcher.HERE = "/a/bench.pyz"
    monkeypatch.setattr(launcher, "cached", pytest.fail)
    with pytest.raises(SystemExit) as stopped:
        launcher.main()
    assert stopped.value.code == 1
    assert capsys.readouterr().err == (
        "micropie_bench: this file needs CPython 3.95, 3.96 on linux-x86_64, macos-arm64, "
        f"and {sys.executable} is {launcher.this_python()}: use python3.96 bench.pyz\n"
    )


def older_pythons() -> list[str]:
    """Return the Pythons of this machine that are too old, 2.7 among them if it is."""
    paths = [shutil.which(f"python{version}") for version in ("2.7", "3.8", "3.9", "3.10")]
    installed = Path.home().glob(".pyenv/versions/*/bin/python")
    found = [path for path in paths if path and ".pyenv" not in path]
    for path in sorted(installed):
        if re.fullmatch(r"2\..*|3\.([0-9]|10)\..*", path.parent.parent.name):
            found.append(str(path))
    return found


def test_every_older_python_of_this_machine_is_told_that_it_is_too_old(pyz: Path) -> None:
    pythons = older_pythons()
    if not pythons:
        pytest.skip("there is no Python older than 3.11 here")
    for python in pythons:
        argv = [python, str(pyz)]
        done = subprocess.run(argv, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stdout) == (1, ""), done.stderr
        line = rf"micropie_bench: this file needs .* and {re.escape(python)} is cp\d+-.*\n"
        assert re.fullmatch(line, done.stderr)


@pytest.mark.parametrize(
    ("different", "name"),
    [
        pytest.param({}, "cp312-linux-x86_64", id="CPython on Linux"),
        pytest.param({"machine": "aarch64"}, "cp312-linux-aarch64", id="aarch64"),
        pytest.param({"platform": "darwin", "machine": "arm64"}, "cp312-macos-arm64", id="macOS"),
        pytest.param({"platform": "freebsd14"}, "cp312-freebsd14-x86_64", id="FreeBSD"),
        pytest.param({"glibc": False}, "cp312-linux-without-glibc-x86_64", id="musl"),
        pytest.param({"abiflags": "t"}, "cp312t-linux-x86_64", id="free-threaded"),
        pytest.param({"maxsize": 2**31 - 1}, "cp312-linux-x86_64-32bit", id="32 bit"),
        pytest.param({"kind": "pypy"}, "pypy312-linux-x86_64", id="PyPy"),
    ],
)
def test_wheels_are_never_taken_for_those_of_another_kind_of_python(
    different: dict[str, Any], name: str, launcher: Any
) -> None:
    world = {"platform": "linux", "machine": "x86_64", "kind": "cpython", "glibc": True}
    world |= {"maxsize": 2**63 - 1, "abiflags": "", "version_info": (3, 12, 1)}
    world |= different

    def confstr(_name: str) -> str:
        if not world["glibc"]:
            raise ValueError("unrecognized configuration name")
        return "glibc 2.41"

    launcher.sys = SimpleNamespace(**world)
    launcher.sys.implementation = SimpleNamespace(name=world["kind"])
    uname = ("Linux", "host", "6", "#1", world["machine"])
    launcher.os = SimpleNamespace(confstr=confstr, uname=lambda: uname)
    assert launcher.this_python() == name


# --- the launcher unpacks ------------------------------------------------------------


@pytest.mark.usefixtures("pyz")
def test_all_that_this_python_needs_is_unpacked_compiled_and_with_its_modes(
    launcher: Any, tmp_path: Path
) -> None:
    directory = tmp_path / "unpacked"
    launcher.unpack(launcher.WANTED, str(directory))
    names = [name for name in below(directory) if "__pycache__/" not in name]
    assert [name for name in names if (directory / name).is_file()] == [
        "LICENSE",
        "apps/apps.py",
        "bundle.json",
        "files.json",
        "micropie_bench.py",
        "micropie_benchlib/programs/cleanup.py",
        "micropie_benchlib/system/cache.py",
        "micropie_benchlib/system/temporary.py",
        "package/native.so",
        "package/shared.py",
        "package/tool.sh",
        "wrk/packages",
        "wrk/wrk",
    ]
    assert (directory / "package/native.so").read_text() == launcher.WANTED
    for name in ("package/tool.sh", "wrk/wrk"):
        assert (directory / name).stat().st_mode & 0o777 == 0o755
    assert (directory / "wrk/packages").stat().st_mode & 0o777 == 0o644
    compiled = next(directory.glob("__pycache__/micropie_bench.*.pyc")).read_bytes()
    assert str(directory / "micropie_bench.py").encode() in compiled
    assert b".part" not in compiled, "tracebacks would name a file that is gone"


@pytest.mark.usefixtures("pyz")
@pytest.mark.parametrize("step", ["extract", "compile", "rename"])
@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError])
def test_an_interrupted_unpack_leaves_no_directory_to_be_taken_for_whole(
    step: str,
    error: type[BaseException],
    launcher: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def interrupted(*_args: object, **_options: object) -> None:
        assert list(tmp_path.glob("cache/unpacked-*.part/micropie_bench.py"))
        raise error

    names = {"extract": "os.chmod", "compile": "compileall.compile_file"}
    monkeypatch.setattr(names.get(step, "os.rename"), interrupted)
    (tmp_path / "cache").mkdir()
    with pytest.raises(error):
        launcher.unpack(launcher.WANTED, str(tmp_path / "cache/unpacked"))
    assert below(tmp_path / "cache") == []


FAULTS: dict[str, Callable[[Path], object]] = {
    "missing": lambda directory: (directory / "package/native.so").unlink(),
    "shortened": lambda directory: os.truncate(directory / "package/native.so", 1),
    "other mode": lambda directory: (directory / "package/native.so").chmod(0o000),
    "no list": lambda directory: (directory / "files.json").unlink(),
    "empty list": lambda directory: os.truncate(directory / "files.json", 0),
}


@pytest.mark.usefixtures("pyz")
@pytest.mark.parametrize("fault", FAULTS)
def test_what_is_not_whole_any_more_is_told_and_unpacked_anew(
    fault: str, launcher: Any, tmp_path: Path
) -> None:
    directory = tmp_path / "unpacked"
    launcher.unpack(launcher.WANTED, str(directory))
    assert launcher.is_whole(str(directory))
    FAULTS[fault](directory)
    assert not launcher.is_whole(str(directory))
    launcher.unpack(launcher.WANTED, str(directory))
    assert launcher.is_whole(str(directory))


@pytest.mark.parametrize("member", ["common.zip", "wrk"])
def test_a_file_that_was_damaged_on_its_way_is_told_in_one_line(
    member: str, pyz: Path, launcher: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with zipfile.ZipFile(pyz) as archive:
        (info,) = [each for each in archive.infolist() if each.filename.startswith(member)]
    content = bytearray(pyz.read_bytes())
    content[info.header_offset + len(info.filename) + 100] ^= 1
    pyz.write_bytes(content)
    with pytest.raises(SystemExit) as stopped:
        launcher.unpack(launcher.WANTED, str(tmp_path / "unpacked"))
    assert stopped.value.code == 1
    message = rf"micropie_bench: {pyz} is damaged \(.+\): copy it again\n"
    assert re.fullmatch(message, capsys.readouterr().err)
    assert not list(tmp_path.glob("unpacked*"))


@pytest.mark.parametrize("setting", [signal.SIG_DFL, signal.SIG_IGN])
def test_sighup_is_as_sigterm_unless_nohup_ignores_it(
    setting: signal.Handlers, launcher: Any
) -> None:
    numbers = (signal.SIGTERM, signal.SIGHUP)
    with kept_signals():
        for number in numbers:
            signal.signal(number, setting)
        launcher.handle_signals()
        handled = [signal.getsignal(number) for number in numbers]
    wanted = signal.SIG_IGN if setting is signal.SIG_IGN else signal.default_int_handler
    assert handled == [wanted, wanted]


# --- the launcher's choice of a place ------------------------------------------------

Start = Callable[..., str]


@pytest.fixture
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Path]]:
    """Return the private directories made; each of them was removed by the end."""
    made: list[Path] = []
    (tmp_path / "tmp").mkdir()
    mkdtemp = tempfile.mkdtemp

    def recorded(prefix: str, dir: str) -> str:  # noqa: A002
        assert os.path.isabs(dir)  # noqa: PTH117
        made.append(Path(mkdtemp(prefix=prefix, dir=tmp_path / "tmp")))
        return str(made[-1])

    monkeypatch.setattr(tempfile, "mkdtemp", recorded)
    yield made
    assert below(tmp_path / "tmp") == []


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    (tmp_path / "cache").mkdir()
    return tmp_path / "cache"


@pytest.fixture
def start(launcher: Any, pyz: Path, monkeypatch: pytest.MonkeyPatch) -> Start:
    """Return what starts the launcher with that cache, and returns where it started from."""
    launcher.INSIDE = [launcher.WANTED]
    launcher.BUILD = "build"

    def start(cache: Path | None, entry_point: Callable[[], None] = lambda: None) -> str:
        found = str(cache) if cache else None
        rule = SimpleNamespace(trusted_cache=lambda: found)
        script = SimpleNamespace(entry_point=entry_point)
        monkeypatch.setitem(sys.modules, "trusted_cache", rule)
        monkeypatch.setitem(sys.modules, "micropie_bench", script)
        monkeypatch.setattr(sys, "path", [str(pyz), *sys.path])
        monkeypatch.setattr(signal, "signal", lambda *_: None)
        launcher.main()
        return sys.path[0]

    return start


def test_second_start_takes_what_the_first_unpacked(
    start: Start, launcher: Any, places: list[Path], cache: Path
) -> None:
    unpacked = str(cache / f"build-{launcher.WANTED}")
    assert start(cache) == unpacked
    launcher.unpack = pytest.fail
    assert start(cache) == unpacked
    assert places == []


@pytest.mark.parametrize(
    ("error", "status"), [(SystemExit(3), 3), (KeyboardInterrupt(), 130)], ids=str
)
def test_the_private_directory_is_removed_however_the_run_ends(
    error: BaseException, status: int, start: Start, places: list[Path]
) -> None:
    def entry_point() -> None:
        raise error

    with pytest.raises(SystemExit) as stopped:
        start(None, entry_point)
    assert stopped.value.code == status
    assert len(places) == 1


@pytest.mark.parametrize("trouble", ["no programs may run there", "disk is full"])
def test_cache_that_cannot_serve_is_replaced_by_a_private_directory(
    trouble: str, start: Start, launcher: Any, places: list[Path], cache: Path
) -> None:
    unpack = launcher.unpack

    def unpack_if_space(wanted: str, directory: str) -> None:
        if directory.startswith(str(cache)):
            raise OSError("No space left on device")
        unpack(wanted, directory)

    if trouble == "disk is full":
        launcher.unpack = unpack_if_space
    else:
        launcher.may_run_programs = lambda directory: directory != str(cache)
    assert start(cache) == str(places[0] / "bundle")


@pytest.mark.skipif(not hasattr(os, "ST_NOEXEC"), reason="not told on this system")
def test_file_systems_mounted_noexec_are_told_from_others(
    launcher: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    for flags, usable in ((os.ST_NOEXEC | os.ST_NOSUID, False), (os.ST_NOSUID, True)):
        told = SimpleNamespace(f_flag=flags)
        monkeypatch.setattr(os, "statvfs", lambda _, told=told: told)
        assert launcher.may_run_programs("/anywhere") is usable


def test_next_place_is_tried_where_the_first_cannot_be_used(
    start: Start, launcher: Any, places: list[Path]
) -> None:
    answers = itertools.chain([False], itertools.repeat(True))
    launcher.may_run_programs = lambda _: next(answers)
    assert start(None) == str(places[1] / "bundle")
    assert len(places) == 2


@pytest.mark.parametrize(
    ("trouble", "reason"),
    [
        ("unpack", "No space left on device"),
        ("keeps_modes", "none may be written to and run programs"),
    ],
)
def test_without_any_place_it_says_so_in_one_line(
    trouble: str,
    reason: str,
    start: Start,
    launcher: Any,
    places: list[Path],
    capsys: pytest.CaptureFixture[str],
) -> None:
    def full(_wanted: str, _directory: str) -> None:
        raise OSError("No space left on device")

    setattr(launcher, trouble, full if trouble == "unpack" else lambda _: False)
    with pytest.raises(SystemExit) as stopped:
        start(None, pytest.fail)
    assert stopped.value.code == 1
    assert len(places) >= 4
    assert capsys.readouterr().err.splitlines()[-1] == (
        f"micropie_bench: no directory to unpack into: {reason}; "
        "set TMPDIR or XDG_CACHE_HOME to one"
    )


def test_a_working_directory_that_was_removed_and_no_temporary_one_are_no_obstacle(
    start: Start, launcher: Any, monkeypatch: pytest.MonkeyPatch, places: list[Path]
) -> None:
    def none() -> str:
        raise FileNotFoundError

    monkeypatch.setattr(tempfile, "gettempdir", none)
    monkeypatch.setattr(os, "getcwd", none)
    assert start(None) == str(places[0] / "bundle")


def test_private_directory_that_others_may_write_to_is_not_used(
    launcher: Any, tmp_path: Path
) -> None:
    for mode, kept in ((0o700, True), (0o755, True), (0o777, False), (0o770, False)):
        tmp_path.chmod(mode)
        assert launcher.keeps_modes(str(tmp_path)) is kept


def test_a_whole_small_pyz_starts_its_script_with_the_rule_that_it_carries(
    pyz: Path, tmp_path: Path
) -> None:
    (tmp_path / "tmp").mkdir()
    environment = {"TMPDIR": str(tmp_path / "tmp"), "HOME": ""}  # so there is no cache
    argv = [sys.executable, "-I", "-S", str(pyz)]
    done = subprocess.run(argv, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    place = re.escape(str(tmp_path / "tmp"))
    script = rf"{place}/micropie_bench-\w+/bundle/micropie_bench\.py\n"
    assert re.fullmatch(script, done.stdout)
    assert below(tmp_path / "tmp") == []


# --- the assembler -------------------------------------------------------------------


def inner(member: Any) -> zipfile.ZipFile:
    return zipfile.ZipFile(io.BytesIO(member.content))


def test_two_builds_of_the_same_files_are_the_same_bytes(
    assemble: Any,
    trees: Path,
    checkout: Path,
    launcher: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Neither times, nor the directory's order, nor the installer's records matter."""
    copy = tmp_path / "copy"
    for path in sorted(trees.rglob("*")):
        if path.is_file():
            target = copy / path.relative_to(trees)
            write(target, path.read_text(), path.stat().st_mode)
            os.utime(target, (1, 1))
    write(copy / launcher.WANTED / "bin/tool", "#!/another/path\n", 0o755)
    write(copy / launcher.WANTED / "package.dist-info/RECORD", "")
    write(copy / launcher.WANTED / "package/__pycache__/shared.pyc", "")
    members = assemble.assembled(trees, checkout)
    first = assemble.zipped(members, zipfile.ZIP_STORED, assemble.SHEBANG)

    rglob = Path.rglob
    iterdir = Path.iterdir
    monkeypatch.setattr(Path, "rglob", lambda *given: sorted(rglob(*given), reverse=True))
    monkeypatch.setattr(Path, "iterdir", lambda path: sorted(iterdir(path), reverse=True))
    members = assemble.assembled(copy, checkout)
    second = assemble.zipped(members, zipfile.ZIP_STORED, assemble.SHEBANG)
    assert first == second


@pytest.mark.parametrize(
    "changed",
    [
        "checkout/packaging/launcher.py",
        "checkout/micropie_bench.py",
        "checkout/micropie_benchlib/system/cache.py",
        "trees/cp396-linux-x86_64/package/native.so",
    ],
)
def test_cache_of_an_older_build_is_never_used(
    changed: str, assemble: Any, trees: Path, checkout: Path, tmp_path: Path
) -> None:
    before = json.loads(assemble.assembled(trees, checkout)["bundle.json"].content)
    with (tmp_path / changed).open("a") as file:
        file.write("\n")
    after = json.loads(assemble.assembled(trees, checkout)["bundle.json"].content)
    assert before["build"] != after["build"]


def test_files_that_all_pythons_share_with_their_modes_are_stored_once(
    assemble: Any, trees: Path, checkout: Path, launcher: Any
) -> None:
    other = "cp396-linux-x86_64"
    (trees / launcher.WANTED / "package/mode.py").touch(0o755)
    (trees / other / "package/mode.py").touch(0o644)
    members = assemble.assembled(trees, checkout)
    common = inner(members["common.zip"]).namelist()
    assert common[:3] == ["package/shared.py", "package/tool.sh", "LICENSE"]
    for name in (launcher.WANTED, other):
        own = ["package/mode.py", "package/native.so"]
        assert inner(members[f"{name}.zip"]).namelist() == own
        assert inner(members[f"{name}.zip"]).read("package/native.so") == name.encode()


def test_members_are_few_and_the_bundle_names_what_is_inside(
    assemble: Any, launcher: Any, trees: Path, checkout: Path, tmp_path: Path
) -> None:
    platform = launcher.WANTED.partition("-")[2]
    pythons = sorted([launcher.WANTED, "cp396-linux-x86_64"])
    members = assemble.assembled(trees, checkout)
    zips = [f"{name}.zip" for name in ("common", *pythons, f"wrk-{platform}")]
    copied = ["trusted_cache.py", "temporary_files.py", launcher.CLEANUP]
    assert list(members) == ["__main__.py", *copied, *zips, "bundle.json"]
    bundle = json.loads(members["bundle.json"].content)
    (tmp_path / "main.py").write_bytes(members["__main__.py"].content)
    main = load(tmp_path / "main.py")
    assert pythons == main.INSIDE
    assert bundle == {
        "build": main.BUILD,
        "pythons": pythons,
        f"wrk-{platform}": [
            {"package": "wrk", "version": "4.1.0-4", "sha256": "00ff"},
            {"package": "libc6", "version": "2.41-12", "sha256": "11ee"},
        ],
    }


def test_build_without_packages_for_any_python_is_refused(
    assemble: Any, checkout: Path, tmp_path: Path
) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(SystemExit, match="no directory of packages"):
        assemble.assembled(tmp_path / "empty", checkout)


# --- the rule for a trusted cache directory ------------------------------------------


@pytest.mark.parametrize(
    ("home_value", "cache_value", "expected"),
    [
        pytest.param("{home}", None, "{home}/.cache", id="HOME alone"),
        pytest.param("{home}/", None, "{home}/.cache", id="HOME with a slash"),
        pytest.param("{home}", "", "{home}/.cache", id="empty XDG_CACHE_HOME"),
        pytest.param("{home}", "{home}/a/b", "{home}/a/b", id="XDG_CACHE_HOME"),
        pytest.param(None, "{home}/a", "{home}/a", id="XDG_CACHE_HOME alone"),
        pytest.param("home", "{home}/a", "{home}/a", id="beside a relative HOME"),
        pytest.param("home", None, None, id="relative HOME"),
        pytest.param(None, None, None, id="nothing set"),
        pytest.param("", "", None, id="all empty"),
        pytest.param("{home}", "cache", None, id="relative XDG_CACHE_HOME"),
        pytest.param("{home}/missing", None, None, id="missing HOME"),
        pytest.param("{home}/missing/", None, None, id="missing HOME with a slash"),
        pytest.param("{home}/missing", "{home}/missing/a", None, id="below a missing HOME"),
        pytest.param("/proc", None, None, id="read-only HOME"),
        pytest.param("{home}", "/proc/a/b", None, id="read-only XDG_CACHE_HOME"),
    ],
)
def test_cache_is_made_for_this_user_alone_where_the_environment_names_a_place_of_the_user(
    home_value: str | None,
    cache_value: str | None,
    expected: str | None,
    home: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, value in (("HOME", home_value), ("XDG_CACHE_HOME", cache_value)):
        monkeypatch.delenv(name, raising=False)
        if value is not None:
            monkeypatch.setenv(name, value.format(home=home))
    umask = os.umask(0)
    try:
        cache = trusted_cache()
        assert cache == trusted_cache(), "the second time, it is there"
    finally:
        os.umask(umask)
    if expected is None:
        assert cache is None
        assert below(home) == []
        return
    assert cache == f"{expected.format(home=home)}/micropie_bench"
    made = list(home.rglob("*"))
    assert Path(cache) in made
    assert {path.stat().st_mode & 0o777 for path in made} == {0o700}


@pytest.mark.parametrize(
    ("place", "mode", "trusted"),
    [
        pytest.param(".", 0o755, True, id="home that others may read"),
        pytest.param(".", 0o777, False, id="home that others may write to"),
        pytest.param(".", 0o770, False, id="home that the group may write to"),
        pytest.param(".", 0o1777, True, id="sticky home"),
        pytest.param(".cache", 0o755, True, id=".cache that others may read"),
        pytest.param(".cache", 0o702, False, id=".cache that others may write to"),
        pytest.param(".cache", 0o720, False, id=".cache that the group may write to"),
        pytest.param(".cache", 0o1777, True, id="sticky .cache"),
        pytest.param(".cache/micropie_bench", 0o755, True, id="cache that others may read"),
        pytest.param(".cache/micropie_bench", 0o702, False, id="cache that others may write to"),
        pytest.param(".cache/micropie_bench", 0o720, False, id="cache that the group may write to"),
        pytest.param(".cache/micropie_bench", 0o1777, False, id="sticky cache"),
    ],
)
def test_what_others_could_write_to_or_replace_is_never_trusted(
    place: str, mode: int, trusted: bool, home: Path
) -> None:
    (home / place).mkdir(parents=True, exist_ok=True)
    (home / place).chmod(mode)
    before = below(home)
    cache = trusted_cache()
    if trusted:
        assert cache == str(home / ".cache/micropie_bench")
    else:
        assert cache is None
        assert below(home) == before
    assert (home / place).stat().st_mode & 0o7777 == mode, "it is not ours to change"


@pytest.mark.parametrize("place", [".", ".cache", ".cache/micropie_bench"])
def test_as_root_in_the_home_of_another_user_nothing_is_trusted_or_left(
    place: str, home: Path
) -> None:
    if os.geteuid():
        pytest.skip("only root can give a directory away")
    (home / place).mkdir(parents=True, exist_ok=True)
    os.chown(home / place, 12345, 12345)
    before = below(home)
    assert trusted_cache() is None
    assert below(home) == before


@pytest.mark.parametrize("place", [".cache", ".cache/micropie_bench"])
@pytest.mark.parametrize("kind", ["file", "link to nothing", "link to itself"])
def test_what_is_not_a_directory_is_neither_trusted_nor_replaced(
    kind: str, place: str, home: Path
) -> None:
    path = home / place
    path.parent.mkdir(exist_ok=True)
    if kind == "file":
        path.touch()
    else:
        path.symlink_to(path if kind == "link to itself" else home / "nothing")
    before = below(home)
    assert trusted_cache() is None
    assert below(home) == before


def test_link_in_the_place_of_the_cache_is_refused(home: Path) -> None:
    (home / "elsewhere").mkdir(mode=0o700)
    (home / ".cache").mkdir()
    (home / ".cache/micropie_bench").symlink_to(home / "elsewhere")
    assert trusted_cache() is None
    assert below(home / "elsewhere") == []


def test_cache_on_a_larger_disk_that_a_link_leads_to_is_used(home: Path) -> None:
    (home / "disk").mkdir()
    (home / ".cache").symlink_to(home / "disk")
    assert trusted_cache() == str(home / ".cache/micropie_bench")
    assert below(home / "disk") == ["micropie_bench"]
