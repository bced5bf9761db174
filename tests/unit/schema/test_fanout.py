"""`parse_request` checks a client's body."""

from __future__ import annotations

from typing import Any

import pytest

from fanout.errors import RequestError
from fanout.schema.fanout import FanOutRequest, parse_request

HI = [{"role": "user", "content": "Hi"}]
BYE = [{"role": "user", "content": "Bye"}]


def parsed(**body: Any) -> FanOutRequest:
    return parse_request({"model": "a", "messages": HI, **body})


def error_of(**body: Any) -> tuple[str | None, str]:
    with pytest.raises(RequestError) as raised:
        parsed(**body)
    return raised.value.param, str(raised.value)


# ---- which models, in which mode ----

MODES: list[Any] = [
    # the body                                                     models   mode        stagger
    ({"model": "a"}, "a", "one", 0.0),
    ({"model": "a, b"}, "a b", "all", 0.0),
    ({"model": " a ,b "}, "a b", "all", 0.0),
    ({"model": ["a", "b"]}, "a b", "all", 0.0),
    ({"model": ["a"]}, "a", "all", 0.0),
    ({"model": ["a, b"]}, "a,_b", "all", 0.0),
    ({"model": "a, a"}, "a a", "all", 0.0),
    ({"model": "a, b", "fastest_response": True}, "a b", "race", 0.0),
    ({"model": ["a", "b"], "fastest_response": True}, "a b", "race", 0.0),
    ({"model": "a, b", "fastest_response": False}, "a b", "all", 0.0),
    ({"model": "a", "fastest_response": True}, "a", "race", 0.0),
    ({"fanout": {"models": ["a", "b"]}}, "a b", "all", 0.0),
    ({"fanout": {"models": ["b", "c"]}, "model": "a"}, "b c", "all", 0.0),
    ({"model": "a, b", "fanout": {"mode": "race"}}, "a b", "race", 0.0),
    ({"model": "a, b", "fanout": {"mode": "race", "stagger": 0}}, "a b", "race", 0.0),
    ({"model": "a, b", "fanout": {"mode": "race", "stagger": 0.25}}, "a b", "hedge", 0.25),
    ({"model": "a, b", "fanout": {"stagger": 0.25}}, "a b", "hedge", 0.25),
    ({"model": "a, b", "fanout": {"mode": "hedge"}}, "a b", "hedge", 0.5),
    ({"model": "a, b", "fanout": {"mode": "hedge", "stagger": 2}}, "a b", "hedge", 2.0),
    ({"model": "a, b", "fanout": {"mode": "fallback"}}, "a b", "fallback", None),
    ({"model": "a, b", "fanout": {"mode": "all"}}, "a b", "all", 0.0),
    ({"model": "a", "fanout": {"mode": "one"}}, "a", "one", 0.0),
    ({"model": "a", "fanout": {}}, "a", "one", 0.0),
    ({"model": "a, b", "fastest_response": True, "fanout": {"mode": "race"}}, "a b", "race", 0.0),
]


@pytest.mark.parametrize(("body", "models", "mode", "stagger"), MODES, ids=lambda v: str(v)[:60])
def test_models_mode_and_stagger_are_read_from_the_body(
    body: Any, models: str, mode: str, stagger: float | None
) -> None:
    request = parse_request({"messages": HI, **body})
    assert [name.replace(" ", "_") for name in request.models] == models.split()
    assert (request.mode, request.stagger) == (mode, stagger)
    assert request.combined is (mode == "all")


# ---- conversations ----


def test_one_list_of_messages_is_one_conversation() -> None:
    request = parsed()
    assert (len(request.conversations), request.nested) == (1, False)
    assert request.conversations[0].body == {"messages": HI}


def test_a_list_of_lists_is_several_conversations_even_if_it_has_one() -> None:
    assert [c.body["messages"] for c in parsed(messages=[HI, BYE]).conversations] == [HI, BYE]
    assert (parsed(messages=[HI]).nested, parsed(messages=[HI]).combined) == (True, True)


def test_every_conversation_has_the_same_parameters() -> None:
    request = parsed(messages=[HI, BYE], temperature=0.5, unknown_field=1)
    for conversation in request.conversations:
        assert (conversation.temperature, conversation.body["unknown_field"]) == (0.5, 1)
    assert [c.messages[0].content for c in request.conversations] == ["Hi", "Bye"]


def test_the_gateways_own_fields_are_not_sent_to_a_model() -> None:
    request = parsed(
        fanout={"mode": "one"},
        fastest_response=False,
        fallbacks=["b"],
        stream=True,
        stream_options={"include_usage": True},
        timeout=5,
        request_timeout=6,
        num_retries=1,
        seed=7,
    )
    assert request.conversations[0].body == {"messages": HI, "seed": 7}


# ---- options ----


def test_options_are_read() -> None:
    request = parsed(
        stream=True,
        stream_options={"include_usage": True},
        timeout=5,
        num_retries=1,
        fanout={"max_parallel": 3},
    )
    assert (request.stream, request.include_usage) == (True, True)
    assert (request.timeout, request.num_retries, request.max_parallel) == (5.0, 1, 3)
    plain = parsed()
    assert (plain.stream, plain.include_usage, plain.shape) == (False, False, "object")
    assert (plain.timeout, plain.num_retries, plain.max_parallel) == (None, None, None)


