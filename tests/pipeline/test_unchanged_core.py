"""What of core is computed again by an ingest: what could come out otherwise than it is stored, and nothing else."""

import json
import sys
from pathlib import Path

import pytest

from assets.verbs.loop import Runner
from weaver_forge.contracts.tables.ci import CORE_CI_TEST_RESULTS, CORE_CI_TEST_VERDICTS
from weaver_forge.contracts.tables.operations import CORE_TRACE_RED_MINUTES
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


def span(number: int, nanoseconds: int) -> str:
    one = {"traceId": f"{number:032x}", "spanId": f"{number:016x}", "name": "GET /", "kind": 2}
    times = {"startTimeUnixNano": str(nanoseconds), "endTimeUnixNano": str(nanoseconds + 1000)}
    service = {"attributes": [{"key": "service.name", "value": {"stringValue": "web"}}]}
    return json.dumps({"resourceSpans": [{"resource": service, "scopeSpans": [{"spans": [one | times]}]}]})


def test_spans_have_every_step_run_once_and_marts_once_a_block_of_days(deployed: Deployed, tmp_path: Path) -> None:
    deployed.ingest(report(tmp_path / "1.xml", "one"))
    first, much_later = 1_767_600_000_000_000_000, 1_775_600_000_000_000_000
    (tmp_path / "spans").write_text(f"{span(1, first)}\n{span(2, much_later)}\n", encoding="utf-8")

    deployed.events.clear()
    runner = Runner(deployed.settings, lambda event: deployed.events.append(dict(event)))
    runner.ingest({"otlp": {"paths": [str(tmp_path / "spans")]}})

    steps = [(event["step"], event.get("message")) for event in deployed.events if event["event"] == "progress"]
    marts = [days for step, days in steps if step == "core_trace_marts"]
    others = [step for step, _ in steps if step != "core_trace_marts"]
    assert marts == ["2026-01-05", "2026-04-07"]
    assert len(others) == len(set(others))
    assert others[-2:] == ["core_entities", "published_overview"]
    assert "core_ci" not in others
    assert runner.deployment.warehouse.read(CORE_TRACE_RED_MINUTES).height == 2


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
