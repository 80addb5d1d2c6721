"""What holds of policy whatever is asked: properties over random documents and questions."""

from dataclasses import replace
from datetime import datetime, timedelta

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from weaver_forge.contracts.values import Freshness, Level, Verdict
from weaver_forge.policy import (
    Approval,
    DecisionPolicy,
    Freeze,
    OnUnknown,
    Policy,
    PredictionView,
    Question,
    Ruling,
    Usage,
    evaluate,
    exit_code,
    question_of,
)
from weaver_forge.policy.document import BlastRadius, RateLimit, Rules, Weekday, WithinReach
from weaver_forge.policy.table import STRICTNESS

NOW = datetime(2026, 3, 6, 15)
LEVELS = list(Level)
VERDICTS = (Verdict.ALLOW, Verdict.REVIEW, Verdict.DENY)

shares = st.one_of(st.none(), st.floats(0, 1), st.sampled_from([0.0, 0.3, 0.7, 1.0]))
levels = st.sampled_from(LEVELS)
below = st.sampled_from([Level.ASSISTED, Level.SUPERVISED])
freezes = st.builds(
    Freeze,
    reason=st.just("r"),
    days=st.sampled_from([(Weekday.FRI,), (Weekday.MON,), tuple(Weekday)]),
    environments=st.sampled_from([(), ("prod",)]),
    except_=st.sampled_from([(), ("hotfix",)]),
)
rules = {
    "ceiling": levels,
    "on_unknown": st.sampled_from(OnUnknown),
    "max_age_hours": st.sampled_from([1.0, 24.0]),
    "review_at": shares,
    "deny_at": shares,
    "skip_below": shares,
    "holdout": st.floats(0.02, 0.05),
    "rate_limit": st.one_of(st.none(), st.builds(RateLimit, max=st.integers(1, 5), per_hours=st.just(1.0), then=below)),
    "blast_radius": st.one_of(st.none(), st.builds(BlastRadius, max_share=st.floats(0, 1), then=below)),
    "freeze": st.one_of(st.just(()), st.tuples(freezes)),
    "protected_paths": st.sampled_from([(), ("*.sql",)]),
}
calm = {"freeze": st.just(()), "protected_paths": st.just(()), "rate_limit": st.none(), "blast_radius": st.none()}
keen_rules = {**rules, **calm, "ceiling": st.just(Level.AUTONOMOUS), "review_at": st.just(0.3), "deny_at": st.just(0.7)}
keen_policies = st.builds(lambda own: Policy(version=1, decisions={"d": own}), st.builds(DecisionPolicy, **keen_rules))
wide_policies = st.builds(
    lambda own, wide: Policy(version=1, decisions={"d": own}, scopes=wide),
    st.builds(DecisionPolicy, **rules),
    st.one_of(st.just({}), st.dictionaries(st.sampled_from(WithinReach), st.builds(Rules, ceiling=levels), max_size=2)),
)
policies = st.one_of(keen_policies, wide_policies)
"""Half of them would let a hook act: what is asked at random of random rules is nearly always shadow."""
fresh = st.builds(
    PredictionView,
    probability=st.one_of(st.floats(0, 1), st.sampled_from([0.0, 0.5, 0.9, 1.0])),
    made_at=st.just(NOW),
    value=st.just(3.0),
    duration_ms=st.just(1e4),
)
predictions = st.one_of(
    st.none(),
    st.builds(
        PredictionView,
        probability=st.one_of(st.none(), st.floats(0, 1), st.floats(allow_nan=True, allow_infinity=True)),
        made_at=st.sampled_from([NOW, NOW - timedelta(hours=2), NOW - timedelta(days=3), NOW + timedelta(hours=1)]),
        contradiction=st.sampled_from(["", "", "", "two predictions disagree"]),
        duration_ms=st.one_of(st.none(), st.floats(0, 1e6)),
        value=st.one_of(st.none(), st.floats(-1e6, 1e6)),
    ),
)
approvals = st.one_of(
    st.none(),
    st.builds(
        Approval,
        actor=st.just("ana"),
        reason=st.just("looked"),
        expires_at=st.sampled_from([NOW - timedelta(seconds=1), NOW, NOW + timedelta(microseconds=1)]),
    ),
)
wide = {
    "decision": st.just("d"),
    "now": st.just(NOW),
    "on": st.sampled_from(["high", "high", "high", "low", "upper"]),
    "holds": st.booleans(),
    "prediction": predictions,
    "earned": levels,
    "ceiling": st.one_of(st.none(), levels),
    "halted": st.sampled_from(["", "", "stop (ana)"]),
    "approval": approvals,
    "paths": st.sampled_from([None, (), ("a.py",), ("a.sql",)]),
    "environment": st.sampled_from([None, "", "prod", "staging"]),
    "tags": st.sampled_from([(), ("hotfix",)]),
    "usage": st.one_of(
        st.none(),
        st.builds(Usage, rate_units=st.integers(0, 6), blast_units=st.integers(0, 6), decided_units=st.integers(0, 20)),
    ),
    "draw": st.sampled_from([None, 0.0, 0.019, 0.035, 0.05, 0.5]),
    "sources_missing": st.sampled_from([(), ("incidents",)]),
}
keen = {
    "prediction": fresh,
    "earned": st.just(Level.AUTONOMOUS),
    "ceiling": st.none(),
    "halted": st.just(""),
    "paths": st.just(()),
    "approval": st.none(),
    "on": st.just("high"),
}
questions = st.one_of(st.builds(Question, **{**wide, **keen}), st.builds(Question, **wide))
holding = st.one_of(
    st.builds(Question, **{**wide, **keen, "holds": st.just(True)}),
    st.builds(Question, **{**wide, "holds": st.just(True), "on": st.just("high")}),
)


