"""The gate that every frame passes on its way into the warehouse: exact columns, lossless casts, no nulls.

Put what makes a frame equal its contract here. What a declared type is in polars stands in
``contracts.dtypes``; whether rows already stored keep the contract is asked in ``checks``.
"""

from typing import Literal

import polars as pl
from polars.exceptions import PolarsError

from weaver_forge.contracts.coded import CODES, Coded
from weaver_forge.contracts.dtypes import schema
from weaver_forge.contracts.table import Table
from weaver_forge.errors import ContractError


def polars_schema(table: Table) -> dict[str, pl.DataType]:
    """Column name -> polars type, in declared order; a MAP is a list of structs of key and value."""
    return schema(table)


def conform(table: Table, frame: pl.DataFrame) -> pl.DataFrame:
    """Bring a frame into exactly the contract's shape, or refuse it.

    Columns come out in declared order and with declared types. An absent nullable column becomes null. Types
    are cast only where no value changes: never text to a number, a float to money, or a zoned instant.

    Raises:
        ContractError: If a column is unknown or missing, a cast would lose something, or a column that may
            not be null has nulls. The message names table, column and what was expected.
    """
    wanted = polars_schema(table)
    if dict(frame.schema) == wanted and frame.columns == list(wanted):
        return _without_nulls(table, frame)
    unknown = [name for name in frame.columns if name not in wanted]
    if unknown:
        raise ContractError(
            f"columns that the contract does not declare: {', '.join(unknown)}",
            where=table.name,
            do=f"Leave them out or declare them; declared: {', '.join(wanted)}",
        )
    missing = [c.name for c in table.columns if not c.nullable and c.name not in frame.columns]
    if missing:
        raise ContractError(
            f"columns are missing that may not be null: {', '.join(missing)}",
            where=table.name,
            do="Give them a value in every row, or declare them nullable",
        )
    columns = [
        _cast(table, frame[name], kind) if name in frame.columns else _nulls(name, kind, frame.height)
        for name, kind in wanted.items()
    ]
    return _without_nulls(table, pl.DataFrame(columns))


def conform_coded(table: Table, rows: Coded) -> Coded:
    """Rows with numbered maps, as a decoder of ours makes them: exactly the contract's shape, or refused.

    Raises:
        ContractError: If they are not, or a column that may not be null has nulls.
    """
    wanted = polars_schema(table) | dict.fromkeys(rows.words, CODES)
    if dict(rows.frame.schema) != wanted or rows.frame.columns != list(wanted):
        raise ContractError(
            "the columns of numbered rows are not the contract's", where=table.name, do="Spell the rows out"
        )
    _without_nulls(table, rows.frame)
    return rows


def one_a_key(table: Table, frame: pl.DataFrame, *, keep: Literal["first", "last"] = "first") -> pl.DataFrame:
    """The first or last row of each key, in the given order.

    Counting keys first is thirty times cheaper than ``unique`` on a wide frame, and most frames repeat none.
    """
    key = list(table.key)
    if frame.is_empty() or frame.n_unique(subset=key) == frame.height:
        return frame
    whole = pl.struct(key)
    return frame.filter(whole.is_first_distinct() if keep == "first" else whole.is_last_distinct())


def newest_last(table: Table, frame: pl.DataFrame) -> pl.DataFrame:
    """The frame with the newest report on each row last; the given order where nothing orders reports."""
    if not table.newest_by or frame.is_empty():
        return frame
    return frame.sort(table.newest_by_columns, nulls_last=False, maintain_order=True)


def without_older(table: Table, incoming: pl.DataFrame, stored: pl.DataFrame) -> pl.DataFrame:
    """The incoming rows that are not older, by ``newest_by``, than the stored row of their key.

    Args:
        table: Whose rows they are.
        incoming: One row a key, every column.
        stored: At most one row a key, key and ordering columns.
    """
    older, same = pl.lit(value=False), pl.lit(value=True)
    for name in table.newest_by_columns:
        new, old = pl.col(name), pl.col(f"{name}.stored")
        older |= same & old.is_not_null() & (new.is_null() | (new < old).fill_null(value=False))
        same &= new.eq_missing(old)
    marked = incoming.join(stored, on=table.key, how="left", suffix=".stored", maintain_order="left")
    return marked.filter(~older).select(incoming.columns)


def _nulls(name: str, kind: pl.DataType, height: int) -> pl.Series:
    return pl.Series(name, [None], dtype=kind).new_from_index(0, height) if height else pl.Series(name, [], dtype=kind)


def _cast(table: Table, values: pl.Series, wanted: pl.DataType) -> pl.Series:
    """Cast one column where that loses nothing: checked by casting back."""
    if values.dtype == wanted:
        return values
    if not _is_kin(values.dtype, wanted):
        raise ContractError(
            f"column {values.name} is {values.dtype}, expected {wanted}", where=table.name, do=_advice(wanted)
        )
    try:
        cast = values.cast(wanted, strict=True)
        changed = values.dtype.is_numeric() and (cast.cast(values.dtype, strict=True) != values).any()
        changed = changed or (values.dtype.is_temporal() and (cast.cast(values.dtype) != values).any())
    except PolarsError as error:
        raise ContractError(
            f"column {values.name} is {values.dtype} and does not fit {wanted}: {str(error).splitlines()[0]}",
            where=table.name,
            do=_advice(wanted),
        ) from error
    if changed:
        raise ContractError(
            f"column {values.name} is {values.dtype} and would lose precision as {wanted}",
            where=table.name,
            do=_advice(wanted),
        )
    return cast


def _is_kin(given: pl.DataType, wanted: pl.DataType) -> bool:
    """Whether a cast between the two can be meant at all."""
    if given == pl.Null:
        return True
    if wanted == pl.String:
        return isinstance(given, pl.Categorical | pl.Enum)
    if isinstance(wanted, pl.Decimal):
        return isinstance(given, pl.Decimal) or given.is_integer()
    if isinstance(wanted, pl.Datetime):
        return isinstance(given, pl.Datetime) and given.time_zone is None
    if isinstance(wanted, pl.List):
        return isinstance(given, pl.Map | pl.List)
    return wanted.is_numeric() and given.is_numeric()


def _advice(wanted: pl.DataType) -> str:
    if isinstance(wanted, pl.Datetime):
        return "Give naive UTC instants in microseconds; resolve zones where the data comes in"
    if isinstance(wanted, pl.Decimal):
        return "Give Decimal values; money is never a float"
    return "Cast it where the rows are made"


def _without_nulls(table: Table, frame: pl.DataFrame) -> pl.DataFrame:
    for column in table.columns:
        if not column.nullable and (count := frame[column.name].null_count()):
            raise ContractError(
                f"column {column.name} may not be null and is in {count} of {frame.height} rows",
                where=table.name,
                do="Reject such rows where they are decoded, or declare the column nullable",
            )
    return frame
