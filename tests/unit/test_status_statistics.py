"""The figures' arithmetic: intervals against published examples, effects against cases worked out by hand."""

from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from weaver_forge.errors import ContractError
from weaver_forge.insights.status_effects import Change, Known, Unit, improved, prevented, saved
from weaver_forge.insights.status_figure import Figure, State, measured, of_parts, unknown
from weaver_forge.insights.status_health import age, health, share
from weaver_forge.insights.status_intervals import (
    difference,
    mean_difference,
    median_of,
    share_of,
    student,
    wilson,
)

NOW = datetime(2026, 3, 1)
ABOUT = {"decision": "deploy_risk", "action": "hold_change"}


def unit(number: int, *, held: bool, known: Known = Known.GOOD, **rest: Any) -> Unit:
    return Unit(name=f"u{number}", **{"cluster": f"u{number}", **rest}, is_held_out=held, known=known)


def arm(n: int, bad: int, *, held: bool, **rest: Any) -> list[Unit]:
    return [unit(i, held=held, known=Known.BAD if i < bad else Known.GOOD, **rest) for i in range(n)]


def timed(n: int, minutes: float, *, held: bool, price: str | None = "0.5", currency: str = "EUR") -> list[Unit]:
    amount = None if price is None else Decimal(price)
    return [
        unit(i, held=held, minutes=minutes + (i % 2) / 10, price=amount, currency=currency) for i in range(n)
    ]  # fmt: skip


def test_a_share_has_the_interval_of_wilson() -> None:
    reference = stats.binomtest(7, 30).proportion_ci(method="wilson")

    assert wilson(7, 30) == pytest.approx((reference.low, reference.high))
    assert (wilson(0, 30)[0], wilson(30, 30)[1]) == (0, 1)


def test_a_difference_has_the_interval_of_newcombes_own_example() -> None:
    """Newcombe 1998, table II, contrast (a), method 10: 56 of 70 against 48 of 80."""
    one = share_of((str(i), i < 56) for i in range(70))
    other = share_of((str(i), i < 48) for i in range(80))

    assert difference(one, other) == pytest.approx((0.2, 0.0524, 0.3339), abs=5e-5)


def test_no_event_on_either_side_leaves_an_interval_as_wide_as_the_ignorance() -> None:
    gap, low, high = difference(share_of([(str(i), False) for i in range(30)]), share_of([("x", False)]))

    assert gap == 0
    assert low < -0.5
    assert high == pytest.approx(wilson(0, 30)[1])


