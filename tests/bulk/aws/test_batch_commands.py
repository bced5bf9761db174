"""`fanout batch … --stack`: the commands in this process, with a stack and its state machine."""

from __future__ import annotations

import asyncio
import copy
import csv
import json
import os
import signal
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

import pytest

from fanout.bulk.aws.batch_service import AWSBatchService, Stores
from fanout.bulk.aws.deployed_config import DeployedConfig
from fanout.bulk.aws.dynamodb import DynamoTable
from fanout.bulk.aws.s3 import S3BlobStore
from fanout.bulk.aws.step_handlers import StepHandlers
from fanout.bulk.input.planner import Shard, ShardSize
from fanout.bulk.input.splitter import iter_lines
from fanout.bulk.local.prompt_files import PromptFile
from fanout.bulk.local.prompt_jobs import find_or_create_job
from fanout.bulk.local.response_index import ResponseIndex
from fanout.bulk.service.new_job import BatchOptions, NewJob
from fanout.bulk.steps.host import RunnerOptions
from fanout.cli import batch_backend
from fanout.cli.batch_actions import run_action
from fanout.cli.batch_backend import StackBackend
from fanout.cli.main import make_parser
from fanout.config.load import check
from fanout.config.resolve import resolve
from fanout.errors import ConfigError, RequestError
from fanout.gateway.factory import open_gateway
from fanout.settings import Settings
from fanout.wire import json as wire
from tests.bulk.local_jobs import (
    CONFIG,
    CONFIG_WITH_LIMIT,
    COST,
    SYNC_INTERVAL,
    EchoProvider,
    jsonl,
    line,
)
from tests.cli.commands import Command, CommandResult
from tests.support.gateway_server import RecordingObserver

from .job_stack import FUNCTION_SECONDS

NAMES = [f"n{i:02d}" for i in range(50)]


class CommandStack:
    """A stack in this process, whose state machine runs while the command runs."""

    def __init__(self, stores: Stores, config: DeployedConfig, index: Path) -> None:
        self.stores = stores
        self.index = index
        self.config = config
        self.provider = EchoProvider()
        self.runs: list[str] = []
        self.is_down = False
        self.has_batches = True

    @asynccontextmanager
    async def open(self, stack: str, region: str | None) -> AsyncIterator[StackBackend]:
        assert (stack, region) == ("S", None)
        try:
            async with asyncio.TaskGroup() as group:

                async def run(job_id: str) -> None:
                    if job_id not in self.runs and not self.is_down:
                        self.runs.append(job_id)
                        tasks.append(group.create_task(self._run(job_id)))

                tasks: list[asyncio.Task[None]] = []
                service = AWSBatchService(self.stores, run, has_batches=self.has_batches)
                with closing(ResponseIndex(self.index)) as index:
                    yield StackBackend(
                        stack, service, self.stores.table, run, self.config.catalog, index
                    )
                for task in tasks:
                    task.cancel()
        except BaseExceptionGroup as raised:
            raise raised.exceptions[0] from None

    async def _run(self, job_id: str) -> None:
        observer, catalog = RecordingObserver(), resolve(check(CONFIG_WITH_LIMIT, {}), {})
        options = RunnerOptions(
            shard_size=ShardSize(20, 1 << 20), grace=0.3, sync_interval=SYNC_INTERVAL
        )
        settings = Settings()
        async with open_gateway(
            settings, catalog=catalog, engine=self.provider, observer=observer
        ) as gateway:
            handlers = StepHandlers(gateway, self.stores, observer, options)
            planned = await handlers.plan(job_id)
            source = self.stores.blobs.read(planned.manifest)
            shards = [wire.decode(raw, type=Shard) async for _, _, _, raw in iter_lines(source)]
            while planned.next == "work" and (await handlers.finish(job_id)).next == "work":
                for shard in shards:
                    await handlers.work(job_id, shard, FUNCTION_SECONDS)
            await handlers.finish(job_id)


@pytest.fixture
def stack(s3: Any, blobs: S3BlobStore, table: DynamoTable, tmp_path: Path) -> CommandStack:
    """A stack whose config is in S3, as its deployment stores it, with a limit of `b` besides."""
    config = copy.deepcopy(CONFIG)
    config["general_settings"] = {"master_key": "os.environ/KEY", "batch_share": 0.5}
    a, b = (entry["litellm_params"] for entry in config["model_list"])
    a["api_key"] = "os.environ/PROVIDER_KEY"
    b["rpm"] = "os.environ/LIMIT"
    a["native_batches"] = True
    file = {"config": config, "environment": {"LIMIT": "60"}}
    s3.create_bucket(Bucket="assets")
    s3.put_object(Bucket="assets", Key="c.json", Body=json.dumps(file))
    deployed = DeployedConfig(s3, "S", "s3://assets/c.json")
    return CommandStack(Stores(blobs, table), deployed, tmp_path / "home" / "S.sqlite")


