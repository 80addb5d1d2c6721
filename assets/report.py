"""The demo's scoreboard as one self-contained HTML page: tables, plots, no network."""

import base64
import io
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from assets.scoreboard import Scoreboard

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MODEL, BASELINE, TRUTH, FAINT = "#0b6e99", "#b5651d", "#222222", "#9bbccb"
"""Model solid, baseline dashed, truth black: colour is never the only sign."""

_TEMPLATE = """\
<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>Weaver Forge: the demo's scoreboard</title>
<style>
 :root { color-scheme: light; }
 body { font: 15px/1.5 system-ui, sans-serif; color: #1d2b33; background: #f6f8f9; margin: 0; }
 main { max-width: 1080px; margin: 0 auto; padding: 32px 24px 64px; }
 h1 { font-size: 28px; margin: 0 0 4px; } h2 { font-size: 19px; margin: 36px 0 8px; }
 p.lead { margin: 0 0 20px; color: #46565f; max-width: 75ch; }
 .card { background: #fff; border: 1px solid #dde4e8; border-radius: 8px; padding: 16px 20px; overflow-x: auto;
         margin: 0 0 16px; }
 table { border-collapse: collapse; width: 100%; font-size: 14px; }
 th { text-align: left; color: #46565f; font-weight: 600; border-bottom: 2px solid #dde4e8; padding: 4px 14px 4px 0; }
 td { border-bottom: 1px solid #eef2f4; padding: 5px 14px 5px 0; vertical-align: top;
      font-variant-numeric: tabular-nums; }
 .plots { display: grid; grid-template-columns: repeat(auto-fit, minmax(460px, 1fr)); gap: 16px; }
 figure { margin: 0; } figure img { width: 100%; height: auto; } figcaption { color: #46565f; font-size: 13.5px; }
 pre { background: #10242d; color: #e6eef1; padding: 14px 16px; border-radius: 6px; overflow-x: auto; font-size: 13px; }
 .note { color: #46565f; font-size: 13.5px; }
</style></head><body><main>
<h1>Prediction against truth</h1>
<p class="lead">A <b>simulated</b> organisation ({{ days }} days, {{ n_changes }} changes, {{ n_tests }} tests,
{{ n_incidents }} incidents), written as files of the real formats and run through the same pipeline as anyone's
data. The last {{ live }} days were lived one at a time: predicted first, seen later. Every number comes from the
ledger, with its n and interval.</p>
{% for table in tables %}<h2>{{ table.title }}</h2>
<div class="card"><table><thead><tr>{% for c in table.columns %}<th>{{ c }}</th>{% endfor %}</tr></thead><tbody>
{% for row in table.rows %}<tr>{% for cell in row %}<td>{{ cell }}</td>{% endfor %}</tr>
{% endfor %}</tbody></table></div>{% endfor %}
<h2>What it looks like</h2>
<div class="plots">{% for plot in plots %}<figure class="card"><img alt="{{ plot.title }}" src="{{ plot.uri }}">
<figcaption><b>{{ plot.title }}.</b> {{ plot.caption }}</figcaption></figure>{% endfor %}</div>
<h2>At the gate</h2>
{% for text in gate %}<pre>{{ text }}</pre>{% endfor %}
<p class="note">Made by <code>weaver-forge demo</code>. Nothing on this page needs a network.</p>
</main></body></html>
"""


def write_report(path: Path, board: Scoreboard, *, gate: Sequence[str]) -> Path:
    """Write the page and return its path."""
    import jinja2

    drawn = [_plot(title, caption, draw, board) for title, caption, draw in _PLOTS]
    template = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined).from_string(_TEMPLATE)
    text = template.render(
        tables=board.tables,
        plots=[plot for plot in drawn if plot],
        gate=gate,
        days=(board.truth.ends_at - board.truth.starts_at).days,
        live=(board.truth.ends_at - board.live_from).days,
        n_changes=len(board.truth.changes),
        n_tests=len(board.truth.tests),
        n_incidents=len(board.truth.incidents),
    )
    path.write_text(text, encoding="utf-8")
    return path


