"""Measures a thousand prompts at once to a provider over TLS, with several client libraries."""

from __future__ import annotations

import json
import ssl
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from statistics import median

import trustme

from .report import Figure, Section, number
from .servers import BENCH, ENV, OURS, ROOT, free_port, run_server
from .testbed import STUB_REQUEST, Plan

FIGURES = ("wall", "cpu", "first", "peak", "good")

PATIENCE = 120.0
"""Seconds after which a client has failed."""

PEERS = {
    "litellm": "`litellm.batch_completion`, its default of 100 threads",
    "litellm-wide": "`litellm.batch_completion`, 1,000 threads",
    "aiohttp": "aiohttp, only the HTTP calls",
    "httpx-http2": "httpx over HTTP/2, only the HTTP calls",
}


def measure(folder: Path, plan: Plan, litellm: str) -> Section:
    """Wall time, CPU and memory of each client library, each in its own process."""
    with tls_provider(folder) as (url, env):
        ours = [run_client("fanout", url, plan.prompts, env) for _ in range(plan.repeats)]
        peers = {client: run_peer(client, url, plan.prompts, env) for client in PEERS if plan.peers}
    best = {name: median(one[name] for one in ours) for name in FIGURES}
    rows = [_row("**`fanout.batch_completion`**", best)]
    rows += [_row(PEERS[client], found) for client, found in peers.items()]
    what = f"{plan.prompts:,} prompts at once, provider takes 1 s"
    figures = [
        Figure(f"{what}: wall time", best["wall"], 1.5, "s"),
        Figure(f"{what}: CPU for each call", best["cpu"], 0.3, "ms"),
        Figure(f"{what}: peak memory", best["peak"], 110, "MB"),
    ]
    note = (
        "Each client library runs in its own process. The TLS provider (granian: HTTP/2 with 100 "
        "streams a connection, or HTTP/1.1) takes 1 s for each response. Fanout's figures are the "
        f"median of {plan.repeats} processes; LiteLLM is {litellm}. A single call comes first and "
        "is shown separately, because libraries import much of their code on the first call."
    )
    header = [
        "",
        "wall time",
        "CPU for each call",
        "CPU of the first call",
        "peak memory",
        "responses",
    ]
    return Section("A thousand prompts at once", note, header, rows, figures)


def _row(client: str, found: Mapping[str, float] | None) -> list[str]:
    if found is None:
        return [client, unfinished(PATIENCE), "", "", "", ""]
    costs = number(found["cpu"], "ms"), number(found["first"], "ms"), number(found["peak"], "MB")
    return [client, number(found["wall"], "s"), *costs, f"{found['good']:,.0f}"]


@contextmanager
def tls_provider(folder: Path) -> Iterator[tuple[str, dict[str, str]]]:
    """Run the provider; yields its base URL, and an environment that trusts its certificate."""
    authority = trustme.CA()
    cert = authority.issue_cert("localhost", "127.0.0.1")
    trusted, key, chain = (folder / name for name in ("ca.pem", "key.pem", "cert.pem"))
    authority.cert_pem.write_to_path(str(trusted))
    cert.private_key_pem.write_to_path(str(key))
    cert.cert_chain_pems[0].write_to_path(str(chain))
    port = free_port()
    command: list[str | Path]
    command = [BENCH / "granian", "--interface", "asginl", "--http", "auto", "--port", str(port)]
    command += ["--ssl-certificate", chain, "--ssl-keyfile", key, "--loop", "uvloop", "--no-ws"]
    command += [
        "--http2-max-concurrent-streams",
        "100",
        "--backlog",
        "2048",
        "tests.bench.stub_tls:app",
    ]
    context = ssl.create_default_context(cafile=trusted)
    with run_server("the TLS stub", command, port, STUB_REQUEST, trust=context):
        yield f"https://127.0.0.1:{port}/v1", {**ENV, "SSL_CERT_FILE": str(trusted)}


def unfinished(patience: float) -> str:
    """What a row says of a client that did not end within so many seconds."""
    return f"did not end in {patience:g} s"


def run_peer(
    client: str, url: str, count: int, env: Mapping[str, str], patience: float = PATIENCE
) -> dict[str, float] | None:
    """The figures of another client, or `None` if it does not end."""
    try:
        return run_client(client, url, count, env, patience)
    except subprocess.TimeoutExpired:
        return None


def run_client(
    client: str, url: str, count: int, env: Mapping[str, str], patience: float = PATIENCE
) -> dict[str, float]:
    """Send so many prompts at once in a process of its own; its figures (`prompt_process.py`)."""
    python = (OURS if client in {"fanout", "pyqwest"} else BENCH) / "python"
    done = subprocess.run(
        [python, "-m", "tests.bench.prompt_process", client, url, str(count)],
        cwd=ROOT,
        env=env,
        capture_output=True,
        text=True,
        timeout=patience,
        check=True,
    )
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    if client == "fanout" and found["good"] != count:
        raise RuntimeError(
            f"{client}: {found['good']} of {count} calls succeeded\n{done.stderr[-2000:]}"
        )
    return found
