"""The lines of a quote in groups of one price: what they send and get, and its cost. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple, Protocol, TypeAlias

from msgspec import Struct

from ...schema.token_estimate import TOLERANCE, estimate_prompt, estimate_tokens
from ...telemetry.prices import BATCH, FLEX, PICODOLLARS, TokenPrices
from ...wire import json
from ..costs import Costs
from ..lanes import NATIVE, REALTIME, WITH_FLEX, LaneChoice
from .estimates import CORRECTION_TOKENS, conversations_of, max_tokens
from .line_parser import Line
from .planner import LineError

OUTPUT_LOW, OUTPUT_HIGH = 50, 1_000
"""Output tokens of a line without a limit."""

CONTEXT = ("tools", "response_format")
"""Fields that a model reads before the messages."""


class Group(NamedTuple):
    """
    A model, the tier that its lines name, and whether `flex` or native batches take them.

    `is_native`: in a job of the lane `native`; `is_own`: in the job that the quote is for.
    """

    model: str
    tier: str | None
    may_be_on_flex: bool
    is_native: bool = False
    is_own: bool = False

    def tier_on(self, lane: LaneChoice) -> str | None:
        """The tier of the group's lines if the job asks for this lane, and batches only if so."""
        if self.is_native and lane == NATIVE:
            return BATCH
        return FLEX if self.may_be_on_flex and lane in WITH_FLEX else self.tier

    def own_tier(self, lane: LaneChoice) -> str | None:
        """The tier of the group's lines in the job, which asks for this lane."""
        return BATCH if self.is_own else self.tier_on(REALTIME if lane == NATIVE else lane)


class Sent(Struct):
    """What the lines of a group send and get; a line of several models is in several groups."""

    lines: int = 0
    tokens_in: int = 0
    tokens_in_high: int = 0
    tokens_out_low: int = 0
    tokens_out_high: int = 0

    def add(self, more: Sent) -> None:
        """Add what other lines send and get."""
        self.lines += more.lines
        self.tokens_in += more.tokens_in
        self.tokens_in_high += more.tokens_in_high
        self.tokens_out_low += more.tokens_out_low
        self.tokens_out_high += more.tokens_out_high

    def costs(self, prices: TokenPrices, cached: float) -> tuple[int, int]:
        """
        The least and the most that they cost, in picodollars.

        This part of the input may be read from the cache.
        """
        least, most = self.tokens_in * prices.input, self.tokens_in_high * prices.input
        if prices.cached is not None:
            least -= round(self.tokens_in * cached) * (prices.input - prices.cached)
        return (
            least * (100 - TOLERANCE) // 100 + self.tokens_out_low * prices.output,
            most * (100 + TOLERANCE) // 100 + self.tokens_out_high * prices.output,
        )


Groups: TypeAlias = dict[Group, Sent]

Label: TypeAlias = tuple[str, str, int]
"""A batch that a line may go by."""

BatchLabels: TypeAlias = tuple[Label | None, Label | None]
"""A line's batch in a job of the lane `native`, and in the job that the quote is for."""


class LineBatches(Protocol):
    """Divides the lines of a file among native batches, as a job does."""

    def start(self) -> None:
        """Begin with the file."""
        ...

    def add(self, line: Line, number: int, size: int) -> BatchLabels:
        """The batches of the next line, of so many bytes, as far as they are created."""
        ...

    def end(self) -> LineError | None:
        """Decide which batches are created; the job's error if a line has none and must."""
        ...

    def are_created(self, place: BatchLabels) -> tuple[bool, bool]:
        """Whether these batches are."""
        ...


class NoBatches:
    """A host whose jobs have none, or a quote that is not asked for them."""

    def start(self) -> None:
        """Nothing is divided."""

    def add(self, _line: Line, _number: int, _size: int) -> BatchLabels:
        """No batch."""
        return (None, None)

    def end(self) -> LineError | None:
        """No error."""
        return None

    def are_created(self, _place: BatchLabels) -> tuple[bool, bool]:
        """None is."""
        return (False, False)


Unplaced: TypeAlias = dict[tuple[Group, BatchLabels], Sent]
"""The groups while it is not known yet which batches are created."""


def placed(unplaced: Unplaced, batches: LineBatches) -> Groups:
    """The groups, once the batches have been decided on."""
    groups: Groups = {}
    for (group, place), sent in unplaced.items():
        is_native, is_own = batches.are_created(place)
        key = group._replace(is_native=is_native, is_own=is_own)
        groups.setdefault(key, Sent()).add(sent)
    return groups


class Calls(NamedTuple):
    """A line's calls to one model, if each is made once: one for each conversation."""

    chats: int
    sent: int
    low: int
    high: int

    @classmethod
    def of(cls, line: Line) -> Calls:
        """Those of a line, with estimated tokens."""
        if line.is_embedding:
            return cls(1, _input_tokens(line), 0, 0)
        chats = conversations_of(line)
        context = sum(
            estimate_tokens(json.encode(given).decode())
            for name in CONTEXT
            if (given := line.body.get(name))
        )
        sent = sum(context + estimate_prompt(chat) for chat in chats)
        limit, count = max_tokens(line), len(chats)
        low = count * (OUTPUT_LOW if limit is None else max(1, limit // 10))
        return cls(count, sent, low, count * (OUTPUT_HIGH if limit is None else limit))

    def sent_in(self, attempts: int) -> int:
        """The tokens of so many attempts; each but the first has a response and a correction."""
        further = self.sent + self.high + self.chats * CORRECTION_TOKENS
        return self.sent + (attempts - 1) * further


def _input_tokens(line: Line) -> int:
    """The estimated tokens of a line for embeddings; lists of them are counted."""
    given = line.body.get("input")
    inputs = given if isinstance(given, list) else [given]
    if inputs and isinstance(inputs[0], int):
        return len(inputs)
    return sum(
        estimate_tokens(one) if isinstance(one, str) else len(one)
        for one in inputs
        if isinstance(one, str | list)
    )


def cost_of(
    groups: Mapping[Group, Sent],
    costs: Costs,
    cached: Mapping[str, float],
    tier_of: Callable[[Group], str | None],
) -> tuple[float, float] | tuple[None, None]:
    """
    The least and the most that the groups cost on these tiers, in dollars.

    `cached` is the part of each model's input that may be read from its cache.
    """
    low = high = 0
    for group, sent in groups.items():
        has_output = sent.tokens_out_high > 0
        prices, tier = costs.prices(group.model, has_output=has_output), tier_of(group)
        if prices is None or not prices.knows(tier):
            return None, None
        if tier == BATCH:
            prices = costs.batch_prices(group.model, prices)
        least, most = sent.costs(prices.of(tier), cached.get(group.model, 0.0))
        low, high = low + least, high + most
    return (round(low / PICODOLLARS, 6), round(high / PICODOLLARS, 6)) if groups else (None, None)


def lines_of(sent: Iterable[Sent]) -> int:
    """The lines of these groups."""
    return sum(one.lines for one in sent)
