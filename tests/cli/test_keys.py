"""`fanout keys` sets values and never shows them."""

from __future__ import annotations

import io
import json
import os
import pty
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from fanout.aws.stack_keys import StackKey, list_keys, read_texts, set_key
from fanout.errors import ConfigError
from tests.cli.commands import Command, spawned
from tests.cli.terminal import read_all
from tests.support.patience import PATIENCE

DAY = datetime(2026, 11, 23, 9, 30, tzinfo=UTC)


class Vault:
    """The methods of Secrets Manager's client that are used; a page has two secrets."""

    def __init__(self, **values: str | None) -> None:
        self.values = {name.replace("__", "/"): value for name, value in values.items()}
        self.deleted: set[str] = set()

    def list_secrets(self, **what: Any) -> Mapping[str, Any]:
        ((prefix,),) = [f["Values"] for f in what["Filters"] if f["Key"] == "name"]
        names = [name for name in self.values if name.lower().startswith(prefix.lower())]
        start = int(what.get("NextToken", "0"))
        page = [self._entry(name) for name in names[start : start + 2]]
        more = {"NextToken": str(start + 2)} if start + 2 < len(names) else {}
        return {"SecretList": page, **more}

    def get_secret_value(self, **what: Any) -> Mapping[str, Any]:
        return {"SecretString": self.values[_named(what)]}

    def put_secret_value(self, **what: Any) -> Mapping[str, Any]:
        self.values[_named(what)] = what["SecretString"]
        return {}

    def _entry(self, name: str) -> dict[str, Any]:
        entry: dict[str, Any] = {"Name": name, "ARN": f"arn:{name}", "LastChangedDate": DAY}
        if self.values[name] is not None:
            entry["SecretVersionsToStages"] = {"1": ["AWSPREVIOUS"], "2": ["AWSCURRENT"]}
        if name in self.deleted:
            entry["DeletedDate"] = DAY
        return entry


def _named(what: Mapping[str, Any]) -> str:
    return str(what["SecretId"]).removeprefix("arn:")


def test_the_stacks_keys_are_listed_by_name_over_all_pages() -> None:
    vault = Vault(S__C="c", S__A="a", S__B=None, S2__D="d", s__E="e")
    assert list_keys(vault, "S") == [
        StackKey("A", True, DAY, "arn:S/A"),
        StackKey("B", False, None, "arn:S/B"),
        StackKey("C", True, DAY, "arn:S/C"),
    ]


def test_a_secret_that_is_being_deleted_is_none_of_them() -> None:
    vault = Vault(S__A="a", S__B="b")
    vault.deleted.add("S/A")
    assert [key.name for key in list_keys(vault, "S")] == ["B"]


def test_one_key_is_kept_as_it_is_and_several_as_a_list() -> None:
    vault = Vault(S__A=None, S__B="old")
    assert set_key(vault, "S", "A", ["a"], add=False) == 1
    assert set_key(vault, "S", "B", ["b", "c"], add=False) == 2
    assert vault.values == {"S/A": "a", "S/B": '["b","c"]'}


@pytest.mark.parametrize(
    ("old", "now"),
    [(None, "new"), ("old", '["old","new"]'), ('["a","b"]', '["a","b","new"]'), ("new", "new")],
)
def test_a_key_is_added_to_those_there_are_and_none_twice(old: str | None, now: str) -> None:
    vault = Vault(S__A=old)
    set_key(vault, "S", "A", ["new"], add=True)
    assert vault.values == {"S/A": now}


def test_a_name_that_the_stack_has_not_is_rejected_with_those_it_has() -> None:
    vault = Vault(S__OPENAI_API_KEY=None, S__GROQ_API_KEY=None)
    with pytest.raises(ConfigError) as refused:
        set_key(vault, "S", "OPENAI_KEY", ["sk-very-secret"], add=False)
    assert str(refused.value) == (
        "the stack `S` has no key `OPENAI_KEY`: it has GROQ_API_KEY, OPENAI_API_KEY; "
        "did you mean `OPENAI_API_KEY`?"
    )
    assert set(vault.values.values()) == {None}


def test_a_missing_stack_is_reported() -> None:
    with pytest.raises(ConfigError, match="there is no stack `S` with keys here"):
        set_key(Vault(T__A=None), "S", "A", ["a"], add=False)


@pytest.mark.parametrize(
    ("given", "texts"),
    [
        ("sk-1", ["sk-1"]),
        ("sk-1\n", ["sk-1"]),
        ("  sk-1 \r\n\n sk-2\n", ["sk-1", "sk-2"]),
        ('["sk-1", "sk-2"]\n', ["sk-1", "sk-2"]),
    ],
)
def test_keys_are_read_one_per_line_or_as_a_json_list(given: str, texts: Sequence[str]) -> None:
    assert read_texts(given) == texts


@pytest.mark.parametrize("given", ["", "\n \n", "[]", '[""]', "two words", "schlüssel", "a\x00b"])
def test_what_is_no_key_is_rejected_and_not_repeated(given: str) -> None:
    with pytest.raises(ConfigError) as refused:
        read_texts(given)
    assert not given.strip() or given.strip() not in str(refused.value)


