"""Fixtures: one browser for all tests; a gateway and an empty tab for each test."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.support.gateway_server import RunningGateway, entry
from tests.support.scripted_provider import Script, Upstream

from .harness import TIMEOUT_MS, open_browser, open_page, serve_gateway

expect.set_options(timeout=TIMEOUT_MS)

MODELS = ("a", "b", "c")
PRICE: dict[str, Any] = {"input_cost_per_token": 0.000001, "output_cost_per_token": 0.00001}


def config_of(upstream: Upstream, *models: str, **general: Any) -> dict[str, Any]:
    """A config with these models and without retries."""
    return {
        "model_list": [entry(upstream, name, **PRICE) for name in models],
        "router_settings": {"num_retries": 0},
        "general_settings": general,
    }


def script_each(
    upstream: Upstream, steps: Callable[[str], Script], models: Iterable[str] = MODELS
) -> None:
    """Script each model with the steps for its name."""
    for name in models:
        upstream.script(name, steps(name))


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    with open_browser() as opened:
        yield opened


@pytest.fixture
def gateway(upstream: Upstream, tmp_path: Path) -> Iterator[RunningGateway]:
    """A gateway with the models `a`, `b` and `c` and without an API key."""
    with serve_gateway(config_of(upstream, *MODELS), tmp_path / "home") as served:
        yield served


@pytest.fixture
def page(browser: Browser, gateway: RunningGateway) -> Iterator[Page]:
    with open_page(browser, gateway.url) as opened:
        yield opened
