"""The paths of LiteLLM's proxy and of Azure OpenAI: their clients work without a change."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import openai
import pytest

from tests.support.gateway_server import RunningGateway, entry, serve
from tests.support.provider_steps import answers
from tests.support.scripted_provider import Upstream

KEY, LIMITED = "sk-master-marker", "sk-limited-marker"
ARN = "arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/abc"
HI: Any = [{"role": "user", "content": "Hi"}]


@pytest.fixture(scope="module")
def gateway(provider: Upstream) -> Iterator[RunningGateway]:
    priced: dict[str, Any] = {"input_cost_per_token": 0.000002, "output_cost_per_token": 0.00001}
    listed = [entry(provider, name, **priced) for name in ("a", "b", "team/c")]
    aws = {"model": "bedrock/openai.gpt-oss-20b-1:0", "model_id": ARN, "region": "us-east-1"}
    vectors = {"model": "openai/text-embedding-3-small"}
    others = {"aws": aws, "vectors": vectors}
    more = [{"model_name": name, "litellm_params": params} for name, params in others.items()]
    config = {
        "model_list": [*listed, *more],
        "router_settings": {"num_retries": 0},
        "general_settings": {
            "master_key": KEY,
            "keys": [{"name": "limited", "key": LIMITED, "models": ["b"]}],
        },
    }
    with serve(config) as served:
        yield served


@pytest.fixture
def azure(gateway: RunningGateway) -> Iterator[openai.AzureOpenAI]:
    with openai.AzureOpenAI(
        azure_endpoint=gateway.url, api_key=KEY, api_version="2024-10-21", max_retries=0
    ) as client:
        yield client


@pytest.fixture(autouse=True)
def willing(upstream: Upstream) -> None:
    for name in ("a", "b", "team/c"):
        upstream.script(name, answers(f"from {name}"))


# ---- Azure ----


@pytest.mark.parametrize("model", ["a", "team/c"])
def test_azures_client_gets_responses(azure: openai.AzureOpenAI, model: str) -> None:
    response = azure.chat.completions.create(model=model, messages=HI)
    assert response.choices[0].message.content == f"from {model}"
    chunks = azure.chat.completions.create(model=model, messages=HI, stream=True)
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert text == f"from {model}"


def test_azures_client_gets_every_response_and_races(azure: openai.AzureOpenAI) -> None:
    both = azure.chat.completions.create(model="a, b", messages=HI)
    assert [choice.message.content for choice in both.choices] == ["from a", "from b"]
    race = azure.chat.completions.create(
        model="a, b", messages=HI, extra_body={"fastest_response": True}
    )
    assert race.choices[0].message.content in {"from a", "from b"}


def test_azures_client_lists_models_and_has_one_deployment(gateway: RunningGateway) -> None:
    with openai.AzureOpenAI(
        azure_endpoint=gateway.url, azure_deployment="b", api_key=LIMITED, api_version="x"
    ) as client:
        assert [model.id for model in client.models.list()] == ["b"]
        response = client.chat.completions.create(model="ignored", messages=HI)
        assert response.choices[0].message.content == "from b"


def test_the_path_names_the_model_whatever_the_body_says(gateway: RunningGateway) -> None:
    path = "/openai/deployments/b/chat/completions?api-version=2024-10-21"
    for body in ({"messages": HI}, {"messages": HI, "model": "nope"}):
        for prefix in ("", "/v1"):
            status, headers, found = gateway.json(body, prefix + path, headers={"api-key": KEY})
            assert (status, found["choices"][0]["message"]["content"]) == (200, "from b")
            assert headers["x-fanout-mode"] == "one"


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/openai/deployments/nope/chat/completions", 404),
        ("/openai/deployments/b/embeddings", 400),
        ("/openai/deployments/nope/images", 404),
        ("/openai/deployments//chat/completions", 404),
        ("/openai/deployments/chat/completions", 404),
        ("/openai/v1/chat/completions", 400),
        ("/openai/nothing", 404),
    ],
)
def test_other_paths_of_azure_are_errors_that_say_why(
    gateway: RunningGateway, path: str, status: int
) -> None:
    found, _, body = gateway.json({"messages": HI}, path, headers={"api-key": KEY})
    assert found == status
    assert body["error"]["message"]


def test_azures_path_has_the_rights_of_the_key(gateway: RunningGateway) -> None:
    path = "/openai/deployments/a/chat/completions"
    assert gateway.json({"messages": HI}, path)[0] == 401
    assert gateway.json({"messages": HI}, path, headers={"api-key": LIMITED})[0] == 403


# ---- LiteLLM ----


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/health/liveliness", "I'm alive!"),
        ("/health/liveness", "I'm alive!"),
        ("/health/readiness", {"status": "healthy"}),
        ("/v1/health/readiness", {"status": "healthy"}),
    ],
)
def test_probes_need_no_key(gateway: RunningGateway, path: str, body: object) -> None:
    status, _, found = gateway.json(path=path, method="GET")
    assert (status, found) == (200, body)
    with gateway.ask(path=path, method="HEAD") as response:
        assert (response.status, response.read()) == (200, b"")


def test_the_list_of_models_has_all_names_and_on_request_those_for_chat(
    gateway: RunningGateway,
) -> None:
    key = {"authorization": f"Bearer {KEY}"}

    def names(query: str) -> list[str]:
        _, _, body = gateway.json(None, f"/v1/models{query}", "GET", headers=key)
        return [one["id"] for one in body["data"]]

    assert names("") == names("?return_wildcard_routes=true") == [*names("?mode=chat"), "vectors"]
    status, _, body = gateway.json(None, "/v1/models?mode=embedding", "GET", headers=key)
    assert (status, body["error"]["param"]) == (400, "mode")


@pytest.mark.parametrize("path", ["/model/info", "/v1/model/info"])
def test_model_info_has_the_clients_deployments_without_keys_and_addresses(
    gateway: RunningGateway, path: str
) -> None:
    assert gateway.json(path=path, method="GET")[0] == 401
    _, _, body = gateway.json(path=path, method="GET", headers={"x-api-key": LIMITED})
    assert body == {
        "data": [
            {
                "model_name": "b",
                "litellm_params": {"model": "openai/b"},
                "model_info": {
                    "id": "b#1",
                    "db_model": False,
                    "key": "b",
                    "litellm_provider": "openai",
                    "mode": "chat",
                    "input_cost_per_token": 0.000002,
                    "output_cost_per_token": 0.00001,
                },
            }
        ]
    }
    _, _, everything = gateway.json(path=path, method="GET", headers={"x-litellm-api-key": KEY})
    _, _, one = gateway.json(
        path=f"{path}?litellm_model_id=b%231", method="GET", headers={"x-api-key": KEY}
    )
    assert one == body
    other = gateway.json(
        path=f"{path}?litellm_model_id=x", method="GET", headers={"x-api-key": KEY}
    )
    assert (other[0], other[2]["error"]["param"]) == (404, "litellm_model_id")
    modes = {one["model_name"]: one["model_info"]["mode"] for one in everything["data"]}
    assert modes == {**dict.fromkeys(["a", "b", "team/c", "aws"], "chat"), "vectors": "embedding"}
    for secret in ("127.0.0.1", "sk-provider", "123456789012", "marker"):
        assert secret not in str(everything)
