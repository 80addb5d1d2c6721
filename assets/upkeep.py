"""Upkeep of the lakes: closed days become few large files, and files that nobody needs are deleted.

Run by the nightly schedule and by ``weaver-forge compact``; changes no row.
"""

from datetime import datetime, time, timedelta
from typing import Any

import dagster as dg

from assets.resources import POOL, Deployment
from weaver_forge.warehouse.lake_upkeep import compact, vacuum
from weaver_forge.warehouse.publish import pinned_versions

GRACE = timedelta(days=1)
"""Files that left the lake stay so long, for readers that still hold a list of them and writers at work."""


def keep_up(deployment: Deployment) -> list[dict[str, Any]]:
    """Compact and vacuum every lake; returns a row a lake: lake, replaced, written, deleted, files.

    Raises:
        StoreFull: If there is no room to join files.
    """
    settings, warehouse = deployment.settings, deployment.warehouse
    today = datetime.combine(settings.now().date(), time())
    done = []
    for lake in warehouse.lakes.values():
        deployment.step(f"compact {lake.path.name}")
        replaced, written = compact(lake, today)
        # Before files are deleted, and always: a run killed here may have joined files that views still name.
        warehouse.refresh_lake_views()
        pinned = pinned_versions(settings.published) if lake is warehouse.spans else []
        deleted = vacuum(lake, pinned=pinned, older_than=GRACE)
        done.append({
            "lake": lake.path.name, "replaced": replaced, "written": written, "deleted": len(deleted),
            "files": len(lake.files()),
        })  # fmt: skip
    return done


@dg.op(name="compact_lakes", pool=POOL)
def _compact_lakes(context: dg.OpExecutionContext, deployment: dg.ResourceParam[Deployment]) -> None:
    for row in keep_up(deployment):
        context.log.info(
            "%s: %d files became %d, %d deleted", *(row[k] for k in ("lake", "replaced", "written", "deleted"))
        )


@dg.job(name="compact", description="Join the small files of closed days, and delete what nobody needs.")
def compact_job() -> None:
    """One op over all lakes."""
    _compact_lakes()
