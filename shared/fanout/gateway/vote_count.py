"""
Counts votes, and says when they decide, when they cannot any more, and what must be started.

Pure. An answer is a vote's key; each model has at most one vote.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import exp, lgamma, log

from ..schema.agreement import Agree

ACROSS, WITHIN = 0.3, 0.6
"""
How alike the errors of two models are, of several providers and of one.

Estimates: Kim et al. (2025, arXiv 2506.07962) found that two models that are both wrong give the
same wrong option in 60 % of cases, and more often if they are of one provider.
"""

PLAUSIBLE = 10
"""Answers that a wrong model could give, if no enum says how many."""

LEAST_ERROR = 0.01


class VoteCount:
    """
    The votes of one panel.

    `families` has the provider of each model, in the order of the request: models of one provider
    make the same mistakes more often. `plausible` is how many answers there are.
    """

    def __init__(self, rules: Agree, families: Sequence[str], plausible: int = PLAUSIBLE) -> None:
        self._rules = rules
        self._families = families
        self._plausible = max(plausible, 2)
        self.voters: dict[str, list[int]] = {}
        self.running: set[int] = set()
        self.waiting = list(rules.order)

    def start(self) -> list[int]:
        """The models that start at first."""
        return self._take(self._rules.start)

    def end(self, index: int, key: str | None) -> None:
        """The model's call has ended with a vote, or without one."""
        self.running.discard(index)
        if key is not None:
            self.voters.setdefault(key, []).append(index)

    def next_starts(self) -> list[int]:
        """The models that must start now because those that run cannot decide without them."""
        found: list[int] = []
        while (
            self.waiting
            and len(self.running) < self._rules.start
            and not self._can_decide(len(self.running))
        ):
            found += self._take(1)
        return found

    def _take(self, count: int) -> list[int]:
        taken, self.waiting = self.waiting[:count], self.waiting[count:]
        self.running.update(taken)
        return taken

    @property
    def decided(self) -> str | None:
        """The key that has won; `None` as long as none has."""
        for key, voters in self.voters.items():
            if self._is_enough(key, voters):
                return key
        return None

    @property
    def is_open(self) -> bool:
        """Whether an answer may still win."""
        return self._can_decide(len(self.running) + len(self.waiting))

    @property
    def leader(self) -> str | None:
        """The key with the most votes, the first of those with as many."""
        return max(self.voters, key=lambda key: len(self.voters[key]), default=None)

    def _can_decide(self, more: int) -> bool:
        """Whether an answer wins if the next `more` votes are for it."""
        rest = [*sorted(self.running), *self.waiting][:more]
        candidates = [*self.voters.items(), (None, [])]
        return any(self._is_enough(key, [*voters, *rest]) for key, voters in candidates)

    def _is_enough(self, key: str | None, voters: Sequence[int]) -> bool:
        rules = self._rules
        others = (len(found) for other, found in self.voters.items() if other != key)
        if len(voters) < rules.k or len(voters) - max(others, default=0) < rules.lead:
            return False
        return rules.confidence is None or self._probability(key, voters) >= rules.confidence

    def probability(self, key: str) -> float:
        """How probably the answer is right, by the models' accuracies and their dependence."""
        return self._probability(key, self.voters[key])

    def _probability(self, key: str | None, voters: Sequence[int]) -> float:
        scores = [self._score(voters)]
        scores += [self._score(found) for other, found in self.voters.items() if other != key]
        unseen = max(self._plausible - len(scores), 0)
        highest = max(*scores, 0.0)
        total = sum(exp(score - highest) for score in scores) + unseen * exp(-highest)
        return exp(scores[0] - highest) / total

    def _score(self, voters: Sequence[int]) -> float:
        """The evidence for an answer: the sum of its voters', less what they have in common."""
        count = len(voters)
        if count == 0:
            return 0.0
        mean = sum(self._evidence(index) for index in voters) / count
        pairs = [(a, b) for n, a in enumerate(voters) for b in voters[n + 1 :]]
        alike = [WITHIN if self._families[a] == self._families[b] else ACROSS for a, b in pairs]
        shared = sum(alike) / len(alike) if alike else 0.0
        return mean * count / (1 + (count - 1) * shared)

    def _evidence(self, index: int) -> float:
        error = min(max(1 - self._rules.accuracies[index], LEAST_ERROR), 1 - LEAST_ERROR)
        return max(log((1 - error) * (self._plausible - 1) / error), 0.0)

    @property
    def final_probability(self) -> float:
        """
        How probably the leader would still lead if all models had voted.

        By Bayes with a uniform prior, as if all that disagree did so alike. It is no probability
        that the answer is right.
        """
        counts = sorted((len(voters) for voters in self.voters.values()), reverse=True)
        first, second = (*counts, 0, 0)[:2]
        rest = len(self.running) + len(self.waiting)
        total = 0.0
        for more in range(rest + 1):
            if first + more > second + rest - more:
                total += exp(
                    _log_choose(rest, more)
                    + _log_beta(first + 1 + more, second + 1 + rest - more)
                    - _log_beta(first + 1, second + 1)
                )
        return min(total, 1.0)


def _log_choose(n: int, k: int) -> float:
    return lgamma(n + 1) - lgamma(k + 1) - lgamma(n - k + 1)


def _log_beta(a: int, b: int) -> float:
    return lgamma(a) + lgamma(b) - lgamma(a + b)
