"""OTLP metrics and logs in protobuf, read through pruned classes as spans are.

The classes have OTLP's own field numbers; resource, scope, attributes, exemplars, body and names are typed
``bytes`` (the same on the wire), so that the parser neither builds nor validates them and each distinct one is
read once. The syntax is proto2 for its presence of fields: a sum that is absent is not a sum of zero.
"""

from collections.abc import Iterable
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.message import DecodeError
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, InstrumentationScope
from opentelemetry.proto.metrics.v1.metrics_pb2 import Exemplar

from weaver_forge.decode.faults import in_words
from weaver_forge.decode.otlp_attributes import read_attributes
from weaver_forge.decode.otlp_protobuf import PayloadRefused
from weaver_forge.decode.otlp_protobuf_values import plain, read_resource
from weaver_forge.decode.otlp_signals import Reader, Scope, exemplar_row
from weaver_forge.decode.otlp_values import as_text, json_text

_TYPES = descriptor_pb2.FieldDescriptorProto
_PACKAGE = "weaver_forge.otlp_signals"
_SCALARS = {
    "bytes": _TYPES.TYPE_BYTES,
    "int32": _TYPES.TYPE_INT32,
    "sint32": _TYPES.TYPE_SINT32,
    "uint32": _TYPES.TYPE_UINT32,
    "uint64": _TYPES.TYPE_UINT64,
    "bool": _TYPES.TYPE_BOOL,
    "fixed64": _TYPES.TYPE_FIXED64,
    "sfixed64": _TYPES.TYPE_SFIXED64,
    "double": _TYPES.TYPE_DOUBLE,
}

_LAYOUT: dict[str, dict[str, tuple[int, str]]] = {
    # message -> field -> (number, type); "*" after a type: repeated, "|" before it: one of a group
    "MetricsRequest": {"resources": (1, "ResourceMetrics*")},
    "ResourceMetrics": {"resource": (1, "bytes"), "scopes": (2, "ScopeMetrics*")},
    "ScopeMetrics": {"scope": (1, "bytes"), "metrics": (2, "Metric*")},
    "Metric": {
        "name": (1, "bytes"),
        "description": (2, "bytes"),
        "unit": (3, "bytes"),
        "gauge": (5, "|Gauge"),
        "sum": (7, "|Sum"),
        "histogram": (9, "|Histogram"),
        "exponential_histogram": (10, "|ExponentialHistogram"),
        "summary": (11, "|Summary"),
    },
    "Gauge": {"points": (1, "Number*")},
    "Sum": {"points": (1, "Number*"), "temporality": (2, "int32"), "is_monotonic": (3, "bool")},
    "Histogram": {"points": (1, "HistogramPoint*"), "temporality": (2, "int32")},
    "ExponentialHistogram": {"points": (1, "ExponentialPoint*"), "temporality": (2, "int32")},
    "Summary": {"points": (1, "SummaryPoint*")},
    "Number": {
        "start": (2, "fixed64"),
        "time": (3, "fixed64"),
        "as_double": (4, "|double"),
        "exemplars": (5, "bytes*"),
        "as_int": (6, "|sfixed64"),
        "attributes": (7, "bytes*"),
        "flags": (8, "uint32"),
    },
    "HistogramPoint": {
        "start": (2, "fixed64"),
        "time": (3, "fixed64"),
        "count": (4, "fixed64"),
        "sum": (5, "double"),
        "bucket_counts": (6, "fixed64*"),
        "explicit_bounds": (7, "double*"),
        "exemplars": (8, "bytes*"),
        "attributes": (9, "bytes*"),
        "flags": (10, "uint32"),
        "min": (11, "double"),
        "max": (12, "double"),
    },
    "ExponentialPoint": {
        "attributes": (1, "bytes*"),
        "start": (2, "fixed64"),
        "time": (3, "fixed64"),
        "count": (4, "fixed64"),
        "sum": (5, "double"),
        "scale": (6, "sint32"),
        "zero_count": (7, "fixed64"),
        "positive": (8, "Buckets"),
        "negative": (9, "Buckets"),
        "flags": (10, "uint32"),
        "exemplars": (11, "bytes*"),
        "min": (12, "double"),
        "max": (13, "double"),
        "zero_threshold": (14, "double"),
    },
    "Buckets": {"offset": (1, "sint32"), "counts": (2, "uint64*")},
    "SummaryPoint": {
        "start": (2, "fixed64"),
        "time": (3, "fixed64"),
        "count": (4, "fixed64"),
        "sum": (5, "double"),
        "quantiles": (6, "Quantile*"),
        "attributes": (7, "bytes*"),
        "flags": (8, "uint32"),
    },
    "Quantile": {"quantile": (1, "double"), "value": (2, "double")},
    "LogsRequest": {"resources": (1, "ResourceLogs*")},
    "ResourceLogs": {"resource": (1, "bytes"), "scopes": (2, "ScopeLogs*")},
    "ScopeLogs": {"scope": (1, "bytes"), "records": (2, "Record*")},
    "Record": {
        "time": (1, "fixed64"),
        "severity_number": (2, "int32"),
        "severity_text": (3, "bytes"),
        "body": (5, "bytes"),
        "attributes": (6, "bytes*"),
        "trace_id": (9, "bytes"),
        "span_id": (10, "bytes"),
        "observed": (11, "fixed64"),
        "event_name": (12, "bytes"),
    },
}


