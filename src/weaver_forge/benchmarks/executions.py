"""Rows of test results as text -> executions: what can be measured, and a note on everything that cannot.

Put here what the formats of test histories share about single rows: what a verdict, a duration, an instant and the
order of runs are in text. Which columns hold them is ``test_history``'s business. Nothing is left out or replaced
without a note that counts it.
"""

import polars as pl

from weaver_forge.errors import SourceError

LONGEST_MS = 366 * 86_400_000
"""A test that took more than a year is a wrong number."""

MOSTLY = 0.9
"""Share of numbers among ids from which on the others are broken; below it ids are words."""

_OFFSET = r"([+-]\d{2}):?(\d{2})$"
_INSTANT = r"^(\d{4}-\d{2}-\d{2})[T ](\d{2}:\d{2}:\d{2})"


def judged(
    name: str, rows: pl.DataFrame, needed: tuple[str, ...], notes: list[str], *, verdict: str, milliseconds: pl.Expr
) -> pl.DataFrame:
    """Rows with ``failed`` and ``duration_ms``; those without a verdict or what else is needed are left out.

    Args:
        name: The file, for messages.
        rows: As text, in the order of the file.
        needed: Columns without which a row says nothing.
        notes: Where it is told what was left out or replaced.
        verdict: Column that is 0 where the test passed and more where it failed; ``true`` and ``false`` also do.
        milliseconds: How long the test took. Where no time is shown it took hardly any, and counts as 0.

    Raises:
        SourceError: If no row is left.
    """
    said = number(pl.col(verdict).str.to_lowercase().replace({"true": "1", "false": "0"}))
    failed = pl.when(said.is_finite() & (said >= 0)).then(said > 0)
    marked = rows.with_row_index("line", offset=2).with_columns(failed=failed, duration_ms=milliseconds)
    good = whole(name, marked, (*needed, "failed"), notes, what=f"a {verdict} of 0 or more")
    took = pl.col("duration_ms")
    known = (took.is_finite() & (took >= 0) & (took <= LONGEST_MS)).fill_null(value=False)
    timeless = good.filter(~known)
    if timeless.height:
        notes.append(
            f"{name}:{timeless['line'][0]}: {timeless.height} of {good.height} durations are missing, below zero or "
            "above a year, and count as 0 ms"
        )
    return good.with_columns(duration_ms=pl.when(known).then(took).otherwise(0.0)).drop("line")


def whole(name: str, rows: pl.DataFrame, needed: tuple[str, ...], notes: list[str], *, what: str = "") -> pl.DataFrame:
    """Rows in which nothing needed is null; the others are counted in the notes, blank lines are not.

    Args:
        name: The file, for messages.
        rows: With ``line``, or else in the order of the file.
        needed: Columns without which a row says nothing.
        notes: Where it is told what was left out.
        what: The last of these columns in words.

    Raises:
        SourceError: If no row is left.
    """
    lined = rows if "line" in rows.columns else rows.with_row_index("line", offset=2)
    has = pl.all_horizontal(pl.col(needed).is_not_null())
    good, others = lined.filter(has), lined.filter(~has, pl.any_horizontal(pl.exclude("line").is_not_null()))
    lacking = f"without {', '.join(needed[:-1])} or {what or needed[-1]}"
    if good.is_empty():
        where = f"{name}:{others['line'][0]}" if others.height else name
        what_is = f"all {others.height} rows are {lacking}" if others.height else "there are no rows"
        raise SourceError(what_is, where=where, do="Fill them in, or remove the file")
    if others.height:
        notes.append(f"{name}:{others['line'][0]}: {others.height} of {rows.height} rows {lacking} were left out")
    return good if "line" in rows.columns else good.drop("line")


def placed(name: str, rows: pl.DataFrame, column: str, notes: list[str]) -> pl.DataFrame:
    """Rows with ``place``, the place in time that their id has among all: 0, 1, ...; equal numbers are one place.

    Ids are numbers that grow with time. Where most are words, the order of the file stands for time.
    """
    value = pl.coalesce(
        pl.col(column).str.strip_chars().cast(pl.Int64, strict=False),
        number(pl.col(column)).cast(pl.Int64, strict=False),
    )
    numbered = rows.with_columns(id_number=value)
    words = numbered.filter(pl.col("id_number").is_null())
    n = f"{words.height} of {rows.height} rows"
    if words.height > (1 - MOSTLY) * rows.height:
        notes.append(f"{name}: {column} is no number in {n}, so the order of the file is taken for that of time")
        first = rows.select(column).unique(maintain_order=True).with_row_index("place")
        return rows.join(first, on=column, maintain_order="left").with_columns(pl.col("place").cast(pl.Int64))
    if words.height:
        notes.append(f"{name}: {n} were left out, their {column} is no number ({words[column][0]!r})")
    place = (pl.col("id_number").rank("dense") - 1).cast(pl.Int64)
    return numbered.filter(pl.col("id_number").is_not_null()).with_columns(place=place).drop("id_number")


def instant(text: pl.Expr) -> pl.Expr:
    """``2019-08-06 21:00:17 UTC`` or ``2022-04-06T12:43:00+02:00`` as a naive UTC timestamp; null when neither."""
    trimmed = text.str.strip_chars()
    clock = pl.concat_str(trimmed.str.extract(_INSTANT, 1), pl.lit(" "), trimmed.str.extract(_INSTANT, 2))
    hours = trimmed.str.extract(_OFFSET, 1).cast(pl.Int64, strict=False)
    minutes = trimmed.str.extract(_OFFSET, 2).cast(pl.Int64, strict=False)
    ahead = pl.duration(minutes=hours * 60 + pl.when(hours < 0).then(-minutes).otherwise(minutes))
    at = clock.str.to_datetime("%Y-%m-%d %H:%M:%S", time_unit="us", strict=False)
    # Only what follows a time is an offset: the end of a bare date looks like one.
    return pl.when(trimmed.str.contains(r":\d{2}(\.\d+)?[+-]\d{2}:?\d{2}$")).then(at - ahead).otherwise(at)


def epoch_or_instant(text: pl.Expr) -> pl.Expr:
    """Seconds since 1970 or an instant in text as a naive UTC timestamp; null when neither."""
    epoch = pl.from_epoch(text.str.strip_chars().cast(pl.Int64, strict=False)).cast(pl.Datetime("us"))
    return pl.coalesce(epoch, instant(text))


def number(text: pl.Expr) -> pl.Expr:
    """Text as a number; null where it is none."""
    return text.str.strip_chars().cast(pl.Float64, strict=False)
