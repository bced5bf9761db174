"""`none` clears a field of a key, team, user or budget, or an error names the option."""

from __future__ import annotations

import re

import pytest

from fanout.cli import key
from fanout.keys.key_types import TYPES
from tests.cli.commands import Command

LIMITS = {
    "--budget": ("max_budget", "5"),
    "--soft-budget": ("soft_budget", "4"),
    "--window": ("budget_duration", "1mo"),
    "--rpm": ("rpm_limit", "6"),
    "--tpm": ("tpm_limit", "7"),
    "--parallel": ("max_parallel_requests", "8"),
}
SHARED = {**LIMITS, "--budget-id": ("budget_id", "gold")}
FIELDS = {
    "key": {
        **SHARED,
        "--alias": ("key_alias", "x"),
        "--expires": ("expires", "30d"),
        "--tag": ("tags", "t"),
        "--team": ("team_id", "red"),
        "--user": ("user_id", "ann"),
    },
    "team": {**SHARED, "--alias": ("team_alias", "x")},
    "user": {
        **SHARED,
        "--alias": ("user_alias", "x"),
        "--email": ("user_email", "ann@example.com"),
    },
    "budget": LIMITS,
}
"""The options that `none` clears, with their field and a value."""

REJECTED = {
    "key": {"--models", "--type"},
    "team": {"--models", "--id"},
    "user": {"--models", "--id"},
    "budget": {"--id"},
}
"""The options that may not be `none`."""

NAMES = {"key": "token", "team": "team_id", "user": "user_id", "budget": "budget_id"}
COMMON = {"--help", "--config", "--json"}


@pytest.mark.parametrize("kind", FIELDS)
def test_none_clears_each_option_or_is_rejected_by_name(fanout: Command, kind: str) -> None:
    shown = fanout(kind, "create", "--help").out
    listed = set(re.findall(r"^  (?:-\w, )?(--[\w-]+)", shown, re.MULTILINE)) - COMMON
    assert listed == FIELDS[kind].keys() | REJECTED[kind], "each option is in this table"
    assert fanout("budget", "create", "--id", "gold", "--rpm", "1").code == 0
    faults: list[object] = []
    for option, (field, value) in FIELDS[kind].items():
        made = fanout(kind, "create", option, value, "--json").json
        name = made[NAMES[kind]]
        changed = fanout(kind, "update", name, option, "None", "--json").json
        fresh = fanout(kind, "create", option, "none", "--json").json
        if not made[field] or changed[field] or fresh[field]:
            faults.append((option, made[field], changed[field], fresh[field]))
        assert fanout(kind, "delete", name).code == 0
    for option in REJECTED[kind]:
        ran = fanout(kind, "create", option, "none")
        if ran.code != 2 or option not in ran.err or "none" not in ran.err:
            faults.append((option, ran.code, ran.err))
    assert faults == []
    for action in ("create", "update"):
        assert "none" in fanout(kind, action, "--help").out


@pytest.mark.parametrize(
    ("words", "option"),
    [
        (("regenerate", "k", "--overlap", "none"), "--overlap"),
        (("reset-spend", "k", "--to", "none"), "--to"),
        (("spend", "--from", "none"), "--from"),
        (("spend", "--to", "none"), "--to"),
        (("spend", "--by", "none"), "--by"),
        (("audit", "--from", "none"), "--from"),
        (("create", "--tag", "none", "--tag", "x"), "--tag"),
        (("create", "--window", "1y"), "--window"),
        (("create", "--rpm", "0"), "--rpm"),
    ],
)
def test_an_error_of_a_value_names_its_option(
    fanout: Command, words: tuple[str, ...], option: str
) -> None:
    assert fanout("key", "create", "--alias", "k").code == 0
    ran = fanout("key", *words)
    assert ran.code == 2
    assert option in ran.err


def test_the_types_of_keys_are_the_commands_choices() -> None:
    assert key.TYPES == TYPES


def test_two_users_of_the_command_line_have_not_one_address(fanout: Command) -> None:
    address = ("--email", "ann@example.com")
    assert fanout("user", "create", "--id", "a", *address).code == 0
    ran = fanout("user", "create", "--id", "b", *address)
    assert (ran.code, ran.err) == (2, "fanout: another user has this --email\n")
    assert fanout("user", "update", "a", *address).code == 0
