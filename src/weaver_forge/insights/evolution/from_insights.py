"""Items from insights: what each kind of insight suggests, and what it may bring.

Put here one function a family of insights. An association is no cause, so that the share that would go away is an
assumption; it stands in the item as one.
"""

from collections.abc import Callable, Mapping

from weaver_forge.insights.evolution import check_queries
from weaver_forge.insights.evolution.item import Estimate, Item
from weaver_forge.insights.hypothesis import Insight

ASSUMED = "an assumption, not measured"


def items(insights: tuple[Insight, ...]) -> list[Item]:
    """One item an insight that suggests something."""
    return [_MADE[each.family](each) for each in insights if each.family in _MADE]


def estimate(each: Insight, share: float) -> Estimate:
    """The insight's own monthly figure with its interval, and the share of it that is taken to go away."""
    value, effect, unit = each.impact.value, each.effect, each.impact.unit
    if value is None or not effect.value:
        return Estimate(text="not estimable: it was not measured what it amounts to")
    low, high = sorted((value * effect.low / effect.value, value * effect.high / effect.value))
    text = reaches(value, low, high, unit, share)
    return Estimate(reach=value, low=low, high=high, unit=unit, share=share, text=text)


def reaches(value: float, low: float, high: float, unit: str, share: float) -> str:
    """What an item touches, in words."""
    return (
        f"touches {value:.3g} {unit} a month ({low:.3g} to {high:.3g}), of which {100 * share:.0f} % are taken to go "
        f"away ({ASSUMED})"
    )


def _flaky(each: Insight) -> Item:
    repo, test = each.subject["repo_id"], each.subject["test_id"]
    return Item(
        area="process",
        kind="mend_flaky_test",
        subject=each.subject,
        what=f"Mend {test}, or keep it from deciding until it is mended: it contradicts itself on the same revision.",
        effect=estimate(each, 0.9),
        effort_hours=2.0,
        check=check_queries.flaky_less(repo, test, each.effect.value / 5),
        way_back="Let it decide again.",
        facts=each.evidence,
    )


def _slow(each: Insight) -> Item:
    repo, test = each.subject["repo_id"], each.subject["test_id"]
    return Item(
        area="performance",
        kind="run_test_later",
        subject=each.subject,
        what=f"Run {test} after the others or at night, not before every merge: it is slow and hardly ever fails.",
        effect=estimate(each, 0.9),
        effort_hours=1.0,
        check=check_queries.failing_less(repo, test, max(each.effect.high, 0.02)),
        way_back="Run it with the others again.",
        facts=each.evidence,
    )


def _together(each: Insight) -> Item:
    repo, test, other = (each.subject[key] for key in ("repo_id", "test_id", "other_test_id"))
    return Item(
        area="architecture",
        kind="part_or_join_tests",
        subject=each.subject,
        what=f"See why {test} and {other} fail together: one of them may say enough.",
        effect=estimate(each, 0.5),
        effort_hours=3.0,
        check=check_queries.failing_less(repo, other, 0.01),
        way_back="Both tests stand in the repository's history.",
        facts=each.evidence,
    )


def _habit(each: Insight) -> Item:
    kind = "path" if "path" in each.subject else next(iter(each.subject))
    about = each.description.partition(":")[0].lower()
    return Item(
        area="process",
        kind="change_habit",
        subject=each.subject,
        what=f"{_HABITS[kind]}: {about} go wrong more often.",
        effect=estimate(each, 0.2),
        effort_hours=8.0,
        check=check_queries.blamed_less(each.subject.get("path", ""), each.subject.get("repo_id", "")),
        way_back="Stop it; nothing else was changed.",
        facts=each.evidence,
    )


def _deployments(each: Insight) -> Item:
    return Item(
        area="process",
        kind="deploy_with_care",
        subject=each.subject,
        what=f"Deploy with a canary, or let a person look first: {each.description}",
        effect=estimate(each, 0.3),
        effort_hours=8.0,
        check=check_queries.deployed_better(),
        way_back="Deploy as before.",
        facts=each.evidence,
    )


def _violation(each: Insight) -> Item:
    return Item(
        area="architecture",
        kind="mend_telemetry",
        subject=each.subject,
        what=f"Mend the instrumentation or rename in the collector: {each.description}",
        effect=Estimate(text="not estimable: nobody measures what a wrong attribute costs those who search for it"),
        effort_hours=2.0,
        check=check_queries.found_less(each.subject["attribute"], each.subject["finding_id"], 0.1),
        way_back="The collector's configuration and the code have a history.",
        facts=each.evidence,
    )


def _less(area: str, kind: str, what: str, column: str, share: float, hours: float) -> Callable[[Insight], Item]:
    """Something grew or is too much: somebody who knows it should look; the check is that there is less of it."""

    def made(each: Insight) -> Item:
        subject = {k: v for k, v in each.subject.items() if k != "service"}  # one charge, however it was compared
        return Item(
            area=area,
            kind=kind,
            subject=subject,
            what=f"{what}: {each.description}",
            effect=estimate(each, share),
            effort_hours=hours,
            check=check_queries.lower_daily(each.query, column),
            way_back="It is changed in the repository or at the provider, and changed back there.",
            facts=each.evidence,
        )

    return made


_HABITS = {
    "size": "Split such changes, or have two people look at them",
    "churn": "Have a second person look at them",
    "hour": "Leave what can wait for the morning",
    "weekday": "Leave what can wait for another day",
    "kind": "Have a second person look at fixes",
    "path": "Have a second person look at them",
}

_MADE: Mapping[str, Callable[[Insight], Item]] = {
    "flaky_tests": _flaky,
    "slow_tests_that_rarely_fail": _slow,
    "tests_that_fail_together": _together,
    "changes_blamed_later": _habit,
    "changes_that_break_tests": _habit,
    "deployments_that_hurt": _deployments,
    "lasting_violations": _violation,
    "slowing_tests": _less("performance", "speed_up_test", "See what made it slower", "duration_ms", 0.7, 2.0),
    "slowing_jobs": _less("performance", "speed_up_job", "See what made it slower", "duration_ms", 0.5, 4.0),
    "growing_queues": _less("performance", "shorten_queue", "Add runners or run less", "queued_ms", 0.5, 4.0),
    "slowing_operations": _less("performance", "speed_up_operation", "Profile it", "duration_p95_ms", 0.5, 8.0),
    "failing_operations": _less("performance", "mend_operation", "See what fails", "n_errors / n_requests", 0.5, 6.0),
    "fan_out": _less("architecture", "batch_calls", "Ask once for many", "calls_a_request", 0.8, 12.0),
    "chattier_edges": _less("architecture", "batch_calls", "See what asks more often", "calls_a_request", 0.5, 8.0),
    "growing_charges": _less("performance", "spend_less", "See what is paid for", "effective_cost", 0.7, 2.0),
    "charges_beyond_traffic": _less("performance", "spend_less", "See what is paid for", "effective_cost", 0.7, 2.0),
    "idle_charges": _less("performance", "switch_off", "Switch it off", "effective_cost", 0.9, 1.0),
    "falling_quality": _less("architecture", "mend_telemetry", "See what it sends now", "1 - score", 0.5, 2.0),
}