def test_request_timeout_is_another_name_for_timeout() -> None:
    assert parsed(request_timeout=6).timeout == 6.0
    assert parsed(timeout=5, request_timeout=6).timeout == 5.0


@pytest.mark.parametrize(
    ("fallbacks", "found"),
    [
        (None, None),
        ([], {}),
        (["b"], {"a": ("b",)}),
        (["b", "c"], {"a": ("b", "c")}),
        ([{"a": ["b"]}], {"a": ("b",)}),
        ([{"x": ["b"]}], {"x": ("b",)}),
        (["b", {"a": ["c"]}], {"a": ("b", "c")}),
        ([{"a": ["b"]}, {"a": ["c"]}], {"a": ("b", "c")}),
    ],
)
def test_fallbacks_are_for_every_model_or_for_one(fallbacks: Any, found: Any) -> None:
    request = parsed(fallbacks=fallbacks)
    assert request.fallbacks == found
    fallbacks_found = {name for names in (found or {}).values() for name in names}
    assert request.names == {"a", *fallbacks_found}


# ---- errors ----

REFUSED: list[Any] = [
    ({"model": None}, "model", "missing"),
    ({"model": ""}, "model", "empty model name"),
    ({"model": "a,"}, "model", "empty model name"),
    ({"model": []}, "model", "empty model name"),
    ({"model": ["a", " "]}, "model", "empty model name"),
    ({"model": 5}, "model", ""),
    ({"model": ["a"] * 1_001}, "model", "1001 models; at most 1000"),
    ({"fanout": {"mode": "sprint"}}, "fanout.mode", "sprint"),
    ({"fanout": {"speed": 1}}, "fanout", "speed"),
    ({"fanout": {"modles": ["a"]}}, "fanout", "`fanout.modles` is unknown; did you mean `models`?"),
    ({"fanout": {"models": []}}, "fanout.models", ""),
    ({"fanout": {"mode": "race", "stagger": -1}}, "fanout.stagger", ""),
    ({"fanout": {"shape": "cube"}}, "fanout.shape", "cube"),
    ({"fanout": {"max_parallel": 0}}, "fanout.max_parallel", ""),
    ({"fanout": "race"}, "fanout", ""),
    ({"model": "a, b", "fanout": {"mode": "one"}}, "fanout.mode", "needs exactly one model"),
    ({"fanout": {"mode": "one", "stagger": 1}}, "fanout.stagger", "works only in a race or hedge"),
    ({"fanout": {"mode": "all", "stagger": 1}}, "fanout.stagger", "works only in a race or hedge"),
    (
        {"fanout": {"mode": "fallback", "stagger": 1}},
        "fanout.stagger",
        "works only in a race or hedge",
    ),
    ({"fastest_response": True, "fanout": {"mode": "all"}}, "fanout.mode", "cannot be used with"),
    ({"fastest_response": "yes"}, "fastest_response", ""),
    ({"stream": "yes"}, "stream", ""),
    ({"stream_options": {"include_usage": True}}, "stream_options", "needs `stream: true`"),
    ({"stream": True, "fanout": {"shape": "list"}}, "fanout.shape", "cannot be streamed"),
    ({"timeout": 0}, "timeout", ""),
    ({"timeout": 1e9}, "timeout", ""),
    ({"num_retries": -1}, "num_retries", ""),
    ({"num_retries": 10**9}, "num_retries", ""),
    ({"fallbacks": "b"}, "fallbacks", ""),
    ({"fallbacks": [{"a": "b"}]}, "fallbacks[0].a", "list of model names"),
    ({"fallbacks": ["b"] * 101}, "fallbacks", "101 names; at most 100"),
    ({"messages": []}, "messages", ""),
    ({"messages": "Hi"}, "messages", ""),
    ({"messages": None}, "messages", ""),
    ({"messages": [HI, []]}, "messages[1]", ""),
    ({"messages": [HI, HI[0]]}, "messages[1]", "a message in a list of conversations"),
    ({"messages": [HI[0], HI]}, "messages[0]", "a message in a list of conversations"),
    ({"messages": [HI, [{"role": "nobody"}]]}, "messages[1][0].role", ""),
    ({"messages": [HI] * 10_001}, "messages", "10001 calls"),
    ({"model": "a, b", "messages": [HI] * 5_001}, "messages", "10002 calls"),
    ({"messages": [HI, HI], "temperature": "hot"}, "temperature", ""),
    ({"api_base": "http://evil"}, "api_base", "the gateway's config"),
    ({"api_key": "k"}, "api_key", "the gateway's config"),
]


@pytest.mark.parametrize(("body", "param", "words"), REFUSED, ids=lambda v: str(v)[:50])
def test_an_invalid_body_is_an_error_with_its_field(body: Any, param: str, words: str) -> None:
    param_found, message = error_of(**body)
    assert param_found == param
    assert words in message


@pytest.mark.parametrize("body", [None, [], "x", 5, True])
def test_a_body_that_is_not_an_object_is_an_error(body: Any) -> None:
    with pytest.raises(RequestError, match="the body must be a JSON object"):
        parse_request(body)


def test_the_clients_body_is_never_changed() -> None:
    body = {"model": "a, b", "messages": [HI, BYE], "fallbacks": ["c"], "fanout": {"mode": "race"}}
    before = repr(body)
    parse_request(body)
    assert repr(body) == before
