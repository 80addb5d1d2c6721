"""What is handed to a test runner, and what became of it: the values that every renderer takes and gives. Pure.

Put here what all runners share, and how parts of a test's identity are told apart. What one runner understands, and
what it cannot express, is said in that runner's module.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

NEVER_S = 253_402_300_799
"""The last second of the year 9999."""
ARGUMENT_BYTES = 120_000
"""Linux passes no argument of 128 KiB and more on; other systems less."""
FEW = 3
"""So many names are shown where there are more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lists:
    """Tests to run, in order, and tests that are left out.

    Args:
        run: Test ids as ``core_ci__test_verdicts`` has them, first ones first.
        rest: Known tests that shall not run now.
        rows: Test id -> what is known of it, as ``rank-tests --json`` says it.
        told: The whole answer without its lists: ``subject``, ``expires_at`` (naive UTC), ``scope``.
        is_later: These are the lists of a later run: ``rest`` has run, and what it took with it, too.
    """

    run: tuple[str, ...]
    rest: tuple[str, ...] = ()
    rows: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    told: Mapping[str, Any] = field(default_factory=dict)
    is_later: bool = False

    def turned(self) -> "Lists":
        """The rest as what runs, for the file of what runs later."""
        return Lists(run=self.rest, rest=self.run, rows=self.rows, told=self.told, is_later=not self.is_later)

    @property
    def ends_s(self) -> int:
        """When the lists cease to hold, seconds since 1970; ``NEVER_S`` where that is not said."""
        said = self.told.get("expires_at")
        if not said:
            return NEVER_S
        return int(datetime.fromisoformat(str(said).removesuffix("Z")).replace(tzinfo=UTC).timestamp())

    def parts(self, unit: Callable[[str], str | None]) -> "Parts":
        """What runs and what is left out, in units of a runner, in order.

        Args:
            unit: The unit of a test; None where the runner does not know such a test, empty where it has no unit.
        """
        pairs = [
            [(found, test_id) for test_id in tests if (found := unit(test_id)) is not None]
            for tests in (self.run, self.rest)
        ]
        run, rest = map(by_unit, pairs)
        of_others = len(self.run) + len(self.rest) - sum(map(len, pairs))
        n_rest = sum(map(len, rest.values()))
        if self.is_later:  # what both lists name has run
            run = {name: tests for name, tests in run.items() if not name or name not in rest}
            return Parts(run=run, left={name: tests for name, tests in rest.items() if name}, of_others=of_others)
        extra = [test_id for name, tests in rest.items() if not name or name in run for test_id in tests]
        left = {name: tests for name, tests in rest.items() if name and name not in run}
        return Parts(run=run, left=left, extra=tuple(extra), n_rest=n_rest, of_others=of_others)

    def row(self, test_id: str) -> Mapping[str, Any]:
        """What is known of a test."""
        return self.rows.get(test_id, {"test_id": test_id})


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """Lists in units of a runner.

    Args:
        run: Unit -> its tests that shall run, in order; the empty unit has those that cannot be left out.
        left: Unit -> its tests, all of them left out.
        extra: Tests of the rest that run all the same, because a test beside them in their unit does.
        n_rest: Tests of the rest that the runner knows.
        of_others: Tests in both lists that the runner does not know.
    """

    run: Mapping[str, Sequence[str]]
    left: Mapping[str, Sequence[str]]
    extra: tuple[str, ...] = ()
    n_rest: int = 0
    of_others: int = 0

    def notes(self, shape: str, unit: str) -> list[str]:
        """Say what is not in the file, and what runs besides."""
        said = []
        if self.of_others:
            said.append(f"{self.of_others} tests are not named {shape}: another runner has them")
        if self.extra:
            n = f"{len(self.extra)} of {self.n_rest} tests left for later"
            said.append(f"{n} run all the same, with their {unit}: {named(self.extra)}")
        return said


@dataclass(frozen=True, slots=True, kw_only=True)
class Rendered:
    """A file for a runner.

    Args:
        text: What stands in it; None where nothing is left to run, so that there shall be no file.
        use: The command that reads it; ``FILE`` stands for its path.
        notes: What the runner does otherwise than the lists say; empty where it does exactly that.
        beside: Further files: what is added to the path -> what stands in it; None where there shall be no such file.
    """

    text: str | None
    use: str
    notes: tuple[str, ...] = ()
    beside: Mapping[str, str | None] = field(default_factory=dict)


def parted(test_id: str) -> tuple[str, str]:
    """Class and name of a test: what is before the first ``::``, and the rest; no class where there is none."""
    classname, found, name = test_id.partition("::")
    return (classname, name) if found else ("", test_id)


def named(names: Collection[str]) -> str:
    """A few names."""
    few = sorted(names)[:FEW]
    return ", ".join(few) + (", ..." if len(names) > len(few) else "")


def by_unit(tests: Sequence[tuple[str, str]]) -> dict[str, list[str]]:
    """Group (unit, test) pairs by unit, units and tests in the order in which they come first."""
    groups: dict[str, list[str]] = {}
    for unit, test in tests:
        groups.setdefault(unit, []).append(test)
    return groups
