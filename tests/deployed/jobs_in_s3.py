"""The double of Bedrock's batch jobs, whose objects are in the bucket of the stack under test."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote

from fanout.wire.http import WireRequest, WireResponse
from tests.support.native_doubles.bedrock_double import BedrockDouble


class _Objects(dict[str, bytes]):
    """The objects of S3, by their addresses."""

    def __init__(self, client: Any) -> None:
        super().__init__()
        self._client = client

    def get(self, address: str, default: Any = None) -> Any:
        """The content of an object, which exists."""
        bucket, _, key = address.removeprefix("s3://").partition("/")
        return self._client.get_object(Bucket=bucket, Key=key)["Body"].read()


class JobsInS3(BedrockDouble):
    """A poll that finds a job over stores its output. `roles` are those that jobs were given."""

    def __init__(self, client: Any, **options: Any) -> None:
        super().__init__(**options)
        self._client = client
        self.objects = _Objects(client)
        self.roles: set[str] = set()

    def create(self, request: WireRequest, names: Mapping[str, str]) -> WireResponse:
        """Create a job, and note its role."""
        self.roles.add(json.loads(request.body)["roleArn"])
        return super().create(request, names)

    def poll(self, request: WireRequest, names: Mapping[str, str]) -> WireResponse:
        """A job; its output is stored when it is over."""
        response = super().poll(request, names)
        job = self.found(unquote(names["id"]))
        if job.is_over(self.clock()):
            bucket, _, key = self.output_of(job).removeprefix("s3://").partition("/")
            found = self.result(job, self.output_of(job))
            if found is not None:
                self._client.put_object(Bucket=bucket, Key=key, Body=found.body)
        return response
