"""Fields of gathered spans -> rows of ``raw_otlp__spans``, column by column, the same for every encoding.

Put here what is the same for protobuf and JSON: ids, times, which spans are refused and why. Promoted columns and
maps are in ``otlp_maps``. Nothing here walks over spans one by one, except over those that are refused.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from weaver_forge.contracts.batch import Rejected
from weaver_forge.contracts.coded import Coded
from weaver_forge.contracts.tables.operations import RAW_OTLP_SPANS
from weaver_forge.decode.otlp_framing import Message
from weaver_forge.decode.otlp_ids import Ids
from weaver_forge.decode.otlp_maps import Codes, resource_columns, span_attributes
from weaver_forge.decode.otlp_values import Attributes, Resource

_LATEST = np.uint64(2**63 - 1)

Sparse = tuple[Sequence[int], Sequence[str]]
"""Rows that have something, and the text that each of them has."""

Quote = Callable[[bytes, int], tuple[str, bytes]]
"""(message, number of the span in it) -> the span in words, and bytes that hold it alone and can be decoded."""


@dataclass(slots=True)
class Gathered:
    """The spans of one chunk, field by field; every sequence has one entry a span unless said otherwise.

    Args:
        name: Null where it is not UTF-8.
        times_bad: Spans whose start or end is no 64-bit integer.
        status_codes: Position in ``statuses``: code and message; None where it cannot be read.
        resource: Position in ``resources``.
        attribute_counts: Attributes of each span.
        attribute_codes: Flat over all spans; position in ``attributes``.
        message: Number of the message the span is from.
        unreadable: Span -> reason, for what the gathering itself could not read.
    """

    trace_id: Ids
    span_id: Ids
    parent_span_id: Ids
    name: pl.Series
    kind: npt.NDArray[Any]
    start: npt.NDArray[np.uint64]
    end: npt.NDArray[np.uint64]
    times_bad: Sequence[int]
    status_codes: npt.NDArray[Any]
    statuses: Sequence[tuple[int, str] | None]
    resource: npt.NDArray[Any]
    resources: Sequence[Resource]
    attribute_counts: Codes
    attribute_codes: npt.NDArray[Any]
    attributes: Attributes
    events: Sparse
    links: Sparse
    message: Codes
    unreadable: dict[int, str]


def assemble(spans: Gathered, name: str, messages: Sequence[Message], quote: Quote) -> tuple[Coded, list[Rejected]]:
    """Make the contract's rows of one chunk, their maps numbered, and a Rejected for every span that cannot be one.

    Args:
        spans: What was gathered.
        name: The file, for messages.
        messages: The messages that the spans are from.
        quote: How a single span is taken out of one of them.
    """
    resources, of_resources = resource_columns(spans.resources, spans.resource)
    promoted, attributes, of_spans = span_attributes(spans.attributes, spans.attribute_codes, spans.attribute_counts)
    known = [status or (0, "") for status in spans.statuses]
    parents = spans.parent_span_id
    frame = pl.DataFrame(
        {
            "trace_id": spans.trace_id.text(),
            "span_id": spans.span_id.text(),
            "parent_span_id": _null_at(parents.text(), parents.is_zero),
            "name": spans.name,
            "kind": _known_or_zero(spans.kind, 5),
            "start_unix_ns": pl.Series(spans.start.astype(np.int64)),
            "end_unix_ns": pl.Series(spans.end.astype(np.int64)),
            "status_code": _known_or_zero(np.array([code for code, _ in known], np.int64), 2).gather(
                spans.status_codes
            ),
            "status_message": pl.Series([text for _, text in known], dtype=pl.String).gather(spans.status_codes),
            **resources,
            **promoted,
            "attributes": attributes,
            "events": _spread(spans.events, len(spans.name)),
            "links": _spread(spans.links, len(spans.name)),
        }
    ).select(RAW_OTLP_SPANS.column_names)
    words = {"attributes": of_spans, "resource_attributes": of_resources}
    reasons = _reasons(spans)
    if not reasons:
        return Coded(frame, words), []
    keep = np.ones(frame.height, dtype=bool)
    keep[list(reasons)] = False
    return Coded(frame.filter(pl.Series(keep)), words), [
        _rejected(spans, row, reason, name, messages, quote) for row, reason in sorted(reasons.items())
    ]


def _rejected(spans: Gathered, row: int, reason: str, name: str, messages: Sequence[Message], quote: Quote) -> Rejected:
    number = int(spans.message[row])
    message, at = messages[number], row - int(np.searchsorted(spans.message, number))
    text, data = quote(message.data, at)
    return Rejected(name, f"{message.position}, span {at}", reason, text, data, message.offset)


def _known_or_zero(numbers: npt.NDArray[Any], highest: int) -> pl.Series:
    """OTLP asks receivers to read an unknown enum value as the unspecified one."""
    return pl.Series(np.where((numbers >= 0) & (numbers <= highest), numbers, 0).astype(np.int32))


def _null_at(texts: pl.Series, absent: npt.NDArray[np.bool_]) -> pl.Series:
    return texts.to_frame("text").select(pl.when(pl.Series(~absent)).then("text")).to_series()


def _spread(found: Sparse, size: int) -> pl.Series:
    """A column that is null but in a few rows."""
    rows, texts = found
    where = np.full(size, len(texts), dtype=np.uint32)
    where[list(rows)] = np.arange(len(texts))
    return pl.Series([*texts, None], dtype=pl.String).gather(where)


def _reasons(spans: Gathered) -> dict[int, str]:
    """Row -> why it is refused; the first reason found holds."""
    parents = spans.parent_span_id
    unknown = np.zeros(len(spans.start), dtype=bool)
    unknown[list(spans.times_bad)] = True
    late = (spans.start > _LATEST) | (spans.end > _LATEST)
    checks: list[tuple[str, npt.NDArray[np.bool_]]] = [
        ("the trace id is not 16 bytes with one of them not zero", spans.trace_id.is_wrong | spans.trace_id.is_zero),
        ("the span id is not 8 bytes with one of them not zero", spans.span_id.is_wrong | spans.span_id.is_zero),
        ("the parent span id is not 8 bytes", parents.is_wrong & (parents.sizes != 0)),
        ("the span's name is not UTF-8", spans.name.is_null().to_numpy()),
        ("a time is not an integer of nanoseconds", unknown),
        ("a time is beyond the year 2262", late),
        ("the span ends before it starts", spans.end < spans.start),
    ]
    reasons: dict[int, str] = {}
    for reason, mask in checks:
        for row in np.flatnonzero(mask).tolist():
            reasons.setdefault(row, reason)
    for row, reason in spans.unreadable.items():
        reasons.setdefault(row, reason)
    unread = [code for code, status in enumerate(spans.statuses) if status is None]
    for row in np.flatnonzero(np.isin(spans.status_codes, unread)).tolist() if unread else ():
        reasons.setdefault(row, "its status cannot be read")
    refused = {code: r.reason for code, r in enumerate(spans.resources) if r.reason}
    for row in np.flatnonzero(np.isin(spans.resource, list(refused))).tolist() if refused else ():
        reasons.setdefault(row, refused[int(spans.resource[row])])
    if spans.attributes.reasons:
        owners = np.repeat(np.arange(len(spans.attribute_counts)), spans.attribute_counts)
        for at in np.flatnonzero(np.isin(spans.attribute_codes, list(spans.attributes.reasons))).tolist():
            reasons.setdefault(int(owners[at]), spans.attributes.reasons[int(spans.attribute_codes[at])])
    return reasons
