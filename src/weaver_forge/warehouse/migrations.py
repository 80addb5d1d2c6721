"""How an older warehouse file becomes a current one, rows kept.

What a contract alone can say (a new table, a new nullable column, a column that may be null from now on) is
done by :func:`reconcile` without a step. Everything else (a rename, a changed type, a computed column) is a
:class:`Step` in ``STEPS``: append one, never edit one that was released.
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import duckdb

from weaver_forge.contracts.table import Table
from weaver_forge.errors import ContractError, SourceError
from weaver_forge.warehouse.connection import transaction
from weaver_forge.warehouse.naming import is_stored, quoted, stored_columns

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Step:
    """One explicit change of stored tables.

    Args:
        version: Consecutive, from 1.
        description: What it does, for people who read ``schema_version``.
        apply: Does it on an open transaction. The tables of older files may be absent: look first.
    """

    version: int
    description: str
    apply: Callable[[duckdb.DuckDBPyConnection], None]


def _first_layout(_: duckdb.DuckDBPyConnection) -> None:
    """The first layout is what the contracts declare; nothing to change."""


def _tests_of_every_format(con: duckdb.DuckDBPyConnection) -> None:
    """The source ``junit`` became ``tests``: its rows keep their place, its inputs stay known."""
    if is_stored(con, "raw_junit__test_results"):
        con.execute("alter table raw_junit__test_results rename to raw_tests__results")
        for column, value in (("format", "junit"), ("producer", "")):
            con.execute(f"alter table raw_tests__results add column {column} varchar default '{value}'")
            con.execute(f"alter table raw_tests__results alter column {column} drop default")
            con.execute(f"alter table raw_tests__results alter column {column} set not null")
    for table in ("raw_ingest__inputs", "raw_ingest__rejected"):
        if is_stored(con, table):
            con.execute(f"update {table} set source = 'tests' where source = 'junit'")  # noqa: S608 - named above


def _marts_by_touched_minutes(con: duckdb.DuckDBPyConnection) -> None:
    """What the marts were computed from is written down by minute; without it all of them are computed anew."""
    con.execute("drop table if exists core_trace__days")


def _reports_a_state(con: duckdb.DuckDBPyConnection) -> None:
    """Deployments and incidents are stored a report and state; every stored one was complete in itself."""
    added = {
        "raw_deployments__events": {"state": "record", "action": "deploy", "source": "records"},
        "raw_incidents__events": {"state": "record", "source": "records"},
    }
    for table, columns in added.items():
        if not is_stored(con, table):
            continue
        for column, value in columns.items():
            con.execute(f"alter table {table} add column {column} varchar default '{value}'")
            con.execute(f"alter table {table} alter column {column} drop default")
            con.execute(f"alter table {table} alter column {column} set not null")


def _exports_by_account(con: duckdb.DuckDBPyConnection) -> None:
    """A cost export is named by provider and account too, so that a period taken in again replaces itself."""
    for table in ("raw_focus__charges", "core_cost__charges"):
        if is_stored(con, table):
            con.execute(
                f"update {table} set export = provider_name || '/' || coalesce(billing_account_id, '') || '/' || export"  # noqa: S608 - named above
            )


STEPS: tuple[Step, ...] = (
    Step(1, "first layout, tables from contracts", _first_layout),
    Step(2, "source junit became tests, with reports of every format", _tests_of_every_format),
    Step(3, "trace marts know the minutes that they were computed from", _marts_by_touched_minutes),
    Step(4, "deployments and incidents are reports on a state", _reports_a_state),
    Step(5, "cost exports are named by provider and account too", _exports_by_account),
)


def bring_forward(con: duckdb.DuckDBPyConnection, path: Path, steps: Sequence[Step] = STEPS) -> int:
    """Apply the steps that the file has not seen, each in its own transaction; returns the version after it.

    A file without any table is born current: no step runs on it.

    Raises:
        SourceError: If a newer release wrote the file.
    """
    born_now = not con.execute("select 1 from duckdb_tables() limit 1").fetchall()
    # The database stamps its own rows: no computation ever reads this time.
    con.execute(
        "create table if not exists schema_version (version integer not null,"
        " applied_at timestamp not null default (now() at time zone 'UTC'), description varchar not null)"
    )
    newest = max((step.version for step in steps), default=0)
    found: int = con.execute("select coalesce(max(version), 0) from schema_version").fetchall()[0][0]
    if found > newest:
        raise SourceError(
            f"the warehouse has schema version {found}, this release knows versions up to {newest}",
            where=str(path),
            do="Install the release that wrote it, or a newer one",
        )
    for step in steps:
        if step.version > found:
            with transaction(con):
                if not born_now:
                    _LOG.info("%s: migration %d, %s", path, step.version, step.description)
                    step.apply(con)
                con.execute(
                    "insert into schema_version (version, description) values (?, ?)", [step.version, step.description]
                )
    return newest


def reconcile(con: duckdb.DuckDBPyConnection, table: Table) -> None:
    """Create a missing table, add missing nullable columns, and let columns be null that may be from now on.

    A table that holds nothing, or feature rows (which are always computed anew), is simply made again.

    Raises:
        ContractError: If rows are stored that the contract cannot hold and no step has brought forward.
    """
    stored = stored_columns(con, table.name)
    if not stored:
        con.execute(table.ddl)
        return
    misfit = _misfit(table, stored)
    if misfit and (table.layer == "feat" or not _has_rows(con, table)):
        _LOG.info("%s is made again: %s", table.name, misfit)
        with transaction(con):
            con.execute(f"drop table {quoted(table.name)}")
            con.execute(table.ddl)
        return
    if misfit:
        raise ContractError(
            f"the stored table differs from its contract: {misfit}",
            where=table.name,
            do="Add a migration step that brings the stored rows forward",
        )
    for column in table.columns:
        if column.name not in stored:
            con.execute(f"alter table {quoted(table.name)} add column {quoted(column.name)} {column.type}")
        elif column.nullable and not stored[column.name][1]:
            con.execute(f"alter table {quoted(table.name)} alter column {quoted(column.name)} drop not null")


def _misfit(table: Table, stored: dict[str, tuple[str, bool]]) -> str:
    """What cannot be mended without a step, in words; empty when nothing."""
    declared = {column.name: column for column in table.columns}
    wrong = [f"column {name} is not declared any more" for name in stored if name not in declared]
    for name, column in declared.items():
        kind, nullable = stored.get(name, (None, column.nullable))
        if kind is None and not column.nullable:
            wrong.append(f"column {name} is new and may not be null")
        elif kind is not None and kind != column.type.replace(" ", "").upper():
            wrong.append(f"column {name} is stored as {kind}, declared {column.type}")
        elif nullable and not column.nullable:
            wrong.append(f"column {name} may not be null any more")
    return "; ".join(wrong)


def _has_rows(con: duckdb.DuckDBPyConnection, table: Table) -> bool:
    return bool(con.execute(f"select 1 from {quoted(table.name)} limit 1").fetchall())  # noqa: S608 - a declared name
