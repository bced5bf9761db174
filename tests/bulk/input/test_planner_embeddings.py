"""Lines for embeddings are checked by themselves: their models need no price of output."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator

from fanout.bulk.costs import Costs
from fanout.bulk.input.lines import BadLine
from fanout.bulk.input.planner import Plan, plan
from fanout.config.load import check
from fanout.config.resolve import resolve


def line(number: int, url: str, body: dict[str, object]) -> bytes:
    fields = {"custom_id": f"n{number}", "method": "POST", "url": url, "body": body}
    return json.dumps(fields).encode() + b"\n"


def test_a_model_with_a_price_of_input_alone_is_for_embeddings_and_not_for_chats() -> None:
    params = {"model": "openai/own", "api_key": "k", "input_cost_per_token": 0.1}
    config = {"model_list": [{"model_name": "own", "litellm_params": params}]}
    costs = Costs(resolve(check(config, {}), {}))

    def checked(*, has_output: bool) -> None:
        if costs.unpriced("own", has_output=has_output) is not None:
            raise BadLine("price_not_found", "no price", "max_cost_usd")

    async def read() -> AsyncIterator[bytes]:
        yield line(1, "/v1/embeddings", {"model": "own", "input": "a"})
        messages = [{"role": "user", "content": "a"}]
        yield line(2, "/v1/chat/completions", {"model": "own", "messages": messages})
        yield line(3, "/v1/embeddings", {"model": "own", "input": "b"})

    async def planned() -> Plan:
        return await plan(
            read,
            lambda _: None,
            default_model=None,
            check=lambda _: checked(has_output=True),
            check_embedding=lambda _: checked(has_output=False),
        )

    found = asyncio.run(planned())
    assert [(one.code, one.line) for one in found.errors] == [("price_not_found", 2)]
    assert found.models["own"] == 3
    assert found.names == {"own"}
