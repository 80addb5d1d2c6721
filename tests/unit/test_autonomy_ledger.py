"""From ledger and policy to standings and what hooks read: the whole way, on a small ledger of its own."""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from weaver_forge.autonomy.promises import wrong_to_refute
from weaver_forge.autonomy.terms import threshold_of, weights_of
from weaver_forge.autonomy.trials import ROWS, trials_of
from weaver_forge.contracts.decision import Action, DecisionSpec, Method, Predictions, SubjectKind
from weaver_forge.contracts.table import Column
from weaver_forge.contracts.values import Level, Scope
from weaver_forge.hooks.matrix import Proposed, autonomy_matrix, changes
from weaver_forge.hooks.publishing_standings import publish_standings
from weaver_forge.hooks.standing import Standings, read_standings
from weaver_forge.ledger import Ledger
from weaver_forge.ledger.assessing import Circumstances, assess_all, gathered
from weaver_forge.ledger.queries_autonomy import history, matrix, trials_text
from weaver_forge.ledger.queries_trials import trial_rows
from weaver_forge.policy import effective, parse

START = datetime(2026, 3, 1)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
HOLD = Action(name="hold", on="high", doc="It waits.", hides_outcome=True)
SKIP = Action(name="skip", on="low", doc="It is left out.")
SCALE = Action(name="scale", on="upper", doc="There is room for it.")

POLICY = """\
version: 1
decisions:
  guess:
    scope: deployment
    ceiling: autonomous
    deny_at: 0.7
    skip_below: 0.1
    actions:
      hold: {bar: 0.9, supervised_bar: 0.8}
"""


def nothing(*_: Any) -> Any:
    """Methods and functions that no test here calls."""
    raise AssertionError


def kind(*actions: Action, entity: str = "things", **changed: Any) -> SubjectKind:
    method = Method("none", nothing, lambda _a, _f: Predictions(pl.DataFrame()))
    given: dict[str, Any] = {
        "key": (Column("thing", "VARCHAR", "Which."), Column("part", "VARCHAR", "Of it.")),
        "decided_per": ("thing",),
        **changed,
    }
    return SubjectKind(
        entity=entity, predicts="event", label="It broke.", maturity="At once.", link="given",
        resolve_after=DAY, feature_columns=(), history=nothing, current=nothing, features=nothing, labels=nothing,
        baseline=method, model=method, metrics=("brier",), actions=actions, **given,
    )  # fmt: skip


def spec(*kinds: SubjectKind) -> DecisionSpec:
    return DecisionSpec(name="guess", summary="A guess.", reads=(), sources={}, score_unit="", kinds=kinds)


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with Ledger.open(f"sqlite:///{tmp_path / 'ledger.sqlite'}") as opened:
        yield opened


def said(n: int, *, thing: str = "", part: str = "a", at: datetime | None = None, **changed: Any) -> dict[str, Any]:
    """One prediction, of thing ``t<n>``, an hour after the one before."""
    thing = thing or f"t{n}"
    when = at or START + HOUR * n
    return {
        "prediction_id": f"p-{thing}-{part}-{changed.get('entity', '')}-{when:%d%H}",
        "decision": "guess", "entity": "things", "subject": {"thing": thing, "part": part}, "unit": thing,
        "predicted_at": when, "made_at": when, "origin": "live", "probability": 0.9, "model_name": "m",
        "model_version": "1", "is_baseline": False, "data_as_of": when, **changed,
    }  # fmt: skip


def seen(prediction: dict[str, Any], outcome: float | None, *, cost: float | None = None) -> dict[str, Any]:
    mature = outcome is not None
    return {
        "prediction_id": prediction["prediction_id"], "outcome": outcome, "cost": cost,
        "maturity": "mature" if mature else "unresolvable",
        "outcome_known_at": prediction["predicted_at"] + HOUR / 2 if mature else None,
    }  # fmt: skip


def decided(unit: str, **changed: Any) -> dict[str, Any]:
    return {
        "decision": "guess", "entity": "things", "unit": unit, "hook": "ci", "verdict": "deny", "level": "autonomous",
        "scope": "deployment", "applied": True, "exit_code": 1, "made_at": START, **changed,
    }  # fmt: skip


