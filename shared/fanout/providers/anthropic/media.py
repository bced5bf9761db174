"""
Images and files as their blocks.

Sources: https://platform.claude.com/docs/en/build-with-claude/vision and …/pdf-support; file ids
are those of Anthropic's own Files API.
"""

from __future__ import annotations

import binascii
from base64 import b64decode
from typing import Any

from msgspec import UNSET

from ...errors import RequestError
from ...schema.request import FileRef, ImageURL
from ..base import Losses

WEB = ("http://", "https://")


def encode_image(image: ImageURL, path: str, losses: Losses) -> dict[str, Any]:
    """An image by its address or its data. They see every image in full, or `auto`."""
    if image.detail is not UNSET and image.detail == "low":
        losses.lose(f"{path}.detail", "images are always seen in full")
    if image.url.startswith("data:"):
        return _image(*_split(image.url, f"{path}.url"))
    if image.url.startswith(WEB):
        return {"type": "image", "source": {"type": "url", "url": image.url}}
    raise RequestError(f"`{path}.url` is neither a web address nor a data URI", f"{path}.url")


def encode_file(file: FileRef, path: str, losses: Losses) -> dict[str, Any] | None:
    """A PDF, a plain text or an image, given as data, as an address or as a file id."""
    title = {"title": file.filename} if file.filename else {}
    given = file.file_data or file.file_id
    if not given:
        raise RequestError(f"`{path}` has neither `file_data` nor `file_id`", path)
    if given.startswith(WEB):
        return {"type": "document", "source": {"type": "url", "url": given}, **title}
    if file.file_data is None:
        return {"type": "document", "source": {"type": "file", "file_id": given}, **title}
    kind, data = _split(given, f"{path}.file_data")
    if kind.startswith("image/"):
        return _image(kind, data)
    if kind == "application/pdf":
        source = {"type": "base64", "media_type": kind, "data": data}
    elif kind.startswith("text/"):
        source = {"type": "text", "media_type": "text/plain", "data": _text(data, path)}
    else:
        losses.lose(path, f"it cannot read `{kind}`, but PDF, text and images")
        return None
    return {"type": "document", "source": source, **title}


def _image(kind: str, data: str) -> dict[str, Any]:
    # `image/jpg` is nobody's type, yet often written.
    media_type = "image/jpeg" if kind == "image/jpg" else kind
    source = {"type": "base64", "media_type": media_type, "data": data}
    return {"type": "image", "source": source}


def _split(uri: str, path: str) -> tuple[str, str]:
    """`data:image/png;base64,AAAA` -> `("image/png", "AAAA")`."""
    head, comma, data = uri.partition(",")
    if not (comma and head.startswith("data:") and head.endswith(";base64")):
        raise RequestError(f"`{path}` is not a base64 data URI (`data:TYPE;base64,DATA`)", path)
    return head.removeprefix("data:").split(";")[0].lower(), data


def _text(data: str, path: str) -> str:
    try:
        return b64decode(data, validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        place = f"{path}.file_data"
        raise RequestError(f"`{place}` is not a text in UTF-8, in base64", place) from None
