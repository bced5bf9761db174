"""A thousand prompts at once to a provider over TLS, through the Python functions of each."""

from __future__ import annotations

import json
import ssl
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from statistics import median

import trustme

from .report import Section, Verdict, number
from .servers import BENCH, ENV, OURS, ROOT, free_port, running
from .testbed import ASKED, Plan

FIGURES = ("wall", "cpu", "first", "peak", "good")

PEERS = {
    "litellm": "`litellm.batch_completion`, its own 100 threads",
    "litellm-wide": "`litellm.batch_completion`, 1,000 threads",
    "aiohttp": "aiohttp, no more than the calls",
    "httpx-http2": "httpx over HTTP/2, no more than the calls",
}


def measure(folder: Path, plan: Plan, litellm: str) -> Section:
    """Wall time, CPU and memory of each contestant, in a process of its own."""
    with _provider(folder) as (url, env):
        ours = [_run("fanout", url, plan.prompts, env) for _ in range(plan.repeats)]
        peers = {who: _run(who, url, plan.prompts, env) for who in PEERS if plan.peers}
    best = {name: median(one[name] for one in ours) for name in FIGURES}
    rows = [_row("**`fanout.batch_completion`**", best)]
    rows += [_row(PEERS[who], found) for who, found in peers.items()]
    what = f"{plan.prompts:,} prompts at once, provider takes 1 s"
    verdicts = [
        Verdict(f"{what}: wall", best["wall"], 1.5, "s"),
        Verdict(f"{what}: CPU a call", best["cpu"], 0.5, "ms"),
        Verdict(f"{what}: peak memory", best["peak"], 110, "MB"),
    ]
    note = (
        f"A process each, of a TLS provider (granian: HTTP/2, 100 streams a connection, HTTP/1.1 "
        f"for who asks for it) that takes 1 s for an answer. Fanout's is the median of "
        f"{plan.repeats} processes; LiteLLM is {litellm}. A single call before them is told apart: "
        "much is imported only then."
    )
    header = ["", "wall", "CPU a call", "CPU of the first call", "peak memory", "answered"]
    return Section("A thousand prompts at once", note, header, rows, verdicts)


def _row(who: str, found: Mapping[str, float]) -> list[str]:
    costs = number(found["cpu"], "ms"), number(found["first"], "ms"), number(found["peak"], "MB")
    return [who, number(found["wall"], "s"), *costs, f"{found['good']:,.0f}"]


@contextmanager
def _provider(folder: Path) -> Iterator[tuple[str, dict[str, str]]]:
    """A base URL, and the environment in which its certificate is trusted."""
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
    with running("the TLS stub", command, port, ASKED, trust=context):
        yield f"https://127.0.0.1:{port}/v1", {**ENV, "SSL_CERT_FILE": str(trusted)}


def _run(who: str, url: str, count: int, env: Mapping[str, str]) -> dict[str, float]:
    python = (OURS if who == "fanout" else BENCH) / "python"
    done = subprocess.run(
        [python, "-m", "tests.bench.prompt_process", who, url, str(count)],
        cwd=ROOT,
        env=env,
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    if who == "fanout" and found["good"] != count:
        raise RuntimeError(
            f"{who}: {found['good']} of {count} were answered\n{done.stderr[-2000:]}"
        )
    return found
