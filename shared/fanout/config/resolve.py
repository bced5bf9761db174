"""
Resolves a config: model names to deployments, keys to secrets.

Pure: a config (or its text) and an environment in, a `Catalog` out.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from msgspec import Struct, field
from msgspec.structs import replace

from ..errors import ConfigError, ConfigProblems, KeyPath, Problem, UnknownModel
from ..providers import registry
from ..secret import HiddenRepr, Secret
from .deployment import (
    DEFAULT_ALLOWED_FAILS,
    DEFAULT_COOLDOWN,
    Balancing,
    Deployment,
    by_kind,
    make_deployment,
    secret,
)
from .document import Document, parse
from .entries import Entry, per_organization, read_entries
from .load import Checked, check_text, is_within, located
from .model import (
    MASTER,
    OF_SOME_PROVIDERS,
    ConfigFile,
    GeneralSettings,
    LatencyArgs,
    ModelParams,
)
from .routes import ANY, Names, Routes, Wildcard, resolve_routes

DEFAULT_TIMEOUT = 600.0
"""Seconds for a whole request: the OpenAI SDK's default."""


ELSEWHERE: Mapping[str, str] = {
    "AWS_REGION": "us-east-1",
    "AZURE_API_VERSION": "",
    "VERTEXAI_LOCATION": "global",
    "VERTEXAI_PROJECT": "project",
}
"""An environment that has what a config may leave to it."""


KEYS = ("general_settings", "keys")

STAND_INS: tuple[list[str], ...] = ([], ["name"], ["key"])
"""The parts of an entry of `keys` without which it has a made-up name and key."""


class ClientKey(Struct, frozen=True):
    """
    A client's key, and its rights.

    `models` are the model names (or `openai/*`) it may use, `None` for all. `fields` are the fields
    of vendors that it may send although they may choose a model.
    """

    name: str
    secret: Secret | None
    models: frozenset[str] | None = None
    fields: frozenset[str] = frozenset()

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
        samples = [_sample(wildcard, self.env) for wildcard in self.routes.wildcards]
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
        known = ", ".join(f"`{known}`" for known in sorted(self.groups)[:10])
        none = (
            "write `provider/model`, such as `openai/gpt-4o`" if self.is_open else "there is none"
        )
        have = f"there are {known}" if known else none
        raise UnknownModel(f"there is no model `{name[:128]}`; {have}", "model")

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


def resolve(config: ConfigFile, env: Mapping[str, str]) -> Catalog:
    """The catalog of a config; raises `ConfigProblems` that say what cannot be resolved."""
    catalog, problems = resolve_all(Checked(config), env)
    if problems:
        raise ConfigProblems("", problems)
    return catalog


def inspect_config(
    text: str, env: Mapping[str, str], name: str
) -> tuple[Catalog, Document, list[Problem]]:
    """The catalog of what is right in a text, the parsed text, and what is wrong."""
    document, checked = check_text(text, env, name)
    catalog, problems = resolve_all(checked, env)
    if problems and document.root is None:
        document = parse(text, name)  # JSON, whose parser keeps no lines
    return catalog, document, located(document, tuple(problems), checked.places)


def resolve_all(checked: Checked, env: Mapping[str, str]) -> tuple[Catalog, list[Problem]]:
    """The catalog of a config, without what cannot be resolved, and the problems with that."""
    config, problems = checked.config, [*checked.problems]
    groups: dict[str, tuple[Deployment, ...]] = {}
    wildcards: list[Wildcard] = []
    for given in read_entries(config, checked.positions, problems):
        for entry in per_organization(_without_foreign(given, problems)):
            is_whole = entry.index not in checked.incomplete
            given_env = env if is_whole else _elsewhere(env)
            try:
                found = _resolve_entry(entry, given_env)
            except ConfigError:
                from .entry_problems import entry_problems

                problems += entry_problems(entry, _resolve_entry, given_env, _elsewhere(env))
                break
            if not is_whole:
                continue
            if isinstance(found, Wildcard):
                wildcards.append(found)
            else:
                groups[entry.name] = (*groups.get(entry.name, ()), found)
    listed = frozenset({*groups, *checked.names, *(e.model_name for e in config.model_list)} - {""})
    plain = frozenset(name for name in listed if "*" not in name)
    names = Names(plain, wildcards, problems)
    routes = resolve_routes(config, names)
    clients = _client_keys(config.general_settings, names, routes, env)
    router, service = config.router_settings, config.litellm_settings
    catalog = Catalog(
        groups=groups,
        env=env,
        is_open=not listed and not checked.has_list,
        routes=routes,
        client_keys=tuple(clients),
        timeout=router.timeout or service.request_timeout or DEFAULT_TIMEOUT,
        balancing=_balancing(config, names),
        general=config.general_settings,
    )
    known, later = problems[: len(checked.problems)], problems[len(checked.problems) :]
    return catalog, [*known, *(one for one in later if not is_within(one.path, known))]


