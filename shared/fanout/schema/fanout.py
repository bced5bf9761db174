"""
The fan-out part of a chat request: which models, in which mode, for which conversations.

`parse_request` checks a client's body and returns a `FanOutRequest`. Does not depend on providers,
keys or time.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from types import ModuleType
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from ..errors import RequestError
from ..secret import HiddenRepr
from .gateway_fields import (
    GATEWAY_FIELDS,
    FanOutField,
    GatewayFields,
    Mode,
    Shape,
    StreamOptions,
)
from .modes import mode_of, models_of
from .request import ChatRequest, Check, Strategy
from .validation import convert, parse_chat, reject_unknown, replace_messages, with_extra_body

if TYPE_CHECKING:
    from .agreement import Agree
    from .judging import Judging


MAX_CALLS = 10_000
"""The most upstream calls (conversations x models) that one request may ask for."""


MAX_FIELDS = 200
"""The most fields of a request; OpenAI's has fewer than 50."""


_NO_STRATEGY = Strategy()
_NO_FANOUT = FanOutField()
_NO_OPTIONS = StreamOptions()
_NONE: Mapping[str, Any] = {}

_KNOWN = GATEWAY_FIELDS | frozenset(ChatRequest.__struct_fields__)


class FanOutRequest(HiddenRepr, frozen=True):
    """
    A checked request: one or several conversations, one or several models, and a mode.

    `nested` says whether `messages` was a list of conversations. `size` is the number of bytes of
    the request's body, 0 if it had none. `field` is the field that named the models, `alias` the
    config's name for several models that it named. A request with a `lease` ends unless its client
    renews it within so many seconds. With `once`, only a failure may start another call. If
    `is_adaptive`, the delays of a hedge are those of `first_token_times.py`. With `in_pieces`, a
    stream has lists that are not OpenAI's as they arrive. With `is_cascade`, an alias stands for
    models that are asked one after the other.
    """

    models: tuple[str, ...]
    mode: Mode
    conversations: tuple[ChatRequest, ...]
    nested: bool = False
    stagger: float | None = 0.0
    is_adaptive: bool = False
    shape: Shape = "object"
    stream: bool = False
    include_usage: bool = False
    max_parallel: int | None = None
    timeout: float | None = None
    num_retries: int | None = None
    fallbacks: Mapping[str, tuple[str, ...]] | None = None
    drop_params: bool | None = None
    size: int = 0
    field: str = "model"
    alias: str | None = None
    lease: float | None = None
    once: bool = False
    check: Check | None = None
    agree: Agree | None = None
    judging: Judging | None = None
    is_cascade: bool = False
    in_pieces: bool = False

    @property
    def is_text(self) -> bool:
        """Whether the conversations hold nothing but text, and no field is a vendor's own."""
        for conversation in self.conversations:  # noqa: SIM110 -- `all` takes three times as long
            if not conversation.is_text:
                return False
        return True

    @property
    def combined(self) -> bool:
        """Whether the response combines several responses."""
        return self.nested or self.mode == "all"

    @property
    def is_decided(self) -> bool:
        """Whether votes or a judge decide on the response."""
        return self.agree is not None or self.judging is not None

    @property
    def is_whole(self) -> bool:
        """Whether the response is there only as a whole, also if it is streamed."""
        return self.check is not None or self.is_decided

    @property
    def is_quoted(self) -> bool:
        """Whether the gateway makes prompts of the conversations: to repeat one, or for a judge."""
        return self.check is not None or self.judging is not None

    @property
    def is_bound(self) -> bool:
        """Whether it has, or may have, what only the maker of an earlier response can read."""
        for conversation in self.conversations:
            if conversation.original is not None and conversation.original.is_bound:
                return True
            for message in conversation.body["messages"]:  # a loop, because each request runs it
                if message.get("extra_content"):
                    return True
        return False

    @property
    def names(self) -> set[str]:
        """Every model that this request may call, fallbacks included."""
        if not self.fallbacks:
            return set(self.models)
        return {*self.models, *(name for names in self.fallbacks.values() for name in names)}


