"""Simulated spans as OTLP files, as the collector's file exporter writes them: protobuf or JSON lines.

Spans of one kind differ only in ids and times, so their bytes are a template with holes that numpy fills for all
of them at once; building a million protobuf objects would take minutes. The tests read the files back with the
official classes.
"""

import gzip
import json
import struct
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from weaver_forge.testing.plan import ENVIRONMENT, NAMESPACE
from weaver_forge.testing.topology import SERVICES
from weaver_forge.testing.traffic import Spans

_KINDS = {"server": 2, "client": 3, "database": 3}
_STATUS = {"ok": 200, "error": 500, "not_found": 404}
_OLD_NAMES = {
    "http.request.method": "http.method",
    "http.response.status_code": "http.status_code",
    "server.address": "net.peer.name",
    "db.system.name": "db.system",
    "deployment.environment.name": "deployment.environment",
}
_OLD = frozenset(service.name for service in SERVICES if service.is_old_semconv)
_BUCKET_NS = 600 * 1_000_000_000
"""A message holds the spans that began within ten minutes."""

INSTANCES = 2
"""Instances of every service; each has a resource of its own."""

Versions = Callable[[str, npt.NDArray[np.int64]], tuple[npt.NDArray[np.int64], list[str]]]
"""Service and start times -> index into the list of its versions."""


def traces_protobuf(groups: Iterable[Spans], versions: Versions, until_ns: int) -> bytes:
    """A gzip'ed file of length-prefixed ``ExportTraceServiceRequest`` messages.

    Spans that begin at ``until_ns`` or later are left out.
    """
    messages = []
    for resources in _messages(groups, versions, until_ns, _protobuf_rows):
        request = b"".join(
            _field(1, _field(1, _resource(*resource)) + _field(2, _SCOPE + b"".join(rows)))
            for resource, rows in resources
        )
        messages += [struct.pack(">I", len(request)), request]
    return gzip.compress(b"".join(messages), 1, mtime=0)


def traces_json(groups: Iterable[Spans], versions: Versions, until_ns: int) -> bytes:
    """The same as gzip'ed JSON lines, one request a line."""
    lines = []
    for resources in _messages(groups, versions, until_ns, _json_rows):
        documents = [
            f'{{"resource":{{"attributes":{_json_attributes(_resource_attributes(*resource))}}},'
            f'"scopeSpans":[{{"scope":{{"name":"shop.http","version":"2.1.0"}},"spans":[{",".join(rows)}]}}]}}'
            for resource, rows in resources
        ]
        lines.append(f'{{"resourceSpans":[{",".join(documents)}]}}\n')
    return gzip.compress("".join(lines).encode(), 1, mtime=0)


_Resource = tuple[str, str, int]
"""Service, version and number of the instance."""


