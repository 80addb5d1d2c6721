"""Raw test results, from reports of every format that is read."""

from collections.abc import Iterator

from assets.raw.intake import RawSource, Request
from assets.resources import Deployment
from weaver_forge.contracts.batch import Batch
from weaver_forge.contracts.tables.ci import RAW_TEST_RESULTS
from weaver_forge.decode import junit
from weaver_forge.sources.files import read_frames


def _decode(request: Request, _deployment: Deployment) -> Iterator[Batch]:
    yield junit.decode(
        read_frames(request.path),
        revision=request.said.get("revision"),
        run_id=request.said.get("run_id"),
        repo_id=request.said.get("repo_id"),
        run_number=request.said.get("run_number"),
        received_at=request.received_at,
    )


SOURCE = RawSource(name="tests", tables=(RAW_TEST_RESULTS,), decode=_decode)
