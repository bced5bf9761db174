"""AWS credentials of one deployment: keys, profiles and roles to assume."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest

from fanout.aws.credentials import AWSSigner
from fanout.errors import MissingKey
from fanout.secret import Secret
from fanout.transport.credentials import (
    AWSKeys,
    EnvironmentSecrets,
    RequestSigner,
    TokenSource,
    aws_keys,
)
from fanout.transport.engine import ConnectFailed, Outgoing
from fanout.transport.error_mapping import from_engine_error
from fanout.wire.http import WireRequest
from tests.unit.config.sections import catalog, deployment, entry, names, refusal

NOVA = "bedrock/amazon.nova-lite-v1:0"
PAIR: dict[str, Any] = {"aws_access_key_id": "AKIDOWN", "aws_secret_access_key": "own-secret"}
BATCHES = {
    "s3_bucket_name": "ours",
    "aws_batch_role_arn": "arn:aws:iam::111122223333:role/batches",
}
ENV = {"AWS_ACCESS_KEY_ID": "AKIDENV", "AWS_SECRET_ACCESS_KEY": "env-secret"}
REQUEST = Outgoing("POST", "https://bedrock.example/x", {"host": "bedrock.example"}, b"{}")

ROLE = """<AssumeRoleResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><AssumeRoleResult>
<Credentials><AccessKeyId>AKIDROLE</AccessKeyId><SecretAccessKey>role-secret</SecretAccessKey>
<SessionToken>role-token</SessionToken><Expiration>2099-01-01T00:00:00Z</Expiration></Credentials>
</AssumeRoleResult></AssumeRoleResponse>"""


async def _headers(signer: AWSSigner, region: str = "us-east-1") -> Mapping[str, str]:
    return await signer.headers(REQUEST, "bedrock", region)


def _key_in(headers: Mapping[str, str]) -> str:
    return headers["authorization"].split("Credential=")[1].split("/")[0]


def access_key(signer: AWSSigner) -> str:
    """The id of the key that a request was signed with."""
    return _key_in(asyncio.run(_headers(signer)))


# ---- in the config ----


def test_a_deployments_own_credentials_are_kept_and_never_shown() -> None:
    found = deployment(NOVA, **PAIR, aws_session_token="own-token", aws_region_name="eu-west-1")
    login = found.additions.aws
    assert login is not None
    assert [key.reveal() for key in login.secrets] == ["AKIDOWN", "own-secret", "own-token"]
    assert "own-secret" not in repr(found)
    assert found.target.options["region"] == "eu-west-1"


def test_their_names_are_looked_up_like_keys() -> None:
    params = {name: f"os.environ/{name.upper()}_2" for name in PAIR}
    found = catalog(model_list=[entry(NOVA, **params, aws_region_name="eu-west-1")])
    assert found.secret_names == ["AWS_ACCESS_KEY_ID_2", "AWS_SECRET_ACCESS_KEY_2"]


def test_they_count_before_a_bedrock_key_of_the_environment() -> None:
    env = {"AWS_BEARER_TOKEN_BEDROCK": "bearer", "AWS_REGION": "eu-west-1"}
    assert names(deployment(NOVA, env)) == ["AWS_BEARER_TOKEN_BEDROCK"]
    assert names(deployment(NOVA, env, **PAIR)) == []


@pytest.mark.parametrize(
    ("model", "params", "why"),
    [
        (NOVA, {"aws_access_key_id": "A"}, "`aws_secret_access_key` is missing"),
        (NOVA, {"aws_secret_access_key": "S"}, "`aws_access_key_id` is missing"),
        ("openai/gpt-4o", PAIR, "`openai` does not read `aws_access_key_id`"),
        (NOVA, {"s3_bucket_name": "ours"}, "`aws_batch_role_arn` is missing"),
        (
            NOVA,
            {"aws_batch_role_arn": BATCHES["aws_batch_role_arn"]},
            "`s3_bucket_name` is missing",
        ),
        (NOVA, {**BATCHES, "s3_bucket_name": "s3://ours"}, "`s3_bucket_name` must be the name of"),
        (
            NOVA,
            {**BATCHES, "aws_batch_role_arn": "batches"},
            "`aws_batch_role_arn` must be the ARN",
        ),
        (NOVA, {"native_batches": True}, "`native_batches: true` needs `s3_bucket_name`"),
        ("openai/gpt-4o", BATCHES, "`openai` does not read `aws_batch_role_arn`"),
    ],
)
def test_credentials_that_cannot_work_are_a_problem(
    model: str, params: dict[str, Any], why: str
) -> None:
    assert why in refusal({"AWS_REGION": "eu-west-1"}, model_list=[entry(model, **params)])


def test_batches_are_in_the_deployments_bucket_or_in_the_stacks() -> None:
    own = deployment(NOVA, {"AWS_REGION": "eu-west-1"}, **BATCHES).target.options
    assert own["batch_uri"] == "s3://ours/fanout-batches"
    assert own["batch_role"] == BATCHES["aws_batch_role_arn"]
    stack = {"AWS_REGION": "eu-west-1", "FANOUT_SECRET_PREFIX": "Fanout/"}
    with_jobs = {**stack, "FANOUT_BUCKET": "stacks", "FANOUT_BATCH_ROLE": own["batch_role"]}
    found = deployment(NOVA, with_jobs, native_batches=True).target.options
    assert found["batch_uri"] == "s3://stacks/fanout-batches"
    for env, params in ((with_jobs, {}), (stack, {"native_batches": True})):
        assert "batch_uri" not in deployment(NOVA, env, **params).target.options


# ---- signing ----


def test_a_request_to_another_service_has_its_address_and_a_signature_for_it() -> None:
    """A key of Bedrock's is none of S3's."""

    def no_tokens() -> TokenSource:
        raise AssertionError

    signer = RequestSigner(EnvironmentSecrets(), lambda _: AWSSigner(ENV), no_tokens)
    env = {"AWS_REGION": "eu-west-1", "AWS_ENDPOINT_URL_S3": "http://localhost:1/"}
    own = deployment(NOVA, {**env, "AWS_BEARER_TOKEN_BEDROCK": "bearer"}, **BATCHES)

    def sent(service: str) -> tuple[str, str]:
        wire = WireRequest("/a%2Fb", b"", "GET", service=service)
        found = asyncio.run(signer.sign(own, wire, first_key=True)).outgoing
        return found.url, found.headers["authorization"]

    assert sent("bedrock") == ("https://bedrock.eu-west-1.amazonaws.com/a%2Fb", "Bearer bearer")
    url, authorization = sent("s3")
    assert url == "http://localhost:1/a%2Fb"
    assert "/eu-west-1/s3/aws4_request" in authorization
    assert "x-amz-content-sha256" in authorization


def test_requests_are_signed_with_the_deployments_own_keys() -> None:
    own = AWSKeys(access_key="AKIDOWN", secret_key="own-secret")
    assert access_key(AWSSigner(ENV)) == "AKIDENV"
    assert access_key(AWSSigner(ENV, keys=own)) == "AKIDOWN"


def test_a_key_that_is_not_set_is_named() -> None:
    login = deployment(
        NOVA,
        aws_access_key_id="os.environ/NOT_SET",
        aws_secret_access_key="s",
        aws_region_name="us-east-1",
    ).additions.aws
    with pytest.raises(MissingKey, match="NOT_SET"):
        asyncio.run(aws_keys(login, EnvironmentSecrets()))
    assert asyncio.run(aws_keys(None, EnvironmentSecrets())) is None
    assert Secret("NOT_SET") in (login.secrets if login else ())


@contextmanager
def sts() -> Iterator[tuple[str, list[dict[str, str]]]]:
    """A server in the place of AWS's STS; the second value has the requests."""
    requests: list[dict[str, str]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            raw = self.rfile.read(int(self.headers["content-length"])).decode()
            asked = {name: values[0] for name, values in parse_qs(raw).items()}
            scope = self.headers["authorization"].split("Credential=")[1].split("/")
            requests.append({**asked, "signed": scope[0], "region": scope[2]})
            self.send_response(200)
            self.end_headers()
            self.wfile.write(ROLE.encode())

        def log_message(self, *_: Any) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", requests
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.mark.parametrize("own", [True, False], ids=["own keys", "the process's"])
def test_a_role_is_assumed_once_with_the_keys_there_are(
    monkeypatch: pytest.MonkeyPatch, *, own: bool
) -> None:
    with sts() as (url, requests):
        for name, value in {**ENV, "AWS_ENDPOINT_URL_STS": url}.items():
            monkeypatch.setenv(name, value)
        monkeypatch.delenv("AWS_DEFAULT_REGION", raising=False)
        keys = AWSKeys(
            access_key="AKIDOWN" if own else None,
            secret_key="own-secret" if own else None,
            role="arn:aws:iam::111122223333:role/r",
            session_name="proxy",
            external_id="ext",
        )
        signer = AWSSigner(ENV, keys=keys)
        assert access_key(signer) == "AKIDROLE"
        assert access_key(signer) == "AKIDROLE"
    (asked,) = requests
    assert asked["signed"] == ("AKIDOWN" if own else "AKIDENV")
    assert asked["region"] == "us-east-1"  # the deployment's
    assert asked["RoleArn"] == "arn:aws:iam::111122223333:role/r"
    assert (asked["RoleSessionName"], asked["ExternalId"]) == ("proxy", "ext")


@pytest.fixture
def role(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[AWSKeys, list[dict[str, str]]]]:
    """A role, and the requests for it."""
    with sts() as (url, requests):
        monkeypatch.setenv("AWS_ENDPOINT_URL_STS", url)
        yield AWSKeys(role="arn:aws:iam::111122223333:role/r"), requests


def test_requests_that_come_at_once_share_the_role_and_none_has_the_key_that_assumes_it(
    role: tuple[AWSKeys, list[dict[str, str]]],
) -> None:
    keys, requests = role

    async def sign() -> list[str]:
        signer = AWSSigner(ENV, keys=keys)
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(_headers(signer)) for _ in range(32)]
        return [_key_in(task.result()) for task in tasks]

    for _ in range(3):
        assert set(asyncio.run(sign())) == {"AKIDROLE"}
    assert len(requests) == 3


