"""Assets over the registry of decisions: features, training, predictions and scores of every subject kind.

Written once against the decision contract. Nothing here knows a decision by name.
"""

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

import dagster as dg
import numpy as np
import polars as pl

from assets import tracking
from assets.keeping import holding, kept_assets, kept_names
from assets.past_runs import past_assets, past_tables
from assets.predicting import SEED, Provenance, data_as_of, predict, record, subjects_of
from assets.resources import POOL, Deployment, SpecTables
from assets.scoring import resolved, score_rows
from assets.tables import Metadata, table_assets
from models.learning import Judgement, learn
from weaver_forge.contracts.decision import (
    DecisionSpec,
    SubjectKind,
    candidate_table,
    feature_table,
    prediction_table,
)
from weaver_forge.contracts.table import Table
from weaver_forge.contracts.tables.ingest import RAW_INGEST_INPUTS
from weaver_forge.contracts.values import Maturity, Origin

_OUTCOME = (
    "prediction_id", "outcome", "maturity", "outcome_known_at", "link_method", "link_confidence", "cost",
)  # fmt: skip


def decision_assets(spec: DecisionSpec) -> list[dg.AssetsDefinition]:
    """All assets of a decision: four a subject kind, and what it keeps."""
    return [
        asset
        for kind in spec.kinds
        for asset in (
            *kept_assets(spec, kind),
            _features(spec, kind),
            _model(spec, kind),
            *past_assets(spec, kind),
            _predictions(spec, kind),
            _scores(spec, kind),
        )
    ]


def decision_tables(spec: DecisionSpec) -> list[Table]:
    """The tables a decision brings with it."""
    tables = []
    for kind in spec.kinds:
        tables += [feature_table(spec, kind), prediction_table(spec, kind)]
        if kind.candidates:
            tables.append(candidate_table(spec, kind))
        tables += kind.keeping.tables if kind.keeping else ()
    return [*tables, *past_tables(spec)]


def model_key(spec: DecisionSpec, kind: SubjectKind) -> str:
    """Asset key of a kind's trained model."""
    return f"model_{spec.name}__{kind.entity}"


def score_key(spec: DecisionSpec, kind: SubjectKind) -> str:
    """Asset key of a kind's outcomes and scores in the ledger."""
    return f"score_{spec.name}__{kind.entity}"


def _features(spec: DecisionSpec, kind: SubjectKind) -> dg.AssetsDefinition:
    table = feature_table(spec, kind)

    def write(_context: dg.AssetExecutionContext, deployment: Deployment) -> dict[str, Metadata]:
        tables = SpecTables(deployment, spec.reads)
        subjects = kind.history(tables, deployment.settings.now())
        rows = deployment.warehouse.replace(table, kind.features(tables, subjects))
        return {table.name: {"rows_written": rows}}

    return table_assets(table.name, (table,), write, deps=[read.name for read in spec.reads])


def _model(spec: DecisionSpec, kind: SubjectKind) -> dg.AssetsDefinition:
    name, source = model_key(spec, kind), feature_table(spec, kind)

    @dg.asset(
        name=name,
        group_name=f"model_{spec.name}",
        deps=[source.name],
        kinds={"mlflow", "scikitlearn"},
        pool=POOL,
        description=f"{kind.model.name} against {kind.baseline.name}, judged on the newest mature {kind.entity}.",
    )
    def train(
        _context: dg.AssetExecutionContext, deployment: dg.ResourceParam[Deployment]
    ) -> dg.MaterializeResult[Any]:
        from assets import plots  # nothing else needs the reports that it draws for

        deployment.step(name)
        now = deployment.settings.now()
        tables = SpecTables(deployment, spec.reads)
        features = deployment.warehouse.read(source)
        learned = learn(kind, tables, features, as_of=now, rng=np.random.default_rng(SEED))
        document = tracking.register(deployment.settings, spec, kind, learned, now=now)
        with deployment.ledger() as ledger:
            ledger.append("evaluations", _evaluations(spec, kind, learned.judgement, document), now=now)
        deployment.emit(
            {"event": "judgement", "decision": spec.name, "entity": kind.entity, **_said(learned.judgement)}
        )
        return dg.MaterializeResult(
            metadata={
                **_said(learned.judgement),
                "version": document["version"],
                "scores": plots.scores_table(learned.judgement.scores),
                "plot": plots.judgement_plot(kind, learned.judgement),
            }
        )

    return train


