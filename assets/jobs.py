"""Jobs, schedules and sensors: what runs together, and when without being asked."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import dagster as dg

from assets.autonomy import AUTONOMY
from assets.core.traces import MARTS
from assets.decisions import model_key, score_key
from assets.fetching import fetch_job
from assets.keeping import kept_names
from assets.partitions import contiguous, range_tags
from assets.past_runs import past_tables
from assets.publishing import OVERVIEW, SNAPSHOT
from assets.raw import SOURCES
from assets.raw.received import KEPT
from assets.resources import Deployment
from assets.spool import SPOOL
from assets.tables import is_unchanged
from assets.upkeep import compact_job
from weaver_forge.contracts.decision import DecisionSpec, candidate_table, feature_table, prediction_table
from weaver_forge.contracts.tables import ALL
from weaver_forge.contracts.tables.ci import CORE_CI_QUARANTINES
from weaver_forge.contracts.tables.entities import CORE_ENTITY_LINK_RATES, CORE_ENTITY_LINKS
from weaver_forge.settings import Settings
from weaver_forge.warehouse import Warehouse

MARTS_KEYS = tuple(table.name for table in MARTS)

_UNDER_WAY = [
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
]


def ingest_selection() -> dg.AssetSelection:
    """Raw tables, hooks' spooled decisions, and everything in core that is not computed a day at a time."""
    others = {*MARTS_KEYS, CORE_CI_QUARANTINES.name}
    names = [t.name for t in ALL if t.layer in {"raw", "core"} and t.source != "ingest" and t.name not in others]
    return dg.AssetSelection.assets(*names, SPOOL, OVERVIEW)


AFTER_MARTS = (CORE_ENTITY_LINKS.name, CORE_ENTITY_LINK_RATES.name, OVERVIEW)
"""What is made anew of the marts as a whole: the entity graph and the overview."""


def marts_selection() -> dg.AssetSelection:
    """The daily marts, and what is made of them."""
    return dg.AssetSelection.assets(*MARTS_KEYS, *AFTER_MARTS)


def train_selection(specs: Sequence[DecisionSpec]) -> dg.AssetSelection:
    """Features of the past, the models, and how they would have ordered it."""
    keys = [
        key for spec in specs for kind in spec.kinds for key in (feature_table(spec, kind).name, model_key(spec, kind))
    ]
    keys += [table.name for spec in specs for table in past_tables(spec)]
    return dg.AssetSelection.assets(*keys)


def publish_selection(specs: Sequence[DecisionSpec]) -> dg.AssetSelection:
    """What is kept for questions, predictions, scores of earlier ones, what has been earned, and the snapshot.

    And which tests the ledger has in quarantine: nothing that is taken in changes that, and labels leave them out.
    """
    keys = [SNAPSHOT, AUTONOMY, CORE_CI_QUARANTINES.name]
    for spec in specs:
        keys += kept_names(spec)
        for kind in spec.kinds:
            keys += [prediction_table(spec, kind).name, score_key(spec, kind)]
            keys += [candidate_table(spec, kind).name] if kind.candidates else []
    return dg.AssetSelection.assets(*keys)


def jobs(specs: Sequence[DecisionSpec]) -> dict[str, Any]:
    """Every job by name; ``loop`` is all of them in one run over a range of days."""
    publish = publish_selection(specs)
    train = train_selection(specs)
    return {
        "ingest": dg.define_asset_job("ingest", ingest_selection(), description="Take in sources and rebuild core."),
        "marts": dg.define_asset_job("marts", marts_selection(), description="Recompute the marts of a range of days."),
        "retrain": dg.define_asset_job(
            "retrain", train | publish, description="Train, judge, predict, publish, score."
        ),
        "compact": compact_job,
        "fetch": fetch_job,
        "publish": dg.define_asset_job("publish", publish, description="Predict with what is trained, publish, score."),
        "loop": dg.define_asset_job(
            "loop",
            ingest_selection() | marts_selection() | train | publish,
            description="The whole loop in one run: sources to scores.",
        ),
    }


def schedules(all_jobs: dict[str, Any]) -> list[dg.ScheduleDefinition]:
    """Compact and retrain every night, fetch and publish every hour; on when the daemon runs."""
    return [
        dg.ScheduleDefinition(
            name="fetch_hourly",
            job=all_jobs["fetch"],
            cron_schedule="5 * * * *",
            execution_timezone="UTC",
            default_status=dg.DefaultScheduleStatus.RUNNING,
        ),
        dg.ScheduleDefinition(
            name="compact_nightly",
            job=all_jobs["compact"],
            cron_schedule="40 2 * * *",
            execution_timezone="UTC",
            default_status=dg.DefaultScheduleStatus.RUNNING,
        ),
        dg.ScheduleDefinition(
            name="retrain_nightly",
            job=all_jobs["retrain"],
            cron_schedule="0 3 * * *",
            execution_timezone="UTC",
            default_status=dg.DefaultScheduleStatus.RUNNING,
        ),
        dg.ScheduleDefinition(
            name="publish_hourly",
            job=all_jobs["publish"],
            cron_schedule="20 * * * *",
            execution_timezone="UTC",
            default_status=dg.DefaultScheduleStatus.RUNNING,
        ),
    ]


