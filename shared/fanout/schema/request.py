"""
A chat completion's request in OpenAI's format: structs that check each field when they are made.

Their reprs show nothing of a prompt. Source of the format: openai-openapi 2.3.0,
`CreateChatCompletionRequest`.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeAlias

from msgspec import Meta, Struct

from ..secret import HiddenRepr
from .messages import AnyMessage, Function, FunctionName, Tool, ToolChoice


class TextFormat(HiddenRepr, frozen=True, kw_only=True, tag_field="type", tag="text"):
    pass


class JSONFormat(HiddenRepr, frozen=True, kw_only=True, tag_field="type", tag="json_object"):
    pass


class JSONSchema(HiddenRepr, frozen=True, kw_only=True):
    name: Annotated[str, Meta(min_length=1, max_length=64)]
    schema: dict[str, Any] | None = None
    description: str | None = None
    strict: bool | None = None


class SchemaFormat(HiddenRepr, frozen=True, kw_only=True, tag_field="type", tag="json_schema"):
    json_schema: JSONSchema


class GrammarFormat(HiddenRepr, frozen=True, kw_only=True, tag_field="type", tag="grammar"):
    grammar: str


class PythonFormat(HiddenRepr, frozen=True, kw_only=True, tag_field="type", tag="python"):
    pass


class OtherFormat(HiddenRepr, frozen=True, kw_only=True, tag_field="type", tag="*"):
    """A vendor's own format (`regex`); the body has it."""


ResponseFormat: TypeAlias = (
    TextFormat | JSONFormat | SchemaFormat | GrammarFormat | PythonFormat | OtherFormat
)

Penalty: TypeAlias = Annotated[float, Meta(ge=-2, le=2)]
Count: TypeAlias = Annotated[int, Meta(ge=1)]
Effort: TypeAlias = Literal["none", "minimal", "low", "medium", "high", "xhigh", "max"]


class MessagePosition(Struct, frozen=True):
    """
    Where the client has a message, or what became one.

    `path` is of the message in the client's list, or of the part of it that was the result of a
    tool. `parts` are the client's numbers of its parts, if they differ; `field` has those parts.
    """

    path: str
    parts: tuple[int, ...] = ()
    field: str = "content"

    def part(self, number: int) -> str:
        """The client's path of a part, by its number among ours."""
        if number < len(self.parts):
            number = self.parts[number]
        return f"{self.path}.{self.field}[{number}]"


class Conversation(HiddenRepr, frozen=True, kw_only=True):
    """The messages alone; the other fields are as in `ChatRequest`."""

    messages: Annotated[list[AnyMessage], Meta(min_length=1)]
    body: dict[str, Any]
    extensions: tuple[str, ...] = ()
    places: tuple[MessagePosition, ...] = ()


class ChatRequest(HiddenRepr, frozen=True, kw_only=True):
    """
    One conversation for one model, checked.

    `body` is the request as the client wrote it, without the gateway's own fields (fan-out fields,
    `stream`). OpenAI-compatible providers get the fields of `body`; the codecs of the others read
    the typed fields. Neither is ever changed.

    `extensions` are the fields whose value is a vendor's own; it is only in `body`. `places` has
    the place of each message in the client's list; it is empty if all are where they were.
    `original` is the client's request of another API (an `OriginalRequest`), if it was one; `names`
    (a `ClientNames`) are then the client's of its fields. `left_out` names what the gateway has
    left out of the messages.
    """

    messages: Annotated[list[AnyMessage], Meta(min_length=1)]
    body: dict[str, Any]
    extensions: tuple[str, ...] = ()
    places: tuple[MessagePosition, ...] = ()
    original: Any = None
    names: Any = None
    left_out: tuple[str, ...] = ()
    additional_drop_params: list[str] | None = None  # LiteLLM's; the transport reads it
    allowed_openai_params: list[str] | None = None  # likewise
    audio: dict[str, Any] | None = None
    frequency_penalty: Penalty | None = None
    function_call: str | FunctionName | None = None
    functions: list[Function] | None = None
    logit_bias: dict[str, Annotated[float, Meta(ge=-100, le=100)]] | None = None
    logprobs: bool | None = None
    max_completion_tokens: Count | None = None
    max_tokens: Count | None = None
    metadata: dict[str, Any] | None = None
    modalities: list[str] | None = None
    n: Annotated[int, Meta(ge=1, le=128)] | None = None
    parallel_tool_calls: bool | None = None
    prediction: dict[str, Any] | None = None
    presence_penalty: Penalty | None = None
    prompt_cache_key: str | None = None
    reasoning_effort: Effort | None = None
    response_format: ResponseFormat | None = None
    safety_identifier: str | None = None
    seed: Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)] | None = None
    service_tier: str | None = None
    stop: str | list[str] | None = None
    store: bool | None = None
    temperature: Annotated[float, Meta(ge=0, le=2)] | None = None
    tool_choice: ToolChoice | None = None
    tools: list[Tool] | None = None
    top_k: Annotated[int, Meta(ge=0)] | None = None  # not OpenAI's; many others have it
    top_logprobs: Annotated[int, Meta(ge=0, le=20)] | None = None
    top_p: Annotated[float, Meta(ge=0, le=1)] | None = None
    user: str | None = None
    verbosity: Literal["low", "medium", "high"] | None = None
    web_search_options: dict[str, Any] | None = None

    @property
    def is_text(self) -> bool:
        """Whether the messages hold nothing but text, and no field is a vendor's own."""
        if not CHAT_FIELDS.issuperset(self.body):
            return False
        for message in self.body["messages"]:  # a loop, because it is run twice a request
            if isinstance(message.get("content"), list) or not _TEXT_FIELDS.issuperset(message):
                return False
        return True

    @property
    def limit(self) -> int | None:
        """The max tokens of the response, under either of the field's two names."""
        return self.max_tokens if self.max_completion_tokens is None else self.max_completion_tokens

    @property
    def stops(self) -> list[str]:
        """The stop sequences, always as a list."""
        return [self.stop] if isinstance(self.stop, str) else list(self.stop or ())


MAX_ATTEMPTS = 10
"""The most calls to one model for one checked response, and the most names in `escalate`."""


class Check(Struct, frozen=True):
    """
    Each response must fit the request's JSON schema.

    A model gets at most `attempts` calls for one; after the request's models, those of `escalate`
    are called, one after the other.
    """

    attempts: int = 2
    escalate: tuple[str, ...] = ()


class Strategy(Struct, frozen=True):
    """
    What `fanout` says about responses: how they are checked, when they decide, who judges.

    In a cascade, one model is asked after the other, until a response fits.
    """

    check: Check | None = None
    agree: Any = None  # an `Agree`
    judging: Any = None  # a `Judging`
    is_cascade: bool = False


_INNER = frozenset({"body", "extensions", "left_out", "names", "original", "places"})
CHAT_FIELDS = frozenset(ChatRequest.__struct_fields__) - _INNER
"""The parameters of chat completions."""

READ_FIELDS = CHAT_FIELDS | {"cache_control", "thinking"}
"""Those, and Anthropic's that Fanout translates; only the provider knows any other one."""

ONE_PARAMETER = (
    frozenset({"max_completion_tokens", "max_tokens"}),
    frozenset({"reasoning_effort", "thinking"}),
)
"""Fields that are one parameter by several names, of which vendors reject two at once."""

_TEXT_FIELDS = frozenset(
    {
        "content",
        "function_call",
        "name",
        "reasoning",
        "reasoning_content",
        "refusal",
        "role",
        "tool_call_id",
        "tool_calls",
    }
)
"""The fields of a message that hold no file, unless `content` is a list."""
