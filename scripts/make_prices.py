"""
`make prices`: writes the package's price lists from genai-prices' tables.

https://github.com/pydantic/genai-prices (MIT) collects the prices that vendors publish. Each list
has one provider's prices for a million tokens on the given day, by default today.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any

from genai_prices import types
from genai_prices.data_snapshot import find_provider_by_id, get_snapshot

from fanout.providers import registry
from fanout.telemetry.prices import LISTS, Price


def main(arguments: Sequence[str]) -> int:
    """Write a list for each provider that genai-prices knows."""
    day = arguments[0] if arguments else f"{datetime.now(UTC):%Y-%m-%d}"
    for name, text in lists(day).items():
        (LISTS / f"{name}.json").write_text(text, encoding="utf-8")
    return 0


def lists(day: str) -> dict[str, str]:
    """Return the text of each provider's list for that day."""
    known = get_snapshot().providers
    found: dict[str, types.Provider] = {}
    for alias in registry.names():
        provider, theirs = registry.find(alias), find_provider_by_id(known, alias)
        is_self_hosted = "{api_base}" in provider.base_url and theirs and theirs.id != alias
        if theirs and not is_self_hosted:
            found.setdefault(provider.name, theirs)
    return {name: _text(theirs, known, day) for name, theirs in found.items()}


def _text(provider: types.Provider, known: list[types.Provider], day: str) -> str:
    """Return one line for each model, so that a diff shows which prices changed."""
    when = datetime.fromisoformat(day).replace(tzinfo=UTC)
    exact: dict[str, Price] = {}
    patterns: dict[str, Price] = {}
    others = [find_provider_by_id(known, name) for name in provider.fallback_model_providers or ()]
    for source in [provider, *(other for other in others if other)]:
        for model in source.models:
            price = _price(model.get_prices(when))
            if price is None:
                continue
            for clause in _alternatives(model.match):
                if isinstance(clause, types.ClauseEquals):
                    exact.setdefault(clause.equals.lower(), price)
                else:
                    patterns.setdefault(_pattern(clause), price)
    head = {"source": f"genai-prices {version('genai-prices')}", "as_of": day}
    body = {
        "exact": [f"{json.dumps(name)}: {json.dumps(exact[name])}" for name in sorted(exact)],
        "patterns": [json.dumps([pattern, price]) for pattern, price in patterns.items()],
    }
    lines = [f'"{name}": {json.dumps(value)}' for name, value in head.items()]
    for name, entries in body.items():
        opening, closing = "{}" if name == "exact" else "[]"
        inside = ",\n".join(f"  {entry}" for entry in entries)
        lines.append(f'"{name}": {opening}\n{inside}\n{closing}')
    return "{\n" + ",\n".join(lines) + "\n}\n"


def _price(price: types.ModelPrice) -> Price | None:
    """Return input, output, cached input and request prices; `None` if not priced by tokens."""
    sent, got = _base(price, "input_mtok"), _base(price, "output_mtok")
    if sent is None or got is None:
        return None
    return sent, got, _base(price, "cache_read_mtok"), (_base(price, "requests_kcount") or 0) / 1000


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
