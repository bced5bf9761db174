"""Checks JSON values against types; an error names the field and says what it must be."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from typing import Any, TypeVar

import msgspec
from msgspec.structs import replace

from ..errors import RequestError, drop_tracebacks
from .messages import AllowedTools, NamedCustom, NamedFunction, name_of
from .request import ONE_PARAMETER, ChatRequest, Conversation, MessagePosition

T = TypeVar("T")

# msgspec ends its messages with the path: "Expected `str`, got `int` - at `$.messages[0].role`".
_PATH = re.compile(r" - at (?:`key` in )?`\$\.?([^`]*)`$")
_MISSING = re.compile(r"^Object missing required field `([^`]*)`")
_WRONG_TYPE = re.compile(r"^Expected `([^`]*)`, got `([^`]*)`$")
_OUT_OF_RANGE = re.compile(r"^Expected `(?:int|float)` (<=|>=|<|>) (.*)$")
_WRONG_LENGTH = re.compile(r"^Expected `(str|array|object)` of length (<=|>=) (\d+)$")
_MESSAGE = re.compile(r"messages\[(\d+)\](?:\.content\[(\d+)\])?(.*)", re.DOTALL)
_NOT_ALLOWED = re.compile(r"^Invalid (?:enum )?value (.*)$")

TYPES = {
    "str": "a string",
    "int": "an integer",
    "float": "a number",
    "bool": "a boolean",
    "null": "null",
    "array": "a list",
    "object": "an object",
}
"""msgspec's names of JSON's types, and the words for them."""

BOUNDS = {"<=": "at most", ">=": "at least", "<": "less than", ">": "more than"}
UNITS = {"str": "character", "array": "item", "object": "key"}


def convert(value: object, kind: type[T], *, strict: bool = True) -> T:
    """`value` as a `kind`; raises `RequestError` with the path of the wrong field in `param`."""
    try:
        return msgspec.convert(value, kind, strict=strict)
    except msgspec.ValidationError as error:
        raise as_request_error(str(error), kind) from None
    except RecursionError:
        raise RequestError("the request is nested too deeply", None) from None


def as_request_error(message: str, kind: Any = None) -> RequestError:
    """
    Reword msgspec's message: "Expected `int` >= 1 - at `$.n`" is "`n` must be at least 1".

    If `kind`, the type of the whole value, lists what the field may be, so does the error.
    """
    path = _PATH.search(message)
    fault = message[: path.start()] if path else message
    param = path[1] if path else ""
    if missing := _MISSING.match(fault):
        name = f"{param}.{missing[1]}" if param else missing[1]
        return RequestError(f"`{name}` is missing", name, "missing_required_parameter")
    if param:
        choices = _choices(kind, param) if _NOT_ALLOWED.match(fault) else ""
        return RequestError(f"`{param}` {_explain(fault)}{choices}", param)
    return RequestError(f"the value {_explain(fault)}", None, "invalid_type")


def _explain(fault: str) -> str:
    """The message without its path, as the rest of a sentence about the field."""
    if found := _WRONG_TYPE.match(fault):
        wanted = [TYPES.get(name, f"`{name}`") for name in found[1].split(" | ")]
        given = TYPES.get(found[2], f"`{found[2]}`")
        return f"must be {_any_of(wanted)}, not {given}"
    if found := _OUT_OF_RANGE.match(fault):
        return f"must be {BOUNDS[found[1]]} {found[2].removesuffix('.0')}"
    if found := _WRONG_LENGTH.match(fault):
        if (found[2], found[3]) == (">=", "1"):
            return "must not be empty"
        plural = "" if found[3] == "1" else "s"
        return f"must have {BOUNDS[found[2]]} {found[3]} {UNITS[found[1]]}{plural}"
    if found := _NOT_ALLOWED.match(fault):
        return f"cannot be {found[1]}"
    return f"is not valid: {fault[:1].lower()}{fault[1:]}"


def _choices(kind: Any, param: str) -> str:
    if kind is None:
        return ""
    from .allowed_values import allowed_values

    listed = [f"`{value}`" for value in allowed_values(kind, param)]
    return f": use {_any_of(listed)}" if listed else ""


def _any_of(names: list[str]) -> str:
    return " or ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


def reject_unknown(given: object, known: Collection[str], param: str | None) -> None:
    """
    Raise `RequestError` for a field that the object `given` cannot have; names the nearest.

    `given` is the request's field `param`, or the whole request.
    """
    for name in given if isinstance(given, dict) else ():
        if name not in known:
            from difflib import get_close_matches

            shown = str(name)[:64]
            near = get_close_matches(shown, known, 1)
            hint = f"did you mean `{near[0]}`?" if near else f"the fields are {', '.join(known)}"
            full = shown if param is None else f"{param}.{shown}"
            raise RequestError(f"`{full}` is unknown; {hint}", param or shown)


def with_extra_body(body: Mapping[str, Any]) -> Mapping[str, Any]:
    """The body with the fields of its `extra_body`, where OpenAI's SDK would have put them."""
    extra = body.get("extra_body", {})
    if "extra_body" not in body:
        return body
    if extra is not None and not isinstance(extra, dict):
        raise RequestError("`extra_body` must be an object of request fields", "extra_body")
    return {**{k: v for k, v in body.items() if k != "extra_body"}, **(extra or {})}


