"""Python files: equal syntax trees are no change of behaviour, but for what stands beside the tree."""

import ast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from weaver_forge.changes.semantic.files import FileChange, class_of_file

TEXT = """\
import os


class A:
    x = 1

    def f(self, a: int = 1) -> int:
        if a:
            return a + self.x
        return [i for i in range(a)][0]
"""


def kind(old: str, new: str, path: str = "src/a.py") -> str:
    return class_of_file(FileChange(path=path, old=old.encode(), new=new.encode())).kind.value


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("x=1\n", "x = 1\n", "format"),
        ("x = 'a' 'b'\n", 'x = (\n    "a"\n    "b"\n)\n', "format"),
        ("x = 1\n", "\ufeffx = 1\r\n", "format"),
        ("x = u'a'\n", "x = 'a'\n", "format"),
        ("x = 0x10\n", "x = 16\n", "format"),
        ("x = 1 # a\n", "x = 1  # b\n", "comment"),
        ("x = 1\n", "# a\nx = 1\n", "comment"),
        ("def f():\n    'a'\n", "def f():\n    'b'\n", "docstring"),
        ("def f():\n    'a'\n", "def f():\n    pass\n", "docstring"),
        ("def f(): pass\n", "def f():\n    'a'\n    pass\n", "docstring"),
        ("x = 1\n'a'\n", "x = 1\n'b'\n", "docstring"),
        ("x = 1\n", "x = 1.0\n", "behaviour"),
        ("x = 1\n", "x = True\n", "behaviour"),
        ("x = 0.0\n", "x = -0.0\n", "behaviour"),
        ("x = 'a'\n", "x = b'a'\n", "behaviour"),
        ("x = 1\n", "y = 1\n", "behaviour"),
        ("x = f'{a=}'\n", "x = f'{a = }'\n", "behaviour"),
        ("if a:\n    b()\n    c()\n", "if a:\n    b()\nc()\n", "behaviour"),
        ("x = '''a\n'''\n", "x = '''a\n\n'''\n", "behaviour"),
    ],
)
def test_the_class_follows_the_syntax_tree(old: str, new: str, expected: str) -> None:
    assert kind(old, new) == expected


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("x = 1  # noqa: F401\n", "x = 1\n"),
        ("x = 1  # noqa\ny = 2\n", "x = 1\ny = 2  # noqa\n"),
        ("x = []  # type: list[int]\n", "x = []  # type: list[str]\n"),
        ("if a:  # pragma: no cover\n    b()\n", "if a:\n    b()\n"),
        ("# -*- coding: latin-1 -*-\nx = 1\n", "# -*- coding: utf-8 -*-\nx = 1\n"),
        ("#!/usr/bin/python\nx = 1\n", "#!/usr/bin/env python3\nx = 1\n"),
        ("#!/usr/bin/python\nx = 1\n", "#!/usr/bin/python\r\nx = 1\r\n"),
        ("# /// script\n# dependencies = ['a']\n# ///\nx = 1\n", "# /// script\n# ///\nx = 1\n"),
        ("# pylint: disable=all\nx = 1\n", "x = 1\n"),
        ("# fmt: off\nx = 1\n", "x = 1\n"),
        ("import inspect\ns = inspect.getsource(f)\n", "import inspect\n\ns = inspect.getsource(f)\n"),
        ("x = '\\d'\n", "x = '\\\\d'\n"),
    ],
)
def test_what_stands_beside_the_tree_and_is_read_is_behaviour(old: str, new: str) -> None:
    assert kind(old, new) == "behaviour"


@pytest.mark.parametrize(
    "head",
    [
        "import click\n", "import typer\n", "from docopt import docopt\n", "from fastapi import FastAPI\n",
        "print(__doc__)\n", "import inspect\nx = inspect.getdoc(1)\n", "import cmd\n",
        "from pydantic.dataclasses import a\n",
    ],
)  # fmt: skip
def test_a_docstring_that_something_uses_is_behaviour(head: str) -> None:
    assert kind(f"{head}def f():\n    'a'\n", f"{head}def f():\n    'b'\n") == "behaviour"


def test_examples_in_a_docstring_are_behaviour_when_they_change_and_not_when_others_do() -> None:
    changed = kind("def f():\n    '''>>> f()\n    1'''\n", "def f():\n    '''>>> f()\n    2'''\n")
    other = "def g():\n    '''>>> g()\n    1'''\n"
    beside = kind(f"{other}def f():\n    'a'\n", f"{other}def f():\n    'b'\n")

    assert (changed, beside) == ("behaviour", "docstring")


def test_what_does_not_parse_or_not_compile_is_behaviour() -> None:
    assert kind("print 'a'\n", "print  'a'\n") == "behaviour"
    assert (
        kind("'a'\nfrom __future__ import annotations\n", "'a'\n'b'\nfrom __future__ import annotations\n")
        == "behaviour"
    )
    assert kind("x = 1\0", "x = 1\n") == "behaviour"


@given(data=st.data())
@settings(max_examples=100, deadline=None)
def test_comments_and_blank_lines_anywhere_between_lines_are_never_behaviour(data: st.DataObject) -> None:
    said = st.text("abcdefgh .,()'\"", max_size=12).map(lambda words: f"# {words.strip()}\n")
    added = st.lists(st.one_of(st.just("\n"), st.just("   \n"), said), max_size=3)
    made = "".join(line for each in TEXT.splitlines(keepends=True) for line in [*data.draw(added), each])

    assert kind(TEXT, made) in {"format", "comment"}


@given(data=st.data())
@settings(max_examples=100, deadline=None)
def test_any_text_that_makes_another_tree_is_never_less_than_a_docstring(data: st.DataObject) -> None:
    """A random edit of a character: the answer agrees with the compiler's own dump of the tree."""
    at = data.draw(st.integers(0, len(TEXT) - 1))
    made = TEXT[:at] + data.draw(st.sampled_from(["1", "x", " ", "", "-", "(", "\n", "#"])) + TEXT[at + 1 :]
    try:
        same = ast.dump(ast.parse(made)) == ast.dump(ast.parse(TEXT))
    except SyntaxError:
        same = False

    assert (kind(TEXT, made) in {"format", "comment"}) == same
