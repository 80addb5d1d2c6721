"""Real pytest runs small projects with the plugin: alone, with xdist, and with rerunfailures."""

import json
import re
import resource
import subprocess
import sys
from collections.abc import Callable
from datetime import datetime
from operator import itemgetter
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from weaver_forge.contracts.batch import Frame
from weaver_forge.contracts.table import Column, Table
from weaver_forge.decode.otlp import decode
from weaver_forge.decode.report_rows import Told
from weaver_forge.decode.test_results import decode as decode_reports
from weaver_forge.settings import environment_with
from weaver_forge.warehouse import Warehouse

pytestmark = pytest.mark.e2e

PLAIN = """
import pytest
def test_a(): pass
@pytest.mark.parametrize("text", ["1-c::d", "x"])
def test_b(text): pass
class TestK:
    def test_c(self): pass
def test_new(): pass
"""
ORDER = ["sub.test_p.TestK::test_c", "sub.test_p::test_b[x]", "sub.test_p::test_a", "sub.test_p::test_b[1-c::d]"]
NODES = {
    "c": "sub/test_p.py::TestK::test_c", "x": "sub/test_p.py::test_b[x]", "a": "sub/test_p.py::test_a",
    "d": "sub/test_p.py::test_b[1-c::d]", "new": "sub/test_p.py::test_new",
}  # fmt: skip
LEFT = [ORDER[0], ORDER[3]]
FLAKY = """
import pathlib, pytest
def test_flaky():
    mark = pathlib.Path(__file__).with_name("mark")
    is_first = not mark.exists()
    mark.write_text("")
    assert not is_first
def test_bad(): assert 0
@pytest.fixture
def broken(): raise RuntimeError("no")
def test_setup(broken): pass
@pytest.mark.xfail
def test_x(): assert 0
@pytest.mark.xfail(strict=True)
def test_strict(): pass
def test_skip(): pytest.skip("later")
def test_ok(): pass
"""
TEXT = ("repo_id", "revision", "test_id")
PREDICTIONS = Table(
    layer="pred", source="chosen", entity="tests", grain="prediction", key=(*TEXT, "predicted_at"),
    columns=(
        *(Column(name, "VARCHAR", "Text.") for name in TEXT), Column("predicted_at", "TIMESTAMP", "When for."),
        Column("made_at", "TIMESTAMP", "When."), Column("probability", "DOUBLE", "0-1."),
        Column("score", "DOUBLE", "Any."),
    ),
)  # fmt: skip
SPEC = {"name": "test_selection", "kinds": [{"entity": "tests", "key": [*TEXT], "table": PREDICTIONS.name}]}
PLAINLY = ("--color=no",)
"""Without the plugin."""
PARENT = f"00-{'1' * 32}-{'2' * 16}-01"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "test_p.py").write_text(PLAIN)
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    (tmp_path / "ranking.json").write_text(json.dumps(ranking()))
    return tmp_path


def ranking(rest: list[str] | None = None, **changes: Any) -> dict[str, Any]:
    rows = [{"test_id": test_id, "rank": rank} for rank, test_id in enumerate(ORDER, 1)]
    left = LEFT if rest is None else rest
    return {
        "run_everything": False, "ranking_reasons": [], "subject": {}, "expires_at": None, "scope": "development",
        "run": [row for row in rows if row["test_id"] not in left],
        "rest": [row for row in rows if row["test_id"] in left], **changes,
    }  # fmt: skip


def run(folder: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    names = ("PYTEST_ADDOPTS", "TRACEPARENT", "WEAVER_FORGE_MODE", "WEAVER_FORGE_FROM")
    quiet = dict.fromkeys(names, "") | {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "WEAVER_FORGE_HOME": str(folder)}
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider"]
    ours = () if arguments == PLAINLY else ("-p", "weaver_forge.hooks.pytest_plugin")
    return subprocess.run(
        [*command, *ours, *arguments], cwd=folder, env=environment_with(**quiet | environment), capture_output=True,
        text=True, timeout=60, check=False,
    )  # fmt: skip


def recorded(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "ran.jsonl").read_text().splitlines()[1:]]


def ran(folder: Path) -> list[str]:
    return [line["nodeid"] for line in recorded(folder)]


def committed(folder: Path) -> str:
    """Make a repository of one commit, and give its id."""
    who = ("-c", "user.name=a", "-c", "user.email=a@b.c")
    for arguments in (("init", "-q"), (*who, "commit", "-q", "--allow-empty", "-m", "x")):
        subprocess.run(["git", *arguments], cwd=folder, check=True)
    said = subprocess.run(["git", "rev-parse", "HEAD"], cwd=folder, check=True, capture_output=True, text=True)
    return said.stdout.strip()


