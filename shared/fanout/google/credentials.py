"""
Access tokens of Google Cloud, by Google's own library google-auth, an extra.

The credentials may be a service account's key, a user's (`gcloud auth application-default login`),
those of another cloud (workload identity federation), or the machine's own on Google Cloud. The
library is imported with the first request that needs a token.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import UTC
from functools import lru_cache
from threading import Lock
from typing import Any, TypeAlias

from msgspec import MsgspecError, Struct, field

from ..errors import MissingKey, drop_tracebacks
from ..secret import HiddenRepr, Secret
from ..settings import install_command
from ..transport.engine import ConnectFailed
from ..wire import json
from .http import Sender

AHEAD = 225.0
"""
Seconds before its expiry at which a token is replaced: google-auth's own `REFRESH_THRESHOLD`. The
metadata server has no newer token earlier.
"""

PAUSE = 10.0
"""Seconds between two attempts to replace a token that is still valid."""

FRESH = 30.0
"""
Seconds for which a token that replaced a rejected one is kept, even if it is rejected, too. So an
account that has lost its permission does not ask for a token with each request.
"""

NO_CREDENTIALS = (
    "no Google credentials: set `vertex_credentials` in litellm_params or "
    "`GOOGLE_APPLICATION_CREDENTIALS` in the environment (the path of a JSON file, or its JSON), "
    "or run `gcloud auth application-default login`"
)


class Token(HiddenRepr, frozen=True):
    """The headers of requests, and when they expire, in seconds since 1970."""

    headers: Mapping[str, str]
    expires_at: float
    made_at: float


Made: TypeAlias = Token | MissingKey | ConnectFailed


class _Entry(Struct):
    """
    The token of one text of credentials; `refresh` runs in a thread, for all requests.

    Requests of several event loops may each start one. The `lock` lets one thread fetch a token.
    """

    credentials: Any = None
    token: Token | None = None
    refresh: Future[Made] | None = None
    paused_until: float = 0.0
    kept_until: float = 0.0
    lock: Lock = field(default_factory=Lock)

    def valid_headers(self, now: float) -> Mapping[str, str] | None:
        """The headers of the token; `None` if it has expired, or the clock went back."""
        token = self.token
        return token.headers if token and token.made_at <= now < token.expires_at else None

    def is_replaced(self, now: float) -> bool:
        """Whether there is another token than a rejected one, or soon will be."""
        is_running = self.refresh is not None and not self.refresh.done()
        was_discarded = self.kept_until - FRESH <= now < self.kept_until
        return self.token is not None or is_running or was_discarded

    def is_due(self, now: float) -> bool:
        """Whether a token that is still valid should be replaced now."""
        is_old = self.token is not None and now >= self.token.expires_at - AHEAD
        return is_old and not self.paused_until - PAUSE <= now < self.paused_until


class GoogleTokens:
    """
    A `TokenSource`: the headers with a token, which is fetched in a thread.

    Requests share a token. Shortly before it expires, the first request starts a refresh, and all
    use the old token until that has ended. If a refresh fails, the old token serves until it
    expires.
    """

    def __init__(self, now: Callable[[], float] = time.time) -> None:
        self._now = now
        self._entries: dict[tuple[Secret, str], _Entry] = {}
        self._threads = ThreadPoolExecutor(max_workers=4, thread_name_prefix="google-token")

    async def headers(self, credentials: str | None, name: str, scope: str) -> Mapping[str, str]:
        """
        The headers that authenticate a request.

        `credentials` are the path of a JSON file or its JSON, `None` for Google's default ones;
        errors call them `name`. Raises `MissingKey` if there are none or Google rejects them, and
        `ConnectFailed` if Google cannot be reached.
        """
        entry = self._entries.setdefault((Secret(name, credentials), scope), _Entry())
        now = self._now()
        valid = entry.valid_headers(now)
        if valid is not None and not entry.is_due(now):
            return valid
        refresh = entry.refresh
        if refresh is None or refresh.done():
            refresh = self._threads.submit(self._refresh, entry, credentials, name, scope)
            entry.refresh = refresh
        if valid is not None:
            return valid
        made = await asyncio.shield(asyncio.wrap_future(refresh))
        if isinstance(made, Token):
            return made.headers
        raise made

    def discard(self, headers: Mapping[str, str]) -> bool:
        """
        Forget a token that Google rejected, so that the next request gets another.

        A token that has just replaced a rejected one is kept for `FRESH` seconds. Returns whether
        the next request gets another token: also while another request's call replaces it.
        """
        for entry in self._entries.values():
            if (token := entry.token) is not None and token.headers == headers:
                now = self._now()
                if entry.kept_until - FRESH <= now < entry.kept_until:
                    return False
                entry.token, entry.kept_until = None, now + FRESH
                return True
        return any(entry.is_replaced(self._now()) for entry in self._entries.values())

    def _refresh(self, entry: _Entry, credentials: str | None, name: str, scope: str) -> Made:
        """Fetch a token, in a thread; an error is the result."""
        with entry.lock:
            token, now = entry.token, self._now()
            if token is not None and entry.valid_headers(now) and not entry.is_due(now):
                return token  # another thread has fetched it meanwhile
            made: Made
            try:
                entry.token = made = self._fetch(entry, credentials, name, scope)
            except (MissingKey, ConnectFailed) as error:
                entry.credentials = None  # the file may be another one by the next attempt
                made = drop_tracebacks(error)  # its frames hold this function
            entry.paused_until = self._now() + PAUSE
            return made

    def _fetch(self, entry: _Entry, credentials: str | None, name: str, scope: str) -> Token:
        try:
            from google.auth import exceptions
        except ImportError:
            message = f"Google's library is not installed: {install_command('vertex')}"
            raise MissingKey(message) from None
        sender = Sender()
        try:
            if entry.credentials is None:
                entry.credentials = _load(credentials, name, scope, sender)
            entry.credentials.refresh(sender)
            headers: dict[str, str] = {}
            entry.credentials.apply(headers)
        except exceptions.DefaultCredentialsError:
            raise MissingKey(_wrong(name) if credentials else NO_CREDENTIALS) from None
        except exceptions.TransportError as error:
            raise sender.failed(error) from None
        except exceptions.GoogleAuthError as error:
            if sender.waits:
                raise sender.failed(error) from None
            if error.retryable:
                raise sender.failed(error, "it is not available") from None
            whose = f"credentials of `{name}`" if credentials else "default credentials"
            raise MissingKey(f"Google rejected the {whose}{_reason(error)}") from None
        expiry = entry.credentials.expiry
        now = self._now()
        expires_at = expiry.replace(tzinfo=UTC).timestamp() if expiry else now + 3600
        return Token(headers, expires_at, now)


@lru_cache
def process_tokens() -> GoogleTokens:
    """The tokens of this process: each of the Python functions' calls has its own transport."""
    return GoogleTokens()


