"""Decisions that hooks wrote where no ledger was in reach, taken into the ledger by the run that takes in all else."""

from typing import Any

import dagster as dg

from assets.resources import Deployment
from weaver_forge.errors import SourceError
from weaver_forge.ledger import spool

SPOOL = "ledger_spool"


def drain(deployment: Deployment) -> int:
    """Take spooled rows into the ledger and say so; returns how many. Where it is out of reach they stay."""
    settings = deployment.settings
    try:
        with deployment.ledger() as ledger:
            drained = spool.drain(settings.spool, ledger, settings.now())
    except SourceError as problem:
        deployment.problems.append(problem)
        return 0
    if drained.n_taken:
        text = f"{drained.n_taken} rows that hooks had spooled are in the ledger now"
        deployment.emit({"event": "line", "text": text, "style": "ok"})
    deployment.problems += [SourceError(r.reason, where=f"{r.name}, {r.position}") for r in drained.rejected]
    return drained.n_taken


@dg.asset(
    name=SPOOL,
    group_name="ledger",
    kinds={"sqlite"},
    description="Decisions and approvals of hooks that had no ledger in reach, appended to it, each once.",
)
def spool_asset(
    context: dg.AssetExecutionContext, deployment: dg.ResourceParam[Deployment]
) -> dg.MaterializeResult[Any]:
    """Drain the spool."""
    deployment.step(SPOOL)
    before = len(deployment.problems)
    taken = drain(deployment)
    for problem in deployment.problems[before:]:
        context.log.error("%s", problem)
    return dg.MaterializeResult(metadata={"taken": taken})
