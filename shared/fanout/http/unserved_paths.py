"""What to use instead of the endpoints of OpenAI's API that Fanout does not have."""

from __future__ import annotations

CHAT = "chat completions are at `POST /v1/chat/completions`"

INSTEAD = {
    "/responses": "responses are not stored: send all items in the `input` of each "
    "`POST /v1/responses`",
    "/completions": "use chat completions, with the prompt as a `user` message",
    "/images": "Fanout has chat models only",
    "/audio": "Fanout has chat models only",
    "/moderations": "Fanout has chat models only",
    "/rerank": "Fanout has chat models only",
    "/realtime": "use chat completions, with `stream: true`",
    "/assistants": "use chat completions",
    "/threads": "use chat completions",
    "/vector_stores": "Fanout has chat models only",
    "/fine_tuning": "Fanout has chat models only",
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
        return f"`{first}` is not served; {INSTEAD[first]}; {CHAT}"
    return f"no such path; {CHAT}"
