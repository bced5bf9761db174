from __future__ import annotations

import copy
import json
import pickle
from typing import Any

import pytest
from pydantic import BaseModel, TypeAdapter, ValidationError

from fanout.library.chunk_types import ChatCompletionChunk
from fanout.library.types import ChatCompletion, CustomToolCall, Message, ToolCall, Usage

CALL = {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
BODY: dict[str, Any] = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "created": 7,
    "model": "a",
    "choices": [
        {
            "index": 0,
            "message": {"role": "assistant", "content": "Hi", "tool_calls": [CALL]},
            "finish_reason": "stop",
        }
    ],
    "usage": {
        "prompt_tokens": 1,
        "completion_tokens": 2,
        "total_tokens": 3,
        "completion_tokens_details": {"reasoning_tokens": 1},
    },
    "vendor_word": {"deep": [{"er": 1}]},
}
CHUNK: dict[str, Any] = {
    "id": "chatcmpl-1",
    "object": "chat.completion.chunk",
    "created": 7,
    "model": "a",
    "choices": [{"index": 0, "delta": {"content": "Hi"}, "finish_reason": None}],
}


def pickled(value: Any) -> Any:
    return pickle.loads(pickle.dumps(value))  # noqa: S301 -- it is our own


def response() -> ChatCompletion:
    return ChatCompletion.model_validate(copy.deepcopy(BODY))


def test_fields_are_read_by_attribute_and_by_key() -> None:
    found = response()
    assert found.choices[0].message.content == "Hi"
    assert found["choices"][0]["message"]["content"] == "Hi"
    assert found.choices[0]["message"].content == "Hi"
    assert found.usage is not None
    assert found.usage.total_tokens == found["usage"]["total_tokens"] == 3
    assert found.usage.completion_tokens_details is not None
    assert found.usage.completion_tokens_details.reasoning_tokens == 1


def test_the_parts_are_pydantic_models_of_their_own() -> None:
    found = response()
    assert isinstance(found, BaseModel)
    assert isinstance(found.choices[0].message, Message)
    assert isinstance(found.usage, Usage)
    (call,) = found.choices[0].message.tool_calls or []
    assert isinstance(call, ToolCall)
    assert (call.function.name, call.function.arguments) == ("f", "{}")


def test_a_custom_tool_call_differs_from_a_function_call_by_its_type() -> None:
    custom = {"id": "c", "type": "custom", "custom": {"name": "sql", "input": "select 1"}}
    message = Message.model_validate({"role": "assistant", "tool_calls": [CALL, custom]})
    assert [type(call) for call in message.tool_calls or []] == [ToolCall, CustomToolCall]


def test_a_field_that_a_provider_adds_is_a_dict_with_attributes() -> None:
    found: Any = response()
    assert found.vendor_word.deep[0].er == 1
    assert found.vendor_word == {"deep": [{"er": 1}]}
    assert json.dumps(found.vendor_word) == '{"deep": [{"er": 1}]}'
    assert found.model_extra == {"vendor_word": {"deep": [{"er": 1}]}}
    with pytest.raises(AttributeError, match="nope"):
        _ = found.vendor_word.nope


@pytest.mark.parametrize("name", ["system_fingerprint", "service_tier", "fanout"])
def test_an_optional_field_that_is_missing_is_none(name: str) -> None:
    assert getattr(response(), name) is None
    assert response()[name] is None


@pytest.mark.parametrize("name", ["refusal", "reasoning_content", "audio", "function_call"])
def test_an_optional_field_of_a_message_that_is_missing_is_none(name: str) -> None:
    assert getattr(response().choices[0].message, name) is None
    assert response().choices[0].logprobs is None


def test_a_response_without_usage_has_usage_none() -> None:
    assert ChatCompletion.model_validate({**BODY, "usage": None}).usage is None
    without = {name: value for name, value in BODY.items() if name != "usage"}
    assert ChatCompletion.model_validate(without).usage is None


def test_an_unknown_field_is_an_attribute_error_and_a_key_error() -> None:
    unknown: Any = response()
    with pytest.raises(AttributeError, match="nope"):
        _ = unknown.nope
    with pytest.raises(KeyError, match="nope"):
        _ = unknown["nope"]
    assert not hasattr(unknown.choices[0].message, "nope")


def test_a_chunk_reads_like_openais() -> None:
    chunk = ChatCompletionChunk.model_validate(CHUNK)
    assert chunk.choices[0].delta.content == "Hi"
    assert chunk.choices[0].delta.role is None
    assert chunk.choices[0].delta.tool_calls is None
    assert chunk.usage is None


def test_it_reads_like_a_dict_of_what_was_received() -> None:
    found = response()
    assert list(found.keys()) == list(BODY)
    assert (len(found), "usage" in found, "service_tier" in found) == (len(BODY), True, False)
    assert (found.get("nope", 5), found.get("model"), found.get("service_tier")) == (5, "a", None)
    assert dict(found)["model"] == {**found}["model"] == "a"
    assert list(found.values())[3] == "a"
    assert dict(found.items()).keys() == BODY.keys()


def test_its_repr_has_the_fields_that_were_received() -> None:
    shown = repr(Message.model_validate({"role": "assistant", "content": "Hi", "x": 1}))
    assert shown == "Message(role='assistant', content='Hi', x=1)"
    assert repr(response()).startswith("ChatCompletion(id='chatcmpl-1', object='chat.completion'")


