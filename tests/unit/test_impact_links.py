"""From files to endpoints, services, tests and owners, on planted traces, coverage and CODEOWNERS."""

from datetime import datetime, timedelta

import polars as pl
import pytest

from weaver_forge.links.impact.blast import Known, blast
from weaver_forge.links.impact.executed import by_coverage, by_failures, by_file, files_of_tests, ranked_tests
from weaver_forge.links.impact.history import history
from weaver_forge.links.impact.owners import authorship, owners_of, read_codeowners
from weaver_forge.links.impact.prior import PRIOR
from weaver_forge.links.impact.python_imports import ImportGraph
from weaver_forge.links.impact.runtime import callers, touched_code

T0 = datetime(2026, 3, 1)


def spans(*rows: tuple[str, str, str, str | None, str, bool, str | None, str | None]) -> pl.DataFrame:
    names = ["service_key", "trace_id", "span_id", "parent_span_id", "name", "is_entry", "code_file", "code_function"]
    return pl.DataFrame(rows, schema=dict.fromkeys(names, pl.String) | {"is_entry": pl.Boolean}, orient="row")


SHOP = spans(
    ("shop/web/prod", "t1", "a", None, "GET /cart", True, None, None),
    ("shop/web/prod", "t1", "b", "a", "render", False, "/app/src/web/cart.py", "web.cart.render"),
    ("shop/pay/prod", "t1", "c", "b", "POST /pay", True, None, None),
    ("shop/pay/prod", "t1", "d", "c", "charge", False, None, "pay.money.Money.round"),
    ("shop/web/prod", "t2", "e", None, "GET /", True, None, None),
    ("shop/web/prod", "t2", "f", "e", "index", False, "/app/src/web/index.py", None),
)


def test_a_file_is_tied_to_the_endpoint_above_the_span_that_ran_it() -> None:
    found = touched_code(SHOP, ["src/web/cart.py"])

    assert found.select("path", "service_key", "endpoint", "signal").rows() == [
        ("src/web/cart.py", "shop/web/prod", "GET /cart", "code.file.path")
    ]


def test_a_function_s_name_tells_the_file_where_no_path_does() -> None:
    found = touched_code(SHOP, ["src/pay/money.py", "src/pay/other.py"])

    assert found.select("path", "endpoint", "signal").rows() == [
        ("src/pay/money.py", "POST /pay", "code.function.name")
    ]


def test_a_path_that_fits_several_files_alike_fits_none() -> None:
    ran = spans(("s", "t", "a", None, "GET /", True, "/srv/util.py", None))

    assert touched_code(ran, ["one/util.py", "two/util.py"]).is_empty()
    assert touched_code(ran, ["one/util.py"]).height == 1


def test_a_span_whose_parent_was_not_kept_speaks_for_itself() -> None:
    ran = spans(("s", "t", "b", "gone", "job", False, "/srv/a/job.py", None))

    assert touched_code(ran, ["a/job.py"])["endpoint"].to_list() == ["job"]


def test_callers_are_found_over_several_calls() -> None:
    edges = pl.DataFrame(
        {"caller_key": ["web", "edge", "pay"], "callee_key": ["pay", "web", "web"], "n_calls": [5, 3, 1]}
    )

    assert callers(edges, ["pay"]) == [("web", "pay", 1, 5), ("edge", "web", 2, 3)]


def coverage(*rows: tuple[str, str, str, int]) -> pl.DataFrame:
    made = [(kind, test, file, 10, T0 + timedelta(days=day)) for kind, test, file, day in rows]
    return pl.DataFrame(made, schema=["kind", "test_id", "file", "n_lines", "known_at"], orient="row")


def test_coverage_names_the_tests_of_the_newest_report_and_the_rarer_first() -> None:
    said = coverage(
        ("test", "t_all", "a.py", 1), ("test", "t_all", "b.py", 1), ("test", "t_a", "a.py", 0),
        ("test", "t_a", "b.py", 1), ("test", "t_c", "a.py", 1), ("import", "", "a.py", 1),
    )  # fmt: skip

    found = {each.name: each for each in by_coverage(said, ["a.py"])}

    assert set(found) == {"t_all", "t_c"}
    assert found["t_c"].reasons[0].fact == "executes 10 lines of a.py, as 2 of 3 measured tests do"


def test_failures_on_the_same_files_count_by_how_often_they_were_tested() -> None:
    failures = pl.DataFrame(
        {"path": ["a.py", "z.py"], "test_id": ["t1", "t2"], "n_failed": [3, 9], "n_changes": [4, 9]}
    )

    (found,) = by_failures(failures, ["a.py"])

    assert (found.name, found.score) == ("t1", 0.5)
    assert found.reasons[0].fact == "failed on 3 of the 4 tested changes of a.py"


def test_a_test_with_several_ties_comes_before_one_with_a_single() -> None:
    graph = ImportGraph({"src/cart.py": "", "tests/test_cart.py": "import cart", "tests/test_more.py": "import cart"})
    tests = {"tests/test_cart.py::test_a": "tests/test_cart.py", "tests/test_more.py::test_b": "tests/test_more.py"}

    ranked = ranked_tests(by_file(tests, ["src/cart.py"], [], graph))

    assert [each.name for each in ranked] == ["tests/test_cart.py::test_a", "tests/test_more.py::test_b"]
    assert {reason.signal for reason in ranked[0].reasons} == {"import", "same_stem"}


