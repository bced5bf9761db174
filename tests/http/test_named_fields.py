"""
An error of a shared check, and the header, name the client's own fields on every endpoint.

Each part of a conversation is sent to vendors that reject it, or by a key that may not send it. The
field that the error names is then looked up in the request as the client has sent it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from tests.support.in_process import HelloEngine, InProcess, run_in_process

CHAT, MESSAGES, RESPONSES = "/v1/chat/completions", "/v1/messages", "/v1/responses"
PATHS = (CHAT, MESSAGES, RESPONSES)
SVG = "data:image/svg+xml;base64,PHN2Zy8+"
ZIP = "data:application/zip;base64,UEsDBA=="


def source(url: str) -> dict[str, str]:
    """Anthropic's form of an address or a data URI."""
    if not url.startswith("data:"):
        return {"type": "url", "url": url}
    kind, _, data = url.removeprefix("data:").partition(";base64,")
    return {"type": "base64", "media_type": kind, "data": data}


def image(url: str) -> dict[str, Any]:
    return {
        CHAT: {"type": "image_url", "image_url": {"url": url}},
        MESSAGES: {"type": "image", "source": source(url)},
        RESPONSES: {"type": "input_image", "image_url": url},
    }


def file(url: str) -> dict[str, Any]:
    is_data = url.startswith("data:")
    return {
        CHAT: {"type": "file", "file": {"file_data" if is_data else "file_id": url}},
        MESSAGES: {"type": "document", "source": source(url)},
        RESPONSES: {"type": "input_file", ("file_data" if is_data else "file_url"): url},
    }


def stored() -> dict[str, Any]:
    """A file by its id."""
    return {
        CHAT: {"type": "file", "file": {"file_id": "file-1"}},
        MESSAGES: {"type": "document", "source": {"type": "file", "file_id": "file-1"}},
        RESPONSES: {"type": "input_file", "file_id": "file-1"},
    }


SOUND = {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}}
PARTS: dict[str, Mapping[str, Any]] = {
    "image in S3": image("s3://bucket/a.png"),
    "file in S3": file("s3://bucket/a.pdf"),
    "image in Google's storage": image("gs://bucket/a.png"),
    "image of an odd scheme": image("ftp://files.test/a.png"),
    "image on the web": image("https://files.test/a"),
    "file on the web": file("https://files.test/a"),
    "odd image": image(SVG),
    "odd file": file(ZIP),
    "file by its id": stored(),
    "audio": {CHAT: SOUND, RESPONSES: SOUND},
}
PLACES = ("first", "after what is left out", "in a result", "in a failed result")


