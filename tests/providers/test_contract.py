"""
The same rules for every provider, with the cases in the folder `golden`.

`golden/<provider>/<case>/` holds any of these groups of files:

* `request.json` (a client's body) with `wire.json` and `wire_stream.json`: what Fanout sends, plain
  and streamed; a `target.json` beside them overrides `{"name", "model", "drop_params", "options"}`;
* `response.json` (the provider's response) with `chat.json` (what the client gets);
* `stream.txt` (the provider's bytes; `stream.hex` if they are binary) with `chunks.json`. If a case
  has both, response and stream have the same content.

`golden/<provider>/errors.json` and `refused.json` are lists of error bodies and of requests that
the provider does not support.
"""

from __future__ import annotations

import copy
import json
import re
from pathlib import Path
from typing import Any

import pytest

from fanout.errors import Unsupported
from fanout.providers import registry
from fanout.providers.base import Provider, Target
from fanout.schema.accumulator import ChunkAccumulator
from fanout.schema.validation import parse_chat
from fanout.wire.http import WireRequest, WireResponse

GOLDEN = Path(__file__).parent / "golden"
FINISH_REASONS = {"stop", "length", "tool_calls", "content_filter", "function_call", None}


def cases(*files: str) -> list[Any]:
    found = sorted(path.parent for path in GOLDEN.glob(f"*/*/{files[0]}"))
    return [pytest.param(path, id=f"{path.parent.name}-{path.name}") for path in found]


def lines(file: str) -> list[Any]:
    found = []
    for path in sorted(GOLDEN.glob(f"*/{file}")):
        for number, case in enumerate(json.loads(path.read_text())):
            name = f"{path.parent.name}-{case.get('name', number)}"
            found.append(pytest.param(path.parent.name, case, id=name))
    return found


def load(path: Path) -> Any:
    return json.loads(path.read_text())


def provider_of(case: Path) -> Provider:
    return registry.find(case.parent.name)


def target_of(case: Path) -> Target:
    given = load(case / "target.json") if (case / "target.json").exists() else {}
    return Target(**{"name": "our-name", "model": "their-model"} | given)


def described(wire: WireRequest) -> dict[str, Any]:
    headers = dict(wire.headers)
    request: dict[str, Any] = {
        "method": wire.method,
        "path": wire.path,
        "body": json.loads(wire.body),
    }
    if headers:
        request["headers"] = headers
    if wire.dropped:
        request["dropped"] = sorted(wire.dropped)
    return request


# The request would not be what the client asked for without these, so `drop_params` keeps them.
MEANING = (
    r"(?:messages\[\d+\]\.(?:audio|content|tool_calls)|n$|tools|tool_choice|functions?|function_call"
    r"|response_format|modalities|audio|web_search_options)"
)
DETAILS = r"\.(?:detail|strict)$"


@pytest.mark.parametrize("case", cases("request.json"))
@pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])
def test_a_request_is_sent_as_in_the_golden_file(case: Path, *, stream: bool) -> None:
    """And encoding is pure: it returns the same bytes twice and leaves the request unchanged."""
    request = parse_chat(load(case / "request.json"))
    before = copy.deepcopy(request.body)
    encode = provider_of(case).chat.encode
    wire = encode(request, target_of(case), stream)
    golden = load(case / ("wire_stream.json" if stream else "wire.json"))
    assert described(wire) == golden
    assert encode(request, target_of(case), stream) == wire
    assert request.body == before


@pytest.mark.parametrize("case", cases("response.json"))
def test_a_response_becomes_the_golden_chat_completion(case: Path) -> None:
    response = WireResponse(200, {}, (case / "response.json").read_bytes())
    chat = provider_of(case).chat.decode(response, target_of(case))
    assert json.loads(json.dumps(chat)) == load(case / "chat.json")
    assert {choice["finish_reason"] for choice in chat["choices"]} <= FINISH_REASONS


def stream_of(case: Path) -> bytes:
    binary = case / "stream.hex"
    return (
        bytes.fromhex(binary.read_text()) if binary.exists() else (case / "stream.txt").read_bytes()
    )


def chunks_of(case: Path, size: int) -> tuple[list[Any], bool]:
    codec = provider_of(case).chat
    framer, decoder = codec.framer(), codec.decoder(target_of(case))
    data = stream_of(case)
    pieces = (data[i : i + size] for i in range(0, len(data), size))
    chunks = [c for piece in pieces for event in framer.feed(piece) for c in decoder.feed(event)]
    return chunks, decoder.ended


@pytest.mark.parametrize("size", [1, 2, 7, 1 << 30], ids=["1", "2", "7", "whole"])
@pytest.mark.parametrize("case", cases("stream.txt") + cases("stream.hex"))
def test_a_stream_gives_the_same_chunks_however_its_bytes_are_split(case: Path, size: int) -> None:
    chunks, ended = chunks_of(case, size)
    assert json.loads(json.dumps(chunks)) == load(case / "chunks.json")
    assert ended


@pytest.mark.parametrize("case", cases("stream.txt") + cases("stream.hex"))
def test_a_truncated_stream_has_not_ended(case: Path) -> None:
    """Only the provider's own end event ends a stream, not the end of the bytes."""
    codec = provider_of(case).chat
    framer, decoder = codec.framer(), codec.decoder(target_of(case))
    data = stream_of(case)
    for event in framer.feed(data[: len(data) // 3]):
        list(decoder.feed(event))
    assert not decoder.ended


@pytest.mark.parametrize(
    "case", [c for c in cases("response.json") if (c.values[0] / "chunks.json").exists()]
)
def test_the_chunks_of_a_stream_together_are_the_plain_response(case: Path) -> None:
    accumulator = ChunkAccumulator()
    for chunk in load(case / "chunks.json"):
        accumulator.add(chunk)
    whole, chat = accumulator.completion(), load(case / "chat.json")
    assert whole["choices"] == chat["choices"]
    assert whole.get("usage") == chat.get("usage")


@pytest.mark.parametrize(("provider", "case"), lines("errors.json"))
def test_an_error_body_is_explained(provider: str, case: dict[str, Any]) -> None:
    body = case["body"] if isinstance(case["body"], str) else json.dumps(case["body"])
    detail = registry.find(provider).explain(case["status"], body.encode())
    assert {name: getattr(detail, name) for name in case["detail"]} == case["detail"]


@pytest.mark.parametrize(("provider", "case"), lines("refused.json"))
def test_an_unsupported_field_is_rejected_by_name_or_dropped(
    provider: str, case: dict[str, Any]
) -> None:
    """With `drop_params`, what does not change the meaning is left out, and `dropped` has it."""
    request = parse_chat(case["request"])
    codec = registry.find(provider).chat
    target = Target("our-name", case.get("model", "their-model"))
    with pytest.raises(Unsupported) as rejected:
        codec.encode(request, target, False)
    assert rejected.value.param == case["param"]
    lax = Target(target.name, target.model, drop_params=True)
    is_none = case["request"].get("tool_choice") == "none"
    if re.match(MEANING, case["param"]) and not (is_none or re.search(DETAILS, case["param"])):
        with pytest.raises(Unsupported, match="does not drop it") as kept:
            codec.encode(request, lax, False)
        assert kept.value.param == case["param"]
    else:
        assert "drop_params: true" in str(rejected.value)
        assert case["param"] in codec.encode(request, lax, False).dropped


def test_no_golden_file_contains_a_key() -> None:
    for path in GOLDEN.rglob("*.*"):
        assert "sk-" not in path.read_text(), path
