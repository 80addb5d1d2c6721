"""Public exports of real systems, taken in as anyone's: every count and sum against one computed beside the product.

The independent reading uses nothing of this project: ElementTree, json, csv and the generated OTLP messages.
"""

import csv
import gzip
import json
import tarfile
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET  # noqa: S405 - samples at hand, nothing from outside

import pytest

from weaver_forge import settings
from weaver_forge.warehouse import Warehouse

pytestmark = [pytest.mark.e2e, pytest.mark.outside]

RATIS, OZONE = "ratis", "ozone"
REPEATED = ("flakyFailure", "flakyError", "rerunFailure", "rerunError")
"""surefire's children of a test case: an execution each, besides the case's own."""


@dataclass(frozen=True, slots=True)
class Taken:
    """A project's samples, the deployment that took them in, and what was said."""

    root: Path
    samples: Path
    data: Path
    ingest: Any

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        """Ask the warehouse."""
        at = settings.load(self.root)
        return Warehouse(at.warehouse, at.lake).query(sql).rows()

    def documents(self, name: str) -> list[Any]:
        """All exports of a name."""
        return [json.loads(path.read_text(encoding="utf-8")) for path in sorted(self.samples.rglob(name))]


@pytest.fixture(scope="session")
def both(
    forge: Callable[..., Any], new_deployment: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Taken]:
    """Two deployments, at the same time: Ratis by its settings, Ozone by flags; traces and costs are with Ratis."""
    data = settings.test_data()
    if data is None or not all((data / name).is_dir() for name in ("tcp/raw-samples", "otlp/nezha", "cost")):
        pytest.skip("needs tcp/raw-samples, otlp/nezha and cost/focus_sample of WEAVER_FORGE_TEST_DATA")
    samples = {name: tmp_path_factory.mktemp(name) for name in (RATIS, OZONE)}
    for name, folder in samples.items():
        with tarfile.open(data / "tcp" / "raw-samples" / f"{name}.tar.xz") as archive:
            archive.extractall(folder, filter="data")
    standing = {
        "tests": f"{samples[RATIS]}/*/*/*/{{run_number}}/**/*.xml",
        "github_actions": f"{samples[RATIS]}/**/*.json",
        "otlp": f"{data}/otlp/nezha/*_traces.pb.gz",
        "focus": f"{data}/cost/focus_sample/**/*.csv",
    }
    lines = "".join(f"{name} = [{json.dumps(pattern)}]\n" for name, pattern in standing.items())
    roots = {RATIS: new_deployment(f"\n[sources]\n{lines}"), OZONE: new_deployment()}
    flags: dict[str, list[str]] = {
        RATIS: [],
        # The project was renamed in between; runs under its old name must not be taken for its own.
        OZONE: ["--tests", f"{samples[OZONE]}/*/*/*/{{run_number}}/**/*.xml", "--repo", "github.com/apache/ozone",
                "--runs", f"{samples[OZONE]}/**/*.json"],
    }  # fmt: skip
    with ThreadPoolExecutor(2) as pool:
        said = {name: pool.submit(forge, "ingest", *flags[name], "--json", cwd=root) for name, root in roots.items()}
        return {name: Taken(roots[name], samples[name], data, said[name].result()) for name in roots}


@pytest.fixture(params=[RATIS, OZONE])
def taken(request: pytest.FixtureRequest, both: dict[str, Taken]) -> Taken:
    """Each of the two."""
    return both[request.param]


@pytest.fixture(scope="session")
def again(both: dict[str, Taken], forge: Callable[..., Any]) -> Any:
    """`run` on the same files once more."""
    return forge("run", cwd=both[RATIS].root)


def complete_cases(path: Path) -> list[ET.Element]:
    """Test cases of a report up to where it breaks off: two of the samples are cut."""
    cases = []
    try:
        for _event, element in ET.iterparse(path):
            if element.tag == "testcase":
                cases.append(element)
    except ET.ParseError:
        pass
    return cases


def is_whole(path: Path) -> bool:
    try:
        ET.parse(path)
    except ET.ParseError:
        return False
    return True


def test_everything_is_read_and_nothing_refused_but_reports_that_break_off(taken: Taken) -> None:
    reports, exports = (sorted(taken.samples.rglob(pattern)) for pattern in ("*.xml", "*.json"))

    intake = {said["source"]: said for said in taken.ingest.data["intake"]}

    refused = taken.rows("select name from raw_ingest__rejected order by name")
    assert taken.ingest.code == 0, taken.ingest.err
    assert taken.ingest.data["problems"] == []
    assert [intake[source]["inputs_read"] for source in ("tests", "github_actions")] == [len(reports), len(exports)]
    assert [name for (name,) in refused] == [str(path) for path in reports if not is_whole(path)]


def test_runs_and_jobs_are_those_of_the_exports(taken: Taken) -> None:
    runs = {(run["id"], run.get("run_attempt", 1)) for run in taken.documents("run.json")}
    jobs = {job["id"] for document in taken.documents("job.json") for job in document["jobs"]}

    ((n_runs,),) = taken.rows("select count(*) from core_ci__runs where link_method = 'provider'")
    ((n_jobs,),) = taken.rows("select count(*) from core_ci__jobs")

    assert (n_runs, n_jobs) == (len(runs), len(jobs))


