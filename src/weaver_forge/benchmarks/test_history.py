"""Histories of test results: RETECS-like csv files, Travis and GitHub Actions tables, feature tables with verdicts.

Put a format of test histories here. Histories are rebuilt from the verdicts alone: columns like ``LastResults``
contain the results of their own cycle. Where a format has no times, runs stand one day apart.

Formats, by their columns:

* cycles: ``Name, Duration, Verdict, Cycle`` with semicolons (1 = failed; ms, or seconds where there is a ``BuildId``)
* builds: ``Build, Test, Verdict, Duration`` with commas, builds in ascending order (ms)
* classes: a file with ``build_id, test_class, seconds, failed`` and beside it builds (``build_id, commit,
  started_at``, and where it is told ``branch``), and where there are any commits (``sha, author, commit_time``) and
  files (``sha, path``)
* workflow runs: runs (``run_id, path, head_sha, created_at``, and where it is told ``head_branch``), jobs (``run_id,
  job_name``), classes of failed jobs (``path, job_dir, test_class``), commits and files as above
"""

from collections.abc import Mapping
from datetime import datetime

import polars as pl

from weaver_forge.benchmarks import BenchmarkData, delimited
from weaver_forge.contracts.dtypes import empty, shaped
from weaver_forge.contracts.tables.changes import CORE_CHANGES_CHANGES, CORE_CHANGES_FILES
from weaver_forge.contracts.tables.ci import CORE_CI_RUNS, CORE_CI_TEST_VERDICTS

EPOCH = datetime(2000, 1, 1)  # noqa: DTZ001 - every instant inside is naive UTC
"""Start of the synthetic clock of formats without times."""

_CYCLES = frozenset({"Name", "Duration", "Verdict", "Cycle"})
_BUILDS = frozenset({"Build", "Test", "Verdict", "Duration"})
_CLASSES = frozenset({"build_id", "test_class", "seconds", "failed"})
_TRAVIS = frozenset({"build_id", "commit", "started_at"})
_COMMITS = frozenset({"sha", "author", "commit_time", "subject"})
_FILES = frozenset({"sha", "path"})
_WORKFLOW_RUNS = frozenset({"run_id", "path", "head_sha", "created_at", "updated_at"})
_WORKFLOW_JOBS = frozenset({"run_id", "job_name", "conclusion", "started_at", "completed_at"})
_WORKFLOW_CLASSES = frozenset({"path", "job_dir", "test_class", "seconds", "failed"})


def read(files: Mapping[str, bytes]) -> list[BenchmarkData]:
    """Recognise the histories among files; files of other formats are left alone.

    Args:
        files: Path below the given folder (with slashes) -> bytes, gzip or plain.
    """
    found = []
    for name in sorted(files):
        semicolons, commas = delimited.header(files[name], ";"), delimited.header(files[name])
        if semicolons >= _CYCLES:
            found.append(_cycles(name, files[name], semicolons))
        elif commas >= _BUILDS:
            found.append(_builds(name, files[name]))
        elif commas >= _CLASSES:
            found.append(_classes(name, files))
        elif commas >= _WORKFLOW_CLASSES:
            found.extend(_workflow(name, files))
    return found