def test_units_of_one_cluster_count_as_one() -> None:
    alone = share_of([(str(i), i < 20) for i in range(40)])
    together = share_of([(str(i // 4), i < 20) for i in range(40)])
    all_good = share_of([(str(i // 4), False) for i in range(40)])

    assert alone.n_effective == 40
    assert 8 <= together.n_effective <= 10
    assert all_good.n_effective == 10


@pytest.mark.parametrize("freedom", [1.0, 2.5, 9.0, 30.0, 500.0])
def test_the_quantile_of_student_is_scipys(freedom: float) -> None:
    assert student(freedom) == pytest.approx(stats.t.ppf(0.975, freedom), rel=1e-8)


def test_a_difference_of_means_has_welchs_interval() -> None:
    one, other = [1.0, 2.0, 4.0, 8.0], [1.0, 1.5, 2.0, 1.0, 1.2]
    reference = stats.ttest_ind(one, other, equal_var=False).confidence_interval()

    assert mean_difference(one, other)[1:] == pytest.approx((reference.low, reference.high))


def test_few_values_are_not_taken_to_be_more_alike_than_many() -> None:
    many = [1.0] * 95 + [40.0] * 5

    _, low, high = mean_difference([10.0, 11.0, 9.0] * 7, many)

    assert high - low > 10


def test_a_median_needs_six_values_for_an_interval() -> None:
    assert median_of([1, 2, 3, 4, 5]) is None
    assert median_of([6, 2, 3, 4, 5, 1]) == (3.5, 1, 6)
    assert median_of(list(range(20))) == (9.5, 5, 14)


@given(st.integers(0, 60), st.integers(0, 60), st.integers(1, 60), st.integers(1, 60))
def test_an_interval_holds_its_estimate(x: int, y: int, n: int, m: int) -> None:
    one, other = (share_of([(str(i), i < min(k, size)) for i in range(size)]) for k, size in ((x, n), (y, m)))

    gap, low, high = difference(one, other)

    assert -1 <= low <= gap + 1e-12
    assert gap - 1e-12 <= high <= 1


def test_what_was_prevented_is_the_gap_of_rates_times_the_treated() -> None:
    figure = prevented(ABOUT, [*arm(40, 20, held=True), *arm(200, 10, held=False)])

    assert figure.value == pytest.approx((0.5 - 0.05) * 200)
    assert figure.low is not None
    assert figure.high is not None
    assert 0 < figure.low < 90 < figure.high < 200
    assert (figure.n, figure.evidence["n_treated"]) == (240, 200)


def test_more_going_wrong_where_it_was_acted_is_said_as_it_is() -> None:
    figure = prevented(ABOUT, [*arm(40, 2, held=True), *arm(200, 100, held=False)])

    assert figure.value == pytest.approx(-90)


@pytest.mark.parametrize(
    ("units", "state", "why"),
    [
        ([], State.NOT_ESTIMABLE, "nothing was acted on"),
        (arm(40, 3, held=True), State.NOT_ESTIMABLE, "nothing was acted on"),
        (arm(40, 3, held=False), State.NOT_ESTIMABLE, "no unit of 40 was held out"),
        ([*arm(9, 3, held=True), *arm(40, 3, held=False)], State.INSUFFICIENT, "9 of 10 held-out units"),
        (
            [unit(1, held=True, known=Known.PENDING), *arm(40, 3, held=False)],
            State.INSUFFICIENT,
            "0 of 10 held-out units",
        ),
        (
            [*arm(40, 3, held=True), *(unit(i, held=False, known=Known.PENDING) for i in range(9))],
            State.NOT_ESTIMABLE,
            "no outcome of a treated unit is known yet",
        ),
        (
            [*arm(40, 3, held=True), *arm(30, 0, held=False), *[unit(1, held=False, known=Known.LOST)] * 9],
            State.NOT_ESTIMABLE,
            "how 9 of 39 treated units turned out nobody will know",
        ),
    ],
)  # fmt: skip
def test_prevented_incidents_need_both_sides_with_outcomes(units: list[Unit], state: State, why: str) -> None:
    figure = prevented(ABOUT, units)

    assert (figure.state, figure.value) == (state, None)
    assert why in figure.why


def test_savings_are_money_in_the_currency_of_the_policy() -> None:
    figure = saved(ABOUT, [*timed(20, 10, held=True), *timed(100, 4, held=False)], {"EUR": Decimal(1000)})

    assert figure.value == Decimal("300.00")
    assert figure.unit == "EUR"
    assert isinstance(figure.low, Decimal)
    assert isinstance(figure.high, Decimal)
    assert Decimal(290) < figure.low < figure.value < figure.high < Decimal(310)


def test_savings_are_never_above_what_was_billed() -> None:
    figure = saved(ABOUT, [*timed(20, 10, held=True), *timed(100, 4, held=False)], {"EUR": Decimal("42.10")})

    assert (figure.value, figure.high) == (Decimal("42.10"), Decimal("42.10"))
    assert "cut off at what was billed" in figure.why


def test_what_is_run_later_is_not_saved() -> None:
    figure = saved(ABOUT, [*timed(20, 10, held=True), *timed(100, 10, held=False)], {"EUR": Decimal(1000)})

    assert figure.value == Decimal("0.00")
    assert figure.low is not None
    assert figure.low < 0


@pytest.mark.parametrize(
    ("units", "billed", "why"),
    [
        ([], {"EUR": Decimal(1)}, "nothing was acted on"),
        (timed(100, 4, held=False), {"EUR": Decimal(1)}, "no unit of 100 was held out"),
        ([*timed(20, 9, held=True), *timed(20, 4, held=False)], {"USD": Decimal(1)}, "no charge in EUR"),
        ([*timed(9, 9, held=True, price=None), *timed(20, 4, held=False, price=None)], {"EUR": Decimal(1)}, "no price"),
        ([*timed(9, 9, held=True), *timed(20, 4, held=False)], {"EUR": Decimal(1)}, "9 of 20 held-out"),
        (
            [*timed(20, 9, held=True), *timed(20, 4, held=False), unit(9, held=False, price=Decimal(1))],
            {"EUR": Decimal(1)},
            "how long 1 of 41 units took was not measured",
        ),
    ],
)  # fmt: skip
def test_savings_need_a_price_a_bill_and_both_sides(units: list[Unit], billed: dict[str, Decimal], why: str) -> None:
    figure = saved(ABOUT, units, billed)

    assert figure.state is not State.MEASURED
    assert why in figure.why


def test_a_service_counts_once_and_against_untouched_ones() -> None:
    changes = [
        Change(service=f"s{i // 2}", log_ratio=-0.3 + 0.1, untouched=(0.1, 0.1, 0.5)) for i in range(12)
    ]  # fmt: skip

    figure = improved(changes)

    assert (figure.value, figure.n) == (pytest.approx(-0.3), 6)
    assert improved(changes[:10]).why == "5 of 6 services with p95 before and after an action"
    assert "no" in improved([Change(service="s", log_ratio=-1.0, untouched=())]).why


def test_health_is_its_weakest_component() -> None:
    figure = health([
        age("source git", NOW, NOW, timedelta(days=1), missing=""),
        share("taken_in", 990, 1000, "rows", missing=""),
        share("answered", 40, 50, "decisions", missing=""),
    ])  # fmt: skip

    assert (figure.value, figure.n) == (pytest.approx(0.8), 50)
    assert figure.why == "the weakest of 2 components: answered"
    assert len(figure.components) == 3


@pytest.mark.parametrize(
    ("component", "state", "why"),
    [
        (age("source git", None, NOW, timedelta(days=1), missing="never taken in"), State.UNKNOWN, "never taken in"),
        (age("source git", NOW - timedelta(days=2), NOW, timedelta(days=1), missing=""), State.UNKNOWN, "stale: 48 h"),
        (share("answered", 0, 0, "decisions", missing="none on record"), State.UNKNOWN, "none on record"),
        (share("answered", 3, 3, "decisions", missing=""), State.INSUFFICIENT, "3 of 30 decisions (answered)"),
    ],
)
def test_one_component_that_is_not_known_makes_health_unknown(component: Figure, state: State, why: str) -> None:
    figure = health([share("taken_in", 999, 1000, "rows", missing=""), component])

    assert (figure.state, figure.value) == (state, None)
    assert why in figure.why


def test_parts_are_never_added_up() -> None:
    parts = [
        measured("x", "EUR", (Decimal(1), Decimal(0), Decimal(2)), n=4, about={"decision": "a"}),
        measured("x", "USD", (Decimal(5), Decimal(4), Decimal(6)), n=6, about={"decision": "b"}),
    ]

    both = of_parts("x", "money", parts, none="", many="not added up")
    one = of_parts("x", "money", [parts[0], unknown("x", "money", "gone")], none="", many="")

    assert (both.state, both.value, both.why) == (State.NOT_ESTIMABLE, None, "not added up")
    assert (one.value, one.unit, len(one.components)) == (Decimal(1), "EUR", 2)
    assert of_parts("x", "money", [], none="nothing", many="").text == "unknown: nothing"


@pytest.mark.parametrize(
    "wrong",
    [
        {"state": State.MEASURED, "value": 0.0},
        {"state": State.MEASURED, "value": float("nan"), "low": 0.0, "high": 1.0},
        {"state": State.UNKNOWN, "value": 0.0, "why": "gone"},
        {"state": State.NOT_ESTIMABLE},
    ],
)
def test_a_figure_is_a_number_with_an_interval_or_a_reason(wrong: dict[str, Any]) -> None:
    with pytest.raises(ContractError):
        Figure(name="x", unit="", **wrong)
