"""One project counts once in means over sets: told by its runs' durations, never by a name."""

import numpy as np
import polars as pl
import pytest

from assets.verbs.benchmark import means, read_sets
from models.test_selection.evaluation import BASELINES, measure
from weaver_forge.benchmarks import BenchmarkData
from weaver_forge.benchmarks.same_runs import LEAST_RUNS, projects
from weaver_forge.settings import test_data as outside_data


def _set(name: str, runs: list[list[float]], prefix: str = "") -> BenchmarkData:
    rows = [
        {"run_id": f"{prefix}{number}", "test_id": f"{prefix}t{place}", "duration_ms": ms}
        for number, durations in enumerate(runs)
        for place, ms in enumerate(durations)
    ]
    tables = {"core_ci__test_verdicts": pl.DataFrame(rows)}
    return BenchmarkData(decision="test_selection", entity="tests", set=name, format="made up", tables=tables)


def _runs(n: int, seed: int) -> list[list[float]]:
    return np.random.default_rng(seed).uniform(2_000, 900_000, (n, 3)).round().tolist()


def test_the_same_runs_under_other_names_are_one_project() -> None:
    runs = _runs(40, 1)

    found = projects([_set("a", runs), _set("b", runs[::3], prefix="x"), _set("c", _runs(40, 2))])

    assert found == {"a": "a", "b": "a", "c": "c"}


def test_sets_that_share_runs_with_a_third_are_one_project() -> None:
    runs = _runs(40, 1)

    found = projects([_set("a", runs[:20]), _set("b", runs[20:]), _set("c", runs)])

    assert found == {"a": "a", "b": "a", "c": "a"}


def test_a_few_common_runs_and_short_tests_make_no_project() -> None:
    runs, short = _runs(40, 1), [[3.0, 2.0, 1.0]] * 40

    few = projects([_set("a", runs[: LEAST_RUNS - 1]), _set("b", runs)])
    fast = projects([_set("a", short), _set("b", short)])

    assert few == fast == {"a": "a", "b": "b"}


def _row(name: str, value: float) -> dict[str, object]:
    return {"set": name, "protocol": "p", "metric": "m", "value": value, "baselines": {"naive": value / 2}}


def test_a_project_counts_once_in_the_mean() -> None:
    rows = [_row("a", 0.2), _row("b", 0.4), _row("c", 0.9)]

    (once,), (each,) = list(means(rows, {"b": "a"})), list(means(rows))

    assert (once["value"], once["baselines"]["naive"], once["n"]) == (pytest.approx(0.6), pytest.approx(0.3), 2)
    assert (each["value"], each["n"]) == (pytest.approx(0.5), 3)


def test_ties_of_naive_orders_are_averaged_over_draws() -> None:
    tied = dict.fromkeys(("probability", "baseline_probability"), 0.5)
    scores = dict.fromkeys(("score_time", "score_failures", "score_budget", "baseline_score"), 1.0)
    judged = pl.DataFrame({"unit": ["u", "u"], "outcome": [1.0, 0.0], "cost": 1.0, "n_failures": 1.0}).with_columns(
        **{name: pl.lit(value) for name, value in (tied | scores | {f"naive_{n}": 0.0 for n in BASELINES}).items()}
    )

    rows = {row["metric"]: row for row in measure("s", "p", judged, np.random.default_rng(3))}

    # One draw says .25 or .75.
    naive = {**rows["apfd"]["baselines"], "ours": rows["apfd"]["value"]}
    assert naive.pop("optimal") == pytest.approx(0.75)
    assert all(0.25 < value < 0.75 for value in naive.values())


def test_the_gain_is_the_difference_of_the_values_beside_it() -> None:
    n, rng = 30, np.random.default_rng(5)
    names = ["probability", "baseline_probability", "score_time", "score_failures", "score_budget"]
    drawn = {name: rng.random(n) for name in (*names, *(f"naive_{name}" for name in BASELINES))}
    judged = pl.DataFrame(drawn).with_columns(
        unit=pl.Series([f"u{i // 5}" for i in range(n)]),
        outcome=pl.Series([float(i % 5 == 0) for i in range(n)]),
        cost=pl.Series(rng.random(n) * 100),
        n_failures=1.0,
        baseline_score=0.0,
    )

    rows = {row["metric"]: row for row in measure("s", "p", judged, rng)}

    expected = rows["apfdc"]["value"] - rows["apfdc"]["baselines"]["last_failed_first"]
    assert rows["apfdc_gain"]["value"] == pytest.approx(expected)


@pytest.mark.outside
def test_published_histories_of_one_project_are_found_and_no_others() -> None:
    folder = outside_data()
    if folder is None or not (folder / "tcp").is_dir():
        pytest.skip("WEAVER_FORGE_TEST_DATA has no folder tcp")
    sets = [data for data in read_sets(folder / "tcp") if data.decision == "test_selection"]

    found = projects(sets)

    twice = {(name, first) for name, first in found.items() if name != first}
    assert {(name.rpartition("-")[2], first.rpartition("-")[2]) for name, first in twice} == {
        (name.rpartition("-")[2],) * 2 for name, _ in twice
    }
    assert len(set(found.values())) == len(sets) - 2


def test_sets_without_verdicts_stand_for_themselves() -> None:
    none = BenchmarkData(decision="d", entity="e", set="z", format="f", tables={})

    assert projects([none, _set("a", _runs(9, 1))]) == {"z": "z", "a": "a"}
