"""
`make prices`: writes the package's price lists from genai-prices' tables.

https://github.com/pydantic/genai-prices (MIT) collects the prices that vendors publish. Each list
has one provider's prices for a million tokens on the given day, by default today. The prices of the
tiers `flex` and `priority`, and of the vendors' own batches (`batch`), are LiteLLM's
(`make_tier_prices.py`), for each model whose standard prices are the same in both sources. So are
those of models for embeddings that genai-prices does not have.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from importlib.metadata import files as files_of
from importlib.metadata import version
from pathlib import Path
from typing import Any

from genai_prices import types
from genai_prices.data_snapshot import find_provider_by_id, get_snapshot

from fanout.providers import registry
from fanout.telemetry.prices import LISTS

HEAD = """\
The price lists in this folder are made of those of genai-prices,
https://github.com/pydantic/genai-prices, which has this license:

"""

TIERS_HEAD = """
The prices of `flex`, `priority` and `batch` in them, and of some models for embeddings, are of
LiteLLM's price map,
https://github.com/BerriAI/litellm, which has this license:

"""

TIER_PRICES = Path(__file__).parent / "tier_prices.json"
TIER_LICENSE = Path(__file__).parent / "tier_prices.LICENSE"


FAMILIES = frozenset(
    [
        "claude-2",
        "claude-3-5-haiku",
        "claude-3-5-sonnet",
        "claude-3-7-sonnet",
        "claude-3-haiku",
        "claude-3-opus",
        "claude-3-sonnet",
        "claude-4-opus",
        "claude-4-sonnet",
        "computer-use",
        "gemma-3n",
        "gpt-3.5-turbo-instruct",
        "mixtral-8x7b",
        "moderation",
    ]
)
"""Names in genai-prices of several models, none with this name, or of none for chat."""

UNCALLABLE = re.compile(r"^(?:ft:|regional\.)|-$|anthropic\.claude-[a-z]+-\d(?:-\d)?-v1:0$")
"""
Names in genai-prices that APIs do not have: of fine-tuned models, which end with their owner's
name, and of Bedrock's profiles, whose names begin with a region and whose versions have a date:
docs.aws.amazon.com/bedrock/latest/userguide/inference-profiles-support.html, 2026-11.
"""

ELSEWHERE = {"gemini": "claude", "vertex_ai": "gemma"}
"""What names contain of models that the vendor has, but not in the API that Fanout calls."""

ONLY_EMBEDDINGS = ("voyage",)
"""Vendors with a list that have models for embeddings only."""

OWN_NAMES = frozenset({"azure"})
"""Providers where users name their deployments."""


def main(arguments: Sequence[str]) -> int:
    """Write a list for each provider that genai-prices knows."""
    day = arguments[0] if arguments else f"{datetime.now(UTC):%Y-%m-%d}"
    for name, text in lists(day).items():
        (LISTS / f"{name}.json").write_text(text, encoding="utf-8")
    (LISTS / "LICENSE").write_text(notice(), encoding="utf-8")
    return 0


def notice() -> str:
    """Return the licenses of both sources, which have to be wherever their prices are."""
    files = [path for path in files_of("genai-prices") or () if path.name == "LICENSE"]
    own = files[0].read_text(encoding="utf-8")
    return HEAD + own + TIERS_HEAD + TIER_LICENSE.read_text(encoding="utf-8")


def lists(day: str) -> dict[str, str]:
    """Return the text of each provider's list for that day."""
    known = get_snapshot().providers
    found: dict[str, types.Provider] = {}
    for alias in (*registry.names(), *ONLY_EMBEDDINGS):
        provider, theirs = registry.find(alias), find_provider_by_id(known, alias)
        is_self_hosted = "{api_base}" in provider.base_url and theirs and theirs.id != alias
        if theirs and not is_self_hosted:
            found.setdefault(provider.name, theirs)
    return {name: _text(name, theirs, known, day) for name, theirs in found.items()}


