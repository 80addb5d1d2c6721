"""What takes a level back at once, as numbers that anybody can check: so many wrong ones of the newest trials.

The same evidence as ``sequential.worst_stretch`` for whole trials, with the standard library alone: commands that show
it load neither numpy nor scipy. A test holds both against each other. Put here too how a number of trials is said, so
that reasons and tables say the same.
"""

import math

WORSE_AT = 200.0
"""The e-value at which a precision is taken to have fallen below its bar: wrongly once in 200 trials at most."""

STRETCHES = (1, 2, 3, 4, 5, 10, 20, 50, 100)
"""Lengths for which a promise is said."""


def wrong_to_refute(bar: float, length: int, threshold: float = WORSE_AT) -> int:
    """How many wrong ones of the last ``length`` trials refute the bar, in whatever order they come.

    Returns:
        At most ``length + 1``: one more than there are trials, where no such stretch refutes it.
    """
    for wrong in range(length + 1):
        if _evidence_below(length - wrong, wrong, bar) >= threshold:
            return wrong
    return length + 1


def weighed(n: float) -> str:
    """How many trials in words: they weigh less with age, so few of them are no whole number."""
    return f"{n:.4g}" if n < 10 and n % 1 else f"{n:.0f}"


def promise(bar: float) -> tuple[str, ...]:
    """In words, from the shortest stretch on, each with more wrong ones than the one before."""
    said: list[str] = []
    least = 0
    for length in STRETCHES:
        wrong = wrong_to_refute(bar, length)
        if wrong <= length and wrong != least and not (said and wrong == length):
            said.append(f"{wrong} wrong in a row" if wrong == length else f"{wrong} of the last {length}")
            least = wrong
    return tuple(said[:3])


def _evidence_below(right: int, wrong: int, bar: float) -> float:
    """The likelihood, averaged over all precisions below the bar, over that at the bar."""
    n = right + wrong + 1
    tail = sum(math.comb(n, k) * bar**k * (1 - bar) ** (n - k) for k in range(right + 1, n + 1))
    average = tail / (n * math.comb(right + wrong, wrong) * bar)
    return float(average / (bar**right * (1 - bar) ** wrong))
