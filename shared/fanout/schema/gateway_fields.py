"""The fields of a request's body that are for the gateway and not for a model."""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeAlias

from msgspec import Meta, Struct

from .request import MAX_ATTEMPTS

Mode: TypeAlias = Literal["one", "all", "race", "hedge", "fallback", "agree", "best", "merge"]
Shape: TypeAlias = Literal["object", "list"]

MAX_MODELS = 1_000
"""The most models that one request may name."""

MAX_NAME = 512
"""The most characters of a model's name; AWS's longest names have half as many."""

Seconds: TypeAlias = Annotated[float, Meta(gt=0, le=86_400)]
ModelNames: TypeAlias = Annotated[list[Annotated[str, Meta(min_length=1)]], Meta(min_length=1)]

Accuracy: TypeAlias = Annotated[float, Meta(gt=0, le=1)]

MIN_LEASE, MAX_LEASE = 2, 3_600
"""Seconds of a lease; a shorter one could end while its renewal is on its way."""


class FanOutField(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The `fanout` object of a request."""

    mode: Mode | None = None
    models: ModelNames | None = None
    stagger: Annotated[float, Meta(ge=0, le=3_600)] | Literal["p95"] | None = None
    once: bool = False
    shape: Shape = "object"
    max_parallel: Annotated[int, Meta(ge=1, le=10_000)] | None = None
    lease: Annotated[float, Meta(ge=MIN_LEASE, le=MAX_LEASE)] | None = None
    schema: dict[str, Any] | None = None
    check: bool | None = None
    attempts: Annotated[int, Meta(ge=1, le=MAX_ATTEMPTS)] | None = None
    escalate: ModelNames | None = None
    k: Annotated[int, Meta(ge=2, le=MAX_MODELS)] | None = None
    on: str | list[str] | None = None
    start: Annotated[int, Meta(ge=1, le=MAX_MODELS)] | Literal["all"] | None = None
    lead: Annotated[int, Meta(ge=1, le=MAX_MODELS)] | None = None
    confidence: Annotated[float, Meta(gt=0, lt=1)] | None = None
    weights: dict[str, Accuracy] | list[Accuracy] | None = None
    judge: str | None = None
    criteria: str | None = None


class StreamOptions(Struct, frozen=True, kw_only=True):
    include_usage: bool | None = None
    include_obfuscation: bool | None = None


class GatewayFields(Struct, frozen=True, kw_only=True):
    """The fields of a request's body that are for the gateway and not sent to a model."""

    model: str | list[str] | None = None
    fanout: FanOutField | None = None
    fastest_response: bool | None = None
    fallbacks: list[str | dict[str, Any]] | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    timeout: Seconds | None = None
    request_timeout: Seconds | None = None
    num_retries: Annotated[int, Meta(ge=0, le=100)] | None = None
    drop_params: bool | None = None


GATEWAY_FIELDS = frozenset(GatewayFields.__struct_fields__)
