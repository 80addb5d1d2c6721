"""What the code location defines: assets, checks, groups, partitions, jobs, schedules and sensors.

Only the last tests run anything; the rest looks at definitions that touch no file.
"""

from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import dagster as dg
import polars as pl
import pytest

from assets.autonomy import AUTONOMY
from assets.core import changes
from assets.core.traces import MARTS
from assets.decisions import decision_assets, decision_tables, model_key, score_key
from assets.definitions import build_defs, load_deployment, open_deployment
from assets.publishing import OVERVIEW, SNAPSHOT
from assets.raw import SOURCES as RAW_SOURCES
from assets.raw import git
from assets.raw.intake import raw_assets
from assets.resources import Deployment
from assets.spool import SPOOL
from assets.tables import CONTRACT
from weaver_forge.contracts.decision import feature_table
from weaver_forge.contracts.table import Table
from weaver_forge.contracts.tables import ALL, BY_NAME
from weaver_forge.contracts.tables.changes import CORE_CHANGES_CHANGES
from weaver_forge.contracts.tables.ci import CORE_CI_QUARANTINES
from weaver_forge.contracts.tables.entities import CORE_ENTITY_LINK_RATES, CORE_ENTITY_LINKS
from weaver_forge.settings import SOURCES, Settings
from weaver_forge.testing import Truth
from weaver_forge.warehouse import Warehouse

NOW = datetime(2026, 1, 13)
Configure = Callable[..., Settings]


@pytest.fixture(scope="module")
def deployment(configure: Configure, tmp_path_factory: pytest.TempPathFactory) -> Deployment:
    return load_deployment(configure(tmp_path_factory.mktemp("defined"), NOW))


@pytest.fixture(scope="module")
def defs(deployment: Deployment) -> dg.Definitions:
    return build_defs(deployment)


@pytest.fixture(scope="module")
def assets(defs: dg.Definitions) -> dict[str, dg.AssetSpec]:
    return {spec.key.to_user_string(): spec for spec in defs.resolve_all_asset_specs()}


def declared(deployment: Deployment) -> dict[str, Table]:
    """Every table that an asset writes; what ingest itself keeps books in is no asset."""
    tables = [table for table in ALL if table.source != "ingest"]
    tables += [table for spec in deployment.specs for table in decision_tables(spec)]
    return {table.name: table for table in tables}


def test_asset_keys_are_the_declared_tables_the_models_their_scores_and_the_snapshot(
    deployment: Deployment, assets: dict[str, dg.AssetSpec]
) -> None:
    """Names are computed from the contracts: nothing is there that is not declared, nothing declared is missing."""
    kinds = [(spec, kind) for spec in deployment.specs for kind in spec.kinds]
    learned = {key(spec, kind) for spec, kind in kinds for key in (model_key, score_key)}

    assert set(assets) == {*declared(deployment), *learned, SNAPSHOT, OVERVIEW, SPOOL, AUTONOMY}


def test_a_code_location_is_loaded_without_touching_the_warehouse(
    deployment: Deployment, defs: dg.Definitions, assets: dict[str, dg.AssetSpec]
) -> None:
    """The daemon loads it while runs of other processes write."""
    assert assets
    assert not deployment.settings.warehouse.exists()


def test_every_table_has_a_blocking_contract_check(deployment: Deployment, defs: dg.Definitions) -> None:
    graph = defs.resolve_asset_graph()

    checked = {
        key.asset_key.to_user_string()
        for key in graph.asset_check_keys
        if key.name == CONTRACT and graph.get(key).blocking
    }

    assert checked == set(declared(deployment))


def test_groups_say_layer_and_source(deployment: Deployment, assets: dict[str, dg.AssetSpec]) -> None:
    of_tables = {name: assets[name].group_name for name in declared(deployment)}

    assert of_tables == {name: f"{table.layer}_{table.source}" for name, table in declared(deployment).items()}


def test_every_asset_says_what_one_row_is(deployment: Deployment, assets: dict[str, dg.AssetSpec]) -> None:
    for name, table in declared(deployment).items():
        assert table.grain in str(assets[name].description)
        columns = assets[name].metadata["dagster/column_schema"].columns
        assert [column.name for column in columns] == list(table.column_names)


def test_dependencies_lead_from_sources_to_the_snapshot(
    deployment: Deployment, assets: dict[str, dg.AssetSpec]
) -> None:
    """Raw tables have no upstream; every other asset has, and all of it exists."""
    upstream = {name: {dep.asset_key.to_user_string() for dep in spec.deps} for name, spec in assets.items()}

    sources = {t.name for t in ALL if t.layer == "raw"} - {"raw_ingest__inputs", "raw_ingest__rejected"}
    assert {name for name, deps in upstream.items() if not deps} == sources | {SPOOL}
    assert set().union(*upstream.values()) <= set(assets)