def _messages(
    groups: Iterable[Spans], versions: Versions, until_ns: int, rows_of: Callable[[Spans], list[Any]]
) -> Iterator[list[tuple[_Resource, list[Any]]]]:
    """Bring the rows in order of time and resource; a message at a time, a list of rows a resource."""
    kept: list[Any] = []
    starts, owners = [], []
    resources: dict[_Resource, int] = {}
    for spans in groups:
        index, names = versions(spans.service, spans.start_ns)
        # One bit of the span's id says which instance served it.
        keys = index * INSTANCES + spans.ids[:, 16] % INSTANCES
        own = np.empty_like(keys)
        for key in np.unique(keys):
            resource = (spans.service, names[int(key) // INSTANCES], int(key) % INSTANCES)
            own[keys == key] = resources.setdefault(resource, len(resources))
        kept += rows_of(spans)
        starts.append(spans.start_ns)
        owners.append(own)
    if not kept:
        return
    start, owner = np.concatenate(starts), np.concatenate(owners)
    bucket = start // _BUCKET_NS
    order = np.lexsort((start, owner, bucket))
    order = order[start[order] < until_ns]
    if not order.size:
        return
    steps = np.flatnonzero((np.diff(bucket[order]) != 0) | (np.diff(owner[order]) != 0)) + 1
    known = list(resources)
    message: list[tuple[_Resource, list[Any]]] = []
    last = bucket[order[0]]
    for part in np.split(order, steps):
        if bucket[part[0]] != last:
            yield message
            message, last = [], bucket[part[0]]
        message.append((known[owner[part[0]]], [kept[i] for i in part.tolist()]))
    yield message


# --- what a span says -----------------------------------------------------------------------------------------


def _span_name(spans: Spans) -> str:
    if spans.kind == "database":
        return spans.call.statement
    return f"{spans.call.method} {spans.call.route}" if spans.kind == "server" else spans.call.method


def _attributes(spans: Spans) -> dict[str, str | int]:
    call = spans.call
    found: dict[str, str | int]
    if spans.kind == "database":
        found = {"db.system.name": "postgresql", "server.address": f"{call.service}-db.internal"}
    else:
        found = {"http.request.method": call.method, "http.response.status_code": _status_code(spans)}
        if spans.kind == "server":
            found["http.route"] = call.route
        else:
            found["server.address"] = f"{call.service}.internal"
        if spans.outcome == "error":
            found["error.type"] = str(_status_code(spans))
    return {_OLD_NAMES.get(k, k): v for k, v in found.items()} if spans.service in _OLD else found


def _status_code(spans: Spans) -> int:
    return 201 if spans.outcome == "ok" and spans.call.method == "POST" else _STATUS[spans.outcome]


def _is_error(spans: Spans) -> bool:
    """A 404 is an error for the client that asked, not for the server that answered rightly."""
    return spans.outcome == "error" or (spans.outcome == "not_found" and spans.kind == "client")


def _resource_attributes(service: str, version: str, instance: int) -> dict[str, str | int]:
    found: dict[str, str | int] = {
        "service.namespace": NAMESPACE,
        "service.name": service,
        "service.version": version,
        "service.instance.id": f"{service}-{instance}",
        "deployment.environment.name": ENVIRONMENT,
        "telemetry.sdk.language": "java" if service in _OLD else "python",
    }
    return {_OLD_NAMES.get(k, k): v for k, v in found.items()} if service in _OLD else found


# --- protobuf -------------------------------------------------------------------------------------------------


def _protobuf_rows(spans: Spans) -> list[bytes]:
    """Every span as a field of ScopeSpans, tag and length included."""
    head = b"\x0a\x10" + bytes(16) + b"\x12\x08" + bytes(8)
    if not spans.is_root:
        head += b"\x22\x08" + bytes(8)
    head += _field(5, _span_name(spans).encode()) + bytes((0x30, _KINDS[spans.kind])) + b"\x39"
    tail = b"".join(_field(9, _key_value(key, value)) for key, value in _attributes(spans).items())
    if _is_error(spans):
        tail += _field(15, b"\x18\x02")
    body = head + bytes(8) + b"\x41" + bytes(8) + tail
    template = _field(2, body)
    begin = len(template) - len(body)
    rows = np.tile(np.frombuffer(template, dtype=np.uint8), (len(spans.start_ns), 1))
    holes = [(2, spans.ids[:, :16]), (20, spans.ids[:, 16:24])]
    if not spans.is_root:
        holes.append((30, spans.ids[:, 24:]))
    holes += [(len(head), _little_endian(spans.start_ns)), (len(head) + 9, _little_endian(spans.end_ns))]
    for at, values in holes:
        rows[:, begin + at : begin + at + values.shape[1]] = values
    size, data = len(template), rows.tobytes()
    return [data[i : i + size] for i in range(0, len(data), size)]


def _little_endian(values: npt.NDArray[np.int64]) -> npt.NDArray[np.uint8]:
    return np.ascontiguousarray(values.astype("<i8")).view(np.uint8).reshape(-1, 8)


def _field(number: int, data: bytes) -> bytes:
    """A length-delimited field."""
    return _varint(number << 3 | 2) + _varint(len(data)) + data


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def _key_value(key: str, value: str | int) -> bytes:
    any_value = b"\x18" + _varint(value) if isinstance(value, int) else _field(1, value.encode())
    return _field(1, key.encode()) + _field(2, any_value)


def _resource(service: str, version: str, instance: int) -> bytes:
    attributes = _resource_attributes(service, version, instance)
    return b"".join(_field(1, _key_value(key, value)) for key, value in attributes.items())


_SCOPE = _field(1, _field(1, b"shop.http") + _field(2, b"2.1.0"))


# --- JSON -----------------------------------------------------------------------------------------------------


def _json_rows(spans: Spans) -> list[str]:
    """OTLP JSON: ids in hex, enums as integers, 64-bit numbers as strings."""
    status = '"status":{"code":2}' if _is_error(spans) else '"status":{}'
    fixed = (
        f'"name":{json.dumps(_span_name(spans))},"kind":{_KINDS[spans.kind]},'
        f'"attributes":{_json_attributes(_attributes(spans))},{status}'
    )
    rows = []
    times = zip(spans.ids, spans.start_ns.tolist(), spans.end_ns.tolist(), strict=True)
    for ids, start, end in times:
        digits = ids.tobytes().hex()
        parent = "" if spans.is_root else digits[48:]
        rows.append(
            f'{{"traceId":"{digits[:32]}","spanId":"{digits[32:48]}","parentSpanId":"{parent}",'
            f'"startTimeUnixNano":"{start}","endTimeUnixNano":"{end}",{fixed}}}'
        )
    return rows


def _json_attributes(attributes: dict[str, str | int]) -> str:
    return json.dumps(
        [
            {"key": key, "value": {"intValue": str(value)} if isinstance(value, int) else {"stringValue": value}}
            for key, value in attributes.items()
        ],
        separators=(",", ":"),
    )
