"""What every function takes besides models and messages, and that nothing passed in is changed."""

from __future__ import annotations

import copy
import threading
from typing import Any

import httpx2
import pytest
from pydantic import BaseModel

import fanout
from fanout.errors import AllFailed, RequestError, Unsupported
from tests.library.ways import HI, Plain, Way, at, content, kind_of, says, spoken
from tests.support.provider_steps import answers, refuse
from tests.support.scripted_provider import Upstream

CALLS: list[Any] = [
    pytest.param("completion", "openai/m", HI, id="completion"),
    pytest.param("batch_completion", "openai/m", [HI, HI], id="batch"),
    pytest.param("batch_completion_models", ["openai/m", "openai/m"], HI, id="race"),
    pytest.param("batch_completion_models_all_responses", ["openai/m"], HI, id="all"),
]
every_function = pytest.mark.parametrize(("name", "models", "messages"), CALLS)


@every_function
def test_options_go_out_as_they_are_and_come_back_unchanged(
    upstream: Upstream, call: Way, name: str, models: Any, messages: Any
) -> None:
    upstream.script("m", answers("A"))
    options = {
        "temperature": 0.5,
        "metadata": {"trace": "t1"},
        "tools": [{"type": "function", "function": {"name": "f", "parameters": {"a": [1]}}}],
        "stop": ["END"],
        "functions": None,
        "unheard_of": {"x": 1},
    }
    before = copy.deepcopy((models, messages, options))
    call(name, models, messages, **options, **at(upstream))
    assert (models, messages, options) == before
    for sent in upstream.calls:
        assert (sent.body["temperature"], sent.body["metadata"]) == (0.5, {"trace": "t1"})
        assert (sent.body["stop"], sent.body["unheard_of"]) == (["END"], {"x": 1})
        assert sent.body["messages"] == HI
        private = {"api_base", "api_key", "functions", "fanout", "timeout", "num_retries"}
        assert sent.body.keys() & private == set()
        assert sent.headers["authorization"] == "Bearer sk-test"


@every_function
def test_a_wrong_option_is_rejected_by_name_or_fails_in_its_place(
    upstream: Upstream, call: Way, name: str, models: Any, messages: Any
) -> None:
    try:
        found = call(name, models, messages, temperature="hot", **at(upstream))
    except RequestError as error:
        found = [error]
    assert {(kind_of(one), one.param) for one in found} == {(RequestError, "temperature")}
    assert upstream.calls == []


def test_an_option_that_a_provider_cannot_take_is_rejected_or_dropped(
    upstream: Upstream, call: Way
) -> None:
    upstream.script("x", answers("A"))
    options = {"logit_bias": {"5": 1}, **at(upstream)}
    with pytest.raises(Unsupported, match="`logit_bias`"):
        call("completion", "groq/x", HI, **options)
    assert content(call("completion", "groq/x", HI, drop_params=True, **options)) == "A"
    assert "logit_bias" not in upstream.calls[0].body


