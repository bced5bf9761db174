"""Runs `fanout ask`, `race`, `all` and `agree`: sends the prompt, prints the response."""

from __future__ import annotations

import argparse
import asyncio
import os
import secrets
import stat
import sys
from collections.abc import Callable
from typing import Any

from ..errors import RequestError
from ..gateway.factory import open_gateway
from ..gateway.run import Context
from ..schema.fanout import FanOutRequest, parse_request
from ..settings import Settings
from ..wire.terminal_text import one_line
from .all_view import show_all_responses
from .config_choice import pick_models, select_config, split_names
from .option_names import options_named
from .printing import show, show_json, show_response
from .race_view import show_race
from .response_schema import read_checked_format
from .response_text import ResponseSource, first_choice_text, print_stream


def run_prompt(arguments: argparse.Namespace) -> int:
    """Send the prompt, print the response, and return the exit code."""
    if arguments.gateway is not None:
        return _run_remotely(arguments)
    selected = select_config(arguments.config)
    models = pick_models(selected, arguments.models, several=arguments.command != "ask")
    with options_named():
        request = parse_request(make_body(arguments, models))

        async def send() -> int:
            async with open_gateway(selected.settings, catalog=selected.catalog) as gateway:
                return await _send(gateway, request, arguments)

        return asyncio.run(send())


def _run_remotely(arguments: argparse.Namespace) -> int:
    """Send the prompt to the gateway at `--gateway`."""
    from .remote_gateway import remote_gateway
    from .stop_signals import stop_signals

    if arguments.config is not None:
        raise RequestError("--config and --gateway exclude each other", "gateway")
    models = split_names(arguments.models)
    if not models:
        raise RequestError("--gateway needs the name of a model: -m NAME", "model")
    with options_named():
        body = make_body(arguments, models)
        request = parse_request(body)

        async def send() -> int:
            async with remote_gateway(arguments.gateway, Settings.read().env, body) as gateway:
                return await _send(gateway, request, arguments, is_remote=True)

        with stop_signals():  # so that the gateway gets the cancel
            return asyncio.run(send())


STDIN = "-"


def make_body(arguments: argparse.Namespace, models: list[str]) -> dict[str, Any]:
    """The body of the request, as a client would send it."""
    prompt = _prompt(arguments.prompt)
    if not prompt.strip():
        raise RequestError("the prompt is empty", "prompt")
    messages = [{"role": "user", "content": prompt}]
    if arguments.system is not None:
        messages.insert(0, {"role": "system", "content": arguments.system})
    stagger = getattr(arguments, "stagger", None)
    modes = {"race": "hedge" if stagger else "race", "all": "all", "agree": "agree"}
    mode = modes.get(arguments.command)
    mode = mode or ("fallback" if len(models) > 1 else "one")
    fanout = {"mode": mode, "models": models} | ({"stagger": stagger} if stagger else {})
    form, check = read_checked_format(arguments, is_required=True)
    fanout |= check
    if mode == "agree":
        from .agree import read_rules

        fanout |= read_rules(arguments)
    # `all` prints each response as soon as it is complete, except with --json.
    stream = (arguments.stream and (mode != "agree" or arguments.json)) or (
        arguments.command == "all" and not arguments.json
    )
    given = {
        "fanout": fanout,
        "messages": messages,
        "timeout": arguments.timeout,
        "max_completion_tokens": arguments.max_tokens,
        "temperature": arguments.temperature,
        "response_format": form and form.value,
        "stream": stream or None,
        "stream_options": {"include_usage": True} if stream else None,
    }
    return {name: value for name, value in given.items() if value is not None}


def _prompt(given: str) -> str:
    """The prompt, after what is piped into the command: `cat notes.txt | fanout ask Summarise`."""
    piped = _text(sys.stdin.read, "standard input") if given == STDIN or _is_piped() else ""
    if given == STDIN:
        return piped
    prompt = _text(lambda: given, "the prompt")
    return f"{piped.rstrip()}\n\n{prompt}" if piped.strip() else prompt


def _text(read: Callable[[], str], what: str) -> str:
    try:
        text = read()
        text.encode()  # Python hides bytes that are no text in an argument, or in a C locale
    except UnicodeError:
        raise RequestError(f"{what} is not valid UTF-8", "prompt") from None
    return text


def _is_piped() -> bool:
    """
    Whether standard input is a pipe or a file.

    A terminal is not, nor is what a service manager, `cron` or `ssh -n` gives: the null device. A
    socket is not read: it may stay open.
    """
    try:
        mode = os.fstat(sys.stdin.fileno()).st_mode
    except (OSError, ValueError, AttributeError):  # closed, or none
        return False
    return stat.S_ISFIFO(mode) or stat.S_ISREG(mode)


async def _send(
    gateway: ResponseSource,
    request: FanOutRequest,
    arguments: argparse.Namespace,
    *,
    is_remote: bool = False,
) -> int:
    """Print the response; another gateway's race is seen only at its end."""
    context = Context(f"req_{secrets.token_hex(8)}")
    if arguments.json:
        return await _print_json(gateway, request, context)
    if arguments.command == "race" and not is_remote:
        return await show_race(gateway, request, context)
    if arguments.command == "agree":
        return await print_agreement(gateway, request, context)
    if arguments.command == "all":
        return await show_all_responses(gateway, request, context)
    return await _print_response(gateway, request, context)


async def print_agreement(gateway: ResponseSource, request: FanOutRequest, context: Context) -> int:
    """Print the response that enough models agree on; 1 if they do not agree."""
    from .agree import show_votes

    body: Any = (await gateway.chat(request, context)).body
    is_decided = show_votes(body.get("fanout"))
    message = body["choices"][0]["message"]
    if is_decided or not message.get("refusal"):
        show_response(first_choice_text(body))
    else:
        show(one_line(message.get("refusal") or ""), file=sys.stderr)
    return int(not is_decided)


async def _print_json(gateway: ResponseSource, request: FanOutRequest, context: Context) -> int:
    if not request.stream:
        body = (await gateway.chat(request, context)).body
        show_json(body)
        return _exit_code(body if isinstance(body, dict) else {})
    code = 0
    async with gateway.stream(request, context) as stream:
        async for chunk in stream.chunks:
            show_json(chunk, flush=True)
            code = max(code, _exit_code(chunk))
    return code


def _exit_code(body: Any) -> int:
    """1 if one of several models failed, or if the models do not agree; else 0."""
    report = body.get("fanout")
    votes = report.get("agree") if isinstance(report, dict) else None
    if isinstance(votes, dict) and votes.get("decided") is not True:
        return 1
    return int(any(choice.get("error") for choice in body.get("choices", ())))


async def _print_response(gateway: ResponseSource, request: FanOutRequest, context: Context) -> int:
    if not request.stream:
        response = await gateway.chat(request, context)
        _show_winner(request, response.winner)
        show_response(first_choice_text(response.body))
        return 0
    async with gateway.stream(request, context) as stream:
        _show_winner(request, stream.winner)
        await print_stream(stream.chunks)
    return 0


def _show_winner(request: FanOutRequest, winner: str | None) -> None:
    if winner is not None and request.mode in {"race", "hedge"}:
        show(f"{one_line(winner)} won", file=sys.stderr, flush=True)
