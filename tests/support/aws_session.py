"""A session of boto3 that tests share: to make a client without one takes a tenth of a second."""

from __future__ import annotations

from functools import cache

import boto3


@cache
def shared_session() -> boto3.Session:
    """One session for all tests, which reads botocore's models once."""
    return boto3.Session()
