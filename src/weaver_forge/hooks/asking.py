"""The question that a hook puts to policy, from what was found, what is published and what the ledger holds.

Put here how each part of a question comes about, and how it is written down so that it can be put again: policy sees
nothing else. The order of events is ``ci_gate``'s, the judgement ``policy``'s.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from weaver_forge.contracts.values import Scope
from weaver_forge.hooks.standing import Standings
from weaver_forge.hooks.subject import Kind
from weaver_forge.policy import (
    Approval,
    Policy,
    PredictionView,
    Question,
    Rule,
    Ruling,
    Usage,
    draw_of,
    effective,
    evaluate,
    protected,
    question_of,
)
from weaver_forge.policy.leaving import Left
from weaver_forge.policy.question import On

ChangedPaths = Callable[[Mapping[str, Any]], tuple[str, ...] | None]
"""``subject -> files that it changes``; None where they cannot be found out."""

CountUsage = Callable[[Rule, str], Usage | None]
"""``(rule, unit) -> what has been acted on before``; None where nobody knows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What a hook knows of one decision unit.

    Args:
        unit: What the decision covers; the holdout is drawn by it.
        subject: Key column -> value.
        action: Action class; empty for the decision as a whole.
        aim: By what the hook chooses among many subjects; empty where the policy's threshold does.
    """

    decision: str
    kind: Kind
    unit: str
    subject: Mapping[str, Any]
    hook: str
    now: datetime
    action: str = ""
    scope: Scope | None = None
    tags: tuple[str, ...] = ()
    prediction: PredictionView | None = None
    approval: Approval | None = None
    sources_missing: Sequence[str] = ()
    unknown_reason: str = ""
    standings: Standings = field(default_factory=Standings)
    aim: str = ""


def question(policy: Policy, asked: Asked, changed_paths: ChangedPaths | None, count: CountUsage) -> Question:
    """Put the question together; what costs time is looked up only where policy has a rule that asks for it."""
    rule = effective(policy, asked.decision, asked.action, asked.scope)
    entity = str(asked.kind.get("entity", ""))
    standings = asked.standings
    on, holds = way_of(asked.kind, asked.action)
    budgeted = rule.rate_limit is not None or rule.blast_radius is not None
    return Question(
        decision=asked.decision,
        action=asked.action,
        on=on,
        holds=holds,
        scope=asked.scope,
        prediction=asked.prediction,
        now=asked.now,
        earned=standings.earned(asked.decision, entity, asked.action, rule.scope),
        ceiling=standings.ceiling(asked.decision, rule.scope),
        halted=standings.halted(rule.scope),
        approval=asked.approval,
        paths=_paths(rule, asked, changed_paths),
        environment=_environment(asked.kind, asked.subject),
        tags=asked.tags,
        usage=count(rule, asked.unit) if budgeted else None,
        draw=draw_of(asked.decision, asked.unit, asked.hook),
        sources_missing=tuple(asked.sources_missing),
        unknown_reason=asked.unknown_reason,
        aim=asked.aim,
    )


def declared_action(kind: Kind, on: On) -> str:
    """The first action that the kind declares on high or low probability, or on a quantile; empty where none is."""
    return next((str(action["name"]) for action in _actions(kind) if action.get("on") == on), "")


def way_of(kind: Kind, action: str) -> tuple[On, bool]:
    """Where an action is taken, as the kind declares it, and whether it holds something back.

    What is taken on high probability holds back (a change, a deployment, a rollout); what is taken on low probability
    or follows a quantity does something and stops nobody. A decision as a whole holds back, unless all its actions do
    something.
    """
    actions = _actions(kind)
    on: On = next((found["on"] for found in actions if found.get("name") == action), "high")
    if action:
        return on, on == "high"
    return on, not actions or any(found.get("on") == "high" for found in actions)


def _actions(kind: Kind) -> list[Mapping[str, Any]]:
    return [action for action in kind.get("actions", ()) if isinstance(action, Mapping)]


def inputs_of(asked: Question, ruling: Ruling, left: Left | None = None) -> dict[str, Any]:
    """All that a verdict rested on besides the policy's text, for the ledger.

    Args:
        asked: The question.
        ruling: What policy made of it.
        left: What of many subjects was left for later, where the hook chooses among them.
    """
    inputs = {"question": asked.as_data(), "by": ruling.by, "takes": ruling.takes, "acts": ruling.acts}
    return inputs if left is None else {**inputs, "left": left.as_data()}


def judged_again(policy: Policy, inputs: Mapping[str, Any]) -> Ruling:
    """The ruling of a recorded decision, made anew from its record alone.

    Raises:
        msgspec.ValidationError: If the record holds no question.
    """
    return evaluate(policy, question_of(inputs["question"]))


def _paths(rule: Rule, asked: Asked, changed_paths: ChangedPaths | None) -> tuple[str, ...] | None:
    """The protected ones among the files that the subject changes: only they matter, and they are written down."""
    if not rule.protected_paths or "revision" not in asked.kind.get("key", ("revision",)):
        return ()
    found = changed_paths(asked.subject) if changed_paths is not None else None
    return None if found is None else protected(rule.protected_paths, found)


def _environment(kind: Kind, subject: Mapping[str, Any]) -> str | None:
    """Where the subject goes: its own column, else the last part of a service key; None where it should have one."""
    if subject.get("environment"):
        return str(subject["environment"])
    service = str(subject.get("service_key") or "")
    if service.count("/") >= 2 and service.rsplit("/", 1)[-1]:
        return service.rsplit("/", 1)[-1]
    return None if {"environment", "service_key"} & set(kind.get("key", ())) else ""
