"""Images and files with standard base64, and `file` as other vendors' parts for documents."""

from __future__ import annotations

from typing import Any, Literal, TypeAlias

from ...errors import RequestError
from ...schema.addresses import is_address
from ..fields import UnsupportedFields
from ..media_types import standard_uri

Part: TypeAlias = dict[str, Any]


def encode_document(
    file: Part,
    kind: Literal["document_url", "file_url"],
    path: str,
    unsupported: UnsupportedFields,
) -> Part:
    """
    A file, given as a data URI, as bare base64 (then it is a PDF), by its address or by its id.

    Mistral: `DocumentURLChunk` and `FileChunk` of its SDK; "PDF uploads return 422 errors" with
    OpenAI's part: github.com/danny-avila/LibreChat/pull/12144. Perplexity: docs.perplexity.ai/docs/
    sonar/media: base64 without the prefix. 2026-11
    """
    given, file_id, name = file.get("file_data"), file.get("file_id"), file.get("filename")
    if not (given or file_id):
        raise RequestError(f"`{path}` has neither `file_data` nor `file_id`", path)
    url = file_id if file_id and has_address(file) else ""
    if given:
        url = standard_uri(given, "application/pdf")
    if url.startswith("data:image/"):
        return {"type": "image_url", "image_url": {"url": url}}
    if kind == "document_url":
        if not url:
            return {"type": "file", "file_id": file_id}
        return {"type": kind, "document_url": url} | ({"document_name": name} if name else {})
    if not url:
        unsupported.add(f"{path}.file_id", "it stores no files; give `file_data`", kept=True)
    bare = url.partition(",")[2] if url.startswith("data:") else url
    return {"type": kind, "file_url": {"url": bare}} | ({"file_name": name} if name else {})


def fit_media(part: Part, *, objects: bool = False) -> Part:
    """
    An image or a file, whose data URI has standard base64; else the part itself.

    A bare image becomes a data URI; OpenAI's reference has bare files. `objects`: an image cannot
    be its address alone.
    """
    if objects and isinstance(image := part.get("image_url"), str):
        part = {**part, "image_url": {"url": image}}
    for kind, name in (("image_url", "url"), ("file", "file_data")):
        held = part.get(kind)
        given = held.get(name) if isinstance(held, dict) else held  # Mistral's: the address alone
        if not isinstance(given, str) or (kind == "file" and not given.startswith("data:")):
            continue
        fitted = standard_uri(given)
        if fitted != given:
            return {**part, kind: {**held, name: fitted} if isinstance(held, dict) else fitted}
    return part


def has_address(file: object) -> bool:
    """Whether a file's id is its address, as Anthropic's and LiteLLM's users write it."""
    return isinstance(file, dict) and is_address(str(file.get("file_id")))


def fit_address(
    part: Part, field: Literal["file_data"] | None, path: str, unsupported: UnsupportedFields
) -> Part:
    """
    A file, whose address is in the `field` that the vendor has for it; without one, it is rejected.

    OpenAI's chat completions take `file_data` or the id of an uploaded file: openai-openapi 2.3.0,
    `ChatCompletionRequestMessageContentPartFile`. OpenRouter takes an address as `file_data`:
    openrouter.ai/docs/features/multimodal/pdfs, 2026-11.
    """
    file = part.get("file")
    if not isinstance(file, dict) or not has_address(file):
        return part
    if field is None:
        unsupported.add(path, "it takes no address of a file; send its data", kept=True)
    rest = {name: value for name, value in file.items() if name != "file_id"}
    return {**part, "file": {field: file["file_id"], **rest}}
