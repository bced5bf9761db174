"""What a job may ask for, what a quote says of it, and the text of line numbers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from re import escape
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai import OpenAI

from fanout.bulk.input.quote import quote
from fanout.bulk.lanes import choose_native
from fanout.bulk.native.numbers import pack, unpack
from fanout.bulk.native.quoted_batches import QuotedBatches, QuotedJob
from fanout.config.catalog import Catalog
from fanout.config.load import check
from fanout.config.resolve import resolve
from fanout.errors import ConfigError, RequestError
from fanout.gateway.gateway import prepare
from tests.bulk.conftest import serve_jobs
from tests.bulk.local_jobs import line
from tests.bulk.native.native_jobs import config


def test_a_host_without_batches_refuses_them_and_names_the_field() -> None:
    assert choose_native(None, "auto", has_batches=False) == "never"
    assert choose_native(None, "native", has_batches=True) == "auto"
    for given_choice, lane, param in [
        (None, "native", "fanout.lane"),
        ("auto", "auto", "fanout.native"),
        ("require", "native", "fanout.native"),
    ]:
        with pytest.raises(RequestError, match="deploy it again") as raised:
            choose_native(given_choice, lane, has_batches=False)  # type: ignore[arg-type]
        assert raised.value.param == param


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"native_batches": True}, "`native_batches: true` needs `batch_deployment`"),
        ({"batch_deployment": "chat"}, "`batch_deployment` is the same as `model` (`chat`)"),
        ({"batch_deployment": "chat", "native_batches": False}, None),
        ({"batch_deployment": "other", "native_batches": True}, None),
    ],
)
def test_a_deployment_for_batches_is_not_the_one_for_real_time(
    params: dict[str, Any], message: str | None
) -> None:
    """Azure has deployments of its own for batches, which take no calls in real time."""
    entry = {"model": "azure/chat", "api_base": "https://r.openai.azure.com", "api_key": "k"}
    settings = {"model_list": [{"model_name": "a", "litellm_params": entry | params}]}
    with nullcontext() if message is None else pytest.raises(ConfigError, match=escape(message)):
        resolve(check(settings, {}), {})


def test_the_quote_has_the_price_of_batches() -> None:
    data = line("a", "openai", max_tokens=100) + b"\n" + line("b", "openai", store=False) + b"\n"

    async def read() -> AsyncIterator[bytes]:
        yield data

    catalog = resolve(check(config(), {}), {})
    found = asyncio.run(
        quote(
            read,
            default_model=None,
            catalog=catalog,
            check=lambda _: None,
            lane="native",
            native="auto",
            batches=batches_of(catalog, QuotedJob("native", "auto", DAY)),
        )
    )
    native, realtime = found.lanes["native"], found.lanes["realtime"]
    assert (native.lines, native.latency, realtime.lines) == (1, "hours", 2)
    assert native.cost_high is not None
    assert realtime.cost_high is not None
    assert native.cost_high < realtime.cost_high
    assert found.cost_high == native.cost_high


DAY = 24 * 3600.0


def batches_of(catalog: Catalog, job: QuotedJob) -> QuotedBatches:
    return QuotedBatches(catalog, partial(prepare, catalog), catalog.client("master"), job, 0.0)


AUTO: dict[str, tuple[dict[str, Any], int]] = {
    "cheap lines": ({"count": 3}, 0),  # 18 cents
    "dear lines": ({"count": 3, "max_tokens": 100}, 3),
    "too short a window": ({"count": 3, "max_tokens": 100, "window": 5 * 3600.0}, 0),
    "asked for": ({"count": 3, "lane": "native"}, 3),
    "asked for with a short window": ({"count": 3, "lane": "native", "window": 5 * 3600.0}, 3),
    "fewer lines than a batch has": ({"count": 99, "lane": "native", "model": "bedrock"}, 0),
    "as many lines as a batch has": ({"count": 100, "lane": "native", "model": "bedrock"}, 100),
    "a cap": ({"count": 5_002, "lane": "native", "max_cost": 3 * 10**9}, 500),
    "never": ({"count": 3, "native": "never"}, 0),
}


@pytest.mark.parametrize("name", AUTO)
def test_the_quote_has_the_lines_that_the_job_would_send_by_batches(name: str) -> None:
    """With `auto` a batch must save five cents and the window be long enough."""
    given, expected = AUTO[name]
    usual: dict[str, Any] = {"lane": "auto", "native": "auto", "window": DAY, "max_cost": None}
    options = {"model": "openai", "max_tokens": 1, **usual, **given}
    data = b"".join(
        line(f"n{n}", options["model"], text="x", max_tokens=options["max_tokens"]) + b"\n"
        for n in range(options["count"])
    )

    async def read() -> AsyncIterator[bytes]:
        yield data

    settings = config()
    for one in settings["model_list"]:
        one["litellm_params"] |= {"input_cost_per_token": 1e-4, "output_cost_per_token": 1e-3}
    catalog = resolve(check(settings, {}), {})
    job = QuotedJob(options["lane"], options["native"], options["window"], options["max_cost"])
    found = asyncio.run(
        quote(
            read,
            default_model=None,
            catalog=catalog,
            check=lambda _: None,
            lane=job.lane,
            native=job.native,
            batches=batches_of(catalog, job),
        )
    )
    assert found.native_lines == expected
    assert found.cost_high is not None
    price = found.lanes["realtime"].cost_high
    assert price is not None
    share = expected / options["count"]
    assert found.cost_high == pytest.approx(price * (1 - share / 2), rel=1e-3)


def test_the_quote_of_a_job_that_requires_batches_names_how_many_lines_cannot_go_by_them(
    tmp_path: Path,
) -> None:
    """Over HTTP, where only `fanout.native` says so."""
    with (
        serve_jobs(config(), tmp_path / "home") as server,
        OpenAI(base_url=f"{server.url}/v1", api_key="none", max_retries=0) as client,
    ):
        data = line("a", "openai", max_tokens=100) + b"\n" + line("b", "openai", store=False)
        file = client.files.create(file=("x.jsonl", data), purpose="batch")

        def quoted(**fanout: str) -> Any:
            body: Any = {"input_file_id": file.id, "endpoint": "/v1/chat/completions"}
            body |= {"completion_window": "24h", "dry_run": True, "fanout": fanout}
            return client.post("/batches", body=body, cast_to=object)

        found = quoted(native="require")
        (error,) = found["errors"]
        assert (error["code"], error["param"]) == ("native_not_possible", "fanout.native")
        assert error["message"].startswith("1 line cannot go by")
        assert (found["lane"], found["native"], found["native_lines"]) == ("auto", "require", 1)
        assert found["cost_high"] == found["lanes"]["native"]["cost_high"]
        assert quoted(native="auto", lane="native")["errors"] == []


@given(st.sets(st.integers(1, 60)))
def test_line_numbers_are_the_same_after_their_text(numbers: set[int]) -> None:
    assert unpack(pack(sorted(numbers))) == sorted(numbers)
