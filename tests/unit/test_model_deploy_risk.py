"""Deploy risk: what is known when, what counts as harm, and what holds without any history."""

import json
from datetime import datetime, timedelta

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from models import deploy_risk, logistic
from models.deploy_risk import trees
from weaver_forge.contracts.dtypes import empty, shaped
from weaver_forge.contracts.tables import BY_NAME
from weaver_forge.errors import ConfigurationError

T0 = datetime(2026, 1, 1)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
SPEC = deploy_risk.configure(change_maturity_days=14)
CHANGES, DEPLOYMENTS = SPEC.kinds
NAMES = [table.name for table in SPEC.reads]


def _tables(**rows: list[dict]) -> dict:
    """Core tables by the last part of their names."""
    found = {}
    for name in NAMES:
        some = rows.get(name.rpartition("__")[2], [])
        found[name] = (
            shaped(BY_NAME[name], pl.DataFrame(some, infer_schema_length=None)) if some else empty(BY_NAME[name])
        )
    return found


def _change(k: int, at: datetime, lines: int = 10, author: str = "a") -> dict:
    return {
        "repo_id": "r", "revision": f"rev{k}", "author": author, "committed_at": at, "subject": "s", "is_fix": False,
        "n_files": 1, "n_added": lines, "n_deleted": 0, "known_at": at,
    }  # fmt: skip


def _file(k: int, at: datetime, path: str = "src/a.py", lines: int = 10, author: str = "a") -> dict:
    return {
        "repo_id": "r", "revision": f"rev{k}", "path": path, "n_added": lines, "n_deleted": 0, "author": author,
        "committed_at": at, "known_at": at,
    }  # fmt: skip


def _blame(k: int, at: datetime) -> dict:
    return {
        "repo_id": "r",
        "revision": f"rev{k}",
        "fix_revision": "fix",
        "n_lines": 1,
        "method": "szz_blame",
        "known_at": at,
    }


def _deployment(k: int, at: datetime, rolled_back_at: datetime | None = None, service: str = "/api/") -> dict:
    return {
        "service_key": service, "environment": "production", "version": f"v{k}", "deployment_id": f"{service}{k}",
        "repo_id": "r", "status": "succeeded", "started_at": at, "rolled_back_at": rolled_back_at, "known_at": at,
    }  # fmt: skip


def _incident(at: datetime, known_at: datetime, revision: str | None = None, service: str = "/api/") -> dict:
    return {
        "incident_id": f"{at}{service}", "service_key": service, "severity": "major", "title": "t", "started_at": at,
        "cause_repo_id": "r" if revision else None, "cause_revision": revision, "known_at": known_at,
    }  # fmt: skip


def _organisation(n: int = 420, seed: int = 0) -> dict:
    """Bugs come with size and with two troubled files; deployments every eight changes are bad when large."""
    rng = np.random.default_rng(seed)
    changes, files, blames, deployments = [], [], [], []
    carried = 0
    for k in range(n):
        at = T0 + k * 3 * HOUR
        lines, path = int(np.exp(rng.normal(3, 1))) + 1, int(rng.integers(10))
        carried += lines
        author = f"a{rng.integers(4)}"
        changes.append(_change(k, at, lines, author))
        files.append(_file(k, at, f"src/m{path}.py", lines, author))
        if rng.random() < 1 / (1 + np.exp(-(np.log(lines) - 4.5 + (3 if path < 2 else 0)))):
            blames.append(_blame(k, at + float(rng.uniform(1, 10)) * DAY))
        if k % 8 == 7:
            bad = rng.random() < 1 / (1 + np.exp(-(carried - 300) / 60))
            deployments.append(_deployment(k, at + HOUR, at + 3 * HOUR if bad else None))
            carried = 0
    return _tables(changes=changes, files=files, blames=blames, deployments=deployments)


def _ids(kind: str) -> object:
    return CHANGES if kind == "changes" else DEPLOYMENTS


