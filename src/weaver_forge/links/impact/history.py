"""A repository's changes as arrays in the order in which they became known.

Put here what turns rows of ``core_changes__files`` into arrays, and nothing about what is computed from them. A file
exists from the first change that touches it; renames are not followed, so that a renamed file begins anew.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from weaver_forge.links.impact.grouped import Floats, Grouped, Ints
from weaver_forge.links.impact.paths import Paths, describe

MOST_CHANGES = 20_000
"""The newest changes that are looked at: what is older says little and costs as much."""


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """Changes in time order and the files that each touches.

    Args:
        revisions: Of each change.
        at: When each became known, seconds since 1970; ascending.
        author: Of each change, as a number below ``n_authors``.
        authors: Their names; the last is nobody's.
        of_change: Files of each change.
        of_file: Changes of each file.
        of_author: Changes of each author.
        of_group: Changes of each group of files ("folder", "extension", "stem"), by the group's number.
        size: How many files each change touches.
        first: The first change of each file; the number of changes where there is none.
        paths: The files.
    """

    revisions: tuple[str, ...]
    at: Floats
    author: Ints
    authors: tuple[str, ...]
    of_change: Grouped
    of_file: Grouped
    of_author: Grouped
    of_group: dict[str, Grouped]
    size: Ints
    first: Ints
    paths: Paths

    @property
    def n(self) -> int:
        """How many changes there are."""
        return len(self.at)

    def limit(self, at: float) -> int:
        """How many changes were known strictly before an instant."""
        return int(np.searchsorted(self.at, at, side="left"))


def history(files: pl.DataFrame, *, extra: Sequence[str] = (), most: int = MOST_CHANGES) -> History:
    """Read the changes of one repository.

    Args:
        files: Rows of ``core_changes__files`` of one repository: revision, path, author, known_at.
        extra: Paths that may be asked about though no change has touched them yet.
        most: How many of the newest changes count.
    """
    rows = files.select("revision", "path", "author", "known_at").drop_nulls().unique()
    changes = (
        rows.group_by("revision")
        .agg(pl.col("known_at").min(), pl.col("author").min())
        .sort("known_at", "revision")
        .tail(most)
        .with_row_index("change")
    )
    rows = rows.join(changes.select("revision", "change"), on="revision")
    names = pl.concat([rows["path"], pl.Series("path", list(extra), dtype=pl.String)]).unique().sort()
    rows = rows.join(pl.DataFrame({"path": names}).with_row_index("file"), on="path")
    change, file = (rows[name].to_numpy().astype(np.int64) for name in ("change", "file"))
    authors = changes["author"].unique().sort()
    author = changes["author"].replace_strict(authors, range(len(authors)), return_dtype=pl.Int64).to_numpy()
    paths = describe(names.to_list())
    n, n_files = changes.height, len(names)
    of_file = Grouped.of(file, change, n_files, n + 1)
    touched = of_file.start[:-1] < of_file.start[1:]
    first = np.full(n_files, n, np.int64)
    first[touched] = of_file.values[of_file.start[:-1][touched]]
    of_change = Grouped.of(change, file, n, n_files + 1)
    return History(
        revisions=tuple(changes["revision"]),
        at=changes["known_at"].dt.epoch("us").to_numpy() / 1e6,
        author=author,
        authors=(*authors, ""),
        of_change=of_change,
        of_file=of_file,
        of_author=Grouped.of(author, np.arange(n), len(authors) + 1, n + 1),
        of_group={
            name: Grouped.of(of[file], change, int(of.max(initial=0)) + 1, n + 1) for name, of in paths.group.items()
        },
        size=np.diff(of_change.start),
        first=first,
        paths=paths,
    )
