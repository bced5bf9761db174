"""How many requests a second one key serves on DynamoDB, whose items take 1,000 writes a second."""

from __future__ import annotations

from tests.support.key_load import load
from tests.support.virtual_clock import run


def test_one_key_serves_450_requests_a_second_on_dynamodb() -> None:
    seen = run(load(450, 1))
    assert (seen.failed, seen.database.throttled, len(seen.waits)) == (0, 0, 450)
    assert max(seen.waits) < 0.02  # a read and a write
    assert seen.database.writes == 4 * 450


def test_a_request_in_a_team_takes_six_writes_on_dynamodb() -> None:
    seen = run(load(20, 1, team=True))
    assert seen.database.writes == 6 * 20


def test_beyond_the_limit_of_an_item_requests_get_a_503_and_what_is_spent_is_exact() -> None:
    seen = run(load(900, 1))  # `load` compares what is spent
    assert seen.database.throttled > 500
    assert 0 < seen.failed < 450
    assert max(seen.waits) < 2.0
