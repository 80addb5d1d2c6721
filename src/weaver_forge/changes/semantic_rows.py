"""What changes mean, as rows: the class of each file and of each change, for models and pages.

A class is what the change itself says, so it is known when the change is: from its committer time on. Finding the
class belongs in ``semantic``; choosing which changes are looked at belongs to the caller.
"""

from collections.abc import Mapping, Sequence

import polars as pl

from weaver_forge.changes.semantic.classes import HARMLESS, RULES, FileClass, most_severe
from weaver_forge.contracts.dtypes import shaped
from weaver_forge.contracts.tables.changes import CORE_CHANGES_FILE_SEMANTICS, CORE_CHANGES_SEMANTICS


def semantic_rows(changes: pl.DataFrame, classes: Mapping[str, Sequence[FileClass]]) -> dict[str, pl.DataFrame]:
    """Make ``core_changes__semantics`` and ``core_changes__file_semantics`` of some changes of one repository.

    Args:
        changes: Rows of ``core_changes__changes``.
        classes: Revision -> classes of the files that it touches; a change that is not in it gets no row.
    """
    looked_at = changes.filter(pl.col("revision").is_in(list(classes))).select(
        "repo_id", "revision", "committed_at", "known_at"
    )
    kinds = [(revision, [file.kind for file in files]) for revision, files in classes.items()]
    of_changes = pl.DataFrame(
        {
            "revision": [revision for revision, _ in kinds],
            "semantic_class": [str(kind) if (kind := most_severe(found)) else None for _, found in kinds],
            "n_harmless": [sum(kind in HARMLESS for kind in found) for _, found in kinds],
            "n_files": [len(found) for _, found in kinds],
            "rules": [RULES] * len(kinds),
        },
        schema={
            "revision": pl.String,
            "semantic_class": pl.String,
            "n_harmless": pl.Int32,
            "n_files": pl.Int32,
            "rules": pl.Int32,
        },
    )
    listed = [(revision, file) for revision, files in classes.items() for file in files]
    of_files = pl.DataFrame(
        {
            "revision": [revision for revision, _ in listed],
            "path": [file.path for _, file in listed],
            "semantic_class": [file.kind.value for _, file in listed],
            "reason": [file.reason for _, file in listed],
        },
        schema=dict.fromkeys(("revision", "path", "semantic_class", "reason"), pl.String),
    ).unique(["revision", "path"], keep="first", maintain_order=True)
    return {
        CORE_CHANGES_SEMANTICS.name: shaped(CORE_CHANGES_SEMANTICS, of_changes.join(looked_at, on="revision")),
        CORE_CHANGES_FILE_SEMANTICS.name: shaped(CORE_CHANGES_FILE_SEMANTICS, of_files.join(looked_at, on="revision")),
    }
