"""Which Python file imports which, while it did: read from trees of the history, so that a past moment can be asked."""

from weaver_forge.contracts.table import Column, Table
from weaver_forge.contracts.tables.changes import REPO_ID, REVISION

_AT = "Committer time of the first tree that was read with it, UTC."

CORE_CHANGES_TREES = Table(
    layer="core",
    source="changes",
    entity="trees",
    grain="commit of the main line whose Python files were read for what they import",
    columns=(
        REPO_ID,
        REVISION,
        Column("n_files", "INTEGER", "Python files that were read; 0 where there are none."),
        Column("rules", "INTEGER", "Version of the rules that found the imports."),
        Column("known_at", "TIMESTAMP", "Committer time of the commit, UTC."),
    ),
    key=("repo_id", "revision"),
    replace_by=("repo_id", "revision"),
)

CORE_CHANGES_IMPORTS = Table(
    layer="core",
    source="changes",
    entity="imports",
    grain="import of a Python file by another, and the time in which it was there",
    columns=(
        REPO_ID,
        Column("path", "VARCHAR", "File that imports, relative to the repository."),
        Column(
            "imported", "VARCHAR", "File that it imports itself; empty in the row that says that the file is there."
        ),
        Column("known_at", "TIMESTAMP", _AT),
        Column(
            "gone_at",
            "TIMESTAMP",
            "The same of the first later tree without it; null while it is there.",
            nullable=True,
        ),
    ),
    key=("repo_id", "path", "imported", "known_at"),
    replace_by=("repo_id", "path", "imported", "known_at"),
)