# ---- the command, over boto3 and a service on a socket ----


class _Handler(BaseHTTPRequestHandler):
    server: Endpoint

    def log_message(self, *_: object) -> None:
        """Log nothing."""

    def do_POST(self) -> None:
        arguments = json.loads(self.rfile.read(int(self.headers["content-length"])))
        action = self.headers["x-amz-target"].split(".")[1]
        name = {"ListSecrets": "list_secrets", "PutSecretValue": "put_secret_value"}[action]
        answer = getattr(self.server.vault, name)(**arguments)
        data = json.dumps(answer, default=lambda day: day.timestamp()).encode()
        self.send_response(200)
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


class Endpoint(ThreadingHTTPServer):
    """The vault behind HTTP, where AWS_ENDPOINT_URL points."""

    daemon_threads = True

    def __init__(self, vault: Vault) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.vault = vault


@contextmanager
def served(vault: Vault) -> Iterator[str]:
    with Endpoint(vault) as endpoint:
        thread = threading.Thread(target=endpoint.serve_forever, args=(0.05,))
        thread.start()
        yield f"http://127.0.0.1:{endpoint.server_port}"
        endpoint.shutdown()
        thread.join()


@pytest.fixture
def vault(monkeypatch: pytest.MonkeyPatch) -> Iterator[Vault]:
    vault = Vault(S__A_KEY="a", S__B_KEY=None)
    with served(vault) as url:
        monkeypatch.setenv("AWS_ENDPOINT_URL", url)
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "x")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "x")
        monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
        yield vault


def test_the_command_reads_the_value_from_standard_input(
    vault: Vault, fanout: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("sk-very-secret\nsk-second\n"))
    ran = fanout("keys", "set", "B_KEY", "--stack", "S")
    assert (ran.code, ran.out, ran.err) == (0, "B_KEY has 2 keys\n", "")
    assert vault.values["S/B_KEY"] == '["sk-very-secret","sk-second"]'


def test_the_command_lists_names_and_no_values(vault: Vault, fanout: Command) -> None:
    ran = fanout("keys", "list", "--stack", "S")
    assert ran.code == 0
    lines = [line.split() for line in ran.out.splitlines()]
    assert lines[0] == ["KEY", "VALUE", "CHANGED"]
    assert lines[1][:2] == ["A_KEY", "yes"]
    assert lines[2] == ["B_KEY", "MISSING", "-"]


def test_the_list_as_json(vault: Vault, fanout: Command) -> None:
    ran = fanout("keys", "list", "--stack", "S", "--json")
    assert ran.json["stack"] == "S"
    a, b = ran.json["keys"]
    assert (a["name"], a["has_value"]) == ("A_KEY", True)
    assert datetime.fromisoformat(a["changed"]) == DAY
    assert b == {"name": "B_KEY", "has_value": False, "changed": None}


def test_a_wrong_name_is_misuse(
    vault: Vault, fanout: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("sk-very-secret"))
    ran = fanout("keys", "set", "C_KEY", "--stack", "S")
    assert ran.code == 2
    assert ran.err.startswith("fanout: the stack `S` has no key `C_KEY`: it has A_KEY, B_KEY")
    assert "sk-very-secret" not in ran.err


@pytest.mark.usefixtures("vault")
def test_an_error_of_aws_is_reported_and_is_not_a_usage_error(
    fanout: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    ran = fanout("keys", "list", "--stack", "S")
    assert ran.code == 1
    assert ran.err.startswith("fanout: AWS: Could not connect")


def test_on_a_terminal_the_value_is_prompted_for_and_hidden(vault: Vault) -> None:
    ours, theirs = pty.openpty()
    words = ("keys", "set", "B_KEY", "--stack", "S")
    with spawned(*words, stdin=theirs, stderr=theirs, start_new_session=True) as process:
        os.close(theirs)
        prompt = read_all(ours, until="B_KEY (input is hidden): ")
        os.write(ours, b"sk-very-secret\n")
        out, _ = process.communicate(timeout=PATIENCE)
        shown = prompt + read_all(ours)
    os.close(ours)
    assert (process.returncode, out) == (0, "B_KEY has 1 key\n")
    assert vault.values["S/B_KEY"] == "sk-very-secret"
    assert "sk-very-secret" not in shown


def test_a_value_is_never_an_argument(fanout: Command) -> None:
    ran = fanout("keys", "set", "A_KEY", "sk-very-secret", "--stack", "S")
    assert ran.code == 2
    assert "unrecognized arguments" in ran.err


def test_without_boto3_the_command_says_how_to_install_it() -> None:
    code = """
import sys
sys.modules["boto3"] = None
from fanout.cli.main import main
sys.exit(main(["keys", "list", "--stack", "S"]))
"""
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
    assert done.returncode == 2
    assert (
        done.stderr == "fanout: the keys of a stack need boto3: "
        "run `pip install '.[aws]'` in a clone of Fanout\n"
    )
