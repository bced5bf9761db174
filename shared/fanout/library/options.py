"""
The options of every Python function, as `TypedDict`s: editors complete them, type checkers reject a
misspelled one.

The string below each key is its documentation; `docs/python.md` is generated from it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, Protocol, TypeAlias, TypedDict

from pydantic import BaseModel

MessageParam: TypeAlias = Mapping[str, Any] | BaseModel
"""A message: a dict, a `Message` of an earlier response, or an object of OpenAI's SDK."""

Messages: TypeAlias = Sequence[MessageParam]
"""One conversation."""

MessagesOrLists: TypeAlias = Sequence[MessageParam | Messages]
"""One conversation, or a list of them; never both."""
# A union of two lists would hide a mixed list of messages from type checkers.

ToolParam: TypeAlias = Mapping[str, Any] | BaseModel | type[BaseModel]
"""A tool: a dict, an object of OpenAI's SDK, or a pydantic class with the function's arguments."""

ResponseFormat: TypeAlias = Mapping[str, Any] | BaseModel
"""A `response_format` in OpenAI's shape; a pydantic class is typed apart, as it sets `.parsed`."""


class HTTPClient(Protocol):
    """An `httpx.AsyncClient` or `httpx.Client`, of httpx or of httpx2."""

    @property
    def is_closed(self) -> bool: ...

    @property
    def send(self) -> Callable[..., Any]: ...

    @property
    def build_request(self) -> Callable[..., Any]: ...


class ControlOptions(TypedDict, total=False):
    """What the function returns: the overloads of the functions name these two."""

    stream: bool | None
    """`True` returns an iterator of chunks instead of a response."""
    response_format: type[BaseModel] | ResponseFormat | None
    """
    The form of the response. A pydantic class sends its JSON Schema, and sets
    `choices[0].message.parsed`. A dict is OpenAI's, such as `{"type": "json_object"}`.
    """


class SentOptions(TypedDict, total=False):
    """
    Sent to the model.

    https://platform.openai.com/docs/api-reference/chat/create
    """

    max_tokens: int | None
    """The most tokens that the response may have."""
    max_completion_tokens: int | None
    """The same under OpenAI's newer name; reasoning tokens count."""
    temperature: float | None
    """Randomness, from 0 to 2."""
    top_p: float | None
    """Sample only from the likeliest tokens whose probabilities sum to this, from 0 to 1."""
    top_k: int | None
    """Sample only from this many of the likeliest tokens; OpenAI lacks it, many vendors have it."""
    n: int | None
    """How many choices to return, from 1 to 128."""
    stop: str | Sequence[str] | None
    """Text at which the model stops."""
    seed: int | None
    """The same seed makes the same response likelier."""
    frequency_penalty: float | None
    """From -2 to 2; above 0 makes repetition less likely."""
    presence_penalty: float | None
    """From -2 to 2; above 0 makes new topics likelier."""
    logit_bias: Mapping[str, float] | None
    """Token ids, and how much likelier each becomes, from -100 to 100."""
    logprobs: bool | None
    """Return the log probabilities of the response's tokens."""
    top_logprobs: int | None
    """With `logprobs`: how many of the likeliest tokens to return at each position, up to 20."""
    tools: Sequence[ToolParam] | None
    """Functions the model may call: dicts, or pydantic classes."""
    tool_choice: str | Mapping[str, Any] | BaseModel | None
    """`none`, `auto`, `required`, or the tool to call."""
    parallel_tool_calls: bool | None
    """Whether the model may call several tools at once."""
    functions: Sequence[Mapping[str, Any]] | None
    """OpenAI's older form of `tools`."""
    function_call: str | Mapping[str, Any] | None
    """OpenAI's older form of `tool_choice`."""
    reasoning_effort: Literal["none", "minimal", "low", "medium", "high", "xhigh", "max"] | None
    """How much a reasoning model thinks."""
    thinking: Mapping[str, Any] | None
    """Anthropic's form of it, as in LiteLLM: `{"type": "enabled", "budget_tokens": 2000}`."""
    verbosity: Literal["low", "medium", "high"] | None
    """How long the response should be."""
    modalities: Sequence[str] | None
    """What the response may be, such as `["text", "audio"]`."""
    audio: Mapping[str, Any] | None
    """The voice and format of an audio response."""
    prediction: Mapping[str, Any] | None
    """Text that the response is expected to contain."""
    web_search_options: Mapping[str, Any] | None
    """Options of a model that searches the web."""
    stream_options: Mapping[str, Any] | None
    """With `stream=True`: `{"include_usage": True}` adds usage to the last chunk."""
    service_tier: str | None
    """The provider's tier, such as `flex` or `priority`."""
    store: bool | None
    """Whether the provider stores the response."""
    metadata: Mapping[str, Any] | None
    """Labels that the provider stores with the response."""
    user: str | None
    """An id of your end user, for the provider."""
    safety_identifier: str | None
    """A stable id of your end user, with which OpenAI detects abuse."""
    prompt_cache_key: str | None
    """Requests with the same key share the provider's prompt cache."""
    prompt_cache_retention: str | None
    """How long the provider keeps the prompt cache, such as `24h`."""
    extra_body: Mapping[str, Any] | None
    """Any other fields of the request, for options that only one vendor has."""


class AddressOptions(TypedDict, total=False):
    """How the model is reached: `embedding` names these three."""

    api_base: str | None
    """The address of the API, up to and including `/v1`; needed for `openai/NAME` elsewhere."""
    api_key: str | None
    """The key; without it, the usual environment variable (`OPENAI_API_KEY`, …) is read."""
    api_version: str | None
    """The API version, for Azure."""


