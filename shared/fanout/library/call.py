"""
One call of the Python functions: its models and options, checked once for all its conversations.

Knows nothing of threads.
"""

from __future__ import annotations

import asyncio
import os
import random
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any
from weakref import WeakKeyDictionary

from pydantic import BaseModel

from ..config.model import ModelParams
from ..config.resolve import Catalog, Deployment, make_deployment
from ..config.unknown_keys import DEFAULTABLE
from ..errors import AllFailed, Cause, ConfigError, FanoutError, ProviderError, RequestError
from ..gateway.factory import make_transport
from ..gateway.gateway import Context, Gateway
from ..providers import registry
from ..routing.router import Router
from ..schema.fanout import FanOutRequest, another, parse_request
from ..schema.validation import convert
from ..settings import Settings
from ..telemetry.observers import NullObserver
from ..transport.client_engine import ClientEngine, is_client
from ..transport.engine import Engine
from .inputs import plain, plain_options
from .options import check_names
from .streams import ChunkStream
from .structured_output import parsed, schema_format
from .types import ChatCompletion

NOT_SENT = frozenset({"fanout", "stream", "timeout", "request_timeout", "num_retries", "fallbacks"})
"""Options that do not change what the models are asked."""

ADDRESS = ("api_base", "api_key", "api_version", "drop_params", "region", "aws_region_name")

_engines: WeakKeyDictionary[asyncio.AbstractEventLoop, Engine] = WeakKeyDictionary()
_processes: set[int] = set()


class Call:
    """One function call's models and options, for any number of conversations."""

    def __init__(
        self,
        models: Sequence[str],
        options: Mapping[str, Any],
        deployments: Sequence[Mapping[str, Any]] | None = None,
        *,
        mode: str = "one",
        stagger: float | None = None,
    ) -> None:
        check_names(options)
        given = dict(options)
        self._parse_as = _parsed_class(given)
        given = plain_options(given)
        client = given.pop("http_client", None)
        if client is not None and not is_client(client):
            raise RequestError("`http_client` must be a client of httpx or httpx2", "http_client")
        if "base_url" in given:  # LiteLLM's other name for it
            given.setdefault("api_base", given.pop("base_url"))
        address = {name: given.pop(name) for name in ADDRESS if name in given}
        self._api_base = address.get("api_base")
        self.stream = bool(given.pop("stream", False))
        self._models, self._mode = models, mode
        self._checked: FanOutRequest | None = None
        # Deployments of one model get the suffix `#INDEX`, which responses and errors do not show.
        names = list(models) if deployments is None else [f"{m}#{i}" for i, m in enumerate(models)]
        self._labels = dict(zip(names, models, strict=True))
        if deployments is None:
            wanted = {
                name: {**_known(name, models, address), "model": name} for name in _spares(given)
            }
            wanted |= {name: {**address, "model": name} for name in models}
        else:
            given.pop("model_list", None)  # LiteLLM requires it here and does not read it
            address |= _shared(given, deployments)
            wanted = {name: {**address, **to} for name, to in zip(names, deployments, strict=True)}
        env = (settings := Settings.read()).env
        groups = {
            name: (_deployment(self._labels.get(name, name), to, env),)
            for name, to in wanted.items()
        }
        pace = {"mode": mode} if stagger is None else {"stagger": stagger}
        self._body = {**given, "fanout": {"models": names, **pace}, "stream": self.stream}
        if not self.stream:
            self._body.pop("stream_options", None)
        catalog = Catalog(groups=groups, env=env)
        engine = _engine() if client is None else ClientEngine(client)
        router = Router(catalog, make_transport(settings, engine), observer=NullObserver())
        self._gateway = Gateway(catalog, router)

    async def response(self, messages: object) -> ChatCompletion:
        """One conversation's response."""
        return self.from_json(await self.json_response(messages))

    async def open_stream(self, messages: object) -> ChunkStream:
        """One conversation's stream, once its first content has arrived."""
        return await self.lazy_stream(messages).open()

    async def json_response(self, messages: object) -> dict[str, Any]:
        """One conversation's response, as JSON values."""
        request = self._request(messages)
        try:
            answer = await self._gateway.answer(request, _context())
        except FanoutError as error:
            raise self._labelled_error(error) from error.__cause__
        return self._labelled(answer.body)

    def from_json(self, body: Mapping[str, Any]) -> ChatCompletion:
        """A response as the public type; raises `SchemaMismatch` (see `parsed`)."""
        completion = ChatCompletion.from_json(body)
        return completion if self._parse_as is None else parsed(completion, self._parse_as)

    def identity(self, messages: object) -> dict[str, Any]:
        """What tells a request from others in a checkpoint: the models, options and messages."""
        sent = {name: value for name, value in self._body.items() if name not in NOT_SENT}
        return {
            **sent,
            "models": list(self._models),
            "api_base": self._api_base,
            "messages": plain(messages),
        }

    def lazy_stream(self, messages: object) -> ChunkStream:
        """One conversation's stream, which sends its request when it is first read."""
        return ChunkStream(lambda: self._opened(messages))

    @asynccontextmanager
    async def _opened(self, messages: object) -> AsyncIterator[AsyncIterator[Any]]:
        request = self._request(messages)
        async with AsyncExitStack() as stack:
            try:
                opening = self._gateway.stream(request, _context())
                answer = await stack.enter_async_context(opening)
            except FanoutError as error:
                raise self._labelled_error(error) from error.__cause__
            yield self._labelled_chunks(answer.chunks)

    def _request(self, messages: object) -> FanOutRequest:
        if not isinstance(messages, Sequence) or isinstance(messages, str | bytes):
            raise RequestError(
                '`messages` must be a list of messages such as `{"role": "user", "content": "Hi"}`',
                "messages",
            )
        sent = plain(messages)
        if self._checked is not None and not any(isinstance(m, list) for m in sent):
            return another(self._checked, sent)
        try:
            request = parse_request({**self._body, "messages": sent})
        except UnicodeEncodeError:
            raise _not_utf8() from None
        if not request.nested:
            self._checked = request
        return request

    # ---- the caller's names ----

    def _labelled(self, body: Any) -> dict[str, Any]:
        """The answer, or chunk, under the caller's own names."""
        said = {**body, "model": self._labels.get(body["model"], body["model"])}
        if attempts := said.get("fanout", {}).get("attempts"):
            named = [{**one, "model": self._labels.get(one["model"], "")} for one in attempts]
            said["fanout"] = {**said["fanout"], "attempts": named}
        return said

    async def _labelled_chunks(self, chunks: AsyncIterator[Any]) -> AsyncIterator[Any]:
        async for chunk in chunks:
            yield self._labelled(chunk)

    def _labelled_error(self, error: FanoutError) -> FanoutError:
        """The error under the caller's names; a race that no model wins is an `AllFailed`."""
        if isinstance(error.__cause__, UnicodeEncodeError):
            return _not_utf8()
        if isinstance(error, AllFailed):
            causes = [Cause(self._labels.get(c.model, c.model), c.error) for c in error.failures]
            return AllFailed(causes)
        if self._mode == "race" and isinstance(error, ProviderError | ConfigError):
            return AllFailed([Cause(self._models[0], error)])
        return error


