"""What came in, what was refused and why, how much is linked: counted after every ingest, for whoever asks.

Written beside the published snapshots as JSON, so that looking never stands in a writer's way and shows the newest
ingest also where nothing was published after it. Laying it out belongs in ``cli.doctor``.
"""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import duckdb

from weaver_forge.contracts.batch import VARYING
from weaver_forge.contracts.tables import ALL
from weaver_forge.contracts.tables.ci import CORE_CI_TEST_RESULTS, RAW_TEST_RESULTS
from weaver_forge.contracts.tables.entities import CORE_ENTITY_LINK_RATES
from weaver_forge.contracts.tables.ingest import RAW_INGEST_INPUTS, RAW_INGEST_REJECTED
from weaver_forge.contracts.tables.semconv import CORE_SEMANTIC_FINDINGS, CORE_SEMANTIC_QUALITY

FILE_TIME = "time of the file"
"""What a time is called that the data does not say: when its file was written last."""

NEWEST = {
    "git": ("core_changes__changes", "committed_at", "commit"),
    "tests": ("core_ci__test_results", "known_at", "end of a test run"),
    "github_actions": ("raw_github_actions__runs", "updated_at", "change of a run"),
    "gitlab": ("raw_gitlab__pipelines", "created_at", "creation of a pipeline"),
    "coverage": ("core_coverage__test_files", "known_at", FILE_TIME),
    "otlp": ("core_trace__minutes", "minute_at", "minute of a span"),
    "focus": ("core_cost__charges", "charge_period_end", "end of a charge's period"),
    "deployments": ("core_deployments__deployments", "started_at", "start of a deployment"),
    "incidents": ("core_incidents__incidents", "started_at", "start of an incident"),
}
"""Source -> the table and time that say how new its data is, and what that time is; a source without one says nothing
of its age."""


def overview(
    con: duckdb.DuckDBPyConnection, sources: tuple[str, ...], needs: Sequence[Mapping[str, str]], now: datetime
) -> dict[str, Any]:
    """Count everything once.

    Args:
        con: The warehouse.
        sources: Names of all sources.
        needs: source, decision, without_it: what each decision of the deployment loses without a source.
        now: When this is, naive UTC.

    Returns:
        ``at``; ``sources``: source, n_inputs, n_rows, n_refused, n_waiting (files that end inside a message),
        newest_at, newest_is (what that time is), taken_at; ``refused``: source, reason and its place (first) of n of a
        kind; ``unfinished``: source, name, tail_bytes, is_there; ``links``: from_kind, to_kind, n, n_linked,
        n_ambiguous, rate; ``results``: as :func:`results`; ``telemetry``:
        the services that keep least to the semantic conventions; ``missing``: the needs whose source has no rows.
    """
    counted = [_source(con, name) for name in sources]
    given = {row["source"] for row in counted if row["n_rows"]}
    return {
        "at": now,
        "sources": counted,
        "missing": [dict(need) for need in needs if need["source"] not in given],
        "refused": _rows(con, _REFUSED, VARYING),
        "unfinished": unfinished(con),
        "links": _rows(con, _LINKS),
        "results": results(con),
        "telemetry": _rows(con, _TELEMETRY),
    }


def unfinished(con: duckdb.DuckDBPyConnection) -> list[dict[str, Any]]:
    """Files that end inside a message, as they were seen last.

    Rows have source, name, tail_bytes (of what is unpacked, where is_compressed), is_there (the file still).
    """
    return [{**row, "is_there": Path(row["name"]).exists()} for row in _rows(con, _UNFINISHED)]


def results(con: duckdb.DuckDBPyConnection) -> dict[str, int]:
    """Test results: n; n_linked of them that have a revision; n_waiting for a CI run that they name and nobody gave."""
    return _rows(con, _RESULTS)[0]


