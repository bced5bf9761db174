"""
Finds addresses of files in cloud storage, which a provider reads with the gateway's rights.

Bedrock reads `s3://` with the role that signs the call, and Vertex AI `gs://` with the project's
account: docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_S3Location.html and
docs.cloud.google.com/vertex-ai/generative-ai/docs/multimodal/image-understanding, 2026-11.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from ..errors import Forbidden
from ..schema.request import CHAT_FIELDS, MessagePosition

SCHEMES = {"s3": "s3_buckets", "s3a": "s3_buckets", "s3n": "s3_buckets", "gs": "gcs_buckets"}
"""The beginning of an address, and the setting that has its buckets."""

TEXTS = frozenset(
    {"arguments", "name", "reasoning", "reasoning_content", "refusal", "role", "text", "thinking"}
)
"""The fields of messages and their parts that are always text, however it begins."""


def check_addresses(
    body: Mapping[str, Any], buckets: Collection[str], places: Sequence[MessagePosition] = ()
) -> None:
    """
    Raise `Forbidden` for a file in another bucket than `buckets`; names the field.

    `places` are those of the messages in the client's list, if they are others there.
    """
    for path, text in _values(body, places):
        start = text[:8].lstrip().lower() if text[:1].isspace() else text[:4].lower()
        setting = SCHEMES.get(start.partition(":")[0]) if ":" in start else None
        if setting is not None and not text.startswith(tuple(buckets)):
            raise Forbidden(
                f"`{path}`: the provider would read this file with the gateway's rights: send its "
                f"data instead, or add its bucket to `general_settings.{setting}`",
                path,
                "file_not_allowed",
            )


def _values(
    body: Mapping[str, Any], places: Sequence[MessagePosition]
) -> Iterator[tuple[str, str]]:
    """The path and the text of every value that may be an address."""
    for index, message in enumerate(body["messages"]):
        place = places[index] if places else MessagePosition(f"messages[{index}]")
        for name, value in message.items():
            if name == "content" and isinstance(value, list):
                for number, part in enumerate(value):
                    yield from _texts(place.part(number), part)
            elif not (isinstance(value, str) and (name in TEXTS or name == "content")):
                yield from _texts(f"{place.path}.{name}", value)
    for name, value in body.items():
        if name not in CHAT_FIELDS:
            yield from _texts(name, value)


def _texts(path: str, value: object) -> Iterator[tuple[str, str]]:
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, dict):
        for name, inner in value.items():
            if not (isinstance(inner, str) and name in TEXTS):
                yield from _texts(f"{path}.{name}", inner)
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from _texts(f"{path}[{index}]", inner)
