"""Families about cost: charges that grow, that grow beyond the traffic, and that are paid for nothing used.

The unit is the day. Sums never cross currencies; a statistic may use floats, what was billed is a decimal in the table.
Billed is what is asked about, for usage alone: taxes, credits and purchases come when the calendar says so.
"""

from collections.abc import Mapping

from weaver_forge.insights.families.steady import Steady, flip_days
from weaver_forge.insights.families.trends import Growth, Series, shuffle_days
from weaver_forge.insights.hypothesis import Family, Impact, literal
from weaver_forge.insights.intervals import Effect
from weaver_forge.insights.wording import MONTH_DAYS

CHARGES, MINUTES = "core_cost__charges", "core_trace__red_minutes"
_USAGE = "charge_category = 'Usage' and resource_id is not null and effective_cost > 0"
_KEYS = ("resource_id", "billing_currency")

DAILY = f"""-- grain: resource, currency and day
select
    resource_id, billing_currency, date_trunc('day', charge_period_start) as day,
    sum(effective_cost)::double as value, sum(effective_cost)::double as volume
from core_cost__charges
where {_USAGE} and charge_period_start >= $since
group by all
order by resource_id, billing_currency, day
"""  # noqa: S608 - a constant

A_REQUEST = f"""-- grain: resource, service, currency and day
with charged as (
    select
        resource_id, billing_currency, json_extract_string(tags, '$.service') as service,
        date_trunc('day', charge_period_start) as day, sum(effective_cost)::double as cost
    from core_cost__charges
    where {_USAGE} and tags is not null and charge_period_start >= $since
    group by all
), served as (
    select split_part(service_key, '/', 2) as service, date_trunc('day', minute_at) as day, sum(n_requests) as n
    from core_trace__red_minutes
    group by all
)
select resource_id, billing_currency, service, day, cost / n as value, cost as volume
from charged
join served using (service, day)
order by resource_id, billing_currency, service, day
"""  # noqa: S608 - a constant

UNUSED = f"""-- grain: resource, currency and day; value is 1 where nothing was consumed
select
    resource_id, billing_currency, date_trunc('day', charge_period_start) as day,
    case when sum(coalesce(consumed_quantity, 0)) = 0 then 1.0 else 0.0 end as value,
    sum(effective_cost)::double as volume
from core_cost__charges
where {_USAGE} and consumed_quantity is not null and charge_period_start >= $since
group by all
order by resource_id, billing_currency, day
"""  # noqa: S608 - a constant

_HALF = 0.5


def _more(series: Series, _effect: Effect, _days: float) -> Impact:
    month = (series.after - series.before) * MONTH_DAYS
    return Impact(
        month, series.subject["billing_currency"], f"{month:,.2f} {series.subject['billing_currency']} a month more"
    )


def _beyond(series: Series, _effect: Effect, _days: float) -> Impact:
    third = max(len(series.values) // 3, 1)
    month = float(series.volume[-third:].mean()) * (1.0 - series.before / series.after) * MONTH_DAYS
    currency = series.subject["billing_currency"]
    return Impact(month, currency, f"{month:,.2f} {currency} a month more than at the first weeks' cost a request")


def _paid(series: Series, days: float) -> Impact:
    month = float((series.volume * series.values).sum()) / days * MONTH_DAYS
    currency = series.subject["billing_currency"]
    return Impact(month, currency, f"{month:,.2f} {currency} a month for days on which nothing was consumed")


def _of_resource(subject: Mapping[str, str]) -> str:
    return (
        "select date_trunc('day', charge_period_start) as day, billing_currency, "  # noqa: S608 - literals are quoted
        "sum(effective_cost) as effective_cost, sum(consumed_quantity) as consumed_quantity, "
        f"any_value(consumed_unit) as unit from {CHARGES} "
        f"where resource_id = {literal(subject['resource_id'])} and charge_category = 'Usage' group by all order by day"
    )


def _name(series: Series) -> str:
    return series.subject["resource_id"].rpartition("/")[2]


def _amount(value: float) -> str:
    return f"{value:,.2f} a day"


def _idle(series: Series, _effect: Effect) -> str:
    return f"{series.subject['resource_id']} was charged for while nothing of it was consumed"


FAMILIES = (
    Family(
        name="growing_charges",
        category="cost",
        question="Does the charge for a resource grow by more than 3 % a week?",
        unit="days",
        tables=(CHARGES,),
        sql=DAILY,
        test=Growth(
            keys=_KEYS,
            tolerated=0.03,
            claim=lambda series: f"The charge for {_name(series)} ({series.subject['billing_currency']})",
            shown=_amount,
            impact=_more,
            query=_of_resource,
        ).test,
        shuffle=shuffle_days(_KEYS),
    ),
    Family(
        name="charges_beyond_traffic",
        category="cost",
        question="Does the charge for a resource grow by more than 3 % a week relative to its service's requests?",
        unit="days",
        tables=(CHARGES, MINUTES),
        sql=A_REQUEST,
        test=Growth(
            keys=(*_KEYS, "service"),
            tolerated=0.03,
            claim=lambda series: f"The charge for {_name(series)} beside the requests of {series.subject['service']}",
            shown=lambda value: f"{1000 * value:.3g} for a thousand of them",
            impact=_beyond,
            query=_of_resource,
        ).test,
        shuffle=shuffle_days((*_KEYS, "service")),
    ),
    Family(
        name="idle_charges",
        category="cost",
        question="Is a resource charged for while nothing of it is consumed, on most days?",
        unit="days",
        tables=(CHARGES,),
        sql=UNUSED,
        test=Steady(keys=_KEYS, bar=_HALF, unit="share", said=_idle, impact=_paid, query=_of_resource).test,
        shuffle=flip_days(_HALF),
    ),
)
