"""The gateway's own keys, and the models that each of them may use."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from fanout.config.catalog import ClientKey
from fanout.errors import StorageFull, Unauthorized
from fanout.http.auth import KEY_HEADERS, Authenticator, KeysUnavailable
from fanout.http.errors import error_headers
from fanout.keys.ledger import KeyLedger
from fanout.secret import Secret
from fanout.transport.credentials import EnvironmentSecrets
from tests.support.gateway_server import RunningGateway, entry, serve
from tests.support.provider_steps import answers
from tests.support.scripted_provider import Upstream

HI = [{"role": "user", "content": "Hi"}]
MASTER, LIMITED, ODD, NONE = "sk-master-marker", "sk-limited-marker", "schlüssel-marker", "sk-none"
ENV = {"MASTER": MASTER, "LIMITED": LIMITED}


@pytest.fixture(scope="module")
def guarded(provider: Upstream) -> Iterator[RunningGateway]:
    """A gateway with a master key, a key for `a` and `b` only, and one for nothing."""
    config = {
        "model_list": [entry(provider, name) for name in ("a", "b", "c")],
        "router_settings": {"num_retries": 0},
        "general_settings": {
            "master_key": "os.environ/MASTER",
            "keys": [
                {"name": "limited", "key": "os.environ/LIMITED", "models": ["a", "b"]},
                {"name": "odd", "key": ODD},
                {"name": "none", "key": NONE, "models": []},
            ],
        },
    }
    with serve(config, ENV) as served:
        yield served


@pytest.fixture(autouse=True)
def willing(upstream: Upstream) -> None:
    for name in ("a", "b", "c"):
        upstream.script(name, answers())


def bearer(key: str) -> dict[str, str]:
    return {"authorization": f"Bearer {key}"}


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"authorization": ""},
        {"authorization": "Bearer"},
        {"authorization": "Bearer "},
        {"authorization": MASTER},
        {"authorization": f"Basic {MASTER}"},
        {"authorization": f"Bearer {MASTER}x"},
        {"authorization": f"Bearer {MASTER[:-1]}"},
        {"authorization": f"Bearer {MASTER} {MASTER}"},
        {"authorization": "Bearer os.environ/MASTER"},
        {"authorization": "Bearer \xff"},
        {"authorization": "Bearer " + "x" * 10_000},
        {"x-api-key": f"{MASTER}x"},
        {"api-key": ""},
        {"api-key": f"Basic {MASTER}"},
        {"x-litellm-api-key": "Bearer"},
        {"x-litellm-api-key": "wrong", "authorization": f"Bearer {MASTER}"},
        {"authorization": "Bearer wrong", "api-key": MASTER},
        {"cookie": f"authorization=Bearer {MASTER}"},
    ],
)
@pytest.mark.parametrize(
    ("method", "path"),
    [("POST", "/v1/chat/completions"), ("GET", "/v1/models"), ("GET", "/models/a")],
)
def test_every_path_needs_one_of_the_keys(
    guarded: RunningGateway, upstream: Upstream, headers: dict[str, str], method: str, path: str
) -> None:
    body = {"model": "a", "messages": HI} if method == "POST" else None
    status, _, answer = guarded.json(body, path, method, headers)
    assert (status, answer["error"]["code"]) == (401, "invalid_api_key")
    assert answer["error"]["type"] == "invalid_request_error"
    assert "marker" not in str(answer)
    assert not upstream.calls


def test_the_key_is_checked_before_the_body_is_read(guarded: RunningGateway) -> None:
    status, _, answer = guarded.json(b"{" * 1_000)
    assert (status, answer["error"]["code"]) == (401, "invalid_api_key")


@pytest.mark.parametrize("key", [MASTER, LIMITED, ODD])
@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER", "Bearer "])
def test_each_key_gets_in_and_is_never_passed_on(
    guarded: RunningGateway, upstream: Upstream, key: str, scheme: str
) -> None:
    value = f"{scheme} {key}".encode().decode("latin-1")  # http.client writes Latin-1
    response = guarded.chat({"model": "a", "messages": HI}, {"authorization": value})
    assert response.text == "Hello"
    assert upstream.calls[0].headers["authorization"] == "Bearer sk-provider-a"
    assert "marker" not in str(upstream.calls[0].headers)


@pytest.mark.parametrize("header", KEY_HEADERS)
@pytest.mark.parametrize("scheme", ["", "Bearer "])
def test_a_key_may_be_in_the_header_of_azures_anthropics_and_litellms_clients(
    guarded: RunningGateway, upstream: Upstream, header: str, scheme: str
) -> None:
    if header == "authorization" and not scheme:
        return
    headers = {header: scheme + LIMITED}
    assert guarded.chat({"model": "a", "messages": HI}, headers).text == "Hello"
    assert "marker" not in str(upstream.calls[0].headers)
    assert guarded.json({"model": "c", "messages": HI}, headers=headers)[0] == 403
    assert guarded.observer.requests[-1].caller == "limited"


def test_the_first_header_with_a_key_counts(guarded: RunningGateway) -> None:
    anthropic = {"x-litellm-api-key": LIMITED, "authorization": "Bearer sk-ant-oat-marker"}
    assert guarded.json(None, "/v1/models", "GET", anthropic)[0] == 200
    proxy = {"authorization": "Basic dXNlcjpwYXNz", "api-key": LIMITED}
    assert guarded.json(None, "/v1/models", "GET", proxy)[0] == 200


def test_health_needs_no_key(guarded: RunningGateway) -> None:
    assert guarded.json(None, "/health", "GET")[::2] == (200, {"status": "ok"})
    assert guarded.json(None, "/v1/health", "GET")[0] == 200


REQUESTS: list[tuple[dict[str, Any], str | None]] = [
    ({"model": "a"}, None),
    ({"model": "a, b"}, None),
    ({"model": "a", "fallbacks": ["b"]}, None),
    ({"model": "c"}, "c"),
    ({"model": "a, c"}, "c"),
    ({"model": ["c", "a"]}, "c"),
    ({"model": "a, c", "fastest_response": True}, "c"),
    ({"model": "a", "fanout": {"models": ["a", "c"]}}, "c"),
    ({"fanout": {"mode": "fallback", "models": ["a", "c"]}}, "c"),
    ({"model": "a", "fallbacks": ["c"]}, "c"),
    ({"model": "a", "fallbacks": [{"a": ["b", "c"]}]}, "c"),
    ({"model": "a", "fallbacks": [{"b": ["c"]}]}, "c"),
    ({"model": "unheard-of"}, "unheard-of"),
]


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "streamed"])
@pytest.mark.parametrize(("change", "denied"), REQUESTS)
def test_a_request_is_allowed_only_if_each_of_its_models_is(
    guarded: RunningGateway,
    upstream: Upstream,
    change: dict[str, Any],
    denied: str | None,
    *,
    stream: bool,
) -> None:
    response = guarded.chat({"messages": HI, "stream": stream, **change}, bearer(LIMITED))
    if denied is None:
        assert response.status == 200
        return
    assert response.status == 403
    field = "fallbacks" if "fallbacks" in change else "model"
    assert response.error == {
        "message": f"the key `limited` may not use the model `{denied}`",
        "type": "permission_error",
        "param": "fanout.models" if "fanout" in change else field,
        "code": "model_not_allowed",
    }
    assert not upstream.calls


def test_a_key_for_nothing_may_name_nothing(guarded: RunningGateway) -> None:
    assert guarded.chat({"model": "a", "messages": HI}, bearer(NONE)).status == 403
    assert guarded.json(None, "/v1/models", "GET", bearer(NONE))[2]["data"] == []


@pytest.mark.parametrize(("key", "names"), [(MASTER, ["a", "b", "c"]), (LIMITED, ["a", "b"])])
def test_the_list_of_models_is_what_the_key_may_name(
    guarded: RunningGateway, key: str, names: list[str]
) -> None:
    _, _, listed = guarded.json(None, "/v1/models", "GET", bearer(key))
    assert [model["id"] for model in listed["data"]] == names
    statuses = [guarded.json(None, f"/v1/models/{n}", "GET", bearer(key))[0] for n in ("b", "c")]
    assert statuses == [200, 200 if key == MASTER else 403]


def test_the_log_names_the_key_and_does_not_show_it(guarded: RunningGateway) -> None:
    guarded.observer.clear()
    guarded.chat({"model": "a", "messages": HI}, bearer(LIMITED))
    guarded.chat({"model": "a", "messages": HI}, bearer("sk-wrong-marker"))
    records = guarded.observer.wait_for_requests(2)
    assert [record.caller for record in records] == ["limited", "anyone"]
    assert [record.status for record in records] == [200, 401]
    assert "marker" not in str(records)


class Counted(EnvironmentSecrets):
    """A secret source that records which secrets were looked up."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    async def values(self, secret: Secret) -> Sequence[str]:
        self.asked.append(secret.name)
        return await super().values(secret)


