"""What a deployment has and lacks, as data: from the published snapshot, the ledger and the settings.

Never opens the warehouse: looking must not stand in a writer's way. Laying it out belongs in ``cli.doctor``.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from weaver_forge.errors import PolicyError, WeaverForgeError
from weaver_forge.policy import parse
from weaver_forge.settings import SOURCES, Settings

if TYPE_CHECKING:
    from collections.abc import Callable

    from weaver_forge.ledger import Ledger
    from weaver_forge.snapshot import Snapshot

NEWEST = {
    "git": ("core_changes__changes", "committed_at"),
    "tests": ("core_ci__test_results", "known_at"),
    "github_actions": ("core_ci__jobs", "known_at"),
    "gitlab": ("core_ci__jobs", "known_at"),
    "coverage": ("core_coverage__test_files", "known_at"),
    "otlp": ("core_trace__red_minutes", "minute_at"),
    "focus": ("core_cost__charges", "charge_period_end"),
    "deployments": ("core_deployments__deployments", "started_at"),
    "incidents": ("core_incidents__incidents", "started_at"),
}
"""Source -> the table and time that say how new its data is."""

INPUTS, REJECTED, RESULTS = "raw_ingest__inputs", "raw_ingest__rejected", "core_ci__test_results"
QUALITY, FINDINGS = "core_semantic__quality", "core_semantic__findings"


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """The state of a deployment.

    Args:
        sources: A row a source: source, n_inputs, n_rows, newest_at, lag_hours, n_rejected.
        rejected: Top reasons for refused pieces: source, reason, n.
        link_rate: Share of test results that have a revision; None where there are none.
        telemetry: The services whose newest telemetry keeps least to the semantic conventions: service_key, score,
            coverage, day_at, finding_id, attribute, n (the most frequent violation; null where there is none).
        decisions: A row a subject kind: decision, entity, method, version, is_baseline, why, n_predictions, newest_at.
        disabled: Missing source, decision, and what is lost.
        ledger: ok, n_batches, n_rows, broken; or problem.
    """

    published: Mapping[str, Any]
    sources: list[dict[str, Any]] = field(default_factory=list)
    rejected: list[dict[str, Any]] = field(default_factory=list)
    n_results: int = 0
    link_rate: float | None = None
    telemetry: list[dict[str, Any]] = field(default_factory=list)
    decisions: list[dict[str, Any]] = field(default_factory=list)
    disabled: list[dict[str, str]] = field(default_factory=list)
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
    record, why = _ledger(settings, open_ledger)
    waiting = _waiting(settings)
    if snapshot is None:
        nothing = {"version": None, "problem": problem}
        return Health(
            published=nothing,
            ledger=record,
            waiting=waiting,
            problems=problems,
            next_command=_next(settings, None, waiting),
        )
    tables = set(snapshot.tables())
    sources = [_source(snapshot, tables, name, now) for name in SOURCES]
    n_results, link_rate = _links(snapshot, tables)
    lag = (now - snapshot.published_at) / timedelta(hours=1)
    return Health(
        published={
            "version": snapshot.version,
            "published_at": snapshot.published_at,
            "data_as_of": snapshot.data_as_of,
            "age_hours": round(lag, 1),
        },
        sources=sources,
        rejected=_rejected(snapshot, tables),
        n_results=n_results,
        link_rate=link_rate,
        telemetry=_telemetry(snapshot, tables),
        decisions=[row for spec in snapshot.specs.values() for row in _decision(snapshot, tables, spec, why)],
        disabled=_disabled(snapshot, sources),
        ledger=record,
        waiting=waiting,
        problems=problems,
        next_command=_next(settings, sources, waiting),
    )


def _policy(settings: Settings) -> list[str]:
    """What is wrong with the policy; every gate would stop at it."""
    if not settings.policy.is_file():
        return []
    try:
        parse(settings.policy.read_text(encoding="utf-8"), str(settings.policy))
    except PolicyError as error:
        return [str(error)]
    return []


def _source(snapshot: "Snapshot", tables: set[str], name: str, now: datetime) -> dict[str, Any]:
    counted: dict[str, Any] = {"n_inputs": 0, "n_rows": 0, "n_rejected": 0}
    if INPUTS in tables:
        sums = "coalesce(sum(n_rows), 0)::bigint as n_rows, coalesce(sum(n_rejected), 0)::bigint as n_rejected"
        sql = f"select count(*) as n_inputs, {sums} from {INPUTS} where source = ?"  # noqa: S608 - constants above
        counted = snapshot.rows(sql, [name])[0]
    newest = None
    table, column = NEWEST[name]
    if table in tables:
        newest = snapshot.rows(f"select max({column}) as at from {table}")[0]["at"]  # noqa: S608 - constants above
    lag = round((now - newest) / timedelta(hours=1), 1) if newest else None
    return {"source": name, **counted, "newest_at": newest, "lag_hours": lag}


def _rejected(snapshot: "Snapshot", tables: set[str]) -> list[dict[str, Any]]:
    if REJECTED not in tables:
        return []
    return snapshot.rows(
        f"select source, reason, count(*) as n from {REJECTED} "  # noqa: S608 - constants above
        "group by all order by n desc, source, reason limit 5"
    )


def _links(snapshot: "Snapshot", tables: set[str]) -> tuple[int, float | None]:
    if RESULTS not in tables:
        return 0, None
    row = snapshot.rows(f"select count(*) as n, count(revision) as linked from {RESULTS}")[0]  # noqa: S608 - constants above
    return row["n"], row["linked"] / row["n"] if row["n"] else None


def _telemetry(snapshot: "Snapshot", tables: set[str]) -> list[dict[str, Any]]:
    """The worst five services of each one's newest day, and what is wrong there most often."""
    if not {QUALITY, FINDINGS} <= tables:
        return []
    return snapshot.rows(f"""
-- grain: service
with newest as (
  select service_key, day_at, coverage, score
  from {QUALITY}
  where score is not null
  qualify row_number() over (partition by service_key order by day_at desc) = 1
),
top as (
  select service_key, day_at, finding_id, attribute, n
  from {FINDINGS}
  where level = 'violation'
  qualify row_number() over (partition by service_key, day_at order by n desc, finding_id, attribute) = 1
)
select newest.service_key, newest.score, newest.coverage, newest.day_at, top.finding_id, top.attribute, top.n
from newest
left join top using (service_key, day_at)
order by newest.score, newest.service_key
limit 5
""")  # noqa: S608 - constants above


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


