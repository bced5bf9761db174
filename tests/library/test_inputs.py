"""Objects of pydantic and of OpenAI's SDK are accepted wherever a dict is."""

from __future__ import annotations

import copy
import json
from typing import Any

import openai
import pytest
from openai.types.chat import ChatCompletion as OpenAICompletion
from pydantic import BaseModel, Field

import fanout
from tests.library.ways import HI, Way, at, content, says
from tests.support.provider_steps import answers, reply
from tests.support.scripted_provider import Upstream

CALL = {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
MESSAGE = {
    "role": "assistant",
    "content": None,
    "refusal": None,
    "annotations": [],
    "tool_calls": [CALL],
    "vendor_field": {"a": 1},
}
BODY: dict[str, Any] = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "created": 7,
    "model": "m",
    "choices": [{"index": 0, "message": MESSAGE, "finish_reason": "tool_calls"}],
}


def whole(body: dict[str, Any]) -> Any:
    """A provider's step that sends this body."""
    return reply(200, json.dumps(body).encode(), {"content-type": "application/json"})


class Weather(BaseModel):
    """Look up the weather."""

    city: str = Field(description="a city's name")
    days: int = 1


def test_a_message_of_a_response_is_a_message_of_the_next_request(
    upstream: Upstream, call: Way
) -> None:
    upstream.script("m", [whole(BODY)], answers("sunny"))
    first = call("completion", "openai/m", HI, **at(upstream))
    messages = [*HI, first.choices[0].message]
    messages.append({"role": "tool", "tool_call_id": "call_1", "content": "20 C"})
    before = copy.deepcopy(messages)
    assert content(call("completion", "openai/m", messages, **at(upstream))) == "sunny"
    assert messages == before
    sent = upstream.calls[1].body["messages"]
    assert sent[1] == {
        "role": "assistant",
        "content": None,
        "tool_calls": [CALL],
        "vendor_field": {"a": 1},
    }


def test_a_message_of_openais_sdk_is_accepted(upstream: Upstream, call: Way) -> None:
    upstream.script("m", answers("fine"))
    theirs = OpenAICompletion.model_validate(BODY).choices[0].message
    tool = {"role": "tool", "tool_call_id": "call_1", "content": "20 C"}
    assert content(call("completion", "openai/m", [*HI, theirs, tool], **at(upstream))) == "fine"
    (sent,) = upstream.calls
    assert sent.body["messages"][1]["tool_calls"] == [CALL]
    assert sent.body["messages"][1].keys() == {
        "role",
        "content",
        "tool_calls",
        "vendor_field",
    }


def test_objects_inside_a_dict_are_accepted(upstream: Upstream, call: Way) -> None:
    upstream.script("m", answers("fine"))
    tool_call = fanout.ToolCall.model_validate(CALL)
    turn = {"role": "assistant", "tool_calls": (tool_call,)}
    tool = {"role": "tool", "tool_call_id": "call_1", "content": "20 C"}
    call("batch_completion", "openai/m", [[*HI, turn, tool]], **at(upstream))
    sent = upstream.calls[0].body["messages"][1]
    assert sent == {"role": "assistant", "content": None, "tool_calls": [CALL]}


def test_an_audio_response_is_its_words_for_another_server(upstream: Upstream, call: Way) -> None:
    upstream.script("m", answers("fine"))
    audio = {"id": "audio_1", "data": "AAAA", "expires_at": 9, "transcript": "Hi"}
    spoken = fanout.Message.model_validate({"role": "assistant", "audio": audio})
    call("completion", "openai/m", [*HI, spoken, *HI], **at(upstream))
    assert upstream.calls[0].body["messages"][1] == {"role": "assistant", "content": "Hi"}


def test_a_pydantic_class_is_a_tool(upstream: Upstream, call: Way) -> None:
    upstream.script("m", answers("fine"))
    tools = [Weather, openai.pydantic_function_tool(Weather, name="theirs")]
    call("completion", "openai/m", HI, tools=tools, **at(upstream))
    ours, theirs = upstream.calls[0].body["tools"]
    assert (ours["type"], ours["function"]["name"]) == ("function", "Weather")
    assert ours["function"]["description"] == "Look up the weather."
    assert ours["function"]["parameters"]["required"] == ["city"]
    assert theirs["function"]["name"] == "theirs"


@pytest.mark.parametrize("tools", ["f", 5, {"type": "function"}, [int]])
def test_tools_of_another_shape_are_rejected_by_name(
    upstream: Upstream, call: Way, tools: Any
) -> None:
    with pytest.raises(fanout.RequestError, match="`tools`"):
        call("completion", "openai/m", HI, tools=tools, **at(upstream))
    assert upstream.calls == []


def test_extra_body_holds_fields_that_only_one_vendor_has(upstream: Upstream, call: Way) -> None:
    upstream.script("m", answers("fine"))
    extra = {"min_p": 0.1, "provider": {"order": ["a"]}}
    call("completion", "openai/m", HI, extra_body=extra, unit="K", **at(upstream))
    body = upstream.calls[0].body
    assert (body["min_p"], body["provider"], body["unit"]) == (
        0.1,
        {"order": ["a"]},
        "K",
    )
    assert "extra_body" not in body


@pytest.mark.parametrize(
    ("name", "meant"),
    [("temprature", "temperature"), ("max_token", "max_tokens"), ("toolchoice", "tool_choice")],
)
def test_a_misspelled_option_is_rejected_with_the_one_that_was_meant(
    upstream: Upstream, call: Way, name: str, meant: str
) -> None:
    with pytest.raises(fanout.RequestError, match=f"no option `{name}`; did you mean `{meant}`?"):
        call("completion", "openai/m", HI, **{name: 1}, **at(upstream))
    assert upstream.calls == []


@pytest.mark.parametrize("name", ["checkpoint", "progress", "stagger", "max_workers", "fanout"])
def test_a_parameter_of_another_function_is_rejected(call: Way, name: str) -> None:
    with pytest.raises(fanout.RequestError, match=f"`{name}` is not an option of this function"):
        call("completion", "openai/m", HI, **{name: 1})


def test_a_stagger_starts_the_next_model_later(upstream: Upstream, call: Way) -> None:
    upstream.script("a", answers("A"))
    options = {"stagger": 30.0, **at(upstream)}
    found = call("batch_completion_models", ["openai/a", "openai/b"], HI, **options)
    assert content(found) == "A"
    assert [one.outcome for one in found.fanout.attempts] == ["won", "not_started"]
    assert len(upstream.calls) == 1


def test_text_that_is_not_utf8_is_rejected_with_the_fix(upstream: Upstream, call: Way) -> None:
    half = chr(0xD83D)  # the first half of an emoji
    for messages in (says(f"Hi {half}"), [{"role": half, "content": "Hi"}]):
        with pytest.raises(fanout.RequestError, match="unpaired surrogate"):
            call("completion", "openai/m", messages, **at(upstream))
    assert upstream.calls == []
