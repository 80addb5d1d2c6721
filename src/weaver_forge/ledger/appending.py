"""Taking rows in: what is new of a batch, its chain link, and both in one transaction under the head lock.

Put here only what must happen inside an append. Reading is in ``ledger`` and ``queries``.
"""

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from typing import Any

from weaver_forge.errors import ContractError
from weaver_forge.ledger import roots
from weaver_forge.ledger.canonical import Value, instant_of, instant_text, row_sha256, stored_values
from weaver_forge.ledger.chain import make_link, newest_link
from weaver_forge.ledger.identity import idempotency_key, uuid7
from weaver_forge.ledger.schema import CHAIN, ROOTS, ROW_SHA256, LedgerTable, Schema
from weaver_forge.ledger.stores import Store

StoredRow = dict[str, Value]
Link = dict[str, Any]

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
    return append_all(store, [prepared(schema, kind, rows, now)], schema)[0]


@dataclass(frozen=True, slots=True)
class Request:
    """Rows that were checked and brought into the form in which they are stored.

    Args:
        now: The writer's clock, canonical.
    """

    table: LedgerTable
    rows: list[StoredRow]
    now: str


def prepared(schema: Schema, kind: str, rows: Sequence[Mapping[str, Any]], now: datetime) -> Request:
    """Check rows before the head lock is taken: a batch with a bad row must not keep others waiting.

    Raises:
        ContractError: If the kind is unknown or a row does not fit its table.
    """
    try:
        table = schema.table(kind)
    except KeyError as error:
        raise ContractError(str(error.args[0]), where="ledger") from error
    if table is ROOTS:
        raise ContractError("daily roots are made by the ledger itself", where="ledger roots", do="Call seal")
    return Request(table, [stored_values(table, row) for row in _completed(table, rows, now)], instant_text(now))


def append_all(store: Store, requests: Sequence[Request], schema: Schema) -> list[int]:
    """Add what is new of several requests in one transaction: all of them are durable on return, or none.

    Neighbours of one kind share a link; the order of the requests is the order of their rows in the chain.

    Returns:
        Rows added, a request.

    Raises:
        ContractError: If one of them contradicts what is known. Nothing is added.
        StoreBusy: If another append held the ledger for too long.
    """
    if not any(request.rows for request in requests):
        return [0] * len(requests)
    added: list[int] = []
    with store.write():
        newest = newest_link(store)
        for _, neighbours in groupby(requests, key=lambda request: request.table.kind):
            group = list(neighbours)
            table, now = group[0].table, max(request.now for request in group)
            new = _new(store, table, [request.rows for request in group])
            added += [len(rows) for rows in new]
            together = [row for rows in new for row in rows]
            if together:
                sealed = roots.due(store, schema, newest, now)
                if sealed:
                    newest = _write(store, schema, ROOTS, [sealed], now, newest)
                newest = _write(store, schema, table, together, now, newest)
    return added


def seal(store: Store, schema: Schema, now: datetime) -> bool:
    """Make the root of the newest day if that has ended and has none; tells whether one was made."""
    at = instant_text(now)
    with store.write():
        newest = newest_link(store)
        sealed = roots.due(store, schema, newest, at)
        if sealed:
            _write(store, schema, ROOTS, [sealed], at, newest)
    return sealed is not None


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
        at = row["predicted_at"]
        instant = instant_of(at) if isinstance(at, str) else at
        return idempotency_key(row["decision"], row["entity"], row["subject"], instant, row["model_version"])
    except (KeyError, AttributeError, TypeError, ValueError) as error:
        raise ContractError(
            f"a prediction without idempotency_key lacks what it is made of: {error!r}",
            where="ledger predictions",
            do="Give decision, entity, subject (a dict), predicted_at and model_version",
        ) from error


def _new(store: Store, table: LedgerTable, batches: Sequence[Sequence[StoredRow]]) -> list[list[StoredRow]]:
    """The rows of each batch that are neither in the ledger nor earlier among these."""
    known = _known(store, table, [row for rows in batches for row in rows])
    found: list[list[StoredRow]] = []
    for rows in batches:
        new = []
        for row in rows:
            identity = _identity(table, row)
            before = known.get(identity)
            if before is None:
                known[identity] = row
                new.append(row)
            elif not table.idempotent_by:
                _refuse_contradiction(table, before, row)
        found.append(new)
    return found


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


def _write(
    store: Store, schema: Schema, table: LedgerTable, rows: Sequence[StoredRow], now: str, newest: Link | None
) -> Link:
    """Insert the rows and the link that covers them; returns the link."""
    if table.kind == "outcomes":
        _fill_supersedes(store, rows)
    batch_seq = (newest["batch_seq"] if newest else 0) + 1
    hashed = table.hashed(schema.version)
    present = [column for column in table.stored if column.since <= schema.version]
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
        values[ROW_SHA256] = row_hash
        stored.append(tuple(values[column.name] for column in present))
    store.insert(table.kind, [column.name for column in present], stored)
    link = make_link(newest, kind=table.kind, row_hashes=hashes, recorded_at=now, version=schema.version)
    store.insert("chain", [column.name for column in CHAIN], [tuple(link[column.name] for column in CHAIN)])
    return link


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
