"""Whatever is wrong is said once, with what, where and what to do, and ends with the documented code.

What is good beside it is stored.
"""

import gzip
import os
import subprocess
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from weaver_forge.settings import load
from weaver_forge.warehouse import Warehouse

pytestmark = pytest.mark.e2e

REVISION = "c0ffee" * 6 + "c0de"
GOOD = '<testsuite name="s" tests="1"><testcase classname="c" name="good" time="1"/></testsuite>'
ENTITIES = '<?xml version="1.0"?><!DOCTYPE s [<!ENTITY a SYSTEM "file:///etc/passwd">]><testsuite name="&a;"/>'
CUT = '<testsuite name="s" tests="2"><testcase classname="c" name="whole" time="1"/><testcase classname="c" name="ha'
DEPLOYMENTS = '{"deployment_id": "1"}\nnot JSON\n'


def traces(n_messages: int) -> bytes:
    """OTLP messages of one span each, with their lengths before them."""
    from opentelemetry.proto.trace.v1.trace_pb2 import TracesData

    pieces = []
    for number in range(1, n_messages + 1):
        message = TracesData()
        resource = message.resource_spans.add()
        resource.resource.attributes.add(key="service.name").value.string_value = "web"
        span = resource.scope_spans.add().spans.add(name="GET /", kind=2)
        span.trace_id, span.span_id = number.to_bytes(16, "big"), number.to_bytes(8, "big")
        span.start_time_unix_nano = 1_767_600_000_000_000_000 + number
        span.end_time_unix_nano = span.start_time_unix_nano + 1_000_000
        body = message.SerializeToString()
        assert len(body) < 128
        pieces.append(bytes([len(body)]) + body)
    return b"".join(pieces)


@pytest.fixture(scope="session")
def bad(tmp_path_factory: pytest.TempPathFactory, repository: Path) -> Path:
    """A folder of everything that can be wrong."""
    folder = tmp_path_factory.mktemp("bad")
    for name, text in (("good", GOOD), ("entities", ENTITIES), ("cut", CUT)):
        (folder / f"{name}.xml").write_text(text, encoding="utf-8")
    (folder / "cut.pb").write_bytes(traces(3)[:-7])
    (folder / "cut.pb.gz").write_bytes(gzip.compress(traces(50), mtime=0)[:-20])
    for name in ("cut.pb", "cut.pb.gz"):  # a file that still grows is waited for; these do not
        os.utime(folder / name, (1_767_600_000, 1_767_600_000))
    (folder / "cost.csv").write_text("BilledCost,ServiceName\n1.5,web\n", encoding="utf-8")
    (folder / "deployments.jsonl").write_text(DEPLOYMENTS, encoding="utf-8")
    clone = ["git", "clone", "--quiet", "--depth", "1", f"file://{repository}", str(folder / "shallow")]
    subprocess.run(clone, check=True, capture_output=True)
    return folder


@pytest.fixture(scope="session")
def empty(new_deployment: Callable[[str], Path]) -> Path:
    """A deployment that nothing was taken into; to be looked at only."""
    return new_deployment()


@pytest.fixture(scope="session")
def running(forge: Callable[..., Any], new_deployment: Callable[[str], Path]) -> Iterator[Future[Any]]:
    """`run` on an empty deployment, beside what else goes on."""
    with ThreadPoolExecutor(1) as pool:
        yield pool.submit(forge, "run", cwd=new_deployment())


@pytest.fixture(scope="session")
def taken(
    bad: Path, forge: Callable[..., Any], new_deployment: Callable[[str], Path], running: Future[Any]
) -> tuple[Path, Any]:
    """A deployment that all of it was given to at once, and what was said; the empty deployment runs beside it."""
    root = new_deployment()
    said = forge(
        *("ingest", "--git", bad / "shallow", "--git", bad / "nowhere", "--tests", bad / "*.xml"),
        *("--tests", bad / "gone" / "*.xml", "--otlp", bad / "cut.pb", "--otlp", bad / "cut.pb.gz"),
        *("--focus", bad / "cost.csv", "--deployments", bad / "deployments.jsonl", "--runs", bad / "runs.json"),
        *("--revision", REVISION),
        cwd=root,
    )
    return root, said


def test_what_cannot_be_read_at_all_is_said_once_each_and_ends_with_5(taken: tuple[Path, Any], bad: Path) -> None:
    unshallow = "Fetch all of it: `git fetch --unshallow`, or fetch-depth: 0 in actions/checkout"

    _root, said = taken

    assert said.code == 5
    assert sorted(said.errors) == sorted(
        [
            f"{bad}/shallow: the clone is shallow: its history is cut off. {unshallow}",
            f"{bad}/nowhere: no such folder. Name the folder of a git repository",
            f"{bad}/gone/*.xml: matches no file. Check the pattern, and quote it so that the shell leaves it as it is",
            f"{bad}/runs.json: no such file. Check the path",
        ]
    )


