"""
Measures adaptive hedges in virtual time: the slowest times, the extra calls, and the estimator.

`python -m tests.bench.hedge_times` prints the rows and figures of the section as JSON.
"""

from __future__ import annotations

import json
import random
import statistics

from tests.bench.report import number
from tests.support.hedge_traffic import estimator_errors, traffic, usual
from tests.support.virtual_clock import run

REQUESTS, BUDGET, SLOWER = 6_000, 0.1, 3.0
SAMPLES, RUNS = 300, 200


def _measured() -> dict[str, object]:
    rng = random.Random(2)  # noqa: S311 -- the same in each run
    alone = [usual(rng) for _ in range(REQUESTS)]
    rows = [["none", *_times(alone), "0 %", "0 %"]]
    shares: dict[str, float] = {}
    for title, budget, slower in (
        ("p95, a budget of 10 %", BUDGET, 1.0),
        ("brown-out, a budget of 10 %", BUDGET, SLOWER),
        ("brown-out, no limit", 1.0, SLOWER),
    ):
        rng = random.Random(3)  # noqa: S311 -- the same in each run

        def first_token(
            place: int, _: int, slower: float = slower, rng: random.Random = rng
        ) -> float:
            return usual(rng, slower=slower if place >= REQUESTS // 2 else 1.0)

        together_from = None if slower == 1.0 else REQUESTS // 2
        found, extra = run(traffic(REQUESTS, budget, first_token, together_from))
        late = extra[REQUESTS // 2 :]
        shares[title] = 100 * sum(extra) / REQUESTS
        rows.append(
            [
                title,
                *_times(found),
                number(shares[title], "%"),
                number(100 * sum(late) / len(late), "%"),
            ]
        )
        if slower == 1.0:
            shares["shorter"] = _quantile(alone, 0.99) / _quantile(found, 0.99)
    return {
        "rows": rows,
        "shorter": shares["shorter"],
        "extra": shares["p95, a budget of 10 %"],
        "brown_out": shares["brown-out, a budget of 10 %"],
        "error": 100 * statistics.median(estimator_errors(SAMPLES, RUNS)),
    }


def _times(found: list[float]) -> list[str]:
    return [number(_quantile(found, share), "s") for share in (0.5, 0.95, 0.99, 0.999)]


def _quantile(found: list[float], share: float) -> float:
    return sorted(found)[int(share * len(found))]


if __name__ == "__main__":
    print(json.dumps(_measured()))
