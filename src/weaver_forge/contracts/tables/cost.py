"""Cost and usage in the FOCUS format: money stays decimal, a restated billing period replaces the old one."""

from weaver_forge.contracts.table import MONEY, Column, Table
from weaver_forge.contracts.tables.changes import KNOWN_AT

_COMMON = (
    Column("billing_period_start", "TIMESTAMP", "Start of the billing period, UTC."),
    Column("row_number", "BIGINT", "0-based row in the export."),
    Column("provider_name", "VARCHAR", "ServiceProviderName, else ProviderName; unknown when neither is there."),
    Column("host_provider_name", "VARCHAR", "HostProviderName, else PublisherName; null when absent.", nullable=True),
    Column("billing_account_id", "VARCHAR", "BillingAccountId; null when absent.", nullable=True),
    Column("sub_account_id", "VARCHAR", "SubAccountId; null when absent.", nullable=True),
    Column("service_name", "VARCHAR", "ServiceName."),
    Column("service_category", "VARCHAR", "ServiceCategory; null when absent.", nullable=True),
    Column("resource_id", "VARCHAR", "ResourceId; null when absent.", nullable=True),
    Column("region_id", "VARCHAR", "RegionId; null when absent.", nullable=True),
    Column(
        "charge_category",
        "VARCHAR",
        "Usage, Purchase, Tax, Credit, Adjustment; null when absent.",
        nullable=True,
    ),
    Column("charge_description", "VARCHAR", "ChargeDescription; null when absent.", nullable=True),
    Column("charge_period_start", "TIMESTAMP", "Inclusive, UTC."),
    Column("charge_period_end", "TIMESTAMP", "Exclusive, UTC."),
    Column("billing_currency", "VARCHAR", "ISO 4217 code; sums never cross it."),
    Column("billed_cost", MONEY, "BilledCost in billing_currency."),
    Column("effective_cost", MONEY, "EffectiveCost in billing_currency."),
    Column("list_cost", MONEY, "ListCost; null when absent.", nullable=True),
    Column("consumed_quantity", MONEY, "ConsumedQuantity in consumed_unit; null when absent.", nullable=True),
    Column("consumed_unit", "VARCHAR", "ConsumedUnit; null when absent.", nullable=True),
    Column("tags", "VARCHAR", "Tags as JSON text; null when absent.", nullable=True),
)

RAW_FOCUS_CHARGES = Table(
    layer="raw",
    source="focus",
    entity="charges",
    grain="charge row of a FOCUS export",
    columns=(
        Column("export", "VARCHAR", "Provider, billing account and file name without dates, joined by slashes."),
        Column("focus_version", "VARCHAR", "Version read from the header: 1.0 ... 1.4."),
        *_COMMON,
        Column("received_at", "TIMESTAMP", "Modification time of the file, UTC."),
    ),
    key=("export", "billing_period_start", "row_number"),
    replace_by=("export", "billing_period_start"),
)

CORE_COST_CHARGES = Table(
    layer="core",
    source="cost",
    entity="charges",
    grain="charge",
    columns=(
        Column("export", "VARCHAR", "Provider, billing account and file name without dates, joined by slashes."),
        *_COMMON,
        KNOWN_AT,
    ),
    key=("export", "billing_period_start", "row_number"),
)
