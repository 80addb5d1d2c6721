"""JSON lines of our own shapes: one object a line, keys are the table's columns. What decoders of them share.

The shapes themselves are documented in ``deployments`` and ``incidents``.
"""

import json
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, TypeVar

import msgspec

from weaver_forge.contracts.batch import Batch, Frame, Rejected
from weaver_forge.contracts.dtypes import from_rows
from weaver_forge.contracts.identity import service_key
from weaver_forge.contracts.table import Table
from weaver_forge.decode.json_values import Unreadable, lines


class Service(msgspec.Struct, frozen=True):
    """A service by its parts."""

    name: str
    namespace: str | None = None
    environment: str | None = None

    @property
    def key(self) -> str:
        """The three parts joined."""
        return service_key(self.namespace, self.name, self.environment)


Record = TypeVar("Record", bound=msgspec.Struct)


def decode_records(
    frames: Iterable[Frame], table: Table, shape: type[Record], row: Callable[[Record], Mapping[str, Any]]
) -> Batch:
    """Read JSON lines into a table; of several reports on one record the last in the input holds.

    Args:
        frames: Whole files.
        table: Where the rows go.
        shape: What a line must look like; keys it does not know are kept out and noted once.
        row: Makes a row of a checked record, or raises ValueError with the reason.
    """
    rows: list[Mapping[str, Any]] = []
    rejected: list[Rejected] = []
    unknown: set[str] = set()
    fields = {field.encode_name for field in msgspec.structs.fields(shape)}
    for frame in frames:
        for place, value in lines(frame):
            if isinstance(value, Unreadable):
                rejected.append(Rejected(frame.name, place, value.reason, value.raw[:4000]))
                continue
            try:
                record = msgspec.convert(value, shape)
                rows.append(row(record))
            except (msgspec.ValidationError, ValueError) as error:
                rejected.append(Rejected(frame.name, place, str(error), json.dumps(value)[:4000]))
                continue
            unknown |= value.keys() - fields
    notes = (f"unknown keys are left out: {', '.join(sorted(unknown))}",) if unknown else ()
    frame_ = from_rows(table, rows).unique(table.key, keep="last", maintain_order=True)
    return Batch({table.name: frame_}, tuple(rejected), notes)


def utc(instant: datetime | None) -> datetime | None:
    """Make an instant naive UTC; one without a zone is taken to be UTC."""
    return instant.astimezone(UTC).replace(tzinfo=None) if instant is not None and instant.tzinfo else instant


def key_of(key: str | None, service: Service | None) -> str:
    """The service key, given whole or in parts.

    Raises:
        ValueError: If neither is given, or the whole key does not have three parts.
    """
    if key is not None:
        if key.count("/") != 2:
            raise ValueError(f"service_key {key!r} is not namespace/name/environment")
        return key
    if service is None:
        raise ValueError("no service is named: service_key or service is needed")
    return service.key
