"""Protobuf classes pruned to what is looked at before a request is stored; the parser skips the rest.

The numbers are OTLP's own. Texts are ``bytes``, the same on the wire: the parser would refuse a whole request for one
that is not UTF-8, where the decoder refuses only what it belongs to.
"""

from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

from weaver_forge.receivers.otlp_signals import Signal

_TYPES = descriptor_pb2.FieldDescriptorProto
_SCALARS = {
    "bytes": _TYPES.TYPE_BYTES,
    "double": _TYPES.TYPE_DOUBLE,
    "fixed64": _TYPES.TYPE_FIXED64,
    "sfixed64": _TYPES.TYPE_SFIXED64,
    "uint32": _TYPES.TYPE_UINT32,
    "uint64": _TYPES.TYPE_UINT64,
}
_Layout = dict[str, dict[str, tuple[int, str]]]
"""Message -> field -> (number, type); ``*`` after a type: repeated, ``|`` before it: one of a group."""

_OUTER: _Layout = {
    "Request": {"resources": (1, "Resource*")},
    "Resource": {"scopes": (2, "Scope*")},
    "Scope": {"items": (2, "Item*")},
}
_POINT = {"start": (2, "fixed64"), "time": (3, "fixed64")}
_LAYOUTS: dict[Signal, _Layout] = {
    "traces": {
        "Item": {
            "trace_id": (1, "bytes"),
            "span_id": (2, "bytes"),
            "parent_span_id": (4, "bytes"),
            "name": (5, "bytes"),
            "start": (7, "fixed64"),
            "end": (8, "fixed64"),
        },
    },
    "metrics": {
        "Item": {
            "name": (1, "bytes"),
            "description": (2, "bytes"),
            "unit": (3, "bytes"),
            "gauge": (5, "|Numbers"),
            "sum": (7, "|Numbers"),
            "histogram": (9, "|Histograms"),
            "exponential_histogram": (10, "|Exponentials"),
            "summary": (11, "|Summaries"),
        },
        "Numbers": {"points": (1, "Number*")},
        "Histograms": {"points": (1, "Histogram*")},
        "Exponentials": {"points": (1, "Exponential*")},
        "Summaries": {"points": (1, "Summary*")},
        "Number": _POINT | {"as_double": (4, "|double"), "as_int": (6, "|sfixed64"), "flags": (8, "uint32")},
        "Histogram": _POINT
        | {
            "count": (4, "fixed64"),
            "bucket_counts": (6, "fixed64*"),
            "explicit_bounds": (7, "double*"),
            "flags": (10, "uint32"),
        },
        "Exponential": _POINT
        | {"count": (4, "fixed64"), "positive": (8, "Buckets"), "negative": (9, "Buckets"), "flags": (10, "uint32")},
        "Summary": _POINT | {"count": (4, "fixed64"), "flags": (8, "uint32")},
        "Buckets": {"counts": (2, "uint64*")},
    },
    "logs": {
        "Item": {
            "time": (1, "fixed64"),
            "severity_text": (3, "bytes"),
            "observed": (11, "fixed64"),
            "event_name": (12, "bytes"),
        },
    },
}


def _request_class(signal: Signal) -> Any:
    package = f"weaver_forge.outline_{signal}"
    file = descriptor_pb2.FileDescriptorProto(name=f"{package}.proto", package=package, syntax="proto3")
    for name, fields in (_OUTER | _LAYOUTS[signal]).items():
        message = file.message_type.add(name=name)
        if any(kind.startswith("|") for _, kind in fields.values()):
            message.oneof_decl.add(name="data")
        for field, (number, kind) in fields.items():
            bare = kind.strip("|*")
            label = _TYPES.LABEL_REPEATED if kind.endswith("*") else _TYPES.LABEL_OPTIONAL
            type_ = _SCALARS.get(bare, _TYPES.TYPE_MESSAGE)
            entry = message.field.add(name=field, number=number, type=type_, label=label)
            if bare not in _SCALARS:
                entry.type_name = f".{package}.{bare}"
            if kind.startswith("|"):
                entry.oneof_index = 0
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{package}.Request"))


REQUESTS: dict[Signal, Any] = {signal: _request_class(signal) for signal in _LAYOUTS}
"""The outer class of each signal's requests."""
