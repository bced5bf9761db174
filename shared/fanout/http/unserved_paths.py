"""What to use instead of the endpoints of OpenAI's and Anthropic's APIs that are not here."""

from __future__ import annotations

CHAT = "chat completions are at `POST /v1/chat/completions`"

NO_MODELS = "Fanout has models for chat and for embeddings only"

STATELESS = "nothing is stored: send all items in the `input` of each `POST /v1/responses`"

INSTEAD = {
    "/responses": STATELESS,
    "/conversations": STATELESS,
    "/messages": "use `POST /v1/messages`, `POST /v1/messages/count_tokens`, or files and batches",
    "/embeddings": "the path is `POST /v1/embeddings`",
    "/complete": "use `POST /v1/messages`",
    "/completions": "use chat completions, with the prompt as a `user` message",
    "/images": NO_MODELS,
    "/audio": NO_MODELS,
    "/moderations": NO_MODELS,
    "/rerank": NO_MODELS,
    "/realtime": "use chat completions, with `stream: true`",
    "/assistants": "use chat completions",
    "/threads": "use chat completions",
    "/vector_stores": NO_MODELS,
    "/fine_tuning": NO_MODELS,
    "/engines": "the model is a field of the body: use chat completions",
    "/deployments": "Azure's path is `/openai/deployments/NAME/chat/completions`",
    "/api": "use OpenAI's API, at `/v1`, not Ollama's",
    "/chat": "the path is `POST /v1/chat/completions`",
    "/openai": "Azure's path is `/openai/deployments/NAME/chat/completions`",
}
"""By the first part of a path without `/v1`."""


def hint(path: str) -> str:
    """What a 404 says: why the path is not served, and what to do."""
    short = path.removeprefix("/v1")
    first = f"/{short.split('/')[1]}" if short.count("/") else ""
    if short.startswith("/v1/") or path.lower() != path:
        return f"no such path; {CHAT} (base URL: `…/v1`)"
    if first in INSTEAD:
        shown = first if short == first else f"{first}/…"
        return f"`{shown}` is not served; {INSTEAD[first]}; {CHAT}"
    return f"no such path; {CHAT}"