def _strict(ruling: Ruling) -> int:
    return STRICTNESS.index(ruling.exit_code)


@given(policy=policies, question=questions)
def test_the_same_question_has_the_same_ruling_also_after_being_written_down(
    policy: Policy, question: Question
) -> None:
    ruling = evaluate(policy, question)

    assert evaluate(policy, question) == ruling
    assert evaluate(policy, question_of(question.as_data())) == ruling


@given(policy=policies, question=questions)
def test_the_exit_code_is_the_tables_unless_held_out_or_approved(policy: Policy, question: Question) -> None:
    ruling = evaluate(policy, replace(question, approval=None))
    modes = {exit_code(ruling.verdict, ruling.level, mode) for mode in OnUnknown}

    assert ruling.exit_code in ({0} if ruling.held_out else modes)
    if ruling.verdict is not Verdict.UNKNOWN and not ruling.held_out:
        assert modes == {ruling.exit_code}


@given(policy=policies, question=holding)
def test_more_rope_is_never_looser(policy: Policy, question: Question) -> None:
    """Raising the earned level, or the ceiling that was set, only ever makes an exit code stricter."""
    for name in ("earned", "ceiling"):
        codes = [_strict(evaluate(policy, replace(question, **{name: level}))) for level in LEVELS]

        assert codes == sorted(codes)


@given(policy=policies, question=holding, level=levels)
def test_raising_the_policys_ceiling_is_never_looser(policy: Policy, question: Question, level: Level) -> None:
    codes = []
    for ceiling in LEVELS:
        own = policy.decisions["d"]
        raised = type(own)(**{f: getattr(own, f) for f in own.__struct_fields__} | {"ceiling": ceiling})
        codes.append(_strict(evaluate(Policy(version=1, scopes=policy.scopes, decisions={"d": raised}), question)))

    assert codes == sorted(codes)


