"""Named measures of predictions against outcomes, each with an interval and a paired comparison with the baseline.

Put a family of metrics in a module of its own that exports ``METRICS``, and list the module here. Put what
turns data of a public format into rows in ``benchmarks``, and protocols in ``models/<decision>/evaluation.py``.
"""

from weaver_forge.metrics import detection, events, forecasting, ranking
from weaver_forge.metrics.evaluate import Score, evaluate_with
from weaver_forge.metrics.metric import Metric, Prepared, Sample

METRICS: dict[str, Metric] = {
    metric.name: metric
    for family in (ranking.METRICS, events.METRICS, forecasting.METRICS, detection.METRICS)
    for metric in family
}
"""Every metric by name; a spec may name these and no others."""

__all__ = ["METRICS", "Metric", "Prepared", "Sample", "Score", "evaluate"]

evaluate = evaluate_with(METRICS)
