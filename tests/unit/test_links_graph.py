"""The entity graph on a small story told by hand: one change from commit to charge."""

import json
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import polars as pl
import pytest

from weaver_forge.contracts.dtypes import empty, from_rows
from weaver_forge.contracts.tables.entities import CORE_ENTITY_LINK_RATES, CORE_ENTITY_LINKS
from weaver_forge.links.graph import PAIRS, READS, entity_graph
from weaver_forge.links.link_rule import LinkRule

AT = datetime(2026, 3, 1, 12)
BY_NAME = {table.name: table for table in READS}
SHA, OTHER = "a1b2c3d4e5" + "0" * 30, "f" * 40
REPO = "git.example/shop/cart"
SERVICE = "shop/cart/prod"


def hours(n: float) -> datetime:
    return AT + timedelta(hours=n)


def rows(table: str, *given: dict[str, Any]) -> pl.DataFrame:
    declared = BY_NAME[table]
    blank = {
        "VARCHAR": "", "TIMESTAMP": AT, "BIGINT": 0, "INTEGER": 1, "BOOLEAN": False, "DOUBLE": 0.0,
        "DECIMAL(38, 15)": Decimal(0),
    }  # fmt: skip
    filled = [{c.name: None if c.nullable else blank[c.type] for c in declared.columns} | row for row in given]
    return from_rows(declared, filled)


def story(**changed: pl.DataFrame) -> dict[str, pl.DataFrame]:
    return {
        "core_changes__changes": rows("core_changes__changes", {"repo_id": REPO, "revision": SHA}),
        "core_ci__test_results": rows(
            "core_ci__test_results", {"repo_id": REPO, "run_id": "7", "revision": SHA, "test_id": "t"}
        ),
        "core_ci__runs": rows(
            "core_ci__runs",
            {"repo_id": REPO, "run_id": "7", "revision": SHA, "conclusion": "success", "ended_at": hours(1)},
        ),
        "core_deployments__deployments": rows(
            "core_deployments__deployments",
            {"deployment_id": "d1", "service_key": SERVICE, "version": "1.4.0", "repo_id": REPO, "revision": SHA,
             "started_at": hours(2)},
        ),
        "core_trace__version_days": rows(
            "core_trace__version_days",
            {"service_key": SERVICE, "version": "1.4.0", "first_at": hours(2.1), "last_at": hours(9)},
        ),
        "core_incidents__incidents": rows(
            "core_incidents__incidents",
            {"incident_id": "i1", "service_key": SERVICE, "started_at": hours(3), "resolved_at": hours(4),
             "cause_repo_id": REPO, "cause_revision": SHA},
        ),
        "core_cost__charges": rows(
            "core_cost__charges",
            {"export": "bill", "billing_period_start": datetime(2026, 3, 1), "resource_id": "vm-1",
             "charge_period_start": datetime(2026, 3, 1), "charge_period_end": datetime(2026, 3, 2),
             "tags": '{"service.name": "cart", "team": "a"}'},
        ),
    } | changed  # fmt: skip


def test_a_change_is_followed_to_its_charge() -> None:
    links, rates = entity_graph(story(), LinkRule())

    found = {(a, b): (c, d, m, w) for a, c, b, d, m, w, *_ in links.iter_rows()}
    version, charge = f"{SERVICE}@1.4.0", "bill:2026-03-01:vm-1"
    assert found == {
        ("change", "test_run"): (f"{REPO}@{SHA}", f"{REPO}#7", "revision", 1.0),
        ("test_run", "build"): (f"{REPO}#7", f"{REPO}#7.1", "run_id", 1.0),
        ("change", "build"): (f"{REPO}@{SHA}", f"{REPO}#7.1", "revision", 1.0),
        ("build", "deployment"): (f"{REPO}#7.1", "d1", "revision_before", 0.9),
        ("change", "deployment"): (f"{REPO}@{SHA}", "d1", "revision", 1.0),
        ("deployment", "version"): ("d1", version, "version", 1.0),
        ("deployment", "incident"): ("d1", "i1", "service_after", 0.6),
        ("version", "incident"): (version, "i1", "service_served", 0.7),
        ("change", "incident"): (f"{REPO}@{SHA}", "i1", "review", 1.0),
        ("version", "charge"): (version, charge, "service_tag", 0.8),
        ("incident", "charge"): ("i1", charge, "service_tag_during", 0.5),
    }
    assert rates["rate"].to_list() == [1.0] * len(PAIRS)
    assert dict(links.schema) == dict(empty(CORE_ENTITY_LINKS).schema)
    assert dict(rates.schema) == dict(empty(CORE_ENTITY_LINK_RATES).schema)


