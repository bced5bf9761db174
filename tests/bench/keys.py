"""Measures what a virtual key adds to a request: its time and its writes."""

from __future__ import annotations

import json
import subprocess
import tempfile
import urllib.request
from pathlib import Path
from statistics import median
from typing import Any

from .load import KEY, run_load
from .report import Figure, Section, number
from .servers import OURS, ROOT, Server
from .testbed import STUB_REQUEST, Plan, Testbed, fanout_command, start_server

CLIENTS = 64
BUDGET = {"max_budget": 10_000, "budget_duration": "1mo", "rpm_limit": 10_000_000}
KEYS = ("a key of the config", "a virtual key", "a virtual key in a team")


def measure(bed: Testbed, plan: Plan) -> Section:
    """Requests with a key of the config and with virtual keys, on SQLite and on DynamoDB."""
    command = [str(OURS / "python"), "-m", "tests.bench.key_load"]
    table = json.loads(subprocess.run(command, cwd=ROOT, capture_output=True, check=True).stdout)
    with tempfile.TemporaryDirectory() as home:
        priced = Testbed(bed.stub, _priced(bed.config, Path(home)))
        env = {"FANOUT_HOME": home}
        with start_server("fanout", fanout_command, priced, env) as server:
            team = _call(server, "/team/new", BUDGET)["team_id"]
            fields = (BUDGET, BUDGET | {"team_id": team})
            made = [_call(server, "/key/generate", one)["key"] for one in fields]
            single, many = _loads(server, [KEY, *made], plan)
    alone = [median(series) for series in single]
    rows = [
        [
            f"{name}, SQLite",
            number(alone[index] * 1000, "ms"),
            number((alone[index] - alone[0]) * 1000, "ms") if index else "",
            number(median(many[index]), "/s"),
            str((0, 4, 6)[index]),
        ]
        for index, name in enumerate(KEYS)
    ]
    rows += [
        [
            f"{name}, DynamoDB",
            "",
            number(table["added"][index], "ms"),
            f"{table['rate']} /s" if not index else "",
            number(table["writes"][index]),
        ]
        for index, name in enumerate(KEYS[1:])
    ]
    added = median(ours - base for ours, base in zip(single[1], single[0], strict=True)) * 1000
    return Section(
        "Virtual keys",
        f"One client, then {CLIENTS}, send requests to an instant stub; each key has limits. "
        "*Added* is what one client waits more (median). SQLite is that of `fanout serve`. "
        "DynamoDB is in virtual time: 5 ms a call, 1,000 writes a second to an item, and *added* "
        "is the time before the provider is called. LiteLLM's keys are left out: they need "
        "Postgres, and a download of Prisma's engine.",
        ["", "1 client, median", "added", "requests of one key", "writes"],
        rows,
        [
            Figure("a virtual key on SQLite, 1 client: median time added", added, 2.0, "ms"),
            Figure("a virtual key: writes for a request", table["writes"][0], 4),
            Figure(
                "a virtual key on DynamoDB: requests of one key",
                table["rate"],
                400,
                "/s",
                at_least=True,
            ),
        ],
    )


def _priced(config: Path, folder: Path) -> Path:
    """The config with prices, which a key with a budget needs."""
    found: dict[str, Any] = json.loads(config.read_text())
    for model in found["model_list"]:
        prices = {"input_cost_per_token": 0.000001, "output_cost_per_token": 0.000002}
        model["litellm_params"] |= prices
    path = folder / "config.json"
    path.write_text(json.dumps(found))
    return path


def _call(server: Server, path: str, body: object) -> Any:
    request = urllib.request.Request(
        f"http://127.0.0.1:{server.port}{path}",
        json.dumps(body).encode(),
        {"authorization": f"Bearer {KEY}", "content-type": "application/json"},
    )
    with urllib.request.urlopen(request) as response:  # noqa: S310
        return json.load(response)


def _loads(
    server: Server, keys: list[str], plan: Plan
) -> tuple[list[list[float]], list[list[float]]]:
    """For each key, in turn: the times of one client, and the rates of many."""
    requests = [STUB_REQUEST.replace(KEY.encode(), key.encode()) for key in keys]
    single: list[list[float]] = [[] for _ in keys]
    many: list[list[float]] = [[] for _ in keys]
    for data in requests:  # warm up
        run_load(server.port, data, clients=CLIENTS, seconds=plan.seconds / 2)
    for _ in range(plan.rounds):
        for index, data in enumerate(requests):
            one = run_load(server.port, data, clients=1, seconds=plan.seconds / 2)
            single[index].append(one.response_time)
            all_ = run_load(server.port, data, clients=CLIENTS, seconds=plan.seconds)
            many[index].append(all_.rate)
    return single, many
