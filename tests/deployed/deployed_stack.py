"""A deployed stack, as its clients and its operators use it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import httpx2
import openai

if TYPE_CHECKING:
    from .deployer import Deployer

ROOT = Path(__file__).parents[2]
PRELUDE_END = b"\0" * 8
TIMEOUT = 60.0


@dataclass(frozen=True)
class Response:
    """An HTTP response, with header names in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def error(self) -> dict[str, Any]:
        """OpenAI's error object; the body has only it, and API Gateway's own a `type` beside it."""
        error = self.json["error"]
        assert {name: value for name, value in self.json.items() if name != "error"} in (
            {},
            {"type": "error"},
        )
        assert {"message", "type", "param", "code"} <= set(error), error
        found: dict[str, Any] = error
        return found


@dataclass
class DeployedStack:
    """
    A stack at `url`.

    `deployer` and CloudFormation's `outputs` are there if the suite deployed it.
    """

    name: str
    url: str
    key: str
    deployer: Deployer | None = None
    outputs: Mapping[str, str] = field(default_factory=dict)
    _open: ExitStack = field(default_factory=ExitStack)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    def sdk(self, key: str | None = None) -> openai.OpenAI:
        """Return OpenAI's client, without retries."""
        made = openai.OpenAI(
            base_url=self.url, api_key=key or self.key, max_retries=0, timeout=TIMEOUT
        )
        return self._open.enter_context(made)

    def ask(
        self, method: str, path: str, body: object = None, headers: Mapping[str, str] | None = None
    ) -> Response:
        """Send one HTTP request, with the gateway's key unless there are `headers`."""
        sent = {"authorization": f"Bearer {self.key}"} if headers is None else headers
        content = body if isinstance(body, bytes | None) else json.dumps(body).encode()
        answer = httpx2.request(
            method, f"{self.url}{path}", content=content, headers=dict(sent), timeout=TIMEOUT
        )
        return Response(answer.status_code, dict(answer.headers), answer.content)

    def chat(self, model: str, **more: object) -> Response:
        return self.ask("POST", "/chat/completions", chat_body(model, **more))

    def fanout_keys(self, *words: str, stdin: str = "") -> str:
        """Run `fanout keys …` for this stack; return its output."""
        return self.fanout("keys", *words, stdin=stdin)

    def fanout(self, *words: str, stdin: str = "") -> str:
        """Run a `fanout` command that takes `--stack`; return its output."""
        done = subprocess.run(  # noqa: S603
            [sys.executable, "-m", "fanout", *words, "--stack", self.name],
            env={**os.environ, "PYTHONPATH": str(ROOT / "shared")},
            input=stdin,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    # ---- the API function ----

    @cached_property
    def function(self) -> str:
        """The name of the function."""
        return self.resource("AWS::Lambda::Function", "Api")

    def resource(self, kind: str, part: str = "") -> str:
        """Return the name that AWS gave the only resource of a type in a part of the stack."""
        (found,) = self.resources(kind, part)
        return found

    def resources(self, kind: str, part: str = "") -> list[str]:
        """Return the names of a type; `part` is a prefix of their logical ids."""
        answer = self.aws("cloudformation").describe_stack_resources(StackName=self.name)
        resources: Sequence[Mapping[str, str]] = answer["StackResources"]
        return [
            r["PhysicalResourceId"]
            for r in resources
            if r["ResourceType"] == kind and r["LogicalResourceId"].startswith(part)
        ]

    def aws(self, service: str) -> Any:
        assert self.deployer is not None
        return self.deployer.client(service)

    def invoke(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        version: str = "live",
        request_id: str = "req-1",
        key: str | None = None,
    ) -> Response:
        """Invoke the function with the event of API Gateway, but without API Gateway."""
        headers = {"authorization": f"Bearer {key or self.key}", "content-type": "application/json"}
        event = {
            "resource": "/{proxy+}",
            "path": path,
            "httpMethod": method,
            "headers": headers,
            "multiValueHeaders": {name: [value] for name, value in headers.items()},
            "queryStringParameters": None,
            "multiValueQueryStringParameters": None,
            "body": None if body is None else json.dumps(body),
            "isBase64Encoded": False,
            "requestContext": {"requestId": request_id, "stage": "v1", "httpMethod": method},
        }
        answer = self.aws("lambda").invoke(
            FunctionName=self.function, Qualifier=version, Payload=json.dumps(event).encode()
        )
        raw = answer["Payload"].read()
        assert "FunctionError" not in answer, raw
        prelude, _, content = _text(raw).partition(PRELUDE_END)
        head = json.loads(prelude)
        return Response(head["statusCode"], head["headers"], content)

    @contextmanager
    def variant(self, *, timeout: int | None = None, **variables: str) -> Iterator[str]:
        """Publish a version with other settings for the block; clients do not reach it."""
        client = self.aws("lambda")
        old = client.get_function_configuration(FunctionName=self.function)
        known = old["Environment"]["Variables"]
        self._configure(timeout or old["Timeout"], known | variables)
        version = str(client.publish_version(FunctionName=self.function)["Version"])
        waiter = client.get_waiter("function_active_v2")
        waiter.wait(FunctionName=self.function, Qualifier=version)
        try:
            yield version
        finally:
            self._configure(old["Timeout"], known)
            client.delete_function(FunctionName=self.function, Qualifier=version)

    @contextmanager
    def live(self, version: str) -> Iterator[None]:
        """Send clients to this version for the block; all its environments are new."""
        client = self.aws("lambda")
        alias = {"FunctionName": self.function, "Name": "live"}
        old = client.get_alias(**alias)["FunctionVersion"]
        client.update_alias(**alias, FunctionVersion=version)
        try:
            yield
        finally:
            client.update_alias(**alias, FunctionVersion=old)

    def _configure(self, timeout: int, variables: Mapping[str, str]) -> None:
        client = self.aws("lambda")
        client.update_function_configuration(
            FunctionName=self.function, Timeout=timeout, Environment={"Variables": variables}
        )
        client.get_waiter("function_updated_v2").wait(FunctionName=self.function)


def chat_body(model: str, **more: object) -> dict[str, object]:
    """Return the body of a chat request."""
    return {"model": model, "messages": [{"role": "user", "content": "Hello?"}], **more}


def _text(raw: bytes) -> bytes:
    """Return the function's output; some emulators encode it as a JSON string."""
    if raw.startswith(b'"'):
        return str(json.loads(raw)).encode()
    return raw