@pytest.fixture(scope="module")
def organisation() -> dict:
    return _organisation()


@pytest.mark.parametrize("entity", ["changes", "deployments"])
def test_rows_planted_in_the_future_change_no_feature(organisation: dict, entity: str) -> None:
    """Each kind: rows that become known later are invisible, whatever their event time."""
    kind = SPEC.kind(entity)
    cut = T0 + 60 * DAY
    subjects = kind.history(organisation, cut)
    before = kind.features(organisation, subjects)
    later = {}
    for name, frame in organisation.items():
        planted = frame.with_columns(known_at=pl.lit(cut + 300 * DAY, pl.Datetime("us")))
        identity = [c for c in ("revision", "deployment_id", "version", "incident_id") if c in frame.columns][:1]
        if name != "core_changes__blames":
            planted = planted.with_columns(pl.format("late-{}", c).alias(c) for c in identity)
        if "rolled_back_at" in frame.columns:
            planted = planted.with_columns(rolled_back_at=pl.col("started_at"))
        later[name] = pl.concat([frame, planted])

    after = kind.features(later, subjects)

    assert before.height > 5
    assert_frame_equal(before, after)


@pytest.mark.parametrize("entity", ["changes", "deployments"])
def test_row_order_changes_nothing(organisation: dict, entity: str) -> None:
    kind = SPEC.kind(entity)
    subjects = kind.history(organisation, T0 + 1000 * DAY)
    mixed = {name: frame.sample(fraction=1, shuffle=True, seed=1) for name, frame in organisation.items()}
    key = list(kind.subject_columns)

    straight = kind.features(organisation, subjects)
    shuffled = kind.features(mixed, subjects.sample(fraction=1, shuffle=True, seed=2))

    assert straight.columns == [*key, *(column.name for column in kind.feature_columns)]
    assert_frame_equal(straight.sort(key), shuffled.sort(key))


@pytest.mark.parametrize("entity", ["changes", "deployments"])
def test_an_empty_history_gives_the_prior(organisation: dict, entity: str) -> None:
    kind = SPEC.kind(entity)
    nothing = {name: frame.clear() for name, frame in organisation.items()}
    subjects = kind.history(organisation, T0 + 20 * DAY).tail(3)
    features = kind.features(nothing, subjects)
    labels = kind.labels(nothing, subjects.clear(), T0)

    for method in (kind.model, kind.baseline):
        artifact = json.loads(json.dumps(method.fit(features.clear(), labels, np.random.default_rng(0))))
        probability = method.predict(artifact, features).rows["probability"]
        assert probability.len() == 3
        assert probability.is_between(0.02, 0.3).all()


@pytest.mark.parametrize(("entity", "margin"), [("changes", 0.03), ("deployments", -0.1)])
def test_the_model_beats_lines_added_where_more_than_size_matters(
    organisation: dict, entity: str, margin: float
) -> None:
    """Changes: by 0.03 AUC, knowing the troubled files. Deployments, where size is the truth: not far behind."""
    from weaver_forge import metrics

    kind = SPEC.kind(entity)
    end = T0 + 1000 * DAY
    features = kind.features(organisation, kind.history(organisation, end))
    labels = kind.labels(organisation, features.select(kind.subject_columns), end)
    cut = int(0.7 * features.height)
    rng = np.random.default_rng(0)
    key = list(kind.subject_columns)

    model = kind.model.fit(features[:cut], labels, rng)
    again = kind.model.fit(features[:cut].reverse(), labels, np.random.default_rng(0))
    rows = kind.model.predict(json.loads(json.dumps(model)), features[cut:]).rows
    theirs = kind.baseline.predict(kind.baseline.fit(features[:cut], labels, rng), features[cut:]).rows
    theirs = theirs.select(*key, baseline_probability="probability")
    judged = rows.join(theirs, on=key).join(labels, on=key).with_columns(unit=pl.col(key[-2]))
    auc = metrics.evaluate(["auc"], judged, rng=rng)[0]

    assert model == again
    assert judged["probability"].is_between(0, 1).all()
    assert auc.gain is not None
    assert auc.gain > margin


