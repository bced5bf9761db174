"""
The providers' own batch APIs, in one vocabulary: what a codec of one of them is.

A codec is pure both ways. It makes the requests (upload, create, poll, list, cancel, download), and
reads the responses to them: a batch with a neutral state, and a result for each row. It knows
nothing of jobs, keys, time or money. Each vendor's is in `native_batch.py` of its folder, or a row.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal, Protocol, TypeAlias

from msgspec import Struct

from ..errors import ErrorDetail
from ..schema.chat import ChatCompletion
from ..schema.request import ChatRequest
from ..wire.http import WireRequest, WireResponse

BatchState: TypeAlias = Literal[
    "validating",
    "in_progress",
    "finalizing",
    "completed",
    "failed",
    "expired",
    "cancelling",
    "cancelled",
    "unknown",
]
"""OpenAI's states. `unknown` is a state that the vendor has added: the batch may be running."""

TERMINAL: frozenset[BatchState] = frozenset({"completed", "failed", "expired", "cancelled"})
"""States that do not change any more. In each of them there may be results: only rows say so."""

FoundBy: TypeAlias = Literal["token", "key", "input", "none"]
"""
How a batch is found whose creation had no response, so that it is not created twice.

`token`: the vendor ignores a second creation with the same key. `key`: it is in the batch's label,
`input`: the batch names its input file. `none`: nothing in a list tells; its results' ids do.
"""


NOT_BEGUN: frozenset[BatchState] = frozenset({"cancelled", "failed"})
"""Ends of batches that have no file if they have not begun, at each vendor."""


class Limits(Struct, frozen=True):
    """
    What one batch may have: `lines`, `bytes` of its input, `least` lines, bytes of one line.

    `drain` is how many seconds a cancelled batch needs to end. `window` is how many seconds before
    a deadline a batch is worth creating. In an end of `unwritten`, a result file may not exist
    although the batch names it. A batch without any file has run no line if its end is in `unrun`.
    Codecs cite where their vendors say so.
    """

    lines: int
    bytes: int
    drain: float
    window: float = 6 * 3600.0
    least: int = 1
    line_bytes: int | None = None
    unwritten: frozenset[BatchState] = frozenset()
    unrun: frozenset[BatchState] = NOT_BEGUN


class NativeLine(Struct, frozen=True):
    """A request, under an id that is not the user's."""

    id: str
    request: ChatRequest


class Fault(Struct, frozen=True):
    """Why a whole batch failed; `line` is the first wrong line of its input, from 1."""

    code: str
    message: str
    line: int | None = None


class NativeBatch(Struct, frozen=True):
    """
    A batch, as its vendor describes it.

    `key` and `input` are the label and the input file, by which it is found again; `created_at` is
    in seconds since 1970. `outputs` are the names of its result files. Counts are not read: they
    contradict the rows at several vendors.
    """

    id: str
    state: BatchState
    key: str | None = None
    input: str | None = None
    created_at: float | None = None
    outputs: tuple[str, ...] = ()
    fault: Fault | None = None

    @property
    def is_over(self) -> bool:
        return self.state in TERMINAL


class Page(Struct, frozen=True):
    """Some batches of the account, newest first; `more` is the cursor of the next page."""

    batches: tuple[NativeBatch, ...]
    more: str | None = None


class Row(Struct, frozen=True):
    """
    One row of the results.

    `ok` has a completion. `failed` has an error; `may_succeed` says whether the same request may
    succeed in real time. `not_run` was not executed, or not to its end: nothing is billed for it.
    """

    id: str
    kind: Literal["ok", "failed", "not_run"]
    completion: ChatCompletion | None = None
    status: int = 0
    error: ErrorDetail | None = None
    may_succeed: bool = True


class NativeBatches(Protocol):
    """The codec of one vendor's batch API, for one deployment's model."""

    @property
    def limits(self) -> Limits: ...

    @property
    def found_by(self) -> FoundBy: ...

    @property
    def price_factor(self) -> float:
        """A batch's price by that in real time: 0.5 is half; 1.0 if the model has no discount."""
        ...

    def rejection(self, line: NativeLine, /) -> str | None:
        """Why the API would reject this line, and often all others with it; `None` if it may go."""
        ...

    def data(self, lines: Iterable[NativeLine], /) -> bytes:
        """The input of a batch: the content of a file, or what `create` sends."""
        ...

    def upload(self, key: str, data: bytes, last: WireResponse | None, /) -> WireRequest | str:
        """
        The next request of the upload after the response `last`, or the input for `create`.

        That is the name of a file, or all of the data if the API has no files.
        """
        ...

    def create(self, key: str, source: str, /) -> WireRequest:
        """The request that creates the batch `key` of an input. It may not be repeated blindly."""
        ...

    def creation_status(self, response: WireResponse, /) -> int:
        """
        The status of the response to `create`, as HTTP means it.

        409 says that the batch may exist, 429 that there is no room for it now.
        """
        ...

    def read(self, response: WireResponse, /) -> NativeBatch:
        """The batch in the response to `create` or `poll`."""
        ...

    def poll(self, batch_id: str, /) -> WireRequest:
        """The request for a batch's state."""
        ...

    def list(self, key: str, cursor: str | None, /) -> WireRequest:
        """The request for a page of batches; if the API can filter, for those with this key."""
        ...

    def read_page(self, response: WireResponse, /) -> Page:
        """The batches of a page."""
        ...

    def cancel(self, batch_id: str, /) -> WireRequest:
        """The request that cancels a batch. What follows is only seen by `poll`."""
        ...

    def results(self, batch: NativeBatch, /) -> tuple[WireRequest, ...]:
        """The requests for all files with rows, in whatever state the batch has ended."""
        ...

    def row(self, data: bytes, /) -> Row:
        """One line of a result file. Raises `BadWire` if it is none."""
        ...
