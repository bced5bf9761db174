"""Sends the lines of a worker that are for embeddings; a call has the inputs of many lines."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from ...config.catalog import ClientKey
from ...endpoints.embeddings.request import EmbeddingRequest
from ...errors import FanoutError, RequestError
from ...gateway.gateway import Gateway
from ...gateway.run import Context
from ...telemetry.observers import Observer
from ..activity import ActivityTracker
from ..pacing.adaptive_concurrency import AdaptiveConcurrency
from ..pacing.line_attempt import LineRequest
from ..pacing.rate_limiter import RateLimiter
from .call_watcher import CallWatcher, ShownPermit, rate_limited_models
from .embedding_groups import EmbeddingGroups


class EmbeddingCalls:
    """
    The calls for the embeddings of one worker's lines.

    `ready` waits until calls may start. The other arguments are those of `make_line_sender`.
    """

    def __init__(  # noqa: PLR0913 -- its parts, each once
        self,
        gateway: Gateway,
        client: Callable[[], ClientKey],
        observer: Observer,
        limiter: RateLimiter,
        activity: ActivityTracker,
        *,
        job: str,
        latest: float | None,
        ready: Callable[[], Awaitable[None]],
    ) -> None:
        self._gateway = gateway
        self._client = client
        self._observer = observer
        self._limiter = limiter
        self._activity = activity
        self._job = job
        self._latest = latest
        self._ready = ready
        self._groups = EmbeddingGroups(gateway.catalog, activity)

    async def send(self, sent: LineRequest, concurrency: AdaptiveConcurrency) -> dict[str, Any]:
        """The body of the response to a line, which shares a call with others."""

        async def send(request: EmbeddingRequest, tokens: int) -> tuple[list[bytes], int]:
            watcher = CallWatcher(
                concurrency,
                self._limiter,
                self._activity,
                None,
                sent.paid,
                sent.pay_again,
                limit=sent.deadline,
                is_retry=sent.is_retry,
            )
            return await self._call(sent, request, watcher, tokens)

        if sent.line.parse_error is not None:
            raise RequestError(sent.line.parse_error)
        try:
            body = await self._groups.response(sent.line.body, send)
        except Exception as error:
            if not isinstance(error, FanoutError):
                self._observer.unexpected_error(sent.request_id, error)
            raise
        sent.received(body)
        return body

    async def _call(
        self, sent: LineRequest, request: EmbeddingRequest, watcher: CallWatcher, tokens: int
    ) -> tuple[list[bytes], int]:
        """The vectors of a request, and its tokens; it is sent when its model permits it."""
        found: list[bytes] = []

        async def add(_: int, vectors: Sequence[bytes]) -> None:
            found.extend(vectors)

        limiter, model = self._limiter, request.model
        permit = limiter.permit(model, tokens, 1, tokens, self._job, self._latest)
        async with ShownPermit(permit, self._activity):
            await self._ready()
            context = Context(
                sent.request_id, self._client(), sent.deadline, watcher, job=self._job
            )
            try:
                used = await self._gateway.embed(request, context, add)
            except FanoutError as error:
                for name, seconds in rate_limited_models(error):
                    started = watcher.starts.get(name, 0.0)
                    await limiter.rejected(name, started, seconds, permit.size)
                raise
            else:
                watcher.reported.clear()  # the lines have it
            finally:
                sent.paid.unlisted += watcher.reported
            permit.tokens_used = used
        return found, used