def parse_chat(body: Mapping[str, Any]) -> ChatRequest:
    """
    Check the request of one conversation; `body` has only the fields meant for the model.

    A value that is a vendor's own is no error yet: see `ChatRequest.extensions`. Content parts of
    other APIs are converted: see `foreign_parts`.
    """
    form = body.get("response_format")
    if isinstance(form, dict) and "response_schema" in form:
        body = {**body, "response_format": _as_json_schema(form)}
    choice = body.get("tool_choice")
    if isinstance(choice, dict) and "allowed_tools" in choice:
        from .allowed_tools import is_limited, nested_choice  # few requests have it

        body = {**body, "tool_choice": nested_choice(choice)} if is_limited(choice) else body
    inner = {"extensions": (), "places": (), "original": None, "names": None, "left_out": ()}
    return _convert_any({**body, **inner, "body": body}, ChatRequest)


def check_choice(request: ChatRequest) -> ChatRequest:
    """
    The request, without tools if its choice requires no call and allows none of them: `left_out`
    names them.

    Raises `RequestError` for a choice that requires a call, if there is no tool to call.
    """
    choice, tools = request.tool_choice, request.body.get("tools")
    is_required = choice not in (None, "auto", "none")
    if isinstance(choice, AllowedTools):
        is_required = choice.required
    if is_required and not tools:
        raise RequestError("`tool_choice` requires a call, but there are no `tools`", "tool_choice")
    if isinstance(choice, NamedFunction | NamedCustom):
        called = choice.function if isinstance(choice, NamedFunction) else choice.custom
        if called.name not in map(name_of, tools or ()):
            raise RequestError("`tool_choice` names none of the `tools`", "tool_choice")
    if not isinstance(choice, AllowedTools) or any(map(choice.allows, tools or ())):
        return request
    if is_required:
        raise RequestError("`tool_choice` allows none of the `tools`", "tool_choice")
    absent = {"tools", "tool_choice"}
    body = {name: value for name, value in request.body.items() if name not in absent}
    left_out = (*request.left_out, "tools") if tools else request.left_out
    return replace(request, tools=None, tool_choice=None, body=body, left_out=left_out)


def _as_json_schema(form: dict[str, Any]) -> dict[str, Any]:
    """
    LiteLLM's other form, `{"type": "json_object", "response_schema": {…}}`, as OpenAI's.

    docs.litellm.ai/docs/completion/json_mode
    """
    if form.get("type") != "json_object" or not isinstance(form["response_schema"], dict):
        return form
    return {
        "type": "json_schema",
        "json_schema": {"name": "response", "schema": form["response_schema"]},
    }


def _convert_any(checked: Mapping[str, Any], kind: type[T]) -> T:
    """`checked` as a `kind`, also with values that are not OpenAI's."""
    try:
        return convert(checked, kind)
    except RequestError as error:
        found = drop_tracebacks(error)  # its frames hold the request
    if isinstance(checked.get("messages"), list):
        from .foreign_parts import convert_messages

        messages, places = convert_messages(checked["messages"])
        if messages is not checked["messages"]:
            body = {**checked["body"], "messages": messages}
            checked = {**checked, "messages": messages, "places": places, "body": body}
            try:
                return convert(checked, kind)
            except RequestError as error:
                found = drop_tracebacks(_at_place(error, places))
    from .extensions import set_aside

    if (plain := set_aside(checked)) is not None:
        try:
            return convert(plain, kind)
        except RequestError:
            pass
    raise found


def _at_place(error: RequestError, places: Sequence[MessagePosition]) -> RequestError:
    """The same error, with the path of a message in the client's list."""
    path = _MESSAGE.match(error.param or "")
    if path is None or not places:
        return error
    place = places[int(path[1])]
    param = (place.part(int(path[2])) if path[2] else place.path) + path[3]
    message = str(error).replace(f"`{error.param}`", f"`{param}`", 1)
    return RequestError(message, param, error.detail.code)


def reject_extensions(request: ChatRequest, apart_from: Collection[str] = ()) -> None:
    """Raise the `RequestError` for a value that is a vendor's own, if there is one."""
    own = {name: request.body[name] for name in request.extensions if name not in apart_from}
    if own:
        plain: dict[str, Any] = {"messages": [{"role": "user", "content": ""}], "body": {}}
        try:
            convert(plain | own, ChatRequest)
        except RequestError as error:
            raise _at_place(error, request.places) from None


def with_defaults(request: ChatRequest, defaults: Mapping[str, Any]) -> ChatRequest:
    """
    The request, with `defaults` for the parameters that it does not set.

    A parameter that it sets by another name is set, and one that is null is not. Without tools, a
    choice of them is left out.
    """
    if not defaults:
        return request
    given = {name for name, value in request.body.items() if value is not None}
    for names in ONE_PARAMETER:
        if not given.isdisjoint(names):
            given |= names
    added = {name: value for name, value in defaults.items() if name not in given}
    if "tool_choice" in added and not (added.get("tools") or request.body.get("tools")):
        del added["tool_choice"]
    if not added:
        return request
    changed = parse_chat({**request.body, **added})
    if not request.places and request.original is None:
        return changed
    return msgspec.structs.replace(changed, places=request.places, original=request.original)


def replace_messages(request: ChatRequest, body: Mapping[str, Any]) -> ChatRequest:
    """
    The same request with the messages of `body`; nothing else is checked again.

    It is no longer a client's original request of another API.
    """
    found = _convert_any({"messages": body["messages"], "body": body}, Conversation)
    extensions = found.extensions
    if request.extensions:
        extensions = (*(name for name in request.extensions if name != "messages"), *extensions)
    return msgspec.structs.replace(
        request,
        messages=found.messages,
        body=found.body,
        extensions=extensions,
        places=found.places,
        original=None,
        names=None,
    )
