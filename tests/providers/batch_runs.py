"""One batch of a codec at its double: uploaded, created, followed to its end, and fetched."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterable
from typing import Any, TypeVar

from msgspec import Struct
from msgspec.structs import replace

from fanout.providers import registry
from fanout.providers.base import Target
from fanout.providers.native_batch import NativeBatch, NativeBatches, NativeLine, Row
from fanout.providers.native_batch_data import is_cut
from fanout.schema.validation import parse_chat
from fanout.wire.http import WireRequest, WireResponse
from tests.support.native_doubles.anthropic_double import AnthropicDouble
from tests.support.native_doubles.bedrock_double import BedrockDouble
from tests.support.native_doubles.clock import Clock
from tests.support.native_doubles.double import Double
from tests.support.native_doubles.gemini_double import GeminiDouble
from tests.support.native_doubles.mistral_double import MistralDouble
from tests.support.native_doubles.openai_double import OpenAIDouble
from tests.support.native_doubles.openai_likes import AzureDouble, GroqDouble

T = TypeVar("T")

MINUTE, HOUR = 60.0, 3600.0

VENDORS: dict[str, tuple[type[Double], str]] = {
    "openai": (OpenAIDouble, "gpt-5"),
    "azure": (AzureDouble, "batches-of-gpt-5"),
    "groq": (GroqDouble, "openai/gpt-oss-20b"),
    "anthropic": (AnthropicDouble, "claude-haiku-4-5"),
    "gemini": (GeminiDouble, "gemini-2.5-flash"),
    "mistral": (MistralDouble, "mistral-small-latest"),
    "bedrock": (BedrockDouble, "us.amazon.nova-2-lite-v1:0"),
}

OPTIONS = {"batch_uri": "s3://b/batches", "batch_role": "arn:aws:iam::111122223333:role/r"}


def finish(coroutine: Coroutine[Any, Any, T]) -> T:
    """The result of a coroutine."""
    return asyncio.run(coroutine)


class ErrorStatus(Exception):
    """The double's response is an error."""

    def __init__(self, response: WireResponse) -> None:
        super().__init__(response.status, response.body)
        self.status = response.status


class Run(Struct):
    """A vendor's codec and its double."""

    name: str
    codec: NativeBatches
    double: Double
    clock: Clock

    async def send(self, request: WireRequest) -> WireResponse:
        response = await self.double(request)
        if response.status >= 400:
            raise ErrorStatus(response)
        return response

    async def upload(self, key: str, data: bytes) -> str:
        """The input of a batch."""
        step = self.codec.upload(key, data, None)
        while isinstance(step, WireRequest):
            step = self.codec.upload(key, data, await self.send(step))
        return step

    async def create(self, texts: Iterable[str], key: str = "k1") -> NativeBatch:
        """A new batch, with a line for each text."""
        return await self.create_from(self.codec.data(lines(texts)), key)

    async def create_from(self, data: bytes, key: str = "k1") -> NativeBatch:
        source = await self.upload(key, data)
        return self.codec.read(await self.send(self.codec.create(key, source)))

    async def poll(self, batch_id: str) -> NativeBatch:
        return self.codec.read(await self.send(self.codec.poll(batch_id)))

    async def follow(self, batch_id: str, most: float = 200 * HOUR) -> NativeBatch:
        """The batch when it is over, or after so many seconds."""
        end = self.clock() + most
        while not (batch := await self.poll(batch_id)).is_over and self.clock() < end:
            self.clock.advance(MINUTE)
        return batch

    async def cancel(self, batch_id: str) -> NativeBatch:
        """The batch after its cancel, when it is over."""
        await self.send(self.codec.cancel(batch_id))
        return await self.follow(batch_id, HOUR)

    async def fetch(self, batch: NativeBatch) -> list[bytes]:
        """The content of each result file."""
        found = []
        for request in self.codec.results(batch):
            try:
                found.append(await self._whole(request))
            except ErrorStatus as error:
                if error.status != 404 or batch.state not in self.codec.limits.unwritten:
                    raise
        return found

    async def _whole(self, request: WireRequest) -> bytes:
        """A file in one response, also of a request for a range."""
        return (await self.send(replace(request, headers={}))).body

    async def rows(self, batch: NativeBatch) -> list[Row]:
        """All rows."""
        contents = await self.fetch(batch)
        return [self.codec.row(line) for content in contents for line in rows_of(content)]

    async def listed(self, key: str = "k1") -> list[NativeBatch]:
        """The batches of all pages."""
        page = self.codec.read_page(await self.send(self.codec.list(key, None)))
        found = list(page.batches)
        while page.more:
            page = self.codec.read_page(await self.send(self.codec.list(key, page.more)))
            found += page.batches
        return found


def rows_of(content: bytes) -> list[bytes]:
    """The rows of a result file, without blank and unfinished ones."""
    return [line for line in content.split(b"\n") if line.strip() and not is_cut(line)]


def run(name: str, **options: Any) -> Run:
    """A vendor's codec and its double, with these options."""
    clock = Clock()
    double_class, model = VENDORS[name]
    codec = registry.native_batches(name, Target("m", model, options=OPTIONS))
    assert codec is not None
    double = double_class(clock=clock, **options)
    double.least_lines = 1
    return Run(name, codec, double, clock)


def lines(texts: Iterable[str]) -> list[NativeLine]:
    """A line for each text, `f1-1` and so on."""
    return [
        NativeLine(f"f1-{number}", parse_chat({"messages": [{"role": "user", "content": text}]}))
        for number, text in enumerate(texts, 1)
    ]
