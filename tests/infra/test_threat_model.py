"""docs/threat-model.md lists the permissions that the template grants: no more and no fewer."""

from __future__ import annotations

import re
from pathlib import Path

from .synth import Template

PAGE = Path(__file__).parents[2] / "docs" / "threat-model.md"
ACTION = re.compile(r"`([a-z0-9]+:[A-Z]\w+)`")


def roles() -> str:
    """Return the page's section on roles."""
    return PAGE.read_text().partition("## What each role may do")[2].partition("\n## ")[0]


def test_every_action_in_the_template_is_on_the_page_and_no_other(
    everything: Template,
) -> None:
    granted = {action for action, _, _ in everything.statements()}
    assert set(ACTION.findall(roles())) == granted | {"sns:Publish"}
    assert "sns:Publish" in everything.text


def test_every_managed_policy_is_on_the_page(everything: Template) -> None:
    named = set(re.findall(r"service-role/(\w+)", everything.text))
    assert named == set(re.findall(r"AWS's policy `(\w+)`", roles()))
