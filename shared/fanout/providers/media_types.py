"""Media types of data URIs by their registered names, and base64 as vendors accept it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote

from ..errors import RequestError
from ..schema.addresses import is_address

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


STARTS: Mapping[str, str] = {
    "/9j/": "image/jpeg",
    "JVBERi0": "application/pdf",
    "R0lGOD": "image/gif",
    "UklGR": "image/webp",
    "iVBORw0KGgo": "image/png",
}
"""
How the base64 of each type begins; of an image, it counts before the type that is written.

"The image was specified using the image/png media type, but the image appears to be a image/jpeg
image": github.com/BerriAI/litellm/issues/24900, n8n-io/n8n/issues/12955, 2026-11
"""


def read_data_uri(uri: str) -> tuple[str, str] | None:
    """`data:image/jpg;base64,AAAA` -> `("image/jpeg", "AAAA")`; `None` if it is not base64."""
    head, comma, data = uri.partition(",")
    if not (comma and head.startswith("data:") and head.endswith(";base64")):
        return None
    data = standard_base64(data)
    kind = head.removeprefix("data:").split(";")[0].strip().lower()
    kind = REGISTERED.get(kind, kind)
    if not kind or kind.startswith("image/"):
        kind = next((real for start, real in STARTS.items() if data.startswith(start)), kind)
    return kind, data


def split_data_uri(uri: str, path: str) -> tuple[str, str]:
    """The same; `RequestError` if it is not base64."""
    parts = read_data_uri(uri)
    if parts is None:
        raise RequestError(f"`{path}` is not a base64 data URI (`data:TYPE;base64,DATA`)", path)
    return parts


# ---- base64 ----

_STANDARD: Any = str.maketrans("-_", "+/", " \t\r\n")


def standard_base64(data: str) -> str:
    """
    Base64 in one line, with the standard letters and its padding, as strict decoders require it.

    Mail and shells wrap it, JavaScript's and Go's URL-safe encoders have `-` and `_`, and browsers
    write `%2B`.
    """
    if "%" in data:
        data = unquote(data)
    if any(letter in data for letter in "-_ \t\r\n"):
        data = data.translate(_STANDARD)
    return data + "=" * (-len(data) % 4) if len(data) % 4 in {2, 3} else data


def data_uri(text: str, kind: str = "") -> str:
    """
    A data URI for bare base64: of the type that it begins like, or else of `kind`.

    Other text is returned unchanged: an address, a data URI, or anything else.
    """
    if text.startswith("data:") or is_address(text):
        return text
    kind = next((real for start, real in STARTS.items() if text.startswith(start)), kind)
    return f"data:{kind};base64,{standard_base64(text)}" if kind else text


def standard_uri(text: str, kind: str = "") -> str:
    """
    A data URI with the registered name of its type and standard base64, for strict decoders.

    Bare base64 becomes one, as `data_uri` describes it. Other text is returned unchanged.
    """
    if (parts := read_data_uri(text)) is None:
        return data_uri(text, kind)
    found, data = parts
    standard = f"data:{found};base64,{data}"
    return standard if found and standard != text else text
