"""
Which web pages may call the gateway (CORS), and which requests reach a gateway without a key.

Without a key, the address of a request and the page it comes from are the only protection: any page
in the user's browser can send requests to 127.0.0.1, and its own name can be made to resolve to it
(DNS rebinding). Other programs send no `Origin` and no `Sec-Fetch-Site`, and are not affected.
"""

from __future__ import annotations

import re
from collections.abc import Collection

from ..errors import ConfigError, CrossSite, UnknownHost
from .asgi import Headers

LOOPBACK = re.compile(
    r"(localhost\.?|127\.\d{1,3}\.\d{1,3}\.\d{1,3}|\[::1\])(:\d+)?", re.IGNORECASE
)
"""Hosts that no name server can make another machine's. The port is free: tunnels change it."""

EXPOSED = (
    "idempotent-replayed, request-id, retry-after, retry-after-ms, x-fanout-dropped, "
    "x-fanout-mode, x-fanout-tokens, x-fanout-winner, x-request-id, x-should-retry"
)
METHODS = "GET, HEAD, POST, DELETE"
PREFLIGHT_AGE = "7200"
"""Seconds that a browser may reuse the response to a preflight; Chrome's own limit."""

ANY = "*"

PAGE = "/"
PROBES = frozenset({"/health", "/health/liveliness", "/health/liveness", "/health/readiness"})
"""Paths for load balancers, whose requests may name no host. They change and reveal nothing."""


class WebOrigins:
    """
    The rules for hosts and origins of a config. `is_open` is whether the gateway has no key.

    Raises `ConfigError` if every page could use a gateway without a key.
    """

    def __init__(
        self, origins: Collection[str], hosts: Collection[str] | None, *, is_open: bool
    ) -> None:
        if is_open and ANY in origins:
            raise ConfigError(
                "`general_settings.cors_origins` is `*` and there is no key, so every web page "
                "could use the gateway: set `general_settings.master_key`, or name the origins"
            )
        self._origins = frozenset(origins)
        self._hosts = None if hosts is None else frozenset(host.lower() for host in hosts)
        self._is_open = is_open

    def check(self, headers: Headers, path: str) -> None:
        """
        Raise `UnknownHost` or `CrossSite` for a request that may come from a foreign page.

        A request of HTTP/1.0 needs no `Host`, and one of HTTP/1.1 may have an empty one: it says
        nothing of where it was sent to (RFC 9112, 3.2 and 3.3). Without a key, only load balancers'
        checks are served then. A link on another page may open the gateway's own page.
        """
        host = headers.get("host", "")
        if not self._is_host(host) and (host or path not in PROBES):
            raise UnknownHost(
                (
                    f"the gateway does not serve the host `{host[:60]}`: add it to "
                    if host
                    else "the request names no `Host`: send one of "
                )
                + "`general_settings.allowed_hosts` in the gateway's config"
                + (", or set `general_settings.master_key`" if self._hosts is None else "")
            )
        if not self._is_open or self.is_allowed(headers):
            return
        origin, site = headers.get("origin"), headers.get("sec-fetch-site")
        is_foreign = origin is not None and origin.partition("://")[2].lower() != host.lower()
        if is_foreign or (
            site in {"cross-site", "same-site"} and not (path == PAGE and _opens(headers))
        ):
            raise CrossSite(
                "the gateway has no key, so other web pages may not use it: set "
                "`general_settings.master_key`, or add the page's origin to "
                "`general_settings.cors_origins` in the gateway's config"
            )

    def _is_host(self, host: str) -> bool:
        if self._hosts is None:
            return not self._is_open or bool(LOOPBACK.fullmatch(host))
        name = re.sub(r":\d+$", "", host.lower())
        return bool({ANY, name, host.lower()} & self._hosts) or bool(LOOPBACK.fullmatch(host))

    def is_allowed(self, headers: Headers) -> bool:
        """Whether the request's `Origin` is one of `cors_origins`."""
        origin = headers.get("origin")
        return origin is not None and (origin in self._origins or ANY in self._origins)

    def response_headers(self, headers: Headers) -> dict[str, str]:
        """What lets the page read the response."""
        if not self._origins:
            return {}
        vary = {} if ANY in self._origins else {"vary": "origin"}
        if not self.is_allowed(headers):
            return vary
        origin = ANY if ANY in self._origins else headers["origin"]
        return {
            "access-control-allow-origin": origin,
            "access-control-expose-headers": EXPOSED,
        } | vary

    def preflight(self, method: str, headers: Headers) -> dict[str, str] | None:
        """The headers of the response to a preflight of an allowed origin, which has no key."""
        is_preflight = method == "OPTIONS" and "access-control-request-method" in headers
        if not (is_preflight and self.is_allowed(headers)):
            return None
        wanted = headers.get("access-control-request-headers", "authorization, content-type")
        return {
            "access-control-allow-methods": METHODS,
            "access-control-allow-headers": wanted,
            "access-control-max-age": PREFLIGHT_AGE,
        }


def _opens(headers: Headers) -> bool:
    """Whether the browser opens a link in a tab: not in a frame, and not from a script."""
    return (
        headers.get("sec-fetch-mode") == "navigate" and headers.get("sec-fetch-dest") == "document"
    )
