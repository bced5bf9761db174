"""The log line of an attempt says what is removed from earlier messages, and how many of them."""

from __future__ import annotations

from typing import Any

import pytest

from fanout.providers import registry
from fanout.providers.base import Target
from fanout.schema.validation import parse_chat
from tests.providers.test_history_grid import TARGETS, U

PNG = {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}}
CITED = {"url": "https://a.test", "title": "secret"}
ANY = [pytest.param(name, model, id=f"{name}/{model}") for name, model, _ in TARGETS]


def dropped(provider: str, model: str, *answers: dict[str, Any]) -> tuple[str, ...]:
    """What is noted of a conversation with these answers of another vendor."""
    turns = [turn for answer in answers for turn in (U, {"role": "assistant", **answer})]
    request = parse_chat({"messages": [*turns, U]})
    return registry.find(provider).chat.encode(request, Target("m", model), False).dropped


def number(names: tuple[str, ...], field: str) -> int:
    """How many of them the line says."""
    found = [name for name in names if name.partition(" ")[0] == field]
    if not found:
        return 0
    return int(found[0].partition("(")[2].rstrip(")") or 1)


@pytest.mark.parametrize(("provider", "model"), ANY)
@pytest.mark.parametrize("field", ["images", "citations", "annotations", "content_parts"])
def test_each_removed_item_is_counted(provider: str, model: str, field: str) -> None:
    item = PNG if field in {"images", "content_parts"} else CITED
    answers = [{"content": "A", field: [item, item]}, {"content": "B", field: [item]}]
    names = dropped(provider, model, *answers)
    assert number(names, f"messages[].{field}") in {0, 3}
    assert "secret" not in str(names)
    one = dropped(provider, model, {"content": "A", field: [item]})
    assert bool(one) == bool(names)
    assert all("(" not in name for name in one)


@pytest.mark.parametrize(("provider", "model"), ANY)
def test_an_image_is_sent_or_noted(provider: str, model: str) -> None:
    """Also one that another vendor's model made, at an address that may have expired."""
    far = {"type": "image_url", "image_url": {"url": "https://a.test/a.png"}}
    sent = {"openrouter"}
    names = dropped(provider, model, {"content": "A", "images": [PNG, far]})
    assert number(names, "messages[].images") == (0 if provider in sent else 2)
    drawn = dropped("gemini", "gemini-3-pro-image", {"content": "A", "images": [PNG, far]})
    assert number(drawn, "messages[].images") == 1


@pytest.mark.parametrize(("provider", "model"), ANY)
def test_each_empty_turn_that_is_left_out_is_counted(provider: str, model: str) -> None:
    empty: dict[str, Any] = {"content": ""}
    names = dropped(provider, model, empty, {"content": "A"}, empty)
    request = parse_chat({"messages": [U, {"role": "assistant", **empty}, U]})
    wire = registry.find(provider).chat.encode(request, Target("m", model), False)
    is_sent = b'"assistant"' in wire.body or b'"model",' in wire.body
    assert number(names, "messages[].content") == (0 if is_sent else 2)


@pytest.mark.parametrize(("provider", "model"), ANY)
def test_each_part_of_a_response_that_is_left_out_is_counted(provider: str, model: str) -> None:
    part = {"type": "tool_file", "file_id": "f"}
    answer = {"content": [{"type": "text", "text": "A"}, part, part]}
    names = dropped(provider, model, answer, answer)
    assert number(names, "messages[].content[]") in {0, 4}
