"""
Checks whether a client may make one call to a model: the only place where its rights are enforced.

Every call of a client comes here, wherever the model's name is from: the request, a fallback, an
alias, a job's line or its retry. The rights are those that its key has in the config of this
process.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from ..config.catalog import ClientKey
from ..config.model import GeneralSettings
from ..errors import Forbidden
from ..schema.request import ChatRequest
from .model_fields import check_fields, check_own_fields
from .stored_files import check_addresses


class Request(Protocol):
    """The part of a request that rights depend on: its fields."""

    @property
    def body(self) -> Mapping[str, Any]: ...

    @property
    def is_text(self) -> bool: ...


def check_call(client: ClientKey, name: str, request: Request, general: GeneralSettings) -> None:
    """Raise `Forbidden` unless the client may send this request to the model called `name`."""
    check_model(client, name, "model")
    check_content(client, request, general)


def check_model(client: ClientKey, name: str, field: str) -> None:
    """Raise `Forbidden` if the client may not use the model, which `field` has named."""
    if not client.may_use(name):
        raise Forbidden(f"the key `{client.name}` may not use the model `{name}`", field)


def check_content(client: ClientKey, request: Request, general: GeneralSettings) -> None:
    """
    Raise `Forbidden` for what the client may send to no model.

    That are fields that may choose another model, if it may not use all, and addresses of files
    that the provider would read with the gateway's rights, except in the config's buckets.
    """
    chat = request if isinstance(request, ChatRequest) else None
    try:
        if client.is_limited:
            check_fields(client, request.body)
            if chat is not None and chat.original is not None:
                check_own_fields(client, chat.original.own_fields)
        if not request.is_text:
            s3 = (f"s3://{name}/" for name in general.s3_buckets)
            buckets = (*s3, *(f"gs://{name}/" for name in general.gcs_buckets))
            check_addresses(request.body, buckets, () if chat is None else chat.places)
    except Forbidden as error:
        if chat is not None and chat.names is not None:
            chat.names.apply(error)
        raise