def record(ledger: Ledger, pairs: Sequence[tuple[dict[str, Any], float | None]], **changed: Any) -> None:
    ledger.append("predictions", [prediction for prediction, _ in pairs], now=START)
    ledger.append("outcomes", [seen(prediction, outcome, **changed) for prediction, outcome in pairs], now=START)


def around(now: datetime, *, text: str = POLICY, halted: str = "", is_demo: bool = False) -> Circumstances:
    return Circumstances(policy=parse(text, "p.yaml"), halted=lambda _scope: halted, is_demo=is_demo, now=now)


def trials_now(ledger: Ledger, subject: SubjectKind, *, text: str = POLICY) -> Any:
    action = subject.actions[0]
    return gathered(
        trial_rows(ledger, "guess", subject), subject, action, effective(parse(text, "p"), "guess", action.name)
    )


def after(n: int) -> datetime:
    return START + HOUR * n


def test_rows_of_the_ledger_come_as_columns_in_the_order_of_the_chain(ledger: Ledger) -> None:
    record(ledger, [(said(n), float(n % 2)) for n in range(3)])

    rows = trial_rows(ledger, "guess", kind(HOLD))

    assert rows.schema == ROWS
    assert rows["unit"].to_list() == ["t0", "t1", "t2"]
    assert rows["outcome"].to_list() == [0.0, 1.0, 0.0]
    assert rows["outcome_known_at"].to_list() == [after(n) + HOUR / 2 for n in range(3)]
    assert trial_rows(ledger, "other", kind(HOLD)).schema == ROWS


def test_a_unit_is_one_trial_that_is_right_only_if_everything_acted_on_was(ledger: Ledger) -> None:
    good = [(said(0, part=part, probability=0.01), 0.0) for part in "abc"]
    bad = [(said(1, part=part, probability=0.01), float(part == "c")) for part in "abc"]
    untouched = [(said(2, probability=0.5), 1.0)]
    record(ledger, [*good, *bad, *untouched])

    trials = trials_now(ledger, kind(SKIP))

    assert trials.mature["unit"].to_list() == ["t0", "t1"]
    assert trials.mature["right"].to_list() == [1.0, 0.0]
    assert trials.mature["share"].to_list() == pytest.approx([1.0, 2 / 3])
    assert trials.mature["probability"].to_list() == pytest.approx([0.99, 0.99])


def test_the_first_prediction_of_a_subject_counts(ledger: Ledger) -> None:
    later = {**said(0), "predicted_at": after(1), "prediction_id": "later", "model_version": "2"}
    record(ledger, [(said(0, probability=0.2), 1.0), (later, 1.0)])

    assert trials_now(ledger, kind(HOLD)).mature.is_empty()


def test_what_was_replayed_and_happened_live_is_the_live_trial(ledger: Ledger) -> None:
    again = {**said(0), "origin": "replay", "prediction_id": "r0", "model_version": "2"}
    record(ledger, [(said(0), 1.0), (again, 1.0), ({**said(1), "origin": "replay"}, 1.0)])

    mature = trials_now(ledger, kind(HOLD)).mature

    assert mature.select("unit", "origin", "weight").rows() == [("t0", "live", 1.0), ("t1", "replay", 0.25)]


def test_simulated_predictions_count_in_a_simulated_deployment_alone(ledger: Ledger) -> None:
    record(ledger, [({**said(n), "origin": "simulated"}, 1.0) for n in range(30)])

    [real] = assess_all(ledger, [spec(kind(HOLD))], around(after(31)))
    [demo] = assess_all(ledger, [spec(kind(HOLD))], around(after(31), is_demo=True))

    assert (real["n_trials"], round(demo["n_trials"])) == (0.0, 30)


@pytest.mark.parametrize(
    ("outcomes", "mature", "n_unresolvable"),
    [
        ((0.0, 0.0, None), [1.0], 0),
        ((0.0, None, None), [], 1),
        ((1.0, None, None), [0.0], 0),
        ((None, None, None), [], 1),
    ],
)
def test_a_unit_of_which_too_little_is_known_is_no_trial_unless_it_was_wrong(
    ledger: Ledger, outcomes: tuple[float | None, ...], mature: list[float], n_unresolvable: int
) -> None:
    record(ledger, [(said(0, part=p, probability=0.01), o) for p, o in zip("abc", outcomes, strict=True)])

    trials = trials_now(ledger, kind(SKIP))

    assert (trials.mature["right"].to_list(), trials.n_unresolvable) == (mature, n_unresolvable)