def conversation(path: str, part: Any, place: str) -> dict[str, Any]:
    """A request with the part; other items and blocks become no message, or several."""
    text = {"type": "input_text" if path == RESPONSES else "text", "text": "Read it."}
    hi = {"role": "user", "content": "Hi"}
    if path == RESPONSES:
        call = {"type": "function_call", "call_id": "c1", "name": "f", "arguments": "{}"}
        asked = {"role": "user", "content": [text, part]}
        listed = {
            "first": [{"role": "user", "content": [part]}],
            "after what is left out": [hi, {"type": "web_search_call", "id": "w"}, call, asked],
            "in a result": [
                hi,
                call,
                {**call, "call_id": "c2"},
                {"type": "function_call_output", "call_id": "c2", "output": "none"},
                {"type": "function_call_output", "call_id": "c1", "output": [text, part]},
            ],
        }
        return {"input": listed[place], "instructions": "Be brief."}
    if path == MESSAGES:
        use = {"type": "tool_use", "id": "c1", "name": "f", "input": {}}
        odd = {"type": "server_note", "text": "none"}
        told = {"type": "tool_result", "tool_use_id": "c1", "content": [odd, text, part]}
        messages = {
            "first": [{"role": "user", "content": [part]}],
            "after what is left out": [
                {"role": "system", "content": [{"type": "tool_removal"}]},
                {"role": "user", "content": [odd, text, part]},
            ],
            "in a result": [
                hi,
                {"role": "assistant", "content": [odd, use]},
                {"role": "user", "content": [odd, told, text]},
            ],
            "in a failed result": [
                hi,
                {"role": "assistant", "content": [use]},
                {"role": "user", "content": [{**told, "is_error": True}]},
            ],
        }
        return {"messages": messages[place], "system": "Be brief.", "max_tokens": 9}
    calls = [{"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}]
    chat = {
        "first": [{"role": "user", "content": [part]}],
        "after what is left out": [
            {"role": "system", "content": ""},
            hi,
            {"role": "user", "content": [text, part]},
        ],
        "in a result": [
            hi,
            {"role": "assistant", "content": None, "tool_calls": calls},
            {"role": "tool", "tool_call_id": "c1", "content": [text, part]},
        ],
    }
    return {"messages": chat[place]}


MODELS = (
    "anthropic/claude-sonnet-4-5",
    "bedrock/converse/anthropic.claude-3-haiku-20240307-v1:0",
    "cohere/command-a-03-2025",
    "gemini/gemini-3-pro-preview",
    "groq/llama-4",
    "mistral/mistral-large",
    "openai/own",
    "perplexity/sonar",
    "vertex_ai/gemini-3-pro-preview",
)
OWN = {
    "openai/own": {"api_base": "https://own.test/v1"},
    "bedrock/converse/anthropic.claude-3-haiku-20240307-v1:0": {"aws_region_name": "us-east-1"},
    "vertex_ai/gemini-3-pro-preview": {"vertex_project": "p", "vertex_location": "us-east1"},
}


@pytest.fixture(scope="module")
def app() -> Iterator[InProcess]:
    listed = [
        {"model_name": m, "litellm_params": {"model": m, "api_key": "k", **OWN.get(m, {})}}
        for m in MODELS
    ]
    keys = [
        {"name": "some", "key": "some-key", "models": list(MODELS)},
        {"name": "a", "key": "all-key"},
    ]
    config = {
        "model_list": listed,
        "router_settings": {"num_retries": 0},
        "general_settings": {"keys": keys},
    }
    with run_in_process(config, HelloEngine()) as running:
        yield running


def ask(app: InProcess, path: str, body: Any, key: str = "all-key") -> tuple[int, str, list[str]]:
    """The status, the error's message, and the fields that it names."""
    headers = [(b"authorization", b"Bearer " + key.encode())]
    response = app.ask("POST", path, [json.dumps(body).encode()], headers)
    if response.status < 400 or response.status >= 500:
        return response.status, "", []
    error = response.error
    named = re.findall(r"`((?:messages|input|tools|system|instructions)\b[^`]*)`", error["message"])
    if isinstance(error.get("param"), str):
        named.append(error["param"])
    return response.status, error["message"], named


def exists(value: Any, path: str) -> bool:
    """Whether a request has a field at this path."""
    for step in re.finditer(r"\[(\d+)\]|([^.\[\]]+)", path):
        key: Any = int(step[1]) if step[1] else step[2]
        try:
            value = value[key]
        except (KeyError, IndexError, TypeError):
            return False
    return True


def part_path(path: str, place: str) -> str:
    """Where the part is in the request."""
    if path == RESPONSES:
        found = {"first": "input[0].content[0]", "after what is left out": "input[3].content[1]"}
        return found.get(place, "input[4].output[1]")
    if path == MESSAGES:
        found = {"first": "messages[0].content[0]"}
        found["after what is left out"] = "messages[1].content[2]"
        found["in a failed result"] = "messages[2].content[0].content[2]"
        return found.get(place, "messages[2].content[1].content[2]")
    return f"messages[{0 if place == 'first' else 2}].content[{0 if place == 'first' else 1}]"


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("kind", PARTS)
@pytest.mark.parametrize("path", PATHS)
def test_an_error_about_a_part_names_it_as_the_client_has_sent_it(
    app: InProcess, path: str, kind: str, place: str
) -> None:
    if path not in PARTS[kind] or ("failed" in place and path != MESSAGES):
        return
    body = conversation(path, PARTS[kind][path], place)
    wrong, seen = [], 0
    for model in MODELS:
        for more in ({"model": model}, {"fanout": {"mode": "race", "models": [model, model]}}):
            asked = {**body, **more}
            status, message, named = ask(app, path, asked)
            if status in (400, 403):
                seen += 1
                start = part_path(path, place)
                if not any(name.startswith(start) for name in named) or not all(
                    exists(asked, name) for name in named
                ):
                    wrong.append((model, status, message, named))
    assert wrong == []
    assert seen or kind.endswith(("web", "id"))


@pytest.mark.parametrize("kind", PARTS)
@pytest.mark.parametrize("form", [MESSAGES, RESPONSES])
def test_a_part_of_another_api_in_a_chat_request_is_named_as_the_client_has_sent_it(
    app: InProcess, form: str, kind: str
) -> None:
    if form not in PARTS[kind]:
        return
    body = conversation(CHAT, PARTS[kind][form], "after what is left out")
    wrong = []
    for model in MODELS:
        asked = {**body, "model": model}
        status, message, named = ask(app, CHAT, asked)
        if status in (400, 403) and not (named and all(exists(asked, name) for name in named)):
            wrong.append((model, status, message, named))
    assert wrong == []


FIELDS: dict[str, dict[str, Any]] = {
    CHAT: {
        "reasoning_effort": "low",
        "stop": ["a"],
        "top_k": 3,
        "response_format": {"type": "json_object"},
        "parallel_tool_calls": False,
        "tools": [
            {"type": "function", "function": {"name": "f", "parameters": {}, "strict": True}}
        ],
        "tool_choice": "required",
        "verbosity": "low",
        "top_logprobs": 2,
        "logprobs": True,
        "service_tier": "flex",
        "temperature": 1.5,
    },
    MESSAGES: {
        "output_config": {"effort": "low", "format": {"type": "json_schema", "schema": {}}},
        "stop_sequences": ["a", "b", "c", "d", "e", "f", "g"],
        "top_k": 3,
        "tools": [
            {"type": "web_search_20250305", "name": "web_search"},
            {"name": "f", "input_schema": {}, "strict": True},
        ],
        "tool_choice": {"type": "any", "disable_parallel_tool_use": True},
        "temperature": 1.0,
    },
    RESPONSES: {
        "reasoning": {"effort": "low"},
        "text": {"format": {"type": "json_schema", "name": "a", "schema": {}}, "verbosity": "low"},
        "top_logprobs": 2,
        "parallel_tool_calls": False,
        "tools": [
            {"type": "web_search"},
            {"type": "function", "name": "f", "parameters": {}, "strict": True},
        ],
        "tool_choice": "required",
        "service_tier": "flex",
        "temperature": 1.5,
    },
}


def question(path: str) -> dict[str, Any]:
    if path == RESPONSES:
        return {"input": "Hi"}
    more = {"max_tokens": 9} if path == MESSAGES else {}
    return {"messages": [{"role": "user", "content": "Hi"}], **more}


@pytest.mark.parametrize("path", PATHS)
def test_an_error_about_a_parameter_names_the_clients_own(app: InProcess, path: str) -> None:
    """`drop_params: false` makes an error of each parameter that a model does not take."""
    wrong, seen = [], set()
    text = question(path)
    needed = {"tool_choice", "logprobs", "top_logprobs"}
    for name, value in FIELDS[path].items():
        more = FIELDS[path] if name in needed else {name: value}
        for model in MODELS:
            asked = {**text, **more, "model": model, "drop_params": False}
            status, message, _ = ask(app, path, asked)
            if status != 400:
                continue
            named = re.findall(r"does not take `([^`]+)`", message)
            seen.update(named)
            if not all(exists(asked, one) for one in named):
                wrong.append((model, message))
    assert wrong == []
    assert len(seen) > 2, seen


@pytest.mark.parametrize("path", PATHS)
def test_a_field_that_a_key_may_not_send_is_named_as_the_client_has_sent_it(
    app: InProcess, path: str
) -> None:
    """A tool may choose another model; the tools before it have no place in a chat request."""
    tools: dict[str, list[Any]] = {
        CHAT: [{"type": "function", "function": {"name": "f"}}, {"type": "route"}],
        MESSAGES: [{"type": "web_search_20250305", "name": "web_search"}],
        RESPONSES: [{"type": "web_search"}],
    }
    text = question(path)
    for more in ({"tools": tools[path]}, {"models": ["other"]}, {"route": "fallback"}):
        asked = {**text, **more, "model": "openai/own"}
        status, message, named = ask(app, path, asked, "some-key")
        if status == 403:
            field = message.partition("`")[2].partition("`")[0]
            assert exists(asked, field), message
            assert all(exists(asked, name) for name in named), message
        else:
            assert path != CHAT


LEFT_OUT = {
    MESSAGES: ("image", "document"),
    RESPONSES: ("input_image", "input_file"),
    CHAT: ("image_url", "file"),
}


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("path", PATHS)
def test_an_attachment_in_an_earlier_response_is_sent_or_named(
    app: InProcess, path: str, *, stream: bool
) -> None:
    """Other vendors' models make images and files; most vendors take none from the assistant."""
    field = "input" if path == RESPONSES else "messages"
    hi = {"role": "user", "content": "Hi"}
    text = {"type": "output_text" if path == RESPONSES else "text", "text": "See."}
    made = (
        image("data:image/png;base64,iVBORw0KGgo="),
        file("data:application/pdf;base64,JVBERi0="),
    )
    wrong = []
    for number, parts in enumerate(made):
        said = {"role": "assistant", "content": [text, parts[path]]}
        for model in ("groq/llama-4", "mistral/mistral-large", "openai/own", "perplexity/sonar"):
            engine = HelloEngine()
            params = {"model": model, "api_key": "k", **OWN.get(model, {})}
            listed = [{"model_name": "m", "litellm_params": params}]
            with run_in_process({"model_list": listed}, engine) as alone:
                body = {field: [hi, said, hi], "model": "m", "stream": stream}
                body |= {"max_tokens": 9} if path == MESSAGES else {}
                response = alone.ask("POST", path, [json.dumps(body).encode()])
            header = response.headers.get("x-fanout-dropped", "")
            sent = engine.sent[-1].body or b""
            is_sent = b"iVBORw0KGgo" in sent or b"JVBERi0" in sent
            name = f"{field}[].content[].{LEFT_OUT[path][number]}"
            if response.status != 200 or is_sent == (name in header.split(", ")):
                wrong.append((model, name, response.status, header, is_sent))
    assert wrong == []
