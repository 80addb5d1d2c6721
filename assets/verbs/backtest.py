"""backtest: replay's short form: a decision judged on the newest part of its history, and today's policy on it."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np

from assets.predicting import SEED
from assets.registry import load_spec
from assets.replaying import Request, open_for_reading, replay_kind
from assets.resources import Deployment, Emit, SpecTables
from models.learning import Judgement, judge, mature_labels
from models.replaying import Window
from weaver_forge.contracts.decision import DecisionSpec, SubjectKind
from weaver_forge.settings import Settings


def backtest(settings: Settings, arguments: Mapping[str, Any], emit: Emit) -> int:
    """Judge one decision (``{"decision": name}``) or all, newest part of history against its past."""
    asked = arguments.get("decision")
    if asked:
        load_spec(settings, str(asked))
    deployment = open_for_reading(settings, emit)
    data = [
        _backtest_kind(deployment, spec, kind)
        for spec in deployment.specs
        if asked in {None, "", spec.name}
        for kind in spec.kinds
    ]
    emit({"event": "result", "data": data})
    return 0


def _backtest_kind(deployment: Deployment, spec: DecisionSpec, kind: SubjectKind) -> dict[str, Any]:
    deployment.step(f"{spec.name} {kind.entity}")
    judgement = _judged(deployment, spec, kind)
    replayed: dict[str, Any] = {}
    if judgement.trained_until is not None:
        window = Window(since=judgement.trained_until, until=deployment.settings.now())
        replayed = replay_kind(deployment, spec, kind, Request(window=window, n_steps=1))
    return {
        **replayed,
        "decision": spec.name,
        "entity": kind.entity,
        "reason": judgement.reason,
        "promoted": judgement.promoted,
        "model": kind.model.name,
        "baseline_name": kind.baseline.name,
        "n_trained": judgement.n_trained,
        "n_tested": judgement.n_tested,
        "trained_until": judgement.trained_until,
        "scores": [{**asdict(score), "baseline": score.baseline_value} for score in judgement.scores],
    }


def _judged(deployment: Deployment, spec: DecisionSpec, kind: SubjectKind) -> Judgement:
    """As training judges now, on all that is mature."""
    now, tables = deployment.settings.now(), SpecTables(deployment, spec.reads)
    features = kind.features(tables, kind.history(tables, now))
    labelled = mature_labels(kind, tables, features, as_of=now)
    usable = features.join(labelled.select(kind.subject_columns), on=kind.subject_columns, how="semi")
    return judge(kind, tables, usable, labelled, rng=np.random.default_rng(SEED))
