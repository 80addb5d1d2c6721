"""The simulated bill: FOCUS 1.2 exports, one file a month, with credits, taxes and one resource that leaks money.

Costs are made as integers of 1e-10 currency units and written as decimals, so that no float touches them.
"""

import csv
import io
import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from weaver_forge.testing.plan import ENVIRONMENT, OrganisationPlan, iso
from weaver_forge.testing.topology import services
from weaver_forge.testing.traffic import entry_rates

CURRENCY = "USD"
LEAK_PER_DAY = 0.06
"""The leaking resource grows by so much of its first day's cost every day."""

COLUMNS = [
    "BilledCost",
    "BillingAccountId",
    "BillingAccountName",
    "BillingCurrency",
    "BillingPeriodEnd",
    "BillingPeriodStart",
    "ChargeCategory",
    "ChargeClass",
    "ChargeDescription",
    "ChargeFrequency",
    "ChargePeriodEnd",
    "ChargePeriodStart",
    "ConsumedQuantity",
    "ConsumedUnit",
    "ContractedCost",
    "EffectiveCost",
    "InvoiceId",
    "InvoiceIssuerName",
    "ListCost",
    "ListUnitPrice",
    "PricingCategory",
    "PricingQuantity",
    "PricingUnit",
    "ProviderName",
    "PublisherName",
    "RegionId",
    "RegionName",
    "ResourceId",
    "ResourceName",
    "ResourceType",
    "ServiceCategory",
    "ServiceName",
    "ServiceSubcategory",
    "SkuId",
    "SkuPriceId",
    "SubAccountId",
    "SubAccountName",
    "Tags",
]
"""All 21 mandatory columns of FOCUS 1.0-1.2; InvoiceId and ServiceSubcategory came with 1.1 and 1.2."""


@dataclass(frozen=True, slots=True)
class Resource:
    """Something that is billed by the day.

    Args:
        daily_cost: On an average day.
        follows_traffic: Share of the cost that moves with the service's requests.
    """

    name: str
    service: str
    service_name: str
    category: str
    subcategory: str
    unit: str
    daily_cost: float
    follows_traffic: float


@dataclass(frozen=True, slots=True)
class Charge:
    """A row of the bill, in 1e-10 currency units."""

    start: datetime
    end: datetime
    resource: Resource
    category: str
    description: str
    units: int
    quantity: Decimal


def resources(plan: OrganisationPlan) -> tuple[Resource, ...]:
    """What the organisation pays for: machines and logs of every service, databases of some."""
    rng = plan.rng("resources")
    found = []
    for number, service in enumerate(services(plan.services)):
        cost = float(rng.uniform(18, 60))
        found.append(
            Resource(
                f"{service.name}-nodes",
                service.name,
                "Compute Engine",
                "Compute",
                "Virtual Machines",
                "Hours",
                cost,
                0.5,
            )
        )
        share = float(rng.uniform(2, 8))
        found.append(
            Resource(
                f"{service.name}-logs", service.name, "Object Store", "Storage", "Object Storage", "GB", share, 0.9
            )
        )
        if number % 2:
            found.append(
                Resource(
                    f"{service.name}-db", service.name, "Managed SQL", "Databases", "Relational", "Hours", 31.0, 0.0
                )
            )
    return tuple(found)


def leaking_resource(plan: OrganisationPlan) -> str:
    """Id of the resource whose cost grows without traffic from ``plan.leak_day`` on."""
    return resource_id(next(r for r in reversed(resources(plan)) if r.name.endswith("-logs")))


def resource_id(resource: Resource) -> str:
    """The provider's id of a resource."""
    return f"//compute.example.com/projects/shop-production/{resource.name}"


