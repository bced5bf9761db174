"""
A request of the Responses API as one for a chat completion, and what its response must repeat.

Source of the fields: openai-python 3.54.0, `ResponseCreateParams`, 2026-11.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...errors import RequestError
from ...schema.extensions import EFFORTS
from ...schema.gateway_fields import GATEWAY_FIELDS
from ...secret import HiddenRepr
from .errors import NoCounterpart, client_field
from .function_names import FunctionNames
from .items import Messages, client_path, read_input
from .tools import ToolName, read_tools

SAME_NAMES = (
    "frequency_penalty",
    "logit_bias",
    "metadata",
    "presence_penalty",
    "prompt_cache_key",
    "prompt_cache_retention",
    "safety_identifier",
    "seed",
    "service_tier",
    "stop",
    "temperature",
    "top_k",
    "top_p",
    "user",
)
"""Fields that chat completions have by the same name; some are not the Responses API's own."""

STATEFUL = ("conversation", "background", "prompt", "previous_response_id")
"""Fields that need stored responses, or OpenAI's own storage."""

_READ = frozenset(
    {
        *SAME_NAMES,
        *STATEFUL,
        *GATEWAY_FIELDS,
        "client_metadata",  # Codex's own records
        "extra_body",
        "include",
        "input",
        "instructions",
        "max_output_tokens",
        "parallel_tool_calls",
        "reasoning",
        "store",
        "text",
        "tool_choice",
        "tools",
        "top_logprobs",
    }
)

_LOGPROBS = "message.output_text.logprobs"


class Translated(HiddenRepr, frozen=True):
    """
    A chat completion's request, and what the response repeats of the client's.

    `read` has the messages and their paths, `tool_paths` are those of the tools. `names` has
    the client's names of functions; see `Tools`. `dropped` names what was left out.
    """

    body: dict[str, Any]
    echo: dict[str, Any]
    read: Messages
    tool_paths: tuple[str, ...] = ()
    names: Mapping[str, ToolName] = {}
    dropped: tuple[str, ...] = ()

    def client_error(self, error: RequestError) -> RequestError:
        """The same error, with the client's name of the field."""
        param = error.param
        if param is None:
            return error
        theirs = self.client_param(param)
        if theirs == param:
            return error
        message = str(error).replace(f"`{param}`", f"`{theirs}`", 1)
        return RequestError(message, theirs, error.detail.code)

    def client_param(self, param: str) -> str:
        """The client's path of a field of the chat completion's request."""
        if param.startswith("messages"):
            return client_path(param, self.read)
        number, _, rest = param.removeprefix("tools[").partition("]")
        if param.startswith("tools[") and number.isdecimal() and int(number) < len(self.tool_paths):
            rest = rest.replace(".function.", ".")
            return self.tool_paths[int(number)] + rest
        return client_field(param)


def translate(body: Mapping[str, Any]) -> Translated:
    """
    The body of a chat completion for this one; raises `RequestError` with the path of a field.

    What has no counterpart is left out, and named in `dropped`. `store` is accepted: the response
    says that nothing is stored.
    """
    if isinstance(body.get("extra_body"), dict):
        body = {**{k: v for k, v in body.items() if k != "extra_body"}, **body["extra_body"]}
    _check_state(body)
    instructions = body.get("instructions")
    if instructions is not None and not isinstance(instructions, str):
        raise RequestError("`instructions` must be a string", "instructions")
    flat = FunctionNames(body.get("tools"))
    read = read_input(body.get("input"), instructions, flat)
    tools = read_tools(body, flat)
    chat: dict[str, Any] = {
        name: body[name]
        for name in (*sorted(GATEWAY_FIELDS), *SAME_NAMES)
        if body.get(name) is not None and name != "stream_options"
    }
    chat |= {"messages": read.messages, **tools.fields, **_own_fields(body)}
    if chat.get("stream"):
        chat["stream_options"] = {"include_usage": True}
    # A field that a model does not take does not end an agent's work.
    chat.setdefault("drop_params", True)
    others = sorted(n for n, value in body.items() if n not in _READ and value is not None)
    dropped = tuple(dict.fromkeys((*others, *read.dropped, *tools.dropped)))
    return Translated(chat, _echo(body), read, tools.paths, tools.names, dropped)


