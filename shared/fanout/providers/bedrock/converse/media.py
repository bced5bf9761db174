"""
Images, audio and documents as Converse's blocks: their bytes, or their address in S3.

Converse fetches nothing from the web. Sources:
https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ImageBlock.html, …_AudioBlock
and …_DocumentBlock.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

from ....errors import RequestError
from ....schema.addresses import is_address, is_web
from ....schema.messages import FileRef, ImageURL, InputAudio
from ...fields import UnsupportedFields
from ...media_types import split_data_uri
from ...request_reader import Block, reject_low_detail

IMAGES: Mapping[str, str] = {
    "image/gif": "gif",
    "image/jpeg": "jpeg",
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
AUDIO_FORMATS = frozenset(
    "aac flac m4a mka mkv mp3 mp4 mpeg mpga ogg opus pcm wav webm x-aac".split()  # noqa: SIM905
)

_UNNAMED = "document"
_MAX_NAME = 200
_NOT_IN_NAMES = re.compile(r"[^A-Za-z0-9()\[\]-]+")


def encode_image(image: ImageURL, path: str, unsupported: UnsupportedFields) -> Block | None:
    reject_low_detail(image, path, unsupported)
    place = f"{path}.url"
    if image.url.startswith("data:"):
        kind, data = split_data_uri(image.url, place)
        return _image(kind, data, place, unsupported)
    if image.url.startswith("s3://"):
        form = IMAGES.get(f"image/{_ending(image.url).replace('jpg', 'jpeg')}")
        if form is None:
            raise RequestError(f"`{place}` must end in .png, .jpg, .gif or .webp", place)
        return {"image": {"format": form, "source": _in_s3(image.url)}}
    _reject_web(image.url, place, unsupported)
    return None


def encode_audio(audio: InputAudio, path: str, unsupported: UnsupportedFields) -> Block | None:
    if audio.format not in AUDIO_FORMATS:
        unsupported.add(f"{path}.format", f"it accepts {', '.join(sorted(AUDIO_FORMATS))}")
        return None
    return {"audio": {"format": audio.format, "source": {"bytes": audio.data}}}


def encode_file(file: FileRef, path: str, unsupported: UnsupportedFields) -> Block | None:
    """A document or an image, given as data or as its address in S3."""
    place = f"{path}.file_data" if file.file_data else f"{path}.file_id"
    given = file.file_data or file.file_id or ""
    if given.startswith("s3://"):
        form = _ending(file.filename or given)
        if form not in DOCUMENTS.values():
            raise RequestError(f"`{place}` must end in .pdf or another document's ending", place)
        return _document(form, file.filename or given, _in_s3(given))
    if file.file_data is None:
        if is_address(given):  # it may have been written as the `source` of a `document`
            place = path.removesuffix(".file")
        unsupported.add(
            place, "it stores no files; give `file_data`, or an address in S3 (`s3://…`)"
        )
        return None
    if not given.startswith("data:"):
        _reject_web(given, place, unsupported)
        return None
    kind, data = split_data_uri(given, place)
    if kind.startswith("image/"):
        return _image(kind, data, place, unsupported)
    form = DOCUMENTS.get(kind, "txt" if kind.startswith("text/") else "")
    if not form:
        unsupported.add(place, f"it cannot read `{kind}`, but PDF, text, Word and Excel")
        return None
    return _document(form, file.filename, {"bytes": data})


def rename_documents(turns: Sequence[Block]) -> list[Block]:
    """
    The turns, with a different name for every document (ignoring case).

    https://github.com/BerriAI/litellm/pull/30093 shows AWS's error for two with one name.
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
    """A name may have letters, digits, brackets, hyphens and single spaces: no dot, no ending."""
    stem = (filename or "").rpartition("/")[2]
    stem = stem.rpartition(".")[0] or stem
    name = _NOT_IN_NAMES.sub(" ", stem).strip()[:_MAX_NAME].rstrip() or _UNNAMED
    return {"document": {"format": form, "name": name, "source": source}}


def _image(kind: str, data: str, place: str, unsupported: UnsupportedFields) -> Block | None:
    if kind not in IMAGES:
        unsupported.add(place, f"it cannot read `{kind}`, but PNG, JPEG, GIF and WebP")
        return None
    return {"image": {"format": IMAGES[kind], "source": {"bytes": data}}}


def _in_s3(uri: str) -> Block:
    return {"s3Location": {"uri": uri}}


def _reject_web(url: str, place: str, unsupported: UnsupportedFields) -> None:
    if not is_web(url):
        raise RequestError(f"`{place}` is neither a data URI nor an address in S3", place)
    unsupported.add(
        place, "it fetches nothing from the web; give a data URI, or an address in S3 (`s3://…`)"
    )


def _ending(name: str) -> str:
    return name.rpartition(".")[2].lower()
