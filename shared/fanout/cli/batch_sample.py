"""`fanout batch quote --sample`: sends some lines of a file, and estimates the others by them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from functools import cache, partial
from typing import Any

from msgspec import Struct
from msgspec.structs import asdict

from ..bulk.costs import Costs
from ..bulk.input.estimates import models_of, tier_of
from ..bulk.input.flex_lines import flex_model, offers_flex
from ..bulk.input.line_parser import Line, batch_line, parse_line
from ..bulk.input.lines import ENDPOINT
from ..bulk.input.quote import Quote, quote
from ..bulk.input.quote_groups import Label, LineBatches
from ..bulk.input.sampled_costs import (
    CONFIDENCE,
    Drawn,
    Estimate,
    Part,
    Response,
    Sampler,
    estimate_costs,
)
from ..bulk.input.splitter import iter_lines
from ..bulk.lanes import REALTIME, LaneChoice
from ..bulk.local.prompt_jobs import add_job_of_lines
from ..bulk.service.new_job import BatchOptions, NewJob
from ..bulk.service.records import Job
from ..bulk.work.partial_results import result_lines
from ..bulk.work.result_lines import read_result
from ..bulk.work.stored_results import count_result
from ..config.catalog import Catalog
from ..telemetry.prices import BATCH, FLEX, PICODOLLARS, TokenPrices, to_dollars
from .batch_backend import BatchBackend

Read = Callable[[], AsyncIterator[bytes]]


class Sample(Struct, frozen=True):
    """How many lines to send, and their cost cap in nanodollars."""

    lines: int
    max_cost: int | None = None


class SampleQuote(Struct, frozen=True):
    """
    A quote by the responses to some lines, for the lines without a response.

    Costs are in US dollars: `cost_usd` of the sample, which is not paid again, and the expected one
    of the others, which is between `cost_low` and `cost_high` in `confidence` percent of such jobs.
    """

    lines: int
    failed: int
    cost_usd: float
    cost: float | None = None
    cost_low: float | None = None
    cost_high: float | None = None
    confidence: int = CONFIDENCE
    tokens_in: int | None = None
    tokens_out: int | None = None


class SampledFile:
    """A file of which lines are drawn: each has a key, of its models and its service tier."""

    def __init__(
        self,
        catalog: Catalog,
        lane: LaneChoice,
        model: str | None,
        batches: LineBatches,
    ) -> None:
        self._costs = Costs(catalog)
        self._offers = cache(partial(offers_flex, catalog))
        self._lane = lane
        self._batches = batches
        self._model = model
        self._keys: dict[str, tuple[list[str], str | None]] = {}
        self.parts: dict[str, tuple[int, int]] = {}
        self._by_batch: dict[tuple[str, Label], int] = {}

    def _key(self, line: Line) -> str:
        flex = flex_model(line, self._lane)
        tier = FLEX if flex is not None and self._offers(flex) else tier_of(line)
        models = models_of(line)
        key = f"{','.join(models)}|{tier}"
        self._keys[key] = models, tier
        return key

    def add_to(
        self, sampler: Sampler, line: Line, number: int, tokens: int, _batch: Label | None
    ) -> None:
        """Add a line to those that may be drawn."""
        sampler.add(self._key(line), number, tokens)

    def count(self, line: Line, _number: int, tokens: int, batch: Label | None) -> None:
        """Count a line without a response, which may be in this native batch."""
        key = self._key(line)
        lines, total = self.parts.get(key, (0, 0))
        self.parts[key] = lines + 1, total + tokens
        if batch is not None:
            self._by_batch[key, batch] = self._by_batch.get((key, batch), 0) + tokens

    async def drawn_lines(self, read: Read, drawn: list[Drawn]) -> tuple[bytes, dict[str, Drawn]]:
        """The input of a job of these lines, and each by its name."""
        wanted = {one.number: one for one in drawn}
        found: dict[str, Drawn] = {}
        data: list[bytes] = []
        async for number, _, _, text in iter_lines(read()):
            if text and number in wanted:
                line = parse_line(text, number, self._model)
                data.append(batch_line(line))
                found[line.custom_id] = wanted[number]
        return b"".join(data), found

    def estimate(self, responses: list[Response], rest: Quote) -> tuple[Estimate, float] | None:
        """The cost of the lines without a response, and what of it caches may save."""
        parts: dict[str, Part] = {}
        saved = 0.0
        for key, (lines, tokens) in self.parts.items():
            prices = self._mean_prices(key, tokens)
            if prices is None:
                return None
            parts[key] = Part(lines, tokens, float(prices.input), float(prices.output))
            saved += tokens * self._saved_by_token(key, prices, rest)
        found = estimate_costs(responses, parts)
        return None if found is None else (found, saved * _counted(responses))

    def _mean_prices(self, key: str, tokens: int) -> TokenPrices | None:
        """The mean prices of a key's tokens, some of which go by native batches."""
        models, tier = self._keys[key]
        plain = self._prices(models, tier)
        by_batch = sum(
            count
            for (own, batch), count in self._by_batch.items()
            if own == key and self._batches.are_created((None, batch))[1]
        )
        cheap = self._prices(models, BATCH) if by_batch else None
        if plain is None or cheap is None:
            return plain
        share = by_batch / tokens
        return TokenPrices(
            round(plain.input + (cheap.input - plain.input) * share),
            round(plain.output + (cheap.output - plain.output) * share),
            plain.cached if share < 1 else cheap.cached,
        )

    def _prices(self, models: list[str], tier: str | None) -> TokenPrices | None:
        """The mean prices of models on a tier: a response's tokens are those of all of them."""
        found = [self._costs.prices(name) for name in models]
        if tier == BATCH:
            pairs = zip(models, found, strict=True)
            found = [one and self._costs.batch_prices(name, one) for name, one in pairs]
        known = [prices.of(tier) for prices in found if prices is not None and prices.knows(tier)]
        if not known or len(known) < len(found):
            return None
        count = len(known)
        return TokenPrices(
            sum(one.input for one in known) // count,
            sum(one.output for one in known) // count,
            known[0].cached if count == 1 else None,
        )

    def _saved_by_token(self, key: str, prices: TokenPrices, rest: Quote) -> float:
        models, _ = self._keys[key]
        part = rest.models.get(models[0])
        if prices.cached is None or part is None or not part.tokens_in:
            return 0.0
        return part.tokens_cached / part.tokens_in * (prices.input - prices.cached)


