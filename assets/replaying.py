"""A replay of one subject kind wired up: warehouse in, models' replay, hooks' comparison, and ledger rows where asked.

Put here what connects the three; no arithmetic. Imports neither Dagster nor MLflow: a replay starts within a second.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from assets.predicting import SEED, Provenance, data_as_of, ledger_rows, subjects_of, with_provenance
from assets.registry import load_specs
from assets.resources import Deployment, Emit, SpecTables
from models.leaks import LeakCheck, check_leaks
from models.learning import in_units
from models.replaying import STEPS, CutTables, Replayed, Window, replay
from weaver_forge import metrics
from weaver_forge.contracts.decision import LABEL_COLUMNS, DecisionSpec, Predictions, SubjectKind, spec_as_data
from weaver_forge.contracts.tables.ingest import RAW_INGEST_INPUTS
from weaver_forge.contracts.values import Maturity, Origin
from weaver_forge.errors import MissingInput
from weaver_forge.hooks.asking import ChangedPaths
from weaver_forge.hooks.rank_tests import Budget
from weaver_forge.hooks.replay.comparing import Named, compare
from weaver_forge.hooks.replay.deciding import Stage
from weaver_forge.hooks.selecting.aim import Aim
from weaver_forge.hooks.standing import Standings, read_standings
from weaver_forge.ledger import Ledger
from weaver_forge.policy import in_force, parse
from weaver_forge.settings import Settings
from weaver_forge.warehouse import Warehouse

FILES = "core_changes__files"


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What a replay is asked for.

    Args:
        policies: Files to compare; today's policy where there are none.
        budgets: Name -> time budget of a ranking.
        aims: Name -> what a selection is to reach.
        record: Whether predictions and outcomes go to the ledger.
    """

    window: Window
    policies: Sequence[Path] = ()
    budgets: Mapping[str, Budget] | None = None
    aims: Mapping[str, Aim] = field(default_factory=dict)
    n_steps: int = STEPS
    hook: str = "ci"
    record: bool = False


def open_for_reading(settings: Settings, emit: Emit) -> Deployment:
    """The deployment with its specs; nothing of it is written.

    Raises:
        MissingInput: If nothing was taken in yet.
    """
    if not settings.warehouse.is_file():
        raise MissingInput(
            "nothing was taken in yet", where=str(settings.warehouse), do="`weaver-forge ingest --git .`"
        )
    return Deployment(settings, load_specs(settings), Warehouse(settings.warehouse, settings.lake), emit)


def replay_kind(deployment: Deployment, spec: DecisionSpec, kind: SubjectKind, request: Request) -> dict[str, Any]:
    """Replay one subject kind and give all figures as data."""
    settings = deployment.settings
    deployment.step(f"{spec.name} {kind.entity}: learning and predicting")
    tables = SpecTables(deployment, spec.reads)
    made = replay(kind, tables, request.window, now=settings.now(), n_steps=request.n_steps, seed=SEED)
    about: dict[str, Any] = {
        "decision": spec.name,
        "entity": kind.entity,
        "window": _window(kind, made, request.window),
        "steps": [_step(step) for step in made.steps],
    }
    if made.rows.is_empty():
        return {**about, "leak_check": None, "scores": [], "actions": [], "recorded": None}
    deployment.step(f"{spec.name} {kind.entity}: looking for leaks")
    checked = check_leaks(spec.name, kind, tables, made.rows)
    deployment.step(f"{spec.name} {kind.entity}: policies")
    rows = made.rows.join(
        in_units(kind, made.rows).select(*kind.subject_columns, pl.col("unit").alias("cluster")),
        on=kind.subject_columns,
        how="left",
        maintain_order="left",
    )
    policies = list(named_policies(settings, request.policies))
    stages = _stages(spec, kind, request, read_standings(settings.published), _paths(tables))
    return {
        **about,
        "leak_check": _checked(checked),
        "scores": _scores(kind, made),
        "actions": [
            {
                "action": stage.action["name"],
                "on": stage.action["on"],
                "doc": stage.action.get("doc", ""),
                "policies": compare(policies, stage, rows, request.budgets or {}, request.aims),
            }
            for stage in stages
        ],
        "recorded": record(deployment, spec, kind, made) if request.record else None,
    }


def named_policies(settings: Settings, paths: Iterable[Path]) -> Iterable[Named]:
    """The policies to compare by name; today's where none is given.

    Raises:
        MissingInput: If a file cannot be read.
        PolicyError: If one is wrong.
    """
    given = list(paths)
    for path in given:
        try:
            text = path.read_text(encoding="utf-8")
        except OSError as error:
            raise MissingInput(
                f"the policy cannot be read: {error.strerror}", where=str(path), do="Name a file"
            ) from error
        same = sum(other.name == path.name for other in given) > 1
        yield Named(str(path) if same else path.name, parse(text, str(path)))
    if not given:
        text = settings.policy.read_text(encoding="utf-8") if settings.policy.is_file() else ""
        yield Named("today's policy", in_force(text, str(settings.policy)))


def _stages(
    spec: DecisionSpec, kind: SubjectKind, request: Request, standings: Standings, paths: ChangedPaths | None
) -> list[Stage]:
    """One an action of the kind; an event that no action is declared on is judged as a whole."""
    data = next(item for item in spec_as_data(spec)["kinds"] if item["entity"] == kind.entity)
    default = {"name": "", "on": "high" if kind.predicts == "event" else "upper", "doc": ""}
    return [
        Stage(
            decision=spec.name,
            kind=data,
            action=action,
            hook=request.hook,
            standings=standings,
            changed_paths=paths,
        )
        for action in data["actions"] or [default]
    ]


