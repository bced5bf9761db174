"""Images, audio and files: inline as base64, or as a URL that Google fetches."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ...errors import RequestError
from ...schema.addresses import is_address
from ...schema.chat import Delta, Object
from ...schema.messages import FileRef, ImageURL, InputAudio
from ..fields import UnsupportedFields
from ..media_types import read_data_uri
from ..request_reader import Block
from ..signatures import SKIP_SIGNATURE, find_signature, make_extra_content
from . import wire

# Google requires a media type; that of a URL is only in its ending.
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
# Google's base64 is of either alphabet; a data URI has the standard one.
_STANDARD_ALPHABET: Any = str.maketrans("-_", "+/")
RESOLUTIONS: Mapping[object, str] = {
    "low": "MEDIA_RESOLUTION_LOW",
    "high": "MEDIA_RESOLUTION_HIGH",
}


def encode_image(
    image: ImageURL, path: str, unsupported: UnsupportedFields, *, has_levels: bool
) -> Block | None:
    """An image. Its detail is the part's `mediaResolution`, which came with Gemini 3."""
    part = _encode_url(image.url, f"{path}.url", unsupported)
    level = RESOLUTIONS.get(image.detail)
    if part is None or level is None:
        return part
    if not has_levels:
        unsupported.add(f"{path}.detail", "only models since Gemini 3 do")
        return part
    return {**part, "mediaResolution": {"level": level}}


def encode_audio(audio: InputAudio, _path: str, _unsupported: UnsupportedFields) -> Block:
    return {"inlineData": {"mimeType": f"audio/{audio.format}", "data": audio.data}}


def encode_file(file: FileRef, path: str, unsupported: UnsupportedFields) -> Block | None:
    """A file's bytes, or its URI in Google's Files API."""
    if file.file_data is not None:
        if file.file_data.startswith("data:"):
            return _encode_url(file.file_data, f"{path}.file_data", unsupported)
        kind = guess_type(file.filename or "") or "application/pdf"
        return {"inlineData": {"mimeType": kind, "data": file.file_data}}
    if file.file_id is not None and is_address(file.file_id):
        return _encode_url(file.file_id, f"{path}.file_id", unsupported)
    unsupported.add(f"{path}.file_id", "a file needs a URI")
    return None


def _encode_url(url: str, path: str, unsupported: UnsupportedFields) -> Block | None:
    if not url.startswith("data:"):
        if not is_address(url):
            raise RequestError(f"`{path}` is neither a web address nor a data URI", path)
        # https://ai.google.dev/gemini-api/docs/file-input-methods: any public or signed URL.
        kind = guess_type(url.partition("?")[0].partition("#")[0])
        return {"fileData": {"fileUri": url} | ({"mimeType": kind} if kind else {})}
    parts = read_data_uri(url)
    if parts is None:
        unsupported.add(path, "a data URI must be in base64")
        return None
    kind, data = parts
    return {"inlineData": {"mimeType": kind or "text/plain", "data": data}}


def guess_type(name: str) -> str | None:
    """The media type of a name's ending."""
    return TYPES.get(name.rpartition(".")[2].lower())


def makes_images(model: str) -> bool:
    """Whether the model responds with images: `gemini-2.5-flash-image`, `gemini-3-pro-image`."""
    return "image" in model.rpartition("/")[2]


def decode_audio(blob: wire.Blob, response_id: str | None, *, is_first: bool) -> Delta:
    """
    A piece of a response's audio; the first one has what OpenAI's SDKs require beside it.

    The id is Fanout's: no request can refer to it, as to OpenAI's `audio_…`.
    """
    audio: dict[str, Any] = {"data": blob.data.translate(_STANDARD_ALPHABET)}
    if is_first:
        audio |= {"id": f"made_{response_id or 0}", "transcript": "", "expires_at": 0}
    return {"audio": audio}


def decode_image(blob: wire.Blob, signature: str | None) -> Delta:
    """
    An image of a response.

    OpenAI's messages have no images; they are in `images`, as OpenRouter and LiteLLM have them
    (openrouter.ai/docs/features/multimodal/image-generation, 2026-11).
    """
    data = blob.data.translate(_STANDARD_ALPHABET)
    image: dict[str, Any] = {
        "type": "image_url",
        "image_url": {"url": f"data:{blob.mime_type};base64,{data}"},
    }
    if signature:
        image["extra_content"] = make_extra_content(signature)
    return {"images": [image]}


def encode_made_images(raw: Object, *, has_levels: bool) -> Iterator[Block]:
    """
    The images of an earlier response, for a model that makes images and can edit them.

    Since Gemini 3, each must have the signature that it came with:
    https://ai.google.dev/gemini-api/docs/thought-signatures, 2026-11
    """
    images = raw.get("images")
    for image in images if isinstance(images, list) else ():
        url = image.get("image_url") if isinstance(image, dict) else None
        url = url.get("url") if isinstance(url, dict) else None
        parts = read_data_uri(url) if isinstance(url, str) and url.startswith("data:") else None
        if parts is None:
            continue  # another vendor's image at an address that may have expired
        block: Block = {"inlineData": {"mimeType": parts[0] or "image/png", "data": parts[1]}}
        if signature := find_signature(image) or (SKIP_SIGNATURE if has_levels else None):
            block["thoughtSignature"] = signature
        yield block
