"""
What Google's API rejects, as data: one rule a line, with its source.

The codec reads these rules, and so does the strict server of the tests.
"""

from __future__ import annotations

import re

# "stopSequences: The set of character sequences (up to 5)": `GenerationConfig` in Google's
# description of the API, as public clients have it, 2026-11
MOST_STOPS = 5


def is_empty(text: str) -> bool:
    """
    "contents.parts must not be empty", and neither may a text: such parts and turns are left out.

    The API's own errors: github.com/vercel/ai/issues/3775, router-for-me/CLIProxyAPI/issues/1292,
    2026-11
    """
    return not text


# `GenerationConfig.responseModalities`: https://ai.google.dev/api/generate-content, 2026-11
MODALITIES = ("text", "image", "audio")


# "Penalty is not enabled for models/gemini-2.5-flash", of Google AI Studio: github.com/vercel/ai/
# issues/8943, google-gemini/cookbook/issues/1290, BerriAI/litellm/issues/26108, 2026-11
PENALTIES = ("frequency_penalty", "presence_penalty")
_NO_PENALTIES = re.compile(r"(?:.*/)?gemini-(?:2\.5|[3-9])")


def has_penalties(model: str) -> bool:
    """Whether the model takes penalties in Google AI Studio."""
    return _NO_PENALTIES.match(model) is None


def has_levels(model: str) -> bool:
    """Whether the model thinks in levels: Gemini 3 and later, and names such as `…-latest`."""
    return not model.rpartition("/")[2].startswith(("gemini-1", "gemini-2"))
