"""Lists of span fields -> rows of ``raw_otlp__spans``, column by column, for both encodings.

Put here what is the same for protobuf and JSON: ids, times, promoted columns, maps, and which spans are
refused and why. Attributes arrive as codes into a table of distinct ones, so that everything a span costs here
is array work.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa

from weaver_forge.contracts.batch import Rejected
from weaver_forge.contracts.tables.operations import RAW_OTLP_SPANS
from weaver_forge.decode.otlp_values import INT32_MAX, RESOURCE_DEFAULTS, Attributes, Resource

Codes = npt.NDArray[np.int64]

MAP_DTYPE = pl.List(pl.Struct({"key": pl.String, "value": pl.String}))

_PROMOTED: dict[str, tuple[str, ...]] = {
    # column -> attribute names, the current semantic convention first
    "http_request_method": ("http.request.method", "http.method"),
    "http_response_status_code": ("http.response.status_code", "http.status_code"),
    "http_route": ("http.route",),
    "rpc_method": ("rpc.method",),
    "db_system_name": ("db.system.name", "db.system"),
    "server_address": ("server.address", "net.peer.name"),
    "error_type": ("error.type",),
}
_INTEGER_COLUMN = "http_response_status_code"
_SLOTS = [(column, name) for column, names in _PROMOTED.items() for name in names]
_SLOT_OF = {name: slot for slot, (_, name) in enumerate(_SLOTS)}


@dataclass(slots=True)
class Gathered:
    """The spans of one chunk, field by field; every sequence has one entry a span unless said otherwise.

    Args:
        trace_id: Lower-case hex of any length; null where it is not hex. So are the other ids.
        name: Null where it is not UTF-8.
        start: UInt64; null where it is no 64-bit integer. So is ``end``.
        status: Code and message; None where it cannot be read.
        resource: Position in ``resources``.
        attribute_counts: Attributes of each span.
        attribute_codes: Flat over all spans; position in ``attributes``.
        events: JSON text or null. So are ``links``.
        message: Number of the message the span is from, for positions.
        unreadable: Span -> reason, for what the gathering itself could not read.
    """

    trace_id: pl.Series
    span_id: pl.Series
    parent_span_id: pl.Series
    name: pl.Series
    kind: pl.Series
    start: pl.Series
    end: pl.Series
    status_code: pl.Series
    status_message: pl.Series
    resource: Codes
    resources: Sequence[Resource]
    attribute_counts: Codes
    attribute_codes: Codes
    attributes: Attributes
    events: Sequence[str | None]
    links: Sequence[str | None]
    message: Codes
    unreadable: dict[int, str]


def assemble(spans: Gathered, name: str, positions: Sequence[str]) -> tuple[pl.DataFrame, list[Rejected]]:
    """Make the contract's rows of one chunk, and a Rejected for every span that cannot be one.

    Args:
        spans: What was gathered.
        name: The file, for messages.
        positions: Position of each message, in words.
    """
    resources = _resource_frame(spans.resources)[spans.resource]
    promoted, attributes = _span_attributes(spans)
    frame = pl.DataFrame(
        {
            "trace_id": spans.trace_id,
            "span_id": spans.span_id,
            "parent_span_id": _null_where_absent(spans.parent_span_id),
            "name": spans.name,
            "kind": _known_or_zero(spans.kind, 5),
            "start_unix_ns": spans.start.cast(pl.Int64, strict=False),
            "end_unix_ns": spans.end.cast(pl.Int64, strict=False),
            "status_code": _known_or_zero(spans.status_code, 2),
            "status_message": spans.status_message,
            **{column: resources[column] for column in RESOURCE_DEFAULTS},
            **promoted,
            "attributes": attributes,
            "resource_attributes": resources["resource_attributes"],
            "events": pl.Series(spans.events, dtype=pl.String),
            "links": pl.Series(spans.links, dtype=pl.String),
        }
    ).select(RAW_OTLP_SPANS.column_names)
    reasons = _reasons(spans, frame)
    if not reasons:
        return frame, []
    keep = np.ones(frame.height, dtype=bool)
    keep[list(reasons)] = False
    first = np.searchsorted(spans.message, spans.message, side="left")
    rejected = [
        Rejected(
            name,
            f"{positions[spans.message[row]]}, span {row - first[row]}",
            reason,
            f"trace_id={spans.trace_id[row]} span_id={spans.span_id[row]} name={spans.name[row]}",
        )
        for row, reason in sorted(reasons.items())
    ]
    return frame.filter(pl.Series(keep)), rejected


def empty() -> pl.DataFrame:
    """No spans, with the contract's columns."""
    types: dict[str, Any] = {
        "INTEGER": pl.Int32,
        "BIGINT": pl.Int64,
        "VARCHAR": pl.String,
        "MAP(VARCHAR, VARCHAR)": MAP_DTYPE,
    }
    return pl.DataFrame(schema={column.name: types[column.type] for column in RAW_OTLP_SPANS.columns})


