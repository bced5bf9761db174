"""
The page's files: read, bundled and compressed at the first request.

All but the page itself are served below a path with a hash of their contents, so that browsers can
cache them forever; a new version has a new path.
"""

from __future__ import annotations

import asyncio
import gzip
import hashlib
from functools import cache
from pathlib import Path

from msgspec import Struct

from ..errors import NotFound
from .asgi import raw_headers
from .exchange import Exchange
from .script_bundle import bundle

FOLDER = Path(__file__).parents[1] / "page"
INDEX, SCRIPT, STYLE = "index.html", "app.js", "page.css"
STYLES = ("ui/base.css", "compare/compare.css", "jobs/jobs.css", "spend/spend.css")
VERSION = b"{version}"
"""The placeholder for that path in the page itself."""

CONTENT_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
"""The content type by file name extension; other files are not served."""

CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'; trusted-types 'none'"
)
"""No inline scripts, no other origins, no text as HTML: https://www.w3.org/TR/CSP3/."""

SECURITY_HEADERS = {
    "content-security-policy": CONTENT_SECURITY_POLICY,
    "cross-origin-opener-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
}
IMMUTABLE = "public, max-age=31536000, immutable"
REVALIDATE = "no-cache"


class Asset(Struct, frozen=True):
    """One file, plain and gzipped; `tag` is its ETag."""

    content_type: str
    plain: bytes
    compressed: bytes
    tag: str


class Page(Struct, frozen=True):
    """The files by name; `version` is the hash in the path of all but the page itself."""

    version: str
    assets: dict[str, Asset]


@cache
def load() -> Page:
    """Read the folder, once; its modules become one script, its style sheets one file."""
    scripts = sorted(FOLDER.rglob("*.js"))
    modules = {path.relative_to(FOLDER).as_posix(): path.read_text("utf-8") for path in scripts}
    texts = {path.name: path.read_bytes() for path in (FOLDER / INDEX, FOLDER / "icon.svg")}
    texts[SCRIPT] = bundle(modules, SCRIPT).encode()
    texts[STYLE] = b"".join((FOLDER / name).read_bytes() for name in STYLES)
    version = _digest(b"".join(name.encode() + text for name, text in texts.items()))
    texts[INDEX] = texts[INDEX].replace(VERSION, version.encode())
    return Page(version, {name: _asset(name, text) for name, text in texts.items()})


def _asset(name: str, text: bytes) -> Asset:
    compressed = gzip.compress(text, mtime=0)
    return Asset(CONTENT_TYPES[Path(name).suffix], text, compressed, f'"{_digest(text)}"')


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:16]


async def send_page(exchange: Exchange) -> None:
    """`GET /`: the page itself, which refers to the others; browsers revalidate it each time."""
    await _send(exchange, (await asyncio.to_thread(load)).assets[INDEX], REVALIDATE)


async def send_asset(exchange: Exchange) -> None:
    """`GET /page/VERSION/NAME`."""
    page = await asyncio.to_thread(load)
    version, _, name = exchange.tail.partition("/")
    asset = page.assets.get(name)
    if version != page.version or asset is None or name == INDEX:
        raise NotFound("the page has no such file; reload the page")
    await _send(exchange, asset, IMMUTABLE)


async def _send(exchange: Exchange, asset: Asset, caching: str) -> None:
    """Send the file, or 304 if the browser has it."""
    is_compressed = "gzip" in exchange.headers.get("accept-encoding", "")
    headers = {
        **exchange.response_headers,
        **SECURITY_HEADERS,
        "etag": asset.tag,
        "cache-control": caching,
    }
    others = exchange.response_headers.get("vary")
    headers["vary"] = "accept-encoding" + (f", {others}" if others else "")
    body = asset.compressed if is_compressed else asset.plain
    exchange.status = (
        304 if _matches_etag(exchange.headers.get("if-none-match", ""), asset.tag) else 200
    )
    if exchange.status == 304:  # noqa: PLR2004 -- RFC 9110, 15.4.5
        body = b""
    else:
        headers |= {"content-type": asset.content_type, "content-length": str(len(body))}
        headers |= {"content-encoding": "gzip"} if is_compressed else {}
    raw = raw_headers(headers)
    await exchange.send({"type": "http.response.start", "status": exchange.status, "headers": raw})
    await exchange.send({"type": "http.response.body", "body": body})


def _matches_etag(known: str, tag: str) -> bool:
    """Whether `if-none-match` contains the tag; a proxy may have made it a weak one (`W/`)."""
    return tag in {one.strip().removeprefix("W/") for one in known.split(",")}
