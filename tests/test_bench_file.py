"""Targets with settings of their own, by bench.toml and by --set."""

import json
import re
import sys
from pathlib import Path
from typing import Any

import pytest
from conftest import ROOT, TARGETS, Asked, Tool, run_command

from micropie_benchlib.cli.bench_file import read_bench_file
from micropie_benchlib.core.choices import AsgiServer
from micropie_benchlib.core.errors import UsageError
from micropie_benchlib.core.requests import Workload
from micropie_benchlib.core.secrets import Secrets
from micropie_benchlib.core.targets import (
    AsgiTarget,
    CommandTarget,
    ServerSettings,
    Target,
    UrlTarget,
)
from micropie_benchlib.run.facts import server_command
from micropie_benchlib.serve.servers import UrlServer

FILE = """
rounds = 4
connections = [8, 16]
header = ["X-Kind: file"]
server = "hypercorn"

[targets.before]
app = "shop:app"
directory = "old"
workers = 1
server = "uvicorn"
arguments = "--factory --limit-concurrency 9"
env = { MODE = "${MODE}", KIND = "plain" }
prepare = "touch ready"

[targets.go]
command = "./server {port}"
scheme = "https"
start_timeout = "3m"

[targets.there]
url = "http://127.0.0.1:1/"
"""


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "bench" / "old").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MODE", "from-outside")
    return tmp_path


def write(here: Path, content: str) -> str:
    """Return the path of a bench.toml with the content, which is not in `here` itself."""
    file = here / "bench" / "bench.toml"
    file.parent.mkdir(exist_ok=True)
    file.write_text(content)
    read_bench_file.cache_clear()
    return "bench/bench.toml"


def test_a_file_has_targets_with_settings_of_their_own(here: Path, asked: Asked) -> None:
    plan = asked.plan_of("compare", "--config", write(here, FILE))
    before, go, there = plan.targets
    assert isinstance(before, AsgiTarget)
    assert (before.name, before.app, before.directory) == (
        "before",
        "shop:app",
        here / "bench" / "old",
    )
    assert before.arguments == ("--factory", "--limit-concurrency", "9")
    assert dict(before.env) == {"MODE": "from-outside", "KIND": "plain"}
    assert before.prepare == "touch ready"
    own = plan.server_of(before)
    assert (own.workers, own.asgi) == (1, AsgiServer.UVICORN)

    assert isinstance(go, CommandTarget)
    assert (go.command, go.scheme, go.directory) == ("./server {port}", "https", here / "bench")
    assert plan.server_of(go).start_timeout_s == 180
    assert plan.server_of(go).asgi is AsgiServer.HYPERCORN

    assert there == UrlTarget(
        name="there",
        label="there",
        spec="http://127.0.0.1:1/",
        url="http://127.0.0.1:1/",
        addresses=("127.0.0.1",),
    )
    assert plan.server_of(there).workers == 4
    assert plan.variables == ("from-outside",)


def test_options_of_the_file_are_defaults(here: Path, asked: Asked) -> None:
    file = write(here, FILE)
    plan = asked.plan_of("compare", "--config", file)
    assert (plan.rounds, [load.connections for load in plan.loads]) == (4, [8, 16])
    assert plan.loads[0].workload.headers == (("X-Kind", "file"),)

    plan = asked.plan_of("compare", "--config", file, "-r", "2", "--path", "/a", "-c", "9")
    assert (plan.rounds, [load.connections for load in plan.loads]) == (2, [9])
    assert plan.loads[0].workload.path == "/a"
    assert plan.loads[0].workload.headers == (("X-Kind", "file"),), "as in the file"


def test_a_target_that_is_not_there_is_told_beside_those_of_the_file(
    here: Path, asked: Asked
) -> None:
    told = r"^unknown target 'befor' \(did you mean before\?\): use before, go, there, micropie, "
    with pytest.raises(UsageError, match=told):
        asked.plan_of("compare", "--config", write(here, FILE), "befor")


def test_the_limit_of_a_capacity_is_the_files(here: Path, asked: Asked) -> None:
    file = write(here, 'p99_limit = "80ms"')
    capacity = ("capacity", "asgi", "--config", file)
    assert asked.plan_of(*capacity).p99_limit_s == 0.08
    assert asked.plan_of(*capacity, "--p99-limit", "20ms").p99_limit_s == 0.02
    assert asked.plan_of("compare", "asgi", "--config", file).p99_limit_s is None
    at_a_rate = asked.plan_of("compare", "asgi", "--config", file, "--rate", "100")
    assert at_a_rate.p99_limit_s == 0.08


