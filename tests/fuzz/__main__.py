"""
`make fuzz`: 10,000 requests generated from the OpenAPI description, and raw bytes on connections.

Both are the same in each run.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

from .fuzzing import MASTER, FuzzClient, fuzz, operations, run_app
from .raw_http import RawClient, fuzz_connections
from .serving import gateway_process

COUNT = 10_000
CHAT, SHARE = "POST /v1/chat/completions", 0.06  # these requests take long to generate
FIXED = 3
"""Operations that have only one possible request."""

MANAGED = 60
"""Requests of each operation for a master key."""

CONNECTIONS, HELD, SECONDS = 3_000, 20, 120
"""Connections with raw bytes, those held open of each kind without end, and the most seconds."""


def main() -> int:
    """Send them all; raises at the first wrong response."""
    began, known = time.perf_counter(), operations()
    with tempfile.TemporaryDirectory() as home, run_app(Path(home)) as (app, observer):
        client = FuzzClient(app, observer)
        rest = int(COUNT * (1 - SHARE) / (len(known) - 1 - FIXED)) + 1
        for label, operation in known.items():
            before = client.sent
            fuzz(operation, int(COUNT * SHARE) if label == CHAT else rest, client)
            print(f"{label}: {client.sent - before}", flush=True)
    sent = client.sent + fuzz_management(MANAGED)
    print(f"{sent:,} requests in {time.perf_counter() - began:.0f} s; none was a 500")
    fuzz_raw_bytes()
    return 0


def fuzz_management(count: int) -> int:
    """Send `count` requests of each operation for a master key; how many they were."""
    with (
        tempfile.TemporaryDirectory() as home,
        run_app(Path(home), {"master_key": MASTER}) as (app, observer),
    ):
        client = FuzzClient(app, observer, MASTER)
        for operation in operations(managed=True).values():
            fuzz(operation, count, client)
        return client.sent


def fuzz_raw_bytes() -> None:
    """Send them; raises at the first wrong response, or if the process grows."""
    began = time.perf_counter()
    with gateway_process() as (port, pid):
        client = RawClient(port, pid, seed=0)
        fuzz_connections(client, CONNECTIONS, HELD, SECONDS)
        megabytes = client.memory() / 1_000_000
    seconds = time.perf_counter() - began
    print(f"{client.sent:,} connections in {seconds:.0f} s; the gateway holds {megabytes:.0f} MB")


if __name__ == "__main__":
    sys.exit(main())