@given(policy=policies, question=holding, ps=st.lists(st.floats(0, 1), min_size=2, max_size=6))
def test_a_higher_probability_is_never_judged_milder(policy: Policy, question: Question, ps: list[float]) -> None:
    assume(question.prediction is not None)
    assert question.prediction is not None
    asked = [
        replace(question, prediction=replace(question.prediction, probability=p, contradiction="")) for p in sorted(ps)
    ]

    rulings = [evaluate(policy, question) for question in asked]

    assert [_strict(r) for r in rulings] == sorted(_strict(r) for r in rulings)
    if all(r.verdict in VERDICTS for r in rulings):
        assert [VERDICTS.index(r.verdict) for r in rulings] == sorted(VERDICTS.index(r.verdict) for r in rulings)


@given(policy=policies, question=questions)
def test_a_held_out_decision_stops_nothing_and_does_nothing(policy: Policy, question: Question) -> None:
    ruling = evaluate(policy, question)

    if ruling.held_out:
        assert (ruling.exit_code, ruling.applied, ruling.acts) == (0, False, False)
        assert ruling.draw is not None


@settings(deadline=None)
@given(policy=policies, question=questions)
def test_halting_never_stops_and_never_does_anything(policy: Policy, question: Question) -> None:
    """The kill switch makes everything assisted: nothing is stricter than before, and only an unknown fails closed."""
    halted = evaluate(policy, replace(question, halted="stop (ana)"))
    before = evaluate(policy, replace(question, halted=""))

    assert halted.level is Level.ASSISTED
    assert _strict(halted) <= _strict(before)
    assert halted.exit_code == 0 or halted.verdict is Verdict.UNKNOWN
    assert question.holds is False or halted.acts is (halted.exit_code != 0)
    assert not (halted.acts and not question.holds)


@given(policy=policies, question=questions)
def test_what_cannot_be_trusted_is_never_an_allow_and_never_acted_on(policy: Policy, question: Question) -> None:
    ruling = evaluate(policy, question)

    if ruling.freshness is not Freshness.FRESH:
        assert ruling.verdict is not Verdict.ALLOW
        assert not ruling.takes
        assert ruling.exit_code != 1 or ruling.by == "person"


@given(policy=policies, question=questions, microseconds=st.integers(-3, 3))
def test_an_approval_ends_at_its_instant_exactly(policy: Policy, question: Question, microseconds: int) -> None:
    until = NOW + timedelta(microseconds=microseconds)
    yes = Approval(actor="ana", reason="looked", expires_at=until)

    without = evaluate(policy, replace(question, approval=None))
    ruling = evaluate(policy, replace(question, approval=yes))

    assert ruling.verdict is without.verdict
    if microseconds <= 0:
        assert ruling == without
    else:
        assert ruling.exit_code == 0


@given(policy=policies, question=questions)
def test_an_action_that_does_something_stops_nobody_unless_an_unknown_fails_closed(
    policy: Policy, question: Question
) -> None:
    ruling = evaluate(policy, replace(question, holds=False))

    assert ruling.exit_code == 0 or ruling.verdict is Verdict.UNKNOWN
    assert ruling.verdict in {Verdict.ALLOW, Verdict.UNKNOWN}
    assert ruling.takes or not ruling.acts


@settings(max_examples=200)
@given(policy=policies, question=questions)
def test_every_ruling_says_why_and_by_which_rules(policy: Policy, question: Question) -> None:
    ruling = evaluate(policy, question)

    assert ruling.reasons[0]
    assert ruling.rules
    assert all(reason and "None" not in reason for reason in ruling.reasons)


@given(policy=policies, question=holding)
def test_what_is_not_earned_is_enforced_only_where_a_person_wrote_it(policy: Policy, question: Question) -> None:
    """Only a rule by hand, or an unknown that fails closed, needs nothing earned."""
    ruling = evaluate(policy, replace(question, earned=Level.ASSISTED, approval=None))

    assert ruling.exit_code == 0 or ruling.by == "person" or ruling.verdict is Verdict.UNKNOWN
