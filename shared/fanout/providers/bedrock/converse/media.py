"""
Images, sound and documents as Converse's blocks: their bytes, or where they are in S3.

It fetches nothing from the web. Sources:
https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ImageBlock.html, …_AudioBlock
and …_DocumentBlock.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeAlias

from msgspec import UNSET

from ....errors import RequestError
from ....schema.request import FileRef, ImageURL, InputAudio
from ...base import Losses

Block: TypeAlias = dict[str, Any]

IMAGES: Mapping[str, str] = {
    "image/gif": "gif",
    "image/jpeg": "jpeg",
    "image/jpg": "jpeg",  # nobody's type, yet often written
    "image/png": "png",
    "image/webp": "webp",
}
DOCUMENTS: Mapping[str, str] = {
    "application/msword": "doc",
    "application/pdf": "pdf",
    "application/vnd.ms-excel": "xls",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": "xlsx",
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document": "docx",
    "text/csv": "csv",
    "text/html": "html",
    "text/markdown": "md",
    "text/plain": "txt",
}
SOUNDS = frozenset(
    "aac flac m4a mka mkv mp3 mp4 mpeg mpga ogg opus pcm wav webm x-aac".split()  # noqa: SIM905
)

_UNNAMED = "document"
_MAX_NAME = 200
_NOT_IN_NAMES = re.compile(r"[^A-Za-z0-9()\[\]-]+")


def encode_image(image: ImageURL, path: str, losses: Losses) -> Block | None:
    """An image, seen in full or as the model likes."""
    if image.detail is not UNSET and image.detail == "low":
        losses.lose(f"{path}.detail", "images are always seen in full")
    place = f"{path}.url"
    if image.url.startswith("data:"):
        kind, data = _split(image.url, place)
        return _image(kind, data, place, losses)
    if image.url.startswith("s3://"):
        form = IMAGES.get(f"image/{_ending(image.url)}")
        if form is None:
            raise RequestError(f"`{place}` must end in .png, .jpg, .gif or .webp", place)
        return {"image": {"format": form, "source": _in_s3(image.url)}}
    _refuse_web(image.url, place, losses)
    return None


def encode_audio(sound: InputAudio, path: str, losses: Losses) -> Block | None:
    if sound.format not in SOUNDS:
        losses.lose(f"{path}.format", f"it hears {', '.join(sorted(SOUNDS))}")
        return None
    return {"audio": {"format": sound.format, "source": {"bytes": sound.data}}}


def encode_file(file: FileRef, path: str, losses: Losses) -> Block | None:
    """A document or an image, given as data or by its address in S3."""
    place = f"{path}.file_data" if file.file_data else f"{path}.file_id"
    given = file.file_data or file.file_id
    if not given:
        raise RequestError(f"`{path}` has neither `file_data` nor `file_id`", path)
    if given.startswith("s3://"):
        form = _ending(file.filename or given)
        if form not in DOCUMENTS.values():
            raise RequestError(f"`{place}` must end in .pdf or another document's ending", place)
        return _document(form, file.filename or given, _in_s3(given))
    if file.file_data is None:
        losses.lose(place, "it keeps no files; give `file_data`, or an address in S3 (`s3://…`)")
        return None
    if not given.startswith("data:"):
        _refuse_web(given, place, losses)
        return None
    kind, data = _split(given, place)
    if kind.startswith("image/"):
        return _image(kind, data, place, losses)
    form = DOCUMENTS.get(kind, "txt" if kind.startswith("text/") else "")
    if not form:
        losses.lose(place, f"it cannot read `{kind}`, but PDF, text, Word and Excel")
        return None
    return _document(form, file.filename, {"bytes": data})


def name_apart(turns: Sequence[Block]) -> list[Block]:
    """
    The turns with every document's name its own, in which case does not count.

    https://github.com/BerriAI/litellm/pull/30093 has AWS's refusal of namesakes.
    """
    taken: set[str] = set()
    return [
        {**turn, "content": [_named(block, taken) for block in turn["content"]]} for turn in turns
    ]


def _named(block: Block, taken: set[str]) -> Block:
    if "document" not in block:
        return block
    name = next(name for name in _names(block["document"]["name"]) if name.lower() not in taken)
    taken.add(name.lower())
    return {"document": {**block["document"], "name": name}}


def _names(wanted: str) -> Iterator[str]:
    """`report`, `report 2`, `report 3`, …"""
    yield wanted
    number = 2
    while True:
        end = f" {number}"
        yield wanted[: _MAX_NAME - len(end)] + end
        number += 1


def _document(form: str, filename: str | None, source: Block) -> Block:
    """A name may hold letters, digits, brackets, hyphens and single spaces: no dot, no ending."""
    stem = (filename or "").rpartition("/")[2]
    stem = stem.rpartition(".")[0] or stem
    name = _NOT_IN_NAMES.sub(" ", stem).strip()[:_MAX_NAME].rstrip() or _UNNAMED
    return {"document": {"format": form, "name": name, "source": source}}


def _image(kind: str, data: str, place: str, losses: Losses) -> Block | None:
    if kind not in IMAGES:
        losses.lose(place, f"it cannot see `{kind}`, but PNG, JPEG, GIF and WebP")
        return None
    return {"image": {"format": IMAGES[kind], "source": {"bytes": data}}}


def _in_s3(uri: str) -> Block:
    return {"s3Location": {"uri": uri}}


def _refuse_web(url: str, place: str, losses: Losses) -> None:
    if not url.startswith(("http://", "https://")):
        raise RequestError(f"`{place}` is neither a data URI nor an address in S3", place)
    losses.lose(
        place, "it fetches nothing from the web; give a data URI, or an address in S3 (`s3://…`)"
    )


def _split(uri: str, path: str) -> tuple[str, str]:
    """`data:image/png;base64,AAAA` -> `("image/png", "AAAA")`."""
    head, comma, data = uri.partition(",")
    if not (comma and head.endswith(";base64")):
        raise RequestError(f"`{path}` is not a base64 data URI (`data:TYPE;base64,DATA`)", path)
    return head.removeprefix("data:").split(";")[0].lower(), data


def _ending(name: str) -> str:
    return name.rpartition(".")[2].lower()
