"""
Which lines may go by a native batch: by their model's deployment, their form, and their key's
rights. What may not is sent by another lane, which also reports what is wrong with it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence

from msgspec import Struct

from ...config.catalog import Catalog, ClientKey
from ...config.deployment import Deployment
from ...errors import FanoutError
from ...providers import registry
from ...providers.native_batch import NativeBatches, NativeLine
from ...schema.fanout import FanOutRequest, parse_request
from ...schema.request import ChatRequest
from ...schema.validation import with_defaults
from ..input.estimates import models_of, tier_of
from ..input.flex_lines import flex_model
from ..input.line_parser import Line

FULL_PRICE = 1.0

OF_BATCHES = frozenset({"batch_deployment", "batch_role"})
"""Options of deployments that only their vendor's batches have."""

NO_ROUTE = "its model has no cheaper batches"

REALTIME_ONLY = frozenset(
    {"additional_drop_params", "allowed_openai_params", "drop_params", "timeout", "request_timeout"}
)
"""Fields that only a call in real time obeys."""


class Route(Struct, frozen=True):
    """A deployment whose provider has cheaper batches of its model."""

    deployment: Deployment
    batches: NativeBatches


def account_of(deployment: Deployment) -> str:
    """
    What a ledger names a deployment by: a digest of its provider, address, model and key's name.

    It stays the same if the config has other models before it, or if the key is replaced.
    """
    secret = next(iter(deployment.keys), deployment.credentials)
    parts = (
        deployment.provider.name,
        deployment.base_url,
        deployment.target.model,
        "" if secret is None else secret.name,
    )
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:24]


class Routes:
    """The routes of a catalog's models, by their names; `at` finds one by its account."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        self._by_model: dict[str, Route | None] = {}
        self._by_account: dict[tuple[str, str], Route | None] = {}

    def of(self, model: str) -> Route | None:
        """The route of a model; `None` if no batch API has it at a lower price."""
        if model not in self._by_model:
            self._by_model[model] = self._find(model)
        return self._by_model[model]

    def at(self, model: str, account: str) -> Route | None:
        """The route of a ledger's row; `None` if no deployment of the config fits any more."""
        key = (model, account)
        if key not in self._by_account:
            self._by_account[key] = self._find_account(model, account)
        return self._by_account[key]

    def _find_account(self, model: str, account: str) -> Route | None:
        first = self.of(model)
        others = (*self._deployments(model), *self._catalog.deployments)
        routes = [first, *map(route_of, others)]
        found = (r for r in routes if r is not None and account_of(r.deployment) == account)
        # rows of an earlier version have the model's name and a position in the config
        return next(found, first if "#" in account else None)

    def _find(self, model: str) -> Route | None:
        if model in self._catalog.routes.sets:
            return None
        routes = map(route_of, self._deployments(model))
        return next((route for route in routes if route is not None), None)

    def _deployments(self, model: str) -> Sequence[Deployment]:
        try:
            return self._catalog.find(model)
        except FanoutError:
            return ()


def route_of(deployment: Deployment) -> Route | None:
    """
    The batches of a deployment.

    It has none at an address of its own, which is a proxy's or another server's, unless the config
    says so, or names what the vendor's batches need; nor with additions to its requests.
    """
    extra, choice = deployment.additions, deployment.native_batches
    options = deployment.target.options
    if (has_api := choice) is None:
        has_api = "api_base" not in options or not OF_BATCHES.isdisjoint(options)
    if not has_api or extra.body or extra.defaults:
        return None
    batches = registry.native_batches(deployment.provider.name, deployment.target)
    if batches is None or batches.price_factor >= FULL_PRICE:
        return None
    return Route(deployment, batches)


class Candidate(Struct, frozen=True):
    """A line that may go by a native batch of this route; `model` is the client's name of it."""

    route: Route
    model: str
    request: ChatRequest


class Eligibility(Struct, frozen=True):
    """What decides on a job's lines; `prepare` is the gateway's check of a request."""

    routes: Routes
    prepare: Callable[[FanOutRequest, ClientKey], FanOutRequest]
    client: ClientKey

    def check(self, line: Line, line_id: str) -> Candidate | str:
        """The line as a request to a route, or why it may not go by a native batch."""
        if (why := _form(line)) is not None:
            return why
        if self.routes.of(models_of(line)[0]) is None:
            return NO_ROUTE
        try:
            request = self.prepare(parse_request({**line.body, "stream": False}), self.client)
            if len(request.models) != 1 or len(request.conversations) != 1:
                return "the line has several calls"
            route = self.routes.of(request.models[0])
            if route is None:
                return NO_ROUTE
            chat = with_defaults(request.conversations[0], route.deployment.defaults)
        except FanoutError as error:
            return str(error)
        rejection = route.batches.rejection(NativeLine(line_id, chat))
        return Candidate(route, request.models[0], chat) if rejection is None else rejection


def _form(line: Line) -> str | None:
    """Why a line of this form is sent in real time."""
    if line.parse_error is not None:
        return line.parse_error
    if line.is_embedding or tier_of(line) is not None or flex_model(line, "auto") is None:
        return "the line has a service tier, several calls or checks, or is for embeddings"
    if line.body.get("store") is False:
        return "the line forbids the provider to store it"
    if found := REALTIME_ONLY & line.body.keys():
        return f"the line has `{min(found)}`"
    if any("audio" in message for message in line.body["messages"] if isinstance(message, dict)):
        return "the line has audio"
    return None