def parse_request(body: object, size: int = 0) -> FanOutRequest:
    """Check a client's JSON body of `size` bytes; raises a `RequestError` with the field's name."""
    if not isinstance(body, dict):
        raise RequestError("the body must be a JSON object", None, "invalid_type")
    if len(body) > MAX_FIELDS:
        raise RequestError(f"the body has {len(body)} fields; at most {MAX_FIELDS}", None)
    if not _KNOWN.issuperset(body):
        body = _litellm_filter()(with_extra_body(body))
    if "fanout" in body:
        reject_unknown(body["fanout"], FanOutField.__struct_fields__, "fanout")
    fields = convert(body, GatewayFields)
    if fields.stream_options is not None and not fields.stream:
        raise RequestError("`stream_options` needs `stream: true`", "stream_options")
    fanout = fields.fanout or _NO_FANOUT
    checked_body: Mapping[str, Any] = body
    if fanout.schema is not None:
        checked_body = _checks().with_schema(body, fanout.schema)
    models = models_of(fields, fanout)
    mode, stagger = mode_of(fields, fanout, len(models))
    conversations, nested = _conversations(checked_body, len(models))
    if fanout.shape == "list" and fields.stream:
        raise RequestError("a list cannot be streamed; leave out `fanout.shape`", "fanout.shape")
    options = fields.stream_options or _NO_OPTIONS
    strategy = _NO_STRATEGY
    if fields.fanout is not None:
        from .strategies import read_strategy  # most requests do not need it

        strategy = read_strategy(fields, fanout, conversations[0], models, mode)
    fallbacks = None
    if fields.fallbacks is not None:
        from .fallbacks import read_fallbacks  # likewise

        fallbacks = read_fallbacks(fields.fallbacks, models)
    return FanOutRequest(
        models=models,
        mode=mode,
        conversations=conversations,
        nested=nested,
        stagger=stagger,
        is_adaptive=fanout.stagger == "p95" and stagger is not None,
        shape=fanout.shape,
        stream=bool(fields.stream),
        include_usage=bool(options.include_usage),
        max_parallel=fanout.max_parallel,
        timeout=fields.timeout or fields.request_timeout,
        num_retries=fields.num_retries,
        fallbacks=fallbacks,
        drop_params=fields.drop_params,
        size=size,
        field="model" if fanout.models is None else "fanout.models",
        lease=fanout.lease,
        once=fanout.once,
        check=strategy.check,
        agree=strategy.agree,
        judging=strategy.judging,
        is_cascade=strategy.is_cascade,
    )


@cache
def _litellm_filter() -> Callable[[Mapping[str, Any]], Mapping[str, Any]]:
    """`without_arguments`. None of its names is a known field, so most requests do not need it."""
    from .litellm_arguments import without_arguments

    return without_arguments


@cache
def _checks() -> ModuleType:
    """`checked.py`, which loads the validator of schemas: most requests do not need it."""
    from . import checked

    return checked


def with_messages(request: FanOutRequest, messages: list[Any]) -> FanOutRequest:
    """The same request with other messages; only the messages are checked again."""
    first = request.conversations[0]
    conversation = replace_messages(first, {**first.body, "messages": messages})
    return replace(request, conversations=(conversation,))


def _conversations(body: Mapping[str, Any], models: int) -> tuple[tuple[ChatRequest, ...], bool]:
    """
    One conversation, or one for each list in `messages`, and whether it is such a list.

    The other fields are checked only once.
    """
    rest = {name: value for name, value in body.items() if name not in GATEWAY_FIELDS}
    if own := (body.get("stream_options") or _NONE).keys() - {"include_usage"}:
        rest["stream_options"] = {name: body["stream_options"][name] for name in sorted(own)}
    messages = rest.get("messages")
    if not isinstance(messages, list) or not any(isinstance(m, list) for m in messages):
        return (parse_chat(rest),), False
    if (calls := len(messages) * models) > MAX_CALLS:
        raise RequestError(
            f"the request needs {calls} calls to models; the limit is {MAX_CALLS}", "messages"
        )
    found: list[ChatRequest] = []
    for index, conversation in enumerate(messages):
        if not isinstance(conversation, list):
            raise RequestError(
                f"`messages[{index}]` is a message in a list of conversations: "
                "send either a list of messages or a list of such lists",
                f"messages[{index}]",
            )
        own = {**rest, "messages": conversation}
        try:
            found.append(replace_messages(found[0], own) if found else parse_chat(own))
        except RequestError as error:
            raise _inside(error, index) from None
    return tuple(found), True


def _inside(error: RequestError, index: int) -> RequestError:
    """The same error, with the conversation's index in its path."""
    if not error.param or not error.param.startswith("messages"):
        return error
    param = f"messages[{index}]{error.param.removeprefix('messages')}"
    message = str(error).replace(f"`{error.param}`", f"`{param}`", 1)
    return RequestError(message, param, error.detail.code)
