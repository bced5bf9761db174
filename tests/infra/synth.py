"""Synthesizes stacks in this process, and reads their templates."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import chdir
from functools import cached_property
from pathlib import Path
from typing import Any

import aws_cdk as cdk
import yaml

from infra.app import add_stack

ROOT = Path(__file__).parents[2]
CONTEXT: dict[str, Any] = json.loads((ROOT / "cdk.json").read_text())["context"]

MODEL = {"model": "openai/a", "api_key": "os.environ/A_KEY"}


def config_file(folder: Path, *models: Mapping[str, Any], **general: Any) -> str:
    """Write a config with these `litellm_params`, or with one model; return its path."""
    config = {
        "model_list": [
            {"model_name": f"m{index}", "litellm_params": dict(params)}
            for index, params in enumerate(models or (MODEL,))
        ],
        "general_settings": {"master_key": "os.environ/MASTER"} | general,
    }
    path = folder / "config.yaml"
    path.write_text(yaml.safe_dump(config))
    return str(path)


class Template:
    """A synthesized template, and the folder of its assets."""

    def __init__(self, template: Mapping[str, Any], folder: Path) -> None:
        self.template = template
        self.folder = folder

    @cached_property
    def text(self) -> str:
        return json.dumps(self.template)

    @property
    def outputs(self) -> Mapping[str, Any]:
        outputs: Mapping[str, Any] = self.template["Outputs"]
        return outputs

    def resources(self, kind: str, part: str = "") -> dict[str, dict[str, Any]]:
        """
        Return the resources of a type, such as `Lambda::Function`, by their logical ids.

        `part` is a prefix of the ids: the part of the stack that they belong to.
        """
        kind = f"AWS::{kind}"
        return {
            name: resource
            for name, resource in self.template["Resources"].items()
            if resource["Type"] == kind and name.startswith(part)
        }

    def properties(self, kind: str, part: str = "") -> list[dict[str, Any]]:
        return [resource["Properties"] for resource in self.resources(kind, part).values()]

    def one(self, kind: str, part: str = "") -> dict[str, Any]:
        """Return the properties of the only resource of the type."""
        (properties,) = self.properties(kind, part)
        return properties

    def statements(self, part: str = "") -> Iterator[tuple[str, str, str]]:
        """Yield action, resource and condition of every policy statement."""
        for policy in self.properties("IAM::Policy", part):
            for statement in policy["PolicyDocument"]["Statement"]:
                assert statement["Effect"] == "Allow"
                condition = json.dumps(statement.get("Condition", ""))
                for action in _as_list(statement["Action"]):
                    for resource in _as_list(statement["Resource"]):
                        yield action, self.render(resource), condition

    def render(self, value: Any) -> str:
        """Return a value as text; references look like `<Name.Attribute>` or `<AWS::Region>`."""
        if isinstance(value, str):
            return value
        (function, inner), *_ = value.items()
        if function == "Fn::Join":
            return str(inner[0]).join(map(self.render, inner[1]))
        if function == "Fn::Sub":
            return str(inner)
        return f"<{inner if function == 'Ref' else '.'.join(inner)}>"


def _as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def synthesize(options: Mapping[str, Any] = {}, *, outdir: str | None = None) -> Template:
    """Synthesize a stack with these `fanout:` options; code is bundled only with an `outdir`."""
    context = CONTEXT | {f"fanout:{name}": value for name, value in options.items()}
    if outdir is None:
        context["aws:cdk:bundling-stacks"] = []
    with chdir(ROOT):  # as the CDK command line does
        app = cdk.App(context=context, outdir=outdir or tempfile.mkdtemp(prefix="fanout-"))
        name = add_stack(app).stack_name
        written = Path(app.synth().directory) / f"{name}.template.json"
    return Template(json.loads(written.read_text()), written.parent)
