"""Calls the Python functions with `http_client=`: each kind of client, plain and async."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import httpx
import httpx2

import fanout
from fanout.library.background_loop import background_loop

KINDS: list[Any] = [httpx2.AsyncClient, httpx2.Client, httpx.AsyncClient, httpx.Client]


class Caller:
    """Calls the functions with a client of one kind, plain or async; closes it afterwards."""

    def __init__(self, kind: Any, *, is_twin: bool) -> None:
        self.kind = kind
        self.package: Any = httpx2 if kind.__module__.startswith("httpx2") else httpx
        self.is_async = hasattr(kind, "aclose")
        self.is_twin = is_twin

    def __call__(self, name: str, *args: Any, using: Mapping[str, Any] = {}, **options: Any) -> Any:
        """What the function returns; `using` are the arguments of the client."""
        return self._run(name, args, using, options)

    def read(
        self, name: str, *args: Any, using: Mapping[str, Any] = {}, **options: Any
    ) -> list[Any]:
        """The chunks of a stream."""
        chunks: list[Any] = self._run(name, args, using, {**options, "stream": True})
        return chunks

    def __str__(self) -> str:
        return f"{self.kind.__module__}.{self.kind.__name__}-{'async' if self.is_twin else 'plain'}"

    def hooks(self, sent: list[Any]) -> dict[str, Any]:
        """Hooks that note each request."""

        async def note(request: Any) -> None:
            sent.append(request)

        return {"event_hooks": {"request": [note if self.is_async else sent.append]}}

    def mock(self, handler: Any) -> dict[str, Any]:
        """A transport that responds from memory."""
        return {"transport": self.package.MockTransport(handler)}

    def _run(self, name: str, args: Any, using: Mapping[str, Any], options: Any) -> Any:
        client = self.kind(**using)
        options = {**options, "http_client": client}
        if self.is_twin:
            return asyncio.run(self._twin(name, args, options))
        try:
            found = getattr(fanout, name)(*args, **options)
            return list(found) if options.get("stream") else found
        finally:
            assert not client.is_closed
            if self.is_async:
                background_loop().run(client.aclose())
            else:
                client.close()

    async def _twin(self, name: str, args: Any, options: dict[str, Any]) -> Any:
        client = options["http_client"]
        try:
            found = await getattr(fanout, f"a{name}")(*args, **options)
            return [chunk async for chunk in found] if options.get("stream") else found
        finally:
            assert not client.is_closed
            if self.is_async:
                await client.aclose()
            else:
                client.close()


CALLERS = [Caller(kind, is_twin=is_twin) for kind in KINDS for is_twin in (False, True)]
