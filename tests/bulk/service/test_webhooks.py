"""A job's end is reported to its webhook, signed, and again until it is received."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

import openai
import pytest
from msgspec.structs import replace

from fanout.bulk.local.sqlite import Database
from fanout.bulk.service.batches import job_registry
from fanout.bulk.service.records import Job
from fanout.bulk.service.webhook_sender import WebhookSender
from fanout.bulk.service.webhooks import DELAYS, Webhook
from fanout.transport.engine import Outgoing
from fanout.transport.public_post import PostFailed
from tests.bulk.conftest import serve_jobs
from tests.bulk.local_jobs import jsonl, line, open_jobs, run
from tests.support.gateway_server import entry
from tests.support.provider_steps import answers, stalls
from tests.support.scripted_provider import Upstream
from tests.support.webhook_receiver import SECRET, open_receiver

from .test_openai_client import create, wait

ENV = {"WEBHOOK_SECRET": SECRET}
DAY = 24 * 3600


def hook(url: str, secret: str = "os.environ/WEBHOOK_SECRET") -> dict[str, Any]:
    return {"fanout": {"webhook": {"url": url, "secret": secret}}}


def test_each_end_of_a_batch_is_an_event_that_openais_sdk_accepts(
    upstream: Upstream, tmp_path: Path
) -> None:
    upstream.script("a", answers("secret words"))
    upstream.script("b", stalls())
    config = {
        "model_list": [entry(upstream, name) for name in "ab"],
        "general_settings": {"webhook_secrets": ["WEBHOOK_SECRET"]},
    }
    with (
        open_receiver() as receiver,
        serve_jobs(config, tmp_path / "home", ENV) as server,
        openai.OpenAI(api_key="any", base_url=f"{server.url}/v1", max_retries=0) as client,
    ):
        for name in ("os.environ/HOME", "whsec_plain"):  # no names of the config
            with pytest.raises(openai.BadRequestError, match="webhook_secrets"):
                create(client, line("x"), extra_body=hook(receiver.url, name))
        more: Any = hook(receiver.url)
        ends = []
        for data, is_cancelled in (
            (jsonl([line("x", text="secret prompt")]), False),
            (b"{oops", False),
            (jsonl([line("y", "b")]), True),
        ):
            batch = create(client, data, extra_body=more)
            if is_cancelled:
                upstream.wait_called("b")
                client.batches.cancel(batch.id)
            ends.append(wait(client, batch))
            event = receiver.wait(len(ends))[-1]
            assert (event.type, event.data.id) == (f"batch.{ends[-1].status}", batch.id)
        assert [one.status for one in ends] == ["completed", "failed", "cancelled"]
        for _, headers, body in receiver.requests:
            assert headers["webhook-id"].startswith("evt_")
            assert b"secret" not in body
        upstream.wait(lambda: _webhook(client, ends[0].id)["delivered_at"] is not None)
        shown = _webhook(client, ends[0].id)
        assert (shown["url"], shown["attempts"], shown["error"]) == (receiver.url, 1, None)
    for path in (tmp_path / "home").rglob("*"):
        assert path.is_dir() or SECRET.encode() not in path.read_bytes()


def _webhook(client: openai.OpenAI, job_id: str) -> Any:
    fanout: Any = client.batches.retrieve(job_id).to_dict()["fanout"]
    return fanout["webhook"]


def test_a_webhook_is_attempted_again_after_a_restart(tmp_path: Path) -> None:
    start = time.time()

    async def main() -> None:
        with open_receiver() as receiver:
            receiver.statuses = [503]
            webhook = Webhook(url=receiver.url, secret="WEBHOOK_SECRET")
            async with open_jobs(tmp_path, env=ENV) as jobs:
                job = await jobs.wait(await jobs.create(line("x"), webhook=webhook))
                await asyncio.to_thread(receiver.wait, 1)
                assert "127.0.0.1" not in repr(job)
            async with open_jobs(tmp_path, env=ENV, now=lambda: start + 60) as jobs:
                await asyncio.to_thread(_wait_for_two, receiver)

                async def is_delivered() -> bool:
                    found = (await jobs.job(job)).webhook
                    return found is not None and found.delivered_at is not None

                await jobs.wait_until(is_delivered)
            first, second = receiver.requests
            assert first[1]["webhook-id"] == second[1]["webhook-id"]
            assert first[2] == second[2]

    run(main())


def _wait_for_two(receiver: Any) -> None:
    with receiver.changed:
        assert receiver.changed.wait_for(lambda: len(receiver.requests) == 2, timeout=60)


OVER = Job(
    id="batch_1",
    host="serve",
    owner="master",
    input_file_id="f",
    input_key="f",
    completion_window="24h",
    created_at=1,
    expires_at=2,
    status="expired",
    expired_at=2,
    webhook=Webhook(url="https://hooks.test/x", secret="S"),
)


class Sender:
    """A sender with a clock and a scripted network; `sent` has each request with its time."""

    def __init__(self, path: Path, outcomes: Callable[[], int]) -> None:
        self.now = 1_000.0
        self.sent: list[tuple[float, Outgoing]] = []
        self._outcomes = outcomes
        self.database = Database(path)
        self.jobs = job_registry(self.database)
        self.secrets: Sequence[str] = ("one",)

    def open(self) -> WebhookSender:
        """A process that delivers."""
        return WebhookSender(self.jobs, self._secrets, self._post, lambda: self.now)

    async def _secrets(self, _name: str) -> Sequence[str]:
        return self.secrets

    async def _post(self, request: Outgoing) -> int:
        self.sent.append((self.now, request))
        await asyncio.sleep(0)
        return self._outcomes()

    async def to_the_end(self) -> Webhook:
        """Attempt until there is nothing to attempt, by a new process each time."""
        while (pause := await self.open().attempt(OVER.id)) is not None:
            self.now += pause
        webhook = (await self.jobs.find(OVER.id, None)).webhook
        assert webhook is not None
        return webhook


def _fails() -> int:
    raise PostFailed("no connection")


def test_a_webhook_is_attempted_for_a_day_with_one_id(tmp_path: Path) -> None:
    every = len(DELAYS) + 1
    cases: list[tuple[str, Callable[[], int], int, str | None]] = [
        ("always down", _fails, every, "no connection"),
        ("always 500", lambda: 500, every, "the response has the status 500"),
        ("a redirect", lambda: 302, every, "the response has the status 302"),
        ("gone", lambda: 410, 1, "the response has the status 410"),
        ("received", lambda: 204, 1, None),
    ]

    async def attempts(name: str, outcome: Callable[[], int]) -> tuple[Sender, Webhook]:
        sender = Sender(tmp_path / name / "jobs.sqlite", outcome)
        await sender.jobs.create(OVER.id, OVER)
        webhook = await sender.to_the_end()
        assert await sender.jobs.all_open() == []
        sender.database.close()
        return sender, webhook

    for name, outcome, count, error in cases:
        sender, webhook = run(attempts(name, outcome))
        assert (len(sender.sent), webhook.attempts, webhook.error) == (count, count, error), name
        assert (webhook.delivered_at is None, webhook.failed_at is None) == (
            error is not None,
            error is None,
        ), name
        assert {request.headers["webhook-id"] for _, request in sender.sent} == {"evt_1"}, name
        times = [request.headers["webhook-timestamp"] for _, request in sender.sent]
        assert times == [str(int(at)) for at, _ in sender.sent], name
        if count == every:
            assert 0.95 * DAY < sender.sent[-1][0] - sender.sent[0][0] < DAY, name


def test_an_attempt_is_made_by_one_process_and_again_if_that_dies(tmp_path: Path) -> None:
    async def main() -> None:
        sender = Sender(tmp_path / "jobs.sqlite", lambda: 500)
        await sender.jobs.create(OVER.id, OVER)
        async with asyncio.TaskGroup() as group:
            for _ in range(5):
                group.create_task(sender.open().attempt(OVER.id))
        assert len(sender.sent) == 1

        killed: Callable[[Outgoing], Awaitable[int]] = _hang
        sender.now += DELAYS[0]
        dying = WebhookSender(sender.jobs, sender._secrets, killed, lambda: sender.now)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await dying.attempt(OVER.id)
        pause = await sender.open().attempt(OVER.id)
        assert pause is not None
        assert 0 < pause <= 60
        sender.now += pause
        await sender.open().attempt(OVER.id)
        assert len(sender.sent) == 2
        sender.database.close()

    run(main())


async def _hang(_: Outgoing) -> int:
    await asyncio.Event().wait()
    return 0


def test_a_secret_may_be_missing_wrong_or_two(tmp_path: Path) -> None:
    async def main() -> None:
        sender = Sender(tmp_path / "jobs.sqlite", lambda: 500)
        await sender.jobs.create(OVER.id, OVER)
        for secrets, said in (
            ((), "the secret `S` has no value"),
            (("whsec_§",), "the secret `S` begins with `whsec_` and is not base64"),
        ):
            sender.secrets = secrets
            pause = await sender.open().attempt(OVER.id)
            found = (await sender.jobs.find(OVER.id, None)).webhook
            assert found is not None
            assert (found.error, sender.sent) == (said, [])
            sender.now += pause or 0
        sender.secrets = ("old", "new")
        await sender.open().attempt(OVER.id)
        ((_, request),) = sender.sent
        assert request.headers["webhook-signature"].count("v1,") == 2
        sender.database.close()

    run(main())


def test_a_webhook_that_may_not_be_used_is_a_400_that_names_the_field(
    upstream: Upstream, tmp_path: Path
) -> None:
    config = {
        "model_list": [entry(upstream, "a")],
        "general_settings": {"master_key": "sk-m", "webhook_secrets": ["WEBHOOK_SECRET"]},
    }
    good = "https://hooks.example.com/x?y=1"
    cases = [
        ("http://hooks.example.com/", "WEBHOOK_SECRET", "url` must begin with `https://`"),
        ("http://127.0.0.1:9/", "WEBHOOK_SECRET", "url` must begin with `https://`"),
        ("https://a..b/h", "WEBHOOK_SECRET", "url` has no possible host name"),
        (f"https://{'x' * 64}.example.com/", "WEBHOOK_SECRET", "url` has no possible host name"),
        ("https://localhost/", "WEBHOOK_SECRET", "url` must be a public address"),
        ("https://169.254.169.254/latest/", "WEBHOOK_SECRET", "url` must be a public address"),
        ("https://[::ffff:10.0.0.1]/", "WEBHOOK_SECRET", "url` must be a public address"),
        ("https://user:pw@hooks.example.com/", "WEBHOOK_SECRET", "url` must have no user"),
        ("https://hooks.example.com:99999/", "WEBHOOK_SECRET", "url` is not a URL"),
        ("ftp://hooks.example.com/", "WEBHOOK_SECRET", "url` must be an `https` URL"),
        ("https://hooks.example.com/ä", "WEBHOOK_SECRET", "url` must be an `https` URL"),
        (good, "OPENAI_API_KEY", "secret` must be one of the gateway's"),
        (good, "os.environ/OTHER", "secret` must be one of the gateway's"),
        (good, SECRET, "secret` must be the name of a secret"),
    ]
    failures = []
    with (
        serve_jobs(config, tmp_path / "home", ENV) as server,
        openai.OpenAI(api_key="sk-m", base_url=f"{server.url}/v1", max_retries=0) as client,
    ):
        for url, secret, said in cases:
            try:
                create(client, line("x"), extra_body=hook(url, secret))
            except openai.BadRequestError as error:
                if said in error.message and SECRET not in error.message:
                    continue
                failures.append(f"{url} {secret}: {error.message}")
            else:
                failures.append(f"{url} {secret}: accepted")
        assert failures == []
        more: Any = {"fanout": {"webhook": {"url": good, "secrets": "x"}}}
        with pytest.raises(openai.BadRequestError, match="did you mean `secret`"):
            create(client, line("x"), extra_body=more)
        assert client.batches.list().data == []


def test_a_retry_reports_its_own_end() -> None:
    sent = replace(OVER.webhook or Webhook(url="", secret=""), attempts=3, delivered_at=9)
    assert sent.restarted() == OVER.webhook
