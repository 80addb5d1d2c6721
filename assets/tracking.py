"""MLflow: experiments, registered models and their aliases. The embedded default is SQLite and local files.

An artifact is our own JSON document, so loading one runs no code and needs no scikit-learn.
"""

import json
import logging
import tempfile
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from models.learning import Learned
from weaver_forge.contracts.decision import DecisionSpec, SubjectKind
from weaver_forge.settings import Settings

if TYPE_CHECKING:
    from mlflow import MlflowClient

CHAMPION, CHALLENGER = "champion", "challenger"
_DOCUMENT = "exported.json"
_FOLDER = "exported"


def registered_name(spec: DecisionSpec, kind: SubjectKind) -> str:
    """The registered model of a kind: ``<decision>__<entity>``."""
    return f"{spec.name}__{kind.entity}"


def client(settings: Settings) -> "MlflowClient":
    """Open the tracking and registry store of the deployment; telemetry is off."""
    from mlflow import MlflowClient
    from mlflow.environment_variables import MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR

    logging.getLogger("mlflow").setLevel(logging.WARNING)  # its own set-up says INFO when it is imported
    MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR.set("false")  # a bar a file of two kilobytes would fill the terminal
    return MlflowClient(tracking_uri=settings.mlflow_uri, registry_uri=settings.mlflow_uri)


def register(
    settings: Settings, spec: DecisionSpec, kind: SubjectKind, learned: Learned, *, now: datetime
) -> dict[str, Any]:
    """Log a training run, register its artifact as challenger, and make it champion if it earned that.

    A judgement against the model takes the champion alias away from its predecessor too: what no longer
    beats the baseline on the newest data is not what should be published.

    Returns:
        The exported document: what predicting needs, and where it came from.
    """
    store = client(settings)
    name = registered_name(spec, kind)
    run_id = _log(store, settings, spec, kind, learned, now)
    version = str(_version(store, name, run_id))
    document = exported(spec, kind, learned, version=version, now=now)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / _DOCUMENT
        path.write_text(json.dumps(document), encoding="utf-8")
        store.log_artifact(run_id, str(path), _FOLDER)
    store.set_registered_model_alias(name, CHALLENGER, version)
    if learned.judgement.promoted:
        store.set_registered_model_alias(name, CHAMPION, version)
    else:
        store.delete_registered_model_alias(name, CHAMPION)
    store.set_terminated(run_id, "FINISHED")
    return document


def published(settings: Settings, spec: DecisionSpec, kind: SubjectKind) -> dict[str, Any] | None:
    """The document to predict with: the champion's, else the newest challenger's (whose baseline speaks)."""
    from mlflow.exceptions import MlflowException

    store = client(settings)
    name = registered_name(spec, kind)
    for alias in (CHAMPION, CHALLENGER):
        try:
            version = store.get_model_version_by_alias(name, alias)
        except MlflowException:
            continue
        assert version.run_id is not None, "registered by register(), which always gives a run"
        with tempfile.TemporaryDirectory() as folder:
            path = store.download_artifacts(version.run_id, f"{_FOLDER}/{_DOCUMENT}", folder)
            document: dict[str, Any] = json.loads(Path(path).read_text(encoding="utf-8"))
            return document
    return None


def exported(spec: DecisionSpec, kind: SubjectKind, learned: Learned, *, version: str, now: datetime) -> dict[str, Any]:
    """Everything that predicting needs, as JSON: both artifacts and where they came from."""
    judgement = learned.judgement
    return {
        "decision": spec.name,
        "entity": kind.entity,
        "version": version,
        "is_baseline": not judgement.promoted,
        "reason": judgement.reason,
        "model": {"name": kind.model.name, "artifact": learned.model},
        "baseline": {"name": kind.baseline.name, "artifact": learned.baseline},
        "trained_at": now.isoformat(),
    }


def _log(
    store: "MlflowClient", settings: Settings, spec: DecisionSpec, kind: SubjectKind, learned: Learned, now: datetime
) -> str:
    from mlflow.entities import Metric, Param

    judgement = learned.judgement
    run = store.create_run(_experiment(store, settings, spec.name), run_name=f"{kind.entity} {now:%Y-%m-%d %H:%M}")
    stamp = int(now.timestamp() * 1000)
    numbers: Mapping[str, float | None] = {
        **{score.metric: score.value for score in judgement.scores},
        **{f"{score.metric}_baseline": score.baseline_value for score in judgement.scores},
        **{f"{score.metric}_gain_low": score.gain_low for score in judgement.scores},
        "n_trained": judgement.n_trained,
        "n_tested": judgement.n_tested,
    }
    # MLflow's names allow no @; the metric is the same.
    metrics = [Metric(key.replace("@", "_at_"), value, stamp, 0) for key, value in numbers.items() if value is not None]
    params = [
        Param("model", kind.model.name),
        Param("baseline", kind.baseline.name),
        Param("promoted", str(judgement.promoted)),
        Param("reason", judgement.reason[:500]),
    ]
    store.log_batch(run.info.run_id, metrics=metrics, params=params)
    return str(run.info.run_id)


def _experiment(store: "MlflowClient", settings: Settings, name: str) -> str:
    known = store.get_experiment_by_name(name)
    if known is not None:
        return str(known.experiment_id)
    # Absolute: MLflow's default would be ./mlruns wherever the process happens to stand.
    return str(store.create_experiment(name, artifact_location=(settings.data / "mlflow" / name).as_uri()))


def _version(store: "MlflowClient", name: str, run_id: str) -> int:
    from mlflow.exceptions import MlflowException

    try:
        store.create_registered_model(name)
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
    run = store.get_run(run_id)
    return int(store.create_model_version(name, f"{run.info.artifact_uri}/{_FOLDER}", run_id).version)
