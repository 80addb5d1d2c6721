"""Planted pairs of every language: what only says otherwise is told from what does otherwise."""

import re
from itertools import pairwise

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from weaver_forge.changes.semantic import grammars, trees
from weaver_forge.changes.semantic.classes import ChangeClass
from weaver_forge.changes.semantic.files import FileChange, class_of_file
from weaver_forge.changes.semantic.grammars import GRAMMARS, parser_of
from weaver_forge.changes.semantic.trees import tokens_of

pytest.importorskip("tree_sitter", reason="the extra `code` is not installed")

SOURCES = {
    "bash": ("a.sh", '#!/bin/bash\nset -e\n# said\nfor f in 1 2; do\n  echo "$f  x" ${a:-b c}\ndone\n'),
    "c": ("a.c", "#include <x.h>\n/* said */\nint f(int a) {\n  return a + 1;\n}\n"),
    "cpp": (
        "a.cpp",
        "#include <x.h>\n// said\ntemplate <class T> struct A { T v; };\nint f(int a) { return a >> 1; }\n",
    ),
    "c_sharp": (
        "a.cs",
        'using System;\n// said\nclass A {\n  int F(int a) { return a + 1; }\n  string s = $"x  {1}";\n}\n',
    ),
    "go": ("a.go", "package a\n\n// said\nfunc F(a int) int {\n\tg(`x  y`)\n\treturn a + 1\n}\n"),
    "java": ("A.java", 'package a;\n// said\nclass A {\n  int f(int a) { return a + 1; }\n  String s = "a  b";\n}\n'),
    "javascript": (
        "a.js",
        "// said\nfunction f(a) {\n  return a + 1;\n}\nconst t = `x  ${f(1)}`;\nconst r = /a b/g;\n",
    ),
    "typescript": ("a.ts", "// said\nfunction f(a: number): number {\n  return a + 1;\n}\ntype T = { a: string };\n"),
    "tsx": ("a.tsx", "// said\nconst one = 1;\nconst E = (p: {a: number}) => <b>x  {p.a} y</b>;\n"),
    "kotlin": ("a.kt", 'package a\n// said\nfun f(a: Int): Int {\n  return a + 1\n}\nval s = "x  ${f(1)}"\n'),
    "php": ("a.php", '<?php\n// said\nfunction f($a) {\n  return $a + 1;\n}\n$s = "x  $a";\n'),
    "ruby": ("a.rb", '# said\ndef f(a)\n  a + 1\nend\ns = "x  #{f(1)}"\nt = %w[a b]\n'),
    "rust": ("a.rs", '// said\nfn f(a: i32) -> i32 {\n    a + 1\n}\nconst S: &str = "x  y";\n'),
    "scala": ("a.scala", "package a\n// said\nobject A {\n  def f(a: Int): Int = {\n    a + 1\n  }\n}\n"),
    "swift": ("a.swift", 'import Foundation\n// said\nfunc f(a: Int) -> Int {\n  return a + 1\n}\nlet s = "x  y"\n'),
}
LINE_COMMENT = {name: "#" if name in {"bash", "ruby"} else "//" for name in SOURCES}


def kind(path: str, old: str, new: str) -> ChangeClass:
    return class_of_file(FileChange(path=path, old=old.encode(), new=new.encode())).kind


def test_every_grammar_has_a_planted_pair_and_loads() -> None:
    assert SOURCES.keys() == GRAMMARS.keys()
    assert all(parser_of(language) is not None for language in GRAMMARS)


@pytest.mark.parametrize("language", SOURCES)
def test_another_comment_is_a_comment(language: str) -> None:
    path, text = SOURCES[language]

    assert kind(path, text, text.replace("said", "told otherwise")) == "comment"


@pytest.mark.parametrize("language", SOURCES)
def test_blank_lines_and_blanks_at_the_end_of_comments_are_format(language: str) -> None:
    path, text = SOURCES[language]

    assert kind(path, text, text.replace("\n", "\n\n", 2) + "\n\n") == "format"


@pytest.mark.parametrize("language", SOURCES)
def test_another_number_operator_or_name_is_behaviour(language: str) -> None:
    path, text = SOURCES[language]

    assert kind(path, text, text.replace("1", "2")) == "behaviour"
    assert kind(path, text, re.sub(r"\bf\b|\bF\b|\bE\b", "h", text)) == "behaviour"


@pytest.mark.parametrize("language", [name for name, (_, text) in SOURCES.items() if "x  " in text])
def test_white_space_within_strings_and_markup_is_behaviour(language: str) -> None:
    path, text = SOURCES[language]

    assert kind(path, text, text.replace("x  ", "x ")) == "behaviour"


