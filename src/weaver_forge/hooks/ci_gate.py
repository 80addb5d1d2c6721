"""The gate: from a question about a change, deployment or any subject to a recorded verdict.

Put here the order of events: published prediction, else on-demand scoring, else unknown; then policy; then the
record. Reading files and the clock is the caller's work; judging is ``policy``'s; printing is ``cli``'s.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb

from weaver_forge.errors import SourceError, UsageError, WeaverForgeError
from weaver_forge.hooks.asking import Asked, ChangedPaths, declared_action, question, way_of
from weaver_forge.hooks.durations import known_durations
from weaver_forge.hooks.found import (
    Durations,
    Found,
    Rows,
    identity_of,
    judged_first,
    missing_sources,
    of_one_unit,
    seen,
    view_of,
)
from weaver_forge.hooks.record import Record, decision_row, open_record
from weaver_forge.hooks.revision import known_revision
from weaver_forge.hooks.standing import Standings
from weaver_forge.hooks.subject import Kind, kind_for, unit_of
from weaver_forge.hooks.usage import counting
from weaver_forge.ledger import uuid7
from weaver_forge.policy import Policy, Question, Ruling, effective, evaluate
from weaver_forge.policy.judging import may_wait
from weaver_forge.policy.leaving import Left
from weaver_forge.policy.question import On

if TYPE_CHECKING:
    from weaver_forge.ledger import Ledger
    from weaver_forge.snapshot import Snapshot

OnDemand = Callable[[str, str, Mapping[str, str]], Rows]
"""``(decision, entity, subject) -> prediction rows``, within its budget; raises WeaverForgeError otherwise."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GateRequest:
    """What is asked.

    Args:
        decision: Name of the decision.
        match: Key column -> value; enough to name one decision unit.
        repo_id: Identity of the caller's repository; chooses where one revision is known in several.
        hook: Name of the enforcement point; approvals hold for it alone.
        actor: Who asks.
        no_on_demand: Why nothing may be computed now ("shallow clone ..."); empty where it may.
        tags: Words for what is asked about, such as hotfix, for exceptions of freeze windows.
        acts_on: Which of the kind's declared actions the hook takes: a gate holds back what is likely to go wrong, one
            that chooses tests leaves for later what is not.
        aim: By what the hook chooses among the subjects, in words; empty where the policy's threshold does.
        not_published: Why nothing published answers the question, so that it is computed now; empty where it may.
    """

    decision: str
    match: Mapping[str, str]
    repo_id: str = ""
    hook: str = "ci"
    actor: str = ""
    no_on_demand: str = ""
    tags: tuple[str, ...] = ()
    acts_on: On = "high"
    aim: str = ""
    not_published: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Circumstances:
    """What the gate may reach: all of it opened or refused by the caller.

    Args:
        snapshot: The published snapshot, or None.
        problem: Why there is none.
        policy: The parsed policy, and its text for the record.
        ledger: Opens the ledger; None where there is none in reach.
        on_demand: Computes a prediction now; None where that is not possible.
        spool: Folder for decisions that no ledger took.
        entropy: At least 10 random bytes, for the decision's id.
        standings: What has been earned, and what is halted.
        changed_paths: Finds out which files a subject changes; None where nobody can.
    """

    snapshot: "Snapshot | None"
    problem: str = ""
    policy: Policy
    policy_text: str
    ledger: "Callable[[], Ledger] | None" = None
    on_demand: OnDemand | None = None
    spool: Path
    now: datetime
    entropy: bytes
    standings: Standings = field(default_factory=Standings)
    changed_paths: ChangedPaths | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class GateAnswer:
    """The decision as made and recorded.

    Args:
        subject: What was asked, completed by what was found.
        predictions: The rows it rests on; the judged one first, then in falling probability or score.
        candidates: Ranked causes or files of the judged row.
        losses: Missing source -> what is lost without it, in words.
        recorded: Where the decision was written, in words.
        notes: What a person should know besides the reasons.
        left: What was left for later, where the hook chooses among many subjects.
        durations: What tests take, where the action depends on it.
    """

    decision_id: str
    request: GateRequest
    entity: str
    unit: str
    subject: Mapping[str, str]
    ruling: Ruling
    predictions: Rows = field(default_factory=list)
    candidates: Rows = field(default_factory=list)
    losses: Mapping[str, str] = field(default_factory=dict)
    snapshot_version: int | None = None
    score_unit: str = ""
    recorded: str = ""
    notes: tuple[str, ...] = ()
    kind: Kind = field(default_factory=dict)
    question: Question | None = None
    left: Left | None = None
    durations: Durations = field(default_factory=dict)


Choose = Callable[[GateAnswer], Left]
"""What a hook makes of an answer about many subjects before it is written down."""


