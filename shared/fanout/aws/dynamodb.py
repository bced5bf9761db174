"""
Calls DynamoDB with the gateway's own HTTP engine: importing boto3 would take too long.

See https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Programming.LowLevelAPI.html.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from msgspec import MsgspecError, Struct, field

from ..config.aws_services import service_endpoint
from ..errors import FanoutError, MissingKey
from ..transport.credentials import Signer
from ..transport.engine import Engine, EngineError, Outgoing
from ..wire import json
from .endpoints import own_region, send_signed

TIMEOUT = 1.0
"""Seconds that a call may take."""

CONDITION_FAILED = "ConditionalCheckFailedException"
SUCCESS = 200


class TableUnavailable(FanoutError):
    """DynamoDB does not respond, or rejects a call; the message has AWS's code (`reason`)."""

    status = 503
    type = "server_error"
    code = "table_unavailable"

    def __init__(self, message: str, reason: str = "") -> None:
        super().__init__(message)
        self.reason = reason


class ConditionFailed(Exception):
    """The condition of a write does not hold; `item` is the old one, if the call asked for it."""

    def __init__(self, item: Mapping[str, Any] | None = None) -> None:
        super().__init__("the condition of a write does not hold")
        self.item = item


class _Rejection(Struct, frozen=True):
    code: str = field(name="__type", default="")
    item: dict[str, Any] | None = field(name="Item", default=None)


class DynamoDB:
    """DynamoDB in the region of the environment; `use` is what its table is for, for errors."""

    def __init__(
        self,
        env: Mapping[str, str],
        engine: Engine,
        signer: Signer,
        use: str = "table of open requests",
    ) -> None:
        self._use = use
        self._region = own_region(env)
        self._url = f"{service_endpoint(env, 'dynamodb', self._region)}/"
        self._engine = engine
        self._signer = signer

    async def call(self, operation: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """
        The response to an operation, such as `GetItem`.

        Raises `TableUnavailable`, or `ConditionFailed` for a write with a condition.
        """
        headers = {
            "content-type": "application/x-amz-json-1.0",
            "x-amz-target": f"DynamoDB_20120810.{operation}",
        }
        request = Outgoing("POST", self._url, headers, json.encode(arguments))
        try:
            async with asyncio.timeout(TIMEOUT):
                response = await send_signed(
                    self._engine, self._signer, "dynamodb", self._region, request
                )
        except (EngineError, MissingKey, TimeoutError) as error:
            raise self._unavailable(type(error).__name__) from None
        if response.status == SUCCESS:
            found: dict[str, Any] = json.decode(response.body)
            return found
        rejection = _rejection(response.body)
        code = rejection.code.rpartition("#")[2]
        if code == CONDITION_FAILED:
            raise ConditionFailed(rejection.item)
        raise self._unavailable(code or f"HTTP {response.status}")

    def _unavailable(self, reason: str) -> TableUnavailable:
        return TableUnavailable(f"the gateway's {self._use} does not respond ({reason})", reason)


def _rejection(body: bytes) -> _Rejection:
    """The error's `__type`, and the item of a condition that does not hold."""
    try:
        return json.decode(body, type=_Rejection)
    except MsgspecError:
        return _Rejection()