def history_tables(
    executions: pl.DataFrame, changes: pl.DataFrame | None = None, changed_files: pl.DataFrame | None = None
) -> dict[str, pl.DataFrame]:
    """Core tables from executions; rows of one test in one run are merged, failed if any failed.

    Args:
        executions: run_id, revision, test_id, failed, duration_ms, started_at, ended_at, and where it is told branch.
        changes: Columns of ``core_changes__changes``, or None.
        changed_files: Columns of ``core_changes__files``, or None.
    """
    verdicts = executions.group_by("run_id", "revision", "test_id").agg(
        verdict=pl.when(pl.col("failed").any()).then(pl.lit("failed")).otherwise(pl.lit("passed")),
        n_attempts=pl.len(),
        n_failed=pl.col("failed").sum(),
        duration_ms=pl.col("duration_ms").mean(),
        run_ended_at=pl.col("ended_at").max(),
        known_at=pl.col("ended_at").max(),
    )
    branch = pl.col("branch").first() if "branch" in executions.columns else pl.lit(None, pl.String)
    runs = executions.group_by("run_id", "revision").agg(
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


def _cycles(name: str, data: bytes, columns: frozenset[str]) -> BenchmarkData:
    rows = delimited.read(name, data, sorted(_CYCLES), separator=";")
    scale = 1000.0 if "BuildId" in columns else 1.0
    executions = _numbered(rows, "Cycle", "Name", pl.col("Duration").cast(pl.Float64) * scale)
    return _data(name, "cycles of test results (csv)", executions, published="BuildId" not in columns)


def _builds(name: str, data: bytes) -> BenchmarkData:
    rows = delimited.read(name, data, sorted(_BUILDS))
    executions = _numbered(rows, "Build", "Test", pl.col("Duration").cast(pl.Float64))
    return _data(name, "builds with features and verdicts (csv)", executions)


def _numbered(rows: pl.DataFrame, cycle: str, test: str, duration_ms: pl.Expr) -> pl.DataFrame:
    """Executions on the synthetic clock: cycle number k runs from noon to evening of day k."""
    number = pl.col(cycle).cast(pl.Int64).rank("dense").cast(pl.Int64)
    day = pl.lit(EPOCH).cast(pl.Datetime("us")) + pl.duration(days=number)
    return rows.select(
        run_id=pl.format("run-{}", number.cast(pl.String).str.zfill(7)),
        revision=pl.format("revision-{}", number.cast(pl.String).str.zfill(7)),
        test_id=pl.col(test).cast(pl.String),
        failed=pl.col("Verdict").cast(pl.Float64) > 0,
        duration_ms=duration_ms,
        started_at=day + pl.duration(hours=12),
        ended_at=day + pl.duration(hours=18),
    )


def _classes(name: str, files: Mapping[str, bytes]) -> BenchmarkData:
    """Class results of builds, with the commits that stand in the same folder."""
    rows = delimited.read(name, files[name], ("build_id", "test_class", "seconds", "failed"))
    beside = _beside(name, files, _TRAVIS)
    when = _instant(pl.col("started_at"))
    columns = ("build_id", "commit", "started_at")
    builds = _with_branch(beside, files[beside], columns, "branch") if beside else None
    known = pl.DataFrame(
        schema={"build_id": pl.String, "revision": pl.String, "at": pl.Datetime("us"), "branch": pl.String}
    )
    if builds is not None:
        once = builds.unique("build_id", keep="first", maintain_order=True)
        known = once.select("build_id", revision="commit", at=when, branch="branch")
    # Builds are ordered by id; a clock that never runs backwards keeps "earlier id" and "known before" the same.
    numbers = rows.select("build_id").unique().sort(pl.col("build_id").cast(pl.Int64))
    order = numbers.join(known, on="build_id", how="left", maintain_order="left")
    place = pl.int_range(pl.len(), dtype=pl.Int64)
    clock = order.select(
        "build_id",
        "revision",
        "branch",
        at=pl.col("at").forward_fill().cum_max().fill_null(EPOCH) + pl.duration(microseconds=4 * place),
    )
    executions = rows.join(clock, on="build_id").select(
        run_id=pl.col("build_id").str.zfill(12),
        # A commit built twice is two rankings here: each build is decided on its own.
        revision=pl.format("{}+{}", pl.col("revision").fill_null("unknown"), "build_id"),
        branch="branch",
        test_id="test_class",
        failed=pl.col("failed").cast(pl.Float64) > 0,
        # A class whose line shows no time took hardly any.
        duration_ms=pl.col("seconds").cast(pl.Float64).fill_null(0.0) * 1000,
        started_at="at",
        ended_at=pl.col("at") + pl.duration(microseconds=2),
    )
    moments = executions.select("revision", "started_at").unique().sort("revision")
    changes, changed = _commits(name, files, moments)
    return _data(name, "class results of builds (csv)", executions, changes=changes, changed_files=changed)


def _workflow(name: str, files: Mapping[str, bytes]) -> list[BenchmarkData]:
    """Two histories of workflow runs: jobs in a run, and test classes in its failed jobs."""
    runs_name, jobs_name = _beside(name, files, _WORKFLOW_RUNS), _beside(name, files, _WORKFLOW_JOBS)
    if runs_name is None or jobs_name is None:
        return []
    columns = ("run_id", "path", "head_sha", "created_at")
    runs = _with_branch(runs_name, files[runs_name], columns, "head_branch")
    at = _instant(pl.col("created_at"))
    place = pl.int_range(pl.len(), dtype=pl.Int64)
    runs = (
        runs.with_columns(at=at)
        .sort("at", pl.col("run_id").cast(pl.Int64))
        .select("run_id", "path", "head_sha", "branch", at=pl.col("at").cum_max() + pl.duration(microseconds=4 * place))
    )
    found = []
    for part, rows, key in (
        ("jobs", _job_rows(jobs_name, files[jobs_name]), "run_id"),
        ("classes", _class_rows(name, files[name]), "path"),
    ):
        unit = pl.format("{}+{}", "run_id", "job_dir")
        executions = (
            rows.join(runs, on=key)
            .filter(pl.col("test_id").is_not_null(), pl.col("failed").is_not_null())
            .select(
                "test_id", "failed", "duration_ms", "branch",
                run_id=unit, revision=pl.format("{}+{}", "head_sha", unit),
                started_at="at", ended_at=pl.col("at") + pl.duration(microseconds=2),
            )
        )  # fmt: skip
        moments = executions.select("revision", "started_at").unique().sort("revision")
        changes, changed = _commits(name, files, moments)
        form = f"workflow {part} (csv)"
        found.append(_data(name, form, executions, changes=changes, changed_files=changed, part=part))
    return found


def _job_rows(name: str, data: bytes) -> pl.DataFrame:
    columns = ("run_id", "job_name", "conclusion", "started_at", "completed_at")
    rows = delimited.read(name, data, columns).filter(pl.col("conclusion").is_in(["success", "failure"]))
    took = (_instant(pl.col("completed_at")) - _instant(pl.col("started_at"))).dt.total_milliseconds()
    return rows.select(
        "run_id",
        job_dir=pl.lit("run"),
        test_id="job_name",
        failed=pl.col("conclusion") == "failure",
        duration_ms=took.cast(pl.Float64),
    )


def _class_rows(name: str, data: bytes) -> pl.DataFrame:
    rows = delimited.read(name, data, ("path", "job_dir", "test_class", "seconds", "failed"))
    return rows.select(
        "path",
        "job_dir",
        test_id="test_class",
        failed=pl.col("failed").cast(pl.Float64) > 0,
        # A class whose line shows no time took hardly any.
        duration_ms=pl.col("seconds").cast(pl.Float64).fill_null(0.0) * 1000,
    )


def _commits(
    name: str, files: Mapping[str, bytes], moments: pl.DataFrame
) -> tuple[pl.DataFrame | None, pl.DataFrame | None]:
    """Changes and files of the commits that were built; a revision here is ``commit+build``.

    Commits that no build tested are left out: only the change under test and past failures are compared.
    """
    commits_name, files_name = _beside(name, files, _COMMITS), _beside(name, files, _FILES)
    if commits_name is None or files_name is None:
        return None, None
    commits = delimited.read(commits_name, files[commits_name], ("sha", "author", "commit_time", "subject"))
    touched = delimited.read(files_name, files[files_name], ("sha", "path", "added", "deleted"))
    repo = pl.lit("benchmark").alias("repo_id")
    built = moments.with_columns(sha=pl.col("revision").str.extract(r"^([^+]+)"))
    # Known by the start of the build at the latest, whatever the committer's clock said.
    committed = pl.from_epoch(pl.col("commit_time").cast(pl.Int64)).cast(pl.Datetime("us"))
    at = pl.min_horizontal(committed, "started_at")
    lines = {name: pl.col(name).cast(pl.Int64, strict=False).fill_null(0) for name in ("added", "deleted")}
    joined = built.join(commits, on="sha").with_columns(committed_at=at, known_at=at)
    changed = joined.join(touched, on="sha").select(
        repo,
        "revision",
        "path",
        "author",
        "committed_at",
        "known_at",
        n_added=lines["added"],
        n_deleted=lines["deleted"],
    )
    sums = changed.group_by("revision").agg(
        n_files=pl.len(), n_added=pl.col("n_added").sum(), n_deleted=pl.col("n_deleted").sum()
    )
    changes = joined.join(sums, on="revision", how="left").select(
        repo, "revision", "author", "committed_at", "known_at", subject=pl.col("subject").fill_null(""),
        is_fix=pl.lit(False), n_files=pl.col("n_files").fill_null(0), n_added=pl.col("n_added").fill_null(0),
        n_deleted=pl.col("n_deleted").fill_null(0),
    )  # fmt: skip
    return shaped(CORE_CHANGES_CHANGES, changes), shaped(CORE_CHANGES_FILES, changed)


def _data(
    name: str,
    form: str,
    executions: pl.DataFrame,
    *,
    changes: pl.DataFrame | None = None,
    changed_files: pl.DataFrame | None = None,
    part: str = "",
    published: bool = False,
) -> BenchmarkData:
    bare = executions.select("revision", "test_id", "duration_ms", outcome=pl.col("failed").cast(pl.Float64))
    where = delimited.folder(name)
    return BenchmarkData(
        decision="test_selection",
        entity="tests",
        set=f"{where}/{part}" if part else where,
        format=form,
        tables=history_tables(executions, changes, changed_files),
        frames={"executions": bare} if published else {},
        protocols=("published", "time_ordered") if published else ("time_ordered",),
    )


def _with_branch(name: str, data: bytes, columns: tuple[str, ...], branch: str) -> pl.DataFrame:
    """These columns, and ``branch``: null where the file has no such column, or nothing in it."""
    if branch not in delimited.header(data):
        return delimited.read(name, data, columns).with_columns(branch=pl.lit(None, pl.String))
    return delimited.read(name, data, (*columns, branch)).rename({branch: "branch"})


def _beside(name: str, files: Mapping[str, bytes], columns: frozenset[str]) -> str | None:
    """The file in the same folder that has these columns."""
    place = name.rpartition("/")[0]
    here = (other for other in sorted(files) if other != name and other.rpartition("/")[0] == place)
    return next((other for other in here if delimited.header(files[other]) >= columns), None)


def _instant(text: pl.Expr) -> pl.Expr:
    """``2019-08-06 21:00:17 UTC`` or ``2022-04-06T12:43:00Z`` as a naive UTC timestamp; null when neither."""
    return (
        text.str.slice(0, 19).str.replace("T", " ").str.to_datetime("%Y-%m-%d %H:%M:%S", time_unit="us", strict=False)
    )