@pytest.mark.parametrize(
    ("path", "old", "new"),
    [
        ("a.js", "function f() { return x }", "function f() { return\nx }"),
        ("a.js", "a\n++b", "a++\nb"),
        ("a.ts", "const a = b\n(c)", "const a = b;\n(c)"),
        ("a.go", "package a\nfunc f() {\n\tx()\n}\n", "package a\n\nfunc f()\n{ x()\n}\n"),
        ("a.rb", "def f\n return 1\nend\n", "def f\n return\n 1\nend\n"),
        ("a.rb", "foo -1\n", "foo - 1\n"),
        ("a.rb", "puts [1]\n", "puts[1]\n"),
        ("a.sh", "echo a b\n", "echo ab\n"),
        ("a.sh", "a=b c\n", "a= b c\n"),
        ("a.sh", "echo a{b,c}\n", "echo a{b, c}\n"),
        ("a.sh", "cat <<E\n x\nE\n", "cat <<E\n  x\nE\n"),
        ("a.sh", "echo a\n", "echo a\r\n"),
        ("a.c", "#define F (x)\n", "#define F(x)\n"),
        ("a.c", "int f(void) { assert(a+b); }", "int f(void) { assert(a + b); }"),
        ("a.kt", "fun f(): Int {\n return 1\n}\n", "fun f(): Int {\n return\n 1\n}\n"),
        ("a.swift", "let a = b -c\n", "let a = b - c\n"),
        ("a.scala", "def f =\n  a\n  b\n", "def f =\n  a\nb\n"),
        ("a.php", "a <?php f(); ?> b", "a  <?php f(); ?> b"),
        ("a.cs", "#if A\nclass B {}\n#endif\n", "#if A\n#endif\nclass B {}\n"),
    ],
)
def test_white_space_that_means_something_is_behaviour(path: str, old: str, new: str) -> None:
    assert kind(path, old, new) == "behaviour"


@pytest.mark.parametrize(
    ("path", "old", "new"),
    [
        ("a.js", "f(a,b)", "f(a,\n  b)"),
        ("a.go", "package a\nvar x  =  1\n", "package a\nvar x = 1\n"),
        ("a.sh", "if true; then\n  echo  a\nfi\n", "if true; then\n\techo a\nfi\n"),
        ("a.c", "int f(void)\n{ return 1; }\n", "int f(void) {\n    return 1;\n}\n"),
        ("a.rs", "fn f() { g( 1 ) }", "fn f() {\n    g(1)\n}\n"),
        ("A.java", "class A{int a;}", "class A {\n  int a;\n}\r\n"),
    ],
)
def test_white_space_that_means_nothing_is_format(path: str, old: str, new: str) -> None:
    assert kind(path, old, new) == "format"


@pytest.mark.parametrize(
    ("path", "old", "new"),
    [
        ("a.go", "package a\n//go:build linux\nvar x = 1\n", "package a\n//go:build darwin\nvar x = 1\n"),
        ("a.go", "package a\n//go:embed a.txt\nvar x string\n", "package a\nvar x string\n"),
        ("a.go", 'package a\n// int f(void);\nimport "C"\n', 'package a\n// int g(void);\nimport "C"\n'),
        (
            "a_test.go",
            "package a\nfunc ExampleF() {\n\tf()\n\t// Output: 1\n}\n",
            "package a\nfunc ExampleF() {\n\tf()\n\t// Output: 2\n}\n",
        ),
        ("a.js", "// eslint-disable-next-line\nf()\ng()\n", "f()\n// eslint-disable-next-line\ng()\n"),
        ("a.js", "import(/* webpackChunkName: 'a' */ 'b')", "import(/* webpackChunkName: 'c' */ 'b')"),
        ("a.js", "/** @type {string} */\nlet a\n", "/** @type {number} */\nlet a\n"),
        ("a.ts", "// @ts-ignore\nf()\n", "f()\n"),
        ("A.java", "/** @deprecated x */\nclass A {}", "/** x */\nclass A {}"),
        ("A.java", "class A { // \\u000a int x;\n}", "class A { // \\u000a int y;\n}"),
        (
            "a.c",
            "int f(void) { switch (a) { case 1: b(); /* fallthrough */ case 2: ; } }",
            "int f(void) { switch (a) { case 1: b(); case 2: ; } }",
        ),
        ("a.cpp", "// clang-format off\nint a;\n", "int a;\n"),
        ("a.php", "<?php\n/** @ORM\\Id */\n$x = 1;", "<?php\n/** @ORM\\Column */\n$x = 1;"),
        ("a.rb", "# frozen_string_literal: true\na = 1\n", "a = 1\n"),
        ("a.sh", "#!/bin/sh\necho a\n", "#!/bin/bash\necho a\n"),
        ("a.sh", "# shellcheck disable=SC1\necho a\n", "echo a\n"),
        ("a.sh", "# usage: a\nsed -n 's/^# //p' \"$0\"\n", "# usage: b\nsed -n 's/^# //p' \"$0\"\n"),
        ("a.swift", "// swift-tools-version:5.3\nlet a = 1\n", "// swift-tools-version:5.9\nlet a = 1\n"),
        ("a.scala", "//> using dep a\nobject A\n", "//> using dep b\nobject A\n"),
        ("a.kt", "// ktlint-disable\nval a = 1\n", "val a = 1\n"),
        ("a.cs", "// <auto-generated/>\nclass A {}", "class A {}"),
        ("a.c", "// SPDX-License-Identifier: MIT\nint a;\n", "// SPDX-License-Identifier: ISC\nint a;\n"),
        ("a.c", "// a\nint a = __LINE__;\n", "int a = __LINE__;\n"),
        ("a.rs", "/// ```\n/// f(1)\n/// ```\nfn f() {}\n", "/// ```\n/// f(2)\n/// ```\nfn f() {}\n"),
        ("a.rs", "/// said\nfn f() {}\n", "fn f() {}\n"),
        ("a.rs", "use clap::Parser;\n/// said\nstruct A;\n", "use clap::Parser;\n/// told\nstruct A;\n"),
    ],
)
def test_comments_that_are_read_are_behaviour(path: str, old: str, new: str) -> None:
    found = class_of_file(FileChange(path=path, old=old.encode(), new=new.encode())).kind

    assert found == ("test_only" if "_test" in path else "behaviour")


