"""Virtual keys over HTTP: managed with LiteLLM's calls, used with the official SDKs."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from time import sleep
from typing import Any
from urllib.parse import quote

import openai
import pytest

from fanout.aws.credentials import AWSSigner
from fanout.errors import StorageBusy
from fanout.keys.opening import TABLE_VARIABLE, open_local, open_table
from fanout.keys.secrets import RANDOM, check_characters
from fanout.keys.sqlite_store import SQLiteStore
from fanout.wire import json
from tests.support.dynamodb_engine import ENV, DynamoDBEngine, keys_table
from tests.support.embedding_provider import embeds
from tests.support.gateway_server import RunningGateway, entry, serve
from tests.support.provider_steps import answers, cut, raw, refuse, reply, reset, role, say, stalls
from tests.support.scripted_provider import Call, Step, Upstream

MASTER = "sk-master-marker"
APP = "sk-app-of-the-config"
PRICE = 0.001  # dollars for a token
HI: Any = [{"role": "user", "content": "Hi"}]
ADMIN = {"authorization": f"Bearer {MASTER}"}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="module")
def gateway(provider: Upstream, home: Path) -> Iterator[RunningGateway]:
    prices: dict[str, Any] = {"input_cost_per_token": PRICE, "output_cost_per_token": PRICE}
    config = {
        "model_list": [
            *(entry(provider, name, **prices) for name in ("a", "b")),
            entry(provider, "unpriced"),
            entry(provider, "slow", timeout=0.2, **prices),
            entry(provider, "claude", "anthropic/claude-x", **prices),
        ],
        "router_settings": {"num_retries": 0},
        "general_settings": {"master_key": MASTER, "keys": [{"name": "app", "key": APP}]},
    }
    opened = partial(open_local, {"FANOUT_HOME": str(home)})
    with serve(config, virtual_keys=opened) as served:
        yield served


@pytest.fixture(autouse=True)
def willing(upstream: Upstream) -> None:
    for name in ("a", "b", "unpriced"):
        upstream.script(name, answers("one two three"))


def manage(gateway: RunningGateway, path: str, body: object = None, **headers: str) -> Any:
    status, _, answer = gateway.json(
        body, path, "GET" if body is None else "POST", headers or ADMIN
    )
    return answer if status == 200 else (status, answer["error"]["code"])


def bearer(key: str) -> dict[str, str]:
    return {"authorization": f"Bearer {key}"}


def client(gateway: RunningGateway, key: str) -> openai.OpenAI:
    return openai.OpenAI(api_key=key, base_url=f"{gateway.url}/v1", max_retries=0)


def spent(gateway: RunningGateway, key: str) -> tuple[float, float]:
    info = manage(gateway, f"/key/info?key={key}")["info"]
    return info["spend"], info["reserved"]


def test_a_key_is_made_used_and_charged(gateway: RunningGateway, home: Path) -> None:
    asked = {
        "key_alias": "first",
        "models": ["a"],
        "max_budget": 1,
        "budget_duration": "30d",
        "duration": "1h",
        "metadata": {"team": "red"},
        "tags": ["t"],
        "aliases": {},
        "permissions": {},
    }
    made = manage(gateway, "/key/generate", asked)
    key = made["key"]
    assert key.startswith("sk-fo_")
    assert check_characters(key[6 : 6 + RANDOM]) == key[6 + RANDOM :]
    assert made["token"] == made["token_id"]
    assert {name: made[name] for name in ("key_alias", "models", "max_budget", "metadata")} == {
        "key_alias": "first",
        "models": ["a"],
        "max_budget": 1.0,
        "metadata": {"team": "red"},
    }
    with client(gateway, key) as sdk:
        raw = sdk.chat.completions.with_raw_response.create(
            model="a",
            messages=HI,
            max_tokens=50,
        )
        assert raw.parse().choices[0].message.content == "one two three"
        assert float(raw.headers["x-litellm-response-cost"]) == 12 * PRICE
        assert raw.headers["x-fanout-cost"] == "0.012000000"
        stream = sdk.chat.completions.create(
            model="a",
            messages=HI,
            max_tokens=50,
            stream=True,
        )
        assert len(list(stream)) > 1
        assert spent(gateway, key) == (24 * PRICE, 0.0)
        options: Any = {"include_usage": True}
        with sdk.chat.completions.with_streaming_response.create(
            model="a", messages=HI, max_tokens=50, stream=True, stream_options=options
        ) as whole:
            *_, usage, comment, done = whole.read().decode().strip().split("\n\n")
        assert json.decode(usage.removeprefix("data: ").encode())["usage"]["cost"] == 12 * PRICE
        assert (comment, done) == (": x-fanout-cost: 0.012000000", "data: [DONE]")
        assert [one.id for one in sdk.models.list()] == ["a"]
    own = gateway.json(None, "/key/info", "GET", bearer(key))[2]
    assert own["info"]["spend"] == 0.036
    assert own["info"]["total_spend"] == 0.036
    assert key not in (home / "keys.sqlite-wal").read_bytes().decode("latin-1")
    assert key not in str([*gateway.observer.requests, *gateway.observer.attempts])
    database = sqlite3.connect(home / "keys.sqlite")
    rows = database.execute("SELECT value FROM items WHERE partition LIKE 'spend#%'").fetchall()
    database.close()
    assert len(rows) == 3
    assert all(b'"settled"' in row and b"one two" not in row for (row,) in rows)


def test_every_refusal_has_its_status_and_what_to_do(
    gateway: RunningGateway, upstream: Upstream
) -> None:
    def key(**fields: Any) -> str:
        made: str = manage(gateway, "/key/generate", fields)["key"]
        return made

    cheap: dict[str, Any] = {"model": "a", "messages": HI, "max_tokens": 8}
    blocked, expired = key(), key(duration="1s")
    manage(gateway, "/key/block", {"key": blocked})
    manage(gateway, "/key/update", {"key": expired, "duration": "1s"})
    limited = key(rpm_limit=1)
    assert gateway.json(cheap, headers=bearer(limited))[0] == 200
    cases = {
        "unknown": ("sk-unknown-key-marker", cheap, 401, "invalid_api_key"),
        "blocked": (blocked, cheap, 401, "invalid_api_key"),
        "model": (key(models=["b"]), cheap, 403, "model_not_allowed"),
        "budget": (key(max_budget=0.001), cheap, 402, "budget_exceeded"),
        "rate": (limited, cheap, 429, "rate_limit_exceeded"),
        "tokens": (key(tpm_limit=5), cheap, 400, "tokens_exceed_limit"),
        "price": (key(max_budget=1), {**cheap, "model": "unpriced"}, 403, "model_without_price"),
        "no model": (key(max_budget=1), {**cheap, "model": "x"}, 404, "model_not_found"),
        "job": (key(), None, 403, "batches_not_allowed"),
        "management": (key(key_type="management"), cheap, 403, "model_not_allowed"),
    }
    found, answers_of = {}, {}
    for name, (used, body, *_) in cases.items():
        path = "/v1/batches" if name == "job" else "/v1/chat/completions"
        status, headers, answer = gateway.json(body or {}, path, headers=bearer(used))
        found[name] = [status, answer["error"]["code"]]
        answers_of[name] = headers, answer["error"]["message"]
        assert used not in str(answer)
    assert found == {name: [*expected] for name, (_, _, *expected) in cases.items()}
    assert answers_of["unknown"][1] == answers_of["blocked"][1]
    assert answers_of["budget"][0]["x-should-retry"] == "false"
    assert answers_of["budget"][1].startswith("Budget has been exceeded")
    rate = answers_of["rate"][0]
    assert 1 <= int(rate["retry-after"]) <= 60
    assert (rate["x-ratelimit-limit-requests"], rate["x-ratelimit-remaining-requests"]) == (
        "1",
        "0",
    )
    busy = bearer(key(max_parallel_requests=1))
    upstream.script("b", stalls(role, say("one")))
    with gateway.ask({**cheap, "model": "b", "stream": True}, headers=busy) as response:
        assert response.readline()
        status, headers, answer = gateway.json(cheap, headers=busy)
        assert (status, answer["error"]["code"]) == (429, "parallel_limit_exceeded")
        assert headers["retry-after"] == "2"
    for name in ("rpm_limit", "tpm_limit", "max_parallel_requests"):
        status, _, answer = gateway.json({name: 0}, "/key/generate", headers=ADMIN)
        assert (status, answer["error"]["param"]) == (400, name)
        assert "`blocked: true`" in answer["error"]["message"]
    assert gateway.json({**cheap, "model": "unpriced"}, headers=bearer(key()))[0] == 200
    some, vectors = bearer(key(models=["b"], max_budget=1)), {"model": "unpriced", "input": "x"}
    status, _, answer = gateway.json(vectors, "/v1/embeddings", headers=some)
    assert (status, answer["error"]["code"]) == (403, "model_not_allowed")
    cheap["model"] = "claude"
    status, _, answer = gateway.json(cheap, "/v1/messages", headers=bearer(cases["budget"][0]))
    assert (status, answer["type"], answer["error"]["type"]) == (402, "error", "billing_error")


def test_a_fan_out_is_one_reservation_for_the_sum_and_failures_are_free(
    gateway: RunningGateway, upstream: Upstream
) -> None:
    key = manage(gateway, "/key/generate", {"max_budget": 0.2})["key"]
    body: dict[str, Any] = {"model": ["a", "b"], "messages": HI, "max_tokens": 50}
    body["fanout"] = {"mode": "all"}
    status, headers, _ = gateway.json(body, headers=bearer(key))
    assert (status, headers["x-fanout-cost"]) == (200, "0.024000000")
    upstream.script("b", [refuse(500)])
    assert gateway.json(body, headers=bearer(key))[1]["x-fanout-cost"] == "0.012000000"
    upstream.script("a", [refuse(500)])
    assert gateway.json(body, headers=bearer(key))[0] == 502
    assert spent(gateway, key) == (0.036, 0.0)
    body["max_tokens"] = 90
    assert gateway.json(body, headers=bearer(key))[2]["error"]["code"] == "budget_exceeded"


def test_every_endpoint_and_mode_is_charged(gateway: RunningGateway, upstream: Upstream) -> None:
    """What the calls to the provider cost, each 12 tokens, is what the key has spent."""
    upstream.script("claude-x", answers("one"))
    key = manage(gateway, "/key/generate", {"max_budget": 100})["key"]
    chat = {"messages": HI, "max_tokens": 20}
    requests: dict[str, tuple[str, dict[str, Any]]] = {
        "messages": ("/v1/messages", {**chat, "model": "claude"}),
        "messages, streamed": ("/v1/messages", {**chat, "model": "claude", "stream": True}),
        "translated": ("/v1/messages", {**chat, "model": "a"}),
        "responses": ("/v1/responses", {"model": "a", "input": "Hi"}),
        "azure": ("/openai/deployments/a/chat/completions", chat),
        "agree": (
            "/v1/chat/completions",
            {**chat, "fanout": {"mode": "agree", "models": ["a", "b"]}},
        ),
        "judge": (
            "/v1/chat/completions",
            {**chat, "fanout": {"mode": "best", "models": ["a", "b"], "judge": "a"}},
        ),
        "merge": (
            "/v1/chat/completions",
            {
                **chat,
                "stream": True,
                "fanout": {"mode": "merge", "models": ["a", "b"], "judge": "b"},
            },
        ),
        "list": ("/v1/chat/completions", {**chat, "model": "a", "messages": [HI, HI]}),
    }
    found, expected = {}, {}
    for name, (path, body) in requests.items():
        before, calls = spent(gateway, key)[0], len(upstream.calls)
        with gateway.ask(body, path, headers=bearer(key)) as response:
            response.read()
            found[name] = (response.status, round((spent(gateway, key)[0] - before) / PRICE))
        expected[name] = (200, 12 * (len(upstream.calls) - calls))
    assert found == expected
    assert spent(gateway, key)[1] == 0
    upstream.script("a", [embeds("openai")])
    _, headers, _ = gateway.json(
        {"model": "a", "input": ["x", "y"]}, "/v1/embeddings", headers=bearer(key)
    )
    assert headers["x-fanout-cost"] == "0.006000000"  # the usage of the response


def test_an_error_has_the_cost_of_its_calls(gateway: RunningGateway, upstream: Upstream) -> None:
    upstream.script("a", stalls())
    key = manage(gateway, "/key/generate", {})["key"]
    for stream in (False, True):
        before = spent(gateway, key)[0]
        body = {"model": "a", "messages": HI, "timeout": 0.1, "stream": stream}
        status, headers, _ = gateway.json(body, headers=bearer(key))
        cost = spent(gateway, key)[0] - before
        assert status == 504
        assert float(headers["x-fanout-cost"]) == pytest.approx(cost)
        assert cost > 0


def test_each_call_that_may_be_billed_costs_its_prompt_and_a_rejected_one_nothing(
    gateway: RunningGateway, upstream: Upstream
) -> None:
    """However the calls are made: with retries, fallbacks, or in a fan-out."""
    key = manage(gateway, "/key/generate", {})["key"]
    part = b'HTTP/1.1 200 OK\r\ncontent-length: 500\r\ncontent-type: application/json\r\n\r\n{"id'
    broken, upstream_cut = [raw(part), cut], [role, say("one"), cut]
    upstream.script("b", [refuse(500)])
    upstream.script("slow", stalls())
    body: dict[str, Any] = {"messages": HI, "max_tokens": 20}
    both = {**body, "model": ["a", "b"]}
    cases: dict[str, tuple[dict[str, Any], list[Any], int]] = {
        "cut": ({**body, "model": "a"}, broken, 1),
        "cut thrice": ({**body, "model": "a", "num_retries": 2}, broken, 3),
        "fallback": ({**body, "model": "a", "fallbacks": ["b"]}, broken, 1),
        "all": ({**both, "fanout": {"mode": "all"}}, broken, 1),
        "race": ({**both, "fanout": {"mode": "race"}}, upstream_cut, 1),
        "agree": ({**both, "fanout": {"mode": "agree"}}, upstream_cut, 1),
        "not in its format": ({**body, "model": "a"}, [reply(200, b"<p>")], 1),
        "late": ({**body, "model": "slow"}, broken, 1),
        "late, streamed": ({**body, "model": "slow", "stream": True}, broken, 1),
        "rejected": ({**body, "model": "b", "num_retries": 2}, broken, 0),
        "no response": ({**body, "model": "a"}, [reset], 0),
    }
    found: dict[str, tuple[float, float]] = {}
    for name, (asked, script, _) in cases.items():
        upstream.script("a", script)
        before = spent(gateway, key)[0]
        headers = gateway.json(asked, headers=bearer(key))[1]
        cost = spent(gateway, key)[0] - before
        found[name] = (round(cost / PRICE), round(float(headers["x-fanout-cost"]) / PRICE))
    prompt = found["cut"][0]
    assert prompt > 0
    text = dict.fromkeys(("race", "agree"), 1)  # the tokens that were received before the cut
    assert found == {
        name: (prompt * calls + text.get(name, 0),) * 2 for name, (_, _, calls) in cases.items()
    }
    assert spent(gateway, key)[1] == 0
    upstream.script("a", answers("one two three"))
    late = {**body, "model": "slow", "fallbacks": ["a"]}
    cost = float(gateway.json(late, headers=bearer(key))[1]["x-fanout-cost"]) / PRICE
    assert round(cost) == prompt + 12


def test_calls_without_usage_cost_what_their_texts_have(
    gateway: RunningGateway, upstream: Upstream
) -> None:
    """Each conversation of a list has its own size, and a long response is no short one."""
    message = {"role": "assistant", "content": "word " * 4_000}
    choice = {"index": 0, "finish_reason": "stop", "message": message}
    whole = {
        "id": "1",
        "object": "chat.completion",
        "created": 1,
        "model": "a",
        "choices": [choice],
    }
    upstream.script("a", [reply(200, json.encode(whole), {"content-type": "application/json"})])
    key = manage(gateway, "/key/generate", {})["key"]
    long: Any = [{"role": "user", "content": "word " * 3_000}]
    body: dict[str, Any] = {"model": "a", "messages": [HI, long], "max_tokens": 5_000}
    cost = float(gateway.json(body, headers=bearer(key))[1]["x-fanout-cost"]) / PRICE
    assert 0.8 * 11_000 < cost < 1.3 * 11_000


def test_files_obey_the_type_the_rate_and_the_budget_of_a_key(gateway: RunningGateway) -> None:
    cases = {
        "read_only": ({"key_type": "read_only"}, (403, "key_not_allowed")),
        "management": ({"key_type": "management"}, (403, "key_not_allowed")),
        "no budget": ({"max_budget": 0}, (402, "budget_exceeded")),
        "one request": ({"rpm_limit": 1}, (429, "rate_limit_exceeded")),
    }
    found = {}
    for name, (fields, _) in cases.items():
        key = manage(gateway, "/key/generate", fields)["key"]
        answers_of = [manage(gateway, "/v1/files", {}, **bearer(key)) for _ in range(2)]
        found[name] = answers_of[-1]
        assert spent(gateway, key) == (0, 0)
        if name == "one request":
            assert answers_of[0] == (404, "not_found")  # this gateway has no files
    assert found == {name: expected for name, (_, expected) in cases.items()}


def test_a_key_that_has_spent_more_than_its_budget_reads_its_files(
    gateway: RunningGateway,
) -> None:
    chat = {"model": "a", "messages": HI, "max_tokens": 8}
    key = manage(gateway, "/key/generate", {"max_budget": 1})["key"]
    assert gateway.json(chat, headers=bearer(key))[0] == 200
    manage(gateway, "/key/update", {"key": key, "max_budget": 0.001})
    assert gateway.json(chat, headers=bearer(key))[0] == 402
    for path in ("/v1/files", "/v1/files/file-1/content"):
        assert manage(gateway, path, **bearer(key)) == (404, "not_found")  # it has no files
    assert manage(gateway, "/v1/files", {}, **bearer(key)) == (402, "budget_exceeded")


def test_a_stream_that_its_client_leaves_is_charged_for_what_was_sent(
    gateway: RunningGateway, upstream: Upstream
) -> None:
    key = manage(gateway, "/key/generate", {"max_budget": 1})["key"]
    upstream.script("a", stalls(role, say("one two three four five six seven eight nine ten")))
    body = {"model": "a", "messages": HI, "max_tokens": 100, "stream": True}
    gateway.observer.clear()
    with gateway.ask(body, headers=bearer(key)) as response:
        while b"three" not in response.readline():
            pass
        assert spent(gateway, key)[1] > 0.1
    gateway.observer.wait_for_status(499)
    cost, reserved = spent(gateway, key)
    assert reserved == 0
    assert 10 * PRICE <= cost <= 30 * PRICE  # the prompt, and ten words


def test_keys_are_managed_with_litellms_calls(gateway: RunningGateway) -> None:
    chat = {"model": "a", "messages": HI, "max_tokens": 8}
    key = manage(gateway, "/key/generate", {"key_alias": "mine", "max_budget": 0.02})["key"]
    assert manage(gateway, "/key/generate", {"key_alias": "mine"}) == (400, "alias_exists")
    other = manage(gateway, "/key/generate", {"key": "sk-my-own-key-of-litellm"})["key"]
    assert other == "sk-my-own-key-of-litellm"
    assert manage(gateway, "/key/generate", {"key": other}) == (400, "key_exists")
    assert gateway.json(chat, headers=bearer(key))[0] == 200
    assert gateway.json(chat, headers=bearer(key))[0] == 402
    changed = manage(gateway, "/key/update", {"key": key, "max_budget": 0.04, "rpm_limit": 100})
    assert (changed["spend"], changed["rpm_limit"]) == (0.012, 100)
    assert gateway.json(chat, headers=bearer(key))[0] == 200
    token = changed["key"]
    assert manage(gateway, f"/key/{token}/reset_spend", {"reset_to": 0})["spend"] == 0
    for path, status in (("block", 401), ("unblock", 200)):
        manage(gateway, f"/key/{path}", {"key": token})
        assert gateway.json(chat, headers=bearer(key))[0] == status
    made = manage(gateway, f"/key/{token}/regenerate", {"grace_period": "1h"})
    assert made["key"] not in (key, None)
    assert made["spend"] == 0.012
    for one in (key, made["key"]):  # they have one budget
        assert gateway.json({**chat, "max_tokens": 1}, headers=bearer(one))[0] == 200
    again = manage(gateway, "/key/regenerate", {"key": made["key"]})
    assert gateway.json(chat, headers=bearer(made["key"]))[0] == 401
    assert spent(gateway, again["key"]) == (0.036, 0.0)
    listed = manage(gateway, "/key/list?return_full_object=true&key_alias=mine")
    assert [one["token"] for one in listed["keys"]] == [again["token"]]
    assert manage(gateway, "/key/list?size=1")["total_pages"] >= 2
    ordinary = {"authorization": f"Bearer {other}"}
    closed = {
        "/key/generate": {"max_budget": 1},
        "/key/update": {"key": other, "max_budget": 1},
        "/key/delete": {"keys": [other]},
        "/key/regenerate": {"key": other},
        f"/key/{token}/reset_spend": {},
        "/key/list": None,
        f"/key/info?key={again['token']}": None,
    }
    for path, body in closed.items():
        assert manage(gateway, path, body, **ordinary) == (403, "key_not_allowed"), path
    assert manage(gateway, "/key/delete", {"key_aliases": ["mine"]})["deleted_keys"]
    assert gateway.json(chat, headers=bearer(again["key"]))[0] == 401
    assert manage(gateway, f"/key/info?key={token}") == (404, "not_found")
    wrong = {"max_budget": -1, "budget_duration": "1y", "guardrails": ["x"], "key": "short"}
    for name, value in wrong.items():
        status, _, answer = gateway.json({name: value}, "/key/generate", "POST", ADMIN)
        assert (status, answer["error"]["param"]) == (400, name)


def test_odd_values_are_errors_that_name_the_field_or_are_kept(
    gateway: RunningGateway, upstream: Upstream
) -> None:
    own = "sk-100%-of/mine?and#more"
    made = manage(gateway, "/key/generate", {"key": own, "spend": 2.5, "metadata": {"tags": ["x"]}})
    assert (made["spend"], made["tags"], made["metadata"]) == (2.5, ["x"], {"tags": ["x"]})
    reset = manage(gateway, f"/key/{quote(own, safe='')}/reset_spend", {"reset_to": 1})
    assert reset["spend"] == 1
    bad: list[tuple[str, Any]] = [
        ("/key/generate", {"budget_duration": "999999mo"}),
        ("/key/generate", {"duration": "999999mo"}),
        (f"/key/{made['token']}/reset_spend", {"reset_to": 1e300}),
        *(
            ("/key/generate", {"key": key})
            for key in (MASTER, APP, "sk-with a space-1", f"{APP}\n")
        ),
        ("/spend/logs?end_date=9999-12-31", None),
        ("/spend/logs?end_date=0001-01-01", None),
    ]
    found = [gateway.json(body, path, "POST" if body else "GET", ADMIN) for path, body in bad]
    assert [(status, answer["error"]["param"]) for status, _, answer in found] == [
        (400, next(iter(body)) if body else "end_date") for _, body in bad
    ]
    assert manage(gateway, "/spend/keys", **bearer(APP)) == (403, "key_not_allowed")
    upstream.script("a", [embeds("openai")])
    body = {"model": "a", "input": "x", "user": "u-7"}
    assert gateway.json(body, "/v1/embeddings", headers=bearer(own))[0] == 200
    assert [row["end_user"] for row in manage(gateway, "/spend/logs", **bearer(own))] == ["u-7"]
    manage(gateway, "/key/delete", {"keys": [own]})
    manage(gateway, "/key/generate", {"key": own})
    assert manage(gateway, "/spend/logs", **bearer(own)) == []  # it is another key


def test_no_parameter_of_a_list_or_report_is_ignored_and_a_deleted_keys_rows_are_there(
    gateway: RunningGateway,
) -> None:
    lists = ("/key/list", "/team/list", "/v2/team/list", "/user/list", "/budget/list", "/audit")
    spend = ("logs", "logs/v2", "keys", "users", "tags")
    reports = ("", "/report", "/keys", "/models", "/tags", "/teams", "/provider")
    paths = [
        *lists,
        *(f"/spend/{one}" for one in spend),
        *(f"/global/spend{one}" for one in reports),
    ]
    asked = [f"{path}?organization_id=x" for path in [*paths, "/user/daily/activity"]]
    asked += ["/key/list?status=deleted", "/key/list?sort_by=models"]
    found = [gateway.json(None, path, "GET", ADMIN) for path in asked]
    params = [
        (status, path.partition("?")[2]) for path, (status, _, _) in zip(asked, found, strict=True)
    ]
    assert {status for status, _ in params} == {400}
    named = [answer["error"]["param"] for _, _, answer in found]
    assert named == [text.partition("=")[0] for _, text in params]
    assert manage(gateway, "/spend/logs?organization_id=") != []  # without a value it is not sent
    by_user = [manage(gateway, "/key/generate", {"user_id": "lister"}) for _ in range(2)]
    chosen = f"/key/list?user_id=lister&key_hash={by_user[0]['token']}"
    assert manage(gateway, chosen)["keys"] == [by_user[0]["token"]]
    key, token = by_user[0]["key"], by_user[0]["token"]
    assert gateway.json({"model": "a", "messages": HI}, headers=bearer(key))[0] == 200
    again = manage(gateway, "/key/regenerate", {"key": key})
    assert gateway.json({"model": "a", "messages": HI}, headers=bearer(again["key"]))[0] == 200
    manage(gateway, "/key/delete", {"keys": [again["key"]]})
    replaced = manage(gateway, f"/spend/logs?api_key={again['token']}")
    assert [row["api_key"] for row in replaced] == [again["token"]]
    assert [row["api_key"] for row in manage(gateway, f"/spend/logs?api_key={token}")][:1] == [
        token
    ]
    assert manage(gateway, f"/spend/logs/v2?api_key={key}&min_spend=0.001")["total"] == 2
    assert manage(gateway, f"/spend/logs/v2?api_key={key}&min_spend=10")["total"] == 0
    assert manage(gateway, f"/spend/logs?api_key={'0' * 64}") == (404, "not_found")
    logged = manage(gateway, f"/audit?object_id={token}")["audit_logs"]
    assert [row["action"] for row in logged] == ["delete", "regenerate", "create"]
    assert key not in str(logged)
    status, _, answer = gateway.json(None, "/key/update", "PUT", ADMIN)
    assert (status, answer["error"]["message"]) == (405, "PUT is not allowed here; use POST")
    answer = gateway.json({"bogus": 1}, "/team/new", "POST", ADMIN)[2]
    assert "is not supported for teams" in answer["error"]["message"]


def test_the_tags_of_every_endpoint_count_and_are_not_sent_where_vendors_reject_them(
    gateway: RunningGateway, upstream: Upstream
) -> None:
    upstream.script("claude-x", answers("one"))
    upstream.script("b", [embeds("openai")])
    key = manage(gateway, "/key/generate", {})["key"]
    tags = {"metadata": {"tags": ["of-body"]}}
    chat = {"messages": HI, "max_tokens": 20, **tags}
    requests: dict[str, dict[str, Any]] = {
        "/v1/chat/completions": {**chat, "model": "a"},
        "/v1/messages": {
            **chat,
            "model": "claude",
            "metadata": {**tags["metadata"], "user_id": "u"},
        },
        "/v1/responses": {"model": "a", "input": "Hi", **tags},
        "/v1/embeddings": {"model": "b", "input": "x", **tags},
    }
    headers = {**bearer(key), "x-litellm-tags": "of-header, other"}
    sent = len(upstream.calls)
    statuses = [gateway.json(body, path, headers=headers)[0] for path, body in requests.items()]
    assert statuses == [200] * len(requests)
    rows = manage(gateway, "/spend/logs", **bearer(key))
    assert [row["request_tags"] for row in rows] == [["of-body", "of-header", "other"]] * 4
    bodies = {call.model: call.body for call in upstream.calls[sent:]}
    assert bodies["claude-x"]["metadata"] == {"user_id": "u"}
    assert "metadata" not in bodies["b"]


def test_without_the_store_clients_get_503(
    provider: Upstream, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def busy(*_: object) -> None:
        raise StorageBusy("keys.sqlite", "locked")

    file = tmp_path / "keys.sqlite"
    config = {
        "model_list": [entry(provider, "a")],
        "general_settings": {"master_key": MASTER},
    }
    opened = partial(open_local, {"FANOUT_HOME": str(tmp_path)})
    with serve(config, virtual_keys=opened) as served:
        assert served.json({}, headers=bearer("sk-unknown-key-marker"))[0] == 401
        assert not file.exists()  # there are no virtual keys, and no file for them
        file.mkdir()
        status, headers, answer = served.json({}, headers=bearer("sk-unknown-key-marker"))
        assert (status, answer["error"]["code"]) == (503, "keys_unavailable")
        assert headers["retry-after"] == "1"
        monkeypatch.setattr(SQLiteStore, "get", busy)
        assert served.json({}, headers=bearer("sk-unknown-key-marker"))[0] == 503
        body = {"model": "a", "messages": HI}
        assert served.json(body, headers=ADMIN)[0] == 200  # the config's keys need no store
    assert len(served.observer.unexpected_errors) == 1  # the folder; a store that is in use is none


def test_spend_is_added_up_by_key_team_tag_model_and_day(
    gateway: RunningGateway, upstream: Upstream
) -> None:
    fields = {"key_alias": "spender", "team_id": "blue", "tags": ["nightly"], "user_id": "u"}
    made = manage(gateway, "/key/generate", fields)
    key, token = made["key"], made["token"]
    chat: dict[str, Any] = {"model": ["a", "b"], "messages": HI, "fanout": {"mode": "all"}}
    chat["metadata"] = {"tags": ["extra"]}
    for _ in range(2):
        assert gateway.json(chat, headers=bearer(key))[0] == 200
    other = manage(gateway, "/key/generate", {})["key"]
    assert gateway.json({"model": "a", "messages": HI}, headers=bearer(other))[0] == 200
    today = "?start_date=2026-01-01&end_date=2100-01-01"
    for path in ("/spend/logs", "/global/spend/report", "/user/daily/activity", "/spend/tags"):
        assert manage(gateway, f"{path}?api_key={token}", **bearer(other)) == (
            403,
            "key_not_allowed",
        )
    logs = manage(gateway, "/spend/logs", **bearer(key))
    assert [(row["spend"], row["request_tags"], row["team_id"]) for row in logs] == [
        (0.024, ["nightly", "extra"], "blue")
    ] * 2
    assert logs[0]["metadata"]["spend_by_model"] == {"a": 0.012, "b": 0.012}
    assert len(manage(gateway, "/spend/logs", **bearer(other))) == 1
    one = manage(gateway, f"/spend/logs?request_id={logs[0]['request_id']}")
    assert one == logs[:1]
    paged = manage(gateway, f"/spend/logs/v2?api_key={token}&page_size=1")
    assert (paged["total"], paged["total_pages"], len(paged["data"])) == (2, 2, 1)
    days = manage(gateway, f"/spend/logs{today}&api_key={token}")
    assert [(day["spend"], day["models"]) for day in days] == [(0.048, {"a": 0.024, "b": 0.024})]
    tags = {
        row["individual_request_tag"]: (row["log_count"], row["total_spend"])
        for row in manage(gateway, "/spend/tags")
    }
    assert (tags["nightly"], tags["extra"]) == ((2, 0.048), (2, 0.048))
    report = manage(gateway, f"/global/spend/report{today}")
    blue = [team for day in report for team in day["teams"] if team["team_name"] == "blue"]
    assert [(team["total_spend"], len(team["metadata"])) for team in blue] == [(0.048, 2)]
    by_key = manage(gateway, f"/global/spend/report{today}&group_by=api_key")
    assert [row["total_cost"] for row in by_key if row["api_key"] == token] == [0.048]
    activity = manage(gateway, f"/user/daily/activity{today}&api_key={token}")
    assert activity["results"][0]["metrics"]["total_tokens"] == 48
    assert activity["results"][0]["breakdown"]["models"]["b"]["metrics"]["spend"] == 0.024
    assert activity["metadata"]["total_spend"] == 0.048
    assert activity["results"][0]["breakdown"]["api_keys"][token]["metadata"] == {
        "key_alias": "spender",
        "team_id": "blue",
    }
    assert token in [row["token"] for row in manage(gateway, "/spend/keys")]
    assert manage(gateway, "/spend/logs?start_date=x") == (400, "invalid_value")
    check_global_spend(gateway, f"?api_key={token}", bearer(other))


def check_global_spend(gateway: RunningGateway, query: str, other: dict[str, str]) -> None:
    """What LiteLLM's dashboards read, of the key in `query`; not with another key."""
    expected: dict[str, Any] = {
        "": {"spend": 0.048, "max_budget": None},
        "/models": [{"model": name, "total_spend": 0.024} for name in ("a", "b")],
        "/tags": {
            "spend_per_tag": [
                {"name": name, "spend": 0.048, "log_count": 2} for name in ("extra", "nightly")
            ]
        },
        "/provider": [{"provider": "openai", "spend": 0.048}],
    }
    for path, shown in expected.items():
        assert manage(gateway, f"/global/spend{path}{query}") == shown
        refused = manage(gateway, f"/global/spend{path}{query}", **other)
        assert refused == (403, "key_not_allowed")
    keys = manage(gateway, f"/global/spend/keys{query}&limit=1")
    assert [(one["key_alias"], one["total_spend"]) for one in keys] == [("spender", 0.048)]
    teams = manage(gateway, f"/global/spend/teams{query}")
    assert (teams["daily_spend"][0]["blue"], teams["teams"]) == (0.048, ["blue"])
    activity = manage(gateway, "/team/daily/activity?team_ids=blue,none")
    assert activity["metadata"]["total_spend"] == 0.048
    prompt = {"model": "a", "messages": HI}
    assert manage(gateway, "/spend/calculate", prompt)["cost"] > 0
    usage = {"prompt_tokens": 9, "completion_tokens": 3}
    response = {"completion_response": {"model": "a", "usage": usage}}
    assert manage(gateway, "/spend/calculate", response, **other) == {"cost": 12 * PRICE}
    wrong: list[tuple[dict[str, Any], tuple[int, str]]] = [
        ({"model": "unpriced", "messages": HI}, (400, "price_not_found")),
        ({"model": "none", "messages": HI}, (404, "model_not_found")),
        ({"model": "a"}, (400, "missing_required_parameter")),
        ({}, (400, "invalid_value")),
    ]
    answers = [manage(gateway, "/spend/calculate", body) for body, _ in wrong]
    assert answers == [expected for _, expected in wrong]


