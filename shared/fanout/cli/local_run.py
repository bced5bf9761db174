"""Runs the actions of `fanout local`: download the weights, serve the model, serve the gateway."""

from __future__ import annotations

import argparse
import os
import secrets
import signal
import sys
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path
from textwrap import dedent

from ..errors import ConfigError
from ..gateway.factory import load_catalog
from ..local.child_process import Child, engine_child
from ..local.download import downloader
from ..local.engine import EngineOptions, check_installed, default_threads
from ..local.install import install
from ..local.models import (
    SMOL,
    LocalError,
    LocalModel,
    cache_home,
    find_model,
    is_complete,
    weights_path,
)
from ..local.parent_process import stop_with_parent
from ..local.running_engine import KEY, engine_file
from ..local.serve import serve
from ..settings import Settings
from ..telemetry.observers import JSONLinesObserver, NullObserver
from ..wire import json
from .config_choice import LOCAL_CONFIG
from .http_server import SHUTDOWN_GRACE, check_port, listen, run_server
from .printing import show
from .serve import print_at_terminal, stopping_note
from .stop_signals import stop_signals

ENGINE_STOPPED = "stopped; requests in flight have no end"


def ensure_installed(model: LocalModel, env: Mapping[str, str]) -> Path:
    """The path of the model's weights, which are downloaded if they are missing."""
    folder = cache_home(env)
    if is_complete(model, path := weights_path(model, folder)):
        return path
    download = downloader(env, max_bytes=2 * max(model.size, model.download))
    with stop_signals():
        return install(model, folder, download=download, report=_print_status)


def _print_status(words: str) -> None:
    show(f"fanout: {words}", file=sys.stderr, flush=True)


def serve_engine(arguments: argparse.Namespace) -> int:
    """Serve the model in this process."""
    check_port(arguments.port)
    env = Settings.read().env
    model, folder = find_model(arguments.model), cache_home(env)
    weights = weights_path(model, folder)
    if not weights.is_file():
        raise LocalError(f"`{model.name}` is not installed: run `fanout local install`")
    if not arguments.attached and not is_complete(model, weights):  # a parent has checked it
        raise LocalError(f"`{weights}` is damaged: run `fanout local install`, which replaces it")
    options = EngineOptions(
        weights=weights,
        name=model.name,
        key=env.get(KEY) or f"local-{secrets.token_hex(16)}",
        port=arguments.port,
        threads=_positive("--threads", arguments.threads or default_threads()),
        parallel=_positive("--parallel", arguments.parallel),
        context=_positive("--context", arguments.context),
        verbose=arguments.verbose,
    )
    serve(
        options,
        write=_print_line,
        show_key=not env.get(KEY),
        engine_file_folder=None if arguments.unannounced else folder,
        parent=arguments.attached,
        on_stop=lambda: None if arguments.attached else print_at_terminal(ENGINE_STOPPED),
    )
    return 0


def _positive(option: str, number: int) -> int:
    if number < 1:
        raise ConfigError(f"{option} must be at least 1, not {number}")
    return number


def _print_line(line: str) -> None:
    sys.stdout.write(line)
    sys.stdout.flush()


def run_gateway(arguments: argparse.Namespace) -> int:
    """Serve the gateway with the model in a child process; when one ends, so does the other."""
    settings = Settings.read()
    if arguments.attached:
        stop_with_parent(arguments.attached, lambda: signal.raise_signal(signal.SIGTERM))
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    check_installed()  # before the download of its weights
    with listen("127.0.0.1", arguments.port) as listener, ExitStack() as stack:
        ensure_installed(SMOL, settings.env)
        _print_status("starting the local model")
        extra = ["--threads", str(arguments.threads)] if arguments.threads else []
        child = stack.enter_context(engine_child(SMOL, settings.env, extra_arguments=extra))
        if not arguments.unannounced:
            stack.enter_context(engine_file(child.engine, cache_home(settings.env)))
        config = Path(arguments.config) if arguments.config else LOCAL_CONFIG
        ours = Settings(config, {**settings.env, **child.engine.env})
        catalog = load_catalog(ours)

        def ready(url: str) -> None:
            if arguments.json:
                line = {"url": url, "models": list(catalog.groups), "engine": child.engine.pid}
                _print_line(json.encode(line).decode() + "\n")
            else:
                _print_line(welcome(url, list(catalog.groups)))

        code = run_server(
            ours,
            catalog,
            listener,
            observer=JSONLinesObserver(sys.stderr.write, time.time)
            if arguments.verbose
            else NullObserver(),
            ready=ready,
            on_stop=lambda count: print_at_terminal(stopping_note(count, SHUTDOWN_GRACE)),
            stop=lambda end: _watch(child, end),
        )
        if child.process.poll() is not None:
            raise LocalError("the local model has stopped, so the gateway stops too")
    print_at_terminal("stopped")
    return code


def _watch(child: Child, end: Callable[[], None]) -> None:
    """Stop the gateway when the engine has ended."""

    def wait() -> None:
        child.process.wait()
        end()

    threading.Thread(target=wait, name="engine", daemon=True).start()


def welcome(url: str, models: list[str]) -> str:
    """Commands to try, for copying from the terminal."""
    python, command = _short(sys.executable), _short(sys.argv[0])
    names = ", ".join(models)
    return dedent(f"""\
        The gateway is at {url}. No key is needed; it serves this machine only.
        Open {url.removesuffix("v1")} in a browser to compare responses side by side.
        Models: {names}
        (one small model, {SMOL.title}: `smol` and `smol-warm` use OpenAI's API at a low and
        a high temperature, `smol-claude` uses Anthropic's API)

        Send one prompt to several models; the fastest response wins:
          curl {url}/chat/completions -H 'content-type: application/json' -d '{{
            "model": "{names}", "fastest_response": true, "max_tokens": 40,
            "messages": [{{"role": "system", "content": "Answer in one sentence."}},
                         {{"role": "user", "content": "Why is the sky blue?"}}]}}'

        Print every response with the OpenAI SDK:
          {python} - <<'END'
          from openai import OpenAI
          client = OpenAI(base_url="{url}", api_key="none")
          response = client.chat.completions.create(
              model="{names}", max_tokens=40,
              messages=[{{"role": "system", "content": "Answer in one sentence."}},
                        {{"role": "user", "content": "Write a slogan for a bakery."}}])
          for choice in response.choices:
              print(choice.model, "|", choice.message.content)
          END

        Watch a race in another terminal:
          {command} race "Write a slogan for a bakery." --system "Answer in one sentence."

        Press Ctrl-C to stop.
        """)


def _short(path: str) -> str:
    """A program's path, relative to this folder if that is shorter."""
    near = os.path.relpath(path)
    return near if len(near) < len(path) else path
