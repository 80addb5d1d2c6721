"""What a published snapshot and the span lake know about one repository, as the links of ``links.impact`` read it.

Put the SQL for impact here. A table that is absent is None, a snapshot that is absent is a note.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import duckdb
import polars as pl

from weaver_forge.errors import SourceError
from weaver_forge.settings import Settings
from weaver_forge.snapshot import open_snapshot
from weaver_forge.sources.work_tree import ChangeAt
from weaver_forge.warehouse import Warehouse

MOST_SPANS = 300_000
"""Newest spans that are looked through for where their code is."""

CALLS_DAYS = 14
"""How far back from the newest call calls between services count."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """Rows of a repository that were known before a change; None where there is no such table."""

    files: pl.DataFrame | None = None
    coverage: pl.DataFrame | None = None
    tests: Mapping[str, str | None] | None = None
    failures: pl.DataFrame | None = None
    edges: pl.DataFrame | None = None
    deployed: Sequence[str] | None = None
    about: Mapping[str, Any] = field(default_factory=dict)


def of_snapshot(where: Path, repo_id: str, change: ChangeAt, notes: list[str]) -> Stored:
    """Read what the change's neighbourhood needs.

    Args:
        where: A snapshot's file or folder.
        repo_id: The repository.
        change: What is asked about: only what was known before it.
        notes: Why there is nothing is added here.
    """
    try:
        with open_snapshot(where) as snapshot:
            path, tables, version = snapshot.path, set(snapshot.tables()), snapshot.version
    except SourceError as error:
        notes.append(f"no snapshot is read: {error}")
        return Stored()
    mine = f"repo_id = {_text(repo_id)} and known_at < {_text(change.at.isoformat())}::timestamp"
    with duckdb.connect(str(path), read_only=True) as con:

        def asked(table: str, sql: str) -> pl.DataFrame | None:
            return con.sql(sql).pl() if table in tables else None

        tests = asked(
            "core_ci__test_verdicts",
            f"select test_id, max(file) as file from core_ci__test_verdicts where {mine} group by test_id",  # noqa: S608 - constants and quoted text, here and below
        )
        deployed = asked(
            "core_deployments__deployments",
            f"select distinct service_key from core_deployments__deployments where {mine} order by service_key",  # noqa: S608
        )
        both = {"core_ci__test_verdicts", "core_changes__files"} <= tables
        return Stored(
            files=asked(
                "core_changes__files",
                "select revision, path, author, committed_at, known_at, n_added, n_deleted "  # noqa: S608
                f"from core_changes__files where {mine}",
            ),
            coverage=asked("core_coverage__test_files", f"select * from core_coverage__test_files where {mine}"),  # noqa: S608
            tests=None if tests is None else dict(tests.iter_rows()),
            failures=con.sql(_failures_sql(mine, change.paths)).pl() if both else None,
            edges=asked("core_trace__edges", _edges_sql(change)),
            deployed=None if deployed is None else deployed["service_key"].to_list(),
            about={"snapshot": str(path), "snapshot_version": version},
        )


def _failures_sql(mine: str, paths: Sequence[str]) -> str:
    listed = ", ".join(map(_text, paths))
    return f"""
-- grain: file of the change and test
with touched as (select distinct revision, path from core_changes__files where {mine} and path in ({listed})),
verdicts as (
  select distinct revision, test_id, verdict = 'failed' as failed from core_ci__test_verdicts
  where {mine} and verdict in ('passed', 'failed')
),
n_tested as (
  select path, count(distinct revision) as n_changes from touched
  where revision in (select revision from verdicts) group by path
)
select path, test_id, count(distinct revision) as n_failed, any_value(n_changes) as n_changes
from touched join verdicts using (revision) join n_tested using (path)
where failed
group by path, test_id"""  # noqa: S608 - constants and quoted text


def _edges_sql(change: ChangeAt) -> str:
    before = f"known_at < {_text(change.at.isoformat())}::timestamp"
    return f"""
-- grain: caller and callee
select caller_key, callee_key, sum(n_calls)::bigint as n_calls from core_trace__edges
where {before} and caller_key <> callee_key
  and hour_at > (select max(hour_at) from core_trace__edges where {before}) - interval {CALLS_DAYS} day
group by caller_key, callee_key"""  # noqa: S608 - constants and quoted text


def newest_spans(settings: Settings, notes: list[str]) -> pl.DataFrame | None:
    """The newest spans with what they say about their code; None where there are none, or none says it."""
    lake = Warehouse(settings.warehouse, settings.lake).spans
    files, n = [], 0
    for file in sorted(lake.ranges(), key=lambda file: -file.last_unix_ns):
        files.append(file.path)
        n += file.n_rows
        if n >= MOST_SPANS:
            break
    if not files:
        return None
    listed = ", ".join(_text(str(path)) for path in files)
    found = duckdb.sql(f"""
-- grain: span
select
  service_namespace || '/' || service_name || '/' || deployment_environment_name as service_key,
  trace_id, span_id, parent_span_id, name,
  kind in (2, 5) or parent_span_id is null as is_entry,
  coalesce(attributes['code.file.path'], attributes['code.filepath']) as code_file,
  coalesce(
    attributes['code.function.name'],
    attributes['code.namespace'] || '.' || attributes['code.function'],
    attributes['code.function']
  ) as code_function
from read_parquet([{listed}], union_by_name = true)
order by start_unix_ns desc limit {MOST_SPANS}""").pl()  # noqa: S608 - our own paths
    if found["code_file"].null_count() + found["code_function"].null_count() == 2 * found.height:
        notes.append(f"none of the newest {found.height} spans says where its code is")
        return None
    return found


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"
