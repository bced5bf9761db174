from __future__ import annotations

import copy
import json
import pickle
from typing import Any

import pytest

from fanout.library.types import ChatCompletion, ChatCompletionChunk, Message, ToolCall, Usage

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


def answer() -> ChatCompletion:
    return ChatCompletion(copy.deepcopy(BODY))


def test_it_reads_by_attribute_and_by_key_alike() -> None:
    said = answer()
    assert said.choices[0].message.content == "Hi"
    assert said["choices"][0]["message"]["content"] == "Hi"
    assert said.choices[0]["message"].content == "Hi"
    assert said.usage is not None
    assert said.usage.total_tokens == said["usage"]["total_tokens"] == 3
    assert said.usage.completion_tokens_details.reasoning_tokens == 1


def test_its_parts_have_their_own_kinds() -> None:
    said = answer()
    assert isinstance(said.choices[0].message, Message)
    assert isinstance(said.usage, Usage)
    calls = said.choices[0].message.tool_calls
    assert calls is not None
    assert isinstance(calls[0], ToolCall)
    assert (calls[0].function.name, calls[0].function.arguments) == ("f", "{}")


def test_what_a_provider_adds_is_there_too() -> None:
    said = answer()
    assert said.vendor_word.deep[0].er == 1
    assert "vendor_word" in dir(said)


@pytest.mark.parametrize("name", ["system_fingerprint", "service_tier", "fanout"])
def test_what_openai_may_leave_out_is_none(name: str) -> None:
    assert getattr(answer(), name) is None


@pytest.mark.parametrize("name", ["refusal", "reasoning_content", "audio", "function_call"])
def test_what_a_message_may_leave_out_is_none(name: str) -> None:
    assert getattr(answer().choices[0].message, name) is None
    assert answer().choices[0].logprobs is None


def test_an_answer_without_usage_says_none() -> None:
    assert ChatCompletion({**BODY, "usage": None}).usage is None
    assert ChatCompletion({k: v for k, v in BODY.items() if k != "usage"}).usage is None


def test_what_is_nobodys_field_is_an_attribute_error_that_names_it() -> None:
    with pytest.raises(AttributeError, match="`ChatCompletion` has no `nope`"):
        _ = answer().nope
    with pytest.raises(KeyError, match="nope"):
        _ = answer()["nope"]
    assert not hasattr(answer().choices[0].message, "nope")


def test_a_chunk_reads_like_openais() -> None:
    chunk = ChatCompletionChunk(CHUNK)
    assert chunk.choices[0].delta.content == "Hi"
    assert chunk.choices[0].delta.role is None
    assert chunk.choices[0].delta.tool_calls is None
    assert chunk.usage is None


def test_it_is_a_mapping() -> None:
    said = answer()
    assert list(said) == list(BODY)
    assert (len(said), "usage" in said, said.get("nope", 5)) == (len(BODY), True, 5)
    assert dict(said)["model"] == "a"


def test_it_prints_its_fields() -> None:
    shown = repr(
        ChatCompletion({"id": "1", "choices": [{"index": 0, "message": {"content": "Hi"}}]})
    )
    assert shown == (
        "ChatCompletion(id='1', choices=[Choice(index=0, message=Message(content='Hi'))])"
    )
    assert str(answer()).startswith("ChatCompletion(id='chatcmpl-1', object='chat.completion'")


def test_it_dumps_to_what_it_was_made_of_and_to_a_copy_of_that() -> None:
    said = answer()
    dumped = said.model_dump()
    assert dumped == BODY
    assert type(dumped["choices"][0]) is dict
    dumped["choices"][0]["message"]["content"] = "changed"
    assert said.choices[0].message.content == "Hi"
    assert said.choices[0].model_dump() == BODY["choices"][0]


def test_it_dumps_as_json() -> None:
    said = answer()
    assert json.loads(said.model_dump_json()) == BODY
    assert said.model_dump_json(indent=2).startswith('{\n  "id": "chatcmpl-1",\n')
    assert said.to_json() == said.json() == said.model_dump_json()
    assert said.to_dict() == said.dict() == BODY


def test_it_dumps_with_the_options_that_openais_take() -> None:
    said = ChatCompletion({"id": "1", "usage": None, "choices": [{"x": None, "y": [{"z": None}]}]})
    assert said.model_dump(exclude_none=True) == {"id": "1", "choices": [{"y": [{}]}]}
    assert said.model_dump_json(exclude_none=True) == '{"id":"1","choices":[{"y":[{}]}]}'
    assert said.model_dump(mode="json", exclude_unset=True) == said.model_dump()


def test_equality_is_that_of_the_json() -> None:
    assert answer() == answer()
    assert answer() == BODY
    assert BODY == answer()  # noqa: SIM300 -- the other way round, for its own sake
    assert answer() != ChatCompletion({**BODY, "id": "2"})
    assert answer().choices[0] == BODY["choices"][0]
    assert answer().__eq__("x") is NotImplemented


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, pickled])
def test_it_may_be_copied_and_pickled(copied: Any) -> None:
    twin = copied(answer())
    assert type(twin) is ChatCompletion
    assert twin == answer()
    assert twin.choices[0].message.content == "Hi"
    assert pickled(answer().choices[0]).index == 0


def test_it_cannot_be_changed_by_mistake() -> None:
    said = answer()
    with pytest.raises(AttributeError, match="cannot be changed"):
        said.model = "b"
    with pytest.raises(TypeError):
        said["model"] = "b"
    assert said.model == "a"
