"""Stored result lines that are whole, and ones that a damaged disk may have made of them."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from typing import Any

from fanout.bulk.costs import Costs
from fanout.bulk.store import ShardResults
from fanout.bulk.work.result_lines import error_line, read_result, response_line, skipped_line
from fanout.bulk.work.stored_results import count_stored
from fanout.config.load import check
from fanout.config.resolve import resolve
from fanout.errors import UnknownModel
from tests.bulk.local_jobs import CONFIG

USAGE = {
    "prompt_tokens": 5,
    "completion_tokens": 7,
    "prompt_tokens_details": {"cached_tokens": 1},
}
MESSAGE = {"role": "assistant", "content": "Grüße"}
RESPONSE = {
    "model": "a",
    "choices": [{"index": 0, "model": "a", "message": MESSAGE, "usage": USAGE}],
    "usage": USAGE,
    "fanout": {"attempts": [{"model": "a", "usage": USAGE}]},
}
DEEP = b"[" * 3_000 + b"]" * 3_000
ODD: tuple[Any, ...] = (
    None, True, 0, -1, 1.5, 1e300, 10**30, "", "x", [], [[]], [None], [1], {}, {"a": None},
)  # fmt: skip


def whole_line(name: str, *, failed: bool) -> bytes:
    """A result as the worker stores it."""
    if failed:
        return error_line(name, "req_1", UnknownModel("no such model", "model"))[0]
    return response_line(name, "req_1", RESPONSE)


def damaged_lines(*, failed: bool) -> list[bytes]:
    """
    Lines of which a value, a key or a byte is another one, each with a name of its own.

    Some are whole results all the same.
    """
    made = [
        *_changed(whole_line("d", failed=failed)),
        *_changed(skipped_line("s", "req_1", "batch_expired", "too late")),
        *_changed(response_line("l", "req_1", [RESPONSE, [RESPONSE]])),
    ]
    rng = random.Random(1)  # noqa: S311
    line = whole_line("flipped", failed=failed)
    for at in range(len(line) - 1):
        data = bytearray(line)
        data[at] ^= 1 << rng.randrange(8)
        made.append(bytes(data).replace(b"\n", b"?"))
    made += [line[:at] for at in range(len(line) - 1)]
    deep = line.replace(b"flipped", b"deep").replace(b'"id":', b'"id":' + DEEP + b',"x":')
    return [one.rstrip(b"\n") + b"\n" for one in (*made, deep, b"", b"\xff", DEEP)]


def _changed(line: bytes) -> Iterator[bytes]:
    """The line with each of its values replaced by each odd one, and without each key."""
    value = json.loads(line)
    for number, path in enumerate(_paths(value)):
        for odd in (*ODD, ...):
            changed = json.loads(line)
            if path[:1] != ("custom_id",):
                changed["custom_id"] += f"-{number}-{odd!r}"
            inner = changed
            for step in path[:-1]:
                inner = inner[step]
            if not path:
                changed = None if odd is ... else odd
            elif odd is ...:
                del inner[path[-1]]
            else:
                inner[path[-1]] = odd
            yield json.dumps(changed).encode()


def _paths(value: Any, start: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield start
    if isinstance(value, dict | list):
        for step in value if isinstance(value, dict) else range(len(value)):
            yield from _paths(value[step], (*start, step))


async def check_damage_stays_local(results: ShardResults) -> None:
    """
    Check the totals of a shard with `damaged_lines` among whole ones.

    The whole ones count. Afterwards exactly the counted lines are stored, each a whole result.
    """
    ids, totals = await count_stored(results, Costs(resolve(check(CONFIG, {}), {})).cost_of)
    assert {f"{kind}-{end}" for kind in ("response", "failure") for end in ("a", "b")} <= ids
    assert totals.lines == len(ids)
    left = [(failed, line) async for failed, line in results.stored()]
    assert all(read_result(line, failed=failed) for failed, line in left)
    assert len(left) == len(ids)


def shard_lines(*, failed: bool) -> list[bytes]:
    """Two whole lines with the damaged ones between them."""
    kind = "failure" if failed else "response"
    first, last = (whole_line(f"{kind}-{end}", failed=failed) for end in ("a", "b"))
    return [first, *damaged_lines(failed=failed), last]
