"""Generates docs/python.md from the Python functions: signatures, options, types and errors."""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from pydantic import BaseModel

import fanout
from fanout import errors
from fanout.library import arguments, embedding, openai_errors, options, types
from fanout.library import errors as library_errors

TEMPLATE = Path(__file__).with_name("python_page.md")

FUNCTIONS = (
    "completion",
    "batch_completion",
    "batch_completion_models",
    "batch_completion_models_all_responses",
)
FIRST_TYPES = (
    "ChatCompletion",
    "Choice",
    "Message",
    "ToolCall",
    "Function",
    "Usage",
    "FanoutReport",
    "ModelAttempt",
    "ErrorObject",
    "ParsedChatCompletion",
    "ParsedChoice",
    "ParsedMessage",
    "ChatCompletionChunk",
    "ChunkChoice",
    "Delta",
    "DeltaToolCall",
)
"""The types that readers look for first; the others follow by name."""

RETURNS = {
    "completion": ("ChatCompletion", "ChunkIterator", "ChunkStream"),
    "batch_completion": (
        "list[ChatCompletion | FanoutError]",
        "list[ChunkIterator]",
        "list[ChunkStream]",
    ),
    "batch_completion_models": ("ChatCompletion", "ChunkIterator", "ChunkStream"),
    "batch_completion_models_all_responses": (
        "list[ChatCompletion | FanoutError]",
        "list[ChunkIterator]",
        "list[ChunkStream]",
    ),
}
"""What each returns: without `stream`, with it, and with it from the async twin."""


RESPONSE_FORMAT = "response_format: type[BaseModel] | ResponseFormat | None = None"

EXAMPLE = """```python
import os

from fanout import open_request
from openai import OpenAI

url, key = os.environ["FANOUT_BASE_URL"], os.environ["FANOUT_API_KEY"]

with OpenAI(base_url=url, api_key=key) as client, open_request(url, key, lease=10) as request:
    stream = client.chat.completions.create(
        model="gpt-4o",
        messages=[{"role": "user", "content": "Count to a thousand."}],
        stream=True,
        extra_headers=request.headers,
        extra_body=request.body,
    )
    for chunk in stream:
        for choice in chunk.choices:
            print(choice.delta.content or "", end="")
```"""

LEAVING = """`request` is a `GatewayRequest`. `request.cancel()` cancels it at any time, from any
thread; `await request.acancel()` does so in asynchronous code. Other fields of `fanout` go beside
the lease: `extra_body={"fanout": {**request.body["fanout"], "mode": "race"}}`. The gateway's side
is in [Cancel by id](fan-out.md#cancel-by-id)."""


SENT = "Sent to the model"
REACHED = "How the model is reached"
DONE = "What Fanout does"

CHAT_OPTIONS = {
    "What the functions return": (options.ControlOptions,),
    SENT: (options.SentOptions,),
    REACHED: (options.AddressOptions, options.ConnectionOptions),
    DONE: (options.TimeOptions, options.CallOptions, options.ChatOptions),
}
EMBEDDING_OPTIONS = {
    SENT: (options.EmbeddingParameters, options.EmbeddingOptions),
    REACHED: (options.AddressOptions,),
    DONE: (options.TimeOptions, options.CallOptions),
}
"""The tables of options: a title, and the classes whose keys it lists."""


BY_STATUS = ("FanoutError", "AllFailed", "GatewayError")


def python_page() -> str:
    """The whole page: the template with its generated parts."""
    parts = {
        "functions": "\n".join(map(_function, FUNCTIONS)),
        "requests": _requests(),
        "embeddings": _embeddings(),
        "builder": _builder(),
        "options": "\n".join(_options(CHAT_OPTIONS)),
        "embedding_options": "\n".join(_options(EMBEDDING_OPTIONS)),
        "aliases": "\n".join(_aliases()),
        "types": "\n".join(_type(name) for name in _types()),
        "errors": "\n".join(_errors()),
    }
    return re.sub(r"<!-- (\w+) -->", lambda found: parts[found[1]], TEMPLATE.read_text())