def broken_by(engine: DynamoDBEngine) -> Step:
    """DynamoDB fails from this call on."""

    async def step(_: Call) -> None:
        engine.rejection = "InternalServerError"

    return step


def test_on_dynamodb_a_request_is_one_read_and_four_writes(
    provider: Upstream, upstream: Upstream
) -> None:
    prices: dict[str, Any] = {"input_cost_per_token": PRICE, "output_cost_per_token": PRICE}
    config = {
        "model_list": [entry(provider, "a", **prices)],
        "general_settings": {"master_key": MASTER},
    }
    with keys_table() as client:
        engine = DynamoDBEngine(client, lambda: 0.0)
        env = {**ENV, TABLE_VARIABLE: "keys"}
        opened = partial(open_table, env, engine, AWSSigner(env))
        with serve(config, virtual_keys=opened) as served:
            fields = {"max_budget": 1, "models": ["a"], "metadata": {"x": [1.5]}, "tags": ["t"]}
            key = manage(served, "/key/generate", fields)["key"]
            engine.operations.clear()
            body = {"model": "a", "messages": HI, "max_tokens": 9}
            assert served.json(body, headers=bearer(key))[1]["x-fanout-cost"] == "0.012000000"
            assert [name for _, name in engine.operations] == [
                *("GetItem", "UpdateItem", "PutItem"),
                *("UpdateItem", "UpdateItem"),
            ]
            assert spent(served, key) == (0.012, 0.0)
            made = manage(served, "/key/regenerate", {"key": key})
            assert served.json(body, headers=bearer(key))[0] == 401
            assert served.json(body, headers=bearer(made["key"]))[0] == 200
            assert manage(served, "/spend/tags")[0]["total_spend"] == 0.024
            upstream.script("a", [broken_by(engine), *answers("paid")])
            status, _, answer = served.json(body, headers=bearer(made["key"]))
            assert (status, answer["choices"][0]["message"]["content"]) == (200, "paid")
            assert (
                len(served.observer.unexpected_errors) == 1
            )  # the client has paid for the response
            assert served.observer.unexpected_errors
            engine.rejection = None
            while (found := spent(served, made["key"]))[1] > 0:
                sleep(0.05)  # it is charged in the background
            assert found == (0.036, 0.0)
            engine.rejection = "InternalServerError"
            status, headers, answer = served.json(body, headers=bearer(made["key"]))
            assert (status, answer["error"]["code"]) == (503, "keys_unavailable")
            assert headers["retry-after"] == "1"
            assert served.json(body, headers=ADMIN)[0] == 200
