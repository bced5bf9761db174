"""
Measures votes: how often they are right, how many calls they save, and what they cost in time.

`python -m tests.bench.agreement [QUESTIONS]` prints the rows of docs/fan-out.md's table as JSON.
Scripted models of known error rates, speeds and prices vote in virtual time, through the gateway's
own code. Times are lognormal, with a median of 2 s and sigma 0.6, unless the models differ. Two
models' mistakes are correlated (a Gaussian copula with 0.3), and two that are both wrong give the
same answer in 60 % of cases.
"""

from __future__ import annotations

import asyncio
import json
import math
import random
import statistics
import sys
from collections import Counter
from collections.abc import Sequence
from typing import Any

from msgspec import Struct

from fanout.config.catalog import Catalog
from fanout.config.deployment import make_deployment
from fanout.config.model import ModelParams
from fanout.gateway.agree_cell import AgreeCell
from fanout.routing.leg import Leg
from fanout.schema.agreement import read_agree
from fanout.schema.chat import ChatCompletion
from fanout.schema.gateway_fields import FanOutField
from fanout.schema.request import ChatRequest
from fanout.schema.validation import parse_chat
from tests.bench.report import number
from tests.support.virtual_clock import run

QUESTIONS = 4_000
MEDIAN, SIGMA, ALIKE, SAME = 2.0, 0.6, 0.3, 0.6
RIGHT, USUAL = "right", "usual mistake"
EQUAL = (0.2,) * 5
MIXED = (0.05, 0.10, 0.15, 0.20, 0.30)
PRICED = (0.05, 0.08, 0.15, 0.20, 0.25)
SLOW, DEAR = (6.0, 4.0, 2.0, 1.0, 0.8), (10.0, 6.0, 2.0, 1.0, 0.5)
"""The medians in seconds and the prices of models: the more accurate, the slower and dearer."""


FULL: dict[str, Any] = {"all": True}
"""Rules of a panel that waits for all: the answer with most votes, none in a tie."""


class Panel(Struct, frozen=True):
    """
    Models by their error rates, in their order, and the rules of their votes.

    `medians` are their times in seconds, `prices` what a whole response costs.
    """

    title: str
    errors: tuple[float, ...]
    rules: dict[str, Any]
    medians: tuple[float, ...] = (MEDIAN,) * 5
    prices: tuple[float, ...] = (1.0,) * 5


PANELS = (
    Panel("20 % wrong: one model", EQUAL[:1], {}),
    Panel("the full panel: most votes of all 5", EQUAL, FULL),
    Panel("2 of 3, all at once", EQUAL[:3], {"k": 2, "start": "all"}),
    Panel("2 of 3", EQUAL[:3], {"k": 2}),
    Panel("2 of 4, all at once", EQUAL[:4], {"k": 2, "start": "all"}),
    Panel("2 of 4", EQUAL[:4], {"k": 2}),
    Panel("2 of 5, all at once", EQUAL, {"k": 2, "start": "all"}),
    Panel("2 of 5", EQUAL, {"k": 2}),
    Panel("2 of 5, a lead of 2", EQUAL, {"k": 2, "lead": 2}),
    Panel("3 of 5, all at once", EQUAL, {"k": 3, "start": "all"}),
    Panel("3 of 5", EQUAL, {"k": 3}),
    Panel("5 to 30 % wrong: the best model", MIXED[:1], {}),
    Panel("the full panel: most votes of all 5", MIXED, FULL),
    Panel("2 of 5, all at once", MIXED, {"k": 2, "start": "all"}),
    Panel("2 of 5, the best first", MIXED, {"k": 2}),
    Panel("2 of 5, the worst first", MIXED[::-1], {"k": 2}),
    Panel("prices of 10 to 0.5: the best model", PRICED[:1], {}, SLOW, DEAR),
    Panel("the full panel: most votes of all 5", PRICED, FULL, SLOW, DEAR),
    Panel("2 of 5, all at once", PRICED, {"k": 2, "start": "all"}, SLOW, DEAR),
    Panel("2 of 5, the best first", PRICED, {"k": 2}, SLOW, DEAR),
    Panel("2 of 5, the cheapest first", PRICED[::-1], {"k": 2}, SLOW[::-1], DEAR[::-1]),
)


class Question(Struct, frozen=True):
    """What each model says, and after how many seconds."""

    texts: tuple[str, ...]
    seconds: tuple[float, ...]


class Result(Struct):
    """The outcome of a panel on all questions."""

    right: float
    wrong: float
    undecided: float
    calls: float
    paid: float
    cost: float
    median: float
    p95: float


def questions(
    errors: Sequence[float], count: int, medians: Sequence[float] = (MEDIAN,) * 5
) -> list[Question]:
    """The same questions in each run: correlated mistakes, and independent times."""
    rng = random.Random(1)  # noqa: S311 -- the same questions in each run
    return [_question(errors, medians, rng) for _ in range(count)]


