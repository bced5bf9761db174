"""
The messages of a request and its tools in OpenAI's format, by their types.

Their reprs show nothing of a prompt. Source of the format: openai-openapi 2.3.0,
`ChatCompletionRequestMessage` and `ChatCompletionTool`.
"""

from __future__ import annotations

from typing import Any, Literal, TypeAlias

from msgspec import UNSET, UnsetType

from ..secret import HiddenRepr

# ---- content parts ----


class Part(HiddenRepr, frozen=True, kw_only=True, tag_field="type"):
    """One part of a message's content."""


class TextPart(Part, frozen=True, kw_only=True, tag="text"):
    text: str


class ImageURL(HiddenRepr, frozen=True, kw_only=True):
    url: str
    detail: Literal["auto", "low", "high"] | UnsetType = UNSET


class ImagePart(Part, frozen=True, kw_only=True, tag="image_url"):
    image_url: ImageURL


class InputAudio(HiddenRepr, frozen=True, kw_only=True):
    data: str
    format: str


class AudioPart(Part, frozen=True, kw_only=True, tag="input_audio"):
    input_audio: InputAudio


class FileRef(HiddenRepr, frozen=True, kw_only=True):
    file_id: str | None = None
    file_data: str | None = None
    filename: str | None = None


class FilePart(Part, frozen=True, kw_only=True, tag="file"):
    file: FileRef


class RefusalPart(Part, frozen=True, kw_only=True, tag="refusal"):
    refusal: str


class OtherPart(Part, frozen=True, kw_only=True, tag="*"):
    """A part of a type that is not OpenAI's (`video_url`); the body has it."""

    kind: str


UserPart: TypeAlias = TextPart | ImagePart | AudioPart | FilePart | OtherPart
AssistantPart: TypeAlias = TextPart | RefusalPart | ImagePart | AudioPart | FilePart | OtherPart
ToolPart: TypeAlias = TextPart | ImagePart | AudioPart | FilePart | OtherPart


# ---- tools ----


CALL_TYPES = frozenset({"custom", "function", None})
"""The types of OpenAI's calls; one without a type is a function's."""


class FunctionCall(HiddenRepr, frozen=True, kw_only=True):
    name: str
    arguments: str


class CustomCall(HiddenRepr, frozen=True, kw_only=True):
    name: str
    input: str


class FunctionToolCall(HiddenRepr, frozen=True, kw_only=True, tag_field="type", tag="function"):
    id: str
    function: FunctionCall


class CustomToolCall(HiddenRepr, frozen=True, kw_only=True, tag_field="type", tag="custom"):
    id: str
    custom: CustomCall


class OtherToolCall(HiddenRepr, frozen=True, kw_only=True, tag_field="type", tag="*"):
    """A call of a vendor's own type, and of no function (`web_search`); the body has it."""

    id: str
    kind: str


class Function(HiddenRepr, frozen=True, kw_only=True):
    name: str
    description: str | None = None
    parameters: dict[str, Any] | None = None
    strict: bool | None = None


class FunctionTool(HiddenRepr, frozen=True, kw_only=True, tag_field="type", tag="function"):
    function: Function


class CustomTool(HiddenRepr, frozen=True, kw_only=True, tag_field="type", tag="custom"):
    custom: dict[str, Any]


class OtherTool(HiddenRepr, frozen=True, kw_only=True, tag_field="type", tag="*"):
    """A vendor's own tool (`browser_search`); the body has it."""

    kind: str


Tool: TypeAlias = FunctionTool | CustomTool | OtherTool


def name_of(tool: dict[str, Any]) -> str | None:
    """The name of a function or of a custom tool; a vendor's own tool may have none."""
    for held in (tool.get("function"), tool.get("custom"), tool):
        if isinstance(held, dict) and isinstance(name := held.get("name"), str):
            return name
    return None


class FunctionName(HiddenRepr, frozen=True, kw_only=True):
    name: str


class NamedFunction(HiddenRepr, frozen=True, kw_only=True, tag_field="type", tag="function"):
    function: FunctionName


class NamedCustom(HiddenRepr, frozen=True, kw_only=True, tag_field="type", tag="custom"):
    custom: FunctionName


class Allowed(HiddenRepr, frozen=True, kw_only=True):
    tools: list[dict[str, Any]]
    mode: Literal["auto", "required"] = "auto"


class AllowedTools(HiddenRepr, frozen=True, kw_only=True, tag_field="type", tag="allowed_tools"):
    allowed_tools: Allowed

    @property
    def required(self) -> bool:
        """Whether the model must call one of the tools."""
        return self.allowed_tools.mode == "required"

    @property
    def names(self) -> frozenset[str]:
        """The functions that the model may call."""
        tools = [tool for tool in self.allowed_tools.tools if tool.get("type") == "function"]
        return frozenset(name for tool in tools if (name := name_of(tool)) is not None)

    def allows(self, tool: dict[str, Any]) -> bool:
        """Whether the model may call one of the request's `tools`."""
        wanted = tool.get("type"), name_of(tool)
        return any((one.get("type"), name_of(one)) == wanted for one in self.allowed_tools.tools)


class OtherChoice(HiddenRepr, frozen=True, kw_only=True, tag_field="type", tag="*"):
    """A choice of a vendor's own tool; the body has it."""


ToolChoice: TypeAlias = (
    Literal["none", "auto", "required"] | NamedFunction | NamedCustom | AllowedTools | OtherChoice
)


# ---- messages ----


class Message(HiddenRepr, frozen=True, kw_only=True, tag_field="role"):
    """One message of a conversation; `role` names its class."""


class SystemMessage(Message, frozen=True, kw_only=True, tag="system"):
    content: str | list[TextPart]
    name: str | None = None


class DeveloperMessage(Message, frozen=True, kw_only=True, tag="developer"):
    content: str | list[TextPart]
    name: str | None = None


class UserMessage(Message, frozen=True, kw_only=True, tag="user"):
    content: str | list[UserPart]
    name: str | None = None


class AssistantMessage(Message, frozen=True, kw_only=True, tag="assistant"):
    content: str | list[AssistantPart] | None = None
    refusal: str | None = None
    name: str | None = None
    tool_calls: list[FunctionToolCall | CustomToolCall | OtherToolCall] | None = None
    function_call: FunctionCall | None = None
    audio: dict[str, Any] | None = None


class ToolMessage(Message, frozen=True, kw_only=True, tag="tool"):
    content: str | list[ToolPart]
    tool_call_id: str


class FunctionMessage(Message, frozen=True, kw_only=True, tag="function"):
    content: str | None
    name: str


class OtherMessage(Message, frozen=True, kw_only=True, tag="*"):
    """A message with a vendor's own role (Ollama's `control`); the body has its content."""

    content: None = None


ROLES = frozenset({"assistant", "developer", "function", "system", "tool", "user"})
"""OpenAI's roles."""

AnyMessage: TypeAlias = (
    SystemMessage
    | DeveloperMessage
    | UserMessage
    | AssistantMessage
    | ToolMessage
    | FunctionMessage
    | OtherMessage
)
