"""Resolves a config's names that are no deployments: fallbacks, aliases, sets and wildcards."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property, lru_cache
from typing import Any, Literal

from msgspec import Struct, field
from msgspec.structs import replace

from ..errors import KeyPath, Problem
from ..providers.registry import is_known
from ..secret import HiddenRepr
from .fields import dotted
from .model import Alias, ConfigFile, FallbackList, ModelParams, NameList

ANY = "*"


class ModelSet(Struct, frozen=True):
    """What a name for several models stands for: the models, and how they are run."""

    models: tuple[str, ...]
    mode: Literal["race", "hedge", "fallback", "all"]
    stagger: float | None = None


@lru_cache(maxsize=1024)
def _pattern_of(name: str) -> re.Pattern[str]:
    return re.compile("(.*)".join(re.escape(part) for part in name.split(ANY)), re.DOTALL)


def _rank_of(name: str) -> int:
    return -len(name.replace(ANY, ""))


class Wildcard(HiddenRepr, frozen=True, dict=True):
    """An entry of `model_list` whose `model_name` has a `*`; its model may have one, too."""

    name: str
    params: ModelParams
    defaults: Mapping[str, Any] = field(default_factory=dict)
    number: str = "0"

    @cached_property
    def _pattern(self) -> re.Pattern[str]:
        return _pattern_of(self.name)

    @property
    def rank(self) -> int:
        """The more letters a name has besides its `*`, the earlier it is tried."""
        return _rank_of(self.name)

    def model_of(self, name: str) -> str | None:
        """The provider's model for a name that matches; `None` if it does not."""
        if (found := self._pattern.fullmatch(name)) is None:
            return None
        model = self.params.model
        if model == ANY:
            return name
        for part in found.groups():
            model = model.replace(ANY, part, 1)
        return model


class Routes(Struct, frozen=True):
    """
    Where a name leads, besides to its own deployments. Every mapping is by the client's name.

    `default_fallbacks` are those of a model that has none of its own.
    """

    fallbacks: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    default_fallbacks: tuple[str, ...] = ()
    context_window: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    content_policy: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    aliases: Mapping[str, str] = field(default_factory=dict)
    sets: Mapping[str, ModelSet] = field(default_factory=dict)
    hidden: frozenset[str] = frozenset()
    wildcards: tuple[Wildcard, ...] = ()

    def fallbacks_of(self, name: str) -> tuple[str, ...]:
        """The models to call, in order, if this one fails."""
        own = self._of(self.fallbacks, name) if self.fallbacks else None
        found = self.default_fallbacks if own is None else own
        return self._without(name, found) if found else ()

    def special_fallbacks(self, name: str, code: str | None) -> tuple[str, ...]:
        """The models to call first if this one fails with an error of this code."""
        by_code = {"context_length_exceeded": self.context_window}
        by_code |= dict.fromkeys(CONTENT_CODES, self.content_policy)
        found = by_code.get(code or "")
        return self._without(name, self._of(found, name) or found.get(ANY, ())) if found else ()

    def may_respond(self, name: str, own: Iterable[str] = ()) -> list[str]:
        """The models that a request for this one may call; `own` are the request's fallbacks."""
        return self.with_special([name, *self.fallbacks_of(name), *own])

    def with_special(self, names: Iterable[str]) -> list[str]:
        """These models and those that are called after certain errors of them, each once."""
        listed = dict.fromkeys(names)
        special = [
            one
            for first in listed
            for code in ("context_length_exceeded", CONTENT_CODES[0])
            for one in self.special_fallbacks(first, code)
        ]
        return [*dict.fromkeys([*listed, *special])]

    def _without(self, name: str, names: tuple[str, ...]) -> tuple[str, ...]:
        """The names but a model's own, and those of its aliases: it has failed."""
        target = self.aliases.get(name, name)
        return tuple(one for one in names if self.aliases.get(one, one) != target)

    @property
    def has_special(self) -> bool:
        """Whether any error has fallbacks of its own."""
        return bool(self.context_window or self.content_policy)

    def matching(self, name: str) -> tuple[Wildcard, ...]:
        """The wildcards of the most specific pattern that a name matches."""
        found = [one for one in self.wildcards if one.model_of(name) is not None]
        return tuple(one for one in found if one.name == found[0].name)

    def _of(self, by_name: Mapping[str, tuple[str, ...]], name: str) -> tuple[str, ...] | None:
        """
        What a name has: by itself, by an alias, by a pattern, or without its provider's name.

        The last is LiteLLM's, for models of a wildcard: `gpt-4o` stands for `openai/gpt-4o`.
        """
        target = self.aliases.get(name, name)
        found = by_name.get(name, by_name.get(target))
        if found is not None:
            return found
        patterns = sorted((one for one in by_name if ANY in one and one != ANY), key=_rank_of)
        for pattern in patterns:
            if _pattern_of(pattern).fullmatch(target):
                return by_name[pattern]
        head, _, bare = target.partition("/")
        return by_name.get(bare) if is_known(head) else None


CONTENT_CODES = ("content_filter", "content_policy_violation")
"""The codes of a refused prompt: Fanout's and Azure's, and OpenAI's for images."""


