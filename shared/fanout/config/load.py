"""Reads a config file and checks its keys and types. What its names mean is resolved later."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from msgspec import Struct, field
from msgspec.structs import replace

from ..errors import ConfigError, ConfigProblems, KeyPath, Move, Problem
from ..secret import is_like_address
from ..wire import json
from .document import Document, parse
from .fields import Fields, convert_fields, dotted
from .model import ConfigFile, GeneralSettings, ModelEntry, RouterSettings, ServiceSettings
from .unknown_keys import unknown_keys

MASTER_KEY_VARIABLE = "FANOUT_MASTER_KEY"
"""The variable that `fanout check --fix` writes for a key that the file lacks."""

REFERENCE = re.compile(r"^os\.environ/([A-Za-z_][A-Za-z0-9_]*)$")


# Keys stay references until a call needs them: on AWS they are in Secrets Manager.
SECRET_KEYS = frozenset(
    {
        "api_key",
        "master_key",
        "key",
        "aws_access_key_id",
        "aws_secret_access_key",
        "aws_session_token",
        "vertex_credentials",
    }
)

NO_PATHS = frozenset({"yes", "no", "on", "off", "y", "n", "none", "null"})
"""Texts of `ssl_verify` that are no path: in quotes, YAML does not read them as true or false."""

_SECTIONS: dict[str, type[Struct]] = {
    "router_settings": RouterSettings,
    "litellm_settings": ServiceSettings,
    "general_settings": GeneralSettings,
}


class Checked(Struct, frozen=True):
    """
    A config without its wrong parts, and the problems found so far.

    `positions` are the indexes in `model_list` of the entries that are left, `names` the model
    names of all entries. `incomplete` are the indexes of those that need a variable that is not
    set: they are checked, and are no deployments. `places` are the paths in the file of keys with
    another name or place, by the paths that are meant, which everything else here has. `has_list`
    is whether there is a `model_list`, without which any provider's model can be called.
    """

    config: ConfigFile
    problems: tuple[Problem, ...] = ()
    positions: tuple[int, ...] = ()
    names: frozenset[str] = frozenset()
    incomplete: frozenset[int] = frozenset()
    places: Mapping[KeyPath, KeyPath] = field(default_factory=dict)
    has_list: bool = False


def load_file(path: Path, env: Mapping[str, str]) -> ConfigFile:
    """Read and check the YAML file at `path`; raises `ConfigProblems` with every wrong key."""
    return load_text(read_file(path), env, path.name)


def read_file(path: Path | str, *, stored: bool = False) -> str:
    """The text of the config file, or as it is `stored`; raises `ConfigError` if it has none."""
    encoding, newline = ("utf-8", "") if stored else ("utf-8-sig", None)
    try:
        with Path(path).open(encoding=encoding, newline=newline) as file:
            return file.read()
    except OSError as error:
        if is_like_address(str(path)):  # it may have a password
            raise ConfigError("the config must be a file, not an address") from None
        if isinstance(error, FileNotFoundError):
            raise ConfigError(f"there is no config file at `{path}`") from None
        why = error.strerror or error
        raise ConfigError(f"the config file `{path}` cannot be read: {why}") from None
    except UnicodeDecodeError as error:
        raise ConfigError(f"the config file `{path}` cannot be read: {error}") from None


def load_text(text: str, env: Mapping[str, str], name: str = "config") -> ConfigFile:
    """Check a config in YAML or JSON; errors call it `name`."""
    document, checked = check_text(text, env, name)
    raise_problems(document, checked.problems, checked.places)
    return checked.config


def check_text(text: str, env: Mapping[str, str], name: str) -> tuple[Document, Checked]:
    """Parse and check a text; the problems are in the result, with their lines."""
    document = _parsed(text, name)
    checked = check_values(document.value, env, name)
    if checked.problems and document.root is None:
        document = parse(text, name)  # JSON, whose parser keeps no lines
    return document, replace(checked, problems=(*document.problems(), *checked.problems))


def _parsed(text: str, name: str) -> Document:
    if text.startswith("{"):
        try:
            return Document(name, text, json.decode_strict(text.encode()))
        except json.BadJSON:
            pass  # YAML's own flow style: `{model_list: []}`
    return parse(text, name)


NONE: Mapping[KeyPath, KeyPath] = {}


def raise_problems(
    document: Document, problems: tuple[Problem, ...], places: Mapping[KeyPath, KeyPath] = NONE
) -> None:
    """Raise `ConfigProblems` with the line of each, if there are any."""
    if problems:
        raise ConfigProblems(document.name, located(document, problems, places))


def located(
    document: Document, problems: tuple[Problem, ...], places: Mapping[KeyPath, KeyPath] = NONE
) -> list[Problem]:
    """The problems with their lines, in the order of the file."""
    if places:
        from .corrected_keys import in_file

        problems = tuple(in_file(problem, places) for problem in problems)
    placed = [
        problem if problem.line else replace(problem, line=document.line_of(problem.path))
        for problem in problems
    ]
    return sorted(placed, key=lambda problem: problem.line or 0)


def check(value: object, env: Mapping[str, str], name: str = "config") -> ConfigFile:
    """Check a parsed config and replace `os.environ/NAME`, except in keys."""
    checked = check_values(value, env, name)
    if checked.problems:
        raise ConfigProblems(name, checked.problems)
    return checked.config


def check_values(value: object, env: Mapping[str, str], name: str = "config") -> Checked:
    """The same, with all problems in the result."""
    value = {} if value is None else value
    if not isinstance(value, Mapping):
        raise ConfigError(f"`{name}`: the top level must be a mapping, such as `model_list:`")
    problems = list(unknown_keys(value))
    places: Mapping[KeyPath, KeyPath] = {}
    if problems:
        from .corrected_keys import with_corrected_keys

        value, places, problems = with_corrected_keys(value, problems)
    unset: list[Problem] = []
    given = _substitute({k: v for k, v in value.items() if v is not None}, env, (), unset)
    unset = [one for one in unset if not is_within(one.path, problems)]
    skip = {problem.path for problem in (*problems, *unset)}
    fields = Fields(skip, problems)
    sections = {
        section: convert_fields(given[section], kind, (section,), fields)
        for section, kind in _SECTIONS.items()
        if section in given
    }
    problems += _certificate_problems(sections.get("general_settings", {}))
    problems += _unknown_zone(sections.get("general_settings", {}))
    problems += _blank_key(sections.get("general_settings", {}))
    entries = dict(_entries(given.get("model_list"), fields))
    config = ConfigFile(
        model_list=list(entries.values()),
        router_settings=RouterSettings(**sections.get("router_settings", {})),
        litellm_settings=ServiceSettings(**sections.get("litellm_settings", {})),
        general_settings=GeneralSettings(**sections.get("general_settings", {})),
    )
    listed = frozenset(_names(given.get("model_list")))
    incomplete = frozenset(
        one.path[1] for one in unset if one.path[0] == "model_list" and isinstance(one.path[1], int)
    )
    found = (*problems, *unset)
    has_list = given.get("model_list") is not None
    return Checked(config, found, tuple(entries), listed, incomplete, places, has_list)


def is_within(path: KeyPath, problems: Iterable[Problem]) -> bool:
    """Whether a path is in a part that is reported already."""
    return any(path[: len(problem.path)] == problem.path for problem in problems)


def _certificate_problems(general: Mapping[str, Any]) -> Iterator[Problem]:
    """Settings of certificates that are neither truth nor path, or that the client ignores."""
    verify = general.get("ssl_verify", True)
    if isinstance(verify, str) and verify.lower() in NO_PATHS:
        message = (
            f"`general_settings.ssl_verify` must be true, false, or the path of the certificates "
            f"to trust, not the text `{verify}`"
        )
        yield Problem(("general_settings", "ssl_verify"), message)
    if general.get("http_client", "default") != "default":
        return
    if str(verify).lower() not in {"true", *NO_PATHS}:
        yield _needs_httpx("ssl_verify")
    if general.get("ssl_certificate") is not None:
        yield _needs_httpx("ssl_certificate")


def _unknown_zone(general: Mapping[str, Any]) -> Iterator[Problem]:
    """A time zone of budgets that there is not."""
    name = general.get("budget_timezone", "UTC")
    if name == "UTC":
        return
    from .time_zones import find_zone  # few configs need it

    if find_zone(name) is None:
        message = (
            f"`general_settings.budget_timezone`: there is no time zone `{name}`; write a name such"
            " as `Europe/Berlin`"
        )
        yield Problem(("general_settings", "budget_timezone"), message)


def _blank_key(general: Mapping[str, Any]) -> Iterator[Problem]:
    """A key without text, which a template with an empty variable leaves behind."""
    key = general.get("master_key")
    if isinstance(key, str) and not key.strip():
        message = (
            "`general_settings`: `master_key` is empty: set a key, or leave it out; without any "
            "key, the gateway serves this machine only"
        )
        path = ("general_settings", "master_key")
        yield Problem(path, message, replace=f"os.environ/{MASTER_KEY_VARIABLE}")


def _needs_httpx(name: str) -> Problem:
    message = f"`general_settings`: `{name}` needs `http_client: httpx`"
    moves = (Move(("general_settings", "http_client"), text="httpx"),)
    return Problem(("general_settings", name), message, moves=moves, keeps=True)


def _entries(models: object, fields: Fields) -> Iterator[tuple[int, ModelEntry]]:
    """
    The entries of `model_list` that have parameters, with their indexes.

    An entry without a name, which is reported, has the name `""`, so that its parameters are
    checked, too.
    """
    if models is not None and not isinstance(models, list):
        fields.reject(("model_list",), models, list[Any])
        return
    for index, entry in enumerate(models or ()):
        path = ("model_list", index)
        given = convert_fields(_with_text_keys(entry), ModelEntry, path, fields, whole=path)
        if "litellm_params" in given:
            yield index, ModelEntry(**{"model_name": "", **given})


def _with_text_keys(entry: object) -> object:
    """The entry without keys such as `7`, which are reported as unknown."""
    if not isinstance(entry, Mapping):
        return entry
    return {
        section: {k: v for k, v in inner.items() if isinstance(k, str)}
        if isinstance(inner, Mapping)
        else inner
        for section, inner in entry.items()
    }


def _names(models: object) -> Iterator[str]:
    for entry in models if isinstance(models, list) else ():
        if isinstance(entry, Mapping) and isinstance(entry.get("model_name"), str):
            yield entry["model_name"]


def reference(value: object) -> str | None:
    """The `NAME` of an `os.environ/NAME`, or `None` for anything else."""
    found = REFERENCE.match(value) if isinstance(value, str) else None
    return found[1] if found else None


def _substitute(value: Any, env: Mapping[str, str], path: KeyPath, unset: list[Problem]) -> Any:
    if isinstance(value, Mapping):
        return {
            key: inner if key in SECRET_KEYS else _substitute(inner, env, (*path, key), unset)
            for key, inner in value.items()
        }
    if isinstance(value, list):
        return [_substitute(inner, env, (*path, i), unset) for i, inner in enumerate(value)]
    if (name := reference(value)) is None:
        return value
    if name not in env:
        message = f"`{dotted(path)}`: the environment variable `{name}` is not set"
        unset.append(Problem(path, message, fixable=False))
        return None
    return env[name]
