"""FOCUS cost exports (CSV or Parquet, versions 1.0 to 1.4) -> ``raw_focus__charges``.

Money never passes through a float: every amount is read as text and becomes a decimal with 15 places. Columns
are found by their FOCUS names; only the six without which a charge means nothing are demanded, so that one
reader covers all versions and providers' leanings. What a charge means to a service belongs in ``links.cost``.
"""

import csv
import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal, InvalidOperation
from io import BytesIO, StringIO
from pathlib import PurePath
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.csv as pa_csv

from weaver_forge.contracts.batch import Batch, Frame, Rejected
from weaver_forge.contracts.table import MONEY
from weaver_forge.contracts.tables.cost import RAW_FOCUS_CHARGES
from weaver_forge.decode.instants import parse_instant

PLACES = 15
"""Decimal places kept; the exports seen carry up to 14."""

_MONEY_DTYPE = pl.Decimal(38, PLACES)
_MANDATORY = (
    "BilledCost",
    "EffectiveCost",
    "ChargePeriodStart",
    "ChargePeriodEnd",
    "ServiceName",
    "BillingCurrency",
)
_COLUMNS: dict[str, tuple[str, ...]] = {
    # our column -> FOCUS names, preferred first
    "billing_period_start": ("BillingPeriodStart",),
    "provider_name": ("ServiceProviderName", "ProviderName"),
    "billing_account_id": ("BillingAccountId",),
    "sub_account_id": ("SubAccountId",),
    "service_name": ("ServiceName",),
    "service_category": ("ServiceCategory",),
    "resource_id": ("ResourceId",),
    "region_id": ("RegionId",),
    "charge_category": ("ChargeCategory",),
    "charge_description": ("ChargeDescription",),
    "charge_period_start": ("ChargePeriodStart",),
    "charge_period_end": ("ChargePeriodEnd",),
    "billing_currency": ("BillingCurrency",),
    "billed_cost": ("BilledCost",),
    "effective_cost": ("EffectiveCost",),
    "list_cost": ("ListCost",),
    "consumed_quantity": ("ConsumedQuantity",),
    "consumed_unit": ("ConsumedUnit",),
    "tags": ("Tags",),
}
_DEMANDED = (
    "billed_cost",
    "effective_cost",
    "charge_period_start",
    "charge_period_end",
    "service_name",
    "billing_currency",
)
_INSTANTS = ("billing_period_start", "charge_period_start", "charge_period_end")
_AMOUNTS = tuple(c.name for c in RAW_FOCUS_CHARGES.columns if c.type == MONEY)
_WANTED = frozenset(name for names in _COLUMNS.values() for name in names)

_NEW_IN = (
    # version -> columns that no earlier one has
    ("1.3", {"ServiceProviderName", "HostProviderName", "ContractApplied", "AllocatedMethodId"}),
    ("1.2", {"BillingAccountType", "SubAccountType", "InvoiceId", "PricingCurrency"}),
    (
        "1.1",
        {"CapacityReservationId", "CommitmentDiscountQuantity", "ServiceSubcategory", "SkuMeter", "SkuPriceDetails"},
    ),
)