@pytest.mark.parametrize(
    ("source", "n", "reason"),
    [
        ("otlp", 1, "the file ends inside a message"),
        ("otlp", 1, "the gzip stream ends early"),
        ("tests", 1, "the file declares a DTD, which test reports never need: write it without one"),
        ("tests", 1, "the one complete test case before it is kept"),
        ("focus", 1, "it lacks EffectiveCost, ChargePeriodStart, ChargePeriodEnd, BillingCurrency"),
        ("deployments", 2, ""),
    ],
)
def test_what_is_refused_is_kept_and_said_with_its_reason(
    source: str, n: int, reason: str, taken: tuple[Path, Any], bad: Path
) -> None:
    root, said = taken
    settings = load(root)

    kept = Warehouse(settings.warehouse, settings.lake).query("select source, reason from raw_ingest__rejected").rows()

    matching = [text for name, text in kept if name == source and reason in text]
    assert len(matching) == n
    assert all(
        any(
            line.startswith(f"warning: refused by {source}: {bad}/") and line.endswith(text)
            for line in said.out.splitlines()
        )
        for text in matching
    )


def test_the_good_rest_is_stored(taken: tuple[Path, Any]) -> None:
    settings = load(taken[0])
    warehouse = Warehouse(settings.warehouse, settings.lake)

    results = warehouse.query("select test_id, status, revision from core_ci__test_results order by test_id").rows()
    spans = warehouse.query("select span_id from core_trace__spans order by span_id").rows()

    assert results == [("c::good", "passed", REVISION), ("c::whole", "passed", REVISION)]
    assert [span for (span,) in spans] == [f"{number:016x}" for number in range(1, len(spans) + 1)]
    assert len(spans) >= 2


def test_doctor_asks_for_the_history_and_a_run_when_only_other_things_were_taken_in(
    taken: tuple[Path, Any], forge: Callable[..., Any]
) -> None:
    said = forge("doctor", cwd=taken[0])

    assert said.code == 0
    assert said.out.rstrip().endswith("Next: weaver-forge ingest --git PATH && weaver-forge run")


def test_an_empty_deployment_runs_and_says_that_there_is_nothing(running: Future[Any]) -> None:
    said = running.result()

    assert (said.code, said.errors) == (0, [])
    assert "nothing taken in: weaver-forge.toml names no [sources] with files, and data/inbox is empty" in said.out
    assert "deploy_risk, changes: nothing to predict" in said.out
    assert "git             deploy_risk     nothing is known of changes: nothing can be predicted" in said.out


def test_an_empty_deployment_is_no_reason_to_stop_a_change(empty: Path, forge: Callable[..., Any]) -> None:
    """Unknown fails open by policy, loudly; it is never an allow."""
    said = forge("gate", "--decision", "deploy_risk", "--change", REVISION, cwd=empty)

    assert said.code == 0
    assert said.out.startswith("UNKNOWN deploy_risk")
    assert said.err.count("there is no published snapshot. Publish one with `weaver-forge run`") == 1


def test_doctor_of_an_empty_deployment_names_the_first_command(empty: Path, forge: Callable[..., Any]) -> None:
    said = forge("doctor", cwd=empty)

    assert said.code == 0
    assert "Next: weaver-forge ingest --git PATH" in said.out


@pytest.fixture
def mistaken(new_deployment: Callable[[str], Path]) -> Path:
    """A deployment with a mistyped key in its policy."""
    root = new_deployment()
    policy = root / "policy.yaml"
    policy.write_text(policy.read_text(encoding="utf-8").replace("deny_at: 0.70", "deny_it: 0.70"), encoding="utf-8")
    return root


def test_a_wrong_key_in_the_policy_is_named_with_its_line(mistaken: Path, forge: Callable[..., Any]) -> None:
    """By the gate and by `run` before it spends a minute (4), and by doctor, whose business is problems (0)."""
    gate = forge("gate", "--decision", "deploy_risk", "--change", REVISION, cwd=mistaken)
    run = forge("run", cwd=mistaken)
    doctor = forge("doctor", cwd=mistaken)

    (line,) = gate.errors
    number = 1 + (mistaken / "policy.yaml").read_text(encoding="utf-8").splitlines().index(
        next(row for row in (mistaken / "policy.yaml").read_text(encoding="utf-8").splitlines() if "deny_it" in row)
    )
    assert (
        f"policy.yaml, line {number}: unknown key 'deny_it' in decisions.deploy_risk. Did you mean 'deny_at'?" in line
    )
    assert (gate.code, run.code, doctor.code) == (4, 4, 0)
    assert run.errors == [line]
    assert f"PROBLEM    {line}" in doctor.out


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["gate", "--decison", "x"], 2, "Did you mean --decision instead of --decison? See `weaver-forge --help`"),
        (["ingets"], 2, 'Unknown command "ingets". Did you mean "ingest"? See `weaver-forge --help`'),
        (["ingest", "--revision", "HEAD"], 2, "say what test reports are of. Give --tests as well"),
        (["ingest", "--tests", "x.xml", "--revision", "nope"], 2, "revision 'nope' is not known. Give a whole commit"),
    ],
    ids=["flag", "command", "half", "revision"],
)
def test_a_mistake_on_the_command_line_gets_one_line_that_mends_it(
    arguments: list[str], code: int, message: str, empty: Path, forge: Callable[..., Any]
) -> None:
    said = forge(*arguments, cwd=empty)

    assert said.code == code
    assert len(said.errors) == 1
    assert message in said.errors[0]
    assert "Traceback" not in said.err
