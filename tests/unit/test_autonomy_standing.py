"""From one assessment to the next: what is proposed, promoted, taken back, and what counts anew."""

import math
from datetime import datetime, timedelta

import numpy as np
import polars as pl
import pytest

from weaver_forge.autonomy.promises import WORSE_AT
from weaver_forge.autonomy.sequential import wrong_to_refute
from weaver_forge.autonomy.standing import NOTHING_EARNED, Cause, Standing, Terms, assess
from weaver_forge.autonomy.trials import MATURE_SCHEMA, Trials
from weaver_forge.contracts.values import Level
from weaver_forge.ledger.queries_autonomy import trials_text

START = datetime(2026, 3, 1)
HOUR = timedelta(hours=1)
TERMS = Terms(ceiling=Level.AUTONOMOUS)


def trials(
    is_right: list[bool],
    *,
    probability: float | list[float] | None = None,
    origin: str = "live",
    weight: float = 1.0,
    step: timedelta = HOUR,
    is_enforced: bool = False,
    recent: list[float] | None = None,
) -> Trials:
    """One trial an hour."""
    n = len(is_right)
    chance = float(np.mean(is_right)) if probability is None and n else probability
    mature = pl.DataFrame(
        {
            "unit": [f"u{number}" for number in range(n)],
            "known_at": [START + step * number for number in range(n)],
            "right": [float(flag) for flag in is_right],
            "share": [float(flag) for flag in is_right],
            "probability": chance if isinstance(chance, list) else [chance] * n,
            "weight": [weight] * n,
            "is_enforced": [is_enforced] * n,
            "origin": [origin] * n,
        },
        schema=MATURE_SCHEMA,
    )
    return Trials(mature=mature, n_pending=0, n_unresolvable=0, recent_probability=np.array(recent or []))


def after(n: int) -> datetime:
    return START + HOUR * (n - 1)


def earned(n: int = 120, terms: Terms = TERMS) -> Standing:
    """Autonomous after so many clean trials."""
    proposed = assess(trials([True] * n), NOTHING_EARNED, terms, now=after(n))
    return assess(trials([True] * n), proposed, terms, now=after(n) + terms.promotion_delay)


def test_the_reason_says_trials_that_weigh_less_as_the_table_does() -> None:
    few = trials([True] * 16, weight=0.45)

    standing = assess(few, NOTHING_EARNED, TERMS, now=after(16))

    assert 0 < standing.n < 10
    assert f"{standing.n:.4g} of {standing.n_needed} trials" in standing.reason
    assert standing.n_needed is not None
    table = trials_text(standing.n, standing.n_needed - math.ceil(standing.n))
    assert table.split()[0] in standing.reason.split()


def test_a_promotion_is_proposed_first_and_takes_effect_when_it_still_holds() -> None:
    clean = trials([True] * 100)

    first = assess(clean, NOTHING_EARNED, TERMS, now=after(100))
    too_soon = assess(clean, first, TERMS, now=after(100) + 23 * HOUR)
    then = assess(clean, too_soon, TERMS, now=after(100) + 24 * HOUR)

    assert (first.level, first.proposed, first.proposed_at) == (Level.ASSISTED, Level.AUTONOMOUS, after(100))
    assert (too_soon.level, too_soon.proposed_at) == (Level.ASSISTED, after(100))
    assert (then.level, then.proposed, then.cause) == (Level.AUTONOMOUS, None, Cause.EVIDENCE)


def test_a_proposal_that_does_not_hold_any_more_is_dropped() -> None:
    first = assess(trials([True] * 25), NOTHING_EARNED, TERMS, now=after(25))
    now_wrong = trials([True] * 25 + [False])

    then = assess(now_wrong, first, TERMS, now=after(26) + 24 * HOUR)

    assert first.proposed is Level.SUPERVISED
    assert (then.level, then.proposed) == (Level.ASSISTED, None)


def test_the_progress_is_told_in_trials() -> None:
    standing = assess(trials([True] * 12), NOTHING_EARNED, TERMS, now=after(12))

    assert standing.n == pytest.approx(12, abs=0.1)
    assert (standing.n_mature, standing.n_needed, standing.next_bar) == (12, 20, 0.8)
    assert standing.reason == "assisted: 12 of 20 trials, lower bound 0.693"


def test_replayed_trials_count_at_their_weight() -> None:
    replayed = trials([True] * 100, origin="replay", weight=0.25)

    standing = assess(replayed, NOTHING_EARNED, TERMS, now=after(100))

    assert standing.n == pytest.approx(25, rel=0.02)
    assert standing.proposed is Level.SUPERVISED


def test_the_ceiling_bounds_what_is_earned_at_once() -> None:
    high = earned()

    lowered = assess(
        trials([True] * 120), high, Terms(ceiling=Level.SUPERVISED), now=after(121) + TERMS.promotion_delay
    )
    shut = assess(trials([True] * 120), high, Terms(ceiling=Level.ASSISTED), now=after(121) + TERMS.promotion_delay)

    assert high.level is Level.AUTONOMOUS
    assert (lowered.level, lowered.cause) == (Level.SUPERVISED, Cause.CEILING)
    assert (shut.level, shut.cause) == (Level.ASSISTED, Cause.CEILING)


