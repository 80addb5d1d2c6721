"""The whole loop over a small simulated organisation: sources to scores, looked at from the end.

`lived` took in six days at once and then lived two more. Facts that hold for every registered decision are
asserted for every registered kind; what belongs to one decision is tested with that decision.
"""

import json
import shutil
import subprocess
import sys
from collections import Counter
from datetime import timedelta
from pathlib import Path
from time import perf_counter
from typing import Any

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from assets.decisions import resolve_and_score
from assets.definitions import load_deployment
from assets.predicting import subjects_of
from assets.registry import load_specs
from assets.resources import SpecTables
from assets.verbs.loop import ingest
from assets.verbs.predict import kind_for, predict
from weaver_forge.contracts.decision import DecisionSpec, feature_table, prediction_table
from weaver_forge.contracts.table import Table
from weaver_forge.contracts.tables import ALL, BY_NAME
from weaver_forge.contracts.tables.operations import CORE_TRACE_SPANS
from weaver_forge.errors import SourceError, UsageError
from weaver_forge.ledger import Ledger
from weaver_forge.settings import Settings, environment_with, load
from weaver_forge.snapshot import Snapshot, open_snapshot
from weaver_forge.sources.git import Repository
from weaver_forge.testing import Truth
from weaver_forge.warehouse import Warehouse, check

Lived = tuple[Settings, list[dict[str, Any]]]

SAMPLED_TIMES = 5
EVERY_ROW = 1_000_000
HEAVY = ("dagster", "mlflow", "sklearn", "statsforecast", "pandas")
"""What on-demand scoring has no time to import."""

KINDS = [
    ("test_selection", "tests"),
    ("load_forecast", "points"),
    ("anomaly", "windows"),
    ("deploy_risk", "changes"),
    ("deploy_risk", "deployments"),
]

every_kind = pytest.mark.parametrize(("decision", "entity"), KINDS, ids=["-".join(kind) for kind in KINDS])


@pytest.fixture(scope="module")
def specs(lived: Lived) -> dict[str, DecisionSpec]:
    return {spec.name: spec for spec in load_specs(lived[0])}


@pytest.fixture(scope="module")
def warehouse(lived: Lived) -> Warehouse:
    return Warehouse(lived[0].warehouse, lived[0].lake)


@pytest.fixture(scope="module")
def ledger_rows(lived: Lived) -> dict[str, list[dict[str, Any]]]:
    """Everything the ledger holds, by kind of row."""
    with Ledger.open(lived[0].ledger_url) as ledger:
        return {kind: ledger.tail(kind, EVERY_ROW) for kind in ("predictions", "outcomes", "evaluations", "scores")}


@pytest.fixture
def copied(lived: Lived, tmp_path: Path) -> Settings:
    """The same deployment somewhere else, free to be changed; its runs leave no trace in a Dagster instance."""
    root = tmp_path / "copied"
    shutil.copytree(lived[0].root, root, symlinks=True, ignore=shutil.ignore_patterns("dagster_home", "mlflow*"))
    return load(root)


def test_the_kinds_tested_here_are_the_registered_ones(specs: dict[str, DecisionSpec]) -> None:
    registered = [(spec.name, kind.entity) for spec in specs.values() for kind in spec.kinds]

    assert sorted(registered) == sorted(KINDS)


NOT_SIMULATED = {t.name for t in ALL if t.source in {"gitlab", "coverage", "metric", "log"}} | {
    "raw_otlp__metric_points",
    "raw_otlp__log_records",
    "core_service__resource_use",
    "core_ci__pipeline_spans",
    "core_ci__run_errors",
    "core_ci__test_code",
    "core_ci__quarantines",
    "raw_ingest__rejected",
}
"""What the simulated organisation has none of: another CI, metrics and logs, and files that are not well-formed."""


@pytest.mark.parametrize("table", ALL, ids=lambda table: table.name)
def test_every_table_that_a_source_feeds_has_rows_that_keep_the_contract(table: Table, warehouse: Warehouse) -> None:
    with warehouse.connect(read_only=True) as con:
        (rows,) = con.execute(f'select count(*) from "{table.name}"').fetchall()[0]
        broken = check(con, table)

    assert (rows > 0) == (table.name not in NOT_SIMULATED)
    assert broken == []


def test_nothing_of_the_well_formed_input_is_refused(lived: Lived, warehouse: Warehouse) -> None:
    refused = warehouse.read(BY_NAME["raw_ingest__rejected"])

    assert refused.is_empty()
    assert [event for event in lived[1] if event["event"] == "error"] == []


