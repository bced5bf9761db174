"""
`make first-hour`: what a newcomer types and how long it takes, with Fanout and with other tools.

Three tasks: nothing to a first response, a CSV to a CSV, a LiteLLM file to a served request. The
provider is the stub (`stub.py`), so the times are the tools' own. Every installation is done twice:
the first fills a cache of packages, the second is measured. Writes docs/first-hour.md.
"""

from __future__ import annotations

import csv
import re
import shutil
import time
from pathlib import Path

from .first_hour_page import page
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

ROWS, LOOP_ROWS = 2_000, 20
DELAY_MS = 50


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

LITELLM_SCRIPT = """\
import csv, litellm
rows = list(csv.DictReader(open("reviews.csv", newline="")))
ask = [[{"role": "user", "content": "Classify: " + row["review"]}] for row in rows]
found = litellm.batch_completion("openai/gpt-4o-mini", ask, max_workers=100, max_tokens=5)
with open("out.csv", "w", newline="") as file:
    writer = csv.DictWriter(file, [*rows[0], "answer", "error"])
    writer.writeheader()
    for row, one in zip(rows, found):
        failed = isinstance(one, Exception)
        answer = "" if failed else one.choices[0].message.content
        writer.writerow(row | {"answer": answer, "error": str(one) if failed else ""})
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


# ---- a CSV to a CSV ----


def check_table(path: Path, column: str, rows: int) -> str:
    """What is wrong with a result, or nothing."""
    with path.open(newline="") as file:
        found = list(csv.DictReader(file))
    answered = sum(bool(row.get(column, "").strip()) for row in found)
    in_order = [row.get("id") for row in found] == [str(n) for n in range(rows)]
    faults = [] if answered == rows else [f"{rows - answered} rows without an answer"]
    faults += [] if in_order else ["the rows are not in order, or without their columns"]
    return ", ".join(faults)


def tables(tools: dict[str, Path], base: str) -> list[Result]:
    """2,000 rows, each of which the provider answers after 50 ms."""
    with folder() as home:
        rows = [f"{number},review {number},3" for number in range(ROWS)]
        (home / "reviews.csv").write_text("\n".join(["id,review,stars", *rows]) + "\n")
        (home / "few.csv").write_text("\n".join(["id,review,stars", *rows[:LOOP_ROWS]]) + "\n")
        (home / "ask.py").write_text(LITELLM_SCRIPT)
        (home / "llm").mkdir()
        (home / "llm" / "extra-openai-models.yaml").write_text(
            f"- model_id: stub\n  model_name: gpt-4o-mini\n  api_base: {base}\n"
        )
        entry = f"{{model: openai/gpt-4o-mini, api_key: {KEY}, api_base: {base}}}"
        (home / "fanout.yaml").write_text(
            f"model_list:\n  - model_name: gpt-4o-mini\n    litellm_params: {entry}\n"
        )
        provider = {
            "OPENAI_API_KEY": KEY,
            "OPENAI_API_BASE": base,
            "LLM_USER_PATH": str(home / "llm"),
        }

        def timed(
            tool: str,
            typed: str,
            command: Command,
            column: str = "answer",
            files: str = "-",
            rows: int = ROWS,
        ) -> Result:
            def once() -> float:
                (home / "out.csv").unlink(missing_ok=True)
                shutil.rmtree(home / ".local", ignore_errors=True)
                return run(command, home, **provider)

            seconds = median(once, REPEATS if rows == ROWS else 1)
            fault = check_table(home / "out.csv", column, rows)
            return Result(
                tool, [typed], files, seconds=seconds, note=fault, is_comparable=rows == ROWS
            )

        ours: Command = [
            tools["fanout"] / "fanout",
            "batch",
            "run",
            "reviews.csv",
            "--prompt",
            "Classify: {review}",
            "-m",
            "gpt-4o-mini",
            "--max-tokens",
            "5",
            "-o",
            "out.csv",
            "--config",
            "fanout.yaml",
        ]
        other: Command = [
            tools["batchllm-ai"] / "batchllm",
            "run",
            "reviews.csv",
            "-o",
            "out.csv",
            "--input-column",
            "review",
            "--output-column",
            "answer",
            "-t",
            "Classify: {input}",
            "--max-tokens",
            "5",
            "-m",
            "gpt-4o-mini",
            "--base-url",
            base,
        ]
        call = f'$({tools["llm"]}/llm -m stub --no-stream "Classify: $r" </dev/null)'
        loop = (
            "echo id,review,stars,answer > out.csv; "
            "tail -n +2 few.csv | while IFS=, read -r i r s; "
            f'do echo "$i,$r,$s,{call}" >> out.csv; done'
        )
        return [
            timed(
                "Fanout",
                "fanout batch run reviews.csv --prompt 'Classify: {review}' -m "
                "gpt-4o-mini --max-tokens 5 -o out.csv",
                ours,
            ),
            timed(
                "`batchllm`",
                "batchllm run reviews.csv -o out.csv --input-column review "
                "--output-column answer -t 'Classify: {input}' --max-tokens 5",
                other,
            ),
            timed("`batchllm -c 100`", "the same with `-c 100`", [*other, "-c", "100"]),
            timed(
                "LiteLLM's `batch_completion`",
                "python ask.py",
                [tools[PROXY] / "python", "ask.py"],
                files=f"a script of {LITELLM_SCRIPT.count(chr(10))} lines",
            ),
            timed(
                f"`llm`, {LOOP_ROWS} rows",
                "a shell loop that starts `llm` for each row",
                ["sh", "-c", loop],
                files="a shell loop",
                rows=LOOP_ROWS,
            ),
        ]


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
