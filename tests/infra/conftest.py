"""The stacks that most tests read; each is synthesized once per session."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from infra.props import LAMBDA_OPTIONS
from scripts.aws.check import EVERYTHING, MANAGED, MANAGED_IN_OWN_VPC
from tests.support.clean_environment import USER_CACHE, USER_ENVIRONMENT, certificates

# jsii looks for Node.js on the path; here it comes from a wheel.
os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
# The wheels in the functions' package are downloaded, unless they are in uv's cache.
os.environ.pop("SSL_CERT_FILE", None)
os.environ.update(certificates(USER_ENVIRONMENT))
# jsii unpacks CDK for seconds, unless it is in the user's cache.
os.environ.setdefault("JSII_RUNTIME_PACKAGE_CACHE_ROOT", str(USER_CACHE / "aws/jsii/package-cache"))

from tests.infra.synth import Template, synthesize


@pytest.fixture(scope="session")
def stack() -> Template:
    """The stack with default options."""
    return synthesize()


@pytest.fixture(scope="session")
def everything() -> Template:
    """The stack with every optional feature."""
    return synthesize(EVERYTHING | {"stack": "Everything"})


@pytest.fixture(scope="session", params=["stack", "everything"])
def either(request: pytest.FixtureRequest) -> Template:
    found: Template = request.getfixturevalue(request.param)
    return found


@pytest.fixture(scope="session")
def without_log_role() -> Template:
    return synthesize({"api_log_role": "false"})


@pytest.fixture(scope="session")
def behind_adapter() -> Template:
    return synthesize({"runtime": "web-adapter"})


@pytest.fixture(scope="session")
def managed() -> Template:
    """The stack on Lambda Managed Instances."""
    return synthesize(MANAGED)


@pytest.fixture(scope="session")
def managed_in_own_vpc() -> Template:
    """The same in a VPC of the user's, with every option."""
    everything = {name: v for name, v in EVERYTHING.items() if name not in LAMBDA_OPTIONS}
    return synthesize(everything | MANAGED_IN_OWN_VPC | {"stack": "Own"})


@pytest.fixture(scope="session")
def without_jobs() -> Template:
    return synthesize({"bulk": "false"})
