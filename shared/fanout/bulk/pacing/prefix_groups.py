"""
Which line is sent next, so that lines with the same beginning find it in the provider's cache.

A provider can read a beginning from its cache once it has begun to respond to the first call with
it. So each group of lines has a warming call: the others wait for its first token, and lines of
other groups are sent meanwhile. A group waits no longer than that takes, and not at all if its
warming calls fail or the model's responses show no cache. Pure but for the reading of the order:
time is an argument.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from typing import Any

from msgspec import Struct

from ..input.line_order import LineOrder, LinePosition, LineRange, PrefixGroup
from .prefix_state import CacheRules, ModelGroups, SentGroup

QUEUE = 64
"""Lines of a model that may wait for their first call to start, when others may be sent."""

MAX_UNSENT = 60.0
"""Seconds for which a group waits for a warming call that does not start."""

FAILURES = 3
"""Warming calls that fail one after the other, after which a group is sent without a wait."""

MISSES = 3
"""Responses without a cached token after which a group does not wait any more."""

READ = 64
"""Places that are read at a time."""


class PrefixCall(Struct, eq=False):
    """
    A line of a group on its way; its methods are called as its calls go on.

    With `is_warming`, others wait for its first token. `mark` says whether its provider is to be
    asked for a cache.
    """

    groups: PrefixGroups
    group: SentGroup
    is_warming: bool
    mark: bool
    is_started: bool = False
    is_settled: bool = False

    @property
    def shared(self) -> PrefixGroup:
        """The beginning that it shares."""
        return self.group.shared

    def started(self) -> None:
        """A call starts."""
        self.groups.started(self)

    def first_token(self) -> None:
        """The response has begun."""
        self.groups.warmed(self)

    def succeeded(self, usage: Mapping[str, Any] | None) -> None:
        """The response is there."""
        self.groups.warmed(self)
        self.groups.succeeded(self, usage)

    def failed(self) -> None:
        """A call has failed, or the line has ended: others need not wait for it any more."""
        self.groups.failed(self)

    def skipped(self) -> None:
        """The line is not sent; it has a result."""
        self.groups.skipped(self)

    def ended(self) -> None:
        """The line has ended, with or without a call."""
        self.groups.started(self)
        self.groups.failed(self)


class NextLine(Struct, frozen=True):
    """A line to send, or a range of lines that share nothing with others."""

    place: LinePosition | None = None
    range: LineRange | None = None
    call: PrefixCall | None = None


class PrefixGroups:
    """
    The lines of an order, one after the other.

    `rules` are those of a model; with `mark`, its provider is asked for a cache. `changed` is
    called when another line may be sent. `clock` is in seconds.
    """

    def __init__(
        self,
        order: LineOrder,
        rules: Callable[[str], CacheRules],
        clock: Callable[[], float],
        changed: Callable[[], None],
        *,
        mark: bool = False,
    ) -> None:
        self._order = order
        self._clock = clock
        self._changed = changed
        self._mark = mark
        self._ranges = order.ranges()
        self._has_ranges = True
        self._models = deque(
            ModelGroups(rules(name), order.groups(index))
            for index, name in enumerate(order.head.models)
            if order.head.groups[index]
        )

    @property
    def is_done(self) -> bool:
        """Whether each line was given."""
        return not self._has_ranges and not self._models

    async def next(self) -> NextLine | None:
        """The next line that may be sent now; `None` if all wait, or all were given."""
        now = self._clock()
        for _ in range(len(self._models)):
            model = self._models[0]
            self._models.rotate(-1)
            found = await self._next_of(model, now)
            if found is not None:
                return found
            if model.is_empty:
                self._models.remove(model)
        if self._has_ranges:
            found_range = await anext(self._ranges, None)
            if found_range is not None:
                return NextLine(range=found_range)
            self._has_ranges = False
        return None

    async def _next_of(self, model: ModelGroups, now: float) -> NextLine | None:
        if model.waiting >= QUEUE:
            return None
        if not model.ready:
            self._release_late(model, now)
        if not model.ready and model.has_more:
            shared = await anext(model.unread, None)
            if shared is None:
                model.has_more = False
            else:
                group = SentGroup(model, shared, is_free=model.hopeless >= MISSES)
                model.ready.append(group)
        while model.ready:
            group = model.ready[0]
            if group.has_lines:
                return await self._line_of(group, now)
            model.ready.popleft()
        return None

    async def _line_of(self, group: SentGroup, now: float) -> NextLine:
        """The group's next line; meanwhile, other groups may come before it in `ready`."""
        if not group.places:
            at = group.shared.first + group.given
            count = min(READ, group.shared.lines - group.given)
            group.places.extend(await self._order.places(at, count))
        model, place = group.model, group.places.popleft()
        group.given += 1
        is_warming = not group.is_warm(now)
        if is_warming:
            if group.warmed >= model.rules.calls:
                group.warmed = 0  # the entry has expired
            group.warming += 1
            group.picked, group.started = now, None
        is_parked = is_warming and group.warmed + group.warming >= model.rules.calls
        if is_parked or not group.has_lines:
            model.ready.remove(group)
        if is_parked and group.has_lines:
            model.parked.append(group)
        group.used = now
        model.waiting += 1
        marks = self._mark and group.misses < MISSES
        return NextLine(place, call=PrefixCall(self, group, is_warming, marks))

    def _release_late(self, model: ModelGroups, now: float) -> None:
        """Let the groups go on that have waited long enough."""
        wait = model.wait() if model.parked else 0.0
        for group in list(model.parked):
            started = group.started
            late = group.picked + MAX_UNSENT if started is None else started + wait
            if now >= late:
                group.is_free = True
                self._unpark(group)

    def _unpark(self, group: SentGroup) -> None:
        model = group.model
        if group in model.parked:
            model.parked.remove(group)
            model.ready.appendleft(group)
        self._changed()

    # ---- what calls report ----

    def started(self, call: PrefixCall) -> None:
        """A line's first call has started, or the line has ended without one."""
        if call.is_started:
            return
        call.is_started = True
        call.group.model.waiting -= 1
        if call.is_warming and call.group.started is None:
            call.group.started = self._clock()
        self._changed()

    def warmed(self, call: PrefixCall) -> None:
        """A response has begun, so that the cache has the beginning of its prompt."""
        group, now = call.group, self._clock()
        group.used = now
        if not call.is_warming or call.is_settled:
            return
        call.is_settled = True
        group.warming -= 1
        group.warmed += 1
        group.failures = 0
        if group.started is not None:
            group.model.first_tokens.append(now - group.started)
        if group.warmed >= group.model.rules.calls:
            self._unpark(group)

    def failed(self, call: PrefixCall) -> None:
        """A call has failed; if others waited for it, another line warms the cache."""
        if not call.is_warming or call.is_settled:
            return
        call.is_settled = True
        group = call.group
        group.warming -= 1
        group.failures += 1
        if group.failures >= FAILURES:
            group.is_free = True
        self._unpark(group)

    def skipped(self, call: PrefixCall) -> None:
        """A line is not sent: the next one takes its place."""
        group = call.group
        call.is_started = True
        group.model.waiting -= 1
        if call.is_warming and not call.is_settled:
            call.is_settled = True
            group.warming -= 1
            self._unpark(group)

    def succeeded(self, call: PrefixCall, usage: Mapping[str, Any] | None) -> None:
        """Count a response that should have been read from the cache."""
        group = call.group
        if call.is_warming or usage is None:
            return
        details = usage.get("prompt_tokens_details")
        if isinstance(details, dict) and details.get("cached_tokens"):
            group.misses, group.has_cache = 0, True
            group.model.hopeless = 0
            return
        group.misses += 1
        if group.misses == MISSES and not group.has_cache:
            group.is_free = True
            group.model.hopeless += 1