@pytest.mark.parametrize(
    ("path", "old", "new", "expected"),
    [
        ("A.java", "/** @param a x */\nclass A {}", "/** @param a y */\nclass A {}", "comment"),
        ("a.c", "#ifndef A_H\n#define A_H\n#endif // A\n", "#ifndef A_H\n#define A_H\n#endif // A_H\n", "comment"),
        ("a.c", "// Copyright 2024 A\nint a;\n", "// Copyright 2025 A\nint a;\n", "comment"),
        ("a.rs", "/// said\nfn f() {}\n", "/// told\nfn f() {}\n", "docstring"),
        ("a.cs", "/// <summary>a</summary>\nclass A {}", "/// <summary>b</summary>\nclass A {}", "docstring"),
        ("a.php", "<?php\n/** said */\nfunction f() {}\n", "<?php\n/** told */\nfunction f() {}\n", "docstring"),
    ],
)
def test_documentation_and_plain_comments_keep_their_class(path: str, old: str, new: str, expected: str) -> None:
    assert kind(path, old, new) == expected


def test_what_does_not_parse_is_behaviour() -> None:
    found = class_of_file(FileChange(path="a.go", old=b"package a\nfunc (\n", new=b"package a\nfunc  (\n"))

    assert (found.kind, found.reason) == ("behaviour", "it does not parse as go")


def test_without_its_grammar_a_language_is_behaviour_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> object:
        raise ModuleNotFoundError(name)

    monkeypatch.setattr(grammars, "import_module", missing)
    monkeypatch.setattr(trees, "parser_of", parser_of.__wrapped__)

    found = class_of_file(FileChange(path="a.go", old=b"package a\n", new=b"package  a\n"))

    assert (found.kind, "no grammar of go is installed" in found.reason) == ("behaviour", True)


@given(data=st.data())
@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_blanks_and_comments_between_lines_are_never_behaviour(data: st.DataObject) -> None:
    """Lines of comment and blank lines, wherever a line of the planted text ends and no text goes on over it."""
    language = data.draw(st.sampled_from(sorted(SOURCES)))
    path, text = SOURCES[language]
    lines = text.splitlines(keepends=True)
    said = st.text("abcdefgh .,()'\"", max_size=12).map(lambda words: f"{LINE_COMMENT[language]} {words.strip()}\n")
    made = lines[:1]
    for before, after in pairwise(lines):
        free = not {before.strip(), after.strip()} & {"<?php"} or language != "php" or before.strip() == "<?php"
        added = data.draw(st.lists(st.one_of(st.just("\n"), said), max_size=2)) if free else []
        made += [*added, after]

    found = class_of_file(FileChange(path=path, old=text.encode(), new="".join(made).encode()))

    assert found.kind in {"format", "comment"}, found.reason


@given(data=st.data())
@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_a_changed_token_is_always_behaviour(data: st.DataObject) -> None:
    language = data.draw(st.sampled_from(sorted(SOURCES)))
    path, text = SOURCES[language]
    tokens = [token for _, number, token in tokens_of(text.encode(), language) or [] if number >= 0 and token.strip()]
    token = data.draw(st.sampled_from(tokens)).decode()
    other = data.draw(st.sampled_from([token + "z", "zz", "9", ";", ""]))
    code = text.index("\n", text.index("said")) if token in text[text.index("said") :] else 0
    at = text.find(token, code)
    changed = text[:at] + other + text[at + len(token) :]

    found = class_of_file(FileChange(path=path, old=text.encode(), new=changed.encode()))

    assert found.kind == "behaviour" or at < 0 or other == token
