"""What metric points and log records have in common: whose they are, their attributes, and their identity.

Put here what is the same for both signals and both encodings. A chunk has few distinct resources, scopes and sets
of attributes beside many points or records: each distinct one is read and hashed once, rows hold codes.
Identities are hashes of what was said, not of bytes: a request that is sent again, re-encoded as JSON or with its
attributes in another order gives the same ids.
"""

import hashlib
import math
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain, count
from operator import itemgetter
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa

from weaver_forge.contracts.batch import Rejected
from weaver_forge.decode.otlp_framing import Message, shown
from weaver_forge.decode.otlp_values import RESOURCE_DEFAULTS, Attributes, Resource, non_finite

Codes = npt.NDArray[np.int64]
Owner = tuple[bytes, bytes]
"""Raw resource and raw scope."""

MAP_DTYPE = pl.List(pl.Struct({"key": pl.String, "value": pl.String}))
_by_key = itemgetter(0)

ORIGIN_COLUMNS = (*RESOURCE_DEFAULTS, "resource_attributes", "scope_name", "scope_version", "scope_attributes")


class Numbering(defaultdict[Any, int]):
    """Gives every distinct value the next number: its code. Iterating gives the values in order of their codes."""

    def __init__(self) -> None:
        super().__init__(count().__next__)

    def codes(self, values: Iterable[Hashable]) -> Codes:
        """Code of each value."""
        return np.array([self[value] for value in values], dtype=np.int64)


@dataclass(frozen=True, slots=True)
class Scope:
    """What a distinct instrumentation scope says."""

    name: str
    version: str
    attributes: list[tuple[str, str | None]]
    reason: str = ""


@dataclass(slots=True)
class Reader:
    """How an encoding reads the raw pieces that both signals have."""

    attributes: Callable[[Sequence[bytes]], Attributes]
    resource: Callable[[bytes], Resource]
    scope: Callable[[bytes], Scope]


@dataclass(slots=True)
class Sets:
    """Distinct sets of attributes: a map and a digest each, and why one cannot be read."""

    maps: pl.Series
    digests: list[str]
    reasons: dict[int, str] = field(default_factory=dict)


@dataclass(slots=True)
class Origins:
    """Distinct pairs of resource and scope: columns and a digest each, and why one cannot be read."""

    frame: pl.DataFrame
    digests: list[str]
    reasons: dict[int, str] = field(default_factory=dict)


def digest(said: Any) -> str:
    """32 hex digits that say whether two pieces of plain data are the same."""
    return hashlib.blake2b(msgspec.json.encode(said), digest_size=16).hexdigest()


def read_sets(sets: Sequence[tuple[bytes, ...]], reader: Reader) -> Sets:
    """Read distinct sets of raw attributes; of a key that is repeated within a set the first counts."""
    numbers = Numbering()
    codes = numbers.codes(chain.from_iterable(sets))
    attributes = reader.attributes(list(numbers))
    pairs = list(zip(attributes.keys, attributes.texts, strict=True))
    reasons: dict[int, str] = {}
    found: list[dict[str, str | None]] = []
    at = 0
    for row, raws in enumerate(sets):
        mine = codes[at : at + len(raws)].tolist()
        at += len(raws)
        found.append(dict(pairs[code] for code in reversed(mine)))
        if attributes.reasons:
            reasons.update((row, attributes.reasons[code]) for code in mine if code in attributes.reasons)
    # Written backwards so that the first of a repeated key holds; in the map they stand as they were sent.
    ordered = [list(reversed(one.items())) for one in found]
    return Sets(as_maps(ordered), [digest(sorted(one, key=_by_key)) for one in ordered], reasons)