def _text(name: str, provider: types.Provider, known: list[types.Provider], day: str) -> str:
    """Return one line for each model, so that a diff shows which prices changed."""
    when = datetime.fromisoformat(day).replace(tzinfo=UTC)
    exact: dict[str, list[Any]] = {}
    patterns: dict[str, list[Any]] = {}
    tiers = json.loads(TIER_PRICES.read_text(encoding="utf-8"))
    of_tiers = tiers.get(name, {})
    added = {one: [sent, 0.0, None, 0.0] for one, sent in tiers["embeddings"].get(name, {}).items()}
    others = [find_provider_by_id(known, name) for name in provider.fallback_model_providers or ()]
    for vendor in [provider, *(other for other in others if other)]:
        for model in vendor.models:
            price = _price(model, when)
            if price is None or _is_elsewhere(name, model):
                continue
            if of_model := _tiers(model, price, of_tiers):
                price = [*price, of_model]
            for clause in _alternatives(model.match):
                if isinstance(clause, types.ClauseEquals):
                    exact.setdefault(clause.equals.lower(), price)
                else:
                    patterns.setdefault(_pattern(clause), price)
    exact = {**added, **exact}
    names = [model.id for model in provider.models if _is_name(name, model) and _price(model, when)]
    source = f"genai-prices {version('genai-prices')}"
    if any(len(price) > PARTS for price in [*exact.values(), *patterns.values()]):
        source += f"; tiers: {tiers['source']}"
    source += f"; embeddings: {tiers['source']}" if added else ""
    head = {"source": source, "as_of": day}
    body = {
        "exact": [f"{json.dumps(name)}: {json.dumps(exact[name])}" for name in sorted(exact)],
        "patterns": [json.dumps([pattern, price]) for pattern, price in patterns.items()],
        "names": [json.dumps(name) for name in names if name not in exact],
    }
    lines = [f'"{name}": {json.dumps(value)}' for name, value in head.items()]
    for part, entries in body.items():
        opening, closing = "{}" if part == "exact" else "[]"
        inside = ",\n".join(f"  {entry}" for entry in entries)
        lines.append(f'"{part}": {opening}\n{inside}\n{closing}')
    return "{\n" + ",\n".join(lines) + "\n}\n"


def _is_name(provider: str, model: types.ModelInfo) -> bool:
    """Whether a model's id is what the provider's API calls a model that has a price by pattern."""
    if provider in OWN_NAMES or model.deprecated or model.id in FAMILIES:
        return False
    is_name = UNCALLABLE.search(model.id) is None and model.match.is_match(model.id)
    return is_name and not _is_elsewhere(provider, model)


def _is_elsewhere(provider: str, model: types.ModelInfo) -> bool:
    return provider in ELSEWHERE and ELSEWHERE[provider] in model.id


PARTS = 4
"""Prices of a tier: for input, output and cached input tokens, and for a request."""


def _tiers(
    model: types.ModelInfo, price: list[Any], of_tiers: dict[str, dict[str, Any]]
) -> dict[str, list[Any]]:
    """Return the prices of a model's tiers, if both sources have the same standard prices."""
    names = sorted(of_tiers, key=lambda name: (name != model.id.lower(), name))
    for name in names:
        standard = of_tiers[name]["standard"]
        if model.match.is_match(name) and standard[:2] == price[:2]:
            return {
                tier: [*row[:2], _cached(tier, row, price[2]), price[3]]
                for tier, row in of_tiers[name].items()
                if tier != "standard"
            }
    return {}


def _cached(tier: str, row: list[Any], standard: float | None) -> float | None:
    """Return a tier's cached price; one of a cheaper tier is at most the standard one."""
    if row[2] is None and tier != "priority" and standard is not None:
        return min(standard, float(row[0]))
    return None if row[2] is None else float(row[2])


def _price(model: types.ModelInfo, when: datetime) -> list[Any] | None:
    """
    Return input, output, cached input and request prices; `None` if not priced by tokens.

    A model for embeddings has no output, whatever its list says.
    """
    price = model.get_prices(when)
    sent, got = _base(price, "input_mtok"), _base(price, "output_mtok")
    if registry.is_for_embeddings(model.id):
        got = 0.0
    if sent is None or got is None:
        return None
    per_request = (_base(price, "requests_kcount") or 0) / 1000
    return [sent, got, _base(price, "cache_read_mtok"), per_request]


def _base(price: types.ModelPrice, name: str) -> float | None:
    """Return a price; of tiered prices the first."""
    value: Any = getattr(price, name, None)
    if isinstance(value, types.TieredPrices):
        value = value.base
    return None if value is None else float(value)


def _alternatives(clause: Any) -> Iterator[Any]:
    if isinstance(clause, types.ClauseOr):
        for inner in clause.or_:
            yield from _alternatives(inner)
    else:
        yield clause


def _pattern(clause: Any) -> str:  # noqa: PLR0911 -- one for each kind of clause
    """Return a clause as a regular expression for a name in lower case."""
    match clause:
        case types.ClauseStartsWith():
            return f"^{re.escape(clause.starts_with.lower())}"
        case types.ClauseEndsWith():
            return f"{re.escape(clause.ends_with.lower())}$"
        case types.ClauseContains():
            return re.escape(clause.contains.lower())
        case types.ClauseEquals():
            return f"^{re.escape(clause.equals.lower())}$"
        case types.ClauseRegex():
            return str(clause.regex)
        case types.ClauseAnd():
            return "^" + "".join(f"(?=.*?(?:{_inside(inner)}))" for inner in clause.and_)
        case types.ClauseOr():
            return "|".join(f"(?:{_pattern(inner)})" for inner in clause.or_)
        case _:
            raise TypeError(f"genai-prices has an unknown kind of clause: {clause!r}")


def _inside(clause: Any) -> str:
    """Return the pattern for a position after other text."""
    pattern = _pattern(clause)
    return f"(?<![^\\n]){pattern[1:]}" if pattern.startswith("^") else pattern


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
