"""Families about the quality of telemetry: violations of the semantic conventions that stay, scores that fall.

The unit is the day: a service that sends ten thousand spans with the same wrong attribute says one thing.
"""

from collections.abc import Mapping

from weaver_forge.insights.families.steady import Steady, flip_days
from weaver_forge.insights.families.trends import Growth, Series, shuffle_days
from weaver_forge.insights.hypothesis import Family, Impact, literal
from weaver_forge.insights.intervals import Effect
from weaver_forge.insights.wording import MONTH_DAYS, percent, plural

FINDINGS, QUALITY = "core_semantic__findings", "core_semantic__quality"
_HALF = 0.5

VIOLATIONS = """-- grain: finding, attribute and day with telemetry; value is 1 where it was found in any service
with days as (
    select distinct day_at as day from core_semantic__quality where n_samples > 0 and day_at >= $since
), found as (
    select finding_id, attribute, signal, day_at as day, sum(n) as n
    from core_semantic__findings
    where level = 'violation'
    group by all
), named as (
    select distinct finding_id, attribute, signal from found
)
select
    named.finding_id, named.attribute, named.signal, days.day,
    case when found.n > 0 then 1.0 else 0.0 end as value, coalesce(found.n, 0) as volume
from days
cross join named
left join found using (finding_id, attribute, signal, day)
order by named.finding_id, named.attribute, named.signal, days.day
"""

SCORES = """-- grain: service and day
select service_key, day_at as day, score as value, n_samples as volume
from core_semantic__quality
where score is not null and day_at >= $since
order by service_key, day
"""


def _found(series: Series, days: float) -> Impact:
    month = float(series.volume.sum()) / days * MONTH_DAYS
    return Impact(month, "findings", f"about {month:,.0f} findings a month")


def _worse(series: Series, _effect: Effect, days: float) -> Impact:
    month = (series.before - series.after) * float(series.volume.sum()) / days * MONTH_DAYS
    return Impact(month, "attributes", f"about {month:,.0f} attributes a month more that no convention covers")


def _said(series: Series, _effect: Effect) -> str:
    finding = series.subject["finding_id"].replace("_", " ")
    times = plural(int(series.volume.sum()), "time")
    return f"{series.subject['attribute']} ({series.subject['signal']}): {finding}, {times} in all"


def _of_finding(subject: Mapping[str, str]) -> str:
    return (
        f"select day_at, service_key, n, message, example from {FINDINGS} "  # noqa: S608 - literals are quoted
        f"where finding_id = {literal(subject['finding_id'])} and attribute = {literal(subject['attribute'])} "
        f"and signal = {literal(subject['signal'])} order by day_at, service_key"
    )


def _of_service(subject: Mapping[str, str]) -> str:
    return (
        f"select day_at as day, n_samples, n_violations, coverage, score from {QUALITY} "  # noqa: S608 - literals are quoted
        f"where service_key = {literal(subject['service_key'])} order by day_at"
    )


_FINDING = ("finding_id", "attribute", "signal")

FAMILIES = (
    Family(
        name="lasting_violations",
        category="telemetry",
        question="Is a violation of the semantic conventions found on most days?",
        unit="days",
        tables=(FINDINGS, QUALITY),
        sql=VIOLATIONS,
        test=Steady(keys=_FINDING, bar=_HALF, unit="share", said=_said, impact=_found, query=_of_finding).test,
        shuffle=flip_days(_HALF),
    ),
    Family(
        name="falling_quality",
        category="telemetry",
        question="Does the quality score of a service's telemetry fall?",
        unit="days",
        tables=(QUALITY,),
        sql=SCORES,
        test=Growth(
            keys=("service_key",),
            tolerated=0.0,
            claim=lambda series: f"The telemetry score of {series.subject['service_key']}",
            shown=percent,
            impact=_worse,
            query=_of_service,
            logs=False,
            rises=False,
        ).test,
        shuffle=shuffle_days(("service_key",)),
    ),
)