def read_origins(owners: Sequence[Owner], reader: Reader) -> Origins:
    """Read distinct pairs of raw resource and raw scope."""
    resources = {raw: reader.resource(raw) for raw in {resource for resource, _ in owners}}
    scopes = {raw: reader.scope(raw) for raw in {scope for _, scope in owners}}
    pairs = [(resources[resource], scopes[scope]) for resource, scope in owners]
    columns = {
        name: pl.Series(name, [resource.columns[name] for resource, _ in pairs], dtype=pl.String)
        for name in RESOURCE_DEFAULTS
    }
    frame = pl.DataFrame(
        {
            **columns,
            "resource_attributes": as_maps([resource.rest for resource, _ in pairs]),
            "scope_name": pl.Series([scope.name for _, scope in pairs], dtype=pl.String),
            "scope_version": pl.Series([scope.version for _, scope in pairs], dtype=pl.String),
            "scope_attributes": as_maps([scope.attributes for _, scope in pairs]),
        }
    ).select(ORIGIN_COLUMNS)
    digests = [
        digest(
            (
                [resource.columns[name] for name in RESOURCE_DEFAULTS],
                sorted(resource.rest, key=_by_key),
                (scope.name, scope.version, sorted(scope.attributes, key=_by_key)),
            )
        )
        for resource, scope in pairs
    ]
    reasons = {
        code: resource.reason or scope.reason
        for code, (resource, scope) in enumerate(pairs)
        if resource.reason or scope.reason
    }
    return Origins(frame, digests, reasons)


def as_maps(rows: Sequence[Sequence[tuple[str, str | None]]]) -> pl.Series:
    """Pairs of key and text -> one MAP a row; polars has no constructor from offsets."""
    lengths = np.fromiter(map(len, rows), np.int64, len(rows))
    keys = pa.array([key for row in rows for key, _ in row], pa.large_string())
    texts = pa.array([text for row in rows for _, text in row], pa.large_string())
    return _lists(pa.StructArray.from_arrays([keys, texts], names=["key", "value"]), lengths, MAP_DTYPE)


def as_lists(values: pl.Series, lengths: Codes, item: pl.DataType) -> pl.Series:
    """Flat values -> one list a row."""
    return _lists(values.to_arrow(), lengths, pl.List(item))


def _lists(values: pa.Array, lengths: Codes, kind: pl.DataType) -> pl.Series:
    offsets = pa.array(np.concatenate(([0], np.cumsum(lengths))).astype(np.int64))
    series = pl.from_arrow(pa.LargeListArray.from_arrays(offsets, values))
    assert isinstance(series, pl.Series)
    return series if series.dtype == kind else series.cast(kind)


def text_or_null(values: Sequence[bytes]) -> pl.Series:
    """Bytes as text, null where they are not UTF-8; all at once first, because nearly always all are."""
    try:
        return pl.Series(values, dtype=pl.Binary).cast(pl.String)
    except pl.exceptions.ComputeError:
        return pl.Series([_decoded(value) for value in values], dtype=pl.String)


def _decoded(value: bytes) -> str | None:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return None


def integers(values: Sequence[int | str | None], kind: type[pl.UInt64 | pl.Int64] = pl.UInt64) -> pl.Series:
    """Numbers or decimal text -> 64-bit integers; null where it is neither or does not fit. None is 0."""
    texts = [value if isinstance(value, str) else str(value or 0) for value in values]
    return pl.Series(texts, dtype=pl.String).cast(kind, strict=False)


def exemplar_row(
    time_unix_ns: int, value: float | None, ids: tuple[str, str], attributes: dict[str, Any]
) -> dict[str, Any]:
    """One exemplar as it stands in the exemplars column; ids (trace, span) in lower-case hex, empty when absent."""
    number = non_finite(value) if isinstance(value, float) and not math.isfinite(value) else value
    return {
        "time_unix_ns": time_unix_ns,
        "value": number,
        "trace_id": ids[0],
        "span_id": ids[1],
        "attributes": attributes,
    }


def refused_message(name: str, message: Message, reason: str) -> Rejected:
    """A whole message that cannot be read, with its bytes."""
    return Rejected(name, message.position, reason, shown(message.data), message.data, message.offset)


def first_reasons(checks: Iterable[tuple[str, pl.Series | npt.NDArray[np.bool_]]]) -> dict[int, str]:
    """Row -> why it is refused, from one mask a reason; the first reason of a row holds."""
    reasons: dict[int, str] = {}
    for reason, mask in checks:
        for row in np.flatnonzero(np.asarray(mask)):
            reasons.setdefault(int(row), reason)
    return reasons


def reasons_by_code(codes: pl.Series, reasons: dict[int, str]) -> Iterator[tuple[int, str]]:
    """Row and reason, for rows whose code is refused."""
    if reasons:
        for row in codes.is_in(list(reasons)).arg_true():
            yield row, reasons[codes[row]]
