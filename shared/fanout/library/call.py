"""
One call of the Python functions: its models and options, checked once for all its conversations.

Does not depend on threads.
"""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from typing import Any, Literal

from msgspec.structs import replace

from ..config.catalog import Catalog
from ..config.routes import Routes
from ..errors import (
    AllFailed,
    Cause,
    ConfigError,
    FanoutError,
    ProviderError,
    RequestError,
    SchemaMismatch,
)
from ..gateway.factory import make_transport
from ..gateway.gateway import Gateway
from ..gateway.run import Context
from ..routing.router import Router
from ..schema.fanout import FanOutRequest, parse_request, with_messages
from ..settings import Settings
from ..telemetry.observers import NullObserver
from .deployments import ADDRESS, of_deployments, of_judge, of_models
from .engines import client_of, engine_of
from .inputs import plain, plain_options
from .option_checks import check_names, check_timeout, longer_models, stream_of
from .streams import ChunkStream
from .structured_output import is_parsed, parsed, parsed_class
from .types import ChatCompletion

NOT_SENT = frozenset({"fanout", "stream", "timeout", "request_timeout", "num_retries", "fallbacks"})
"""Options that do not change what the models are asked."""

CHECK = ("check", "attempts", "escalate")
"""Options that are fields of `fanout`: how responses are checked."""


