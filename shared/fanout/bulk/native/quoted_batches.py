"""The native batches that a job would have, for its quote: chosen as the job chooses them."""

from __future__ import annotations

from collections.abc import Callable

from msgspec import Struct
from msgspec.structs import replace

from ...config.catalog import Catalog, ClientKey
from ...schema.fanout import FanOutRequest
from ..costs import Costs
from ..input.line_parser import Line
from ..input.planner import LineError
from ..input.quote_groups import BatchLabels
from ..lanes import LaneChoice, NativeChoice
from .chosen_batches import asks_for_batches, choice_of, chosen_batches
from .eligibility import Eligibility, Routes
from .input_lines import InputLine
from .planned import BatchPlan, Label

JOB = "quote"

LINE_ID = "f00000000-{number}"
"""As long as a line's id at a provider."""


class QuotedJob(Struct, frozen=True):
    """What a job asks for; `window` is in seconds from now, `max_cost` in nanodollars."""

    lane: LaneChoice
    native: NativeChoice
    window: float
    max_cost: int | None = None


class QuotedBatches:
    """
    Those of the job, and those that it would have on the lane `native`.

    `prepare` is the gateway's check of a request, for the rights of `client`.
    """

    def __init__(
        self,
        catalog: Catalog,
        prepare: Callable[[FanOutRequest, ClientKey], FanOutRequest],
        client: ClientKey,
        job: QuotedJob,
        now: float,
    ) -> None:
        self._catalog, self._costs, self._job, self._now = catalog, Costs(catalog), job, now
        self._eligibility = Eligibility(Routes(catalog), prepare, client)
        self._is_asked = asks_for_batches(job.lane, job.native)
        self._created: frozenset[Label] = frozenset()
        self._own_created: frozenset[Label] = frozenset()
        self._estimated: tuple[InputLine | None, int] = (None, 0)
        self.start()

    def start(self) -> None:
        """Begin with a file."""
        self._plan = self._make_plan(is_asked=True)
        self._own: BatchPlan | None = None
        if self._is_asked:
            self._own = self._plan
        elif self._job.native != "never":
            self._own = self._make_plan(is_asked=False)

    def _make_plan(self, *, is_asked: bool) -> BatchPlan:
        now, window = self._now, self._job.window
        choice = choice_of(
            self._costs,
            now=now,
            window=window,
            expires_at=now + window,
            is_asked=is_asked,
            tries_one=self._job.native != "require",
        )
        plain = choice.estimate

        def estimate(one: InputLine) -> int:
            """A line's estimate, made once for both plans."""
            if self._estimated[0] is not one:
                self._estimated = (one, plain(one))
            return self._estimated[1]

        return BatchPlan(replace(choice, estimate=estimate))

    def add(self, line: Line, number: int, size: int) -> BatchLabels:
        """The batches of the next line, of so many bytes, as far as they are created."""
        found = self._eligibility.check(line, LINE_ID.format(number=number))
        one = InputLine(number, 0, line, size)
        label = self._plan.add(one, found)
        if self._own is None or self._own is self._plan:
            return (label, None if self._own is None else label)
        return (label, self._own.add(one, found))

    def end(self) -> LineError | None:
        """Decide which batches are created; the job's error if a line has none and must."""
        job = self._job
        native: NativeChoice = job.native if self._own is self._plan else "auto"
        rows = chosen_batches(self._plan, JOB, native, job.max_cost, is_within=True)
        if isinstance(rows, LineError):
            self._created = self._own_created = frozenset(self._plan.rows(JOB))
            return rows
        self._created = self._own_created = frozenset(rows)
        if self._own is None:
            self._own_created = frozenset()
        elif self._own is not self._plan:
            own = chosen_batches(self._own, JOB, job.native, job.max_cost, is_within=True)
            self._own_created = frozenset(() if isinstance(own, LineError) else own)
        return None

    def are_created(self, place: BatchLabels) -> tuple[bool, bool]:
        """Whether these batches are."""
        return (place[0] in self._created, place[1] in self._own_created)