_DATE = (
    r"(?:19|20)\d{2}[-_.]?(?:0[1-9]|1[0-2])(?:[-_.]?(?:0[1-9]|[12]\d|3[01]))?"
    r"(?:[T_-]?(?:[01]\d|2[0-3])[-:_]?[0-5]\d(?:[-:_]?[0-5]\d)?Z?)?"
)
_DATES = re.compile(rf"(?<!\d){_DATE}(?!\d)")
_EXTENSIONS = re.compile(r"(?:\.(?:csv|tsv|txt|parquet|snappy|gz|gzip|zst|zstd))+$", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class _Sheet:
    """A file as text: FOCUS name -> text or null, and the number of each row among all rows of the file."""

    header: tuple[str, ...]
    columns: pl.DataFrame
    row_numbers: pl.Series
    rejected: tuple[Rejected, ...] = ()
    notes: tuple[str, ...] = ()


class _FileRefused(ValueError):  # noqa: N818 - named by what happened to the file
    """The file as a whole cannot be read; the message says why."""


def decode(frames: Iterable[Frame], *, received_at: datetime) -> Batch:
    """Decode whole cost exports.

    The key of a row is the export, its billing period and the row's number in the file; a file that restates a
    period replaces it. Rows that are refused say ``row N``, counted from 1 below the header.

    Args:
        frames: One whole file each, decompressed; ``name`` gives the export's name.
        received_at: Modification time of the files, naive UTC.
    """
    tables, rejected, notes = [], list[Rejected](), list[str]()
    for frame in frames:
        try:
            sheet = _read(frame)
            version = _version(sheet.header)
            _refuse_missing(sheet.header, version)
        except _FileRefused as error:
            rejected.append(Rejected(frame.name, "file", str(error), _first_line(frame.data)))
            continue
        table, refused = _rows(frame.name, sheet, version, received_at)
        tables.append(table)
        rejected += [*sheet.rejected, *refused]
        notes += sheet.notes
    found = {RAW_FOCUS_CHARGES.name: pl.concat(tables)} if tables else {}
    return Batch(found, tuple(rejected), tuple(notes))


def export_name(path: str) -> str:
    """The export a file belongs to: its name without date-like parts and extensions.

    ``costs-2024-09-01.csv.gz`` and ``costs-2024-10-01.csv.gz`` are both ``costs``, so that a period restated in
    a newer file replaces the older rows.
    """
    name = _EXTENSIONS.sub("", PurePath(path).name)
    bare = re.sub(r"([-_. ])[-_. ]+", r"\1", _DATES.sub("", name)).strip("-_. ")
    return bare or "focus"


def _first_line(data: bytes) -> str:
    return data[:4000].split(b"\n", 1)[0].decode("utf-8", "backslashreplace").replace("\x00", "\\x00")


def _version(header: Sequence[str]) -> str:
    """The newest version of which the header has a column of its own; 1.4 dropped ProviderName."""
    names = set(header)
    if "ServiceProviderName" in names and "ProviderName" not in names:
        return "1.4"
    return next((version for version, new in _NEW_IN if names & new), "1.0")


def _refuse_missing(header: Sequence[str], version: str) -> None:
    missing = [name for name in _MANDATORY if name not in header]
    if missing:
        raise _FileRefused(
            f"not a FOCUS cost and usage export: it lacks {', '.join(missing)} (its header looks like FOCUS"
            f" {version}). Export these columns too"
        )
    repeated = sorted({name for name in header if name in _WANTED and list(header).count(name) > 1})
    if repeated:
        raise _FileRefused(f"the header has {', '.join(repeated)} more than once")


def _read(frame: Frame) -> _Sheet:
    if frame.data[:4] == b"PAR1":
        return _read_parquet(frame)
    return _read_csv(frame)


def _read_csv(frame: Frame) -> _Sheet:
    header = _header(frame.data)
    names = [_focus_name(name) for name in header]
    wanted = [name for name in names if name in _WANTED]
    broken: list[pa_csv.InvalidRow] = []

    def refuse(row: pa_csv.InvalidRow) -> str:
        broken.append(row)
        return "skip"

    # One thread: only then does the reader know the numbers of the rows it skips. Bytes, not text: one value
    # that is not UTF-8 then costs its row, not the file.
    try:
        table = pa_csv.read_csv(
            BytesIO(frame.data),
            read_options=pa_csv.ReadOptions(
                use_threads=False, block_size=1 << 24, column_names=_unique(names), skip_rows_after_names=1
            ),
            parse_options=pa_csv.ParseOptions(newlines_in_values=True, invalid_row_handler=refuse),
            convert_options=pa_csv.ConvertOptions(
                include_columns=list(dict.fromkeys(wanted)), column_types=dict.fromkeys(wanted, pa.binary())
            ),
        )
    except pa.ArrowInvalid as error:
        raise _FileRefused(f"not a CSV file: {error}") from error
    columns = pl.from_arrow(table)
    assert isinstance(columns, pl.DataFrame)
    numbers = np.setdiff1d(
        np.arange(table.num_rows + len(broken)), np.array([_index(row) for row in broken], dtype=np.int64)
    )
    rejected = tuple(
        Rejected(
            frame.name,
            f"row {_index(row) + 1}",
            f"it has {row.actual_columns} fields where the header has {row.expected_columns}",
            row.text[:4000],
        )
        for row in broken
    )
    return _Sheet(tuple(names), columns, pl.Series(numbers, dtype=pl.Int64), rejected)


def _index(row: pa_csv.InvalidRow) -> int:
    """The reader counts rows from 1, the header too; ours count from 0 below it."""
    return int(row.number) - 2


def _header(data: bytes) -> list[str]:
    line = data.removeprefix(b"\xef\xbb\xbf").split(b"\n", 1)[0]
    try:
        return next(csv.reader(StringIO(line.decode().rstrip("\r")), strict=True), [])
    except (UnicodeDecodeError, csv.Error) as error:
        raise _FileRefused(f"neither Parquet nor CSV: {error}") from error


def _focus_name(name: str) -> str:
    """FOCUS's own spelling of a column; warehouses change the case on export."""
    known = {wanted.lower(): wanted for wanted in _WANTED}
    return known.get(name.strip().lower(), name.strip())


def _unique(names: Sequence[str]) -> list[str]:
    """Names with repetitions told apart, as the reader demands; what is repeated and wanted is refused later."""
    return [name if name not in names[:at] else f"{name}\x00{at}" for at, name in enumerate(names)]


def _read_parquet(frame: Frame) -> _Sheet:
    try:
        names = list(pl.read_parquet_schema(BytesIO(frame.data)))
        wanted = [name for name in names if _focus_name(name) in _WANTED]
        table = pl.read_parquet(BytesIO(frame.data), columns=wanted)
    except (pl.exceptions.PolarsError, OSError) as error:
        raise _FileRefused(f"not a readable Parquet file: {error}") from error
    floats = [_focus_name(n) for n in wanted if table[n].dtype.is_float() and _ours(n) in _AMOUNTS]
    note = f"{frame.name}: {', '.join(floats)} are stored as binary floats: read by their shortest text"
    return _Sheet(
        tuple(_focus_name(name) for name in names),
        table.select(_as_text(table[name]).alias(_focus_name(name)) for name in wanted),
        pl.Series(range(table.height), dtype=pl.Int64),
        notes=(f"{note}, rounded to {PLACES} places",) if floats else (),
    )


def _ours(focus_name: str) -> str | None:
    name = _focus_name(focus_name)
    return next((column for column, names in _COLUMNS.items() if name in names), None)


def _as_text(series: pl.Series) -> pl.Series:
    """A typed Parquet column as the text that a CSV export would have."""
    if isinstance(series.dtype, pl.Datetime):
        naive = series.dt.convert_time_zone("UTC").dt.replace_time_zone(None) if series.dtype.time_zone else series
        return naive.dt.to_string("%Y-%m-%dT%H:%M:%S%.f")
    if series.dtype.is_float() and _ours(series.name) in _AMOUNTS:
        return pl.Series([None if v is None else _rounded(v) for v in series.to_list()], dtype=pl.String)
    if series.dtype.is_nested():
        return pl.Series([None if v is None else _tags(v) for v in series.to_list()], dtype=pl.String)
    return series.cast(pl.String)


def _rounded(value: float) -> str:
    """0.1 + 0.2 has 17 places as text, all but the first noise of the binary form."""
    number = Decimal(repr(value))
    return str(number.quantize(Decimal(1).scaleb(-PLACES)) if number.is_finite() else number)


def _tags(value: Any) -> str:
    """A map column (a list of keys and values in Parquet) or a struct as JSON text."""
    if isinstance(value, list) and all(isinstance(item, dict) and set(item) == {"key", "value"} for item in value):
        value = {item["key"]: item["value"] for item in value}
    return json.dumps(value, ensure_ascii=False, default=str)


def _rows(name: str, sheet: _Sheet, version: str, received_at: datetime) -> tuple[pl.DataFrame, list[Rejected]]:
    """Rows of the contract, and a Rejected for every row that cannot be one."""
    height = len(sheet.row_numbers)
    reasons: dict[int, str] = {}
    texts = {column: _first_given(sheet, names, height, reasons) for column, names in _COLUMNS.items()}
    values: dict[str, pl.Series] = dict(texts)
    for column in _AMOUNTS:
        values[column] = _amounts(texts[column], _COLUMNS[column][0], reasons)
    for column in _INSTANTS:
        values[column] = _instants(texts[column], _COLUMNS[column][0], reasons)
    for column, focus_name in zip(_DEMANDED, _MANDATORY, strict=True):
        for row in texts[column].is_null().arg_true():
            reasons.setdefault(row, f"{focus_name} is empty")
    period = pl.coalesce("billing_period_start", pl.col("charge_period_start").dt.truncate("1mo"))
    table = pl.DataFrame(values).with_columns(
        period.alias("billing_period_start"),
        pl.col("provider_name").fill_null("unknown"),
        sheet.row_numbers.alias("row_number"),
        pl.lit(export_name(name)).alias("export"),
        pl.lit(version).alias("focus_version"),
        pl.lit(received_at).cast(pl.Datetime("us")).alias("received_at"),
    )
    rejected = [
        Rejected(name, f"row {sheet.row_numbers[row] + 1}", reason, _shown(texts, row))
        for row, reason in sorted(reasons.items())
    ]
    keep = np.ones(height, dtype=bool)
    keep[list(reasons)] = False
    return table.filter(pl.Series(keep)).select(RAW_FOCUS_CHARGES.column_names), rejected


def _shown(texts: dict[str, pl.Series], row: int) -> str:
    return ", ".join(f"{column}={texts[column][row]}" for column in _DEMANDED)[:4000]


def _first_given(sheet: _Sheet, names: Sequence[str], height: int, reasons: dict[int, str]) -> pl.Series:
    """The first of some columns that says anything, as text; ``NULL`` and nothing at all are null."""
    found = pl.Series([None], dtype=pl.String).extend_constant(None, max(height - 1, 0)).head(height)
    for name in (name for name in names if name in sheet.columns.columns):
        text = _decoded(sheet.columns[name], name, reasons).str.strip_chars()
        text = text.set(text.is_in(["", "NULL"]), None)
        found = found.zip_with(found.is_not_null(), text)
    return found


def _decoded(series: pl.Series, name: str, reasons: dict[int, str]) -> pl.Series:
    if series.dtype == pl.String:
        return series
    try:
        return series.cast(pl.String)
    except pl.exceptions.ComputeError:
        texts: list[str | None] = []
        for row, value in enumerate(series.to_list()):
            try:
                texts.append(value.decode())
            except UnicodeDecodeError:
                texts.append(None)
                reasons.setdefault(row, f"{name} is not UTF-8")
        return pl.Series(texts, dtype=pl.String)


def _amounts(texts: pl.Series, name: str, reasons: dict[int, str]) -> pl.Series:
    """Text -> decimal with 15 places; what is longer or no number is a reason, never rounded."""
    plain = texts.str.contains(rf"^[+-]?(?:\d{{1,23}}(?:\.\d{{0,{PLACES}}}0*)?|\.\d{{1,{PLACES}}}0*)$")
    mended: dict[int, str | None] = {}
    for row in (~plain.fill_null(value=True)).arg_true():
        mended[row] = _exact(texts[row], name, row, reasons)
    if mended:
        texts = texts.scatter(list(mended), list(mended.values()))
    return texts.str.to_decimal(scale=PLACES).cast(_MONEY_DTYPE)


def _exact(text: str, name: str, row: int, reasons: dict[int, str]) -> str | None:
    """A number in scientific notation in plain digits; None with a reason where it is none or too long."""
    try:
        number = Decimal(text)
    except InvalidOperation:
        number = Decimal("NaN")
    if not number.is_finite() or not re.fullmatch(r"[+-]?[\d.]+(?:[eE][+-]?\d+)?", text):
        reasons.setdefault(row, f"{name} {text[:60]!r} is not a number")
        return None
    digits = number.normalize().as_tuple()
    exponent = int(digits.exponent)
    if -exponent > PLACES or len(digits.digits) + exponent > 38 - PLACES:
        reasons.setdefault(row, f"{name} {text[:60]!r} needs more than {PLACES} decimal places or 23 before them")
        return None
    return f"{number:f}"


def _instants(texts: pl.Series, name: str, reasons: dict[int, str]) -> pl.Series:
    """Text -> naive UTC; a time without a zone is UTC. Each distinct text is read once."""
    known = {text: parse_instant(text) for text in texts.unique().drop_nulls().to_list()}
    unread = [text for text, instant in known.items() if instant is None]
    for row in texts.is_in(unread).fill_null(value=False).arg_true() if unread else ():
        reasons.setdefault(row, f"{name} {texts[row][:60]!r} is not a time")
    if not known:
        return texts.cast(pl.Datetime("us"))
    return texts.replace_strict(list(known), list(known.values()), return_dtype=pl.Datetime("us"))
