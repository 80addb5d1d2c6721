"""Counts of telemetry (``tally``) -> findings a service and day, and the quality of what each service sends.

**Quality** of a service's day, over attributes as they were sent (a resource's count once, a signal's every time):

* ``n_samples``: attributes. ``n_violations``: those of them that the registry defines and that break it (deprecated,
  of the wrong type, in an illegal namespace); one with several such findings counts once. ``coverage``: share that
  the registry defines.
* ``score = (1 - n_violations / n_samples) * coverage``: 1 when everything sent is defined and right. An undefined
  attribute costs by coverage alone, not twice. Null without samples: nothing sent is not bad quality.

Absent attributes and unknown metrics or events are findings, and no part of the score: they are not samples.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import polars as pl

from weaver_forge.semconv.advice import attribute_findings
from weaver_forge.semconv.classes import CLASSES
from weaver_forge.semconv.finding import Finding, Place
from weaver_forge.semconv.registry import Attribute, Registry, Signal
from weaver_forge.semconv.signals import entity_findings, event_findings, metric_findings

RULES = 2
"""Counted up when the same telemetry and registry get other findings or scores: then every day is judged again."""

FINDINGS: Mapping[str, Any] = {
    "service_key": pl.String,
    "day_at": pl.Datetime("us"),
    "signal": pl.String,
    "finding_id": pl.String,
    "level": pl.String,
    "attribute": pl.String,
    "n": pl.Int64,
    "message": pl.String,
    "example": pl.String,
}
_QUALITY = ["service_key", "day_at"]

_INSTRUMENTS = {"gauge": "gauge", "histogram": "histogram", "exponential_histogram": "histogram"}


def findings(tally: pl.DataFrame, registry: Registry) -> pl.DataFrame:
    """What is wrong with attributes, with what classed spans and events lack, and with events: rows of FINDINGS.

    Args:
        tally: Of whole days, added up.
        registry: What is defined.
    """
    said = tally.filter(pl.col("key").is_not_null() & pl.col("is_said"))
    rules = _attribute_rules(said.select("signal", "key", "detail").unique(), registry)
    found = said.join(rules, on=["signal", "key", "detail"], how="inner").with_columns(attribute=pl.col("key"))
    return _merged([found, _absent(tally, registry), _events(tally, registry)])


def point_findings(points: pl.DataFrame, registry: Registry) -> pl.DataFrame:
    """Names, instruments, units and entities of metrics, from rows of ``raw_otlp__metric_points``."""
    day = (pl.col("time_unix_ns") // 86_400_000_000_000 * 86_400_000_000).cast(pl.Datetime("us"))
    key = pl.concat_str("service_namespace", "service_name", "deployment_environment_name", separator="/")
    what = ["metric_name", "metric_type", "is_monotonic", "unit"]
    keys = pl.col("resource_attributes").list.eval(pl.element().struct.field("key")).list.sort()
    counted = points.group_by(
        key.alias("service_key"), day.alias("day_at"), *what, keys.list.join("\n").alias("resource_keys")
    ).agg(pl.len().cast(pl.Int64).alias("n"))
    rows = []
    for row in counted.iter_rows(named=True):
        for finding in _metric(row, registry):
            rows.append(_row(row, "metric", finding, row["metric_name"]))  # noqa: PERF401 - a generator of dicts reads worse
    return _merged([pl.DataFrame(rows, schema=FINDINGS)])


def quality(tally: pl.DataFrame, registry: Registry) -> pl.DataFrame:
    """``n_samples``, ``n_violations``, ``coverage`` and ``score`` of each service and day in the tally."""
    said = tally.filter(pl.col("key").is_not_null() & pl.col("is_said"))
    distinct = said.select("signal", "key", "detail").unique()
    judged = [
        {**row, "resolved": registry.find(row["key"]) is not None, "violates": _violates(row, registry)}
        for row in distinct.iter_rows(named=True)
    ]
    schema = {
        "signal": pl.String,
        "key": pl.String,
        "detail": pl.String,
        "resolved": pl.Boolean,
        "violates": pl.Boolean,
    }
    counted = (
        said.join(pl.DataFrame(judged, schema=schema), on=["signal", "key", "detail"])
        .group_by(_QUALITY)
        .agg(
            pl.col("n").sum().alias("n_samples"),
            pl.col("n").filter("violates").sum().alias("n_violations"),
            pl.col("n").filter("resolved").sum().alias("_resolved"),
        )
    )
    services = tally.select(_QUALITY).unique()
    joined = services.join(counted, on=_QUALITY, how="left").with_columns(
        pl.col("n_samples").fill_null(0), pl.col("n_violations").fill_null(0)
    )
    some = pl.when(pl.col("n_samples") > 0)
    coverage = some.then(pl.col("_resolved") / pl.col("n_samples"))
    score = some.then((1 - pl.col("n_violations") / pl.col("n_samples")) * coverage)
    return joined.select(*_QUALITY, "n_samples", "n_violations", coverage=coverage, score=score).sort(_QUALITY)


def _attribute_rules(distinct: pl.DataFrame, registry: Registry) -> pl.DataFrame:
    """Findings of each distinct attribute and kind of value."""
    rows = [
        {**row, "finding_id": each.id, "level": each.level, "message": each.message}
        for row in distinct.iter_rows(named=True)
        for each in _judged(row, registry)
    ]
    words = ("signal", "key", "detail", "finding_id", "level", "message")
    return pl.DataFrame(rows, schema=dict.fromkeys(words, pl.String))


def _judged(row: Mapping[str, Any], registry: Registry) -> list[Finding]:
    kind, value = _kind_and_value(registry.find(row["key"]), row["detail"])
    return attribute_findings(registry, row["key"], kind, value, Place(row["signal"]), exact_names=False)


def _violates(row: Mapping[str, Any], registry: Registry) -> bool:
    is_defined = registry.find(row["key"]) is not None
    return is_defined and any(f.level == "violation" for f in _judged(row, registry))


def _kind_and_value(attribute: Attribute | None, detail: str) -> tuple[str | None, Any]:
    """The type that a text is known to have, with the benefit of the doubt, and an enum's value."""
    if attribute is None or not detail:
        return None, None
    expected = attribute.value_type
    if expected == "enum":
        first = attribute.members[0].value
        is_number = isinstance(first, int) and not isinstance(first, bool) and detail.lstrip("-").isdigit()
        return ("int", int(detail)) if is_number else ("string", detail)
    if detail == "array":
        return expected if expected.endswith("[]") else "string[]", None
    return detail, None


