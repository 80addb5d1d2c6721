"""The families of hypotheses, a module a subject; ``ALL`` is the catalogue.

A family is data (query, unit, words) and two pure functions: the hypotheses of the query's rows, and the same rows with
whatever there was to find destroyed. Add one in the module of its subject and in its ``FAMILIES``.
"""

from weaver_forge.insights.families import changes, ci, cost, deployments, telemetry, tests, together, traces
from weaver_forge.insights.hypothesis import Family

ALL: tuple[Family, ...] = (
    *tests.FAMILIES,
    *together.FAMILIES,
    *changes.FAMILIES,
    *ci.FAMILIES,
    *traces.FAMILIES,
    *deployments.FAMILIES,
    *cost.FAMILIES,
    *telemetry.FAMILIES,
)
