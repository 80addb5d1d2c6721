"""How each source ties tests to changed files: imports, executed code, common changes. As known at the prediction.

Put here the arithmetic of one source each. A function takes ``rows`` (subject, ranking, repo_id, test, test_file),
``moments`` (ranking, repo_id, revision, predicted_at) and ``touched`` (ranking, repo_id, path), and gives a row a
subject with its columns and ``path``, the changed file that ties it most, or None where it knows nothing. A tie to a
file that many tests are tied to says little: its pull is 1 - log(1 + tests tied to it) / log(1 + tests).
"""

from datetime import datetime

import numpy as np
import polars as pl
from numpy.typing import NDArray

from weaver_forge.links.impact.closures import Closures
from weaver_forge.links.impact.import_times import held_at
from weaver_forge.links.impact.signals import MOST_TOGETHER

AT_ONCE = 200
"""Rankings whose ties are worked out together: what a long history joins must fit into memory."""

MOST_CHANGES = 50
"""Newest changes of a file that are looked at for what changed along with it."""

SHRUNK = 2.0
"""A file's share of common changes is of its changes and so many more."""

_Floats = NDArray[np.float64]


def importing(
    rows: pl.DataFrame, moments: pl.DataFrame, touched: pl.DataFrame, trees: pl.DataFrame, imports: pl.DataFrame
) -> pl.DataFrame | None:
    """``import_nearness`` and ``import_pull`` by the newest tree that was committed by then.

    Args:
        rows: As above.
        moments: As above.
        touched: As above.
        trees: ``core_changes__trees``.
        imports: ``core_changes__imports``.
    """
    if trees.is_empty():
        return None
    read = trees.select("repo_id", tree_at="known_at").unique().sort("tree_at")
    of_tree = moments.sort("predicted_at").join_asof(
        read, left_on="predicted_at", right_on="tree_at", by="repo_id", check_sortedness=False, coalesce=False
    )
    by_ranking = dict(touched.group_by("ranking").agg("path").iter_rows())
    found = [_no_imports()]
    for (repo_id, tree_at), asked in of_tree.drop_nulls("tree_at").group_by("repo_id", "tree_at", maintain_order=True):
        assert isinstance(tree_at, datetime)
        closures = Closures(held_at(imports.filter(pl.col("repo_id") == repo_id), tree_at))
        files = rows.join(asked.select("ranking"), on="ranking", how="semi").select("ranking", "test_file").unique()
        numbered = _numbered(files, closures)
        for (ranking,), tests in numbered.group_by("ranking", maintain_order=True):
            found.append(_imports_of(tests, closures, by_ranking.get(ranking, ())))
    ties = pl.concat(found)
    said = rows.select("subject", "ranking", "test_file")
    return said.join(ties, on=("ranking", "test_file"), how="left", maintain_order="left").drop("ranking", "test_file")


def _no_imports() -> pl.DataFrame:
    return pl.DataFrame(
        schema={
            "ranking": pl.UInt32,
            "test_file": pl.String,
            "import_nearness": pl.Float64,
            "import_pull": pl.Float64,
            "path": pl.String,
        }
    )


def _numbered(files: pl.DataFrame, closures: Closures) -> pl.DataFrame:
    """Test files that the tree has, by their number in it."""
    place = pl.DataFrame({"test_file": closures.paths}).with_row_index("place")
    return files.join(place, on="test_file")


def _imports_of(tests: pl.DataFrame, closures: Closures, changed: list[str] | tuple[()]) -> pl.DataFrame:
    """Ties of the test files of one ranking."""
    n_files, n_tests = len(closures.paths), tests.height
    nearness, pull = np.zeros(n_files), np.zeros(n_files)
    by = np.full(n_files, -1)
    is_test = np.zeros(n_files, bool)
    is_test[tests["place"].to_numpy()] = True
    for number, path in enumerate(changed):
        reached, distance = closures.dependents(path)
        near: _Floats = 1.0 / np.maximum(distance, 1)
        strength = near * (1 - np.log1p(is_test[reached].sum()) / np.log1p(max(n_tests, 2)))
        stronger = strength > pull[reached]
        by[reached[stronger]] = number
        nearness[reached] = np.maximum(nearness[reached], near)
        pull[reached] = np.maximum(pull[reached], strength)
    place = tests["place"].to_numpy()
    names = pl.Series("path", [changed[number] if number >= 0 else None for number in by[place]], dtype=pl.String)
    return tests.select(
        "ranking",
        "test_file",
        import_nearness=pl.Series(nearness[place]),
        import_pull=pl.Series(pull[place]),
        path=names,
    )


