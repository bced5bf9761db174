"""
The fields of a request that a provider does not support: rejected, left out or adapted, and noted.

Knows no provider. Each codec lists the fields that it reads.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any, Literal, TypeAlias

from ..errors import Unsupported
from ..schema.chat import Object
from ..schema.request import MessagePosition
from .base import NameRule, Target

KEPT = frozenset(
    {
        "audio",
        "function_call",
        "functions",
        "guardrails",
        "modalities",
        "n",
        "response_format",
        "tool_choice",
        "tools",
        "web_search_options",
    }
)
"""
The fields that `drop_params` never drops: without them, the response would not be what is asked.

It also drops no content and no calls of messages. Sampling, effort and the like are dropped, and
so are `logprobs`: the text is the same without them.
"""


VENDORS_FIELDS = frozenset({"caching", "eos_token", "guardrails", "ttl"})
"""
Fields of some vendors with OpenAI's API; sources in `litellm_arguments.VENDORS`.

They have names of LiteLLM's arguments, so they are not sent to vendors that do not document them.
"""


_OF_MESSAGE = re.compile(r"\w+(?:\[\d+\])?\.(?:audio|content|output|tool_calls)\b")
"""What a message says, whatever the endpoint calls its messages: `messages[0]`, `input[0]`."""


_DETAILS = (".detail", ".strict")  # how closely to look, and to keep to a schema


_ADVICE = "Leave it out, or set `drop_params: true` in the config."


_KEPT_ADVICE = (
    "Leave it out, or call a model that takes it; `drop_params` does not drop it, because the "
    "response would not be what is asked."
)


def is_kept(param: str) -> bool:
    """Whether `drop_params` does not drop the field at this path."""
    if param.endswith(_DETAILS):
        return False
    return param.partition("[")[0].partition(".")[0] in KEPT or bool(_OF_MESSAGE.match(param))


def _place(index: int) -> MessagePosition:
    return MessagePosition(f"messages[{index}]")


class UnsupportedFields:
    """
    The fields of a request that a provider does not support.

    What the client asked for is rejected, or dropped with `drop_params` unless it is one of `KEPT`.
    What other providers added to earlier messages is adapted in any case. Both are noted for the
    log.
    """

    def __init__(self, target: Target, provider: str) -> None:
        self.target = target
        self.provider = provider
        self._dropped: dict[str, int] = {}
        self._places: dict[int, MessagePosition] = {}

    def add(self, param: str, why: str = "", *, kept: bool | None = None) -> None:
        """
        Reject the request with a 400 that names `param`; with `drop_params`, note it instead.

        What is `kept` (by default, as `is_kept` says) is rejected in any case.
        """
        kept = is_kept(param) if kept is None else kept
        if kept or not self.target.drop_params:
            reason = f": {why}" if why else ""
            raise Unsupported(
                f"`{self.target.name}`: {self.provider} does not take `{param}`{reason}. "
                f"{_KEPT_ADVICE if kept else _ADVICE}",
                param,
            )
        self.note(param)

    def note(self, param: str) -> None:
        """Note what is left out or adapted although nothing that the client asked for is lost."""
        self._dropped.setdefault(param, 0)

    def note_all(self, params: Iterable[str]) -> None:
        """Note several fields, sorted."""
        for param in sorted(params):
            self.note(param)

    def count(self, param: str, number: int = 1) -> None:
        """Note as many things that are left out of earlier messages."""
        self._dropped[param] = self._dropped.get(param, 0) + number

    def leave_out(self, place: str, name: str, value: object = None) -> None:
        """
        Note a field of a message that is left out: each element, if its value is a list.

        A name that no provider is known to use may be a client's text, so it is only counted.
        """
        if name in LOGGED_FIELDS:
            self.count_value(f"{place}.{name}", value)
        else:
            self.count(f"{place}.*")

    def count_value(self, param: str, value: object) -> None:
        """Note a field that is left out: each element, if its value is a list."""
        self.count(param, len(value) if isinstance(value, list) else 1)

    @property
    def opening(self) -> str:
        """The user's first words where a vendor requires some and the assistant begins."""
        template = self.target.template
        return (template.user_turn if template else "") or OPENING

    @property
    def has_places(self) -> bool:
        """Whether it is known where the client has the messages."""
        return bool(self._places)

    def keep_places(
        self, messages: Sequence[Object], places: Sequence[MessagePosition] = ()
    ) -> None:
        """Note where the client has these messages, before others are put between them."""
        for index, message in reversed([*enumerate(messages)]):
            self._places[id(message)] = places[index] if places else _place(index)

    def keep_replaced(self, old: Sequence[Object], new: Sequence[Object]) -> None:
        """Note that each of the `new` messages is in the place of an `old` one."""
        if self._places:
            for index, (message, ours) in enumerate(zip(old, new, strict=True)):
                self._places[id(ours)] = self._places.get(id(message)) or _place(index)

    def keep_parts(self, old: Object, new: Object, numbers: Sequence[int]) -> None:
        """Note that a `new` message has parts of an `old` one, each by its number among those."""
        if place := self._places.get(id(old)):
            known = place.parts
            theirs = tuple(known[n] if n < len(known) else n for n in numbers)
            self._places[id(new)] = MessagePosition(place.path, theirs, place.field)

    def path(self, message: Object, index: int) -> str:
        """The path of a message in the client's request; `index` is its place among ours."""
        place = self._places.get(id(message)) or _place(index)
        return place.path

    def part_path(self, message: Object, path: str, number: int) -> str:
        """The path of a part of a message that has this `path`; `number` is its place in ours."""
        return (self._places.get(id(message)) or MessagePosition(path)).part(number)

    @property
    def dropped(self) -> tuple[str, ...]:
        """
        For the log: the names of all fields that were left out or adapted.

        Where several things were counted, the number is behind it: `messages[].images (2)`.
        """
        return tuple(
            f"{name} ({count})" if count > 1 else name for name, count in self._dropped.items()
        )