def with_mode(mode: str, source: str = "ranking.json") -> tuple[str, ...]:
    return ("--weaver-mode", mode, "--weaver-from", source, "--weaver-record", "ran.jsonl")


def test_order_puts_new_tests_first_and_deselects_nothing(project: Path) -> None:
    done = run(project, *with_mode("order"))

    assert done.returncode == 0, done.stdout
    assert ran(project) == [NODES[name] for name in ("new", "c", "x", "a", "d")]
    assert "deselected" not in done.stdout
    assert "WARNING" not in done.stdout


def test_select_deselects_exactly_the_rest(project: Path) -> None:
    done = run(project, *with_mode("select"))

    assert done.returncode == 0, done.stdout
    assert ran(project) == [NODES[name] for name in ("new", "x", "a")]
    assert "3 passed, 2 deselected" in done.stdout
    assert "2 of 5 tests are left for later; 1 unknown to the ranking ran first" in done.stdout


@pytest.mark.parametrize("mode", ["order", "select"])
def test_a_ranking_of_files_places_and_leaves_the_tests_in_them(project: Path, mode: str) -> None:
    """Before any results are known a repository's tests are its files."""
    (project / "sub" / "test_q.py").write_text("def test_q(): pass\n")
    (project / "test_new.py").write_text("def test_new(): pass\n")
    rows = [{"test_id": f"sub/test_{name}.py", "rank": rank} for rank, name in enumerate("qp", 1)]
    (project / "ranking.json").write_text(json.dumps({**ranking(), "run": rows[:1], "rest": rows[1:]}))

    done = run(project, *with_mode(mode))

    kept = ["test_new.py::test_new", "sub/test_q.py::test_q"]
    assert done.returncode == 0, done.stdout
    assert ran(project)[:2] == kept
    assert len(ran(project)) == (2 if mode == "select" else 7)
    assert "WARNING" not in done.stdout


def test_the_environment_gives_the_defaults(project: Path) -> None:
    done = run(project, WEAVER_FORGE_MODE="select", WEAVER_FORGE_FROM="ranking.json")

    assert "3 passed, 2 deselected" in done.stdout


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("mode", ["order", "select"])
def test_workers_of_xdist_agree_and_keep_the_order(project: Path, mode: str, workers: int) -> None:
    done = run(project, "-p", "xdist", "-n", str(workers), *with_mode(mode))

    kept = [NODES[name] for name in (("new", "c", "x", "a", "d") if mode == "order" else ("new", "x", "a"))]
    lines = recorded(project)
    assert done.returncode == 0, done.stdout
    assert {line["nodeid"] for line in lines} == set(kept)
    for worker in {line["worker"] for line in lines}:
        own = sorted((line for line in lines if line["worker"] == worker), key=itemgetter("start_unix_ns"))
        assert [line["nodeid"] for line in own] == [node for node in kept if node in {line["nodeid"] for line in own}]
    assert ("2 of 5 tests are left for later" in done.stdout) == (mode == "select")


def test_a_group_of_xdist_is_no_other_test(project: Path) -> None:
    text = PLAIN.replace("def test_a", '@pytest.mark.xdist_group("g")\ndef test_a')
    (project / "sub" / "test_p.py").write_text(text)
    (project / "ranking.json").write_text(json.dumps(ranking(["sub.test_p::test_a"])))

    done = run(project, "-p", "xdist", "-n", "2", "--dist", "loadgroup", *with_mode("select"))

    assert "4 passed" in done.stdout
    assert "1 of 5 tests are left for later" in done.stdout


def test_never_selects_everything_away(project: Path) -> None:
    part = run(project, "sub/test_p.py::TestK", *with_mode("select"))
    (project / "ranking.json").write_text(json.dumps(ranking(ORDER)))
    whole = run(project, *with_mode("select"))

    assert (part.returncode, whole.returncode) == (0, 0)
    assert "1 passed" in part.stdout
    assert "a selection is never empty" in part.stdout
    assert "5 passed" in whole.stdout
    assert "would leave everything for later" in whole.stdout


def test_exit_five_is_pytests_own_unless_our_selection_emptied_the_run(project: Path) -> None:
    conftest = (
        "import pytest\n@pytest.hookimpl(hookwrapper=True)\ndef pytest_collection_modifyitems(items):\n    yield\n"
    )
    own = run(project, "-k", "nothing_is_called_so", *with_mode("select"))
    (project / "conftest.py").write_text(conftest + "    items[:] = []\n")
    shard = run(project, *with_mode("select"))
    ordered = run(project, *with_mode("order"))

    assert own.returncode == 5
    assert shard.returncode == 0, shard.stdout
    assert ordered.returncode == 5


