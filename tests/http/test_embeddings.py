"""`POST /v1/embeddings`, judged by OpenAI's SDK, in front of providers with their own limits."""

from __future__ import annotations

import base64
import http.client
import json
import struct
from collections.abc import Iterator
from typing import Any

import openai
import pytest

from tests.support.embedding_provider import WIDTH, base64_of, embeds, vector_of
from tests.support.gateway_server import RunningGateway, entry, serve
from tests.support.provider_steps import hang, refuse
from tests.support.scripted_provider import Upstream

SMALL = "openai/text-embedding-3-small"
KEY, LIMITED = "sk-master", "sk-limited"

VENDORS: dict[str, tuple[str, str, int]] = {
    # the model's name at the vendor, by which its script is found, and the calls for 2,100 texts
    "openai": (SMALL, "text-embedding-3-small", 2),
    "azure": ("azure/my-embeddings", "my-embeddings", 2),
    "cohere": ("cohere/embed-v4.0", "embed-v4.0", 22),
    "gemini": ("gemini/gemini-embedding-001", "", 21),
    "bedrock-cohere": ("bedrock/cohere.embed-english-v3", "", 22),
    "mistral": ("mistral/mistral-embed", "mistral-embed", 9),
    "voyage": ("voyage/voyage-3.5", "voyage-3.5", 3),
    "vllm": ("hosted_vllm/bge", "bge", 9),
    "ollama": ("ollama/nomic-embed-text", "nomic-embed-text", 9),
    "titan": ("bedrock/amazon.titan-embed-text-v2:0", "", 2_100),
}
KINDS = {"azure": "openai", "vllm": "openai"}
TEXTS = [f"text {number}" for number in range(2_100)]


@pytest.fixture(scope="module")
def gateway(provider: Upstream) -> Iterator[RunningGateway]:
    listed = []
    for name, (model, _, _) in VENDORS.items():
        params: dict[str, Any] = {"model": model, "api_base": provider.url, "api_key": "k"}
        if name == "azure":
            params["api_version"] = "2024-10-21"
        if name == "openai":
            params |= {"input_cost_per_token": 0.001, "output_cost_per_token": 0.0}
        listed.append({"model_name": name, "litellm_params": params})
    for number in (1, 2):
        one = entry(provider, "twin", f"openai/twin{number}")
        one["litellm_params"]["model"] = "openai/twin"
        one["litellm_params"]["num_retries"] = number
        listed.append(one)
    for name, model in (("own", SMALL), ("own-cohere", "cohere/embed-v4.0")):
        own: dict[str, Any] = {"model": model, "api_base": provider.url, "api_key": "k"}
        own |= {"additional_drop_params": ["dimensions"], "allowed_openai_params": ["task"]}
        listed.append({"model_name": name, "litellm_params": own})
    listed += [entry(provider, "mixed", "openai/m1"), entry(provider, "mixed", "openai/m2")]
    listed.append(entry(provider, "chat-only", "groq/llama"))
    config = {
        "model_list": listed,
        "router_settings": {
            "num_retries": 1,
            "retry_after": 0,
            "model_group_alias": {"two": {"models": ["openai", "cohere"], "mode": "race"}},
        },
        "general_settings": {
            "master_key": KEY,
            "keys": [{"name": "limited", "key": LIMITED, "models": ["cohere"]}],
        },
    }
    with serve(config) as served:
        yield served


@pytest.fixture
def client(gateway: RunningGateway) -> Iterator[openai.OpenAI]:
    base = f"{gateway.url}/v1"
    with openai.OpenAI(api_key=KEY, base_url=base, max_retries=0) as made:
        yield made


