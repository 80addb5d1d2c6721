"""The ledger's schema as SQL for SQLite and PostgreSQL: tables, indexes, views, guards, migrations. Pure text.

The guards (triggers) stop accidents, not an adversary with the file in hand: that is what the chain is for.
"""

from collections.abc import Iterable, Iterator
from typing import Literal

from weaver_forge.ledger.schema import CHAIN, CHAIN_INDEXES, LedgerColumn, LedgerTable, Schema

Dialect = Literal["sqlite", "postgresql"]

# Instants and JSON are text on PostgreSQL too: jsonb reorders keys and rewrites numbers, and both stores
# must hold the very bytes that were hashed. Collation "C" sorts and compares bytes, as SQLite does.
_TYPES: dict[str, dict[str, str]] = {
    "sqlite": {"DOUBLE": "real", "BIGINT": "integer", "BOOLEAN": "integer"},
    "postgresql": {"DOUBLE": "double precision", "BIGINT": "bigint", "BOOLEAN": "boolean"},
}
_TEXT = {"sqlite": "text", "postgresql": 'text collate "C"'}

_NEWEST_OUTCOMES = """
newest_outcomes as
-- grain: prediction that has an outcome; later in the chain wins, whatever the clocks said
select o.prediction_id, o.outcome_id, o.outcome, o.maturity, o.outcome_known_at, o.link_method,
  o.link_confidence, o.cost, o.supersedes, o.recorded_at
from outcomes o
where not exists (
  select 1 from outcomes n
  where n.prediction_id = o.prediction_id and (n.batch_seq, n.position) > (o.batch_seq, o.position)
)"""

REFUSE = "the ledger is append-only: nothing may be changed or removed"
"""What the guards say."""


def create(schema: Schema, dialect: Dialect) -> Iterator[str]:
    """Every statement that makes an empty ledger of this version, but for the version row itself."""
    yield "create table schema_version (version integer not null primary key)"
    yield _table("chain", CHAIN, dialect, ('primary key ("batch_seq")',))
    if dialect == "postgresql":
        yield _REFUSE_FUNCTION
    yield from _guards("chain", dialect)
    for since, names in CHAIN_INDEXES:
        if since <= schema.version:
            yield _index("chain", names)
    for table in schema.present:
        yield from create_table(table, schema.version, dialect)
    yield "create view" + _NEWEST_OUTCOMES


def create_table(table: LedgerTable, version: int, dialect: Dialect) -> Iterator[str]:
    """One table with its indexes and guards, as of a version."""
    columns = [column for column in table.stored if column.since <= version]
    unique = [f"unique ({_listed(names)})" for names in dict.fromkeys(((table.key,), table.identity))]
    yield _table(table.kind, columns, dialect, ('primary key ("batch_seq", "position")', *unique))
    for names in (*table.indexes, *(names for since, names in table.later_indexes if since <= version)):
        yield _index(table.kind, names)
    yield from _guards(table.kind, dialect)


def migrate(schema: Schema, version: int, dialect: Dialect) -> Iterator[str]:
    """Every statement that brings a ledger from ``version - 1`` to ``version``: new columns, tables and indexes."""
    for since, names in CHAIN_INDEXES:
        if since == version:
            yield _index("chain", names)
    for table in schema.present:
        if table.since == version:
            yield from create_table(table, version, dialect)
            continue
        for column in table.columns:
            if column.since == version:
                yield f'alter table "{table.kind}" add column {_column(column, dialect)}'
        for since, names in table.later_indexes:
            if since == version:
                yield _index(table.kind, names)


def _table(name: str, columns: Iterable[LedgerColumn], dialect: Dialect, constraints: tuple[str, ...]) -> str:
    body = ",\n  ".join((*(_column(column, dialect) for column in columns), *constraints))
    return f'create table "{name}" (\n  {body}\n)'


def _index(table: str, names: tuple[str, ...]) -> str:
    return f'create index "{table}_by_{"_".join(names)}" on "{table}" ({_listed(names)})'


def _listed(names: Iterable[str]) -> str:
    return ", ".join(f'"{name}"' for name in names)


def _column(column: LedgerColumn, dialect: Dialect) -> str:
    kind = _TYPES[dialect].get(column.type, _TEXT[dialect])
    return f'"{column.name}" {kind}' + ("" if column.nullable else " not null")


def _guards(name: str, dialect: Dialect) -> Iterator[str]:
    if dialect == "sqlite":
        for verb in ("update", "delete"):
            yield (
                f'create trigger "{name}_refuse_{verb}" before {verb} on "{name}" '
                f"begin select raise(abort, '{REFUSE}'); end"
            )
    else:
        yield (
            f'create trigger "{name}_refuse" before update or delete or truncate on "{name}" '
            "for each statement execute function refuse_change()"
        )


_REFUSE_FUNCTION = f"""
create function refuse_change() returns trigger language plpgsql as $$
begin
  raise exception '{REFUSE}';
end
$$"""
