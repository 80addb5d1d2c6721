"""Logs messages -> ``raw_otlp__log_records``: the public surface of the logs decoder.

Framing is in ``otlp_framing``, what logs share with metrics in ``otlp_signals`` and its two encodings, rows in
``otlp_log_records``. A message that cannot be read costs itself only, a bad record itself only.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
import polars as pl
from google.protobuf.message import DecodeError

from weaver_forge.contracts.batch import Batch, Rejected
from weaver_forge.contracts.dtypes import empty
from weaver_forge.contracts.tables.logs import RAW_OTLP_LOG_RECORDS
from weaver_forge.decode import otlp_signals_json, otlp_signals_protobuf
from weaver_forge.decode.faults import in_words
from weaver_forge.decode.otlp_framing import Message
from weaver_forge.decode.otlp_log_records import Records, assemble
from weaver_forge.decode.otlp_protobuf import PayloadRefused
from weaver_forge.decode.otlp_signals import Owner, Reader, integers, refused_message, text_or_null
from weaver_forge.decode.otlp_values import ValueRefused


def decode_log_messages(messages: Sequence[Message], name: str) -> Batch:
    """Decode logs messages of one file into one batch; the table is always there, possibly without rows.

    Args:
        messages: Whole messages, of either encoding.
        name: The file, for what is refused.
    """
    tables = [empty(RAW_OTLP_LOG_RECORDS)]
    rejected: list[Rejected] = []
    for kind, encoding in _ENCODINGS.items():
        owners: list[Owner] = []
        records: list[Any] = []
        sources: list[tuple[Message, int]] = []
        for message in messages:
            if message.encoding != kind:
                continue
            before = len(records)
            try:
                for owner, found in encoding.walk(encoding.read(message.data)):
                    owners.extend([owner] * len(found))
                    records.extend(found)
            except PayloadRefused as error:
                rejected.append(refused_message(name, message, str(error)))
            sources.extend((message, number) for number in range(len(records) - before))
        if records:
            gathered = encoding.gather(records)
            pieces = _pieces(encoding, owners, records)
            table, refused = assemble(gathered, owners, sources, encoding.reader, pieces, name)
            tables.append(table)
            rejected += refused
    return Batch({RAW_OTLP_LOG_RECORDS.name: pl.concat(tables)}, tuple(rejected))


@dataclass(frozen=True, slots=True)
class _Encoding:
    """What the two encodings do each in their own way."""

    read: Callable[[bytes], Any]
    walk: Callable[[Any], Iterator[tuple[Owner, Sequence[Any]]]]
    gather: Callable[[Sequence[Any]], Records]
    piece: Callable[[Owner, Any], bytes]
    reader: Reader


def _pieces(encoding: _Encoding, owners: Sequence[Owner], records: Sequence[Any]) -> Callable[[int], bytes]:
    return lambda row: encoding.piece(owners[row], records[row])


def _walk_protobuf(request: Any) -> Iterator[tuple[Owner, Sequence[Any]]]:
    for resource in request.resources:
        for scope in resource.scopes:
            yield (resource.resource, scope.scope), scope.records


def _walk_json(request: otlp_signals_json.LogsJson) -> Iterator[tuple[Owner, Sequence[Any]]]:
    for resource in request.resourceLogs or ():
        for scope in resource.scopeLogs or ():
            yield (bytes(resource.resource), bytes(scope.scope)), scope.logRecords or ()


def _from_protobuf(records: Sequence[Any]) -> Records:
    reasons: dict[int, str] = {}
    bodies, structured = _bodies([r.body for r in records], otlp_signals_protobuf.body_text, reasons)
    return Records(
        time=pl.Series([r.time for r in records], dtype=pl.UInt64),
        observed=pl.Series([r.observed for r in records], dtype=pl.UInt64),
        severity_number=[r.severity_number for r in records],
        severity_text=text_or_null([r.severity_text for r in records]),
        body=bodies,
        is_structured=structured,
        event_name=text_or_null([r.event_name for r in records]),
        trace_id=pl.Series([r.trace_id for r in records], dtype=pl.Binary).bin.encode("hex"),
        span_id=pl.Series([r.span_id for r in records], dtype=pl.Binary).bin.encode("hex"),
        attributes=[tuple(r.attributes) for r in records],
        reasons=reasons,
    )


def _from_json(records: Sequence[otlp_signals_json.RecordJson]) -> Records:
    reasons: dict[int, str] = {}
    bodies, structured = _bodies([bytes(r.body) for r in records], otlp_signals_json.body_text, reasons)
    return Records(
        time=integers([r.timeUnixNano for r in records]),
        observed=integers([r.observedTimeUnixNano for r in records]),
        severity_number=[r.severityNumber or 0 for r in records],
        severity_text=pl.Series([r.severityText or "" for r in records], dtype=pl.String),
        body=bodies,
        is_structured=structured,
        event_name=pl.Series([r.eventName or "" for r in records], dtype=pl.String),
        trace_id=pl.Series([r.traceId or "" for r in records], dtype=pl.String).str.to_lowercase(),
        span_id=pl.Series([r.spanId or "" for r in records], dtype=pl.String).str.to_lowercase(),
        attributes=[otlp_signals_json.raws(r.attributes) for r in records],
        reasons=reasons,
    )


def _bodies(
    raws: Sequence[bytes], read: Callable[[bytes], tuple[str | None, bool]], reasons: dict[int, str]
) -> tuple[list[str | None], list[bool]]:
    texts: list[str | None] = []
    structured: list[bool] = []
    for row, raw in enumerate(raws):
        try:
            text, is_structured = read(raw)
        except (DecodeError, UnicodeDecodeError, ValueRefused) as error:
            reasons[row] = f"its body cannot be read: {in_words(error)}"
            text, is_structured = None, False
        texts.append(text)
        structured.append(is_structured)
    return texts, structured


def _piece_protobuf(owner: Owner, record: Any) -> bytes:
    request = otlp_signals_protobuf.logs_request()
    request.resources.add(resource=owner[0]).scopes.add(scope=owner[1]).records.add().CopyFrom(record)
    found: bytes = request.SerializeToString()
    return found


def _piece_json(owner: Owner, record: Any) -> bytes:
    resource, scope = (msgspec.Raw(raw or b"{}") for raw in owner)
    given = {
        field: value
        for field in record.__struct_fields__
        if (value := getattr(record, field)) is not None and not (isinstance(value, msgspec.Raw) and not bytes(value))
    }
    scopes = [{"scope": scope, "logRecords": [given]}]
    return msgspec.json.encode({"resourceLogs": [{"resource": resource, "scopeLogs": scopes}]})


_ENCODINGS = {
    "protobuf": _Encoding(
        otlp_signals_protobuf.read_logs, _walk_protobuf, _from_protobuf, _piece_protobuf, otlp_signals_protobuf.READER
    ),
    "json": _Encoding(otlp_signals_json.read_logs, _walk_json, _from_json, _piece_json, otlp_signals_json.READER),
}
