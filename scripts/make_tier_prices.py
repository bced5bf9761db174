"""
`make prices`, its first half: writes `scripts/tier_prices.json` from LiteLLM's price map.

genai-prices has the price of a vendor's standard tier only. LiteLLM's map (MIT,
https://github.com/BerriAI/litellm, `model_prices_and_context_window.json`) also has those of the
tiers `flex` and `priority`, of the vendors' own batches, and of more models for embeddings. Only
`.venv-bench` has LiteLLM, so what the price lists need of its map is kept in a file of this folder.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from fanout.providers import registry

OUTPUT = Path(__file__).parent / "tier_prices.json"

LICENSE = Path(__file__).parent / "tier_prices.LICENSE"
"""LiteLLM's license, which has to be wherever its prices are."""

SUFFIXES: Mapping[str, str] = {"flex": "_flex", "priority": "_priority", "batch": "_batches"}
"""How LiteLLM's names of a tier's prices end."""

WITH_BATCHES = frozenset(registry.WITH_BATCHES)
"""Only Fanout's own batch APIs need prices of batches."""

PROVIDERS: Mapping[str, str] = {
    "anthropic": "anthropic",
    "azure": "azure",
    "bedrock": "bedrock",
    "bedrock_converse": "bedrock",
    "fireworks_ai": "fireworks_ai",
    "gemini": "gemini",
    "openai": "openai",
    "vertex_ai": "vertex_ai",
    "vertex_ai-language-models": "vertex_ai",
}
"""Fanout's providers by LiteLLM's names; of other vendors, it has no price of a tier."""

MILLION = 1_000_000

WITH_EMBEDDINGS: Mapping[str, str] = {
    "bedrock": "bedrock",
    "cohere": "cohere",
    "fireworks_ai-embedding-models": "fireworks_ai",
    "together_ai": "together_ai",
    "vertex_ai-embedding-models": "vertex_ai",
    "voyage": "voyage",
}
"""The same for models for embeddings of which genai-prices lacks some."""

MOST = 1.0
"""Dollars for a million tokens: a higher price of embeddings is a mistake of the map."""


def main(arguments: Sequence[str]) -> int:
    """Write the file from the map in this virtual environment."""
    (package,) = Path(arguments[0]).glob("lib/python3*/site-packages")
    (version,) = package.glob("litellm-*.dist-info")
    prices = package / "litellm" / "model_prices_and_context_window_backup.json"
    head = {"source": version.name.removesuffix(".dist-info").replace("-", " ")}
    known = json.loads(prices.read_text(encoding="utf-8"))
    found = select(known)
    rows = [
        f'"{provider}": {{\n'
        + ",\n".join(f"  {json.dumps(name)}: {json.dumps(row)}" for name, row in models.items())
        + "\n}"
        for provider, models in found.items()
    ]
    inputs = [f"  {json.dumps(k)}: {json.dumps(v)}" for k, v in select_embeddings(known).items()]
    rows.append('"embeddings": {\n' + ",\n".join(inputs) + "\n}")
    head_text = f'"source": {json.dumps(head["source"])}'
    license_text = (version / "licenses" / "LICENSE").read_text(encoding="utf-8")
    LICENSE.write_text(license_text.partition("---\n")[2].strip() + "\n", encoding="utf-8")
    OUTPUT.write_text("{\n" + ",\n".join([head_text, *rows]) + "\n}\n", encoding="utf-8")
    return 0


def select(prices: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, dict[str, Any]]]:
    """
    By provider and model, the prices of `standard` and of each tier, for a million tokens.

    Each has an input, an output and a cached input price; the last may be `null`. A model of one
    region only, whose name has a slash, is left out.
    """
    found: dict[str, dict[str, dict[str, Any]]] = {}
    for full_name, model in sorted(prices.items()):
        provider = PROVIDERS.get(str(model.get("litellm_provider")))
        name = full_name.removeprefix(f"{provider}/").lower()
        if provider is None or ("/" in name and not name.startswith("accounts/")):
            continue
        tiers = {
            tier: row
            for tier, suffix in SUFFIXES.items()
            if (tier != "batch" or provider in WITH_BATCHES) and (row := _row(model, suffix))
        }
        standard = _row(model, "")
        if tiers and standard:
            found.setdefault(provider, {})[name] = {"standard": standard, **tiers}
    return dict(sorted(found.items()))


def select_embeddings(prices: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, float]]:
    """By provider and model for embeddings, the input price for a million tokens, if it has one."""
    found: dict[str, dict[str, float]] = {}
    for full_name, model in sorted(prices.items()):
        provider = WITH_EMBEDDINGS.get(str(model.get("litellm_provider")))
        price = _per_million(model.get("input_cost_per_token"))
        if provider is None or model.get("mode") != "embedding" or not price or price > MOST:
            continue
        name = full_name.removeprefix(f"{provider}/").lower()
        is_class = name.startswith("together-ai-")
        if not registry.is_for_chat(name, provider) and not is_class:
            found.setdefault(provider, {})[name] = price
    return dict(sorted(found.items()))


def _row(model: Mapping[str, Any], suffix: str) -> list[float | None] | None:
    """A tier's prices; `None` if it has none, or only a part of them."""
    names = ("input_cost_per_token", "output_cost_per_token", "cache_read_input_token_cost")
    row = [_per_million(model.get(f"{name}{suffix}")) for name in names]
    return row if row[0] and row[1] else None


def _per_million(price: float | None) -> float | None:
    """Rounded to what is written: the map has the noise of floats."""
    return None if price is None else round(price * MILLION, 6)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