def _plot(
    title: str, caption: str, draw: Callable[["Axes", Scoreboard], bool], board: Scoreboard
) -> dict[str, str] | None:
    """Draw one plot; None where the live days gave nothing to draw, so that no empty frame pretends to be data."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.4, 3.6), layout="constrained")
    axes = figure.subplots()
    if not draw(axes, board):
        return None
    axes.spines[["top", "right"]].set_visible(False)
    return {"title": title, "caption": caption, "uri": data_uri(figure)}


def data_uri(figure: "Figure") -> str:
    """A figure as a PNG data URI."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=110)
    return f"data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()}"


def _draw_tests(axes: "Axes", board: Scoreboard) -> bool:
    rows = board.predictions["test_selection", "tests"]
    if rows.is_empty():
        return False
    failing = rows.group_by("unit").agg((pl.col("outcome") > 0).any().alias("any")).filter("any")
    rows = rows.join(failing, on="unit", how="semi")
    grid = np.linspace(0, 1, 101)
    for column, label, colour, style in (
        ("score", "model", MODEL, "-"),
        ("baseline_score", "last failed first", BASELINE, "--"),
    ):
        curves = [_recall(group, column, grid) for _, group in rows.group_by("unit", maintain_order=True)]
        if not curves:
            return False
        axes.plot(100 * grid, 100 * np.mean(curves, axis=0), style, color=colour, label=label)
    axes.plot([0, 100], [0, 100], ":", color=TRUTH, linewidth=1, label="random order")
    axes.set(xlabel="share of the suite's time, %", ylabel="failing tests found, %")
    axes.legend(frameon=False)
    return True


def _recall(
    group: pl.DataFrame, column: str, grid: "np.ndarray[Any, np.dtype[np.float64]]"
) -> "np.ndarray[Any, np.dtype[np.float64]]":
    order = group.with_columns(pl.coalesce(column, column.replace("score", "probability")).alias("order")).sort(
        "order", descending=True
    )
    time = np.cumsum(order["cost"].fill_null(1.0).to_numpy())
    found = np.cumsum(order["outcome"].to_numpy() > 0)
    return np.asarray(np.interp(grid, np.r_[0, time / time[-1]], np.r_[0, found / found[-1]]))


def _draw_load(axes: "Axes", board: Scoreboard) -> bool:
    rows = board.predictions["load_forecast", "points"]
    if rows.is_empty():
        return False
    newest = rows.filter(pl.col("predicted_at") == rows["predicted_at"].max())
    busiest = newest.group_by("unit").agg(pl.col("outcome").sum()).sort("outcome", descending=True)["unit"][0]
    shown = (
        newest.filter(pl.col("unit") == busiest)
        .with_columns(pl.col("subject").struct.field("at").str.to_datetime().alias("at"))
        .sort("at")
    )
    at = shown["at"].to_list()
    axes.fill_between(at, shown["q_025"], shown["q_975"], color=FAINT, alpha=0.5, label="95 % interval")
    axes.plot(at, shown["value"], color=MODEL, label="forecast")
    axes.plot(at, shown["baseline_value"], "--", color=BASELINE, linewidth=0.8, label="seasonal naive")
    axes.plot(at, shown["outcome"], ".", color=TRUTH, markersize=3, label="seen later")
    axes.set(ylabel=f"requests a minute\n{busiest.split('|')[0]}")
    _clock(axes)
    axes.legend(frameon=False, fontsize=8, ncols=2)
    return True


