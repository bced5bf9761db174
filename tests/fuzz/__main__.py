"""`make fuzz`: 10,000 requests generated from the OpenAPI description, the same in each run."""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

from .fuzzing import FuzzClient, fuzz, operations, run_app

COUNT = 10_000
CHAT, SHARE = "POST /v1/chat/completions", 0.06  # these requests take long to generate
FIXED = 3
"""Operations that have only one possible request."""


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
    print(f"{client.sent:,} requests in {time.perf_counter() - began:.0f} s; none was a 500")
    return 0


if __name__ == "__main__":
    sys.exit(main())
