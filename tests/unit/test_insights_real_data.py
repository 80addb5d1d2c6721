"""On histories that really happened: what is told stands in the numbers, and shuffled it is told no more."""

import pytest

from assets.verbs.benchmark import read_sets
from assets.verbs.insights_benchmark import measured
from weaver_forge.settings import test_data as outside_data


@pytest.mark.outside
def test_shuffled_histories_of_a_real_project_give_an_insight_in_at_most_one_run_of_twenty() -> None:
    """Test classes and jobs of a project's CI over two years; the benchmark makes 200 runs of every set."""
    folder = outside_data()
    if folder is None:
        pytest.skip("WEAVER_FORGE_TEST_DATA names no folder")
    sets = [each for each in read_sets(folder / "tcp" / "ratis-gha") if each.decision == "test_selection"]

    rows = [measured(each, runs=20) for each in sets]

    assert len(rows) == 2
    assert all(row["with any"] <= 1 for row in rows)
    assert all(row["hypotheses"] >= 40 for row in rows)
