"""What the figures of ``status`` are made of, from the ledger: decisions, acts, standings; and what is missing of it.

Put here how rows are found. What becomes of a unit is ``queries_status_units``', estimates and intervals are
``insights``', what is put beside them from the snapshot ``hooks.status``'s. Standard library alone: ``status`` runs
where only the base is installed.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from weaver_forge.contracts.values import Level, Verdict
from weaver_forge.ledger.canonical import instant_of, instant_text
from weaver_forge.ledger.schema import CURRENT

if TYPE_CHECKING:
    from weaver_forge.ledger.reading import Reading

ALL = "all"
ABOVE = frozenset({Level.SUPERVISED.value, Level.AUTONOMOUS.value})
_CHUNK = 500

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Window:
    """Which decisions are meant: made from ``since`` on, in a scope or ``all``; ``now`` is when it is looked at."""

    since: datetime
    now: datetime
    scope: str = ALL

    def named(self, *names: str) -> dict[str, str]:
        """Some of it as parameters of a query."""
        every = {"since": instant_text(self.since), "now": instant_text(self.now), "scope": self.scope}
        return {name: every[name] for name in names}


def missing_rows(ledger: "Reading") -> dict[str, int]:
    """Kinds of which there are fewer or more rows than the chain says, with the difference; ``chain``: links that lack.

    A look at counts, which costs no reading of rows: `ledger verify` looks at every byte.
    """
    said = {row[0]: int(row[1]) for row in ledger.select(_CHAINED)}
    found = {}
    for table in CURRENT.present:
        n = int(ledger.select(f'-- grain: one row\nselect count(*) from "{table.kind}"')[0][0])
        if n != said.get(table.kind, 0):
            found[table.kind] = said.get(table.kind, 0) - n
    links, newest = ledger.select(_LINKS)[0]
    return found | ({"chain": int(newest) - int(links)} if int(newest or 0) != int(links) else {})


def damage(ledger: "Reading") -> str:
    """What :func:`missing_rows` finds, in words; empty where nothing is missing."""
    gaps = sorted(missing_rows(ledger).items())
    lack = ", ".join(f"{abs(n)} of {kind}" for kind, n in gaps)
    return f"the record is damaged, rows do not fit its chain: {lack}; see `weaver-forge ledger verify`" if lack else ""


def n_rows(ledger: "Reading") -> int:
    """Rows of every kind that the chain speaks of."""
    return int(ledger.select(_N_ROWS)[0][0])


def n_decisions(ledger: "Reading", scope: str) -> int:
    """Decisions on record of a scope or ``all``, whenever they were made."""
    return int(ledger.select(_N_DECISIONS, {"scope": scope})[0][0])


def points(ledger: "Reading", window: Window) -> list[dict[str, Any]]:
    """Events at decision points by scope and decision: n, and n_unknown of them with the verdict unknown.

    An event is a unit at a hook, asked about one action; the newest decision about it holds.
    """
    names = ("scope", "decision", "n", "n_unknown")
    return [dict(zip(names, row, strict=True)) for row in ledger.select(_POINTS, window.named("since", "scope"))]


def above_assisted(ledger: "Reading", window: Window) -> list[dict[str, Any]]:
    """Of these events, those whose newest decision was taken above assisted."""
    where = f"join ({_NEWEST}) newest on newest.id = r.decision_id where r.level <> 'assisted' {_IN_ORDER}"
    return ledger.rows("decisions", where, window.named("since", "scope"), columns=_DECIDED)


def valid_now(ledger: "Reading", window: Window) -> list[dict[str, Any]]:
    """Of all events ever, the newest decision where its validity has not ended, in order of the chain."""
    newest = _NEWEST.replace("made_at >= :since and ", "")
    where = f"join ({newest}) newest on newest.id = r.decision_id where r.expires_at > :now {_IN_ORDER}"
    return ledger.rows("decisions", where, window.named("now", "scope"), columns=_DECIDED)


def allowed(ledger: "Reading", window: Window) -> list[dict[str, Any]]:
    """The first decision about each unit, hook and action for which acting on a prediction was allowed and due.

    Allowed: ceiling and earned level above assisted, not halted, no rule of a person in play (such a rule leaves
    nothing to the lot). Due: the prediction's own verdict would have it taken. The first one ever, because what came
    of it decides whether the unit is asked about again: one that was asked about before the window is not in it.
    """
    where = (
        "where (:scope = 'all' or r.scope = :scope) and r.verdict <> 'unknown' "
        f"and r.earned <> 'assisted' and r.ceiling <> 'assisted' {_IN_ORDER}"
    )
    first: dict[tuple[str, ...], dict[str, Any]] = {}
    for row in ledger.rows("decisions", where, window.named("scope"), columns=_DECIDED):
        if _is_due(row) and not _is_persons(row) and not question_of(row).get("halted"):
            first.setdefault(event(row), row)
    return [row for row in first.values() if row["made_at"] >= window.since]


def approvals_now(ledger: "Reading", window: Window) -> set[tuple[str, str, str]]:
    """Decision, unit and hook that a person's yes lets through now."""
    where = "where approved_at <= :now and expires_at > :now"
    rows = ledger.rows("approvals", where, window.named("now"), columns=("decision", "unit", "hook"))
    return {(row["decision"], row["unit"], row["hook"]) for row in rows}


