"""A deployed stack, found by its name: its outputs, its machine, its files, its config."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from fanout.bulk.aws.stack_client import Deployed, Machines, find_stack, open_deployed
from fanout.bulk.local.prompt_files import Prompts, find_or_create
from fanout.bulk.service.batches import NewJob
from fanout.cli.batch_actions import act
from fanout.cli.batch_backend import Away
from fanout.cli.main import make_parser
from fanout.errors import ConfigError
from tests.bulk.aws.conftest import REGION
from tests.bulk.local_jobs import CONFIG, jsonl, line


def fault(code: str) -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": "no"}}, "Operation")


class Formation:
    """CloudFormation's client, as far as it is used."""

    def __init__(self, outputs: dict[str, str]) -> None:
        self._outputs = outputs

    def describe_stacks(self, **what: Any) -> Mapping[str, Any]:
        if what != {"StackName": "S"}:
            raise fault("ValidationError" if what["StackName"] else "AccessDenied")
        outputs = [{"OutputKey": k, "OutputValue": v} for k, v in self._outputs.items()]
        return {"Stacks": [{"Outputs": outputs}]}


def test_a_stack_is_found_by_its_outputs() -> None:
    outputs = {"JobsBucket": "b", "JobsTable": "t", "JobsMachine": "m", "BaseUrl": "u"}
    assert find_stack(Formation(outputs), "S") == Deployed("b", "t", "m")
    told = find_stack(Formation({**outputs, "JobsConfig": "s3://c/k"}), "S")
    assert told == Deployed("b", "t", "m", "s3://c/k")
    with pytest.raises(ConfigError, match="no stack `T` here: is it another region"):
        find_stack(Formation(outputs), "T")
    with pytest.raises(ConfigError, match="`S` has no jobs"):
        find_stack(Formation({"BaseUrl": "u"}), "S")
    with pytest.raises(ClientError, match="AccessDenied"):
        find_stack(Formation(outputs), "")


class States:
    """Step Functions' client, as far as it is used; a page holds one execution."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self.running: list[str] = []

    def start_execution(self, **what: Any) -> Mapping[str, Any]:
        assert what["stateMachineArn"] == "arn"
        name = what["name"]
        if name in self.names and name not in self.running:
            raise fault("ExecutionAlreadyExists")
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
    states = States()
    states.running.append("other")

    async def main() -> None:
        machines = Machines(states, "arn")
        await machines.run("j")
        await machines.run("j")
        assert states.names == ["j"]
        states.running.remove("j")
        await machines.run("j")
        await machines.run("j")
        assert len(states.names) == 2
        assert states.names[1].startswith("j-")

    asyncio.run(main())


def test_another_fault_of_the_machine_is_told() -> None:
    class Closed(States):
        def start_execution(self, **what: Any) -> Mapping[str, Any]:
            raise fault("AccessDeniedException")

    with pytest.raises(ClientError, match="AccessDenied"):
        asyncio.run(Machines(Closed(), "arn").run("j"))


# ---- over AWS ----


OUTPUTS = {"JobsBucket": "jobs", "JobsTable": "records", "JobsMachine": "arn"}


@asynccontextmanager
async def opened(**outputs: str) -> AsyncIterator[Away]:
    """The stack `S`, which also says this."""
    bulk, stores, machines, published = open_deployed("S", REGION, Formation(OUTPUTS | outputs))
    yield Away("S", bulk, stores.table, machines.run, published.catalog)


@pytest.mark.usefixtures("s3", "table")
@pytest.mark.parametrize(("told", "days"), [({"JobsFileDays": "45"}, 45), ({}, 30)])
def test_files_go_after_as_many_days_as_those_that_come_by_http(
    tmp_path: Path, told: dict[str, str], days: int
) -> None:
    path = tmp_path / "in.jsonl"
    path.write_bytes(jsonl([line("x")]))

    async def main() -> None:
        async with opened(**told) as away:
            asked = NewJob(input_file_id="", endpoint="/v1/chat/completions")
            job = await find_or_create(away, Prompts(path), asked, fresh=False)
            file = await away.files.find(job.input_file_id, "master")
            assert file.expires_at == file.created_at + days * 24 * 3600

    asyncio.run(main())


def test_a_quote_is_by_the_config_where_the_outputs_say_it_is(
    s3: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    said = json.dumps({"config": CONFIG, "environment": {}})
    s3.put_object(Bucket="jobs", Key="cdk/config.json", Body=said)
    path = tmp_path / "in.jsonl"
    path.write_bytes(jsonl([line("x")]))
    arguments = make_parser().parse_args(["batch", "quote", str(path), "--json", "--stack", "S"])
    where = "s3://jobs/cdk/config.json"
    assert act(arguments, lambda _stack, _region: opened(JobsConfig=where)) == 0
    quoted = json.loads(capsys.readouterr().out)
    assert (quoted["lines"], list(quoted["models"])) == (1, ["a"])
    assert quoted["cost_low"] > 0
