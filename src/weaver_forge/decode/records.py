"""Records of our own shapes: JSON objects whose keys are the table's columns. What decoders of them share.

The shapes themselves are documented in ``deployments`` and ``incidents``.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, TypeVar

import msgspec

from weaver_forge.contracts.batch import Batch
from weaver_forge.contracts.identity import service_key
from weaver_forge.decode.envelope import Envelope
from weaver_forge.decode.operation_reports import Found, Unfit, checked


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
Unknown = dict[str, dict[str, str]]
"""Keys that no record has, with the place of the first one: file -> key -> place in words."""


def read_record(
    item: Envelope, *, shape: type[Record], row: Callable[[Record], Mapping[str, Any]], unknown: Unknown
) -> Found:
    """Read one record; the reader to ask last, as it never says that a document is not its own.

    Args:
        item: The document.
        shape: What it must look like.
        row: Makes a row of a checked record, or raises ValueError with the reason.
        unknown: Gets the keys that the shape does not know, and where they were first.

    Raises:
        Unfit: If the document is no record.
    """
    record = checked(item.body, shape)
    try:
        made = row(record)
    except (ValueError, OverflowError) as error:
        raise Unfit(str(error)) from error
    fields = {field.encode_name for field in msgspec.structs.fields(shape)}
    for key in item.body:
        if key not in fields:
            unknown.setdefault(item.name, {}).setdefault(
                key, "line 1" if item.position == "document" else item.position
            )
    return [made]


def noted(batch: Batch, unknown: Unknown) -> Batch:
    """The batch, with a note a file on the keys that no record has: where each was first."""
    told = []
    for name, keys in unknown.items():
        by_place: dict[str, list[str]] = {}
        for key, place in keys.items():
            by_place.setdefault(place, []).append(key)
        first = "; ".join(f"{', '.join(sorted(named))} (first at {place})" for place, named in by_place.items())
        told.append(f"{name}: keys that a record cannot have are left out: {first}")
    return replace(batch, notes=(*batch.notes, *told))


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
