"""The decision contract: the one value that a package in ``models/`` exports.

Everything generic (features, training, evaluation, promotion, publishing, scoring, benchmark, gate, pages) is
written once against a :class:`DecisionSpec`. Adding a decision is a package and a line in ``weaver-forge.toml``.

Frames. ``features``, ``labels``, ``history`` and ``current`` exchange polars frames that always carry the
kind's key columns and ``predicted_at`` (UTC, naive timestamp). What a frame holds besides:

* features: the kind's feature columns, one row a subject, using only rows with ``known_at <= predicted_at``
  of *that* subject. A subject without history gets priors or nulls, never a missing row.
* labels: :data:`LABEL_COLUMNS`, one row a subject.
* predictions: :data:`OUTPUT_COLUMNS`, one row a subject, the same from the model and from the baseline.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal

from weaver_forge.contracts.keeping import Keeping
from weaver_forge.contracts.table import Column, Table

if TYPE_CHECKING:
    import numpy as np
    import polars as pl

Tables = Mapping[str, "pl.DataFrame"]
"""Core tables by name. Reading one that the spec does not declare in ``reads`` is a KeyError."""

Artifact = dict[str, Any]
"""A fitted method as plain JSON-able data: numbers, strings, lists, dicts. Loads without scikit-learn."""

PREDICTED_AT = Column(
    "predicted_at", "TIMESTAMP", "The time the prediction is for: nothing known later may be used, UTC."
)

LABEL_COLUMNS: tuple[Column, ...] = (
    Column(
        "outcome",
        "DOUBLE",
        "1 or 0 for events, the observed value for quantities; null unless mature.",
        nullable=True,
    ),
    Column("maturity", "VARCHAR", "pending, mature or unresolvable, as of the asked time."),
    Column(
        "outcome_known_at",
        "TIMESTAMP",
        "When the outcome became knowable, UTC; null unless mature.",
        nullable=True,
    ),
    Column("link_method", "VARCHAR", "How outcome and subject were joined."),
    Column("link_confidence", "DOUBLE", "0-1."),
    Column(
        "cost",
        "DOUBLE",
        "Duration in ms or effort in lines, for cost-aware metrics; null where there is none.",
        nullable=True,
    ),
)

FLAKY = "flaky"
"""A label whose ``link_method`` ends so was seen with both outcomes: neither a real failure nor a success."""

OUTPUT_COLUMNS: tuple[Column, ...] = (
    Column(
        "probability",
        "DOUBLE",
        "Calibrated probability that it goes wrong, 0-1; null for quantities.",
        nullable=True,
    ),
    Column("value", "DOUBLE", "Point prediction (median) of a quantity; null for events.", nullable=True),
    Column("q_025", "DOUBLE", "2.5 % quantile of a quantity.", nullable=True),
    Column("q_100", "DOUBLE", "10 % quantile.", nullable=True),
    Column("q_900", "DOUBLE", "90 % quantile.", nullable=True),
    Column("q_975", "DOUBLE", "97.5 % quantile.", nullable=True),
    Column(
        "score",
        "DOUBLE",
        "Order within a decision, higher first; null where the probability orders.",
        nullable=True,
    ),
    Column("evidence", "VARCHAR", "JSON list of {fact, contribution, link}; facts in words, strongest first."),
)

BASELINE_COLUMNS: tuple[Column, ...] = (
    Column(
        "baseline_probability",
        "DOUBLE",
        "The named baseline's probability for the same subject.",
        nullable=True,
    ),
    Column("baseline_value", "DOUBLE", "The named baseline's point prediction.", nullable=True),
    Column("baseline_score", "DOUBLE", "The named baseline's order.", nullable=True),
)

PROVENANCE_COLUMNS: tuple[Column, ...] = (
    Column("prediction_id", "VARCHAR", "UUIDv7; the id in the ledger."),
    Column("origin", "VARCHAR", "live, replay or simulated."),
    Column("model_name", "VARCHAR", "Method that made it; the baseline's name where no model was promoted."),
    Column("model_version", "VARCHAR", "Registered version, or baseline-<fit time>."),
    Column("is_baseline", "BOOLEAN", "True where the baseline was published because no model beat it."),
    Column("baseline_name", "VARCHAR", "The named naive baseline."),
    Column("made_at", "TIMESTAMP", "When it was computed, UTC."),
    Column("data_as_of", "TIMESTAMP", "Newest known_at of the data behind it, UTC."),
    Column("resolve_by", "TIMESTAMP", "When its outcome must be known, UTC."),
    Column("feature_sha256", "VARCHAR", "Hash of the feature row."),
    Column("sources_missing", "VARCHAR", "JSON list of sources that were absent and would have been used."),
)

CANDIDATE_COLUMNS: tuple[Column, ...] = (
    Column("candidate", "VARCHAR", "The cause, file or test."),
    Column("rank", "INTEGER", "1 = most likely."),
    Column("probability", "DOUBLE", "Share of belief, 0-1."),
    Column("evidence", "VARCHAR", "JSON list of {fact, contribution, link}."),
)


@dataclass(frozen=True, slots=True)
class Predictions:
    """What a method says: one row a subject, and candidates where the decision ranks any.

    Args:
        rows: key, ``predicted_at`` and :data:`OUTPUT_COLUMNS`; absent output columns mean null.
        candidates: key, ``predicted_at`` and :data:`CANDIDATE_COLUMNS`, or None.
    """

    rows: "pl.DataFrame"
    candidates: "pl.DataFrame | None" = None


@dataclass(frozen=True, slots=True)
class Method:
    """A way to predict, named by what it does. The model and the baseline are both one of these.

    Args:
        name: snake_case, by method ("seasonal_naive"), never by hope.
        fit: ``(features, labels, rng) -> artifact``. Labels are joined by key and predicted_at and all mature.
            Must return an artifact for an empty history too: a stated prior.
        predict: ``(artifact, features) -> Predictions``.
        orders: ``(artifact, features) -> key, predicted_at and score_<objective>``, where a method orders for several
            objectives; None: it has one order.
    """

    name: str
    fit: "Callable[[pl.DataFrame, pl.DataFrame, np.random.Generator], Artifact]"
    predict: "Callable[[Artifact, pl.DataFrame], Predictions]"
    orders: "Callable[[Artifact, pl.DataFrame], pl.DataFrame] | None" = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Action:
    """An action class: something that hooks may do on predictions of a kind, and what makes it right.

    Args:
        name: Verb and object in snake_case ("hold_deployment"), unique within the decision.
        on: ``high``: taken from a probability on, right where the outcome is 1. ``low``: taken below a probability,
            right where the outcome is 0. ``upper``: capacity for the 97.5 % quantile, right where the observed value
            does not exceed it.
        doc: What a hook does, in words.
        hides_outcome: Taking it keeps what was predicted from happening, so that what follows shows nothing: a change
            that was not merged breaks nothing.
    """

    name: str
    on: Literal["high", "low", "upper"]
    doc: str
    hides_outcome: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class SubjectKind:
    """One kind of subject of a decision, with its label, features and methods.

    Args:
        entity: Plural noun; names the tables ``feat_<decision>__<entity>`` and ``pred_<decision>__<entity>``.
        key: Columns that identify a subject.
        decided_per: The key columns that one decision covers (a ranking decides once per repo and revision).
        judged_per: The key columns that the bootstrap draws as one: neighbouring windows of a service are no
            independent evidence. An instant among them counts by its day. Empty = decided_per.
        predicts: An event (probability) or a quantity (value and quantiles).
        label: What counts as going wrong, in words.
        maturity: When the label may be used, in words.
        link: How outcome and subject are joined, in words.
        resolve_after: ``resolve_by = predicted_at + resolve_after``.
        one_sided_for: Until this long after predicted_at only bad outcomes can be mature (a change is blamed
            early, cleared late). Learning and judging leave such subjects out: they would all look bad.
        feature_columns: What ``features`` adds to key and predicted_at.
        history: ``(tables, as_of) -> key + predicted_at``: past subjects to learn and be judged on. Other columns are
            what is known with the question (the branch of a run); ``features`` must do without them too.
        current: ``(tables, as_of) -> key + predicted_at``: subjects to predict now (outcome not yet knowable).
        features: ``(tables, subjects) -> features``.
        labels: ``(tables, subjects, as_of) -> labels``; uses only rows with ``known_at <= as_of``.
        metrics: Names in ``weaver_forge.metrics``; promotion is decided on the first.
        candidates: What the candidate rows are ("service that caused it"); empty when there are none.
        actions: Action classes that hooks may take on it, each of which earns its own level.
        keeping: What is kept of the past for questions about now; None: each reads the history.
    """

    entity: str
    key: tuple[Column, ...]
    decided_per: tuple[str, ...]
    predicts: Literal["event", "quantity"]
    label: str
    maturity: str
    link: str
    resolve_after: timedelta
    feature_columns: tuple[Column, ...]
    history: "Callable[[Tables, datetime], pl.DataFrame]"
    current: "Callable[[Tables, datetime], pl.DataFrame]"
    features: "Callable[[Tables, pl.DataFrame], pl.DataFrame]"
    labels: "Callable[[Tables, pl.DataFrame, datetime], pl.DataFrame]"
    baseline: Method
    model: Method
    metrics: tuple[str, ...]
    candidates: str = ""
    judged_per: tuple[str, ...] = ()
    one_sided_for: timedelta = timedelta(0)
    actions: tuple[Action, ...] = ()
    keeping: Keeping | None = None

    @property
    def key_names(self) -> tuple[str, ...]:
        """Names of the key columns."""
        return tuple(column.name for column in self.key)

    @property
    def subject_columns(self) -> tuple[str, ...]:
        """Key columns and predicted_at: what identifies a row of features, labels or predictions."""
        return (*self.key_names, PREDICTED_AT.name)


@dataclass(frozen=True, slots=True, kw_only=True)
class DecisionSpec:
    """A decision: its name, what it reads, and its subject kinds.

    Args:
        name: One word in snake_case, the same in folder, registry, CLI, ledger and tests.
        summary: One sentence for people.
        reads: Core tables that history, current, features and labels may use.
        sources: Source name -> what is lost without it, in words ("git": "nothing can be predicted").
        score_unit: What the number means ("probability of a failure", "requests per minute").
        kinds: At least one.
    """

    name: str
    summary: str
    reads: tuple[Table, ...]
    sources: Mapping[str, str]
    score_unit: str
    kinds: tuple[SubjectKind, ...]

    def kind(self, entity: str) -> SubjectKind:
        """The kind with this entity.

        Raises:
            KeyError: If there is none.
        """
        for kind in self.kinds:
            if kind.entity == entity:
                return kind
        raise KeyError(f"{self.name} has no subject kind {entity!r}; it has {[k.entity for k in self.kinds]}")


def feature_table(spec: DecisionSpec, kind: SubjectKind) -> Table:
    """``feat_<decision>__<entity>``: the past subjects to learn from, one row a subject and prediction time."""
    return Table(
        layer="feat",
        source=spec.name,
        entity=kind.entity,
        grain=f"past subject of {spec.name} and prediction time",
        columns=(*kind.key, PREDICTED_AT, *kind.feature_columns),
        key=kind.subject_columns,
    )


def prediction_table(spec: DecisionSpec, kind: SubjectKind) -> Table:
    """``pred_<decision>__<entity>``: the newest prediction a subject and prediction time."""
    return Table(
        layer="pred",
        source=spec.name,
        entity=kind.entity,
        grain=f"published prediction of {spec.name}",
        columns=(*kind.key, PREDICTED_AT, *OUTPUT_COLUMNS, *BASELINE_COLUMNS, *PROVENANCE_COLUMNS),
        key=kind.subject_columns,
        replace_by=kind.subject_columns,
    )


def candidate_table(spec: DecisionSpec, kind: SubjectKind) -> Table:
    """``pred_<decision>__<entity>_candidates``: ranked causes, files or tests of a prediction."""
    return Table(
        layer="pred",
        source=spec.name,
        entity=f"{kind.entity}_candidates",
        grain=f"candidate of a published prediction of {spec.name}",
        columns=(*kind.key, PREDICTED_AT, *CANDIDATE_COLUMNS),
        key=(*kind.subject_columns, "rank"),
        replace_by=kind.subject_columns,
    )


PAST_BASELINE = "baseline"
"""Name of the named baseline's order among those of past runs; the others are called by their objective."""


