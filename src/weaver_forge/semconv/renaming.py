"""Which old attribute name is which current one, and which values change with it.

The registry's ``renamed_to`` counts first, then the chained renames of its schema file; chains are followed to a
name that is current. A rename is *not* always a change of name alone, so these are held back or translated:

* **Values that change** (``db.system`` -> ``db.system.name``: ``mssql`` is ``microsoft.sql_server`` now;
  ``net.transport``: ``ip_tcp`` is ``tcp``; ``rpc.system``; gRPC's numbers; connection states) are translated by
  ``VALUES``. A value that the old enum defines, the new one does not, and for which no translation is certain is
  not upgraded: the span keeps the old attribute alone. Where the conventions leave the new enum open for such
  values (``OPEN``: ``vertica``, ``java_rmi``), and of values that no enum defines, the value is carried as it is.
  Deprecated members become the member that replaced them (``publish`` -> ``send``).
* **Meanings that depend on the span's kind**: ``net.host.*`` is the server's side only on server and consumer
  spans, and ``net.peer.*`` (which has no single successor in the registry) is the server on client and producer
  spans and the client on the others. Without a kind they are not upgraded.
* **Short names of one metric family** (``state``, ``pool.name``) are upgraded only in the metrics that the schema
  file names; anywhere else they mean something else.
* ``cicd.pipeline.run.task.status`` of the old github receiver says ``failure`` of skipped tasks too, so ``failure``
  is not upgraded here; ``aliases.task_result`` decides it by the span's status.
* ``http.status_code`` and all other renames keep type and meaning. Deprecations without a single successor
  (``http.flavor``, ``rpc.service``, ...) are never upgraded, but for those of ``GUIDED``.

Changes of value that the conventions' migration guides (docs/non-normative: http, db, messaging, rpc, code-attrs)
name and that are **not** made: ``http.request.method`` writes unknown methods as ``_OTHER`` (which are known is each
instrumentation's own list); ``http.request.header.<key>`` no longer writes ``_`` for ``-`` (not to be undone);
``http.target`` is split into path and query; ``code.function.name`` joins ``code.namespace`` and ``code.function``
by what the language writes between them; durations of metrics are seconds now, not milliseconds (metrics keep the
name and unit that they were sent with). ``rpc.method`` is joined with ``rpc.service`` in ``core_trace__spans``,
where the row is at hand. The guides of messaging and code change no other values.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from weaver_forge.semconv.aliases import ALIASES, RESULTS
from weaver_forge.semconv.registry import Attribute, Registry

SERVER_KINDS, CLIENT_KINDS = frozenset({2, 5}), frozenset({3, 4})
"""OTLP span kinds: server and consumer; client and producer."""

BY_KIND: dict[str, tuple[tuple[frozenset[int], str], ...]] = {
    "net.host.name": ((SERVER_KINDS, "server.address"),),
    "net.host.port": ((SERVER_KINDS, "server.port"),),
    "net.peer.name": ((CLIENT_KINDS, "server.address"), (SERVER_KINDS, "client.address")),
    "net.peer.port": ((CLIENT_KINDS, "server.port"), (SERVER_KINDS, "client.port")),
}
"""Old name -> the current one by span kind."""

GUIDED: Mapping[str, str] = {"rpc.grpc.status_code": "rpc.response.status_code"}
"""Old name -> current one where the registry says in words alone what its migration guide says in a table."""

OPEN = frozenset({"db.system", "rpc.system"})
"""Old enums whose dropped members stay as values of one's own: so the guide of rpc, and OpenTelemetry's Java agent
(``SemconvStability.stableDbSystemName``) for databases."""

METRICS_ONLY = frozenset({"state", "pool.name"})
"""Too short to be meant outside the metrics that the schema file names."""

_GRPC = (
    *("OK", "CANCELLED", "UNKNOWN", "INVALID_ARGUMENT", "DEADLINE_EXCEEDED", "NOT_FOUND", "ALREADY_EXISTS"),
    *("PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION", "ABORTED", "OUT_OF_RANGE", "UNIMPLEMENTED"),
    *("INTERNAL", "UNAVAILABLE", "DATA_LOSS", "UNAUTHENTICATED"),
)
"""gRPC's status codes by number (grpc/grpc, doc/statuscodes.md)."""

