"""Google's access tokens: where they come from, how long they serve, and what their errors say."""

from __future__ import annotations

import asyncio
import builtins
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fanout.errors import MissingKey
from fanout.google.credentials import AHEAD, PAUSE, GoogleTokens
from fanout.transport.engine import ConnectFailed
from fanout.transport.error_mapping import from_engine_error
from tests.support.google_cloud import GoogleCloud, google_cloud
from tests.support.patience import PATIENCE
from tests.unit.config.sections import deployment

SCOPE = "https://www.googleapis.com/auth/cloud-platform"
NAME = "vertex_credentials"


@pytest.fixture
def google(monkeypatch: pytest.MonkeyPatch) -> Iterator[GoogleCloud]:
    monkeypatch.setenv("NO_GCE_CHECK", "true")
    with google_cloud() as cloud:
        users = "google.oauth2.credentials._GOOGLE_OAUTH2_TOKEN_ENDPOINT"
        monkeypatch.setattr(users, f"{cloud.url}/token")
        yield cloud


class Clock:
    """The time, which a test moves on."""

    def __init__(self) -> None:
        self.ahead = 0.0

    def __call__(self) -> float:
        return time.time() + self.ahead


async def token(tokens: GoogleTokens, credentials: str | None, name: str = NAME) -> str:
    headers = await tokens.headers(credentials, name, SCOPE)
    return headers["authorization"].removeprefix("Bearer ")


def get(credentials: str | None, name: str = NAME) -> str:
    return asyncio.run(token(GoogleTokens(), credentials, name))


def failure(credentials: str | None, name: str = NAME) -> str:
    with pytest.raises(MissingKey) as raised:
        get(credentials, name)
    return str(raised.value)


def shown(error: ConnectFailed) -> str:
    """What a client reads of the error."""
    model = deployment("vertex_ai/gemini-2.5-flash", vertex_project="p", vertex_location="us")
    return from_engine_error(model, error).detail.message


async def settled(tokens: GoogleTokens) -> None:
    """Wait until no token is being fetched."""
    for entry in tokens._entries.values():
        if entry.refresh is not None:
            await asyncio.wrap_future(entry.refresh)


# ---- where the credentials are ----


def test_a_service_accounts_key_is_a_file_or_its_json(google: GoogleCloud, tmp_path: Path) -> None:
    text = json.dumps(google.service_account())
    path = tmp_path / "key.json"
    path.write_text(text)
    assert [get(text), get(str(path)), get(f"\n {text}")] == google.tokens
    assert google.forms[0]["grant_type"] == "urn:ietf:params:oauth:grant-type:jwt-bearer"


def test_a_users_credentials_name_the_project_that_pays(google: GoogleCloud) -> None:
    tokens = GoogleTokens()
    headers = asyncio.run(tokens.headers(json.dumps(google.user()), NAME, SCOPE))
    assert headers == {
        "authorization": f"Bearer {google.tokens[0]}",
        "x-goog-user-project": "billed-project",
    }
    assert google.forms[0]["refresh_token"] == "marker-refresh-token"


