"""The entity graph: change -> test run -> build -> deployment -> version in spans -> incident -> charge.

Put here how two kinds of entities are linked: one function a pair, each yielding candidates with the method that found
them. Every number that could be argued about is in ``link_rule``, so that the graph can be made again under another
rule and compared. A link is known when the later of its two ends is.
"""

import json
from collections.abc import Iterator, Mapping
from datetime import timedelta

import polars as pl

from weaver_forge.contracts.dtypes import empty
from weaver_forge.contracts.tables.changes import CORE_CHANGES_CHANGES
from weaver_forge.contracts.tables.ci import CORE_CI_RUNS, CORE_CI_TEST_RESULTS
from weaver_forge.contracts.tables.cost import CORE_COST_CHARGES
from weaver_forge.contracts.tables.entities import CORE_ENTITY_LINK_RATES, CORE_ENTITY_LINKS
from weaver_forge.contracts.tables.operations import CORE_DEPLOYMENTS_DEPLOYMENTS, CORE_INCIDENTS_INCIDENTS
from weaver_forge.contracts.tables.traces import CORE_TRACE_VERSION_DAYS
from weaver_forge.links.link_rule import CONFIDENCE, LinkRule

READS = (
    CORE_CHANGES_CHANGES,
    CORE_CI_RUNS,
    CORE_CI_TEST_RESULTS,
    CORE_DEPLOYMENTS_DEPLOYMENTS,
    CORE_TRACE_VERSION_DAYS,
    CORE_INCIDENTS_INCIDENTS,
    CORE_COST_CHARGES,
)

PAIRS = (
    ("change", "test_run"),
    ("test_run", "build"),
    ("change", "build"),
    ("build", "deployment"),
    ("change", "deployment"),
    ("deployment", "version"),
    ("deployment", "incident"),
    ("version", "incident"),
    ("change", "incident"),
    ("version", "charge"),
    ("incident", "charge"),
)
"""Kinds that are linked, earlier first."""

_SERVICE_NAME = pl.col("service_key").str.split("/").list.get(1, null_on_oob=True)
_CANDIDATE = ("from_id", "to_id", "method", "known_at")