def sensors(settings: Settings, warehouse: Warehouse, all_jobs: dict[str, Any]) -> list[dg.SensorDefinition]:
    """New files in the inbox start an ingest; days whose spans changed get their marts recomputed."""

    @dg.sensor(
        name="inbox",
        job=all_jobs["ingest"],
        minimum_interval_seconds=30,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="New files in data/inbox/<source>/ and spooled decisions are taken in.",
    )
    def inbox(context: dg.SensorEvaluationContext) -> Iterator[dg.RunRequest | dg.SkipReason]:
        stamp = inbox_stamp(settings)
        if stamp and stamp != context.cursor:
            context.update_cursor(stamp)
            yield dg.RunRequest(run_key=f"inbox {stamp}")
        elif not left_over(settings):
            yield dg.SkipReason("nothing new in the inbox")
        elif context.instance.get_runs_count(dg.RunsFilter(job_name="ingest", statuses=_UNDER_WAY)):
            yield dg.SkipReason("the inbox is being taken in")
        else:
            yield dg.RunRequest(run_key=f"inbox {stamp}, again at {settings.now():%Y-%m-%d %H:%M}"[:-1])

    @dg.sensor(
        name="touched_days",
        job=all_jobs["marts"],
        minimum_interval_seconds=60,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Days whose spans are not those their marts were computed from are computed again.",
    )
    def touched_days(context: dg.SensorEvaluationContext) -> Iterator[dg.RunRequest | dg.SkipReason]:
        from assets.core.traces import pending_days

        days = pending_days(warehouse, settings) if settings.warehouse.is_file() else []
        if not days:
            yield dg.SkipReason("every day's marts are up to date")
        elif context.instance.get_runs_count(dg.RunsFilter(job_name="marts", statuses=_UNDER_WAY)):
            yield dg.SkipReason("marts are being computed")
        else:
            for first, last in contiguous(days):
                yield dg.RunRequest(tags=range_tags(first, last))

    return [inbox, touched_days]


def inbox_stamp(settings: Settings) -> str:
    """What lies in the inbox, as one string that changes when a file comes, grows or goes; empty when nothing does.

    What a run put aside (``kept/``) is for people: no run takes it in.
    """
    folders = [settings.spool, *(settings.inbox / source.name for source in SOURCES)]
    files = sorted(
        path
        for folder in folders
        for path in folder.rglob("*")
        if path.is_file() and not path.name.startswith(".") and path.relative_to(folder).parts[0] != KEPT
    )
    newest = max((path.stat().st_mtime_ns for path in files), default=0)
    return f"{len(files)} files, {sum(path.stat().st_size for path in files)} bytes, newest {newest}" if files else ""


def left_over(settings: Settings) -> bool:
    """Whether a run that failed (a full disk) left something that a run deletes when it succeeds.

    It is asked for again every ten minutes: nothing else may come that would start the next run.
    """
    folders = [settings.spool, *(settings.inbox / source.name / "received" for source in SOURCES)]
    return any(
        path.is_file() and not path.name.startswith(".") and path.suffix != ".rejected"
        for folder in folders
        for path in folder.rglob("*")
    )


def run_config(inputs: dict[str, dict[str, Any]] | None) -> dict[str, Any]:
    """Dagster's run config for the raw ops of the sources that are named.

    None takes in what the deployment names and what lies in its inbox.
    """
    return {"ops": {f"raw_{name}": {"config": given} for name, given in (inputs or {}).items()}}


def raw_keys(settings: Settings, inputs: Mapping[str, Any] | None) -> list[str]:
    """Assets of the sources that are to be read, and of the spool where something lies in it.

    Args:
        settings: The deployment's.
        inputs: By source; None for all that the deployment names and all whose inbox is not empty.
    """
    if inputs is None:
        chosen = [source for source in SOURCES if settings.sources.get(source.name) or _any(settings, source.name)]
    else:
        chosen = [source for source in SOURCES if source.name in inputs]
    keys = [table.name for source in chosen for table in source.tables]
    return [*keys, SPOOL] if any(path.is_file() for path in settings.spool.rglob("*")) else keys


def _any(settings: Settings, source: str) -> bool:
    return any(path.is_file() for path in (settings.inbox / source).rglob("*"))


SELDOM_OTHER = frozenset({"core_ci_spans"})
"""Ops whose outputs mostly come out as they were: what reads those is looked at again once they have run."""


def stale_ops(deployment: Deployment, defs: dg.Definitions) -> tuple[dict[str, list[str]], list[str]]:
    """Core ops that would not come out as they are stored, and what is made of them; and ops that would.

    Returns:
        Keys of their assets by op, and names of unchanged ops.
    """
    with deployment.warehouse.connect():  # held: DuckDB opens its file once
        ops = [_Op.of(asset) for asset in defs.assets or () if isinstance(asset, dg.AssetsDefinition)]
        wanted = {table.name for table in ALL if table.layer == "core"} - {*MARTS_KEYS, CORE_CI_QUARANTINES.name}
        core = [op for op in ops if op.makes <= wanted]
        stale = {op.name: op for op in core if not is_unchanged(deployment, op.name, op.reads, op.makes)}
    changed: set[str] = set().union(*(op.makes for op in stale.values() if op.name not in SELDOM_OTHER))
    while more := [op for op in core if op.name not in stale and op.reads & changed]:
        stale |= {op.name: op for op in more}
        changed = changed.union(*(op.makes for op in more))
    return {name: sorted(op.makes) for name, op in stale.items()}, [op.name for op in core if op.name not in stale]


@dataclass(frozen=True, slots=True)
class _Op:
    """One op: its name, and the assets it reads and makes."""

    name: str
    reads: frozenset[str]
    makes: frozenset[str]

    @classmethod
    def of(cls, asset: dg.AssetsDefinition) -> "_Op":
        reads = {dep.asset_key.to_user_string() for spec in asset.specs for dep in spec.deps}
        return cls(asset.op.name, frozenset(reads), frozenset(key.to_user_string() for key in asset.keys))
