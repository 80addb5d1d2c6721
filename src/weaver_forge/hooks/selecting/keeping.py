"""A ranking under the rules of its change: what they name is not left for later, by a threshold or by a budget. Pure.

Put here what rules do to ``rank_tests``. A selection by an aim asks them itself, in ``selection``.
"""

from collections.abc import Sequence
from dataclasses import replace

from weaver_forge.hooks.ci_gate import GateAnswer
from weaver_forge.hooks.rank_tests import Budget, Ranking, rank
from weaver_forge.hooks.selecting.always import UNKNOWN, Fired
from weaver_forge.policy import Policy


def rank_by_rules(answer: GateAnswer, policy: Policy, budget: Budget | None, fired: Sequence[Fired]) -> Ranking:
    """Order the tests of an answer, and leave for later what policy, a budget and every rule of the change let wait.

    Where nobody knows what the change touches no rule can be asked: that is said, and the budget holds.

    Args:
        answer: About all tests of a revision.
        policy: What it was judged under.
        budget: How long the run list may take; None: no limit.
        fired: Rules that the change fires.
    """
    known = [rule for rule in fired if rule.rule != UNKNOWN]
    everything = [rule for rule in known if rule.is_everything]
    if everything:
        return _everything(answer, policy, everything, is_cut=budget is not None)
    called = frozenset(test for rule in known for test in rule.tests)
    ranking = rank(answer, policy, budget, always=called)
    if ranking.run_everything:
        return ranking
    if budget is not None and len(known) < len(fired):
        unasked = "which files the change touches is not known: no rule of the change was asked"
        ranking = replace(ranking, reasons=(*ranking.reasons, unasked))
    kept = [test for test in ranking.rest if test.test_id in called]
    if not kept:
        return ranking
    return replace(
        ranking,
        run=tuple(sorted((*ranking.run, *kept), key=lambda test: test.rank)),
        rest=tuple(test for test in ranking.rest if test.test_id not in called),
        reasons=(*ranking.reasons, f"{len(kept)} of these run now all the same, as the change touches their files"),
    )


def _everything(answer: GateAnswer, policy: Policy, rules: Sequence[Fired], *, is_cut: bool) -> Ranking:
    """All tests in order, and which rule says so."""
    ranking = rank(answer, policy, always=frozenset(str(row["test_id"]) for row in answer.predictions))
    if ranking.run_everything:
        return ranking
    more = f" (and {len(rules) - 1} more)" if rules[1:] else ""
    said = f"all {len(ranking.run)} tests, in order" + ("; the budget cuts nothing" if is_cut else "")
    return replace(ranking, reasons=(f"EVERYTHING RUNS: {rules[0].words}{more}", said))
