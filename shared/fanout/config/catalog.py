"""
What a config means: its deployments by model name, its clients' keys, and its settings.

Pure; `resolve.py` makes it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any

from msgspec import Struct, field
from msgspec.structs import replace

from ..errors import ConfigError, UnknownModel
from ..providers import registry
from ..secret import HiddenRepr, Secret
from .deployment import Balancing, Deployment, make_deployment
from .model import MASTER, GeneralSettings, ModelParams
from .routes import ANY, Routes, Wildcard

MAX_LISTED = 10
"""Model names that the error for an unknown one lists."""

DEFAULT_TIMEOUT = 600.0
"""Seconds for a whole request: the OpenAI SDK's default."""


class ClientKey(Struct, frozen=True):
    """
    A client's key, and its rights.

    `models` are the model names (or `openai/*`) it may use, `None` for all. `fields` are the fields
    of vendors that it may send although they may choose a model. A virtual key has an `account`
    (a `keys.clients.KeyAccount`), which pays for its requests, and its rights may change at any
    time: `current` is the client with those of now.
    """

    name: str
    secret: Secret | None
    models: frozenset[str] | None = None
    fields: frozenset[str] = frozenset()
    account: Any = None
    current: Callable[[], Awaitable[ClientKey]] | None = None

    def may_use(self, name: str) -> bool:
        """Whether this key may use the model `name`."""
        return self.models is None or is_allowed(self.models, name)

    @property
    def is_limited(self) -> bool:
        """Whether there are models that this key may not use."""
        return self.models is not None and ANY not in self.models


