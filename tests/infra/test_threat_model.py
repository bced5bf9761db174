"""docs/threat-model.md says what each role may do: no more and no less than the template."""

from __future__ import annotations

import re
from pathlib import Path

from .synth import Synthesised

PAGE = Path(__file__).parents[2] / "docs" / "threat-model.md"
ACTION = re.compile(r"`([a-z0-9]+:[A-Z]\w+)`")


def roles() -> str:
    """The page's part on roles."""
    return PAGE.read_text().partition("## What each role may do")[2].partition("\n## ")[0]


def test_every_right_in_the_template_is_on_the_page_and_no_other(everything: Synthesised) -> None:
    granted = {action for action, _, _ in everything.statements()}
    assert set(ACTION.findall(roles())) == granted | {"sns:Publish"}
    assert "sns:Publish" in everything.text


def test_every_policy_of_awss_own_is_on_the_page(everything: Synthesised) -> None:
    named = set(re.findall(r"service-role/(\w+)", everything.text))
    assert named == set(re.findall(r"AWS's policy `(\w+)`", roles()))
