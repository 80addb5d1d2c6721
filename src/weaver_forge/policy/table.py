"""The verdict table: level x verdict x fail mode to exit code, and what freshness allows. Data; written down once.

Nothing else in the product knows an exit code of a verdict. ``docs/policy.md`` shows this table; one test sweeps every
cell of it through the evaluation and another holds the page against it.
"""

from weaver_forge.contracts.values import Freshness, Level, Verdict
from weaver_forge.policy.document import OnUnknown

ALLOWED, DENIED, A_PERSON_DECIDES = 0, 1, 3

EXIT_CODES: dict[tuple[Verdict, OnUnknown | None], dict[Level, int]] = {
    (Verdict.ALLOW, None): {Level.ASSISTED: 0, Level.SUPERVISED: 0, Level.AUTONOMOUS: 0},
    (Verdict.REVIEW, None): {Level.ASSISTED: 0, Level.SUPERVISED: 3, Level.AUTONOMOUS: 3},
    (Verdict.DENY, None): {Level.ASSISTED: 0, Level.SUPERVISED: 3, Level.AUTONOMOUS: 1},
    (Verdict.UNKNOWN, OnUnknown.FAIL_OPEN): {Level.ASSISTED: 0, Level.SUPERVISED: 0, Level.AUTONOMOUS: 0},
    (Verdict.UNKNOWN, OnUnknown.FAIL_CLOSED): {Level.ASSISTED: 3, Level.SUPERVISED: 3, Level.AUTONOMOUS: 3},
}

JUDGED: dict[Freshness, bool] = {
    Freshness.FRESH: True,
    Freshness.STALE: False,
    Freshness.MISSING: False,
    Freshness.CONTRADICTORY: False,
}
"""Whether a prediction in this state gets a verdict of its own; else it is unknown, whatever its probability says."""

STRICTNESS = (ALLOWED, A_PERSON_DECIDES, DENIED)
"""Exit codes from the one that stops nothing to the one that stops without asking."""


def exit_code(verdict: Verdict, level: Level, on_unknown: OnUnknown) -> int:
    """The exit code of a verdict, before a person's yes."""
    return EXIT_CODES[verdict, on_unknown if verdict is Verdict.UNKNOWN else None][level]


def as_markdown() -> str:
    """The table as the documentation shows it."""
    lines = ["| prediction | verdict | " + " | ".join(Level) + " |", "|---|---|" + "---|" * len(Level)]
    for (verdict, mode), codes in EXIT_CODES.items():
        states = "stale, missing or contradictory" if verdict is Verdict.UNKNOWN else "fresh"
        name = f"{verdict}, {mode}" if mode else str(verdict)
        lines.append(f"| {states} | {name} | " + " | ".join(str(codes[level]) for level in Level) + " |")
    return "\n".join(lines) + "\n"
