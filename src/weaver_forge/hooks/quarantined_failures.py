"""Whether a test run failed for nothing but tests in quarantine. Standard library only: a test runner loads it.

Put here what is excused and what never is. Failures stay in every report and record; only the end of the run changes.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime

_TESTS_FAILED = 1
"""pytest's exit code where tests failed; anything else (interrupted, usage, crash) is never excused."""


class QuarantinedFailures:
    """What failed in a run.

    Args:
        inside: Test in quarantine -> until when.
    """

    def __init__(self, inside: Mapping[str, datetime]) -> None:
        self._inside = inside
        self._excused: dict[str, datetime] = {}
        self._counts = False

    def failed(self, nodeid: str, names: Sequence[str]) -> None:
        """Take a failure; one that could not even be collected has no names."""
        until = next((self._inside[name] for name in names if name in self._inside), None)
        if until is None:
            self._counts = True
        else:
            self._excused[nodeid] = until

    def excuses(self, exit_code: int) -> bool:
        """Whether a run that ended so failed for nothing but tests in quarantine."""
        return int(exit_code) == _TESTS_FAILED and bool(self._excused) and not self._counts

    def lines(self) -> list[str]:
        """What failed in quarantine, and whether that stops the run."""
        so = "other failures count" if self._counts else "the run does not fail for it"
        return [
            f"{nodeid} failed in quarantine (until {until:%Y-%m-%d}): {so}" for nodeid, until in self._excused.items()
        ]
