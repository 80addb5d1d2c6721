"""The confidence curve as a figure: recall of failing runs and tests over the share of the time, with today's point.

Put here how it is drawn. Its numbers are ``hooks.selecting.telling.curve_as_data``'s.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from assets.report import BASELINE, FAINT, MODEL, TRUTH, data_uri
from weaver_forge.contracts.decision import PAST_BASELINE

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Curve = Mapping[str, Any]
_STYLES = ("-", "--", "-.", ":")


def draw(data: Curve, file: Path) -> None:
    """Write the curve of one order, with its interval and today's operating point, as SVG or PNG by the file's name."""
    import matplotlib as mpl

    # The same figure for the same numbers: no clock and no random ids in the file.
    with mpl.rc_context({"svg.hashsalt": "curve", "svg.fonttype": "path"}):
        figure = _figure(data)
        is_svg = file.suffix.lower() == ".svg"
        figure.savefig(file, dpi=140, metadata={"Date": None} if is_svg else None)


def as_uri(orders: Mapping[str, Curve]) -> str:
    """Failing runs caught in several orders side by side, as a PNG data URI for metadata."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 3.8), layout="constrained")
    axes = figure.subplots()
    for number, (name, data) in enumerate(orders.items()):
        colour = BASELINE if name == PAST_BASELINE else MODEL
        shares, values = _line(data, "runs_by_time", "value")
        axes.plot(shares, values, _STYLES[number % len(_STYLES)], color=colour, label=name)
    _labelled(axes, next(iter(orders.values())))
    return data_uri(figure)


def _figure(data: Curve) -> "Figure":
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7.2, 4.6), layout="constrained")
    axes = figure.subplots()
    past = data["past"]
    if past["n_failing"] < past["needed"]:
        axes.text(0.5, 0.5, f"insufficient data:\n{past['n_failing']} of {past['needed']} failing runs", ha="center")
        _labelled(axes, data, legend=False)
        return figure
    shares, low = _line(data, "runs_by_time", "low")
    axes.fill_between(shares, low, _line(data, "runs_by_time", "high")[1], color=FAINT, alpha=0.45, linewidth=0,
                      label="its 90 % interval")  # fmt: skip
    axes.plot(*_line(data, "runs_by_time", "value"), "-", color=MODEL, label="failing runs (confidence)")
    axes.plot(*_line(data, "failures_by_time", "value"), "--", color=BASELINE, label="failing tests")
    axes.plot(*_line(data, "runs_by_tests", "value"), ":", color=MODEL, label="failing runs, by share of tests")
    _today(axes, data["today"])
    _labelled(axes, data)
    return figure


def _today(axes: "Axes", today: Mapping[str, Any] | None) -> None:
    """Today's operating point, with its interval."""
    if today is None or today["confidence"].get("value") is None:
        return
    found = today["confidence"]
    x, y = today["share"], found["value"]
    axes.errorbar([x], [y], yerr=[[y - found["low"]], [found["high"] - y]], fmt="D", color=TRUTH, capsize=4, zorder=5)
    acts = "" if today["acts"] else "\n(said, not done)"
    whole = "tests" if today["is_of_tests"] else "time"
    said = f"today: {today['aim']}\n{x:.0%} of the {whole}, {y:.1%} of failing runs{acts}"
    axes.annotate(
        said, (x, y), xytext=(0.985, 0.47), textcoords="axes fraction", ha="right", va="top", fontsize=9,
        arrowprops={"arrowstyle": "-", "color": TRUTH, "linewidth": 0.6, "shrinkB": 6},
        bbox={"facecolor": "white", "edgecolor": TRUTH, "linewidth": 0.6, "pad": 4},
    )  # fmt: skip


def _line(data: Curve, what: str, end: str) -> tuple[list[float], list[float]]:
    """Shares and values where there are any."""
    points = [(point["share"], point[what][end]) for point in data["curve"] if point[what][end] is not None]
    return [share for share, _ in points], [value for _, value in points]


def _labelled(axes: "Axes", data: Curve, *, legend: bool = True) -> None:
    past = data["past"]
    axes.set(
        xlim=(0, 1), ylim=(0, 1.02), xlabel="share of the expected time of all tests", ylabel="share caught",
        title=f"{past['n_failing']} failing of {past['n_runs']} past runs, in the order {past['order']}",
    )  # fmt: skip
    axes.title.set_fontsize(10)
    axes.xaxis.set_major_formatter(_percent)
    axes.yaxis.set_major_formatter(_percent)
    axes.grid(color="#dde4e8", linewidth=0.6)
    axes.set_axisbelow(True)
    if legend:
        axes.legend(frameon=False, loc="lower right", fontsize=9)


def _percent(value: float, _position: float) -> str:
    return f"{value:.0%}"
