"""FOCUS cost exports (CSV or Parquet, versions 1.0 to 1.4) -> ``raw_focus__charges``.

Money never passes through a float: every amount is read as text and becomes a decimal with 15 places. Columns
are found by their FOCUS names; only the six without which a charge means nothing are demanded, so that one
reader covers all versions and providers' leanings. What a charge means to a service belongs in ``links.cost``.

The names are in ``focus_columns``, the readers of the two formats in ``focus_sheets``, text to values in
``focus_values``.
"""

from collections.abc import Iterable, Iterator
from datetime import datetime
from io import BytesIO
from typing import IO

import numpy as np
import polars as pl

from weaver_forge.contracts.batch import Batch, Frame, Rejected
from weaver_forge.contracts.tables.cost import RAW_FOCUS_CHARGES
from weaver_forge.decode.focus_columns import (
    AMOUNTS,
    COLUMNS,
    DEMANDED,
    INSTANTS,
    FileRefused,
    export_name,
    refuse_unfit,
    version_of,
)
from weaver_forge.decode.focus_sheets import Sheet, read_sheets
from weaver_forge.decode.focus_values import amounts, first_given, instants

_FILE = "file"

__all__ = ["decode", "decode_chunks", "export_name", "is_refused"]


def decode(frames: Iterable[Frame], *, received_at: datetime) -> Batch:
    """Decode whole cost exports at once; see :func:`decode_chunks`. A file that is refused gives no row."""
    kept = list[Batch]()
    for frame in frames:
        batches = list(decode_chunks(frame.name, BytesIO(frame.data), received_at=received_at))
        kept += batches[-1:] if is_refused(batches[-1]) else batches
    tables = [table for batch in kept for table in batch.tables.values()]
    return Batch(
        {RAW_FOCUS_CHARGES.name: pl.concat(tables)} if tables else {},
        tuple(piece for batch in kept for piece in batch.rejected),
        tuple(note for batch in kept for note in batch.notes),
    )


def is_refused(batch: Batch) -> bool:
    """Whether a block is the refusal of its whole file, so that nothing of the file is to be stored."""
    return any(piece.position == _FILE for piece in batch.rejected)


def decode_chunks(name: str, stream: IO[bytes], *, received_at: datetime) -> Iterator[Batch]:
    """Decode one cost export block after block: memory does not grow with the file.

    A file that turns out to be broken further in ends with its refusal (see :func:`is_refused`).

    The key of a row is its export, billing period and number in the file. An export is provider, billing account and
    file name without dates: a file that restates a period replaces what the same export said of it, and nothing that
    another account or provider said. Rows that are refused say ``row N``, counted from 1 below the header.

    Args:
        name: The file's path; gives the export's name.
        stream: The decompressed file from its beginning.
        received_at: Modification time of the file, naive UTC.
    """
    try:
        for sheet in read_sheets(name, stream):
            refuse_unfit(sheet.header)
            table, refused = _rows(name, sheet, version_of(sheet.header), received_at)
            yield Batch({RAW_FOCUS_CHARGES.name: table}, (*sheet.rejected, *refused), sheet.notes)
    except FileRefused as error:
        yield Batch(rejected=(Rejected(name, _FILE, str(error)),))


def _rows(name: str, sheet: Sheet, version: str, received_at: datetime) -> tuple[pl.DataFrame, list[Rejected]]:
    """Rows of the contract, and a Rejected for every row that cannot be one."""
    reasons: dict[int, str] = {}
    texts = {column: first_given(sheet, names, reasons) for column, names in COLUMNS.items()}
    values: dict[str, pl.Series] = dict(texts)
    for column in AMOUNTS:
        values[column] = amounts(texts[column], COLUMNS[column][0], reasons)
    for column in INSTANTS:
        values[column] = instants(texts[column], COLUMNS[column][0], reasons)
    for column in DEMANDED:
        for row in texts[column].is_null().arg_true():
            reasons.setdefault(row, f"{COLUMNS[column][0]} is empty")
    period = pl.coalesce("billing_period_start", pl.col("charge_period_start").dt.truncate("1mo"))
    table = pl.DataFrame(values).with_columns(
        period.alias("billing_period_start"),
        pl.col("provider_name").fill_null("unknown"),
        sheet.row_numbers.alias("row_number"),
        pl.lit(version).alias("focus_version"),
        pl.lit(received_at).cast(pl.Datetime("us")).alias("received_at"),
    )
    account = pl.col("billing_account_id").fill_null("")
    export = pl.concat_str(pl.col("provider_name"), account, pl.lit(export_name(name)), separator="/")
    rejected = [
        Rejected(name, f"row {sheet.row_numbers[row] + 1}", reason, _shown(texts, row))
        for row, reason in sorted(reasons.items())
    ]
    keep = np.ones(len(sheet.row_numbers), dtype=bool)
    keep[list(reasons)] = False
    named = table.with_columns(export=export)
    return named.filter(pl.Series(keep)).select(RAW_FOCUS_CHARGES.column_names), rejected


def _shown(texts: dict[str, pl.Series], row: int) -> str:
    return ", ".join(f"{column}={texts[column][row]}" for column in DEMANDED)[:4000]
