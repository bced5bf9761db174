"""A router over a scripted engine: one group `m` with a deployment for each host."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from fanout.config.load import check
from fanout.config.resolve import resolve
from fanout.gateway.factory import make_transport
from fanout.routing.leg import Leg
from fanout.routing.router import Router
from fanout.schema.request import ChatRequest
from fanout.schema.validation import parse_chat
from fanout.settings import Settings
from fanout.telemetry.observers import AttemptRecord, DecisionRecord, RequestRecord
from tests.support.scripted_engine import Script, ScriptedEngine

HELLO = parse_chat({"messages": [{"role": "user", "content": "Hi"}]})


class RecordingObserver:
    """An observer that keeps the records of attempts."""

    def __init__(self) -> None:
        self.attempts: list[AttemptRecord] = []

    def attempt(self, record: AttemptRecord) -> None:
        self.attempts.append(record)

    def request(self, record: RequestRecord) -> None:
        raise AssertionError("a router does not record requests")

    def decision(self, record: DecisionRecord) -> None:
        raise AssertionError("a router does not record decisions")

    def unexpected_error(self, request_id: str, error: BaseException) -> None:
        raise AssertionError("there is no bug here")


class Harness:
    """The router, its engine, and the records of its attempts."""

    def __init__(
        self,
        *,
        params: Mapping[str, Mapping[str, Any]] = {},
        router_settings: Mapping[str, Any] = {},
        litellm_settings: Mapping[str, Any] = {},
        rng: float = 0.0,
        **hosts: Script | Sequence[Script],
    ) -> None:
        entries = [
            {
                "model_name": "m",
                "litellm_params": {
                    "model": "openai/theirs",
                    "api_base": f"http://{host}.test/v1",
                    "api_key": "sk-1",
                    **params.get(host, {}),
                },
            }
            for host in hosts
        ]
        config = check(
            {
                "model_list": entries,
                "router_settings": dict(router_settings),
                "litellm_settings": dict(litellm_settings),
            },
            {},
        )
        self.engine = ScriptedEngine(**hosts)
        self.observer = RecordingObserver()
        transport = make_transport(Settings(), self.engine)
        self.router = Router(
            resolve(config, {}), transport, observer=self.observer, rng=lambda: rng
        )

    async def ask(self, leg: Leg | None = None, request: ChatRequest = HELLO) -> str:
        """The text of a plain response."""
        return content(await self.router.chat(leg or Leg("m", "r"), request))

    async def ask_by_stream(self, leg: Leg | None = None, request: ChatRequest = HELLO) -> str:
        """The text of a response that was collected from a stream."""
        return content(await self.router.chat_by_stream(leg or Leg("m", "r"), request))

    async def read(self, leg: Leg | None = None, request: ChatRequest = HELLO) -> str:
        """The text of a streamed response."""
        async with self.router.stream(leg or Leg("m", "r"), request) as chunks:
            return "".join([chunk_text(chunk) async for chunk in chunks])

    @property
    def outcomes(self) -> list[tuple[str, str | None, int | None]]:
        """`(outcome, error, status)` of each attempt."""
        return [(record.outcome, record.error, record.status) for record in self.observer.attempts]


def content(completion: Any) -> str:
    text: str = completion["choices"][0]["message"]["content"]
    return text


def chunk_text(chunk: Any) -> str:
    return "".join(choice["delta"].get("content") or "" for choice in chunk["choices"])
