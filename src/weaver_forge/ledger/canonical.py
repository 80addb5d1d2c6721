"""The one form in which a row is stored and hashed. Pure; the same bytes for SQLite and PostgreSQL.

A stored value is text, a whole number, a float, a boolean or null. Instants are ISO 8601 text in UTC with
microseconds and ``Z`` (they sort as text), lists and dicts are JSON with sorted keys. A row's hash covers the
columns of its own schema version, so that a column added later breaks no link.
Nothing here may ever change for a published schema version: tests pin the bytes.
"""

import hashlib
import json
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, date, datetime
from typing import Any

from weaver_forge.errors import ContractError
from weaver_forge.ledger.schema import CHAIN, LedgerColumn, LedgerTable

Value = str | int | float | bool | None

_INT64 = 2**63

# SQLite keeps booleans as 0 and 1 (row_text makes them booleans again); whatever else somebody put there is hashed as
# it is, as its repr where it is no JSON, and so changes the hash.
_HASHED = json.JSONEncoder(sort_keys=True, separators=(",", ":"), default=repr)

_LINKED = tuple(column.name for column in CHAIN if column.name != "hash")


def canonical_json(value: Any) -> str:
    """JSON with sorted keys and no spaces; ASCII only, so that no byte sequence can fail to be stored.

    Raises:
        ValueError: If it holds NaN or an infinity.
        TypeError: If it holds something that is neither JSON nor an instant.
    """
    return _CANONICAL.encode(value)


def instant_text(value: datetime) -> str:
    """A naive UTC instant as sortable text: ``2026-03-01T12:00:00.000000Z``."""
    return value.isoformat(timespec="microseconds") + "Z"


def instant_of(text: str) -> datetime:
    """Read ISO 8601 text back to a naive UTC datetime; a zone is converted, none is read as UTC."""
    parsed = datetime.fromisoformat(text)
    return parsed.astimezone(UTC).replace(tzinfo=None) if parsed.tzinfo else parsed


def stored_values(table: LedgerTable, row: Mapping[str, Any]) -> dict[str, Value]:
    """A row as it will be stored: the kind's own columns in order, checked and in canonical form.

    Raises:
        ContractError: If a column is unknown, missing, of the wrong type, or holds NaN or an infinity.
    """
    unknown = row.keys() - table.names
    if unknown:
        raise ContractError(f"unknown columns {sorted(unknown)}", where=f"ledger {table.kind}", do="Leave them out")
    given = row.get
    return {column.name: _stored(table, column, given(column.name)) for column in table.columns}


def loaded(columns: Iterable[LedgerColumn], values: Iterable[Any]) -> dict[str, Any]:
    """A stored row as values to work with: naive UTC datetimes, booleans, lists and dicts."""
    return {
        column.name: None if value is None else _LOADERS.get(column.type, _same)(value)
        for column, value in zip(columns, values, strict=True)
    }


def row_text(columns: Sequence[LedgerColumn], values: Sequence[Any]) -> str:
    """The JSON of a row over these columns. Takes raw stored values, also ones that somebody tampered with."""
    return _HASHED.encode({
        column.name: bool(value) if column.type == "BOOLEAN" and type(value) is int and value in {0, 1} else value
        for column, value in zip(columns, values, strict=True)
    })  # fmt: skip


def row_sha256(columns: Sequence[LedgerColumn], values: Sequence[Any]) -> str:
    """Hash a row over these columns, as hex."""
    return text_sha256(row_text(columns, values))


def link_text(link: Mapping[str, Any]) -> str:
    """The JSON of a chain link over all its columns but ``hash``."""
    return _HASHED.encode({name: link[name] for name in _LINKED})


def link_sha256(link: Mapping[str, Any]) -> str:
    """Hash a chain link over all its columns but ``hash``, as hex."""
    return text_sha256(link_text(link))


def text_sha256(text: str) -> str:
    """Hex SHA-256 of ASCII text."""
    return hashlib.sha256(text.encode("ascii")).hexdigest()


def _stored(table: LedgerTable, column: LedgerColumn, value: Any) -> Value:
    if value is None and column.nullable:
        return None
    where = "ledger {}.{}"
    if value is None:
        raise ContractError(
            "a value is missing", where=where.format(table.kind, column.name), do=f"Give it: {column.doc}"
        )
    try:
        return _WRITERS[column.type](value)
    except (TypeError, ValueError, OverflowError) as error:
        raise ContractError(
            f"{value!r:.80} cannot be stored as {column.type}: {error}", where=where.format(table.kind, column.name)
        ) from error


def _write_text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError("not text")
    value.encode("utf-8")  # a lone surrogate (an undecodable file name) fits no database
    if "\0" in value:
        raise ValueError("a NUL character, which PostgreSQL cannot store")
    return str(value)


def _write_real(value: Any) -> float:
    if isinstance(value, (str, bytes, bool)):
        raise TypeError("not a number")
    number = float(value)
    if not math.isfinite(number):
        raise ValueError("NaN and infinities are no measurements; store null and say why")
    return number + 0.0  # -0.0 becomes 0.0: SQLite would forget the sign and the hash would not


def _write_integer(value: Any) -> int:
    if isinstance(value, bool) or not hasattr(value, "__index__"):
        raise TypeError("not a whole number")
    number = int(value)
    if not -_INT64 <= number < _INT64:
        raise OverflowError("more than 64 bits")
    return number


def _write_boolean(value: Any) -> bool:
    if not isinstance(value, bool):
        raise TypeError("not True or False")
    return value


def _write_instant(value: Any) -> str:
    if isinstance(value, str):
        return instant_text(instant_of(value))
    if not isinstance(value, datetime):
        raise TypeError("not an instant")
    if value.tzinfo is not None:
        raise ValueError("instants are naive UTC inside; convert at the edge")
    return instant_text(value)


def _write_json(value: Any) -> str:
    """Text is read as JSON first: the published tables carry lists as JSON text."""
    document = json.loads(value) if isinstance(value, str) else value
    if isinstance(document, Mapping):
        return canonical_json(dict(document))
    if isinstance(document, (list, tuple)):
        return canonical_json(document)
    raise TypeError("not a list or an object")


def _in_json(value: Any) -> str:
    if isinstance(value, datetime):
        return instant_text(value if value.tzinfo is None else value.astimezone(UTC).replace(tzinfo=None))
    if isinstance(value, date):
        return value.isoformat()
    raise TypeError(f"{type(value).__name__} is not JSON")


def _same(value: Any) -> Any:
    return value


_CANONICAL = json.JSONEncoder(sort_keys=True, separators=(",", ":"), allow_nan=False, default=_in_json)

_WRITERS: dict[str, Callable[[Any], Value]] = {
    "VARCHAR": _write_text,
    "DOUBLE": _write_real,
    "BIGINT": _write_integer,
    "BOOLEAN": _write_boolean,
    "TIMESTAMP": _write_instant,
    "JSON": _write_json,
}

_LOADERS: dict[str, Callable[[Any], Any]] = {
    "BOOLEAN": bool,
    "TIMESTAMP": instant_of,
    "JSON": json.loads,
}
