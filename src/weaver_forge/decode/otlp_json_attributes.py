"""Raw JSON lists of attributes -> codes of distinct ones, without an object for each attribute.

Nearly every writer puts ``{"key":`` first and no blanks, so a list is cut at ``},{"key":``. Inside of a JSON string
that text cannot stand (its quotes would be escaped), and inside of a nested list it gives pieces that are no whole
object: so if every piece of a list reads as an attribute, the cuts were right. Otherwise that list is read element
by element.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt
import polars as pl

from weaver_forge.decode.faults import in_words
from weaver_forge.decode.otlp_json_values import read_attributes
from weaver_forge.decode.otlp_maps import Codes
from weaver_forge.decode.otlp_values import Attributes

_OPENING, _CUT, _CLOSING = '[{"key":', '},{"key":', "}]"
_PLAIN = (
    r'^"([^"\\\x00-\x1f]*)","value":\{(?:"stringValue":"([^"\\\x00-\x1f]*)"|'
    r'"intValue":"(0|-?[1-9][0-9]{0,17})")\}$'
)
"""A piece without escapes: key, and text or an integer as collectors write it."""
_EMPTY = ("", "[]", "null")
_ELEMENTS = msgspec.json.Decoder(list[msgspec.Raw] | None)
_LISTS = pl.List(pl.String)


@dataclass(frozen=True, slots=True)
class Pairs:
    """The attributes of many spans.

    Args:
        counts: Attributes of each span.
        codes: Flat over all spans; position in ``attributes``.
        attributes: The distinct ones.
    """

    counts: Codes
    codes: npt.NDArray[Any]
    attributes: Attributes


def read_lists(lists: Sequence[bytes], unreadable: dict[int, str]) -> Pairs:
    """Read the attributes of many spans.

    Args:
        lists: The JSON list of each span; empty where it has none.
        unreadable: Gains the spans whose list is none, and why.
    """
    texts = _texts(lists)
    pieces = _cut(texts)
    irregular = pieces.is_null() & ~texts.is_in(_EMPTY).fill_null(value=False)
    slow = set(irregular.arg_true().to_list())
    pieces = _replaced(pieces, lists, slow, unreadable)
    pairs = _encoded(pieces)
    if not pairs.attributes.reasons:
        return pairs
    owners = np.repeat(np.arange(len(lists)), pairs.counts)
    doubtful = set(owners[np.isin(pairs.codes, list(pairs.attributes.reasons))].tolist())
    return _encoded(_replaced(pieces, lists, doubtful - slow, unreadable)) if doubtful - slow else pairs


def _texts(lists: Sequence[bytes]) -> pl.Series:
    """The lists as text; null where one is not UTF-8, and is read the slow way, which says so."""
    raw = pl.Series(lists, dtype=pl.Binary)
    try:
        return raw.cast(pl.String)
    except pl.exceptions.ComputeError:
        return pl.Series([_decoded(value) for value in lists], dtype=pl.String)


def _decoded(raw: bytes) -> str | None:
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return None


def _cut(texts: pl.Series) -> pl.Series:
    """The lists cut into pieces that lack ``{"key":`` and the last brace; null where one has another look."""
    text = pl.col("text")
    cut = text.str.strip_prefix(_OPENING).str.strip_suffix(_CLOSING).str.split(_CUT)
    regular = text.str.starts_with(_OPENING) & text.str.ends_with(_CLOSING)
    return texts.to_frame("text").select(pl.when(regular).then(cut)).to_series()


def _replaced(pieces: pl.Series, lists: Sequence[bytes], rows: set[int], unreadable: dict[int, str]) -> pl.Series:
    """The same with some lists read element by element."""
    if not rows:
        return pieces
    found = pieces.to_list()
    for row in rows:
        try:
            found[row] = [bytes(element).decode() for element in _ELEMENTS.decode(lists[row]) or ()]
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            unreadable[row] = f"its attributes cannot be read: {in_words(error)}"
            found[row] = None
        else:
            if any(not element.startswith("{") for element in found[row]):  # a text would pass for a cut piece
                unreadable[row] = "its attributes cannot be read: one of them is no object of key and value"
                found[row] = None
    return pl.Series(found, dtype=_LISTS)


def _encoded(pieces: pl.Series) -> Pairs:
    counts = pieces.list.len().fill_null(0).cast(pl.Int64).to_numpy()
    encoded = pieces.explode().drop_nulls().to_arrow().dictionary_encode()
    return Pairs(counts, encoded.indices.to_numpy(), _attributes(pl.Series(encoded.dictionary, dtype=pl.String)))


def _attributes(distinct: pl.Series) -> Attributes:
    """Read distinct attributes: plain strings and integers by pattern, the others by the JSON parser."""
    found = distinct.to_frame("raw").select(
        pl.col("raw").str.extract_groups(_PLAIN).struct.rename_fields(["key", "string", "integer"]).alias("found")
    )
    plain = found.unnest("found").with_columns(text=pl.coalesce("string", "integer"))
    rest = plain["text"].is_null().arg_true()
    if rest.is_empty():
        return Attributes(plain["key"], plain["text"], {})
    read = read_attributes(raw if raw[:1] != '"' else f'{{"key":{raw}}}' for raw in distinct.gather(rest))
    reasons = {int(rest[code]): reason for code, reason in read.reasons.items()}
    return Attributes(plain["key"].scatter(rest, read.keys), plain["text"].scatter(rest, read.texts), reasons)
