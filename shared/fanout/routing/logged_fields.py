"""
The paths of fields that the log may have: names that are documented, and no text of a client.

Pure. Imported with the first call that leaves a field out, or rejects one.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from ..providers.field_checks import SHARED_FIELDS, SHARED_MESSAGE_FIELDS
from ..providers.fields import LOGGED_FIELDS, VENDORS_FIELDS
from ..schema.gateway_fields import GATEWAY_FIELDS
from ..schema.request import READ_FIELDS
from .model_fields import OWN_FIELDS

MOST_LOGGED = 50
"""The most paths of one call that are logged."""

# Of messages, parts, calls, tools and formats: openai-openapi 2.3.0; of embeddings and of parts of
# Anthropic's: the request types of the vendors' SDKs, 2026-11.
_NAMES = (
    "allowed_tools arguments budget_tokens custom data description detail dimensions document "
    "effort encoding_format enum file file_data file_id filename format function id image "
    "image_url input input_audio input_type items json_schema media_type moderation output "
    "parameters properties required schema source strict text tool_result tool_use transcript "
    "ttl type url voice"
)

_KNOWN = (
    GATEWAY_FIELDS
    | LOGGED_FIELDS
    | OWN_FIELDS
    | READ_FIELDS
    | SHARED_FIELDS
    | SHARED_MESSAGE_FIELDS
    | VENDORS_FIELDS
    | set(_NAMES.split())
)

_COUNTED = re.compile(r"(.*?)(?: \((\d{1,9})\))?", re.DOTALL)
_STEP = re.compile(r"(\[(?:\d*|\*)\])|([^.\[\]]+|[\[\]])")
"""The index of an element, or a name, or a bracket of something else."""


def logged_path(path: str) -> str:
    """The path up to its first name that is not documented, which is `*`."""
    for step in _STEP.finditer(path):
        if not step[1] and step[2] not in _KNOWN:
            known = path[: step.start()].rstrip(".")
            return f"{known}.*" if known else "*"
    return path


def logged_paths(paths: Iterable[str]) -> tuple[str, ...]:
    """
    The paths for the log, each once, without numbers of elements: at most `MOST_LOGGED`.

    If several fields have the same one, their number is behind it: `messages[].* (3)`.
    """
    counts: dict[str, int] = {}
    for path in paths:
        found = _COUNTED.fullmatch(path)
        name, count = found.groups() if found else (path, None)
        shown = re.sub(r"\[\d+\]", "[]", logged_path(name))
        if shown in counts or len(counts) < MOST_LOGGED:
            counts[shown] = counts.get(shown, 0) + int(count or 1)
    return tuple(f"{name} ({count})" if count > 1 else name for name, count in counts.items())
