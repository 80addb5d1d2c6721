"""Histories of test results: RETECS-like csv files, Travis and GitHub Actions tables, feature tables with verdicts.

Put a format of test histories here; what its single rows say is read in ``executions``. Histories are rebuilt from the
verdicts alone: columns like ``LastResults`` contain the results of their own cycle. Where a format has no times, runs
stand one day apart.

Formats, by their columns:

* cycles: ``Name, Duration, Verdict, Cycle`` (0 = passed; ms, or seconds where there is a ``BuildId``)
* builds: ``Build, Test, Verdict, Duration``, builds in ascending order (ms)
* classes: a file with ``build_id, test_class, seconds, failed`` and beside it, where there are any, builds (``build_id,
  commit, started_at``, and where it is told ``branch``), commits (``sha, author, commit_time, subject``) and files
  (``sha, path``)
* workflow runs: runs (``run_id, path, head_sha, created_at``, and where it is told ``head_branch``) and beside them
  jobs (``run_id, job_name, conclusion, started_at, completed_at``), classes of failed jobs (``path, job_dir,
  test_class, seconds, failed``), or both; commits and files as above
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime
from functools import partial

import polars as pl

from weaver_forge.benchmarks import BenchmarkData, delimited, each, executions, workflow_runs
from weaver_forge.benchmarks.built_commits import built_commits
from weaver_forge.contracts.dtypes import empty, shaped
from weaver_forge.contracts.tables.changes import CORE_CHANGES_CHANGES, CORE_CHANGES_FILES
from weaver_forge.contracts.tables.ci import CORE_CI_RUNS, CORE_CI_TEST_VERDICTS
from weaver_forge.errors import SourceError, WeaverForgeError

EPOCH = datetime(2000, 1, 1)  # noqa: DTZ001 - every instant inside is naive UTC
"""Start of the synthetic clock of formats without times."""

Reader = Callable[[str, str, Mapping[str, bytes]], list[BenchmarkData]]

_CYCLES = frozenset({"Name", "Duration", "Verdict", "Cycle"})
_BUILDS = frozenset({"Build", "Test", "Verdict", "Duration"})
_CLASSES = frozenset({"build_id", "test_class", "seconds", "failed"})
_TRAVIS = frozenset({"build_id", "commit", "started_at"})


def read(files: Mapping[str, bytes], problems: list[WeaverForgeError] | None = None) -> list[BenchmarkData]:
    """Recognise the histories among files; files of other formats are left alone.

    Args:
        files: Path below the given folder (with slashes) -> bytes, gzip or plain.
        problems: Where a file that has a format and cannot be measured is told; the others are still read.

    Raises:
        SourceError: For the first such file, where nobody is told.
    """
    heads = {name: delimited.header(files[name]) for name in sorted(files)}
    nearly = [problem for name, head in heads.items() if (problem := _nearly(name, head))]
    if nearly and problems is None:
        raise nearly[0]
    (problems if problems is not None else []).extend(nearly)
    found: list[BenchmarkData] = []
    for columns, reader in _READERS.items():
        titles = delimited.titles([name for name, head in heads.items() if _first_of(head) == columns])
        found += each(titles, partial(_titled, reader, titles, files), problems)
    return sorted(_apart(found), key=lambda data: data.set)


def history_tables(
    rows: pl.DataFrame, changes: pl.DataFrame | None = None, changed_files: pl.DataFrame | None = None
) -> dict[str, pl.DataFrame]:
    """Core tables from executions; rows of one test in one run are merged, failed if any failed.

    Args:
        rows: run_id, revision, test_id, failed, duration_ms, started_at, ended_at, and where it is told branch.
        changes: Columns of ``core_changes__changes``, or None.
        changed_files: Columns of ``core_changes__files``, or None.
    """
    verdicts = rows.group_by("run_id", "revision", "test_id").agg(
        verdict=pl.when(pl.col("failed").any()).then(pl.lit("failed")).otherwise(pl.lit("passed")),
        n_attempts=pl.len(),
        n_failed=pl.col("failed").sum(),
        # Sorted, so that the order of the rows does not show in the last digit.
        duration_ms=pl.col("duration_ms").sort().mean(),
        run_ended_at=pl.col("ended_at").max(),
        known_at=pl.col("ended_at").max(),
    )
    branch = pl.col("branch").sort().first() if "branch" in rows.columns else pl.lit(None, pl.String)
    runs = rows.group_by("run_id", "revision").agg(
        branch=branch,
        conclusion=pl.when(pl.col("failed").any()).then(pl.lit("failure")).otherwise(pl.lit("success")),
        started_at=pl.col("started_at").min(),
        ended_at=pl.col("ended_at").max(),
        known_at=pl.col("ended_at").max(),
    )
    repo = pl.lit("benchmark").alias("repo_id")
    runs = runs.with_columns(repo, run_attempt=1, workflow=pl.lit(""), link_method=pl.lit("given"))
    return {
        CORE_CI_TEST_VERDICTS.name: shaped(CORE_CI_TEST_VERDICTS, verdicts.with_columns(repo)).sort(
            "known_at", "test_id"
        ),
        CORE_CI_RUNS.name: shaped(CORE_CI_RUNS, runs).sort("known_at", "run_id"),
        CORE_CHANGES_CHANGES.name: empty(CORE_CHANGES_CHANGES) if changes is None else changes,
        CORE_CHANGES_FILES.name: empty(CORE_CHANGES_FILES) if changed_files is None else changed_files,
    }


def _cycles(name: str, title: str, files: Mapping[str, bytes]) -> list[BenchmarkData]:
    with_builds = "BuildId" in delimited.header(files[name])
    notes: list[str] = []
    rows = _numbered(name, files[name], ("Cycle", "Name"), 1000.0 if with_builds else 1.0, notes)
    return [_data(title, "cycles of test results (csv)", rows, notes, published=not with_builds)]


def _builds(name: str, title: str, files: Mapping[str, bytes]) -> list[BenchmarkData]:
    notes: list[str] = []
    rows = _numbered(name, files[name], ("Build", "Test"), 1.0, notes)
    return [_data(title, "builds with features and verdicts (csv)", rows, notes)]


def _numbered(name: str, data: bytes, key: tuple[str, str], scale: float, notes: list[str]) -> pl.DataFrame:
    """Executions on the synthetic clock: cycle number k runs from noon to evening of day k."""
    cycle, test = key
    read_rows = delimited.read(name, data, (cycle, test, "Verdict", "Duration"), notes=notes)
    took = executions.number(pl.col("Duration")) * scale
    rows = executions.judged(name, read_rows, key, notes, verdict="Verdict", milliseconds=took)
    rows = executions.placed(name, rows, cycle, notes)
    number = pl.col("place") + 1
    day = pl.lit(EPOCH).cast(pl.Datetime("us")) + pl.duration(days=number)
    return rows.select(
        "failed",
        "duration_ms",
        run_id=pl.format("run-{}", number.cast(pl.String).str.zfill(7)),
        revision=pl.format("revision-{}", number.cast(pl.String).str.zfill(7)),
        test_id=test,
        started_at=day + pl.duration(hours=12),
        ended_at=day + pl.duration(hours=18),
    )


def _classes(name: str, title: str, files: Mapping[str, bytes]) -> list[BenchmarkData]:
    """Class results of builds, with the commits that stand in the same folder."""
    notes: list[str] = []
    read_rows = delimited.read(name, files[name], ("build_id", "test_class", "seconds", "failed"), notes=notes)
    took = executions.number(pl.col("seconds")) * 1000
    rows = executions.judged(name, read_rows, ("build_id", "test_class"), notes, verdict="failed", milliseconds=took)
    rows = executions.placed(name, rows, "build_id", notes)
    beside = delimited.beside(name, files, _TRAVIS)
    if beside is None:
        known = pl.DataFrame(
            schema=["build_id", "revision", "branch"],
            schema_overrides=dict.fromkeys(["build_id", "revision", "branch"], pl.String),
        ).with_columns(at=pl.lit(None, pl.Datetime("us")))
        notes.append(f"{name}: no builds beside it ({', '.join(sorted(_TRAVIS))}), so it is measured without times")
    else:
        builds = delimited.read(
            beside, files[beside], ("build_id", "commit", "started_at"), optional=("branch",), notes=notes
        )
        once = builds.unique("build_id", keep="first", maintain_order=True)
        known = once.select("build_id", "branch", revision="commit", at=executions.instant(pl.col("started_at")))
    # Builds are ordered by id; a clock that never runs backwards keeps "earlier id" and "known before" the same.
    order = (
        rows.group_by("place")
        .agg(pl.col("build_id").min())
        .sort("place")
        .join(known, on="build_id", how="left", maintain_order="left")
    )
    clock = order.select(
        "place",
        "revision",
        "branch",
        at=pl.col("at").forward_fill().cum_max().backward_fill().fill_null(EPOCH)
        + pl.duration(microseconds=4 * pl.col("place")),
    )
    timed = rows.join(clock, on="place").select(
        "failed",
        "duration_ms",
        "branch",
        run_id=pl.col("build_id").str.zfill(12),
        # A commit built twice is two rankings here: each build is decided on its own.
        revision=pl.format("{}+{}", pl.col("revision").fill_null("unknown"), "build_id"),
        test_id="test_class",
        started_at="at",
        ended_at=pl.col("at") + pl.duration(microseconds=2),
    )
    return [_data(title, "class results of builds (csv)", timed, notes, beside=(name, files))]


def _workflow(name: str, title: str, files: Mapping[str, bytes]) -> list[BenchmarkData]:
    """Two histories of workflow runs: jobs in a run, and test classes in its failed jobs."""
    return [
        _data(f"{title}/{part}", f"workflow {part} (csv)", rows, notes, beside=(name, files))
        for part, rows, notes in workflow_runs.executions_of(name, files)
    ]


def _data(
    title: str,
    form: str,
    rows: pl.DataFrame,
    notes: list[str],
    *,
    beside: tuple[str, Mapping[str, bytes]] | None = None,
    published: bool = False,
) -> BenchmarkData:
    """The data set; ``beside`` names the file and the files among which commits may stand."""
    if rows.is_empty():
        raise SourceError("nothing is left to measure", where=title, do="; ".join(notes) or "Remove the files")
    moments = rows.select("revision", "started_at").unique().sort("revision")
    changes, changed = built_commits(*beside, moments, notes) if beside else (None, None)
    bare = rows.select("revision", "test_id", "duration_ms", outcome=pl.col("failed").cast(pl.Float64))
    bare = bare.sort(bare.columns)  # no order of the file shows in how ties are drawn
    tables = history_tables(rows, changes, changed)
    if not rows.group_by("revision").agg(pl.col("failed").any() & ~pl.col("failed").all())["failed"].any():
        notes.append("no run has both a failed and a passed test: there is nothing to order")
    return BenchmarkData(
        decision="test_selection",
        entity="tests",
        set=title,
        format=form,
        tables=tables,
        frames={"executions": bare} if published else {},
        protocols=("published", "time_ordered") if published else ("time_ordered",),
        notes=tuple(notes),
    )


def _titled(reader: Reader, titles: Mapping[str, str], files: Mapping[str, bytes], name: str) -> list[BenchmarkData]:
    return reader(name, titles[name], files)


def _first_of(head: frozenset[str]) -> frozenset[str] | None:
    """Columns of the first format that these are; a superset may be several."""
    return next((columns for columns in _READERS if head >= columns), None)


def _nearly(name: str, head: frozenset[str]) -> SourceError | None:
    """What keeps a file from being a history, where that is a single column."""
    if any(head >= columns for columns in (*_READERS, _TRAVIS, workflow_runs.JOBS, workflow_runs.CLASSES)):
        return None
    for columns in _READERS:
        if len(lacking := columns - head) == 1:
            (column,) = lacking
            others = ", ".join(sorted(columns - lacking))
            return SourceError(
                f"column {column} is missing, with {others} it would be a test history",
                where=f"{name}:1", do="Add the column, or leave it: nothing is measured on this file",
            )  # fmt: skip
    return None


def _apart(found: list[BenchmarkData]) -> list[BenchmarkData]:
    """Sets of one name are told apart by their format: several formats may stand in one folder."""
    names = [data.set for data in found]
    return [replace(data, set=f"{data.set} ({data.format})") if names.count(data.set) > 1 else data for data in found]


_READERS: dict[frozenset[str], Reader] = {
    _CYCLES: _cycles,
    _BUILDS: _builds,
    _CLASSES: _classes,
    workflow_runs.RUNS: _workflow,
}
"""What reads a file with these columns: its name, the set's title, and all files."""
