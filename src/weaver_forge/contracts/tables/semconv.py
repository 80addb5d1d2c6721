"""What telemetry makes of the conventions: findings, quality and classes of spans, a service and day."""

from weaver_forge.contracts.table import Column, Table
from weaver_forge.contracts.tables.changes import KNOWN_AT
from weaver_forge.contracts.tables.operations import SERVICE_KEY

_DAY = Column("day_at", "TIMESTAMP", "Start of the day, UTC.")

CORE_SEMANTIC_FINDINGS = Table(
    layer="core",
    source="semantic",
    entity="findings",
    grain="finding about an attribute or signal of a service on a day",
    columns=(
        SERVICE_KEY,
        _DAY,
        Column("signal", "VARCHAR", "span, resource, metric or log."),
        Column(
            "finding_id", "VARCHAR", "One of the 23 ids of OpenTelemetry Weaver's live check (missing_attribute, ...)."
        ),
        Column("level", "VARCHAR", "violation, improvement or information."),
        Column("attribute", "VARCHAR", "Attribute, or metric or event where the finding is about the signal itself."),
        Column("n", "BIGINT", "Times it was found; a resource's attribute counts once, a signal's every time."),
        Column("message", "VARCHAR", "The finding in words; of several the most frequent."),
        Column("example", "VARCHAR", "Name of a span, metric or event that has it; empty for a resource."),
        KNOWN_AT,
    ),
    key=("service_key", "day_at", "signal", "finding_id", "attribute"),
    day_column="day_at",
)

CORE_SEMANTIC_QUALITY = Table(
    layer="core",
    source="semantic",
    entity="quality",
    grain="service and day with telemetry",
    columns=(
        SERVICE_KEY,
        _DAY,
        Column("n_samples", "BIGINT", "Attributes sent; a resource's count once, a signal's every time."),
        Column("n_violations", "BIGINT", "Of these, defined by a registry and in violation of it."),
        Column(
            "coverage", "DOUBLE", "Share of them that a registry defines, 0-1; null without samples.", nullable=True
        ),
        Column(
            "score",
            "DOUBLE",
            "(1 - n_violations / n_samples) * coverage, 0-1; null without samples.",
            nullable=True,
        ),
        KNOWN_AT,
    ),
    key=("service_key", "day_at"),
    day_column="day_at",
)

CORE_SEMANTIC_SIGNALS = Table(
    layer="core",
    source="semantic",
    entity="signals",
    grain="class of spans of a service on a day",
    columns=(
        SERVICE_KEY,
        _DAY,
        Column("signal_class", "VARCHAR", "http_server, db_client, cicd_run, ...; other where no definition fits."),
        Column("n_spans", "BIGINT", "Spans that started on the day."),
        Column("n_synthetic", "BIGINT", "Of these, made by bots or tests (user_agent.synthetic.type): no demand."),
        Column("n_upgraded", "BIGINT", "Of these, with an old attribute name that has a current one."),
        KNOWN_AT,
    ),
    key=("service_key", "day_at", "signal_class"),
    day_column="day_at",
)

CORE_SEMANTIC_DAYS = Table(
    layer="core",
    source="semantic",
    entity="days",
    grain="day whose findings were computed",
    columns=(
        _DAY,
        Column("n_rows", "BIGINT", "Spans, points and records of the day then; a different count now means touched."),
        Column(
            "registry", "VARCHAR", "Registries (their hash) and rules it was judged by; others now mean judge again."
        ),
    ),
    key=("day_at",),
    day_column="day_at",
)
