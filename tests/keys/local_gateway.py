"""A gateway with virtual keys and jobs, as `fanout serve` has them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import uvloop

from fanout.bulk.local.lazy_service import open_local_batches
from fanout.bulk.steps.host import RunnerOptions
from fanout.config.load import check
from fanout.config.resolve import resolve
from fanout.gateway.factory import open_gateway
from fanout.http.app import App
from fanout.keys.opening import open_local, open_local_accounts
from fanout.settings import Settings
from tests.support.background_loop import background
from tests.support.gateway_server import RecordingObserver, RunningGateway, _serving

MASTER = "sk-master-marker"
ADMIN = {"authorization": f"Bearer {MASTER}"}


@contextmanager
def serving(
    home: Path,
    models: list[dict[str, Any]],
    general: Mapping[str, Any] = {},
    router: Mapping[str, Any] = {},
) -> Iterator[RunningGateway]:
    """Serve these entries of `model_list` without retries; there is no unexpected error."""
    config = {
        "model_list": models,
        "router_settings": {"num_retries": 0, **router},
        "general_settings": {"master_key": MASTER, **general},
    }
    env = {"FANOUT_HOME": str(home)}
    observer, options = RecordingObserver(), RunnerOptions(grace=0.3, sync_interval=0.1)
    catalog = resolve(check(config, {}), {})
    app = App(
        lambda: open_gateway(Settings(), catalog=catalog, observer=observer),
        observer=observer,
        jobs=lambda gateway: open_local_batches(
            gateway,
            home,
            observer=observer,
            options=options,
            accounts=partial(open_local_accounts, env, catalog),
        ),
        virtual_keys=partial(open_local, env),
    )
    with background(lambda: _serving(app, observer), uvloop.new_event_loop) as served:
        yield served
    assert observer.unexpected_errors == []
