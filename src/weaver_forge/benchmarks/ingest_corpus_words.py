"""What the generated trace corpus is about: services, operations, call plans, and pools of attribute values.

Everything here is fixed: the seed of a corpus chooses times, ids and values from these pools, never other pools.
The encodings are in ``ingest_corpus``.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

Value = str | int | float | bool | tuple[str, ...]
Attribute = tuple[str, Value]

SERVICES = (
    *("gateway", "storefront", "checkout", "cart", "catalog", "search", "pricing", "payment"),
    *("shipping", "inventory", "account", "session", "recommendation", "advert", "email", "currency"),
)
SLOTS = 6
"""Attributes of a span whose value varies from span to span; the rest is fixed by its operation."""
N_PLANS = 48
SCOPE = "shop.instrumentation"
FAILED = "upstream timed out"
ERROR_TYPE = "java.net.SocketTimeoutException"
EXCEPTION: tuple[Attribute, ...] = (("exception.type", ERROR_TYPE), ("exception.message", "Read timed out"))
RETRY: tuple[Attribute, ...] = (("retry.count", 1),)

_RNG = np.random.default_rng(20261122)
_VERBS = ("list", "get", "create", "update", "quote", "reserve")
_AGENTS = [
    f"Mozilla/5.0 (X11; Linux x86_64; rv:{n}.0) Gecko/20100101 Firefox/{n}.0"
    if n % 2
    else f"Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/537.36 Chrome/{n}.0.0.0 Safari/537.36"
    for n in range(120, 140)
]
_STATUS = [200] * 88 + [201] * 5 + [204] * 2 + [304] * 2 + [400, 404, 503]

THREAD = [("thread.id", n) for n in range(1, 65)]
USER = [("enduser.id", f"user-{n:05d}") for n in range(5000)]
PEER = [("network.peer.address", f"10.{n // 250}.{n % 250}.{n * 7 % 250}") for n in range(500)]
BYTES = [("http.request.body.size", int(n)) for n in _RNG.integers(0, 65_000, 3000)]
ROWS = [("db.response.returned_rows", n) for n in range(200)]
SCORE = [("app.score", float(x)) for x in _RNG.random(1000).round(6)]
TAGS = [("app.tags", (f"tag-{n}", f"tier-{n % 3}", "beta")[: 1 + n % 3]) for n in range(30)]
CACHED = [("app.cache.hit", True), ("app.cache.hit", False)]
SPAN_SIZE = [("app.payload.ratio", float(n)) for n in range(300)]


@dataclass(frozen=True, slots=True)
class Operation:
    """A kind of span: its service, name and OTLP kind, fixed attributes, and pools that the others come from."""

    service: int
    name: str
    kind: int
    fixed: tuple[Attribute, ...]
    pools: tuple[tuple[Attribute, ...], ...]


@dataclass(frozen=True, slots=True)
class Plan:
    """How one kind of trace unfolds; a span's parent comes before it.

    Args:
        operation: Operation of each span.
        parent: Position of its parent, -1 for the root.
        start: Start after the trace's, as a share of the trace's duration.
        duration: Duration as a share of the trace's.
    """

    operation: list[int] = field(default_factory=list)
    parent: list[int] = field(default_factory=list)
    start: list[float] = field(default_factory=list)
    duration: list[float] = field(default_factory=list)

    def add(self, operation: int, parent: int) -> int:
        """Append a span somewhere within its parent; gives its position."""
        begin, lasts = (self.start[parent], self.duration[parent]) if parent >= 0 else (0.0, 1.0)
        share = 1.0 if parent < 0 else float(_RNG.uniform(0.2, 0.7))
        self.start.append(begin + lasts * (1 - share) * float(_RNG.random()))
        self.duration.append(lasts * share)
        self.operation.append(operation)
        self.parent.append(parent)
        return len(self.operation) - 1


def resources() -> list[tuple[int, list[Attribute]]]:
    """Service and 15 attributes of each of about forty pods, two or three a service."""
    found: list[tuple[int, list[Attribute]]] = []
    for service, name in enumerate(SERVICES):
        environment = "deployment.environment" if _is_old(service) else "deployment.environment.name"
        for pod in range(2 + service % 2):
            language = ("java", "go", "python", "nodejs")[service % 4]
            found.append((service, [
                ("service.name", name), ("service.namespace", "shop"), ("service.version", f"2.{service}.{pod // 2}"),
                ("service.instance.id", f"{service:08x}-0000-4000-8000-{pod:012x}"), (environment, "production"),
                ("telemetry.sdk.language", language), ("telemetry.sdk.name", "opentelemetry"),
                ("telemetry.sdk.version", "1.38.0"), ("host.name", f"node-{(service + pod) % 6}"),
                ("k8s.namespace.name", "shop"), ("k8s.pod.name", f"{name}-6d9f7c54b8-{service:02x}{pod}zq"),
                ("k8s.deployment.name", name), ("os.type", "linux"), ("process.pid", 1000 + 17 * service + pod),
                ("cloud.region", "eu-central-1"),
            ]))  # fmt: skip
    return found


def plans() -> tuple[list[Operation], list[Plan]]:
    """All operations, and the plans of 5 to 24 spans that are made of them."""
    operations: dict[tuple[int, str, int], Operation] = {}

    def number(operation: Operation) -> int:
        key = (operation.service, operation.name, operation.kind)
        operations.setdefault(key, operation)
        return list(operations).index(key)

    found = []
    for at in range(N_PLANS):
        plan, size = Plan(), 5 + at % 20
        servers = [(plan.add(number(_server(0, at % 6)), -1), 0)]
        while len(plan.operation) < size:
            parent, service = servers[int(_RNG.integers(len(servers)))]
            what = float(_RNG.random())
            if what < 0.45 and service + 1 < len(SERVICES):
                callee, verb = int(_RNG.integers(service + 1, len(SERVICES))), int(_RNG.integers(6))
                client = plan.add(number(_client(service, callee, verb)), parent)
                servers.append((plan.add(number(_server(callee, verb)), client), callee))
            else:
                plan.add(number(_query(service, what < 0.8) if what < 0.9 else _internal(service)), parent)
        found.append(plan)
    return list(operations.values()), found


def _is_old(service: int) -> bool:
    """Every fourth service still speaks the names of before semantic conventions 1.21."""
    return service % 4 == 3


def _paths(callee: int, verb: int) -> list[str]:
    return [f"/api/{SERVICES[callee]}/{_VERBS[verb]}/{n}" for n in range(0, 4000, 20)]


def _server(service: int, verb: int) -> Operation:
    name, verb_name = SERVICES[service], _VERBS[verb]
    if service % 3 == 2:
        return Operation(service, f"shop.{name}/{verb_name}", 2, _rpc(service, verb), _pools(THREAD, PEER, USER, SCORE))
    method = "GET" if verb < 2 else "POST"
    route = f"/api/{name}/{verb_name}/{{id}}"
    paths = _paths(service, verb)
    if _is_old(service):
        fixed: tuple[Attribute, ...] = (
            ("http.method", method), ("http.route", route), ("http.scheme", "http"), ("http.flavor", "1.1"),
            ("net.host.name", f"{name}.shop.svc"), ("net.host.port", 8080), ("thread.name", "http-nio-8080"),
        )  # fmt: skip
        pools = _pools(
            [("http.status_code", s) for s in _STATUS], [("http.target", p) for p in paths], THREAD, PEER, USER,
            [("http.user_agent", a) for a in _AGENTS],
        )  # fmt: skip
    else:
        fixed = (
            ("http.request.method", method), ("http.route", route), ("url.scheme", "https"),
            ("network.protocol.version", "1.1"), ("server.address", f"{name}.shop.svc"), ("server.port", 8080),
        )  # fmt: skip
        pools = _pools(
            [("http.response.status_code", s) for s in _STATUS], [("url.path", p) for p in paths], THREAD, BYTES,
            USER, [("user_agent.original", a) for a in _AGENTS],
        )  # fmt: skip
    return Operation(service, f"{method} {route}", 2, fixed, pools)


def _client(service: int, callee: int, verb: int) -> Operation:
    name, verb_name = SERVICES[callee], _VERBS[verb]
    if callee % 3 == 2:
        fixed = _rpc(callee, verb)
        return Operation(service, f"shop.{name}/{verb_name}", 3, fixed, _pools(THREAD, PEER, CACHED, SPAN_SIZE))
    method = "GET" if verb < 2 else "POST"
    urls = [f"http://{name}.shop.svc:8080{path}" for path in _paths(callee, verb)]
    old = _is_old(service)
    fixed = (
        ("http.method" if old else "http.request.method", method),
        ("net.peer.name" if old else "server.address", f"{name}.shop.svc"),
        ("net.peer.port" if old else "server.port", 8080),
        ("network.protocol.version", "1.1"), ("app.client", "shop-http"), ("app.retry.allowed", method == "GET"),
    )  # fmt: skip
    pools = _pools(
        [("http.status_code" if old else "http.response.status_code", s) for s in _STATUS],
        [("http.url" if old else "url.full", u) for u in urls], THREAD, PEER, BYTES,
    )  # fmt: skip
    return Operation(service, method, 3, fixed, pools)


def _rpc(callee: int, verb: int) -> tuple[Attribute, ...]:
    return (
        ("rpc.system", "grpc"), ("rpc.service", f"shop.{SERVICES[callee]}"), ("rpc.method", _VERBS[verb]),
        ("rpc.grpc.status_code", 0), ("server.address", f"{SERVICES[callee]}.shop.svc"), ("server.port", 9090),
        ("network.transport", "tcp"), ("thread.name", "grpc-default-executor"),
    )  # fmt: skip


def _query(service: int, relational: bool) -> Operation:
    system, verb = ("postgresql", "SELECT") if relational else ("redis", "GET")
    table = f"{SERVICES[service]}_items"
    text = f"SELECT id, name, amount FROM {table} WHERE id = $1" if relational else f"GET {table}:?"  # noqa: S608 - never run
    fixed: tuple[Attribute, ...] = (
        ("db.system" if _is_old(service) else "db.system.name", system), ("db.namespace", "shop"),
        ("db.query.text", text), ("db.operation.name", verb), ("db.collection.name", table),
        ("server.address", f"{system}.shop.svc"), ("server.port", 5432 if relational else 6379),
    )  # fmt: skip
    return Operation(service, f"{verb} {table}", 3, fixed, _pools(THREAD, ROWS, PEER, CACHED, SPAN_SIZE))


def _internal(service: int) -> Operation:
    fixed: tuple[Attribute, ...] = (
        ("code.function.name", f"shop.{SERVICES[service]}.Rules.apply"), ("code.file.path", "src/rules.py"),
        ("code.line.number", 100 + service), ("thread.name", "worker"), ("app.feature.enabled", service % 2 == 0),
    )  # fmt: skip
    return Operation(service, f"{SERVICES[service]} rules", 1, fixed, _pools(THREAD, SCORE, TAGS, USER, CACHED))


def _pools(*pools: Sequence[Attribute]) -> tuple[tuple[Attribute, ...], ...]:
    return tuple(tuple(pool) for pool in pools)
