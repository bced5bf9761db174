"""What a request may cost before it is sent, and what its calls have cost. All in nanodollars."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any

from msgspec import Struct

from ..bulk.costs import Costs
from ..bulk.input.estimates import KEY_OUTPUT_TOKENS
from ..config.catalog import Catalog
from ..errors import BudgetExceeded, FanoutError, Forbidden, Unauthorized
from ..routing.billing import assumed_usage
from ..routing.leg import Leg, Outcome
from ..schema.fanout import FanOutRequest
from ..schema.prompt_tokens import prompt_tokens
from ..schema.received_text import ReceivedText
from ..schema.request import ChatRequest
from ..schema.tokens import BYTES_PER_TOKEN
from ..telemetry.prices import TokenPrices, count_of, nanodollars_of, prices_of_usage
from .account import Need

ONE_RESPONSE = frozenset({"one", "fallback"})
"""The modes in which one model after the other is called, until one responds."""

FREE = TokenPrices(0, 0)

KINDS = ("prompt", "completion")

LIMIT = "max_completion_tokens"
"""The newer name of `max_tokens`, which the other endpoints' own names are for."""


class Estimate(Struct, frozen=True):
    """What a request needs at most, and the models whose price is unknown."""

    need: Need
    unpriced: tuple[str, ...] = ()


def estimate(request: FanOutRequest, costs: Costs) -> Estimate:
    """What all calls of a request may cost together."""
    routes, unpriced = costs.catalog.routes, set[str]()
    total = tokens = 0
    for chat in request.conversations:
        sent, received = prompt_tokens(chat), output_tokens(chat)
        parts = []
        for model in request.models:
            names = routes.may_respond(model, (request.fallbacks or {}).get(model, ()))
            unpriced |= {name for name in names if costs.prices(name) is None}
            parts.append(_dearest(costs, names, sent, received))
        calls = 1 if request.mode in ONE_RESPONSE else len(parts)
        whole = max(parts) if request.mode in ONE_RESPONSE else sum(parts)
        if request.check is not None:
            more = request.check.escalate
            unpriced |= {name for name in more if costs.prices(name) is None}
            whole *= request.check.attempts
            whole += sum(_dearest(costs, (name,), 2 * sent, received) for name in more)
            calls = calls * request.check.attempts + len(more)
        if request.judging is not None:
            judge, read = request.judging.judge, sent + calls * received
            unpriced |= {judge} if costs.prices(judge) is None else set()
            whole += 2 * _dearest(costs, (judge,), read, received)
            tokens += 2 * read
        total += whole
        tokens += calls * (sent + received)
    need = Need(nanodollars_of(total), tokens, field=_limit_field(request.conversations[0]))
    return Estimate(need, tuple(sorted(unpriced)))


def _limit_field(chat: ChatRequest) -> str:
    """The client's name of the most tokens of a response."""
    name = LIMIT if chat.names is None else chat.names.path(LIMIT)
    is_sent = name != LIMIT or chat.max_completion_tokens is not None
    return name if is_sent else "max_tokens"


def planned_cost(request: FanOutRequest, model: str, need: Need, costs: Costs) -> int:
    """What the calls of a request may cost if its next one is of `model`, in nanodollars."""
    chats = request.conversations
    is_one = request.mode in ONE_RESPONSE and len(chats) == 1 and request.check is None
    if not is_one or request.judging is not None:
        return need.cost
    sent, received = prompt_tokens(chats[0]), output_tokens(chats[0])
    return nanodollars_of(_dearest(costs, (model,), sent, received))


def estimate_embeddings(model: str, size: int, costs: Costs) -> Estimate:
    """What the vectors of a request of `size` bytes may cost."""
    tokens = -(-size // BYTES_PER_TOKEN)
    prices = costs.prices(model, has_output=False)
    one = prices or FREE
    cost = nanodollars_of(one.per_request + tokens * one.input)
    return Estimate(Need(cost, tokens, field="input"), () if prices else (model,))


def check_prices(found: Estimate, catalog: Catalog) -> None:
    """
    Raise `Forbidden` if a model has no price: a budget could not count it.

    Raises `UnknownModel` if it is none.
    """
    if found.unpriced:
        catalog.check_name(found.unpriced[0])
        raise Forbidden(
            f"the key has a budget, and the price of `{found.unpriced[0]}` is unknown: set "
            "`input_cost_per_token` and `output_cost_per_token` in its `litellm_params`, or "
            "`general_settings.unpriced_models: free`",
            "model",
            "model_without_price",
        )


def _dearest(costs: Costs, names: Iterable[str], sent: int, received: int) -> int:
    """The most picodollars that one call to one of the models may cost."""
    prices = [costs.prices(name) or FREE for name in names]
    return max(one.per_request + sent * one.input + received * one.output for one in prices)


def output_tokens(chat: ChatRequest) -> int:
    """The most tokens of the responses to a conversation."""
    return (chat.limit or KEY_OUTPUT_TOKENS) * (chat.n or 1)


class Meter:
    """
    A `Watcher` that adds up what the calls of one request cost.

    `by_model` has each model's cost, prompt tokens and completion tokens. `failed` is what the
    failed calls have cost, which no estimate has. `extend` gets a model that is called after
    one: it reserves what is not reserved yet.

    Of a call whose provider sends no usage, the texts that were sent and received count.
    """

    def __init__(self) -> None:
        self.cost = self.failed = 0
        self.prompt_tokens = 0
        self.completion_tokens = 0
        self.by_model: dict[str, list[int]] = {}
        self.extend: Callable[[str], Awaitable[None]] | None = None

    @property
    def tokens(self) -> int:
        """All tokens of all calls."""
        return self.prompt_tokens + self.completion_tokens

    async def pay_again(self, leg: Leg, error: Exception | None) -> None:
        """A call is to start after a failed one; raises its error if the budget is held."""
        if not self.failed or self.extend is None:
            return
        try:
            await self.extend(leg.model)
        except FanoutError as refusal:
            if error is None or isinstance(refusal, BudgetExceeded | Unauthorized):
                raise
            raise error from None

    def started(self, leg: Leg) -> None:
        """A call starts: what it receives is collected."""
        leg.received = ReceivedText()

    def first_token(self, leg: Leg) -> None:
        """The provider has begun to respond; it costs nothing of its own."""

    def checked(self, leg: Leg, error: FanoutError | None) -> None:
        """Whether the response fits a schema; it costs the same."""

    def ended(self, leg: Leg, outcome: Outcome, error: BaseException | None) -> None:
        """Add what the call has cost."""
        if (deployment := leg.deployment) is None:
            return
        usage: Mapping[str, Any] | None = leg.usage or assumed_usage(leg, outcome, error)
        if usage is None:
            return
        prices = prices_of_usage(deployment, usage) or FREE
        cost = prices.cost(usage, leg.tier)
        sent, received = (count_of(usage.get(f"{name}_tokens")) for name in KINDS)
        self.cost += cost
        self.failed += cost if outcome == "failed" else 0
        self.prompt_tokens += sent
        self.completion_tokens += received
        known = self.by_model.get(leg.model, (0, 0, 0))
        self.by_model[leg.model] = [known[0] + cost, known[1] + sent, known[2] + received]