def _predictions(spec: DecisionSpec, kind: SubjectKind) -> dg.AssetsDefinition:
    table = prediction_table(spec, kind)
    tables = (table, candidate_table(spec, kind)) if kind.candidates else (table,)

    def write(_context: dg.AssetExecutionContext, deployment: Deployment) -> dict[str, Metadata]:
        n_predicted = publish_predictions(deployment, spec, kind)
        return {table.name: {"predicted": n_predicted}}

    upstream = (model_key(spec, kind), *(read.name for read in spec.reads), *kept_names(spec))
    return table_assets(table.name, tables, write, deps=upstream)


def publish_predictions(deployment: Deployment, spec: DecisionSpec, kind: SubjectKind) -> int:
    """Predict the current subjects, write the predictions to the ledger, then to their table.

    The ledger comes first: a prediction that anybody can read has been recorded. Returns how many were made.
    """
    now = deployment.settings.now()
    document = tracking.published(deployment.settings, spec, kind)
    if document is None:
        deployment.notes.append(
            f"{spec.name}: no trained model yet, so nothing is predicted; `weaver-forge run` trains one"
        )
        return 0
    tables = SpecTables(deployment, (*spec.reads, *holding(deployment, spec)))
    subjects = unpredicted(deployment, spec, kind, open_subjects(kind, tables, now), document)
    if subjects.is_empty():
        return 0
    provenance = Provenance(
        origin=(Origin.SIMULATED if deployment.settings.fixed_now else Origin.LIVE).value,
        made_at=now,
        data_as_of=data_as_of(tables, now),
        sources_missing=missing_sources(deployment, spec),
    )
    said = predict(spec, kind, document, tables, subjects, provenance)
    with deployment.ledger() as ledger:
        said = record(ledger, spec, kind, said, now=now)
    deployment.warehouse.replace(prediction_table(spec, kind), said.rows)
    if said.candidates is not None and not said.candidates.is_empty():
        deployment.warehouse.replace(candidate_table(spec, kind), said.candidates)
    return said.rows.height


def open_subjects(kind: SubjectKind, tables: SpecTables, now: datetime) -> pl.DataFrame:
    """Current subjects whose outcome is not known yet: a prediction comes before its outcome or not at all."""
    subjects = kind.current(tables, now)
    if subjects.is_empty():
        return subjects
    labels = kind.labels(tables, subjects, now)
    mature = labels.filter(pl.col("maturity") == Maturity.MATURE.value)
    return subjects.join(mature.select(kind.subject_columns), on=kind.subject_columns, how="anti")


def unpredicted(
    deployment: Deployment, spec: DecisionSpec, kind: SubjectKind, subjects: pl.DataFrame, document: Mapping[str, Any]
) -> pl.DataFrame:
    """Leave out what this very version has predicted for this very time already."""
    version = str(document["version"])
    done = deployment.warehouse.read(
        prediction_table(spec, kind), where=f"model_version in ('{version}', 'baseline-{version}')"
    )
    return subjects.join(done.select(kind.subject_columns), on=kind.subject_columns, how="anti")


def missing_sources(deployment: Deployment, spec: DecisionSpec) -> tuple[str, ...]:
    """Sources that the decision would use and that never gave a row."""
    given = deployment.warehouse.read(RAW_INGEST_INPUTS, where="n_rows > 0")["source"].unique().to_list()
    return tuple(source for source in spec.sources if source not in given)


def _scores(spec: DecisionSpec, kind: SubjectKind) -> dg.AssetsDefinition:
    name = score_key(spec, kind)

    @dg.asset(
        name=name,
        group_name=f"score_{spec.name}",
        deps=[prediction_table(spec, kind).name],
        kinds={"sqlite"},
        description=f"Outcomes of past predictions, and their scores against {kind.baseline.name}.",
    )
    def resolve(
        _context: dg.AssetExecutionContext, deployment: dg.ResourceParam[Deployment]
    ) -> dg.MaterializeResult[Any]:
        deployment.step(name)
        return dg.MaterializeResult(metadata=resolve_and_score(deployment, spec, kind))

    return resolve


