"""
The page's files: read, joined, compressed and named by their contents when the first is asked for.

Everything but the page itself lies below a folder that is named by what is in it, so a browser may
keep it for ever, and a new version is a new folder. Knows nothing of what the page shows.
"""

from __future__ import annotations

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
STYLES = ("ui/base.css", "compare/compare.css", "jobs/jobs.css")
VERSION = b"{version}"
"""What stands for the folder's name in the page itself."""

KINDS = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
"""The kinds of files that are served."""

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'; trusted-types 'none'"
)
"""https://www.w3.org/TR/CSP3/ and https://www.w3.org/TR/trusted-types/: no text becomes HTML."""

SAFETY = {
    "content-security-policy": POLICY,
    "cross-origin-opener-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
}
FOR_EVER = "public, max-age=31536000, immutable"
ASK_AGAIN = "no-cache"


class Asset(Struct, frozen=True):
    """One file, plain and compressed; `tag` is its ETag."""

    kind: str
    plain: bytes
    packed: bytes
    tag: str


class Page(Struct, frozen=True):
    """The files by their names; `version` is the folder that all but the page itself are in."""

    version: str
    assets: dict[str, Asset]


@cache
def load() -> Page:
    """Read the folder, once: its modules become one script, its style sheets one."""
    scripts = sorted(FOLDER.rglob("*.js"))
    modules = {path.relative_to(FOLDER).as_posix(): path.read_text("utf-8") for path in scripts}
    texts = {path.name: path.read_bytes() for path in (FOLDER / INDEX, FOLDER / "icon.svg")}
    texts[SCRIPT] = bundle(modules, SCRIPT).encode()
    texts[STYLE] = b"".join((FOLDER / name).read_bytes() for name in STYLES)
    version = _digest(b"".join(name.encode() + text for name, text in texts.items()))
    texts[INDEX] = texts[INDEX].replace(VERSION, version.encode())
    return Page(version, {name: _asset(name, text) for name, text in texts.items()})


def _asset(name: str, text: bytes) -> Asset:
    packed = gzip.compress(text, mtime=0)
    return Asset(KINDS[Path(name).suffix], text, packed, f'"{_digest(text)}"')


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:16]


async def send_page(exchange: Exchange) -> None:
    """`GET /`: the page itself, which names the others; asked for anew at each visit."""
    await _send(exchange, load().assets[INDEX], ASK_AGAIN)


async def send_asset(exchange: Exchange) -> None:
    """`GET /page/VERSION/NAME`."""
    page = load()
    version, _, name = exchange.tail.partition("/")
    asset = page.assets.get(name)
    if version != page.version or asset is None or name == INDEX:
        raise NotFound("the page has no such file: load the page anew")
    await _send(exchange, asset, FOR_EVER)


async def _send(exchange: Exchange, asset: Asset, caching: str) -> None:
    """The file, or 304 to a browser that has it."""
    packs = "gzip" in exchange.headers.get("accept-encoding", "")
    headers = {**exchange.out, **SAFETY, "etag": asset.tag, "cache-control": caching}
    headers["vary"] = "accept-encoding"
    body = asset.packed if packs else asset.plain
    exchange.status = 304 if _has(exchange.headers.get("if-none-match", ""), asset.tag) else 200
    if exchange.status == 304:  # noqa: PLR2004 -- RFC 9110, 15.4.5
        body = b""
    else:
        headers |= {"content-type": asset.kind, "content-length": str(len(body))}
        headers |= {"content-encoding": "gzip"} if packs else {}
    raw = raw_headers(headers)
    await exchange.send({"type": "http.response.start", "status": exchange.status, "headers": raw})
    await exchange.send({"type": "http.response.body", "body": body})


def _has(known: str, tag: str) -> bool:
    """Whether `if-none-match` names the tag; a proxy may have made it a weak one."""
    return tag in {one.strip().removeprefix("W/") for one in known.split(",")}