def _written(name: str, text: str) -> Callable[[Path], None]:
    return lambda folder: (folder / name).write_text(text, encoding="utf-8") and None


@pytest.mark.parametrize(
    ("source", "prepare", "why"),
    [
        ("none.json", lambda _: None, "no such file"),
        ("ranking.json", _written("ranking.json", '{"run": ['), "cannot be read"),
        ("ranking.json", lambda folder: (folder / "ranking.json").write_bytes(bytes(range(256))), "cannot"),
        ("http://localhost:1/", lambda _: None, "an address is not read"),
        (".", lambda folder: (folder / "ranking.json").unlink(), "no ranking and no published snapshot"),
        (".", lambda folder: (folder / "ranking.json").rename(folder / "CURRENT"), "not a pointer|git does not say"),
        ("old.json", _written("old.json", json.dumps(ranking(expires_at="2020-01-01T00:00:00Z"))), "has expired"),
        ("all.json", _written("all.json", json.dumps(ranking(run_everything=True))), "no order is known"),
    ],
)
def test_a_ranking_that_cannot_be_used_is_one_warning_and_the_plain_run(
    project: Path, source: str, prepare: Callable[[Path], None], why: str
) -> None:
    prepare(project)

    done = run(project, "-W", "error", *with_mode("select", source))

    warnings = [line for line in done.stdout.splitlines() if "WARNING" in line]
    assert done.returncode == 0, done.stdout
    assert "5 passed" in done.stdout
    assert ran(project) == [NODES[name] for name in ("a", "d", "x", "c", "new")]
    assert len(warnings) == 1
    assert re.search(why, warnings[0])
    assert "Traceback" not in done.stdout + done.stderr


def test_a_ranking_of_another_revision_is_not_used(project: Path) -> None:
    head = committed(project)
    (project / "ranking.json").write_text(json.dumps(ranking(subject={"revision": head})))
    same = run(project, *with_mode("select"))
    (project / "ranking.json").write_text(json.dumps(ranking(subject={"revision": "b" * 40})))
    other = run(project, *with_mode("select"))

    assert "3 passed, 2 deselected" in same.stdout
    assert "5 passed" in other.stdout
    assert "it is for revision bbbbbbbbbbbb" in other.stdout


