"""Checks what `fanout batch run` and `quote` read, and where `run` writes."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from msgspec import Struct

from ..bulk.input.csv_reader import checked_separator
from ..bulk.input.line_checks import check_model
from ..bulk.input.lines import BadLine
from ..bulk.lanes import (
    CacheChoice,
    LaneChoice,
    NativeChoice,
    OrderChoice,
    choose_cache,
    choose_lane,
    choose_native,
    choose_order,
)
from ..bulk.local.input_files import STDIN, InputFile, open_input
from ..bulk.local.prompt_files import PromptFile
from ..bulk.local.table_files import kind_of_table
from ..bulk.service.new_job import HOUR, cost_cap, parse_window
from ..bulk.service.webhooks import NewWebhook
from ..bulk.tables import parquet
from ..bulk.tables.formats import SUFFIXES, check_name, stem_of, suffix_of
from ..config.catalog import Catalog, ClientKey
from ..config.model import ANONYMOUS
from ..errors import MissingKey, RequestError, UnknownModel
from ..secret import Secret
from ..transport.credentials import EnvironmentSecrets
from .config_choice import pick_models, select_config, split_names
from .output_paths import STDOUT, Output, check_output
from .printing import show
from .response_schema import read_checked_format

MAX_TEMPERATURE = 2.0
"""OpenAI's limit; see `temperature` in its reference."""


class BatchInput(Struct, frozen=True):
    """
    The prompts, the model for lines without one, and the choices of lane, batches and cache.

    `window` is in seconds, the `cap` in nanodollars. For `run` also the output,
    its order and the webhook.
    """

    prompts: PromptFile
    model: str | None
    cap: int | None = None
    output: Output | None = None
    lane: LaneChoice | None = None
    webhook: NewWebhook | None = None
    cache: CacheChoice | None = None
    native: NativeChoice | None = None
    window: int = 24 * HOUR
    order: OrderChoice | None = None


@contextmanager
def open_batch_input(arguments: argparse.Namespace) -> Iterator[BatchInput]:
    """Check the arguments, then open the file; a pipe is read to its end."""
    _check_form(arguments)
    window = parse_window(arguments.window, "--window")
    cap = cost_cap(arguments.max_cost, "--max-cost")
    lane = None if arguments.lane is None else choose_lane(arguments.lane, 0, "--lane")
    native = _native(arguments.native, lane or choose_lane(None, window))
    cache = None if arguments.cache is None else choose_cache(arguments.cache, "--cache")
    params, fields = _params(arguments)
    model = _model(arguments)
    with ExitStack() as stack:
        output, webhook, order = None, None, None
        if arguments.action == "run":
            webhook = _webhook(arguments)
            if arguments.order is not None:
                order = choose_order(arguments.order, "--order")
            inputs = ["/dev/stdin" if arguments.file == STDIN else arguments.file]
            inputs += filter(None, [arguments.config])
            check_form(arguments.output)
            output = stack.enter_context(check_output(_output_path(arguments), inputs))
        file = stack.enter_context(open_input(arguments.file))
        prompts = PromptFile(
            file.path,
            arguments.text,
            arguments.column,
            arguments.system,
            arguments.encoding,
            None if arguments.separator is None else checked_separator(arguments.separator),
            file.copy,
            _reporter(),
            arguments.prompt,
            arguments.id,
            params,
            arguments.limit,
            fields,
        )
        yield BatchInput(prompts, model, cap, output, lane, webhook, cache, native, window, order)


def _native(given: str | None, lane: LaneChoice) -> NativeChoice | None:
    if given is None:
        return None
    return choose_native(given, lane, has_batches=True, name="--native")


def _webhook(arguments: argparse.Namespace) -> NewWebhook | None:
    url, secret = arguments.webhook, arguments.webhook_secret
    if (url is None) != (secret is None):
        raise RequestError("--webhook and --webhook-secret need each other", "webhook")
    return None if url is None else NewWebhook(url=url, secret=secret)


def check_form(output: str | None) -> None:
    """Raise an error for an output in a form that is not written, or not here."""
    if output is not None:
        check_name(output)
        if SUFFIXES.get(suffix_of(output)) == "parquet":
            parquet.load()


def _reporter() -> Any:
    reported: set[str] = set()

    def report(note: str) -> None:
        if note not in reported:  # a file is read more than once
            reported.add(note)
            show(f"fanout: {note}", file=sys.stderr, flush=True)

    return report


