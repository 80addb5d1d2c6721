"""Families about CI: jobs that get slower, queues that grow, hours at which one waits longer."""

from collections.abc import Mapping

from weaver_forge.insights.families.steady import Steady, flip_days
from weaver_forge.insights.families.trends import Growth, Series, shuffle_days
from weaver_forge.insights.hypothesis import Family, Impact, literal
from weaver_forge.insights.intervals import Effect
from weaver_forge.insights.wording import MONTH_DAYS, milliseconds, percent

JOBS = "core_ci__jobs"
LONGER = 0.10

DURATIONS = """-- grain: job and day
select repo_id, name, date_trunc('day', started_at) as day, median(duration_ms) as value, sum(duration_ms) as volume
from core_ci__jobs
where conclusion = 'success' and duration_ms > 0 and started_at >= $since
group by all
order by repo_id, name, day
"""

QUEUES = """-- grain: repository and day
select repo_id, date_trunc('day', started_at) as day, avg(queued_ms) as value, count(*) as volume
from core_ci__jobs
where queued_ms is not null and started_at >= $since
group by all
having avg(queued_ms) > 0
order by repo_id, day
"""

HOURS = """-- grain: repository, four hours and day; value is how much longer than on the day as a whole, relative
select
    repo_id, hour(started_at) // 4 * 4 as from_hour, date_trunc('day', started_at) as day,
    avg(queued_ms) / day_ms - 1 as value, count(*) as volume
from (
    select *, avg(queued_ms) over (partition by repo_id, date_trunc('day', started_at)) as day_ms
    from core_ci__jobs
    where queued_ms is not null and started_at >= $since
)
where day_ms > 0
group by repo_id, from_hour, day, day_ms
order by repo_id, from_hour, day
"""


def _more(series: Series, _effect: Effect, days: float) -> Impact:
    runs = float(series.volume.sum()) / max(float(series.values.mean()), 1e-9)
    minutes = (series.after - series.before) * runs / 60_000 / days * MONTH_DAYS
    return Impact(minutes, "minutes", f"{minutes:.0f} minutes of the job a month more than at the beginning")


def _more_waiting(series: Series, _effect: Effect, days: float) -> Impact:
    minutes = (series.after - series.before) * float(series.volume.sum()) / 60_000 / days * MONTH_DAYS
    return Impact(
        minutes, "minutes", f"{minutes:.0f} minutes of waiting for runners a month more than at the beginning"
    )


def _waited(series: Series, days: float) -> Impact:
    jobs = float(series.volume.sum()) / days * MONTH_DAYS
    return Impact(jobs, "jobs", f"about {jobs:.0f} jobs a month start in these hours")


def _of_job(subject: Mapping[str, str]) -> str:
    return (
        "select date_trunc('day', started_at) as day, count(*) as n, median(duration_ms) as duration_ms "  # noqa: S608 - literals are quoted
        f"from {JOBS} where conclusion = 'success' and repo_id = {literal(subject['repo_id'])} "
        f"and name = {literal(subject['name'])} group by all order by day"
    )


def _of_queue(subject: Mapping[str, str]) -> str:
    return (
        "select date_trunc('day', started_at) as day, hour(started_at) // 4 * 4 as from_hour, count(*) as n, "  # noqa: S608 - literals are quoted
        f"avg(queued_ms) as queued_ms from {JOBS} where repo_id = {literal(subject['repo_id'])} "
        "group by all order by day, from_hour"
    )


def _hours(series: Series, effect: Effect) -> str:
    start = int(series.subject["from_hour"])
    return (
        f"Jobs of {series.subject['repo_id']} that start between {start:02}:00 and {start + 4:02}:00 UTC waited more "
        f"than {percent(LONGER)} longer than the day's mean ({percent(effect.value)} at the median)"
    )


FAMILIES = (
    Family(
        name="slowing_jobs",
        category="ci",
        question="Does a job get slower by more than 1 % a week?",
        unit="days",
        tables=(JOBS,),
        sql=DURATIONS,
        test=Growth(
            keys=("repo_id", "name"),
            tolerated=0.01,
            claim=lambda series: f"The time of the job {series.subject['name']}",
            shown=milliseconds,
            impact=_more,
            query=_of_job,
        ).test,
        shuffle=shuffle_days(("repo_id", "name")),
    ),
    Family(
        name="growing_queues",
        category="ci",
        question="Does the wait for a runner grow by more than 2 % a week?",
        unit="days",
        tables=(JOBS,),
        sql=QUEUES,
        test=Growth(
            keys=("repo_id",),
            tolerated=0.02,
            claim=lambda series: f"The wait of jobs of {series.subject['repo_id']} for a runner",
            shown=milliseconds,
            impact=_more_waiting,
            query=_of_queue,
        ).test,
        shuffle=shuffle_days(("repo_id",)),
    ),
    Family(
        name="waiting_hours",
        category="ci",
        question="Do jobs wait longer in some hours than on the day as a whole, on most days?",
        unit="days",
        tables=(JOBS,),
        sql=HOURS,
        test=Steady(
            keys=("repo_id", "from_hour"),
            bar=LONGER,
            unit="share",
            said=_hours,
            impact=_waited,
            query=_of_queue,
        ).test,
        shuffle=flip_days(LONGER),
    ),
)