def test_tests_are_traced_to_their_files_by_report_or_by_name() -> None:
    paths = ["tests/unit/test_cart.py", "core/src/test/java/org/shop/CartTest.java", "src/cart.py"]
    tests = {
        "tests.unit.test_cart.TestCart::test_a": None,
        "org.shop.CartTest::adds": None,
        "x::y": "src/cart.py",
        "q::r": None,
    }

    assert files_of_tests(tests, paths) == {
        "tests.unit.test_cart.TestCart::test_a": paths[0], "org.shop.CartTest::adds": paths[1], "x::y": paths[2],
    }  # fmt: skip


@pytest.mark.parametrize(
    ("pattern", "owned", "not_owned"),
    [
        ("*", ["a.py", "x/y.md"], []),
        ("*.js", ["a.js", "x/y.js"], ["a.jsx"]),
        ("/build/logs/", ["build/logs/a", "build/logs/b/c"], ["x/build/logs/a"]),
        ("docs/*", ["docs/a.md"], ["docs/b/c.md", "x/docs/a.md"]),
        ("apps/", ["apps/a", "x/apps/b/c"], ["apps"]),
        ("**/logs", ["logs/a", "x/y/logs/b"], ["xlogs"]),
        ("/src/**/test", ["src/test/a", "src/x/y/test/b"], ["test/a"]),
        ("/Makefile", ["Makefile"], ["x/Makefile"]),
    ],
)
def test_patterns_of_codeowners_mean_what_github_says(pattern: str, owned: list[str], not_owned: list[str]) -> None:
    rules = read_codeowners(f"{pattern} @team\n")

    assert set(owners_of(rules, [*owned, *not_owned])) == set(owned)


def test_the_last_rule_that_matches_holds_also_one_without_owners() -> None:
    rules = read_codeowners("* @all\n/src/ @core # a comment\n/src/vendor/\n")

    found = owners_of(rules, ["README", "src/a.py", "src/vendor/b.py"])

    assert {path: rule.owners for path, rule in found.items()} == {"README": ("@all",), "src/a.py": ("@core",)}


def changed(*rows: tuple[str, str, str, int, int]) -> pl.DataFrame:
    made = [
        (rev, path, who, T0 + timedelta(days=day), T0 + timedelta(days=day), n, 0) for rev, path, who, day, n in rows
    ]
    names = ["revision", "path", "author", "committed_at", "known_at", "n_added", "n_deleted"]
    return pl.DataFrame(made, schema=names, orient="row").cast({name: pl.Datetime("us") for name in names[3:5]})


def test_who_wrote_more_lately_owns_more() -> None:
    files = changed(
        ("r1", "a.py", "old@x", -2000, 400), ("r2", "a.py", "new@x", -10, 50), ("r3", "b.py", "other@x", -1, 9)
    )

    shares = authorship(files, ["a.py"], T0)

    assert shares["author"].to_list() == ["new@x", "old@x"]
    assert shares["share"].sum() == pytest.approx(1.0)


def test_what_is_not_there_is_named_and_the_rest_is_said() -> None:
    found = blast(Known(weights=PRIOR), ["src/cart.py"], author="", at=T0)

    assert found.files == found.tests == found.services == found.endpoints == found.owners == ()
    assert len(found.missing) == 8


def test_a_change_is_followed_to_files_tests_endpoints_services_and_owners() -> None:
    files = changed(*[
        (f"r{n}", path, "ann@x", n - 20, 5) for n in range(10) for path in ("src/pay/money.py", "docs/money.md")
    ])  # fmt: skip
    known = Known(
        weights=PRIOR,
        history=history(files),
        files=files,
        graph=ImportGraph(
            {"src/pay/money.py": "", "src/pay/bill.py": "import money", "tests/test_bill.py": "from pay import bill"}
        ),
        spans=SHOP,
        edges=pl.DataFrame({"caller_key": ["shop/web/prod"], "callee_key": ["shop/pay/prod"], "n_calls": [7]}),
        deployed=["shop/pay/prod", "shop/web/prod"],
        codeowners=read_codeowners("/src/pay/ @payments\n"),
    )

    found = blast(known, ["src/pay/money.py"], author="ann@x", at=T0)

    assert found.files[0].name == "docs/money.md"
    assert {each.name for each in found.files} >= {"src/pay/bill.py", "tests/test_bill.py"}
    assert [each.name for each in found.tests] == ["tests/test_bill.py"]
    assert [each.name for each in found.endpoints] == ["POST /pay of shop/pay/prod"]
    assert found.services[0].name == "shop/pay/prod"
    web = next(each for each in found.services if each.name == "shop/web/prod")
    assert {reason.signal for reason in web.reasons} == {"deployment", "call"}
    assert [each.name for each in found.owners] == ["ann@x", "@payments"]