def _function(name: str) -> str:
    function = getattr(fanout, name)
    every = list(inspect.signature(function).parameters.values())
    own = every[: [one.name for one in every].index("stream")]
    parameters = list(map(_parameter, own))
    kinds = [one.kind for one in own]
    keyword = inspect.Parameter.KEYWORD_ONLY
    parameters.insert(kinds.index(keyword) if keyword in kinds else len(own), "*")
    lines = [*parameters, "stream: bool | None = None", RESPONSE_FORMAT, "**options"]
    plain, stream, astream = RETURNS[name]
    signature = f"{name}(\n" + "".join(f"    {line},\n" for line in lines) + f") -> {plain}"
    text = inspect.getdoc(function) or ""
    return "\n".join(
        [
            f"### `{name}`, `a{name}`\n",
            f"```\n{signature}\n```\n",
            f"{text}\n",
            f"With `stream=True` it returns `{stream}`; `a{name}` returns `{astream}`.\n",
        ]
    )


def _requests() -> str:
    """The functions for clients of a gateway."""
    text = inspect.getdoc(fanout.open_request) or ""
    heading = "### `open_request`, `aopen_request`"
    return "\n\n".join([heading, _signature("open_request"), text, EXAMPLE, LEAVING])


def _embeddings() -> str:
    """`embedding` and its twin, whose further options a table lists."""
    text = inspect.getdoc(fanout.embedding) or ""
    block = _signature("embedding", {"options": "**options"}, "EmbeddingResponse")
    return f"### `embedding`, `aembedding`\n\n{block}\n\n{text}"


def _builder() -> str:
    """`stream_chunk_builder`; what it has only to reject LiteLLM's arguments is not shown."""
    text = inspect.getdoc(fanout.stream_chunk_builder) or ""
    block = _signature("stream_chunk_builder", {"litellms": ""}, "ChatCompletion")
    return f"### `stream_chunk_builder`\n\n{block}\n\n{text}"


def _signature(name: str, shown: Mapping[str, str] = {}, returns: str = "") -> str:
    """A code block with a function's own parameters; `shown` replaces one, or leaves it out."""
    function = getattr(fanout, name)
    hidden = fanout.EmbeddingOptions.__annotations__ if name == "embedding" else {}
    every = inspect.signature(function).parameters
    own = [one for one in every.values() if one.name not in hidden]
    lines = [shown.get(one.name, _parameter(one)) for one in own]
    lines.insert([one.kind for one in own].index(inspect.Parameter.KEYWORD_ONLY), "*")
    parameters = "".join(f"    {line},\n" for line in lines if line)
    return f"```\n{name}(\n{parameters}){f' -> {returns}' if returns else ''}\n```"


def _parameter(one: inspect.Parameter) -> str:
    default = "" if one.default is one.empty else f" = {one.default!r}"
    return f"{one.name}: {one.annotation}{default}"


def _options(tables: Mapping[str, tuple[type, ...]]) -> Iterator[str]:
    """A table for each title, from the source of its classes: types and the strings below them."""
    for title, kinds in tables.items():
        yield f"\n**{title}**\n"
        yield "| option | type | meaning |\n|---|---|---|"
        for kind in kinds:
            yield from _rows(kind)


def _rows(kind: type) -> Iterator[str]:
    (parsed,) = ast.parse(inspect.getsource(kind)).body
    body = parsed.body if isinstance(parsed, ast.ClassDef) else []
    for here, following in zip(body, [*body[1:], None], strict=True):
        if not isinstance(here, ast.AnnAssign) or not isinstance(here.target, ast.Name):
            continue
        text = ""
        if isinstance(following, ast.Expr) and isinstance(following.value, ast.Constant):
            text = " ".join(str(following.value.value).split())
        shown = ast.unparse(here.annotation).removesuffix(" | None").replace("|", "\\|")
        yield f"| `{here.target.id}` | `{shown}` | {text} |"


