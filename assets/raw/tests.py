"""Raw test results, from reports of every format that is read."""

from collections.abc import Iterator

from assets.raw.intake import RawSource, Request
from assets.resources import Deployment
from weaver_forge.contracts.batch import Batch
from weaver_forge.contracts.tables.ci import RAW_TEST_RESULTS
from weaver_forge.decode import test_results
from weaver_forge.decode.report_rows import Told
from weaver_forge.sources.files import read_blocks


def _decode(request: Request, _deployment: Deployment) -> Iterator[Batch]:
    said = request.said
    told = Told(
        received_at=request.received_at,
        revision=said.get("revision"),
        run_id=said.get("run_id"),
        repo_id=said.get("repo_id"),
        run_number=said.get("run_number"),
    )
    yield from test_results.decode_parts(str(request.path), lambda: read_blocks(request.path), told)


SOURCE = RawSource(name="tests", tables=(RAW_TEST_RESULTS,), decode=_decode)
