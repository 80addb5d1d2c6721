"""Trace files and OTLP bodies -> ``raw_otlp__spans``: the public surface of the OTLP decoder.

Framing is in ``otlp_framing``, the two encodings in ``otlp_protobuf`` and ``otlp_json``, rows in
``otlp_columns``. Here they are put together: messages are gathered to chunks of bounded size, a message that
cannot be read costs itself only, and whatever is refused comes back with its place and reason.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain, count
from operator import attrgetter
from typing import Any

import msgspec
import numpy as np
import polars as pl
from google.protobuf.message import DecodeError

from weaver_forge.contracts.batch import Batch, Frame, Rejected
from weaver_forge.contracts.tables.operations import RAW_OTLP_SPANS
from weaver_forge.decode import otlp_json, otlp_protobuf
from weaver_forge.decode.otlp_columns import Codes, Gathered, assemble, empty
from weaver_forge.decode.otlp_framing import Message, shown, split
from weaver_forge.decode.otlp_values import ValueRefused

CHUNK_BYTES = 24 * 1024 * 1024
"""About 45,000 spans: past it a larger chunk is no faster (measured), below it memory stays near 0.5 GB."""

_Parsed = list[tuple[str, Any]]
"""Position and parsed request of each message of a chunk."""


def decode(frames: Iterable[Frame]) -> Batch:
    """Decode whole files or bodies of traces into one batch; for large files see :func:`decode_chunks`."""
    batches = [batch for frame in frames for batch in decode_chunks(frame)]
    tables = [batch.tables[RAW_OTLP_SPANS.name] for batch in batches]
    return Batch(
        {RAW_OTLP_SPANS.name: pl.concat(tables) if tables else empty()},
        tuple(chain.from_iterable(batch.rejected for batch in batches)),
    )


def decode_chunks(frame: Frame, *, target_bytes: int = CHUNK_BYTES) -> Iterator[Batch]:
    """Decode one file in pieces of about ``target_bytes`` of messages, so that a caller can commit each.

    A message is never divided; a chunk is therefore as large as its largest message at least. Every batch has
    the table, possibly without rows; a file without messages gives no batch.
    """
    messages: list[Message] = []
    rejected: list[Rejected] = []
    size = 0
    for piece in split(frame):
        if isinstance(piece, Rejected):
            rejected.append(piece)
            continue
        messages.append(piece)
        size += len(piece.data)
        if size >= target_bytes:
            yield _batch(frame.name, messages, rejected)
            messages, rejected, size = [], [], 0
    if messages or rejected:
        yield _batch(frame.name, messages, rejected)


def _batch(name: str, messages: Sequence[Message], rejected: list[Rejected]) -> Batch:
    parsed: dict[str, _Parsed] = {"protobuf": [], "json": []}
    read: dict[str, Callable[[bytes], Any]] = {
        "protobuf": otlp_protobuf.read_request,
        "json": otlp_json.read_request,
    }
    for message in messages:
        try:
            request = read[message.encoding](message.data)
        except otlp_protobuf.PayloadRefused as error:
            rejected.append(Rejected(name, message.position, str(error), shown(message.data)))
        else:
            parsed[message.encoding].append((message.position, request))
    tables = [empty()]
    for encoding, gather in (("protobuf", _from_protobuf), ("json", _from_json)):
        spans = gather([request for _, request in parsed[encoding]])
        if spans is not None:
            table, refused = assemble(spans, name, [position for position, _ in parsed[encoding]])
            tables.append(table)
            rejected.extend(refused)
    return Batch({RAW_OTLP_SPANS.name: pl.concat(tables)}, tuple(rejected))


def _from_protobuf(requests: Sequence[Any]) -> Gathered | None:
    spans: list[Any] = []
    owners: list[tuple[int, bytes, int]] = []
    for number, request in enumerate(requests):
        for resource_spans in request.resource_spans:
            before = len(spans)
            for scope in resource_spans.scope_spans:
                spans.extend(scope.spans)
            owners.append((len(spans) - before, resource_spans.resource, number))
    if not spans:
        return None
    attributes = [span.attributes for span in spans]
    codes, distinct = _encode(chain.from_iterable(attributes))
    resource, resources, message = _owned(owners)
    unreadable: dict[int, str] = {}
    statuses, distinct_statuses = _encode([span.status for span in spans])
    status = [_status(raw) for raw in distinct_statuses]
    for row in np.flatnonzero(np.isin(statuses, [code for code, read in enumerate(status) if read is None])):
        unreadable[int(row)] = "its status cannot be read"
    return Gathered(
        trace_id=_hex([span.trace_id for span in spans]),
        span_id=_hex([span.span_id for span in spans]),
        parent_span_id=_hex([span.parent_span_id for span in spans]),
        name=_text([span.name for span in spans]),
        kind=pl.Series([span.kind for span in spans], dtype=pl.Int64),
        start=pl.Series([span.start_time_unix_nano for span in spans], dtype=pl.UInt64),
        end=pl.Series([span.end_time_unix_nano for span in spans], dtype=pl.UInt64),
        status_code=pl.Series([read[0] if read else 0 for read in status], dtype=pl.Int64).gather(statuses),
        status_message=pl.Series([read[1] if read else "" for read in status], dtype=pl.String).gather(statuses),
        resource=resource,
        resources=[otlp_protobuf.read_resource(raw) for raw in resources],
        attribute_counts=np.fromiter(map(len, attributes), np.int64, len(attributes)),
        attribute_codes=codes,
        attributes=otlp_protobuf.read_attributes(distinct),
        events=_sparse(map(attrgetter("events"), spans), len(spans), otlp_protobuf.events_text, unreadable),
        links=_sparse(map(attrgetter("links"), spans), len(spans), otlp_protobuf.links_text, unreadable),
        message=message,
        unreadable=unreadable,
    )


def _from_json(requests: Sequence[otlp_json.RequestJson]) -> Gathered | None:
    spans: list[otlp_json.SpanJson] = []
    owners: list[tuple[int, bytes, int]] = []
    for number, request in enumerate(requests):
        for resource_spans in request.resourceSpans or ():
            before = len(spans)
            for scope in resource_spans.scopeSpans or ():
                spans.extend(scope.spans or ())
            owners.append((len(spans) - before, bytes(resource_spans.resource), number))
    if not spans:
        return None
    attributes = [span.attributes or () for span in spans]
    codes, distinct = _encode(map(bytes, chain.from_iterable(attributes)))
    resource, resources, message = _owned(owners)
    unreadable: dict[int, str] = {}
    statuses = [span.status or _NO_STATUS for span in spans]
    return Gathered(
        trace_id=_checked_hex([span.traceId for span in spans]),
        span_id=_checked_hex([span.spanId for span in spans]),
        parent_span_id=_checked_hex([span.parentSpanId for span in spans]),
        name=pl.Series([span.name or "" for span in spans], dtype=pl.String),
        kind=pl.Series([_enum(span.kind) for span in spans], dtype=pl.Int64),
        start=_times([span.startTimeUnixNano for span in spans]),
        end=_times([span.endTimeUnixNano for span in spans]),
        status_code=pl.Series([_enum(status.code) for status in statuses], dtype=pl.Int64),
        status_message=pl.Series([status.message or "" for status in statuses], dtype=pl.String),
        resource=resource,
        resources=[otlp_json.read_resource(raw) for raw in resources],
        attribute_counts=np.fromiter(map(len, attributes), np.int64, len(attributes)),
        attribute_codes=codes,
        attributes=otlp_json.read_attributes(distinct),
        events=_sparse((_raws(span.events) for span in spans), len(spans), otlp_json.events_text, unreadable),
        links=_sparse((_raws(span.links) for span in spans), len(spans), otlp_json.links_text, unreadable),
        message=message,
        unreadable=unreadable,
    )


_NO_STATUS = otlp_json.StatusJson()


def _enum(value: int | None) -> int:
    """Bring an enum of any size into range; -1 is as unknown as any other unknown value."""
    return -1 if value is not None and not -1 <= value <= 255 else value or 0


def _raws(values: list[msgspec.Raw] | None) -> list[bytes]:
    return [bytes(value) for value in values or ()]


def _encode(values: Iterable[bytes]) -> tuple[Codes, list[bytes]]:
    """Dictionary-encode: the code of each value, and the distinct values in order of first sight."""
    seen: defaultdict[bytes, int] = defaultdict(count().__next__)
    codes = np.array([seen[value] for value in values], dtype=np.int64)
    return codes, list(seen)


def _owned(owners: Sequence[tuple[int, bytes, int]]) -> tuple[Codes, list[bytes], Codes]:
    """Per span: code of its resource and number of its message; and the distinct resources."""
    sizes = np.array([size for size, _, _ in owners])
    codes, distinct = _encode(raw for _, raw, _ in owners)
    return np.repeat(codes, sizes), distinct, np.repeat(np.array([number for _, _, number in owners]), sizes)


def _sparse(
    groups: Iterable[Sequence[bytes]],
    size: int,
    read: Callable[[Sequence[bytes]], str],
    unreadable: dict[int, str],
) -> list[str | None]:
    """JSON text where a span has any events or links; few have."""
    texts: list[str | None] = [None] * size
    for row, group in enumerate(groups):
        if group:
            try:
                texts[row] = read(group)
            except (DecodeError, ValueRefused) as error:
                unreadable[row] = f"its events or links cannot be read: {error}"
    return texts


def _status(raw: bytes) -> tuple[int, str] | None:
    try:
        return otlp_protobuf.read_status(raw)
    except DecodeError:
        return None


def _hex(values: list[bytes]) -> pl.Series:
    return pl.Series(values, dtype=pl.Binary).bin.encode("hex")


def _checked_hex(values: list[str | None]) -> pl.Series:
    texts = pl.Series([value or "" for value in values], dtype=pl.String).str.to_lowercase()
    return texts.set(~texts.str.contains("^[0-9a-f]*$"), None)


def _text(values: list[bytes]) -> pl.Series:
    """Names as text; null where one is not UTF-8. All at once first, because nearly always all are."""
    try:
        return pl.Series(values, dtype=pl.Binary).cast(pl.String)
    except pl.exceptions.ComputeError:
        return pl.Series([_decoded(value) for value in values], dtype=pl.String)


def _decoded(value: bytes) -> str | None:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return None


def _times(values: list[int | str | None]) -> pl.Series:
    """Numbers or decimal text -> UInt64; null where it is neither or does not fit."""
    texts = [value if isinstance(value, str) else str(value or 0) for value in values]
    return pl.Series(texts, dtype=pl.String).cast(pl.UInt64, strict=False)