@pytest.mark.parametrize("decision", ["test_selection", "load_forecast", "anomaly", "deploy_risk"])
def test_features_depend_on_exactly_what_the_spec_reads(
    decision: str, deployment: Deployment, assets: dict[str, dg.AssetSpec]
) -> None:
    (spec,) = [spec for spec in deployment.specs if spec.name == decision]

    for kind in spec.kinds:
        deps = {dep.asset_key.to_user_string() for dep in assets[feature_table(spec, kind).name].deps}
        assert deps == {table.name for table in spec.reads}


def test_the_marts_and_nothing_else_are_daily(assets: dict[str, dg.AssetSpec]) -> None:
    daily = {name for name, spec in assets.items() if isinstance(spec.partitions_def, dg.DailyPartitionsDefinition)}

    assert daily == {table.name for table in MARTS}
    assert {name for name, spec in assets.items() if spec.partitions_def is not None} == daily


def test_the_jobs_are_the_steps_of_the_loop(deployment: Deployment, defs: dg.Definitions) -> None:
    """``loop`` is all of them at once; ``retrain`` trains and publishes; ``publish`` trains nothing."""
    steps = {
        name: {key.to_user_string() for key in defs.resolve_job_def(name).asset_layer.executable_asset_keys}
        for name in ("ingest", "marts", "retrain", "publish", "loop")
    }

    assert steps["loop"] == steps["ingest"] | steps["marts"] | steps["retrain"]
    marts = {table.name for table in MARTS}
    assert steps["marts"] == marts | {CORE_ENTITY_LINKS.name, CORE_ENTITY_LINK_RATES.name, OVERVIEW}
    assert steps["publish"] < steps["retrain"]
    assert not any(name.startswith("model_") for name in steps["publish"])
    assert not {feature_table(spec, kind).name for spec in deployment.specs for kind in spec.kinds} & steps["publish"]
    assert SNAPSHOT in steps["publish"]
    taken_in = {n for n in declared(deployment) if n.startswith(("raw_", "core_"))} - marts
    assert CORE_CI_QUARANTINES.name in steps["publish"]
    assert steps["ingest"] == taken_in - {CORE_CI_QUARANTINES.name} | {SPOOL, OVERVIEW}


def test_upkeep_retraining_and_publishing_are_scheduled_in_utc(defs: dg.Definitions) -> None:
    scheduled = {schedule.name: schedule for schedule in defs.schedules or ()}

    assert {name: schedule.job_name for name, schedule in scheduled.items()} == {
        "fetch_hourly": "fetch",
        "compact_nightly": "compact",
        "retrain_nightly": "retrain",
        "publish_hourly": "publish",
    }
    for schedule in scheduled.values():
        assert schedule.execution_timezone == "UTC"
        assert schedule.default_status is dg.DefaultScheduleStatus.RUNNING


def test_every_source_of_the_settings_has_its_assets() -> None:
    assert {source.name for source in RAW_SOURCES} == set(SOURCES)


# Sensors --------------------------------------------------------------------------------------------------------


def _sensor(defs: dg.Definitions, name: str) -> dg.SensorDefinition:
    (sensor,) = [sensor for sensor in defs.sensors or () if sensor.name == name]
    assert isinstance(sensor, dg.SensorDefinition)
    return sensor


@pytest.fixture
def watched(configure: Configure, tmp_path: Path) -> tuple[Settings, dg.SensorDefinition]:
    """A deployment of its own, whose inbox a test may fill, and the sensor that watches it."""
    deployment = load_deployment(configure(tmp_path, NOW))
    return deployment.settings, _sensor(build_defs(deployment), "inbox")


def test_the_inbox_starts_an_ingest_once_a_file_is_there(watched: tuple[Settings, dg.SensorDefinition]) -> None:
    """A file starts one run; nothing new starts none; the same file grown, or another one, starts the next."""
    settings, sensor = watched
    empty = sensor.evaluate_tick(dg.build_sensor_context())
    put = settings.inbox / "tests" / "build-1" / "TEST-a.xml"
    put.parent.mkdir(parents=True)
    put.write_text("<testsuite/>", encoding="utf-8")

    first = sensor.evaluate_tick(dg.build_sensor_context(cursor=empty.cursor))
    unchanged = sensor.evaluate_tick(dg.build_sensor_context(cursor=first.cursor))
    put.write_text("<testsuite></testsuite>", encoding="utf-8")
    grown = sensor.evaluate_tick(dg.build_sensor_context(cursor=first.cursor))

    assert sensor.job_name == "ingest"
    assert (empty.run_requests, empty.skip_message) == ([], "nothing new in the inbox")
    assert len(first.run_requests or ()) == 1
    assert unchanged.run_requests == []
    assert len(grown.run_requests or ()) == 1
    assert (grown.run_requests or [])[0].run_key != (first.run_requests or [])[0].run_key


