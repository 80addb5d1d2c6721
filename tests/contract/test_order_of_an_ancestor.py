"""A published folder alone, and a commit that it has never seen: everything runs, in the order of an ancestor."""

import json
import subprocess
import sys
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from models import test_selection
from weaver_forge.contracts.decision import prediction_table, spec_as_data
from weaver_forge.contracts.dtypes import from_rows
from weaver_forge.contracts.tables.ci import CORE_CI_TEST_VERDICTS
from weaver_forge.settings import environment_with
from weaver_forge.sources.git_command import Repository
from weaver_forge.warehouse import Warehouse

NOW = datetime(2026, 3, 6, 15)
SPEC = test_selection.SPEC
CART, PRICES = [f"tests.test_cart::test_{letter}" for letter in "abc"], "tests.test_prices::test_e"
RANKED = [CART[2], PRICES, CART[0]]
"""In the ancestor's order; test_b is known and was not ranked then."""


class Planted(NamedTuple):
    """A repository and a folder that somebody fetched, with nothing else of the deployment.

    Args:
        root: The repository.
        published: The folder.
        base: The commit whose order is published.
        head: Two commits later: code, then a test file.
    """

    root: Path
    published: Path
    base: str
    head: str


def _commit(root: Path, path: str, text: str) -> str:
    who = ("-c", "user.name=Ann", "-c", "user.email=ann@example.org", "-c", "commit.gpgsign=false")
    (root / path).parent.mkdir(parents=True, exist_ok=True)
    (root / path).write_text(text, encoding="utf-8")
    for arguments in (("add", "-A"), (*who, "commit", "-qm", path)):
        subprocess.run(["git", "-C", str(root), *arguments], check=True, capture_output=True)
    return Repository(root).resolve("HEAD")


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> Planted:
    root, deployment = tmp_path_factory.mktemp("clone"), tmp_path_factory.mktemp("deployment")
    subprocess.run(["git", "init", "-q", "-b", "main", str(root)], check=True)
    (root / "pytest.ini").write_text("[pytest]\n", encoding="utf-8")
    (root / ".gitignore").write_text(".weaver-forge\n__pycache__\n", encoding="utf-8")
    tests = "".join(f"def test_{letter}():\n    pass\n\n\n" for letter in "abc")
    _commit(root, "tests/test_cart.py", tests)
    base = _commit(root, "tests/test_prices.py", "def test_e():\n    assert 1\n")
    _commit(root, "src/cart.py", "price = 1\n")
    head = _commit(root, "tests/test_prices.py", "def test_e():\n    assert 2\n")
    _publish(deployment, Repository(root).repo_id, base)
    return Planted(root, deployment / "published", base, head)


def _publish(deployment: Path, repo_id: str, revision: str) -> None:
    warehouse = Warehouse(deployment / "warehouse.duckdb", deployment / "lake")
    predictions, kind = prediction_table(SPEC, SPEC.kinds[0]), SPEC.kinds[0]
    made = {
        "predicted_at": NOW, "made_at": NOW - timedelta(hours=1), "data_as_of": NOW, "resolve_by": NOW,
        "origin": "live", "model_name": "m", "model_version": "1", "is_baseline": False, "baseline_name": "b",
        "evidence": "[]", "feature_sha256": "", "sources_missing": "[]", "baseline_probability": 0.1,
        "baseline_score": 0.0,
    }  # fmt: skip
    rows = [
        {**made, "repo_id": repo_id, "revision": revision, "test_id": name, "prediction_id": name,
         "probability": 0.5 / (place + 1), "score": -float(place)}
        for place, name in enumerate(RANKED)
    ]  # fmt: skip
    verdicts = [
        {"repo_id": repo_id, "run_id": "run", "revision": "old", "test_id": name, "n_attempts": 1,
         "verdict": "passed", "duration_ms": 1000.0, "run_ended_at": NOW, "known_at": NOW}
        for name in (*CART, PRICES)
    ]  # fmt: skip
    assert kind.entity == "tests"
    for table, some in ((predictions, rows), (CORE_CI_TEST_VERDICTS, verdicts)):
        warehouse.append(table, from_rows(table, some))
    warehouse.publish(
        deployment / "published", tables=[predictions, CORE_CI_TEST_VERDICTS], specs=[spec_as_data(SPEC)],
        policy_text="version: 1\n", artifacts={}, now=NOW, data_as_of=NOW,
    )  # fmt: skip


def _run(planted: Planted, *arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", *arguments], cwd=planted.root, capture_output=True, text=True, timeout=120, check=False,
        env=environment_with(WEAVER_FORGE_HOME="", PYTEST_ADDOPTS="", PYTEST_DISABLE_PLUGIN_AUTOLOAD="1"),
    )  # fmt: skip


