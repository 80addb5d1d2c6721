"""The ledger's predictions, outcomes and decisions as the columns that trials of an action are made of.

Put here how millions of rows get from the database into a frame, whole or only what was added. What is remembered
between assessments is ``gathering``'s, what makes a trial ``autonomy.trials``', what follows ``autonomy.standing``'s.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import polars as pl

from weaver_forge.autonomy.trials import ROWS
from weaver_forge.contracts.decision import SubjectKind
from weaver_forge.contracts.values import Level
from weaver_forge.ledger import columns
from weaver_forge.ledger.chain import GENESIS

if TYPE_CHECKING:
    from weaver_forge.ledger.reading import Reading

PLACE = ("batch_seq", "position")
"""Where a row stands in the chain."""

_SAID = (*PLACE, "unit", "subject", "predicted_at", "origin", "probability", "q_975", "data_as_of")
_SEEN = ("outcome", "maturity", "outcome_known_at", "cost")
_DECIDED = (*PLACE, "unit", "hook", "level", "scope", "applied", "held_out", "exit_code")

NO_DURATION = pl.lit(None, dtype=pl.Float64).alias("duration_ms")
"""Where no threshold depends on it."""

_AT_ONCE = 100
"""Conditions in one query."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Which:
    """A kind's record up to a place of the chain: what is written meanwhile is as if it were not there.

    Args:
        decision: Its name.
        entity: Of its subjects.
        until: The last batch that counts.
    """

    decision: str
    entity: str
    until: int

    @property
    def named(self) -> dict[str, Any]:
        """As parameters of a query."""
        return {"d": self.decision, "e": self.entity, "until": self.until}


def trial_rows(ledger: "Reading", decision: str, kind: SubjectKind, *, durations: bool = False) -> pl.DataFrame:
    """A row a prediction of a decision's kind, in the order of the chain.

    Args:
        ledger: Where they are.
        decision: Its name.
        kind: Of its subjects.
        durations: Whether ``duration_ms`` is wanted; else it is null.

    Returns:
        In the shape of :data:`~weaver_forge.autonomy.trials.ROWS`.
    """
    which = Which(decision=decision, entity=kind.entity, until=newest_link(ledger)[0])
    said = whole(ledger, which)
    lasted = lasting(said.with_columns(same(kind))) if durations else NO_DURATION
    return as_rows(said.with_columns(lasted), kind, acted(decided(ledger, which), approved(ledger, which)))


def newest_link(ledger: "Reading", at: int | None = None) -> tuple[int, str]:
    """Number and hash of a link of the chain, the newest one where none is named; 0 where there is none."""
    found = ledger.select(_NEWEST_LINK) if at is None else ledger.select(_LINK, {"at": at})
    return (found[0][0], found[0][1]) if found else (0, GENESIS)


def whole(ledger: "Reading", which: Which) -> pl.DataFrame:
    """Every prediction of a kind with its newest outcome, in the order of the chain."""
    return columns.predicted(
        ledger, which.decision, which.entity, until=which.until, columns=_SAID, outcome=_SEEN
    )  # fmt: skip


def added(ledger: "Reading", which: Which, after: int) -> pl.DataFrame:
    """The predictions that came after a batch, as :func:`whole` gives them."""
    return _said(ledger, which, f"r.batch_seq > :after and {_OF_KIND}", {"after": after})


def seen(ledger: "Reading", which: Which, after: int) -> pl.DataFrame:
    """The earlier predictions of whose outcome more was said after a batch, as :func:`whole` gives them."""
    theirs = "select n.prediction_id from outcomes n where n.batch_seq > :after and n.batch_seq <= :until"
    condition = f"r.batch_seq <= :after and r.prediction_id in ({theirs}) and {_OF_KIND}"
    return _said(ledger, which, condition, {"after": after})


