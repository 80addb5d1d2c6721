"""The gate: from a question about a change, deployment or any subject to a recorded verdict.

Put here the order of events: published prediction, else on-demand scoring, else unknown; then policy; then the
record. Reading files and the clock is the caller's work; judging is ``policy``'s; printing is ``cli``'s.
"""

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import duckdb

from weaver_forge.errors import SourceError, UsageError, WeaverForgeError
from weaver_forge.hooks.asking import Asked, ChangedPaths, gated_action, question
from weaver_forge.hooks.record import Record, open_record
from weaver_forge.hooks.revision import known_revision
from weaver_forge.hooks.standing import Standings
from weaver_forge.hooks.subject import Kind, kind_for, unit_of
from weaver_forge.hooks.usage import counting
from weaver_forge.ledger import uuid7
from weaver_forge.policy import Policy, PredictionView, Question, Ruling, effective, evaluate

if TYPE_CHECKING:
    from weaver_forge.ledger import Ledger
    from weaver_forge.snapshot import Snapshot

Rows = list[dict[str, Any]]
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
    """

    decision: str
    match: Mapping[str, str]
    repo_id: str = ""
    hook: str = "ci"
    actor: str = ""
    no_on_demand: str = ""
    tags: tuple[str, ...] = ()


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


@dataclass(frozen=True, slots=True)
class _Found:
    rows: Rows
    reason: str = ""
    contradiction: str = ""
    remark: str = ""


def gate(request: GateRequest, around: Circumstances) -> GateAnswer:
    """Answer, and write the decision down.

    Raises:
        UsageError: If the snapshot knows the decision and the question names no subject of it.
    """
    spec = _spec(request.decision, around.snapshot)
    kind: Kind = kind_for(spec, list(request.match)) if spec else {}
    found = _published(request, kind, around)
    if not found.contradiction and (not found.rows or _is_stale(request, found, around)):
        computed = _on_demand(request, kind, around, found.reason or "the published prediction is stale")
        # A stale prediction that cannot be made anew stays what it is: policy says how old it may be.
        found = computed if computed.rows or not found.rows else replace(found, remark=computed.reason)
    values = {**_whole_subject(request, kind, around), **_identity(kind, found.rows)}
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
                action=gated_action(kind),
                tags=request.tags,
                prediction=_view(found),
                approval=record.approval,
                sources_missing=_missing(found.rows),
                unknown_reason="" if found.rows else found.contradiction or found.reason,
                standings=around.standings,
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
            losses={name: spec.get("sources", {}).get(name, "") for name in _missing(found.rows)},
            snapshot_version=around.snapshot.version if around.snapshot else None,
            score_unit=str(spec.get("score_unit", "")),
            kind=kind,
            question=asked,
        )
        return _recorded(answer, record, around)


def _recorded(answer: GateAnswer, record: Record, around: Circumstances) -> GateAnswer:
    """Write the decision to the ledger, else to the spool; failing to do so is said and stops nothing."""
    row = decision_row(answer, around)
    where = record.write(row, policy_text=around.policy_text, spool=around.spool, now=around.now)
    return replace(answer, recorded=where, notes=tuple(record.notes))


def decision_row(answer: GateAnswer, around: Circumstances) -> dict[str, Any]:
    """The decision as the ledger stores it."""
    ruling = answer.ruling
    return {
        "decision_id": answer.decision_id,
        "decision": answer.request.decision,
        "entity": answer.entity,
        "unit": answer.unit,
        "subject": dict(answer.subject),
        "hook": answer.request.hook,
        "prediction_ids": [row["prediction_id"] for row in answer.predictions if row.get("prediction_id")],
        "verdict": str(ruling.verdict),
        "level": str(ruling.level),
        "scope": str(ruling.scope),
        "applied": ruling.applied,
        "exit_code": ruling.exit_code,
        "reasons": list(ruling.reasons),
        "rules": list(ruling.rules),
        "policy_sha256": sha256(around.policy_text.encode()).hexdigest(),
        "freshness": str(ruling.freshness),
        "actor": answer.request.actor or None,
        "snapshot_version": answer.snapshot_version,
        "made_at": around.now,
        "expires_at": ruling.expires_at,
    }


def _spec(decision: str, snapshot: "Snapshot | None") -> Mapping[str, Any]:
    if snapshot is None:
        return {}
    if decision not in snapshot.specs:
        known = ", ".join(sorted(snapshot.specs)) or "none"
        raise UsageError(f"no decision {decision!r} is published", where=str(snapshot.path), do=f"Published: {known}")
    return snapshot.specs[decision]


def _published(request: GateRequest, kind: Kind, around: Circumstances) -> _Found:
    if around.snapshot is None:
        return _Found([], around.problem or "nothing is published yet")
    try:
        rows = around.snapshot.predictions(request.decision, kind["entity"], request.match)
    except (SourceError, duckdb.Error) as error:
        return _Found([], f"the snapshot cannot be read: {str(error).splitlines()[0]}")
    asked = ", ".join(f"{name} {value}" for name, value in request.match.items())
    return _of_one_unit(rows, kind, request.repo_id) if rows else _Found([], f"no prediction is published for {asked}")


def _of_one_unit(rows: Rows, kind: Kind, repo_id: str) -> _Found:
    """Keep the rows of one decision unit; several units, or two numbers for one subject, contradict each other."""
    own = [row for row in rows if row.get("repo_id") == repo_id]
    rows = own or rows
    units = sorted({unit_of(kind, row) for row in rows})
    if len(units) > 1:
        shown = ", ".join(units[:3]) + (", ..." if len(units) > 3 else "")
        return _Found([], contradiction=f"the question matches {len(units)} subjects: {shown}")
    said: dict[tuple[Any, ...], float | None] = {}
    for row in rows:
        subject = tuple(row.get(name) for name in kind["key"])
        if subject in said and said[subject] != row.get("probability"):
            return _Found(rows, contradiction="two predictions for the same subject disagree")
        said[subject] = row.get("probability")
    return _Found(sorted(rows, key=_worst_first))


def _worst_first(row: Mapping[str, Any]) -> tuple[bool, float, float]:
    """A number that is no probability must be seen by policy, so it comes first of all."""
    probability, score = row.get("probability"), row.get("score")
    impossible = probability is not None and not 0 <= probability <= 1
    ranked = [-value if value is not None and not math.isnan(value) else 0.0 for value in (probability, score)]
    return (not impossible, ranked[0], ranked[1])


def _on_demand(request: GateRequest, kind: Kind, around: Circumstances, reason: str) -> _Found:
    if request.no_on_demand:
        return _Found([], f"{reason}; nothing was computed now: {request.no_on_demand}")
    if around.on_demand is None or not kind:
        return _Found([], reason)
    try:
        rows = around.on_demand(request.decision, kind["entity"], _whole_subject(request, kind, around))
    except WeaverForgeError as error:
        return _Found([], f"{reason}; computing one now failed: {error}")
    return _of_one_unit(rows, kind, request.repo_id) if rows else _Found([], f"{reason}; nor could one be computed now")


def _is_stale(request: GateRequest, found: _Found, around: Circumstances) -> bool:
    rule = effective(around.policy, request.decision)
    made_at: datetime = found.rows[0]["made_at"]
    return around.now - made_at > timedelta(hours=rule.max_age_hours)


def _whole_subject(request: GateRequest, kind: Kind, around: Circumstances) -> dict[str, str]:
    """What was asked, with the repository and the whole commit id where they are known."""
    own = {"repo_id": request.repo_id} if "repo_id" in kind.get("key", ["repo_id"]) and request.repo_id else {}
    if "revision" not in request.match or own or around.snapshot is None:
        return {**own, **request.match}
    return {**request.match, **known_revision(around.snapshot, request.match["revision"])}


def _view(found: _Found) -> PredictionView | None:
    if not found.rows:
        return None
    worst = found.rows[0]
    return PredictionView(
        probability=worst.get("probability"),
        made_at=worst["made_at"],
        data_as_of=worst.get("data_as_of"),
        contradiction=found.contradiction,
        value=worst.get("value"),
    )


def _identity(kind: Kind, rows: Rows) -> dict[str, Any]:
    return {name: rows[0][name] for name in kind["decided_per"] if rows[0].get(name) is not None} if rows else {}


def _missing(rows: Rows) -> Sequence[str]:
    return cast("list[str]", json.loads(rows[0].get("sources_missing") or "[]")) if rows else []


def _candidates(decision: str, kind: Kind, rows: Rows, snapshot: "Snapshot | None") -> Rows:
    """The ranked causes of the judged row; shown, never judged, so a snapshot without them is no failure."""
    if snapshot is None or not rows or not kind.get("candidates"):
        return []
    match = {name: str(rows[0][name]) for name in kind["key"]}
    return snapshot.candidates(decision, kind["entity"], match)