def resolve_and_score(deployment: Deployment, spec: DecisionSpec, kind: SubjectKind) -> dict[str, Any]:
    """Look for the outcomes of unresolved predictions, and score what is resolved, an origin at a time."""
    now = deployment.settings.now()
    tables = SpecTables(deployment, spec.reads)
    with deployment.ledger() as ledger:
        waiting = ledger.unresolved(spec.name, kind.entity)
        outcomes = list(_outcomes(kind, tables, waiting, now)) if waiting else []
        ledger.append("outcomes", outcomes, now=now)
        scored: dict[str, Any] = {"resolved_now": len(outcomes)}
        for origin, counts in ledger.counts(spec.name, kind.entity).items():
            rows = resolved(ledger, spec, kind, origin)
            ledger.append("scores", score_rows(spec, kind, origin, rows, counts, now), now=now)
            scored[f"{origin}_resolved"] = rows.height
    return scored


def _outcomes(
    kind: SubjectKind, tables: SpecTables, waiting: list[dict[str, Any]], now: datetime
) -> Iterator[dict[str, Any]]:
    # Live, a prediction counts from when it was made. A simulated clock hands files over in daily lots, so there,
    # as in a replay, it counts from the time whose knowledge it used.
    made = [row["made_at"] if row["origin"] == Origin.LIVE.value else row["predicted_at"] for row in waiting]
    subjects = subjects_of(kind, waiting).with_columns(
        pl.Series("prediction_id", [row["prediction_id"] for row in waiting], dtype=pl.String),
        pl.Series("foreseen_at", made, dtype=pl.Datetime("us")),
    )
    labels = kind.labels(tables, subjects.select(kind.subject_columns).unique(maintain_order=True), now)
    resolved = labels.filter(pl.col("maturity") != Maturity.PENDING.value)
    joined = subjects.join(resolved, on=kind.subject_columns, how="inner")
    # Somebody may ask on demand about what is settled already: no prediction, so nothing to be proud of.
    is_late = (pl.col("outcome_known_at") <= pl.col("foreseen_at")).fill_null(value=False)
    counted = joined.with_columns(
        *(pl.when(~is_late).then(pl.col(name)).alias(name) for name in ("outcome", "outcome_known_at", "cost")),
        maturity=pl.when(is_late).then(pl.lit(Maturity.UNRESOLVABLE.value)).otherwise("maturity"),
        link_method=pl.when(is_late).then(pl.lit("known before it was predicted")).otherwise("link_method"),
    )
    for row in counted.iter_rows(named=True):
        yield {name: row[name] for name in _OUTCOME}


def _evaluations(
    spec: DecisionSpec, kind: SubjectKind, judgement: Judgement, document: Mapping[str, Any]
) -> list[dict[str, Any]]:
    common = {
        "decision": spec.name, "entity": kind.entity, "model_name": kind.model.name,
        "model_version": str(document["version"]), "baseline_name": kind.baseline.name,
        "promoted": judgement.promoted, "reason": judgement.reason,
        "trained_until": judgement.trained_until, "tested_until": judgement.tested_until,
    }  # fmt: skip
    if not judgement.scores:
        return [{**common, "metric": kind.metrics[0], "n": judgement.n_tested}]
    return [
        {
            **common, "metric": score.metric, "value": score.value, "low": score.low, "high": score.high,
            "baseline_value": score.baseline_value, "gain": score.gain, "gain_low": score.gain_low,
            "gain_high": score.gain_high, "n": score.n,
        }
        for score in judgement.scores
    ]  # fmt: skip


def _said(judgement: Judgement) -> dict[str, Any]:
    return {
        "promoted": judgement.promoted,
        "reason": judgement.reason,
        "n_trained": judgement.n_trained,
        "n_tested": judgement.n_tested,
    }
