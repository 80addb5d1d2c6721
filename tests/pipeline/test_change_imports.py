"""What Python files import is kept as of the newest tree, with the time in which each import was there."""

import subprocess
from datetime import datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from assets.core import change_imports
from assets.verbs.loop import Runner
from weaver_forge.contracts.tables.imports import CORE_CHANGES_IMPORTS, CORE_CHANGES_TREES
from weaver_forge.links.impact.closures import Closures
from weaver_forge.links.impact.import_times import held_at
from weaver_forge.settings import load

START = datetime(2026, 3, 1, 12)
MINUTE = timedelta(minutes=1)
COMMITS = (
    {"shop/__init__.py": "", "shop/cart.py": "", "shop/money.py": "", "tests/test_cart.py": "import shop.cart\n"},
    {"shop/cart.py": "from shop.money import Money\n"},
    {"README.md": "words\n"},
)
LATER = {"tests/test_cart.py": "import shop.money\n", "tests/helpers.py": "", "tests/test_new.py": "import helpers\n"}


def commit(folder: Path, files: dict[str, str], number: int) -> None:
    stamp = int((START + number * MINUTE - datetime(1970, 1, 1)).total_seconds())
    above = "from refs/heads/main^0\n" if number else ""
    stream = [f"commit refs/heads/main\ncommitter N <n@example.org> {stamp} +0000\ndata 1\nx\n{above}"]
    stream += [f"M 100644 inline {path}\ndata {len(text)}\n{text}\n" for path, text in files.items()]
    subprocess.run(("git", "-C", str(folder), "fast-import", "--quiet"), input="".join(stream).encode(), check=True)


def edges(rows: pl.DataFrame, at: datetime) -> set[tuple[str, str]]:
    held = held_at(rows, at).filter(pl.col("imported").str.len_bytes() > 0)
    return set(held.select("path", "imported").iter_rows())


def test_imports_are_kept_with_the_time_in_which_they_were_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(change_imports, "SPACING", 1)
    root = tmp_path / "deployment"
    root.mkdir()
    (root / "weaver-forge.toml").write_text("[decisions]\n", encoding="utf-8")
    settings = load(root)
    settings.dagster_home.mkdir(parents=True, exist_ok=True)
    shop = tmp_path / "shop"
    subprocess.run(("git", "init", "-q", "-b", "main", str(shop)), check=True)
    for number, files in enumerate(COMMITS):
        commit(shop, files, number)
    runner = Runner(settings, lambda _event: None)
    runner.ingest({"git": {"paths": [str(shop)]}})
    first = runner.deployment.warehouse.read(CORE_CHANGES_IMPORTS)
    commit(shop, LATER, 5)

    runner.ingest({"git": {"paths": [str(shop)]}})

    rows = runner.deployment.warehouse.read(CORE_CHANGES_IMPORTS)
    seen = runner.deployment.warehouse.read(CORE_CHANGES_TREES).sort("known_at")
    init, cart, money, test = "shop/__init__.py", "shop/cart.py", "shop/money.py", "tests/test_cart.py"
    at_first = {(test, init), (test, cart)}
    with_money = {*at_first, (cart, init), (cart, money)}
    assert seen["n_files"].to_list() == [4, 4, 4, 6]
    assert edges(first, START) == at_first
    assert edges(first, START + 4 * MINUTE) == with_money
    assert edges(rows, START + 4 * MINUTE) == with_money  # what came later changes nothing of the past
    assert edges(rows, START + 5 * MINUTE) == {
        *(with_money - {(test, cart)}), (test, money), ("tests/test_new.py", "tests/helpers.py"),
    }  # fmt: skip


def test_who_depends_on_a_file_is_found_over_stored_edges() -> None:
    rows = [
        ("a.py", ""),
        ("b.py", ""),
        ("b.py", "a.py"),
        ("c.py", "b.py"),
        ("c.py", ""),
        ("d.py", ""),
        ("a.py", "c.py"),
    ]
    closures = Closures(pl.DataFrame(rows, schema=["path", "imported"], orient="row"))

    files, distance = closures.dependents("a.py")

    assert dict(zip(closures.paths.gather(files), distance.tolist(), strict=True)) == {"a.py": 0, "b.py": 1, "c.py": 2}
    assert closures.dependents("gone.py")[0].size == 0
