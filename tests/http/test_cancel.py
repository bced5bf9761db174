"""A client cancels its own open requests by their id, and keeps others open by renewing a lease."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator, Mapping
from typing import Any

import openai
import pytest

from tests.support.gateway_server import RunningGateway, entry, serve
from tests.support.provider_steps import answers, hang, role, say, stalls
from tests.support.scripted_provider import Upstream

HI = [{"role": "user", "content": "Hi"}]
CHAT = "/v1/chat/completions"
KINDS: Mapping[str, dict[str, Any]] = {
    "one": {"model": "a"},
    "all": {"model": "a, b"},
    "all as a list": {"model": ["a", "b"], "fanout": {"shape": "list"}},
    "race": {"model": "a, b", "fastest_response": True},
    "hedge": {"fanout": {"mode": "hedge", "models": ["a", "b"], "stagger": 0.001}},
    "prompts": {"model": "a", "messages": [HI, HI, HI]},
    "prompts to all": {"model": "a, b", "messages": [HI, HI]},
    "prompts in races": {"model": "a, b", "fastest_response": True, "messages": [HI, HI]},
    "fallback": {"fanout": {"mode": "fallback", "models": ["a", "b"]}},
}
CALLS = {"one": 1, "prompts": 3, "prompts to all": 4, "prompts in races": 4, "fallback": 1}
"""The calls of a kind that are open at the same time; all others have two."""

MINE, OTHERS = {"authorization": "Bearer sk-mine"}, {"authorization": "Bearer sk-others"}


@pytest.fixture(scope="module")
def keyed(provider: Upstream) -> Iterator[RunningGateway]:
    """A gateway with two keys."""
    general = {
        "keys": [{"name": "mine", "key": "sk-mine"}, {"name": "others", "key": "sk-others"}],
        "max_requests": 4,
    }
    listed = [entry(provider, name) for name in "ab"]
    with serve({"model_list": listed, "general_settings": general}) as served:
        yield served


def control(
    served: RunningGateway, request_id: str, action: str = "cancel", headers: Any = MINE
) -> tuple[int, Any]:
    status, _, body = served.json(path=f"{CHAT}/{request_id}/{action}", headers=headers)
    return status, body


def opened(
    served: RunningGateway, upstream: Upstream, name: str, body: Mapping[str, Any], calls: int = 1
) -> http.client.HTTPConnection:
    """Send a request with an id, and wait until its calls have arrived."""
    before = len(upstream.calls)
    sent = served.send({"messages": HI, **body}, headers={**MINE, "x-request-id": name})
    upstream.wait(lambda: len(upstream.calls) - before >= calls)
    return sent


def read(connection: http.client.HTTPConnection) -> tuple[int, dict[str, str], bytes]:
    response = connection.getresponse()
    headers = {name.lower(): value for name, value in response.getheaders()}
    found = response.status, headers, response.read()
    connection.close()
    return found


def closed(upstream: Upstream) -> bool:
    return all(call.disconnected_at is not None for call in upstream.calls)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("content", ["silent", "talking"])
@pytest.mark.parametrize("stream", [False, True], ids=["plain", "streamed"])
def test_every_call_of_a_cancelled_request_is_closed_at_once(
    keyed: RunningGateway, upstream: Upstream, kind: str, content: str, *, stream: bool
) -> None:
    script = stalls(role) if content == "silent" else stalls(role, say("Once"))
    for name in "ab":
        upstream.script(name, script)
    if stream and KINDS[kind].get("fanout", {}).get("shape"):
        pytest.skip("a list cannot be streamed")
    is_race = content == "talking" and ("race" in kind or kind == "hedge")
    calls = 1 if is_race and stream else CALLS.get(kind, 2)
    with_content = content == "talking" and stream
    sent = opened(keyed, upstream, "r-1", {**KINDS[kind], "stream": stream}, calls)
    first = sent.getresponse() if with_content else None
    status, body = control(keyed, "r-1")
    assert (status, body) == (
        200,
        {"id": "r-1", "object": "chat.completion.request", "status": "cancelled"},
    )
    upstream.wait(lambda: closed(upstream))
    if first is not None:
        assert first.status == 200
        events = first.read().decode().strip().split("\n\n")
        error = json.loads(events[-1].removeprefix("data: "))["error"]
        assert "[DONE]" not in events[-1]
        sent.close()
    else:
        status, headers, raw = read(sent)
        assert status == 499
        assert headers["x-request-id"] == "r-1"
        assert headers["x-should-retry"] == "false"
        error = json.loads(raw)["error"]
    assert error == {
        "message": "the request was cancelled by its client",
        "type": "cancelled_error",
        "param": None,
        "code": "request_cancelled",
    }
    assert control(keyed, "r-1")[0] == 404


def test_the_log_has_the_cancelled_request_and_the_usage_so_far(
    keyed: RunningGateway, upstream: Upstream
) -> None:
    usage = {"prompt_tokens": 7, "completion_tokens": 1, "total_tokens": 8}

    async def counted(call: Any) -> None:
        chunk = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "a"}
        choice = {"index": 0, "delta": {"content": "Once"}, "finish_reason": None}
        event = {**chunk, "choices": [choice], "usage": usage}
        call.piece(b"data: " + json.dumps(event).encode() + b"\n\n")

    upstream.script("a", [role, counted, hang])
    keyed.observer.clear()
    sent = opened(keyed, upstream, "r-2", {"model": "a", "stream": True})
    sent.getresponse()
    assert control(keyed, "r-2")[0] == 200
    (record,) = [one for one in keyed.observer.wait_for_requests(1) if one.request_id == "r-2"]
    sent.close()
    assert (record.status, record.error, record.caller) == (499, "RequestCancelled", "mine")
    (attempt,) = keyed.observer.attempts
    assert (attempt.request_id, attempt.outcome, attempt.error) == ("r-2", "cancelled", None)
    assert attempt.usage == usage


def test_only_the_requests_own_key_can_cancel_or_renew_it(
    keyed: RunningGateway, upstream: Upstream
) -> None:
    upstream.script("a", stalls(role))
    sent = opened(keyed, upstream, "r-3", {"model": "a", "fanout": {"lease": 600}})
    for action in ("cancel", "renew"):
        foreign = control(keyed, "r-3", action, OTHERS)
        unknown = control(keyed, "r-4", action, OTHERS)
        assert foreign == unknown
        assert foreign[0] == 404
        assert foreign[1]["error"]["code"] == "request_not_found"
        assert control(keyed, "r-3", action, {})[0] == 401
    assert control(keyed, "r-3", "renew") == (
        200,
        {"id": "r-3", "object": "chat.completion.request", "status": "in_progress"},
    )
    assert not closed(upstream)
    assert control(keyed, "r-3")[0] == 200
    assert read(sent)[0] == 499


def test_two_keys_may_use_the_same_id(keyed: RunningGateway, upstream: Upstream) -> None:
    upstream.script("a", stalls(role))
    mine = opened(keyed, upstream, "same", {"model": "a"})
    body = {"model": "a", "messages": HI}
    theirs = keyed.send(body, headers={**OTHERS, "x-request-id": "same"})
    upstream.wait(lambda: len(upstream.calls) == 2)
    assert control(keyed, "same", headers=OTHERS)[0] == 200
    assert read(theirs)[0] == 499
    upstream.wait(lambda: [call.disconnected_at is None for call in upstream.calls].count(True))
    assert control(keyed, "same")[0] == 200
    assert read(mine)[0] == 499


def test_a_cancel_ends_every_request_of_the_key_with_that_id(
    keyed: RunningGateway, upstream: Upstream
) -> None:
    upstream.script("a", stalls(role))
    both = [opened(keyed, upstream, "twice", {"model": "a"}) for _ in range(2)]
    assert control(keyed, "twice")[0] == 200
    assert [read(sent)[0] for sent in both] == [499, 499]
    upstream.wait(lambda: closed(upstream))


def test_a_full_gateway_still_cancels(keyed: RunningGateway, upstream: Upstream) -> None:
    upstream.script("a", stalls(role))
    sent = [opened(keyed, upstream, f"full-{i}", {"model": "a"}) for i in range(3)]
    assert keyed.json({"model": "a", "messages": HI}, headers=MINE)[0] == 429
    for i, connection in enumerate(sent):
        assert control(keyed, f"full-{i}")[0] == 200
        assert read(connection)[0] == 499


def test_a_stream_has_its_generated_id_in_its_first_bytes(
    keyed: RunningGateway, upstream: Upstream
) -> None:
    upstream.script("a", stalls(role, say("Once")))
    body = {"model": "a", "messages": HI, "stream": True}
    with keyed.ask(body, headers=MINE) as response:
        request_id = response.getheader("x-request-id")
        assert request_id
        assert control(keyed, request_id)[0] == 200
        assert b"request_cancelled" in response.read()


@pytest.mark.parametrize("given", ["a b", "é", "x" * 129, "a/b"])
def test_an_id_with_other_characters_is_replaced(
    keyed: RunningGateway, upstream: Upstream, given: str
) -> None:
    upstream.script("a", answers("Hello"))
    headers = {**MINE, "x-request-id": given.encode().decode("latin-1")}
    _, received, _ = keyed.json({"model": "a", "messages": HI}, headers=headers)
    assert received["x-request-id"].startswith("req_")


def test_the_sdk_raises_the_error_and_does_not_retry(
    keyed: RunningGateway, upstream: Upstream
) -> None:
    upstream.script("a", stalls(role, say("Once")))
    with openai.OpenAI(api_key="sk-mine", base_url=f"{keyed.url}/v1") as client:
        body: Any = {"model": "a", "messages": HI, "stream": True}
        stream = client.chat.completions.create(**body, extra_headers={"x-request-id": "sdk-1"})
        chunks = iter(stream)
        next(chunks)
        client.post(f"/chat/completions/{'sdk-1'}/cancel", cast_to=object)
        with pytest.raises(openai.APIError) as raised:
            list(chunks)
    assert raised.value.code == "request_cancelled"
    assert len(upstream.calls) == 1


@pytest.mark.parametrize("path", ["r-1", "r-1/stop", "cancel", "/cancel", "r-1/cancel/now"])
def test_other_paths_do_not_exist(keyed: RunningGateway, path: str) -> None:
    status, _, body = keyed.json(path=f"{CHAT}/{path}", headers=MINE)
    assert (status, body["error"]["code"]) == (404, "not_found")


def test_the_paths_have_one_method(keyed: RunningGateway) -> None:
    for method in ("GET", "DELETE"):
        status, headers, _ = keyed.json(None, f"{CHAT}/r-1/cancel", method, MINE)
        assert (status, headers["allow"]) == (405, "POST")


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "streamed"])
def test_a_lease_that_is_not_renewed_ends_the_request(
    keyed: RunningGateway, upstream: Upstream, *, stream: bool
) -> None:
    upstream.script("a", stalls(role))
    body = {"model": "a", "messages": HI, "stream": stream, "fanout": {"lease": 2}}
    status, _, raw = read(keyed.send(body, headers={**MINE, "x-request-id": "lease-1"}))
    error = json.loads(raw)["error"]
    assert (status, error["code"]) == (499, "lease_expired")
    assert "2 s" in error["message"]
    upstream.wait(lambda: closed(upstream))
    assert control(keyed, "lease-1", "renew")[0] == 404


def test_a_request_without_a_lease_has_none_to_renew(
    keyed: RunningGateway, upstream: Upstream
) -> None:
    upstream.script("a", stalls(role))
    sent = opened(keyed, upstream, "bare", {"model": "a"})
    status, body = control(keyed, "bare", "renew")
    assert (status, body["error"]["code"]) == (404, "request_not_found")
    assert control(keyed, "bare")[0] == 200
    assert read(sent)[0] == 499


@pytest.mark.parametrize("lease", [0, 1.9, 3_601, -5, "5", True])
def test_a_lease_outside_its_limits_is_a_400_that_names_the_field(
    keyed: RunningGateway, lease: object
) -> None:
    body = {"model": "a", "messages": HI, "fanout": {"lease": lease}}
    status, _, answer = keyed.json(body, headers=MINE)
    assert (status, answer["error"]["param"]) == (400, "fanout.lease")
