"""
What an execution of the state machine is started with, as pydantic models for Powertools' parser.

The API sends `{"job": id}`, a person sends a `ManualStart`, and EventBridge sends S3's event about
a new object in the inbox.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TypeVar

from aws_lambda_powertools.utilities.parser import ValidationError, parse
from aws_lambda_powertools.utilities.parser.models import S3EventNotificationEventBridgeModel
from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator
from pydantic_core import ErrorDetails

from fanout.bulk.aws.job_starter import ExistingJob, InboxObject, Start, StartRequest
from fanout.bulk.lanes import choose_cache, choose_lane, choose_native, choose_order
from fanout.bulk.service.new_job import cost_cap, parse_window
from fanout.bulk.service.webhooks import NewWebhook
from fanout.errors import RequestError

CREATED = "Object Created"
"""
The `detail-type` of S3's event about a new object.

See https://docs.aws.amazon.com/AmazonS3/latest/userguide/ev-events.html.
"""

MAX_FAULTS = 5
"""Wrong fields that an error message lists."""

JSON_TYPES = {
    bool: "a boolean",
    int: "a number",
    float: "a number",
    str: "a string",
    list: "a list",
    dict: "an object",
}

WANTED = {
    "bool_type": "a boolean",
    "dict_type": "an object",
    "float_type": "a number",
    "int_type": "a whole number",
    "list_type": "a list",
    "model_type": "an object",
    "string_type": "a string",
}
"""pydantic's types of faults, and the JSON type that is expected."""

Model = TypeVar("Model", bound=BaseModel)


class _Written(BaseModel):
    """A JSON object that someone wrote: types are not converted, unknown fields are errors."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")


class ApiStart(_Written):
    """A job that the API has created."""

    job: str = Field(min_length=1, description="the id of a job, such as `batch_…`")


class GivenWebhook(_Written):
    """`webhook` of a request by hand."""

    url: str
    secret: str


class ManualStart(_Written):
    """A request by hand, from a person or program that is allowed to start the state machine."""

    input: str = Field(description="an object in the stack's bucket, such as `s3://BUCKET/x.jsonl`")
    output: str | None = Field(None, description="such as `s3://BUCKET/outbox/x-`")
    model: str | None = Field(None, description="a model name, for lines without one")
    max_cost_usd: float | None = Field(None, description="US dollars, such as 2.5")
    completion_window: str = Field("24h", description="such as `24h` or `7d`")
    lane: str | None = Field(None, description="`auto`, `realtime`, `flex` or `native`")
    webhook: GivenWebhook | None = Field(None, description="an object with `url` and `secret`")
    cache: str | None = Field(None, description="`order`, `auto` or `off`")
    native: str | None = Field(None, description="`never`, `auto` or `require`")
    order: str | None = Field(None, description="`any` or `input`")

    @field_validator("max_cost_usd")
    @classmethod
    def _is_a_cap(cls, dollars: float | None) -> float | None:
        with _value_errors("max_cost_usd"):
            cost_cap(dollars)
        return dollars

    @field_validator("completion_window")
    @classmethod
    def _is_a_window(cls, text: str) -> str:
        with _value_errors("completion_window"):
            parse_window(text)
        return text

    @field_validator("lane")
    @classmethod
    def _is_a_lane(cls, lane: str | None) -> str | None:
        with _value_errors("lane"):
            choose_lane(lane, 0, "lane")
        return lane

    @field_validator("cache")
    @classmethod
    def _is_a_cache_choice(cls, cache: str | None) -> str | None:
        with _value_errors("cache"):
            choose_cache(cache, "cache")
        return cache

    @field_validator("order")
    @classmethod
    def _is_an_order(cls, order: str | None) -> str | None:
        with _value_errors("order"):
            choose_order(order, "order")
        return order

    @field_validator("native")
    @classmethod
    def _fits_the_lane(cls, native: str | None, info: ValidationInfo) -> str | None:
        given, window = info.data.get("lane"), info.data.get("completion_window", "24h")
        with _value_errors("native"):
            lane = choose_lane(given, parse_window(window))
            choose_native(native, lane, has_batches=True, name="native")
        return native


@contextmanager
def _value_errors(name: str) -> Iterator[None]:
    """Raise `RequestError`s about the field as pydantic's, so that all faults are listed."""
    try:
        yield
    except RequestError as error:
        raise ValueError(str(error).removeprefix(f"`{name}` ")) from None


def read_start(given: object) -> Start:
    """Returns what starts a job; `RequestError` lists the wrong fields and what belongs there."""
    if not isinstance(given, Mapping):
        raise RequestError("the input must be a JSON object")
    if "job" in given:
        return ExistingJob(_parse(given, ApiStart).job)
    kind = given.get("detail-type")
    if kind is not None and kind != CREATED:
        message = f"`detail-type` is `{str(kind)[:80]}`: only `{CREATED}` starts a job"
        raise RequestError(message, "detail-type")
    if kind is None:
        parsed = _parse(given, ManualStart)
        given_hook = parsed.webhook
        hook = NewWebhook(url=given_hook.url, secret=given_hook.secret) if given_hook else None
        return StartRequest(**parsed.model_dump(exclude={"webhook"}), webhook=hook)
    detail = _parse(given, S3EventNotificationEventBridgeModel).detail
    return InboxObject(detail.bucket.name, detail.object.key, detail.object.sequencer or "")


def _parse(given: Mapping[str, object], model: type[Model]) -> Model:
    try:
        return parse(event=dict(given), model=model)
    except ValidationError as error:
        faults = error.errors(include_url=False, include_context=False)
        message = "; ".join(_explain(fault, model) for fault in faults[:MAX_FAULTS])
        raise RequestError(message, _path(faults[0])) from None


def _explain(fault: ErrorDetails, model: type[BaseModel]) -> str:
    """One fault: the field, what is wrong with it, and what belongs there."""
    path, fields = _path(fault), model.model_fields
    if fault["type"] == "extra_forbidden":
        known = ", ".join(f"`{name}`" for name in fields)
        return f"`{path}` is unknown; the input may have {known}"
    if fault["type"] == "missing":
        wrong = "is missing"
    else:
        wrong = fault["msg"].removeprefix("Input ")
        if fault["type"] == "value_error":
            return f"`{path}` {wrong.removeprefix('Value error, ')}"
        if fault["type"] == "string_too_short":
            wrong = "is empty"
        if (wanted := WANTED.get(fault["type"])) is not None:
            wrong = f"must be {wanted}, not {JSON_TYPES.get(type(fault['input']), 'null')}"
    own = issubclass(model, _Written)  # the descriptions of other models are not for our users
    hint = fields[path].description if own and path in fields else None
    return f"`{path}` {wrong}" + (f": {hint}" if hint else "")


def _path(fault: ErrorDetails) -> str:
    return ".".join(map(str, fault["loc"]))[:80]