def test_a_trial_waits_for_all_its_outcomes(ledger: Ledger) -> None:
    record(ledger, [(said(0, part="a", probability=0.01), 0.0)])
    ledger.append("predictions", [said(0, part="b", probability=0.01)], now=START)

    trials = trials_now(ledger, kind(SKIP))

    assert (trials.mature.height, trials.n_pending) == (0, 1)


def test_bad_outcomes_that_are_known_early_wait_for_the_good_ones(ledger: Ledger) -> None:
    record(ledger, [(said(0), 1.0)])

    trials = trials_now(ledger, kind(HOLD, one_sided_for=timedelta(days=90)))

    assert trials.mature["known_at"].to_list() == [START + timedelta(days=90)]


def test_dependent_units_are_one_trial_that_is_right_by_their_share_and_closes_with_its_day(ledger: Ledger) -> None:
    windows = kind(
        HOLD,
        key=(Column("thing", "VARCHAR", "Which."), Column("window_at", "TIMESTAMP", "When.")),
        decided_per=("thing", "window_at"),
        judged_per=("thing", "window_at"),
    )
    times = [START + HOUR * n for n in (1, 2, 3, 4, 25)]
    pairs = [
        (said(n, at=at, unit=f"t|{at}", subject={"thing": "t", "window_at": at}, prediction_id=f"w{n}"), float(n != 2))
        for n, at in enumerate(times)
    ]
    record(ledger, pairs)

    mature = trials_now(ledger, windows).mature

    assert mature.select("unit", "right", "known_at").rows() == [
        ("t|2026-03-01", 0.75, START + DAY),
        ("t|2026-03-02", 1.0, START + 2 * DAY),
    ]


def test_capacity_is_set_a_step_at_a_time_and_a_day_is_one_trial(ledger: Ledger) -> None:
    points = kind(
        SCALE,
        key=(Column("thing", "VARCHAR", "Which."), Column("at", "TIMESTAMP", "When.")),
        decided_per=("thing",),
        judged_per=("thing", "at"),
    )
    steps = [
        said(n, at=START, unit="t", subject={"thing": "t", "at": START + HOUR * n}, prediction_id=f"s{n}",
             probability=None, q_975=10.0)
        for n in range(4)
    ]  # fmt: skip
    record(ledger, list(zip(steps, (9.0, 10.0, 11.0, 3.0), strict=True)))

    mature = trials_now(ledger, points).mature

    assert mature.select("right", "share", "probability").rows() == [(0.75, 0.75, 0.975)]


def test_what_was_held_back_shows_nothing_unless_somebody_let_it_through(ledger: Ledger) -> None:
    record(ledger, [(said(n), 1.0) for n in range(5)])
    rows = [
        decided("t0"),
        decided("t1", decision_id="0190-approved"),
        decided("t2", applied=False, held_out=True, exit_code=0),
        decided("t3", level="assisted", applied=False, exit_code=0),
        decided("t4"),
        decided("t4", exit_code=0, verdict="allow", made_at=START + HOUR),
    ]
    ledger.append("decisions", rows, now=START)
    yes = {"decision_id": "0190-approved", "decision": "guess", "unit": "t1", "hook": "ci", "actor": "ana"}
    ledger.append("approvals", [{**yes, "approved_at": START, "expires_at": START + DAY}], now=START)

    trials = trials_now(ledger, kind(HOLD))
    skipping = trials_now(ledger, kind(Action(name="hold", on="high", doc="A person is told.")))

    assert trials.mature.select("unit", "is_enforced").rows() == [
        ("t1", True), ("t2", True), ("t3", False), ("t4", True),
    ]  # fmt: skip
    assert (trials.n_unresolvable, trials.n_pending) == (1, 0)
    assert skipping.mature.height == 5


