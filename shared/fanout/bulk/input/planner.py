"""
The planner: reads an input file once, as a stream, checks each line and cuts it into shards.

Its memory does not depend on the file up to two million lines, and grows by 8 bytes a line after
that. To find a `custom_id` that is used twice, it keeps fingerprints. If any may be a duplicate, it
reads the file a second time to be sure. Pure but for the reading, which the caller provides.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

from msgspec import Struct, field

from .bloom_filter import BloomFilter
from .line_checks import LineChecks
from .lines import BadLine, LineHead, read_head
from .order_writer import OrderWriter
from .prefixes import prefix_of
from .splitter import LineSplitter, iter_lines

MAX_ERRORS = 100
"""Errors that a failed validation lists; the rest are counted."""

MAX_MODELS = 10_000
"""Different model names of one file; each is checked and counted."""

MAX_POSSIBLE_DUPLICATES = 100_000
"""`custom_id`s that the second reading looks for; a file with more duplicates fails anyway."""


class Shard(Struct, frozen=True):
    """Whole lines of the input: the bytes `[start, end)`; `first` is the first line's number."""

    index: int
    start: int
    end: int
    first: int
    lines: int


class ShardSize(Struct, frozen=True):
    """The most lines and bytes of a shard; a single line may be longer."""

    lines: int
    bytes: int


SMALL_SHARDS = ShardSize(200, 4 * 1024 * 1024)
"""For workers that have minutes, such as a Lambda function."""

LARGE_SHARDS = ShardSize(2_000, 16 * 1024 * 1024)
"""For workers that run as long as the job."""


class LineError(Struct, frozen=True):
    """What is wrong with a line, as in `errors.data[]` of a batch."""

    code: str
    message: str
    param: str | None
    line: int | None


class Plan(Struct):
    """
    What the planner found; `total` counts lines, `size` bytes, `models` the lines of each.

    `names` are all models that lines name, also for further calls.
    """

    total: int = 0
    size: int = 0
    shards: int = 0
    models: Counter[str] = field(default_factory=Counter)
    names: frozenset[str] = frozenset()
    errors: list[LineError] = field(default_factory=list)
    more_errors: int = 0

    def add_error(self, code: str, message: str, param: str | None, line: int | None) -> None:
        """Add an error; after the first hundred it is only counted."""
        if len(self.errors) < MAX_ERRORS:
            self.errors.append(LineError(code, message, param, line))
        else:
            self.more_errors += 1


async def plan(
    read: Callable[[], AsyncIterator[bytes]],
    write: Callable[[Shard], object],
    *,
    default_model: str | None,
    check: Callable[[str], None],
    check_embedding: Callable[[str], None] | None = None,
    size: ShardSize = SMALL_SHARDS,
    order: OrderWriter | None = None,
) -> Plan:
    """
    Check every line of `read()` and `write` the shards; `order` gets the place of each line.

    `check` is called once for each model name and raises `BadLine` if it may not be used; for lines
    for embeddings `check_embedding` is, if there is one. `read` is
    called a second time only to confirm possible duplicates.
    """
    checks = check, check_embedding or check
    validator = _Validator(_ShardBuilder(write, size), checks, default_model, order)
    splitter = LineSplitter()
    async for chunk in read():
        validator.add(splitter.feed(chunk))
        if validator.has_too_many_models:
            break
    else:
        validator.add(splitter.end())
    result = validator.close()
    if validator.has_too_many_models:
        message = f"The file names more than {MAX_MODELS} models; divide it."
        result.errors = result.errors[: MAX_ERRORS - 1]
        result.errors.append(LineError("too_many_models", message, "body.model", None))
        return result
    if not result.total:
        result.add_error("empty_file", "The input file has no lines.", None, None)
    if validator.possible_duplicates:
        await _report_duplicates(read, result, validator.possible_duplicates, default_model)
        result.errors.sort(key=lambda error: error.line or 0)
    return result


class ModelError(Struct, frozen=True):
    """Why a model may not be used: an error's words, without its traceback, which holds a line."""

    code: str
    message: str
    param: str | None


class _ModelUse(Struct):
    """How many lines name these models together, and why they may not."""

    lines: int = 0
    error: ModelError | None = None


