"""The family about tests that begin to fail at the same revisions."""

import numpy as np

from weaver_forge.insights import exact, intervals
from weaver_forge.insights.exact import Floats, Ints
from weaver_forge.insights.families import test_history
from weaver_forge.insights.families.test_history import HISTORY, VERDICTS, History
from weaver_forge.insights.hypothesis import Fact, Family, Hypothesis, Impact, Rows, Tested, Told
from weaver_forge.insights.wording import MONTH_DAYS, lacking

LEAST_STARTS = 3
MOST = 150
"""So many tests at most, those that fail most often: chosen by how often, never by with whom."""


def _together(rows: Rows, days: float) -> Tested:
    history = test_history.read(rows)
    often = [i for i, each in enumerate(history.starts) if len(each) >= LEAST_STARTS]
    often = sorted(often, key=lambda i: -len(history.starts[i]))[:MOST]
    if short := lacking(len(often), 2, f"tests that began to fail at {LEAST_STARTS} revisions or more"):
        return Tested((), short)
    return Tested(_Pairs(history, often, days).hypotheses())


class _Pairs:
    """The tests that fail often enough, and how often each two began to fail at the same revision."""

    def __init__(self, history: History, often: list[int], days: float) -> None:
        self.history, self.often, self.days = history, often, days
        known = np.unique(np.concatenate(history.revisions))
        ran = _marks(known, [history.revisions[i] for i in often])
        began = _marks(known, [history.starts[i] for i in often])
        self.both = (began @ began.T).astype(np.int64)
        self.here = (began @ ran.T).astype(np.int64)  # starts of the row's test where the column's test ran too
        self.n = (ran @ ran.T).astype(np.int64)

    def hypotheses(self) -> tuple[Hypothesis, ...]:
        """One a test, about the likeliest of its partners; a pair that two tests would tell is told by the first."""
        p = exact.together(self.both, self.here, self.here.T, self.n)
        np.fill_diagonal(p, 1.0)
        found = []
        told: set[frozenset[int]] = set()
        for i, partner in enumerate(p.argmin(axis=1).tolist()):
            # The likeliest of all partners was picked, and pays for having been picked.
            value = min(float(p[i, partner]) * (len(self.often) - 1), 1.0)
            is_new = frozenset((i, partner)) not in told
            told.add(frozenset((i, partner)))
            found.append(self._hypothesis(i, partner, value if is_new else 1.0))
        return tuple(found)

    def _hypothesis(self, i: int, partner: int, p: float) -> Hypothesis:
        other = self.history.tests[self.often[partner]]["test_id"]
        subject = {**self.history.tests[self.often[i]], "other_test_id": other}
        return Hypothesis(subject, p, int(self.n[i, partner]), lambda level: self._told(i, partner, level))

    def _told(self, i: int, partner: int, level: float) -> Told:
        x, n = int(self.both[i, partner]), int(self.n[i, partner])
        a, b = int(self.here[i, partner]), int(self.here[partner, i])
        one, two = (self.history.tests[self.often[k]] for k in (i, partner))
        month = x / self.days * MONTH_DAYS
        return Told(
            f"{one['test_id']} fails together with {two['test_id']}: of the {a} revisions at which it began to fail, "
            f"the other did at {x} too, against {b - x} of the {n - a} others.",
            intervals.difference(x, a, b - x, max(n - a, 1), level),
            Impact(month, "failures", f"about {month:.1f} failures a month that two tests report"),
            (
                Fact(f"both began to fail at {x} revisions", n, f"test:{two['test_id']}"),
                Fact(f"chance alone would give {a * b / n:.1f}", n),
            ),
            test_history.query_of(one, two["test_id"]),
        )


def _marks(known: Ints, events: list[Ints]) -> Floats:
    found = np.zeros((len(events), len(known)))
    for row, each in enumerate(events):
        found[row, np.searchsorted(known, each)] = 1.0
    return found


FAMILIES = (
    Family(
        name="tests_that_fail_together",
        category="tests",
        question="Do two tests begin to fail at the same revisions more often than by chance?",
        unit="revisions, of each test apart",
        tables=(VERDICTS,),
        sql=HISTORY,
        test=_together,
        shuffle=test_history.shuffle_over_revisions,
    ),
)