def _known_or_zero(values: pl.Series, highest: int) -> pl.Series:
    """OTLP asks receivers to read an unknown enum value as the unspecified one."""
    numbers = values.to_numpy()
    return pl.Series(np.where((numbers >= 0) & (numbers <= highest), numbers, 0).astype(np.int32))


def _null_where_absent(ids: pl.Series) -> pl.Series:
    return ids.replace({"": None, "0" * 16: None}) if len(ids) else ids


def _reasons(spans: Gathered, frame: pl.DataFrame) -> dict[int, str]:
    """Row -> why it is refused; the first reason found holds."""
    bad: list[tuple[str, pl.Series]] = [
        ("the trace id is not 16 bytes with one of them not zero", ~_is_id(spans.trace_id, 16)),
        ("the span id is not 8 bytes with one of them not zero", ~_is_id(spans.span_id, 8)),
        (
            "the parent span id is not 8 bytes",
            ~(spans.parent_span_id.str.len_bytes().is_in([0, 16]).fill_null(value=False)),
        ),
        ("the span's name is not UTF-8", spans.name.is_null()),
        ("a time is not an integer of nanoseconds", spans.start.is_null() | spans.end.is_null()),
        ("a time is beyond the year 2262", frame["start_unix_ns"].is_null() | frame["end_unix_ns"].is_null()),
        ("the span ends before it starts", (frame["end_unix_ns"] < frame["start_unix_ns"]).fill_null(value=False)),
    ]
    reasons: dict[int, str] = {}
    for reason, mask in bad:
        if mask.any():
            for row in mask.arg_true():
                reasons.setdefault(row, reason)
    for row, reason in spans.unreadable.items():
        reasons.setdefault(row, reason)
    refused = {code: r.reason for code, r in enumerate(spans.resources) if r.reason}
    for row in np.flatnonzero(np.isin(spans.resource, list(refused))) if refused else ():
        reasons.setdefault(int(row), refused[int(spans.resource[row])])
    if spans.attributes.reasons:
        owners = _owners(spans.attribute_counts)
        for at in np.flatnonzero(np.isin(spans.attribute_codes, list(spans.attributes.reasons))):
            code = int(spans.attribute_codes[at])
            reasons.setdefault(int(owners[at]), spans.attributes.reasons[code])
    return reasons


def _is_id(ids: pl.Series, size: int) -> pl.Series:
    return ((ids.str.len_bytes() == 2 * size) & (ids != "0" * 2 * size)).fill_null(value=False)


def _owners(counts: Codes) -> Codes:
    """The span of each attribute."""
    return np.repeat(np.arange(len(counts)), counts)


def _resource_frame(resources: Sequence[Resource]) -> pl.DataFrame:
    counts = np.array([len(r.rest) for r in resources], dtype=np.int64)
    pairs = [pair for r in resources for pair in r.rest]
    keys = pa.array([key for key, _ in pairs], pa.large_string())
    values = pa.array([value for _, value in pairs], pa.large_string())
    columns = {
        column: pl.Series([r.columns[column] for r in resources], dtype=pl.String) for column in RESOURCE_DEFAULTS
    }
    return pl.DataFrame({**columns, "resource_attributes": _maps(keys, values, counts)})


