"""`checkpoint="run.jsonl"`: what has been received is stored, and not requested again."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

import fanout
from tests.library.ways import HI, Way, at, content, says
from tests.support.provider_steps import answers, refuse
from tests.support.scripted_provider import Call, Upstream


def run(call: Way, upstream: Upstream, conversations: Any, path: Path, **options: Any) -> Any:
    """The function, storing its responses in `path`."""
    given = {"num_retries": 0, "checkpoint": path, **at(upstream), **options}
    return call("batch_completion", "openai/m", conversations, **given)


async def echo(call: Call) -> None:
    """Answer with the prompt; reject prompts that begin with `fail`."""
    prompt = call.body["messages"][-1]["content"]
    script = [refuse(400, "no")] if prompt.startswith("fail") else answers(prompt)
    for step in script:
        await step(call)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A file that is not there yet."""
    return tmp_path / "run.jsonl"


def prompts(upstream: Upstream) -> list[str]:
    """The prompts that the provider was sent."""
    return [one.body["messages"][-1]["content"] for one in upstream.calls]


def test_a_second_run_sends_only_what_is_missing(upstream: Upstream, call: Way, path: Path) -> None:
    upstream.script("m", [echo])
    first = run(call, upstream, [says("a"), says("fail b"), says("c")], path)
    assert [content(one) for one in (first[0], first[2])] == ["a", "c"]
    assert isinstance(first[1], fanout.Rejected)
    upstream.calls.clear()
    second = run(call, upstream, [says("d"), says("c"), says("fail b"), says("a")], path)
    assert sorted(prompts(upstream)) == ["d", "fail b"]
    assert [content(one) for one in (second[0], second[1], second[3])] == ["d", "c", "a"]
    assert second[1] == first[2]


def test_equal_prompts_are_each_sent_once(upstream: Upstream, call: Way, path: Path) -> None:
    upstream.script("m", answers("1"), answers("2"), answers("3"))
    first = run(call, upstream, [HI, HI], path, max_workers=1)
    second = run(call, upstream, [HI, HI, HI], path, max_workers=1)
    assert [content(one) for one in (*first, *second)] == ["1", "2", "1", "2", "3"]
    assert len(upstream.calls) == 3


@pytest.mark.parametrize("change", [{"temperature": 0.5}, {"api_base": "/other"}])
def test_another_option_is_another_request(
    upstream: Upstream, call: Way, path: Path, change: dict[str, Any]
) -> None:
    upstream.script("m", [echo])
    run(call, upstream, [HI], path)
    if "api_base" in change:
        change = {"api_base": f"{upstream.url}/v1/"}
    run(call, upstream, [HI], path, **change)
    assert len(upstream.calls) == 2
    run(call, upstream, [HI], path, timeout=30, num_retries=1, api_key="another", max_workers=3)
    assert len(upstream.calls) == 2


def test_the_file_is_private_and_holds_no_key(upstream: Upstream, call: Way, path: Path) -> None:
    upstream.script("m", [echo])
    run(call, upstream, [says("a prompt")], path)
    assert path.stat().st_mode & 0o777 == 0o600
    (line,) = path.read_text().splitlines()
    entry = json.loads(line)
    assert entry.keys() == {"key", "response"}
    assert entry["response"]["choices"][0]["message"]["content"] == "a prompt"
    assert "sk-test" not in line


def test_a_line_that_a_crash_cut_off_is_requested_again(
    upstream: Upstream, call: Way, path: Path
) -> None:
    upstream.script("m", [echo])
    run(call, upstream, [says("a"), says("b")], path, max_workers=1)
    whole = path.read_bytes()
    path.write_bytes(whole[:-20])
    upstream.calls.clear()
    found = run(call, upstream, [says("a"), says("b")], path)
    assert [content(one) for one in found] == ["a", "b"]
    assert prompts(upstream) == ["b"]
    assert path.read_bytes().splitlines()[0] == whole.splitlines()[0]
    assert len(path.read_bytes().splitlines()) == 2