class _Validator:
    """Checks lines, many at a time: the planner spends its time here."""

    def __init__(
        self,
        builder: _ShardBuilder,
        checks: tuple[Callable[[str], None], Callable[[str], None]],
        default_model: str | None,
        order: OrderWriter | None,
    ) -> None:
        self._order = order
        self._builder = builder
        self._check_chat, self._check_embedding = checks
        self._default_model = default_model
        self._result = Plan()
        self._custom_ids = BloomFilter()
        self._uses: dict[tuple[str, ...], _ModelUse] = {}
        self._embedding_uses: dict[tuple[str, ...], _ModelUse] = {}
        self._checked: dict[str, ModelError | None] = {}
        self._checks = LineChecks()
        self.possible_duplicates: set[str] = set()

    def add(self, lines: Iterator[tuple[int, int, int, bytes]]) -> None:
        """Check each line, and add it to a shard."""
        result, add_to_shard, was_added = self._result, self._builder.add, self._custom_ids.add
        default_model, uses, duplicates = self._default_model, self._uses, self.possible_duplicates
        order, end = self._order, result.size
        for number, start, end, line in lines:
            if not line:
                continue
            add_to_shard(number, start, end)
            try:
                head = read_head(line, number, default_model)
                known = None if head.is_embedding else uses.get(head.models)
                use = known or self._add_use(head)
                use.lines += 1
                if use.error is not None:
                    result.add_error(use.error.code, use.error.message, use.error.param, number)
                    continue
                if (head.escalate or head.judge) and (found := self._check_others(head)):
                    wrong, param = found
                    result.add_error(wrong.code, wrong.message, param, number)
                    continue
                if head.check and (bad := self._checks.problem(head.check)):
                    result.add_error(bad.code, str(bad), bad.param, number)
                    continue
            except BadLine as error:
                result.add_error(error.code, str(error), error.param, number)
                continue
            if was_added(head.custom_id) and len(duplicates) < MAX_POSSIBLE_DUPLICATES:
                duplicates.add(head.custom_id)
            if order is not None:
                place = (number, start, end, self._builder.count)
                order.add(head.models[0], place, prefix_of(head, len(line)))
        result.size = end

    def _add_use(self, head: LineHead) -> _ModelUse:
        """Check models that no earlier line names together; those of embeddings by themselves."""
        uses = self._embedding_uses if head.is_embedding else self._uses
        if known := uses.get(head.models):
            return known
        use = uses[head.models] = _ModelUse()
        for model in head.models:
            is_own = head.is_embedding
            error = _error_of(self._check_embedding, model) if is_own else self._check_once(model)
            use.error = use.error or error
        return use

    def _check_others(self, head: LineHead) -> tuple[ModelError, str] | None:
        """What is wrong with the models that may be called besides the line's own, and its field"""
        judge = () if head.judge is None else (head.judge,)
        for param, models in (("escalate", head.escalate), ("judge", judge)):
            for model in models:
                if (error := self._check_once(model)) is not None:
                    return error, f"body.fanout.{param}"
        return None

    @property
    def has_too_many_models(self) -> bool:
        """Whether the file names more models than are kept."""
        uses = len(self._uses) + len(self._embedding_uses)
        return len(self._checked) > MAX_MODELS or uses > MAX_MODELS

    def _check_once(self, model: str) -> ModelError | None:
        if model not in self._checked:
            self._checked[model] = _error_of(self._check_chat, model)
        return self._checked[model]

    def close(self) -> Plan:
        """Write the last shard, and return the result with the counts of lines by model."""
        self._builder.close()
        self._result.shards = self._builder.count
        self._result.total = self._builder.total
        self._result.names = frozenset((*self._checked, *(one for (one,) in self._embedding_uses)))
        for models, use in (*self._uses.items(), *self._embedding_uses.items()):
            for model in models:
                self._result.models[model] += use.lines
        return self._result


def _error_of(check: Callable[[str], None], model: str) -> ModelError | None:
    """Why a model may not be used."""
    try:
        check(model)
    except BadLine as error:
        return ModelError(error.code, str(error), error.param)
    return None


async def _report_duplicates(
    read: Callable[[], AsyncIterator[bytes]],
    result: Plan,
    possible: set[str],
    default_model: str | None,
) -> None:
    """Read the file again, and add an error for each line that repeats a `custom_id`."""
    first: dict[str, int] = {}
    async for number, _, _, line in iter_lines(read()):
        head = _head_if_valid(line, number, default_model)
        if head is None or head.custom_id not in possible:
            continue
        if head.custom_id in first:
            message = f"The custom_id of this line is that of line {first[head.custom_id]}."
            result.add_error("duplicate_custom_id", message, "custom_id", number)
        else:
            first[head.custom_id] = number


def _head_if_valid(line: bytes, number: int, default_model: str | None) -> LineHead | None:
    try:
        return read_head(line, number, default_model) if line else None
    except BadLine:
        return None


class _ShardBuilder:
    """Collects lines into shards of bounded size."""

    def __init__(self, write: Callable[[Shard], Any], size: ShardSize) -> None:
        self._write = write
        self._max_lines, self._max_bytes = size.lines, size.bytes
        self._start = self._end = self._first = self._lines = 0
        self.count = self.total = 0

    def add(self, number: int, start: int, end: int) -> None:
        """Add the next line, in a new shard if it does not fit."""
        if self._lines and (self._lines >= self._max_lines or end - self._start > self._max_bytes):
            self.close()
        if not self._lines:
            self._start, self._first = start, number
        self._end = end
        self._lines += 1

    def close(self) -> None:
        """Write the shard that is open."""
        if self._lines:
            shard = Shard(self.count, self._start, self._end, self._first, self._lines)
            self._write(shard)
            self.count += 1
            self.total += self._lines
            self._lines = 0