def test_a_key_for_each_provider_comes_from_the_environment(
    upstream: Upstream, call: Way, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GROQ_API_KEY", "gk")
    monkeypatch.setenv("ANTHROPIC_API_KEY", "ak")
    monkeypatch.setenv("GROQ_API_BASE", f"{upstream.url}/openai/v1")
    monkeypatch.setenv("ANTHROPIC_API_BASE", upstream.url)
    upstream.script("llama", answers("G"))
    upstream.script("claude-x", answers("C"))
    name = "batch_completion_models_all_responses"
    found = call(name, ["groq/llama", "claude-x"], HI, max_tokens=9)
    assert [content(one) for one in found] == ["G", "C"]
    (groq,), (claude,) = upstream.calls_to("llama"), upstream.calls_to("claude-x")
    assert groq.headers["authorization"] == "Bearer gk"
    assert claude.headers["x-api-key"] == "ak"
    assert (groq.path, claude.path) == ("/openai/v1/chat/completions", "/v1/messages")


def test_base_url_is_another_name_for_api_base(upstream: Upstream, call: Way) -> None:
    upstream.script("m", answers("A"))
    options = {"base_url": f"{upstream.url}/v1", "api_key": "k"}
    assert content(call("completion", "openai/m", HI, **options)) == "A"


def test_a_missing_key_is_an_error_with_the_name_to_set(
    call: Way, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("GROQ_API_KEY", raising=False)
    with pytest.raises(fanout.FanoutError, match="set `GROQ_API_KEY` in the environment"):
        call("completion", "groq/x", HI)


@pytest.mark.parametrize("fallbacks", [["openai/b"], [{"openai/a": ["openai/b"]}]])
def test_fallbacks_respond_when_the_model_fails(
    upstream: Upstream, call: Way, fallbacks: Any
) -> None:
    upstream.script("a", [refuse(400, "no")])
    upstream.script("b", answers("B"))
    options = {"fallbacks": fallbacks, **at(upstream)}
    found = call("completion", "openai/a", HI, **options)
    assert (content(found), found.model) == ("B", "openai/b")
    assert spoken(call.read("completion", "openai/a", HI, **options)) == "B"
    (only,) = call("batch_completion", "openai/a", [HI], **options)
    assert content(only) == "B"


def test_a_fallback_at_another_vendor_gets_neither_the_address_nor_the_key(
    upstream: Upstream, call: Way, monkeypatch: pytest.MonkeyPatch
) -> None:
    upstream.script("a", [refuse(400, "no")])
    monkeypatch.delenv("GROQ_API_KEY", raising=False)
    with pytest.raises(AllFailed, match="no key for `groq`"):
        call("completion", "openai/a", HI, fallbacks=["groq/b"], **at(upstream))


@pytest.mark.parametrize("fallbacks", ["openai/b", [5], [{"a": "b"}], [{"a": [5]}]])
def test_fallbacks_of_another_shape_are_rejected(
    upstream: Upstream, call: Way, fallbacks: Any
) -> None:
    with pytest.raises(RequestError, match="fallbacks"):
        call("completion", "openai/a", HI, fallbacks=fallbacks, **at(upstream))
    assert upstream.calls == []


@pytest.mark.parametrize("model", [None, "", 5, "nobodys-model", "openai/"])
def test_a_model_that_is_none_is_rejected(call: Way, model: Any) -> None:
    for name, messages in (("completion", HI), ("batch_completion", [HI])):
        with pytest.raises(RequestError, match="model"):
            call(name, model, messages)


def test_several_conversations_in_one_completion_are_one_response_with_many_choices(
    upstream: Upstream, call: Way
) -> None:
    upstream.script("m", answers("A"))
    found = call("completion", "openai/m", [HI, says("Bye")], **at(upstream))
    assert [choice.message.content for choice in found.choices] == ["A", "A"]
    assert found.usage.total_tokens == 24
    chunks = call.read("completion", "openai/m", [HI, says("Bye")], **at(upstream))
    texts = {(c.index, c.delta.content) for chunk in chunks for c in chunk.choices}
    assert {(0, "A"), (1, "A")} <= texts


def test_threads_may_call_at_the_same_time(upstream: Upstream) -> None:
    heard = {}

    def ask(name: str) -> None:
        heard[name] = content(Plain()("completion", f"openai/{name}", HI, **at(upstream)))

    names = [str(number) for number in range(8)]
    for name in names:
        upstream.script(name, answers(name, after=0.02))
    threads = [threading.Thread(target=ask, args=(name,)) for name in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert heard == {name: name for name in names}


class Person(BaseModel):
    name: str


RACE, BATCH = "batch_completion_models", "batch_completion"
WRONG: dict[str, tuple[str, Any, dict[str, Any], str, str]] = {
    "stagger": (RACE, ["openai/m"], {"stagger": -1}, "stagger", "`stagger` must be at least 0"),
    "no model": (
        RACE,
        None,
        {"deployments": [{"model": "openai/m"}, {"modle": "openai/m"}]},
        "deployments[1].model",
        "`deployments[1].model` is missing; is `modle` a misspelling of it?",
    ),
    "no name": (
        RACE,
        None,
        {"deployments": [{"model": " "}]},
        "deployments[0].model",
        '`deployments[0].model` is missing, such as `{"model": "gpt-4o"}`',
    ),
    "no dict": (
        RACE,
        None,
        {"deployments": ["openai/m"]},
        "deployments[0]",
        "`deployments[0]` must be a dict",
    ),
    "checkpoint": (
        BATCH,
        "openai/m",
        {"checkpoint": 3},
        "checkpoint",
        "`checkpoint` must be a file's path, not `int`",
    ),
    "instance": (
        "completion",
        "openai/m",
        {"response_format": Person(name="Ada")},
        "response_format",
        "`response_format` is an instance of `Person`: give the class, `Person`",
    ),
    "list": (
        "completion",
        "openai/m",
        {"response_format": list[Person]},
        "response_format",
        "`response_format` must be a pydantic class (with a field for a list) or a dict, not `list",
    ),
    "text": (
        "completion",
        "openai/m",
        {"response_format": "json"},
        "response_format",
        "or a dict, not `str`",
    ),
    "timeout": (
        "completion",
        "openai/m",
        {"timeout": httpx2.Timeout(5)},
        "timeout",
        "`timeout` must be the seconds until the response is complete",
    ),
    "model": ("completion", "openai/", {}, "model", "has no model after the slash"),
    "stream": (RACE, ["openai/m"], {"stream": "yes"}, "stream", "must be True or False"),
}


@pytest.mark.parametrize(
    ("name", "models", "options", "param", "message"), WRONG.values(), ids=WRONG
)
def test_a_wrong_argument_is_named_as_the_caller_wrote_it(
    upstream: Upstream,
    call: Way,
    name: str,
    models: Any,
    options: dict[str, Any],
    param: str,
    message: str,
) -> None:
    messages = [HI] if name == BATCH else HI
    with pytest.raises(RequestError) as raised:
        call(name, models, messages, **options, **at(upstream))
    assert (raised.value.param, message in str(raised.value)) == (param, True), str(raised.value)
    assert upstream.calls == []


def test_one_model_is_the_fastest(upstream: Upstream, call: Way) -> None:
    upstream.script("m", answers("Hi"))
    found = call("completion", "openai/m", HI, fastest_response=True, **at(upstream))
    assert content(found) == "Hi"
    assert "fastest_response" not in upstream.calls[0].body
