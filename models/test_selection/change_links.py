"""What a change means, and which tests are tied to it: by imports, by what they execute, by what changed together.

Put here the questions and their assembly into columns; how each source answers stands in ``link_sources``, and the
likeness of names in ``change_match``. Only what was known at the prediction counts, and what a source cannot say is
null: a test that no report measured is not one that executes nothing.
"""

from dataclasses import dataclass
from datetime import datetime

import polars as pl

from models.learning import matched
from models.test_selection.link_sources import changed_together, executing, importing
from models.test_selection.rankings import MOMENT, numbered, tests_of
from weaver_forge.contracts.decision import Tables
from weaver_forge.contracts.dtypes import empty
from weaver_forge.contracts.table import Column, Table
from weaver_forge.contracts.tables.changes import (
    CORE_CHANGES_FILE_SEMANTICS,
    CORE_CHANGES_FILES,
    CORE_CHANGES_SEMANTICS,
)
from weaver_forge.contracts.tables.ci import CORE_CI_TEST_CODE
from weaver_forge.contracts.tables.coverage import CORE_COVERAGE_TEST_FILES
from weaver_forge.contracts.tables.imports import CORE_CHANGES_IMPORTS, CORE_CHANGES_TREES
from weaver_forge.links.impact.executed import files_of_tests
from weaver_forge.links.impact.paths import is_test
from weaver_forge.links.impact.runtime import files_of_places

READS = (
    CORE_CHANGES_SEMANTICS, CORE_CHANGES_FILE_SEMANTICS, CORE_CHANGES_TREES, CORE_CHANGES_IMPORTS,
    CORE_COVERAGE_TEST_FILES, CORE_CI_TEST_CODE,
)  # fmt: skip
"""Tables beside those of history and names; one that is absent is a source that says nothing."""

HARMLESS = ("docs", "format", "comment", "docstring")
"""Classes after which the program is the same, least severe first."""

MOST_FILES = 60
"""Files of a change that are followed, the largest first; beyond, a change touches everything anyway."""

_CLASS = "What the change means, as core_changes__semantics; null: unknown."
_LINKS = {
    "import_nearness": "1 over the imports to the nearest changed file, 0: none; null: unknown.",
    "import_pull": "The same, less for files that many tests import; null: unknown.",
    "executes_changed": "1 when it executed a changed file, by coverage; null: not measured.",
    "execution_pull": "The same, less for files that many tests execute; null: as above.",
    "traced_changed": "1 when a trace of it ran a changed file; null: no trace of it.",
    "trace_pull": "The same, less for files that many tests run; null: as above.",
    "cochange_share": "Share of a changed file's changes with the test's file; null: unknown.",
}
LINKS = tuple(_LINKS)
"""Names of the numbers that tie a test to the change."""

CLASSES = ("is_harmless", "is_test_only", "is_config")
"""Names of the numbers that say what the change means; unknown counts as behaviour, for which all are 0."""

COLUMNS = (
    Column("semantic_class", "VARCHAR", _CLASS, nullable=True),
    Column("is_harmless", "DOUBLE", "1 when its class is docs, format, comment or docstring."),
    Column("is_test_only", "DOUBLE", "1 when only the code of tests changed."),
    Column("is_config", "DOUBLE", "1 when nothing more severe than configuration changed."),
    *(Column(name, "DOUBLE", said, nullable=True) for name, said in _LINKS.items()),
    Column("linked_path", "VARCHAR", "The changed file with the strongest tie; null: none.", nullable=True),
)
"""What this module adds to the features."""

_NAME = r"([^/]+/__init__|[^/]+)\.[^.]*$"


def read(tables: Tables, table: Table) -> pl.DataFrame:
    """A table's rows; none where these tables have no such table."""
    return tables[table.name] if table.name in tables else empty(table)


def meaningful(files: pl.DataFrame, tables: Tables) -> pl.DataFrame:
    """Rows of changed files without those whose change is known to leave the program the same."""
    same = read(tables, CORE_CHANGES_FILE_SEMANTICS).filter(pl.col("semantic_class").is_in(HARMLESS))
    if same.is_empty():
        return files
    return files.join(same.select("repo_id", "revision", "path"), on=("repo_id", "revision", "path"), how="anti")


