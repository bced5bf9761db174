"""A job whose provider sends odd responses: none is requested twice because it cannot be read."""

from __future__ import annotations

from pathlib import Path

import pytest

from fanout.wire.http import WireResponse
from tests.bulk.local_jobs import EchoProvider, jsonl, line, open_jobs, run

CUT = (
    rb'{"id": "c", "choices": [{"index": 0, "finish_reason": "length",'
    rb' "message": {"role": "assistant", "content": "Hi \ud83d"}}],'
    rb' "usage": {"prompt_tokens": 5, "completion_tokens": 7, "total_tokens": 12}}'
)


class RawProvider(EchoProvider):
    """A provider whose responses are these bytes."""

    def __init__(self, body: bytes) -> None:
        super().__init__()
        self._body = body

    async def send(self, request: object) -> WireResponse:
        self.calls["a", ""] += 1
        return WireResponse(200, {}, self._body)


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (CUT, "Hi \ufffd"),
        (CUT.replace(rb"\ud83d", b"\xf0\x9f"), "Hi \ufffd"),
        (CUT.replace(b"12}", b"NaN}"), "Hi \ufffd"),
        (CUT.replace(b'"index": 0', b'"index": 1e999'), "Hi \ufffd"),
    ],
)
def test_a_response_that_is_not_quite_json_is_kept(tmp_path: Path, body: bytes, text: str) -> None:
    async def scenario() -> None:
        provider = RawProvider(body)
        async with open_jobs(tmp_path, provider) as jobs:
            done = await jobs.wait(await jobs.create(jsonl([line("x")])))
            assert await jobs.responses(done) == {"x": text}
            assert provider.calls.total() == 1

    run(scenario())


@pytest.mark.parametrize("body", [b"", b"<html>Sorry</html>", b"{}", b'{"choices": []}', CUT[:-9]])
def test_a_response_that_cannot_be_read_fails_its_line_at_once(tmp_path: Path, body: bytes) -> None:
    async def scenario() -> None:
        provider = RawProvider(body)
        async with open_jobs(tmp_path, provider) as jobs:
            done = await jobs.wait(await jobs.create(jsonl([line("x"), line("y")])))
            codes = {"x": "provider_malformed", "y": "provider_malformed"}
            assert await jobs.error_codes(done) == codes
            assert provider.calls.total() == 2

    run(scenario())