def test_each_vendor_gets_calls_within_its_limits_and_the_client_its_vectors_in_order(
    client: openai.OpenAI, upstream: Upstream
) -> None:
    problems = []
    for name, (_, script, calls) in VENDORS.items():
        upstream.reset()
        upstream.script(script, [embeds(KINDS.get(name, name), reverses=name == "openai")])
        texts = TEXTS[:60] if name == "titan" else TEXTS
        given: Any = {} if name in {"openai", "azure"} else {"encoding_format": "float"}
        found = client.embeddings.create(model=name, input=texts, **given)
        vectors = [one.embedding for one in found.data]
        wanted = [vector_of(text) for text in texts]
        if [one.index for one in found.data] != list(range(len(texts))):
            problems.append(f"{name}: the indexes")
        if [[round(x, 6) for x in one] for one in vectors] != [
            [round(x, 6) for x in one] for one in wanted
        ]:
            problems.append(f"{name}: the vectors")
        if len(upstream.calls) != min(calls, len(texts)):
            problems.append(f"{name}: {len(upstream.calls)} calls")
        usage = 0 if name == "gemini" else 3 * len(texts)
        if (found.usage.prompt_tokens, found.usage.total_tokens, found.model) != (
            usage,
            usage,
            name,
        ):
            problems.append(f"{name}: {found.usage} {found.model}")
    assert problems == []


def test_the_client_gets_the_form_it_asked_for_whatever_the_provider_sends(
    gateway: RunningGateway, upstream: Upstream
) -> None:
    upstream.script("text-embedding-3-small", [embeds("openai")])
    upstream.script("nomic-embed-text", [embeds("ollama")])
    wanted = vector_of("a", 6)
    for name in ("openai", "ollama"):
        for form in (None, "float", "base64"):
            body = {"model": name, "input": "a", "dimensions": 6}
            given = body if form is None else {**body, "encoding_format": form}
            status, _, found = gateway.json(
                given, "/v1/embeddings", headers={"authorization": f"Bearer {KEY}"}
            )
            assert (status, found["object"]) == (200, "list")
            vector = found["data"][0]["embedding"]
            if form == "base64":
                assert vector == base64_of(wanted)
            else:
                assert vector == pytest.approx(wanted, abs=1e-9)
            assert found["data"][0]["object"] == "embedding"


def test_the_config_and_the_request_say_which_parameters_are_sent(
    gateway: RunningGateway, upstream: Upstream
) -> None:
    """A request's own list counts instead of the config's; the header names what was left out."""
    upstream.script("text-embedding-3-small", [embeds("openai")])
    upstream.script("embed-v4.0", [embeds("cohere")])
    names = {"additional_drop_params", "allowed_openai_params"}
    cases: list[tuple[str, dict[str, Any], set[str], set[str]]] = [
        ("openai", {"dimensions": 6}, {"dimensions"}, set()),
        ("openai", {"dimensions": 6, "additional_drop_params": ["dimensions"]}, set(), set()),
        ("own", {"dimensions": 6, "user": "u"}, {"user"}, {"dimensions"}),
        ("own", {"dimensions": 6, "additional_drop_params": ["user"]}, {"dimensions"}, {"user"}),
        ("own-cohere", {"task": "x", "dimensions": 6}, {"task"}, {"dimensions"}),
        ("cohere", {"task": "x", "allowed_openai_params": ["task"]}, {"task"}, set()),
    ]
    headers = {"authorization": f"Bearer {KEY}"}
    for model, given, sent, absent in cases:
        body = {"model": model, "input": "a", **given}
        status, shown, _ = gateway.json(body, "/v1/embeddings", headers=headers)
        found = upstream.calls[-1].body
        assert status == 200
        assert (found.keys() & {"dimensions", "user", "task", "output_dimension"}) == sent
        assert not found.keys() & names
        assert absent <= {"user", *shown.get("x-fanout-dropped", "").split(", ")}
    body = {"model": "cohere", "input": "a", "task": "x"}
    assert gateway.json(body, "/v1/embeddings", headers=headers)[0] == 400


def test_large_float_responses_are_requested_in_base64_and_keep_every_float(
    client: openai.OpenAI, upstream: Upstream
) -> None:
    upstream.script("text-embedding-3-small", [embeds("openai")])
    found = client.embeddings.create(model="openai", input=TEXTS, encoding_format="float")
    assert {call.body["encoding_format"] for call in upstream.calls} == {"base64"}
    values = found.data[7].embedding
    assert struct.pack(f"<{WIDTH}f", *values) == struct.pack(f"<{WIDTH}f", *vector_of("text 7"))


