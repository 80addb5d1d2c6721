"""Attributes of spans and resources -> promoted columns, and maps of all the others.

Attributes arrive as codes into a table of distinct ones, so that what an attribute costs here is array work on
small integers; texts are only ever pointed at.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa

from weaver_forge.contracts.coded import CODES, Words
from weaver_forge.decode.otlp_values import INT32_MAX, RESOURCE_DEFAULTS, Attributes, Resource

Codes = npt.NDArray[np.int64]

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
_NO_SLOT = len(_SLOTS)

_MOST_MARKS = 64 * 1024 * 1024
"""Marks (spans x distinct keys) above which repeated keys are looked for by sorting; one mark is one byte."""


def resource_columns(resources: Sequence[Resource], of_span: npt.NDArray[Any]) -> tuple[dict[str, pl.Series], Words]:
    """The promoted columns of each span's resource and the map of its other attributes, and the map's words."""
    pairs = [pair for resource in resources for pair in resource.rest]
    counts = np.array([len(resource.rest) for resource in resources], dtype=np.int64)
    keys, texts = (_numbered(pl.Series([pair[side] for pair in pairs], dtype=pl.String)) for side in (0, 1))
    columns = {
        column: pl.Series([resource.columns[column] for resource in resources], dtype=pl.String)
        for column in RESOURCE_DEFAULTS
    }
    columns["resource_attributes"] = _maps(keys[0], texts[0], counts)
    return {column: values.gather(of_span) for column, values in columns.items()}, (keys[1], texts[1])


def span_attributes(
    attributes: Attributes, codes: npt.NDArray[Any], counts: Codes
) -> tuple[dict[str, pl.Series], pl.Series, Words]:
    """The promoted columns, the map of every attribute that is not promoted under its current name, and its words.

    An old name always stays in the map, also where its value fills the column: what a service really sends is
    judged, and nothing is dropped. Where a span has both names, the column has the current one's value. A key that a
    span repeats counts once, the first.

    Args:
        attributes: The distinct attributes.
        codes: Flat over all spans; position in ``attributes``.
        counts: Attributes of each span.
    """
    key_codes, keys = _numbered(attributes.keys)
    text_codes, words = _numbered(attributes.texts)
    n = len(counts)
    owners = np.repeat(np.arange(n, dtype=np.int32), counts)
    slots = _slots(attributes, key_codes, keys.to_list())[codes]
    by_slot = np.flatnonzero(slots != _NO_SLOT)[::-1]  # backwards: of a repeated key the first is written last
    by_slot = by_slot[np.argsort(slots[by_slot], kind="stable")]
    bounds = np.searchsorted(slots[by_slot], np.arange(_NO_SLOT + 1, dtype=np.int8))
    in_map = np.ones(len(codes), dtype=bool)
    texts = attributes.texts.extend_constant(None, 1).rechunk()  # its last position stands for an absent attribute
    where = np.full((len(_PROMOTED), n), len(texts) - 1, dtype=np.uint32)
    for number, names in enumerate(_PROMOTED.values()):
        chosen = np.full(n, -1, dtype=np.int32)
        for name in reversed(names):
            found = by_slot[bounds[_SLOT_OF[name]] : bounds[_SLOT_OF[name] + 1]]
            chosen[owners[found]] = found
        has = np.flatnonzero(chosen >= 0)
        where[number, has] = codes[chosen[has]]
        in_map[chosen[owners[found]]] = False  # the current name's, which comes last
    every = texts.gather(pl.Series(where.reshape(-1)))
    promoted = {column: every.slice(number * n, n) for number, column in enumerate(_PROMOTED)}
    promoted[_INTEGER_COLUMN] = promoted[_INTEGER_COLUMN].cast(pl.Int32)
    left = np.flatnonzero(in_map)
    left_codes, left_owners = codes[left], owners[left]
    kept = _first_of_each(left_owners, key_codes[left_codes], len(keys), n)
    if kept is not None:
        left_codes, left_owners = left_codes[kept], left_owners[kept]
    counts = np.bincount(left_owners, minlength=n)
    return promoted, _maps(key_codes[left_codes], text_codes[left_codes], counts), (keys, words)


def _numbered(texts: pl.Series) -> tuple[npt.NDArray[np.int32], pl.Series]:
    """The number of each text, -1 for null, and the distinct texts."""
    encoded = texts.to_arrow().dictionary_encode()
    return encoded.indices.fill_null(-1).to_numpy(), pl.Series(encoded.dictionary, dtype=pl.String)


def _slots(attributes: Attributes, key_codes: npt.NDArray[np.int32], keys: list[str]) -> npt.NDArray[np.int8]:
    """Each distinct attribute's place among the promoted names; an empty or wrongly typed value has none."""
    of_key = np.array([_SLOT_OF.get(key, _NO_SLOT) for key in keys], dtype=np.int8)
    slots = of_key[key_codes]
    slots[attributes.texts.is_null().to_numpy()] = _NO_SLOT
    for name in _PROMOTED[_INTEGER_COLUMN]:
        rows = np.flatnonzero(slots == _SLOT_OF[name])
        fits = [_is_int32(text) for text in attributes.texts.gather(rows)]
        slots[rows[~np.array(fits, dtype=bool)]] = _NO_SLOT
    return slots


def _is_int32(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= 10 and int(text) <= INT32_MAX


def _first_of_each(
    owners: npt.NDArray[np.int32], keys: npt.NDArray[np.int32], n_keys: int, n_spans: int
) -> Codes | None:
    """Which attributes stay when repetitions of a key within a span are dropped; None for all of them."""
    if n_keys * n_spans <= _MOST_MARKS:
        pairs = owners * np.int32(n_keys) + keys
        marks = np.zeros(n_keys * n_spans, dtype=bool)
        marks[pairs] = True
        repeated = bool(np.count_nonzero(marks) < len(pairs))
    else:
        pairs = owners * np.int64(n_keys) + keys
        repeated = bool((np.diff(np.sort(pairs)) == 0).any())
    if not repeated:
        return None
    _, first = np.unique(pairs, return_index=True)
    kept: Codes = np.sort(first)
    return kept


def _maps(keys: npt.NDArray[np.int32], texts: npt.NDArray[np.int32], counts: npt.NDArray[Any]) -> pl.Series:
    """Flat numbers of keys and values, -1 for null -> one list of {key, value} a row."""
    offsets = pa.array(np.concatenate(([0], np.cumsum(counts))).astype(np.int64))
    absent = texts < 0
    values = pa.array(texts.view(np.uint32), mask=absent if absent.any() else None)
    pairs = pa.StructArray.from_arrays([pa.array(keys.view(np.uint32)), values], names=["key", "value"])
    series = pl.from_arrow(pa.LargeListArray.from_arrays(offsets, pairs))  # polars has no constructor from offsets
    assert isinstance(series, pl.Series)
    return series.cast(CODES) if series.dtype != CODES else series