class Catalog(HiddenRepr, frozen=True):
    """The models and settings of a gateway. If `is_open`, `provider/model` is a model name too."""

    groups: Mapping[str, tuple[Deployment, ...]]
    env: Mapping[str, str] = field(default_factory=dict)
    is_open: bool = False
    routes: Routes = field(default_factory=Routes)
    client_keys: tuple[ClientKey, ...] = ()
    timeout: float = DEFAULT_TIMEOUT
    balancing: Balancing = Balancing()
    general: GeneralSettings = field(default_factory=GeneralSettings)

    def __repr__(self) -> str:
        return f"Catalog(groups={list(self.groups)})"  # the environment contains keys

    @property
    def fallbacks(self) -> Mapping[str, tuple[str, ...]]:
        """The config's own fallbacks of each model name."""
        return self.routes.fallbacks

    @property
    def has_virtual_keys(self) -> bool:
        """Whether clients may have virtual keys, which the master key manages."""
        return self.general.virtual_keys and self.general.master_key is not None

    @property
    def secret_names(self) -> list[str]:
        """The names of keys without a text, which must be looked up."""
        clients = [client.secret for client in self.client_keys if client.secret]
        named = {key.name for key in clients if not key.is_known}
        return sorted(named | set(self.provider_secret_names))

    @property
    def provider_secret_names(self) -> list[str]:
        """Those of them that are sent to providers."""
        deployments = self.deployments
        keys = [key for deployment in deployments for key in deployment.own_keys]
        keys += [d.credentials for d in deployments if d.credentials]
        return sorted({key.name for key in keys if not key.is_known})

    @property
    def deployments(self) -> list[Deployment]:
        """Every deployment, and one for each wildcard of one provider; its model has the `*`."""
        found = [deployment for group in self.groups.values() for deployment in group]
        samples = [sample(wildcard, self.env) for wildcard in self.routes.wildcards]
        return [*found, *(sample for sample in samples if sample is not None)]

    def client(self, name: str) -> ClientKey:
        """
        The client of this name, with the rights that its key has now; none if there is no such key.

        Without any keys, everyone has all rights. So has a job that AWS's own rights started.
        """
        for key in self.client_keys:
            if key.name == name:
                return key
        has_all = not self.client_keys or name == MASTER
        return ClientKey(name, None, None if has_all else frozenset())

    def has(self, name: str) -> bool:
        """Whether the config has this name."""
        known = name in self.groups or name in self.routes.aliases or name in self.routes.sets
        return known or bool(self.routes.matching(name))

    @property
    def listed(self) -> list[str]:
        """The names that are listed: of models, of aliases and of several models."""
        names = [*self.groups, *self.routes.aliases, *self.routes.sets]
        return [name for name in names if name not in self.routes.hidden]

    def group_name(self, name: str) -> str:
        """The name of the group that an alias stands for; any other name itself."""
        return self.routes.aliases.get(name, name)

    def check_name(self, name: str) -> None:
        """Raise `UnknownModel` if there is no such name."""
        if name not in self.routes.sets:
            self.find(name)

    def find(self, name: str) -> tuple[Deployment, ...]:
        """The deployments of a model name; raises `UnknownModel` if there are none."""
        if group := self.groups.get(self.group_name(name)):
            return group
        if models := self.routes.sets.get(name):
            listed = ", ".join(f"`{model}`" for model in models.models)
            raise UnknownModel(f"`{name}` stands for several models: {listed}; name one", "model")
        if (found := self.routes.matching(self.group_name(name))) and not has_dots(name):
            return self._matching(self.group_name(name), found)
        if self.is_open and registry.split_model(name):
            return (make_deployment(name, ModelParams(model=name), {}, self.env),)
        if near := self._near(name):
            raise UnknownModel(f"there is no model `{name[:128]}`; did you mean `{near}`?", "model")
        raise UnknownModel(
            f"there is no model `{name[:128]}`; {self._what_there_is(name)}", "model"
        )

    def _what_there_is(self, name: str) -> str:
        """The first model names, for the error of one that is unknown."""
        names = sorted({*self.groups, *(one.name for one in self.routes.wildcards)})
        if not names:
            example = "write `provider/model`, such as `openai/gpt-4o`"
            return example if self.is_open else "there is none"
        listed = ", ".join(f"`{known}`" for known in names[:MAX_LISTED])
        more = f" and {len(names) - MAX_LISTED} more" if len(names) > MAX_LISTED else ""
        is_prefixed = "/" in name and registry.split_model(name)
        form = "a name of the config, not `provider/model`: " if is_prefixed else ""
        return f"write {form}{listed}{more}" if form else f"there are {listed}{more}"

    def _near(self, name: str) -> str | None:
        """The model whose name is most like this one."""
        from difflib import get_close_matches

        near = get_close_matches(name[:128], [*self.groups, *self.routes.sets], 1)
        return near[0] if near else None

    def _matching(self, name: str, found: tuple[Wildcard, ...]) -> tuple[Deployment, ...]:
        try:
            return tuple(
                make_deployment(
                    name,
                    replace(one.params, model=one.model_of(name) or name),
                    one.defaults,
                    self.env,
                    one.number,
                )
                for one in found
            )
        except ConfigError as error:
            raise UnknownModel(f"there is no model `{name[:128]}`: {error}", "model") from None


def has_dots(name: str) -> bool:
    """Whether a part of a name is `.` or `..`: in an address, it would lead to another model."""
    return not {".", ".."}.isdisjoint(name.split("/"))


def is_allowed(allowed: Iterable[str], name: str) -> bool:
    """Whether a name is one of those allowed, which may have a `*`."""
    if name in allowed:
        return True
    stars = (ModelParams(model=one) for one in allowed if "*" in one)
    return any(Wildcard(one.model, one).model_of(name) is not None for one in stars)


def _is_fixed(wildcard: Wildcard) -> bool:
    """Whether every model of a wildcard has the same provider."""
    return wildcard.params.model != "*"


def sample(wildcard: Wildcard, env: Mapping[str, str]) -> Deployment | None:
    """A deployment of the wildcard, for its keys; raises `ConfigError` if there can be none."""
    model = wildcard.params.model
    if "*" in model and "*" not in wildcard.name:
        raise ConfigError(f"`{model}` needs a `model_name` with a `*`, such as `{model}`")
    if not _is_fixed(wildcard):
        return None
    return make_deployment(wildcard.name, wildcard.params, wildcard.defaults, env, wildcard.number)
