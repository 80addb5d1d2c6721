"""backtest: judge a decision on the history that is on disk, point in time, without writing anything."""

from collections import Counter
from collections.abc import Mapping
from typing import Any

import numpy as np
import polars as pl

from assets.decisions import SEED
from assets.definitions import load_deployment
from assets.resources import Deployment, Emit, SpecTables
from models.learning import Judgement, learn
from weaver_forge.contracts.decision import DecisionSpec, SubjectKind
from weaver_forge.errors import MissingInput, UsageError
from weaver_forge.settings import Settings


def backtest(settings: Settings, arguments: Mapping[str, Any], emit: Emit) -> int:
    """Judge one decision (``{"decision": name}``) or all, newest part of history against its past."""
    deployment = load_deployment(settings, emit)
    asked = arguments.get("decision")
    known = [spec.name for spec in deployment.specs]
    if asked and asked not in known:
        raise UsageError(f"unknown decision {asked!r}", do=f"Registered: {', '.join(known)}")
    if not settings.warehouse.is_file():
        raise MissingInput(
            "nothing was taken in yet", where=str(settings.warehouse), do="`weaver-forge ingest --git .`"
        )
    data = []
    for spec in deployment.specs:
        if asked in {None, "", spec.name}:
            data += [_backtest_kind(deployment, spec, kind, emit) for kind in spec.kinds]
    emit({"event": "result", "data": data})
    return 0


def _backtest_kind(deployment: Deployment, spec: DecisionSpec, kind: SubjectKind, emit: Emit) -> dict[str, Any]:
    now = deployment.settings.now()
    emit({"event": "progress", "step": f"{spec.name} {kind.entity}"})
    tables = SpecTables(deployment, spec.reads)
    features = kind.features(tables, kind.history(tables, now))
    judgement = learn(kind, tables, features, as_of=now, rng=np.random.default_rng(SEED)).judgement
    emit({"event": "line", "text": f"{spec.name}, {kind.entity}: {judgement.reason}", "style": "head"})
    if judgement.scores:
        emit({
            "event": "table",
            "title": f"{judgement.n_tested} judged from {judgement.trained_until}, {judgement.n_trained} learnt before",
            "columns": ["metric", kind.model.name, "interval", kind.baseline.name, "gain", "n"],
            "rows": [
                [s.metric, s.value, [s.low, s.high], s.baseline_value, s.gain, s.n] for s in judgement.scores
            ],
        })  # fmt: skip
    would = _would_have(deployment, spec, kind, judgement)
    if would:
        emit({"event": "table", "title": "Today's policy would have said", **would})
    return {
        "decision": spec.name,
        "entity": kind.entity,
        "reason": judgement.reason,
        "promoted": judgement.promoted,
        "scores": [
            {"metric": s.metric, "value": s.value, "low": s.low, "high": s.high, "baseline": s.baseline_value, "n": s.n}
            for s in judgement.scores
        ],
    }


def _would_have(deployment: Deployment, spec: DecisionSpec, kind: SubjectKind, judgement: Judgement) -> dict[str, Any]:
    """Verdict by outcome, for event decisions whose policy has thresholds."""
    from weaver_forge.policy import effective, parse

    path = deployment.settings.policy
    if kind.predicts != "event" or judgement.rows.is_empty() or not path.is_file():
        return {}
    rule = effective(parse(path.read_text(encoding="utf-8"), str(path)), spec.name)
    if rule.deny_at is None or rule.review_at is None:
        return {}
    verdict = (
        pl.when(pl.col("probability") >= rule.deny_at)
        .then(pl.lit("deny"))
        .when(pl.col("probability") >= rule.review_at)
        .then(pl.lit("review"))
        .otherwise(pl.lit("allow"))
    )
    rows = judgement.rows.select(verdict.alias("verdict"), "outcome")
    counts = Counter(zip(rows["verdict"], rows["outcome"], strict=True))
    return {
        "columns": ["verdict", "went wrong", "went well"],
        "rows": [[name, counts[name, 1.0], counts[name, 0.0]] for name in ("deny", "review", "allow")],
    }
