"""`general_settings.http_client: httpx`: client certificates, own authorities and proxies."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import trustme
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
)

from fanout.config.model import GeneralSettings
from fanout.errors import ConfigError
from fanout.gateway.factory import make_engine
from tests.cli.commands import spawned, write_config
from tests.cli.test_serve import port_of
from tests.http.openai_clients import HI
from tests.support.forward_proxy import Proxy, behind_proxy, open_proxy
from tests.support.gateway_server import RecordingObserver, RunningGateway, entry, serve
from tests.support.mutual_tls import MutualTLS, open_mutual_tls, open_refusing_tls
from tests.support.patience import PATIENCE
from tests.support.provider_steps import (
    answers,
    cut,
    opens,
    refuse,
    reply,
    role,
    say,
    stalls,
    wait,
)
from tests.support.scripted_provider import Upstream

MODELS = ("a", "b")


@pytest.fixture(scope="module")
def mutual(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MutualTLS]:
    with open_mutual_tls(tmp_path_factory.mktemp("tls")) as opened:
        yield opened


def config(upstream: Upstream, **general: Any) -> dict[str, Any]:
    """A gateway over httpx, with these other settings."""
    return {
        "model_list": [entry(upstream, name) for name in MODELS],
        "router_settings": {"num_retries": 0},
        "general_settings": {"http_client": "httpx", **general},
    }


def with_certificate(mutual: MutualTLS) -> dict[str, Any]:
    return {"ssl_verify": str(mutual.bundle), "ssl_certificate": str(mutual.certificate)}


@pytest.fixture(scope="module")
def gateway(mutual: MutualTLS) -> Iterator[RunningGateway]:
    """A gateway whose provider requires its certificate."""
    with serve(config(mutual.upstream, **with_certificate(mutual))) as served:
        yield served


def asked(model: str = "a", **more: Any) -> dict[str, Any]:
    return {"model": model, "messages": HI, **more}


# ---- certificates ----


@pytest.mark.parametrize("stream", [False, True])
def test_the_provider_gets_the_client_certificate(
    mutual: MutualTLS, gateway: RunningGateway, *, stream: bool
) -> None:
    mutual.upstream.script("a", answers("Hel", "lo"))
    response = gateway.chat(asked(stream=stream))
    assert (response.status, response.text) == (200, "Hello")


def test_without_its_authority_the_provider_is_unreachable(mutual: MutualTLS) -> None:
    mutual.upstream.reset()
    with serve(config(mutual.upstream, ssl_certificate=str(mutual.certificate))) as served:
        status, _, body = served.json(asked())
    assert (status, body["error"]["code"]) == (502, "provider_unreachable")
    assert mutual.upstream.calls == []


def test_a_provider_that_requires_a_certificate_names_the_setting(
    mutual: MutualTLS, tmp_path: Path
) -> None:
    with open_refusing_tls(tmp_path) as (url, bundle):
        settings = config(mutual.upstream, ssl_verify=str(bundle))
        settings["model_list"][0]["litellm_params"]["api_base"] = f"{url}/v1"
        with serve(settings) as served:
            status, _, body = served.json(asked())
    assert (status, body["error"]["code"]) == (502, "provider_unreachable")
    assert "it requires a client certificate: name one in `ssl_certificate`" in str(body)


def test_a_folder_of_authorities_is_read_too(mutual: MutualTLS, tmp_path: Path) -> None:
    # OpenSSL finds a certificate in a folder by the hash of its subject, so this one is not found.
    mutual.upstream.reset()
    general = with_certificate(mutual) | {"ssl_verify": str(tmp_path)}
    with serve(config(mutual.upstream, **general)) as served:
        assert served.json(asked())[0] == 502


@pytest.mark.parametrize("value", [False, "false", "False"])
def test_with_ssl_verify_false_no_certificate_is_checked(mutual: MutualTLS, value: object) -> None:
    mutual.upstream.script("a", answers("Hi"))
    general = with_certificate(mutual) | {"ssl_verify": value}
    with serve(config(mutual.upstream, **general)) as served:
        assert served.chat(asked()).text == "Hi"


# ---- one request ----


def test_the_losers_of_a_race_are_closed(mutual: MutualTLS, gateway: RunningGateway) -> None:
    gate = mutual.upstream.gate()
    mutual.upstream.script("a", stalls(role, opens(gate)))
    mutual.upstream.script("b", [wait(gate), *answers("B")])
    response = gateway.chat(asked("a, b", fastest_response=True))
    assert response.text == "B"
    mutual.upstream.wait_disconnected("a")


def test_a_client_that_disconnects_ends_the_call(
    mutual: MutualTLS, gateway: RunningGateway
) -> None:
    mutual.upstream.script("a", stalls(role, say("Hel")))
    with gateway.ask(asked(stream=True)) as response:
        assert response.status == 200
    mutual.upstream.wait_disconnected("a")


def test_a_providers_error_is_the_gateways(mutual: MutualTLS, gateway: RunningGateway) -> None:
    mutual.upstream.script("a", [refuse(429, "slower", {"retry-after": "7"})])
    status, headers, body = gateway.json(asked())
    assert (status, headers["retry-after"]) == (429, "7")
    assert "slower" in body["error"]["message"]


def test_a_connection_that_breaks_is_a_502(mutual: MutualTLS, gateway: RunningGateway) -> None:
    mutual.upstream.script("a", [cut])
    status, _, body = gateway.json(asked())
    assert (status, body["error"]["code"]) == (502, "provider_stream_broken")


def test_a_response_over_the_size_limit_is_a_502(mutual: MutualTLS) -> None:
    mutual.upstream.script("a", answers("x" * 20_000))
    general = {**with_certificate(mutual), "max_response_size_mb": 0.01}
    with serve(config(mutual.upstream, **general)) as served:
        status, _, body = served.json(asked())
    assert (status, body["error"]["code"]) == (502, "provider_answer_too_large")


def test_cookies_of_a_provider_are_not_sent_back(
    mutual: MutualTLS, gateway: RunningGateway
) -> None:
    mutual.upstream.reset()
    mutual.upstream.script("a", [reply(500, b"{}", {"set-cookie": "session=1; Path=/"})])
    gateway.json(asked())
    gateway.json(asked())
    assert [call.headers.get("cookie") for call in mutual.upstream.calls] == [None, None]


def test_after_a_hundred_calls_at_once_no_task_is_left(
    mutual: MutualTLS, gateway: RunningGateway
) -> None:
    mutual.upstream.script("a", answers("Hi"))
    before = gateway.tasks()
    response = gateway.json({"model": "a", "messages": [HI] * 100})
    assert [choice["message"]["content"] for choice in response[2]["choices"]] == ["Hi"] * 100
    gateway.wait_for_tasks(before)


# ---- the config ----


def general(**settings: Any) -> GeneralSettings:
    return GeneralSettings(http_client="httpx", **settings)


def test_a_file_that_is_not_there_or_has_no_certificate_is_an_error_of_the_config(
    mutual: MutualTLS, tmp_path: Path
) -> None:
    empty = tmp_path / "empty.pem"
    empty.write_text("")
    for path in (tmp_path / "nowhere.pem", empty):
        with pytest.raises(ConfigError, match=r"`general_settings.ssl_verify`: .* must be true"):
            make_engine(general(ssl_verify=str(path)))
        with pytest.raises(ConfigError, match=r"`general_settings.ssl_certificate`: .* PEM file"):
            make_engine(general(ssl_certificate=str(path)))
    with pytest.raises(ConfigError, match=r"`general_settings.ssl_certificate`: .* private key"):
        make_engine(general(ssl_certificate=str(mutual.bundle)))


def test_a_key_with_a_password_is_an_error_and_no_question(tmp_path: Path) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    path = tmp_path / "locked.pem"
    issued = trustme.CA().issue_cert("team@example.org").cert_chain_pems[0].bytes()
    form = PrivateFormat.PKCS8
    locked = key.private_bytes(Encoding.PEM, form, BestAvailableEncryption(b"password"))
    path.write_bytes(issued + locked)
    with pytest.raises(ConfigError, match="without a password: it has a password"):
        make_engine(general(ssl_certificate=str(path)))


# ---- a process, with a proxy of the environment ----


@pytest.fixture
def proxy() -> Iterator[Proxy]:
    with open_proxy() as opened:
        yield opened


def served_by_a_process(
    folder: Path, value: dict[str, Any], *, stream: bool = False, **env: str
) -> tuple[int, str]:
    """The status and the text of one response of `fanout serve` with this environment."""
    environment = {**os.environ, **env}
    with spawned(
        "serve", "--port", 0, "--config", write_config(folder, value), env=environment
    ) as p:
        gateway = RunningGateway(port_of(p), RecordingObserver())
        response = gateway.chat(asked(stream=stream))
    return response.status, response.text


@pytest.mark.parametrize("stream", [False, True])
def test_a_process_uses_the_environments_proxy(
    mutual: MutualTLS, proxy: Proxy, tmp_path: Path, *, stream: bool
) -> None:
    mutual.upstream.script("a", answers("Hi"))
    value = config(mutual.upstream, **with_certificate(mutual))
    url = behind_proxy(mutual.upstream.url)
    for one in value["model_list"]:
        one["litellm_params"]["api_base"] = f"{url}/v1"
    assert served_by_a_process(tmp_path, value, stream=stream, HTTPS_PROXY=proxy.url) == (200, "Hi")
    assert proxy.targets == [f"CONNECT {url.removeprefix('https://')}"]
    assert b"sk-provider" not in b"".join(proxy.heads)


def test_a_process_calls_this_machine_without_a_proxy(
    mutual: MutualTLS, proxy: Proxy, tmp_path: Path
) -> None:
    mutual.upstream.script("a", answers("Hi"))
    value = config(mutual.upstream, **with_certificate(mutual))
    assert served_by_a_process(tmp_path, value, HTTPS_PROXY=proxy.url) == (200, "Hi")
    assert proxy.targets == []


def test_an_error_names_the_wrong_certificate_file(mutual: MutualTLS, tmp_path: Path) -> None:
    value = config(mutual.upstream, ssl_certificate=str(tmp_path / "nowhere.pem"))
    with spawned("serve", "--port", 0, "--config", write_config(tmp_path, value)) as process:
        _, err = process.communicate(timeout=PATIENCE)
    assert process.returncode != 0
    assert "`general_settings.ssl_certificate`" in err
    assert "nowhere.pem" in err
