"""The entity graph over everything in core, and how much of it is linked."""

import dagster as dg
import msgspec

from assets.core.traces import MARTS
from assets.resources import Deployment
from assets.tables import Metadata, table_assets
from weaver_forge.contracts.tables.entities import CORE_ENTITY_LINK_RATES, CORE_ENTITY_LINKS
from weaver_forge.errors import ConfigurationError
from weaver_forge.links.graph import READS, entity_graph
from weaver_forge.links.link_rule import LinkRule
from weaver_forge.settings import Settings


def link_rule(settings: Settings) -> LinkRule:
    """The rule of the deployment: the default one with what ``[links]`` of weaver-forge.toml says otherwise.

    Raises:
        ConfigurationError: If a name or a type there is wrong.
    """
    try:
        return msgspec.convert(dict(settings.links), LinkRule, strict=True)
    except msgspec.ValidationError as error:
        raise ConfigurationError(
            f"[links] cannot be read: {error}",
            where=str(settings.root / "weaver-forge.toml"),
            do=f"Known: {', '.join(LinkRule.__dataclass_fields__)}",
        ) from error


def _write(_context: dg.AssetExecutionContext, deployment: Deployment) -> dict[str, Metadata]:
    warehouse = deployment.warehouse
    links, rates = entity_graph({table.name: warehouse.read(table) for table in READS}, link_rule(deployment.settings))
    weakest = rates.filter(rates["rate"] < 1).sort("rate").head(3)
    return {
        CORE_ENTITY_LINKS.name: {"rows_written": warehouse.replace(CORE_ENTITY_LINKS, links)},
        CORE_ENTITY_LINK_RATES.name: {
            "rows_written": warehouse.replace(CORE_ENTITY_LINK_RATES, rates),
            "least_linked": ", ".join(
                f"{r['from_kind']} of {r['to_kind']} {r['rate']:.0%}" for r in weakest.to_dicts()
            ),
        },
    }


assets = [
    table_assets(
        "core_entities",
        (CORE_ENTITY_LINKS, CORE_ENTITY_LINK_RATES),
        _write,
        deps=[table.name for table in READS],
        daily={table.name for table in MARTS},
    )
]
