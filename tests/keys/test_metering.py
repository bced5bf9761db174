"""What a prompt counts for: all its text, whatever its fields are called."""

from __future__ import annotations

from typing import Any

from fanout.schema.prompt_tokens import MEDIA_TOKENS, prompt_tokens
from fanout.schema.request import ChatRequest

LONG = "x y " * 10_000
PNG = "data:image/png;base64," + "iVBORw0KGgo" * 1_000


def size(message: dict[str, Any], **fields: Any) -> int:
    body = {"model": "a", "messages": [{"role": "user", **message}], **fields}
    return prompt_tokens(ChatRequest(messages=[], body=body))


def part(**fields: Any) -> int:
    return size({"content": [fields]})


def test_no_field_hides_the_text_of_a_prompt_and_media_count_by_their_type() -> None:
    texts = {
        "plain": size({"content": LONG}),
        "source": part(type="text", text=LONG, source=1),
        "image beside it": part(type="image_url", image_url={"url": PNG}, text=LONG),
        "no image": part(type="image_url", image_url={"url": LONG}),
        "a text file": part(type="file", file={"file_data": LONG}),
        "a text document": part(type="document", source={"type": "text", "data": LONG}),
        "message": size({"content": "x", "file": LONG}),
        "image_url of a message": size({"type": "image_url", "image_url": PNG, "content": LONG}),
        "no type": part(image_url={"url": PNG}, text=LONG),
        "type": part(type=["image_url"], image_url=LONG),
        "tool": size({"content": "x"}, tools=[{"function": {"parameters": {LONG: {}}}}]),
        "numbers": size({"content": "x"}, tools=[{"enum": list(range(10_000))}]),
    }
    hidden = [name for name, found in texts.items() if found < 9_000]
    assert hidden == []
    media = {
        "image": part(type="image_url", image_url={"url": PNG}),
        "address": part(type="image_url", image_url={"url": "https://example.com/a.png"}),
        "sound": part(type="input_audio", input_audio={"data": "UklGRg" * 5_000, "format": "wav"}),
        "pdf": part(
            type="file", file={"file_data": "data:application/pdf;base64," + "JVB" * 5_000}
        ),
    }
    wrong = {
        name: found
        for name, found in media.items()
        if not MEDIA_TOKENS <= found < MEDIA_TOKENS + 30
    }
    assert wrong == {}
