"""
Joins lines for embeddings to full calls: a provider takes many texts at once, and a line has one.

Lines with the same model and fields are one request of the gateway. Each gets its own vectors, its
own part of the tokens, and its own error: if a provider rejects a request, its halves are sent, so
that only the line at fault fails.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, TypeAlias

from msgspec import Raw, Struct, field
from msgspec.structs import replace

from ...config.catalog import Catalog
from ...endpoints.embeddings.division import Most, size_of, tokens_of
from ...endpoints.embeddings.request import EmbeddingRequest, parse_request
from ...errors import ContextLengthExceeded, FanoutError, ModelNotFound, PermissionDenied, Rejected
from ...gateway.embeddings import most_of_calls
from ...wire import json
from ..activity import ActivityTracker

LINGER = 0.2
"""Seconds after the last line that came, in which a group waits for another one."""

SendRequest: TypeAlias = Callable[[EmbeddingRequest, int], Awaitable[tuple[list[bytes], int]]]
"""Sends one request of so many estimated tokens; its vectors, and the tokens that it used."""

OF_ALL_LINES = (ModelNotFound, PermissionDenied)
"""Rejections that do not depend on the inputs."""


class _Member(Struct, frozen=True, eq=False):
    """A line's request, its estimated tokens, and where its response goes."""

    request: EmbeddingRequest
    tokens: int
    response: asyncio.Future[dict[str, Any]]


class _Group(Struct, eq=False):
    """Lines that are sent together; `is_full` is set when no further one fits."""

    most: Most
    members: list[_Member] = field(default_factory=list)
    inputs: int = 0
    tokens: int = 0
    size: int = 0
    last: float = 0.0
    is_full: asyncio.Event = field(default_factory=asyncio.Event)

    def fits(self, inputs: int, tokens: int, size: int) -> bool:
        """Whether so much more fits into one call."""
        most = self.most
        return (
            self.inputs + inputs <= most.inputs
            and (most.tokens is None or self.tokens + tokens <= most.tokens)
            and (most.bytes is None or self.size + size <= most.bytes)
        )


class EmbeddingGroups:
    """The groups of one worker that are not full yet. `activity` has the number of its lines."""

    def __init__(self, catalog: Catalog, activity: ActivityTracker) -> None:
        self._catalog = catalog
        self._activity = activity
        self._open: dict[bytes, _Group] = {}
        self._most: dict[bytes, Most] = {}

    async def response(self, body: Mapping[str, Any], send: SendRequest) -> dict[str, Any]:
        """
        The response to a line, which is sent with others by `send` of one of them.

        The first line of a group sends it, when it is full or when no other line has come for a
        while. If that line is cancelled, so are the others.
        """
        request = parse_request(body)
        key = _key(request)
        if (most := self._most.get(key)) is None:
            most = self._most[key] = most_of_calls(self._catalog, request)
        member = _Member(request, sum(map(tokens_of, request.inputs)), _future())
        group, is_first = self._join(key, most, member)
        if is_first:
            await self._lead(key, group, send)
        return await member.response

    def _join(self, key: bytes, most: Most, member: _Member) -> tuple[_Group, bool]:
        """Put a line into the open group of its key, or into a new one."""
        count = len(member.request.inputs)
        size = sum(map(size_of, member.request.inputs))
        group = self._open.get(key)
        if group is not None and not group.fits(count, member.tokens, size):
            self._close(key, group)
            group = None
        is_first = group is None
        if group is None:
            group = self._open[key] = _Group(most)
            self._activity.open_groups += 1
        group.members.append(member)
        group.inputs += count
        group.tokens += member.tokens
        group.size += size
        group.last = asyncio.get_running_loop().time()
        self._activity.grouped += 1
        if group.inputs >= most.inputs:
            self._close(key, group)
        return group, is_first

    def _close(self, key: bytes, group: _Group) -> None:
        """No further line joins the group."""
        if self._open.get(key) is group:
            del self._open[key]
            self._activity.open_groups -= 1
        group.is_full.set()

    async def _lead(self, key: bytes, group: _Group, send: SendRequest) -> None:
        """Wait until the group is full, and send it."""
        clock = asyncio.get_running_loop().time
        try:
            while not group.is_full.is_set() and (left := group.last + LINGER - clock()) > 0:
                try:
                    async with asyncio.timeout(left):
                        await group.is_full.wait()
                except TimeoutError:
                    continue
            self._close(key, group)
            self._activity.grouped -= 1  # a group counts as one line
            try:
                await _send(group.members, send)
            finally:
                self._activity.grouped += 1
        finally:
            self._close(key, group)
            self._activity.grouped -= len(group.members)
            for member in group.members:
                member.response.cancel()  # does nothing to those that have one


async def _send(members: Sequence[_Member], send: SendRequest) -> None:
    """Send the lines as one request; if that is rejected, its halves."""
    first = members[0].request
    inputs = [one for member in members for one in member.request.inputs]
    options = replace(first.options, num_retries=0)  # the worker retries, within the rate limits
    request = replace(first, inputs=inputs, options=options)
    total = sum(member.tokens for member in members)
    try:
        vectors, used = await send(request, total)
    except FanoutError as error:
        if len(members) > 1 and _is_of_some_line(error):
            middle = len(members) // 2
            await _send(members[:middle], send)
            await _send(members[middle:], send)
            return
        for member in members:
            if not member.response.done():
                member.response.set_exception(error)
        return
    at = before = 0
    for member in members:
        count = len(member.request.inputs)
        share = used * (before + member.tokens) // total - used * before // total
        before += member.tokens
        if not member.response.done():
            member.response.set_result(_body(first.model, vectors[at : at + count], share))
        at += count


def _is_of_some_line(error: FanoutError) -> bool:
    """Whether the provider has rejected the inputs, of which some may be right."""
    if isinstance(error, OF_ALL_LINES):
        return False
    return isinstance(error, Rejected | ContextLengthExceeded)


def _body(model: str, vectors: Sequence[bytes], tokens: int) -> dict[str, Any]:
    """A line's response, as OpenAI's."""
    data = [
        {"object": "embedding", "index": index, "embedding": Raw(vector)}
        for index, vector in enumerate(vectors)
    ]
    usage = {"prompt_tokens": tokens, "total_tokens": tokens}
    return {"object": "list", "data": data, "model": model, "usage": usage}


def _key(request: EmbeddingRequest) -> bytes:
    """What the lines of a group have in common."""
    options = request.options
    return json.encode(
        [
            request.model,
            isinstance(request.inputs[0], str),
            request.dimensions,
            request.encoding,
            request.input_type,
            request.user,
            request.additional_drop_params,
            request.allowed_openai_params,
            options.timeout,
            options.drop_params,
            sorted(request.body.items()),
        ]
    )


def _future() -> asyncio.Future[dict[str, Any]]:
    return asyncio.get_running_loop().create_future()
