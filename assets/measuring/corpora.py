"""What ``benchmark ingest`` reads: corpora written to files, each once, and how much room they take."""

import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal

from weaver_forge.benchmarks import ingest_corpus
from weaver_forge.benchmarks.git_corpus import write_history
from weaver_forge.benchmarks.junit_corpus import junit_corpus
from weaver_forge.errors import StoreFull

SPAN_BYTES = {"protobuf": 510, "json": 1070, "lake": 120, "peer": 700}
"""Of one span in a file, in a lake, and in ClickHouse with the file that it reads."""

_CASES_A_SUITE, _SUITES_A_REPORT = 100, 50
_HOUR_NS = 3_600_000_000_000
_SPANS_AN_HOUR = round(ingest_corpus.SPANS_PER_SECOND * 3600)


@dataclass(frozen=True, slots=True)
class Sizes:
    """How much is measured.

    Args:
        n_spans: Of the ordinary corpus.
        n_more: Of the larger one that shows whether costs stay in proportion.
        n_commits: Of the git history.
    """

    n_spans: int
    n_more: int
    n_commits: int

    @property
    def n_hour(self) -> int:
        """Spans of the one hour that comes to the larger corpus."""
        return min(_SPANS_AN_HOUR, self.n_spans // 2)

    @property
    def n_cases(self) -> int:
        """Test cases."""
        return max(self.n_spans // 10, 5000)

    @property
    def seconds(self) -> float:
        """For which the receiver is loaded."""
        return min(max(self.n_spans / 100_000, 2.0), 10.0)

    @property
    def n_bytes(self) -> int:
        """Room that all of it takes, the commits at 4 kB each."""
        small = self.n_spans * sum(SPAN_BYTES.values())
        return small + self.n_more * (SPAN_BYTES["protobuf"] + SPAN_BYTES["lake"]) + self.n_commits * 4000


class Corpora:
    """Files in a folder, each made when it is first asked for.

    Args:
        folder: Must exist; whoever made it removes it.
        sizes: How much.
    """

    def __init__(self, folder: Path, sizes: Sizes) -> None:
        self.folder, self.sizes = folder, sizes

    def check_room(self) -> None:
        """Say at the start, not in the middle, that the disk is too small.

        Raises:
            StoreFull: If it is.
        """
        free = shutil.disk_usage(self.folder).free
        if free < self.sizes.n_bytes * 1.2:
            raise StoreFull(
                f"the corpora need {self.sizes.n_bytes * 1.2 / 1e9:.1f} GB, and {free / 1e9:.1f} GB are free",
                where=str(self.folder),
                do="Name another folder with --data, or measure fewer spans with --spans",
            )

    @cached_property
    def protobuf(self) -> Path:
        """The ordinary corpus, as the collector's file exporter frames protobuf."""
        return self._spans("spans.otlp", self.sizes.n_spans)

    @cached_property
    def json(self) -> Path:
        """The same spans as JSON lines."""
        return self._spans("spans.jsonl", self.sizes.n_spans, encoding="json")

    @cached_property
    def more(self) -> Path:
        """The larger corpus, to the end of an hour."""
        return self._spans("more.otlp", self.sizes.n_more, start_unix_ns=self._whole_hour - self._lasts_ns)

    @cached_property
    def hour(self) -> Path:
        """The hour after the larger corpus, other spans than any of it."""
        return self._spans("hour.otlp", self.sizes.n_hour, seed=1, start_unix_ns=self._whole_hour)

    @property
    def _lasts_ns(self) -> int:
        return int(self.sizes.n_more / ingest_corpus.SPANS_PER_SECOND * 1e9)

    @property
    def _whole_hour(self) -> int:
        return -((-ingest_corpus.START_UNIX_NS - self._lasts_ns) // _HOUR_NS) * _HOUR_NS

    @cached_property
    def reports(self) -> list[Path]:
        """JUnit reports; every suite of a report has its own name, and every report its own suites."""
        n_suites = self.sizes.n_cases // _CASES_A_SUITE
        paths = []
        for number in range(max(n_suites // _SUITES_A_REPORT, 1)):
            report = b"".join(junit_corpus(min(n_suites, _SUITES_A_REPORT), _CASES_A_SUITE))
            paths.append(
                self._written(f"report-{number:04}.xml", [report.replace(b"org.example", b"org.n%d" % number)])
            )
        return paths

    @cached_property
    def history(self) -> Path:
        """A git repository."""
        path = self.folder / "history.git"
        write_history(path, self.sizes.n_commits)
        return path

    def _spans(
        self,
        name: str,
        n_spans: int,
        *,
        encoding: Literal["protobuf", "json"] = "protobuf",
        seed: int = 0,
        start_unix_ns: int = ingest_corpus.START_UNIX_NS,
    ) -> Path:
        made = ingest_corpus.requests(n_spans, encoding=encoding, seed=seed, start_unix_ns=start_unix_ns)
        framed = (len(body).to_bytes(4, "big") + body if encoding == "protobuf" else body + b"\n" for body in made)
        return self._written(name, framed)

    def _written(self, name: str, pieces: Iterable[bytes]) -> Path:
        path = self.folder / name
        with path.open("wb") as file:
            file.writelines(pieces)
        return path
