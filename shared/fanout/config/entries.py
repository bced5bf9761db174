"""Reads the entries of `model_list`: their parameters, with what the settings say for all."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec
from msgspec.structs import fields as fields_of
from msgspec.structs import replace

from ..errors import KeyPath, Problem
from ..schema.request import ChatRequest
from ..secret import HiddenRepr
from .fields import Fields, convert_fields, dotted
from .model import ConfigFile, ModelEntry, ModelInfo, ModelParams
from .unknown_keys import is_litellms

MODES = frozenset({None, "", "batch", "chat", "completion", "embedding", "responses"})
"""Values of `model_info.mode` for models that chat completions can call."""


class Entry(HiddenRepr, frozen=True):
    """
    One entry: its index in `model_list`, its model name, its parameters and defaults.

    `part` distinguishes the deployments of an entry that has several. `mode` is `model_info`'s.
    """

    index: int
    name: str
    params: ModelParams
    defaults: Mapping[str, Any]
    part: str = ""
    mode: str | None = None

    @property
    def number(self) -> str:
        """The end of the deployment's id."""
        return f"{self.index}{self.part}"


def label(index: int, name: str) -> str:
    """How messages name an entry; its name may be missing."""
    return f"model_list[{index}] (`{name}`)" if name else f"model_list[{index}]"


def per_organization(entry: Entry) -> Iterator[Entry]:
    """
    The entry, or one for each of its organizations, among which calls are balanced.

    "Multiple OpenAI Organizations": docs.litellm.ai/docs/proxy/configs, 2026-11
    """
    given = entry.params.organization
    if not isinstance(given, list):
        yield entry
        return
    for number, one in enumerate(given or [None]):
        params = replace(entry.params, organization=one)
        yield replace(entry, params=params, part=f".{number}" if number else "")


def read_entries(
    config: ConfigFile, positions: Sequence[int], problems: list[Problem]
) -> Iterator[Entry]:
    """Each entry that has a model, with those of its parameters that are right; adds problems."""
    for number, entry in enumerate(config.model_list):
        index = positions[number] if positions else number
        before = len(problems)
        found = _entry(config, entry, index, problems)
        is_useless = any(one.remove == ("model_list", index) for one in problems[before:])
        if found is not None and not is_useless:
            yield found


def _entry(
    config: ConfigFile, entry: ModelEntry, index: int, problems: list[Problem]
) -> Entry | None:
    path: KeyPath = ("model_list", index)
    if "," in entry.model_name or entry.model_name != entry.model_name.strip():
        message = (
            f"{label(index, entry.model_name)}: a model name cannot contain a comma, nor start or "
            "end with a space"
        )
        problems.append(Problem((*path, "model_name"), message, remove=path))
    found: list[Problem] = []
    reader = Fields({problem.path for problem in problems}, found)
    given = convert_fields(entry.litellm_params, ModelParams, (*path, "litellm_params"), reader)
    info = convert_fields(entry.model_info, ModelInfo, (*path, "model_info"), reader)
    rest = {
        name: value
        for name, value in entry.litellm_params.items()
        if name not in _OURS and not is_litellms(name)  # which asks for nothing
    }
    defaults = _defaults({k: v for k, v in rest.items() if v is not None}, path, reader)
    problems += [_named(one, entry.model_name, path) for one in found]
    if (mode := info.get("mode")) not in MODES:
        message = f"{label(index, entry.model_name)}: there is no `{mode}` API here"
        problems.append(Problem((*path, "model_info", "mode"), message, remove=path))
    if "model" not in given:
        return None
    params = _with_settings(given, info, config)
    return Entry(index, entry.model_name, params, defaults, mode=mode)


_OURS = frozenset(ModelParams.__struct_fields__)
_CHAT = frozenset(ChatRequest.__struct_fields__)


def _named(problem: Problem, name: str, path: KeyPath) -> Problem:
    """The problem with the entry's name; without its model, an entry is of no use."""
    remove = path if problem.path[2:] == ("litellm_params", "model") else problem.remove
    form = "" if problem.path[3:] in {("model",), ("api_base",)} else problem.form
    section = str(problem.path[2])
    short = problem.message.replace(f"`{dotted((*path, section))}.", "`", 1)
    message = f"{label(int(path[1]), name)}: {section}: {short}"
    return replace(problem, message=message, remove=remove, form=form)


def _with_settings(
    given: Mapping[str, Any], info: Mapping[str, Any], config: ConfigFile
) -> ModelParams:
    """The parameters, with those of `model_info` and of the settings for what they leave out."""
    router, service = config.router_settings, config.litellm_settings
    retries = (given.get("num_retries"), router.num_retries, service.num_retries)
    shared = {
        **{name: value for name, value in info.items() if name != "mode"},
        "drop_params": service.drop_params,
        "max_parallel_requests": router.default_max_parallel_requests,
        "stream_timeout": router.stream_timeout or service.stream_timeout,
        **given,
        "num_retries": next((value for value in retries if value is not None), None),
    }
    return ModelParams(**shared)


def _defaults(given: Mapping[str, Any], path: KeyPath, reader: Fields) -> dict[str, Any]:
    """Default parameters, checked like those of a request; numbers may be text of environments."""
    if given.get("reasoning_effort") == "disable":  # LiteLLM's for Gemini
        given = {**given, "reasoning_effort": "none"}
    chat = {name: value for name, value in given.items() if name in _CHAT}
    read = {**given, **(_chat_values(chat, path, reader) if chat else {})}
    if "thinking" in given:  # Anthropic's, which Fanout translates
        reader.convert((*path, "litellm_params", "thinking"), given["thinking"], dict[str, Any])
    return {
        name: read[name] if isinstance(read[name], bool | int | float) else value
        for name, value in given.items()
    }


def _chat_values(given: Mapping[str, Any], path: KeyPath, reader: Fields) -> Mapping[str, Any]:
    """The parameters of chat completions, converted; each wrong one is reported."""
    try:
        found = msgspec.convert({**_REQUIRED, **given}, ChatRequest, strict=False)
    except msgspec.ValidationError:
        types = {one.name: one.type for one in fields_of(ChatRequest)}
        for name, value in given.items():
            reader.convert((*path, "litellm_params", name), value, types[name])
        return given
    return {name: getattr(found, name) for name in given}


_REQUIRED: Mapping[str, Any] = {"messages": [{"role": "user", "content": ""}], "body": {}}
