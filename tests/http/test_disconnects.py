"""Clients that disconnect at any time leave no call and no task behind."""

from __future__ import annotations

from tests.faults.clients import disconnecting, send_all
from tests.faults.leaks import SCRIPTS, SEED, bodies
from tests.support.gateway_server import entry, serve
from tests.support.scripted_provider import Upstream

CALLERS = 120


def test_clients_that_disconnect_leave_no_call_and_no_task_behind(upstream: Upstream) -> None:
    for name, script in SCRIPTS.items():
        upstream.script(name, script)
    with serve({"model_list": [entry(upstream, name) for name in SCRIPTS]}) as served:
        before = served.tasks()
        send_all(served.port, disconnecting(bodies(), CALLERS, SEED), "none")
        upstream.wait(lambda: all(call.ended for call in upstream.calls))
        assert upstream.calls
        served.wait_for_tasks(before)
        assert served.observer.unexpected_errors == []
