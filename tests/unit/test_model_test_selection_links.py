"""Test selection by the change alone: planted imports, coverage, traces and common changes, without any results."""

from datetime import datetime, timedelta
from typing import Any

import numpy as np
import polars as pl
import pytest

from models import test_selection
from models.test_selection.change_links import LINKS
from weaver_forge.contracts.decision import SubjectKind
from weaver_forge.contracts.dtypes import empty, shaped
from weaver_forge.contracts.tables import BY_NAME
from weaver_forge.links.impact.import_times import changed_rows
from weaver_forge.links.impact.python_imports import ImportGraph

T0 = datetime(2026, 1, 1)
HOUR = timedelta(hours=1)
KIND = test_selection.SPEC.kinds[0]
KEY = list(KIND.subject_columns)

TEXTS = {
    "src/shop/__init__.py": "",
    "src/shop/cart.py": "from shop.money import Money\n",
    "src/shop/money.py": "",
    "src/shop/mail.py": "",
    "tests/conftest.py": "import shop\n",
    "tests/cart/helpers.py": "from shop import cart\n",
    "tests/cart/test_total.py": "from helpers import full_cart\n",
    "tests/test_post.py": "from shop import mail\n",
    "tests/test_coins.py": "import shop.money\n",
    **{f"tests/test_other{n}.py": "import json\n" for n in range(9)},
}
TESTS = {path: path.removesuffix(".py").replace("/", ".") + "::test_it" for path in TEXTS if "/test_" in path}


def tables(**rows: list[dict[str, Any]] | pl.DataFrame) -> dict[str, pl.DataFrame]:
    known = {table.name: empty(table) for table in test_selection.SPEC.reads}
    for name, some in rows.items():
        frame = some if isinstance(some, pl.DataFrame) else pl.DataFrame(some, infer_schema_length=None)
        known[name] = shaped(BY_NAME[name], frame)
    return known


def change(revision: str, *paths: str, at: datetime = T0) -> dict[str, list[dict[str, Any]]]:
    base = {"repo_id": "r", "revision": revision, "author": "a", "committed_at": at, "known_at": at}
    files = [{**base, "path": path, "n_added": 5, "n_deleted": 1} for path in paths]
    return {
        "core_changes__changes": [{**base, "subject": "s", "is_fix": False, "n_files": len(paths), "n_added": 5,
                                   "n_deleted": 1}],
        "core_changes__files": files,
    }  # fmt: skip


def tree(texts: dict[str, str] = TEXTS, at: datetime = T0 - HOUR) -> dict[str, Any]:
    rows, _ = changed_rows("r", at, ImportGraph(texts).imports, empty(BY_NAME["core_changes__imports"]))
    seen = {"repo_id": "r", "revision": "old", "n_files": len(texts), "rules": 1, "known_at": at}
    return {"core_changes__imports": rows, "core_changes__trees": [seen]}


def meaning(revision: str, kind: str, *paths: str) -> dict[str, list[dict[str, Any]]]:
    base = {"repo_id": "r", "revision": revision, "semantic_class": kind, "committed_at": T0, "known_at": T0}
    return {
        "core_changes__semantics": [{**base, "n_harmless": 0, "n_files": len(paths), "rules": 1}],
        "core_changes__file_semantics": [{**base, "path": path, "reason": "planted"} for path in paths],
    }


def asked(revision: str, at: datetime = T0 + HOUR, names: dict[str, str] = TESTS) -> pl.DataFrame:
    rows = [("r", revision, test, at) for test in names.values()]
    return pl.DataFrame(rows, schema=KEY, orient="row").cast({"predicted_at": pl.Datetime("us")})


def ranked(known: dict[str, pl.DataFrame], revision: str, kind: SubjectKind = KIND) -> pl.DataFrame:
    """The answer of a model that has never seen a result."""
    features = kind.features(known, asked(revision))
    artifact = kind.model.fit(
        features.clear(), kind.labels(known, asked(revision).clear(), T0), np.random.default_rng(0)
    )
    return kind.model.predict(artifact, features).rows.sort("score", descending=True)


def numbers(known: dict[str, pl.DataFrame], revision: str, column: str) -> dict[str, Any]:
    features = KIND.features(known, asked(revision))
    by_test = dict(features.select("test_id", column).iter_rows())
    return {path: by_test[test] for path, test in TESTS.items()}


