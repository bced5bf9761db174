"""What a virtual key costs on DynamoDB, in virtual time and with Fanout's packages: prints JSON."""

from __future__ import annotations

import json
from statistics import median

from tests.support.key_load import load
from tests.support.virtual_clock import run

RATE = 450


def main() -> None:
    """Measure and print."""
    alone, team = run(load(RATE, 4)), run(load(50, 1, team=True))
    found = {
        "added": [median(seen.waits) * 1000 for seen in (alone, team)],
        "writes": [seen.database.writes / len(seen.waits) for seen in (alone, team)],
        "rate": 0 if alone.failed or alone.database.throttled else RATE,
    }
    print(json.dumps(found))


if __name__ == "__main__":
    main()
