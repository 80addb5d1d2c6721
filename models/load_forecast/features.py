"""What was known about a series when a step was forecast: one row a subject.

Put a new signal here as a column of :data:`FEATURE_COLUMNS`, or in ``candidates.py`` if it is itself a forecast.
Only points with ``known_at <= predicted_at`` of that subject are read (:meth:`Series.states`).
"""

import numpy as np
import polars as pl

from models.load_forecast import candidates
from models.load_forecast.candidates import CANDIDATES, Floats, Ints, Prefix, Season
from models.load_forecast.series import Series, micros, series_of
from weaver_forge.contracts.decision import Tables
from weaver_forge.contracts.table import Column

POINTS = "core_service__points"
LEAST_LEVEL = 0.05
"""Floor of the expected value against the level when an interval is widened or narrowed with the count."""
LEAST_SPREAD = 0.02
"""Floor of the expected error as a share of the level."""

_ABOUT = {
    "c_last": "The newest value",
    "c_recent": "Mean of the newest values",
    "c_median": "Median of the newest values",
    "c_hour": "Median at the same minute of the past hours",
    "c_trend": "Newest level and damped slope",
    "c_yesterday": "The same time a day ago",
    "c_last_week": "The same time a week ago",
    "c_week": "The same time in past weeks",
    "c_profile": "The same time on seven days, smoothed",
    "c_recency": "The same time on past days, newer ones weighing more",
}


def _about(name: str) -> str:
    prefix = max((known for known in _ABOUT if name.startswith(known)), key=len)
    moved = (
        ", moved to the newest level" if "shift" in name else ", scaled to the newest level" if "ratio" in name else ""
    )
    return f"{_ABOUT[prefix]}{moved}: a candidate forecast; null without that much history."


FEATURE_COLUMNS: tuple[Column, ...] = (
    Column(
        "horizon_step",
        "INTEGER",
        "Steps from the newest known point to the step forecast; null without a point.",
        nullable=True,
    ),
    Column("n_known", "INTEGER", "Steps with a known value."),
    Column(
        "season_steps", "INTEGER", "Steps in a day (in a week for daily series); null without a point.", nullable=True
    ),
    Column("is_nonnegative", "BOOLEAN", "No known value is below 0, so the forecast is not either."),
    Column(
        "scale", "DOUBLE", "Mean absolute seasonal difference of the known values; null without one.", nullable=True
    ),
    Column(
        "spread", "DOUBLE", "Expected size of an error here: scale, larger where the level is higher.", nullable=True
    ),
    Column(
        "c_seasonal_naive",
        "DOUBLE",
        "A week ago once two weeks are known, else a day ago, else the newest value.",
        nullable=True,
    ),
    *(Column(name, "DOUBLE", _about(name), nullable=True) for name in CANDIDATES),
)


def features(tables: Tables, subjects: pl.DataFrame) -> pl.DataFrame:
    """One row a subject in the order of ``subjects``; a series without known points gets nulls."""
    wanted = subjects.select("service_key", "metric", "at", "predicted_at").with_row_index("position")
    points = tables[POINTS].join(
        wanted.select("service_key", "metric").unique(), on=["service_key", "metric"], how="semi"
    )
    known = series_of(points) if points.height else {}
    columns = {column.name: np.full(wanted.height, np.nan) for column in FEATURE_COLUMNS}
    columns["n_known"][:] = 0.0
    columns["is_nonnegative"][:] = 1.0
    for key, rows in wanted.partition_by("service_key", "metric", as_dict=True).items():
        series = known.get((str(key[0]), str(key[1])))
        if series is not None:
            _fill(columns, series, rows)
    types = {"INTEGER": pl.Int32, "BOOLEAN": pl.Boolean, "DOUBLE": pl.Float64}
    return wanted.drop("position").with_columns(
        pl.Series(column.name, columns[column.name]).fill_nan(None).cast(types[column.type])
        for column in FEATURE_COLUMNS
    )


def _fill(columns: dict[str, Floats], series: Series, rows: pl.DataFrame) -> None:
    """Compute all columns of one series' subjects and put them in their places."""
    predicted_at, target = micros(rows["predicted_at"]), series.index(micros(rows["at"]))
    origin = series.newest_known(predicted_at)
    usable = np.flatnonzero((origin >= 0) & (target > origin))
    position = rows["position"].to_numpy()[usable]
    if not len(usable):
        return
    for pairs, values in series.states(origin[usable], predicted_at[usable]):
        some = usable[pairs]
        found = _columns(values, Season.of(series.step_s), origin[some], target[some])
        for name, column in found.items():
            columns[name][position[pairs]] = column


def _columns(values: Floats, season: Season, origin: Ints, target: Ints) -> dict[str, Floats]:
    prefix = Prefix.of(values)
    out = candidates.forecast(prefix, season, origin, target)
    two_weeks = prefix.counts[origin + 1] >= 2 * season.week * 0.9
    naive = np.where(two_weeks & ~np.isnan(out["c_last_week"]), out["c_last_week"], out["c_yesterday"])
    out["c_seasonal_naive"] = np.where(np.isnan(naive), out["c_last"], naive)
    lowest = np.fmin.accumulate(values)
    scale = candidates.seasonal_error(values, season)[origin]
    level = prefix.mean(origin - 2 * season.day + 1, origin, origin)
    expected = np.where(np.isnan(out["c_profile"]), level, out["c_profile"])
    positive = lowest[origin] >= 0
    ratio = np.where(level > 0, np.maximum(expected, LEAST_LEVEL * level) / np.where(level > 0, level, 1.0), 1.0)
    # A series that hardly moved so far has next to no seasonal error, yet no certainty.
    floor = LEAST_SPREAD * np.maximum(np.abs(level), 1e-9)
    size = np.maximum(np.nan_to_num(scale), floor)
    out["scale"] = scale
    out["spread"] = size * np.where(positive, np.sqrt(np.clip(ratio, LEAST_LEVEL, 20.0)), 1.0)
    out["horizon_step"] = (target - origin).astype(np.float64)
    out["n_known"] = prefix.counts[origin + 1]
    out["season_steps"] = np.full(len(origin), float(season.day))
    out["is_nonnegative"] = positive.astype(np.float64)
    return out