class ConnectionOptions(TypedDict, total=False):
    """How the model is reached, too."""

    base_url: str | None
    """The same under the name that OpenAI's SDK uses."""
    extra_headers: Mapping[str, str] | None
    """Headers of each call, besides the key's."""
    organization: str | None
    """One of the key's organizations, for OpenAI."""
    model_id: str | None
    """The ARN of an inference profile or an imported model, for Bedrock; `model` is its family."""
    region: str | None
    """The AWS region, for Bedrock."""
    aws_region_name: str | None
    """The same under LiteLLM's name."""
    aws_access_key_id: str | None
    """AWS credentials, for Bedrock; without them, the environment's or boto3's are used."""
    aws_secret_access_key: str | None
    """The secret of `aws_access_key_id`."""
    aws_session_token: str | None
    """The token of temporary AWS credentials."""
    aws_profile_name: str | None
    """A profile of `~/.aws`, instead of keys."""
    aws_role_name: str | None
    """The ARN of a role to assume with those credentials."""
    aws_session_name: str | None
    """The name of the role's session; `fanout` by default."""
    aws_external_id: str | None
    """The external id that the role asks for."""
    vertex_project: str | None
    """The id of the Google Cloud project, for Vertex AI."""
    vertex_location: str | None
    """Where a model on Vertex AI runs: a region, `eu`, `us` or `global`."""
    vertex_credentials: str | Mapping[str, Any] | None
    """The path of a JSON file with Google's credentials, or its JSON."""
    http_client: HTTPClient | None
    """
    Your own client of httpx or httpx2, with its proxies, certificates, hooks and headers. Fanout
    does not close it. Its timeouts apply, except httpx's default of 5 seconds. A `Client` runs in
    threads. An `AsyncClient` belongs to one event loop: do not use it in plain and async functions.
    """


class TimeOptions(TypedDict, total=False):
    """When and how often the model is called: `embedding` names these two."""

    timeout: float | None
    """Seconds until a response must be complete, streamed or not; 600 by default."""
    num_retries: int | None
    """How often a failed call is retried; 2 by default."""


class CallOptions(TypedDict, total=False):
    """What Fanout does with a request of any kind."""

    request_timeout: float | None
    """`timeout` under LiteLLM's name."""
    input_cost_per_token: float | None
    """US dollars, for `cost_usd`; without both prices, the public ones are used."""
    output_cost_per_token: float | None
    """US dollars, likewise."""
    drop_params: bool | None
    """Leave out options that the model's provider does not have, instead of raising."""
    additional_drop_params: Sequence[str] | None
    """Options to leave out in any case: `["temperature"]`, or `["tools[*].function.strict"]`."""
    allowed_openai_params: Sequence[str] | None
    """Options to send although Fanout does not know that the model's provider has them."""


class ChatOptions(
    SentOptions, AddressOptions, ConnectionOptions, TimeOptions, CallOptions, total=False
):
    """
    Options besides the model, the messages, `stream` and `response_format`.

    `None` is the same as leaving an option out.
    """

    fallbacks: Sequence[str | Mapping[str, Sequence[str]]] | None
    """Models to call when the first one fails: `["b"]`, or `[{"a": ["b"]}]` for `a` alone."""
    check: bool | None
    """
    Check each response by the schema of `response_format`: one that does not fit goes back to its
    model with the reason, then to the models of `escalate`. Raises `SchemaMismatch` if none fits.
    """
    attempts: int | None
    """With `check`: the calls that one model gets for one response, 1 to 10; 2 by default."""
    escalate: Sequence[str] | None
    """With `check`: models to ask when no response of the others fits, in this order."""
    context_window_fallback_dict: Mapping[str, str] | None
    """Models to call if the prompt is too long for one: `{"a": "b"}`."""
    input_cost_per_token_flex: float | None
    """US dollars, of responses with `service_tier: flex`; without both, the standard prices."""
    output_cost_per_token_flex: float | None
    """US dollars, likewise."""
    input_cost_per_token_priority: float | None
    """US dollars, of responses with `service_tier: priority`; without both, the cost is unknown."""
    output_cost_per_token_priority: float | None
    """US dollars, likewise."""
    ensure_alternating_roles: bool | None
    """User and assistant take turns, as the model's chat template requires it."""
    supports_system_message: bool | None
    """`False` sends system messages as the user's."""
    user_continue_message: str | Mapping[str, Any] | None
    """What the user says where a turn is missing, such as `Please continue.`"""
    assistant_continue_message: str | Mapping[str, Any] | None
    """What the assistant says where a turn is missing."""


class EmbeddingParameters(TypedDict, total=False):
    """What `embedding` names besides `AddressOptions` and `TimeOptions`."""

    dimensions: int | None
    """How many numbers each vector has; by default, as many as the model makes."""
    encoding_format: Literal["float", "base64"] | None
    """`float` (the default) returns numbers, `base64` 32-bit floats, little-endian."""
    input_type: str | None
    """`query` or `document`, for providers that distinguish them."""
    user: str | None
    """An id of your end user, for the provider."""


class EmbeddingOptions(ConnectionOptions, CallOptions, total=False):
    """Options of `embedding` besides its named parameters."""

    extra_body: Mapping[str, Any] | None
    """Any other fields of the request, for options that only one vendor has."""
    metadata: Mapping[str, Any] | None
    """Labels, for LiteLLM's clients; not sent to the provider."""
