"""
`make check`: checks the stack's templates without an AWS account, network or Docker.

Synthesizes the stack with default options, with every optional feature, and on managed instances,
under cdk-nag's rules.
Then runs cfn-lint on the templates and asl-validator on their state machines.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from infra.props import LAMBDA_OPTIONS

from . import state_machines

ROOT = Path(__file__).parent.parent.parent
OUT = ROOT / ".build" / "stack"
TOOLS = Path(sys.executable).parent
ASL_VALIDATOR = ROOT / "node_modules/.bin/asl-validator"

EVERYTHING = {
    "alarm_email": "someone@example.com",
    "certificate": "arn:aws:acm:eu-west-1:111111111111:certificate/0",
    "concurrency": 50,
    "config": "tests/infra/everything.yaml",
    "cors": "https://app.example.com",
    "domain": "llm.example.com",
    "environment": {"PROVIDER_URL": "https://llm.example.com/v1"},
    "dashboard": True,
    "python": "3.14",
    "removal": "retain",
    "rollback": True,
    "soft_budget_alarm": True,
    "snapstart": True,
}

MANAGED: dict[str, Any] = {"compute": "managed-instances"}
MANAGED_IN_OWN_VPC = MANAGED | {
    "environments": 4,
    "instance_memory": 8_192,
    "instance_requests": 128,
    "instance_types": "m7g.large, m8g.large",
    "max_vcpus": 40,
    "memory_per_vcpu": 4,
    "subnets": "subnet-0123456789abcdef0,subnet-0123456789abcdef1",
    "vpc": "vpc-0123456789abcdef0",
}


def main() -> int:
    """Return the exit code: 0 if no check finds a problem."""
    everything = {name: v for name, v in EVERYTHING.items() if name not in LAMBDA_OPTIONS}
    stacks: dict[str, Mapping[str, object]] = {
        "Default": {},
        "Everything": EVERYTHING,
        "Managed": MANAGED,
        "ManagedInOwnVpc": everything | MANAGED_IN_OWN_VPC,
    }
    if not all(synthesize(name, options) for name, options in stacks.items()):
        return 1
    templates = [str(OUT / name / f"{name}.template.json") for name in stacks]
    linted = subprocess.run([TOOLS / "cfn-lint", *templates], check=False)
    return linted.returncode or int(not all(list(map(is_valid, write_definitions(templates)))))


def synthesize(name: str, options: Mapping[str, object]) -> bool:
    """Return whether synth succeeds. It skips the code, which the tests bundle."""
    context = json.loads((ROOT / "cdk.json").read_text())["context"]
    context |= {f"fanout:{key}": value for key, value in options.items()}
    context |= {"fanout:stack": name, "aws:cdk:bundling-stacks": []}
    env = {**os.environ, "CDK_OUTDIR": str(OUT / name), "CDK_CONTEXT_JSON": json.dumps(context)}
    env["PATH"] = f"{TOOLS}{os.pathsep}{env['PATH']}"  # Node.js comes from a wheel
    done = subprocess.run([sys.executable, "-m", "infra.app"], cwd=ROOT, env=env, check=False)
    report = OUT / name / "validation-report.json"
    if done.returncode and report.is_file():
        print(report.read_text())
    return done.returncode == 0


def write_definitions(templates: list[str]) -> Iterator[Path]:
    """Write the definition of every state machine to a file, and yield its path."""
    for template in templates:
        resources: dict[str, Any] = json.loads(Path(template).read_text())["Resources"]
        for name, definition in state_machines.definitions(resources):
            for problem in state_machines.problems(definition):
                sys.exit(f"{template}: {name}: {problem}")
            path = Path(template).with_name(f"{name}.asl.json")
            path.write_text(json.dumps(definition, indent=1))
            yield path


def is_valid(definition: Path) -> bool:
    """Return whether asl-validator accepts the definition."""
    command: list[Path | str] = [TOOLS / "node", ASL_VALIDATOR, "--json-path", definition]
    return subprocess.run(command, check=False).returncode == 0


if __name__ == "__main__":
    sys.exit(main())