def _counted(responses: list[Response]) -> float:
    """The tokens that are counted for each estimated one."""
    return sum(one.tokens_in for one in responses) / sum(one.drawn.tokens for one in responses)


async def sample_quote(
    backend: BatchBackend,
    read: Read,
    rest: Callable[[], Any],
    name: str,
    sample: Sample,
    follow: Callable[[Job], Any],
    options: Mapping[str, Any],
) -> tuple[Quote, SampleQuote]:
    """
    Send a sample of a file's lines, and quote the others.

    `read` has the whole file; `rest` returns what has no response after the sample. `follow` waits
    for the end of a job. `options` are those of both quotes.
    """
    catalog, model = options["catalog"], options["default_model"]
    file = SampledFile(catalog, options["lane"], model, options["batches"])
    sampler = Sampler(sample.lines)
    whole = await quote(read, on_line=partial(file.add_to, sampler), **options)
    if whole.errors:
        return whole, SampleQuote(0, 0, 0.0)
    data, drawn = await file.drawn_lines(read, sampler.draw())
    new = NewJob(
        input_file_id="",
        endpoint=ENDPOINT,
        model=model,
        max_cost_usd=None if sample.max_cost is None else to_dollars(sample.max_cost),
        fanout=BatchOptions(lane=REALTIME, cache="order"),
    )
    job = await add_job_of_lines(backend, data, f"sample of {name}", new)
    if not job.is_over:
        await backend.jobs.run(job)
        job = await follow(job)
    responses, cost = await _responses(backend, job, drawn, Costs(catalog))
    found = await quote(await rest(), on_line=file.count, **options)
    paid = SampleQuote(len(responses), len(drawn) - len(responses), cost)
    estimated = file.estimate(responses, found) if responses else None
    return found, paid if estimated is None else _with_range(paid, *estimated)


def _with_range(paid: SampleQuote, found: Estimate, saved: float) -> SampleQuote:
    low = max(0.0, found.low - saved)
    return SampleQuote(
        paid.lines,
        paid.failed,
        paid.cost_usd,
        _dollars(max(low, found.cost - saved)),
        _dollars(low),
        _dollars(found.high),
        tokens_in=found.tokens_in,
        tokens_out=found.tokens_out,
    )


def _dollars(picodollars: float) -> float:
    return round(picodollars / PICODOLLARS, 6)


async def _responses(
    backend: BatchBackend, job: Job, drawn: Mapping[str, Drawn], costs: Costs
) -> tuple[list[Response], float]:
    """The responses of a job by the lines that were drawn, and what they cost together."""
    found: list[Response] = []
    total = 0
    async for failed, line in result_lines(job, backend.files, backend.results):
        result = None if failed else read_result(line, failed=False)
        if result is not None and (one := drawn.get(result.custom_id)) is not None:
            counts = count_result(result, costs.cost_of)
            total += counts.cost
            found.append(Response(one, counts.tokens_in, counts.tokens_out))
    return found, to_dollars(total)


def sample_to_dict(found: SampleQuote) -> dict[str, Any]:
    """The fields of a quote's JSON."""
    return asdict(found)