def charges(plan: OrganisationPlan) -> tuple[Charge, ...]:
    """All charges of the history in order of time."""
    rng = plan.rng("billing")
    found: list[Charge] = []
    leak = leaking_resource(plan)
    requests = [{name: rate.sum() for name, rate in entry_rates(plan, day).items()} for day in range(plan.days)]
    for day in range(plan.days):
        start = plan.starts_at + timedelta(days=day)
        for resource in resources(plan):
            mean = sum(each[resource.service] for each in requests) / plan.days
            moved = resource.follows_traffic * (requests[day][resource.service] / mean - 1)
            cost = resource.daily_cost * (1 + moved) * float(rng.lognormal(0.0, 0.03))
            if resource_id(resource) == leak and day >= plan.leak_day:
                cost += resource.daily_cost * LEAK_PER_DAY * (day - plan.leak_day + 1)
            units = int(cost * 10_000) * 1_000_000 + int(rng.integers(1_000_000))
            quantity = Decimal(int(cost * 41_000)) / 1000
            found.append(
                Charge(start, start + timedelta(days=1), resource, "Usage", f"{resource.unit} used", units, quantity)
            )
        if start.day == 1 or day == 0:
            found += _monthly(plan, start)
    return tuple(found)


def _monthly(plan: OrganisationPlan, start: datetime) -> list[Charge]:
    """A discount given back and the tax on support, once a month."""
    first, end = resources(plan)[0], start + timedelta(days=1)
    return [
        Charge(start, end, first, "Credit", "Committed use discount", -1_253_000_000_123, Decimal(1)),
        Charge(start, end, first, "Tax", "VAT on support", 171_000_000_000, Decimal(1)),
    ]


def export(month: datetime, rows: list[Charge]) -> str:
    """The FOCUS file of a month, as CSV text."""
    after = (month.replace(day=28) + timedelta(days=4)).replace(day=1)
    out = io.StringIO()
    writer = csv.DictWriter(out, COLUMNS, lineterminator="\n")
    writer.writeheader()
    for row in rows:
        cost = format(Decimal(row.units).scaleb(-10), "f")
        listed = format(Decimal(row.units * 10 // 9).scaleb(-10), "f") if row.units > 0 else cost
        is_usage = row.category == "Usage"
        writer.writerow(
            {
                "BilledCost": cost,
                "EffectiveCost": cost,
                "ContractedCost": cost,
                "ListCost": listed,
                "BillingAccountId": "0042-4711",
                "BillingAccountName": "Simulated Organisation",
                "SubAccountId": "shop-production",
                "SubAccountName": "Shop production",
                "BillingCurrency": CURRENCY,
                "BillingPeriodStart": iso(month),
                "BillingPeriodEnd": iso(after),
                "ChargePeriodStart": iso(row.start),
                "ChargePeriodEnd": iso(row.end),
                "ChargeCategory": row.category,
                "ChargeDescription": row.description,
                "ChargeFrequency": "Usage-Based" if is_usage else "Recurring",
                "ConsumedQuantity": str(row.quantity) if is_usage else "",
                "ConsumedUnit": row.resource.unit if is_usage else "",
                "PricingQuantity": str(row.quantity),
                "PricingUnit": row.resource.unit if is_usage else "Units",
                "PricingCategory": "Standard" if is_usage else "",
                "InvoiceId": f"INV-{month:%Y-%m}",
                "InvoiceIssuerName": "Example Cloud",
                "ProviderName": "Example Cloud",
                "PublisherName": "Example Cloud",
                "RegionId": "eu-north-1" if is_usage else "",
                "RegionName": "North" if is_usage else "",
                "ResourceId": resource_id(row.resource) if is_usage else "",
                "ResourceName": row.resource.name if is_usage else "",
                "ResourceType": row.resource.subcategory if is_usage else "",
                "ServiceName": row.resource.service_name,
                "ServiceCategory": row.resource.category,
                "ServiceSubcategory": row.resource.subcategory,
                "SkuId": f"SKU-{row.resource.subcategory.replace(' ', '-').lower()}" if is_usage else "",
                "Tags": json.dumps({"service": row.resource.service, "environment": ENVIRONMENT}) if is_usage else "",
            }
        )
    return out.getvalue()