def test_every_test_result_is_linked_to_its_revision(warehouse: Warehouse) -> None:
    results = warehouse.read(BY_NAME["core_ci__test_results"])

    assert results["revision"].null_count() == 0


def test_core_changes_are_the_true_changes(
    organisation: tuple[Path, Truth], warehouse: Warehouse, copied: Settings
) -> None:
    """Every commit that the simulation made on the main line is there, once, and nothing else."""
    _folder, truth = organisation
    stored = warehouse.read(BY_NAME["core_changes__changes"])

    head = Repository(copied.root / "organisation" / "repo").head()

    assert set(stored["revision"]) <= {change.revision for change in truth.changes}
    assert head in set(stored["revision"])


def test_a_second_ingest_reads_nothing_and_adds_nothing(copied: Settings) -> None:
    """Taking in the same files again is free of consequences: safe to repeat after a crash or by a schedule."""
    before = _row_counts(copied)
    events: list[dict[str, Any]] = []

    code = ingest(copied, {}, lambda event: events.append(dict(event)))

    intakes = [event for event in events if event["event"] == "intake"]
    assert code == 0
    seen = {i["source"] for i in intakes if i["inputs_known"] + i["inputs_same"]}
    assert seen == set(copied.sources)
    assert [(i["source"], i["inputs_read"], i["rows_new"]) for i in intakes if i["inputs_read"] or i["rows_new"]] == []
    assert _row_counts(copied) == before


def _row_counts(settings: Settings) -> dict[str, int]:
    with Warehouse(settings.warehouse, settings.lake).connect(read_only=True) as con:
        names = [
            name for (name,) in con.execute("select table_name from duckdb_tables() where not internal").fetchall()
        ]
        names.append(CORE_TRACE_SPANS.name)
        return {name: con.execute(f'select count(*) from "{name}"').fetchall()[0][0] for name in names}


def test_the_marts_cover_every_day_of_the_spans(warehouse: Warehouse) -> None:
    """Two days came later, and their marts were computed without being asked for."""
    days = "select distinct cast(started_at as date) as day from core_trace__spans"
    minutes = "select distinct cast(minute_at as date) as day from core_trace__red_minutes"

    unseen = warehouse.query(f"{days} except {minutes}")

    assert unseen.is_empty()


def test_the_ledger_verifies(lived: Lived) -> None:
    with Ledger.open(lived[0].ledger_url) as ledger:
        verification = ledger.verify()

    assert verification.ok, verification.broken
    assert verification.n_rows > 0


@every_kind
def test_a_prediction_is_recorded_before_its_outcome_is_known(
    decision: str, entity: str, ledger_rows: dict[str, list[dict[str, Any]]]
) -> None:
    """Else it is no prediction: neither its time nor its writing may lie after the outcome's."""
    predictions = {
        row["prediction_id"]: row
        for row in ledger_rows["predictions"]
        if (row["decision"], row["entity"]) == (decision, entity)
    }

    late = [
        (row["outcome_known_at"], predictions[row["prediction_id"]]["made_at"])
        for row in ledger_rows["outcomes"]
        if row["prediction_id"] in predictions
        and row["outcome_known_at"] is not None
        and row["outcome_known_at"] < predictions[row["prediction_id"]]["made_at"]
    ]

    assert predictions
    assert late == []
    assert all(row["predicted_at"] <= row["made_at"] for row in predictions.values())
    assert all(row["made_at"] <= row["recorded_at"] for row in predictions.values())
    assert all(row["data_as_of"] <= row["made_at"] for row in predictions.values())


@every_kind
def test_every_prediction_says_that_it_is_simulated(
    decision: str, entity: str, ledger_rows: dict[str, list[dict[str, Any]]]
) -> None:
    """A set clock makes no evidence for autonomy: origin is simulated, never live."""
    origins = {row["origin"] for row in ledger_rows["predictions"] if row["decision"] == decision}

    assert origins == {"simulated"}


@every_kind
def test_every_kind_is_judged_with_a_reason(
    decision: str, entity: str, ledger_rows: dict[str, list[dict[str, Any]]], specs: dict[str, DecisionSpec]
) -> None:
    kind = specs[decision].kind(entity)

    found = [row for row in ledger_rows["evaluations"] if (row["decision"], row["entity"]) == (decision, entity)]

    assert found
    assert all(row["reason"] for row in found)
    assert {row["model_name"] for row in found} == {kind.model.name}
    assert {row["baseline_name"] for row in found} == {kind.baseline.name}
    assert {row["metric"] for row in found} <= set(kind.metrics)