def of_units(ledger: "Reading", which: Which, units: Sequence[str]) -> pl.DataFrame:
    """The predictions of some units, as :func:`whole` gives them."""
    parts = []
    for some in _shared_out(units):
        names = {f"u{number}": unit for number, unit in enumerate(some)}
        listed = ", ".join(f":{name}" for name in names)
        parts.append(_said(ledger, which, f"r.decision = :d and r.entity || '' = :e and r.unit in ({listed})", names))
    return pl.concat([_said(ledger, which, "1 = 0 and r.decision = :d and r.entity = :e", {}), *parts]).sort(PLACE)


def at_places(ledger: "Reading", which: Which, places: pl.DataFrame) -> pl.DataFrame:
    """The predictions at some places of the chain, as :func:`whole` gives them."""
    parts = [
        _said(ledger, which, f"({' or '.join(some)}) and {_OF_KIND}", {}) for some in _shared_out(_stretches(places))
    ]
    return pl.concat([_said(ledger, which, "1 = 0 and r.decision = :d and r.entity = :e", {}), *parts]).sort(PLACE)


def decided(ledger: "Reading", which: Which, after: int = -1) -> pl.DataFrame:
    """What was decided after a batch, in the order of the chain."""
    made = columns.frame(
        ledger,
        "decisions",
        f"where r.batch_seq > :after and r.batch_seq <= :until and {_OF_KIND}",
        {**which.named, "after": after},
        columns=_DECIDED,
    )
    return made.sort(PLACE)


def approved(ledger: "Reading", which: Which, after: int = -1) -> pl.DataFrame:
    """Units and hooks at which somebody let something through after a batch."""
    made = columns.frame(
        ledger,
        "approvals",
        "where r.batch_seq > :after and r.batch_seq <= :until and r.decision = :d",
        {"d": which.decision, "until": which.until, "after": after},
        columns=("unit", "hook"),
    )
    return made.unique(maintain_order=True)


def newest_decided(rows: pl.DataFrame) -> pl.DataFrame:
    """The newest decision of each hook about each unit: the one that holds."""
    return rows.unique(["unit", "hook"], keep="last", maintain_order=True)


def acted(decided: pl.DataFrame, approved: pl.DataFrame) -> pl.DataFrame:
    """A row a unit that a hook decided on: ``is_enforced``, with more than words; ``is_stopped``, it was held back.

    A person's yes lets a unit through, whatever the verdict: what follows is seen.
    """
    let_through = approved.unique().with_columns(is_approved=pl.lit(value=True))
    in_force = (pl.col("level") != Level.ASSISTED.value) & (pl.col("applied") | pl.col("held_out"))
    stopped = pl.col("applied") & (pl.col("exit_code") != 0) & ~pl.col("is_approved").fill_null(value=False)
    return (
        newest_decided(decided)
        .join(let_through, on=["unit", "hook"], how="left")
        .group_by("unit")
        .agg(in_force.any().alias("is_enforced"), stopped.any().alias("is_stopped"))
    )


def as_rows(said: pl.DataFrame, kind: SubjectKind, acted: pl.DataFrame) -> pl.DataFrame:
    """Predictions with their ``duration_ms`` as :data:`~weaver_forge.autonomy.trials.ROWS`."""
    rows = said.with_columns(cluster(kind), _closes_at(kind))
    rows = rows.join(acted, on="unit", how="left", maintain_order="left").with_columns(
        pl.col("is_enforced", "is_stopped").fill_null(value=False)
    )
    return rows.select(list(ROWS)).cast(ROWS)


def cluster(kind: SubjectKind) -> pl.Expr:
    """What is independent evidence of something else: an instant counts by its day."""
    instants = _instants(kind)
    parts = [_of_subject(n).str.slice(0, 10) if n in instants else _of_subject(n) for n in kind.judged_per]
    made = pl.concat_str(parts, separator="|") if parts else pl.col("unit")
    return made.alias("cluster")