@pytest.mark.parametrize(
    ("content", "args", "expected"),
    [
        ("rounds = 4", ["--quick"], (3, [100], 1, ["hello"])),
        ("rounds = 4\nconnections = 8", ["--quick", "-t", "1"], (3, [8], 1, ["hello"])),
        ("rounds = 4\nconnections = 8", ["--short"], (10, [100], 1, ["hello"])),
        ("gist = true", ["--short"], (10, [100], 1, ["hello"])),
        ("quick = true", ["--gist"], (1, [100, 200], 30, ["hello"])),
        ("quick = true\nrounds = 2", [], (2, [100], 1, ["hello"])),
        ('workload = "json"', ["--path", "/x"], (18, [100, 200], 2, ["GET /x"])),
        ('path = "/x"\nheader = "A: b"', ["--workload", "json"], (18, [100, 200], 2, ["json"])),
        ('[workloads.mine]\npath = "/x"', ["--path", "/y"], (18, [100, 200], 2, ["GET /y"])),
        (
            '[workloads.mine]\npath = "/x"\n[workloads.other]',
            ["--workload", "other", "--workload", "json"],
            (18, [100, 200], 2, ["json", "other"]),
        ),
        ("precision = '1%'\nmax_time = '10m'", ["--quick"], (3, [100], 1, ["hello"])),
    ],
)
def test_the_command_line_goes_before_the_file(
    content: str, args: list[str], expected: tuple[object, ...], here: Path, asked: Asked
) -> None:
    plan = asked.plan_of("compare", "a=shop:app", "--config", write(here, content), *args)
    connections = dict.fromkeys(load.connections for load in plan.loads)
    workloads = dict.fromkeys(load.workload.name for load in plan.loads)
    duration_s = plan.loads[0].duration_s
    assert (plan.rounds, [*connections], duration_s, [*workloads]) == expected
    assert plan.precision is None


def test_targets_are_chosen_from_the_file_by_name(here: Path, asked: Asked) -> None:
    file = write(here, FILE)
    plan = asked.plan_of(
        "compare", "--config", file, "go", "asgi", "before=other:app", "--server", "uvicorn"
    )
    go, asgi, before = plan.targets
    assert plan.names == ["go", "asgi", "before"]
    assert isinstance(go, CommandTarget)
    assert isinstance(asgi, AsgiTarget)
    assert isinstance(before, AsgiTarget)
    assert asgi.label == "ASGI"
    assert before.app == "other:app"
    assert plan.server_of(before).workers == 1, "its other settings are the file's"


