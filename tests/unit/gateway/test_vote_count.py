"""When votes decide, when they cannot any more, and which models must start."""

from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st

from fanout.gateway.vote_count import VoteCount
from fanout.schema.agreement import Agree

ANSWERS = st.lists(st.sampled_from(["x", "y", "z", None]), min_size=2, max_size=7)


def rules(count: int, k: int = 2, start: int = 2, lead: int = 1) -> Agree:
    return Agree(k, "text", start, tuple(range(count)), (0.8,) * count, lead)


def count_of(count: int, *keys: str) -> VoteCount:
    votes = VoteCount(rules(count), [str(index) for index in range(count)])
    for index, key in enumerate(keys):
        votes.end(index, key)
    votes.waiting = votes.waiting[len(keys) :]
    return votes


@given(ANSWERS, st.integers(2, 4), st.integers(1, 7), st.integers(1, 2), st.randoms())
def test_no_call_is_made_that_cannot_matter_and_no_decision_is_missed(
    answers: list[str | None], k: int, start: int, lead: int, random: object
) -> None:
    count = len(answers)
    k = min(k, count)
    votes = VoteCount(rules(count, k, min(start, count), lead), ["p"] * count)
    running = votes.start()
    called = list(running)
    while running:
        index = random.choice(running)  # type: ignore[attr-defined]
        running.remove(index)
        assert votes.decided is None
        votes.end(index, answers[index])
        if votes.decided is not None or not votes.is_open:
            break
        more = votes.next_starts()
        running += more
        called += more
        assert running, "nothing runs, and nothing is decided"
    counts = sorted((answers.count(one) for one in {*answers} - {None}), reverse=True)
    first, second = (*counts, 0, 0)[:2]
    if votes.decided is None:
        # Whatever the rest had said: no answer has enough votes among those called and the rest.
        assert not votes.is_open
    else:
        voters = votes.voters[votes.decided]
        others = [len(found) for key, found in votes.voters.items() if key != votes.decided]
        assert len(voters) >= k
        assert len(voters) - max(others, default=0) >= lead
    if first >= k and first - second >= lead and lead == 1 and second < k:
        assert votes.decided is not None
    assert len(called) <= count


def test_the_probability_that_a_leader_stays_one() -> None:
    """The figures of a uniform prior, with all dissent on one answer: computed by hand."""
    found = {
        (4, 2, 0): count_of(4, "x", "x").final_probability,
        (5, 2, 0): count_of(5, "x", "x").final_probability,
        (5, 2, 1): count_of(5, "x", "x", "y").final_probability,
        (7, 3, 1): count_of(7, "x", "x", "x", "y").final_probability,
    }
    expected = {(4, 2, 0): 0.90, (5, 2, 0): 0.95, (5, 2, 1): 0.80, (7, 3, 1): 0.93}
    assert {key: round(value, 2) for key, value in found.items()} == expected


def test_models_of_one_provider_prove_less() -> None:
    alike, apart = VoteCount(rules(3), ["p"] * 3), VoteCount(rules(3), ["p", "q", "r"])
    for votes in (alike, apart):
        votes.end(0, "x")
        votes.end(1, "x")
    assert alike.probability("x") < apart.probability("x")


def test_one_model_of_80_percent_is_right_with_80_percent() -> None:
    votes = VoteCount(rules(2), ["p", "q"])
    votes.end(0, "x")
    assert math.isclose(votes.probability("x"), 0.8)
