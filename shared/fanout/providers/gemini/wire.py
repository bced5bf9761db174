"""
`GenerateContentResponse`: a whole response, or one event of a stream.

Unknown fields are ignored, odd ones are read as nothing (`wire.tolerant`). Google leaves out fields
that are zero, false or empty. See https://ai.google.dev/api/generate-content.
"""

from __future__ import annotations

from typing import Any

from msgspec import Raw, Struct

from ...wire import json


class FunctionCall(Struct, frozen=True, rename="camel"):
    """A call. Models before Gemini 3 send no `id`."""

    name: str
    args: Raw = Raw(b"{}")
    id: str | None = None


class Blob(Struct, frozen=True, rename="camel"):
    """The bytes of an image or of audio, in base64."""

    mime_type: str
    data: str


class Part(Struct, frozen=True, rename="camel"):
    """A piece of content; `thought` marks a summary of the model's thinking."""

    text: str | None = None
    thought: bool = False
    thought_signature: str | None = None
    function_call: FunctionCall | None = None
    inline_data: Blob | None = None


class Content(Struct, frozen=True, rename="camel"):
    parts: list[Part] | None = None


class Token(Struct, frozen=True, rename="camel"):
    token: str = ""
    log_probability: float = 0.0


class TopTokens(Struct, frozen=True, rename="camel"):
    candidates: list[Token] | None = None


class Logprobs(Struct, frozen=True, rename="camel"):
    chosen_candidates: list[Token] | None = None
    top_candidates: list[TopTokens] | None = None


class Segment(Struct, frozen=True, rename="camel"):
    """A place in a text, in bytes."""

    start_index: json.Count = 0
    end_index: json.Count = 0
    text: str = ""


class Support(Struct, frozen=True, rename="camel"):
    """Which chunks a segment of the text is from."""

    segment: Segment = Segment()
    grounding_chunk_indices: list[json.Index] | None = None


class Grounding(Struct, frozen=True, rename="camel"):
    """Each chunk has one of `web`, `maps`, `retrievedContext`."""

    grounding_chunks: list[dict[str, Any]] | None = None
    grounding_supports: list[Support] | None = None


class Quote(Struct, frozen=True, rename="camel"):
    """A text that the model quotes."""

    start_index: json.Count = 0
    end_index: json.Count = 0
    uri: str = ""
    title: str = ""

    @property
    def segment(self) -> Segment:
        """Where it is."""
        return Segment(self.start_index, self.end_index)


class Quotes(Struct, frozen=True, rename="camel"):
    """Vertex AI has them in `citations`."""

    citation_sources: list[Quote] | None = None
    citations: list[Quote] | None = None


class Candidate(Struct, frozen=True, rename="camel"):
    content: Content | None = None
    finish_reason: str | None = None
    finish_message: str | None = None
    index: json.Index | None = None
    logprobs_result: Logprobs | None = None
    grounding_metadata: Grounding | None = None
    citation_metadata: Quotes | None = None


class PromptFeedback(Struct, frozen=True, rename="camel"):
    block_reason: str | None = None


class Usage(json.AllOrNothing, frozen=True, rename="camel"):
    """
    `prompt` includes cached tokens; `candidates` does not include thoughts.

    Google's total is the sum of prompt, candidates, tool use and thoughts.
    """

    prompt_token_count: json.Count | None = None
    candidates_token_count: json.Count | None = None
    total_token_count: json.Count = 0
    thoughts_token_count: json.Count = 0
    cached_content_token_count: json.Count = 0
    tool_use_prompt_token_count: json.Count = 0
    service_tier: Any = None  # of Google AI Studio
    traffic_type: Any = None  # of Vertex AI


class Violation(Struct, frozen=True, rename="camel"):
    quota_id: str = ""


class FaultDetail(Struct, frozen=True, rename="camel"):
    """Any of Google's error details (`ErrorInfo`, `QuotaFailure`, …); each has its own fields."""

    reason: str = ""
    violations: list[Violation] | None = None
    retry_delay: str | None = None


class Fault(Struct, frozen=True, rename="camel"):
    """`google.rpc.Status`; see https://ai.google.dev/gemini-api/docs/troubleshooting."""

    message: str = ""
    code: int = 500
    status: str = ""
    details: list[FaultDetail] | None = None

    @property
    def http_status(self) -> int:
        """The status of an error inside a success; 500 if it names none."""
        return self.code if self.code in range(400, 600) else 500


NO_FAULT = Fault()
"""`{"error": {}}`, which is no error."""


class Response(Struct, frozen=True, rename="camel"):
    candidates: list[Candidate] | None = None
    prompt_feedback: PromptFeedback | None = None
    usage_metadata: Usage | None = None
    model_version: str | None = None
    response_id: str | None = None
    error: Fault | None = None
