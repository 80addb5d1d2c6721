"""The text of a cost export -> exact decimals and instants; what cannot be one is a reason and never a number.

Put here the conversion of one column. Reasons are collected as ``{row: reason}``: the first that a row has is told.
"""

import re
from collections.abc import Sequence
from decimal import Decimal, InvalidOperation

import polars as pl

from weaver_forge.decode.focus_sheets import MARK, PLACES, Sheet
from weaver_forge.decode.instants import parse_instant

MONEY_DTYPE = pl.Decimal(38, PLACES)
_PLAIN = rf"^[+-]?(?:\d{{1,23}}(?:\.\d{{0,{PLACES}}}0*)?|\.\d{{1,{PLACES}}}0*)$"
_NUMBER = re.compile(r"[+-]?[\d.]+(?:[eE][+-]?\d{1,6})?", re.ASCII)

Reasons = dict[int, str]


def first_given(sheet: Sheet, names: Sequence[str], reasons: Reasons) -> pl.Series:
    """The first of some columns that says anything, as text; ``NULL`` and nothing at all are null."""
    height = len(sheet.row_numbers)
    found = pl.Series([None], dtype=pl.String).extend_constant(None, max(height - 1, 0)).head(height)
    for name in (name for name in names if name in sheet.columns.columns):
        text = _decoded(sheet.columns[name], name, reasons).str.strip_chars()
        for row in text.str.contains(MARK, literal=True).fill_null(value=False).arg_true() if sheet.has_marks else ():
            reasons.setdefault(row, f"{name} is not UTF-8")
        text = text.set(text.is_in(["", "NULL"]), None)
        found = found.zip_with(found.is_not_null(), text)
    return found


def _decoded(series: pl.Series, name: str, reasons: Reasons) -> pl.Series:
    if series.dtype == pl.String:
        return series
    try:
        return series.cast(pl.String)
    except pl.exceptions.ComputeError:
        texts: list[str | None] = []
        for row, value in enumerate(series.to_list()):
            try:
                texts.append(None if value is None else value.decode())
            except UnicodeDecodeError:
                texts.append(None)
                reasons.setdefault(row, f"{name} is not UTF-8")
        return pl.Series(texts, dtype=pl.String)


def amounts(texts: pl.Series, name: str, reasons: Reasons) -> pl.Series:
    """Text -> decimal with 15 places; what is longer or no number is a reason, never rounded."""
    plain = texts.str.contains(_PLAIN)
    mended: dict[int, str | None] = {}
    for row in (~plain.fill_null(value=True)).arg_true():
        mended[row] = _exact(texts[row], name, row, reasons)
    if mended:
        texts = texts.scatter(list(mended), list(mended.values()))
    return texts.str.to_decimal(scale=PLACES).cast(MONEY_DTYPE)


def _exact(text: str, name: str, row: int, reasons: Reasons) -> str | None:
    """A number in scientific notation in plain digits; None with a reason where it is none or too long."""
    try:
        number = Decimal(text) if _NUMBER.fullmatch(text) else Decimal("NaN")
    except InvalidOperation:
        number = Decimal("NaN")
    if not number.is_finite():
        reasons.setdefault(row, f"{name} {text[:60]!r} is not a number")
        return None
    _, digits, exponent = number.normalize().as_tuple() if len(text) <= 28 else _trimmed(number)
    places = int(exponent)
    if number and (-places > PLACES or len(digits) + places > 38 - PLACES):
        reasons.setdefault(row, f"{name} {text[:60]!r} needs more than {PLACES} decimal places or 23 before them")
        return None
    return f"{number:f}" if number else "0"


def _trimmed(number: Decimal) -> tuple[int, tuple[int, ...], int]:
    """Sign, digits and exponent without zeros at the end; ``normalize`` would round more than 28 digits."""
    sign, digits, exponent = number.as_tuple()
    kept = len(digits)
    while kept > 1 and digits[kept - 1] == 0:
        kept -= 1
    return sign, digits[:kept], int(exponent) + len(digits) - kept


def instants(texts: pl.Series, name: str, reasons: Reasons) -> pl.Series:
    """Text -> naive UTC; a time without a zone is UTC. Each distinct text is read once."""
    known = {text: parse_instant(text) for text in texts.unique().drop_nulls().to_list()}
    unread = [text for text, instant in known.items() if instant is None]
    for row in texts.is_in(unread).fill_null(value=False).arg_true() if unread else ():
        reasons.setdefault(row, f"{name} {texts[row][:60]!r} is not a time")
    if not known:
        return texts.cast(pl.Datetime("us"))
    return texts.replace_strict(list(known), list(known.values()), return_dtype=pl.Datetime("us"))
