"""Production: spans, RED marts, service metric points, deployments and incidents."""

from weaver_forge.contracts.table import Column, Table
from weaver_forge.contracts.tables.changes import KNOWN_AT

SERVICE_KEY = Column(
    "service_key", "VARCHAR", "namespace/name/environment; empty parts where the resource says nothing."
)

RAW_OTLP_SPANS = Table(
    layer="raw",
    source="otlp",
    entity="spans",
    grain="span: a pair of ids; of several reports on one, the first",
    columns=(
        Column("trace_id", "VARCHAR", "32 lower-case hex digits."),
        Column("span_id", "VARCHAR", "16 lower-case hex digits."),
        Column("parent_span_id", "VARCHAR", "16 hex digits; null for a root.", nullable=True),
        Column("name", "VARCHAR", "Span name."),
        Column(
            "kind",
            "INTEGER",
            "OTLP span kind: 0 unspecified, 1 internal, 2 server, 3 client, 4 producer, 5 consumer.",
        ),
        Column("start_unix_ns", "BIGINT", "Start, nanoseconds since 1970, UTC."),
        Column("end_unix_ns", "BIGINT", "End, nanoseconds since 1970, UTC."),
        Column("status_code", "INTEGER", "0 unset, 1 ok, 2 error."),
        Column("status_message", "VARCHAR", "Empty when there is none."),
        Column("service_namespace", "VARCHAR", "Resource service.namespace; empty when absent."),
        Column("service_name", "VARCHAR", "Resource service.name; unknown_service when absent."),
        Column("service_version", "VARCHAR", "Resource service.version; null when absent.", nullable=True),
        Column(
            "deployment_environment_name",
            "VARCHAR",
            "Resource deployment.environment.name (or the old deployment.environment).",
        ),
        Column("http_request_method", "VARCHAR", "http.request.method (old: http.method).", nullable=True),
        Column(
            "http_response_status_code",
            "INTEGER",
            "http.response.status_code (old: http.status_code).",
            nullable=True,
        ),
        Column("http_route", "VARCHAR", "http.route.", nullable=True),
        Column("rpc_method", "VARCHAR", "rpc.method.", nullable=True),
        Column("db_system_name", "VARCHAR", "db.system.name (old: db.system), as sent.", nullable=True),
        Column("server_address", "VARCHAR", "server.address (old: net.peer.name, of any kind of span).", nullable=True),
        Column("error_type", "VARCHAR", "error.type.", nullable=True),
        Column(
            "attributes",
            "MAP(VARCHAR, VARCHAR)",
            "All other span attributes, old names of columns too; arrays and lists as JSON text.",
        ),
        Column(
            "resource_attributes", "MAP(VARCHAR, VARCHAR)", "All other resource attributes, old names of columns too."
        ),
        Column("events", "VARCHAR", "Span events as JSON text; null when there are none.", nullable=True),
        Column("links", "VARCHAR", "Span links as JSON text; null when there are none.", nullable=True),
    ),
    key=("trace_id", "span_id"),
)

CORE_TRACE_SPANS = Table(
    layer="core",
    source="trace",
    entity="spans",
    grain="span",
    view=True,
    columns=(
        SERVICE_KEY,
        Column("trace_id", "VARCHAR", "32 lower-case hex digits."),
        Column("span_id", "VARCHAR", "16 lower-case hex digits."),
        Column("parent_span_id", "VARCHAR", "Null for a root.", nullable=True),
        Column("name", "VARCHAR", "Span name."),
        Column("kind", "INTEGER", "OTLP span kind."),
        Column("start_unix_ns", "BIGINT", "Start, nanoseconds since 1970, UTC."),
        Column("duration_ms", "DOUBLE", "End minus start."),
        Column("is_error", "BOOLEAN", "Status error, or an HTTP 5xx of a server span."),
        Column(
            "is_entry",
            "BOOLEAN",
            "Server or consumer span, or a span whose parent is in another service or absent.",
        ),
        Column("service_version", "VARCHAR", "Resource service.version.", nullable=True),
        Column("http_route", "VARCHAR", "http.route.", nullable=True),
        Column("rpc_method", "VARCHAR", "Fully qualified rpc.method (old: rpc.service and rpc.method).", nullable=True),
        Column("db_system_name", "VARCHAR", "db.system.name in its current words, also of db.system.", nullable=True),
        Column(
            "server_address",
            "VARCHAR",
            "server.address (old: net.peer.name of client, net.host.name of server spans).",
            nullable=True,
        ),
        Column(
            "client_address",
            "VARCHAR",
            "client.address (old: http.client_ip, net.peer.name of server spans).",
            nullable=True,
        ),
        Column("started_at", "TIMESTAMP", "Start, UTC."),
    ),
    key=("trace_id", "span_id"),
)