def test_a_threshold_from_costs_follows_what_the_same_test_took_before(ledger: Ledger) -> None:
    text = POLICY.replace("skip_below: 0.1", "skip_below: from_costs") + (
        "costs: {currency: EUR, ci_minute: 1, escape: 100}\n"
    )
    rule = effective(parse(text, "p"), "guess", "skip")
    pairs = [said(n, part="slow", probability=0.015) for n in range(3)]
    ledger.append("predictions", pairs, now=START)
    ledger.append(
        "outcomes", [seen(p, 0.0, cost=cost) for p, cost in zip(pairs, (60e3, 180e3, 1e3), strict=True)], now=START
    )

    rows = trial_rows(
        ledger,
        "guess",
        kind(SKIP, key=(Column("revision", "VARCHAR", "W."), Column("part", "VARCHAR", "P."))),
        durations=True,
    )
    trials = trials_of(rows, SKIP, threshold=threshold_of(rule, SKIP), weights=weights_of(rule))

    assert rows["duration_ms"].to_list() == [None, 60e3, 120e3]
    assert trials.mature["unit"].to_list() == ["t2"]


def test_standings_go_from_proposed_to_promoted_and_back_through_the_ledger(ledger: Ledger, tmp_path: Path) -> None:
    pairs = [(said(n), 1.0) for n in range(60)]
    record(ledger, pairs)
    specs = [spec(kind(HOLD))]

    [first] = assess_all(ledger, specs, around(after(61)))
    [then] = assess_all(ledger, specs, around(after(61) + DAY))
    wrong = [(said(100 + n), 0.0) for n in range(4)]
    record(ledger, wrong)
    [fallen] = assess_all(ledger, specs, around(after(105)))
    [again] = assess_all(ledger, specs, around(after(106)))

    assert (first["level"], first["proposed_level"]) == ("assisted", "autonomous")
    assert (then["previous_level"], then["level"], then["proposed_level"]) == ("assisted", "autonomous", None)
    assert (fallen["level"], fallen["cause"]) == ("assisted", "precision")
    assert (again["n_trials"], again["cause"]) == (0.0, "evidence")
    assert [row["level"] for row in history(ledger)] == ["assisted", "autonomous", "assisted", "assisted"]
    [shown] = matrix(ledger)
    assert (shown["trials"], shown["bound"]) == ("0 of 20 trials", None)
    assert shown["changed_at"] == after(105)


def test_hooks_read_what_the_ledger_says(ledger: Ledger, tmp_path: Path) -> None:
    record(ledger, [(said(n), 1.0) for n in range(60)])
    for now in (after(61), after(61) + DAY):
        assess_all(ledger, [spec(kind(HOLD))], around(now))
    publish_standings(tmp_path, ledger, ["guess"], now=after(90))

    before = read_standings(tmp_path)
    set_to(ledger, "assisted", scope="all")
    set_to(ledger, "supervised", decision="guess", scope="deployment")
    publish_standings(tmp_path, ledger, ["guess"], now=after(91))
    after_it = read_standings(tmp_path)

    assert before.earned("guess", "things", "hold", Scope.DEPLOYMENT) is Level.AUTONOMOUS
    assert before.ceiling("guess", Scope.DEPLOYMENT) is None
    assert after_it.ceiling("guess", Scope.DEPLOYMENT) is Level.SUPERVISED
    assert after_it.ceiling("guess", Scope.OPERATIONS) is Level.ASSISTED


def set_to(ledger: Ledger, level: str, *, scope: str, decision: str | None = None) -> None:
    row = {"decision": decision, "scope": scope, "level": level, "actor": "ana", "made_at": START}
    ledger.append("ceilings", [row], now=START)


def test_a_ceiling_that_is_lowered_lowers_the_standing_at_the_next_look(ledger: Ledger) -> None:
    record(ledger, [(said(n), 1.0) for n in range(60)])
    for now in (after(61), after(61) + DAY):
        assess_all(ledger, [spec(kind(HOLD))], around(now))
    set_to(ledger, "supervised", scope="deployment")

    [row] = assess_all(ledger, [spec(kind(HOLD))], around(after(90)))

    assert (row["level"], row["cause"], row["ceiling"]) == ("supervised", "ceiling", "supervised")


