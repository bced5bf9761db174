"""
`make first-hour`: what a newcomer types and how long it takes, with Fanout and with other tools.

Three tasks: nothing to a first response, a CSV to a CSV, a LiteLLM file to a served request. The
provider is the stub (`stub.py`), so the times are the tools' own. Every installation is done twice:
the first fills a cache of packages, the second is measured. Writes docs/first-hour.md.
"""

from __future__ import annotations

import re
import time
from pathlib import Path

from .first_hour_page import page
from .first_hour_tables import DELAY_MS, tables
from .first_hour_tools import (
    KEY,
    MASTER,
    PATIENCE,
    PEERS,
    PROXY,
    REPEATS,
    WORK,
    Command,
    Result,
    chat,
    env,
    folder,
    install,
    median,
    run,
    stub,
    versions,
    wheel,
)
from .servers import ROOT, free_port, run_server

LITELLM_FILE = """\
model_list:
  - model_name: gpt-4o
    litellm_params:
      model: openai/gpt-4o
      api_key: os.environ/OPENAI_API_KEY
      api_base: {base}
  - model_name: gpt-4o-mini
    litellm_params:
      model: openai/gpt-4o-mini
      api_key: os.environ/OPENAI_API_KEY
      api_base: {base}
      rpm: 60000
litellm_settings:
  drop_params: true
  set_verbose: false
  request_timeout: 60
router_settings:
  routing_strategy: simple-shuffle
  num_retries: 2
general_settings:
  master_key: os.environ/LITELLM_MASTER_KEY
"""

# ---- nothing to a first response ----


def make_run() -> list[Result]:
    """`make run` in a fresh clone, to the local model's first response."""
    with folder() as home:
        if not (marker := WORK / "make-run-is-cached").exists():
            run(["git", "clone", "-q", ROOT, home / "warm"], home)
            run(["make", "-s", "-C", home / "warm", ".venv/.runnable"], home)
            marker.touch()
        began = time.perf_counter()
        run(["git", "clone", "-q", ROOT, home / "clone"], home)
        run(["make", "-s", "-C", home / "clone", ".venv/.runnable"], home)
        installed = time.perf_counter() - began
        fanout = home / "clone" / ".venv" / "bin" / "fanout"
        download = run([fanout, "local", "install"], home)
        port = free_port()
        command: Command = [fanout, "local", "run", "--port", str(port), "--unannounced"]
        with run_server(
            "make run", command, port, chat("smol"), env=env(home), patience=PATIENCE
        ) as server:
            first = server.seconds
    note = f"and {download:.0f} s to download the model (93 MB, over the network)"
    typed = ["git clone … && cd fanout", "make run", "curl …"]
    return [
        Result(
            "Fanout, `make run`",
            typed,
            install=installed,
            seconds=first,
            note=note,
            is_comparable=False,
        )
    ]


def first_responses(tools: dict[str, Path], times: dict[str, float], base: str) -> list[Result]:
    """From an installation to the response of a provider."""
    results = make_run()
    with folder() as home:
        config = home / "fanout.yaml"
        entry = f"{{model: openai/gpt-4o, api_key: {KEY}, api_base: {base}}}"
        config.write_text(f"model_list:\n  - model_name: gpt-4o\n    litellm_params: {entry}\n")
        ask: Command = [tools["fanout"] / "fanout", "ask", "Hi", "--config", config]
        results.append(
            Result(
                "Fanout, from its wheel",
                ["pip install dist/*.whl", "fanout ask Hi --config fanout.yaml"],
                "3 lines of YAML",
                times["fanout"],
                median(lambda: run(ask, home)),
            )
        )

        def proxy() -> float:
            port = free_port()
            command: Command = [tools[PROXY] / "litellm", "--config", config, "--port", str(port)]
            with run_server(
                "litellm",
                command,
                port,
                chat("gpt-4o"),
                env=env(home, LITELLM_MASTER_KEY=MASTER),
                patience=PATIENCE,
            ) as server:
                return server.seconds

        results.append(
            Result(
                "LiteLLM's proxy",
                [f"pip install '{PROXY}'", "litellm --config config.yaml", "curl …"],
                "3 lines of YAML",
                times[PROXY],
                median(proxy),
            )
        )
        user = home / "llm"
        user.mkdir()
        (user / "extra-openai-models.yaml").write_text(
            f"- model_id: stub\n  model_name: gpt-4o\n  api_base: {base}\n"
        )
        more = {"LLM_USER_PATH": str(user), "OPENAI_API_KEY": KEY}
        ask = [tools["llm"] / "llm", "-m", "stub", "--no-stream", "Hi"]
        results.append(
            Result(
                "`llm`",
                ["pip install llm", "llm -m stub Hi"],
                "3 lines of YAML",
                times["llm"],
                median(lambda: run(ask, home, **more)),
            )
        )
    results.append(Result("`batchllm`", [], note="sends files only"))
    return results


# ---- a LiteLLM file to a served request ----


def litellm_files(tools: dict[str, Path], base: str) -> list[Result]:
    """A config as LiteLLM's documentation has it."""
    with folder() as home:
        (home / "litellm.yaml").write_text(LITELLM_FILE.format(base=base))
        keys = {"OPENAI_API_KEY": KEY, "LITELLM_MASTER_KEY": MASTER}
        fanout = tools["fanout"] / "fanout"

        def served(command: Command, *, first: Command = ()) -> float:
            port = free_port()
            before = run(first, home, **keys) if first else 0.0
            with run_server(
                "served",
                [*command, "--port", str(port)],
                port,
                chat("gpt-4o"),
                env=env(home, **keys),
                patience=PATIENCE,
            ) as server:
                return before + server.seconds

        def ours() -> float:
            (home / "fanout.yaml").unlink(missing_ok=True)
            init: Command = [
                fanout,
                "init",
                "--from",
                home / "litellm.yaml",
                "-o",
                home / "fanout.yaml",
            ]
            return served([fanout, "serve", "--config", home / "fanout.yaml"], first=init)

        theirs: Command = [tools[PROXY] / "litellm", "--config", home / "litellm.yaml"]
        typed = [
            "fanout init --from litellm.yaml -o fanout.yaml",
            "fanout serve --config fanout.yaml",
        ]
        return [
            Result("Fanout", typed, seconds=median(ours)),
            Result(
                "LiteLLM's proxy",
                ["litellm --config litellm.yaml"],
                seconds=median(lambda: served(theirs)),
            ),
            Result("`llm`, `batchllm`", [], note="do not read such a file, and serve nothing"),
        ]


def main() -> None:
    """Measure, and write the page."""
    WORK.mkdir(parents=True, exist_ok=True)
    path, build = wheel()
    tools, times = {}, {}
    tools["fanout"], times["fanout"] = install([path], "fanout")
    for name, options in PEERS.items():
        print(f"first hour: installing {name} …", flush=True)
        tools[name], times[name] = install([*options, name], re.sub(r"\W", "-", name))
    port = free_port()
    with stub(port):
        print("first hour: nothing to a first response …", flush=True)
        now = first_responses(tools, times, f"http://127.0.0.1:{port}/v1")
        print("first hour: a CSV to a CSV …", flush=True)
        rows = tables(tools, f"http://127.0.0.1:{port}/{DELAY_MS}/1/0/v1")
        print("first hour: a LiteLLM file to a served request …", flush=True)
        files = litellm_files(tools, f"http://127.0.0.1:{port}/v1")
    (ROOT / "docs" / "first-hour.md").write_text(
        page(now, rows, files, build, versions(tools), REPEATS)
    )


if __name__ == "__main__":
    main()
