"""
Images that a model makes: `images` of a chat completion's message, and items of a response.

Source of the format: openai-python 3.57.0, `ImageGenerationCall`; its `result` is base64, 2026-11.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

CALL = "image_generation_call"
_DATA, _BASE64 = "data:image/", ";base64,"


def image_item(image: Any, item_id: str) -> dict[str, Any] | None:
    """The item of an image; `None` for one that is only at an address."""
    place = image.get("image_url") if isinstance(image, dict) else None
    url = place.get("url") if isinstance(place, dict) else None
    if not isinstance(url, str) or not url.startswith(_DATA):
        return None
    form, found, data = url.removeprefix(_DATA).partition(_BASE64)
    if not found:
        return None
    item = {"id": item_id, "type": CALL, "status": "completed", "result": data}
    item["output_format"] = form.partition(";")[0]
    return {**item, "extra_content": image["extra_content"]} if "extra_content" in image else item


def made_image(item: Mapping[str, Any]) -> dict[str, Any] | None:
    """The image of an item of a history, as a chat completion has it; `None` without a result."""
    if not isinstance(data := item.get("result"), str) or not data:
        return None
    url = f"{_DATA}{item.get('output_format') or 'png'}{_BASE64}{data}"
    image: dict[str, Any] = {"type": "image_url", "image_url": {"url": url}}
    if isinstance(extra := item.get("extra_content"), dict):
        image["extra_content"] = extra
    return image


_OF_MESSAGES = ("audio", "citations", "context", "executed_tools")


def lost_content(part: Mapping[str, Any]) -> list[str]:
    """
    What of a message has no place in a response.

    What is beside the messages has: it is kept under its own name.
    """
    if "choices" in part:
        return []
    lost = [name for name in _OF_MESSAGES if part.get(name)]
    images = part.get("images")
    listed = images if isinstance(images, list) else []
    return [*lost, *(["images"] if any(image_item(one, "") is None for one in listed) else [])]
