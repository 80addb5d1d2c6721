"""Taking rows in: what is new of a batch, its chain link, and both in one transaction under the head lock.

Put here only what must happen inside an append. Reading is in ``ledger`` and ``queries``.
"""

import os
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from weaver_forge.errors import ContractError
from weaver_forge.ledger.canonical import Value, instant_text, row_sha256, stored_values
from weaver_forge.ledger.chain import head_of, make_link
from weaver_forge.ledger.identity import idempotency_key, uuid7
from weaver_forge.ledger.schema import CHAIN, ROW_SHA256, STAMPS, LedgerTable, Schema
from weaver_forge.ledger.stores import Row, Store

StoredRow = dict[str, Value]

_LOOKUP = 500
"""Keys asked for at once; SQLite before 3.32 takes at most 999 parameters."""


def append(store: Store, schema: Schema, kind: str, rows: Sequence[Mapping[str, Any]], now: datetime) -> int:
    """Add what is new of these rows as one batch with one chain link; nothing new writes nothing.

    Returns:
        Rows added.

    Raises:
        ContractError: If the kind is unknown, a row does not fit its table, or a known row says otherwise.
        StoreBusy: If another append held the ledger for too long.
    """
    try:
        table = schema.table(kind)
    except KeyError as error:
        raise ContractError(str(error.args[0]), where="ledger") from error
    # Checked before the lock is taken: a batch with a bad row must not keep others waiting.
    prepared = [stored_values(table, row) for row in _completed(table, rows, now)]
    if not prepared:
        return 0
    with store.write():
        new = _new(store, table, prepared)
        if new:
            _write(store, schema, table, new, instant_text(now))
    return len(new)


def _completed(table: LedgerTable, rows: Sequence[Mapping[str, Any]], now: datetime) -> Iterator[dict[str, Any]]:
    """Give a row its id, and a prediction its idempotency key, where it comes without."""
    for row in rows:
        complete = dict(row)
        if not complete.get(table.key) and not table.key.endswith("_sha256"):
            complete[table.key] = uuid7(now, os.urandom(10))
        if table.kind == "predictions" and not complete.get("idempotency_key"):
            complete["idempotency_key"] = _prediction_key(complete)
        yield complete


def _prediction_key(row: Mapping[str, Any]) -> str:
    try:
        return idempotency_key(
            row["decision"], row["entity"], row["subject"], row["predicted_at"], row["model_version"]
        )
    except (KeyError, AttributeError, TypeError, ValueError) as error:
        raise ContractError(
            f"a prediction without idempotency_key lacks what it is made of: {error!r}",
            where="ledger predictions",
            do="Give decision, entity, subject (a dict), predicted_at and model_version",
        ) from error


def _new(store: Store, table: LedgerTable, rows: Sequence[StoredRow]) -> list[StoredRow]:
    """The rows that are neither in the ledger nor earlier in the batch."""
    known = _known(store, table, rows)
    new = []
    for row in rows:
        identity = _identity(table, row)
        before = known.get(identity)
        if before is None:
            known[identity] = row
            new.append(row)
        elif not table.idempotent_by:
            _refuse_contradiction(table, before, row)
    return new


def _identity(table: LedgerTable, row: StoredRow) -> tuple[Value, ...]:
    return tuple(row[name] for name in table.identity)


def _known(store: Store, table: LedgerTable, rows: Sequence[StoredRow]) -> dict[tuple[Value, ...], StoredRow]:
    """The rows already there, by identity: only the identity where nothing else will be compared."""
    names = table.identity if table.idempotent_by else [column.name for column in table.columns]
    listed = ", ".join(f'"{name}"' for name in names)
    first = table.identity[0]  # the others of an identity are told apart here, not by the database
    keys = list(dict.fromkeys(row[first] for row in rows))
    known: dict[tuple[Value, ...], StoredRow] = {}
    for start in range(0, len(keys), _LOOKUP):
        parameters = {f"k{n}": key for n, key in enumerate(keys[start : start + _LOOKUP])}
        marks = ", ".join(f":{name}" for name in parameters)
        sql = f'select {listed} from "{table.kind}" where "{first}" in ({marks})'  # noqa: S608 - our own names
        for found in store.query(sql, parameters):
            row = dict(zip(names, found, strict=True))
            known[_identity(table, row)] = row
    return known


def _refuse_contradiction(table: LedgerTable, before: StoredRow, row: StoredRow) -> None:
    """A row sent twice adds nothing; the same id with other values is a bug, not a repetition."""
    changed = [name for name, value in row.items() if value is not None and before[name] != value]
    if changed:
        raise ContractError(
            f"{table.key} {row[table.key]} is in the ledger already and says otherwise in {changed}",
            where=f"ledger {table.kind}",
            do="Rows are never updated: append a new row with an id of its own",
        )


def _write(store: Store, schema: Schema, table: LedgerTable, rows: Sequence[StoredRow], now: str) -> None:
    """Insert the rows and the link that covers them."""
    if table.kind == "outcomes":
        _fill_supersedes(store, rows)
    head = head_of(store)
    batch_seq = (head.batch_seq if head else 0) + 1
    hashed = table.hashed(schema.version)
    stored, hashes = [], []
    for position, row in enumerate(rows):
        stamps: StoredRow = {
            "batch_seq": batch_seq,
            "position": position,
            "recorded_at": now,
            "schema_version": schema.version,
        }
        values = {**stamps, **row}
        row_hash = row_sha256(hashed, [values[column.name] for column in hashed])
        hashes.append(row_hash)
        stored.append(_in_order({**values, ROW_SHA256: row_hash}, table))
    store.insert(table.kind, [column.name for column in table.stored], stored)
    link = make_link(head, kind=table.kind, row_hashes=hashes, recorded_at=now, version=schema.version)
    store.insert("chain", [column.name for column in CHAIN], [tuple(link[column.name] for column in CHAIN)])


def _in_order(values: Mapping[str, Any], table: LedgerTable) -> Row:
    return tuple(values[column.name] for column in (*STAMPS, *table.columns))


def _fill_supersedes(store: Store, rows: Sequence[StoredRow]) -> None:
    """Name the outcome that each new one replaces, where the caller did not; within the batch too."""
    newest: dict[Value, Value] = {}
    predictions = list(dict.fromkeys(row["prediction_id"] for row in rows))
    for start in range(0, len(predictions), _LOOKUP):
        parameters = {f"k{n}": key for n, key in enumerate(predictions[start : start + _LOOKUP])}
        marks = ", ".join(f":{name}" for name in parameters)
        sql = f"select prediction_id, outcome_id from newest_outcomes where prediction_id in ({marks})"  # noqa: S608 - marks only
        newest.update(dict(store.query(sql, parameters)))
    for row in rows:
        if row["supersedes"] is None:
            row["supersedes"] = newest.get(row["prediction_id"])
        newest[row["prediction_id"]] = row["outcome_id"]
