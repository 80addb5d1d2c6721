"""What of core is computed again by an ingest: what could come out otherwise than it is stored, and nothing else."""

import sys
from pathlib import Path

import pytest

from assets.verbs.loop import Runner
from weaver_forge.contracts.tables.ci import CORE_CI_TEST_RESULTS, CORE_CI_TEST_VERDICTS
from weaver_forge.settings import Settings

REVISION = "a" * 40


class Deployed:
    """A deployment without decisions, ingested into again and again."""

    def __init__(self, root: Path) -> None:
        self.settings = Settings(root=root, python=Path(sys.executable), decisions={})
        self.settings.dagster_home.mkdir(parents=True)
        self.events: list[dict[str, object]] = []

    def ingest(self, *reports: Path) -> Runner:
        """Take reports in; ``events`` are those of this ingest alone."""
        self.events.clear()
        runner = Runner(self.settings, lambda event: self.events.append(dict(event)))
        runner.ingest({"tests": {"paths": [str(path) for path in reports], "revision": REVISION}})
        return runner

    def computed(self) -> set[str]:
        """Steps of core and of the overview that the last ingest ran."""
        steps = {str(event["step"]) for event in self.events if event["event"] == "progress" and "message" not in event}
        return {step for step in steps if step.startswith(("core_", "published_"))}


def report(path: Path, *names: str) -> Path:
    cases = "".join(f'<testcase classname="a.B" name="{name}" time="0.1"/>' for name in names)
    path.write_text(f'<testsuite name="s" tests="{len(names)}">{cases}</testsuite>', encoding="utf-8")
    return path


@pytest.fixture
def deployed(tmp_path: Path) -> Deployed:
    return Deployed(tmp_path / "deployment")


def test_an_ingest_with_nothing_new_computes_nothing_again_and_new_input_only_what_reads_it(
    deployed: Deployed, tmp_path: Path
) -> None:
    first, second = report(tmp_path / "1.xml", "one"), report(tmp_path / "2.xml", "two", "three")
    deployed.ingest(first)
    at_first = deployed.computed()

    runner = deployed.ingest(first)
    with_nothing_new = deployed.computed()
    kept = runner.deployment.warehouse.read(CORE_CI_TEST_RESULTS).height
    runner = deployed.ingest(first, second)

    assert {"core_changes", "core_ci", "core_metric", "core_trace_spans", "published_overview"} <= at_first
    assert (with_nothing_new, kept) == (set(), 1)
    assert deployed.computed() == {"core_ci", "core_coverage", "core_entities", "published_overview"}
    assert runner.deployment.warehouse.read(CORE_CI_TEST_RESULTS).height == 3


def test_rows_that_something_else_wrote_into_core_are_computed_again(deployed: Deployed, tmp_path: Path) -> None:
    first = report(tmp_path / "1.xml", "one")
    warehouse = deployed.ingest(first).deployment.warehouse
    warehouse.replace(CORE_CI_TEST_VERDICTS, warehouse.read(CORE_CI_TEST_VERDICTS).clear())

    deployed.ingest(first)

    assert "core_ci" in deployed.computed()
    assert warehouse.read(CORE_CI_TEST_VERDICTS).height == 1


def test_a_changed_link_rule_has_the_entities_linked_again(deployed: Deployed, tmp_path: Path) -> None:
    first = report(tmp_path / "1.xml", "one")
    deployed.ingest(first)

    deployed.settings = Settings(
        root=deployed.settings.root, python=Path(sys.executable), decisions={}, links={"incident_within_h": 5.0}
    )
    deployed.ingest(first)

    assert "core_entities" in deployed.computed()
