"""Three buckets with a bound: what counts as caught, escaped or unstable, and when there is a rate."""

import numpy as np
import polars as pl
import pytest

from weaver_forge.autonomy.accounting import NEEDED, ROWS, account
from weaver_forge.contracts.decision import FLAKY
from weaver_forge.ledger import queries

Row = tuple[str, str, bool, float | None, str, str | None]


def rows(*found: Row) -> pl.DataFrame:
    return pl.DataFrame(list(found), schema=ROWS, orient="row")


def failing(unit: str, *, covered: bool, cluster: str = "") -> Row:
    return (unit, cluster or unit, covered, 1.0, "mature", "revision:verdict")


def test_a_real_failure_is_caught_or_escaped_and_a_flaky_one_is_neither() -> None:
    counted = account(
        rows(
            failing("a", covered=True),
            failing("b", covered=False),
            ("b", "b", False, 0.0, "mature", "revision:verdict"),
            ("c", "c", False, 0.0, "mature", f"revision:both outcomes, {FLAKY}"),
            ("d", "d", False, None, "pending", None),
            ("e", "e", False, None, "unresolvable", "revision:not run"),
        )
    )

    assert (counted.caught, counted.escaped, counted.unstable) == (1, 1, 1)
    assert (counted.n_mature, counted.n_pending, counted.n_unresolvable) == (4, 1, 1)


def test_failures_of_one_unit_are_one_piece_of_evidence() -> None:
    counted = account(rows(*(failing("a", covered=number > 0) for number in range(40))))

    assert (counted.caught, counted.escaped) == (39, 1)
    assert (counted.failing_units, counted.escaped_units, counted.escape_rate.n) == (1, 1, 1)
    assert counted.escape_rate.text == f"insufficient data: 1 of {NEEDED}"
    assert counted.escape_rate.upper is None


def test_a_cluster_counts_by_the_share_of_its_units_that_something_escaped_from() -> None:
    counted = account(
        rows(failing("9:00", covered=True, cluster="monday"), failing("9:10", covered=False, cluster="monday"))
    )

    assert (counted.escape_rate.n, counted.escape_rate.escaped) == (1, 0.5)


def test_an_empty_past_has_no_rate() -> None:
    counted = account(rows())

    assert counted.escape_rate.text == f"insufficient data: 0 of {NEEDED}"
    assert counted.escape_rate.rate is None


def test_the_bound_is_above_the_rate_and_falls_with_more_evidence() -> None:
    few, many = (
        account(rows(*(failing(f"u{number}", covered=number % 10 > 0) for number in range(n)))) for n in (50, 500)
    )

    assert few.escape_rate.rate == many.escape_rate.rate == pytest.approx(0.1)
    assert few.escape_rate.upper is not None
    assert many.escape_rate.upper is not None
    assert 0.1 < many.escape_rate.upper < few.escape_rate.upper


def test_the_bound_holds_at_all_looks_together() -> None:
    """A true escape rate of 10 %, looked at after every failing unit from the first rate on to 300."""
    rng = np.random.default_rng(7)
    broken = 0
    for _ in range(60):
        escaped = rng.random(300) < 0.1
        looks = range(NEEDED, 301, 15)
        found = (
            account(rows(*(failing(f"u{n}", covered=not escaped[n]) for n in range(look)))).escape_rate.upper
            for look in looks
        )
        broken += any(upper is not None and upper < 0.1 for upper in found)

    assert broken <= 60 * 0.05 + 3


def test_as_much_is_needed_as_for_every_other_figure_of_the_ledger() -> None:
    assert queries.NEEDED == NEEDED