def gate(request: GateRequest, around: Circumstances, choose: Choose | None = None) -> GateAnswer:
    """Answer, and write the decision down.

    Args:
        request: What is asked.
        around: What may be reached.
        choose: Chooses among the subjects of the unit once policy has answered; what it left for later is recorded.

    Raises:
        UsageError: If the snapshot knows the decision and the question names no subject of it.
    """
    spec = _spec(request.decision, around.snapshot)
    kind: Kind = kind_for(spec, list(request.match)) if spec else {}
    found = _published(request, kind, around)
    if not found.contradiction and (not found.rows or _is_stale(request, kind, found, around)):
        computed = _on_demand(request, kind, around, found.reason or "the published prediction is stale")
        # A stale prediction that cannot be made anew stays what it is: policy says how old it may be.
        found = computed if computed.rows or not found.rows else replace(found, remark=computed.reason)
    values = {**_whole_subject(request, kind, around), **identity_of(kind, found.rows)}
    action = declared_action(kind, request.acts_on)
    found, durations = _with_durations(found, request, kind, action, around, str(values.get("repo_id") or ""))
    subject = {k: str(v) for k, v in values.items() if v and (k in request.match or k in kind.get("decided_per", ()))}
    unit = unit_of(kind, values) if kind else "|".join(str(value) for value in values.values() if value)
    record = open_record(around.ledger, decision=request.decision, unit=unit, hook=request.hook, now=around.now)
    record.notes += [*([found.remark] if found.remark else []), *around.standings.notes]
    with record.session():
        asked = question(
            around.policy,
            Asked(
                decision=request.decision,
                kind=kind,
                unit=unit,
                subject=values,
                hook=request.hook,
                now=around.now,
                action=action,
                tags=request.tags,
                prediction=view_of(found, durations),
                approval=record.approval,
                sources_missing=missing_sources(found.rows),
                unknown_reason="" if found.rows else found.contradiction or found.reason,
                standings=around.standings,
                aim=request.aim,
            ),
            around.changed_paths,
            counting(record, around.now),
        )
        ruling = evaluate(around.policy, asked)
        answer = GateAnswer(
            decision_id=uuid7(around.now, around.entropy),
            request=request,
            entity=str(kind.get("entity", "")),
            unit=unit,
            subject=subject,
            ruling=ruling,
            predictions=found.rows,
            candidates=_candidates(request.decision, kind, found.rows, around.snapshot),
            losses={name: spec.get("sources", {}).get(name, "") for name in missing_sources(found.rows)},
            snapshot_version=around.snapshot.version if around.snapshot else None,
            score_unit=str(spec.get("score_unit", "")),
            kind=kind,
            question=asked,
            durations=durations,
        )
        if choose is not None:
            answer = replace(answer, left=choose(answer))
        return _recorded(answer, record, around)


def _recorded(answer: GateAnswer, record: Record, around: Circumstances) -> GateAnswer:
    """Write the decision to the ledger, else to the spool; failing to do so is said and stops nothing."""
    row = decision_row(answer, policy_text=around.policy_text, now=around.now)
    where = record.write(row, policy_text=around.policy_text, spool=around.spool, now=around.now)
    return replace(answer, recorded=where, notes=tuple(record.notes))


def _spec(decision: str, snapshot: "Snapshot | None") -> Mapping[str, Any]:
    if snapshot is None:
        return {}
    if decision not in snapshot.specs:
        known = ", ".join(sorted(snapshot.specs)) or "none"
        raise UsageError(f"no decision {decision!r} is published", where=str(snapshot.path), do=f"Published: {known}")
    return snapshot.specs[decision]


def _published(request: GateRequest, kind: Kind, around: Circumstances) -> Found:
    if around.snapshot is None:
        return Found([], around.problem or "nothing is published yet")
    if request.not_published:
        return Found([], request.not_published)
    try:
        rows = around.snapshot.predictions(request.decision, kind["entity"], request.match)
    except (SourceError, duckdb.Error) as error:
        return Found([], f"the snapshot cannot be read: {str(error).splitlines()[0]}")
    asked = ", ".join(f"{name} {value}" for name, value in request.match.items())
    return of_one_unit(rows, kind, request.repo_id) if rows else Found([], f"no prediction is published for {asked}")


def _on_demand(request: GateRequest, kind: Kind, around: Circumstances, reason: str) -> Found:
    if request.no_on_demand:
        return Found([], f"{reason}; nothing was computed now: {request.no_on_demand}")
    if around.on_demand is None or not kind:
        return Found([], reason)
    try:
        rows = around.on_demand(request.decision, kind["entity"], _whole_subject(request, kind, around))
    except WeaverForgeError as error:
        return Found([], f"{reason}; computing one now failed: {error}")
    return of_one_unit(rows, kind, request.repo_id) if rows else Found([], f"{reason}; nor could one be computed now")


def _is_stale(request: GateRequest, kind: Kind, found: Found, around: Circumstances) -> bool:
    rule = effective(around.policy, request.decision, declared_action(kind, request.acts_on))
    made_at: datetime = found.rows[0]["made_at"]
    return around.now - made_at > timedelta(hours=rule.max_age_hours)


def _with_durations(
    found: Found, request: GateRequest, kind: Kind, action: str, around: Circumstances, repo_id: str
) -> tuple[Found, Durations]:
    """For a hook that acts on low probability: the row that policy judges in front, and what the subjects take."""
    if request.acts_on != "low":
        return found, {}
    durations = known_durations(around.snapshot, repo_id)
    on, _ = way_of(kind, action)
    if on != "low":
        return found, durations
    rule = effective(around.policy, request.decision, action)
    asked = Question(decision=request.decision, action=action, on=on, holds=False, now=around.now)
    return judged_first(found, may_wait(rule, asked, (seen(row, durations) for row in found.rows))), durations


def _whole_subject(request: GateRequest, kind: Kind, around: Circumstances) -> dict[str, str]:
    """What was asked, with the repository and the whole commit id where they are known."""
    own = {"repo_id": request.repo_id} if "repo_id" in kind.get("key", ["repo_id"]) and request.repo_id else {}
    if "revision" not in request.match or own or around.snapshot is None:
        return {**own, **request.match}
    return {**request.match, **known_revision(around.snapshot, request.match["revision"])}


def _candidates(decision: str, kind: Kind, rows: Rows, snapshot: "Snapshot | None") -> Rows:
    """The ranked causes of the judged row; shown, never judged, so a snapshot without them is no failure."""
    if snapshot is None or not rows or not kind.get("candidates"):
        return []
    match = {name: str(rows[0][name]) for name in kind["key"]}
    return snapshot.candidates(decision, kind["entity"], match)
