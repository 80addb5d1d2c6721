"""Which paths run certain tests or all of them, whatever is predicted, and that each rule names its path."""

import pytest

from weaver_forge.hooks.selecting.always import Fired, fired, of_file

PYTEST = [
    "tests.unit.test_login::test_ok",
    "tests.unit.test_login.TestForm::test_bad[1]",
    "tests.unit.test_cart::test_add",
]


@pytest.mark.parametrize(
    ("path", "rule"),
    [
        ("uv.lock", "lock_file"),
        ("services/web/package-lock.json", "lock_file"),
        ("requirements-dev.txt", "lock_file"),
        (".github/workflows/ci.yml", "ci_configuration"),
        (".gitlab-ci.yml", "ci_configuration"),
        ("pyproject.toml", "build_configuration"),
        ("web/build.gradle.kts", "build_configuration"),
        ("Dockerfile", "build_configuration"),
        ("tests/unit/data/orders.json", "data_file"),
        ("tests/README.md", "data_file"),
        ("src/shop/prices.csv", "data_file"),
        ("src/shop/schema.unknown", "data_file"),
        ("tests/conftest.py", "test_support"),
        ("tests/helpers.py", "test_support"),
        ("tests/unit/test_new.py", "new_test"),
    ],
)
def test_a_path_that_no_prediction_can_judge_runs_everything_and_is_named(path: str, rule: str) -> None:
    (found,) = fired([path], PYTEST, {})

    assert (found.rule, found.path, found.is_everything) == (rule, path, True)
    assert path in found.words
    assert "everything runs" in found.words


@pytest.mark.parametrize("path", ["src/shop/login.py", "docs/guide.md", "README.md", "internal/cart/cart.go"])
def test_code_and_documentation_are_left_to_the_prediction(path: str) -> None:
    assert fired([path], PYTEST, {}) == ()


def test_tests_of_a_changed_test_file_always_run_and_no_others() -> None:
    found = fired(["src/shop/login.py", "tests/unit/test_login.py"], PYTEST, {})

    assert found == (Fired("changed_test", "tests/unit/test_login.py", (PYTEST[1], PYTEST[0])),)


def test_a_change_whose_files_nobody_knows_runs_everything() -> None:
    (found,) = fired(None, PYTEST, {})

    assert (found.rule, found.is_everything) == ("files_unknown", True)
    assert "not known" in found.words


def test_a_protected_path_runs_everything_beside_whatever_else_it_fires() -> None:
    found = fired(["db/migrations/1.py"], PYTEST, {}, ["migrations/"])

    assert [(one.rule, one.path) for one in found] == [("protected_path", "db/migrations/1.py")]


@pytest.mark.parametrize(
    ("path", "test"),
    [
        ("src/test/java/org/ex/CartTest.java", "org.ex.CartTest::adds"),
        ("src/test/java/org/ex/CartTest.java", "org.ex.CartTest$Inner::adds"),
        ("pkg/cart/cart_test.go", "github.com/ex/shop/pkg/cart::TestAdd/empty"),
        ("python/tests/test_cart.py", "tests.test_cart::test_add"),
        ("tests/test_cart.py", "test_cart.TestCart::test_add"),
        ("web/cart.test.ts", "web/cart.test.ts::adds"),
    ],
)
def test_ids_of_several_runners_lead_back_to_their_file(path: str, test: str) -> None:
    other = test.replace("art", "lock")

    assert of_file(path, [test, other], {}) == [test]


def test_a_file_that_a_report_names_counts_before_any_spelling() -> None:
    files = {"suite one::adds": "./web/cart.test.ts", "web/cart.test.ts::adds": "web/other.test.ts"}

    assert of_file("web/cart.test.ts", list(files), files) == ["suite one::adds"]
