"""The page of providers, out of the registry and the rows: what each is called and needs."""

from __future__ import annotations

from collections.abc import Iterable
from textwrap import fill

from fanout.providers import registry
from fanout.providers.base import Header, Provider, SigV4
from fanout.providers.openai.chat import HINTS
from fanout.providers.rows import PREFIXES, RARE, ROWS, Row

HEAD = """# Providers

Made from the code by `make docs`. A model is written `prefix/model`
(`groq/llama-3.3-70b-versatile`); a bare name that begins as one vendor's names do needs no
prefix (`gpt-4o`, `claude-…`). The key is `api_key`, else the first of the names below that the
environment has. The address is `api_base`, else the environment's `PROVIDER_API_BASE` (such as
`GROQ_API_BASE`), else the one below.

Each wire is tested against golden files; those of OpenAI, Anthropic, Cohere and Gemini are
judged by the vendors' own SDKs, and Bedrock's by botocore. No paid provider has been called.
"""

CUT = """## What cutting a stream does to the bill

The losers of a race are cancelled by closing their streams. What a provider then does with the
bill is told as `billing` in the report of the race: it `stops`, it `continues`, or that is
`unknown`. The source is [OpenRouter's list](https://openrouter.ai/docs/api-reference/streaming)
of the vendors that it asks. The vendors themselves promise nothing, and nobody here has
compared it with a bill. A server of one's own has no bill; that it stops computing is tested
with `local` only.
"""

ROWS_HEAD = """## OpenAI-compatible providers: what they do not take

A field that a provider does not take is a 400 that names it; with `drop_params: true` it is
left out, and the log says so. A field that asks for its own default, or never changes an answer
(`user`, `metadata`, …), is left out without a word. What is not listed goes out as it came.

"""

NOTES = {
    "anthropic": "the Messages API; also any other server that speaks it, by its `api_base`",
    "azure": "`api_base` is the resource's address; a dated `api_version` puts the deployment in "
    "the path, none or `v1` does not; `base_model` says what is deployed where its name does not",
    "bedrock": "Converse, and for OpenAI's own models OpenAI's wire; `bedrock/converse/…` and "
    "`bedrock/openai/…` choose one; `aws_region_name` or AWS's own variables say where",
    "cohere": "the v2 chat API",
    "gemini": "the native API of Google AI Studio",
    "hosted_vllm": "one's own vLLM",
    "local": "one's own engine, such as `fanout local serve`",
    "ollama": "one's own Ollama",
    "openai": "also any other server that speaks this wire, by its `api_base`",
    "openai_like": "any server that speaks OpenAI's wire; `api_base` says where",
    "openrouter": "passes on to many vendors, so its bill is each vendor's own",
}


def provider_page() -> str:
    """The whole page."""
    every = [registry.find(name) for name in registry.names() if registry.find(name).name == name]
    names = ("provider", "written", "address", "key", "sent as", "when a stream is cut", "notes")
    table = _table(names, (_row(provider) for provider in every))
    rows = [row for name, row in sorted(ROWS.items()) if row.name == name]
    quirks = _table(("provider", "does not take", "other names"), map(_quirks, rows))
    rare = fill(f"*The rare ones* are {', '.join(_code(sorted(RARE - HINTS)))}.", 100)
    return f"{HEAD}\n{table}\n{CUT}\n{ROWS_HEAD}{quirks}\n{rare}\n"


def _row(provider: Provider) -> tuple[str, ...]:
    keys = ", ".join(_code(provider.keys)) + (" (optional)" if provider.key_optional else "")
    address = f"`{provider.base_url}`"
    note = NOTES.get(provider.name, "")
    written, auth = _written(provider.name), _auth(provider)
    return provider.name, written, address, keys, auth, provider.billing, note


def _written(name: str) -> str:
    """Its prefix, the prefix's other spellings, and how its bare names begin."""
    aliases = sorted(alias for alias, row in ROWS.items() if row.name == name != alias)
    bare = [f"{begin}…" for begin, provider in PREFIXES if provider == name]
    return ", ".join(_code([f"{name}/", *(f"{alias}/" for alias in aliases), *bare]))


def _auth(provider: Provider) -> str:
    match provider.auth:
        case SigV4():
            return "AWS's signature, or the key as `Authorization: Bearer`"
        case Header(name):
            return f"`{name}`"
        case _:
            return "`Authorization: Bearer`"


def _quirks(row: Row) -> tuple[str, ...]:
    """What is lost on this row, the rare ones together, and what has another name."""
    lost, rare = row.drop - HINTS, RARE - HINTS
    words = _code(sorted(lost - rare))
    if lost & rare:
        kept = ", ".join(_code(sorted(rare - lost)))
        words.insert(0, f"*the rare ones*{f' (but {kept})' if kept else ''}")
    renamed = [f"`{ours}` as `{theirs}`" for ours, theirs in sorted(row.rename.items())]
    return row.name, ", ".join(words) or "-", ", ".join(renamed) or "-"


def _code(names: Iterable[str]) -> list[str]:
    return [f"`{name}`" for name in names]


def _table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    lines = [list(head), *map(list, rows)]
    lines.insert(1, ["---"] * len(lines[0]))
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)
