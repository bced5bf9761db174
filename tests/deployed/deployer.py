"""
Deploys stacks to the AWS at AWS_ENDPOINT_URL, or to a real account.

It uses the CDK command line, alone or as `make deploy` does.
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import boto3

from .deployed_stack import DeployedStack
from .scripted_provider import BATCHES

ROOT = Path(__file__).parents[2]
CDK = str(ROOT / "node_modules/.bin/cdk")
CONFIG = "tests/deployed/config.yaml"
WORKERS = 4
"""Shards of a job at the same time, so that an emulator does not start a function for each."""

SMALL_ACCOUNT = "EMULATOR_ACCOUNT_CONCURRENCY"
"""If it is set, the emulator's account is as small as a new one, and that limits the workers."""

ARCHITECTURES = {"aarch64": "arm64", "arm64": "arm64"}


class Deployer:
    """Deploys and destroys stacks; the command line writes its files to `folder`."""

    def __init__(self, folder: Path, provider_url: str) -> None:
        self.endpoint = os.environ.get("AWS_ENDPOINT_URL")
        self._folder = folder
        self._provider_url = provider_url
        self._clients: dict[str, Any] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for client in self._clients.values():
            client.close()

    @property
    def is_real(self) -> bool:
        """Whether this is a real account, which costs money."""
        return self.endpoint is None

    @cached_property
    def account(self) -> str:
        return str(self.client("sts").get_caller_identity()["Account"])

    def client(self, service: str) -> Any:
        """Return a boto3 client."""
        if service not in self._clients:
            self._clients[service] = boto3.client(service)
        return self._clients[service]

    def bootstrap(self) -> None:
        """Run `cdk bootstrap`, unless the account is real: that has been bootstrapped."""
        if not self.is_real:
            region = self.client("sts").meta.region_name
            self.cdk("bootstrap", f"aws://{self.account}/{region}", cwd=self._folder)

    def deploy(self, name: str, **options: object) -> DeployedStack:
        """Deploy a stack with `cdk deploy`, or update it; return it ready for requests."""
        context = {**self._log_role(), **self._context(name, options)}
        return self._deploy(name, [CDK, "deploy"], context)

    def deploy_by_make(self, name: str, **options: object) -> DeployedStack:
        """Do the same as `make deploy` does, which keeps the account's role for logs."""
        command = [sys.executable, "-m", "scripts.aws.deploy"]
        return self._deploy(name, command, self._context(name, options))

    def _deploy(
        self, name: str, command: Sequence[str], context: Mapping[str, object]
    ) -> DeployedStack:
        outputs = self._folder / f"{name}.json"
        words = ["--require-approval", "never", "--outputs-file", str(outputs)]
        words += ["--output", str(self._synthesised(name))]
        words += [word for k, v in context.items() for word in ("-c", f"fanout:{k}={v}")]
        self._run([*command, *words])
        found: Mapping[str, str] = json.loads(outputs.read_text())[name]
        return DeployedStack(
            name, self._url(found["BaseUrl"]), self._master_key(found), self, found
        )

    def destroy(self, name: str) -> None:
        self.cdk("destroy", "--force", "--app", str(self._synthesised(name)), name)

    def delete_bucket(self, name: str) -> None:
        """Delete a stack's bucket, which `cdk destroy` keeps."""
        client = self.client("s3")
        for page in client.get_paginator("list_objects_v2").paginate(Bucket=name):
            for found in page.get("Contents", []):
                client.delete_object(Bucket=name, Key=found["Key"])
        client.delete_bucket(Bucket=name)

    def cdk(self, *words: str, cwd: Path = ROOT) -> None:
        """Run one of CDK's commands; if it fails, raise with its whole output."""
        self._run([CDK, *words], cwd)

    def _run(self, command: Sequence[str], cwd: Path = ROOT) -> None:
        tools = Path(sys.executable).parent
        env = {**os.environ, "PATH": f"{tools}{os.pathsep}{os.environ['PATH']}"}
        env["CI"] = "true"
        if not self.is_real:  # CDK caches accounts by access key in HOME; uv keeps its cache
            env.setdefault("XDG_CACHE_HOME", str(Path.home() / ".cache"))
            env.setdefault("XDG_CONFIG_HOME", str(Path.home() / ".config"))
            env["HOME"] = str(self._folder)
        done = subprocess.run(  # noqa: S603
            command,
            cwd=cwd,
            env=env,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout}\n{done.stderr}"

    def _synthesised(self, name: str) -> Path:
        return self._folder / f"{name}.out"

    def _context(self, name: str, options: Mapping[str, object]) -> dict[str, object]:
        context: dict[str, object] = {
            "stack": name,
            "config": CONFIG,
            "environment": json.dumps(self._environment),
        }
        if SMALL_ACCOUNT not in os.environ:
            context["bulk_workers"] = WORKERS
        if not self.is_real:  # an emulator runs the functions on this machine
            context["architecture"] = ARCHITECTURES.get(platform.machine(), "x86_64")
        return {**context, **options}

    @property
    def _environment(self) -> dict[str, str]:
        """The addresses of the scripted providers."""
        base = self._provider_url.removesuffix("/v1")
        return {
            "PROVIDER_URL": self._provider_url,
            "OPENAI_BATCHES_URL": f"{base}{BATCHES}/openai/v1",
            "ANTHROPIC_BATCHES_URL": f"{base}{BATCHES}/anthropic",
            "AWS_ENDPOINT_URL_BEDROCK": f"{base}{BATCHES}/bedrock",
        }

    def _log_role(self) -> dict[str, object]:
        """The option that keeps the role of a real account, if it has one."""
        if self.is_real and self.client("apigateway").get_account().get("cloudwatchRoleArn"):
            return {"api_log_role": "false"}
        return {}

    def _url(self, base_url: str) -> str:
        """Return the API's address; an emulator serves it below its own endpoint."""
        if self.is_real:
            return base_url
        api = base_url.removeprefix("https://").split(".")[0]
        return f"{self.endpoint}/restapis/{api}/v1/_user_request_"

    def _master_key(self, outputs: Mapping[str, str]) -> str:
        answer = self.client("secretsmanager").get_secret_value(SecretId=outputs["MasterKey"])
        return str(answer["SecretString"])
