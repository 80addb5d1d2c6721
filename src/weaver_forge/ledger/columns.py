"""Many rows of a ledger as columns: a polars frame without a dict a row. Loads polars, which the base install lacks.

Put a query here that reads more than a page shows; ``queries`` names what there is. JSON stays text: who needs a
part of it decodes that with its type.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from weaver_forge.errors import ConfigurationError
from weaver_forge.ledger.columns_apart import Part, side_by_side
from weaver_forge.ledger.schema import OUTCOMES, LedgerColumn

if TYPE_CHECKING:
    import polars as pl

    from weaver_forge.ledger.reading import Reading

_ROWS = 50_000
"""Rows that are Python values at once."""

_APART = 200_000
"""Predictions from which on another process, which takes half a second to start, helps reading."""

_GOOD_PART = 3
"""Rows of a table to those that are wanted, up to which the whole table is read."""

OUTCOME = ("outcome", "outcome_known_at", "link_confidence", "cost")
"""What an outcome says about a prediction."""

_INSTANT = "%Y-%m-%dT%H:%M:%S%.6fZ"


def frame(
    ledger: "Reading",
    kind: str,
    where: str = "",
    parameters: Mapping[str, Any] | None = None,
    *,
    columns: Sequence[str] = (),
) -> "pl.DataFrame":
    """Rows of a kind as columns, instants as naive UTC, JSON as text.

    Args:
        ledger: The ledger.
        kind: The table; ``r`` in SQL.
        where: SQL after the table's name: where, order by.
        parameters: Values of the ``:named`` parameters.
        columns: Columns to give; all where empty.

    Raises:
        ConfigurationError: If polars is not installed.
        ContractError: If there is no such kind.
    """
    lib = _polars()
    wanted = [column for column in ledger.table(kind).stored if not columns or column.name in columns]
    listed = ", ".join(f'r."{column.name}"' for column in wanted)
    schema = {column.name: _type(lib, column) for column in wanted}
    sql = f'select {listed} from "{kind}" r {where}'  # noqa: S608 - names from schema.py, where from queries
    with ledger.one_view():
        parts = [
            lib.DataFrame(rows, schema=schema, orient="row") for rows in ledger.batches(sql, parameters, size=_ROWS)
        ]
    made: pl.DataFrame = lib.concat([lib.DataFrame(schema=schema), *parts])
    return made.with_columns(
        *(lib.col(c.name).str.to_datetime(_INSTANT, time_unit="us") for c in wanted if c.type == "TIMESTAMP"),
        *(lib.col(c.name).cast(lib.Boolean) for c in wanted if c.type == "BOOLEAN"),
    )


def resolved(
    ledger: "Reading",
    decision: str,
    entity: str,
    *,
    origin: str | None = None,
    columns: Sequence[str] = (),
    outcome: Sequence[str] = OUTCOME,
) -> "pl.DataFrame":
    """Predictions with their newest outcome where that is mature, in the order of the chain.

    The same rows as ``queries.resolved``, which gives dicts.

    Args:
        ledger: The ledger.
        decision: The decision's name.
        entity: The subject kind.
        origin: Only of this origin.
        columns: Columns of the prediction; all where empty.
        outcome: Columns of the outcome, which come behind: of :data:`OUTCOME`.
    """
    lib = _polars()
    mine = "r.decision = :d and r.entity = :e" + (" and r.origin = :o" if origin else "")
    parameters = {"d": decision, "e": entity} | ({"o": origin} if origin else {})
    wanted = [c.name for c in ledger.table("predictions").stored if not columns or c.name in columns]
    predictions, newest = _both(ledger, mine, parameters, wanted, outcome)
    found: pl.DataFrame = predictions.join(
        newest.filter(lib.col("maturity") == "mature"), on="prediction_id", how="inner", maintain_order="left"
    ).select(*wanted, *outcome)
    return found


def predicted(
    ledger: "Reading", decision: str, entity: str, *, until: int, columns: Sequence[str], outcome: Sequence[str]
) -> "pl.DataFrame":
    """Every prediction with its newest outcome, also where there is none, in the order of the chain.

    Args:
        ledger: The ledger.
        decision: The decision's name.
        entity: The subject kind.
        until: The last batch that counts: later rows of either kind are as if they were not there.
        columns: Columns of the prediction.
        outcome: Columns of the outcome, which come behind.
    """
    mine = "r.decision = :d and r.entity = :e and r.batch_seq <= :until"
    parameters = {"d": decision, "e": entity, "until": until}
    predictions, newest = _both(ledger, mine, parameters, columns, outcome, until=until)
    found: pl.DataFrame = predictions.join(newest, on="prediction_id", how="left", maintain_order="left").select(
        *columns, *outcome
    )
    return found


def newest_of(outcomes: "pl.DataFrame", outcome: Sequence[str]) -> "pl.DataFrame":
    """The newest outcome of each prediction: by place in the chain, never by a clock."""
    return (
        outcomes.sort("batch_seq", "position")
        .unique("prediction_id", keep="last", maintain_order=True)
        .select("prediction_id", "maturity", *(name for name in outcome if name != "maturity"))
    )


def _both(
    ledger: "Reading",
    mine: str,
    parameters: Mapping[str, Any],
    wanted: Sequence[str],
    outcome: Sequence[str],
    until: int | None = None,
) -> "tuple[pl.DataFrame, pl.DataFrame]":
    """Predictions in the order of the chain, and the newest outcome of each."""
    lib = _polars()
    places = ("batch_seq", "position", "prediction_id")
    n_predictions = ledger.select(f"select count(*) from predictions r where {mine}", parameters)[0][0]  # noqa: S608 - from the callers above
    theirs, their_parameters = _of_these(ledger, n_predictions, mine, parameters)
    if until is not None:
        theirs = f"{theirs} and r.batch_seq <= :until" if theirs else "where r.batch_seq <= :until"
        their_parameters = {**their_parameters, "until": until}
    outcome_part = Part(OUTCOMES.kind, theirs, their_parameters, (*places, "maturity", *outcome))
    parts = [Part("predictions", half, parameters, (*wanted, *places)) for half in _halves(ledger, n_predictions, mine)]
    outcomes, *frames = side_by_side(ledger, [outcome_part, *parts], apart=n_predictions >= _APART)
    return lib.concat(frames).sort("batch_seq", "position"), newest_of(outcomes, outcome)


def _halves(ledger: "Reading", n_predictions: int, mine: str) -> tuple[str, ...]:
    """Two conditions that share the rows out, where there are enough of them for two processes."""
    if n_predictions < _APART or not ledger.file:
        return (f"where {mine}",)
    middle, n_all = ledger.select("select (min(rowid) + max(rowid)) / 2, count(*) from predictions")[0]
    # A good part of the table is read through in half the time that an index takes, which seeks every row of it.
    through = "not indexed " if n_all <= _GOOD_PART * n_predictions else ""
    return f"{through}where {mine} and r.rowid <= {middle}", f"{through}where {mine} and r.rowid > {middle}"


def _of_these(
    ledger: "Reading", n_predictions: int, mine: str, parameters: Mapping[str, Any]
) -> tuple[str, Mapping[str, Any]]:
    """Which outcomes to read: all of them where these predictions' are a good part, since seeking costs more."""
    n_outcomes = ledger.select("select count(*) from outcomes")[0][0]
    if n_outcomes <= _GOOD_PART * n_predictions:
        return "", {}
    theirs = mine.replace("r.", "p.")
    return f"where r.prediction_id in (select p.prediction_id from predictions p where {theirs})", parameters  # noqa: S608 - from the constants above


def _type(pl: Any, column: LedgerColumn) -> Any:
    types = {"DOUBLE": pl.Float64, "BIGINT": pl.Int64, "BOOLEAN": pl.Int8}
    return types.get(column.type, pl.String)


def _polars() -> Any:
    try:
        import polars as pl
    except ImportError as error:
        raise ConfigurationError(
            "reading the ledger as columns needs polars", where="ledger", do="Install weaver-forge[server]"
        ) from error
    return pl