def _check_state(body: Mapping[str, Any]) -> None:
    """Reject what needs stored responses, with OpenAI's own error."""
    if (earlier := body.get("previous_response_id")) is not None:
        shown = earlier[:80] if isinstance(earlier, str) else "that"
        raise RequestError(
            f"Previous response with id '{shown}' not found: responses are not stored here. Send"
            " the earlier items in `input`",
            "previous_response_id",
            "previous_response_not_found",
        )
    advice = {
        "background": "leave it out, or send a batch",
        "conversation": "send the earlier items in `input`",
        "prompt": "send its text in `instructions` and `input`",
    }
    for name, hint in advice.items():
        if body.get(name) not in (None, False):
            raise RequestError(
                f"Unsupported parameter: `{name}` needs stored state, which is not here: {hint}",
                name,
                "unsupported_parameter",
            )
    if not isinstance(body.get("store"), bool | None):
        raise RequestError("`store` must be a boolean", "store")


def _own_fields(body: Mapping[str, Any]) -> dict[str, Any]:
    """The fields that chat completions have by another name or in another form."""
    found: dict[str, Any] = {}
    if body.get("max_output_tokens") is not None:
        found["max_completion_tokens"] = body["max_output_tokens"]
    if (effort := _object(body, "reasoning").get("effort")) is not None:
        if not isinstance(effort, str) or effort not in EFFORTS:
            names = ", ".join(f"`{one}`" for one in sorted(EFFORTS))
            raise NoCounterpart(
                f"`reasoning.effort` must be one of {names}", "reasoning.effort", "invalid_value"
            )
        found["reasoning_effort"] = effort
    text = _object(body, "text")
    if text.get("verbosity") is not None:
        found["verbosity"] = text["verbosity"]
    if (form := _format(text.get("format"))) is not None:
        found["response_format"] = form
    if not isinstance(include := body.get("include"), list | None):
        raise RequestError("`include` must be a list", "include")
    if _LOGPROBS in (include or ()) or body.get("top_logprobs"):
        found["logprobs"] = True
        if body.get("top_logprobs") is not None:
            found["top_logprobs"] = body["top_logprobs"]
    return found


def _object(body: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = body.get(name)
    if not isinstance(value, dict | None):
        raise RequestError(f"`{name}` must be an object", name)
    return value or {}


def _format(given: object) -> dict[str, Any] | None:
    """`text.format`, which is flat, as `response_format`; `None` for text."""
    if given is None:
        return None
    if not isinstance(given, dict):
        raise RequestError("`text.format` must be an object", "text.format")
    if given.get("type") == "text":
        return None
    if given.get("type") != "json_schema":
        return given
    names = ("name", "description", "schema", "strict")
    inner = {name: given[name] for name in names if given.get(name) is not None}
    return {"type": "json_schema", "json_schema": inner}


_OF_TOOL: Mapping[str, Any] = {"description": None, "parameters": None, "strict": None}
_OF_FORMAT: Mapping[str, Any] = {"description": None, "strict": False}
"""What a response has of each function and format; Open Responses requires it, 2026-04-24."""


def _shown(value: Any, fields: Mapping[str, Any]) -> Any:
    """A function or a format with a schema, with all fields of a response."""
    if not isinstance(value, dict) or str(value.get("type")) not in {"function", "json_schema"}:
        return value
    return {**fields, **{k: v for k, v in value.items() if k not in fields or v is not None}}


def _echo(body: Mapping[str, Any]) -> dict[str, Any]:
    """What the response repeats; Open Responses requires each of them, null where it may be."""
    text = _object(body, "text")
    reasoning = _object(body, "reasoning")
    effort, summary = reasoning.get("effort"), reasoning.get("summary")

    def given(name: str, default: Any = None) -> Any:
        value = body.get(name)
        return default if value is None else value

    return {
        "previous_response_id": None,
        "instructions": given("instructions"),
        "tools": [_shown(tool, _OF_TOOL) for tool in given("tools", [])],
        "tool_choice": given("tool_choice", "auto"),
        "truncation": "disabled",
        "parallel_tool_calls": given("parallel_tool_calls", default=True),
        "text": {**text, "format": _shown(text.get("format") or {"type": "text"}, _OF_FORMAT)},
        "top_p": given("top_p", 1.0),
        "presence_penalty": given("presence_penalty", 0.0),
        "frequency_penalty": given("frequency_penalty", 0.0),
        "top_logprobs": given("top_logprobs", 0),
        "temperature": given("temperature", 1.0),
        "reasoning": {"effort": effort, "summary": summary},
        "user": given("user"),
        "max_output_tokens": given("max_output_tokens"),
        "max_tool_calls": None,
        "store": False,
        "background": False,
        "service_tier": given("service_tier", "default"),
        "metadata": given("metadata", {}),
        "safety_identifier": given("safety_identifier"),
        "prompt_cache_key": given("prompt_cache_key"),
    }