def _ask(planted: Planted, command: str, *arguments: str) -> "subprocess.CompletedProcess[str]":
    return _run(planted, "weaver_forge", command, "--from", str(planted.published), *arguments)


IN_ORDER = [PRICES, CART[2], CART[0], CART[1]]
"""What the change touches, the ancestor's order, what it did not rank."""


@pytest.mark.parametrize("command", ["rank-tests", "select"])
def test_everything_runs_in_the_order_of_the_ancestor_and_stays_unknown(planted: Planted, command: str) -> None:
    done = _ask(planted, command, "--json")

    found: dict[str, Any] = json.loads(done.stdout)
    assert done.returncode == 0, done.stderr
    assert (found["verdict"], found["run_everything"], found["rest"]) == ("unknown", True, [])
    assert [test["test_id"] for test in found["run"]] == IN_ORDER
    assert {test["probability"] for test in found["run"]} == {None}
    assert found["order_of"] == {"revision": planted.base, "n_commits": 2, "made_at": "2026-03-06T14:00:00Z"}
    said = f"in the order of {planted.base[:12]}, 2 commits before: published 2026-03-06 14:00 UTC"
    assert sum(said in reason for reason in found["ranking_reasons"]) == 1
    assert found["n_predictions"] == 0
    spool = planted.root / ".weaver-forge" / "decisions"
    rows = [json.loads(path.read_text(encoding="utf-8"))["row"] for path in spool.iterdir()]
    (own,) = [row for row in rows if row["decision_id"] == found["decision_id"]]
    assert (own["verdict"], own["inputs"]["left"]["n"], own["prediction_ids"]) == ("unknown", 0, [])


def test_a_person_reads_whose_order_it_is(planted: Planted) -> None:
    ids = _ask(planted, "select")
    table = _ask(planted, "rank-tests", "--budget", "25%")

    assert ids.stdout.splitlines() == IN_ORDER
    assert "nobody knows by name" not in ids.stderr
    assert ids.stderr.count("WARNING: RUN EVERYTHING") == 1
    assert f"in the order of {planted.base[:12]}, 2 commits before" in table.stdout
    assert "Run later" not in table.stdout


@pytest.mark.parametrize("mode", ["order", "select"])
def test_pytest_runs_all_of_it_in_that_order_what_is_new_first(planted: Planted, tmp_path: Path, mode: str) -> None:
    ranking = tmp_path / "ranking.json"
    ranking.write_text(_ask(planted, "rank-tests", "--json").stdout, encoding="utf-8")
    new = planted.root / "tests" / "test_zz_new.py"
    new.write_text("def test_new():\n    pass\n", encoding="utf-8")

    try:
        plugin = ("-p", "weaver_forge.hooks.pytest_plugin", f"--weaver-mode={mode}", f"--weaver-from={ranking}")
        done = _run(planted, "pytest", "-v", "-p", "no:cacheprovider", *plugin)
    finally:
        new.unlink()

    ran = [line.split()[0].rpartition("::")[2] for line in done.stdout.splitlines() if "PASSED" in line]
    assert done.returncode == 0, done.stdout + done.stderr
    assert ran == ["test_new", "test_e", "test_c", "test_a", "test_b"]
    warnings = [line for line in done.stdout.splitlines() if "WARNING" in line]
    assert len(warnings) == 1
    assert f"in the order of {planted.base[:12]}, 2 commits before" in warnings[0]


def test_a_commit_without_a_known_ancestor_runs_by_name(planted: Planted) -> None:
    found = json.loads(_ask(planted, "rank-tests", "--json", "--change", f"{planted.base}~1").stdout)

    assert [test["test_id"] for test in found["run"]] == sorted([*CART, PRICES])
    assert (found["order_of"], found["run_everything"]) == (None, True)


def test_a_shallow_clone_simply_has_fewer_ancestors(planted: Planted, tmp_path: Path) -> None:
    shallow = tmp_path / "shallow"
    clone = ["git", "clone", "-q", "--depth", "2", planted.root.as_uri(), str(shallow)]
    subprocess.run(clone, check=True, capture_output=True)

    done = _ask(planted._replace(root=shallow), "rank-tests", "--json")

    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["order_of"] is None


def test_runners_get_that_order_too(planted: Planted, tmp_path: Path) -> None:
    ids, document = tmp_path / "now.txt", tmp_path / "now.json"

    _ask(planted, "rank-tests", "--run-file", str(ids))
    _ask(planted, "rank-tests", "--format", "pytest", "--run-file", str(document))

    assert ids.read_text().splitlines() == IN_ORDER
    assert json.loads(document.read_text())["order_of"]["n_commits"] == 2