def test_the_requests_of_recorded_clients_are_served(
    gateway: RunningGateway, upstream: Upstream
) -> None:
    upstream.script("text-embedding-3-small", [embeds("openai")])
    bodies: list[dict[str, Any]] = [
        {"input": [[15339, 1917], [65]], "encoding_format": "base64"},  # LangChain
        {"input": ["hello world", "b"], "encoding_format": "base64"},
        {"input": ["hello there", "b"], "dimensions": 4, "encoding_format": "base64"},
        {"input": ["a", "b", "c"], "encoding_format": "float"},  # Vercel's AI SDK
        {"input": [15339, 1917]},
        {"input": "hello"},
    ]
    for body in bodies:
        for path in ("/v1/embeddings", "/embeddings", "/openai/deployments/openai/embeddings"):
            given = {"model": "openai", **body}
            status, _, found = gateway.json(given, path, headers={"api-key": KEY})
            assert status == 200, found
            sent = upstream.calls[-1].body
            assert sent["model"] == "text-embedding-3-small"
            one = body["input"]
            wanted = [one] if isinstance(one, str) or isinstance(one[0], int) else one
            assert sent["input"] == wanted
            vector = found["data"][0]["embedding"]
            if body.get("encoding_format") == "base64":
                assert vector == base64_of(vector_of(wanted[0]))
            else:
                assert vector == pytest.approx(vector_of(wanted[0]))


def test_a_part_is_divided_by_tokens_and_identical_texts_are_sent_once(
    client: openai.OpenAI, upstream: Upstream
) -> None:
    upstream.script("text-embedding-3-small", [embeds("openai", tokens=300_000)])
    texts = [f"{number} " + "word " * 800 for number in range(500)]
    found = client.embeddings.create(model="openai", input=[*texts, *texts[::-1], texts[0]])
    assert len(upstream.calls) > 2
    assert sum(len(call.body["input"]) for call in upstream.calls) == 500
    assert found.usage.prompt_tokens == 1_500
    vectors = [one.embedding for one in found.data]
    assert vectors[:500] == vectors[500:1_000][::-1]
    assert vectors[-1] == pytest.approx(vector_of(texts[0]))
    assert vectors[499] == pytest.approx(vector_of(texts[499]))


def test_a_part_with_more_tokens_than_estimated_is_sent_in_halves(
    client: openai.OpenAI, upstream: Upstream
) -> None:
    upstream.script("text-embedding-3-small", [embeds("openai", tokens=60_000)])
    texts = [f"{number} " + "word " * 200 for number in range(800)]
    found = client.embeddings.create(model="openai", input=texts, encoding_format="float")
    assert [one.embedding for one in found.data] == [vector_of(text) for text in texts]
    sizes = [len(call.body["input"]) for call in upstream.calls]
    assert sorted(sizes) == [200, 200, 200, 200, 400, 400, 800]


def test_a_failed_part_is_tried_again_alone_and_at_the_other_deployment(
    client: openai.OpenAI, upstream: Upstream, gateway: RunningGateway
) -> None:
    upstream.script("twin", [refuse(503)], [embeds("openai")])
    found = client.embeddings.create(model="twin", input=TEXTS)
    assert len(found.data) == 2_100
    counts = sorted(len(call.body["input"]) for call in upstream.calls)
    assert len(counts) == 3
    assert sum(counts) - 2_100 in counts


def test_a_part_that_fails_for_good_fails_the_request_and_is_named(
    client: openai.OpenAI, upstream: Upstream
) -> None:
    async def step(call: Any) -> None:
        is_second = "text 2050" in call.body["input"]
        await (refuse(400) if is_second else embeds("openai"))(call)

    upstream.script("text-embedding-3-small", [step])
    with pytest.raises(openai.BadRequestError) as caught:
        client.embeddings.create(model="openai", input=TEXTS)
    assert caught.value.param == "input[2048..2099]"
    assert "input[2048..2099]" in str(caught.value)