def executing(
    rows: pl.DataFrame,
    moments: pl.DataFrame,
    touched: pl.DataFrame,
    reports: pl.DataFrame,
    ran: pl.DataFrame,
    names: tuple[str, str],
) -> pl.DataFrame | None:
    """Whether a test executed a changed file, and with what pull; null where nothing is known of the test.

    Args:
        rows: As above.
        moments: As above.
        touched: As above.
        reports: When each test was measured: test, known_at, report.
        ran: test, known_at, report and path, of changed files; where ``report`` is given, only rows of a test's newest
            one count.
        names: Of the two columns.
    """
    if reports.is_empty():
        return None
    at = rows.select("subject", "ranking", "test").join(moments.select("ranking", "predicted_at"), on="ranking")
    reports = reports.unique(maintain_order=False).sort("known_at")
    newest = at.sort("predicted_at").join_asof(
        reports, left_on="predicted_at", right_on="known_at", by="test", check_sortedness=False
    )
    measured = newest.filter(pl.col("known_at").is_not_null()).drop("known_at")
    found = [measured.select("subject", pull=pl.lit(None, pl.Float64), path=pl.lit(None, pl.String)).clear()]
    if ran.height:
        found.extend(_pulls(part, touched, ran) for part in _parts(measured))
    ties = pl.concat(found)
    joined = measured.select("subject").join(ties, on="subject", how="left")
    return rows.select("subject").join(
        joined.select(
            "subject",
            pl.col("pull").is_not_null().cast(pl.Float64).alias(names[0]),
            pl.col("pull").fill_null(0.0).alias(names[1]),
            "path",
        ),
        on="subject",
        how="left",
        maintain_order="left",
    )


def _parts(measured: pl.DataFrame) -> list[pl.DataFrame]:
    """The same in parts of few rankings."""
    if measured["ranking"].n_unique() <= AT_ONCE:
        return [measured]
    return measured.with_columns(part=pl.col("ranking").rank("dense") // AT_ONCE).partition_by(
        "part", include_key=False
    )


def _pulls(measured: pl.DataFrame, touched: pl.DataFrame, hits: pl.DataFrame) -> pl.DataFrame:
    """subject, pull and path of the tests that executed a changed file: of each the strongest."""
    changed = touched.select("ranking", "path").join(measured.select("ranking").unique(), on="ranking", how="semi")
    both = (
        changed.join(hits, on="path")
        .join(measured.select("subject", "ranking", "test", "predicted_at", mine="report"), on=("ranking", "test"))
        .filter(
            pl.col("known_at") <= pl.col("predicted_at"),
            pl.col("report").is_null() | (pl.col("report") == pl.col("mine")),
        )
        .select("subject", "ranking", "path")
        .unique()
    )
    n = measured.group_by("ranking").agg(n_tests=pl.len())
    share = pl.len().over("ranking", "path").log1p() / pl.max_horizontal("n_tests", pl.lit(2)).log1p()
    return (
        both.join(n, on="ranking")
        .select("subject", "path", pull=(1 - share).clip(1e-6))
        .sort("pull", "path", descending=[True, False])
        .unique("subject", keep="first", maintain_order=True)
        .select("subject", "pull", "path")
    )


def changed_together(
    rows: pl.DataFrame, moments: pl.DataFrame, touched: pl.DataFrame, files: pl.DataFrame
) -> pl.DataFrame | None:
    """``cochange_share``: of the newest changes of a changed file, how many touched the test's file too.

    Args:
        rows: As above.
        moments: As above.
        touched: As above.
        files: ``core_changes__files``.
    """
    test_files = rows.select("ranking", "test_file").drop_nulls().unique()
    if test_files.is_empty():
        return None
    asked = moments.join(test_files, on="ranking", how="semi")
    ties = pl.concat(_together(part, touched, test_files, files) for part in _parts(asked))
    known = pl.col("test_file").is_not_null()
    return rows.join(ties, on=("ranking", "test_file"), how="left", maintain_order="left").select(
        "subject", cochange_share=pl.when(known).then(pl.col("cochange_share").fill_null(0.0)), path="path"
    )


def _together(
    moments: pl.DataFrame, touched: pl.DataFrame, test_files: pl.DataFrame, files: pl.DataFrame
) -> pl.DataFrame:
    changed = touched.join(moments.select("ranking", "predicted_at", "revision"), on="ranking")
    named = files.join(changed, on=("repo_id", "path"), how="semi")
    past = (
        changed.join(named.select("repo_id", "path", "known_at", before="revision"), on=("repo_id", "path"))
        .filter(pl.col("known_at") < pl.col("predicted_at"), pl.col("before") != pl.col("revision"))
        .sort("known_at", "before", descending=True)
        .group_by("ranking", "path", maintain_order=True)
        .head(MOST_CHANGES)
        .with_columns(n=pl.len().over("ranking", "path"))
        .select("ranking", "repo_id", "path", "before", "n")
    )
    of_past = files.select("repo_id", before="revision", test_file="path").join(
        past, on=("repo_id", "before"), how="semi"
    )
    small = of_past.filter(pl.len().over("repo_id", "before") <= MOST_TOGETHER)
    return (
        past.join(small, on=("repo_id", "before"))
        .join(test_files, on=("ranking", "test_file"), how="semi")
        .filter(pl.col("test_file") != pl.col("path"))
        .group_by("ranking", "test_file", "path")
        .agg(cochange_share=pl.len() / (pl.col("n").first() + SHRUNK))
        .sort("cochange_share", "path", descending=[True, False])
        .unique(["ranking", "test_file"], keep="first", maintain_order=True)
        .select("ranking", "test_file", "cochange_share", "path")
    )