def _draw_incident(axes: "Axes", board: Scoreboard) -> bool:
    rows = board.predictions["anomaly", "windows"]
    incidents = [i for i in board.truth.incidents if i.started_at >= board.live_from]
    if rows.is_empty() or not incidents:
        return False
    windows = rows.with_columns(
        pl.col("subject").struct.field("service_key"), pl.col("subject").struct.field("window_at").str.to_datetime()
    )
    for incident in incidents:
        near = windows.filter(
            pl.col("service_key") == incident.service_key,
            pl.col("window_at").is_between(
                incident.started_at - timedelta(hours=4), incident.resolved_at + timedelta(hours=4)
            ),
        ).sort("window_at")
        if near.height >= 12:
            break
    else:
        return False
    axes.axvspan(incident.started_at, incident.resolved_at, color="#e4b9b9", alpha=0.6, label="incident (truth)")  # type: ignore[arg-type]  # matplotlib takes datetimes
    axes.plot(
        near["window_at"].to_list(), near["probability"], color=MODEL, marker="o", markersize=2.5, label="published"
    )
    axes.plot(
        near["window_at"].to_list(),
        near["baseline_probability"],
        "--",
        color=BASELINE,
        linewidth=1,
        label="rolling robust z",
    )
    axes.set(ylabel=f"probability of an incident\n{incident.service_key}", ylim=(-0.02, 1.02))
    _clock(axes)
    axes.legend(frameon=False, fontsize=8)
    return True


def _draw_changes(axes: "Axes", board: Scoreboard) -> bool:
    rows = board.predictions["deploy_risk", "changes"]
    if rows.is_empty():
        return False
    guilty = set(board.truth.bug_inducing)
    marked = rows.with_columns(pl.col("subject").struct.field("revision").is_in(guilty).alias("guilty"))
    for column, label, colour, style in (
        ("probability", "model", MODEL, "-"),
        ("baseline_probability", "lines added", BASELINE, "--"),
    ):
        order = marked.sort(column, descending=True)["guilty"].to_numpy()
        if not order.any():
            return False
        share = np.arange(1, order.size + 1) / order.size
        axes.plot(100 * share, 100 * np.cumsum(order) / order.sum(), style, color=colour, label=label)
    axes.plot([0, 100], [0, 100], ":", color=TRUTH, linewidth=1, label="random order")
    axes.set(xlabel="changes looked at, riskiest first, %", ylabel="bug-inducing changes found, %")
    axes.legend(frameon=False)
    return True


def _draw_cost(axes: "Axes", board: Scoreboard) -> bool:
    if board.costs.is_empty():
        return False
    daily = board.costs.group_by("at", "resource_id").agg(pl.col("cost").sum()).sort("at")
    leak = str(board.truth.leak["resource_id"])
    total = daily.group_by("at").agg(pl.col("cost").sum()).sort("at")
    leaking = daily.filter(pl.col("resource_id") == leak)
    axes.plot(total["at"].to_list(), total["cost"], color=MODEL, label="all resources")
    axes.plot(leaking["at"].to_list(), leaking["cost"], "--", color=BASELINE, label=f"{leak} (leaks)")
    since = board.truth.leak["since"]
    if isinstance(since, datetime):
        axes.axvline(since, color=TRUTH, linewidth=0.8, linestyle=":", label="leak begins (truth)")  # type: ignore[arg-type]  # matplotlib takes datetimes
    axes.set(ylabel="effective cost a day", ylim=(0, None))
    axes.tick_params(axis="x", rotation=25)
    axes.legend(frameon=False, fontsize=8)
    return True


def _clock(axes: "Axes") -> None:
    from matplotlib.dates import DateFormatter

    axes.xaxis.set_major_formatter(DateFormatter("%H:%M"))  # type: ignore[no-untyped-call]  # matplotlib types it not
    axes.set_xlabel("UTC")


_PLOTS: tuple[tuple[str, str, Callable[["Axes", Scoreboard], bool]], ...] = (
    ("Failing tests found", "Mean over the live revisions on which some test really failed.", _draw_tests),
    (
        "Bug-inducing changes found",
        "Truth of the simulation, which no label had yet reached when they were ranked.",
        _draw_changes,
    ),
    (
        "Load, two hours ahead",
        "The newest resolved forecast of the busiest service, made before a single point was seen.",
        _draw_load,
    ),
    (
        "An incident of the live days",
        "Ten-minute windows of the hurt service, four hours before and after.",
        _draw_incident,
    ),
    ("Cost", "From the FOCUS export. A resource leaks; no decision watches cost yet.", _draw_cost),
)