@pytest.mark.parametrize("objective", ["time", "failures", "budget"])
def test_without_history_tests_that_import_what_changed_come_first(objective: str) -> None:
    """Directly, and through a chain with a sibling import of pytest's default mode; a conftest counts too."""
    kind = test_selection.configure(objective=objective).kinds[0]
    known = tables(**tree(), **change("new", "src/shop/money.py"))

    rows = ranked(known, "new", kind)

    assert rows["test_id"][0] == TESTS["tests/test_coins.py"]
    assert set(rows["test_id"][:2]) == {TESTS["tests/test_coins.py"], TESTS["tests/cart/test_total.py"]}
    assert "imports changed file" not in rows["evidence"][-1]
    assert 'imports changed file src/shop/money.py"' in rows["evidence"][0]


def test_a_file_that_every_test_imports_says_less_than_one_that_few_do() -> None:
    common = numbers(tables(**tree(), **change("new", "src/shop/__init__.py")), "new", "import_pull")
    rare = numbers(tables(**tree(), **change("new", "src/shop/mail.py")), "new", "import_pull")

    assert common["tests/test_post.py"] < 0.1
    assert rare["tests/test_post.py"] > 0.5


def test_a_tree_that_was_read_later_is_not_known() -> None:
    later = tables(**tree(at=T0 + 2 * HOUR), **change("new", "src/shop/money.py"))

    assert set(numbers(later, "new", "import_nearness").values()) == {None}


@pytest.mark.parametrize("missing", LINKS)
def test_what_no_source_says_is_unknown_and_not_absent(missing: str) -> None:
    known = tables(**change("new", "src/shop/money.py"))

    said = numbers(known, "new", missing)

    assert said["tests/test_coins.py"] is None


@pytest.mark.parametrize("source", ["coverage", "trace"])
def test_without_history_tests_that_executed_what_changed_come_first(source: str) -> None:
    """The newest report of a test counts; one that was never measured stands between those that were."""
    at = {"known_at": T0 - HOUR}
    ran = {"tests/test_other1.py": "src/shop/money.py", "tests/test_other2.py": "src/shop/mail.py"}
    if source == "coverage":
        base = {"repo_id": "r", "report_sha256": "x", "kind": "test", "n_lines": 3, "is_known_test": True, **at}
        rows = [{**base, "test_id": TESTS[test], "file": file} for test, file in ran.items()]
        outdated = {**base, "report_sha256": "w", "test_id": TESTS["tests/test_other2.py"], "known_at": T0 - 2 * HOUR}
        sources: dict[str, Any] = {"core_coverage__test_files": [*rows, {**outdated, "file": "src/shop/money.py"}]}
    else:
        spans = [
            {"test_id": TESTS[test], "code_file": f"/app/{file}", "code_function": "", **at}
            for test, file in ran.items()
        ]
        sources = {"core_ci__test_code": spans}
    # Spans say paths of the machine that ran them: whose files these are is known from earlier changes.
    earlier = change("old", "src/shop/mail.py", at=T0 - 3 * HOUR)["core_changes__files"]
    of_change = change("new", "src/shop/money.py")
    known = tables(**sources, **{**of_change, "core_changes__files": [*of_change["core_changes__files"], *earlier]})

    order = ranked(known, "new")["test_id"].to_list()

    assert order[0] == TESTS["tests/test_other1.py"]
    assert order[-1] == TESTS["tests/test_other2.py"]


def test_a_test_whose_file_changed_along_with_a_file_before_is_tied_to_it() -> None:
    changes = [change(f"old{n}", "src/shop/mail.py", "tests/test_post.py", at=T0 - (n + 1) * HOUR) for n in range(4)]
    changes.append(change("new", "src/shop/mail.py"))
    known = tables(**{name: [row for one in changes for row in one[name]] for name in changes[0]})

    said = numbers(known, "new", "cochange_share")

    assert said["tests/test_post.py"] == pytest.approx(4 / 6)
    assert said["tests/test_coins.py"] is None  # its file was never seen


