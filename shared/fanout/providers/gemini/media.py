"""Images, sound and files: inline as base64, or by a URL that Google fetches."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...schema.request import AudioPart, FileRef, ImageURL
from ..base import Losses

# Google wants the type told; a URL has nothing but its ending to tell it by.
TYPES: Mapping[str, str] = {
    "csv": "text/csv",
    "gif": "image/gif",
    "heic": "image/heic",
    "heif": "image/heif",
    "html": "text/html",
    "jpeg": "image/jpeg",
    "jpg": "image/jpeg",
    "json": "application/json",
    "md": "text/markdown",
    "mp3": "audio/mp3",
    "mp4": "video/mp4",
    "pdf": "application/pdf",
    "png": "image/png",
    "txt": "text/plain",
    "wav": "audio/wav",
    "webp": "image/webp",
}
RESOLUTIONS: Mapping[object, str] = {
    "low": "MEDIA_RESOLUTION_LOW",
    "high": "MEDIA_RESOLUTION_HIGH",
}


def encode_image(
    image: ImageURL,
    place: str,
    losses: Losses,
    *,
    has_levels: bool,
) -> dict[str, Any] | None:
    """An image; its detail is a part's `mediaResolution`, which came with Gemini 3."""
    part = _encode_url(image.url, f"{place}.image_url.url", losses)
    level = RESOLUTIONS.get(image.detail)
    if part is None or level is None:
        return part
    if not has_levels:
        losses.lose(f"{place}.image_url.detail", "only models since Gemini 3 do")
        return part
    return {**part, "mediaResolution": {"level": level}}


def encode_audio(part: AudioPart) -> dict[str, Any]:
    audio = part.input_audio
    return {"inlineData": {"mimeType": f"audio/{audio.format}", "data": audio.data}}


def encode_file(file: FileRef, place: str, losses: Losses) -> dict[str, Any] | None:
    """A file's bytes, or the URI that it has in Google's own store of files."""
    if file.file_data is not None:
        if file.file_data.startswith("data:"):
            return _encode_url(file.file_data, f"{place}.file.file_data", losses)
        kind = guess_type(file.filename or "") or "application/pdf"
        return {"inlineData": {"mimeType": kind, "data": file.file_data}}
    if file.file_id is not None and "://" in file.file_id:
        return _encode_url(file.file_id, f"{place}.file.file_id", losses)
    losses.lose(f"{place}.file.file_id", "it knows only files by URI")
    return None


def _encode_url(url: str, place: str, losses: Losses) -> dict[str, Any] | None:
    if not url.startswith("data:"):
        # https://ai.google.dev/gemini-api/docs/file-input-methods: any public or signed URL.
        kind = guess_type(url.partition("?")[0].partition("#")[0])
        return {"fileData": {"fileUri": url} | ({"mimeType": kind} if kind else {})}
    head, _, data = url.removeprefix("data:").partition(",")
    kind, *flags = head.split(";")
    if "base64" not in flags:
        losses.lose(place, "of data URIs only those in base64")
        return None
    return {"inlineData": {"mimeType": kind or "text/plain", "data": data}}


def guess_type(name: str) -> str | None:
    """The media type that a name's ending tells."""
    return TYPES.get(name.rpartition(".")[2].lower())