@pytest.mark.parametrize("name", ["otlp/received/traces-1.otlp", "decisions/1.jsonl"])
def test_what_a_failed_run_left_in_the_inbox_is_asked_for_again(
    watched: tuple[Settings, dg.SensorDefinition], name: str
) -> None:
    """A run that succeeds deletes it; after a full disk nothing else may come that would start the next run."""
    settings, sensor = watched
    put = settings.inbox / name
    put.parent.mkdir(parents=True)
    put.write_bytes(b"{}")

    with dg.DagsterInstance.ephemeral() as instance:
        first = sensor.evaluate_tick(dg.build_sensor_context(instance))
        again = sensor.evaluate_tick(dg.build_sensor_context(instance, cursor=first.cursor))

    keys = [[request.run_key for request in ticked.run_requests or ()] for ticked in (first, again)]
    assert [len(found) for found in keys] == [1, 1]
    assert keys[0] != keys[1]


@pytest.mark.parametrize("name", ["nobody/report.xml", "tests/.report.xml.part"])
def test_the_inbox_ignores_what_is_no_input(watched: tuple[Settings, dg.SensorDefinition], name: str) -> None:
    """A folder that is no source, and a file still being written under a hidden name, start nothing."""
    settings, sensor = watched
    put = settings.inbox / name
    put.parent.mkdir(parents=True)
    put.write_text("<testsuite/>", encoding="utf-8")

    ticked = sensor.evaluate_tick(dg.build_sensor_context())

    assert ticked.run_requests == []


def test_no_day_is_recomputed_when_all_marts_are_up_to_date(lived: tuple[Settings, list[dict[str, Any]]]) -> None:
    """The sensor finds its days by counting spans, so a finished loop leaves it nothing to do."""
    sensor = _sensor(build_defs(load_deployment(lived[0])), "touched_days")

    ticked = sensor.evaluate_tick(dg.build_sensor_context())

    assert ticked.run_requests == []
    assert ticked.skip_message == "every day's marts are up to date"


# Contracts ------------------------------------------------------------------------------------------------------


class Doubling(Warehouse):
    """A warehouse that stores one table twice, as a wrong join upstream of the write would."""

    doubled = ""

    def replace(self, table: Table, frame: pl.DataFrame) -> int:
        """Write, and then write the chosen table's rows once more."""
        written = super().replace(table, frame)
        if table.name == self.doubled:
            with self.connect() as con:
                con.execute(f'insert into "{table.name}" select * from "{table.name}"')
        return written


@pytest.mark.parametrize("doubled", [CORE_CHANGES_CHANGES.name, ""], ids=["broken", "whole"])
def test_a_broken_contract_stops_what_is_downstream(
    doubled: str, configure: Configure, organisation: tuple[Path, Truth], tmp_path: Path
) -> None:
    """A table whose key repeats is reported, and no feature is computed from it; a whole one lets all run."""
    (tmp_path / "organisation").symlink_to(organisation[0])
    opened = open_deployment(configure(tmp_path, NOW, {"deploy_risk": "models.deploy_risk"}))
    warehouse = Doubling(opened.settings.warehouse, opened.settings.lake)
    warehouse.doubled = doubled
    deployment = Deployment(opened.settings, opened.specs, warehouse)
    features = {feature_table(spec, kind).name for spec in opened.specs for kind in spec.kinds}
    everything = [raw_assets(git.SOURCE), *changes.assets, *(a for s in opened.specs for a in decision_assets(s))]

    result = dg.materialize(
        everything,
        selection=dg.AssetSelection.groups("raw_git", "core_changes", "feat_deploy_risk"),
        resources={"deployment": deployment},
        raise_on_error=False,
    )

    made = {event.asset_key.to_user_string() for event in result.get_asset_materialization_events() if event.asset_key}
    failed = {check.asset_key.to_user_string() for check in result.get_asset_check_evaluations() if not check.passed}
    assert result.success is not bool(doubled)
    assert failed == ({doubled} if doubled else set())
    assert (features & made) == (set() if doubled else features)
    assert warehouse.read(BY_NAME[CORE_CHANGES_CHANGES.name]).height > 0