DEFAULTS: Mapping[str, tuple[object, ...]] = {
    "frequency_penalty": (0,),
    "function_call": ("auto", "none"),
    "functions": ([],),
    "logit_bias": ({},),
    "logprobs": (False,),
    "modalities": (["text"],),
    "n": (1,),
    "parallel_tool_calls": (True,),
    "presence_penalty": (0,),
    "store": (False,),
    "top_logprobs": (0,),
    "verbosity": ("medium",),
}
"""What OpenAI documents as the default of a field. A client that sends it asks for nothing."""


SchemaForm: TypeAlias = Literal["any", "flat", "typed"]
"""
The form of a function's schema, which is an object's.

`flat`: without `anyOf` and references at its top. `typed`: also, each value inside has a type; see
`typed_schemas.py`.
"""


COMBINED = frozenset({"allOf", "anyOf", "oneOf"})
"""The keywords that combine schemas. Some vendors reject them at the top of a function's."""


OPENING = "Begin."
"""The user's first words, if the config has no others."""


MADE_FIELDS = frozenset(
    {
        "annotations",
        "cache_control",
        "citations",
        "content_parts",  # ours, for parts that are no text
        "context",  # Azure's, of its own search
        "executed_tools",
        "extra_content",
        "images",
        "provider_specific_fields",
        "reasoning",
        "reasoning_content",
        "reasoning_details",
        "reasoning_steps",
        "search_results",
        "thinking_blocks",
    }
)
"""
Fields of messages that only some vendors have. They are left out for the others.

Most are of responses, which clients send back with the next turn. None changes what a message says.
"""

LOGGED_FIELDS = MADE_FIELDS | {
    "audio",
    "function_call",
    "index",
    "name",
    "parsed",
    "parsed_arguments",
    "prefix",
    "refusal",
    "tool_calls",
}
"""The fields that the log names if they are left out: those that a provider or an SDK uses."""


def fit_calls(
    messages: list[dict[str, Any]],
    names: NameRule,
    tools: Sequence[Object] | None,
    unsupported: UnsupportedFields,
    builtin_calls: Collection[str] = (),
) -> list[dict[str, Any]]:
    """
    The same messages, with one result after each call of the assistant: see `paired_results`.

    Names of functions fit the vendor, unless one of the `tools` has that name. Types of calls are
    OpenAI's, or among the vendor's `builtin_calls`.
    """
    if not any(
        message["role"] == "tool" or message.get("tool_calls") or message.get("function_call")
        for message in messages
    ):
        return messages
    from .call_names import complete_calls  # only requests with calls need it

    return complete_calls(messages, names, tools, unsupported, builtin_calls)


def is_text(part: Object) -> bool:
    """Whether a content part is a text."""
    return bool(part.get("type", "text") == "text")


def fit_results(
    messages: list[dict[str, Any]],
    takes: Callable[[Object], bool] | None,
    unsupported: UnsupportedFields,
) -> list[dict[str, Any]]:
    """The same messages; parts of tools' results that the vendor does not take are the user's."""
    if takes is None or not any(
        message["role"] == "tool" and isinstance(message.get("content"), list)
        for message in messages
    ):
        return messages
    from .result_media import move_parts  # only requests with such results need it

    return move_parts(messages, takes, unsupported)
