"""A scripted provider and a gateway with files and batches, over real sockets."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import openai
import pytest
import uvloop

from fanout.bulk.local import activity_files
from fanout.bulk.local.lazy_service import open_local_batches
from fanout.bulk.steps.host import RunnerOptions
from fanout.config.load import check
from fanout.config.resolve import resolve
from fanout.gateway.factory import open_gateway
from fanout.http.app import App
from fanout.settings import Settings
from tests.bulk.local_jobs import SYNC_INTERVAL
from tests.support.background_loop import background
from tests.support.gateway_server import RecordingObserver, RunningGateway, _serving, entry
from tests.support.scripted_provider import Upstream, open_upstream


@contextmanager
def serve_jobs(config: Any, home: Path, env: Mapping[str, str] = {}) -> Iterator[RunningGateway]:
    """A gateway with this config, and its jobs in this folder."""
    observer, options = RecordingObserver(), RunnerOptions(grace=0.3, sync_interval=SYNC_INTERVAL)
    catalog = resolve(check(config, env), env)
    app = App(
        lambda: open_gateway(Settings(), catalog=catalog, observer=observer),
        observer=observer,
        jobs=lambda gateway: open_local_batches(gateway, home, observer=observer, options=options),
    )
    with background(lambda: _serving(app, observer), uvloop.new_event_loop) as served:
        yield served
    assert observer.unexpected_errors == []


@pytest.fixture
def rare_reports(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a job of hours of virtual time does is looked at every five seconds, not every one."""
    monkeypatch.setattr(activity_files, "INTERVAL", 5.0)


@pytest.fixture(scope="module")
def provider() -> Iterator[Upstream]:
    """One for each test file, since a call left in flight may still reach it."""
    with open_upstream() as upstream:
        yield upstream


KEYS = [
    {"name": "team", "key": "sk-team", "models": ["a"]},
    {"name": "other", "key": "sk-other"},
]


@pytest.fixture
def server(upstream: Upstream, tmp_path: Path) -> Iterator[RunningGateway]:
    """A gateway with the models `a` and `b` and three keys: master, team (only `a`), other."""
    config = {
        "model_list": [entry(upstream, name) for name in ("a", "b")],
        "router_settings": {"num_retries": 0},
        "general_settings": {"master_key": "sk-master", "keys": KEYS},
    }
    with serve_jobs(config, tmp_path / "home") as served:
        yield served


@pytest.fixture
def client(server: RunningGateway) -> Iterator[openai.OpenAI]:
    """The official client with the master key."""
    with openai.OpenAI(api_key="sk-master", base_url=f"{server.url}/v1", max_retries=0) as made:
        yield made