def same(kind: SubjectKind) -> pl.Expr:
    """What was there before, as one text: the same test, whatever the revision; null where nothing comes again."""
    names: Sequence[str] = [name for name in kind.key_names if name not in {*_instants(kind), "revision"}]
    if not names or names == list(kind.decided_per):
        return pl.lit(None, dtype=pl.String).alias("same")
    return pl.concat_str([_of_subject(name) for name in names], separator="\0").alias("same")


def lasting(rows: pl.DataFrame) -> pl.Series:
    """``duration_ms``: what the same thing took on average before, in ms. What it takes this time nobody knew.

    Args:
        rows: ``same``, ``predicted_at`` and ``cost``, in the order of the chain.
    """
    known = pl.col("cost").is_not_null().cum_sum()
    mean = pl.col("cost").fill_null(0.0).cum_sum() / known
    before = pl.when(pl.col("same").is_not_null() & (known > 0)).then(mean).shift(1)
    return rows.select(before.over("same", order_by="predicted_at").alias("duration_ms"))["duration_ms"]


def _said(ledger: "Reading", which: Which, condition: str, parameters: Mapping[str, Any]) -> pl.DataFrame:
    """Some predictions with their newest outcomes. Outcomes are sought by prediction: for few of many."""
    named = {**which.named, **parameters}
    mine = f"{condition} and r.batch_seq <= :until"
    said = columns.frame(ledger, "predictions", f"where {mine}", named, columns=("prediction_id", *_SAID))
    theirs = f"select p.prediction_id from predictions p where {mine.replace('r.', 'p.')}"  # noqa: S608 - from the constants of this module
    outcomes = columns.frame(
        ledger,
        "outcomes",
        f"where r.prediction_id in ({theirs}) and r.batch_seq <= :until",
        named,
        columns=(*PLACE, "prediction_id", *_SEEN),
    )
    newest = columns.newest_of(outcomes, _SEEN)
    rows = said.sort(PLACE).join(newest, on="prediction_id", how="left", maintain_order="left")
    return rows.select(*_SAID, *_SEEN)


def _stretches(places: pl.DataFrame) -> list[str]:
    """Neighbouring places as conditions: the rows of one batch mostly come together."""
    runs = (
        places.unique()
        .sort(PLACE)
        .with_columns(run=pl.col("position") - pl.int_range(pl.len()).over("batch_seq"))
        .group_by("batch_seq", "run", maintain_order=True)
        .agg(pl.col("position").min().alias("first"), pl.col("position").max().alias("last"))
    )
    return [
        f"(r.batch_seq = {batch} and r.position between {first} and {last})"
        for batch, _, first, last in runs.iter_rows()
    ]


def _shared_out(texts: Sequence[str]) -> Iterator[Sequence[str]]:
    return (texts[first : first + _AT_ONCE] for first in range(0, len(texts), _AT_ONCE))


def _closes_at(kind: SubjectKind) -> pl.Expr:
    """The end of the day that a cluster covers; before, it may gain further units."""
    days = [name for name in kind.judged_per if name in _instants(kind)]
    if not days:
        return pl.lit(None, dtype=pl.Datetime("us")).alias("closes_at")
    day = _of_subject(days[0]).str.slice(0, 10).str.to_datetime("%Y-%m-%d", time_unit="us")
    return (day + pl.duration(days=1)).alias("closes_at")


def _instants(kind: SubjectKind) -> set[str]:
    return {column.name for column in kind.key if column.type == "TIMESTAMP"}


def _of_subject(name: str) -> pl.Expr:
    return pl.col("subject").str.json_path_match(f"$.{name}").fill_null("")


_OF_KIND = "r.decision || '' = :d and r.entity || '' = :e"
"""Said so that no index of these is used: what was added is found by its place."""

_NEWEST_LINK = "-- grain: one link\nselect batch_seq, hash from chain order by batch_seq desc limit 1"

_LINK = "-- grain: one link\nselect batch_seq, hash from chain where batch_seq = :at"
