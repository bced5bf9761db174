"""
Resolves a config: model names to deployments, keys to secrets.

Pure: a config (or its text) and an environment in, a `Catalog` out.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from msgspec.structs import replace

from ..errors import ConfigError, ConfigProblems, KeyPath, Problem
from ..providers import registry
from .catalog import DEFAULT_TIMEOUT, Catalog, ClientKey, sample
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
)
from .routes import Names, Routes, Wildcard, present, resolve_routes

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
    if args not in {None, LatencyArgs()} and router.routing_strategy != "latency-based-routing":
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
        hedge_budget=router.hedge_budget,
    )


def _resolve_entry(entry: Entry, env: Mapping[str, str]) -> Deployment | Wildcard:
    """The deployment or wildcard of an entry; raises `ConfigError`."""
    if "*" in entry.name or "*" in entry.params.model:
        wildcard = Wildcard(entry.name, entry.params, entry.defaults, entry.number)
        sample(wildcard, env)
        return wildcard
    made = make_deployment(entry.name, entry.params, entry.defaults, env, entry.number)
    if not entry.mode:
        return made
    options = {**made.target.options, "mode": entry.mode}
    return replace(made, target=replace(made.target, options=options))


def _elsewhere(env: Mapping[str, str]) -> Mapping[str, str]:
    """An environment with a region, a project and the addresses of all providers."""
    bases = {f"{name.upper()}_API_BASE": "https://example.com" for name in registry.names()}
    return {**env, **bases, **ELSEWHERE}


def _without_foreign(entry: Entry, problems: list[Problem]) -> Entry:
    """The entry without settings that its provider does not read, with a problem for each."""
    if not any(getattr(entry.params, name) is not None for name in OF_SOME_PROVIDERS):
        return entry
    from .foreign_settings import without_foreign

    return without_foreign(entry, problems)


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
            if name is not None and "*" not in name:
                known.check((*path, "models", number), [name], each=False, shown=path)
        models = None if key.models is None else frozenset(present(key.models))
        yield ClientKey(key.name, secret(key.key, env), models, frozenset(key.fields))
