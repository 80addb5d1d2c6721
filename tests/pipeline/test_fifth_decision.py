"""A fifth decision is a package and a line: trained, baselined, published, gated and scored by what is there.

The package below is written into the deployment's root, as an organisation would; no other code knows its name.
"""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from assets.partitions import range_tags
from assets.verbs.loop import Runner
from weaver_forge.contracts.tables import BY_NAME
from weaver_forge.ledger import Ledger
from weaver_forge.settings import Settings, environment_with
from weaver_forge.snapshot import open_snapshot
from weaver_forge.testing import OrganisationPlan, Truth, advance_git
from weaver_forge.warehouse import Warehouse

PLAN = OrganisationPlan.small()
HISTORY_ENDS = PLAN.starts_at + timedelta(days=6)

PACKAGE = '''
"""late_change: a change that is committed late in the day is repaired more often, some say."""

import json
from datetime import timedelta

import polars as pl

from weaver_forge.contracts.decision import DecisionSpec, Method, Predictions, SubjectKind
from weaver_forge.contracts.table import Column
from weaver_forge.contracts.tables.changes import CORE_CHANGES_BLAMES, CORE_CHANGES_CHANGES, REPO_ID, REVISION

KEY = ("repo_id", "revision")
SETTLED = timedelta(days=1)


def history(tables, as_of):
    changes = tables["core_changes__changes"].filter(pl.col("known_at") <= as_of)
    return changes.select(*KEY, predicted_at="known_at").sort("predicted_at", "revision")


def current(tables, as_of):
    return history(tables, as_of).filter(pl.col("predicted_at") > as_of - SETTLED)


def features(tables, subjects):
    at = tables["core_changes__changes"].select(*KEY, hour=pl.col("committed_at").dt.hour().cast(pl.Float64))
    return subjects.select(*KEY, "predicted_at").join(at, on=KEY, how="left", maintain_order="left")


def labels(tables, subjects, as_of):
    blamed = tables["core_changes__blames"].filter(pl.col("known_at") <= as_of)
    blamed = blamed.group_by(KEY).agg(blamed_at=pl.col("known_at").min())
    rows = subjects.select(*KEY, "predicted_at").join(blamed, on=KEY, how="left", maintain_order="left")
    due = pl.col("predicted_at") + SETTLED
    is_bad = (pl.col("blamed_at") <= due).fill_null(False)
    known = is_bad | (due <= as_of)
    return rows.select(
        *KEY,
        "predicted_at",
        outcome=pl.when(known).then(is_bad.cast(pl.Float64)),
        maturity=pl.when(known).then(pl.lit("mature")).otherwise(pl.lit("pending")),
        outcome_known_at=pl.when(is_bad).then("blamed_at").when(known).then(due),
        link_method=pl.lit("blame within a day"),
        link_confidence=pl.lit(0.7),
        cost=pl.lit(None, pl.Float64),
    )


def fit_rate(features, labels, rng):
    return {"bad": labels["outcome"].sum() + 1.0, "n": labels.height + 10.0}


def fit_late(features, labels, rng):
    rows = features.join(labels, on=(*KEY, "predicted_at")).with_columns(late=pl.col("hour") >= 18)
    return {str(late): fit_rate(None, rows.filter(pl.col("late") == late), rng) for late in (True, False)}


def said(features, probability, fact):
    evidence = pl.lit(json.dumps([{"fact": fact, "contribution": 1.0, "link": ""}]))
    return Predictions(features.select(*KEY, "predicted_at", probability=probability, evidence=evidence))


def predict_rate(artifact, features):
    return said(features, pl.lit(artifact["bad"] / artifact["n"]), "repaired as often as any change")


def predict_late(artifact, features):
    rate = {late: part["bad"] / part["n"] for late, part in artifact.items()}
    late = pl.col("hour") >= 18
    return said(features, pl.when(late).then(rate["True"]).otherwise(rate["False"]), "as often as at such hours")


SPEC = DecisionSpec(
    name="late_change",
    summary="Says whether a change will be repaired within a day.",
    reads=(CORE_CHANGES_CHANGES, CORE_CHANGES_BLAMES),
    sources={"git": "nothing can be predicted"},
    score_unit="probability of a repair",
    kinds=(
        SubjectKind(
            entity="changes",
            key=(REPO_ID, REVISION),
            decided_per=KEY,
            predicts="event",
            label="A fix blames it within a day.",
            maturity="When blamed, else after a day.",
            link="blame",
            resolve_after=SETTLED,
            one_sided_for=SETTLED,
            feature_columns=(Column("hour", "DOUBLE", "Hour of the commit, UTC.", nullable=True),),
            history=history,
            current=current,
            features=features,
            labels=labels,
            baseline=Method("base_rate", fit_rate, predict_rate),
            model=Method("rate_by_time_of_day", fit_late, predict_late),
            metrics=("brier", "auc"),
        ),
    ),
)
'''
POLICY = """
version: 1
decisions:
  late_change: {scope: development, ceiling: autonomous, max_age_hours: 48, review_at: 0.0, deny_at: 0.0}
"""