@every_kind
def test_what_was_not_promoted_is_published_as_the_baseline(
    decision: str, entity: str, ledger_rows: dict[str, list[dict[str, Any]]], specs: dict[str, DecisionSpec]
) -> None:
    """A model speaks under its own name only where it beat its baseline; nobody can mistake the one for the other."""
    kind = specs[decision].kind(entity)
    of_kind = [row for row in ledger_rows["evaluations"] if (row["decision"], row["entity"]) == (decision, entity)]
    promoted = {row["model_version"]: row["promoted"] for row in of_kind}

    made = [row for row in ledger_rows["predictions"] if (row["decision"], row["entity"]) == (decision, entity)]

    for row in made:
        is_promoted = promoted[row["model_version"].removeprefix("baseline-")]
        assert row["is_baseline"] is not is_promoted
        assert row["model_name"] == (kind.model.name if is_promoted else kind.baseline.name)
        assert row["baseline_name"] == kind.baseline.name
        if not is_promoted:
            assert (row["probability"], row["value"]) == (row["baseline_probability"], row["baseline_value"])


@pytest.fixture(scope="module")
def snapshot(lived: Lived) -> Any:
    with open_snapshot(lived[0].root) as opened:
        yield opened


@every_kind
def test_the_snapshot_has_predictions_and_the_artifact_of_every_kind(
    decision: str, entity: str, snapshot: Snapshot, specs: dict[str, DecisionSpec]
) -> None:
    spec = specs[decision]
    table = prediction_table(spec, spec.kind(entity)).name

    document = json.loads(snapshot.artifact(decision, entity))
    ((count,),) = [tuple(row.values()) for row in snapshot.rows(f'select count(*) as n from "{table}"')]

    assert count > 0
    assert document["model"]["name"] == spec.kind(entity).model.name
    assert snapshot.specs[decision]["kinds"]


def test_the_snapshot_was_published_twice_and_the_newest_is_open(lived: Lived, snapshot: Snapshot) -> None:
    assert snapshot.version == 2
    assert snapshot.published_at == lived[0].now()
    assert snapshot.data_as_of <= lived[0].now()
    assert "deploy_risk" in snapshot.policy_text


@every_kind
def test_published_predictions_are_those_of_the_ledger(
    decision: str,
    entity: str,
    snapshot: Snapshot,
    specs: dict[str, DecisionSpec],
    ledger_rows: dict[str, list[dict[str, Any]]],
) -> None:
    """What anybody can read has been recorded, with the same number under the same id."""
    table = prediction_table(specs[decision], specs[decision].kind(entity)).name
    recorded = {row["prediction_id"]: (row["probability"], row["value"]) for row in ledger_rows["predictions"]}

    published = snapshot.rows(f'select prediction_id, probability, value from "{table}"')

    assert all(recorded[row["prediction_id"]] == (row["probability"], row["value"]) for row in published)


def test_no_prediction_is_recorded_twice(ledger_rows: dict[str, list[dict[str, Any]]]) -> None:
    keys = Counter(row["idempotency_key"] for row in ledger_rows["predictions"])

    assert max(keys.values()) == 1


def test_outcomes_came_back_and_were_scored_with_their_n(
    ledger_rows: dict[str, list[dict[str, Any]]], specs: dict[str, DecisionSpec]
) -> None:
    """The loop closes: what was predicted in the first stage was resolved and scored in the second."""
    scored = {(row["decision"], row["entity"]) for row in ledger_rows["scores"] if row["n"] > 0}

    assert scored >= {("load_forecast", "points"), ("anomaly", "windows"), ("deploy_risk", "changes")}
    for row in ledger_rows["scores"]:
        assert row["metric"] in specs[row["decision"]].kind(row["entity"]).metrics
        assert row["origin"] == "simulated"
        if row["n"] == 0:
            assert row["value"] is None


