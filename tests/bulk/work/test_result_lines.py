"""Lines of the output: their shapes, and which stored lines are whole results."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from fanout.bulk.local.file_store import FolderBlobStore
from fanout.bulk.local.shard_results import FolderResultStore
from fanout.bulk.work.result_lines import (
    error_line,
    read_result,
    response_line,
    skipped_line,
)
from fanout.errors import DeadlineExceeded, UnknownModel
from tests.bulk.damaged_lines import check_damage_stays_local, shard_lines, whole_line
from tests.bulk.local_jobs import run


def test_a_response_is_written_as_openais_output_line() -> None:
    assert json.loads(response_line("one", "req_1", {"object": "chat.completion"})) == {
        "id": "batch_req_1",
        "custom_id": "one",
        "response": {
            "status_code": 200,
            "body": {"object": "chat.completion"},
            "request_id": "req_1",
        },
        "error": None,
    }


def test_a_rejected_request_has_a_response_with_its_status() -> None:
    result = json.loads(error_line("one", "req_1", UnknownModel("no such model", "model"))[0])
    error = {"message": "no such model", "type": "invalid_request_error"}
    assert result["error"] is None
    assert result["response"]["status_code"] == 404
    assert result["response"]["body"]["error"] == error | {
        "param": "model",
        "code": "model_not_found",
    }


def test_a_missed_deadline_has_an_error_and_no_response() -> None:
    result = json.loads(error_line("one", "req_1", DeadlineExceeded("too late"))[0])
    assert result["response"] is None
    assert result["error"] == {"code": "request_timeout", "message": "too late"}


def test_a_bug_is_a_500_without_its_message() -> None:
    line, _ = error_line("one", "req_1", ValueError("the prompt was: secret"))
    assert json.loads(line)["response"]["status_code"] == 500
    assert b"secret" not in line


def test_a_line_that_never_ran_has_the_reason() -> None:
    result = json.loads(skipped_line("one", "req_1", "batch_expired", "too late"))
    assert result["response"] is None
    assert result["error"] == {"code": "batch_expired", "message": "too late"}


@pytest.mark.parametrize("failed", [False, True])
def test_a_whole_result_is_read_and_no_part_of_it_is(failed: bool) -> None:  # noqa: FBT001
    line = whole_line("one", failed=failed)
    result = read_result(line, failed=failed)
    assert result is not None
    assert (result.custom_id, result.error is None) == ("one", not failed)
    assert not any(read_result(line[:cut], failed=failed) for cut in range(len(line)))
    assert read_result(line, failed=not failed) is None


def test_damaged_lines_affect_only_themselves(tmp_path: Path) -> None:
    async def main() -> None:
        results = FolderResultStore(FolderBlobStore(tmp_path), "job")
        shard = await results.open(0)
        for failed in (False, True):
            for one in shard_lines(failed=failed):
                await shard.put(one, failed=failed)
        await check_damage_stays_local(shard)
        await shard.close()

    run(main())