def link_features(subjects: pl.DataFrame, tables: Tables) -> pl.DataFrame:
    """:data:`COLUMNS`, one row a subject.

    Args:
        subjects: ``subject`` (row number), key, predicted_at and ``file`` (the test's file, null when unknown).
        tables: As the spec declares them.
    """
    rankings, rows = numbered(subjects.select("subject", *MOMENT, "test_id", "file"))
    asked = _Asked.of(rankings, tables)
    meant = _meaning(rankings, tables)
    joined = rows.select("subject", "ranking").join(meant, on="ranking", how="left", maintain_order="left")
    paths = [rows.select("subject", path=pl.lit(None, pl.String), tie=pl.lit(0.0)).clear()]
    for said, (column, place) in zip(_ties(rows, asked, tables), _NAMING, strict=True):
        if said is not None:
            joined = matched(joined, said.drop("path"), ("subject",))
            paths.append(said.filter(pl.col(column) > 0).select("subject", "path", tie=pl.col(column) + place))
    strongest = pl.concat(paths).sort("tie", "path", descending=[True, False]).unique("subject", keep="first")
    joined = joined.join(strongest.select("subject", linked_path="path"), on="subject", how="left")
    # A change that is not known ties nothing: what follows from it is unknown, not absent.
    known = pl.col("ranking").is_in(asked.known.implode())
    silent = [pl.lit(None, pl.Float64).alias(name) for name in LINKS if name not in joined.columns]
    return joined.with_columns(silent).select(
        "subject",
        "semantic_class",
        *CLASSES,
        *(pl.when(known).then(pl.col(name)).alias(name) for name in LINKS),
        "linked_path",
    )


_NAMING = (("import_pull", 1.0), ("execution_pull", 3.0), ("trace_pull", 2.0), ("cochange_share", 0.0))
"""Column of each source whose strength names the changed file, and the source's place: a surer one goes before."""


def _ties(rows: pl.DataFrame, asked: "_Asked", tables: Tables) -> tuple[pl.DataFrame | None, ...]:
    """What each source says, in the order of :data:`_NAMING`; None where it knows nothing."""
    if asked.known.is_empty():
        return (None,) * len(_NAMING)
    test = ("repo_id", "test_id", "file")
    tests = _with_files(tests_of(rows, *test), asked, tables)
    placed = matched(rows, tests, test).select("subject", "ranking", "repo_id", "test", "test_file")
    by = (placed, asked.moments, asked.touched)
    covered, code = read(tables, CORE_COVERAGE_TEST_FILES), read(tables, CORE_CI_TEST_CODE)
    ran, traced = ("executes_changed", "execution_pull"), ("traced_changed", "trace_pull")
    return (
        importing(*by, read(tables, CORE_CHANGES_TREES), read(tables, CORE_CHANGES_IMPORTS)),
        executing(*by, *_coverage(tests, asked, covered), ran) if covered.height else None,
        executing(*by, *_traces(tests, asked, code, tables), traced) if code.height else None,
        changed_together(*by, tables[CORE_CHANGES_FILES.name]),
    )


@dataclass(frozen=True, slots=True)
class _Asked:
    """What is asked about: rankings and the files of their changes.

    Args:
        moments: ranking, repo_id, revision, predicted_at.
        touched: ranking, repo_id, path: changed files that mean something, as known at the prediction.
        known: Rankings whose change is known.
    """

    moments: pl.DataFrame
    touched: pl.DataFrame
    known: pl.Series

    @classmethod
    def of(cls, rankings: pl.DataFrame, tables: Tables) -> "_Asked":
        """Find the files of each ranking's change."""
        files = rankings.join(tables[CORE_CHANGES_FILES.name], on=("repo_id", "revision")).filter(
            pl.col("known_at") <= pl.col("predicted_at")
        )
        largest = (
            meaningful(files, tables)
            .sort("ranking", -(pl.col("n_added") + pl.col("n_deleted")), "path")
            .group_by("ranking", maintain_order=True)
            .head(MOST_FILES)
        )
        return cls(rankings, largest.select("ranking", "repo_id", "path"), files["ranking"].unique())


