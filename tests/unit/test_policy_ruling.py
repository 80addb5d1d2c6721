"""The judgement beyond the table: reasons, thresholds at their edge, the clock."""

from datetime import datetime, timedelta

import pytest

from weaver_forge.contracts.values import Freshness, Level, Scope, Verdict
from weaver_forge.policy import (
    Approval,
    DecisionPolicy,
    Policy,
    PredictionView,
    Question,
    Ruling,
    Usage,
    effective,
    evaluate,
    parse,
)

NOW = datetime(2026, 3, 1, 12)
GIVEN = Policy(version=1, decisions={"d": DecisionPolicy(review_at=0.35, deny_at=0.7), "order": DecisionPolicy()})


def _view(probability: float | None = 0.1, *, age: timedelta = timedelta()) -> PredictionView:
    return PredictionView(probability=probability, made_at=NOW - age)


@pytest.mark.parametrize(
    ("probability", "verdict"),
    [(0.0, "allow"), (0.3499, "allow"), (0.35, "review"), (0.6999, "review"), (0.7, "deny"), (1.0, "deny")],
)
def test_a_threshold_itself_already_counts(probability: float, verdict: str) -> None:
    assert evaluate(GIVEN, Question(decision="d", prediction=_view(probability), now=NOW)).verdict == verdict


def test_a_decision_without_thresholds_allows_and_says_why() -> None:
    ruling = evaluate(GIVEN, Question(decision="order", prediction=_view(None), now=NOW))

    assert ruling.verdict is Verdict.ALLOW
    assert "no thresholds" in ruling.reasons[0]


def test_an_unnamed_decision_says_that_defaults_hold() -> None:
    ruling = evaluate(GIVEN, Question(decision="new_one", prediction=_view(0.99), now=NOW))

    assert ruling.exit_code == 0
    assert any("does not name new_one" in reason for reason in ruling.reasons)


def test_missing_sources_are_said_and_never_judged() -> None:
    ruling = evaluate(GIVEN, Question(decision="d", prediction=_view(0.1), now=NOW, sources_missing=("incidents",)))

    assert ruling.verdict is Verdict.ALLOW
    assert any("incidents" in reason for reason in ruling.reasons)


def test_a_prediction_from_the_future_is_contradictory() -> None:
    """Two clocks disagree: nothing about its age can be believed."""
    ruling = evaluate(GIVEN, Question(decision="d", prediction=_view(age=-timedelta(hours=1)), now=NOW))

    assert (ruling.verdict, ruling.freshness) == (Verdict.UNKNOWN, Freshness.CONTRADICTORY)


def test_a_ruling_expires_with_its_prediction_and_unknown_never_holds() -> None:
    fresh = evaluate(GIVEN, Question(decision="d", prediction=_view(), now=NOW))
    unknown = evaluate(GIVEN, Question(decision="d", prediction=None, now=NOW, unknown_reason="shallow clone"))

    assert fresh.expires_at == NOW + timedelta(hours=24)
    assert unknown.expires_at is None
    assert unknown.reasons[0] == "shallow clone"


def test_a_shadow_ruling_is_not_applied() -> None:
    assert evaluate(GIVEN, Question(decision="d", prediction=_view(0.99), now=NOW)).applied is False


def _ask(rules: str, **more: object) -> Ruling:
    policy = parse(f"version: 1\ndecisions:\n  d: {{ceiling: autonomous, review_at: 0.35, deny_at: 0.7{rules}}}\n", "p")
    asked = {"prediction": _view(0.9), "now": NOW, "earned": Level.AUTONOMOUS, **more}
    return evaluate(policy, Question(decision="d", **asked))  # type: ignore[arg-type] # keywords of Question


ALWAYS = ", freeze: [{days: [sun], reason: Sundays}]"  # NOW is one
ONCE = ", rate_limit: {max: 1, per_hours: 24}"


def test_rules_are_named_in_the_order_in_which_they_are_asked() -> None:
    rules = ALWAYS + ", protected_paths: ['*.sql'], rate_limit: {max: 1, per_hours: 24}, blast_radius: {max_units: 1}"
    yes = Approval(actor="ana", reason="looked", expires_at=NOW + timedelta(hours=1))

    spent = Usage(rate_units=1, blast_units=1, decided_units=9)
    ruling = _ask(rules, halted="", paths=("a.sql",), usage=spent, approval=yes)
    halted = _ask(rules, halted="stop (ana)", paths=("a.sql",), usage=spent)

    assert [rule.split("=")[0].split(" ")[0] for rule in ruling.rules] == [
        "freeze", "protected_paths", "d.review_at", "d.deny_at", "d.rate_limit", "d.blast_radius", "d.ceiling",
        "earned", "approval",
    ]  # fmt: skip
    assert halted.rules[0] == "halted"


def test_a_persons_rule_holds_at_the_ceiling_without_being_earned() -> None:
    ruling = _ask(ALWAYS, prediction=_view(0.1), earned=Level.ASSISTED)

    assert (ruling.verdict, ruling.level, ruling.exit_code, ruling.by) == ("deny", "autonomous", 1, "person")


def test_a_frozen_unknown_is_denied_and_the_doubt_is_said() -> None:
    ruling = _ask(ALWAYS, prediction=None, unknown_reason="shallow clone")

    assert (ruling.verdict, ruling.exit_code, ruling.freshness) == ("deny", 1, "missing")
    assert "shallow clone" in ruling.reasons


