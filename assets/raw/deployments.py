"""Raw deployments, from JSON lines of our own documented shape."""

from collections.abc import Iterator

from assets.raw.intake import RawSource, Request
from assets.resources import Deployment
from weaver_forge.contracts.batch import Batch
from weaver_forge.contracts.tables.operations import RAW_DEPLOYMENTS_EVENTS
from weaver_forge.decode.deployments import decode
from weaver_forge.sources.files import read_frames


def _decode(request: Request, _deployment: Deployment) -> Iterator[Batch]:
    yield decode(read_frames(request.path))


SOURCE = RawSource(name="deployments", tables=(RAW_DEPLOYMENTS_EVENTS,), decode=_decode)
