"""``weaver-forge impact`` on a planted repository: from git alone, with a snapshot and spans, and its errors."""

import json
import subprocess
import sys
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from weaver_forge.contracts.dtypes import from_rows
from weaver_forge.contracts.tables.changes import CORE_CHANGES_FILES
from weaver_forge.contracts.tables.ci import CORE_CI_TEST_VERDICTS
from weaver_forge.contracts.tables.coverage import CORE_COVERAGE_TEST_FILES
from weaver_forge.contracts.tables.operations import CORE_DEPLOYMENTS_DEPLOYMENTS, CORE_TRACE_EDGES, RAW_OTLP_SPANS
from weaver_forge.settings import Settings, load
from weaver_forge.sources.git_command import Repository
from weaver_forge.warehouse import Warehouse

ROOT = Path(__file__).parents[2]
T0 = datetime(2026, 1, 1)
FILES = {
    "src/shop/__init__.py": "",
    "src/shop/money.py": "RATE = 1\n",
    "src/shop/cart.py": "from shop.money import RATE\n",
    "tests/test_cart.py": "from shop import cart\n",
    "docs/prices.md": "prices\n",
    ".github/CODEOWNERS": "/src/ @shop/core\n",
}
Ask = Callable[..., "subprocess.CompletedProcess[str]"]


def git(folder: Path, *arguments: str, day: int = 0) -> None:
    at = (T0 + timedelta(days=day)).isoformat() + "+00:00"
    who = {f"GIT_{role}_{part}": value for role in ("AUTHOR", "COMMITTER") for part, value in (
        ("NAME", "Ann"), ("EMAIL", "Ann@Example.org"), ("DATE", at))}  # fmt: skip
    environment = {"PATH": "/usr/bin:/bin", "HOME": str(folder), **who}
    subprocess.run(["git", "-C", str(folder), *arguments], check=True, capture_output=True, env=environment)


@pytest.fixture(scope="module")
def deployment(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """A deployment whose root is a repository: money and prices change together, a newest change touches money."""
    root = tmp_path_factory.mktemp("impact")
    git(root, "init", "-q", "-b", "main")
    (root / "weaver-forge.toml").write_text(f'[pipeline]\npython = "{sys.executable}"\n[decisions]\n', encoding="utf-8")
    (root / ".gitignore").write_text("assets\nmodels\ndata\nledger.db\n", encoding="utf-8")
    for name, body in FILES.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(body, encoding="utf-8")
    git(root, "add", "-A")
    git(root, "commit", "-qm", "Begin")
    for day in range(1, 9):
        for name in ("src/shop/money.py", "docs/prices.md") if day % 2 else ("src/shop/cart.py",):
            with (root / name).open("a", encoding="utf-8") as file:
                file.write(f"# {day}\n")
        git(root, "commit", "-qam", f"Change {day}", day=day)
    with (root / "src/shop/money.py").open("a", encoding="utf-8") as file:
        file.write("NEW = 2\n")
    git(root, "commit", "-qam", "The change", day=20)
    (root / "assets").symlink_to(ROOT / "assets")
    (root / "models").symlink_to(ROOT / "models")
    return load(root)


@pytest.fixture
def ask(deployment: Settings) -> Ask:
    def run(*arguments: str, cwd: Path | None = None) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [sys.executable, "-m", "weaver_forge", "impact", *arguments],
            cwd=cwd or deployment.root, capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip

    return run


def names(data: dict[str, Any], what: str) -> list[str]:
    return [each["name"] for each in data[what]]


def test_git_alone_gives_files_tests_and_owners_and_says_what_was_missing(ask: Ask) -> None:
    said = ask("--json")

    assert said.returncode == 0, said.stderr
    data = json.loads(said.stdout)
    assert data["changed"] == ["src/shop/money.py"]
    assert names(data, "files")[0] == "docs/prices.md"
    cart = next(each for each in data["files"] if each["name"] == "src/shop/cart.py")
    assert "imports src/shop/money.py" in {reason["fact"] for reason in cart["reasons"]}
    assert names(data, "tests") == ["tests/test_cart.py"]
    assert set(names(data, "owners")) == {"@shop/core", "ann@example.org"}
    assert any("coverage" in line for line in data["missing"])
    assert any("was not ingested" in note for note in data["notes"])


def test_several_revisions_are_one_change(ask: Ask) -> None:
    data = json.loads(ask("--last", "2", "--json").stdout)

    assert sorted(data["changed"]) == ["src/shop/cart.py", "src/shop/money.py"]


def test_files_that_are_about_to_change_may_not_exist_yet(ask: Ask, deployment: Settings) -> None:
    said = ask("--files", "prices.md", "../src/shop/prices.py", "--json", cwd=deployment.root / "docs")

    data = json.loads(said.stdout)

    assert data["changed"] == ["docs/prices.md", "src/shop/prices.py"]
    assert names(data, "files")[0] == "src/shop/money.py"


def test_the_text_names_the_signal_of_each(ask: Ask) -> None:
    said = ask().stdout

    assert "docs/prices.md: changed in 5 of the 5 times that src/shop/money.py changed [cochange]" in said
    assert "Missing" in said


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("--change", "nowhere"), 5, "nowhere"),
        (("--files", "/etc/passwd"), 2, "not in this repository"),
        (("--files", "src"), 2, "is a folder"),
        (("--files", "a", "--change", "HEAD"), 2, "two changes"),
        (("--last", "0"), 2, "--last"),
        (("--last", "999"), 5, "only 10 revisions"),
    ],
)
def test_a_wrong_question_is_answered_by_what_to_do(
    ask: Ask, arguments: tuple[str, ...], code: int, words: str
) -> None:
    said = ask(*arguments)

    assert said.returncode == code, said.stderr
    assert words in said.stderr