def _disabled(snapshot: "Snapshot", sources: list[dict[str, Any]]) -> list[dict[str, str]]:
    given = {row["source"] for row in sources if row["n_rows"]}
    return [
        {"source": source, "decision": spec["name"], "without_it": loss}
        for spec in snapshot.specs.values()
        for source, loss in spec["sources"].items()
        if source not in given
    ]


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


def _waiting(settings: Settings) -> dict[str, int]:
    """Files in the inbox, a source; the spool counts as ``decisions``."""
    folders = {name: settings.inbox / name for name in (*SOURCES, "decisions")}
    counted = {
        name: sum(path.is_file() for path in folder.rglob("*")) for name, folder in folders.items() if folder.is_dir()
    }
    return {name: n for name, n in counted.items() if n}


def _next(settings: Settings, sources: list[dict[str, Any]] | None, waiting: Mapping[str, int]) -> str:
    if sources is None and not settings.sources and not waiting and not settings.warehouse.exists():
        return "weaver-forge ingest --git PATH --tests 'reports/**/*.xml' && weaver-forge run"
    if sources is None:
        return "weaver-forge run"
    if "git" not in {row["source"] for row in sources if row["n_rows"]}:
        return "weaver-forge ingest --git PATH && weaver-forge run"
    return "weaver-forge gate --decision deploy_risk --change HEAD"
