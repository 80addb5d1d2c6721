"""What Python files import, kept as of the newest tree of each repository, with a few older ones the first time.

Who imports whom is asked in every ranking of tests; it is read from git once a tree. The first ingest reads trees
``SPACING`` commits apart, so that rankings of the past can be learned from; later ones read the newest tree. Of
each tree only the difference to the one before is kept.
"""

from datetime import datetime

import dagster as dg
import polars as pl

from assets.core.change_semantics import repository_paths
from assets.resources import Deployment
from assets.tables import Metadata, table_assets
from weaver_forge.contracts.dtypes import from_columns
from weaver_forge.contracts.tables.changes import CORE_CHANGES_CHANGES
from weaver_forge.contracts.tables.imports import CORE_CHANGES_IMPORTS, CORE_CHANGES_TREES
from weaver_forge.links.impact.import_times import RULES, changed_rows
from weaver_forge.sources.git_command import Repository
from weaver_forge.sources.git_trees import Tree, main_line, trees

NAME = "core_change_imports"
TABLES = (CORE_CHANGES_TREES, CORE_CHANGES_IMPORTS)

TREES = 10
"""Trees that a first ingest reads, the newest included."""
SPACING = 100
"""Commits of the main line between them."""
FILES_A_RUN = 4_000
"""Python files after which no other tree is begun: about two seconds of CPU."""


def _write(_context: dg.AssetExecutionContext, deployment: Deployment) -> dict[str, Metadata]:
    n_trees = n_rows = 0
    known = deployment.warehouse.read(CORE_CHANGES_TREES)
    for repo_id, path in repository_paths(deployment).items():
        mine = known.filter(pl.col("repo_id") == repo_id)
        read = list(_wanted(Repository(path), mine))
        n_rows += _keep(deployment, repo_id, read)
        n_trees += len(read)
    return {CORE_CHANGES_TREES.name: {"rows_written": n_trees}, CORE_CHANGES_IMPORTS.name: {"rows_written": n_rows}}


def _wanted(repository: Repository, known: pl.DataFrame) -> list[Tree]:
    """The trees that are not known yet, oldest first: the newest one, and of a new repository some before it."""
    today = known.filter(pl.col("rules") == RULES)
    line = main_line(repository, 1 if today.height else TREES * SPACING)
    newest = today["known_at"].max()
    asked = line[::SPACING]
    if isinstance(newest, datetime):
        # A clock that ran backwards, or a branch that was set back: what was known stays.
        asked = [(revision, at) for revision, at in asked if at > newest]
    found = sorted(trees(repository, asked, most_files=FILES_A_RUN), key=lambda tree: (tree.at, tree.revision))
    return [tree for number, tree in enumerate(found) if number == 0 or tree.at > found[number - 1].at]


def _keep(deployment: Deployment, repo_id: str, read: list[Tree]) -> int:
    """Write what the trees change; returns how many rows of imports that were."""
    warehouse = deployment.warehouse
    quoted = repo_id.replace("'", "''")
    still = warehouse.read(CORE_CHANGES_IMPORTS, where=f"repo_id = '{quoted}' and gone_at is null") if read else None
    n = 0
    for tree in read:
        assert still is not None
        rows, still = changed_rows(repo_id, tree.at, tree.imports, still)
        seen = from_columns(
            CORE_CHANGES_TREES,
            {
                "repo_id": [repo_id], "revision": [tree.revision], "n_files": [len(tree.imports)], "rules": [RULES],
                "known_at": [tree.at],
            },
        )  # fmt: skip
        warehouse.write_together([(CORE_CHANGES_IMPORTS, rows), (CORE_CHANGES_TREES, seen)])
        n += rows.height
    return n


assets = [table_assets(NAME, TABLES, _write, deps=(CORE_CHANGES_CHANGES.name,))]
