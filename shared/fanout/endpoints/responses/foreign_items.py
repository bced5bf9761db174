"""
What other vendors' models left in `input`, for a request that a vendor with this API gets as it is.

Only Fanout reads its own reasoning items, and only their makers read the `extra_content` of calls
and images. They are left out, and a long id of a call is replaced; every other item keeps its
bytes. With `store: false`, nothing can be found by a reference to reasoning, which is left out too.
So is reasoning with neither text nor `encrypted_content`, which only refers to a stored item.
"""

from __future__ import annotations

import hashlib
from typing import Any

from msgspec import Raw

from ...wire import json
from ...wire.json_members import Members
from ..original_bytes import members_or_none
from ..sealed import is_sealed, unseal
from .reasoning import is_reference

_LONGEST_ID = 64
"""OpenAI's own error: "expected a string with maximum length 64", 2026-11."""


def is_ours(item: Any) -> bool:
    """Whether an item is Fanout's own reasoning."""
    return isinstance(item, dict) and is_sealed(item.get("encrypted_content"))


def may_be_read(item: Any) -> bool:
    """Whether an item is Fanout's own reasoning, and holds what a vendor with this API may know."""
    return is_ours(item) and "extra_content" in unseal(item["encrypted_content"])


def without_foreign(
    members: Members, items: list[Any], *, is_stored: bool
) -> tuple[Members | None, list[Any]]:
    """
    The members and the items of `input` without what is not the vendor's; maybe the given ones.

    `is_stored`: the vendor may find what it has stored. The members are `None` if they cannot be
    read again.
    """
    fitted = [
        None if is_ours(item) or (is_reference(item) and not is_stored) else _fit(item)
        for item in items
    ]
    if all(one is given for one, given in zip(fitted, items, strict=True)):
        return members, items
    raws = json.decode(members.value("input") or b"[]", type=list[Raw])
    parts = [
        bytes(raw) if one is given else json.encode(one)
        for raw, one, given in zip(raws, fitted, items, strict=True)
        if one is not None
    ]
    changed = members.changed({"input": b"[%b]" % b",".join(parts)})
    return members_or_none(changed), [one for one in fitted if one is not None]


def _fit(item: Any) -> Any:
    if not isinstance(item, dict):
        return item
    call_id = item.get("call_id")
    if isinstance(call_id, str) and len(call_id) > _LONGEST_ID:
        source = call_id.encode(errors="surrogatepass")
        item = {**item, "call_id": "call_" + hashlib.sha256(source).hexdigest()[:24]}
    if "extra_content" in item:
        return {name: value for name, value in item.items() if name != "extra_content"}
    return item