def _question(errors: Sequence[float], medians: Sequence[float], rng: random.Random) -> Question:
    common = rng.gauss(0, 1)
    texts, seconds = [], []
    for index, error in enumerate(errors):
        score = math.sqrt(ALIKE) * common + math.sqrt(1 - ALIKE) * rng.gauss(0, 1)
        is_wrong = statistics.NormalDist().cdf(score) < error
        own = USUAL if rng.random() < math.sqrt(SAME) else f"mistake {index}"
        texts.append(own if is_wrong else RIGHT)
        seconds.append(medians[index] * math.exp(SIGMA * rng.gauss(0, 1)))
    return Question(tuple(texts), tuple(seconds))


def measure_panel(panel: Panel, count: int) -> Result:
    """Run the panel on the questions, one after the other."""
    asked = questions(panel.errors, count, panel.medians)
    if len(panel.errors) == 1:
        right = statistics.mean(one.texts[0] == RIGHT for one in asked)
        times = [one.seconds[0] for one in asked]
        return Result(right, 1 - right, 0, 1, 1, panel.prices[0], *_quantiles(times))
    if panel.rules == FULL:
        return _full_panel(asked, sum(panel.prices[: len(panel.errors)]))
    return run(_run_panel(panel, asked))


def _full_panel(asked: Sequence[Question], cost: float) -> Result:
    right = wrong = 0
    for question in asked:
        (first, most), *others = Counter(question.texts).most_common()
        if not others or others[0][1] < most:
            right += first == RIGHT
            wrong += first != RIGHT
    total, models = len(asked), len(asked[0].texts)
    times = [max(question.seconds) for question in asked]
    undecided = 1 - (right + wrong) / total
    return Result(right / total, wrong / total, undecided, models, models, cost, *_quantiles(times))


async def _run_panel(panel: Panel, asked: Sequence[Question]) -> Result:
    names = [f"openai/m{index}" for index in range(len(panel.errors))]
    groups = {name: (make_deployment(name, ModelParams(model=name), {}, {}),) for name in names}
    catalog = Catalog(groups)
    chat = parse_chat({"messages": [{"role": "user", "content": "?"}]})
    rules = read_agree(chat, names, FanOutField(mode="agree", **panel.rules))
    clock = asyncio.get_running_loop().time
    found: list[str | None] = []
    times, calls, paid, cost = [], 0, 0.0, 0.0
    for question in asked:
        started = clock()
        ends: dict[str, float] = {}
        begins: dict[str, float] = {}

        async def call(
            leg: Leg,
            _: ChatRequest,
            question: Question = question,
            ends: dict[str, float] = ends,
            begins: dict[str, float] = begins,
        ) -> ChatCompletion:
            index = names.index(leg.model)
            begins[leg.model] = clock()
            await asyncio.sleep(question.seconds[index])
            ends[leg.model] = clock()
            return _completion(question.texts[index])

        cell = AgreeCell(rules, chat, [Leg(name, "r", mode="agree") for name in names], catalog)
        completion = await cell.run(call, lambda *_: AssertionError("no model has failed"))
        found.append(completion["choices"][0]["message"].get("content"))
        times.append(clock() - started)
        calls += len(begins)
        for name, begun in begins.items():
            index = names.index(name)
            part = (ends.get(name, clock()) - begun) / question.seconds[index]
            paid += part
            cost += part * panel.prices[index]
    total = len(asked)
    right, undecided = found.count(RIGHT) / total, found.count(None) / total
    return Result(
        right,
        1 - right - undecided,
        undecided,
        calls / total,
        paid / total,
        cost / total,
        *_quantiles(times),
    )


def _completion(text: str) -> ChatCompletion:
    choice = {"index": 0, "message": {"role": "assistant", "content": text}}
    found: Any = {"model": "m", "choices": [{**choice, "finish_reason": "stop"}]}
    completion: ChatCompletion = found
    return completion


def _quantiles(times: Sequence[float]) -> tuple[float, float]:
    cuts = statistics.quantiles(times, n=20)
    return statistics.median(times), cuts[-1]


def measured(count: int) -> dict[str, Any]:
    """The rows of the table, and the share of calls that the start policy saves."""
    results = [(panel, measure_panel(panel, count)) for panel in PANELS]
    rows = [
        [
            panel.title,
            *(f"{100 * share:.1f} %" for share in (one.right, one.wrong, one.undecided)),
            number(one.calls),
            number(one.paid),
            number(one.cost),
            number(one.median, "s"),
            number(one.p95, "s"),
        ]
        for panel, one in results
    ]
    by_title = {(panel.title, panel.errors): one for panel, one in results}
    every, started = by_title["2 of 5, all at once", EQUAL], by_title["2 of 5", EQUAL]
    alone = by_title["20 % wrong: one model", EQUAL[:1]]
    full = by_title["the full panel: most votes of all 5", EQUAL]
    return {
        "rows": rows,
        "saved": 100 * (1 - started.calls / every.calls),
        "above_one": 100 * (started.right - alone.right),
        "below_full": 100 * (full.right - started.right),
    }


if __name__ == "__main__":
    print(json.dumps(measured(int(sys.argv[1]) if len(sys.argv) > 1 else QUESTIONS)))
