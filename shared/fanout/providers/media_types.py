"""Data URIs, and the media types that clients write in several ways."""

from __future__ import annotations

from collections.abc import Mapping

from ..errors import RequestError

REGISTERED: Mapping[str, str] = {
    "application/x-pdf": "application/pdf",
    "audio/vnd.wave": "audio/wav",
    "audio/wave": "audio/wav",
    "audio/x-wav": "audio/wav",
    "image/jpg": "image/jpeg",
    "image/pjpeg": "image/jpeg",
    "image/x-png": "image/png",
}
"""
What clients write, and the type that vendors accept.

https://www.iana.org/assignments/media-types, 2026-11
"""


def read_data_uri(uri: str) -> tuple[str, str] | None:
    """`data:image/jpg;base64,AAAA` -> `("image/jpeg", "AAAA")`; `None` if it is not base64."""
    head, comma, data = uri.partition(",")
    if not (comma and head.startswith("data:") and head.endswith(";base64")):
        return None
    kind = head.removeprefix("data:").split(";")[0].strip().lower()
    return REGISTERED.get(kind, kind), data


def split_data_uri(uri: str, path: str) -> tuple[str, str]:
    """The same; `RequestError` if it is not base64."""
    parts = read_data_uri(uri)
    if parts is None:
        raise RequestError(f"`{path}` is not a base64 data URI (`data:TYPE;base64,DATA`)", path)
    return parts
