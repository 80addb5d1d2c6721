"""What is asked of policy and what it answers, as values that survive being written down and read again.

Put here what a verdict may depend on: ``ruling.evaluate`` sees nothing else, so that the same question under the same
policy text has the same ruling years later.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any, Literal

import msgspec

from weaver_forge.contracts.values import Freshness, Level, Scope, Verdict

On = Literal["high", "low", "upper"]


@dataclass(frozen=True, slots=True, kw_only=True)
class PredictionView:
    """What policy needs to know of a prediction.

    Args:
        probability: That it goes wrong; None for a quantity or a mere order.
        made_at: When it was computed, naive UTC: its age counts from here.
        data_as_of: Newest known_at of the data behind it, naive UTC.
        contradiction: Why it cannot be trusted although it is there ("two predictions disagree"); empty when it can.
        duration_ms: How long a test takes; None where it is not known or there is no test.
        value: A predicted quantity; None for events.
    """

    probability: float | None
    made_at: datetime
    data_as_of: datetime | None = None
    contradiction: str = ""
    duration_ms: float | None = None
    value: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Approval:
    """A person's yes to one decision unit at one hook."""

    actor: str
    reason: str
    expires_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """What has been acted on by prediction before this question, in the windows of the policy's budgets.

    Args:
        rate_units: Different units acted on in the window of ``rate_limit``, this one left out.
        blast_units: Different units acted on in the window of ``blast_radius``, this one left out.
        decided_units: Different units decided on in that window, this one left out.
    """

    rate_units: int = 0
    blast_units: int = 0
    decided_units: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """Everything that a verdict depends on, besides the policy.

    Args:
        decision: Name of the decision.
        action: Action class; empty for the decision as a whole.
        on: Where the action is taken: at high or low probability, or on the upper quantile of a quantity.
        holds: Whether the action holds something back (a change, a deployment). One that does something itself (skip,
            scale, page) never stops anybody: it is taken or left.
        scope: Where the hook stands, if that is not the decision's own scope.
        prediction: What was found, or None.
        now: Naive UTC.
        earned: The level that the action has earned for predictions.
        ceiling: A lower ceiling than the policy's that somebody set; None where nobody did.
        halted: Why everything is assisted now (the kill switch); empty where it is not.
        approval: A person's yes; counts until it expires, and leaves the verdict as it is.
        paths: Files that the subject changes; None where they are not known, empty where it changes none.
        environment: Where it is deployed to; None where that is not known, empty where it goes nowhere.
        tags: Words for what it is, such as hotfix or rollback, for exceptions of freeze windows.
        usage: What has been acted on before; None where that is not known.
        draw: The unit's lot for the holdout, from 0 to below 1, the same however often it is asked; None: not drawn.
        sources_missing: Sources that the prediction would have used and did not have; said, never judged.
        unknown_reason: Why nothing can be said, where the hook knows better than "no prediction".
        aim: By what the hook itself chooses among many subjects, in words; empty where the policy's threshold does.
    """

    decision: str
    now: datetime
    action: str = ""
    on: On = "high"
    holds: bool = True
    scope: Scope | None = None
    prediction: PredictionView | None = None
    earned: Level = Level.ASSISTED
    ceiling: Level | None = None
    halted: str = ""
    approval: Approval | None = None
    paths: tuple[str, ...] | None = ()
    environment: str | None = ""
    tags: tuple[str, ...] = ()
    usage: Usage | None = None
    draw: float | None = None
    sources_missing: tuple[str, ...] = ()
    unknown_reason: str = ""
    aim: str = ""

    def as_data(self) -> dict[str, Any]:
        """The question as JSON-able data, without what is as by default; numbers that JSON lacks are texts."""
        data: dict[str, Any] = msgspec.to_builtins(self)
        plain = {f.name: data[f.name] for f in fields(self) if getattr(self, f.name) != f.default}
        found = plain.get("prediction")
        if found:
            plain["prediction"] = {name: _spelt(value) for name, value in found.items() if value not in {None, ""}}
        return plain


def question_of(data: Mapping[str, Any]) -> Question:
    """Read a question back from :meth:`Question.as_data`.

    Raises:
        msgspec.ValidationError: If it is none.
    """
    found = data.get("prediction")
    if found:
        read = {name: float(value) if value in {"nan", "inf", "-inf"} else value for name, value in found.items()}
        data = {**data, "prediction": {"probability": None, **read}}
    return msgspec.convert(dict(data), Question)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ruling:
    """What policy made of a question.

    Args:
        level: In force for what decided: of a rule that a person wrote the ceiling, of a prediction the lower of
            ceiling and earned level.
        applied: False where the hook only says it (shadow, holdout) and nothing stops.
        exit_code: 0, 1 (an enforced deny alone) or 3 (a person decides).
        reasons: In words, what decided first.
        rules: The rules that fired, in the order in which they are asked.
        expires_at: When the ruling stops being worth anything; None where it never was (unknown).
        by: Whether a prediction decided, or a rule that a person wrote.
        takes: Whether the prediction alone would have the action taken: a trial of it, enforced or not.
        acts: Whether the action is taken now: something is held back, or the hook may do it.
        held_out: True for the random share that is not enforced, so that labels stay unbiased.
    """

    verdict: Verdict
    level: Level
    scope: Scope
    freshness: Freshness
    applied: bool
    exit_code: int
    reasons: tuple[str, ...]
    rules: tuple[str, ...]
    expires_at: datetime | None
    action: str = ""
    ceiling: Level = Level.ASSISTED
    earned: Level = Level.ASSISTED
    by: Literal["prediction", "person"] = "prediction"
    takes: bool = False
    acts: bool = False
    held_out: bool = False
    draw: float | None = None


def _spelt(value: Any) -> Any:
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value