def test_set_goes_before_the_file(
    here: Path, asked: Asked, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TOKEN", "t0k3n-of-mine")
    settings = {
        "targets.before.workers": "3",
        "before.env.MODE": "of --set",
        "before.env.TOKEN": "${TOKEN}",
        "before.access_log": "no",
        "go.command": "./other {port}",
        "go.directory": "bench/old",
    }
    arguments = [word for key, value in settings.items() for word in ("--set", f"{key}={value}")]
    plan = asked.plan_of("compare", "--config", write(here, FILE), "before", "go", *arguments)
    before, go = plan.targets
    assert isinstance(before, AsgiTarget)
    assert isinstance(go, CommandTarget)
    assert (plan.server_of(before).workers, plan.server_of(before).access_log) == (3, False)
    assert dict(before.env) == {"MODE": "of --set", "KIND": "plain", "TOKEN": "t0k3n-of-mine"}
    assert (go.command, go.scheme, go.directory) == (
        "./other {port}",
        "https",
        here / "bench" / "old",
    )
    assert "t0k3n-of-mine" in plan.variables


def test_targets_may_be_as_on_the_command_line(here: Path, asked: Asked) -> None:
    content = 'targets = ["asgi", "mine=shop:app", "cmd:./server {port}"]'
    plan = asked.plan_of("compare", "--config", write(here, content))
    assert plan.names == ["asgi", "mine", "server"]
    assert plan.targets[0].label == "ASGI"
    assert isinstance(plan.targets[1], AsgiTarget)
    assert plan.targets[1].directory == here / "bench"
    plan = asked.plan_of("compare", "--config", write(here, '[targets]\nmine = "asgi"'))
    assert plan.names == ["mine"]


def test_a_python_and_files_are_found_from_the_file(here: Path, asked: Asked) -> None:
    python = here / "bench" / "venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.symlink_to(sys.executable)
    (here / "bench" / "order.json").write_text('{"item": 1}')
    content = """
    export_json = "run.json"
    [targets.a]
    app = "shop:app"
    python = "venv/bin/python"
    [workloads.order]
    path = "/orders"
    body_file = "order.json"
    headers = { Authorization = "Bearer ${MODE}" }
    expect_status = 201
    """
    plan = asked.plan_of("compare", "--config", write(here, content))
    (target,) = plan.targets
    assert isinstance(target, AsgiTarget)
    assert target.python == str(python)
    assert plan.loads[0].workload == Workload(
        name="order",
        method="POST",
        path="/orders",
        headers=(("Authorization", "Bearer from-outside"), ("Content-Type", "application/json")),
        body=b'{"item": 1}',
        expect_status=201,
    )
    assert read_bench_file("bench/bench.toml").options == {"export_json": "bench/run.json"}
    plan = asked.plan_of("compare", "--config", "bench/bench.toml", "--expect-status", "404")
    assert plan.loads[0].workload.expect_status == 404, "the command line goes before the file"


@pytest.mark.slow
def test_calibrate_and_serve_read_the_file_too(
    here: Path, asked: Asked, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = write(here, FILE)
    plan = asked.plan_of("calibrate", "--config", file)
    labels = [target.label for target in plan.targets]
    assert (labels, plan.rounds) == (["before (a)", "before (b)"], 4)

    started = []

    def start(target: Target, settings: ServerSettings, **_: Any) -> None:
        started.append((target.name, settings.workers))
        raise KeyboardInterrupt

    monkeypatch.setattr("micropie_benchlib.serve.launched.start_server", start)
    monkeypatch.setattr("micropie_benchlib.load.hosts.start_server", start)
    run_command("serve", "before", "--config", file)
    assert started == [("before", 1)]
    assert (here / "bench" / "old" / "ready").exists(), "it was prepared"


APP = "[targets.a]\napp = 'a:b'\n"
BUILT_IN = "[targets.a]\napp = 'asgi'\n"


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ("rounds = [", "--config 'bench/bench.toml': "),
        pytest.param("#" * (1 << 20) + "\nrounds = 2", "it has more than 1 MiB", id="long"),
        pytest.param("a = " + "[" * 9999, "recursion", id="deep"),
        ("duration = 'abc'", "bench/bench.toml: --duration 'abc'"),
        ("rounds = 0", "bench/bench.toml: --rounds: must be 1 or more, not 0"),
        ("connections = '0'", "bench/bench.toml: --connections '0'"),
        ("fail_if_slower = 'x'", "bench/bench.toml: --fail-if-slower 'x'"),
        (
            "proxy_headers = false\nserver = 'granian'",
            "bench.toml: --no-proxy-headers is uvicorn's",
        ),
        ("rounds = 'two'", "bench.toml: rounds: must be a whole number, not 'two'"),
        ("rounds = inf", "bench.toml: rounds: must be a finite number, not inf"),
        ("rounds = true", "bench.toml: rounds: must be a whole number, not 'true'"),
        ("quick = 7", "bench.toml: quick: must be true or false, not 7"),
        ("round = 2", "bench.toml: round: unknown key (did you mean rounds?)"),
        ("config = 'a'", "bench.toml: config: unknown key"),
        ("metric = 'latency'", "metric: must be 'cpu', 'throughput' or 'p99', not 'la"),
        ("export_json = 3\ntargets = 3", "targets: must be a table, not 3"),
        ("[targets.a]\nworkers = 2", "targets.a: a target needs one of app, command and url"),
        (APP + "url = 'http://x'", "targets.a: a target needs one of app"),
        (APP + "wrkers = 2", "targets.a.wrkers: unknown key (did you mean workers?)"),
        (APP + "rounds = 2", "targets.a.rounds: unknown key here: move it above the first [ta"),
        (APP + "workers = 0", "targets.a.workers: must be 1 or more, not 0"),
        (APP + f"workers = '{'${MODE}' * 5}'", "a.workers: must be a whole number"),
        (APP + "server = 'x'", "a.server: must be 'uvicorn', 'granian' or 'hypercorn', not 'x'"),
        (APP + "env = {A = [1]}", "targets.a.env.A: must be a text, not [1]"),
        (APP + "env = {'A=B' = ''}", "targets.a.env.A=B: a variable's name has"),
        (APP + 'arguments = "\'"', "targets.a.arguments: No closing quotation"),
        (APP + "arguments = '--port=1'", "leave out --port=1, which this tool sets"),
        (APP + "arguments = '-w2'", "leave out -w2, which this tool sets"),
        (APP + "start_timeout = -1", "targets.a.start_timeout: must be 0 or more, not -1"),
        (APP + "start_timeout = 'long'", "targets.a.start_timeout: 'long': use a time"),
        (APP + 'prepare = "a\\u0000b"', "targets.a.prepare: must not contain a NUL character"),
        (APP + "directory = 'none'", "a.directory: there is no directory"),
        (APP + "python = 'bench/old'", "python 'bench/bench/old': no such program"),
        (APP + "server = 'granian'\nhttp = 'h11'", "--http is uvicorn's: granian has its own"),
        ("[targets.a]\napp = '${NOPE}'", "targets.a.app: environment variable NOPE is not set"),
        ("[targets.a]\napp = '${MODE}'", "unknown target '***'"),
        ('[targets."\\n"]\napp = "a:b"', "targets.'\\n': it must have printable characters"),
        ('targets = ["asgi", "asgi"]', "two targets have the name 'asgi': rename one"),
        ('targets = ["a=asgi", "a=json"]', "rename one, as in 'a=asgi' 'b=json'"),
        (BUILT_IN + "env = {PYTHONPATH = 'mine'}", "env.PYTHONPATH does not apply to a built-in"),
        (BUILT_IN + "scheme = 'https'", "a.scheme does not apply to a built-in"),
        ("[targets.a]\ncommand = 's {port}'\nloop = 'asyncio'", "a.loop does not apply to a"),
        ("[targets.a]\ncommand = 's {port}'\nworkers = 2", "workers: the command has no {w"),
        ("[targets.a]\nurl = 'http://h'\nworkers = 1", "a.workers does not apply to a URL"),
        ("[targets.a]\nurl = 'localhost:1'", "'localhost:1': a URL begins with http://"),
        ("[workloads.a]\npth = '/'", "workloads.a.pth: unknown key (did you mean path?)"),
        ("[workloads.a]\npath = 'x'", "workloads.a path: 'x': a path must start with /"),
        ("[workloads.a]\nbody = 'x'\nbody_file = 'y'", "workloads.a: use either body or body_file"),
        ("[workloads.a]\nbody_file = 'none'", "workloads.a body: 'bench/none': No such file"),
        ("[workloads.json]\npath = '/x'", "workloads.json: choose another name"),
        ("[workloads.a]\nexpect_status = 103", "a.expect_status: must be 200 or more, not 103"),
        ("path = '/x'\n[workloads.a]", "path: leave it out: [workloads] has the requests"),
        ("path = '/a b ${MODE}'\n" + APP, "--path '/a b ***': a path must start"),
    ],
)
def test_what_is_wrong_in_the_file_is_said_with_its_place(
    content: str, complaint: str, here: Path, asked: Asked
) -> None:
    refusal = asked.refusal("compare", "--config", write(here, content))
    assert complaint in refusal
    assert "\n" not in refusal
    assert "from-outside" not in refusal