@pytest.fixture
def batch(
    stack: CommandStack, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Command:
    """`fanout batch … --stack S` in this process, which looks at the job more often than usual."""
    monkeypatch.setattr(batch_backend, "STACK_POLL_INTERVAL", 0.2)

    def run(*words: object) -> CommandResult:
        arguments = make_parser().parse_args(["batch", *map(str, words), "--stack", "S"])
        code = run_action(arguments, stack.open)
        return CommandResult(code, *capfd.readouterr())

    return run


def write(folder: Path, lines: list[bytes], name: str = "in.jsonl") -> Path:
    path = folder / name
    path.write_bytes(jsonl(lines))
    return path


def texts(path: Path) -> dict[str, str]:
    lines = [json.loads(one) for one in path.read_bytes().splitlines()]
    found = {
        one["custom_id"]: one["response"]["body"]["choices"][0]["message"]["content"]
        for one in lines
    }
    assert len(found) == len(lines)
    return found


def test_run_uploads_a_file_and_downloads_the_responses(
    batch: Command, stack: CommandStack, tmp_path: Path
) -> None:
    path = write(tmp_path, [line(name) for name in NAMES])
    ran = batch("run", path)
    assert (ran.code, ran.out) == (0, "")
    assert texts(tmp_path / "in.output.jsonl") == {name: f"a: {name}" for name in NAMES}
    assert "50/50 lines" in ran.err
    assert f"${50 * COST:.4f}" in ran.err
    assert set(stack.provider.calls.values()) == {1}
    (tmp_path / "in.output.jsonl").unlink()
    again = batch("run", path, "--json")
    assert again.code == 0
    assert json.loads(again.out)["completed"] == 50
    assert len(texts(tmp_path / "in.output.jsonl")) == 50
    assert len(stack.runs) == 1, "the same prompts are the same job"
    assert batch("run", path, "--fresh").code == 0
    assert len(stack.runs) == 2


def test_a_table_comes_back_from_a_stack_in_order(
    batch: Command, stack: CommandStack, tmp_path: Path
) -> None:
    path = tmp_path / "r.csv"
    path.write_text("n,review\n" + "".join(f"{number},text {number}\n" for number in range(50)))
    ran = batch("run", path, "--column", "review", "-m", "a", "-o", tmp_path / "out.csv")
    assert ran.code == 0, ran.err
    with (tmp_path / "out.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["n"] for row in rows] == list(map(str, range(50)))
    assert all(row["answer"] == f"a: {row['review']}" for row in rows)
    assert {row["cost_usd"] for row in rows} == {f"{COST:g}"}
    (job,) = stack.runs
    assert batch("results", job[-6:]).out == (tmp_path / "out.csv").read_text()
    assert "r.csv" in batch("status").out
    assert batch("remove", job).code == 0
    assert json.loads(batch("status", "--json").out) == []
    assert asyncio.run(stack.stores.blobs.keys("files/")) == []


@pytest.mark.parametrize("form", ["table", "requests"])
def test_only_added_and_corrected_rows_are_sent_to_a_stack(
    batch: Command, stack: CommandStack, tmp_path: Path, form: str
) -> None:
    path = tmp_path / ("r.csv" if form == "table" else "r.jsonl")
    words = ("--column", "review") if form == "table" else ()

    def write_texts(*texts: str) -> None:
        if form == "table":
            path.write_text("review\n" + "".join(f"{text}\n" for text in texts))
        else:
            path.write_bytes(jsonl([line(f"n{n}", text=text) for n, text in enumerate(texts)]))

    def run() -> CommandResult:
        return batch("run", path, *words, "-m", "a", "-o", tmp_path / "out.csv")

    def quoted() -> tuple[int, int]:
        found = json.loads(batch("quote", path, *words, "-m", "a", "--json").out)
        return found["lines"], found["reused_lines"]

    write_texts("one", "two", "three")
    assert quoted() == (3, 0)
    assert run().code == 0
    assert quoted() == (0, 3)
    stack.provider.calls.clear()
    write_texts("new", "three", "TWO", "one")
    assert quoted() == (2, 2)
    ran = run()
    assert ran.code == 0, ran.err
    assert "2 " in ran.err
    assert "have responses of an earlier run; only the others are sent" in ran.err
    assert set(stack.provider.calls) == {("a", "new"), ("a", "TWO")}
    with (tmp_path / "out.csv").open() as file:
        answers = [row["answer"] for row in csv.DictReader(file)]
    assert answers == ["a: new", "a: three", "a: TWO", "a: one"]
    write_texts("one", "new")
    runs = len(stack.runs)
    ran = run()
    assert ran.code == 0, ran.err
    assert "nothing is sent" in ran.err
    assert len(stack.runs) == runs
    with (tmp_path / "out.csv").open() as file:
        assert [row["answer"] for row in csv.DictReader(file)] == ["a: one", "a: new"]
    assert batch("status", "--json").code == 0


def test_results_of_a_running_job_are_read_from_a_stack(
    batch: Command, stack: CommandStack, tmp_path: Path
) -> None:
    path = tmp_path / "r.csv"
    path.write_text("n,review\n" + "".join(f"{number},text {number}\n" for number in range(50)))
    words = ("run", path, "--column", "review", "-m", "a", "-o", tmp_path / "out.csv")

    async def interrupt(_model: str, text: str) -> None:
        if text == "text 30":
            os.kill(os.getpid(), signal.SIGINT)
            await asyncio.sleep(60)

    stack.provider.before = interrupt
    assert batch(*words).code == 130
    (job,) = stack.runs
    keys = asyncio.run(stack.stores.blobs.keys(f"jobs/{job}/shards/"))
    with pytest.raises(RequestError, match=r"in_progress; .* --partial$"):
        batch("results", job)
    ran = batch("results", job, "--partial")
    assert ran.code == 0, ran.err
    rows = list(csv.DictReader(ran.out.splitlines()))
    assert len(rows) >= 20
    assert [int(row["n"]) for row in rows] == sorted(int(row["n"]) for row in rows)
    assert all(row["answer"] == f"a: {row['review']}" for row in rows)
    again = asyncio.run(stack.stores.blobs.keys(f"jobs/{job}/shards/"))
    assert again == keys, "nothing is merged"


def test_failed_lines_are_reported_and_can_be_retried_in_the_stack(
    batch: Command, stack: CommandStack, tmp_path: Path
) -> None:
    bad = {"y"}

    async def refuse(_model: str, text: str) -> tuple[int, Mapping[str, str]] | None:
        return (400, {}) if text in bad else None

    stack.provider.before = refuse
    ran = batch("run", write(tmp_path, [line("x"), line("y")]))
    assert ran.code == 1
    (job,) = stack.runs
    assert f"to retry them: fanout batch retry {job} --stack S" in ran.err
    (fault,) = (tmp_path / "in.output.errors.jsonl").read_bytes().splitlines()
    assert json.loads(fault)["custom_id"] == "y"
    assert json.loads(batch("results", job, "--errors").out) == json.loads(fault)
    bad.clear()
    output = tmp_path / "again.jsonl"
    assert batch("retry", job, "-o", output).code == 0
    assert texts(output) == {"x": "a: x", "y": "a: y"}
    assert stack.provider.calls["a", "x"] == 1
    listed = json.loads(batch("status", "--json").out)
    assert [one["status"] for one in listed] == ["completed", "completed"]
    assert job[-6:] in batch("status", job).out


def test_ctrl_c_leaves_the_job_running_and_the_same_command_follows_it_again(
    batch: Command, stack: CommandStack, tmp_path: Path
) -> None:
    path = write(tmp_path, [line(name) for name in NAMES])

    async def interrupt(_model: str, _text: str) -> None:
        if sum(stack.provider.calls.values()) == 10:
            os.kill(os.getpid(), signal.SIGINT)
            await asyncio.sleep(60)

    stack.provider.before = interrupt
    ran = batch("run", path)
    assert ran.code == 130
    (job,) = stack.runs
    assert f"`{job}` continues in the stack; to follow it: fanout " in ran.err
    assert f"to cancel it: fanout batch cancel {job} --stack S" in ran.err
    assert not (tmp_path / "in.output.jsonl").exists()
    stack.provider.before = None
    stack.runs.clear()  # its execution has ended as well: a new one resumes the job
    assert batch("run", path).code == 0
    assert stack.runs == [job]
    assert texts(tmp_path / "in.output.jsonl") == {name: f"a: {name}" for name in NAMES}


async def created(stack: CommandStack, path: Path, fanout: BatchOptions | None = None) -> str:
    """A job of this file that is not started."""
    new = NewJob(input_file_id="", endpoint="/v1/chat/completions", fanout=fanout)
    async with stack.open("S", None) as away:
        return (await find_or_create_job(away, PromptFile(path), new, fresh=False)).id


def test_a_job_with_batches_keeps_them_when_it_is_resumed(
    batch: Command, stack: CommandStack, tmp_path: Path
) -> None:
    """Lines that wait for a batch would be paid for twice."""
    path, stack.is_down = write(tmp_path, [line("x")]), True
    asyncio.run(created(stack, path, BatchOptions(lane="auto", native="auto")))
    for words in (["--native", "never"], ["--lane", "realtime"]):
        with pytest.raises(RequestError, match="may have batches at its providers"):
            batch("run", path, *words)
    assert json.loads(batch("status", "--json").out)[0]["fanout"]["native"] == "auto"


def test_a_stack_without_batches_refuses_them_by_the_name_of_the_option(
    batch: Command, stack: CommandStack, tmp_path: Path
) -> None:
    path = write(tmp_path, [line("x")])
    assert json.loads(batch("quote", path, "--json").out)["lanes"].keys() == {"realtime", "native"}
    stack.has_batches = False
    assert json.loads(batch("quote", path, "--json").out)["lanes"].keys() == {"realtime"}
    for action in ("run", "quote"):
        with pytest.raises(RequestError, match="`--native` asks for the providers"):
            batch(action, path, "--native", "auto")
    assert batch("run", path, "--native", "never").code == 0


def test_a_job_without_an_execution_can_be_cancelled(
    batch: Command, stack: CommandStack, tmp_path: Path
) -> None:
    stack.is_down = True
    path = write(tmp_path, [line("x")])

    job = asyncio.run(created(stack, path))
    stack.is_down = False
    assert batch("cancel", job, "--json").code == 0
    assert stack.runs == [job]


def test_text_needs_one_of_the_stacks_models(batch: Command, tmp_path: Path) -> None:
    path = write(tmp_path, [b"Hi"])
    with pytest.raises(RequestError, match="name one of the stack's models"):
        batch("run", path, "--text")
    with pytest.raises(RequestError, match="its own config: leave out --config"):
        batch("run", path, "--text", "-m", "a", "--config", "x.yaml")


def test_a_quote_uses_the_config_that_the_stack_was_deployed_with(
    batch: Command, stack: CommandStack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FANOUT_CONFIG", str(tmp_path / "of-this-machine.yaml"))
    path = write(tmp_path, [line(f"n{i}", "b", max_tokens=100) for i in range(30)])
    ran = batch("quote", path, "--json")
    quote = json.loads(ran.out)
    assert (ran.code, quote["lines"], quote["errors"]) == (0, 30, [])
    assert quote["minutes"] == 30 / 60 / 0.5
    sent = quote["models"]["b"]["tokens_in"]
    assert quote["cost_high"] == pytest.approx(1.6 * sent * 0.001 + 30 * 100 * 0.002)
    assert "30 lines, $" in batch("quote", path).out
    unknown = batch("quote", write(tmp_path, [line("x", "no-such")]), "--json")
    assert unknown.code == 1
    assert json.loads(unknown.out)["errors"][0]["code"] == "model_not_found"
    assert stack.provider.calls == {}
    assert asyncio.run(stack.stores.blobs.keys("")) == []


def test_a_quote_can_use_another_config(
    batch: Command, stack: CommandStack, tmp_path: Path
) -> None:
    stack.config = DeployedConfig(None, "S", None)
    path, config = write(tmp_path, [line("x")]), tmp_path / "other.yaml"
    config.write_text(json.dumps(CONFIG))
    quote = json.loads(batch("quote", path, "--config", config, "--json").out)
    assert (quote["lines"], quote["minutes"]) == (1, None)


def test_the_error_for_a_config_that_cannot_be_read_says_what_to_do(
    batch: Command, stack: CommandStack, s3: Any, tmp_path: Path
) -> None:
    path = write(tmp_path, [line("x")])
    stack.config = DeployedConfig(s3, "S", "s3://assets/gone.json")
    with pytest.raises(
        ConfigError,
        match=r"`S` cannot be read \(NoSuchKey\): get the right to s3:GetObject on "
        "`s3://assets/gone.json`, or say which config it was deployed with: --config FILE",
    ):
        batch("quote", path)
    stack.config = DeployedConfig(s3, "S", None)
    with pytest.raises(ConfigError, match="does not say where its config is: deploy it again, or"):
        batch("quote", path)