def _with_files(tests: pl.DataFrame, asked: _Asked, tables: Tables) -> pl.DataFrame:
    """The tests by number, each with its file: as reports name it, else the one that its name spells."""
    newest = asked.moments["predicted_at"].max()
    found = []
    for (repo_id,), mine in tests.group_by("repo_id", maintain_order=True):
        paths: list[str] = []
        if mine["file"].null_count() and isinstance(newest, datetime):
            paths = _test_paths(str(repo_id), newest, tables)
        if not paths:
            found.append(mine.with_columns(test_file="file"))
            continue
        # A class has one file, and thousands of tests.
        grouped = mine.with_columns(group=pl.col("test_id").str.splitn("::", 2).struct[0])
        of_group = files_of_tests(dict(grouped.group_by("group").agg(pl.col("file").min()).iter_rows()), paths)
        spelled = pl.DataFrame(
            {"group": list(of_group), "spelled": list(of_group.values())},
            schema={"group": pl.String, "spelled": pl.String},
        )
        found.append(
            grouped.join(spelled, on="group", how="left")
            .with_columns(test_file=pl.coalesce("file", "spelled"))
            .drop("group", "spelled")
        )
    if not found:
        return tests.with_columns(test_file=pl.col("file"), test=pl.int_range(pl.len(), dtype=pl.UInt32))
    return pl.concat(found).with_row_index("test")


def _test_paths(repo_id: str, newest: datetime, tables: Tables) -> list[str]:
    """Files that look like tests, of those that were known."""
    known = pl.col("repo_id") == repo_id, pl.col("known_at") <= newest
    paths = pl.concat(
        frame.filter(*known)["path"] for frame in (tables[CORE_CHANGES_FILES.name], read(tables, CORE_CHANGES_IMPORTS))
    )
    distinct = paths.unique().sort()
    likely = distinct.filter(distinct.str.contains(r"(?i)test|spec|IT"))
    return [path for path in likely.to_list() if is_test(path)]


def _meaning(rankings: pl.DataFrame, tables: Tables) -> pl.DataFrame:
    """Class of each ranking's change; unknown is behaviour."""
    classes = read(tables, CORE_CHANGES_SEMANTICS).select("repo_id", "revision", "semantic_class", "known_at")
    known = (
        rankings.join(classes, on=("repo_id", "revision"), how="left")
        .with_columns(
            semantic_class=pl.when(pl.col("known_at") <= pl.col("predicted_at")).then(pl.col("semantic_class"))
        )
        .unique("ranking", keep="any")
    )
    kind = pl.col("semantic_class")
    return known.select(
        "ranking",
        "semantic_class",
        is_harmless=kind.is_in(HARMLESS).fill_null(value=False).cast(pl.Float64),
        is_test_only=(kind == "test_only").fill_null(value=False).cast(pl.Float64),
        is_config=(kind == "config").fill_null(value=False).cast(pl.Float64),
    )


def _coverage(tests: pl.DataFrame, asked: _Asked, covered: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """When each test was measured (test, known_at, report), and which changed files it executed (and path)."""
    rows = covered.filter(pl.col("kind") == "test")
    key = ("repo_id", "test_id")
    hits = rows.join(asked.touched.select("repo_id", file="path").unique(), on=("repo_id", "file"), how="semi")
    said = ("test", "known_at", pl.col("known_at").alias("report"))
    # Rows of a test stand together as reports are read: one of each row of equal ones is enough to look at.
    first = rows.select(*key, "known_at").filter(
        pl.any_horizontal(pl.col(name).ne_missing(pl.col(name).shift()) for name in (*key, "known_at"))
    )
    measured = first.unique().join(tests, on=key).select(said)
    return measured, hits.join(tests, on=key).select(*said, path="file")


def _traces(
    tests: pl.DataFrame, asked: _Asked, code: pl.DataFrame, tables: Tables
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The same of traces: report is null, as what ran once is taken to run on."""
    said = ("test", "known_at", pl.lit(None, pl.Datetime("us")).alias("report"))
    first = code.group_by("test_id").agg(pl.col("known_at").min())
    measured = first.join(tests, on="test_id").select(said)
    mine = pl.col("repo_id").is_in(asked.moments["repo_id"].unique().implode())
    sources = (tables[CORE_CHANGES_FILES.name], read(tables, CORE_CHANGES_IMPORTS))
    # Two files of one name can be told apart only if both are known, whether they changed or not.
    known = pl.concat([asked.touched["path"], *(frame.filter(mine)["path"].unique() for frame in sources)]).unique()
    changed = asked.touched["path"].str.extract(_NAME).unique()
    near = known.filter(known.str.extract(_NAME).is_in(changed.implode())).sort()
    of_place = files_of_places(code.select("code_file", "code_function"), near.to_list())
    hits = code.join(of_place, on=("code_file", "code_function")).join(tests, on="test_id")
    return measured, hits.select(*said, "path")