class Names(Struct, frozen=True):
    """The names of a config, and the problems with those that do not exist."""

    known: frozenset[str]
    wildcards: Sequence[Wildcard]
    problems: list[Problem]

    def add(self, problem: Problem) -> None:
        """Add a problem; one with a part of the same value is its cause, and stands for it."""
        path, is_new = problem.path, True
        for index, one in enumerate(self.problems):
            if one.path[: len(path)] == path:
                self.problems[index] = replace(one, remove=path)
                is_new = False
        if is_new:
            self.problems.append(problem)

    def check(
        self,
        path: KeyPath,
        names: Iterable[str | None],
        *,
        each: bool = True,
        shown: KeyPath | None = None,
    ) -> None:
        """
        Report each of `names` that is no model name.

        `path` is that of their list, or the name's own if not `each`; messages name `shown`.
        """
        for index, name in enumerate(names):
            if name is None or (not self.known and not self.wildcards):
                continue  # without `model_list` any known provider's name works
            is_there = name in self.known or any(w.model_of(name) for w in self.wildcards)
            if is_there and ANY not in name:
                continue
            why = "is a pattern: name a model" if is_there else "is not in `model_list`"
            message = f"`{dotted(shown or path)}` names `{name}`, which {why}"
            self.problems.append(Problem((*path, index) if each else path, message))

    def check_source(self, path: KeyPath, name: str) -> None:
        """Report the name of a model that has fallbacks, if no model has it; see `Routes._of`."""
        if ANY in name:
            is_there = any(_pattern_of(name).fullmatch(one) for one in self.known)
            tried = [name]
        else:
            heads = {one.name.partition("/")[0] for one in self.wildcards if "/" in one.name}
            is_there = name in self.known
            tried = [name, *(f"{head}/{name}" for head in heads)]
        is_there = is_there or any(w.model_of(one) for one in tried for w in self.wildcards)
        if not is_there and (self.known or self.wildcards):
            message = f"`{dotted(path)}` names `{name}`, which is not in `model_list`"
            self.problems.append(Problem(path, message))


def resolve_routes(config: ConfigFile, names: Names) -> Routes:
    """The routes of a config; problems are added to those of `names`."""
    aliases, sets, hidden = _aliases(config, names)
    known = (
        frozenset(names.known | aliases.keys()) if names.known or names.wildcards else names.known
    )
    targets = Names(known, names.wildcards, names.problems)
    defaults: list[str] = []
    found: dict[str, dict[str, tuple[str, ...]]] = {}
    for kind in ("fallbacks", "context_window_fallbacks", "content_policy_fallbacks"):
        found[kind] = {}
        for path, name, listed in _fallbacks(config, kind):
            if name != ANY:
                targets.check_source(path, name)
            targets.check((*path, name), listed, shown=path)
            found[kind][name] = (*found[kind].get(name, ()), *present(listed))
    defaults += found["fallbacks"].pop(ANY, ())
    for section in _sections(config, "default_fallbacks"):
        listed = getattr(config, section).default_fallbacks
        targets.check((section, "default_fallbacks"), listed)
        defaults += present(listed)
    return Routes(
        found["fallbacks"],
        tuple(dict.fromkeys(defaults)),
        found["context_window_fallbacks"],
        found["content_policy_fallbacks"],
        aliases,
        sets,
        hidden,
        tuple(sorted(names.wildcards, key=lambda one: one.rank)),
    )


def _sections(config: ConfigFile, kind: str) -> Iterator[str]:
    """The section that counts: `router_settings`, or else `litellm_settings`."""
    for section in ("router_settings", "litellm_settings"):
        if any(getattr(getattr(config, section), kind)):  # more than nulls
            yield section
            return


def present(names: Iterable[str | None]) -> list[str]:
    """The names that are not null."""
    return [name for name in names if name is not None]


def _fallbacks(config: ConfigFile, kind: str) -> Iterator[tuple[KeyPath, str, NameList]]:
    for section in _sections(config, kind):
        entries: FallbackList = getattr(getattr(config, section), kind)
        for index, entry in enumerate(entries):
            for name, listed in (entry or {}).items():
                if listed is not None:
                    yield (section, kind, index), name, listed


def _aliases(
    config: ConfigFile, names: Names
) -> tuple[dict[str, str], dict[str, ModelSet], frozenset[str]]:
    aliases: dict[str, str] = {}
    sets: dict[str, ModelSet] = {}
    hidden: set[str] = set()
    for section in _sections(config, "model_group_alias"):
        given: dict[str, str | Alias] = getattr(config, section).model_group_alias
        for name, value in given.items():
            path = (section, "model_group_alias", name)
            alias = Alias(model=value) if isinstance(value, str) else value
            if problem := _wrong_alias(path, name, alias, names):
                names.add(problem)
            elif alias.models is not None:
                names.check((*path, "models"), alias.models)
                stagger = 0.5 if alias.mode == "hedge" and alias.stagger is None else alias.stagger
                sets[name] = ModelSet(tuple(present(alias.models)), alias.mode, stagger)
            elif alias.model is not None:
                names.check(path, [alias.model], each=False)
                aliases[name] = alias.model
            hidden |= {name} if alias.hidden else set()
    return aliases, sets, frozenset(hidden)


def _wrong_alias(path: KeyPath, name: str, alias: Alias, names: Names) -> Problem | None:
    if (alias.model is None) == (not present(alias.models or ())):
        return Problem(path, f"`{dotted(path)}` needs either `model` or `models`")
    if name in names.known:
        return Problem(path, f"`{dotted(path)}` is also a `model_name` in `model_list`")
    if "*" in name:
        return Problem(
            path,
            f"`{dotted(path)}`: an alias is one name; write an entry of `model_list` with "
            f"`model_name: {name}` instead",
        )
    if "," in name or name != name.strip() or not name:
        return Problem(
            path,
            f"`{dotted(path)}`: a model name cannot contain a comma, nor start or end with a space",
        )
    if alias.stagger is not None and alias.mode not in {"race", "hedge"}:
        return Problem(path, f"`{dotted(path)}.stagger` works only in a race or hedge")
    return None
