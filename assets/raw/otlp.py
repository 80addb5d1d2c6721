"""Raw spans, from OTLP trace files, into the span lake."""

from collections.abc import Iterator

from assets.raw.intake import RawSource, Request
from assets.resources import Deployment
from weaver_forge.contracts.batch import Batch
from weaver_forge.contracts.tables.operations import RAW_OTLP_SPANS
from weaver_forge.decode import otlp
from weaver_forge.sources.files import read_frames


def _decode(request: Request, _deployment: Deployment) -> Iterator[Batch]:
    for frame in read_frames(request.path):
        yield from otlp.decode_chunks(frame)


SOURCE = RawSource(name="otlp", tables=(RAW_OTLP_SPANS,), decode=_decode)
