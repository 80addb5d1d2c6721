"""The entity graph: which change was tested, built, deployed, served, hurt and paid for as what, and how we know."""

from weaver_forge.contracts.table import Column, Table
from weaver_forge.contracts.tables.changes import KNOWN_AT

_KINDS = "change, test_run, build, deployment, version, incident or charge"

CORE_ENTITY_LINKS = Table(
    layer="core",
    source="entity",
    entity="links",
    grain="link from an earlier entity to a later one",
    columns=(
        Column("from_kind", "VARCHAR", f"{_KINDS}."),
        Column("from_id", "VARCHAR", "Id of the earlier entity; its parts as entity_ids of links.graph says."),
        Column("to_kind", "VARCHAR", f"{_KINDS}."),
        Column("to_id", "VARCHAR", "Id of the later entity."),
        Column("method", "VARCHAR", "How it was found; of several the most certain."),
        Column(
            "confidence",
            "DOUBLE",
            "0-1: the method's, divided by how many earlier entities the same method offers the later one.",
        ),
        Column("rule", "VARCHAR", "Digest of the rule that made it: another rule gives other links."),
        KNOWN_AT,
    ),
    key=("from_kind", "from_id", "to_kind", "to_id"),
)

CORE_ENTITY_LINK_RATES = Table(
    layer="core",
    source="entity",
    entity="link_rates",
    grain="pair of entity kinds that should be linked",
    columns=(
        Column("from_kind", "VARCHAR", "Kind of the earlier entity."),
        Column("to_kind", "VARCHAR", "Kind of the later entity."),
        Column("n", "BIGINT", "Later entities there are."),
        Column("n_linked", "BIGINT", "Of these, with at least one link to an earlier one."),
        Column("n_ambiguous", "BIGINT", "Of these, with several links of the same method."),
        Column("rate", "DOUBLE", "n_linked / n, 0-1; null where there are none.", nullable=True),
        Column("methods", "VARCHAR", "Links by method as JSON: {method: n}."),
        Column("rule", "VARCHAR", "Digest of the rule."),
    ),
    key=("from_kind", "to_kind"),
)
