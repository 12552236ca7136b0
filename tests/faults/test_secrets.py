"""No secret that a run sends is in anything that it writes or prints."""

import itertools
import json
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from conftest import EXPORTS, Tool, export_options

from micropie_benchlib.cli.records import new_results
from micropie_benchlib.cli.requests import parse_headers
from micropie_benchlib.cli.targets import parse_target
from micropie_benchlib.core.errors import UsageError
from micropie_benchlib.core.loads import Load
from micropie_benchlib.core.requests import Workload
from micropie_benchlib.core.secrets import (
    NO_SECRETS,
    Secrets,
    has_secret_name,
    secrets_in,
    without_named_secrets,
    without_url_secrets,
)
from micropie_benchlib.core.targets import UrlTarget
from micropie_benchlib.load.generators import goals_of
from micropie_benchlib.serve.servers import UrlServer

TOKEN = "tok-3f9c2a71d0"  # noqa: S105  # made up
KEY = "key-88b1e6"
COOKIE = "sid-57a0cc93ee"

# It answers with a secret of its own, and says in its log what it was sent.
ECHO = f"""
async def app(scope, receive, send):
    if scope["type"] != "http":
        return
    sent = dict(scope["headers"]).get(b"authorization", b"")
    headers = [
        (b"content-length", b"2"), (b"set-cookie", b"session={COOKIE}"), (b"x-echo", b"plain")
    ]
    status = 500 if scope["path"] == "/broken" else 200
    if status == 500:
        print("ERROR", sent.decode(), flush=True)
    await send({{"type": "http.response.start", "status": status, "headers": headers}})
    await send({{"type": "http.response.body", "body": b"ok"}})
"""


TELLING_NAMES = """
    Authorization Proxy-Authorization Cookie Set-Cookie X-API-Key apikey X-Auth-Token
    X-CSRF-Token X-Amz-Security-Token X-Amz-Signature client_secret DB_PASSWORD pass pwd
    JSESSIONID sid X-Vault-Credentials
"""
OTHER_NAMES = """
    Accept author Content-Type keyword Keep-Alive User-Agent X-Inside page path spin
"""


@pytest.mark.parametrize("name", TELLING_NAMES.split())
def test_values_under_such_names_are_secrets(name: str) -> None:
    assert has_secret_name(name)
    assert NO_SECRETS.hide_in_headers(((name, TOKEN),)) == ((name, "***"),)
    assert without_url_secrets(f"/a?b=1&{name}={TOKEN}&c=2") == f"/a?b=1&{name}=***&c=2"


@pytest.mark.parametrize("name", OTHER_NAMES.split())
def test_other_values_are_recorded_as_they_are(name: str) -> None:
    assert not has_secret_name(name)
    assert without_url_secrets(f"/a?{name}=1") == f"/a?{name}=1"


@pytest.mark.parametrize(
    ("command", "shown"),
    [
        ("serve --password hunter-22 {port}", "serve --password *** {port}"),
        ("serve --api-key=hunter-22 {port}", "serve --api-key=*** {port}"),
        ("serve --token 'hunter-22 b' -v", "serve --token '***' -v"),
        ("serve --token --verbose {port}", "serve --token --verbose {port}"),
        ("serve --auth-port {port}", "serve --auth-port {port}"),
        ("serve --user token=hunter-22", "serve --user token=***"),
        ("sh -c 'DB_PASSWORD=hunter-22 exec serve'", "sh -c 'DB_PASSWORD=*** exec serve'"),
        ("curl -H 'X-Key: hunter-22 b' x", "curl -H 'X-Key: ***' x"),
        ('sh -c "serve \\"secret\\": \\"hunter-22\\""', 'sh -c "serve \\"secret\\": \\"***\\""'),
        ("serve --db postgres://me:hunter-22@db/x", "serve --db postgres://***@db/x"),
        ("serve --db postgres://me:hunt@er-22@db/x", "serve --db postgres://***@db/x"),
        ("serve --dsn me:hunter-22@tcp(db)/x", "serve --dsn ***"),
        ("uvicorn auth:app --ssl-keyfile key.pem", "uvicorn auth:app --ssl-keyfile key.pem"),
        (
            "gunicorn --keep-alive 5 -k gevent auth:app",
            "gunicorn --keep-alive 5 -k gevent auth:app",
        ),
    ],
)
def test_values_in_a_command_are_hidden_by_the_names_before_them(command: str, shown: str) -> None:
    assert without_named_secrets(command) == shown
    is_secret = "22" in command
    assert any("22" in value for value in secrets_in(command)) == is_secret


