"""
What Vertex AI rejects although the vendors' own APIs accept it, as data: one rule a line.

The codecs read these rules, and so does the strict server of the tests.
"""

from __future__ import annotations

from collections.abc import Mapping

from ...errors import RequestError
from ...schema.addresses import is_address
from ...schema.messages import FilePart, ImagePart
from ...schema.request import ChatRequest, MessagePosition
from ..anthropic.request import FIELDS as CLAUDE
from ..fields import DEFAULTS
from ..gemini.media import guess_type
from ..gemini.request import FIELDS as GEMINI
from ..gemini.request import NATIVE

# `labels` are Vertex AI's own: docs.cloud.google.com/gemini-enterprise-agent-platform/models/
# capabilities/add-labels-to-api-calls, 2026-11
GEMINI_FIELDS = GEMINI | {"labels"}
GEMINI_NATIVE: Mapping[str, str] = {**NATIVE, "labels": "labels"}

# Service tiers are Anthropic's own (platform.claude.com/docs/en/api/service-tiers). Automatic
# caching, by a `cache_control` beside `messages`, is not there; that of content blocks is:
# github.com/dust-tt/dust/pull/27109, langchain-ai/langchain-google/issues/1612, 2026-11
CLAUDE_FIELDS = CLAUDE - {"cache_control", "service_tier"}
CLAUDE_DEFAULTS = {**DEFAULTS, "service_tier": ("auto", "default")}

# The tiers that a request can ask for are values of a header:
# docs.cloud.google.com/gemini-enterprise-agent-platform/models/deploy/flex-paygo and …/priority-
# paygo, 2026-11
TIER_HEADER = "x-vertex-ai-llm-shared-request-type"
TIERS: Mapping[str, str | None] = {
    "auto": None,
    "default": None,
    "flex": "flex",
    "priority": "priority",
}


def check_gemini_media(request: ChatRequest) -> None:
    """
    Reject a file by URL if its name does not show its type: "`mimeType`: Required".

    `FileData.mime_type` in Google's SDK for Python 3.4, 2026-11.
    """
    for path, url in _urls(request):
        if is_address(url) and guess_type(url.partition("?")[0].partition("#")[0]) is None:
            _reject(path, "needs a URL that ends like a file (`.png`, `.pdf`), or the data itself")


def check_claude_media(request: ChatRequest) -> None:
    """
    Reject files by URL or by id: "URL sources are not supported".

    github.com/anthropics/anthropic-sdk-typescript/issues/1038, 2026-08; the Files API is not there.
    """
    for path, _ in _urls(request):
        _reject(path, "takes no URLs and no ids of files for Claude: send the data itself")


def _reject(path: str, why: str) -> None:
    raise RequestError(f"`{path}`: Vertex AI {why}", path)


def _urls(request: ChatRequest) -> list[tuple[str, str]]:
    """The path and the value of each URL or id of a file, in the client's messages."""
    found = []
    places = request.places or [
        MessagePosition(f"messages[{i}]") for i in range(len(request.messages))
    ]
    for index, message in enumerate(request.messages):
        content = getattr(message, "content", None)
        for number, part in enumerate(content if isinstance(content, list) else ()):
            place = places[index].part(number)
            match part:
                case ImagePart(image_url=image):
                    found.append((f"{place}.image_url.url", image.url))
                case FilePart(file=file) if file.file_data:
                    if is_address(file.file_data):
                        found.append((f"{place}.file.file_data", file.file_data))
                case FilePart(file=file) if file.file_id:
                    found.append((f"{place}.file.file_id", file.file_id))
    return [(path, url) for path, url in found if not url.startswith("data:")]