def newest_acts(ledger: "Reading") -> list[dict[str, Any]]:
    """The newest state of every action that was ever claimed, with its decision where that is on record.

    Adds ``subject``, ``scope`` and ``expires_at`` of the decision, and ``is_decided``: whether it is there.
    """
    rows = ledger.rows("acts", "order by r.batch_seq, r.position")
    newest = list({row["act_key"]: row for row in rows}.values())
    columns = ("decision_id", "subject", "scope", "expires_at")
    decisions = {row["decision_id"]: row for row in _by_id(ledger, "decisions", newest, columns)}
    return [
        {**decisions.get(row["decision_id"], dict.fromkeys(columns[1:])), **row,
         "is_decided": row["decision_id"] in decisions}
        for row in newest
    ]  # fmt: skip


def standings_until(ledger: "Reading", now: datetime) -> dict[tuple[str, str, str, str], list[tuple[datetime, str]]]:
    """(decision, entity, action, scope) -> when it was assessed and the level then, oldest first."""
    columns = ("decision", "entity", "action", "scope", "level", "assessed_at")
    where = "where assessed_at <= :now order by r.assessed_at, r.batch_seq, r.position"
    found: dict[tuple[str, str, str, str], list[tuple[datetime, str]]] = {}
    for row in ledger.rows("standings", where, {"now": instant_text(now)}, columns=columns):
        key = (row["decision"], row["entity"], row["action"], row["scope"])
        found.setdefault(key, []).append((row["assessed_at"], row["level"]))
    return found


def newest_predictions(ledger: "Reading") -> dict[tuple[str, str], datetime]:
    """(decision, entity) -> when its newest prediction was made, replayed ones left out."""
    return {(row[0], row[1]): instant_of(row[2]) for row in ledger.select(_NEWEST_PREDICTIONS)}


def event(row: Row) -> tuple[str, ...]:
    """What a decision is about: decision, entity, action, unit and hook."""
    return row["decision"], row["entity"], row["action"] or "", row["unit"], row["hook"]


def question_of(row: Row) -> Mapping[str, Any]:
    """The question that was put to policy; empty where it was not kept."""
    return (row["inputs"] or {}).get("question") or {}


def acts(row: Row) -> bool:
    """Whether the decision had something done or held back because of a prediction; what is unknown is none."""
    made_of = row["inputs"] or {}
    if not row["applied"] or row["verdict"] == Verdict.UNKNOWN or made_of.get("by") == "person":
        return False
    return bool(made_of.get("acts", row["exit_code"] != 0))


def chunks(ids: Iterable[str]) -> Iterator[dict[str, str]]:
    """Ids as named parameters, so many at a time as a database takes."""
    ordered = sorted(ids)
    for begin in range(0, len(ordered), _CHUNK):
        yield {f"p{number}": id_ for number, id_ in enumerate(ordered[begin : begin + _CHUNK])}


def _is_due(row: Row) -> bool:
    made_of = row["inputs"] or {}
    holds = question_of(row).get("holds", True)
    return bool(made_of.get("takes")) or (holds and row["verdict"] in {Verdict.DENY.value, Verdict.REVIEW.value})


def _is_persons(row: Row) -> bool:
    rules = row["rules"] or ()
    written = any(str(rule).startswith(("freeze=", "protected_paths")) for rule in rules)
    return written or (row["inputs"] or {}).get("by") == "person"


def _by_id(ledger: "Reading", kind: str, rows: Iterable[Row], columns: Sequence[str]) -> Iterator[dict[str, Any]]:
    for named in chunks({row["decision_id"] for row in rows}):
        where = f"where decision_id in ({', '.join(f':{name}' for name in named)})"
        yield from ledger.rows(kind, where, named, columns=columns)


_DECIDED = (
    *("decision_id", "decision", "entity", "unit", "subject", "hook", "prediction_ids", "verdict", "level", "scope"),
    *("applied", "exit_code", "rules", "policy_sha256", "freshness", "made_at", "expires_at", "action", "ceiling"),
    *("earned", "held_out", "inputs"),
)

_IN_ORDER = "order by r.batch_seq, r.position"

_NEWEST = (
    "select id from (select decision_id as id, row_number() over (partition by decision, entity, "
    "coalesce(action, ''), unit, hook order by batch_seq desc, position desc) as age from decisions "
    "where made_at >= :since and (:scope = 'all' or scope = :scope)) ranked where age = 1"
)

_POINTS = f"""
-- grain: scope and decision
select d.scope, d.decision, count(*), sum(case when d.verdict = 'unknown' then 1 else 0 end)
from decisions d join ({_NEWEST}) newest on newest.id = d.decision_id
group by d.scope, d.decision
order by d.scope, d.decision
"""  # noqa: S608 - our own text

_CHAINED = "-- grain: kind\nselect kind, sum(n_rows) from chain group by kind"

_N_ROWS = "-- grain: one row\nselect coalesce(sum(n_rows), 0) from chain"

_N_DECISIONS = "-- grain: one row\nselect count(*) from decisions where :scope = 'all' or scope = :scope"

_LINKS = "-- grain: one row\nselect count(*), coalesce(max(batch_seq), 0) from chain"

_NEWEST_PREDICTIONS = """
-- grain: decision and entity
select decision, entity, max(made_at) from predictions where origin <> 'replay' group by decision, entity
"""
