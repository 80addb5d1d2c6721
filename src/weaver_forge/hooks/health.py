"""What a deployment has and lacks, as data: from the last ingest's overview, the snapshot, the ledger, the settings.

Never opens the warehouse: looking must not stand in a writer's way. Laying it out belongs in ``cli.doctor``.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from weaver_forge.errors import PolicyError, WeaverForgeError
from weaver_forge.hooks.wording import next_for_results, unused_results
from weaver_forge.policy import parse
from weaver_forge.settings import SOURCES, Settings

if TYPE_CHECKING:
    from collections.abc import Callable

    from weaver_forge.ledger import Ledger
    from weaver_forge.snapshot import Snapshot


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """The state of a deployment.

    Args:
        taken: When something was taken in last; None if never.
        sources: A row a source: source, n_inputs, n_rows, n_refused, n_waiting, newest_at, newest_is (what that time
            is), taken_at, lag_hours.
        refused: Top reasons for refused pieces: source, reason, n, first (where the first one is).
        unfinished: Files that end inside a message: source, name, tail_bytes, is_compressed, is_there.
        links: A row a pair of kinds: from_kind, to_kind, n, n_linked, n_ambiguous, rate.
        results: n test results, n_linked of them that have a revision, n_waiting for a CI run that was not taken in.
        unusable: Why test results are not used, and what to do.
        unread: Files that no source could read: file, reason, try (the flag that may read it, or empty).
        telemetry: The services whose newest telemetry keeps least to the semantic conventions: service_key, score,
            coverage, day_at, finding_id, attribute, n (the most frequent violation; null where there is none).
        decisions: A row a subject kind: decision, entity, method, version, is_baseline, why, n_predictions, newest_at.
        missing: A row a source that has no rows and a decision that wants it: source, decision, without_it.
        ledger: ok, n_batches, n_rows, broken; or problem.
        waiting: Files in the inbox that are to be taken in, a source.
    """

    taken: datetime | None
    published: Mapping[str, Any]
    sources: list[dict[str, Any]] = field(default_factory=list)
    refused: list[dict[str, Any]] = field(default_factory=list)
    unfinished: list[dict[str, Any]] = field(default_factory=list)
    links: list[dict[str, Any]] = field(default_factory=list)
    results: Mapping[str, int] = field(default_factory=dict)
    unusable: list[str] = field(default_factory=list)
    unread: list[dict[str, str]] = field(default_factory=list)
    telemetry: list[dict[str, Any]] = field(default_factory=list)
    decisions: list[dict[str, Any]] = field(default_factory=list)
    missing: list[dict[str, str]] = field(default_factory=list)
    ledger: Mapping[str, Any] = field(default_factory=dict)
    waiting: Mapping[str, int] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    next_command: str = ""


def examine(
    settings: Settings, snapshot: "Snapshot | None", problem: str, open_ledger: "Callable[[], Ledger]", now: datetime
) -> Health:
    """Look at everything once."""
    problems = []
    if not settings.python.exists():
        problems.append(f"the interpreter {settings.python} is not there: mend [pipeline] python")
    problems += _policy(settings)
    if names := misplaced(settings.inbox):
        known = ", ".join(SOURCES)
        problems.append(f"in data/inbox but in no source's folder: {', '.join(names)}. Folders: {known}")
    record, why = _ledger(settings, open_ledger)
    waiting = _waiting(settings)
    seen = _overview(settings.overview, now)
    sources = seen["sources"]
    decisions: list[dict[str, Any]] = []
    published: dict[str, Any] = {"version": None, "problem": problem}
    if snapshot is not None:
        tables = set(snapshot.tables())
        decisions = [row for spec in snapshot.specs.values() for row in _decision(snapshot, tables, spec, why)]
        published = {
            "version": snapshot.version,
            "published_at": snapshot.published_at,
            "data_as_of": snapshot.data_as_of,
            "age_hours": round((now - snapshot.published_at) / timedelta(hours=1), 1),
        }
    return Health(
        taken=seen["at"],
        published=published,
        sources=sources,
        refused=seen["refused"],
        unfinished=seen["unfinished"],
        links=seen["links"],
        results=seen["results"],
        unusable=unused_results(seen["results"], _hosts(settings, sources)),
        unread=unread(settings.unread),
        telemetry=seen["telemetry"],
        decisions=decisions,
        missing=seen["missing"],
        ledger=record,
        waiting=waiting,
        problems=problems,
        next_command=_next(settings, seen, waiting, is_published=snapshot is not None),
    )


def _overview(path: Path, now: datetime) -> dict[str, Any]:
    """What the last ingest counted, with the age of each source; all empty before the first one."""
    try:
        seen: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {
            "at": None,
            "sources": [],
            "refused": [],
            "unfinished": [],
            "links": [],
            "results": {},
            "telemetry": [],
            "missing": [],
        }
    seen["at"] = datetime.fromisoformat(seen["at"])
    for row in seen["sources"]:
        for name in ("newest_at", "taken_at"):
            row[name] = datetime.fromisoformat(row[name]) if row[name] else None
        newest = row["newest_at"]
        row["lag_hours"] = round((now - newest) / timedelta(hours=1), 1) if newest else None
    return seen


def unread(path: Path) -> list[dict[str, str]]:
    """Files that no source could read and that are still there, as ``ingest`` noted them."""
    try:
        rows: list[dict[str, str]] = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return []
    return [row for row in rows if Path(row["file"]).exists()]


def _hosts(settings: Settings, sources: list[dict[str, Any]]) -> set[str]:
    """Sources of CI runs that this deployment uses."""
    configured = {"github_actions" if host == "github" else host for host in settings.code_hosts}
    return configured | {row["source"] for row in sources if row["n_rows"]}


def _policy(settings: Settings) -> list[str]:
    """What is wrong with the policy; every gate would stop at it."""
    if not settings.policy.is_file():
        return []
    try:
        parse(settings.policy.read_text(encoding="utf-8"), str(settings.policy))
    except PolicyError as error:
        return [str(error)]
    return []


def _decision(
    snapshot: "Snapshot", tables: set[str], spec: Mapping[str, Any], why: Mapping[tuple[str, str], str]
) -> list[dict[str, Any]]:
    rows = []
    for kind in spec["kinds"]:
        row = {"decision": spec["name"], "entity": kind["entity"], "method": None, "version": None, "is_baseline": None}
        counted: dict[str, Any] = {"n_predictions": 0, "newest_at": None}
        if kind["table"] in tables:
            table = '"' + kind["table"] + '"'
            counted = snapshot.rows(f"select count(*) as n_predictions, max(made_at) as newest_at from {table}")[0]  # noqa: S608 - the spec's own table
            newest = snapshot.rows(
                f"select model_name as method, model_version as version, is_baseline from {table} "  # noqa: S608
                "order by made_at desc limit 1"
            )
            row |= newest[0] if newest else {}
        reason = why.get((spec["name"], kind["entity"]), "")
        rows.append({**row, "why": reason or ("nothing trained yet" if row["method"] is None else ""), **counted})
    return rows


def _ledger(
    settings: Settings, open_ledger: "Callable[[], Ledger]"
) -> tuple[dict[str, Any], dict[tuple[str, str], str]]:
    """The chain's state, and why each model or baseline speaks."""
    try:
        with open_ledger() as ledger:
            found = ledger.verify()
            why = {(row["decision"], row["entity"]): row["reason"] for row in ledger.latest_evaluations()}
    except WeaverForgeError as error:
        return {"ok": None, "problem": str(error), "where": settings.ledger_url}, {}
    state = {"ok": found.ok, "n_batches": found.n_batches, "n_rows": found.n_rows, "broken": list(found.broken)}
    return state, why