def _parsed_class(options: dict[str, Any]) -> type[BaseModel] | None:
    """The pydantic class given as `response_format`, which its schema replaces in `options`."""
    kind = options.get("response_format")
    if not isinstance(kind, type):
        return None
    options["response_format"] = schema_format(kind)
    return kind


def _not_utf8() -> RequestError:
    return RequestError(
        "the request has an unpaired surrogate, which UTF-8 cannot encode; remove it, for example "
        'with `text.encode("utf-8", "replace").decode()`',
        "messages",
    )


def _context() -> Context:
    return Context(f"req_{random.getrandbits(64):016x}")


def _engine() -> Engine:
    """The running loop's engine: its connections are shared by all calls on that loop."""
    _processes.add(os.getpid())
    if len(_processes) > 1:
        raise RuntimeError(
            "this process was forked after its parent had made a call, and the HTTP engine does "
            "not survive that: start processes by `spawn`, or fork before the first call"
        )
    loop = asyncio.get_running_loop()
    if (engine := _engines.get(loop)) is None:
        for old in [each for each in _engines if each.is_closed()]:
            del _engines[old]
        from ..transport.connection_pool import PyqwestEngine

        engine = _engines[loop] = PyqwestEngine()
    return engine


def _deployment(name: str, given: Mapping[str, Any], env: Mapping[str, str]) -> Deployment:
    ours = frozenset(ModelParams.__struct_fields__)
    if unknown := [key for key in given if key not in ours and key not in DEFAULTABLE]:
        raise RequestError(f"`deployments`: `{unknown[0]}` is unknown", unknown[0])
    params = convert({k: v for k, v in given.items() if k in ours and v is not None}, ModelParams)
    defaults = {key: value for key, value in given.items() if key not in ours}
    try:
        return make_deployment(name, params, defaults, env)
    except ConfigError as error:
        raise RequestError(str(error), "model") from None


def _shared(given: dict[str, Any], deployments: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """
    The options that some deployment has of its own, taken out of `given`.

    Sent as every other's default, the deployment's own rules over it.
    """
    own = {key for to in deployments for key in to if key in DEFAULTABLE}
    return {key: given.pop(key) for key in own if key in given}


def _known(name: str, models: Sequence[str], address: Mapping[str, Any]) -> dict[str, Any]:
    """What of `address` goes to a fallback: an address and its key stay with their own vendor."""
    vendors = {_vendor(model) for model in models}
    if _vendor(name) in vendors:
        return dict(address)
    return {option: value for option, value in address.items() if option == "drop_params"}


def _vendor(model: str) -> str:
    return (registry.split_model(model) or ("", ""))[0]


def _spares(given: Mapping[str, Any]) -> Iterator[str]:
    """The names in `fallbacks`: LiteLLM's `["b"]` or `[{"a": ["b"]}]`."""
    fallbacks = given.get("fallbacks")
    for entry in fallbacks if isinstance(fallbacks, list) else ():
        if isinstance(entry, str):
            yield entry
        elif isinstance(entry, Mapping):
            for names in entry.values():
                given_names = names if isinstance(names, list) else []
                yield from (name for name in given_names if isinstance(name, str))