VALUES: Mapping[str, Mapping[str, str]] = {
    "db.system": {
        "adabas": "softwareag.adabas",
        "cache": "intersystems.cache",
        "cloudscape": "other_sql",
        "cosmosdb": "azure.cosmosdb",
        "db2": "ibm.db2",
        "dynamodb": "aws.dynamodb",
        "firebird": "firebirdsql",
        "firstsql": "other_sql",
        "h2": "h2database",
        "hanadb": "sap.hana",
        "informix": "ibm.informix",
        "ingres": "actian.ingres",
        "intersystems_cache": "intersystems.cache",
        "maxdb": "sap.maxdb",
        "mssql": "microsoft.sql_server",
        "mssqlcompact": "other_sql",
        "netezza": "ibm.netezza",
        "oracle": "oracle.db",
        "redshift": "aws.redshift",
        "spanner": "gcp.spanner",
    },
    "net.protocol.version": {"2.0": "2", "3.0": "3"},
    "net.transport": {"ip_tcp": "tcp", "ip_udp": "udp"},
    "rpc.grpc.status_code": {str(number): name for number, name in enumerate(_GRPC)},
    "rpc.system": {"apache_dubbo": "dubbo", "connect_rpc": "connectrpc"},
    "cicd.pipeline.run.status": RESULTS,
    "cicd.pipeline.run.task.status": RESULTS,
    "cicd.pipeline.task.run.status": RESULTS,
    "system.network.state": {"close": "closed", "syn_recv": "syn_received"},
}
"""Old attribute -> old value -> new value: from the conventions' migration guides, the registry's deprecated members,
and for databases the table of OpenTelemetry's Java agent (``SemconvStability``) with the names that it leaves out."""

_AMBIGUOUS: Mapping[str, tuple[str, ...]] = {"cicd.pipeline.run.task.status": ("failure",)}

LATER = frozenset({"http.server_name", "tls.client.server_name", "net.peer.ip", "net.host.ip", "db.sql.table"})
"""Where two old names lead to the same current one and a span has both, these give way."""


@dataclass(frozen=True, slots=True)
class Target:
    """The current attribute of an old one, and what its values become (None: not upgraded; absent: as it is)."""

    key: str
    values: dict[str, str | None]


class Renaming:
    """The rename table of a registry."""

    def __init__(self, registry: Registry) -> None:
        self.registry = registry = registry.over(Registry(renames=ALIASES))
        self.names = {old: new for old in _candidates(registry) if (new := _current(registry, old)) is not None}
        self.names |= {old: new for old, new in GUIDED.items() if registry.find(new) is not None}
        self._prefixes = tuple(old for old in self.names if _is_template(registry, old))
        self._values: dict[tuple[str, str], dict[str, str | None]] = {}

    def target(self, key: str, *, kind: int | None = None, metric: str | None = None) -> Target | None:
        """What an attribute is called now; None where its name is current, unknown or must not be changed.

        Args:
            key: As telemetry names it.
            kind: OTLP span kind, of a span's attribute.
            metric: Name of the metric, of a data point's attribute.
        """
        if key in BY_KIND:
            new = next((name for kinds, name in BY_KIND[key] if kind in kinds), None)
        elif metric is not None and key in self.registry.renames.in_metrics:
            anywhere = None if key in METRICS_ONLY else self.names.get(key)
            new = next((to for to, of in self.registry.renames.in_metrics[key].items() if metric in of), anywhere)
            new = _followed(self.registry, new) if new else None
        elif key in METRICS_ONLY:
            new = None
        else:
            new = self.names.get(key) or self._through_template(key)
        return Target(new, self._changes(key, new)) if new else None

    def _through_template(self, key: str) -> str | None:
        for prefix in self._prefixes:
            if key.startswith(prefix + "."):
                return self.names[prefix] + key.removeprefix(prefix)
        return None

    def _changes(self, old: str, new: str) -> dict[str, str | None]:
        """Values that do not stay: translated, or None where the old meaning has no certain successor."""
        if (old, new) not in self._values:
            before, after = _members(self.registry.find(old)), _members(self.registry.find(new))
            dropped = set(before) - set(after) if after and old not in OPEN else ()
            changes: dict[str, str | None] = dict.fromkeys(dropped)
            changes |= {value: to for value, to in after.items() if to}
            changes |= VALUES.get(old, {})
            changes |= dict.fromkeys(_AMBIGUOUS.get(old, ()))
            self._values[old, new] = changes
        return self._values[old, new]


def _members(attribute: Attribute | None) -> dict[str, str]:
    """Text of each defined value -> the value that replaced it, or an empty text."""
    return {str(member.value): member.renamed_to for member in attribute.members} if attribute else {}


def _candidates(registry: Registry) -> list[str]:
    renamed = [a.name for a in registry.attributes.values() if a.deprecated and a.deprecated.renamed_to]
    return sorted({*renamed, *registry.renames.attributes, *registry.renames.in_metrics})


def _current(registry: Registry, old: str) -> str | None:
    """The current name of an old one; None where the old one is in use, or nothing current is known."""
    known = registry.find(old)
    if known is not None and not (known.deprecated and known.deprecated.renamed_to):
        return None
    new = _followed(registry, old)
    return None if new == old else new


def _followed(registry: Registry, name: str) -> str | None:
    seen = set()
    while name not in seen:
        seen.add(name)
        known = registry.find(name)
        if known is not None and known.deprecated is None:
            return name
        if known is not None and known.deprecated and known.deprecated.renamed_to:
            name = known.deprecated.renamed_to
        elif known is None and name in registry.renames.attributes:
            name = registry.renames.attributes[name]
        else:
            return None
    return None


def _is_template(registry: Registry, name: str) -> bool:
    known = registry.attributes.get(name)
    return known is not None and known.is_template
