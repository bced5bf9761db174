"""Stacks synthesised in process, once for each set of choices."""

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
SMALLEST: dict[str, Any] = {
    "model_list": [{"model_name": "a", "litellm_params": MODEL}],
    "general_settings": {"master_key": "os.environ/MASTER"},
}


def config_file(folder: Path, *models: Mapping[str, Any], **general: Any) -> str:
    """A config of these `litellm_params`, or of one model."""
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


class Synthesised:
    """A template, read as tests like to."""

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

    def of(self, kind: str, part: str = "") -> dict[str, dict[str, Any]]:
        """
        Every resource of a kind, such as `Lambda::Function`, whole, by its name here; or those of a
        part of the stack, with which their names begin.
        """
        kind = f"AWS::{kind}"
        return {
            name: resource
            for name, resource in self.template["Resources"].items()
            if resource["Type"] == kind and name.startswith(part)
        }

    def properties(self, kind: str, part: str = "") -> list[dict[str, Any]]:
        return [resource["Properties"] for resource in self.of(kind, part).values()]

    def one(self, kind: str, part: str = "") -> dict[str, Any]:
        """The properties of the only one."""
        (properties,) = self.properties(kind, part)
        return properties

    def statements(self, part: str = "") -> Iterator[tuple[str, str, str]]:
        """Every right that a policy of the stack gives: action, resource, condition."""
        for policy in self.properties("IAM::Policy", part):
            for statement in policy["PolicyDocument"]["Statement"]:
                assert statement["Effect"] == "Allow"
                condition = json.dumps(statement.get("Condition", ""))
                for action in _listed(statement["Action"]):
                    for resource in _listed(statement["Resource"]):
                        yield action, self.said(resource), condition

    def said(self, value: Any) -> str:
        """A reference as it reads: `<Name>`, `<Name.Attribute>`, `<AWS::Region>`."""
        if isinstance(value, str):
            return value
        (function, inner), *_ = value.items()
        if function == "Fn::Join":
            return str(inner[0]).join(map(self.said, inner[1]))
        if function == "Fn::Sub":
            return str(inner)
        return f"<{inner if function == 'Ref' else '.'.join(inner)}>"


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def synthesise(choices: Mapping[str, Any] = {}, *, outdir: str | None = None) -> Synthesised:
    """The stack of these `fanout:` choices, without its code unless it is written to `outdir`."""
    context = CONTEXT | {f"fanout:{name}": value for name, value in choices.items()}
    if outdir is None:
        context["aws:cdk:bundling-stacks"] = []
    with chdir(ROOT):  # where the CDK's command line runs the app
        app = cdk.App(context=context, outdir=outdir or tempfile.mkdtemp(prefix="fanout-"))
        name = add_stack(app).stack_name
        written = Path(app.synth().directory) / f"{name}.template.json"
    return Synthesised(json.loads(written.read_text()), written.parent)
