"""From policy to what an action class must show: its terms, the threshold of its trials, and their weights.

Put here how a rule of ``policy`` is read by this package, and nothing that needs a trial.
"""

from collections.abc import Mapping
from datetime import timedelta

import polars as pl

from weaver_forge.autonomy.standing import Terms
from weaver_forge.contracts.decision import Action
from weaver_forge.contracts.values import Level, Origin
from weaver_forge.policy import Rule, lowest
from weaver_forge.policy.money import MINUTE_MS


def terms_of(rule: Rule, ceiling: Level | None = None) -> Terms:
    """What a policy's rule asks of an action class.

    Args:
        rule: Of decision, action and scope.
        ceiling: A lower ceiling that somebody set; None where nobody did.
    """
    evidence = rule.evidence
    return Terms(
        ceiling=lowest(rule.ceiling, ceiling or Level.AUTONOMOUS),
        bar=rule.bar,
        supervised_bar=min(rule.supervised_bar, rule.bar),
        half_life=timedelta(days=evidence.half_life_days),
        enforced_half_life=timedelta(days=evidence.enforced_half_life_days),
        promotion_delay=timedelta(hours=evidence.promotion_delay_hours),
        stale_after=timedelta(days=evidence.stale_days),
        calibration_tolerance=evidence.calibration_tolerance,
        drift_distance=evidence.drift_distance,
        drift_p=evidence.drift_p,
    )


def threshold_of(rule: Rule, action: Action) -> float | pl.Expr | None:
    """Where the policy would have the action taken; None where it says nothing, so that there are no trials.

    A threshold that money makes from a test's length is an expression of ``duration_ms``: what the test took before.
    """
    if action.on == "upper":
        return None
    if action.on == "high":
        return rule.deny_at
    derived = rule.derived.get("skip_below")
    if "skip_below" in rule.from_costs and derived is not None and derived.per_minute:
        return ((derived.value or 0.0) * pl.col("duration_ms") / MINUTE_MS).clip(upper_bound=1.0)
    return rule.skip_below


def weights_of(rule: Rule, *, is_demo: bool = False) -> Mapping[str, float]:
    """What a trial weighs by its origin; a simulated one counts in a deployment that is simulated itself, alone."""
    simulated = 1.0 if is_demo else 0.0
    return {Origin.LIVE: 1.0, Origin.REPLAY: rule.evidence.replay_weight, Origin.SIMULATED: simulated}
