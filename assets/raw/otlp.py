"""Raw spans, metric points and log records, from OTLP files of any size, into the lakes."""

from collections.abc import Iterator

from assets.raw.intake import RawSource, Request
from assets.resources import Deployment
from assets.staging import decode_whole
from weaver_forge.contracts.batch import Batch
from weaver_forge.contracts.tables.logs import RAW_OTLP_LOG_RECORDS
from weaver_forge.contracts.tables.metrics import RAW_OTLP_METRIC_POINTS
from weaver_forge.contracts.tables.operations import RAW_OTLP_SPANS


def _decode(request: Request, _deployment: Deployment) -> Iterator[Batch]:
    yield decode_whole(request.path)


SOURCE = RawSource(
    name="otlp",
    tables=(RAW_OTLP_SPANS, RAW_OTLP_METRIC_POINTS, RAW_OTLP_LOG_RECORDS),
    decode=_decode,
    streamed=True,
)