def test_a_dump_is_a_copy_of_what_was_received() -> None:
    found = response()
    dumped = found.model_dump()
    assert dumped == BODY
    assert type(dumped["choices"][0]) is dict
    assert type(dumped["vendor_word"]["deep"][0]) is dict
    dumped["choices"][0]["message"]["content"] = "changed"
    assert found.choices[0].message.content == "Hi"
    assert found.choices[0].model_dump() == BODY["choices"][0]


def test_it_dumps_as_json() -> None:
    found = response()
    assert json.loads(found.model_dump_json()) == BODY
    assert found.model_dump_json(indent=2).startswith('{\n  "id": "chatcmpl-1",\n')
    assert found.to_json() == found.json() == found.model_dump_json()
    assert found.to_dict() == found.dict() == BODY


def test_pydantics_options_of_a_dump_work() -> None:
    found = response()
    assert found.model_dump(include={"id": True, "usage": {"total_tokens"}}) == {
        "id": "chatcmpl-1",
        "usage": {"total_tokens": 3},
    }
    assert found.model_dump(exclude={"choices", "usage", "vendor_word"}, by_alias=True) == {
        name: BODY[name] for name in ("id", "object", "created", "model")
    }
    assert found.model_dump(exclude_unset=False)["service_tier"] is None
    null = ChatCompletion.model_validate({**BODY, "usage": None})
    assert "usage" in null.model_dump()
    assert "usage" not in null.model_dump(exclude_none=True)
    assert "usage" not in json.loads(null.model_dump_json(exclude_none=True))


def test_pydantics_constructors_and_schemas_work() -> None:
    found = response()
    assert ChatCompletion.model_validate_json(found.model_dump_json()) == found
    assert ChatCompletion(**found) == found
    assert found.model_copy(update={"model": "b"}).model == "b"
    assert "choices" in ChatCompletion.model_json_schema()["properties"]
    assert TypeAdapter(list[ChatCompletion]).validate_python([BODY]) == [found]
    with pytest.raises(ValidationError, match="choices"):
        ChatCompletion.model_validate({**BODY, "choices": None})


def test_a_pydantic_model_of_the_user_may_hold_one() -> None:
    class Row(BaseModel):
        question: str
        response: ChatCompletion

    row = Row(question="?", response=response())
    assert row.response.choices[0].message.content == "Hi"
    assert Row.model_validate_json(row.model_dump_json()).response == response()


def test_equality_is_that_of_the_fields_and_of_the_json() -> None:
    assert response() == response()
    assert response() == BODY
    assert BODY == response()  # noqa: SIM300 -- the other way round, too
    assert response() != response().model_copy(update={"id": "2"})
    assert response().choices[0] == BODY["choices"][0]
    assert response() != "x"


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, pickled])
def test_it_may_be_copied_and_pickled(copied: Any) -> None:
    twin: ChatCompletion = copied(response())
    assert type(twin) is type(response())
    assert twin == response()
    assert twin.choices[0].message.content == "Hi"
    assert (twin.model_extra or {})["vendor_word"].deep[0].er == 1


def test_a_field_may_be_set_by_attribute_and_by_key() -> None:
    found: Any = response()
    found.model = "b"
    found["service_tier"] = "flex"
    found.mine = 5
    assert (found.model, found["service_tier"], found.model_dump()["mine"]) == ("b", "flex", 5)


BROKEN = [
    pytest.param({"created": None}, id="null"),
    pytest.param({"created": "yesterday"}, id="other type"),
    pytest.param({"usage": {"prompt_tokens": "many"}}, id="inside"),
    pytest.param({"usage": []}, id="other shape"),
    pytest.param(
        {"choices": [{"index": None, "message": BODY["choices"][0]["message"]}]}, id="in a list"
    ),
    pytest.param({"object": "chat"}, id="other literal"),
]


@pytest.mark.parametrize("change", BROKEN)
def test_a_response_that_does_not_fit_the_types_is_kept_as_it_is(change: dict[str, Any]) -> None:
    body = {**BODY, **change}
    with pytest.raises(ValidationError):
        ChatCompletion.model_validate(body)
    found = ChatCompletion.from_json(body)
    assert found.choices[0].message.content == "Hi"
    (call,) = found.choices[0].message.tool_calls or []
    assert call.model_dump() == CALL
    assert found.model_dump() == body
    assert json.loads(found.model_dump_json()) == body
    assert pickled(found) == found


def test_a_missing_required_field_of_a_kept_response_is_none() -> None:
    found: Any = ChatCompletion.from_json({"choices": [{"message": {"content": "Hi"}}]})
    assert (found.id, found.created, found.choices[0].index) == (None, None, None)
    assert found.choices[0].message.role is None
    assert found.model_dump() == {"choices": [{"message": {"content": "Hi"}}]}


def test_field_names_that_are_names_of_pydantic_are_kept() -> None:
    body = {**BODY, "usage": 5, "model_config": 1, "cls": 2, "self": 3, "model_dump": 4}
    found = ChatCompletion.from_json(body)
    assert (found.model_extra or {})["cls"] == 2
    assert ChatCompletion.model_dump(found) == body
