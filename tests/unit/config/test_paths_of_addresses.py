"""
The URL that is called, for each form in which people write `api_base`.

`{}` is the part of the path that the server has; the left side is what the config may say.
"""

from __future__ import annotations

import pytest

from fanout.cli.config_summary import summarize
from tests.unit.config.sections import catalog, entry, refusal

BEDROCK = "bedrock/anthropic.claude-3-haiku-20240307-v1:0"
VERTEX = "/v1/projects/p/locations/us-central1/publishers/google/models/gemini-2.5-pro"


def url(model: str, base: str, **params: str) -> str:
    given = {"vertex_project": "p"} if model.startswith("vertex_ai/") else {}
    models = [entry(model, api_base=base, **given, **params)]
    (row,) = summarize(catalog({"AWS_REGION": "us-east-1"}, model_list=models))
    return row.url


SELF_HOSTED = ["openai/m", "openai_like/m", "hosted_vllm/m", "vllm/m", "ollama/m", "ollama_chat/m",
    "local/m", "custom_openai/m", "groq/m", "mistral/m", "any-name"]  # fmt: skip


@pytest.mark.parametrize("model", SELF_HOSTED)
@pytest.mark.parametrize("end", ["", "/", "/v1", "/v1/", "/v1/chat/completions", "/v1/models"])
@pytest.mark.parametrize(
    "host", ["http://localhost:11434", "http://[::1]:8000", "https://proxy.test"]
)
def test_a_server_of_ones_own_has_its_api_under_v1(model: str, end: str, host: str) -> None:
    assert url(model, host + end) == f"{host}/v1/chat/completions"


@pytest.mark.parametrize("model", SELF_HOSTED)
@pytest.mark.parametrize("path", ["/api/v3", "/compatible-mode/v1", "/inference", "/s/x"])
def test_a_path_of_its_own_stays(model: str, path: str) -> None:
    assert url(model, f"https://h.test{path}/") == f"https://h.test{path}/chat/completions"


def test_a_whole_address_says_that_there_is_no_path() -> None:
    assert url("openai/m", "http://h/chat/completions") == "http://h/chat/completions"


FORMS = """
ollama/m       http://h:11434/api                       http://h:11434/v1/chat/completions
ollama_chat/m  http://h:11434/api/chat                  http://h:11434/v1/chat/completions
ollama/m       http://h:11434/api/generate              http://h:11434/v1/chat/completions
groq/m         https://api.groq.com                     https://api.groq.com/openai/v1/chat/completions
openai/m       https://api.groq.com/openai              https://api.groq.com/openai/v1/chat/completions
openai/m       https://openrouter.ai/api                https://openrouter.ai/api/v1/chat/completions
openai/m       https://api.perplexity.ai                https://api.perplexity.ai/chat/completions
perplexity/m   https://api.perplexity.ai/               https://api.perplexity.ai/chat/completions
openai/m       https://api.openai.com                   https://api.openai.com/v1/chat/completions
openai/m       https://generativelanguage.googleapis.com/v1beta  https://generativelanguage.googleapis.com/v1beta/openai/chat/completions
openai/m       https://generativelanguage.googleapis.com/v1beta/openai/  https://generativelanguage.googleapis.com/v1beta/openai/chat/completions
deepseek/m     https://api.deepseek.com                 https://api.deepseek.com/v1/chat/completions
deepseek/m     https://api.deepseek.com/beta            https://api.deepseek.com/beta/chat/completions
anthropic/m    https://api.anthropic.com                https://api.anthropic.com/v1/messages
anthropic/m    https://api.anthropic.com/v1             https://api.anthropic.com/v1/messages
anthropic/m    https://api.anthropic.com/v1/messages    https://api.anthropic.com/v1/messages
anthropic/m    https://api.z.ai/api/anthropic           https://api.z.ai/api/anthropic/v1/messages
anthropic/m    https://api.z.ai/api/anthropic/v1        https://api.z.ai/api/anthropic/v1/messages
cohere/m       https://api.cohere.com                   https://api.cohere.com/v2/chat
cohere/m       https://api.cohere.ai/v1/chat            https://api.cohere.ai/v2/chat
cohere/m       https://api.cohere.com/v2                https://api.cohere.com/v2/chat
gemini/m       https://g.test                           https://g.test/v1beta/models/m:generateContent
gemini/m       https://g.test/v1                        https://g.test/v1beta/models/m:generateContent
gemini/m       https://g.test/v1beta                    https://g.test/v1beta/models/m:generateContent
gemini/m       https://g.test/v1beta/models             https://g.test/v1beta/models/m:generateContent
gemini/m       https://g.test/v1beta/openai/            https://g.test/v1beta/models/m:generateContent
azure/m        https://x.openai.azure.com               https://x.openai.azure.com/openai/v1/chat/completions
azure/m        https://x.openai.azure.com/openai        https://x.openai.azure.com/openai/v1/chat/completions
azure/m        https://x.openai.azure.com/openai/v1/    https://x.openai.azure.com/openai/v1/chat/completions
azure/m        https://x.openai.azure.com/openai/v1/chat/completions  https://x.openai.azure.com/openai/v1/chat/completions
azure/m        https://x.openai.azure.com/openai/deployments/m  https://x.openai.azure.com/openai/v1/chat/completions
azure/m        https://x.openai.azure.com/openai/deployments/m/chat/completions?api-version=2024-10-21  https://x.openai.azure.com/openai/deployments/m/chat/completions?api-version=2024-10-21
azure/m        https://x.openai.azure.com/openai/responses?api-version=2025-04-01-preview  https://x.openai.azure.com/openai/deployments/m/chat/completions?api-version=2025-04-01-preview
"""  # noqa: E501


@pytest.mark.parametrize("row", FORMS.split("\n")[1:-1])
def test_each_form_of_an_address_is_understood(row: str) -> None:
    model, base, called = row.split()
    assert url(model, base) == called


@pytest.mark.parametrize("end", ["", "/", "/v1", "/v1beta1", VERTEX])
def test_vertex_ais_address_may_have_its_path(end: str) -> None:
    called = url("vertex_ai/gemini-2.5-pro", f"https://g.test{end}")
    assert called == f"https://g.test{VERTEX}:generateContent"


@pytest.mark.parametrize("end", ["", "/", "/model", "/model/x/converse"])
def test_bedrocks_address_may_have_its_path(end: str) -> None:
    assert url(BEDROCK, f"https://b.test{end}").startswith("https://b.test/model/anthropic.claude")


@pytest.mark.parametrize(
    ("model", "base", "words"),
    [
        ("openai/m", "https://h/v1?key=1", "without a query (`?…`)"),
        ("openai/m", "https://h/v1#x", "`api_base` ends with its path"),
        ("azure/m", "https://h/openai/deployments/other", "`deployments/other`"),
        ("vertex_ai/gemini-2.5-pro", f"https://h{VERTEX}".replace("/p/", "/q/"), "`projects/q`"),
    ],
)
def test_an_address_that_says_something_else_is_rejected(model: str, base: str, words: str) -> None:
    given = {"vertex_project": "p"} if model.startswith("vertex_ai/") else {}
    assert words in refusal(model_list=[entry(model, api_base=base, **given)])


def test_the_environments_address_is_completed_too() -> None:
    env = {"OLLAMA_API_BASE": "http://gpu:11434"}
    (row,) = summarize(catalog(env, model_list=[entry("ollama/m")]))
    assert row.url == "http://gpu:11434/v1/chat/completions"
