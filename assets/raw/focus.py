"""Raw charges, from FOCUS cost exports."""

from collections.abc import Iterator

from assets.raw.intake import RawSource, Request
from assets.resources import Deployment
from weaver_forge.contracts.batch import Batch
from weaver_forge.contracts.tables.cost import RAW_FOCUS_CHARGES
from weaver_forge.decode import focus
from weaver_forge.sources.files import read_frames


def _decode(request: Request, _deployment: Deployment) -> Iterator[Batch]:
    yield focus.decode(read_frames(request.path), received_at=request.received_at)


SOURCE = RawSource(name="focus", tables=(RAW_FOCUS_CHARGES,), decode=_decode)