class Call:
    """One function call's models and options, for any number of conversations."""

    def __init__(
        self,
        models: Sequence[str],
        options: Mapping[str, Any],
        deployments: Sequence[Mapping[str, Any]] | None = None,
        *,
        mode: str = "one",
        stagger: float | Literal["p95"] | None = None,
        decision: Mapping[str, Any] | None = None,
    ) -> None:
        check_names(options)
        given = dict(options)
        self._parse_as = parsed_class(given)
        check_timeout(given)
        given = plain_options(given)
        client = client_of(given)
        if "base_url" in given:  # LiteLLM's other name for it
            given.setdefault("api_base", given.pop("base_url"))
        address = {name: given.pop(name) for name in ADDRESS if name in given}
        longer = longer_models(given)
        checked = {name: given.pop(name) for name in CHECK if name in given}
        self._is_checked, self._api_base = bool(checked), address.get("api_base")
        self.stream = stream_of(given)
        if mode == "one" and given.get("fastest_response") is True:
            given.pop("fastest_response")  # of one model, as for LiteLLM
        self._models, self._mode, self._context = models, mode, new_context()
        self._checked: FanOutRequest | None = None  # only messages differ in further requests
        env = (settings := Settings.read()).env
        names = list(models) if deployments is None else [f"{m}#{i}" for i, m in enumerate(models)]
        self._labels = dict(zip(names, models, strict=True))
        if deployments is None:
            groups = of_models(models, given, address, env)
            if others := [*longer.values(), *_names(checked.get("escalate"))]:
                groups |= of_models(models, {"fallbacks": others}, address, env)
        else:
            if longer or "escalate" in checked:
                name = "context_window_fallback_dict" if longer else "escalate"
                raise RequestError(f"`{name}` cannot be used with `deployments`", name)
            given.pop("model_list", None)  # LiteLLM requires it here and does not read it
            groups = of_deployments(self._labels, deployments, given, address, env)
        groups = of_judge(decision or {}, models, address, env) | groups
        pace = {"mode": mode} if stagger is None else {"stagger": stagger}
        self._body = {
            **given,
            "fanout": {"models": names, **pace, **(decision or {}), **checked},
            "stream": self.stream,
        }
        if not self.stream:
            self._body.pop("stream_options", None)
        routes = Routes(context_window={name: (other,) for name, other in longer.items()})
        catalog = Catalog(groups=groups, env=env, routes=routes)
        transport = make_transport(settings, engine_of(client))
        router = Router(catalog, transport, observer=NullObserver())
        self._gateway = _with_times(Gateway(catalog, router), stagger)

    async def response(
        self, messages: object, store: Callable[[dict[str, Any]], object] | None = None
    ) -> ChatCompletion:
        """One conversation's response; `store` gets its JSON values if it is valid."""
        request = self._request(messages)
        try:
            response = await self._gateway.chat(request, self._context)
        except FanoutError as error:
            raise self._labeled_error(error) from error.__cause__
        body = self._labeled(response.body)
        completion = self.from_json(body)
        if store is not None:
            store(body)
        return completion

    async def open_stream(self, messages: object) -> ChunkStream:
        """One conversation's stream, once its first content has arrived."""
        return await self.lazy_stream(messages).open()

    def from_json(self, body: Mapping[str, Any]) -> ChatCompletion:
        """A response as the public type; raises `SchemaMismatch` (see `parsed`)."""
        completion = ChatCompletion.from_json(body)
        return completion if self._parse_as is None else parsed(completion, self._parse_as)

    def identity(self, messages: object) -> dict[str, Any]:
        """What distinguishes a request in a checkpoint: the models, options and messages."""
        sent = {name: value for name, value in self._body.items() if name not in NOT_SENT}
        if self._is_checked:
            sent["check"] = True
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
                opening = self._gateway.stream(request, self._context)
                response = await stack.enter_async_context(opening)
            except FanoutError as error:
                raise self._labeled_error(error) from error.__cause__
            yield self._labeled_chunks(response.chunks)

    def _request(self, messages: object) -> FanOutRequest:
        if type(messages) is not list and not _is_sequence(messages):
            raise RequestError(
                '`messages` must be a list of messages such as `{"role": "user", "content": "Hi"}`',
                "messages",
            )
        sent = plain(messages)
        try:
            if self._checked is not None and not any(isinstance(m, list) for m in sent):
                return with_messages(self._checked, sent)
            request = parse_request({**self._body, "messages": sent})
        except UnicodeEncodeError:
            raise _not_utf8() from None
        except RequestError as error:
            raise _own_name(error) from None
        if self._parse_as is not None and request.agree is not None:
            agree = replace(request.agree, accepts=partial(is_parsed, kind=self._parse_as))
            request = replace(request, agree=agree)
        if not request.nested:
            self._checked = request
        return request

    # ---- the caller's names ----

    def _labeled(self, body: Any) -> dict[str, Any]:
        """A response or chunk with the models' names as the caller wrote them."""
        name = body["model"]  # several if the models do not agree
        labels = [self._labels.get(one, one) for one in name.split(", ")]
        named = {**body, "model": self._labels.get(name, ", ".join(labels))}
        if "fanout" in named and (attempts := named["fanout"].get("attempts")):
            models = [
                {**one, "model": self._labels.get(one["model"], one["model"])} for one in attempts
            ]
            named["fanout"] = {**named["fanout"], "attempts": models}
            if (agree := named["fanout"].get("agree")) is not None:
                named["fanout"]["agree"] = {**agree, "votes": self._labeled_votes(agree["votes"])}
            if (judge := named["fanout"].get("judge")) is not None:
                scores = [
                    {**one, "model": self._labels.get(one["model"], one["model"])}
                    for one in judge["scores"]
                ]
                tie = [self._labels.get(name, name) for name in judge["tie"]]
                named["fanout"]["judge"] = {**judge, "scores": scores, "tie": tie}
        return named

    def _labeled_votes(self, votes: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        return [
            {**vote, "models": [self._labels.get(name, name) for name in vote["models"]]}
            for vote in votes
        ]

    async def _labeled_chunks(self, chunks: AsyncIterator[Any]) -> AsyncIterator[Any]:
        async for chunk in chunks:
            yield self._labeled(chunk)

    def _labeled_error(self, error: FanoutError) -> FanoutError:
        """The error with the caller's names; a race without a winner is an `AllFailed`."""
        if isinstance(error.__cause__, UnicodeEncodeError):
            return _not_utf8()
        if isinstance(error, SchemaMismatch) and isinstance(error.completion, dict):
            error.completion = ChatCompletion.from_json(self._labeled(error.completion))
        if isinstance(error, AllFailed):
            causes = [Cause(self._labels.get(c.model, c.model), c.error) for c in error.failures]
            return AllFailed(causes, error.what)
        if self._mode == "race" and isinstance(error, ProviderError | ConfigError):
            return AllFailed([Cause(self._models[0], error)])
        return error


def _with_times(gateway: Gateway, stagger: object) -> Gateway:
    """The gateway, with the times of this process if the request waits by them."""
    if stagger == "p95":
        from .hedge_times import times_of_process  # few calls need them

        gateway.use_times(times_of_process())
    return gateway


def _names(given: object) -> list[str]:
    """The names of a list; anything else is an error that the request's check reports."""
    return [one for one in given if isinstance(one, str)] if isinstance(given, list) else []


def _is_sequence(value: object) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str | bytes)


def _own_name(error: RequestError) -> RequestError:
    """The error with a field of `fanout` under its name as an argument, such as `stagger`."""
    if error.param is None or not error.param.startswith("fanout."):
        return error
    message = str(error).replace("`fanout.", "`")
    return RequestError(message, error.param.removeprefix("fanout."), error.detail.code)


def _not_utf8() -> RequestError:
    return RequestError(
        "the request has an unpaired surrogate, which UTF-8 cannot encode; remove it, for example "
        'with `text.encode("utf-8", "replace").decode()`',
        "messages",
    )


def new_context() -> Context:
    """What the gateway needs to know of a call: a new id."""
    return Context(f"req_{random.getrandbits(64):016x}")
