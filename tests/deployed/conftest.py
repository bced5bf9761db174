"""
The stack under test. Set one of these:

* AWS_ENDPOINT_URL: an emulator. The suite bootstraps it, deploys to it, and destroys what it made.
* FANOUT_PROVIDER_URL: a real account, where the suite deploys and destroys its own stack. The
  scripted provider listens on FANOUT_PROVIDER_PORT of this machine, and the URL must lead there.
* FANOUT_BASE_URL, FANOUT_API_KEY and FANOUT_MODELS (two, with a comma between): an existing stack.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.clean_environment import USER_ENVIRONMENT

from .deployed_stack import DeployedStack
from .deployer import Deployer
from .scripted_provider import ScriptedProvider, serving

STACK = "Rehearsal"
PROVIDER_KEY = "provider-key-1"

NO_TARGET = "set AWS_ENDPOINT_URL, FANOUT_PROVIDER_URL or FANOUT_BASE_URL (docs/aws.md)"
DEPLOYMENT_TIMEOUT = 1_800
"""Seconds of a test, with the deployments that it is the first to need: some minutes under load."""

ONLY_OWN = "needs the scripted provider, which only the suite's own stack calls"


# The suite needs the user's AWS account and the variables above; tests/conftest.py removed them.
os.environ.update(USER_ENVIRONMENT)


def pytest_sessionstart() -> None:
    if not any(os.environ.get(name) for name in NO_TARGET.replace(",", "").split() if "_" in name):
        pytest.exit(NO_TARGET, returncode=2)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    folder = Path(__file__).parent
    for item in items:
        if item.path.is_relative_to(folder) and item.get_closest_marker("timeout") is None:
            item.add_marker(pytest.mark.timeout(DEPLOYMENT_TIMEOUT))


IS_OWN = not os.environ.get("FANOUT_BASE_URL")
"""Whether the suite deploys the stack that it tests."""


@pytest.fixture(scope="session")
def one_provider() -> Iterator[ScriptedProvider]:
    if not IS_OWN:
        pytest.skip(ONLY_OWN)
    with serving(int(os.environ.get("FANOUT_PROVIDER_PORT", "0"))) as provider:
        yield provider


@pytest.fixture
def provider(one_provider: ScriptedProvider) -> ScriptedProvider:
    """The scripted provider, without any calls."""
    one_provider.reset()
    return one_provider


@pytest.fixture(scope="session")
def deployer(
    one_provider: ScriptedProvider, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Deployer]:
    """Deploys stacks to the target."""
    local = f"http://127.0.0.1:{one_provider.server_port}/v1"
    url = os.environ.get("FANOUT_PROVIDER_URL") or local
    with Deployer(tmp_path_factory.mktemp("cdk"), url) as made:
        made.bootstrap()
        yield made


@pytest.fixture(scope="session")
def own(deployer: Deployer) -> Iterator[DeployedStack]:
    """The suite's own stack, which tests may change."""
    with deployer.deploy(STACK) as stack:
        stack.fanout_keys("set", "PROVIDER_KEY", stdin=PROVIDER_KEY)
        yield stack
    deployer.destroy(STACK)
    deployer.delete_bucket(stack.outputs["JobsBucket"])


@pytest.fixture(scope="session")
def existing() -> Iterator[DeployedStack]:
    """A stack that exists already."""
    url = os.environ["FANOUT_BASE_URL"].rstrip("/")
    with DeployedStack("", url, os.environ["FANOUT_API_KEY"]) as stack:
        yield stack


@pytest.fixture(scope="session")
def stack(request: pytest.FixtureRequest) -> DeployedStack:
    """The stack under test: the suite's own or an existing one."""
    found: DeployedStack = request.getfixturevalue("own" if IS_OWN else "existing")
    return found


@pytest.fixture(scope="session")
def models() -> list[str]:
    """Two models that respond; the first is the faster one."""
    names = os.environ.get("FANOUT_MODELS", "").split(",")
    return ["quick", "slow"] if IS_OWN else [name.strip() for name in names]


@pytest.fixture
def cold(own: DeployedStack) -> Iterator[DeployedStack]:
    """The stack, with no Lambda environment started."""
    with own.variant() as version, own.live(version):
        yield own
