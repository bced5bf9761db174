"""The function that delivers webhooks: one attempt for each invocation, with its own secret."""

from __future__ import annotations

import importlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto import mock_aws
from msgspec.structs import replace

from fanout.bulk.aws.dynamodb import DynamoTable
from fanout.bulk.service.batches import job_registry
from fanout.bulk.service.webhooks import Webhook
from tests.bulk.local_jobs import run
from tests.bulk.service.test_webhooks import OVER
from tests.support.api_function import ENV, write_config
from tests.support.aws_session import shared_session
from tests.support.webhook_receiver import SECRET, open_receiver

NAMES: list[str] = []


class _Secrets(BaseHTTPRequestHandler):
    """Secrets Manager, as far as `GetSecretValue` goes."""

    def do_POST(self) -> None:
        NAMES.append(json.loads(self.rfile.read(int(self.headers["content-length"])))["SecretId"])
        body = json.dumps({"SecretString": SECRET}).encode()
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Print nothing."""


@contextmanager
def secrets_manager() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), _Secrets) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_an_invocation_makes_one_attempt_and_says_when_the_next_one_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    general = {"webhook_secrets": ["HOOK"], "webhook_private_addresses": True}
    config = write_config(tmp_path, "http://127.0.0.1:9/v1", general)
    with mock_aws(), secrets_manager() as address, open_receiver() as receiver:
        own = {"FANOUT_CONFIG": config, "FANOUT_FILE_DAYS": "30", "AWS_DEFAULT_REGION": "eu-west-1"}
        for name, value in (ENV | own | {"AWS_ENDPOINT_URL_SECRETS_MANAGER": address}).items():
            monkeypatch.setenv(name, value)
        monkeypatch.setattr(boto3, "DEFAULT_SESSION", shared_session())
        client = boto3.client("dynamodb")
        keys = [("kind", "HASH"), ("id", "RANGE")]
        client.create_table(
            TableName="records",
            BillingMode="PAY_PER_REQUEST",
            AttributeDefinitions=[{"AttributeName": k, "AttributeType": "S"} for k, _ in keys],
            KeySchema=[{"AttributeName": k, "KeyType": kind} for k, kind in keys],
        )
        job = replace(OVER, webhook=Webhook(url=receiver.url, secret="HOOK"))
        jobs = job_registry(DynamoTable(client, "records"))
        run(jobs.create(job.id, job))
        receiver.statuses = [500]
        handler: Any = importlib.import_module("functions.bulk.webhook").handler
        first = handler({"job": job.id}, None)
        assert (first["next"], 4 <= first["wait"] <= 6) == ("wait", True)
        assert handler({"job": job.id}, None)["next"] == "wait"  # it is not due
        due = replace(job, webhook=Webhook(url=receiver.url, secret="HOOK"))
        run(jobs.change(job.id, lambda _: due))
        assert handler({"job": job.id}, None)["next"] == "done"
        assert handler({"job": "batch_gone"}, None)["next"] == "done"
        assert [event.type for event in receiver.wait(2)] == ["batch.expired"] * 2
    assert set(NAMES) == {"x/HOOK"}