CORE_TRACE_RED_MINUTES = Table(
    layer="core",
    source="trace",
    entity="red_minutes",
    grain="service and minute with at least one entry span",
    columns=(
        SERVICE_KEY,
        Column("minute_at", "TIMESTAMP", "Start of the minute, UTC."),
        Column("n_requests", "BIGINT", "Entry spans that started in the minute."),
        Column("n_errors", "BIGINT", "Of these, errors."),
        Column("duration_p50_ms", "DOUBLE", "Exact median duration."),
        Column("duration_p95_ms", "DOUBLE", "Exact 95th percentile of the duration."),
        Column("duration_p99_ms", "DOUBLE", "Exact 99th percentile of the duration."),
        KNOWN_AT,
    ),
    key=("service_key", "minute_at"),
    day_column="minute_at",
)

CORE_TRACE_EDGES = Table(
    layer="core",
    source="trace",
    entity="edges",
    grain="caller, callee and hour with at least one call",
    columns=(
        Column("caller_key", "VARCHAR", "Service key of the parent span."),
        Column("callee_key", "VARCHAR", "Service key of the child span."),
        Column("hour_at", "TIMESTAMP", "Start of the hour, UTC."),
        Column("n_calls", "BIGINT", "Calls that started in the hour."),
        Column("n_errors", "BIGINT", "Of these, errors at the callee."),
        Column("duration_p95_ms", "DOUBLE", "Exact 95th percentile of the callee's duration."),
        KNOWN_AT,
    ),
    key=("caller_key", "callee_key", "hour_at"),
    day_column="hour_at",
)

CORE_SERVICE_POINTS = Table(
    layer="core",
    source="service",
    entity="points",
    grain="metric of a service in a time step",
    columns=(
        SERVICE_KEY,
        Column(
            "metric",
            "VARCHAR",
            "requests (count), error_ratio (0-1), latency_p95_ms; other names are other gauges.",
        ),
        Column("at", "TIMESTAMP", "Start of the step, UTC."),
        Column("step_s", "INTEGER", "Length of the step in seconds; constant per (service, metric)."),
        Column(
            "value",
            "DOUBLE",
            "Observed value. A step in which no service at all was observed has no row: a gap, not 0.",
        ),
        Column("n", "BIGINT", "Observations behind the value (entry spans)."),
        KNOWN_AT,
    ),
    key=("service_key", "metric", "at"),
    day_column="at",
)

OUR_ALERTS = "weaver-forge"
"""The source of incidents that our own rules raised: forecasts, and no evidence."""

_REPORT = (
    Column("source", "VARCHAR", "Tool that reported it: github, cdevents, ...; records for lines of our own shape."),
    Column("reported_at", "TIMESTAMP", "When it was so by the source, UTC; null when not said.", nullable=True),
    Column("report_order", "BIGINT", "Of two reports on one state the higher holds; null is lowest.", nullable=True),
    Column("received_at", "TIMESTAMP", "When a receiver got it, UTC; null for files.", nullable=True),
)
"""What every report of an operational tool carries."""