def past_table(spec: DecisionSpec, kind: SubjectKind) -> Table:
    """``pred_<decision>__<entity>_past``: past units as the methods, learnt on what came before, would have ordered."""
    return Table(
        layer="pred",
        source=spec.name,
        entity=f"{kind.entity}_past",
        grain=f"past unit of {spec.name} in one order, walked forward",
        columns=(
            *(column for column in kind.key if column.name in kind.decided_per),
            PREDICTED_AT,
            Column("order_name", "VARCHAR", f"Objective of the order, or {PAST_BASELINE}."),
            Column("fitted_at", "TIMESTAMP", "Nothing known later was learnt from, UTC."),
            Column("known_at", "TIMESTAMP", "When all of its outcomes were known, UTC."),
            Column("n_tests", "INTEGER", "Subjects that were ordered and whose outcome is known."),
            Column("n_failing", "INTEGER", "Of these, real failures."),
            Column("n_unstable", "INTEGER", "Of these, flaky or attempts that disagreed."),
            Column("expected_ms", "DOUBLE", "What all of them were expected to take."),
            Column("cost_ms", "DOUBLE", "What they took.", nullable=True),
            Column("first_share", "DOUBLE", "Share of the expected time to a failure; null: none.", nullable=True),
            Column("first_share_tests", "DOUBLE", "The same as a share of the tests.", nullable=True),
            Column("shares", "VARCHAR", "JSON list: share of the expected time up to each real failure, 0: the first."),
            Column("shares_tests", "VARCHAR", "The same as shares of the tests."),
        ),
        key=(*kind.decided_per, PREDICTED_AT.name, "order_name"),
    )


def has_past(kind: SubjectKind) -> bool:
    """Whether hooks choose among the subjects of a unit, so that past units are walked through."""
    return any(action.on == "low" for action in kind.actions)


def spec_as_data(spec: DecisionSpec) -> dict[str, Any]:
    """The spec without its functions, for snapshots: all that a hook or a page needs to know."""
    return {
        "name": spec.name,
        "summary": spec.summary,
        "sources": dict(spec.sources),
        "score_unit": spec.score_unit,
        "kinds": [
            {
                "entity": kind.entity,
                "key": list(kind.key_names),
                "decided_per": list(kind.decided_per),
                "judged_per": list(kind.judged_per),
                "predicts": kind.predicts,
                "label": kind.label,
                "maturity": kind.maturity,
                "link": kind.link,
                "metrics": list(kind.metrics),
                "baseline": kind.baseline.name,
                "model": kind.model.name,
                "candidates": kind.candidates,
                "actions": [{"name": action.name, "on": action.on, "doc": action.doc} for action in kind.actions],
                "table": prediction_table(spec, kind).name,
                "past": past_table(spec, kind).name if has_past(kind) else "",
            }
            for kind in spec.kinds
        ],
    }
