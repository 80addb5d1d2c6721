"""The published snapshot: what gates, notebooks and pages read, so that nobody waits for the warehouse."""

import json
from collections.abc import Sequence
from typing import Any

import dagster as dg

from assets import tracking
from assets.core.traces import MARTS
from assets.keeping import holding
from assets.partitions import of_days
from assets.past_runs import past_tables
from assets.predicting import data_as_of
from assets.resources import POOL, Deployment, SpecTables
from assets.unchanged import note, noted, origin
from weaver_forge.contracts.decision import DecisionSpec, candidate_table, prediction_table, spec_as_data
from weaver_forge.contracts.table import Table
from weaver_forge.contracts.tables import ALL
from weaver_forge.contracts.tables.ci import CORE_CI_SPAN_FILES
from weaver_forge.contracts.tables.ingest import RAW_INGEST_INPUTS
from weaver_forge.contracts.tables.log_marts import CORE_LOG_DONE_MINUTES, CORE_LOG_FILE_MINUTES
from weaver_forge.contracts.tables.metric_marts import CORE_METRIC_DONE_MINUTES, CORE_METRIC_FILE_MINUTES
from weaver_forge.contracts.tables.semconv import CORE_SEMANTIC_DAYS
from weaver_forge.contracts.tables.traces import (
    CORE_TRACE_DAYS,
    CORE_TRACE_FILE_MINUTES,
    CORE_TRACE_FILE_VERSIONS,
    CORE_TRACE_MINUTES,
)
from weaver_forge.policy import parse
from weaver_forge.settings import SOURCES
from weaver_forge.warehouse import overview

SNAPSHOT = "published_snapshot"
OVERVIEW = "published_overview"

BOOKS = frozenset({
    CORE_TRACE_DAYS, CORE_TRACE_FILE_MINUTES, CORE_TRACE_FILE_VERSIONS, CORE_TRACE_MINUTES,
    CORE_METRIC_FILE_MINUTES, CORE_METRIC_DONE_MINUTES,
    CORE_LOG_FILE_MINUTES, CORE_LOG_DONE_MINUTES, CORE_SEMANTIC_DAYS, CORE_CI_SPAN_FILES,
})  # fmt: skip
"""Tables in which it is noted what others were computed from: nobody else reads them."""


def published_tables(specs: Sequence[DecisionSpec]) -> list[Table]:
    """Core tables that features and readers need, predictions and candidates; what only ingest keeps stays here."""
    tables = [table for table in ALL if table.layer == "core" and not table.view and table not in BOOKS]
    tables.append(RAW_INGEST_INPUTS)  # which sources there are: what a prediction says it lacked
    for spec in specs:
        for kind in spec.kinds:
            tables.append(prediction_table(spec, kind))
            if kind.candidates:
                tables.append(candidate_table(spec, kind))
        tables += past_tables(spec)
    return tables


def snapshot_asset(specs: Sequence[DecisionSpec]) -> dg.AssetsDefinition:
    """Make the asset that publishes the next snapshot."""

    @dg.asset(
        name=SNAPSHOT,
        group_name="published",
        deps=[prediction_table(spec, kind).name for spec in specs for kind in spec.kinds],
        pool=POOL,
        kinds={"duckdb"},
        description="Versioned, read-only: predictions, specs, policy, champions' artifacts and core tables.",
    )
    def publish(
        _context: dg.AssetExecutionContext, deployment: dg.ResourceParam[Deployment]
    ) -> dg.MaterializeResult[Any]:
        deployment.step(SNAPSHOT)
        version = publish_snapshot(deployment)
        return dg.MaterializeResult(metadata={"version": version})

    return publish


@dg.asset(
    name=OVERVIEW,
    group_name="published",
    deps=[
        of_days(table.name) if table in MARTS else table.name
        for table in ALL
        if table.layer == "core" and not table.view
    ],
    pool=POOL,
    kinds={"json"},
    description="What came in, what was refused and why, how much is linked: for `weaver-forge doctor`.",
)
def overview_asset(
    _context: dg.AssetExecutionContext, deployment: dg.ResourceParam[Deployment]
) -> dg.MaterializeResult[Any]:
    """Count what there is and put it where doctor looks."""
    deployment.step(OVERVIEW)
    settings = deployment.settings
    needs = [
        {"source": source, "decision": spec.name, "without_it": loss}
        for spec in deployment.specs
        for source, loss in spec.sources.items()
    ]
    with deployment.warehouse.connect() as con:  # held to the end: DuckDB opens its file once
        found = overview.overview(con, SOURCES, needs, settings.now())
        overview.write(settings.overview, found)
        note(deployment, OVERVIEW, _counted(deployment))
    stored = {row["source"]: row["n_rows"] for row in found["sources"]}
    refused = {f"{row['source']}_refused": row["n_refused"] for row in found["sources"] if row["n_refused"]}
    return dg.MaterializeResult(metadata={**stored, **refused})


def overview_holds(deployment: Deployment) -> bool:
    """Whether counting again would give what ``doctor`` reads."""
    if not deployment.settings.overview.is_file():
        return False
    with deployment.warehouse.connect(read_only=True):  # held: DuckDB opens its file once
        return noted(deployment).get(OVERVIEW) == _counted(deployment)


def _counted(deployment: Deployment) -> str:
    """What the overview is made of: every table, and what each decision needs."""
    needs = {spec.name: dict(spec.sources) for spec in deployment.specs}
    return json.dumps(needs, sort_keys=True) + origin(deployment, (table.name for table in ALL), ())


def publish_snapshot(deployment: Deployment) -> int:
    """Write the next snapshot and point readers to it. Returns its version."""
    settings, now = deployment.settings, deployment.settings.now()
    artifacts = {}
    for spec in deployment.specs:
        for kind in spec.kinds:
            document = tracking.published(settings, spec, kind)
            if document is not None:
                artifacts[f"{spec.name}__{kind.entity}"] = json.dumps(document).encode()
    policy_text = settings.policy.read_text(encoding="utf-8") if settings.policy.is_file() else ""
    if policy_text:
        parse(policy_text, str(settings.policy))  # a wrong policy is refused here, not at the gates that read it
    reads = {table.name: table for spec in deployment.specs for table in spec.reads}
    with deployment.warehouse.connect():  # held to the end: what is kept must be of the history beside it
        kept = [table for spec in deployment.specs for table in holding(deployment, spec)]
        return deployment.warehouse.publish(
            settings.published,
            tables=[*published_tables(deployment.specs), *kept],
            specs=[spec_as_data(spec) for spec in deployment.specs],
            policy_text=policy_text,
            artifacts=artifacts,
            now=now,
            data_as_of=data_as_of(SpecTables(deployment, tuple(reads.values())), now),
        )
