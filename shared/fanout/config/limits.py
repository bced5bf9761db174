"""
Finds the parts of a config that limit who may do what, for `fanout check --fix`.

A limit that cannot be kept is never left out alone: what it limits is left out with it. A gateway
that needed a key still needs one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from typing import Any

from msgspec.structs import replace

from ..errors import KeyPath, Move, Problem
from .document import Document
from .load import MASTER_KEY_VARIABLE
from .unknown_keys import HOLDERS

KEYS: KeyPath = ("general_settings", "keys")
MASTER_KEY: KeyPath = ("general_settings", "master_key")

ENTRY = ("model_list", 0)

EMPTIED: frozenset[KeyPath] = frozenset({("model_list",), ("general_settings", "allowed_hosts")})
"""
What is emptied and not left out: without a `model_list`, every model of every provider can be
called, and without `allowed_hosts`, the gateway has any name.
"""

GRANTS = frozenset({"fields"})
"""The keys of an entry of `keys` without which it has fewer rights; all others may limit it."""

ACCESS = frozenset(
    {
        "admin_only_routes",
        "allowed_ips",
        "allowed_routes",
        "custom_auth",
        "custom_auth_settings",
        "enable_jwt_auth",
        "enable_oauth2_auth",
        "enable_oauth2_proxy_auth",
        "enforce_rbac",
        "enforce_user_param",
        "enforced_params",
        "litellm_jwtauth",
        "role_permissions",
    }
)
"""LiteLLM's settings that limit who may call its gateway, or with what."""

CAPS = frozenset({
    "budget_duration", "budget_limit", "default_api_key_rpm_limit", "default_api_key_tpm_limit",
    "default_max_internal_user_budget", "internal_user_budget_duration", "itpm",
    "key_generation_settings", "max_budget", "max_end_user_budget", "max_end_user_budget_id",
    "max_internal_user_budget", "max_ui_session_budget", "max_user_budget", "model_max_budget",
    "model_rpm_limit", "model_tpm_limit", "otpm", "provider_budget_config", "rpd", "rpm_limit",
    "tag_budget_config", "team_member_budget", "tpd", "tpm_limit", "upperbound_key_generate_params",
})  # fmt: skip
"""LiteLLM's settings that limit what its clients spend or send; they need no key."""

OWN_CAPS = frozenset(
    {
        "default_max_parallel_requests",
        "global_max_parallel_requests",
        "hedge_budget",
        "max_body_memory_mb",
        "max_parallel_requests",
        "max_request_size_mb",
        "max_requests",
        "max_response_size_mb",
        "max_storage_mb",
        "rpm",
        "tpm",
    }
)
"""The same of Fanout's, of which a wrong value is left out."""

OF_NEW_KEYS = frozenset({"allowed_routes", "max_parallel_requests", "models"})
"""What else limits the keys, teams and users that are made with LiteLLM's `default_…_params`."""

BUDGET = "_budget"
"""How the name of a limit ends, also one that neither has."""

SIMILAR = 0.8
"""How alike a key and `master_key` must be to be the same, misspelled (difflib's ratio)."""

LAST_KEY = Problem(
    MASTER_KEY,
    "NO KEY IS LEFT of those in the file, and a gateway without any key needs none: set "
    f"`{MASTER_KEY_VARIABLE}`",
    moves=(Move(MASTER_KEY, text=f"os.environ/{MASTER_KEY_VARIABLE}"),),
    keeps=True,
)
"""Requires a key of a gateway that lost the last one."""


LAST_MODEL = Problem(
    ("model_list",),
    "the list of models cannot be read here: without a `model_list`, every model of every provider "
    "could be called",
    moves=(Move(("model_list",), text="[]"),),
    keeps=True,
)
"""Keeps a config without models from serving those that it does not list."""


def is_limit(path: KeyPath) -> bool:
    """Whether a path is a part of a client's key without which the key might have more rights."""
    return path[:2] == KEYS and len(path) == len(KEYS) + 2 and path[-1] not in GRANTS


def loss(document: Document, problem: Problem, removed: KeyPath) -> str:
    """What is left out, in words, if it is a client's key or a limit of all; else `""`."""
    path = problem.path
    if len(removed) == len(KEYS) + 1 and removed[:2] == KEYS:
        return f"the key of the client {_client(document, removed)}"
    if path[:2] == KEYS and len(removed) <= len(KEYS):
        is_one = len(path) > len(KEYS)
        return f"the key of the client {_client(document, path[:3])}" if is_one else "all keys"
    if path[-1] in ACCESS and len(path) <= len(MASTER_KEY):
        return "a limit of all clients"
    if limited := _limited(document, path, removed):
        return limited
    shown = {"model_list": "the last model", "allowed_hosts": "all hosts but this machine"}
    return shown[str(removed[-1])] if removed in EMPTIED else problem.loss


def _limited(document: Document, path: KeyPath, removed: KeyPath) -> str:
    """Whose limit is a part of what is left out, or is that itself, in words; `""` if none is."""
    place = document.place_of(path)
    of_model = path[0] == ENTRY[0]
    if (
        place is None
        or removed != path[: len(removed)]
        or (of_model and len(removed) <= len(ENTRY))
    ):
        return ""
    name, names = str(path[-1]), CAPS | OWN_CAPS
    is_limit = (name in names or name.endswith(BUDGET)) and _is_given(place.value)
    names = names | OF_NEW_KEYS if name.startswith("default_") else names
    if not (is_limit or _holds(place.value, names, given=True)):
        return ""
    return (
        f"a limit of the model {_model(document, path)}" if of_model else "a limit of all clients"
    )


