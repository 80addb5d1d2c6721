"""Which test executes which file, from coverage.py's reports and data files."""

from collections.abc import Iterator
from pathlib import Path

from assets.raw.intake import RawSource, Request
from assets.resources import Deployment
from weaver_forge.contracts.batch import Batch
from weaver_forge.contracts.tables.coverage import RAW_COVERAGE_TEST_FILES
from weaver_forge.decode import coverage_contexts
from weaver_forge.decode.report_rows import Told
from weaver_forge.sources.files import read_frames


def _root(path: Path) -> str:
    """The checkout that a report lies in, else its folder: coverage.py writes beside what it measures."""
    return str(next((folder for folder in path.parents if (folder / ".git").exists()), path.parent))


def _decode(request: Request, _deployment: Deployment) -> Iterator[Batch]:
    said = request.said
    told = Told(
        received_at=request.received_at,
        revision=said.get("revision"),
        run_id=said.get("run_id"),
        repo_id=said.get("repo_id"),
    )
    yield coverage_contexts.decode(read_frames(request.path), told, root=_root(request.path))


SOURCE = RawSource(name="coverage", tables=(RAW_COVERAGE_TEST_FILES,), decode=_decode)