@pytest.mark.parametrize("given", ["first", "second", "third", "unknown"])
def test_every_key_is_compared_whichever_fits(given: str) -> None:
    names = ["first", "second", "third"]
    source = Counted()
    authenticator = Authenticator([ClientKey(name, Secret(name, name)) for name in names], source)

    async def ask() -> str:
        try:
            return (await authenticator.authenticate(bearer(given))).name
        except Unauthorized:
            return "unknown"

    assert asyncio.run(ask()) == given
    assert source.asked == names


class Down(EnvironmentSecrets):
    """A secret source that cannot be reached; only keys that were read before are known."""

    async def values(self, secret: Secret) -> Sequence[str]:
        return await super().values(secret) if secret.is_known else ()

    def is_unavailable(self, secret: Secret) -> bool:
        return not secret.is_known


def test_while_the_keys_cannot_be_read_no_key_is_reported_as_wrong() -> None:
    known, unread = ClientKey("known", Secret("K", "k")), ClientKey("unread", Secret("U"))
    authenticator = Authenticator([known, unread], Down())
    assert asyncio.run(authenticator.authenticate(bearer("k"))) == known
    with pytest.raises(KeysUnavailable) as raised:
        asyncio.run(authenticator.authenticate(bearer("u")))
    assert raised.value.status == 503
    assert error_headers(raised.value) == {"retry-after": "1"}
    with pytest.raises(Unauthorized):
        asyncio.run(authenticator.authenticate({}))


def test_on_a_full_disk_a_virtual_key_says_so() -> None:
    def no_room() -> KeyLedger:
        raise StorageFull("keys.sqlite", "no space is left on the disk")

    authenticator = Authenticator([ClientKey("known", Secret("K", "k"))], Down(), no_room)
    with pytest.raises(KeysUnavailable, match="storage is full, so it cannot count") as raised:
        asyncio.run(authenticator.authenticate(bearer("sk-other")))
    assert raised.value.status == 503


def test_a_key_that_has_no_text_opens_nothing() -> None:
    authenticator = Authenticator([ClientKey("unset", Secret("UNSET", None))], EnvironmentSecrets())
    for authorization in ("Bearer None", "Bearer  ", "Bearer UNSET"):
        with pytest.raises(Unauthorized):
            asyncio.run(authenticator.authenticate({"authorization": authorization}))