def misplaced(inbox: Path) -> list[str]:
    """What lies in the inbox where nobody looks: files beside the sources' folders, and folders of no source."""
    if not inbox.is_dir():
        return []
    return sorted(
        path.name + ("/" if path.is_dir() else "")
        for path in inbox.iterdir()
        if not path.name.startswith(".") and path.name not in {*SOURCES, "decisions"}
    )


def _waiting(settings: Settings) -> dict[str, int]:
    """Files in the inbox, a source; the spool counts as ``decisions``."""
    folders = {name: settings.inbox / name for name in (*SOURCES, "decisions")}
    counted = {
        name: sum(path.is_file() and not path.name.startswith(".") for path in folder.rglob("*"))
        for name, folder in folders.items()
        if folder.is_dir()
    }
    return {name: n for name, n in counted.items() if n}


def _next(settings: Settings, seen: Mapping[str, Any], waiting: Mapping[str, int], *, is_published: bool) -> str:
    given = {row["source"] for row in seen["sources"] if row["n_rows"]}
    if not given and not settings.sources and not waiting:
        return "weaver-forge ingest --git PATH --tests 'reports/**/*.xml' && weaver-forge run"
    if given and "git" not in given:
        return "weaver-forge ingest --git PATH && weaver-forge run"
    if not seen["results"].get("n_linked") and (usable := next_for_results(seen["results"])):
        return f"{usable} && weaver-forge run"
    return "weaver-forge gate --decision deploy_risk --change HEAD" if is_published else "weaver-forge run"
