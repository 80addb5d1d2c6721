"""The files that a change touches beside its own: learned coupling and imports, each with its reason in words.

Put here how files are ranked for one change of several files. A candidate's probability is the largest that one of
the changed files gives it: their evidence overlaps too much to be added up.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from weaver_forge.links.impact.grouped import Floats
from weaver_forge.links.impact.history import History
from weaver_forge.links.impact.learning import newest, questions, wanted
from weaver_forge.links.impact.python_imports import ImportGraph
from weaver_forge.links.impact.signals import MOST_TOGETHER, NAMES, SIGNALS, Asked, candidates
from weaver_forge.links.impact.weights import Weights

MOST_ASKED = 60
"""Changed files that are asked about, the first ones; beyond, a change touches everything anyway."""

FARTHEST = 4
"""Imports between two files beyond which nothing is said."""

_PRIOR_RATE = (0.15, 0.05, 0.02, 0.01)
_PRIOR_PAIRS = 50.0
_MOST_PAIRS_OF = 400
_TOGETHER = frozenset({
    "cochange", "cochange_small", "cochange_newest", "cochange_half_year", "cochange_year_small", "jaccard", "reverse",
    "cosine", "together", "ever_together",
})  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Reason:
    """Why something is in the blast radius.

    Args:
        signal: Its name: of :data:`signals.SIGNALS`, or import, coverage, trace, ...
        fact: In words.
        strength: What it gives by itself, 0-1.
    """

    signal: str
    fact: str
    strength: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Affected:
    """A file, test, service, endpoint or owner, and why; the strongest reason first.

    Args:
        score: 0-1. Of a file, the probability that it changes too; else an order, no probability.
    """

    name: str
    score: float
    reasons: tuple[Reason, ...]


def coupled(history: History, weights: Weights, changed: Sequence[str], author: str, at: float) -> list[Affected]:
    """Files that change along with the changed ones, by the learned combination; likeliest first.

    Args:
        history: With every changed path among its files (``extra``).
        weights: Learned, of :data:`signals.NAMES`.
        changed: The change's files.
        author: Who makes it, as the history names them.
        at: The moment, seconds since 1970; only changes known before it count.
    """
    mine = np.array([history.paths.number[path] for path in changed[:MOST_ASKED]], np.int64)
    whose = history.authors.index(author) if author in history.authors else len(history.authors) - 1
    n = len(mine)
    limit = history.limit(at)
    if not n or not limit:
        return []
    asked = Asked(file=mine, limit=np.full(n, limit), at=np.full(n, at), author=np.full(n, whose))
    found = candidates(history, asked)
    others = ~np.isin(found.file, [history.paths.number[path] for path in changed])
    probability = weights.probability(found.owner, found.x)
    parts = weights.parts(found.x)
    best: dict[int, int] = {}
    for row in np.argsort(-probability, kind="stable")[: 50 * n]:
        if others[row]:
            best.setdefault(int(found.file[row]), int(row))
    made = []
    for file, row in best.items():
        asked_file = int(mine[found.owner[row]])
        reasons = _coupling_reasons(history, asked_file, file, limit, parts[row], float(probability[row]))
        made.append(Affected(name=history.paths.names[file], score=float(probability[row]), reasons=reasons))
    return made


def _coupling_reasons(
    history: History, asked: int, file: int, limit: int, parts: Floats, probability: float
) -> tuple[Reason, ...]:
    """The two or three signals with the largest share, said with numbers where there are some."""
    mine, other = (history.of_file.all(np.array([one]))[1] for one in (asked, file))
    mine, other = mine[mine < limit], other[other < limit]
    both = np.intersect1d(mine, other)
    small = int((history.size[both] <= MOST_TOGETHER).sum())
    name = history.paths.names[asked]
    reasons = []
    if small:
        times = "time" if len(mine) == 1 else "times"
        fact = f"changed in {small} of the {len(mine)} {times} that {name} changed"
        reasons.append(Reason(signal="cochange", fact=fact, strength=probability))
    for place in np.argsort(-parts, kind="stable"):
        if len(reasons) == 3 or parts[place] <= 0:
            break
        if NAMES[place] not in _TOGETHER:
            fact = f"{SIGNALS[NAMES[place]]} ({name})"
            reasons.append(Reason(signal=NAMES[place], fact=fact, strength=probability))
    return tuple(reasons) or (Reason(signal="popular", fact=SIGNALS["popular"], strength=probability),)


def import_rates(history: History, graph: ImportGraph) -> tuple[float, ...]:
    """How often, in this repository's newest changes, a file changed along with one that it imports, by distance.

    Today's imports are held against yesterday's changes, so that it is an estimate; drawn to what is usual.
    """
    asked, about = newest(*questions(history, 0, history.n), _MOST_PAIRS_OF)
    owner, file = wanted(history, asked, about)
    changed = {(int(one), int(other)) for one, other in zip(owner, file, strict=True)}
    seen, hit = np.zeros(FARTHEST), np.zeros(FARTHEST)
    reached: dict[int, list[tuple[int, int]]] = {}
    for place, mine in enumerate(asked.file.tolist()):
        if mine not in reached:
            found = graph.dependents([history.paths.names[mine]], FARTHEST)
            numbered = ((history.paths.number.get(path), each.distance) for path, each in found.items())
            reached[mine] = [(number, distance) for number, distance in numbered if number is not None]
        for number, distance in reached[mine]:
            seen[distance - 1] += 1
            hit[distance - 1] += (place, number) in changed
    usual = np.array(_PRIOR_RATE)
    return tuple(float(rate) for rate in (hit + _PRIOR_PAIRS * usual) / (seen + _PRIOR_PAIRS))


def importing(graph: ImportGraph, changed: Sequence[str], rates: Sequence[float] = _PRIOR_RATE) -> list[Affected]:
    """Files that import a changed one, directly or through others."""
    made = []
    for path, reached in graph.dependents(changed, FARTHEST).items():
        target = reached.via[-1]
        if reached.distance == 1:
            fact = f"imports {target}"
        else:
            fact = f"imports {target} through {', '.join(reached.via[1:-1])}"
        strength = rates[reached.distance - 1]
        made.append(
            Affected(name=path, score=strength, reasons=(Reason(signal="import", fact=fact, strength=strength),))
        )
    return made


def together(*lists: Sequence[Affected]) -> list[Affected]:
    """One list, the likeliest first: the largest score of each, all its reasons, the strongest first."""
    score: dict[str, float] = {}
    reasons: dict[str, list[Reason]] = {}
    for some in lists:
        for each in some:
            score[each.name] = max(score.get(each.name, 0.0), each.score)
            reasons.setdefault(each.name, []).extend(each.reasons)
    order = sorted(score, key=lambda name: (-score[name], -len(reasons[name]), name))
    return [
        Affected(
            name=name, score=score[name], reasons=tuple(sorted(reasons[name], key=lambda reason: -reason.strength))
        )
        for name in order
    ]
