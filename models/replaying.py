"""A decision re-run over its past, point in time: what the production loop would have said at each step, and what came.

Put here how history is cut into steps and what may be known at each. Every step learns as production does
(``learning.learn``, its promotion rule and the named baseline) on labels whose outcome was known when the step begins,
and predicts from tables cut at the step's last prediction, one call a step. Whether features keep to what was known is
``leaks``' question; what policy would have made of the predictions is not asked here.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from models.learning import beside, compare, learn, mature_labels
from weaver_forge.contracts.decision import LABEL_COLUMNS, SubjectKind, Tables
from weaver_forge.contracts.values import Maturity

if TYPE_CHECKING:
    from collections.abc import Sequence

STEPS = 5
"""Times at which the method is learnt anew in a window where nothing else is asked."""

EXPECTED_DURATION = "expected_duration_ms"
"""A feature of this name says how long a subject is expected to take: what a threshold from costs needs."""


class CutTables(Mapping[str, pl.DataFrame]):
    """Core tables as they were at an instant: rows with ``known_at`` up to it; each is cut when first read."""

    def __init__(self, tables: Tables, at: datetime) -> None:
        self._tables, self._at = tables, at
        self._cut: dict[str, pl.DataFrame] = {}

    def __getitem__(self, name: str) -> pl.DataFrame:
        """Read a table up to the instant; one without ``known_at`` says nothing about time and stays whole."""
        if name not in self._cut:
            frame = self._tables[name]
            self._cut[name] = frame.filter(pl.col("known_at") <= self._at) if "known_at" in frame.columns else frame
        return self._cut[name]

    def __iter__(self) -> Iterator[str]:
        """Iterate over the names."""
        return iter(self._tables)

    def __len__(self) -> int:
        """Count the tables."""
        return len(self._tables)


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """Which part of the past.

    Args:
        until: Predictions for times up to it; naive UTC.
        since: From this time on; None where ``last`` decides.
        last: The newest decisions whose outcomes are all known; None for all of them since ``since``.
    """

    until: datetime
    since: datetime | None = None
    last: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One stretch of the window, with the method that was learnt before it began.

    Args:
        at: When it begins: nothing known later was learnt from.
        until: Its last prediction.
        n_learnt: Subjects with a label known by then.
        promoted: Whether the model spoke; else the baseline did.
        reason: Why, in words.
    """

    at: datetime
    until: datetime
    n_subjects: int
    n_learnt: int
    promoted: bool
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Replayed:
    """What would have been said, with what became of it.

    Args:
        rows: A row a subject: subject columns, prediction and baseline columns of what spoke, unit, the label columns
            as known now, ``model_name``, ``model_version``, ``is_baseline`` and ``expected_duration_ms``.
        compared: The same with the model's own numbers, whether it spoke or not: what scores are made from.
        features: The features of the same subjects.
        steps: Oldest first.
        n_open: Newer decisions that ``last`` passed over because their outcome is not known yet.
    """

    rows: pl.DataFrame
    compared: pl.DataFrame
    features: pl.DataFrame
    steps: tuple[Step, ...]
    n_open: int = 0


def replay(
    kind: SubjectKind, tables: Tables, window: Window, *, now: datetime, n_steps: int = STEPS, seed: int = 0
) -> Replayed:
    """Go through the window a step at a time.

    Args:
        kind: The subject kind.
        tables: Core tables, whole: they are cut here.
        window: The part of the past.
        now: Labels are what is known now; those that were learnt from, what was known at their step.
        n_steps: At most so many steps, of equally many prediction times.
        seed: Of fitting, the same at every step, as in production.
    """
    subjects = _past(kind, tables, window, now)
    labelled = _labelled(kind, tables, subjects, now)
    chosen, n_open = _chosen(kind, labelled, window)
    seen: list[pl.DataFrame] = []
    said: list[tuple[pl.DataFrame, pl.DataFrame]] = []
    steps = []
    for part in _cut(chosen, n_steps):
        step, spoke, model = _step(kind, tables, part, seen, seed)
        steps.append(step)
        said.append((spoke, model))
    if not said:
        return Replayed(rows=pl.DataFrame(), compared=pl.DataFrame(), features=pl.DataFrame(), steps=(), n_open=n_open)
    features = pl.concat(seen, how="vertical_relaxed").join(chosen, on=kind.subject_columns, how="semi")
    known = chosen.select(*kind.subject_columns, *_LABELS)
    rows, compared = (
        pl.concat(frames, how="vertical_relaxed").join(
            known, on=kind.subject_columns, how="left", maintain_order="left"
        )
        for frames in zip(*said, strict=True)
    )
    return Replayed(rows=rows, compared=compared, features=features, steps=tuple(steps), n_open=n_open)


_LABELS = tuple(column.name for column in LABEL_COLUMNS)


def _past(kind: SubjectKind, tables: Tables, window: Window, now: datetime) -> pl.DataFrame:
    """The subjects up to the window's end; a kind that looks back only so far is asked again from there."""
    within = pl.col("predicted_at") <= window.until
    found = kind.history(tables, now).filter(within)
    while not found.is_empty() and not _reaches(kind, found, window):
        oldest = found["predicted_at"].min()
        assert isinstance(oldest, datetime)
        older = kind.history(tables, oldest).filter(within, pl.col("predicted_at") < oldest)
        if older.is_empty():
            break
        found = pl.concat([older, found])
    return found


def _reaches(kind: SubjectKind, found: pl.DataFrame, window: Window) -> bool:
    if window.since is not None:
        oldest = found["predicted_at"].min()
        return isinstance(oldest, datetime) and oldest <= window.since
    return window.last is None or found.select(*kind.decided_per, "predicted_at").n_unique() >= 2 * window.last