def test_a_program_on_aws_needs_no_key_of_google(
    google: GoogleCloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Workload identity federation: a request that AWS's credentials sign is the proof."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAMARKER")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "marker-aws-secret")
    monkeypatch.setenv("AWS_REGION", "eu-west-1")
    assert get(json.dumps(google.federation())) == google.tokens[0]
    (form,) = google.forms
    assert "AKIAMARKER" in form["subject_token"]
    assert "marker-aws-secret" not in form["subject_token"]


def test_without_credentials_those_of_gcloud_are_used(
    google: GoogleCloud, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CLOUDSDK_CONFIG", str(tmp_path))
    monkeypatch.setenv("GOOGLE_CLOUD_PROJECT", "our-project")
    (tmp_path / "application_default_credentials.json").write_text(json.dumps(google.user()))
    assert get(None) == google.tokens[0]


def test_a_machine_on_google_cloud_has_its_own_credentials(
    google: GoogleCloud, tmp_path: Path
) -> None:
    """In a process of its own, because Google's library reads the address at its import."""
    code = (
        "import asyncio, sys; from fanout.google.credentials import GoogleTokens; "
        "print(asyncio.run(GoogleTokens().headers(None, '', sys.argv[1]))['authorization'])"
    )
    host = google.url.removeprefix("http://")
    env = {name: value for name, value in os.environ.items() if name != "NO_GCE_CHECK"}
    env |= {"GCE_METADATA_HOST": host, "GCE_METADATA_IP": host, "CLOUDSDK_CONFIG": str(tmp_path)}
    done = subprocess.run(  # noqa: S603 -- what it runs is written here
        [sys.executable, "-c", code, SCOPE], env=env, capture_output=True, text=True, check=False
    )
    assert done.stdout == f"Bearer {google.tokens[0]}\n", done.stderr


# ---- how long a token serves ----


def test_a_token_serves_until_shortly_before_it_expires(google: GoogleCloud) -> None:
    clock = Clock()
    tokens, text = GoogleTokens(clock), json.dumps(google.service_account())

    async def script() -> None:
        first = await token(tokens, text)
        clock.ahead = 3600 - AHEAD - 30
        assert await token(tokens, text) == first
        assert google.tokens == [first]
        clock.ahead = 3600 - AHEAD + 30  # the old one serves meanwhile
        assert await token(tokens, text) == first
        await settled(tokens)
        assert len(google.tokens) == 2
        assert await token(tokens, text) == google.tokens[1]

    asyncio.run(script())


def test_an_expired_token_is_never_sent(google: GoogleCloud) -> None:
    clock = Clock()
    tokens, text = GoogleTokens(clock), json.dumps(google.service_account())

    async def script() -> None:
        first = await token(tokens, text)
        clock.ahead = 3601
        assert await token(tokens, text) == google.tokens[1] != first

    asyncio.run(script())


@pytest.mark.parametrize("ahead", [0.0, 3600 - AHEAD + 30, 3601.0], ids=["none", "old", "expired"])
def test_a_hundred_requests_share_one_refresh(google: GoogleCloud, ahead: float) -> None:
    clock = Clock()
    tokens, text = GoogleTokens(clock), json.dumps(google.service_account())

    async def script() -> None:
        if ahead:
            await token(tokens, text)
        before = len(google.forms)
        clock.ahead = ahead
        google.open.clear()
        async with asyncio.TaskGroup() as group:
            running = [group.create_task(token(tokens, text)) for _ in range(100)]
            await asyncio.sleep(0.1)
            google.open.set()
        assert len({task.result() for task in running}) == 1
        await settled(tokens)
        assert len(google.forms) == before + 1

    asyncio.run(script())


def test_the_loop_runs_on_while_a_token_is_fetched(google: GoogleCloud) -> None:
    tokens, text = GoogleTokens(), json.dumps(google.service_account())

    async def script() -> int:
        google.open.clear()
        steps = 0
        async with asyncio.TaskGroup() as group:
            fetching = group.create_task(token(tokens, text))
            while not fetching.done():
                steps += 1
                await asyncio.sleep(0.01)
                if steps == 20:
                    google.open.set()
        return steps

    assert asyncio.run(script()) >= 20


def test_a_cancelled_request_does_not_stop_the_refresh_of_the_others(google: GoogleCloud) -> None:
    tokens, text = GoogleTokens(), json.dumps(google.service_account())

    async def script() -> None:
        google.open.clear()
        async with asyncio.TaskGroup() as group:
            lost, kept = (group.create_task(token(tokens, text)) for _ in range(2))
            await asyncio.sleep(0.05)
            lost.cancel()
            await asyncio.sleep(0.05)
            google.open.set()
        assert kept.result() == google.tokens[0]
        assert lost.cancelled()

    asyncio.run(script())


def test_several_loops_share_a_token(google: GoogleCloud) -> None:
    tokens, text = GoogleTokens(), json.dumps(google.service_account())
    found: list[str] = []
    threads = [
        threading.Thread(target=lambda: found.append(asyncio.run(token(tokens, text))))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
    assert found == google.tokens * 4


def test_if_a_refresh_fails_the_old_token_serves_until_it_expires(google: GoogleCloud) -> None:
    clock = Clock()
    tokens, text = GoogleTokens(clock), json.dumps(google.service_account())
    refused = (400, {"error": "invalid_grant"})

    async def script() -> None:
        first = await token(tokens, text)
        google.failures = [refused]
        clock.ahead = 3600 - AHEAD + 30
        assert await token(tokens, text) == first
        await settled(tokens)
        assert len(google.forms) == 2
        assert await token(tokens, text) == first
        await settled(tokens)
        assert len(google.forms) == 2  # not with each request
        clock.ahead += PAUSE
        assert await token(tokens, text) == first
        await settled(tokens)
        assert len(google.tokens) == 2
        assert await token(tokens, text) == google.tokens[1]

    asyncio.run(script())


def test_a_rejected_token_is_forgotten_once(google: GoogleCloud) -> None:
    """One that has replaced it is kept for a while, also if it is rejected."""
    clock = Clock()
    tokens, text = GoogleTokens(clock), json.dumps(google.service_account())

    async def script() -> None:
        first = await tokens.headers(text, NAME, SCOPE)
        assert tokens.discard(first)  # however new it is
        second = await tokens.headers(text, NAME, SCOPE)
        assert second != first
        assert not tokens.discard(second)
        assert await tokens.headers(text, NAME, SCOPE) == second
        clock.ahead = 60
        assert tokens.discard(second)
        second = await tokens.headers(text, NAME, SCOPE)
        assert tokens.discard(first)  # of a request that began before
        assert await tokens.headers(text, NAME, SCOPE) == second

    asyncio.run(script())


def test_each_request_whose_token_is_replaced_is_sent_again(google: GoogleCloud) -> None:
    """Also before, while and after another request fetches the next token."""
    tokens, text = GoogleTokens(Clock()), json.dumps(google.service_account())

    async def script() -> None:
        first = await tokens.headers(text, NAME, SCOPE)
        assert [tokens.discard(first) for _ in range(3)] == [True] * 3
        google.open.clear()
        async with asyncio.TaskGroup() as group:
            fetched = group.create_task(tokens.headers(text, NAME, SCOPE))
            await asyncio.sleep(0)
            assert tokens.discard(first)
            google.open.set()
        assert fetched.result() != first
        assert tokens.discard(first)

    asyncio.run(script())
    assert not GoogleTokens(Clock()).discard({"authorization": "Bearer other"})


# ---- errors ----


def test_without_the_library_the_error_says_what_to_install(
    google: GoogleCloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = builtins.__import__

    def without(name: str, *more: Any) -> Any:
        if name.startswith("google.auth"):
            raise ImportError(name)
        return real(name, *more)

    monkeypatch.setattr(builtins, "__import__", without)
    said = failure(json.dumps(google.service_account()))
    assert said.endswith("run `pip install '.[vertex]'` in a clone of Fanout")


def test_without_credentials_the_error_says_how_to_get_some(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("NO_GCE_CHECK", "true")
    monkeypatch.setenv("CLOUDSDK_CONFIG", str(tmp_path))
    said = failure(None)
    assert "`vertex_credentials`" in said
    assert "`GOOGLE_APPLICATION_CREDENTIALS`" in said
    assert "gcloud auth application-default login" in said


@pytest.mark.parametrize(
    "text",
    [
        "{", "{}", '{"type": "nope"}', '{"type": "service_account"}',
        '{"type": "authorized_user"}', '{"type": "external_account"}', "[1]", '{"type": 7}',
    ],
)  # fmt: skip
def test_a_wrong_file_is_named_by_its_key(text: str, tmp_path: Path) -> None:
    path = tmp_path / "wrong.json"
    path.write_text(text)
    assert failure(str(path)).startswith("`vertex_credentials` is not a JSON file with Google's")
    if text.startswith("{"):
        assert failure(text, "MY_KEY").startswith("`MY_KEY` is not a JSON file with Google's")


def test_a_wrong_private_key_is_a_wrong_file(google: GoogleCloud) -> None:
    said = failure(json.dumps(google.service_account(private_key="marker-no-key")))
    assert said.startswith("`vertex_credentials` is not a JSON file with Google's")
    assert "marker" not in said


@pytest.mark.parametrize("path", ["nowhere/key.json", ".", "a\0b"])
def test_a_file_that_is_not_there_is_named_by_its_key(path: str) -> None:
    said = failure(path, "GOOGLE_APPLICATION_CREDENTIALS")
    assert said.startswith("`GOOGLE_APPLICATION_CREDENTIALS` names a file that cannot be read")
    assert "nowhere" not in said


def test_credentials_that_google_rejects_are_named_with_its_reason(google: GoogleCloud) -> None:
    google.failures = [
        (400, {"error": "invalid_grant", "error_description": "marker-account not found"})
    ]
    said = failure(json.dumps(google.service_account()))
    assert said == "Google rejected the credentials of `vertex_credentials` (invalid_grant)"


def test_a_token_service_that_fails_or_is_not_there_is_a_failed_connection(
    google: GoogleCloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So the call is tried again, and other models are called instead."""
    monkeypatch.setattr("google.auth._exponential_backoff.time.sleep", lambda _: None)
    google.failures = [(503, {"error": "internal_failure"})] * 20
    with pytest.raises(ConnectFailed) as down:
        get(json.dumps(google.service_account()))
    assert shown(down.value) == (
        "`m`: no connection to Google's token server `127.0.0.1` (it is not available)"
    )
    gone = google.service_account(token_uri="http://127.0.0.1:1/token?marker")
    with pytest.raises(ConnectFailed) as refused:
        get(json.dumps(gone))
    assert shown(refused.value) == (
        "`m`: no connection to Google's token server `127.0.0.1` (the connection was refused)"
    )


@pytest.mark.parametrize("kind", ["service_account", "user"])
def test_a_token_server_that_does_not_exist_is_named(
    google: GoogleCloud, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("google.auth._exponential_backoff.time.sleep", lambda _: None)
    users = "google.oauth2.credentials._GOOGLE_OAUTH2_TOKEN_ENDPOINT"
    monkeypatch.setattr(users, "https://token.invalid/token")
    info = google.user() if kind == "user" else google.service_account()
    info["token_uri"] = "https://token.invalid/token"
    with pytest.raises(ConnectFailed) as failed:
        get(json.dumps(info))
    assert shown(failed.value) == (
        "`m`: no connection to Google's token server `token.invalid` "
        "(its host name cannot be resolved)"
    )


def test_after_a_failure_the_file_is_read_again(google: GoogleCloud, tmp_path: Path) -> None:
    path, tokens = tmp_path / "key.json", GoogleTokens()
    path.write_text(json.dumps(google.service_account()))

    async def script() -> None:
        google.failures = [(400, {"error": "invalid_grant"})]
        with pytest.raises(MissingKey):
            await token(tokens, str(path))
        path.write_text(json.dumps(google.service_account(client_email="new@a.test")))
        await token(tokens, str(path))

    asyncio.run(script())
    old, new = (form["assertion"].split(".")[1] for form in google.forms)
    assert old != new


def test_rejected_default_credentials_are_called_so(
    google: GoogleCloud, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CLOUDSDK_CONFIG", str(tmp_path))
    monkeypatch.setenv("GOOGLE_CLOUD_PROJECT", "our-project")
    (tmp_path / "application_default_credentials.json").write_text(json.dumps(google.user()))
    google.failures = [(400, {"error": "invalid_grant"})]
    assert failure(None, "") == "Google rejected the default credentials (invalid_grant)"


def test_after_a_failure_the_next_request_tries_again(google: GoogleCloud) -> None:
    tokens, text = GoogleTokens(), json.dumps(google.service_account())

    async def script() -> None:
        google.failures = [(400, {"error": "invalid_grant"})]
        with pytest.raises(MissingKey):
            await token(tokens, text)
        assert await token(tokens, text) == google.tokens[0]

    asyncio.run(script())


def test_nothing_shows_a_token_or_a_key(google: GoogleCloud) -> None:
    tokens = GoogleTokens()
    asyncio.run(token(tokens, json.dumps(google.service_account())))
    entry = next(iter(tokens._entries.values()))
    shown = f"{tokens!r} {entry.token!r} {entry!r} {vars(tokens)}"
    assert "marker-token" not in shown
    assert "PRIVATE KEY" not in shown


def test_the_library_loads_no_other_http_client(google: GoogleCloud) -> None:
    code = (
        "import asyncio, sys; from fanout.google.credentials import GoogleTokens; "
        "asyncio.run(GoogleTokens().headers(sys.argv[1], 'x', sys.argv[2])); "
        "print(*sorted({'requests', 'urllib3', 'aiohttp'} & set(sys.modules)))"
    )
    text = json.dumps(google.service_account())
    done = subprocess.run(  # noqa: S603 -- what it runs is written here
        [sys.executable, "-c", code, text, SCOPE], capture_output=True, text=True, check=False
    )
    assert (done.stderr, done.stdout) == ("", "\n")
