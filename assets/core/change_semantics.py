"""What changes mean: the newest of each repository first, a bounded number a run, until the newest thousands are done.

Reading two texts of every file of a long history would cost an ingest minutes, and what a change of years ago means is
asked by nobody: so a run looks at ``CHANGES_A_RUN`` changes that have no class yet, and none beyond ``REACH``. A run
that leaves some is not noted as done, so that the next ingest goes on where it ended. Models take a change without a
row for one of unknown meaning.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import polars as pl

from assets.resources import POOL, Deployment
from assets.tables import asset_spec, contract_checks, is_unchanged, results
from assets.unchanged import note, origin
from weaver_forge.changes.semantic.classes import RULES
from weaver_forge.changes.semantic_rows import semantic_rows
from weaver_forge.contracts.tables.changes import (
    CORE_CHANGES_CHANGES,
    CORE_CHANGES_FILE_SEMANTICS,
    CORE_CHANGES_SEMANTICS,
)
from weaver_forge.contracts.tables.ingest import RAW_INGEST_INPUTS
from weaver_forge.errors import SourceError
from weaver_forge.sources.git_command import Repository
from weaver_forge.sources.git_texts import classes_of_each

NAME = "core_change_semantics"
TABLES = (CORE_CHANGES_SEMANTICS, CORE_CHANGES_FILE_SEMANTICS)

CHANGES_A_RUN = 200
"""Changes of a repository that one run looks at."""
FILES_A_RUN = 400
"""Files after which a run begins no other change: under two seconds of CPU (a first ingest may run twice)."""
REACH = 5_000
"""Changes of a repository that are looked at in all, the newest."""

_READS = (CORE_CHANGES_CHANGES.name,)
_MAKES = tuple(table.name for table in TABLES)


@dg.multi_asset(
    name=NAME,
    specs=[asset_spec(table, _READS) for table in TABLES],
    check_specs=contract_checks(TABLES),
    pool=POOL,
)
def _build(
    context: dg.AssetExecutionContext, deployment: dg.ResourceParam[Deployment]
) -> Iterator[dg.MaterializeResult[Any]]:
    if is_unchanged(deployment, NAME, _READS, _MAKES):
        deployment.emit({"event": "progress", "step": NAME, "message": "unchanged"})
        yield from results(deployment, TABLES, {})
        return
    deployment.step(NAME)
    with deployment.warehouse.connect():  # held to the end: DuckDB opens its file once
        begun = origin(deployment, _READS, ())
        written, left = look_at_newest(deployment)
        found = list(
            results(
                deployment, TABLES, {name: {"rows_written": n, "changes_left": left} for name, n in written.items()}
            )
        )
        sound = all(check.passed for result in found for check in result.check_results or ())
        if sound and not left and origin(deployment, _READS, ()) == begun:
            note(deployment, NAME, origin(deployment, _READS, _MAKES))
    context.log.info("%d changes are left for the next run", left)
    yield from found


def look_at_newest(deployment: Deployment) -> tuple[dict[str, int], int]:
    """Find the classes of the newest changes that have none; give rows written by table, and changes that are left."""
    warehouse = deployment.warehouse
    pending = _pending(deployment)
    paths = repository_paths(deployment) if pending.height else {}
    written, left = dict.fromkeys(_MAKES, 0), 0
    for (repo_id,), changes in pending.group_by("repo_id", maintain_order=True):
        path = paths.get(str(repo_id))
        if path is None:
            continue  # the repository is no longer where it was read: its changes have no class
        some = changes.head(CHANGES_A_RUN)
        classes = classes_of_each(Repository(path), some["revision"].to_list(), n_files=FILES_A_RUN)
        frames = semantic_rows(some, classes)
        for name, n in warehouse.write_together([(table, frames[table.name]) for table in TABLES]).items():
            written[name] += n
        left += changes.height - len(classes)
    return written, left


def _pending(deployment: Deployment) -> pl.DataFrame:
    """Changes within reach that have no class by today's rules, the newest first."""
    sql = f"""
        with within_reach as (
            select *, from {CORE_CHANGES_CHANGES.name}
            qualify row_number() over (partition by repo_id order by committed_at desc, revision) <= {REACH}
        )
        select repo_id, revision, committed_at, known_at, from within_reach
        anti join (select * from {CORE_CHANGES_SEMANTICS.name} where rules = {RULES}) using (repo_id, revision)
        order by repo_id, committed_at desc, revision
    """  # noqa: S608 - declared names and numbers
    return deployment.warehouse.query(sql)


def repository_paths(deployment: Deployment) -> dict[str, Path]:
    """Repository -> a folder where it was read and still is; the last that was read first."""
    sql = f"select name from {RAW_INGEST_INPUTS.name} where source = 'git' group by name order by max(ingested_at)"  # noqa: S608 - a declared name
    found: dict[str, Path] = {}
    for (name,) in deployment.warehouse.query(sql).iter_rows():
        path = Path(name)
        try:
            found[Repository(path).repo_id] = path
        except SourceError as error:
            deployment.notes.append(f"what changes mean and import is not looked at: {error}")
    return found


assets = [_build]
