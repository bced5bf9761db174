"""
The public types of responses: pydantic models with the field names of OpenAI's API.

They keep every field that a provider adds. They also read like dicts (`r["choices"]`,
`r.get("usage")`), and a `Message` is valid input wherever a message is expected.

A response that does not fit the types is returned all the same (`JSONObject.from_json`): a response
that was paid for is never thrown away.

Source of the fields: https://platform.openai.com/docs/api-reference/chat/object and
https://platform.openai.com/docs/api-reference/chat-streaming/streaming (November 2026).
"""

from __future__ import annotations

from typing import Any, Literal, TypeAlias

from .json_object import JSONObject

FinishReason: TypeAlias = Literal["stop", "length", "tool_calls", "content_filter", "function_call"]
"""Why the model stopped."""


class PromptTokensDetails(JSONObject):
    """What the prompt's tokens consist of."""

    audio_tokens: int | None = None
    cached_tokens: int | None = None


class CompletionTokensDetails(JSONObject):
    """What the response's tokens consist of."""

    accepted_prediction_tokens: int | None = None
    audio_tokens: int | None = None
    reasoning_tokens: int | None = None
    rejected_prediction_tokens: int | None = None


class Usage(JSONObject):
    """Tokens of a request, as the provider counted them."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    prompt_tokens_details: PromptTokensDetails | None = None
    completion_tokens_details: CompletionTokensDetails | None = None


class Function(JSONObject):
    """The function that a model calls; `arguments` is JSON text, which the model may get wrong."""

    name: str
    arguments: str


class ToolCall(JSONObject):
    """A call of one of the request's functions."""

    id: str
    type: Literal["function"]
    function: Function


class CustomCall(JSONObject):
    """The custom tool that a model calls, and its input as text."""

    name: str
    input: str


class CustomToolCall(JSONObject):
    """A call of one of the request's custom tools."""

    id: str
    type: Literal["custom"]
    custom: CustomCall


class Audio(JSONObject):
    """A spoken response: `data` is base64, `expires_at` a Unix time in seconds."""

    id: str
    data: str
    expires_at: int
    transcript: str


class Message(JSONObject):
    """
    A model's message.

    Append it to `messages` for the next turn. `reasoning_content` is the model's reasoning, from
    providers that show it.
    """

    role: Literal["assistant"]
    content: str | None = None
    refusal: str | None = None
    reasoning_content: str | None = None
    tool_calls: list[ToolCall | CustomToolCall] | None = None
    function_call: Function | None = None
    audio: Audio | None = None
    annotations: list[Any] | None = None


class TopLogprob(JSONObject):
    """One of the likeliest tokens at a position."""

    token: str
    bytes: list[int] | None = None
    logprob: float


class TokenLogprob(JSONObject):
    """A token, its log probability, and the likeliest tokens at its position."""

    token: str
    bytes: list[int] | None = None
    logprob: float
    top_logprobs: list[TopLogprob] | None = None


class Logprobs(JSONObject):
    """Log probabilities of a choice's tokens."""

    content: list[TokenLogprob] | None = None
    refusal: list[TokenLogprob] | None = None


class ErrorObject(JSONObject):
    """OpenAI's error object."""

    message: str
    type: str | None = None
    param: str | None = None
    code: str | None = None


class Choice(JSONObject):
    """
    One response of a model.

    When one object holds several models' responses, each choice has its own `model`, `usage`,
    `latency_ms`, `cost_usd` (US dollars), and `error` if that model failed.
    """

    index: int
    message: Message
    finish_reason: FinishReason | None = None
    logprobs: Logprobs | None = None
    model: str | None = None
    usage: Usage | None = None
    latency_ms: float | None = None
    cost_usd: float | None = None
    error: ErrorObject | None = None


class ModelAttempt(JSONObject):
    """
    What one model did in a race, hedge or fallback, with all its retries.

    In a checked request it is one call's, and `invalid` if the response does not fit the schema.
    Times are in milliseconds, costs in dollars.
    """

    model: str
    outcome: Literal[
        "won",
        "cancelled",
        "failed",
        "not_started",
        "invalid",
        "agreed",
        "dissented",
        "no_vote",
        "lost",
        "merged",
        "judged",
    ]
    first_token_ms: float | None = None
    duration_ms: float | None = None
    error: ErrorObject | None = None
    usage: Usage | None = None
    cost_usd: float | None = None
    billing: Literal["stops", "continues", "unknown"] | None = None


class Ballot(JSONObject):
    """An answer and the models that gave it; `value` is what was compared."""

    value: Any = None
    votes: int
    models: list[str]


class AgreeReport(JSONObject):
    """
    How the models voted.

    `calls` were made and `calls_saved` were not, which would have cost `saved_usd`.
    `final_probability` is how probably the leader would lead after all votes; `confidence` is how
    probably its answer is right, if the request asks for a confidence.
    """

    decided: bool
    k: int
    on: Literal["json", "text", "fields"]
    fields: list[str]
    votes: list[Ballot]
    calls: int
    calls_saved: int
    saved_usd: float | None = None
    final_probability: float
    confidence: float | None = None


class Score(JSONObject):
    """The judge's score of a model's response, from 0 to 10."""

    model: str
    score: int


class JudgeReport(JSONObject):
    """
    The judge's verdict on the responses.

    `only_response`: one model responded, so no judge was called. `equal_responses`: all of them
    responded the same, so none was called, either. `failed`: the first response is
    used, because the judge failed; `error` or `reason` says why. `tie` has the models with the
    highest score if there are several. `cost_usd` is the cost of the judge's calls.
    """

    model: str
    outcome: Literal["judged", "merged", "only_response", "equal_responses", "failed"]
    scores: list[Score]
    tie: list[str]
    reason: str | None = None
    error: ErrorObject | None = None
    usage: Usage | None = None
    cost_usd: float | None = None


class FanoutReport(JSONObject):
    """
    The `fanout` field of a response: which models were called, and what became of each.

    `attempts` has one entry for each model, with all its retries.
    """

    mode: Literal["one", "all", "race", "hedge", "fallback", "agree", "best", "merge"]
    attempts: list[ModelAttempt]
    cost_usd: float | None = None
    agree: AgreeReport | None = None
    judge: JudgeReport | None = None


class ChatCompletion(JSONObject):
    """A whole response. `created` is a Unix time in seconds."""

    id: str
    object: Literal["chat.completion"]
    created: int
    model: str
    choices: list[Choice]
    usage: Usage | None = None
    system_fingerprint: str | None = None
    service_tier: str | None = None
    fanout: FanoutReport | None = None
