"""The stack that the smoke test calls: its address, key, client and resources."""

from __future__ import annotations

import os
import sys
import time
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import boto3
import httpx2
import openai
from botocore.exceptions import BotoCoreError, ClientError

PROMPT = "Count from 1 to 40, one number a line."


SDK_TIMEOUT = 300.0


@dataclass
class Stack:
    """A deployed stack, with the ids of the requests that were sent since `began`."""

    name: str
    url: str
    key: str
    model: str = ""
    request_ids: list[str] = field(default_factory=list)
    began: float = field(default_factory=time.time)
    client: httpx2.Client = field(
        default_factory=lambda: httpx2.Client(
            timeout=SDK_TIMEOUT, limits=httpx2.Limits(max_connections=None)
        )
    )
    """It keeps its connection, so that a check does not measure how long one takes."""

    def send(
        self, method: str, path: str, body: bytes | None = None, *, key: str | None = None
    ) -> httpx2.Response:
        """Send a request; return its response."""
        headers = {"authorization": f"Bearer {key or self.key}", "content-type": "application/json"}
        return self.client.request(method, f"{self.url}{path}", content=body, headers=headers)

    def seconds_without_function(self) -> float:
        """Return how long API Gateway takes to reject a path outside the stage, at best."""
        parts = urlsplit(self.url)
        url = f"{parts.scheme}://{parts.netloc}/no-such-stage"
        return min(self.client.get(url).elapsed.total_seconds() for _ in range(5))

    def chat(self, *, stream: bool) -> dict[str, Any]:
        """Return the arguments of a chat request for the client's `request` and `stream`."""
        body = {"model": self.model, "stream": stream, "max_tokens": 200}
        return {
            "method": "POST",
            "url": f"{self.url}/chat/completions",
            "json": body | {"messages": [{"role": "user", "content": PROMPT}]},
            "headers": {"authorization": f"Bearer {self.key}"},
        }

    def sdk(self) -> openai.OpenAI:
        return openai.OpenAI(base_url=self.url, api_key=self.key, timeout=SDK_TIMEOUT)


def open_stack(name: str, region: str | None, profile: str | None) -> Stack:
    """Return the stack, or exit with one line that says what is wrong and what to do."""
    try:
        boto3.setup_default_session(region_name=region, profile_name=profile)
        return find(name)
    except (BotoCoreError, ClientError) as error:
        where = region or (boto3.DEFAULT_SESSION and boto3.DEFAULT_SESSION.region_name)
        sys.exit(
            f"make smoke: the stack `{name}` cannot be read in the region `{where or 'none'}`: "
            f'{error}. Name them with STACK=… and ARGS="--region … --profile …".'
        )


def find(name: str) -> Stack:
    """Return the stack, with its address and its key; raises boto3's errors."""
    found = boto3.client("cloudformation").describe_stacks(StackName=name)["Stacks"][0]
    outputs = {one["OutputKey"]: one["OutputValue"] for one in found["Outputs"]}
    url: str = outputs["BaseUrl"]
    if endpoint := os.environ.get("AWS_ENDPOINT_URL"):  # an emulator serves the API below itself
        api = url.removeprefix("https://").split(".")[0]
        url = f"{endpoint}/restapis/{api}/v1/_user_request_"
    secret = boto3.client("secretsmanager").get_secret_value(SecretId=outputs["MasterKey"])
    return Stack(name, url, secret["SecretString"])


def resources_of(stack: Stack, kind: str, part: str) -> list[str]:
    """Return the names of a type; `part` is a prefix of their logical ids."""
    found = boto3.client("cloudformation").describe_stack_resources(StackName=stack.name)
    return [
        resource["PhysicalResourceId"]
        for resource in found["StackResources"]
        if resource["ResourceType"] == kind and resource["LogicalResourceId"].startswith(part)
    ]


def error_text(response: httpx2.Response) -> str:
    """The status, and the code and the message of OpenAI's error object."""
    try:
        error = response.json()["error"]
        return f"{response.status_code} {error['code']} ({error['message'][:200]})"
    except (ValueError, KeyError, TypeError):
        return f"{response.status_code} no error object: {response.text[:100]!r}"