def test_a_user_in_a_url_is_hidden() -> None:
    assert without_url_secrets("at http://me:pw@host/x") == "at http://***@host/x"
    with pytest.raises(UsageError) as raised:
        parse_target(f"http://me:{TOKEN}@host/")
    assert "is not an HTTP URL" in str(raised.value)


PARTS = ["key", "key=", "--key ", '"key" ', "key: ", "//a:", "//a@", "key='", 'key="\\"', "-"]
PARTS += ["?", "&", "?key", "?key=", "//", "?key=.", "a=b?token"]


@pytest.mark.parametrize("part", PARTS)
def test_long_texts_are_searched_in_little_time(part: str) -> None:
    """An expression that searches the rest of the text at each place takes a minute."""
    long = part * (100_000 // len(part))
    start = time.perf_counter()
    without_named_secrets(long)
    without_url_secrets(f"/?token{long}")
    assert time.perf_counter() - start < 10


HEADER = f"Authorization: Bearer {TOKEN}"
SHORT = ["-r", "12", "--header", "X-Key: 12", "-HX-Key:12", "--path", "/?key=12"]


@pytest.mark.parametrize(
    ("words", "shown"),
    [
        (["--header", HEADER], "--header 'Authorization: ***'"),
        ([f"--header={HEADER}"], "'--header=Authorization: ***'"),
        (["--head", f"Authorization:Bearer {TOKEN} "], "--head 'Authorization:*** '"),
        (["-H", HEADER], "-H 'Authorization: ***'"),
        ([f"-H{HEADER}"], "'-HAuthorization: ***'"),
        ([f"-vH{HEADER}"], "'-vHAuthorization: ***'"),
        (["cmd:server --token", TOKEN], "'cmd:server --token' '***'"),
        (["--body", "pw"], "--body '***'"),
        (["--body=a b"], "'--body=***'"),
        (["--body", "@file.json"], "--body @file.json"),
        (["--set", "mine.env.DSN=a b"], "--set 'mine.env.DSN=***'"),
        (["--set", "mine.env.DB=pg://me:pw@db/"], "--set 'mine.env.DB=pg://***@db/'"),
        (["mine=cmd:serve --password pw {port}"], "'mine=cmd:serve --password *** {port}'"),
        (SHORT, "-r 12 --header 'X-Key: ***' '-HX-Key:***' --path '/?key=***'"),
    ],
)
def test_the_recorded_command_has_no_secret_however_it_is_spelled(
    words: list[str], shown: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", ["micropie_bench.py", "compare", *words])
    workload = Workload(headers=(("Authorization", f"Bearer {TOKEN}"), ("X-Key", "12")))
    command = new_results(secrets=Secrets.of([workload], [])).command
    assert command == f"micropie_bench.py compare {shown}"


@pytest.mark.parametrize(
    "text", [f"Authorization Bearer {TOKEN}", f"Connection: {TOKEN}", f"X Auth: {TOKEN}", TOKEN]
)
def test_a_wrong_header_is_refused_without_its_value(text: str) -> None:
    with pytest.raises(UsageError) as raised:
        parse_headers([text])
    assert TOKEN not in str(raised.value)


def written(tool: Tool, directory: Path, *words: str, **env: Any) -> dict[str, str]:
    files = {kind: directory / f"out.{kind}" for kind in EXPORTS}
    summary = directory / "summary.md"
    words += (*export_options(directory),)
    env |= {"GITHUB_STEP_SUMMARY": str(summary), "GITHUB_ACTIONS": "true"}
    done = tool.run("compare", "-v", *words, cwd=directory, **env)
    assert done.returncode == 0, done.stderr
    texts = {kind: file.read_text() for kind, file in files.items()}
    return texts | {"summary": summary.read_text(), "stdout": done.stdout, "stderr": done.stderr}


def test_no_secret_is_in_what_a_run_writes_or_prints(tool: Tool, tmp_path: Path) -> None:
    (tmp_path / "echo.py").write_text(ECHO)
    words = ["one=echo:app", "two=echo:app", "-r", "1", "-d", "1s", "-c", "8"]
    words += ["-t", "2", "-w", "1", "--no-paired", "--path", f"/x?api_key={KEY}&page=1"]
    words += ["--header", f"Authorization: Bearer {TOKEN}", f"--header=Cookie: a={TOKEN}"]
    texts = written(tool, tmp_path, *words)
    for kind, text in texts.items():
        for secret in (TOKEN, KEY, COOKIE):
            assert secret not in text, kind
    data = json.loads(texts["json"])
    (workload,) = data["settings"]["workloads"]
    assert workload["headers"] == [["Authorization", "***"], ["Cookie", "***"]]
    assert workload["path"] == "/x?api_key=***&page=1"
    (response,) = data["targets"][0]["responses"].values()
    assert ["set-cookie", "***"] in response["headers"]
    assert ["x-echo", "plain"] in response["headers"]
    assert "Running 1s test @ http://127.0.0.1:" in data["measurements"][0]["report"]
    assert data["measurements"][0]["wrk"]["errors"]["status"] == 0


def test_no_secret_is_in_the_reason_of_a_failure(tool: Tool, tmp_path: Path) -> None:
    (tmp_path / "echo.py").write_text(ECHO)
    words = ["compare", "echo:app", "-r", "1", "-d", "1s", "-c", "8", "-t", "2", "-w", "1"]
    words += ["--path", f"/broken?token={KEY}", "--header", f"Authorization: Bearer {TOKEN}"]
    done = tool.run(*words, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (1, "")
    reason = "echo:app: GET /broken?token=*** returned 500: ok; its last error line: ERROR ***"
    assert done.stderr.splitlines()[-1] == f"micropie_bench: {reason}"
    assert TOKEN not in done.stderr
    assert KEY not in done.stderr


VARIABLE = "val-6d20e91c"
# It answers and says what it was given: by its command, its environment and the request.
TELLTALE = """
import os, sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(500 if "broken" in self.path else 200)
        self.send_header("X-Given", " ".join([os.environ["GIVEN"], *sys.argv[2:]]))
        self.send_header("X-Sent", self.headers["X-Kind"] or "none")
        self.send_header("Content-Length", str(len(self.path)))
        self.end_headers()
        self.wfile.write(self.path.encode())

ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"""
TOLD = """
duration = "1s"
rounds = 1
connections = 4
threads = 2

[targets.a]
command = "{python} telltale.py {port} --key=${VALUE}"
env = { GIVEN = "given ${VALUE}" }
prepare = "echo ${VALUE}; test -z '${FAILS}'"

[workloads.w]
path = "/${PATH_BEGIN}?page=${VALUE}"
headers = { X-Kind = "kind ${VALUE}" }
body = "body ${VALUE}"
"""


def test_the_value_of_a_variable_is_written_nowhere(tool: Tool, tmp_path: Path) -> None:
    (tmp_path / "telltale.py").write_text(TELLTALE)
    (tmp_path / "bench.toml").write_text(TOLD)
    env = {"VALUE": VARIABLE, "FAILS": "", "PATH_BEGIN": "items"}
    texts = written(tool, tmp_path, "--config", "bench.toml", **env)
    for kind, text in texts.items():
        assert VARIABLE not in text, kind
    (target,) = json.loads(texts["json"])["targets"]
    (response,) = target["responses"].values()
    assert ["x-given", "given *** --key=***"] in response["headers"]
    assert ["x-sent", "kind ***"] in response["headers"]


def test_what_is_named_like_a_secret_is_written_nowhere(tool: Tool, tmp_path: Path) -> None:
    (tmp_path / "telltale.py").write_text(TELLTALE)
    command = (
        "{python} telltale.py {port} --password pw-11aa22 --api-key=ak-33bb44 --token 'to ken'"
    )
    words = [f"a=cmd:{command}", "-r", "1", "-d", "1s", "-c", "4", "-t", "2"]
    words += ["--set", "a.env.GIVEN=me:url-77cc88@db", "--set", "a.env.DB=pg://me:url-77cc88@db/"]
    words += ["--set", "a.env.DSN=db:dsn-5c1d7@tcp(db)/", "--body", '{"pin": "body-99dd00"}']
    texts = written(tool, tmp_path, *words)
    secrets = ("pw-11aa22", "ak-33bb44", "to ken", "url-77cc88", "dsn-5c1d7", "body-99dd00")
    for (kind, text), secret in itertools.product(texts.items(), secrets):
        assert secret not in text, kind
    data = json.loads(texts["json"])
    assert "telltale.py {port} --password *** --api-key=*** --token" in data["command"]
    assert "--body '***'" in data["command"]
    (target,) = data["targets"]
    assert target["spec"].endswith("--password *** --api-key=*** --token '***'")
    assert "DSN=*** " in target["server_command"]
    assert target["server_command"].endswith("--password *** '--api-key=***' --token ***")
    (response,) = target["responses"].values()
    assert ["x-given", "me:***@db --password *** --api-key=*** --token ***"] in response["headers"]


@pytest.mark.parametrize(
    ("url", "path", "variables", "shown"),
    [
        ("http://127.0.0.1:1/", "/a?b=1", (), "/a?b=1"),
        ("http://127.0.0.1:1/", f"/a?token={TOKEN}&c=1", (), "/a?token=***&c=1"),
        ("http://127.0.0.1:1", "/items/7?x", ("items", "7"), "/***/***?x"),
        ("http://127.0.0.1:1", "/items", ("/items",), "/***"),
        (f"http://127.0.0.1:1/b?key={KEY}", "/", (), "/b?key=***"),
        ("http://127.0.0.1:1/1", "/", ("127.0.0.1", "1"), "/***"),
    ],
)
def test_wrk_is_shown_the_path_without_secrets_and_sends_it_with_them(
    url: str, path: str, variables: tuple[str, ...], shown: str
) -> None:
    target = parse_target(url)
    assert isinstance(target, UrlTarget)
    load = Load(connections=1, threads=1, duration_s=1, workload=Workload(path=path))
    secrets = Secrets.of([load.workload], [target], variables)
    (goal,) = goals_of([UrlServer(target)], load, secrets)
    assert goal.url == f"http://127.0.0.1:1{shown}"
    assert goal.path == (path if path != "/" else f"/{url.split('/', 3)[3]}")


UNSEEN = """
[targets.a]
command = "{python} telltale.py {port}"
env = { GIVEN = "given ${VALUE}", DSN = "db:pw-5c1d7@tcp(db)/" }
prepare = "sleep 1; : ${VALUE}"

[workloads.w]
path = "/items?page=${VALUE}&token=tok-3f9c2a71d0"
headers = { X-Kind = "kind ${VALUE}", Authorization = "Bearer key-88b1e6" }
body = "body ${VALUE}"

[workloads.fixed]
path = "/seen"
method = "POST"
"""


def test_no_secret_is_in_the_command_line_of_a_process(tool: Tool, tmp_path: Path) -> None:
    """Other users can read these; the environment and private files they cannot."""
    (tmp_path / "telltale.py").write_text(TELLTALE)
    (tmp_path / "bench.toml").write_text(UNSEEN)
    words = ["compare", "--config", "bench.toml", "-r", "1", "-d", "1s", "-c", "4", "-t", "2", "-v"]
    process = tool.start(*words, "--export-json", "-", cwd=tmp_path, VALUE=VARIABLE)
    seen = set()
    while process.poll() is None:
        seen.update(tool.running())
    out, err = process.communicate()
    assert process.returncode == 0, err
    for program in ("wrk -t2", "guard.py", "telltale.py", "/bin/sh -c eval"):
        assert any(program in command for command in seen), program
    for secret in (VARIABLE, TOKEN, KEY, "pw-5c1d7"):
        assert not [command for command in seen if secret in command]
        assert secret not in out + err
    reports = "".join(measurement["report"] for measurement in json.loads(out)["measurements"])
    assert "/items?page=***&token=***\n" in reports
    assert "/seen\n" in reports


@pytest.mark.parametrize(
    ("fails", "path", "complaint"),
    [
        pytest.param("yes", "items", "prepare ended with status 1", id="prepare"),
        pytest.param("", "broken", "a: POST /***", id="an answer"),
    ],
)
def test_the_value_of_a_variable_is_not_in_the_reason_of_a_failure(
    fails: str, path: str, complaint: str, tool: Tool, tmp_path: Path
) -> None:
    (tmp_path / "telltale.py").write_text(TELLTALE)
    (tmp_path / "bench.toml").write_text(TOLD)
    words = ["compare", "--config", "bench.toml"]
    done = tool.run(*words, cwd=tmp_path, VALUE=VARIABLE, FAILS=fails, PATH_BEGIN=path)
    assert (done.returncode, done.stdout) == (1, "")
    assert complaint in done.stderr
    assert VARIABLE not in done.stderr
