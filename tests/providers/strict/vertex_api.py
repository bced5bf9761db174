"""Rejects the requests that Vertex AI rejects: the vendors' rules, and those of Google Cloud."""

from __future__ import annotations

import json
from typing import Any

from tests.providers.strict import anthropic_api, gemini_api


def check(model: str, body: dict[str, Any]) -> None:
    """Fail as the API does if it rejects this request."""
    if "claude" not in model:
        check_gemini(model, body)
        return
    assert body["anthropic_version"] == "vertex-2023-10-16"
    assert not body.keys() & {"model", "service_tier", "cache_control"}
    text = json.dumps(body["messages"])
    assert '"type": "url"' not in text, "URL sources are not supported"
    assert '"type": "file"' not in text
    rest = {name: value for name, value in body.items() if name != "anthropic_version"}
    anthropic_api.check(model, {"model": model, **rest})


def check_gemini(model: str, body: dict[str, Any]) -> None:
    assert not body.keys() & {"store", "serviceTier", "model"}
    for content in body["contents"]:
        for part in content["parts"]:
            if "fileData" in part:
                assert part["fileData"]["mimeType"]
            for name in part.keys() & {"functionCall", "functionResponse"}:
                has_id = "id" in part[name]
                assert not (has_id and model.startswith("gemini-2")), 'Unknown name "id"'
    gemini_api.check(model, body)