def test_a_hundred_changes_do_not_drown_size_in_noise() -> None:
    """Where size is the truth and every column without a stated coefficient is noise, under .06 AUC is lost to size."""
    stated = {"n_files", "n_prior_changes", "n_prior_bugs", "author_changes"}
    kept, lost = [], []
    for seed in range(8):
        rng = np.random.default_rng(seed)
        columns = {column.name: rng.lognormal(1, 1, 500) for column in CHANGES.feature_columns}
        columns |= dict.fromkeys(stated, np.ones(500))
        key = {"repo_id": ["r"] * 500, "revision": [f"v{k}" for k in range(500)]}
        times = [T0 + k * HOUR for k in range(500)]
        features = pl.DataFrame({**key, "predicted_at": times, **columns}).cast({"predicted_at": pl.Datetime("us")})
        size = np.log1p(columns["lines_added"])
        labels = features.select(*CHANGES.subject_columns).with_columns(
            outcome=(rng.random(500) < 1 / (1 + np.exp(2.5 - 0.8 * size))).astype(float)
        )

        model = CHANGES.model.fit(features[:100], labels[:100], rng)
        said = CHANGES.model.predict(model, features[100:]).rows["probability"].to_numpy()
        outcome = labels["outcome"][100:].to_numpy()
        kept.append(_auc(said, outcome))
        lost.append(_auc(size[100:], outcome))

    assert np.mean(kept) > np.mean(lost) - 0.06