def test_a_report_is_linked_to_the_commit_of_the_run_whose_number_its_path_tells_or_to_none(taken: Taken) -> None:
    """Most reports of the samples have no run beside them; those count as unlinked, not as anybody else's."""
    expected: Counter[str | None] = Counter()
    for path in taken.samples.rglob("*.xml"):
        export = taken.samples.joinpath(*path.relative_to(taken.samples).parts[:4], "run.json")
        run = json.loads(export.read_text(encoding="utf-8")) if export.is_file() else {}
        is_own = run.get("repository", {}).get("full_name") in {"apache/ratis", "apache/ozone"}
        for case in complete_cases(path):
            expected[run["head_sha"] if is_own else None] += 1 + sum(len(case.findall(name)) for name in REPEATED)

    stored = dict(taken.rows("select revision, count(*) from core_ci__test_results group by all"))

    assert stored == dict(expected)


def test_reports_that_have_their_run_beside_them_are_among_the_samples(both: dict[str, Taken]) -> None:
    ((linked,),) = both[RATIS].rows("select count(revision) from core_ci__test_results")

    assert linked > 0


def test_failures_are_those_of_the_reports(taken: Taken) -> None:
    """Outcome of every execution, by kind; a case without a child passed."""
    expected: Counter[str] = Counter()
    for case in (case for path in taken.samples.rglob("*.xml") for case in complete_cases(path)):
        own = next((name for name in ("error", "failure", "skipped") if case.find(name) is not None), "passed")
        expected[own.replace("failure", "failed")] += 1
        expected["failed"] += sum(len(case.findall(name)) for name in ("flakyFailure", "rerunFailure"))
        expected["error"] += sum(len(case.findall(name)) for name in ("flakyError", "rerunError"))

    stored = dict(taken.rows("select status, count(*) from core_ci__test_results group by all"))

    assert stored == {status: n for status, n in expected.items() if n}


def spans_of(path: Path) -> Iterator[tuple[bytes, bytes, str]]:
    """Trace id, span id and service of every span: messages with a varint of their length before each."""
    from opentelemetry.proto.trace.v1.trace_pb2 import TracesData

    data, at = gzip.decompress(path.read_bytes()), 0
    while at < len(data):
        size, shift = 0, 0
        while True:
            byte = data[at]
            size, shift, at = size | (byte & 0x7F) << shift, shift + 7, at + 1
            if byte < 0x80:
                break
        message = TracesData.FromString(data[at : at + size])
        at += size
        for resource in message.resource_spans:
            named = {pair.key: pair.value.string_value for pair in resource.resource.attributes}
            for scope in resource.scope_spans:
                yield from ((span.trace_id, span.span_id, named["service.name"]) for span in scope.spans)


def test_spans_are_those_of_the_traces_service_by_service(both: dict[str, Taken]) -> None:
    files = sorted((both[RATIS].data / "otlp" / "nezha").glob("*_traces.pb.gz"))
    unique = {(trace, span): service for path in files for trace, span, service in spans_of(path)}

    stored = both[RATIS].rows("select split_part(service_key, '/', 2), count(*) from core_trace__spans group by all")

    assert dict(stored) == dict(Counter(unique.values()))


def test_costs_are_equal_to_the_cent_and_beyond(both: dict[str, Taken]) -> None:
    (path,) = sorted((both[RATIS].data / "cost" / "focus_sample").rglob("*.csv"))
    with path.open(encoding="utf-8", newline="") as file:
        charges = list(csv.DictReader(file))
    billed, effective = (sum(Decimal(row[name]) for row in charges) for name in ("BilledCost", "EffectiveCost"))

    stored = both[RATIS].rows(
        "select count(*), count(distinct billing_currency), sum(billed_cost), sum(effective_cost) "
        "from core_cost__charges"
    )

    assert stored == [(len(charges), 1, billed, effective)]


def test_the_second_time_adds_nothing(again: Any) -> None:
    assert again.code == 0, again.err
    table = again.out.split("Taken in", 1)[1].strip().splitlines()[1:5]

    said = {line.split()[0]: [int(number) for number in line.split()[1:]] for line in table}

    assert set(said) == {"tests", "github_actions", "otlp", "focus"}
    assert all((read, decoded, new) == (0, 0, 0) and known > 0 for read, known, decoded, new, _ in said.values())


def test_a_run_says_what_it_foresees_and_for_what_the_data_is_too_thin(
    both: dict[str, Taken], again: Any, forge: Callable[..., Any]
) -> None:
    """Minutes of traces and no git history: no number is made up for what is not there."""
    said = forge("doctor", "--json", cwd=both[RATIS].root).data
    of = {(row["decision"], row["entity"]): row for row in said["decisions"]}

    assert "deploy_risk, changes: nothing to predict" in again.out
    assert of["deploy_risk", "changes"]["n_predictions"] == 0
    assert of["load_forecast", "points"]["n_predictions"] > 0
    assert all(row["why"] for row in of.values())
    assert all(row["is_baseline"] is not False for row in of.values() if "insufficient" in row["why"])
    assert 0 < said["results"]["n_linked"] < said["results"]["n"]