def is_table(arguments: argparse.Namespace) -> bool:
    """Whether each row of the file is a prompt."""
    return arguments.column is not None or arguments.prompt is not None


def _check_form(arguments: argparse.Namespace) -> None:
    if arguments.system and not (arguments.text or is_table(arguments)):
        raise RequestError("--system needs --text, --column or --prompt", "system")
    if arguments.separator is not None:
        checked_separator(arguments.separator)
    for name in ("separator", "id"):
        if getattr(arguments, name) is not None and not is_table(arguments):
            raise RequestError(f"--{name} needs --column or --prompt", name)
    if arguments.limit is not None and arguments.limit < 1:
        raise RequestError("--limit must be at least 1", "limit")


def _params(arguments: argparse.Namespace) -> tuple[dict[str, Any], dict[str, str]]:
    """The fields of each request, and those of the responses' schema."""
    params: dict[str, Any] = {}
    fields: dict[str, str] = {}
    if (tokens := arguments.max_tokens) is not None:
        if tokens < 1:
            raise RequestError("--max-tokens must be at least 1", "max-tokens")
        params["max_completion_tokens"] = tokens
    if (temperature := arguments.temperature) is not None:
        if not 0 <= temperature <= MAX_TEMPERATURE:
            raise RequestError("--temperature must be from 0 to 2", "temperature")
        params["temperature"] = temperature
    has_own = not (arguments.text or is_table(arguments))
    form, check = read_checked_format(arguments, is_required=not has_own)
    if form is not None:
        params["response_format"], fields = form.value, form.fields
    if check:
        if not arguments.stack:
            catalog = select_config(arguments.config).catalog
            for name in check.get("escalate", ()):
                _check_model(catalog, name)
        params["fanout"] = check
    return params, fields


def _model(arguments: argparse.Namespace) -> str | None:
    """The model for lines without one; on this machine, one that the config has."""
    if arguments.models:
        if not arguments.stack:
            catalog = select_config(arguments.config).catalog
            for name in split_names(arguments.models):
                _check_model(catalog, name)
        return ",".join(arguments.models)
    if not arguments.text and not is_table(arguments):
        return None
    if arguments.stack:
        raise RequestError("name one of the stack's models: -m NAME", "model")
    return pick_models(select_config(arguments.config), [], several=False)[0]


def check_keys(catalog: Catalog | None, model: str | None) -> None:
    """Raise `MissingKey` if no model of lines without one has its provider's key."""
    if catalog is None or model is None:
        return
    names = split_names([model])
    missing = [key for name in names if (key := _missing_key(catalog, name))]
    if missing and len(missing) == len(names):
        hint = EnvironmentSecrets().hint(missing[0])
        raise MissingKey(f"no key for `{names[0]}`: {hint}")


def _missing_key(catalog: Catalog, name: str) -> Secret | None:
    """A key that a deployment of the model lacks, if each deployment lacks its own."""
    if name in catalog.routes.sets:
        return None
    deployments = catalog.find(name)
    lacking = [
        deployment.keys[0]
        for deployment in deployments
        if deployment.keys
        and not deployment.provider.key_optional
        and not any(key.is_known for key in deployment.keys)
    ]
    return lacking[0] if len(lacking) == len(deployments) else None


def _check_model(catalog: Catalog, name: str) -> None:
    try:
        check_model(catalog, ClientKey(ANONYMOUS, None), name)
    except BadLine as error:
        raise UnknownModel(str(error).removesuffix("."), "model") from None


def _output_path(arguments: argparse.Namespace) -> str:
    """`-o`; without it, beside the input, or standard output if the input is a pipe."""
    if arguments.output:
        return str(arguments.output)
    path = Path(arguments.file)
    if arguments.file == STDIN or _is_pipe(path):
        return STDOUT
    if not is_table(arguments):
        return f"{arguments.file.removesuffix('.gz').removesuffix('.jsonl')}.output.jsonl"
    suffix = suffix_of(path.name)
    if not suffix:
        suffix = f".{kind_of_table(InputFile(path))}"
    return f"{stem_of(arguments.file)}.output{suffix}"


def _is_pipe(path: Path) -> bool:
    try:
        return path.is_fifo()
    except OSError:
        return False
