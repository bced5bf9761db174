"""A deployed stack is found by its name, and its jobs, files and config are used from outside."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from fanout.bulk.aws.stack_client import StackResources, StateMachine, connect, find_stack
from fanout.bulk.local.prompt_files import PromptFile
from fanout.bulk.local.prompt_jobs import find_or_create_job
from fanout.bulk.service.new_job import NewJob
from fanout.cli.batch_actions import run_action
from fanout.cli.batch_backend import StackBackend
from fanout.cli.main import make_parser
from fanout.errors import ConfigError
from tests.bulk.aws.conftest import REGION
from tests.bulk.local_jobs import CONFIG, jsonl, line


def client_error(code: str) -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": "no"}}, "Operation")


class FakeCloudFormation:
    """A client that knows the stack `S`."""

    def __init__(self, outputs: dict[str, str]) -> None:
        self._outputs = outputs

    def describe_stacks(self, **what: Any) -> Mapping[str, Any]:
        if what != {"StackName": "S"}:
            raise client_error("ValidationError" if what["StackName"] else "AccessDenied")
        outputs = [{"OutputKey": k, "OutputValue": v} for k, v in self._outputs.items()]
        return {"Stacks": [{"Outputs": outputs}]}


def test_a_stack_is_found_by_its_outputs() -> None:
    outputs = {"JobsBucket": "b", "JobsTable": "t", "JobsMachine": "m", "BaseUrl": "u"}
    assert find_stack(FakeCloudFormation(outputs), "S") == StackResources("b", "t", "m")
    found = find_stack(FakeCloudFormation({**outputs, "JobsConfig": "s3://c/k"}), "S")
    assert found == StackResources("b", "t", "m", "s3://c/k")
    with pytest.raises(ConfigError, match="no stack `T` here: is it another region"):
        find_stack(FakeCloudFormation(outputs), "T")
    with pytest.raises(ConfigError, match="`S` has no jobs"):
        find_stack(FakeCloudFormation({"BaseUrl": "u"}), "S")
    with pytest.raises(ClientError, match="AccessDenied"):
        find_stack(FakeCloudFormation(outputs), "")


class FakeStepFunctions:
    """A client whose pages have one execution each."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self.running: list[str] = []

    def start_execution(self, **what: Any) -> Mapping[str, Any]:
        assert what["stateMachineArn"] == "arn"
        name = what["name"]
        if name in self.names and name not in self.running:
            raise client_error("ExecutionAlreadyExists")
        assert json.loads(what["input"]) == {"job": "j"}
        if name not in self.names:
            self.names.append(name)
            self.running.append(name)
        return {}

    def list_executions(self, **what: Any) -> Mapping[str, Any]:
        assert what["statusFilter"] == "RUNNING"
        start = int(what.get("nextToken", "0"))
        page = [{"name": name} for name in self.running[start : start + 1]]
        more = {"nextToken": str(start + 1)} if start + 1 < len(self.running) else {}
        return {"executions": page, **more}


def test_a_job_has_one_execution_at_a_time() -> None:
    client = FakeStepFunctions()
    client.running.append("other")

    async def main() -> None:
        machine = StateMachine(client, "arn")
        await machine.run("j")
        await machine.run("j")
        assert client.names == ["j"]
        client.running.remove("j")
        await machine.run("j")
        await machine.run("j")
        assert len(client.names) == 2
        assert client.names[1].startswith("j-")

    asyncio.run(main())


def test_any_other_error_of_step_functions_is_raised() -> None:
    class NoAccess(FakeStepFunctions):
        def start_execution(self, **what: Any) -> Mapping[str, Any]:
            raise client_error("AccessDeniedException")

    with pytest.raises(ClientError, match="AccessDenied"):
        asyncio.run(StateMachine(NoAccess(), "arn").run("j"))


OUTPUTS = {"JobsBucket": "jobs", "JobsTable": "records", "JobsMachine": "arn"}


@asynccontextmanager
async def opened(**outputs: str) -> AsyncIterator[StackBackend]:
    """The stack `S`, with more outputs."""
    cloud_formation = FakeCloudFormation(OUTPUTS | outputs)
    service, stores, machine, config = connect("S", REGION, cloud_formation)
    yield StackBackend("S", service, stores.table, machine.run, config.catalog)


@pytest.mark.usefixtures("s3", "table")
@pytest.mark.parametrize(("outputs", "days"), [({"JobsFileDays": "45"}, 45), ({}, 30)])
def test_files_expire_after_as_many_days_as_those_that_are_sent_to_the_api(
    tmp_path: Path, outputs: dict[str, str], days: int
) -> None:
    path = tmp_path / "in.jsonl"
    path.write_bytes(jsonl([line("x")]))

    async def main() -> None:
        async with opened(**outputs) as away:
            new = NewJob(input_file_id="", endpoint="/v1/chat/completions")
            job = await find_or_create_job(away, PromptFile(path), new, fresh=False)
            file = await away.files.find(job.input_file_id, "master")
            assert file.expires_at == file.created_at + days * 24 * 3600

    asyncio.run(main())


@pytest.mark.usefixtures("table")
def test_a_quote_uses_the_config_at_the_address_in_the_outputs(
    s3: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = json.dumps({"config": CONFIG, "environment": {}})
    s3.put_object(Bucket="jobs", Key="cdk/config.json", Body=file)
    path = tmp_path / "in.jsonl"
    path.write_bytes(jsonl([line("x")]))
    arguments = make_parser().parse_args(["batch", "quote", str(path), "--json", "--stack", "S"])
    address = "s3://jobs/cdk/config.json"
    assert run_action(arguments, lambda _stack, _region: opened(JobsConfig=address)) == 0
    quoted = json.loads(capsys.readouterr().out)
    assert (quoted["lines"], list(quoted["models"])) == (1, ["a"])
    assert quoted["cost_low"] > 0
