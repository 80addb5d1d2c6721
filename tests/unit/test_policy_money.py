"""Thresholds from money: what minimises the expected cost, exact, in one currency, with its formula in words."""

from datetime import datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from weaver_forge.contracts.values import Verdict
from weaver_forge.errors import PolicyError
from weaver_forge.policy import PredictionView, Question, effective, evaluate, explain, parse
from weaver_forge.policy.judging import never_taken
from weaver_forge.policy.money import Prices, derive, of_duration
from weaver_forge.policy.question import On

NOW = datetime(2026, 3, 1, 12)
COSTS = "{currency: EUR, escape: 400, ci_minute: 0.008, slo_minute: 50, capacity_minute: 2, review: 20, %s}"
POLICY = f"""
version: 1
costs: {COSTS % "delayed_change: 100, false_rollback: 600"}
decisions:
  deploy_risk:
    review_at: from_costs
    deny_at: from_costs
    actions:
      hold_change: {{}}
      hold_deployment: {{costs: {{escape: 1400.50 EUR}}}}
      other: {{deny_at: 0.5}}
  test_selection: {{actions: {{skip_tests: {{skip_below: from_costs}}}}}}
  load_forecast: {{cover_at: from_costs}}
"""

amounts = st.decimals(min_value=Decimal("0.01"), max_value=Decimal(1000000), places=2)


@pytest.mark.parametrize(
    ("action", "deny_at", "review_at"),
    [("", 100 / 500, 20 / 400), ("hold_change", 100 / 500, 20 / 400), ("hold_deployment", 600 / 2000.5, 20 / 1400.5)],
)
def test_each_action_has_the_cost_of_its_own_mistake(action: str, deny_at: float, review_at: float) -> None:
    """A change held wrongly is a delay, a deployment a rollback; an action may have costs of its own."""
    rule = effective(parse(POLICY, "p.yaml"), "deploy_risk", action)

    assert rule.deny_at == pytest.approx(deny_at, rel=1e-15)
    assert rule.review_at == pytest.approx(review_at, rel=1e-15)


def test_capacity_covers_the_quantile_at_which_a_minute_too_few_and_too_many_balance() -> None:
    assert effective(parse(POLICY, "p.yaml"), "load_forecast").cover_at == pytest.approx(50 / 52)


def _ask(decision: str, action: str, probability: float, **more: object) -> Question:
    found = PredictionView(probability=probability, made_at=NOW, duration_ms=more.get("duration_ms"))  # type: ignore[arg-type]
    on = "low" if action == "skip_tests" else "high"
    return Question(decision=decision, action=action, on=on, holds=on == "high", prediction=found, now=NOW)


def test_the_formula_stands_in_the_rulings_rules() -> None:
    ruling = evaluate(parse(POLICY, "p.yaml"), _ask("deploy_risk", "hold_change", 0.2))

    assert ruling.verdict is Verdict.DENY
    formula = "delayed_change 100 EUR / (delayed_change 100 EUR + escape 400 EUR) = 0.2"
    assert f"deploy_risk.deny_at=0.2 from costs: {formula}" in ruling.rules


def test_a_given_number_wins_and_what_costs_would_say_is_said() -> None:
    ruling = evaluate(parse(POLICY, "p.yaml"), _ask("deploy_risk", "other", 0.3))

    assert ruling.verdict is Verdict.REVIEW
    (said,) = [rule for rule in ruling.rules if "deny_at" in rule]
    assert said.startswith("deploy_risk.actions.other.deny_at=0.5 as given; costs would say 0.2: ")


@pytest.mark.parametrize(
    ("duration_ms", "probability", "takes"),
    [(60_000, 0.00001, True), (60_000, 0.00002, False), (600_000, 0.00015, True), (None, 0.0, False), (0, 0.0, False)],
)
def test_a_long_test_is_skipped_at_a_higher_risk_than_a_short_one(
    duration_ms: float | None, probability: float, takes: bool
) -> None:
    """A minute at 0.008 against an escape of 400: worth it below 0.00002 a minute; of unknown length never."""
    question = _ask("test_selection", "skip_tests", probability, duration_ms=duration_ms)

    ruling = evaluate(parse(POLICY, "p.yaml"), question)

    assert ruling.takes is takes
    assert any("minutes x ci_minute 0.008 EUR / escape 400 EUR" in rule for rule in ruling.rules)


def test_a_look_that_costs_more_than_an_escape_is_never_asked_for() -> None:
    policy = parse(
        "version: 1\ncosts: {currency: EUR, escape: 10, review: 20}\ndecisions: {d: {review_at: from_costs}}", "p"
    )

    assert effective(policy, "d").review_at is None
    assert any("a look costs more" in line for line in explain.formulas(policy))
    assert evaluate(policy, _ask("d", "", 1.0)).verdict is Verdict.ALLOW