def _balancing(config: ConfigFile, names: Names) -> Balancing:
    """The settings of load balancing; problems are added to those of `names`."""
    router, service = config.router_settings, config.litellm_settings
    args = router.routing_strategy_args
    if args is not None and router.routing_strategy != "latency-based-routing":
        message = "`router_settings.routing_strategy_args` needs `latency-based-routing`"
        names.problems.append(Problem(("router_settings", "routing_strategy_args"), message))
    by_group = router.model_group_retry_policy or {}
    for name in by_group:
        names.check(("router_settings", "model_group_retry_policy", name), [name], each=False)
    fails = (router.allowed_fails, service.allowed_fails, DEFAULT_ALLOWED_FAILS)
    cooldowns = (router.cooldown_time, service.cooldown_time, DEFAULT_COOLDOWN)
    return Balancing(
        strategy=router.routing_strategy,
        latency=args or LatencyArgs(),
        allowed_fails=next(value for value in fails if value is not None),
        cooldown_time=next(value for value in cooldowns if value is not None),
        cools_down=not router.disable_cooldowns,
        fails=by_kind(router.allowed_fails_policy),
        retries=by_kind(router.retry_policy),
        group_retries={name: by_kind(counts) for name, counts in by_group.items()},
        retry_after=router.retry_after or 0.0,
    )


def _resolve_entry(entry: Entry, env: Mapping[str, str]) -> Deployment | Wildcard:
    """The deployment or wildcard of an entry; raises `ConfigError`."""
    if "*" in entry.name or "*" in entry.params.model:
        wildcard = Wildcard(entry.name, entry.params, entry.defaults, entry.number)
        _sample(wildcard, env)
        return wildcard
    return make_deployment(entry.name, entry.params, entry.defaults, env, entry.number)


def _elsewhere(env: Mapping[str, str]) -> Mapping[str, str]:
    """An environment with a region, a project and the addresses of all providers."""
    bases = {f"{name.upper()}_API_BASE": "https://example.com" for name in registry.names()}
    return {**env, **bases, **ELSEWHERE}


def _without_foreign(entry: Entry, problems: list[Problem]) -> Entry:
    """The entry without settings that its provider does not read, with a problem for each."""
    if not any(getattr(entry.params, name) for name in OF_SOME_PROVIDERS):
        return entry
    from .foreign_settings import without_foreign

    return without_foreign(entry, problems)


def _is_fixed(wildcard: Wildcard) -> bool:
    """Whether every model of a wildcard has the same provider."""
    return wildcard.params.model != "*"


def _sample(wildcard: Wildcard, env: Mapping[str, str]) -> Deployment | None:
    """A deployment of the wildcard, for its keys; raises `ConfigError` if there can be none."""
    model = wildcard.params.model
    if "*" in model and "*" not in wildcard.name:
        raise ConfigError(f"`{model}` needs a `model_name` with a `*`, such as `{model}`")
    if not _is_fixed(wildcard):
        return None
    return make_deployment(wildcard.name, wildcard.params, wildcard.defaults, env, wildcard.number)


def _stand_ins(problems: Iterable[Problem]) -> set[object]:
    """The indexes of the entries of `keys` that have no right name and key of their own."""
    parts: Iterable[KeyPath] = (one.path[2:] for one in problems if one.path[:2] == KEYS)
    return {index for index, *rest in (part for part in parts if part) if rest in STAND_INS}


def _client_keys(
    general: GeneralSettings, names: Names, routes: Routes, env: Mapping[str, str]
) -> Iterator[ClientKey]:
    more = names.known | routes.aliases.keys() | routes.sets.keys()
    known = Names(frozenset(more) if names.known else more, names.wildcards, names.problems)
    if general.master_key:
        yield ClientKey(MASTER, secret(general.master_key, env))
    if general.keys:
        from .key_problems import key_problems

        names.problems.extend(key_problems(general, env, _stand_ins(names.problems)))
    for index, key in enumerate(general.keys):
        path: KeyPath = (*KEYS, index)
        for number, name in enumerate(key.models or ()):
            if "*" not in name:
                known.check((*path, "models", number), [name], each=False, shown=path)
        models = None if key.models is None else frozenset(key.models)
        yield ClientKey(key.name, secret(key.key, env), models, frozenset(key.fields))
