"""
The clients of S3 and DynamoDB; the only importer of boto3 here.

boto3's calls wait, so each is made in a thread. `AWS_ENDPOINT_URL` counts, as everywhere.
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
    request_checksum_calculation="when_required",  # TLS has its own
    response_checksum_validation="when_required",
)


S3 = CONFIG.merge(Config(signature_version="s3v4"))  # of addresses too


def make_client(service: str, region: str | None = None) -> Any:
    """A client that tries again when AWS is slow or says so."""
    config = S3 if service == "s3" else CONFIG
    return boto3.client(service, region_name=region, config=config)


async def call(method: Callable[..., T], **arguments: Any) -> T:
    """One call, in a thread."""
    return await asyncio.to_thread(method, **arguments)


def code_of(error: ClientError) -> str:
    """What AWS calls it."""
    return str(error.response.get("Error", {}).get("Code"))


__all__ = ["BotoCoreError", "ClientError", "call", "code_of", "make_client"]
