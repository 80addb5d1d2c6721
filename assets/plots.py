"""Plots and tables for asset metadata: what a data engineer looks at after a run.

Pages and reports for other people are made elsewhere; this is the Dagster UI's share.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import dagster as dg
import numpy as np

from assets.report import BASELINE, MODEL, TRUTH, data_uri
from models.learning import Judgement
from weaver_forge import metrics
from weaver_forge.contracts.decision import SubjectKind

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def scores_table(scores: Sequence[metrics.Score]) -> dg.TableMetadataValue:
    """Every metric of a judgement, model beside baseline."""
    return dg.MetadataValue.table(
        records=[
            dg.TableRecord(
                {
                    "metric": score.metric,
                    "model": _shown(score.value),
                    "interval": f"{_shown(score.low)} to {_shown(score.high)}",
                    "baseline": _shown(score.baseline_value),
                    "gain": _shown(score.gain),
                    "n": score.n,
                }
            )
            for score in scores
        ],
        schema=dg.TableSchema(
            [
                dg.TableColumn(name, "int" if name == "n" else "string")
                for name in ("metric", "model", "interval", "baseline", "gain", "n")
            ]
        ),
    )


def judgement_plot(kind: SubjectKind, judgement: Judgement) -> dg.MarkdownMetadataValue:
    """Calibration of an event model, or predicted against observed of a quantity."""
    if judgement.rows.is_empty():
        return dg.MetadataValue.md("Nothing was judged yet.")
    figure = _figure()
    axes = figure.subplots()
    if kind.predicts == "event":
        _calibration(axes, judgement, "probability", "model", MODEL, "o-")
        _calibration(axes, judgement, "baseline_probability", kind.baseline.name, BASELINE, "s--")
        axes.set(xlabel="predicted probability", ylabel="observed share")
    else:
        axes.scatter(judgement.rows["outcome"], judgement.rows["value"], s=4, alpha=0.3, color=MODEL, label="model")
        axes.set(xlabel="observed", ylabel="predicted")
    low, high = axes.get_xlim()
    axes.plot([max(0, low), high], [max(0, low), high], color=TRUTH, linewidth=0.8, label="exact")
    axes.legend(frameon=False)
    return dg.MetadataValue.md(f"![judgement]({data_uri(figure)})")


def _figure() -> "Figure":
    from matplotlib.figure import Figure

    return Figure(figsize=(5, 3.4))


def _calibration(axes: "object", judgement: Judgement, column: str, label: str, colour: str, style: str) -> None:
    rows = judgement.rows.drop_nulls(["outcome", column]).sort(column)
    bins = [part for part in np.array_split(np.arange(rows.height), 10) if part.size]
    predicted, observed = rows[column].to_numpy(), rows["outcome"].to_numpy()
    axes.plot(  # type: ignore[attr-defined]  # matplotlib's Axes, not imported at module level
        [predicted[part].mean() for part in bins],
        [observed[part].mean() for part in bins],
        style,
        color=colour,
        label=label,
    )


def _shown(value: float | None) -> str:
    return "not estimable" if value is None else f"{value:.4g}"