def test_the_kill_switch_takes_everything_back_and_forgets_no_trial() -> None:
    high = earned()
    now = after(120) + 25 * HOUR

    halted = assess(trials([True] * 120), high, TERMS, now=now, halted="by ana: incident 7")
    resumed = assess(trials([True] * 120), halted, TERMS, now=now + HOUR)

    assert (halted.level, halted.cause) == (Level.ASSISTED, Cause.SWITCH)
    assert (resumed.level, resumed.proposed) == (Level.ASSISTED, Level.AUTONOMOUS)


@pytest.mark.parametrize("window", [3, 12, 40])
def test_the_promised_number_of_wrong_ones_takes_a_level_back_and_trials_count_anew(window: int) -> None:
    k = wrong_to_refute(TERMS.bar, window, WORSE_AT)
    rng = np.random.default_rng(window)
    recent = [bool(flag) for flag in rng.permutation([False] * k + [True] * (window - k))]
    outcomes = [True] * 300 + recent
    high = earned(300)
    now = after(len(outcomes)) + TERMS.promotion_delay

    fallen = assess(trials(outcomes, probability=0.99), high, TERMS, now=now)
    later = assess(trials(outcomes, probability=0.99), fallen, TERMS, now=now + HOUR)

    assert (fallen.level, fallen.cause, fallen.counts_from) == (Level.ASSISTED, Cause.PRECISION, now)
    assert (later.n_mature, later.bound, later.proposed) == (0, 0.0, None)


def test_probabilities_that_are_off_take_a_level_back() -> None:
    rng = np.random.default_rng(1)
    is_right = [bool(flag) for flag in rng.random(450) < 0.99]
    high = earned(120)

    fallen = assess(trials(is_right, probability=0.7), high, TERMS, now=after(450) + TERMS.promotion_delay)

    assert (fallen.level, fallen.cause) == (Level.ASSISTED, Cause.CALIBRATION)
    assert "predicted 0.700" in fallen.reason


def test_what_comes_in_must_be_like_what_earned_the_level() -> None:
    rng = np.random.default_rng(2)
    high = earned(200)
    probability = [float(p) for p in rng.uniform(0.9, 1.0, 200)]
    now = after(200) + 30 * HOUR

    same = trials([True] * 200, probability=probability, recent=[float(p) for p in rng.uniform(0.9, 1.0, 100)])
    other = trials([True] * 200, probability=probability, recent=[float(p) for p in rng.uniform(0.85, 0.95, 100)])

    assert assess(same, high, TERMS, now=now).level is Level.AUTONOMOUS
    assert assess(other, high, TERMS, now=now).cause is Cause.DRIFT


def test_an_old_record_earns_nothing_until_something_new_is_known() -> None:
    high = earned()
    late = after(120) + timedelta(days=31)

    stale = assess(trials([True] * 120), high, TERMS, now=late)

    assert (stale.level, stale.cause, stale.counts_from) == (Level.ASSISTED, Cause.STALENESS, None)
    assert stale.n_mature == 120


def test_evidence_fades_and_that_of_enforced_decisions_more_slowly() -> None:
    high = earned(90)
    terms = Terms(ceiling=Level.AUTONOMOUS, stale_after=timedelta(days=400))
    late = after(90) + timedelta(days=80)

    faded = assess(trials([True] * 90), high, terms, now=late)
    kept = assess(trials([True] * 110, is_enforced=True), high, terms, now=late)

    assert (faded.level, faded.cause) == (Level.SUPERVISED, Cause.DECAY)
    assert kept.level is Level.AUTONOMOUS


def test_trials_that_become_known_later_do_not_count_yet() -> None:
    standing = assess(trials([True] * 200), NOTHING_EARNED, TERMS, now=after(10))

    assert standing.n_mature == 10


def test_whoever_is_assessed_after_every_trial_at_the_bar_is_promoted_in_one_run_of_twenty_at_most() -> None:
    """The whole order of events, not only its bound; 40 runs, looked at after every third trial."""
    rng = np.random.default_rng(3)
    terms = Terms(ceiling=Level.SUPERVISED, promotion_delay=timedelta(0))
    promoted = 0
    for _ in range(40):
        run = trials([bool(flag) for flag in rng.random(133) < terms.supervised_bar], probability=0.8)
        standing = NOTHING_EARNED
        for n in range(12, 133, 3):
            standing = assess(run, standing, terms, now=after(n))
            if standing.level is not Level.ASSISTED:
                promoted += 1
                break

    assert promoted <= 2


def test_what_has_been_shown_is_told_under_a_ceiling_that_allows_nothing_yet() -> None:
    standing = assess(trials([True] * 12), NOTHING_EARNED, Terms(ceiling=Level.ASSISTED), now=after(12))

    assert (standing.level, standing.proposed, standing.n_needed) == (Level.ASSISTED, None, 20)
    assert standing.reason == "the ceiling is assisted; 12 of 20 trials, lower bound 0.693"