def write(path: Path, found: dict[str, Any]) -> None:
    """Put it where ``doctor`` looks, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.new")
    temporary.write_text(json.dumps(found, default=_text, indent=1), encoding="utf-8")
    temporary.replace(path)


def _text(value: object) -> object:
    if isinstance(value, datetime):
        return value.isoformat()
    raise TypeError(type(value).__name__)


def _source(con: duckdb.DuckDBPyConnection, name: str) -> dict[str, Any]:
    inputs = _rows(con, _INPUTS, name)[0]
    refused = _rows(con, f"select count(*) as n from {_OPEN} and source = ?", name)[0]["n"]  # noqa: S608 - declared names, here and below
    tables = [table for table in ALL if table.layer == "raw" and table.source == name]
    n_rows = sum(_rows(con, f'select count(*) as n from "{table.name}"')[0]["n"] for table in tables)  # noqa: S608
    newest: datetime | None = None
    what = None
    if name in NEWEST:
        table, column, what = NEWEST[name]
        newest = _rows(con, f"select max({column}) as at from {table}")[0]["at"]  # noqa: S608
    if name == "tests" and newest is not None and _rows(con, _FILE_OF, newest):
        what = FILE_TIME
    counted = {"source": name, **inputs, "n_rows": n_rows, "n_refused": refused}
    return {**counted, "newest_at": newest, "newest_is": what if newest else None}


def _rows(con: duckdb.DuckDBPyConnection, sql: str, *parameters: object) -> list[dict[str, Any]]:
    found = con.execute(sql, list(parameters))
    names = [column[0] for column in found.description or ()]
    return [dict(zip(names, row, strict=True)) for row in found.fetchall()]


_OPEN = f"{RAW_INGEST_REJECTED.name} where resolved_at is null"

_NEWEST_OF_NAME = f"""(
  select *
  from {RAW_INGEST_INPUTS.name}
  qualify row_number() over (partition by source, name order by ingested_at desc, bytes_taken desc) = 1
)"""  # noqa: S608

_INPUTS = f"""
select
  count(*) as n_inputs,
  count(*) filter (where tail_state = 'waiting') as n_waiting,
  max(ingested_at) as taken_at
from {_NEWEST_OF_NAME}
where source = ?
"""  # noqa: S608

_UNFINISHED = f"""
select source, name, tail_bytes, decoded_bytes is not null as is_compressed
from {_NEWEST_OF_NAME}
where tail_state = 'waiting'
order by source, name
limit 20
"""  # noqa: S608

_REFUSED = f"""
-- grain: source and kind of reason
select
  source,
  arg_min(reason, place) as reason,
  count(*) as n,
  arg_min(name || ', ' || "position", place) as first
from (select *, (name, coalesce(byte_offset, 0), "position") as place from {_OPEN})
group by source, regexp_replace(reason, ?, '\\1 *', 'g')
order by n desc, source, reason
limit 8
"""  # noqa: S608

_LINKS = f"""
select from_kind, to_kind, n, n_linked, n_ambiguous, rate
from {CORE_ENTITY_LINK_RATES.name}
where n > 0
order by rate, to_kind, from_kind
"""  # noqa: S608

_RESULTS = f"""
-- grain: one row
select
  count(*) as n,
  count(revision) as n_linked,
  count(*) filter (
    where revision is null
    and run_id in (select run_id from {RAW_TEST_RESULTS.name} where run_id is not null)
  ) as n_waiting
from {CORE_CI_TEST_RESULTS.name}
"""  # noqa: S608

_FILE_OF = f"select 1 from {RAW_TEST_RESULTS.name} where received_at = ? limit 1"  # noqa: S608
"""A report without times of its own, of a run that nobody told of, is from when its file was written."""

_TELEMETRY = f"""
-- grain: service, its newest day
with newest as (
  select service_key, day_at, coverage, score
  from {CORE_SEMANTIC_QUALITY.name}
  where score is not null
  qualify row_number() over (partition by service_key order by day_at desc) = 1
),
top as (
  select service_key, day_at, finding_id, attribute, n
  from {CORE_SEMANTIC_FINDINGS.name}
  where level = 'violation'
  qualify row_number() over (partition by service_key, day_at order by n desc, finding_id, attribute) = 1
)
select newest.service_key, newest.score, newest.coverage, newest.day_at, top.finding_id, top.attribute, top.n
from newest
left join top using (service_key, day_at)
order by newest.score, newest.service_key
limit 5
"""  # noqa: S608