def test_outside_a_repository_it_says_so(ask: Ask, tmp_path: Path, deployment: Settings) -> None:
    said = ask("--from", str(deployment.root), cwd=tmp_path)

    assert said.returncode == 5
    assert "no git repository" in said.stderr


def _publish(settings: Settings) -> None:
    repo = {"repo_id": Repository(settings.root).repo_id}
    warehouse = Warehouse(settings.warehouse, settings.lake)
    files, verdicts = [], []
    for day in range(1, 9):
        at = T0 + timedelta(days=day)
        change = {**repo, "revision": f"{day:040}", "known_at": at}
        paths = ("src/shop/money.py", "docs/prices.md") if day % 2 else ("src/shop/cart.py",)
        stat = {"author": "ann@example.org", "committed_at": at, "n_added": 1, "n_deleted": 0}
        files += [{**change, **stat, "path": path} for path in paths]
        verdict = {"verdict": "failed" if day in {3, 5} else "passed", "n_attempts": 1, "run_ended_at": at}
        verdicts += [{**change, **verdict, "run_id": str(day), "test_id": "tests.test_cart::test_total", "file": None}]
    later = {**files[0], "revision": "f" * 40, "path": "docs/later.md", "known_at": T0 + timedelta(days=30)}
    coverage = {
        **repo, "report_sha256": "0", "kind": "test", "test_id": "tests.test_cart::test_total", "is_known_test": True,
        "file": "src/shop/money.py", "n_lines": 3, "known_at": T0,
    }  # fmt: skip
    deployed = {
        **repo, "service_key": "/shop/prod", "environment": "prod", "version": "1", "deployment_id": "d",
        "known_at": T0, "status": "succeeded", "started_at": T0, "action": "deploy",
    }  # fmt: skip
    edge = {
        "caller_key": "/web/prod", "callee_key": "/shop/prod", "hour_at": T0, "n_calls": 4, "n_errors": 0,
        "duration_p95_ms": 1.0, "known_at": T0,
    }  # fmt: skip
    tables = {
        CORE_CHANGES_FILES: [*files, later], CORE_CI_TEST_VERDICTS: verdicts, CORE_COVERAGE_TEST_FILES: [coverage],
        CORE_DEPLOYMENTS_DEPLOYMENTS: [deployed], CORE_TRACE_EDGES: [edge],
    }  # fmt: skip
    for table, rows in tables.items():
        warehouse.append(table, from_rows(table, rows))
    attributes = [{"key": "code.file.path", "value": "/srv/app/src/shop/money.py"}]
    plain = {
        "trace_id": "a" * 32, "start_unix_ns": 10**18, "end_unix_ns": 10**18 + 5, "status_code": 0,
        "status_message": "", "service_namespace": "", "service_name": "shop", "deployment_environment_name": "prod",
        "resource_attributes": [],
    }  # fmt: skip
    spans = [
        {**plain, "span_id": "1" * 16, "parent_span_id": None, "name": "GET /prices", "kind": 2, "attributes": []},
        {**plain, "span_id": "2" * 16, "parent_span_id": "1" * 16, "name": "rate", "kind": 1, "attributes": attributes},
    ]
    warehouse.spans.append(from_rows(RAW_OTLP_SPANS, spans))
    warehouse.publish(
        settings.published,
        tables=tuple(tables),
        specs=[],
        policy_text="version: 1\n",
        artifacts={},
        now=T0,
        data_as_of=T0,
    )


def test_a_published_snapshot_and_spans_add_tests_endpoints_and_services(deployment: Settings, ask: Ask) -> None:
    _publish(deployment)

    data = json.loads(ask("--json").stdout)

    (test,) = data["tests"]
    assert test["name"] == "tests.test_cart::test_total"
    facts = {reason["signal"]: reason["fact"] for reason in test["reasons"]}
    assert facts["coverage"] == "executes 3 lines of src/shop/money.py, as 1 of 1 measured tests do"
    assert facts["failures"] == "failed on 2 of the 4 tested changes of src/shop/money.py"
    assert names(data, "endpoints") == ["GET /prices of /shop/prod"]
    assert names(data, "services") == ["/shop/prod", "/web/prod"]
    assert "docs/later.md" not in names(data, "files")
    assert data["missing"] == []
    assert data["notes"] == ["9 changes were not ingested yet and are read from git"]