def test_what_is_wrong_on_the_command_line_is_not_said_of_the_file(
    here: Path, asked: Asked
) -> None:
    file = write(here, "duration = '2s'")
    assert asked.refusal("compare", "--config", file, "-d", "abc").startswith("--duration 'abc'")


@pytest.mark.parametrize(
    ("setting", "complaint"),
    [
        ("asgi.wrkers=1", "--set targets.asgi.wrkers: unknown key (did you mean workers?)"),
        ("asgi=s3cret", "--set asgi: use NAME.KEY=VALUE"),
        ("asgi.workers=two", "--set targets.asgi.workers: must be a whole number, not 'two'"),
        ("asgy.workers=2", "--set asgy: no target has that name (did you mean asgi?)"),
        ("asgi.env.A=${NOPE}", "--set targets.asgi.env.A: environment variable NOPE is not set"),
        ("asgi.workers=${MODE}", "--set targets.asgi.workers: must be a whole number, not '***'"),
        ("asgi.env.A=${NOPE}", "or write $${NOPE} for the text itself"),
    ],
)
def test_what_is_wrong_with_set_is_said(
    setting: str, complaint: str, here: Path, asked: Asked
) -> None:
    assert complaint in asked.refusal("compare", "asgi", "--set", setting)


def test_a_dollar_can_be_written(here: Path, asked: Asked) -> None:
    content = "[targets.a]\napp = 'a:b'\nenv = { A = '$${MODE} $MODE ${MODE}' }"
    (target,) = asked.plan_of("compare", "--config", write(here, content)).targets
    assert isinstance(target, AsgiTarget)
    assert dict(target.env) == {"A": "${MODE} $MODE from-outside"}