def test_the_matrix_says_what_is_in_force_and_what_enable_would_change(ledger: Ledger) -> None:
    record(ledger, [(said(n), 1.0) for n in range(60)])
    for now in (after(61), after(61) + DAY):
        assess_all(ledger, [spec(kind(HOLD, SKIP))], around(now))
    policy = parse(POLICY, "p.yaml")

    rows = {row["action"]: row for row in autonomy_matrix(ledger, policy, {}, Standings())}
    stopped = autonomy_matrix(ledger, policy, {}, Standings(halts={"all": "fire (ana)"}))
    change = {row["action"]: row for row in changes(list(rows.values()), Proposed(None, "all", Level.SUPERVISED))}

    assert (rows["hold"]["level"], rows["hold"]["earned"]) == ("autonomous", "autonomous")
    assert rows["hold"]["taken_back_by"] == "3 wrong in a row, 4 of the last 5, 6 of the last 10"
    assert rows["skip"]["why"] == "assisted: 0 of 20 trials, lower bound 0.000"
    assert {row["level"] for row in stopped} == {"assisted"}
    assert (change["hold"]["ceiling_then"], change["hold"]["level_then"]) == ("supervised", "supervised")
    assert (change["skip"]["level_now"], change["skip"]["level_then"]) == ("assisted", "assisted")


def test_an_action_without_a_threshold_says_so(ledger: Ledger) -> None:
    [row] = assess_all(ledger, [spec(kind(HOLD))], around(after(1), text=POLICY.replace("    deny_at: 0.7\n", "")))

    assert "sets no threshold" in row["reason"]


def test_the_kill_switch_withdraws_the_standing(ledger: Ledger) -> None:
    [row] = assess_all(ledger, [spec(kind(HOLD))], around(after(1), halted="fire (ana)"))

    assert (row["level"], row["cause"]) == ("assisted", "switch")


def test_a_scope_in_which_hooks_ask_has_its_own_standing(ledger: Ledger) -> None:
    ledger.append("decisions", [decided("t0", scope="development")], now=START)

    rows = assess_all(ledger, [spec(kind(HOLD))], around(after(1)))

    assert [row["scope"] for row in rows] == ["deployment", "development"]


@pytest.mark.parametrize(
    ("n", "needed", "expected"),
    [(12.0, 78, "12 of 90 trials"), (0.25, 19, "0.25 of 19 trials"), (90.0, None, "90 trials")],
)
def test_progress_in_words(n: float, needed: int | None, expected: str) -> None:
    assert trials_text(n, needed) == expected


N_STREAMS, N_LIVED = 20, 100


def test_a_stream_whose_precision_is_the_bar_is_promoted_in_one_of_twenty_at_most(ledger: Ledger) -> None:
    """Ledger, policy and assessment together, looked at after every tenth outcome."""
    text = POLICY.replace("hold: {bar: 0.9, supervised_bar: 0.8}", "hold: {evidence: {promotion_delay_hours: 0.01}}")
    kinds = [kind(HOLD, entity=f"e{number}") for number in range(N_STREAMS)]
    rng = np.random.default_rng(11)
    for subject in kinds:
        outcomes = (rng.random(N_LIVED) < 0.8).astype(float)
        record(ledger, [(said(n, entity=subject.entity, probability=0.8), float(o)) for n, o in enumerate(outcomes)])

    promoted = {
        row["entity"]
        for n in range(20, N_LIVED + 1, 10)
        for row in assess_all(ledger, [spec(*kinds)], around(after(n), text=text))
        if row["level"] != "assisted"
    }

    assert len(promoted) <= 0.05 * N_STREAMS


def test_a_stream_that_goes_wrong_is_demoted_within_the_promised_number(ledger: Ledger) -> None:
    record(ledger, [(said(n), 1.0) for n in range(60)])
    for now in (after(61), after(61) + DAY):
        assess_all(ledger, [spec(kind(HOLD))], around(now))

    n_wrong = 0
    while assess_all(ledger, [spec(kind(HOLD))], around(after(100 + n_wrong)))[0]["level"] == "autonomous":
        record(ledger, [(said(100 + n_wrong), 0.0)])
        n_wrong += 1

    assert n_wrong <= wrong_to_refute(0.9, 3) == 3