def _maps(keys: pa.Array, values: pa.Array, counts: Codes) -> pl.Series:
    """Flat keys and values -> one list of {key, value} a row; polars has no constructor from offsets."""
    offsets = pa.array(np.concatenate(([0], np.cumsum(counts))).astype(np.int64))
    pairs = pa.StructArray.from_arrays([keys, values], names=["key", "value"])
    series = pl.from_arrow(pa.LargeListArray.from_arrays(offsets, pairs))
    assert isinstance(series, pl.Series)
    return series.cast(MAP_DTYPE) if series.dtype != MAP_DTYPE else series


def _span_attributes(spans: Gathered) -> tuple[dict[str, pl.Series], pl.Series]:
    """The promoted columns, and the map of every attribute that was not promoted.

    Where a span has both the current and the old name, the current one is promoted and the old one stays in
    the map; a key that a span repeats counts once, the first.
    """
    owners = _owners(spans.attribute_counts)
    codes = spans.attribute_codes
    slots = _slots(spans.attributes)[codes] if len(codes) else np.empty(0, dtype=np.int64)
    in_map = np.ones(len(codes), dtype=bool)
    at = np.flatnonzero(slots >= 0)[::-1]  # backwards: of a repeated key the first is written last
    texts = pa.array(spans.attributes.texts, pa.large_string())
    promoted: dict[str, pl.Series] = {}
    for column, names in _PROMOTED.items():
        chosen = np.full(len(spans.attribute_counts), -1, dtype=np.int64)
        for name in reversed(names):
            mine = at[slots[at] == _SLOT_OF[name]]
            chosen[owners[mine]] = mine
        taken = chosen[chosen >= 0]
        in_map[taken] = False
        where = np.where(chosen >= 0, codes[chosen], 0) if len(codes) else np.zeros_like(chosen)
        promoted[column] = _column(column, texts, where, chosen < 0)
    left = _first_of_each(spans, owners, np.flatnonzero(in_map))
    keys = pa.array(spans.attributes.keys, pa.large_string())
    chosen_codes = pa.array(codes[left])
    counts = np.bincount(owners[left], minlength=len(spans.attribute_counts))
    return promoted, _maps(keys.take(chosen_codes), texts.take(chosen_codes), counts)


def _slots(attributes: Attributes) -> Codes:
    """Each distinct attribute's place among the promoted names, or -1."""
    slots = np.fromiter((_SLOT_OF.get(key, -1) for key in attributes.keys), np.int64, len(attributes.keys))
    for code in np.flatnonzero(slots >= 0):
        text = attributes.texts[code]
        column = _SLOTS[slots[code]][0]
        if text is None or (column == _INTEGER_COLUMN and not _is_int32(text)):
            slots[code] = -1
    return slots


def _is_int32(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= 10 and int(text) <= INT32_MAX


def _column(column: str, texts: pa.Array, where: Codes, absent: npt.NDArray[np.bool_]) -> pl.Series:
    if absent.all():
        return pl.Series(column, [None], dtype=pl.String).extend_constant(None, len(absent) - 1).cast(_dtype(column))
    series = pl.from_arrow(texts.take(pa.array(where, mask=absent)))
    assert isinstance(series, pl.Series)
    return series.cast(_dtype(column))


def _dtype(column: str) -> type[pl.Int32 | pl.String]:
    return pl.Int32 if column == _INTEGER_COLUMN else pl.String


def _first_of_each(spans: Gathered, owners: Codes, left: Codes) -> Codes:
    """Drop the repetitions of a key within a span: a map has every key once."""
    numbers: dict[str, int] = {}
    keys = [numbers.setdefault(key, len(numbers)) for key in spans.attributes.keys]
    pairs = owners[left] * max(len(numbers), 1) + np.array(keys, dtype=np.int64)[spans.attribute_codes[left]]
    if len(pairs) < 2 or (np.diff(np.sort(pairs)) > 0).all():
        return left
    _, first = np.unique(pairs, return_index=True)
    kept: Codes = left[np.sort(first)]
    return kept