def test_wrong_requests_are_errors_that_say_why(gateway: RunningGateway) -> None:
    cases: list[tuple[dict[str, Any], str, str]] = [
        ({"model": "openai,cohere"}, "model", "one model"),
        ({"model": "two"}, "model", "stands for several models"),
        ({"model": "mixed"}, "model", "are different models"),
        ({"fastest_response": True}, "fastest_response", "one model"),
        ({"fallbacks": ["cohere"]}, "fallbacks", "one model"),
        ({"fanout": {"mode": "all"}}, "fanout.mode", "one model"),
        ({"fanout": {"models": ["a", "b"]}}, "fanout", "one model"),
        ({"stream": True}, "stream", "no stream"),
        ({"input": ["a", ""]}, "input[1]", "must not be empty"),
        ({"input": []}, "input", "must not be empty"),
        ({"input": ["a", 5]}, "input[1]", "must be a string"),
        ({"input": {"a": 1}}, "input", "a string or a list"),
        ({"input": [[1], []]}, "input[1]", "must not be empty"),
        ({"model": "cohere", "input": [[1, 2]]}, "input", "check_embedding_ctx_length=False"),
        ({"model": "ollama", "input": [1, 2]}, "input", "not lists of tokens"),
        ({"model": "cohere", "task": "x"}, "task", "does not support `task`"),
        ({"model": "chat-only"}, "model", "no embeddings"),
        ({"encoding_format": "int8"}, "encoding_format", "`float`"),
        ({"dimensions": 0}, "dimensions", "at least 1"),
    ]
    problems = []
    for body, param, words in cases:
        given = {"model": "openai", "input": "a", **body}
        status, _, found = gateway.json(
            given, "/v1/embeddings", headers={"authorization": f"Bearer {KEY}"}
        )
        error = found.get("error", {})
        if (status, error.get("param")) != (400, param) or words not in error.get("message", ""):
            problems.append(f"{body}: {status} {error}")
    assert problems == []


def test_what_is_left_out_is_named(gateway: RunningGateway, upstream: Upstream) -> None:
    body = {"model": "azure", "input": "a", "input_type": "query", "drop_params": True}
    upstream.script("my-embeddings", [embeds("openai")])
    allowed = {"authorization": f"Bearer {KEY}"}
    status, headers, _ = gateway.json(body, "/v1/embeddings", headers=allowed)
    assert (status, headers["x-fanout-dropped"]) == (200, "input_type")
    gateway.observer.clear()
    upstream.script("embed-v4.0", [embeds("cohere")])
    unknown = {"é\r\nx: 1" + "y" * 100: 1, **{f"secret_{number}": 1 for number in range(60)}}
    body = {"model": "cohere", "input": "a", "drop_params": True, **unknown}
    status, headers, _ = gateway.json(body, "/v1/embeddings", headers=allowed)
    named = headers["x-fanout-dropped"].split(", ")
    assert (status, len(named), named[1]) == (200, 40, "secret_0")
    assert named[0] == "___x_ 1" + "y" * 73
    assert [record.dropped for record in gateway.observer.attempts] == [("* (61)",)]


def test_what_only_litellm_knows_is_not_sent(gateway: RunningGateway, upstream: Upstream) -> None:
    upstream.script("text-embedding-3-small", [embeds("openai")])
    allowed = {"authorization": f"Bearer {KEY}"}
    given = {"model": "openai", "input": "a"}
    ignored = {"caching": False, "cache": {"no-cache": True}, "metadata": {"team": "x"}}
    status, _, _ = gateway.json({**given, **ignored}, "/v1/embeddings", headers=allowed)
    assert (status, upstream.calls[-1].body.keys() - {"encoding_format"}) == (
        200,
        {"model", "input"},
    )
    for name, value in {"caching": True, "cache": {"ttl": 5}, "api_key": "k"}.items():
        status, _, found = gateway.json({**given, name: value}, "/v1/embeddings", headers=allowed)
        assert (status, found["error"]["param"]) == (400, name)