def test_a_change_of_documentation_alone_gives_low_probabilities_and_ties_nothing() -> None:
    of = change("new", "src/shop/money.py")
    behaviour = ranked(tables(**tree(), **of, **meaning("new", "behaviour", "src/shop/money.py")), "new")
    documentation = tables(**tree(), **of, **meaning("new", "docstring", "src/shop/money.py"))

    calm = ranked(documentation, "new")

    assert calm["probability"].max() < 0.01
    assert behaviour["probability"].max() > 0.1
    assert set(numbers(documentation, "new", "import_pull").values()) == {0.0}


def test_a_change_of_unknown_meaning_is_taken_for_one_of_behaviour() -> None:
    of = {**tree(), **change("new", "src/shop/money.py")}

    unknown = ranked(tables(**of), "new")
    behaviour = ranked(tables(**of, **meaning("new", "behaviour", "src/shop/money.py")), "new")

    assert unknown["probability"].to_list() == behaviour["probability"].to_list()


def history(n: int, *, breaks: bool = True) -> dict[str, pl.DataFrame]:
    """Runs an hour apart; each changes one of three modules and a test fails iff what it imports changed."""
    rng = np.random.default_rng(0)
    graph = ImportGraph(TEXTS)
    verdicts, runs, changes, files = [], [], [], []
    for k in range(n):
        touched = f"src/shop/{('cart', 'money', 'mail')[int(rng.integers(3))]}.py"
        broken = graph.dependents([touched]) if breaks and rng.random() < 0.6 else {}
        start = T0 + k * HOUR
        of = change(f"rev{k}", touched, at=start)
        changes += of["core_changes__changes"]
        files += of["core_changes__files"]
        run = {"repo_id": "r", "run_id": f"run{k}", "revision": f"rev{k}", "known_at": start + HOUR / 2}
        runs.append({**run, "run_attempt": 1, "workflow": "ci", "started_at": start, "ended_at": start + HOUR / 2,
                     "link_method": "given"})  # fmt: skip
        verdicts += [
            {**run, "test_id": test, "verdict": "failed" if path in broken else "passed", "n_attempts": 1,
             "duration_ms": 100.0, "run_ended_at": start + HOUR / 2}
            for path, test in TESTS.items()
        ]  # fmt: skip
    return tables(
        core_ci__test_verdicts=verdicts, core_ci__runs=runs, core_changes__changes=changes, core_changes__files=files,
        **tree(),
    )  # fmt: skip


def test_with_history_the_ties_of_the_change_are_learned() -> None:
    known = history(60)
    subjects = KIND.history(known, T0 + 100 * HOUR)
    features, labels = KIND.features(known, subjects), KIND.labels(known, subjects, T0 + 100 * HOUR)
    cut = T0 + 40 * HOUR
    later = features.filter(pl.col("predicted_at") >= cut)

    artifact = KIND.model.fit(features.filter(pl.col("predicted_at") < cut), labels, np.random.default_rng(0))
    rows = KIND.model.predict(artifact, later).rows.join(labels, on=KEY)

    failing = rows.with_columns(rank=pl.col("score").rank("min", descending=True).over("revision")).filter(
        pl.col("outcome") > 0
    )
    assert failing.height > 5
    assert failing["rank"].max() <= 3


def test_tests_that_are_new_or_never_failed_go_where_the_change_puts_them() -> None:
    """New ones get a prior from the change: neither first place by rule nor the last one."""
    known = history(30)
    new = {"a": "tests.test_other_new::test_it", "b": "tests.test_new_mail::test_it"}
    fresh = {**TEXTS, "tests/test_other_new.py": "", "tests/test_new_mail.py": "import shop.mail\n"}
    at = T0 + 30 * HOUR
    of = change("next", "src/shop/mail.py", at=at)
    more = tables(**tree(fresh, at - HOUR / 4), **of)
    known |= {name: pl.concat([known[name], more[name]]) for name in of}
    known |= {name: more[name] for name in tree()}
    subjects = KIND.history(known, at)
    features, labels = KIND.features(known, subjects), KIND.labels(known, subjects, at)
    asking = KIND.features(known, asked("next", at + HOUR / 4, {**TESTS, **new}))

    rows = KIND.model.predict(KIND.model.fit(features, labels, np.random.default_rng(0)), asking).rows
    order = rows.sort("score", descending=True)["test_id"].to_list()

    assert order.index(new["b"]) < 4
    assert order.index(new["a"]) >= 4
