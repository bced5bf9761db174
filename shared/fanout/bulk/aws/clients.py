"""
Makes boto3's clients and calls them; no other module in this folder imports boto3.

boto3's calls block, so each runs in a thread. boto3 reads `AWS_ENDPOINT_URL` by itself.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, TypeVar

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

T = TypeVar("T")

CONFIG = Config(
    retries={"mode": "standard", "max_attempts": 8},
    connect_timeout=5,
    read_timeout=60,
    max_pool_connections=50,
    request_checksum_calculation="when_required",  # TLS has its own checksums
    response_checksum_validation="when_required",
)

S3_CONFIG = CONFIG.merge(Config(signature_version="s3v4"))  # for presigned URLs as well


def make_client(service: str, region: str | None = None) -> Any:
    """A client of an AWS service that retries when AWS is slow or throttles it."""
    config = S3_CONFIG if service == "s3" else CONFIG
    return boto3.client(service, region_name=region, config=config)


async def call(method: Callable[..., T], **arguments: Any) -> T:
    """Call a client's method in a thread."""
    return await asyncio.to_thread(method, **arguments)


def error_code(error: ClientError) -> str:
    """AWS's code of an error, such as `NoSuchKey`."""
    return str(error.response.get("Error", {}).get("Code"))


__all__ = ["BotoCoreError", "ClientError", "call", "error_code", "make_client"]
