"""
Calls DynamoDB with the gateway's own HTTP engine: importing boto3 would take too long.

See https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Programming.LowLevelAPI.html.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from msgspec import MsgspecError, Struct, field

from ..errors import FanoutError, MissingKey
from ..transport.credentials import Signer
from ..transport.engine import Engine, EngineError, Outgoing
from ..wire import json
from .endpoints import own_region, send_signed, service_endpoint

TIMEOUT = 1.0
"""Seconds that a call may take."""

CONDITION_FAILED = "ConditionalCheckFailedException"
SUCCESS = 200


class TableUnavailable(FanoutError):
    """DynamoDB does not respond, or rejects a call; the message has AWS's code."""

    status = 503
    type = "server_error"
    code = "table_unavailable"


class ConditionFailed(Exception):
    """The condition of a write does not hold."""


class _Rejection(Struct, frozen=True):
    code: str = field(name="__type", default="")


class DynamoDB:
    """DynamoDB in the region of the environment."""

    def __init__(self, env: Mapping[str, str], engine: Engine, signer: Signer) -> None:
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
            raise _unavailable(type(error).__name__) from None
        if response.status == SUCCESS:
            found: dict[str, Any] = json.decode(response.body)
            return found
        code = _code(response.body)
        if code == CONDITION_FAILED:
            raise ConditionFailed
        raise _unavailable(code or f"HTTP {response.status}")


def _code(body: bytes) -> str:
    """The name after the `#` of an error's `__type`."""
    try:
        return json.decode(body, type=_Rejection).code.rpartition("#")[2]
    except MsgspecError:
        return ""


def _unavailable(reason: str) -> TableUnavailable:
    return TableUnavailable(f"the gateway's table of open requests does not respond ({reason})")