@pytest.fixture(scope="module")
def fifth(
    configure: Callable[..., Settings],
    organisation: tuple[Path, Truth],
    tmp_path_factory: pytest.TempPathFactory,
) -> tuple[Settings, list[dict[str, Any]]]:
    """A deployment with one decision of its own and one source, two days after it first published."""
    root = tmp_path_factory.mktemp("fifth")
    shutil.copytree(organisation[0] / "repo", root / "organisation" / "repo", symlinks=True)
    (root / "late_change").mkdir()
    (root / "late_change" / "__init__.py").write_text(PACKAGE, encoding="utf-8")
    (root / "policy.yaml").write_text(POLICY, encoding="utf-8")
    events: list[dict[str, Any]] = []
    days = range_tags(PLAN.start, PLAN.start)

    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(root))
        for now in (HISTORY_ENDS, PLAN.ends_at):
            advance_git(root / "organisation" / "repo", now)
            settings = configure(root, now, {"late_change": "late_change"})
            Runner(settings, lambda event: events.append(dict(event))).job("loop", tags=days)
    return settings, events


def newest(settings: Settings) -> str:
    changes = Warehouse(settings.warehouse, settings.lake).read(BY_NAME["core_changes__changes"])
    return str(changes.sort("known_at")["revision"][-1])


def test_it_is_trained_and_judged_against_its_baseline(fifth: tuple[Settings, list[dict[str, Any]]]) -> None:
    settings, events = fifth

    with Ledger.open(settings.ledger_url) as ledger:
        (brier,) = [row for row in ledger.latest_evaluations() if row["metric"] == "brier"]

    judged = [event for event in events if event["event"] == "judgement"]
    assert [(event["decision"], event["entity"]) for event in judged] == [("late_change", "changes")] * 2
    assert (brier["model_name"], brier["baseline_name"]) == ("rate_by_time_of_day", "base_rate")
    assert brier["reason"]


def test_it_is_published_under_the_name_of_what_was_promoted(fifth: tuple[Settings, list[dict[str, Any]]]) -> None:
    settings, events = fifth
    promoted = [event["promoted"] for event in events if event["event"] == "judgement"][-1]

    with open_snapshot(settings.root) as snapshot:
        rows = snapshot.predictions("late_change", "changes", {"revision": newest(settings)})
        document = json.loads(snapshot.artifact("late_change", "changes"))

    (row,) = rows
    assert row["model_name"] == ("rate_by_time_of_day" if promoted else "base_rate")
    assert 0 < row["probability"] < 1
    assert row["baseline_probability"] is not None
    assert document["is_baseline"] is not promoted


def test_it_is_scored_on_what_became_of_its_predictions(fifth: tuple[Settings, list[dict[str, Any]]]) -> None:
    """What was predicted at the first publication had a day to come true before the second."""
    settings, _events = fifth

    with Ledger.open(settings.ledger_url) as ledger:
        scores = {row["metric"]: row for row in ledger.latest_scores()}
        resolved = ledger.resolved("late_change", "changes")
        verification = ledger.verify()

    assert verification.ok
    assert scores["brier"]["n"] == len(resolved) > 0
    assert scores["brier"]["decision"] == "late_change"
    assert all(row["outcome"] in {0.0, 1.0} for row in resolved)


def _cli(settings: Settings, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "weaver_forge", *arguments],
        cwd=settings.root / "organisation" / "repo",
        env=environment_with(WEAVER_FORGE_HOME=str(settings.root)),
        capture_output=True,
        text=True,
        check=False,
    )


def test_it_is_gated_by_its_policy_and_the_decision_is_recorded(
    fifth: tuple[Settings, list[dict[str, Any]]],
) -> None:
    """The gate, its policy and its record know no decision by name: at a bar of 0 any probability is denied."""
    settings, _events = fifth
    standing = {"decision": "late_change", "entity": "changes", "action": "", "scope": "development"}
    earned = {"standings": [{**standing, "level": "autonomous"}]}
    (settings.published / "standings.json").write_text(json.dumps(earned), encoding="utf-8")

    done = _cli(
        settings,
        "gate",
        "--decision",
        "late_change",
        "--change",
        newest(settings),
        "--from",
        str(settings.root),
        "--json",
    )

    answer = json.loads(done.stdout)
    with Ledger.open(settings.ledger_url) as ledger:
        (decided,) = ledger.tail("decisions", 1)
    assert done.returncode == 1, done.stderr
    assert answer["verdict"] == decided["verdict"] == "deny"
    assert decided["decision"] == "late_change"
    assert decided["applied"]
    assert newest(settings) in decided["unit"]
    assert decided["prediction_ids"]


def test_its_scores_are_shown_by_the_command_line(fifth: tuple[Settings, list[dict[str, Any]]]) -> None:
    settings, _events = fifth

    done = _cli(settings, "ledger", "score", "--json")

    assert done.returncode == 0, done.stderr
    assert "late_change" in done.stdout