def _labelled(kind: SubjectKind, tables: Tables, subjects: pl.DataFrame, now: datetime) -> pl.DataFrame:
    """Subjects with what is known of them now. While only bad outcomes can be known, the outcome counts as open."""
    if subjects.is_empty():
        return subjects
    labels = kind.labels(tables, subjects.select(kind.subject_columns), now)
    one_sided = pl.col("predicted_at") > now - kind.one_sided_for
    hidden = labels.with_columns(
        pl.when(one_sided).then(pl.lit(Maturity.PENDING.value)).otherwise("maturity").alias("maturity"),
        *(pl.when(~one_sided).then(pl.col(name)).alias(name) for name in ("outcome", "outcome_known_at")),
    )
    joined = subjects.select(kind.subject_columns).join(
        hidden.select(*kind.subject_columns, *_LABELS), on=kind.subject_columns, how="left", maintain_order="left"
    )
    return joined.with_columns(pl.col("maturity").fill_null(Maturity.PENDING.value))


def _chosen(kind: SubjectKind, labelled: pl.DataFrame, window: Window) -> tuple[pl.DataFrame, int]:
    """Subjects of the window, oldest first; of ``last`` whole decisions, all of whose outcomes are known."""
    if labelled.is_empty():
        return labelled, 0
    by = (*kind.decided_per, "predicted_at")
    inside = labelled if window.since is None else labelled.filter(pl.col("predicted_at") >= window.since)
    decisions = (
        inside.group_by(by)
        .agg(is_open=(pl.col("maturity") == Maturity.PENDING.value).any())
        .sort("predicted_at", *kind.decided_per)
    )
    n_open = 0
    if window.last is not None:
        settled = decisions.filter(~pl.col("is_open")).tail(window.last)
        first = settled["predicted_at"].min()
        if first is not None:
            n_open = decisions.filter(pl.col("is_open"), pl.col("predicted_at") >= first).height
        else:
            n_open = decisions.height
        decisions = settled
    return inside.join(decisions.select(by), on=by, how="semi").sort("predicted_at", *kind.key_names), n_open


def _cut(chosen: pl.DataFrame, n_steps: int) -> "Sequence[pl.DataFrame]":
    """Parts of equally many prediction times; one time is never in two parts."""
    if chosen.is_empty():
        return []
    times = chosen["predicted_at"].unique().sort()
    n = min(n_steps, len(times))
    edges = [times[len(times) * number // n] for number in range(n)]
    return [
        chosen.filter(pl.col("predicted_at") >= begin, *([pl.col("predicted_at") < end] if end is not None else []))
        for begin, end in zip(edges, [*edges[1:], None], strict=True)
    ]


def _step(
    kind: SubjectKind, tables: Tables, part: pl.DataFrame, seen: list[pl.DataFrame], seed: int
) -> tuple[Step, pl.DataFrame, pl.DataFrame]:
    """Learn at the step's beginning, then predict its subjects. Features are made once a subject, and kept."""
    at, until = part["predicted_at"][0], part["predicted_at"][-1]
    then = CutTables(tables, at)
    past = kind.history(then, at)
    features = _remembered(kind, then, past, seen)
    # Promotion is decided on the first metric; the others would only cost time at every step.
    learned = learn(replace(kind, metrics=kind.metrics[:1]), then, features, as_of=at, rng=np.random.default_rng(seed))
    judgement = learned.judgement
    asked = _remembered(kind, CutTables(tables, until), part, seen)
    compared = compare(kind, learned.model, learned.baseline, asked).rows
    if judgement.promoted:
        spoke, name = compared, kind.model.name
    else:
        own = kind.baseline.predict(learned.baseline, asked).rows
        spoke, name = beside(kind, own, own), kind.baseline.name
    version = f"replay-{at:%Y%m%dT%H%M%S}"
    marked = _with_duration(kind, spoke, asked).with_columns(
        model_name=pl.lit(name),
        model_version=pl.lit(version if judgement.promoted else f"baseline-{version}"),
        is_baseline=pl.lit(not judgement.promoted),
    )
    n_learnt = mature_labels(kind, then, features, as_of=at).height
    step = Step(
        at=at,
        until=until,
        n_subjects=part.height,
        n_learnt=n_learnt,
        promoted=judgement.promoted,
        reason=judgement.reason,
    )
    return step, marked, compared


def _remembered(kind: SubjectKind, tables: Tables, subjects: pl.DataFrame, seen: list[pl.DataFrame]) -> pl.DataFrame:
    """Features of the subjects in their order: those made at an earlier step, and the others in one call."""
    by = list(kind.subject_columns)
    known = pl.concat(seen, how="vertical_relaxed") if seen else None
    new = subjects.select(by) if known is None else subjects.select(by).join(known.select(by), on=by, how="anti")
    if not new.is_empty() or known is None:
        made = kind.features(tables, new)
        seen.append(made)
        known = made if known is None else pl.concat([known, made], how="vertical_relaxed")
    return subjects.select(by).join(known, on=by, how="inner", maintain_order="left")


def _with_duration(kind: SubjectKind, rows: pl.DataFrame, features: pl.DataFrame) -> pl.DataFrame:
    if EXPECTED_DURATION not in features.columns:
        return rows.with_columns(pl.lit(None, pl.Float64).alias(EXPECTED_DURATION))
    told = features.select(*kind.subject_columns, pl.col(EXPECTED_DURATION).cast(pl.Float64))
    return rows.join(told, on=kind.subject_columns, how="left", maintain_order="left")