def _absent(tally: pl.DataFrame, registry: Registry) -> pl.DataFrame:
    """What classed spans, known metrics and known events require and do not have: violations alone."""
    by = [*_QUALITY, "signal", "signal_class"]
    rows = []
    samples = tally.filter(pl.col("key").is_null()).group_by(by).agg(pl.col("n").sum(), pl.col("example").max())
    present = tally.filter(pl.col("key").is_not_null()).group_by([*by, "key"]).agg(pl.col("n").sum())
    had = {tuple(row[:-1]): row[-1] for row in present.iter_rows()}
    for row in samples.iter_rows(named=True):
        defined = _definition(row["signal"], row["signal_class"], registry)
        for reference in defined.attributes if defined else ():
            lacking = row["n"] - had.get((*(row[name] for name in by), reference.name), 0)
            if reference.level == "required" and lacking > 0 and not _is_template(registry, reference.name):
                message = f"Required attribute '{reference.name}' is not present."
                place = Place(row["signal"])
                finding = place.finding("required_attribute_not_present", message, attribute_key=reference.name)
                rows.append(
                    {**_row(row, row["signal"], finding, reference.name), "n": lacking, "example": row["example"]}
                )
    return pl.DataFrame(rows, schema=FINDINGS)


def _is_template(registry: Registry, name: str) -> bool:
    attribute = registry.attributes.get(name)
    return attribute is not None and attribute.is_template


def _definition(signal: str, name: str, registry: Registry) -> Signal | None:
    if signal == "span":
        definition = next((each.definition for each in CLASSES if each.name == name and each.definition), "")
        found = registry.spans.get(definition)
        return found if found is not None and found.deprecated is None else None
    return {"metric": registry.metrics, "log": registry.events}.get(signal, {}).get(name)


def _events(tally: pl.DataFrame, registry: Registry) -> pl.DataFrame:
    logs = tally.filter(
        pl.col("key").is_null() & (pl.col("signal") == "log") & (pl.col("signal_class").str.len_bytes() > 0)
    )
    rows = []
    for row in logs.iter_rows(named=True):
        name = row["signal_class"]
        # What it lacks is counted over all records, in _absent; here all are taken to be there.
        defined = registry.events.get(name)
        keys = [reference.name for reference in defined.attributes] if defined else []
        rows += [_row(row, "log", each, name) for each in event_findings(registry, name, keys, Place("log", name))]
    return pl.DataFrame(rows, schema=FINDINGS)


def _metric(row: Mapping[str, Any], registry: Registry) -> Iterator[Finding]:
    name, kind = row["metric_name"], row["metric_type"]
    instrument = (
        ("counter" if row["is_monotonic"] else "updowncounter") if kind == "sum" else _INSTRUMENTS.get(kind, kind)
    )
    place = Place("metric", name)
    yield from metric_findings(registry, name, instrument, row["unit"], place)
    defined = registry.metrics.get(name)
    if defined is not None:
        keys = {"service.name", *(row["resource_keys"] or "").split("\n")}
        yield from entity_findings(registry, defined, keys, place)


def _row(of: Mapping[str, Any], signal: str, finding: Finding, attribute: str) -> dict[str, Any]:
    return {
        "service_key": of["service_key"],
        "day_at": of["day_at"],
        "signal": signal,
        "finding_id": finding.id,
        "level": finding.level,
        "attribute": finding.context.get("attribute_key", attribute),
        "n": of["n"],
        "message": finding.message,
        "example": finding.signal_name or of.get("example") or "",
    }


def merged(parts: Iterable[pl.DataFrame]) -> pl.DataFrame:
    """Rows of FINDINGS added up; of several messages the one of the most samples stays."""
    return _merged(list(parts))


def _merged(parts: list[pl.DataFrame]) -> pl.DataFrame:
    by = ["service_key", "day_at", "signal", "finding_id", "attribute"]
    rows = pl.concat([pl.DataFrame(schema=FINDINGS), *(part.select(*FINDINGS) for part in parts)])
    ordered = rows.sort("n", "message", descending=[True, False])
    return (
        ordered.group_by(by, maintain_order=True)
        .agg(pl.col("level").first(), pl.col("n").sum(), pl.col("message").first(), pl.col("example").first())
        .sort(by)
        .select(*FINDINGS)
    )