RAW_DEPLOYMENTS_EVENTS = Table(
    layer="raw",
    source="deployments",
    entity="events",
    grain="state of a deployment as last reported",
    columns=(
        Column("deployment_id", "VARCHAR", "Tool and its id."),
        Column("state", "VARCHAR", "created, running or ended; record where the report is complete in itself."),
        Column("action", "VARCHAR", "deploy, rollback (to this version), remove or publish."),
        Column("service_key", "VARCHAR", "namespace/name/environment; empty parts where not said."),
        Column("environment", "VARCHAR", "Environment name, production where not said."),
        Column("version", "VARCHAR", "Deployed version, as service.version of the spans says it; empty if not said."),
        Column("repo_id", "VARCHAR", "Repository; null when not said.", nullable=True),
        Column("revision", "VARCHAR", "Deployed commit; null when not said.", nullable=True),
        Column("status", "VARCHAR", "running, succeeded, failed or rolled_back."),
        Column("started_at", "TIMESTAMP", "UTC; null when this report does not say.", nullable=True),
        Column("finished_at", "TIMESTAMP", "UTC; null while it runs.", nullable=True),
        Column("rolled_back_at", "TIMESTAMP", "UTC; null unless rolled back.", nullable=True),
        *_REPORT,
    ),
    key=("deployment_id", "state"),
    replace_by=("deployment_id", "state"),
    newest_by="report_order",
)

RAW_INCIDENTS_EVENTS = Table(
    layer="raw",
    source="incidents",
    entity="events",
    grain="state of an incident as last reported",
    columns=(
        Column("incident_id", "VARCHAR", "Tool and its id."),
        Column("state", "VARCHAR", "detected, open or resolved; record where the report is complete in itself."),
        Column("service_key", "VARCHAR", "Service that was hurt; empty parts where not said."),
        Column("severity", "VARCHAR", "critical, major, minor; unknown when not said."),
        Column("title", "VARCHAR", "One line."),
        Column("started_at", "TIMESTAMP", "When it began, UTC; null when this report does not say.", nullable=True),
        Column("declared_at", "TIMESTAMP", "When it was declared and so known, UTC; null as above.", nullable=True),
        Column("resolved_at", "TIMESTAMP", "UTC; null while open.", nullable=True),
        Column(
            "cause_service_key",
            "VARCHAR",
            "Culprit as found by the review; null when unknown.",
            nullable=True,
        ),
        Column("cause_repo_id", "VARCHAR", "Repository of the causing change; null when unknown.", nullable=True),
        Column(
            "cause_revision",
            "VARCHAR",
            "Causing change as found by the review; null when unknown.",
            nullable=True,
        ),
        *_REPORT,
    ),
    key=("incident_id", "state"),
    replace_by=("incident_id", "state"),
    newest_by="report_order",
)

CORE_DEPLOYMENTS_DEPLOYMENTS = Table(
    layer="core",
    source="deployments",
    entity="deployments",
    grain="deployment of a version to a service",
    columns=(
        SERVICE_KEY,
        Column("environment", "VARCHAR", "Environment name."),
        Column("version", "VARCHAR", "Deployed version."),
        Column("deployment_id", "VARCHAR", "Id given by the source."),
        Column("repo_id", "VARCHAR", "Repository; null when not said.", nullable=True),
        Column("revision", "VARCHAR", "Deployed commit; null when not said.", nullable=True),
        Column("status", "VARCHAR", "running, succeeded, failed or rolled_back, as known at the latest report."),
        Column("started_at", "TIMESTAMP", "UTC."),
        Column(
            "rolled_back_at",
            "TIMESTAMP",
            "UTC; null unless rolled back. Known from this time on.",
            nullable=True,
        ),
        KNOWN_AT,
    ),
    key=("deployment_id",),
)

CORE_INCIDENTS_INCIDENTS = Table(
    layer="core",
    source="incidents",
    entity="incidents",
    grain="incident",
    columns=(
        Column("incident_id", "VARCHAR", "Id given by the source."),
        SERVICE_KEY,
        Column("severity", "VARCHAR", "critical, major, minor or unknown."),
        Column("title", "VARCHAR", "One line."),
        Column("started_at", "TIMESTAMP", "UTC."),
        Column("resolved_at", "TIMESTAMP", "UTC; null while open.", nullable=True),
        Column("cause_service_key", "VARCHAR", "Culprit service; null when unknown.", nullable=True),
        Column("cause_repo_id", "VARCHAR", "Repository of the causing change; null when unknown.", nullable=True),
        Column("cause_revision", "VARCHAR", "Causing change; null when unknown.", nullable=True),
        KNOWN_AT,
    ),
    key=("incident_id",),
)