def test_money_is_exact_and_never_a_float() -> None:
    prices = effective(parse(POLICY, "p.yaml"), "deploy_risk", "hold_deployment").prices

    assert prices.amounts["ci_minute"] == Decimal("0.008")
    assert prices.amounts["escape"] == Decimal("1400.50")
    assert {type(amount) for amount in prices.amounts.values()} == {Decimal}


@pytest.mark.parametrize(
    ("text", "line", "says"),
    [
        ("costs:\n  currency: EUR\n  escape: 5 USD", 4, "currencies are never mixed"),
        ("costs:\n  escape: 5 USD\n  review: 1 EUR", 4, "currencies are never mixed"),
        ("costs: {currency: EUR, escape: 5}\ndecisions:\n  d:\n    costs: {currency: GBP}", 5, "currencies are never"),
        ("costs: {currency: EUR}\nscopes:\n  all:\n    costs:\n      review: 3 CHF", 6, "currencies are never mixed"),
        ("costs:\n  currency: euro", 3, "three capital letters"),
        ("costs:\n  currency: EUR\n  escape: -5", 4, "no amount of money"),
        ("costs:\n  currency: EUR\n  escape: 1e3", 4, "no amount of money"),
        ("costs:\n  currency: EUR\n  escape: .inf", 4, "no amount of money"),
        ("costs:\n  currency: EUR\n  escape: [1]", 4, "single value"),
        ("costs:\n  currency: EUR\n  escap: 5", 4, "Did you mean 'escape'"),
        ("costs: {escape: 5, delayed_change: 1}", 2, "costs have no currency"),
        ("decisions:\n  d:\n    deny_at: from_costs", 4, "costs do not give delayed_change and escape"),
        (
            "costs: {currency: EUR, escape: 5}\ndecisions:\n  d:\n    deny_at: from_costs",
            5,
            "do not give delayed_change",
        ),
        (
            "costs: {currency: EUR, escape: 0, delayed_change: 0}\ndecisions:\n  d:\n    deny_at: from_costs",
            5,
            "costs of 0 say nothing",
        ),
        ("scopes:\n  all:\n    deny_at: from_costs\ndecisions:\n  d: {}", 4, "costs do not give"),
    ],
)
def test_money_that_cannot_be_meant_is_refused_with_its_line(text: str, line: int, says: str) -> None:
    with pytest.raises(PolicyError) as caught:
        parse(f"version: 1\n{text}\n", "p.yaml")

    assert says in str(caught.value)
    assert caught.value.where == f"p.yaml, line {line}"


def test_an_amount_may_name_the_documents_currency() -> None:
    policy = parse("version: 1\ncosts: {escape: 5.10 EUR, review: 0.51}\ndecisions: {d: {review_at: from_costs}}", "p")

    assert effective(policy, "d").prices.currency == "EUR"
    assert effective(policy, "d").review_at == pytest.approx(0.1, rel=1e-15)


@given(hold=amounts, escape=amounts, p=st.floats(0, 1))
def test_deny_at_is_where_holding_becomes_the_cheaper_one(hold: Decimal, escape: Decimal, p: float) -> None:
    derived = derive(Prices("EUR", {"delayed_change": hold, "escape": escape}), "deny_at", "hold_change")

    assert derived is not None
    assert derived.value is not None
    exact = Decimal(p)
    cheaper_to_hold = (1 - exact) * hold <= exact * escape
    assert cheaper_to_hold is (p >= derived.value) or abs(p - derived.value) < 1e-12


@given(minute=amounts, escape=amounts, duration_ms=st.floats(1, 1e7))
def test_a_skip_saves_more_than_it_risks(minute: Decimal, escape: Decimal, duration_ms: float) -> None:
    derived = derive(Prices("EUR", {"ci_minute": minute, "escape": escape}), "skip_below", "skip_tests")

    assert derived is not None
    limit = of_duration(derived, duration_ms).value
    assert limit is not None
    assert 0 <= limit <= 1
    assert limit * float(escape) <= float(minute) * duration_ms / 60_000 * (1 + 1e-9)


@pytest.mark.parametrize(
    ("rules", "on", "says"),
    [
        ("", "low", "policy sets no skip_below for act: write one below decisions.d.actions.act"),
        ("", "high", "policy sets no deny_at for act"),
        ("review_at: 0.5", "high", "policy sets no deny_at"),
        ("skip_below: 0.01", "low", ""),
        ("skip_below: 0", "low", "policy sets skip_below to 0 for act"),
        ("deny_at: 0.5", "high", ""),
        ("", "upper", ""),
    ],
)
def test_an_action_that_policy_can_never_have_taken_is_told(rules: str, on: On, says: str) -> None:
    rule = effective(parse(f"version: 1\ndecisions: {{d: {{{rules}}}}}", "p"), "d", "act")

    found = never_taken(rule, on)

    assert found.startswith(says)
    assert bool(found) is bool(says)