def _pruned() -> dict[str, Any]:
    """Build the pruned classes in a descriptor pool of their own."""
    file = descriptor_pb2.FileDescriptorProto(name="weaver_forge/otlp_signals.proto", package=_PACKAGE, syntax="proto2")
    for name, fields in _LAYOUT.items():
        message = file.message_type.add(name=name)
        if any(kind.startswith("|") for _, kind in fields.values()):
            message.oneof_decl.add(name="data")
        for field, (number, kind) in fields.items():
            bare = kind.strip("|*")
            label = _TYPES.LABEL_REPEATED if kind.endswith("*") else _TYPES.LABEL_OPTIONAL
            type_ = _SCALARS.get(bare, _TYPES.TYPE_MESSAGE)
            entry = message.field.add(name=field, number=number, type=type_, label=label)
            if bare not in _SCALARS:
                entry.type_name = f".{_PACKAGE}.{bare}"
            if kind.startswith("|"):
                entry.oneof_index = 0
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return {
        name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{_PACKAGE}.{name}"))
        for name in ("MetricsRequest", "LogsRequest")
    }


_CLASSES = _pruned()


def metrics_request() -> Any:
    """An empty metrics message of the pruned class."""
    return _CLASSES["MetricsRequest"]()


def logs_request() -> Any:
    """An empty logs message of the pruned class."""
    return _CLASSES["LogsRequest"]()


def read_metrics(data: bytes) -> Any:
    """Parse one metrics message into the pruned class.

    Raises:
        PayloadRefused: If it is no protobuf.
    """
    return _read("MetricsRequest", data)


def read_logs(data: bytes) -> Any:
    """Parse one logs message into the pruned class.

    Raises:
        PayloadRefused: If it is no protobuf.
    """
    return _read("LogsRequest", data)


def _read(name: str, data: bytes) -> Any:
    try:
        return _CLASSES[name].FromString(data)
    except DecodeError as error:
        raise PayloadRefused(f"not an OTLP protobuf message: {in_words(error)}") from error


def read_scope(raw: bytes) -> Scope:
    """Decode one distinct scope."""
    try:
        scope = InstrumentationScope.FromString(raw)
    except DecodeError as error:
        return Scope("", "", [], f"its scope cannot be read: {in_words(error)}")
    found: dict[str, str | None] = {}
    for pair in scope.attributes:
        found.setdefault(pair.key, as_text(plain(pair.value)))
    return Scope(scope.name, scope.version, list(found.items()))


READER = Reader(read_attributes, read_resource, read_scope)


def body_text(raw: bytes) -> tuple[str | None, bool]:
    """A log's body as text, and whether it is structured.

    Raises:
        DecodeError: If it cannot be read.
        UnicodeDecodeError: If it is not UTF-8.
    """
    size = len(raw)
    if size > 1 and raw[0] == 0x0A:  # the commonest form by hand: one string, its length in canonical varint
        if raw[1] < 0x80 and raw[1] == size - 2:
            return raw[2:].decode(), False
        if size > 129 and raw[1] > 0x7F > raw[2] > 0 and (raw[1] & 0x7F | raw[2] << 7) == size - 3:
            return raw[3:].decode(), False
    value = AnyValue.FromString(raw)
    return as_text(plain(value)), value.WhichOneof("value") in {"array_value", "kvlist_value"}


def exemplars_text(raws: Iterable[bytes]) -> str:
    """A point's exemplars as JSON text.

    Raises:
        DecodeError: If one cannot be read.
    """
    exemplars = (Exemplar.FromString(raw) for raw in raws)
    return json_text(
        [
            exemplar_row(
                one.time_unix_nano,
                None if (which := one.WhichOneof("value")) is None else getattr(one, which),
                (one.trace_id.hex(), one.span_id.hex()),
                {p.key: plain(p.value, inside=True) for p in one.filtered_attributes},
            )
            for one in exemplars
        ]
    )