def _aliases() -> Iterator[str]:
    """A table of the types of arguments, from the strings below their definitions."""
    yield "| type | is | meaning |\n|---|---|---|"
    for module in (options, arguments, embedding, types):
        body = ast.parse(inspect.getsource(module)).body
        for here, following in zip(body, [*body[1:], None], strict=True):
            if not isinstance(here, ast.AnnAssign) or not isinstance(here.target, ast.Name):
                continue
            if here.value is None or here.target.id not in fanout.__all__:
                continue
            if not isinstance(following, ast.Expr):
                raise TypeError(f"{here.target.id} has no text")
            text = " ".join(str(ast.literal_eval(following.value)).split())
            shown = ast.unparse(here.value).replace("|", "\\|")
            yield f"| `{here.target.id}` | `{shown}` | {text} |"
    text = inspect.getdoc(options.HTTPClient)
    yield f"| `{options.HTTPClient.__name__}` | `Protocol` | {text} |"


def _types() -> list[str]:
    exported = {
        name: kind
        for name in fanout.__all__
        if isinstance(kind := getattr(fanout, name), type) and issubclass(kind, BaseModel)
    }
    return [*FIRST_TYPES, *sorted(exported.keys() - set(FIRST_TYPES))]


def _type(name: str) -> str:
    kind: type[BaseModel] = getattr(fanout, name)
    annotations = {
        field: text for base in reversed(kind.__mro__) for field, text in _annotations(base).items()
    }
    rows = [
        f"| `{field}` | `{annotations[field]}` |".replace(" | None", " \\| None")
        for field in kind.model_fields
    ]
    rows = [re.sub(r"(?<=[\w\]]) \| (?=\w+\])", r" \\| ", row) for row in rows]
    table = "\n".join(["| field | type |", "|---|---|", *rows])
    return f"### `{name}`\n\n{inspect.getdoc(kind)}\n\n{table}\n"


def _annotations(kind: type) -> dict[str, str]:
    found = vars(kind).get("__annotations__", {})
    return {name: text for name, text in found.items() if isinstance(text, str)}


def _errors() -> Iterator[str]:
    """The table of exceptions: parents first."""
    yield "| exception | raised when | OpenAI's class |"
    yield "|---|---|---|"
    tree = inspect.getdoc(errors) or ""
    for name, depth, text in _tree(tree):
        if name in fanout.__all__:
            yield _error(name, depth, text)
    for name, kind in vars(library_errors).items():
        if isinstance(kind, type) and kind.__module__ == library_errors.__name__:
            yield _error(name, 1, (inspect.getdoc(kind) or "").partition(";")[0])


def _error(name: str, depth: int, text: str) -> str:
    return f"| {'&nbsp;&nbsp;' * depth}`{name}` | {text} | {_openai(name)} |"


def _tree(text: str) -> Iterator[tuple[str, int, str]]:
    """The name, depth and words of each exception in the tree that `errors/__init__.py` draws."""
    for line in text.splitlines():
        if found := re.match(r"([│ ├└─]*)(\w+)(?: {2,}(.*))?$", line):
            if found[2] == "FanoutError":
                yield "FanoutError", 0, "every exception below derives from it"
            elif "─" in found[1]:
                words = re.sub(r" {2,}", " ", found[3] or "").strip()
                yield found[2], found[1].rstrip(" ─").count("│") + 1, words


def _openai(name: str) -> str:
    kind = getattr(fanout, name)
    if issubclass(kind, errors.QuotaExceeded):
        return f"`{openai_errors.name_of_status(kind.status)}`"
    if issubclass(kind, errors.Rejected) and kind.fixed_status:
        return f"`{openai_errors.name_of_status(kind.fixed_status)}`"
    if issubclass(kind, errors.Refused):
        forbidden = openai_errors.name_of_status(openai_errors.FORBIDDEN)
        return f"`{openai_errors.name_of_status(401)}`; of a 403, `{forbidden}`"
    for ours, theirs in openai_errors.BY_KIND.items():
        if issubclass(kind, ours):
            return f"`{theirs}`"
    if issubclass(kind, errors.ProviderError) or name in BY_STATUS:
        return "by its status"
    return f"`{openai_errors.name_of_status(kind.status)}`"
