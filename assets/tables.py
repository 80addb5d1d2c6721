"""From a declared table to a Dagster asset: key, group, dependencies, metadata and the blocking contract check.

Every asset that writes tables is made here, so that none can be without its check. Core tables that would come out
as they are stored are not computed again (``unchanged``).
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from datetime import date, timedelta
from typing import Any

import dagster as dg

from assets.partitions import days_of, of_days
from assets.resources import POOL, Deployment
from assets.unchanged import note, noted, origin
from weaver_forge.contracts.table import Table
from weaver_forge.contracts.tables.logs import RAW_OTLP_LOG_RECORDS
from weaver_forge.contracts.tables.metrics import RAW_OTLP_METRIC_POINTS
from weaver_forge.contracts.tables.operations import CORE_TRACE_SPANS, RAW_OTLP_SPANS
from weaver_forge.warehouse import check

CONTRACT = "contract"
LAKE_TABLES = frozenset(table.name for table in (RAW_OTLP_SPANS, RAW_OTLP_METRIC_POINTS, RAW_OTLP_LOG_RECORDS))

Metadata = Mapping[str, Any]
Write = Callable[[dg.AssetExecutionContext, Deployment], Mapping[str, Metadata]]
"""Writes the tables and returns metadata a table name."""


def asset_spec(table: Table, deps: Iterable[str] = (), daily: Collection[str] = ()) -> dg.AssetSpec:
    """Describe the asset of a table; ``daily`` are those of ``deps`` that have partitions which this one has not."""
    return dg.AssetSpec(
        table.name,
        deps=[of_days(name) if name in daily else name for name in deps],
        group_name=table.group,
        description=f"One row: {table.grain}.",
        kinds={"deltalake"} if table.name in LAKE_TABLES else {"duckdb"},
        metadata={
            "grain": table.grain,
            "key": ", ".join(table.key),
            "dagster/column_schema": dg.TableSchema(
                columns=[dg.TableColumn(column.name, column.type, description=column.doc) for column in table.columns]
            ),
        },
    )


def contract_checks(tables: Iterable[Table]) -> list[dg.AssetCheckSpec]:
    """One blocking check a table: schema, key and nulls are as declared."""
    return [
        dg.AssetCheckSpec(
            CONTRACT, asset=table.name, blocking=True, description="Columns, types, key and nulls are as declared."
        )
        for table in tables
    ]


def table_assets(
    name: str,
    tables: Sequence[Table],
    write: Write,
    *,
    deps: Iterable[str],
    partitions_def: dg.PartitionsDefinition[str] | None = None,
    daily: Collection[str] = (),
) -> dg.AssetsDefinition:
    """Make one op that writes ``tables`` by ``write`` and checks each against its contract.

    Core tables without partitions are computed from ``deps`` and settings alone: where none of these changed, nothing
    is written. ``daily`` are those of ``deps`` that have partitions, where the tables have none.
    """
    upstream, made = tuple(deps), tuple(table.name for table in tables)
    keeps = partitions_def is None and all(table.layer == "core" for table in tables)

    @dg.multi_asset(
        name=name,
        specs=[asset_spec(table, upstream, daily) for table in tables],
        check_specs=contract_checks(tables),
        pool=POOL,
        partitions_def=partitions_def,
        backfill_policy=dg.BackfillPolicy.single_run() if partitions_def else None,
    )
    def build(
        context: dg.AssetExecutionContext, deployment: dg.ResourceParam[Deployment]
    ) -> Iterator[dg.MaterializeResult[Any]]:
        if not keeps:
            days = days_of(context) if partitions_def else None
            deployment.step(name, _in_words(days))
            said = write(context, deployment)
            yield from results(deployment, tables, said, days=days)
        else:
            yield from _kept_or_anew(context, deployment)

    def _kept_or_anew(context: dg.AssetExecutionContext, deployment: Deployment) -> list[dg.MaterializeResult[Any]]:
        with deployment.warehouse.connect():  # held to the end: DuckDB opens its file once, not at every table
            if not is_unchanged(deployment, name, upstream, made):
                return _anew(context, deployment)
        deployment.emit({"event": "progress", "step": name, "message": "unchanged"})
        return list(_as_stored(tables))

    def _anew(context: dg.AssetExecutionContext, deployment: Deployment) -> list[dg.MaterializeResult[Any]]:
        deployment.step(name)
        begun = origin(deployment, upstream, ())
        said = write(context, deployment)
        found = list(results(deployment, tables, said))
        sound = all(check.passed for result in found for check in result.check_results or ())
        # What another run wrote meanwhile may not have been read: it is read the next time.
        if sound and origin(deployment, upstream, ()) == begun:
            note(deployment, name, origin(deployment, upstream, made))
        return found

    return build


def _in_words(days: tuple[date, date] | None) -> str:
    """The days of a partitioned run: ``(first, the day after the last)``."""
    if days is None:
        return ""
    first, last = days[0], days[1] - timedelta(days=1)
    return f"{first}" if first == last else f"{first} to {last}"


def is_unchanged(deployment: Deployment, name: str, reads: Iterable[str], makes: Iterable[str]) -> bool:
    """Whether a computation of core tables would give what is stored."""
    was = noted(deployment).get(name)
    return was is not None and was == origin(deployment, reads, makes)


def _as_stored(tables: Sequence[Table]) -> Iterator[dg.MaterializeResult[Any]]:
    """What Dagster is told of tables that were not computed again: they were checked when they were."""
    for table in tables:
        passed = dg.AssetCheckResult(passed=True, check_name=CONTRACT, asset_key=table.name)
        yield dg.MaterializeResult(asset_key=table.name, metadata={"unchanged": True}, check_results=[passed])


def results(
    deployment: Deployment,
    tables: Sequence[Table],
    said: Mapping[str, Metadata],
    *,
    days: tuple[date, date] | None = None,
) -> Iterator[dg.MaterializeResult[Any]]:
    """Materialize each table with its metadata and the result of its contract check, over ``days`` where given."""
    with deployment.warehouse.connect(read_only=True) as con:
        for table in tables:
            deployment.wrote(table)
            broken = check(con, table, where=_asked_about(table, days))
            (count,) = con.execute(f'select count(*) from "{table.name}"').fetchall()[0]  # noqa: S608 - declared name
            yield dg.MaterializeResult(
                asset_key=table.name,
                metadata={"dagster/row_count": count, **said.get(table.name, {})},
                check_results=[
                    dg.AssetCheckResult(
                        passed=not broken,
                        check_name=CONTRACT,
                        asset_key=table.name,
                        metadata={"broken": "\n".join(broken) or "nothing"},
                    )
                ],
            )


def _asked_about(table: Table, days: tuple[date, date] | None) -> str:
    """The rows a contract check reads, as SQL: the days of the run, or all.

    Of a lake it asks the schema alone: keys and nulls are proved as rows are appended, and reading the lake whole
    after every ingest would cost more than the ingest.
    """
    if table.name in LAKE_TABLES or table is CORE_TRACE_SPANS:
        return "false"
    if days is None:
        return "true"
    return f"\"{table.day_column}\" >= date '{days[0]}' and \"{table.day_column}\" < date '{days[1]}'"