def _client(document: Document, path: KeyPath) -> str:
    """The name of a client, or the place of its key."""
    place = document.place_of((*path, "name"))
    if place is None or place.value.id != "scalar" or not str(place.value.value).isprintable():
        return f"at index {path[-1]}"
    return f"`{place.value.value}`"


def asks_for_keys(document: Document) -> bool:
    """Whether a key is given or meant in a text, or may be in a file that it includes."""
    for name, value in _settings(document.root):
        short = name.lower().replace("-", "_")
        is_null = value.id == "scalar" and value.tag.endswith(":null")
        is_none = is_null or (value.id == "sequence" and not value.value)
        is_unread = short == KEYS[0] and value.id != "mapping"
        is_key = short.endswith("litellm_master_key") or get_close_matches(
            short, ["master_key"], 1, SIMILAR
        )
        if (is_key or is_unread or short == KEYS[1]) and not is_none:
            return True
        if short in ACCESS and _is_given(value):
            return True
    return _includes(document)


def lists_models(document: Document) -> bool:
    """
    Whether a text has entries of a `model_list`, maybe under another name or in a section.

    A file that it includes may have some.
    """
    lists = [
        value.value
        for name, value in _settings(document.root)
        if value.id == "sequence" and not name.startswith(HOLDERS)
    ]
    named = {name for items in lists for one in items for name, _ in _entries(one)}
    return not named.isdisjoint({"model_name", "litellm_params"}) or _includes(document)


def _includes(document: Document) -> bool:
    """Whether parts of the config are elsewhere: in files that a text names, or in a database."""
    return any(
        name.lower() in {"include", "store_model_in_db"} and _is_given(value)
        for name, value in _settings(document.root)
    )


def _settings(root: Any) -> Iterator[tuple[str, Any]]:
    """The keys of the top level and of its sections, also those that are given twice."""
    for name, value in _entries(root):
        yield name, value
        yield from _entries(value)


def _entries(node: Any) -> Iterator[tuple[str, Any]]:
    if node is not None and node.id == "mapping":
        yield from ((str(key.value), value) for key, value in node.value)


def _is_given(node: Any) -> bool:
    """Whether a value is neither null nor false nor empty, nor has only such values."""
    if node.id == "sequence":
        return any(_is_given(one) for one in node.value)
    if node.id == "mapping":
        return any(_is_given(one) for _, one in node.value)
    if node.id == "scalar" and node.tag.endswith((":null", ":bool")):
        return node.value.lower() in {"true", "yes", "on"}
    return bool(node.value)


def has_keys(config: object) -> bool:
    """Whether the clients of a config need a key."""
    general = config.get("general_settings") if isinstance(config, Mapping) else None
    return isinstance(general, Mapping) and bool(general.get("master_key") or general.get("keys"))


def of_model(document: Document, problem: Problem, names: frozenset[str]) -> Problem:
    """
    The problem; if it removes a limit of a model, it removes the model's whole entry.

    `names` are the keys that limit who may use a model, wherever they are in the entry.
    """
    place = document.place_of(problem.path) if len(problem.path) > len(ENTRY) else None
    is_removed = problem.remove is None and not (problem.replace or problem.form or problem.keeps)
    if place is None or not is_removed or problem.path[0] != ENTRY[0]:
        return problem
    if not _holds(place.value, names):
        return problem
    return _without_entry(document, problem)


def doubled(document: Document, problem: Problem, first: Any, names: frozenset[str]) -> Problem:
    """
    The problem of a key that is given twice, with what to remove instead of its first value.

    `first` is the node of that value, and `names` are the keys that limit who may use a model.
    """
    path = problem.path
    if path[:2] == KEYS and len(path) > len(KEYS) + 1:
        whole = replace(problem, remove=path[: len(KEYS) + 1])
        is_there = document.place_of(path[: len(KEYS) + 1]) is not None
        return (
            replace(whole, loss=loss(document, whole, whole.remove or ())) if is_there else problem
        )
    is_limit_of_model = path[-1] in names or _holds(first, names)
    if path[0] != ENTRY[0] or len(path) <= len(ENTRY) or not is_limit_of_model:
        return problem
    return _without_entry(document, problem) if document.place_of(path[:2]) else problem


def _without_entry(document: Document, problem: Problem) -> Problem:
    shown = _model(document, problem.path)
    return replace(problem, remove=problem.path[: len(ENTRY)], loss=f"the model {shown}")


def _model(document: Document, path: KeyPath) -> str:
    """The name of a model, or the place of its entry."""
    entry = path[: len(ENTRY)]
    name = document.place_of((*entry, "model_name"))
    is_text = name is not None and name.value.id == "scalar"
    return f"`{name.value.value}`" if name is not None and is_text else f"at index {entry[-1]}"


def _holds(node: Any, names: frozenset[str], *, given: bool = False) -> bool:
    """Whether one of the names is a key anywhere in a value, with a value if `given`."""
    todo, seen = [node], set()
    while todo:
        one = todo.pop()
        if id(one) in seen or one.id == "scalar":
            continue
        seen.add(id(one))
        if one.id == "sequence":
            todo += one.value
            continue
        if any(
            str(key.value) in names and (not given or _is_given(value)) for key, value in one.value
        ):
            return True
        todo += [value for _, value in one.value]
    return False