def _paths(tables: SpecTables) -> ChangedPaths | None:
    """Files of a revision from the tables that the decision reads; looked up only where a policy protects paths."""
    if FILES not in tables:
        return None
    by_revision: dict[tuple[str, str], tuple[str, ...]] = {}

    def changed(subject: Mapping[str, Any]) -> tuple[str, ...] | None:
        if not by_revision:
            grouped = tables[FILES].group_by("repo_id", "revision").agg(pl.col("path"))
            by_revision.update({(repo, revision): tuple(paths) for repo, revision, paths in grouped.iter_rows()})
        return by_revision.get((str(subject.get("repo_id")), str(subject.get("revision"))))

    return changed


def _window(kind: SubjectKind, made: Replayed, window: Window) -> dict[str, Any]:
    rows = made.rows
    states = dict(rows.group_by("maturity").len().iter_rows()) if not rows.is_empty() else {}
    return {
        "since": _instant(rows["predicted_at"].min() if not rows.is_empty() else window.since),
        "until": _instant(rows["predicted_at"].max() if not rows.is_empty() else window.until),
        "last": window.last,
        "decided_per": list(kind.decided_per),
        "n_decisions": rows.select("unit", "predicted_at").n_unique() if not rows.is_empty() else 0,
        "n_subjects": rows.height,
        **{f"n_{state}": states.get(state, 0) for state in Maturity},
        "n_open_decisions": made.n_open,
    }


def _step(step: Any) -> dict[str, Any]:
    return {
        "at": _instant(step.at),
        "until": _instant(step.until),
        "n_subjects": step.n_subjects,
        "n_learnt": step.n_learnt,
        "promoted": step.promoted,
        "reason": step.reason,
    }


def _scores(kind: SubjectKind, made: Replayed) -> list[dict[str, Any]]:
    """Model against baseline over the window, whichever spoke."""
    known = in_units(kind, made.compared.filter(pl.col("maturity") == Maturity.MATURE.value))
    found = metrics.evaluate(kind.metrics, known, rng=np.random.default_rng(SEED)) if not known.is_empty() else []
    return [
        {
            "metric": s.metric, "model": kind.model.name, "value": s.value, "low": s.low, "high": s.high,
            "baseline_name": kind.baseline.name, "baseline": s.baseline_value, "gain": s.gain,
            "gain_low": s.gain_low, "gain_high": s.gain_high, "n": s.n,
        }
        for s in found
    ]  # fmt: skip


def _checked(found: LeakCheck) -> dict[str, int]:
    return {"n_subjects": found.n_subjects, "n_instants": found.n_instants, "n_features": found.n_features}


def record(deployment: Deployment, spec: DecisionSpec, kind: SubjectKind, made: Replayed) -> dict[str, int]:
    """Write predictions and outcomes to the ledger as ``replay``: a subject once, however often it is replayed."""
    now = deployment.settings.now()
    with deployment.ledger() as ledger:
        new = _unrecorded(ledger, spec, kind, made)
        if new.is_empty():
            return {"predictions": 0, "outcomes": 0}
        rows = ledger_rows(spec, kind, Predictions(_as_predictions(deployment, spec, kind, made, new, now)))
        n_predictions = ledger.append("predictions", rows, now=now)
        # The rows keep their order, so that ids and outcomes stand side by side.
        known = new.with_columns(pl.Series("prediction_id", [row["prediction_id"] for row in rows])).filter(
            pl.col("maturity") != Maturity.PENDING.value
        )
        n_outcomes = ledger.append("outcomes", known.select(_OUTCOME).to_dicts(), now=now)
    return {"predictions": n_predictions, "outcomes": n_outcomes}


_OUTCOME = ("prediction_id", *(column.name for column in LABEL_COLUMNS))


def _unrecorded(ledger: Ledger, spec: DecisionSpec, kind: SubjectKind, made: Replayed) -> pl.DataFrame:
    """The rows whose subject no replay has recorded for that time yet."""
    stored = ledger.rows(
        "predictions",
        "where decision = :decision and entity = :entity and origin = :origin",
        {"decision": spec.name, "entity": kind.entity, "origin": Origin.REPLAY.value},
        columns=("subject", "predicted_at"),
    )
    return made.rows.join(subjects_of(kind, stored), on=kind.subject_columns, how="anti", maintain_order="left")


def _as_predictions(
    deployment: Deployment, spec: DecisionSpec, kind: SubjectKind, made: Replayed, new: pl.DataFrame, now: datetime
) -> pl.DataFrame:
    tables = SpecTables(deployment, spec.reads)
    given = deployment.warehouse.read(RAW_INGEST_INPUTS, where="n_rows > 0")["source"].unique().to_list()
    parts = []
    for step in made.steps:
        inside = new.filter(pl.col("predicted_at").is_between(step.at, step.until))
        provenance = Provenance(
            origin=Origin.REPLAY.value,
            made_at=now,
            data_as_of=data_as_of(CutTables(tables, step.until), step.until),
            sources_missing=tuple(source for source in spec.sources if source not in given),
        )
        features = made.features.join(inside, on=kind.subject_columns, how="semi")
        parts.append(with_provenance(spec, kind, inside, features, provenance))
    return pl.concat(parts)


def _instant(value: Any) -> str | None:
    return None if value is None else value.isoformat() + "Z"