@pytest.mark.parametrize("text", ["not json\n", '{"key": 1}\n', "[]\n", '"a string"\n'])
def test_another_kind_of_file_is_an_error_and_stays_as_it_is(
    upstream: Upstream, call: Way, path: Path, text: str
) -> None:
    path.write_text(text)
    with pytest.raises(fanout.CheckpointError, match="line 1 is not a stored response"):
        run(call, upstream, [HI], path)
    assert path.read_text() == text
    assert upstream.calls == []


def test_a_path_that_cannot_be_written_is_an_error_before_the_first_call(
    upstream: Upstream, call: Way, tmp_path: Path
) -> None:
    with pytest.raises(fanout.CheckpointError, match="No such file or directory"):
        run(call, upstream, [HI], tmp_path / "missing" / "run.jsonl")
    assert upstream.calls == []


def test_a_file_that_another_call_is_using_is_an_error(
    upstream: Upstream, call: Way, path: Path
) -> None:
    seen: list[Any] = []

    async def again(step: Call) -> None:
        from asyncio import to_thread

        with pytest.raises(fanout.CheckpointError, match="another call is using it") as raised:
            await to_thread(fanout.batch_completion, "openai/m", [HI], checkpoint=path)
        seen.append(raised.value)
        for each in answers("A"):
            await each(step)

    upstream.script("m", [again])
    assert content(run(call, upstream, [HI], path)[0]) == "A"
    assert len(seen) == 1


FULL_DISK = """
import json, resource, signal, sys
import fanout
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (1_500, 1_500))  # as a full disk, with EFBIG
conversations = [[{"role": "user", "content": f"{n} " + "x" * 300}] for n in range(6)]
try:
    fanout.batch_completion("openai/m", conversations, checkpoint=sys.argv[2], max_workers=1,
                            api_base=sys.argv[1], api_key="k")
except fanout.CheckpointError as error:
    texts = [one.choices[0].message.content for one in error.responses]
    print(json.dumps([str(error), texts == [one[0]["content"] for one in conversations]]))
"""


def test_a_full_disk_is_an_error_that_holds_every_response(upstream: Upstream, path: Path) -> None:
    upstream.script("m", [echo])
    done = subprocess.run(  # noqa: S603 -- a process of its own: the limit is for all its files
        [sys.executable, "-c", FULL_DISK, f"{upstream.url}/v1", str(path)],
        capture_output=True,
        text=True,
        check=True,
    )
    message, complete = json.loads(done.stdout)
    assert "File too large" in message
    assert complete
    stored = [json.loads(line) for line in path.read_text().splitlines()]
    assert 0 < len(stored) < 6


def test_an_iterator_of_conversations_may_be_stored(
    upstream: Upstream, call: Way, path: Path
) -> None:
    upstream.script("m", [echo])
    names = ["a", "b", "c"]
    for _ in range(2):
        found = run(call, upstream, (says(name) for name in names), path)
        assert [content(one) for one in found] == names
    assert len(upstream.calls) == 3


def test_parsed_responses_are_parsed_again_and_those_that_do_not_fit_are_sent_again(
    upstream: Upstream, call: Way, path: Path
) -> None:
    class Person(BaseModel):
        name: str

    upstream.script("m", answers('{"name": "Ada"}'), answers("no"), answers('{"name": "Bob"}'))
    options: dict[str, Any] = {"response_format": Person, "max_workers": 1}
    first = run(call, upstream, [says("a"), says("b")], path, **options)
    assert isinstance(first[1], fanout.SchemaMismatch)
    second = run(call, upstream, [says("a"), says("b")], path, **options)
    assert [one.choices[0].message.parsed.name for one in second] == ["Ada", "Bob"]
    assert len(upstream.calls) == 3


def test_a_wrong_conversation_fails_in_its_place(upstream: Upstream, call: Way, path: Path) -> None:
    upstream.script("m", [echo])
    wrong: list[Any] = [[], [{"role": "user", "content": object()}], [{"role": "x" + chr(0xD800)}]]
    found = run(call, upstream, [*wrong, says("a")], path)
    assert [isinstance(one, fanout.RequestError) for one in found] == [True, True, True, False]
    assert len(path.read_text().splitlines()) == 1


def test_a_stream_cannot_be_stored(call: Way, path: Path) -> None:
    with pytest.raises(fanout.RequestError, match="leave out `stream`"):
        call("batch_completion", "openai/m", [HI], checkpoint=path, stream=True)
    assert not path.exists()
