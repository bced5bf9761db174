"""
What the doubles have in common: routes, faults, files, batches, and the bill.

A double is an async callable from a `WireRequest` to its `WireResponse`, without a network. Its
batches follow their scripts on the double's clock; its endpoint for real time has the same bill.

Each double cites what it imitates. OR: the captured responses in github.com/OpenRouterTeam/docs,
`docs/batch-research/<vendor>.md`, of 2026-09. SDK: the vendor's SDK for Python, of 2026-11. DOC:
the vendor's documentation. ISSUE: a public issue. GUESS: nobody has shown it.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from math import inf
from random import Random
from typing import Any, ClassVar, TypeAlias

from msgspec.structs import replace

from fanout.wire.http import WireRequest, WireResponse

from .bill import RECEIVED, Bill, Entry, Lane, tokens_of
from .clock import Clock
from .script import Poll, Script, Scripts, always
from .timeline import Batch, Failure, Line
from .wire import Rows, reply, text_of

Outcome: TypeAlias = Callable[[str, Lane], int]
"""What executing a prompt comes to on a lane: 200, or the status of an error."""

Handler: TypeAlias = Callable[[WireRequest, Mapping[str, str]], WireResponse]
Route: TypeAlias = tuple[str, str, Handler]
"""A method, a regular expression for the path without its query, and what responds."""


class Rejected(Exception):
    """A request that ends with this error response."""

    def __init__(self, response: WireResponse) -> None:
        super().__init__(response.status)
        self.response = response


def succeed(_text: str, _lane: Lane) -> int:
    """The outcome of each prompt is a success."""
    return 200


class Double:
    """
    A vendor's API. `batches` are all that were created, also those whose creator was not told.

    The next creations are refused with the statuses in `refuse_creates`, and the next lists with
    those in `refuse_lists`. A response in real time takes `seconds` of the event loop's time, and
    has the `limit_headers`.
    """

    vendor = ""
    row_id = "custom_id"
    """The field of a row that has the line's id."""
    least_lines = 1
    models: frozenset[str] | None = None
    """The models that there are; `None` for all."""
    strange_state: ClassVar[str] = "resting"

    def __init__(
        self,
        *,
        clock: Callable[[], float] | None = None,
        bill: Bill | None = None,
        script: Scripts | Script | None = None,
        outcome: Outcome = succeed,
        seconds: float = 0.0,
    ) -> None:
        self.clock = clock or Clock()
        self.bill = Bill() if bill is None else bill
        self.script = always(script or Script()) if not callable(script) else script
        self.outcome = outcome
        self.seconds = seconds
        self.batches: dict[str, Batch] = {}
        self.files: dict[str, bytes] = {}
        self.calls: list[tuple[str, str]] = []
        self.limit_headers: dict[str, str] = {}
        self.refuse_creates: deque[int] = deque()
        self.refuse_lists: deque[int] = deque()
        self._routes = [(method, re.compile(path), to) for method, path, to in self.routes()]

    # ---- what each vendor has ----

    def routes(self) -> Sequence[Route]:
        raise NotImplementedError

    def error(self, status: int, message: str, code: str | None = None) -> WireResponse:
        """An error in the vendor's form."""
        raise NotImplementedError

    def answer(self, text: str, lane: Lane, model: str) -> dict[str, Any]:
        """A response to a prompt, in the vendor's form."""
        raise NotImplementedError

    # ---- requests ----

    async def __call__(self, request: WireRequest) -> WireResponse:
        """Respond; raises `ConnectionResetError` if the script loses the response."""
        path = request.path.partition("?")[0]
        self.calls.append((request.method, path))
        for method, pattern, handler in self._routes:
            if method == request.method and (match := pattern.fullmatch(path)):
                try:
                    response = handler(request, match.groupdict())
                except Rejected as rejected:
                    return rejected.response
                if handler == self.realtime:
                    await asyncio.sleep(self.seconds)
                    headers = {**response.headers, **self.limit_headers}
                    response = replace(response, headers=headers)
                return response
        return self.error(404, f"there is no {request.method} {path}")

    def reject(self, status: int, message: str, code: str | None = None) -> Rejected:
        return Rejected(self.error(status, message, code))

    def reject_as(self, status: int, value: object) -> Rejected:
        """An error that has a form of its own."""
        return Rejected(reply(value, status))

    # ---- the life of a batch ----

    def line(self, line_id: str | None, text: str, body: dict[str, Any]) -> Line:
        """A line and its outcome."""
        return Line(line_id, text, body, self.outcome(text, "native"))

    def refuse_create(self) -> None:
        """Raise the next scripted refusal: nothing is created."""
        if self.refuse_creates:
            status = self.refuse_creates.popleft()
            raise self.reject(status, "not now")

    def open_batch(
        self,
        prefix: str,
        key: str | None,
        lines: list[Line],
        window: float = inf,
        failure: Failure | None = None,
        **facts: Any,
    ) -> Batch:
        """A new batch, whose id is the prefix and its number."""
        number = len(self.batches)
        script, now = self.script(number), self.clock()
        if failure is None and script.bad_line is not None:
            failure = Failure("invalid_request", "this line is invalid", None, script.bad_line)
        made = Batch(
            vendor=self.vendor,
            id=f"{prefix}{number + 1}",
            key=key,
            lines=lines,
            created_at=now,
            expires_at=now + window,
            script=script,
            failure=failure,
            facts=facts,
        )
        self.batches[made.id] = made
        return made

    def created(self, batch: Batch, response: WireResponse) -> WireResponse:
        """The response to a creation, unless the script loses it."""
        if batch.script.reply == "lost":
            raise ConnectionResetError("the connection was closed before the response")
        if batch.script.reply == "failed":
            raise self.reject(500, "internal error")
        return response

    def polled(self, batch_id: str) -> tuple[Batch, Poll | None]:
        """A batch whose state is asked for, and what its script makes of the response."""
        batch = self.found(batch_id)
        batch.reads += 1
        number = batch.reads - 1 - batch.script.late_reads
        if number < 0:
            raise self.reject(404, "there is no such batch")
        scripted = batch.script.polls[number] if number < len(batch.script.polls) else None
        if isinstance(scripted, int):
            raise self.reject(scripted, "not now")
        if scripted == "garbage":
            raise Rejected(WireResponse(200, {}, b"<html>"))
        return batch, scripted

    def found(self, batch_id: str) -> Batch:
        if batch_id not in self.batches:
            raise self.reject(404, f"no batch found with id '{batch_id}'")
        return self.batches[batch_id]

    def listed(self) -> list[Batch]:
        """The batches that a list has at this moment, newest first."""
        if self.refuse_lists:
            raise self.reject(self.refuse_lists.popleft(), "not now")
        found = []
        for batch in reversed(self.batches.values()):
            batch.lists += 1
            if batch.lists > batch.script.late_lists:
                found.append(batch)
        return found

    def cancel(self, batch: Batch) -> None:
        """From now on it is being cancelled, if it is not over."""
        if batch.cancelled_at is None and not batch.is_over(self.clock()):
            batch.cancelled_at = self.clock()

    def open_lines(self) -> int:
        """Lines of batches that are not over."""
        now = self.clock()
        return sum(len(one.lines) for one in self.batches.values() if not one.is_over(now))

    def open_tokens(self) -> int:
        """Tokens of the prompts of batches that are not over."""
        now = self.clock()
        open_now = (one for one in self.batches.values() if not one.is_over(now))
        return sum(tokens_of(line.text) for one in open_now for line in one.lines)

    def disturbed(self, batch: Batch, rows: Rows) -> Rows:
        """The rows as the script has them: missing, twice, foreign, in another order."""
        script = batch.script
        found = rows[script.missing :]
        found += found[: script.duplicated]
        if found:
            extra = range(script.foreign)
            found += [{**found[0], self.row_id: f"another-{number}"} for number in extra]
        if script.shuffled:
            Random(batch.id).shuffle(found)  # noqa: S311 -- no secret
        return found

    def download(self, batch: Batch | None, content: bytes, kind: str) -> WireResponse:
        """A file; the script may cut it in the middle of a row, or have it gone."""
        if batch is not None:
            batch.downloads += 1
            if batch.script.gone:
                raise self.reject(404, "there is no such file")
            if batch.downloads <= batch.script.cut_downloads:
                content = content[: max(2, len(content) * 2 // 3)].rstrip(b"\n")[:-1]
        return WireResponse(200, {"content-type": kind}, content)

    # ---- real time ----

    def realtime(self, request: WireRequest, names: Mapping[str, str]) -> WireResponse:
        """One response in real time, or on the flex tier."""
        body = json.loads(request.body)
        text, lane = self.prompt(body), self.lane(body)
        status = self.outcome(text, lane)
        if status != 200:
            return self.error(status, f"status {status}")
        self.bill.add(
            Entry(self.vendor, lane, text, tokens_of(text), RECEIVED, self.clock()),
        )
        model = names.get("model") or str(body.get("model"))
        return reply(self.answer(text, lane, model))

    def prompt(self, body: Mapping[str, Any]) -> str:
        """The text of the last message."""
        return text_of(body["messages"][-1]["content"])

    def lane(self, body: Mapping[str, Any]) -> Lane:
        """The lane of a call in real time: vendors with a flex tier have `service_tier` for it."""
        return "flex" if body.get("service_tier") == "flex" else "realtime"

    # ---- the bill ----

    def settle(self, until: float = inf) -> None:
        """Bill what the batches execute until then; by default, until nothing more happens."""
        for batch in self.batches.values():
            batch.bill_until(until, self.bill)
