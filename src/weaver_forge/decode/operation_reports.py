"""Reports on deployments and incidents, in the shapes of many tools -> rows of one raw table.

Put here what every reader of such a shape shares: finding the one that knows a document, keeping the good rest of a
bad batch, counting what is left out. A shape is a module of its own with one function: it returns None for a document
that is not of its tool, else the rows it makes of it, with a :class:`Unused` or :class:`Unfit` for what makes none.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, TypeVar

import msgspec

from weaver_forge.contracts.batch import Batch, Frame, Rejected
from weaver_forge.contracts.dtypes import from_rows
from weaver_forge.contracts.table import Table
from weaver_forge.decode.envelope import Envelope, envelopes
from weaver_forge.decode.faults import in_words
from weaver_forge.decode.instants import parse_instant
from weaver_forge.decode.labels import is_unknown
from weaver_forge.decode.recognise import other_source

Row = Mapping[str, Any]


class Unfit(ValueError):  # noqa: N818 - the reason of one refused report
    """A report that cannot be stored; the message says why."""


class Unused(Exception):  # noqa: N818 - nothing is wrong with it
    """A report that is understood and says nothing of what is stored here; the message says what it is."""


Found = Iterable[Row | Unfit | Unused]
Reader = Callable[[Envelope], Found | None]
"""One tool's shape: None where the document is not of it."""

Shape = TypeVar("Shape")
_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 - naive UTC is the house rule


def decode_reports(frames: Iterable[Frame], table: Table, readers: Sequence[Reader], *, wanted: str) -> Batch:
    """Read webhook envelopes, saved payloads and records into a table; a bad one is rejected alone.

    Of several reports on one state of one thing the newest stays (``report_order``; of equals the last in the input).

    Args:
        frames: Whole files.
        table: Where the rows go.
        readers: Asked in this order; the last is asked for what no other knows.
        wanted: What the shapes are, for the refusal of a document that is of none.
    """
    rows: list[Row] = []
    rejected: list[Rejected] = []
    left_out: Counter[str] = Counter()
    for item in envelopes(frames):
        for part in [item] if isinstance(item, Rejected) else _unfolded(item):
            if isinstance(part, Rejected):
                rejected.append(part)
                continue
            for found in _read(part, readers, wanted):
                if isinstance(found, Unused):
                    left_out[str(found)] += 1
                elif isinstance(found, Unfit):
                    rejected.append(part.rejected(f"{found}{other_source(part.data, table.source)}"))
                else:
                    rows.append({"received_at": part.received_at, **found})
    frame = from_rows(table, rows).sort("report_order", nulls_last=False, maintain_order=True)
    return Batch(
        {table.name: frame.unique(table.key, keep="last", maintain_order=True)},
        tuple(rejected),
        tuple(_notes(left_out, rows, table.source)),
    )


def checked(value: Any, shape: type[Shape]) -> Shape:
    """The value as the shape of a payload.

    Raises:
        Unfit: If it is not of the shape; the message names the place.
    """
    try:
        return msgspec.convert(value, shape)
    except (msgspec.ValidationError, OverflowError) as error:
        raise Unfit(in_words(error)) from error


def instant(text: str | None, name: str) -> datetime | None:
    """Read an instant; nothing and the zero time of Go (year 1) are none.

    Raises:
        Unfit: If it is no instant.
    """
    if not text or text.startswith("0001-01-01"):
        return None
    found = parse_instant(text)
    if found is None:
        raise Unfit(f"{name} {text[:60]!r} is not an instant")
    return found


def needed(text: str | None, name: str) -> datetime:
    """Read an instant that must be there.

    Raises:
        Unfit: If it is missing or no instant.
    """
    found = instant(text, name)
    if found is None:
        raise Unfit(f"{name} is missing")
    return found


def order_of(at: datetime, *, first_holds: bool = False) -> int:
    """Order reports on one state by time: of two the one with the higher number holds.

    Args:
        at: When the source says it was so.
        first_holds: For a tool that keeps saying the same: the first time is when it happened.
    """
    order = (at - _EPOCH) // datetime.resolution
    return -order if first_holds else order


def _unfolded(item: Envelope) -> Iterator[Envelope]:
    """A list of objects as its items: an answer of an API, a batch of events, the ``items`` of Kubernetes."""
    body = item.body
    place = item.position
    if isinstance(body, dict) and isinstance(body.get("items"), list) and str(body.get("kind", "")).endswith("List"):
        body, place = body["items"], f"{place}.items"
    if not (isinstance(body, list) and body and all(isinstance(part, dict) for part in body)):
        yield item
        return
    for number, part in enumerate(body):
        yield replace(item, position=f"{place}[{number}]", body=part)


def _read(item: Envelope, readers: Sequence[Reader], wanted: str) -> list[Row | Unfit | Unused]:
    if not isinstance(item.body, dict):
        return [Unfit(f"expected an object, found {type(item.body).__name__}: {wanted}")]
    try:
        for reader in readers:
            found = reader(item)
            if found is not None:
                return list(found)
    except (Unfit, Unused) as reason:
        return [reason]
    return [Unfit(f"none of the known shapes: {wanted}")]


def _notes(left_out: Counter[str], rows: Sequence[Row], source: str) -> Iterator[str]:
    """Notes that begin with their count: those of many files are added up, so no other number may stand in them."""
    for reason, n in left_out.most_common():
        yield f"{n} left out: {reason}"
    unknown = sum(is_unknown(row["service_key"]) for row in rows)
    if unknown:
        hint = "a label service would, or weaver-forge.dev/service"
        yield f"{unknown} of the reports on {source} named no service: {hint}"