@every_kind
def test_no_feature_knows_anything_later_than_its_prediction(
    decision: str, entity: str, specs: dict[str, DecisionSpec], warehouse: Warehouse, lived: Lived
) -> None:
    """Features of past subjects are the same when everything that became known later is taken away."""
    spec, kind = specs[decision], specs[decision].kind(entity)
    tables = SpecTables(warehouse, spec.reads)
    subjects = kind.history(tables, lived[0].now())
    times = subjects["predicted_at"].unique().sort()
    sampled = times.gather_every(-(-len(times) // SAMPLED_TIMES))
    whole = kind.features(tables, subjects)

    for at in sampled:
        asked = subjects.filter(pl.col("predicted_at") == at)
        cut = {name: _as_of(frame, at) for name, frame in tables.items()}

        then = kind.features(cut, asked)

        assert_frame_equal(then, whole.filter(pl.col("predicted_at") == at), rel_tol=1e-9, abs_tol=1e-9)
    assert len(sampled) > 1


def _as_of(frame: pl.DataFrame, at: Any) -> pl.DataFrame:
    """Rows known by then. What a row learned later (a rollback, the end of an incident) is not yet in it."""
    later = [name for name in ("rolled_back_at", "resolved_at") if name in frame.columns]
    known = frame.filter(pl.col("known_at") <= at)
    if "status" in frame.columns and "rolled_back_at" in frame.columns:
        undone = pl.col("rolled_back_at") > at
        known = known.with_columns(status=pl.when(undone).then(pl.lit("succeeded")).otherwise("status"))
    return known.with_columns(pl.when(pl.col(name) <= at).then(pl.col(name)).alias(name) for name in later)


@every_kind
def test_learnt_features_are_those_that_were_published(
    decision: str, entity: str, specs: dict[str, DecisionSpec], warehouse: Warehouse
) -> None:
    """The feature table holds every declared column of every past subject, and no subject twice."""
    spec, kind = specs[decision], specs[decision].kind(entity)

    stored = warehouse.read(feature_table(spec, kind))

    assert stored.height > 0
    assert stored.n_unique(kind.subject_columns) == stored.height
    assert set(stored.columns) == {*kind.subject_columns, *(column.name for column in kind.feature_columns)}


@every_kind
def test_a_ledger_row_names_its_subject_completely(
    decision: str, entity: str, specs: dict[str, DecisionSpec], ledger_rows: dict[str, list[dict[str, Any]]]
) -> None:
    """The subject as text leads back to the very same key columns, so that its outcome can be looked up."""
    kind = specs[decision].kind(entity)
    rows = [row for row in ledger_rows["predictions"] if (row["decision"], row["entity"]) == (decision, entity)]

    subjects = subjects_of(kind, rows)

    assert subjects.height == len(rows)
    assert subjects.null_count().sum_horizontal().item() == 0


# On demand ------------------------------------------------------------------------------------------------------

ASK = f"""
import sys
from assets.__main__ import main
code = main(sys.argv)
print("imported", *(name for name in {HEAVY!r} if name in sys.modules), file=sys.stderr)
sys.exit(code)
"""


def _ask(settings: Settings, arguments: dict[str, Any]) -> tuple[int, dict[str, Any], str, float]:
    """Ask in a process of its own, as the gate does: exit code, last event, what it imported, seconds."""
    started = perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", ASK, "predict", json.dumps(arguments)],
        cwd=settings.root,
        env=environment_with(WEAVER_FORGE_HOME=str(settings.root)),
        capture_output=True,
        text=True,
        check=False,
    )
    events = [json.loads(line) for line in done.stdout.splitlines()]
    assert events, done.stderr
    return done.returncode, events[-1], done.stderr, perf_counter() - started


def _subject(settings: Settings, revision: str) -> dict[str, Any]:
    repository = settings.root / "organisation" / "repo"
    subject = {"repo_id": Repository(repository).repo_id, "revision": revision}
    return {"decision": "deploy_risk", "entity": "changes", "subject": subject, "repository": str(repository)}


def _commit(repository: Path, settings: Settings) -> str:
    """A change that nobody has published a prediction for, made a few minutes ago."""
    (repository / "late.py").write_text("answer = 42\n" * 30, encoding="utf-8")
    at = f"{settings.now() - timedelta(minutes=10):%Y-%m-%dT%H:%M:%S}Z"
    who = {"GIT_AUTHOR_NAME": "Ada", "GIT_AUTHOR_EMAIL": "ada@example.com"}
    who |= {"GIT_COMMITTER_NAME": "Ada", "GIT_COMMITTER_EMAIL": "ada@example.com"}
    environment = environment_with(GIT_AUTHOR_DATE=at, GIT_COMMITTER_DATE=at, **who)
    for command in (("add", "late.py"), ("commit", "--quiet", "--no-gpg-sign", "-m", "Answer late")):
        subprocess.run(["git", "-C", str(repository), *command], env=environment, check=True, capture_output=True)
    return Repository(repository).head()


def test_a_published_revision_is_scored_on_demand_within_ten_seconds(copied: Settings, warehouse: Warehouse) -> None:
    """Without Dagster, MLflow or scikit-learn, and in the ledger before anybody sees it."""
    newest = warehouse.read(BY_NAME["core_changes__changes"]).sort("committed_at")["revision"][-1]

    code, event, said, seconds = _ask(copied, _subject(copied, newest))

    (row,) = event["data"]["predictions"]
    with Ledger.open(copied.ledger_url) as ledger:
        recorded = ledger.prediction(row["prediction_id"])
        assert ledger.verify().ok
    assert code == 0
    assert 0 <= row["probability"] <= 1
    assert row["revision"] == newest
    assert recorded is not None
    assert recorded["probability"] == row["probability"]
    assert said.splitlines()[-1] == "imported"
    assert seconds < 10


@every_kind
def test_every_kind_can_be_asked_about_a_unit_that_is_published(
    decision: str, entity: str, copied: Settings, snapshot: Snapshot, specs: dict[str, DecisionSpec]
) -> None:
    """Asked by what one decision covers; every answer is a prediction that the ledger holds under that id."""
    kind = specs[decision].kind(entity)
    table = prediction_table(specs[decision], kind).name
    (row,) = snapshot.rows(f'select * from "{table}" order by predicted_at desc limit 1')
    subject = {name: str(row[name]) for name in kind.decided_per}
    events: list[dict[str, Any]] = []

    code = predict(
        copied, {"decision": decision, "entity": entity, "subject": subject}, lambda event: events.append(dict(event))
    )

    answered = events[-1]["data"]["predictions"]
    with Ledger.open(copied.ledger_url) as ledger:
        recorded = {row["prediction_id"] for row in ledger.tail("predictions", EVERY_ROW)}
    assert code == 0
    assert answered
    assert {row["prediction_id"] for row in answered} <= recorded
    assert all(str(row[name]) == value for row in answered for name, value in subject.items())


def test_a_commit_made_after_publishing_is_scored_from_the_repository(copied: Settings) -> None:
    """Its files and lines are read from the clone at hand; its number is its own, not a prior."""
    revision = _commit(copied.root / "organisation" / "repo", copied)

    code, event, said, seconds = _ask(copied, _subject(copied, revision))

    (row,) = event["data"]["predictions"]
    assert code == 0
    assert row["revision"] == revision
    assert 0 <= row["probability"] <= 1
    assert "30" in row["evidence"]
    assert said.splitlines()[-1] == "imported"
    assert seconds < 10


@pytest.mark.parametrize(
    ("entity", "subject"),
    [
        ("windows", {"service_key": "shop/web/production", "window_at": "yesterday"}),
        ("windows", {"revision": "abc"}),
        ("none", {"service_key": "shop/web/production"}),
    ],
    ids=["no instant", "no such column", "no such kind"],
)
def test_a_question_that_names_no_subject_is_a_usage_error(entity: str, subject: dict[str, str], lived: Lived) -> None:
    with pytest.raises(UsageError):
        predict(lived[0], {"decision": "anomaly", "entity": entity, "subject": subject}, lambda _event: None)


def test_asking_about_what_is_settled_is_no_prediction_and_never_scored(copied: Settings, warehouse: Warehouse) -> None:
    """A change that was blamed already may be asked about, but hindsight earns no trust."""
    blamed = warehouse.read(BY_NAME["core_changes__blames"]).sort("known_at")["revision"][0]
    _code, event, _said, _seconds = _ask(copied, _subject(copied, blamed))
    (asked,) = event["data"]["predictions"]
    deployment = load_deployment(copied)
    spec = next(spec for spec in deployment.specs if spec.name == "deploy_risk")

    resolve_and_score(deployment, spec, spec.kind("changes"))

    with Ledger.open(copied.ledger_url) as ledger:
        (outcome,) = [
            row for row in ledger.tail("outcomes", EVERY_ROW) if row["prediction_id"] == asked["prediction_id"]
        ]
    assert (outcome["maturity"], outcome["outcome"]) == ("unresolvable", None)
    assert outcome["link_method"] == "known before it was predicted"


@pytest.mark.parametrize("in_the_clone", [True, False])
def test_an_unknown_revision_gets_an_error_and_no_number(copied: Settings, in_the_clone: bool) -> None:
    """A made-up revision is a source that cannot be read (exit code 5), never a confident prior."""
    arguments = _subject(copied, "f" * 40)
    if not in_the_clone:
        del arguments["repository"]

    code, event, _said, _seconds = _ask(copied, arguments)

    assert code == event["exit_code"] == SourceError.exit_code
    assert event["event"] == "error"
    assert "f" * 40 in event["what"] + event["where"]
    assert event["do"]


def test_subject_kinds_are_found_by_their_columns(specs: dict[str, DecisionSpec]) -> None:
    """Whoever asks names columns, not kinds; every kind can be asked about by what it decides on."""
    kinds = [(spec, kind) for spec in specs.values() for kind in spec.kinds]

    found = [kind_for(spec, None, dict.fromkeys(kind.decided_per, "x")) for spec, kind in kinds]

    assert found == [kind for _spec, kind in kinds]
