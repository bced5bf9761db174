"""Tells an address of a file from its data."""

from __future__ import annotations

import re

# RFC 3986, 3.1: a scheme begins with a letter.
_ADDRESS = re.compile(r"[a-zA-Z][a-zA-Z0-9+.-]*://")


_WEB = re.compile(r"https?://", re.IGNORECASE)


def is_web(text: str) -> bool:
    """Whether a text is the address of a page or a file in the web; a scheme has any case."""
    return _WEB.match(text) is not None


def is_address(text: str) -> bool:
    """Whether a text begins with a scheme and `://`: `https://…`, `s3://…`; not a data URI."""
    return _ADDRESS.match(text) is not None
