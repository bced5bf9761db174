"""A gateway over a scripted engine, with a model name for each host."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from fanout.config.load import check
from fanout.config.resolve import resolve
from fanout.gateway.factory import make_transport
from fanout.gateway.gateway import Gateway
from fanout.gateway.run import Context, GatewayResponse, ResponseStream
from fanout.routing.router import Router
from fanout.schema.fanout import parse_request
from fanout.settings import Settings
from fanout.telemetry.observers import NullObserver
from tests.support.scripted_engine import Script, ScriptedEngine

HELLO = [{"role": "user", "content": "Hi"}]


class Harness:
    """The gateway and its engine. Deployments are not retried, unless `params` set it."""

    def __init__(
        self,
        *,
        params: Mapping[str, Mapping[str, Any]] = {},
        router_settings: Mapping[str, Any] = {},
        general_settings: Mapping[str, Any] = {},
        **hosts: Script | Sequence[Script],
    ) -> None:
        config = {
            "model_list": [
                {
                    "model_name": host,
                    "litellm_params": {
                        "model": "openai/theirs",
                        "api_base": f"http://{host}.test/v1",
                        "api_key": "sk-1",
                        "num_retries": 0,
                        **params.get(host, {}),
                    },
                }
                for host in hosts
            ],
            "router_settings": dict(router_settings),
            "general_settings": dict(general_settings),
        }
        self.engine = ScriptedEngine(**hosts)
        catalog = resolve(check(config, {}), {})
        transport = make_transport(Settings(), self.engine)
        router = Router(catalog, transport, observer=NullObserver(), rng=lambda: 0.0)
        self.gateway = Gateway(catalog, router, now=lambda: 1_000.5)

    async def ask(self, model: str, *, deadline: float | None = None, **body: Any) -> Any:
        """The body of the response to a request with these fields."""
        return (await self.respond(model, deadline=deadline, **body)).body

    async def respond(
        self, model: str, *, deadline: float | None = None, **body: Any
    ) -> GatewayResponse:
        """The response to a request with these fields."""
        request = parse_request({"model": model, "messages": HELLO, **body})
        return await self.gateway.chat(request, Context("req_1", deadline=deadline))

    async def read(self, model: str, *, deadline: float | None = None, **body: Any) -> list[Any]:
        """Every chunk of the streamed response."""
        return (await self.opened(model, deadline=deadline, **body))[1]

    async def opened(
        self, model: str, *, deadline: float | None = None, **body: Any
    ) -> tuple[ResponseStream, list[Any]]:
        """The streamed response, and every chunk of it."""
        request = parse_request({"model": model, "messages": HELLO, "stream": True, **body})
        async with self.gateway.stream(request, Context("req_1", deadline=deadline)) as stream:
            return stream, [chunk async for chunk in stream.chunks]


def contents(body: Any) -> list[str | None]:
    """The content of each choice."""
    return [choice["message"]["content"] for choice in body["choices"]]


def stream_text(chunks: Sequence[Any]) -> str:
    """The content of all chunks, in order."""
    deltas = [choice["delta"] for chunk in chunks for choice in chunk["choices"]]
    return "".join(delta.get("content") or "" for delta in deltas)


def outcomes(report: Any) -> list[tuple[str, str]]:
    """`(model, outcome)` of each attempt of a report."""
    return [(attempt["model"], attempt["outcome"]) for attempt in report["attempts"]]
