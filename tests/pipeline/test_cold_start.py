"""A repository without any result: what its git history and a report of coverage say orders its tests."""

import subprocess
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import coverage
import pytest

from assets.verbs.loop import Runner
from assets.verbs.predict import predict
from weaver_forge.settings import Settings, load
from weaver_forge.sources.git_command import Repository

START = datetime(2026, 3, 1, 12)
MINUTE = timedelta(minutes=1)
TEXTS = {
    "shop/__init__.py": "",
    "shop/cart.py": "from shop.money import Money\n\n\ndef total():\n    return Money()\n",
    "shop/money.py": "class Money:\n    pass\n",
    "shop/mail.py": "def post():\n    return 1\n",
    "tests/conftest.py": "import json\n",
    "tests/cart/helpers.py": "from shop import cart\n",
    "tests/cart/test_sum.py": "from helpers import cart\n",
    "tests/test_letters.py": "from shop import mail\n",
    **{f"tests/test_other{n}.py": "import json\n" for n in range(6)},
    "README.md": "Shop\n",
}


def commit(folder: Path, files: dict[str, str], number: int) -> None:
    stamp = int((START + number * MINUTE - datetime(1970, 1, 1)).total_seconds())
    above = "from refs/heads/main^0\n" if number else ""
    stream = [f"commit refs/heads/main\ncommitter N <n@example.org> {stamp} +0000\ndata 1\nx\n{above}"]
    stream += [f"M 100644 inline {path}\ndata {len(text)}\n{text}\n" for path, text in files.items()]
    subprocess.run(("git", "-C", str(folder), "fast-import", "--quiet"), input="".join(stream).encode(), check=True)


def ranked(settings: Settings, folder: Path) -> list[dict[str, Any]]:
    """What is said of the tests of the revision that is checked out, first to run first."""
    events: list[Any] = []
    clone = Repository(folder)
    asked = {"repo_id": clone.repo_id, "revision": clone.head()}
    snapshot = str(settings.published)
    predict(settings, {"decision": "test_selection", "subject": asked, "repository": str(folder), "snapshot": snapshot},
            events.append)  # fmt: skip
    said: list[dict[str, Any]] = events[-1]["data"]["predictions"]
    return sorted(said, key=lambda row: (-row["score"], row["test_id"]))


@pytest.fixture(scope="module")
def lived(tmp_path_factory: pytest.TempPathFactory) -> tuple[Settings, Path, dict[str, list[dict[str, Any]]]]:
    """The answers after three commits, of which only the first was ingested, and after a report of coverage."""
    folder = tmp_path_factory.mktemp("cold")
    shop = folder / "shop"
    subprocess.run(("git", "init", "-q", "-b", "main", str(shop)), check=True)
    root = folder / "deployment"
    root.mkdir()
    (root / "weaver-forge.toml").write_text('[decisions]\ntest_selection = "models.test_selection"\n', encoding="utf-8")
    settings = load(root)
    settings.dagster_home.mkdir(parents=True, exist_ok=True)
    commit(shop, TEXTS, 0)
    runner = Runner(settings, lambda _event: None)
    runner.ingest({"git": {"paths": [str(shop)]}})
    runner.job("retrain")
    said = {}
    commit(shop, {"shop/money.py": "class Money:\n    minor = 100\n"}, 1)
    said["money"] = ranked(settings, shop)
    commit(shop, {"shop/mail.py": "def post():\n    return 2\n"}, 2)
    said["mail"] = ranked(settings, shop)
    commit(shop, {"README.md": "Shop, in words\n"}, 3)
    said["words"] = ranked(settings, shop)
    report = folder / "coverage.sqlite"
    measured = coverage.CoverageData(str(report))
    for test, path in (
        ("tests/test_other1.py::test_a|run", "shop/mail.py"),
        ("tests/test_other2.py::test_b|run", "shop/cart.py"),
    ):
        measured.set_context(test)
        measured.add_lines({str(shop / path): [1, 2]})
    measured.write()
    given = {"paths": [str(report)], "repo_id": Repository(shop).repo_id}
    runner.ingest({"coverage": given})
    runner.job("publish")
    commit(shop, {"shop/mail.py": "def post():\n    return 3\n"}, 4)
    said["covered"] = ranked(settings, shop)
    return settings, shop, said


def test_the_test_that_imports_what_changed_through_a_sibling_comes_first(lived: Any) -> None:
    _, _, said = lived

    order = [row["test_id"] for row in said["money"]]

    assert order[0] == "tests/cart/test_sum.py"
    assert len(order) == 8


def test_the_test_that_imports_what_changed_itself_comes_first(lived: Any) -> None:
    _, _, said = lived

    assert said["mail"][0]["test_id"] == "tests/test_letters.py"


def test_what_speaks_before_anything_could_be_judged_is_the_baseline(lived: Any) -> None:
    _, _, said = lived

    assert {row["is_baseline"] for row in said["mail"]} == {True}


def test_a_change_of_words_puts_no_test_before_another(lived: Any) -> None:
    _, _, said = lived

    assert len({row["score"] for row in said["words"]}) == 1


def test_measured_tests_are_known_by_name_and_the_one_that_executed_what_changed_comes_first(lived: Any) -> None:
    _, _, said = lived

    order = [row["test_id"] for row in said["covered"]]

    assert order == ["tests.test_other1::test_a", "tests.test_other2::test_b"]