def test_a_ranking_elsewhere_that_moves_the_rootdir_is_said_and_an_equals_sign_does_not(
    project: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Of a flag that it does not know yet pytest takes the value for a path of tests."""
    elsewhere = tmp_path_factory.mktemp("elsewhere") / "ranking.json"
    elsewhere.write_text(json.dumps(ranking()))

    apart = run(project, "--weaver-mode", "select", "--weaver-from", str(elsewhere))
    joined = run(project, "--weaver-mode=select", f"--weaver-from={elsewhere}")

    assert "WARNING: pytest took the value of --weaver-from for a path of tests" in apart.stdout
    assert "5 passed" in apart.stdout
    assert "3 passed, 2 deselected" in joined.stdout
    assert "WARNING" not in joined.stdout


def test_a_published_snapshot_orders_and_leaves_nothing(project: Path) -> None:
    head = committed(project)
    warehouse = Warehouse(project / "data" / "warehouse.duckdb", project / "data" / "lake")
    at = datetime(2026, 3, 1)
    rows = [("r", head, test_id, at, at, 0.9 - rank / 10, -float(rank)) for rank, test_id in enumerate(ORDER)]
    warehouse.append(PREDICTIONS, pl.DataFrame(rows, schema=PREDICTIONS.column_names, orient="row"))
    warehouse.publish(
        project / "data" / "published", tables=[PREDICTIONS], specs=[SPEC], policy_text="version: 1\n", artifacts={},
        now=at, data_as_of=at,
    )  # fmt: skip

    ordered = run(project, *with_mode("order", "."), WEAVER_FORGE_HOME="")
    first = ran(project)
    (project / "ranking.json").unlink()
    by_snapshot = run(project, *with_mode("select", "."), WEAVER_FORGE_HOME="")

    assert (ordered.returncode, by_snapshot.returncode) == (0, 0)
    assert ran(project) == first == [NODES[name] for name in ("new", "c", "x", "a", "d")]
    assert "does not say what may run later" in by_snapshot.stdout
    assert "WARNING" not in ordered.stdout


@pytest.mark.parametrize(
    ("halted", "n"),
    [
        ('{"halted": [{"scope": "all", "is_on": true, "reason": "fire", "actor": "ann"}]}', 5),
        ('{"halted": [{"scope": "development", "is_on": true}]}', 5),
        ('{"halted": [{"scope": "operations", "is_on": true}]}', 3),
        ('{"halted": [{"scope": "all", "is_on": false}]}', 3),
        ("{", 5),
    ],
)
def test_the_kill_switch_leaves_the_order_alone(project: Path, halted: str, n: int) -> None:
    (project / "weaver-forge.toml").write_text("")
    (project / "data" / "published").mkdir(parents=True)
    (project / "data" / "published" / "halted.json").write_text(halted)

    done = run(project, *with_mode("select"))

    order = ("new", "c", "x", "a", "d") if n == 5 else ("new", "x", "a")
    assert ran(project) == [NODES[name] for name in order]
    assert ("halted: " in done.stdout) == (n == 5)


@pytest.mark.parametrize("xdist", [(), ("-p", "xdist", "-n", "2")])
def test_attempts_are_recorded_as_the_reader_of_junit_reads_them(project: Path, xdist: tuple[str, ...]) -> None:
    (project / "sub" / "test_p.py").write_text(FLAKY)
    report = project / "report.xml"

    done = run(
        project, *xdist, "-p", "pytest_rerunfailures", "--reruns", "2", f"--junitxml={report}",
        "--weaver-mode", "record", "--weaver-record", "ran.jsonl", TRACEPARENT=PARENT,
    )  # fmt: skip

    batch = decode_reports([Frame("report.xml", report.read_bytes())], Told(received_at=datetime(2100, 1, 1)))
    rows = next(iter(batch.tables.values())).select("classname", "name", "status").rows()
    junit: dict[str, list[str]] = {}
    for classname, name, status in rows:
        junit.setdefault(f"{classname}::{name}", []).append(status)
    ours: dict[str, list[str]] = {}
    for line in sorted(recorded(project), key=itemgetter("attempt")):
        ours.setdefault(line["test_id"], []).append(line["outcome"])
    assert done.returncode == 1, done.stdout
    assert ours["sub.test_p::test_flaky"] == ["failed", "passed"]
    assert ours["sub.test_p::test_setup"] == ["error"] * 3
    assert ours["sub.test_p::test_skip"] == ["skipped"]
    assert {name: (len(all_), all_[-1]) for name, all_ in ours.items()} == {
        name: (len(all_), all_[-1]) for name, all_ in junit.items()
    }


@pytest.mark.parametrize("xdist", [(), ("-p", "xdist", "-n", "2")])
def test_a_module_that_cannot_be_collected_is_recorded_as_in_junit(project: Path, xdist: tuple[str, ...]) -> None:
    (project / "sub" / "test_broken.py").write_text("import nothing_of_that_name\n")
    options = ("--weaver-mode", "record", "--weaver-record", "ran.jsonl", "--continue-on-collection-errors")

    done = run(project, *xdist, *options, "--junitxml=r.xml")

    told = {}
    for name in ("r.xml", "ran.jsonl"):
        batch = decode_reports([Frame(name, (project / name).read_bytes())], Told(received_at=datetime(2100, 1, 1)))
        rows = next(iter(batch.tables.values()))
        told[name] = rows.filter(rows["status"] == "collection_error").select("classname", "name", "run_id").rows()
        assert batch.rejected == ()
    assert done.returncode == 1, done.stdout
    assert told["ran.jsonl"] == told["r.xml"]
    assert [row[:2] for row in told["ran.jsonl"]] == [("", "sub.test_broken")]


def test_spans_are_taken_in_below_the_pipelines_span(project: Path) -> None:
    done = run(
        project, "-p", "xdist", "-n", "2", "--weaver-mode", "record", "--weaver-spans", "s.jsonl", TRACEPARENT=PARENT
    )

    batch = decode([Frame("s.jsonl", (project / "s.jsonl").read_bytes())])
    spans = next(frame for name, frame in batch.tables.items() if name.endswith("spans"))
    above = spans.filter(spans["name"] == "pytest")
    assert done.returncode == 0, done.stdout
    assert batch.rejected == ()
    assert spans.height == 6
    assert set(spans["trace_id"]) == {"1" * 32}
    assert above["parent_span_id"].to_list() == ["2" * 16]
    assert set(spans.filter(spans["name"] != "pytest")["parent_span_id"]) == set(above["span_id"])
    assert (project / ".weaver-forge" / "tests.jsonl").is_file()


def test_a_worker_that_dies_is_a_failed_attempt(project: Path) -> None:
    (project / "sub" / "test_p.py").write_text("import os\ndef test_dies(): os._exit(3)\ndef test_b(): pass\n")

    done = run(project, "-p", "xdist", "-n", "2", "--weaver-mode", "record", "--weaver-record", "ran.jsonl")

    assert done.returncode == 1
    assert {line["nodeid"][-4:]: line["outcome"] for line in recorded(project)} == {"dies": "failed", "st_b": "passed"}


def test_a_record_that_cannot_be_written_costs_no_test(project: Path) -> None:
    (project / "file").write_text("")

    done = run(project, "--weaver-mode", "record", "--weaver-record", "file/ran.jsonl")

    assert done.returncode == 0
    assert "5 passed" in done.stdout
    assert done.stdout.count("WARNING") == 1


@pytest.mark.parametrize("mode", ["order", "select"])
def test_a_record_that_fails_leaves_the_order_as_it_is(project: Path, mode: str) -> None:
    (project / "file").write_text("")
    options = ("--weaver-mode", mode, "--weaver-from", "ranking.json", "--junitxml=r.xml")

    cannot = run(project, *options, "--weaver-record", "file/ran.jsonl")
    full = run(project, *options, "--weaver-record", "/dev/full", "-v", "-W", "error")
    spans = ("--weaver-record", "ran.jsonl", "--weaver-spans")
    no_spans = run(project, *options, *spans, "file/spans.jsonl", "-W", "error")
    full_spans = run(project, *options, *spans, "/dev/full", "-W", "error")

    names = ("new", "c", "x", "a", "d") if mode == "order" else ("new", "x", "a")
    for done in (cannot, full, no_spans, full_spans):
        assert done.returncode == 0, done.stdout
        assert f"{len(names)} passed" in done.stdout
        assert done.stdout.count("WARNING") == 1
    assert re.findall(r"^(sub/\S+) PASSED", full.stdout, re.MULTILINE) == [NODES[name] for name in names]


@pytest.mark.parametrize("mode", ["order", "record"])
@pytest.mark.parametrize("source", ["http://localhost:1/", "none.json", "old.json", "broken.json"])
def test_no_mode_needs_what_it_is_told_to_go_by(project: Path, mode: str, source: str) -> None:
    """A server that is down, a file that is missing, one that has expired, half a file; select is looked at above."""
    (project / "old.json").write_text(json.dumps(ranking(expires_at="2020-01-01T00:00:00Z")))
    (project / "broken.json").write_text(json.dumps(ranking())[:99])

    done = run(project, *with_mode(mode, source))

    assert done.returncode == 0, done.stdout
    assert ran(project) == [NODES[name] for name in ("a", "d", "x", "c", "new")]
    assert done.stdout.count("WARNING") == (mode == "order")


@pytest.mark.parametrize("arguments", [(), ("--weaver-mode", "off"), ("--weaver-mode", "off", "--weaver-from", "x")])
def test_off_does_and_says_nothing(project: Path, arguments: tuple[str, ...]) -> None:
    done = run(project, *arguments, "--weaver-record", "ran.jsonl")

    assert "5 passed" in done.stdout
    assert "weaver-forge" not in done.stdout
    assert not (project / "ran.jsonl").exists()


def test_an_unknown_mode_is_said_and_is_off(project: Path) -> None:
    done = run(project, "--weaver-mode", "fast")

    assert done.returncode == 0
    assert "WARNING: no mode 'fast'" in done.stdout


def test_starting_costs_less_than_fifty_milliseconds_of_cpu(project: Path) -> None:
    """With ten thousand ranked tests. The least of many: other work on the machine only ever adds."""
    rows = [{"test_id": f"t::{n}", "rank": n} for n in range(5, 10_000)]
    document = ranking()
    (project / "ranking.json").write_text(json.dumps({**document, "run": [*document["run"], *rows]}))
    compiled = {"PYTHONDONTWRITEBYTECODE": "", "PYTHONPYCACHEPREFIX": str(project / "compiled")}
    selecting = ("--weaver-mode", "select", "--weaver-from", ".")
    run(project, *selecting, **compiled)
    plain, ours = [], []

    while len(plain) < 5 or (min(ours) - min(plain) >= 0.05 and len(plain) < 60):
        plain.append(cpu_of(lambda: run(project, *PLAINLY, **compiled)))
        ours.append(cpu_of(lambda: run(project, *selecting, **compiled)))

    assert min(ours) - min(plain) < 0.05


def cpu_of(act: Callable[[], object]) -> float:
    """CPU seconds of the processes that an action starts and waits for."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    act()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
