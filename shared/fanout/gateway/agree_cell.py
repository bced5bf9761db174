"""
One conversation that several models respond to until enough of them agree.

Each response is one vote. The calls that cannot change the decision are cancelled or not started.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from math import inf
from time import perf_counter
from typing import Any

from ..concurrency import Cancelled, Failure, Outcome, RaceOutcome, RaceResult, Success
from ..concurrency.quorum import run_quorum
from ..config.catalog import Catalog
from ..errors import (
    AllFailed,
    Busy,
    Cause,
    FanoutError,
    RequestError,
    public_message,
    withdrawal_of,
)
from ..routing.leg import Leg
from ..schema.agreement import Agree, AgreeReport, Ballot
from ..schema.chat import ChatCompletion
from ..schema.checked import schema_of, validator_of
from ..schema.request import ChatRequest
from ..schema.votes import NoVote, Vote, vote_of
from ..telemetry.prices import nanodollars_of_usage, to_dollars
from .combine import sum_usage
from .escalation import find_invalid
from .possible_votes import _deployment, vote_count
from .report import Report, make_report
from .timed_pace import Call

MOST_OF_MESSAGE = 300
"""Characters of each failure's message in the response that says that the models disagree."""


class NoVoteInTime(TimeoutError):
    """The time is over before the first vote; `report` says what became of the calls."""

    def __init__(self, report: Report) -> None:
        super().__init__()
        self.report = report


