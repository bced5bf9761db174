"""`fanout serve` says once when a key or a team reaches its soft budget, by requests or a job."""

from __future__ import annotations

import signal
import time
from pathlib import Path
from typing import Any

import httpx
import openai
from msgspec import json

from tests.cli.commands import spawned, write_config
from tests.cli.test_serve import port_of
from tests.support.gateway_server import entry
from tests.support.patience import PATIENCE
from tests.support.provider_steps import answers
from tests.support.scripted_provider import Upstream

PRICE = 0.001  # dollars for a token; a response of the scripted provider has twelve
ADMIN = {"authorization": "Bearer sk-master"}
LINE = {
    "custom_id": "one",
    "method": "POST",
    "url": "/v1/chat/completions",
    "body": {"model": "a", "messages": [{"role": "user", "content": "Hi"}]},
}


def test_a_soft_budget_is_logged_and_counted_once(upstream: Upstream, tmp_path: Path) -> None:
    upstream.script("a", answers("one two three"))
    prices: dict[str, Any] = {"input_cost_per_token": PRICE, "output_cost_per_token": PRICE}
    config = write_config(
        tmp_path,
        {
            "model_list": [entry(upstream, "a", **prices)],
            "general_settings": {"master_key": "sk-master", "metrics": True},
        },
    )
    with spawned("serve", "--config", config, "--port", 0) as process:
        url = f"http://127.0.0.1:{port_of(process)}"
        with httpx.Client(base_url=url, headers=ADMIN, timeout=PATIENCE) as admin:
            admin.post("/team/new", json={"team_id": "red", "soft_budget": 0.03})
            asked = {"key_alias": "search", "soft_budget": 0.02, "team_id": "red"}
            key = admin.post("/key/generate", json=asked).json()["key"]
            with openai.OpenAI(api_key=key, base_url=f"{url}/v1", max_retries=0) as sdk:
                for _ in range(2):
                    sdk.chat.completions.create(
                        model="a", messages=[{"role": "user", "content": "Hi"}]
                    )
                file = sdk.files.create(file=("in.jsonl", json.encode(LINE)), purpose="batch")
                job = sdk.batches.create(
                    input_file_id=file.id, endpoint="/v1/chat/completions", completion_window="24h"
                )
                end = time.monotonic() + PATIENCE
                while sdk.batches.retrieve(job.id).status != "completed":
                    assert time.monotonic() < end
                    time.sleep(0.05)
            metrics = admin.get("/metrics").text
        process.send_signal(signal.SIGTERM)
        _, err = process.communicate(timeout=PATIENCE)
    assert "fanout_soft_budgets_reached_total 2.0" in metrics
    lines = [json.decode(line) for line in err.splitlines()]
    found = [line for line in lines if line["event"] == "soft_budget"]
    assert [(one["account"], one["key_alias"], one["spend"]) for one in found] == [
        (found[0]["account"], "search", 0.024),
        ("team:red", None, 0.036),
    ]
    assert {line["level"] for line in found} == {"warning"}
    assert key not in err
