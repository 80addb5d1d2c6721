"""Imports of planted trees: src layouts, packages, what pytest puts on the path, conftest files, chains."""

from weaver_forge.links.impact.files import importing
from weaver_forge.links.impact.python_imports import ImportGraph, imported


def test_absolute_and_relative_imports_of_a_src_layout_are_found() -> None:
    graph = ImportGraph(
        {
            "src/shop/__init__.py": "",
            "src/shop/cart.py": "from shop.money import Money\n",
            "src/shop/money.py": "from . import rounding\n",
            "src/shop/rounding.py": "",
            "tests/test_cart.py": "import shop.cart as c\n",
        }
    )

    assert graph.imports["src/shop/cart.py"] == {"src/shop/__init__.py", "src/shop/money.py"}
    assert graph.imports["src/shop/money.py"] == {"src/shop/__init__.py", "src/shop/rounding.py"}
    assert graph.imports["tests/test_cart.py"] == {"src/shop/__init__.py", "src/shop/cart.py"}


def test_sibling_imports_of_tests_are_those_of_their_own_folder() -> None:
    graph = ImportGraph(
        {
            "tests/utils.py": "",
            "tests/client/utils.py": "",
            "tests/client/test_http.py": "from utils import http\n",
            "tests/test_top.py": "import utils\n",
            "src/app/utils.py": "",
            "src/app/__init__.py": "",
        }
    )

    assert graph.imports["tests/client/test_http.py"] == {"tests/client/utils.py"}
    assert graph.imports["tests/test_top.py"] == {"tests/utils.py"}


def test_siblings_in_a_test_package_are_found_from_its_base() -> None:
    graph = ImportGraph(
        {
            "tests/__init__.py": "",
            "tests/helpers.py": "",
            "tests/unit/__init__.py": "",
            "tests/unit/test_a.py": "from tests.helpers import make\nfrom ..helpers import other\n",
        }
    )

    assert graph.imports["tests/unit/test_a.py"] == {"tests/__init__.py", "tests/helpers.py"}


def test_a_conftest_is_imported_by_the_tests_below_it() -> None:
    graph = ImportGraph({"conftest.py": "", "tests/conftest.py": "", "tests/test_a.py": "", "other/run.py": ""})

    assert graph.imports["tests/test_a.py"] == {"conftest.py", "tests/conftest.py"}
    assert graph.imports["other/run.py"] == frozenset()


def test_imports_in_brackets_functions_and_calls_count() -> None:
    text = (
        "from a import (\n    b,  # why\n    c as d,\n)\n"
        "def f():\n    import g, h.i as j\n"
        "m = importlib.import_module('k.l')\n"
        "from n import o \\\n    , p\n"
        "pytest_plugins = ['q.r']\n"
    )

    assert set(imported(text)) == {
        ("a", ("b", "c")), ("g", ()), ("h.i", ()), ("k.l", ()), ("n", ("o", "p")), ("q.r", ()),
    }  # fmt: skip


def test_dependents_have_their_distance_and_the_chain() -> None:
    graph = ImportGraph(
        {
            "lib/base.py": "",
            "lib/middle.py": "from base import x\n",
            "lib/top.py": "import middle\n",
            "tests/test_top.py": "import top\n",
            "lib/apart.py": "",
        }
    )

    found = graph.dependents(["lib/base.py"])

    assert {path: reached.distance for path, reached in found.items()} == {
        "lib/middle.py": 1, "lib/top.py": 2, "tests/test_top.py": 3,
    }  # fmt: skip
    assert found["tests/test_top.py"].via == ("tests/test_top.py", "lib/top.py", "lib/middle.py", "lib/base.py")


def test_circles_end() -> None:
    graph = ImportGraph({"a.py": "import b", "b.py": "import c", "c.py": "import a"})

    assert {path: each.distance for path, each in graph.dependents(["a.py"]).items()} == {"c.py": 1, "b.py": 2}


def test_a_name_that_is_nowhere_is_no_file() -> None:
    graph = ImportGraph({"a.py": "import numpy\nfrom os import path\nfrom . import gone\n", "pkg/gone2.py": ""})

    assert graph.imports["a.py"] == frozenset()


def test_of_two_modules_of_a_name_the_nearer_one_is_meant() -> None:
    graph = ImportGraph(
        {
            "one/src/core/__init__.py": "",
            "two/src/core/__init__.py": "",
            "two/tests/test_core.py": "import core\n",
        }
    )

    assert graph.imports["two/tests/test_core.py"] == {"two/src/core/__init__.py"}


def test_importers_are_told_with_the_chain_in_words() -> None:
    graph = ImportGraph({"a.py": "", "b.py": "import a", "c.py": "import b"})

    near, far = importing(graph, ["a.py"])

    assert (near.name, near.reasons[0].fact) == ("b.py", "imports a.py")
    assert (far.name, far.reasons[0].fact) == ("c.py", "imports a.py through b.py")
    assert near.score > far.score