class AgreeCell:
    """The calls and votes of one cell; `catalog` knows the models' providers and prices."""

    def __init__(
        self, rules: Agree, chat: ChatRequest, legs: Sequence[Leg], catalog: Catalog
    ) -> None:
        self._rules, self._chat, self._legs, self._catalog = rules, chat, legs, catalog
        self._schema = schema_of(chat)
        self._count = vote_count(rules, chat, [leg.model for leg in legs], catalog)
        self._votes: dict[int, Vote] = {}
        self._no_votes: dict[int, str] = {}
        self._deadline, self._is_late = inf, False
        self._fatal: Exception | None = None

    async def run(
        self,
        call: Call,
        failed: Callable[[RaceResult[Any]], Exception],
        deadline: float = inf,
    ) -> ChatCompletion:
        """
        The response of the first listed model that agrees, or one that says they disagree.

        A response that the rules accept goes before others, then one that fits the schema.

        At the deadline, by the event loop's clock, the votes so far are all. Raises `failed(…)` if
        no model responds, `NoVoteInTime` if none has voted in time, and if they disagree, why a
        model was not called whose right was withdrawn.
        """
        started, self._deadline = perf_counter(), deadline
        calls = [partial(call, leg, self._chat) for leg in self._legs]
        found = await run_quorum(calls, self._count.start(), self._after, deadline)
        if self._fatal is not None:
            raise self._fatal
        outcomes = [_as_sent(one, leg) for one, leg in zip(found, self._legs, strict=True)]
        self._is_late = not self._is_settled
        if self._is_late and not self._votes:
            report = make_report("agree", self._legs, outcomes, started, perf_counter())
            self._name_outcomes(report, outcomes, None, None)
            raise NoVoteInTime(report)
        key = self._count.decided
        errors = (cause.error for cause in self._failures(outcomes))
        if key is None and (withdrawal := withdrawal_of(errors)) is not None:
            raise withdrawal
        if not any(isinstance(outcome, Success) for outcome in outcomes):
            error = failed(RaceResult(None, outcomes))
            raise self._too_few_left(outcomes) or error
        report = make_report("agree", self._legs, outcomes, started, perf_counter())
        winner = None if key is None else self._winner(sorted(self._count.voters[key]), outcomes)
        self._name_outcomes(report, outcomes, key, winner)
        completion = self._undecided(outcomes) if winner is None else _value(outcomes[winner])
        report["agree"] = self._report(key, outcomes, completion)
        model = self._label if winner is None else self._legs[winner].responding_model
        whole: Any = {**completion, "model": model, "fanout": report}
        response: ChatCompletion = whole
        return response

    @property
    def _is_settled(self) -> bool:
        """Whether there is a decision, or can be none any more."""
        return self._count.decided is not None or not self._count.is_open

    @property
    def _label(self) -> str:
        return ", ".join(leg.model for leg in self._legs)

    def _after(self, index: int, outcome: Outcome[ChatCompletion]) -> list[int] | None:
        """Count the vote of a call that has ended; the models to start, or `None` at the end."""
        vote: Vote | NoVote
        if isinstance(outcome, Failure):
            if not isinstance(outcome.error, FanoutError):
                self._fatal = outcome.error  # it is not the model's, and ends the whole cell
                return None
            vote = NoVote("")
        else:
            vote = vote_of(outcome.value, self._rules, self._schema)
        if isinstance(vote, Vote):
            self._votes[index] = vote
            self._count.end(index, vote.key)
        else:
            self._no_votes[index] = vote.reason
            self._count.end(index, None)
        is_over = self._is_settled or asyncio.get_running_loop().time() >= self._deadline
        return None if is_over else self._count.next_starts()

    def _winner(self, voters: list[int], outcomes: Sequence[RaceOutcome[ChatCompletion]]) -> int:
        """The first of the voters that is accepted and fits the schema, else the first one."""
        if (accepts := self._rules.accepts) is not None:
            voters = [one for one in voters if accepts(_value(outcomes[one]))] or voters
        if self._schema is None:
            return voters[0]
        try:
            problem = validator_of(self._chat).problem
        except RequestError:  # a schema that only the provider can use
            return voters[0]
        fit = (one for one in voters if find_invalid(_value(outcomes[one]), problem) is None)
        return next(fit, voters[0])

    # ---- the report ----

    def _name_outcomes(
        self,
        report: Report,
        outcomes: Sequence[RaceOutcome[ChatCompletion]],
        key: str | None,
        winner: int | None,
    ) -> None:
        """Name what became of each response: it won, agreed, dissented or was no vote."""
        for index, (attempt, outcome) in enumerate(zip(report["attempts"], outcomes, strict=True)):
            if not isinstance(outcome, Success):
                continue
            attempt["duration_ms"] = round(outcome.elapsed * 1000, 1)
            vote = self._votes.get(index)
            if vote is None:
                attempt["outcome"] = "no_vote"
                attempt["error"] = {
                    "message": self._no_votes.get(index, ""),
                    "type": "no_vote",
                    "param": None,
                    "code": None,
                }
            elif index != winner:
                attempt["outcome"] = "agreed" if vote.key == key else "dissented"

    def _report(
        self,
        key: str | None,
        outcomes: Sequence[RaceOutcome[ChatCompletion]],
        completion: ChatCompletion,
    ) -> AgreeReport:
        count = self._count
        ballots = [
            Ballot(
                value=self._votes[voters[0]].value,
                votes=len(voters),
                models=[self._legs[index].model for index in sorted(voters)],
            )
            for voters in sorted(count.voters.values(), key=lambda found: (-len(found), min(found)))
        ]
        votes = [self._votes[index] for index in sorted(self._votes)]
        not_started = [index for index, outcome in enumerate(outcomes) if outcome is None]
        report = AgreeReport(
            decided=key is not None,
            k=self._rules.k,
            on="fields" if isinstance(self._rules.on, tuple) else self._rules.on,
            fields=sorted({name for vote in votes for name in vote.fields}),
            votes=ballots,
            calls=len(outcomes) - len(not_started),
            calls_saved=len(not_started),
            saved_usd=self._saved(not_started, completion),
            final_probability=round(count.final_probability, 4),
        )
        leader = key or count.leader
        if self._rules.confidence is not None and leader is not None:
            report["confidence"] = round(count.probability(leader), 4)
        return report

    def _saved(self, not_started: Sequence[int], completion: ChatCompletion) -> float | None:
        """What the calls that were not started would have cost, with this response's tokens."""
        total = 0
        for index in not_started:
            deployment = _deployment(self._catalog, self._legs[index].model)
            usage = self._usual_usage(completion)
            cost = nanodollars_of_usage(deployment, usage) if deployment and usage else None
            if cost is None:
                return None
            total += cost
        return to_dollars(total)

    def _usual_usage(self, completion: ChatCompletion) -> Mapping[str, Any] | None:
        """The tokens of the response, or of the first one whose provider counts them."""
        found = [leg.usage for leg in self._legs if leg.usage]
        usage = completion.get("usage") if self._count.decided is not None else None
        return usage or (found[0] if found else None)

    # ---- no decision ----

    def _too_few_left(self, outcomes: Sequence[RaceOutcome[ChatCompletion]]) -> AllFailed | None:
        """The error if models that were not waited for are too few; `None` if every one failed."""
        causes = self._failures(outcomes)
        if len(causes) == len(outcomes) or all(isinstance(one.error, Busy) for one in causes):
            return None
        failed = f"{len(causes)} of {len(outcomes)} models failed"
        return AllFailed(causes, f"{failed}, so no answer can get {self._rules.k} votes")

    def _failures(self, outcomes: Sequence[RaceOutcome[ChatCompletion]]) -> list[Cause]:
        return [
            Cause(leg.model, outcome.error)
            for leg, outcome in zip(self._legs, outcomes, strict=True)
            if isinstance(outcome, Failure)
        ]

    def _undecided(self, outcomes: Sequence[RaceOutcome[ChatCompletion]]) -> ChatCompletion:
        """A response without content, whose `refusal` says how the models voted."""
        usages = [_value(one).get("usage") for one in outcomes if isinstance(one, Success)]
        message = {"role": "assistant", "content": None, "refusal": self._disagreement(outcomes)}
        choice = {"index": 0, "message": message, "finish_reason": "stop", "logprobs": None}
        response: Any = {"object": "chat.completion", "choices": [choice]}
        if (usage := sum_usage(usages)) is not None:
            response["usage"] = usage
        found: ChatCompletion = response
        return found

    def _disagreement(self, outcomes: Sequence[RaceOutcome[ChatCompletion]]) -> str:
        counts = sorted((len(voters) for voters in self._count.voters.values()), reverse=True)
        if not counts:
            reason = next(filter(None, self._no_votes.values()), "no model responded")
            return f"The models did not agree: no response could be compared ({reason})."
        votes = ", ".join(str(count) for count in counts)
        causes = self._failures(outcomes)
        without = len(self._no_votes) - len(causes)
        more = f"; {without} had no vote" if without else ""
        if causes:
            messages = "; ".join(public_message(cause)[:MOST_OF_MESSAGE] for cause in causes)
            more += f"; {len(causes)} failed ({messages})"
        if self._is_late:
            more += "; then the request's time was over"
        return (
            f"The models did not agree: {self._rules.k} equal responses were needed, and the "
            f"answers have {votes} {'vote' if counts == [1] else 'votes'}{more}."
        )


def _as_sent(outcome: RaceOutcome[ChatCompletion], leg: Leg) -> RaceOutcome[ChatCompletion]:
    """The outcome; a call that was cancelled before it was sent was not started."""
    return None if isinstance(outcome, Cancelled) and leg.deployment is None else outcome


def _value(outcome: RaceOutcome[ChatCompletion]) -> ChatCompletion:
    if isinstance(outcome, Success):
        found: ChatCompletion = outcome.value
        return found
    raise LookupError("the call has no response")
