"""Tables of workflow runs, their jobs and the test classes of failed jobs -> executions.

Put here what such tables say; how executions become a data set is ``test_history``'s.
"""

from collections.abc import Mapping

import polars as pl

from weaver_forge.benchmarks import delimited, executions
from weaver_forge.errors import SourceError

RUNS = frozenset({"run_id", "path", "head_sha", "created_at"})
JOBS = frozenset({"run_id", "job_name", "conclusion", "started_at", "completed_at"})
CLASSES = frozenset({"path", "job_dir", "test_class", "seconds", "failed"})


def executions_of(name: str, files: Mapping[str, bytes]) -> list[tuple[str, pl.DataFrame, list[str]]]:
    """Part (``jobs``, ``classes``), executions and notes of each part that stands beside the runs.

    Args:
        name: The file of runs.
        files: Path below the given folder -> bytes.

    Raises:
        SourceError: If there is neither part, or one cannot be read.
    """
    run_notes: list[str] = []
    read_runs = delimited.read(
        name, files[name], ("run_id", "path", "head_sha", "created_at"), optional=("head_branch",), notes=run_notes
    ).with_columns(branch="head_branch", at=executions.instant(pl.col("created_at")))
    runs = executions.placed(name, executions.whole(name, read_runs, ("run_id", "at"), run_notes), "run_id", run_notes)
    runs = runs.sort("at", "place").unique("run_id", keep="first", maintain_order=True)
    # Runs created in one second stand apart, and a later one is not known before an earlier one.
    runs = runs.with_columns(pl.col("at") + pl.duration(microseconds=4 * pl.int_range(pl.len(), dtype=pl.Int64)))
    found = []
    for part, columns, reader, key in (
        ("jobs", JOBS, _job_rows, "run_id"),
        ("classes", CLASSES, _class_rows, "path"),
    ):
        other = delimited.beside(name, files, columns)
        if other is None:
            continue
        notes = [*run_notes]
        rows = reader(other, files[other], notes)
        once = runs.filter(pl.col(key).is_not_null()).unique(key, keep="first", maintain_order=True)
        unit = pl.format("{}+{}", "run_id", "job_dir")
        joined = rows.join(once.select({"run_id", "path", "head_sha", "branch", "at"}), on=key)
        if joined.height < rows.height:
            notes.append(f"{other}: {rows.height - joined.height} of {rows.height} rows are of no run in {name}")
        timed = joined.select(
            "test_id", "failed", "duration_ms", "branch", run_id=unit,
            revision=pl.format("{}+{}", pl.col("head_sha").fill_null("unknown"), unit),
            started_at="at", ended_at=pl.col("at") + pl.duration(microseconds=2),
        )  # fmt: skip
        found.append((part, timed, notes))
    if not found:
        raise SourceError(
            "runs of workflows, and no results of them",
            where=name,
            do="Put the jobs or classes of these runs beside it",
        )
    return found


def _job_rows(name: str, data: bytes, notes: list[str]) -> pl.DataFrame:
    columns = ("run_id", "job_name", "conclusion", "started_at", "completed_at")
    read_rows = delimited.read(name, data, columns, notes=notes)
    ended = pl.col("conclusion").str.to_lowercase()
    verdict = ended.replace_strict({"success": "0", "failure": "1"}, default=None, return_dtype=pl.String)
    took = executions.instant(pl.col("completed_at")) - executions.instant(pl.col("started_at"))
    decided = read_rows.with_columns(conclusion=verdict).filter(pl.col("conclusion").is_not_null())
    if decided.height < read_rows.height:
        notes.append(
            f"{name}: {read_rows.height - decided.height} of {read_rows.height} jobs neither passed nor failed"
        )
    rows = executions.judged(
        name,
        decided,
        ("run_id", "job_name"),
        notes,
        verdict="conclusion",
        milliseconds=took.dt.total_milliseconds().cast(pl.Float64),
    )
    return rows.select("run_id", "failed", "duration_ms", job_dir=pl.lit("run"), test_id="job_name")


def _class_rows(name: str, data: bytes, notes: list[str]) -> pl.DataFrame:
    read_rows = delimited.read(name, data, ("path", "job_dir", "test_class", "seconds", "failed"), notes=notes)
    took = executions.number(pl.col("seconds")) * 1000
    rows = executions.judged(
        name, read_rows, ("path", "job_dir", "test_class"), notes, verdict="failed", milliseconds=took
    )
    return rows.select("path", "job_dir", "failed", "duration_ms", test_id="test_class")