def test_no_thread_sees_the_source_credentials_while_the_role_is_being_prepared(
    role: tuple[AWSKeys, list[dict[str, str]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first request is stopped where it has found the source, until the second one is here."""
    from botocore.session import Session

    keys, requests = role
    found, begun = Session.get_credentials, threading.Event()

    def slowly(session: Session) -> Any:
        source = found(session)
        begun.set()
        return source

    def prepared(*_: Any, **__: Any) -> Any:
        second.join(0.2)  # it waits for this thread, or has signed with the source credentials
        return make(*_, **__)

    import botocore.credentials

    make = botocore.credentials.AssumeRoleCredentialFetcher
    monkeypatch.setattr(Session, "get_credentials", slowly)
    monkeypatch.setattr(botocore.credentials, "AssumeRoleCredentialFetcher", prepared)
    signer = AWSSigner(ENV, keys=keys)
    used: list[str] = []

    def sign() -> None:
        used.append(access_key(signer))

    def sign_later() -> None:
        begun.wait(5)
        sign()

    second = threading.Thread(target=sign_later)
    second.start()
    sign()
    second.join()
    assert used == ["AKIDROLE", "AKIDROLE"]
    assert len(requests) == 1


@pytest.mark.parametrize(
    ("url", "named"),
    [
        ("http://127.0.0.1:1", "`127.0.0.1` (the connection was refused)"),
        ("http://sts.invalid", "`sts.invalid` (its host name cannot be resolved)"),
    ],
)
@pytest.mark.parametrize("by", ["config", "profile"])
def test_a_token_server_that_cannot_be_reached_is_named(
    url: str, named: str, by: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """It is a failed connection, so the call is tried again, and other models are called."""
    arn = "arn:aws:iam::111122223333:role/r"
    profile = f"[profile p]\nrole_arn = {arn}\nsource_profile = q\n[profile q]\n"
    (tmp_path / "config").write_text(
        f"{profile}aws_access_key_id = marker-key\naws_secret_access_key = marker-secret\n"
    )
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_ENDPOINT_URL_STS", url)
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    keys = AWSKeys(role=arn) if by == "config" else AWSKeys(profile="p")
    with pytest.raises(ConnectFailed) as failed:
        access_key(AWSSigner(ENV, keys=keys))
    model = deployment("bedrock/amazon.nova-pro-v1:0", aws_region_name="us-east-1")
    shown = from_engine_error(model, failed.value).detail.message
    assert shown == f"`m`: no connection to AWS's token server {named}"


def test_a_role_is_assumed_in_the_region_of_each_deployment(
    role: tuple[AWSKeys, list[dict[str, str]]],
) -> None:
    keys, requests = role
    signer = AWSSigner(ENV, keys=keys)
    for region in ("eu-west-1", "us-east-1", "eu-west-1"):
        asyncio.run(_headers(signer, region))
    assert [one["region"] for one in requests] == ["eu-west-1", "us-east-1"]


def test_a_profile_is_read_from_the_files_of_aws(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    credentials = tmp_path / "credentials"
    credentials.write_text(
        "[research]\naws_access_key_id = AKIDPROFILE\naws_secret_access_key = s\n"
    )
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(credentials))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    assert access_key(AWSSigner({}, keys=AWSKeys(profile="research"))) == "AKIDPROFILE"
    with pytest.raises(MissingKey, match="nobody"):
        access_key(AWSSigner({}, keys=AWSKeys(profile="nobody")))
