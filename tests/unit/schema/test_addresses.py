"""An address of a file is told from data and from text by its scheme, wherever the gateway asks."""

from __future__ import annotations

from typing import Any

import pytest

from fanout.errors import RequestError
from fanout.providers import registry
from fanout.providers.base import Target
from fanout.providers.media_types import data_uri
from fanout.schema.addresses import is_address
from fanout.schema.validation import parse_chat

ADDRESSES = (
    "https://a.test/a.png",
    "HTTPS://a.test/a.png",
    "s3://bucket/a.png",
    "gs://bucket/a.png",
    "x://a.png",
    "custom-scheme+https://a.test/a.png",
    "a.very.long-scheme-of-storage://a.test/a.png",
)
OTHERS = (
    "iVBORw0KGgo=",
    "data:image/png;base64,iVBORw0KGgo=",
    "://a.png",
    "1s://a.png",
    "a b://c",
    "no scheme://a.png",
    "a/b://c",
    "",
)


@pytest.mark.parametrize("text", [*ADDRESSES, *OTHERS])
def test_an_address_begins_with_a_scheme(text: str) -> None:
    assert is_address(text) is (text in ADDRESSES)


def chat(part: dict[str, Any]) -> Any:
    return parse_chat({"messages": [{"role": "user", "content": [part]}]})


@pytest.mark.parametrize("text", [*ADDRESSES, *OTHERS[2:-1]])
def test_each_reader_asks_in_the_same_way(text: str) -> None:
    alone = chat({"type": "image_url", "image_url": text})
    assert ("messages" not in alone.extensions) is is_address(text)
    assert data_uri(text, "image/png").startswith("data:") is not is_address(text)

    file = chat({"type": "file", "file": {"file_data": text}})
    claude = registry.find("vertex_ai").chat
    options = {"vertex_project": "p", "vertex_location": "us-east5"}
    try:
        claude.encode(file, Target("n", "claude-sonnet-4-5", options=options), False)
        said = ""
    except RequestError as error:
        said = str(error)
    assert ("takes no URLs" in said) is is_address(text), said
