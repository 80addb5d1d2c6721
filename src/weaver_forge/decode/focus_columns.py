"""FOCUS by its names: which columns are read, which version and dataset a header is of, which source a file is of.

Put here what the specification calls things. Reading files is in ``focus_sheets``, text to values in ``focus_values``.
"""

import re
from collections.abc import Sequence
from pathlib import PurePath

from weaver_forge.contracts.table import MONEY
from weaver_forge.contracts.tables.cost import RAW_FOCUS_CHARGES

COLUMNS: dict[str, tuple[str, ...]] = {
    # our column -> FOCUS names, preferred first: 1.3 has new names for the providers beside the old, 1.4 only these
    "billing_period_start": ("BillingPeriodStart",),
    "provider_name": ("ServiceProviderName", "ProviderName"),
    "host_provider_name": ("HostProviderName", "PublisherName"),
    "billing_account_id": ("BillingAccountId",),
    "sub_account_id": ("SubAccountId",),
    "service_name": ("ServiceName",),
    "service_category": ("ServiceCategory",),
    "resource_id": ("ResourceId",),
    "region_id": ("RegionId",),
    "charge_category": ("ChargeCategory",),
    "charge_description": ("ChargeDescription",),
    "charge_period_start": ("ChargePeriodStart",),
    "charge_period_end": ("ChargePeriodEnd",),
    "billing_currency": ("BillingCurrency",),
    "billed_cost": ("BilledCost",),
    "effective_cost": ("EffectiveCost",),
    "list_cost": ("ListCost",),
    "consumed_quantity": ("ConsumedQuantity",),
    "consumed_unit": ("ConsumedUnit",),
    "tags": ("Tags",),
}
DEMANDED = (
    "billed_cost",
    "effective_cost",
    "charge_period_start",
    "charge_period_end",
    "service_name",
    "billing_currency",
)
"""Columns without which a charge means nothing."""
INSTANTS = ("billing_period_start", "charge_period_start", "charge_period_end")
AMOUNTS = tuple(column.name for column in RAW_FOCUS_CHARGES.columns if column.type == MONEY)
WANTED = frozenset(name for names in COLUMNS.values() for name in names)

_SPELLED = {name.lower(): name for name in WANTED}
_NEW_IN = (
    # version -> columns that no earlier one has
    ("1.3", {"ServiceProviderName", "HostProviderName", "ContractApplied", "AllocatedMethodId"}),
    ("1.2", {"BillingAccountType", "SubAccountType", "InvoiceId", "PricingCurrency"}),
    (
        "1.1",
        {"CapacityReservationId", "CommitmentDiscountQuantity", "ServiceSubcategory", "SkuMeter", "SkuPriceDetails"},
    ),
)
_OTHER_DATASETS = (
    # what the other datasets of FOCUS 1.3 and 1.4 begin their columns with
    ("ContractCommitment", ("ContractCommitment",)),
    ("InvoiceDetail", ("InvoiceDetail", "InvoiceIssueDate", "InvoiceDueDate")),
    ("BillingPeriod", ("BillingPeriodStatus", "BillingPeriodCreated", "BillingPeriodLastUpdated")),
)

_DATE = (
    r"(?:19|20)\d{2}[-_.]?(?:0[1-9]|1[0-2])(?:[-_.]?(?:0[1-9]|[12]\d|3[01]))?"
    r"(?:[T_-]?(?:[01]\d|2[0-3])[-:_]?[0-5]\d(?:[-:_]?[0-5]\d)?Z?)?"
)
_DATES = re.compile(rf"(?<!\d){_DATE}(?!\d)")
_RUN_ID = re.compile(r"[0-9a-f]{8}-?(?:[0-9a-f]{4}-?){3}[0-9a-f]{12}", re.IGNORECASE)
_EXTENSIONS = re.compile(r"(?:\.(?:csv|tsv|txt|parquet|snappy|gz|gzip|zst|zstd))+$", re.IGNORECASE)


class FileRefused(ValueError):  # noqa: N818 - named by what happened to the file
    """The file as a whole cannot be read; the message says why."""


def focus_name(name: str) -> str:
    """FOCUS's own spelling of a column; warehouses change the case on export."""
    return _SPELLED.get(name.strip().lower(), name.strip())


def our_column(name: str) -> str | None:
    """The column of ours that a FOCUS column fills."""
    return next((column for column, names in COLUMNS.items() if name in names), None)


def version_of(header: Sequence[str]) -> str:
    """The newest version of which the header has a column of its own; 1.4 dropped ProviderName."""
    names = set(header)
    if "ServiceProviderName" in names and "ProviderName" not in names:
        return "1.4"
    return next((version for version, new in _NEW_IN if names & new), "1.0")


def refuse_unfit(header: Sequence[str]) -> None:
    """Say why charges cannot be read under this header.

    Raises:
        FileRefused: If it is of another dataset, or lacks or repeats a column that is needed.
    """
    missing = [COLUMNS[column][0] for column in DEMANDED if COLUMNS[column][0] not in header]
    if missing:
        for dataset, beginnings in _OTHER_DATASETS:
            if any(name.startswith(beginnings) for name in header) and "ChargePeriodStart" in missing:
                raise FileRefused(
                    f"the FOCUS dataset {dataset}, which nothing here uses. Export the dataset CostAndUsage"
                )
        raise FileRefused(
            f"not a FOCUS cost and usage export: it lacks {', '.join(missing)} (its header looks like FOCUS"
            f" {version_of(header)}). Export these columns too"
        )
    repeated = sorted({name for name in header if name in WANTED and list(header).count(name) > 1})
    if repeated:
        raise FileRefused(f"the header has {', '.join(repeated)} more than once")


def export_name(path: str) -> str:
    """The export a file belongs to: its name without dates, ids of the run that wrote it, and extensions.

    ``costs-2024-09-01.csv.gz`` and ``costs-2024-10-01.csv.gz`` are both ``costs``, so that a period restated in
    a newer file replaces the older rows.
    """
    name = _RUN_ID.sub("", _EXTENSIONS.sub("", PurePath(path).name))
    bare = re.sub(r"([-_. ])[-_. ]+", r"\1", _DATES.sub("", name)).strip("-_. ")
    return bare or "focus"
