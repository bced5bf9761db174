"""
The batch APIs with OpenAI's shapes: Azure's and Groq's.

Source tags: see `double.py`.
"""

from __future__ import annotations

from math import inf

from .openai_double import OpenAIDouble


class AzureDouble(OpenAIDouble):
    """
    Azure's: a batch never expires, and its lines name a deployment for batches.

    DOC learn.microsoft.com/azure/ai-foundry/openai/how-to/batch, 2026.
    """

    vendor = "azure"
    window = inf
    most_lines = 100_000


class GroqDouble(OpenAIDouble):
    """
    Groq's, with OpenAI's states and fields (SDK).

    GUESS: what expiry and a cancel leave behind is as OpenAI's.
    """

    vendor = "groq"
    most_bytes = 100_000_000
