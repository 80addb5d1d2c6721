"""Raw ``KeyValue`` messages -> keys and texts, the common forms by array work.

A chunk of spans has half a million attributes but only a few per cent distinct ones, and nearly all of these have
one of four canonical forms (string, boolean, integer, double; lengths below 128). Those are cut out of the
buffer with numpy; anything else, however slightly different, goes one by one through the official class, so that
what a form means is decided in one place only.
"""

import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa
from google.protobuf.message import DecodeError

from weaver_forge.decode.faults import in_words
from weaver_forge.decode.otlp_protobuf_values import attribute
from weaver_forge.decode.otlp_values import Attributes, as_text

_Octets = npt.NDArray[np.uint8]
_Places = npt.NDArray[np.int64]

_SLICE = 65_536
"""Distinct attributes looked at together: the positions of their bytes take eight times the bytes."""
_KEY, _VALUE, _STRING, _BOOL, _INT, _DOUBLE = 0x0A, 0x12, 0x0A, 0x10, 0x18, 0x21
_LONGEST = 9
"""Bytes of the longest varint read here; a tenth makes a negative number, which is rare."""


def read_attributes(distinct: pa.Array | Sequence[bytes]) -> Attributes:
    """Decode distinct raw attributes, in order.

    Args:
        distinct: Arrow binary (32-bit offsets) without nulls, or the bytes one by one.
    """
    array = distinct if isinstance(distinct, pa.Array) else pa.array(distinct, pa.binary())
    reasons: dict[int, str] = {}
    read = [_read(array.slice(at, _SLICE), at, reasons) for at in range(0, len(array), _SLICE)]
    empty = [pl.Series(dtype=pl.String)]
    keys, texts = pl.concat(empty + [keys for keys, _ in read]), pl.concat(empty + [texts for _, texts in read])
    return Attributes(keys, texts, reasons)


def _read(array: pa.Array, first: int, reasons: dict[int, str]) -> tuple[pl.Series, pl.Series]:
    """Keys and texts of one slice: form by form, then put back into the order of the slice."""
    octets, starts, ends = _laid_out(array)
    middle, canonical = _outline(octets, starts, ends)
    done: list[tuple[_Places, pl.Series, pl.Series]] = []
    left = np.ones(len(array), dtype=bool)
    for rows, texts in _values(octets, middle, canonical):
        keys = _strings(octets, starts[rows] + 2, middle[rows])
        if keys is not None and texts is not None:
            done.append((rows, keys, texts))
            left[rows] = False
    rest = np.flatnonzero(left)
    pairs = [_one(array[row].as_py(), first + row, reasons) for row in rest.tolist()]
    done.append((rest, _series([key for key, _ in pairs]), _series([text for _, text in pairs])))
    order = np.argsort(np.concatenate([rows for rows, _, _ in done]))
    return pl.concat([keys for _, keys, _ in done])[order], pl.concat([texts for _, _, texts in done])[order]


def _laid_out(array: pa.Array) -> tuple[_Octets, _Places, _Places]:
    """The bytes of a slice, with some zeros after them so that looking ahead is always safe, and its bounds."""
    _, offsets, data = array.buffers()
    bounds = np.frombuffer(offsets, np.int32)[array.offset : array.offset + len(array) + 1].astype(np.int64)
    octets = np.frombuffer(data, np.uint8)[bounds[0] : bounds[-1]] if data is not None else np.empty(0, np.uint8)
    bounds -= bounds[0]
    return np.concatenate((octets, np.zeros(16, np.uint8))), bounds[:-1], bounds[1:]


def _outline(octets: _Octets, starts: _Places, ends: _Places) -> tuple[_Places, npt.NDArray[np.bool_]]:
    """Where the value's field begins, and whether key and value fill the message exactly."""
    key_size = octets[starts + 1].astype(np.int64)
    middle = starts + 2 + key_size
    canonical = (octets[starts] == _KEY) & (key_size < 0x80) & (middle + 3 < ends)
    middle = np.where(canonical, middle, starts)  # stay inside the buffer
    size = octets[middle + 1].astype(np.int64)
    canonical &= (octets[middle] == _VALUE) & (size < 0x80) & (middle + 2 + size == ends)
    return middle, canonical


def _values(
    octets: _Octets, middle: _Places, canonical: npt.NDArray[np.bool_]
) -> Iterator[tuple[_Places, pl.Series | None]]:
    """Rows of each canonical form and their texts; None where they must be read one by one after all."""
    tag, size = np.where(canonical, octets[middle + 2], 0), octets[middle + 1].astype(np.int64)
    first = octets[middle + 3]
    rows = np.flatnonzero((tag == _STRING) & (first == size - 2))
    yield rows, _strings(octets, middle[rows] + 4, middle[rows] + 2 + size[rows])
    rows = np.flatnonzero((tag == _BOOL) & (size == 2) & (first < 2))
    yield rows, _series(["true" if value else "false" for value in first[rows].tolist()])
    rows = np.flatnonzero((tag == _DOUBLE) & (size == 9))
    doubles = octets[middle[rows][:, None] + np.arange(3, 11)].view("<f8").reshape(-1).tolist()
    yield rows, _series(list(map(repr, doubles)) if all(map(math.isfinite, doubles)) else list(map(as_text, doubles)))
    rows = np.flatnonzero((tag == _INT) & (size <= 1 + _LONGEST))
    numbers, minimal = _varints(octets, middle[rows] + 3, size[rows] - 1)
    yield rows[minimal], pl.Series(numbers[minimal]).cast(pl.String)


def _varints(octets: _Octets, at: _Places, size: _Places) -> tuple[_Places, npt.NDArray[np.bool_]]:
    """Numbers below 2**63, and whether each is written in as few bytes as can be, all of them its own."""
    steps = np.arange(_LONGEST)
    wide = octets[at[:, None] + steps]
    own, goes_on = steps < size[:, None], steps < size[:, None] - 1
    minimal = (((wide >= 0x80) == goes_on) | ~own).all(axis=1)
    minimal &= (wide[np.arange(len(at)), size - 1] > 0) | (size == 1)
    return ((wide & 0x7F).astype(np.int64) << (7 * steps)).sum(axis=1, where=own), minimal


def _strings(octets: _Octets, starts: _Places, ends: _Places) -> pl.Series | None:
    """Cut texts out of the buffer; None if one of them is not UTF-8."""
    sizes = ends - starts
    offsets = np.concatenate(([0], np.cumsum(sizes)))
    taken = octets[np.repeat(starts - offsets[:-1], sizes) + np.arange(offsets[-1])]
    buffers = [None, pa.py_buffer(offsets.astype(np.int32)), pa.py_buffer(taken)]
    try:
        texts = pa.Array.from_buffers(pa.binary(), len(sizes), buffers).cast(pa.string())
    except pa.ArrowInvalid:
        return None
    series = pl.from_arrow(texts)
    assert isinstance(series, pl.Series)
    return series


def _series(texts: Sequence[str | None]) -> pl.Series:
    return pl.Series(texts, dtype=pl.String)


def _one(raw: bytes, code: int, reasons: dict[int, str]) -> tuple[str, Any]:
    try:
        return attribute(raw)
    except DecodeError as error:
        reasons[code] = f"an attribute cannot be read: {in_words(error)}"
        return "", None
