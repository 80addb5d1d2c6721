"""Buckets of histograms -> quantiles, in SQL.

Observations are taken to be spread evenly within a bucket. A quantile is therefore wrong by the width of its bucket
at most; in an exponential histogram of scale s by a factor of 2 ** (2 ** -s) at most (9 % at scale 3, 0.3 % at 8).
Of an open bucket the known bound is taken (Prometheus' ``histogram_quantile`` does the same), or the smallest and
largest observation where every point of the minute says them of its own interval (delta temporality).
"""


def quantiles_sql(steps: str) -> str:
    """CTEs up to ``quantiles`` (``series_id, minute_at, p50, p95, p99``) of a CTE of steps as ``metric_marts`` has.

    A cumulative point's buckets count less those of the point before; exponential histograms of several scales are
    brought to the smallest of the minute first, which is exact: two neighbouring buckets become one.
    """
    return f"""
counted as (
  select
    *,
    step = 'difference' as is_difference,
    min(case when step = 'difference' then least(exponential_scale, prev_scale) else exponential_scale end)
      over (partition by series_id, minute_at) as scale
  from {steps}
  where step is not null
    and metric_type in ('histogram', 'exponential_histogram')
),
parts as (
  {_explicit("bucket_counts", "1")}
  where metric_type = 'histogram'
    and not (is_difference and prev_bounds is distinct from explicit_bounds)
  union all
  {_explicit("prev_counts", "-1")}
  where metric_type = 'histogram'
    and is_difference
    and prev_bounds is not distinct from explicit_bounds
  union all
  {_exponential("positive_counts", "positive_offset", "exponential_scale", "1", is_negative=False)}
  where metric_type = 'exponential_histogram'
  union all
  {_exponential("negative_counts", "negative_offset", "exponential_scale", "1", is_negative=True)}
  where metric_type = 'exponential_histogram'
  union all
  {_exponential("prev_positive", "prev_positive_offset", "prev_scale", "-1", is_negative=False)}
  where metric_type = 'exponential_histogram' and is_difference
  union all
  {_exponential("prev_negative", "prev_negative_offset", "prev_scale", "-1", is_negative=True)}
  where metric_type = 'exponential_histogram' and is_difference
  union all
  select
    series_id,
    minute_at,
    -zero_threshold as low,
    zero_threshold as high,
    zero_count - case when is_difference then prev_zero else 0 end as n
  from counted
  where metric_type = 'exponential_histogram'
),
buckets as (
  select series_id, minute_at, low, high, sum(n)::double as n
  from parts
  group by all
  having sum(n) > 0
),
extremes as (
  select
    series_id,
    minute_at,
    case when bool_and(is_delta and min_value is not null) then min(min_value) end as smallest,
    case when bool_and(is_delta and max_value is not null) then max(max_value) end as largest
  from counted
  group by series_id, minute_at
),
ranked as (
  select
    series_id,
    minute_at,
    smallest,
    largest,
    n,
    coalesce(low, smallest, case when high > 0 then 0 else high end) as low,
    coalesce(high, largest, low) as high,
    sum(n) over (partition by series_id, minute_at order by coalesce(low, '-infinity'::double)) as n_up_to,
    sum(n) over (partition by series_id, minute_at) as n_all
  from buckets
  join extremes using (series_id, minute_at)
),
quantiles as (
  select
    series_id,
    minute_at,
    {_quantile(0.5)} as p50,
    {_quantile(0.95)} as p95,
    {_quantile(0.99)} as p99
  from ranked
  group by series_id, minute_at
)"""  # noqa: S608 - names of ours


def _explicit(counts: str, sign: str) -> str:
    """Bounds are upper and inclusive; the first bucket has no lower one, the last no upper one."""
    return f"""select
    series_id,
    minute_at,
    case when place > 1 then explicit_bounds[place - 1] end as low,
    case when place < len({counts}) then explicit_bounds[place] end as high,
    {sign} * {counts}[place] as n
  from (select *, unnest(range(1, len({counts}) + 1)) as place from counted)"""  # noqa: S608 - names of ours


def _exponential(counts: str, offset: str, scale: str, sign: str, *, is_negative: bool) -> str:
    """Bucket i holds (base ** i, base ** (i + 1)], base = 2 ** (2 ** -scale), of absolute values."""
    near, far = "pow(2, i * pow(2, -scale))", "pow(2, (i + 1) * pow(2, -scale))"
    low, high = (f"-{far}", f"-{near}") if is_negative else (near, far)
    return f"""select series_id, minute_at, {low} as low, {high} as high, n
  from (
    select
      *,
      floor(({offset} + place - 1) / pow(2, {scale} - scale)) as i,
      {sign} * {counts}[place] as n
    from (select *, unnest(range(1, len({counts}) + 1)) as place from counted)
  )"""  # noqa: S608 - names of ours


def _quantile(q: float) -> str:
    value = f"low + (high - low) * ({q} * n_all - (n_up_to - n)) / n"
    bounded = (
        f"least(greatest({value}, coalesce(smallest, '-infinity'::double)), coalesce(largest, 'infinity'::double))"
    )
    return f"min_by({bounded}, n_up_to) filter (where n_up_to >= {q} * n_all)"
