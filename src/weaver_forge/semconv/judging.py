"""Telemetry of any size, given in pieces -> findings, quality and span classes of the whole."""

import polars as pl

from weaver_forge.semconv import bulk, tally
from weaver_forge.semconv.registry import Registry
from weaver_forge.semconv.renaming import Renaming


def judged_by(registry: Registry) -> str:
    """What findings are made by, as a text that changes with it: the registry and the rules."""
    return f"{registry.fingerprint}-{bulk.RULES}"


class Judging:
    """Takes pieces of telemetry, keeps counts alone, and judges the whole at the end.

    Args:
        registry: What telemetry is held against.
        renaming: Its rename table.
    """

    def __init__(self, registry: Registry, renaming: Renaming) -> None:
        self._registry = registry
        self._renaming = renaming
        self._tallies: list[pl.DataFrame] = []
        self._signals: list[pl.DataFrame] = []
        self._points: list[pl.DataFrame] = []
        self._resources: list[pl.DataFrame] = []

    def add_spans(self, spans: pl.DataFrame) -> None:
        """Take in rows of ``raw_otlp__spans``."""
        if spans.height:
            counted, classes = tally.tally_spans(spans, self._registry, self._renaming)
            self._signals = [tally.signals_added_up([*self._signals, classes])]
            self._keep(counted, tally.tally_resources(spans, "start_unix_ns"))

    def add_points(self, points: pl.DataFrame) -> None:
        """Take in rows of ``raw_otlp__metric_points``."""
        if points.height:
            self._points = [bulk.merged([*self._points, bulk.point_findings(points, self._registry)])]
            counted = tally.tally_points(points, self._registry, self._renaming)
            self._keep(counted, tally.tally_resources(points, "time_unix_ns"))

    def add_logs(self, records: pl.DataFrame) -> None:
        """Take in rows of ``raw_otlp__log_records``."""
        if records.height:
            counted = tally.tally_logs(records, self._registry, self._renaming)
            self._keep(counted, tally.tally_resources(records, "time_unix_ns"))

    def findings(self) -> pl.DataFrame:
        """Rows of :data:`bulk.FINDINGS`."""
        return bulk.merged([bulk.findings(self._whole(), self._registry), *self._points])

    def quality(self) -> pl.DataFrame:
        """A row a service and day; see ``bulk``."""
        return bulk.quality(self._whole(), self._registry)

    def signals(self) -> pl.DataFrame:
        """A row a service, day and class of spans."""
        return tally.signals_added_up(self._signals)

    def _keep(self, counted: pl.DataFrame, resources: pl.DataFrame) -> None:
        self._tallies = [tally.added_up([*self._tallies, counted])]
        self._resources = [pl.concat([*self._resources, resources]).unique()]

    def _whole(self) -> pl.DataFrame:
        resources = [tally.resource_tally(each, self._registry) for each in self._resources]
        return tally.added_up([*self._tallies, *resources])