def test_a_venv_is_no_python_but_has_one(here: Path, asked: Asked) -> None:
    python = here / "venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.touch()
    told = "python 'venv' is a directory: use venv/bin/python"
    assert told in asked.refusal("compare", "a:b", "--python", "venv")


def test_the_example_of_the_documentation_can_be_read(
    tmp_path: Path, asked: Asked, monkeypatch: pytest.MonkeyPatch
) -> None:
    for directory in ("worktrees/main", "worktrees/change", "django", "node"):
        (tmp_path / directory).mkdir(parents=True)
    for venv in ("venv3.11", "venv3.12", "django/venv"):
        (tmp_path / venv / "bin").mkdir(parents=True)
        (tmp_path / venv / "bin" / "python").symlink_to(sys.executable)
    (tmp_path / "bench.toml").write_text((ROOT / "docs" / "bench.toml").read_text())
    monkeypatch.setenv("SHOP_TOKEN", "a-token")
    plan = asked.plan_of("compare", "--config", str(tmp_path / "bench.toml"))
    names = ["before", "after", "timed", "one", "four", "newer", "granian", "hypercorn", "factory"]
    names += ["late", "django-wsgi", "django-asgi", "node", "running"]
    assert plan.names == names
    workloads = [load.workload.name for load in plan.loads]
    assert workloads == ["index", "items", "item", "order", "missing", "report"]


def test_a_secret_is_hidden_before_a_shells_quotes_change_it(here: Path, asked: Asked) -> None:
    target = CommandTarget(
        name="a", label="a", spec="a", command="a", directory=here, env=(("B", "it's"),)
    )
    server = UrlServer.__new__(UrlServer)
    server.target = target
    server.argv = ("serve", "--key=it's", "a b")
    secrets = Secrets.of((), (), ["it's"])
    assert server_command(server, secrets) == "B=*** serve '--key=***' 'a b'"


# On real servers.

QUICK = ("-d", "1s", "-c", "8", "-t", "2", "--export-json", "-")


def test_settings_of_its_own_reach_a_server_and_the_results(tool: Tool, tmp_path: Path) -> None:
    """Each launch is prepared, and what differs is recorded and told."""
    (tmp_path / "bench.toml").write_text(f"""
        [targets.one]
        app = "shop:app"
        directory = "{TARGETS}"
        workers = 1
        prepare = "echo x >> {tmp_path}/launches"
        python = "{sys.executable}"

        [targets.two]
        app = "faulty:good"
        directory = "{TARGETS}"
        workers = 2
        loop = "asyncio"
        env = {{ SOME_TOKEN = "literal-s3cret", KIND = "${{KIND}}" }}

        [targets.own]
        command = "sh -c 'exec {{python}} {TARGETS}/odd.py $PORT plain'"
        env = {{ PORT = "{{port}}", MODE = "${{MODE}}" }}
        prepare = "test $MODE = quite-se-cret && pwd > prepared"
    """)
    done = tool.run(
        *("compare", "--config", "bench.toml", "-r", "2", "--no-paired", *QUICK),
        cwd=tmp_path,
        MODE="quite-se-cret",
        KIND="7",
    )
    assert done.returncode == 0, done.stderr
    results = json.loads(done.stdout)
    one, two, own = results["targets"]
    assert (one["server"]["workers"], one["server"]["asgi"]) == (1, "uvicorn")
    assert one["python"] == ".".join(map(str, sys.version_info[:3]))
    assert "uvicorn" in one["versions"]
    assert (two["server"]["workers"], two["server"]["loop"]) == (2, "asyncio")
    assert two["server_command"].startswith("SOME_TOKEN=*** KIND=*** ")
    assert own["server"] is None
    assert re.match(r"PORT=\d+ MODE=\*\*\* sh -c 'exec \S+ \S+/odd.py ", own["server_command"])
    assert (tmp_path / "prepared").read_text() == f"{tmp_path}\n", "by the one that came last"
    launches = len((tmp_path / "launches").read_text().splitlines())
    assert launches in (2, 3), "in each round, and perhaps once to see whether it can be measured"
    for secret in ("quite-se-cret", "literal-s3cret"):
        assert secret not in done.stdout + done.stderr
    said = " ".join(done.stderr.split())
    assert "numbers of workers the verdicts are based on requests/s" in said
