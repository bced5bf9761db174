"""The second task of `make first-hour`: a CSV to a CSV."""

from __future__ import annotations

import csv
import shutil
from pathlib import Path

from .first_hour_tools import KEY, PROXY, REPEATS, Command, Result, folder, median, run

ROWS, LOOP_ROWS = 1_000, 20
DELAY_MS = 50

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
    """A table, each row of which the provider answers after `DELAY_MS`."""
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
            repeats: int = REPEATS,
        ) -> Result:
            def once() -> float:
                (home / "out.csv").unlink(missing_ok=True)
                shutil.rmtree(home / ".local", ignore_errors=True)
                return run(command, home, **provider)

            seconds = median(once, repeats)
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
                repeats=1,
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
                repeats=1,
            ),
        ]