def test_a_key_may_use_only_its_models(gateway: RunningGateway, upstream: Upstream) -> None:
    upstream.script("embed-v4.0", [embeds("cohere")])
    headers = {"authorization": f"Bearer {LIMITED}"}
    body = {"model": "cohere", "input": "a", "dimensions": 4, "input_type": "query"}
    assert gateway.json(body, "/v1/embeddings", headers=headers)[0] == 200
    assert upstream.calls[-1].body["input_type"] == "search_query"
    for more in ({"model": "openai"}, {"models": [], "router": "x"}):
        status, _, found = gateway.json({**body, **more}, "/v1/embeddings", headers=headers)
        assert (status, found["error"]["type"]) == (403, "permission_error")


def test_calls_and_requests_are_logged_with_their_cost(
    gateway: RunningGateway, client: openai.OpenAI, upstream: Upstream
) -> None:
    upstream.script("text-embedding-3-small", [embeds("openai")])
    gateway.observer.wait_for_requests(len(gateway.observer.requests))
    gateway.observer.clear()
    client.embeddings.create(model="openai", input=["a", "b"])
    [record] = gateway.observer.wait_for_requests(1)
    assert (record.models, record.mode, record.status) == (("openai",), "one", 200)
    [attempt] = gateway.observer.attempts
    assert (attempt.outcome, attempt.cost_usd) == ("ok", 0.006)
    assert attempt.usage == {"prompt_tokens": 6, "completion_tokens": 0, "total_tokens": 6}


def test_calls_are_cancelled_when_the_client_disconnects(
    gateway: RunningGateway, upstream: Upstream
) -> None:
    upstream.script("text-embedding-3-small", [hang])
    body = {"model": "openai", "input": TEXTS}
    headers = {"authorization": f"Bearer {KEY}"}
    connection = gateway.send(body, "/v1/embeddings", headers)
    upstream.wait(lambda: len(upstream.calls) == 2)
    connection.close()
    upstream.wait(lambda: all(call.disconnected_at for call in upstream.calls))


def test_a_large_response_that_fails_half_way_is_no_whole_one(
    gateway: RunningGateway, upstream: Upstream
) -> None:
    gate = upstream.gate()

    async def step(call: Any) -> None:
        if "text 2050" in call.body["input"]:
            await gate.passed()
            await refuse(400)(call)
        else:
            await embeds("openai")(call)

    upstream.script("text-embedding-3-small", [step])
    body = {"model": "openai", "input": TEXTS, "dimensions": 400, "encoding_format": "base64"}
    headers = {"authorization": f"Bearer {KEY}"}
    with gateway.ask(body, "/v1/embeddings", headers=headers) as response:
        assert response.status == 200
        response.read(1_000_000)
        gate.open()
        with pytest.raises(http.client.IncompleteRead):
            response.read()


def test_a_large_response_begins_before_the_last_part_is_there(
    gateway: RunningGateway, upstream: Upstream
) -> None:
    gate = upstream.gate()

    async def step(call: Any) -> None:
        if "text 2050" in call.body["input"]:
            await gate.passed()
        await embeds("openai")(call)

    upstream.script("text-embedding-3-small", [step])
    body = {"model": "openai", "input": TEXTS, "dimensions": 400, "encoding_format": "base64"}
    headers = {"authorization": f"Bearer {KEY}"}
    with gateway.ask(body, "/v1/embeddings", headers=headers) as response:
        begun = response.read(1_000_000)
        gate.open()
        whole = begun + response.read()
    data = json.loads(whole)["data"]
    assert [one["index"] for one in data] == list(range(2_100))
    assert base64.b64decode(data[2_099]["embedding"]) == base64.b64decode(
        base64_of(vector_of("text 2099", 400))
    )
