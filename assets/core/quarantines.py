"""Tests in quarantine, from the ledger: what labels leave out. Written only where the ledger says something new."""

from collections.abc import Iterator
from typing import Any

import dagster as dg
import polars as pl

from assets.resources import POOL, Deployment
from assets.spool import SPOOL
from assets.tables import asset_spec, contract_checks, results
from weaver_forge.contracts.dtypes import shaped
from weaver_forge.contracts.tables.ci import CORE_CI_QUARANTINES
from weaver_forge.hooks.publishing_quarantine import publish_quarantine
from weaver_forge.ledger.queries_quarantine import quarantines

NAME = "core_ci_quarantines"


@dg.multi_asset(
    name=NAME,
    specs=[asset_spec(CORE_CI_QUARANTINES, [SPOOL])],
    check_specs=contract_checks([CORE_CI_QUARANTINES]),
    pool=POOL,
)
def _build(
    _context: dg.AssetExecutionContext, deployment: dg.ResourceParam[Deployment]
) -> Iterator[dg.MaterializeResult[Any]]:
    deployment.step(NAME)
    with deployment.ledger() as ledger:
        rows = quarantines(ledger)
        if rows:
            publish_quarantine(deployment.settings.published, ledger, now=deployment.settings.now())
    names = ("repo_id", "test_id", "state", "expires_at", "reason")
    columns = {name: [row[name] for row in rows] for name in names}
    frame = pl.DataFrame(
        {**columns, "known_at": [row["made_at"] for row in rows]},
        schema={name: pl.Datetime("us") if name.endswith("_at") else pl.String for name in (*names, "known_at")},
    )
    new = shaped(CORE_CI_QUARANTINES, frame.unique(list(CORE_CI_QUARANTINES.key), keep="last", maintain_order=True))
    with deployment.warehouse.connect():  # held to the end: DuckDB opens its file once
        stored = deployment.warehouse.read(CORE_CI_QUARANTINES)
        if not new.sort(*CORE_CI_QUARANTINES.key).equals(stored.sort(*CORE_CI_QUARANTINES.key)):
            deployment.warehouse.replace(CORE_CI_QUARANTINES, new)
        yield from results(deployment, (CORE_CI_QUARANTINES,), {})


assets = [_build]
