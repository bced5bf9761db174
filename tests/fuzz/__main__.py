"""`make fuzz`: ten thousand requests made of the description, the same ones each time."""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

from .fuzzing import Asker, fuzz, operations, running

COUNT = 10_000
CHAT, SHARE = "POST /v1/chat/completions", 0.06  # its requests take long to make
STEADY = 3
"""Operations that can be asked in one way only."""


def main() -> int:
    """Ask them all; raises at the first that is not answered as it should be."""
    began, known = time.perf_counter(), operations()
    with tempfile.TemporaryDirectory() as home, running(Path(home)) as (app, notes):
        asker = Asker(app, notes)
        rest = int(COUNT * (1 - SHARE) / (len(known) - 1 - STEADY)) + 1
        for label, operation in known.items():
            before = asker.asked
            fuzz(operation, int(COUNT * SHARE) if label == CHAT else rest, asker)
            print(f"{label}: {asker.asked - before}", flush=True)
    print(f"{asker.asked:,} requests in {time.perf_counter() - began:.0f} s; none was a 500")
    return 0


if __name__ == "__main__":
    sys.exit(main())
