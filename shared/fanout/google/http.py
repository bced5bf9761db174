"""
The requests of google-auth, sent with the standard library.

Its own ways to send them need requests or urllib3. This one runs in the thread of the refresh.
"""

from __future__ import annotations

import http.client
import urllib.error
import urllib.request
from collections.abc import Mapping
from typing import Any

from msgspec import Struct

TIMEOUT = 10.0
"""Seconds without data after which a request fails; google-auth asks for up to 120."""


class Response(Struct, frozen=True):
    """What google-auth reads of a response."""

    status: int
    headers: Mapping[str, str]
    data: bytes


def send(
    url: str,
    method: str = "GET",
    body: bytes | str | None = None,
    headers: Mapping[str, str] | None = None,
    timeout: float | None = None,
    **_unused: Any,
) -> Response:
    """Send a request; raises google-auth's `TransportError` if there is no response."""
    from google.auth.exceptions import TransportError

    if not url.startswith(("https://", "http://")):
        raise TransportError("not a web address")
    data = body.encode() if isinstance(body, str) else body
    request = urllib.request.Request(url, data, dict(headers or {}), method=method)  # noqa: S310
    try:
        with urllib.request.urlopen(request, timeout=min(timeout or TIMEOUT, TIMEOUT)) as got:  # noqa: S310
            return Response(got.status, dict(got.headers), got.read())
    except urllib.error.HTTPError as error:
        with error:
            return Response(error.code, dict(error.headers), error.read())
    except (OSError, http.client.HTTPException) as error:
        raise TransportError(type(error).__name__) from error