def _load(given: str | None, name: str, scope: str, sender: Sender) -> Any:
    """The credentials of a path or a JSON text, or Google's default ones."""
    if given is None:
        import google.auth

        request: Any = sender
        credentials, _ = google.auth.default(scopes=[scope], request=request)
        return credentials
    info = _read_info(given, name)
    try:
        found = _from_info(info, [scope])
    except (ValueError, TypeError, KeyError, AttributeError):  # a field is missing or wrong
        found = None
    if found is None:
        raise MissingKey(_wrong(name))
    return found


def _from_info(info: dict[str, Any], scopes: list[str]) -> Any:
    """
    The credentials in a JSON file of Google's, by its `type`; `None` for an unknown one.

    A user's have the scopes that the user has agreed to.
    """
    match info.get("type"):
        case "service_account":
            from google.oauth2.service_account import Credentials

            return Credentials.from_service_account_info(info, scopes=scopes)
        case "authorized_user":
            from google.oauth2.credentials import Credentials as User

            return User.from_authorized_user_info(info)
        case "impersonated_service_account":
            from google.auth.impersonated_credentials import Credentials as Impersonated

            return Impersonated.from_impersonated_service_account_info(info, scopes=scopes)
        case "external_account_authorized_user":
            from google.auth.external_account_authorized_user import Credentials as Workforce

            return Workforce.from_info(info)
        case "external_account":
            return _federated(info, scopes)
        case _:
            return None


def _federated(info: dict[str, Any], scopes: list[str]) -> Any:
    """The credentials of workload identity federation, by where the proof comes from."""
    from google.auth import aws, identity_pool, pluggable

    source = info.get("credential_source") or {}
    if str(source.get("environment_id", "")).startswith("aws"):
        return aws.Credentials.from_info(info, scopes=scopes)
    if "executable" in source:
        return pluggable.Credentials.from_info(info, scopes=scopes)
    return identity_pool.Credentials.from_info(info, scopes=scopes)


def _read_info(given: str, name: str) -> dict[str, Any]:
    text = given
    if not given.lstrip().startswith("{"):
        try:
            with open(given, encoding="utf-8") as file:  # noqa: PTH123 -- pathlib is not loaded
                text = file.read()
        except (OSError, UnicodeDecodeError, ValueError):
            raise MissingKey(
                f"`{name}` names a file that cannot be read; write the path of the JSON file with "
                "Google's credentials, or its JSON"
            ) from None
    try:
        return json.decode(text, type=dict[str, Any])
    except (MsgspecError, RecursionError):
        raise MissingKey(_wrong(name)) from None


def _wrong(name: str) -> str:
    return (
        f"`{name}` is not a JSON file with Google's credentials; create a key of a service account "
        "(IAM & Admin, Service Accounts, Keys), and use that file"
    )


def _reason(error: Exception) -> str:
    """Google's short name of the error, such as `invalid_grant`. Its text may have more."""
    body = error.args[1] if len(error.args) > 1 else None
    code = body.get("error") if isinstance(body, dict) else None
    return f" ({code[:40]})" if isinstance(code, str) and code.isidentifier() else ""
