"""Changes, the files they touch, and the fixes that blame them."""

from collections.abc import Iterator

import dagster as dg
import polars as pl

from assets.resources import Deployment
from assets.tables import Metadata, table_assets
from weaver_forge.changes import core_changes_of, core_files, file_sizes
from weaver_forge.contracts.dtypes import empty
from weaver_forge.contracts.tables import BY_NAME
from weaver_forge.contracts.tables.changes import (
    CORE_CHANGES_BLAMES,
    CORE_CHANGES_CHANGES,
    CORE_CHANGES_FILES,
    RAW_GIT_BLAMES,
    RAW_GIT_COMMITS,
    RAW_GIT_FILE_CHANGES,
)
from weaver_forge.warehouse import Warehouse, conform

COMMITS_AT_ONCE = 20_000
"""Commits whose files are held at once: a long history's would be most of an ingest's memory."""


def _write(_context: dg.AssetExecutionContext, deployment: Deployment) -> dict[str, Metadata]:
    warehouse = deployment.warehouse
    commits = warehouse.read(RAW_GIT_COMMITS).sort("committed_at", "revision")
    sizes = [file_sizes(empty(CORE_CHANGES_FILES))]
    rows = warehouse.replace(CORE_CHANGES_FILES, _files(warehouse, commits, sizes))
    frames = core_changes_of(commits, pl.concat(sizes), warehouse.read(RAW_GIT_BLAMES))
    written = {name: warehouse.replace(BY_NAME[name], frame) for name, frame in frames.items()}
    return {name: {"rows_written": n} for name, n in {CORE_CHANGES_FILES.name: rows, **written}.items()}


def _files(warehouse: Warehouse, commits: pl.DataFrame, sizes: list[pl.DataFrame]) -> Iterator[pl.DataFrame]:
    """The files of one stretch of history after the other, each counted into ``sizes``."""
    sql = f"select f.* from {RAW_GIT_FILE_CHANGES.name} as f semi join wanted using (repo_id, revision)"  # noqa: S608 - a declared name
    for part in commits.select("repo_id", "revision", "parents", "author", "committed_at").iter_slices(COMMITS_AT_ONCE):
        with warehouse.connect(read_only=True) as con:
            con.register("wanted", part.select("repo_id", "revision"))
            raw = conform(RAW_GIT_FILE_CHANGES, con.sql(sql).pl())
            con.unregister("wanted")
        files = core_files(part, raw)
        sizes.append(file_sizes(files))
        yield files


assets = [
    table_assets(
        "core_changes",
        (CORE_CHANGES_CHANGES, CORE_CHANGES_FILES, CORE_CHANGES_BLAMES),
        _write,
        deps=(RAW_GIT_COMMITS.name, RAW_GIT_FILE_CHANGES.name, RAW_GIT_BLAMES.name),
    )
]
