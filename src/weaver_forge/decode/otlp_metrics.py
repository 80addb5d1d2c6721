"""Metrics messages -> ``raw_otlp__metric_points``: the public surface of the metrics decoder.

Framing is in ``otlp_framing``, the encodings in ``otlp_metrics_protobuf`` and ``otlp_metrics_json``, rows in
``otlp_metric_points``. A message that cannot be read costs itself only, a bad point itself only; whatever is refused
comes back with its bytes, place and reason.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from weaver_forge.contracts.batch import Batch, Rejected
from weaver_forge.contracts.dtypes import empty
from weaver_forge.contracts.tables.metrics import RAW_OTLP_METRIC_POINTS
from weaver_forge.decode import otlp_metrics_json, otlp_metrics_protobuf, otlp_signals_json, otlp_signals_protobuf
from weaver_forge.decode.otlp_framing import Message, shown
from weaver_forge.decode.otlp_metric_points import FAMILY, Common, Metric, Points, assemble
from weaver_forge.decode.otlp_protobuf import PayloadRefused
from weaver_forge.decode.otlp_signals import Reader, refused_message


@dataclass(frozen=True, slots=True)
class _Encoding:
    """What the two encodings do each in their own way."""

    read: Callable[[bytes], Any]
    walk: Callable[[Any], Iterator[tuple[Metric, Sequence[Any]]]]
    common: Callable[[Sequence[Any], dict[int, str]], Common]
    columns: Callable[[str, Sequence[Any], dict[int, str]], dict[str, pl.Series]]
    piece: Callable[[Metric, Any], bytes]
    reader: Reader


_ENCODINGS = {
    "protobuf": _Encoding(
        otlp_signals_protobuf.read_metrics,
        otlp_metrics_protobuf.walk,
        otlp_metrics_protobuf.common,
        otlp_metrics_protobuf.columns,
        otlp_metrics_protobuf.piece,
        otlp_signals_protobuf.READER,
    ),
    "json": _Encoding(
        otlp_metrics_json.read_metrics,
        otlp_metrics_json.walk,
        otlp_metrics_json.common,
        otlp_metrics_json.columns,
        otlp_metrics_json.piece,
        otlp_signals_json.READER,
    ),
}


def decode_metric_messages(messages: Sequence[Message], name: str) -> Batch:
    """Decode metrics messages of one file into one batch; the table is always there, possibly without rows.

    Args:
        messages: Whole messages, of either encoding.
        name: The file, for what is refused.
    """
    tables = [empty(RAW_OTLP_METRIC_POINTS)]
    rejected: list[Rejected] = []
    for kind, encoding in _ENCODINGS.items():
        requests: list[tuple[Message, Any]] = []
        for message in messages:
            if message.encoding != kind:
                continue
            try:
                requests.append((message, encoding.read(message.data)))
            except PayloadRefused as error:
                rejected.append(refused_message(name, message, str(error)))
        if requests:
            table, refused = _decode(requests, encoding, name)
            tables.append(table)
            rejected += refused
    return Batch({RAW_OTLP_METRIC_POINTS.name: pl.concat(tables)}, tuple(rejected))


def _decode(
    requests: Sequence[tuple[Message, Any]], encoding: _Encoding, name: str
) -> tuple[pl.DataFrame, list[Rejected]]:
    metrics: list[tuple[Metric, Message]] = []
    refused: list[Rejected] = []
    gathered: dict[str, tuple[list[Any], list[int], list[int]]] = {f: ([], [], []) for f in FAMILY.values()}
    for message, request in requests:
        for metric, points in encoding.walk(request):
            if not metric.type:
                refused.append(_of_no_type(metric, message, encoding, name))
                continue
            everything, owners, numbers = gathered[FAMILY[metric.type]]
            everything.extend(points)
            owners.extend([len(metrics)] * len(points))
            numbers.extend(range(len(points)))
            metrics.append((metric, message))
    families = [_family(metrics, encoding, family, *held) for family, held in gathered.items() if held[0]]
    table, rejected = assemble(metrics, families, encoding.reader, name)
    return table, refused + rejected


def _family(
    metrics: Sequence[tuple[Metric, Message]],
    encoding: _Encoding,
    family: str,
    points: list[Any],
    owners: list[int],
    numbers: list[int],
) -> Points:
    reasons: dict[int, str] = {}
    return Points(
        metric=owners,
        number=numbers,
        common=encoding.common(points, reasons),
        data=encoding.columns(family, points, reasons),
        piece=lambda row: encoding.piece(metrics[owners[row]][0], points[row]),
        reasons=reasons,
    )


def _of_no_type(metric: Metric, message: Message, encoding: _Encoding, name: str) -> Rejected:
    data = encoding.piece(metric, None)
    reason = "the metric has no data of a known type (gauge, sum, histogram, exponential histogram, summary)"
    return Rejected(
        name, f"{message.position}, metric {shown(metric.name)[:200]}", reason, shown(data), data, message.offset
    )
