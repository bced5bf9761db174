"""
A stack to ask. One of three:

* AWS_ENDPOINT_URL: an emulator; the suite bootstraps it, deploys to it, and destroys what it made.
* FANOUT_PROVIDER_URL: a real account, where the suite deploys and destroys a stack of its own. The
  scripted provider listens on FANOUT_PROVIDER_PORT here, and the URL must lead to it.
* FANOUT_BASE_URL, FANOUT_API_KEY, FANOUT_MODELS (a comma between two): a stack that is there.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from tests.support.clean_environment import USER_ENVIRONMENT

from .deployed_stack import Deployed
from .deployer import Cloud
from .scripted_provider import Provider, serving

STACK = "Rehearsal"
PROVIDER_KEY = "provider-key-1"

WHERE = "say where: AWS_ENDPOINT_URL, FANOUT_PROVIDER_URL or FANOUT_BASE_URL (docs/aws.md)"
ONLY_OWN = "needs the scripted provider, which only a stack of the suite's own asks"


# The suite needs the user's AWS account and the variables above; tests/conftest.py removed them.
os.environ.update(USER_ENVIRONMENT)


def pytest_sessionstart() -> None:
    if not any(os.environ.get(name) for name in WHERE.replace(",", "").split() if "_" in name):
        pytest.exit(WHERE, returncode=2)


IS_OWN = not os.environ.get("FANOUT_BASE_URL")
"""Whether the suite deploys what it asks."""


@pytest.fixture(scope="session")
def one_provider() -> Iterator[Provider]:
    if not IS_OWN:
        pytest.skip(ONLY_OWN)
    with serving(int(os.environ.get("FANOUT_PROVIDER_PORT", "0"))) as provider:
        yield provider


@pytest.fixture
def provider(one_provider: Provider) -> Provider:
    """The scripted provider, which nobody has asked yet."""
    one_provider.reset()
    return one_provider


@pytest.fixture(scope="session")
def cloud(one_provider: Provider, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    """Where stacks are deployed to."""
    local = f"http://127.0.0.1:{one_provider.server_port}/v1"
    url = os.environ.get("FANOUT_PROVIDER_URL") or local
    with Cloud(tmp_path_factory.mktemp("cdk"), url) as made:
        made.bootstrap()
        yield made


@pytest.fixture(scope="session")
def own(cloud: Cloud) -> Iterator[Deployed]:
    """A stack that the suite may do to as it likes."""
    with cloud.deploy(STACK) as stack:
        stack.fanout_keys("set", "PROVIDER_KEY", given=PROVIDER_KEY)
        yield stack
    cloud.destroy(STACK)
    cloud.drop_bucket(stack.outputs["JobsBucket"])


@pytest.fixture(scope="session")
def given() -> Iterator[Deployed]:
    """A stack that is there."""
    url = os.environ["FANOUT_BASE_URL"].rstrip("/")
    with Deployed("", url, os.environ["FANOUT_API_KEY"]) as stack:
        yield stack


@pytest.fixture(scope="session")
def stack(request: pytest.FixtureRequest) -> Deployed:
    """A stack to ask, whoever's it is."""
    found: Deployed = request.getfixturevalue("own" if IS_OWN else "given")
    return found


@pytest.fixture(scope="session")
def models() -> list[str]:
    """Two models that answer, the first of them soon."""
    given = os.environ.get("FANOUT_MODELS", "").split(",")
    return ["quick", "slow"] if IS_OWN else [name.strip() for name in given]


@pytest.fixture
def cold(own: Deployed) -> Iterator[Deployed]:
    """The stack, none of whose environments has begun."""
    with own.variant() as version, own.live(version):
        yield own
