"""
Checks the body of a request for embeddings.

Source of the fields: platform.openai.com/docs/api-reference/embeddings/create, 2026-11.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from msgspec import Meta, Struct

from ...errors import RequestError
from ...schema.embeddings import Encoding, Input
from ...schema.fanout import MAX_FIELDS, FanOutRequest
from ...schema.gateway_fields import GATEWAY_FIELDS, Seconds
from ...schema.litellm_arguments import without_arguments
from ...schema.validation import convert, with_extra_body
from ...secret import HiddenRepr

ONE_MODEL = (
    "vectors of different models cannot be compared, so embeddings have one model; several "
    "deployments of it may have one `model_name` in the config"
)


class _Fields(HiddenRepr, frozen=True, kw_only=True):
    """The fields that Fanout reads; a vendor's own are sent on."""

    model: str
    input: Any
    dimensions: Annotated[int, Meta(ge=1, le=100_000)] | None = None
    encoding_format: Encoding | None = None
    input_type: Annotated[str, Meta(min_length=1, max_length=64)] | None = None
    user: str | None = None
    timeout: Seconds | None = None
    request_timeout: Seconds | None = None
    num_retries: Annotated[int, Meta(ge=0, le=100)] | None = None
    drop_params: bool | None = None
    additional_drop_params: list[str] | None = None
    allowed_openai_params: list[str] | None = None


_READ = frozenset(_Fields.__struct_fields__)

SEVERAL = frozenset({"fallbacks", "fanout", "fastest_response", "models", "stream"})
"""Fields of a chat that have no meaning here; null and false ask for nothing."""

_NOT_SENT = _READ | SEVERAL | GATEWAY_FIELDS | {"metadata"}
"""No API of embeddings has `metadata`, and some reject it. LiteLLM's clients send labels in it."""


class EmbeddingRequest(HiddenRepr, frozen=True, kw_only=True):
    """
    A checked request. `options` are what it has in common with a chat: model, time, retries.

    `inputs` are texts or lists of tokens. `body` has the fields that only a vendor knows.
    LiteLLM's `additional_drop_params` and `allowed_openai_params` are `None` if they are not given.
    """

    options: FanOutRequest
    inputs: list[Input]
    dimensions: int | None = None
    encoding: Encoding = "float"
    input_type: str | None = None
    user: str | None = None
    additional_drop_params: list[str] | None = None
    allowed_openai_params: list[str] | None = None
    body: Mapping[str, Any]

    @property
    def model(self) -> str:
        """The model's name, as the client wrote it."""
        return self.options.models[0]


class _Options(Struct, frozen=True):
    max_parallel: Annotated[int, Meta(ge=1, le=10_000)] | None = None


def parse_request(body: object, size: int = 0) -> EmbeddingRequest:
    """Check a client's JSON body of `size` bytes; raises a `RequestError` with the field's name."""
    if not isinstance(body, dict):
        raise RequestError("the body must be a JSON object", None, "invalid_type")
    if len(body) > MAX_FIELDS:
        raise RequestError(f"the body has {len(body)} fields; at most {MAX_FIELDS}", None)
    given = without_arguments(with_extra_body(body))
    max_parallel = _reject_modes(given)
    fields = convert({name: given[name] for name in _READ & given.keys()}, _Fields)
    return EmbeddingRequest(
        options=FanOutRequest(
            models=(_one_model(fields.model),),
            mode="one",
            conversations=(),
            max_parallel=max_parallel,
            timeout=fields.timeout or fields.request_timeout,
            num_retries=fields.num_retries,
            drop_params=fields.drop_params,
            size=size,
        ),
        inputs=_inputs(fields.input),
        dimensions=fields.dimensions,
        encoding=fields.encoding_format or "float",
        input_type=fields.input_type,
        user=fields.user,
        additional_drop_params=fields.additional_drop_params,
        allowed_openai_params=fields.allowed_openai_params,
        body={
            name: value
            for name, value in given.items()
            if name not in _NOT_SENT and value is not None
        },
    )


def _reject_modes(body: Mapping[str, Any]) -> int | None:
    """Raise `RequestError` for what asks for several models; the calls at a time, if given."""
    fanout = body.get("fanout")
    if isinstance(fanout, dict) and not fanout.keys() - {"max_parallel", "mode"}:
        if fanout.get("mode") in {None, "one"}:
            options = {name: fanout[name] for name in fanout if name == "max_parallel"}
            return convert(options, _Options).max_parallel
        raise RequestError(f"`fanout.mode`: {ONE_MODEL}", "fanout.mode")
    for name in sorted(SEVERAL):
        if body.get(name):
            why = "embeddings have no stream" if name == "stream" else ONE_MODEL
            raise RequestError(f"`{name}`: {why}", name)
    return None


def _one_model(name: str) -> str:
    if "," in name:
        raise RequestError(f"`model` has a comma: {ONE_MODEL}", "model")
    if not name.strip():
        raise RequestError("`model` must not be empty", "model")
    return name.strip()


def _inputs(value: object) -> list[Input]:
    """The inputs, always as a list: of texts, or of lists of tokens."""
    if isinstance(value, str):
        return _texts([value], "input")
    if not isinstance(value, list):
        raise RequestError("`input` must be a string or a list", "input", "invalid_type")
    if not value:
        raise RequestError("`input` must not be empty", "input")
    if isinstance(value[0], str):
        return _texts(value, None)
    if isinstance(value[0], list):
        for index, tokens in enumerate(value):
            _check_tokens(tokens, f"input[{index}]")
        return value
    _check_tokens(value, "input")
    return [value]


def _texts(values: list[Any], path: str | None) -> list[Input]:
    for index, text in enumerate(values):
        if type(text) is not str or not text:
            where = path or f"input[{index}]"
            why = "must not be empty" if text == "" else "must be a string, as the first one is"
            raise RequestError(f"`{where}` {why}", where)
    return values


def _check_tokens(tokens: object, path: str) -> None:
    if not isinstance(tokens, list):
        raise RequestError(f"`{path}` must be a list of tokens, as the first one is", path)
    if not tokens:
        raise RequestError(f"`{path}` must not be empty", path)
    for token in tokens:
        if type(token) is not int or not 0 <= token < 2**31:
            raise RequestError(
                f"`{path}` must be a string, or a list of whole numbers (tokens)", path
            )
