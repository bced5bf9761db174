"""Measures where the CPU of a call goes, for the figures that are limited by it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from .load import run_load
from .prompts import tls_provider
from .report import Section, number
from .servers import ENV, OURS, ROOT, free_port, run_server
from .testbed import STUB_REQUEST, Plan, Testbed

CLIENTS = 64
SAMPLING: list[str | Path] = [OURS / "python", "-m", "tests.bench.sampling"]
PLAIN = "5,000 prompts, HTTP/1.1 without TLS", 5_000
FEW = "1,000 prompts, HTTP/2 over TLS", 1_000
SECURE = "10,000 prompts, HTTP/2 over TLS", 10_000
"""The loads of which `prompts.py` and `scale.py` have the wall time."""

NOTE = (
    "Where Fanout's process spends the CPU of a call, by samples of each few milliseconds of CPU "
    "time; the provider's CPU is not in it. All of its Python runs on one thread.\n\n"
    "*Kernel* is that "
    "thread's time in system calls, mostly of sockets. *pyqwest's threads* have TLS and HTTP/2, in "
    "Rust, with their own system calls. *Transport* has connections, HTTP/1.1 and the reading of "
    "responses, and what the event loop does in C between them. *Strategy and routing* have the "
    "task of each call, its deadline and its retries; *translation* has requests and responses.\n\n"
    "This is what the figures that miss their target consist of. With thousands of prompts at "
    "once, the wall time is the provider's second and the CPU of all calls: for 1.5 x the ideal, a "
    "call may take 0.10 ms of 5,000, or 0.05 ms of 10,000, on one thread. With TLS, the threads "
    "of pyqwest take a half of each call's CPU, and *transport* is at most what the table says.\n\n"
    "The gateway fills one core. The bare function's client is pyqwest, whose threads use the "
    "second one, so it has more than its CPU alone would give.\n\n"
    "A job's worker whose provider takes 1 s is limited by its start: calls to a model with "
    "unknown limits begin with one a second and grow by 1.6 x a second, which costs about 9 s once."
)

TRANSPORT = ("fanout/transport", "the event loop", "uvloop", "httptools", "pyqwest")
STRATEGY = ("fanout/concurrency", "fanout/gateway", "fanout/routing", "fanout/library")
TRANSLATION = ("fanout/providers", "fanout/schema", "fanout/wire", "msgspec")
SERVER = ("fanout/server", "fanout/http", "fanout/keys", "fanout/telemetry")
GROUPS = (TRANSPORT, STRATEGY, TRANSLATION, SERVER)


def measure(folder: Path, bed: Testbed, plan: Plan) -> Section:
    """One row for each load; times are milliseconds of CPU for each call."""
    name, count = PLAIN
    rows = [_row(name, _prompts(folder, bed.url("steady"), count, ENV), count)]
    with tls_provider(folder) as (url, env):
        for name, count in (FEW, SECURE):
            rows.append(_row(name, _prompts(folder, url, count, env), count))
    found, count = _gateway(folder, bed, plan.seconds * 4)
    rows.append(_row(f"the gateway, {CLIENTS} clients, one model", found, count))
    header = ["", "CPU for each call", "kernel", "pyqwest's threads", "transport"]
    header += [
        "strategy and routing",
        "translation",
        "server, keys, log",
        "Python's library, others",
    ]
    return Section("What limits the time of many calls", NOTE, header, rows)


def _prompts(folder: Path, url: str, count: int, env: Mapping[str, str]) -> dict[str, float]:
    output = folder / "shares.json"
    command = [*SAMPLING, output, "prompts", url, str(count)]
    subprocess.run(command, cwd=ROOT, env=env, stdout=sys.stderr, check=True, timeout=120)
    found: dict[str, float] = json.loads(output.read_text())
    return found


def _gateway(folder: Path, bed: Testbed, seconds: float) -> tuple[dict[str, float], int]:
    """The seconds of a gateway under load, from its start, and its number of requests."""
    output, port = folder / "shares.json", free_port()
    options: list[str | Path] = ["--quiet", "--config", bed.config, "--port", str(port)]
    with run_server("fanout", [*SAMPLING, output, "serve", *options], port, STUB_REQUEST):
        load = run_load(port, STUB_REQUEST, clients=CLIENTS, seconds=seconds)
    found: dict[str, float] = json.loads(output.read_text())
    return found, len(load.response_times)


def _row(name: str, found: Mapping[str, float], count: int) -> list[str]:
    """The row of a load."""
    rest = dict(found)
    times = [rest.pop(part) for part in ("all", "kernel", "threads")]
    times += [sum(rest.pop(one, 0.0) for one in group) for group in GROUPS]
    times.append(sum(rest.values()))
    return [name, *(number(one / count * 1000, "ms") for one in times)]
