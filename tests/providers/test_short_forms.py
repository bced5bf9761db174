"""
What clients write in short: each codec takes it as it takes the long form, and no vendor's own
value is an error of another kind than a 400.

LiteLLM's users write an image as its address alone; older servers' calls have no `type`.
"""

from __future__ import annotations

import json
from typing import Any

import pytest

from fanout.errors import RequestError
from fanout.providers import registry
from fanout.providers.base import Target
from fanout.schema.fanout import parse_request
from tests.providers.test_extensions import EXTENSIONS, NAMED, NAMELESS, OWN
from tests.providers.test_history_grid import TARGETS

OWN_SERVER = {"api_base": "http://127.0.0.1:8000/v1"}
CODECS: list[tuple[str, str, dict[str, str]]] = [
    *((provider, model, {}) for provider, model in dict.fromkeys(one[:2] for one in TARGETS)),
    *((name, "responses/gpt-4o", {}) for name in ("openai", "azure")),
    *(("openai", model, OWN_SERVER) for model in ("their-model", "responses/their-model")),
]
"""A codec, a model, and the settings of a server that is not the vendor's."""

U = {"role": "user", "content": "Hello."}
FUNCTION = {"name": "f", "arguments": "{}"}
TOOL = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}


def user(part: dict[str, Any]) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": [{"type": "text", "text": "?"}, part]}]}


def turn(call: dict[str, Any], result: object = "1") -> dict[str, Any]:
    said = {"role": "assistant", "content": None, "tool_calls": [{"id": "call00001", **call}]}
    done = {"role": "tool", "tool_call_id": "call00001", "content": result}
    return {"messages": [U, said, done], "tools": [TOOL]}


def image(value: object) -> dict[str, Any]:
    return {"type": "image_url", "image_url": value}


URL, DATA = "https://example.com/a.png", "data:image/png;base64,iVBORw0KGgo="
CALL = {"type": "function", "function": FUNCTION}
TOOLS = [{**TOOL, "function": {**TOOL["function"], "name": name}} for name in ("a", "b")]  # type: ignore[dict-item]
NAMED_B = {"type": "function", "function": {"name": "b"}}


def allowed(tool: dict[str, Any], mode: str) -> dict[str, Any]:
    choice = {"type": "allowed_tools", "allowed_tools": {"mode": mode, "tools": [tool]}}
    return {"messages": [U], "tools": TOOLS, "tool_choice": choice}


FORMS: list[tuple[dict[str, Any], dict[str, Any]]] = [
    *((user(image(url)), user(image({"url": url}))) for url in (URL, DATA)),
    *((turn(CALL, [image(url)]), turn(CALL, [image({"url": url})])) for url in (URL, DATA)),
    (turn({"function": FUNCTION}), turn(CALL)),
    (turn({"type": "function", "function": {"name": "f"}}), turn(CALL)),
    *(
        (allowed({"type": "function", "name": "b"}, mode), allowed(NAMED_B, mode))
        for mode in ("auto", "required")
    ),
]
"""What a client may write everywhere, in short and in long."""


def encode(
    codec: tuple[str, str, dict[str, str]], fields: dict[str, Any], *, stream: bool
) -> tuple[Any, tuple[str, ...]]:
    """What is sent of the fields and what is not, or the path of a field that is rejected."""
    name, model, options = codec
    request = parse_request({"model": "m", "messages": [U], **fields}).conversations[0]
    try:
        wire = registry.find(name).chat.encode(request, Target("m", model, False, options), stream)
    except RequestError as error:
        return error.param, ()
    return json.loads(wire.body), wire.dropped


def in_long(value: Any) -> Any:
    """The value, with an object for each image: a vendor that has the short form gets it."""
    if isinstance(value, list | tuple):
        return [in_long(one) for one in value]
    if not isinstance(value, dict):
        return value
    value = {name: in_long(one) for name, one in value.items()}
    url = value.get("image_url")
    return {**value, "image_url": {"url": url}} if isinstance(url, str) else value


@pytest.mark.parametrize("codec", CODECS, ids=lambda codec: " ".join(codec[:2]))
def test_each_codec_takes_the_short_form_as_the_long_one(
    codec: tuple[str, str, dict[str, str]],
) -> None:
    for short, long in FORMS:
        for stream in (False, True):
            found = encode(codec, short, stream=stream)
            assert in_long(found) == in_long(encode(codec, long, stream=stream)), short


@pytest.mark.parametrize("codec", CODECS, ids=lambda codec: " ".join(codec[:2]))
def test_no_value_of_a_vendors_own_is_a_failure_of_another_codec(
    codec: tuple[str, str, dict[str, str]],
) -> None:
    """It is sent, or it is a 400 that names a field of the request."""
    own = [fields for _, fields, _ in EXTENSIONS] + [fields for _, fields in OWN]
    for fields in [*own, {"response_format": NAMELESS}, {"response_format": NAMED}]:
        sent, _ = encode(codec, fields, stream=False)
        assert isinstance(sent, dict | str), fields