def test_a_version_that_holds_the_first_digits_of_one_change_is_that_change() -> None:
    deployment = {"deployment_id": "d1", "service_key": SERVICE, "version": f"main-{SHA[:8]}", "started_at": hours(2)}
    tables = story(core_deployments__deployments=rows("core_deployments__deployments", deployment))

    links, _ = entity_graph(tables, LinkRule())

    to_d1 = links.filter(pl.col("to_id") == "d1").select("from_kind", "method", "confidence").rows()
    assert to_d1 == [("build", "revision_in_version", 0.9), ("change", "revision_in_version", 0.9)]


def test_a_deployment_that_names_no_service_is_found_by_the_commit_that_its_spans_carry() -> None:
    deployment = {"deployment_id": "d1", "service_key": "//production", "version": SHA, "revision": SHA,
                  "repo_id": REPO, "started_at": hours(2)}  # fmt: skip
    seen = {"service_key": SERVICE, "version": SHA[:12], "first_at": hours(2.1), "last_at": hours(9)}
    tables = story(
        core_deployments__deployments=rows("core_deployments__deployments", deployment),
        core_trace__version_days=rows("core_trace__version_days", seen),
    )

    links, _ = entity_graph(tables, LinkRule())

    met = links.filter((pl.col("from_kind") == "deployment") & (pl.col("to_kind") == "version"))
    assert met.select("to_id", "method").rows() == [(f"{SERVICE}@{SHA[:12]}", "version_is_revision")]


def test_of_several_deployments_an_incident_is_shared_among_them_and_counted_ambiguous() -> None:
    first = {"deployment_id": "d1", "service_key": SERVICE, "version": "1", "started_at": hours(2)}
    tables = story(
        core_deployments__deployments=rows(
            "core_deployments__deployments", first, first | {"deployment_id": "d2", "started_at": hours(2.5)}
        )
    )

    links, rates = entity_graph(tables, LinkRule())

    pair = (pl.col("from_kind") == "deployment") & (pl.col("to_kind") == "incident")
    assert links.filter(pair)["confidence"].to_list() == [0.3, 0.3]
    assert rates.filter(pair).select("n", "n_linked", "n_ambiguous", "rate").row(0) == (1, 1, 1, 1.0)


def test_another_rule_gives_other_links_under_another_name() -> None:
    narrow = LinkRule(incident_within_h=0.5)

    links, rates = entity_graph(story(), narrow)

    pair = (pl.col("from_kind") == "deployment") & (pl.col("to_kind") == "incident")
    assert links.filter(pair).is_empty()
    assert rates.filter(pair)["rate"].to_list() == [0.0]
    assert set(links["rule"]) == {narrow.digest} != {LinkRule().digest}


def test_two_repositories_with_one_revision_are_not_confused() -> None:
    elsewhere = rows("core_changes__changes", {"repo_id": "git.example/other", "revision": SHA})

    links, _ = entity_graph(story(core_changes__changes=elsewhere), LinkRule())

    assert links.filter(pl.col("from_kind") == "change").is_empty()


def test_a_run_without_an_id_meets_its_build_by_revision_and_time() -> None:
    report = {"repo_id": REPO, "run_id": "report-1", "revision": SHA, "test_id": "t", "known_at": hours(1.5)}
    late = report | {"run_id": "report-2", "known_at": hours(40)}
    tables = story(core_ci__test_results=rows("core_ci__test_results", report, late))

    links, _ = entity_graph(tables, LinkRule())

    met = links.filter(pl.col("from_kind") == "test_run").select("from_id", "method").rows()
    assert met == [(f"{REPO}#report-1", "revision_near")]


@pytest.mark.parametrize("missing", sorted(BY_NAME))
def test_without_a_source_the_rest_is_linked_all_the_same(missing: str) -> None:
    tables = story()
    del tables[missing]

    links, rates = entity_graph(tables, LinkRule())

    assert links.height > 0
    assert rates.height == len(PAIRS)
    assert all(json.loads(methods) is not None for methods in rates["methods"])


def test_a_link_is_known_when_the_later_of_its_ends_is() -> None:
    change = rows("core_changes__changes", {"repo_id": REPO, "revision": SHA, "known_at": hours(5)})

    links, _ = entity_graph(story(core_changes__changes=change), LinkRule())

    assert set(links.filter(pl.col("from_kind") == "change")["known_at"]) == {hours(5)}