def test_outcomes_decide_how_firmly_a_prior_holds() -> None:
    """Noise is likelier under a firm prior of nothing, a strong effect under a loose one."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(400, 10))
    coin = (rng.random(400) < 0.5).astype(float)
    clear = (x[:, 0] - x[:, 1] + 0.3 * rng.normal(size=400) > 0).astype(float)
    shared = {"prior": np.zeros(10), "base_rate": 0.5, "weight": np.ones(400)}

    by_chance = [logistic.evidence(x, coin, penalty=strength, **shared) for strength in (10.0, 300.0)]
    by_effect = [logistic.evidence(x, clear, penalty=strength, **shared) for strength in (10.0, 300.0)]

    assert by_chance[1] > by_chance[0]
    assert by_effect[0] > by_effect[1]


def _auc(said: np.ndarray, outcome: np.ndarray) -> float:
    bad, good = said[outcome == 1], said[outcome == 0]
    return float(np.mean(bad[:, None] > good[None, :]))


def test_a_blame_counts_only_from_the_fix_on() -> None:
    tables = _tables(changes=[_change(0, T0), _change(1, T0)], blames=[_blame(0, T0 + 5 * DAY)])
    subjects = CHANGES.history(tables, T0)

    early = CHANGES.labels(tables, subjects, T0 + 4 * DAY)
    blamed = CHANGES.labels(tables, subjects, T0 + 5 * DAY)
    late = CHANGES.labels(tables, subjects, T0 + 14 * DAY)

    assert early["maturity"].to_list() == ["pending", "pending"]
    assert blamed["outcome"].to_list() == [1.0, None]
    assert late["outcome"].to_list() == [1.0, 0.0]
    assert late["outcome_known_at"].to_list() == [T0 + 5 * DAY, T0 + 14 * DAY]
    assert late["cost"].to_list() == [11.0, 11.0]


def test_an_incident_that_names_the_revision_counts_as_harm() -> None:
    tables = _tables(changes=[_change(0, T0)], incidents=[_incident(T0 + DAY, T0 + 2 * DAY, "rev0")])
    subjects = CHANGES.history(tables, T0)

    labels = CHANGES.labels(tables, subjects, T0 + 3 * DAY)

    assert labels["outcome"].to_list() == [1.0]
    assert labels["link_method"].to_list() == ["incident:cause_revision"]


def test_current_changes_are_recent_and_still_open() -> None:
    changes = [_change(0, T0 - 60 * DAY), _change(1, T0 - 20 * DAY), _change(2, T0 - DAY), _change(3, T0 - DAY / 2)]
    tables = _tables(changes=changes, blames=[_blame(3, T0 - DAY / 4)])

    subjects = CHANGES.current(tables, T0)

    assert subjects["revision"].to_list() == ["rev2"]
    assert subjects["predicted_at"].to_list() == [T0 - DAY]


def test_a_deployment_is_bad_when_rolled_back_or_hurt_within_a_day() -> None:
    services = ["/a/", "/b/", "/c/", "/d/"]
    deployments = [
        _deployment(0, T0, T0 + HOUR, "/a/"), _deployment(1, T0, None, "/b/"), _deployment(2, T0, T0 + 2 * DAY, "/c/"),
        _deployment(3, T0, None, "/d/"),
    ]  # fmt: skip
    incidents = [
        _incident(T0 + HOUR, T0 + 2 * HOUR, service="/b/"),
        _incident(T0 + 2 * DAY, T0 + 2 * DAY, service="/d/"),
    ]
    tables = _tables(deployments=deployments, incidents=incidents)
    subjects = DEPLOYMENTS.history(tables, T0)

    soon = DEPLOYMENTS.labels(tables, subjects, T0 + 3 * HOUR).sort("service_key")
    late = DEPLOYMENTS.labels(tables, subjects, T0 + 3 * DAY).sort("service_key")

    assert soon["service_key"].to_list() == services
    assert soon["maturity"].to_list() == ["mature", "mature", "pending", "pending"]
    assert late["outcome"].to_list() == [1.0, 1.0, 0.0, 0.0]


def test_a_deployment_carries_the_changes_since_the_one_before() -> None:
    changes = [_change(k, T0 + k * HOUR, lines=10 * (k + 1)) for k in range(4)]
    deployments = [_deployment(0, T0 + HOUR), _deployment(1, T0 + 3 * HOUR)]
    tables = _tables(changes=changes, deployments=deployments)

    features = DEPLOYMENTS.features(tables, DEPLOYMENTS.history(tables, T0 + DAY))
    alone = DEPLOYMENTS.features(tables, DEPLOYMENTS.history(tables, T0 + DAY).tail(1))

    assert features["n_changes"].to_list() == [2.0, 2.0]
    assert features["lines_added"].to_list() == [30.0, 70.0]
    assert features["hours_since_deployment"].to_list() == [None, 2.0]
    assert_frame_equal(features.tail(1), alone)


def test_exported_trees_say_what_scikit_learn_says() -> None:
    """The arrays are read from its private predictors; an upgrade that changes them must show here."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(500, 4))
    y = (x[:, 0] + rng.normal(size=500) > 0).astype(float)
    x[rng.random(x.shape) < 0.1] = np.nan
    x[:, 3] = np.nan
    forest = trees.grow(x, y, np.ones(500), np.random.default_rng(5))

    from sklearn.ensemble import HistGradientBoostingClassifier

    said = [
        HistGradientBoostingClassifier(
            learning_rate=trees.LEARNING_RATE, max_iter=trees.N_TREES, max_leaf_nodes=trees.LEAVES,
            min_samples_leaf=trees.SMALLEST_LEAF, l2_regularization=5.0, max_features=trees.COLUMN_SHARE,
            early_stopping=False, random_state=int(seed),
        ).fit(x[:, :3], y).decision_function(x[:, :3])
        for seed in np.random.default_rng(5).integers(0, 2**31 - 1, trees.BAGS)
    ]  # fmt: skip
    ours = forest.contributions(x).sum(axis=1) + forest.intercept

    np.testing.assert_allclose(ours, np.mean(said, axis=0), atol=1e-6)


def test_an_unknown_option_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="change_maturity_days"):
        deploy_risk.configure(maturity=3)