def entity_graph(tables: Mapping[str, pl.DataFrame], rule: LinkRule) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Link everything; returns ``core_entity__links`` and ``core_entity__link_rates``.

    Args:
        tables: The tables of :data:`READS` by name; one that is absent has no rows.
        rule: The rule; the default one is ``LinkRule()``.
    """
    there = {table.name: tables.get(table.name, empty(table)) for table in READS}
    entities = entity_ids(there, rule)
    links, rates = [], []
    for earlier, later in PAIRS:
        candidates = [c.select(_CANDIDATE) for c in _CANDIDATES[earlier, later](entities, rule)]
        found = _weighed(pl.concat(candidates, how="vertical_relaxed"))
        linked = found.with_columns(from_kind=pl.lit(earlier), to_kind=pl.lit(later), rule=pl.lit(rule.digest)).select(
            CORE_ENTITY_LINKS.column_names
        )
        links.append(linked)
        rates.append(_rate(earlier, later, entities[later], found, rule))
    order = ["from_kind", "to_kind", "to_id", "from_id"]
    return pl.concat(links).sort(order), pl.DataFrame(rates, schema=_rate_schema(), orient="row")


def entity_ids(tables: Mapping[str, pl.DataFrame], rule: LinkRule) -> dict[str, pl.DataFrame]:
    """The entities of each kind with their ``id`` and what links them.

    change ``repo@revision``; test_run ``repo#run``; build ``repo#run.attempt``; deployment its id; version
    ``service_key@version``; incident its id; charge ``export:period:resource`` (all charges of one resource, or of one
    provider service where no resource is named, in a billing period).
    """
    runs = tables[CORE_CI_RUNS.name].filter(~pl.col("run_id").str.starts_with("report-"))
    results = tables[CORE_CI_TEST_RESULTS.name]
    versions = tables[CORE_TRACE_VERSION_DAYS.name]
    return {
        "change": tables[CORE_CHANGES_CHANGES.name].select(
            pl.format("{}@{}", "repo_id", "revision").alias("id"), "repo_id", "revision", "known_at"
        ),
        "test_run": results.group_by("repo_id", "run_id", "revision").agg(pl.col("known_at").min()).with_columns(
            id=pl.format("{}#{}", "repo_id", "run_id")
        ).sort("id", "revision", nulls_last=True).unique("id", keep="first", maintain_order=True),
        "build": runs.with_columns(id=pl.format("{}#{}.{}", "repo_id", "run_id", "run_attempt")),
        "deployment": tables[CORE_DEPLOYMENTS_DEPLOYMENTS.name].with_columns(id=pl.col("deployment_id")),
        "version": versions.group_by("service_key", "version").agg(
            pl.col("first_at", "known_at").min(), pl.col("last_at").max()
        ).with_columns(id=pl.format("{}@{}", "service_key", "version")),
        "incident": tables[CORE_INCIDENTS_INCIDENTS.name].with_columns(id=pl.col("incident_id")),
        "charge": _charges(tables[CORE_COST_CHARGES.name], rule),
    }  # fmt: skip


def _charges(charges: pl.DataFrame, rule: LinkRule) -> pl.DataFrame:
    tags = [pl.col("tags").str.json_path_match(f'$["{tag}"]') for tag in rule.service_tags]
    named = charges.with_columns(
        id=pl.format(
            "{}:{}:{}",
            "export",
            pl.col("billing_period_start").dt.strftime("%Y-%m-%d"),
            pl.coalesce("resource_id", "service_name"),
        ),
        service_name=pl.coalesce(*tags, pl.lit(None, pl.String)),
    )
    return named.group_by("id").agg(
        pl.col("service_name").drop_nulls().first(),
        pl.col("charge_period_start", "known_at").min(),
        pl.col("charge_period_end").max(),
    )


def _change_test_run(of: Mapping[str, pl.DataFrame], _rule: LinkRule) -> Iterator[pl.DataFrame]:
    yield _joined(of["change"], of["test_run"], ["repo_id", "revision"], "revision")


def _test_run_build(of: Mapping[str, pl.DataFrame], rule: LinkRule) -> Iterator[pl.DataFrame]:
    runs, builds = of["test_run"], of["build"]
    last = builds.sort("run_attempt").unique(["repo_id", "run_id"], keep="last", maintain_order=True)
    same = _joined(runs, last, ["repo_id", "run_id"], "run_id")
    yield same
    rest = runs.join(same, left_on="id", right_on="from_id", how="anti")
    near = rest.join(builds, on=["repo_id", "revision"], suffix="_to").filter(
        (pl.col("known_at") - pl.col("ended_at")).abs() <= _hours(rule.build_near_h)
    )
    yield _candidates(near, "revision_near")


def _change_build(of: Mapping[str, pl.DataFrame], _rule: LinkRule) -> Iterator[pl.DataFrame]:
    yield _joined(of["change"], of["build"], ["repo_id", "revision"], "revision")


def _build_deployment(of: Mapping[str, pl.DataFrame], rule: LinkRule) -> Iterator[pl.DataFrame]:
    """The newest successful build of what was deployed that had ended before the deployment began."""
    passed = of["build"].filter(pl.col("conclusion") == "success")
    for method, deployments in (
        ("revision_before", of["deployment"].filter(pl.col("revision").is_not_null())),
        ("revision_in_version", _by_version(of, rule)),
    ):
        before = passed.join(deployments, on="revision", suffix="_to").filter(
            _same_repo(), pl.col("ended_at") <= pl.col("started_at_to")
        )
        yield _candidates(before.sort("ended_at").unique("id_to", keep="last", maintain_order=True), method)


def _change_deployment(of: Mapping[str, pl.DataFrame], rule: LinkRule) -> Iterator[pl.DataFrame]:
    told = of["deployment"].filter(pl.col("revision").is_not_null())
    yield _candidates(of["change"].join(told, on="revision", suffix="_to").filter(_same_repo()), "revision")
    guessed = of["change"].join(_by_version(of, rule), on="revision", suffix="_to").filter(_same_repo())
    yield _candidates(guessed, "revision_in_version")


def _by_version(of: Mapping[str, pl.DataFrame], rule: LinkRule) -> pl.DataFrame:
    """Deployments without a revision, with the one change whose first digits their version holds."""
    digits = rule.revision_digits
    short = of["change"].select("revision", digits=pl.col("revision").str.head(digits)).unique()
    only = short.filter(pl.col("digits").is_unique())
    said = of["deployment"].filter(pl.col("revision").is_null()).drop("revision").with_columns(
        digits=pl.col("version").str.to_lowercase().str.extract_all(f"[0-9a-f]{{{digits},40}}").list.eval(
            pl.element().str.head(digits)
        )
    )  # fmt: skip
    return said.explode("digits").drop_nulls("digits").join(only, on="digits").unique(["id", "revision"])


def _deployment_version(of: Mapping[str, pl.DataFrame], rule: LinkRule) -> Iterator[pl.DataFrame]:
    deployments, versions = of["deployment"], of["version"]
    named = deployments.join(versions, on=["service_key", "version"], suffix="_to").filter(
        pl.col("started_at") <= pl.col("last_at")
    )
    yield _candidates(named, "version")
    yield _candidates(_built_from(deployments, versions, rule), "version_is_revision")
    # Spans whose version the deployment does not name: the first new one seen after it.
    nameless = deployments.filter(pl.col("version").str.len_bytes() == 0)
    seen = nameless.join(versions, on="service_key", suffix="_to").filter(
        pl.col("first_at").is_between(pl.col("started_at"), pl.col("started_at") + _hours(rule.seen_within_h))
    )
    yield _candidates(seen, "service_first_seen")


def _built_from(deployments: pl.DataFrame, versions: pl.DataFrame, rule: LinkRule) -> pl.DataFrame:
    """Deployments that name no service (GitHub's do not), with the versions that are the commit they deployed."""
    digits = rule.revision_digits
    hashes = versions.filter(pl.col("version").str.contains(f"^[0-9a-f]{{{digits},40}}$")).with_columns(
        digits=pl.col("version").str.head(digits)
    )
    told = deployments.filter(pl.col("revision").is_not_null(), ~_names_service()).with_columns(
        digits=pl.col("revision").str.head(digits)
    )
    met = told.join(hashes, on="digits", suffix="_to")
    return met.filter(
        pl.col("revision").str.starts_with(pl.col("version_to")), pl.col("started_at") <= pl.col("last_at")
    )


def _names_service() -> pl.Expr:
    return _SERVICE_NAME.str.len_bytes() > 0


def _deployment_incident(of: Mapping[str, pl.DataFrame], rule: LinkRule) -> Iterator[pl.DataFrame]:
    since = pl.col("started_at_to") - pl.col("started_at")
    after = of["deployment"].filter(_names_service()).join(of["incident"], on="service_key", suffix="_to").filter(
        since.is_between(timedelta(0), _hours(rule.incident_within_h))
    )  # fmt: skip
    yield _candidates(after, "service_after")


def _version_incident(of: Mapping[str, pl.DataFrame], _rule: LinkRule) -> Iterator[pl.DataFrame]:
    served = of["version"].join(of["incident"], on="service_key", suffix="_to").filter(
        pl.col("started_at").is_between(pl.col("first_at"), pl.col("last_at"))
    )  # fmt: skip
    yield _candidates(served, "service_served")


def _change_incident(of: Mapping[str, pl.DataFrame], _rule: LinkRule) -> Iterator[pl.DataFrame]:
    reviewed = of["incident"].filter(pl.col("cause_revision").is_not_null()).rename({
        "cause_revision": "revision", "cause_repo_id": "repo_id",
    })  # fmt: skip
    yield _candidates(of["change"].join(reviewed, on="revision", suffix="_to").filter(_same_repo()), "review")


def _version_charge(of: Mapping[str, pl.DataFrame], _rule: LinkRule) -> Iterator[pl.DataFrame]:
    versions = of["version"].with_columns(service_name=_SERVICE_NAME)
    paid = versions.join(of["charge"].drop_nulls("service_name"), on="service_name", suffix="_to").filter(
        pl.col("first_at") < pl.col("charge_period_end"), pl.col("last_at") >= pl.col("charge_period_start")
    )
    yield _candidates(paid, "service_tag")


def _incident_charge(of: Mapping[str, pl.DataFrame], _rule: LinkRule) -> Iterator[pl.DataFrame]:
    incidents = of["incident"].with_columns(service_name=_SERVICE_NAME)
    ended = pl.col("resolved_at").fill_null(pl.col("charge_period_end"))
    during = incidents.join(of["charge"].drop_nulls("service_name"), on="service_name", suffix="_to").filter(
        pl.col("started_at") < pl.col("charge_period_end"), ended >= pl.col("charge_period_start")
    )
    yield _candidates(during, "service_tag_during")


_CANDIDATES = {
    ("change", "test_run"): _change_test_run,
    ("test_run", "build"): _test_run_build,
    ("change", "build"): _change_build,
    ("build", "deployment"): _build_deployment,
    ("change", "deployment"): _change_deployment,
    ("deployment", "version"): _deployment_version,
    ("deployment", "incident"): _deployment_incident,
    ("version", "incident"): _version_incident,
    ("change", "incident"): _change_incident,
    ("version", "charge"): _version_charge,
    ("incident", "charge"): _incident_charge,
}


def _hours(n: float) -> timedelta:
    return timedelta(hours=n)


def _same_repo() -> pl.Expr:
    """One side may not say its repository; two that say different ones are no link."""
    return pl.col("repo_id_to").is_null() | (pl.col("repo_id") == pl.col("repo_id_to"))


def _joined(earlier: pl.DataFrame, later: pl.DataFrame, on: list[str], method: str) -> pl.DataFrame:
    return _candidates(earlier.join(later, on=on, suffix="_to"), method)


def _candidates(pairs: pl.DataFrame, method: str) -> pl.DataFrame:
    return pairs.select(
        from_id="id",
        to_id="id_to",
        method=pl.lit(method),
        known_at=pl.max_horizontal("known_at", "known_at_to"),
    )


def _weighed(candidates: pl.DataFrame) -> pl.DataFrame:
    """The best method of each pair, its confidence shared among the earlier entities that it offers."""
    worth = pl.col("method").replace_strict(dict(CONFIDENCE), return_dtype=pl.Float64)
    best = candidates.with_columns(worth=worth).sort("worth", "known_at", descending=[True, False])
    once = best.unique(["from_id", "to_id"], keep="first", maintain_order=True)
    return once.with_columns(confidence=pl.col("worth") / pl.len().over("to_id", "method"))


def _rate(earlier: str, later: str, entities: pl.DataFrame, found: pl.DataFrame, rule: LinkRule) -> tuple[object, ...]:
    n, n_linked = entities.height, found["to_id"].n_unique()
    by_method = dict(found.group_by("method").len().sort("method").iter_rows())
    ambiguous = found.group_by("to_id", "method").len().filter(pl.col("len") > 1)["to_id"].n_unique()
    return earlier, later, n, n_linked, ambiguous, n_linked / n if n else None, json.dumps(by_method), rule.digest


def _rate_schema() -> dict[str, pl.DataType]:
    return dict(empty(CORE_ENTITY_LINK_RATES).schema)
