"""Whether anything failed in test reports besides tests in quarantine. Reports are read as ingest reads them.

Put here what counts as a failure of a run. Loads polars: no hook that must start at once imports this.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import polars as pl

from weaver_forge.contracts.dtypes import empty
from weaver_forge.contracts.tables.changes import RAW_GIT_COMMITS
from weaver_forge.contracts.tables.ci import RAW_GITHUB_ACTIONS_JOBS, RAW_GITHUB_ACTIONS_RUNS, RAW_TEST_RESULTS
from weaver_forge.decode.report_rows import Told
from weaver_forge.decode.test_results import decode_parts
from weaver_forge.errors import SourceError
from weaver_forge.hooks.quarantine import Quarantined
from weaver_forge.links import core_ci
from weaver_forge.sources.files import read_blocks

_THE_RUN = "the run of these reports"


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """What the reports of one run say.

    Args:
        counts: What failed and counts: tests, and what was not collected or did not build.
        excused: Tests in quarantine that failed, with until when and why.
        n_tests: Tests in the reports.
        n_flaky: Of these, failed and passed.
    """

    counts: tuple[str, ...]
    excused: Mapping[str, str]
    n_tests: int
    n_flaky: int

    def as_data(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "counts": list(self.counts),
            "quarantined": dict(self.excused),
            "n_tests": self.n_tests,
            "n_flaky": self.n_flaky,
        }

    def lines(self) -> list[str]:
        """What failed, what did not count, and why."""
        said = [f"{len(self.counts)} of {self.n_tests} tests failed and count"] if self.counts else []
        said += [f"  {name}" for name in self.counts]
        said += [f"nothing failed that counts, of {self.n_tests} tests"] if not self.counts else []
        said += [f"  failed in quarantine: {name} ({why})" for name, why in self.excused.items()]
        return [*said, f"  {self.n_flaky} failed and passed: flaky"] if self.n_flaky else said


def verdict_of(reports: Sequence[Path], inside: Iterable[Quarantined], now: datetime) -> Judged:
    """Judge the reports of one run.

    Args:
        reports: Files; a pattern is the shell's to expand.
        inside: Tests in quarantine now.
        now: Naive UTC.

    Raises:
        SourceError: If a report cannot be read whole, or there is no test in any: that would be a green that ran
            nothing.
    """
    raw = [frame for path in reports for frame in _read(path, now)]
    rows = pl.concat(raw) if raw else empty(RAW_TEST_RESULTS)
    tables = core_ci(rows, empty(RAW_GITHUB_ACTIONS_RUNS), empty(RAW_GITHUB_ACTIONS_JOBS), empty(RAW_GIT_COMMITS))
    verdicts, errors = tables["core_ci__test_verdicts"], tables["core_ci__run_errors"]
    if verdicts.is_empty() and errors.is_empty():
        raise SourceError(
            "no test is in these reports", where=str(reports[0]), do="Name the files that the runner wrote"
        )
    why = {one.test_id: f"until {one.expires_at:%Y-%m-%d}: {one.reason}" for one in inside}
    failed = verdicts.filter(pl.col("verdict") == "failed")["test_id"].sort().to_list()
    return Judged(
        counts=(*(name for name in failed if name not in why), *errors["name"].sort().to_list()),
        excused={name: why[name] for name in failed if name in why},
        n_tests=verdicts["test_id"].n_unique(),
        n_flaky=verdicts.filter(pl.col("verdict") == "flaky").height,
    )


def _read(path: Path, now: datetime) -> list[pl.DataFrame]:
    """The results of a report."""
    told = Told(received_at=now, revision=_THE_RUN, run_id=_THE_RUN, repo_id=_THE_RUN)
    frames = []
    try:
        for batch in decode_parts(path.name, lambda: read_blocks(path), told):
            if batch.rejected:
                raise SourceError(
                    batch.rejected[0].reason, where=str(path), do="A report that is not whole proves nothing"
                )
            frames += [batch.tables[RAW_TEST_RESULTS.name]] if RAW_TEST_RESULTS.name in batch.tables else []
    except OSError as error:
        raise SourceError(f"it cannot be read: {error.strerror}", where=str(path), do="Name a readable file") from error
    return frames