def test_the_holdout_is_of_predictions_and_lifts_no_persons_rule() -> None:
    """A freeze is no lottery."""
    frozen = _ask(ALWAYS, draw=0.0)
    drawn = _ask("", draw=0.0)

    assert (frozen.exit_code, frozen.held_out, frozen.applied) == (1, False, True)
    assert (drawn.exit_code, drawn.held_out, drawn.applied, drawn.verdict) == (0, True, False, "deny")


def test_a_held_out_decision_uses_up_no_budget() -> None:
    ruling = _ask(ONCE, draw=0.0, usage=Usage(rate_units=1))

    assert ruling.held_out
    assert not any("rate_limit" in rule for rule in ruling.rules)


@pytest.mark.parametrize(
    ("usage", "level", "code"),
    [(Usage(), "autonomous", 1), (Usage(rate_units=1), "assisted", 0), (None, "assisted", 0)],
)
def test_a_used_up_or_unknown_budget_takes_the_level_back(usage: Usage | None, level: str, code: int) -> None:
    ruling = _ask(ONCE, usage=usage)

    assert (ruling.verdict, ruling.level, ruling.exit_code) == ("deny", level, code)


def test_then_says_what_is_left_in_force() -> None:
    ruling = _ask(", rate_limit: {max: 1, per_hours: 1, then: supervised}", usage=Usage(rate_units=3))

    assert (ruling.level, ruling.exit_code) == ("supervised", 3)


@pytest.mark.parametrize(("decided", "used", "code"), [(0, 0, 1), (0, 1, 0), (8, 1, 0), (9, 1, 1), (19, 2, 1)])
def test_a_share_of_few_is_one_unit(decided: int, used: int, code: int) -> None:
    """0.2 of the 1, 9 and 10 units decided on so far, this one counted, are 1, 1 and 2."""
    usage = Usage(blast_units=used, decided_units=decided)

    assert _ask(", blast_radius: {max_share: 0.2}", usage=usage).exit_code == code


def test_a_protected_path_needs_a_person_where_the_prediction_would_allow_and_a_denial_stays_one() -> None:
    rules = ", protected_paths: [migrations/]"

    low = _ask(rules, prediction=_view(0.1), paths=("migrations/1.py", "a.py"))
    high = _ask(rules, paths=("migrations/1.py",))
    unknown = _ask(rules, prediction=_view(0.1), paths=None)

    assert (low.verdict, low.exit_code) == ("review", 3)
    assert low.reasons[0] == "changes protected paths: migrations/1.py"
    assert (high.verdict, high.exit_code) == ("deny", 1)
    assert (unknown.verdict, unknown.exit_code) == ("unknown", 0)


@pytest.mark.parametrize("earned", list(Level))
@pytest.mark.parametrize("approved", [True, False])
def test_an_action_that_does_something_needs_autonomous_or_a_persons_yes(earned: Level, approved: bool) -> None:
    yes = Approval(actor="ana", reason="go", expires_at=NOW + timedelta(hours=1)) if approved else None
    more = {"on": "low", "holds": False, "prediction": _view(0.001), "earned": earned, "approval": yes}

    ruling = _ask(", skip_below: 0.01", **more)
    frozen = _ask(", skip_below: 0.01" + ALWAYS, **more)

    assert (ruling.verdict, ruling.exit_code, ruling.takes) == ("allow", 0, True)
    assert ruling.acts is (earned is Level.AUTONOMOUS or (earned is Level.SUPERVISED and approved))
    assert (frozen.exit_code, frozen.acts, frozen.by) == (0, False, "person")


def test_layers_go_from_wide_to_narrow_and_the_lowest_ceiling_holds() -> None:
    policy = parse(
        "version: 1\nscopes:\n"
        "  all: {ceiling: autonomous, max_age_hours: 1, holdout: 0.05, freeze: [{days: [sun], reason: a}]}\n"
        "  deployment: {ceiling: supervised, max_age_hours: 2, evidence: {half_life_days: 10, stale_days: 3}}\n"
        "decisions:\n  d:\n    ceiling: autonomous\n    max_age_hours: 3\n    deny_at: 0.5\n"
        "    freeze: [{days: [mon], reason: b}]\n    evidence: {stale_days: 5}\n"
        "    actions: {act: {max_age_hours: 4, deny_at: null}, skip_tests: {}}\n",
        "p",
    )

    rule, action = effective(policy, "d"), effective(policy, "d", "act")
    other = effective(policy, "unnamed", scope=Scope.OPERATIONS)

    assert (rule.ceiling, rule.max_age_hours, rule.holdout) == (Level.SUPERVISED, 3, 0.05)
    assert [window.reason for window in rule.freeze] == ["a", "b"]
    assert (rule.evidence.half_life_days, rule.evidence.stale_days) == (10, 5)
    assert (action.max_age_hours, action.deny_at, action.bar) == (4, None, 0.95)
    assert effective(policy, "d", "skip_tests").bar == pytest.approx(0.99)
    assert (other.ceiling, other.max_age_hours, other.is_named) == (Level.AUTONOMOUS, 1, False)
    assert action.origin["max_age_hours"] == "d.actions.act"


def test_a_rule_made_before_gives_the_same_ruling() -> None:
    policy = parse("version: 1\ndecisions: {d: {ceiling: autonomous, deny_at: 0.5}}", "p")
    question = Question(decision="d", prediction=_view(0.9), now=NOW, earned=Level.AUTONOMOUS)

    assert evaluate(policy, question, rule=effective(policy, "d")) == evaluate(policy, question)
