"""Lists of tests as each runner takes them: what it cannot express is said, and an empty list never means all."""

import json
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from weaver_forge.cli.lists import write_rest, write_run
from weaver_forge.errors import UsageError
from weaver_forge.hooks.handed_order import read_handed
from weaver_forge.hooks.rendering import FORMATS, Format, Lists, render

RUNNERS: tuple[Format, ...] = ("surefire", "gradle", "go", "jest")
ONE: dict[str, tuple[str, str]] = {
    "surefire": ("org.ex.ATest::a", "org.ex.BTest::b"),
    "gradle": ("org.ex.ATest::a", "org.ex.ATest::b"),
    "go": ("ex.com/m/a::TestA", "ex.com/m/a::TestB"),
    "jest": ("src/a.test.ts::a::a", "src/b.test.ts::b::b"),
    "pytest": ("t.test_a::a", "t.test_a::b"),
    "ids": ("a", "b"),
    "json": ("a", "b"),
}
"""A test that runs, and one that is left out without the other."""


def noted(form: Format, run: tuple[str, ...], rest: tuple[str, ...]) -> str:
    return "; ".join(render(Lists(run=run, rest=rest), form).notes)


@pytest.mark.parametrize("form", FORMATS)
def test_nothing_to_run_is_refused_in_every_form(form: Format) -> None:
    with pytest.raises(UsageError, match="no test to run"):
        render(Lists(run=(), rest=("org.ex.ATest::a",)), form)


@pytest.mark.parametrize("form", RUNNERS)
def test_tests_of_other_runners_alone_are_refused(form: Format) -> None:
    with pytest.raises(UsageError, match="none of the tests"):
        render(Lists(run=("a test", "another")), form)


@pytest.mark.parametrize("form", RUNNERS)
def test_tests_of_other_runners_are_counted(form: Format) -> None:
    run, rest = ONE[form]

    assert "2 tests are not named" in noted(form, ("a test", run), (rest, "another"))


@pytest.mark.parametrize("form", RUNNERS)
def test_what_is_left_out_is_named_and_what_runs_is_not_left_out(form: Format) -> None:
    run, rest = ONE[form]

    alone, part = (render(Lists(run=(run,), rest=later), form).text or "" for later in ((), (rest,)))

    names = {"surefire": ("ATest", "BTest"), "gradle": ("ATest.a", "ATest.b"), "go": ("TestA", "TestB"),
             "jest": ("REST = new Set([])", "src/b.test.ts")}  # fmt: skip
    assert names[form][1] not in alone
    assert names[form][1] in part
    assert (names[form][0] not in part) or form == "gradle"


def test_surefire_leaves_out_whole_classes_and_names_methods_beside() -> None:
    lists = Lists(
        run=("org.ex.P::p[a,b]", "org.ex.Out$In::m", "org.ex.S::says 'it' now", "org.ex.J::[1] x"),
        rest=("org.ex.P::p[c#d]", "org.ex.Gone::x"),
    )

    said = render(lists, "surefire")

    assert said.text == "**/*$*\norg/ex/Gone.java\n"
    classes = ["new", "org.ex.P", "org.ex.Out", "org.ex.S", "org.ex.J"]
    assert said.beside[".order"] == "".join(
        f"{place},0,order({name})\n{place},0,{name},order\n" for place, name in enumerate(classes)
    )
    assert said.beside[".methods"] == ("-Dtest=org.ex.P#p[a?b]+p,org.ex.Out$In#m,org.ex.S#says??it??now,org.ex.J\n")
    assert "1 of 2 tests left for later run all the same" in "; ".join(said.notes)


def test_surefire_says_that_methods_do_not_fit_into_a_command_line() -> None:
    many = tuple(f"org.ex.A{n}Test::{'m' * 60}" for n in range(2000))

    said = render(Lists(run=many, rest=("org.ex.B::b",)), "surefire")

    assert said.beside[".methods"] is None
    assert "a command line does not take so many names" in "; ".join(said.notes)


def test_a_whole_run_leaves_nothing_out() -> None:
    run = ("org.ex.B::b", "org.ex.A::a")

    said = render(Lists(run=run), "surefire")

    assert (said.text, said.beside[".methods"]) == ("", None)
    assert said.notes == ()


def test_go_keeps_a_test_whose_subtest_shall_run() -> None:
    said = render(Lists(run=("m/a::TestA/x/y",), rest=("m/a::TestA", "m/a::TestB", "m/c::TestC")), "go")

    assert said.text is not None
    assert '\nwithout m/a TestB "$@"\n' in said.text
    assert "\nknown='m/a\nm/c'\n" in said.text
    assert "1 of 3 tests left for later run all the same" in "; ".join(said.notes)
    assert "left out whole, with what is new in them: 1" in "; ".join(said.notes)


def test_go_runs_a_package_whole_of_which_a_command_line_does_not_take_the_names() -> None:
    rest = tuple(f"m/a::Test{'A' * 60}{n}" for n in range(2500))

    said = render(Lists(run=("m/a::TestA",), rest=rest), "go")

    assert said.text is not None
    assert '\nall m/a "$@"\n' in said.text
    assert "run whole: 1" in "; ".join(said.notes)


def test_go_quotes_what_a_shell_would_take_otherwise() -> None:
    said = render(Lists(run=("m/(touch+x);a::TestA",), rest=()), "go")

    assert said.text is not None
    assert "all 'm/(touch+x);a' \"$@\"" in said.text


@pytest.mark.parametrize("name", ["Testable", "test_a", "TestA b", "Tests"])
def test_names_that_go_does_not_know_are_no_tests_of_go(name: str) -> None:
    with pytest.raises(UsageError):
        render(Lists(run=(f"m/a::{name}",)), "go")


def test_gradle_tells_no_parameters_apart() -> None:
    run, rest = ("A::p(int)[1]", "A::[1] x"), ("A::p(int)[2]", "A::[2] x", "B::it's $1")

    said = render(Lists(run=run, rest=rest), "gradle")

    assert said.text is not None
    assert [line.strip() for line in said.text.splitlines() if "exclude" in line] == [
        r"filter.excludeTestsMatching('B.it\'s $1')"
    ]
    assert "2 of 3 tests left for later run all the same" in "; ".join(said.notes)


def test_gradle_scripts_stand_in_parts() -> None:
    said = render(Lists(run=("A::a",), rest=tuple(f"A::m{n}" for n in range(450))), "gradle")

    assert said.text is not None
    assert said.text.count("parts << {") == 3
    assert said.text.count("excludeTestsMatching") == 450


def test_pytest_reads_what_is_written_for_it(tmp_path: Path) -> None:
    lists = Lists(
        run=("b", "d"), rest=("a", "c"),
        rows={name: {"test_id": name, "rank": rank} for rank, name in enumerate("abcd", 1)},
        told={"subject": {"revision": "f" * 40}, "expires_at": None, "scope": "development"},
    )  # fmt: skip
    write_run(tmp_path / "now.json", lists, "pytest")
    write_rest(tmp_path / "later.json", lists, "pytest")

    now, later = (read_handed(tmp_path / f"{name}.json", tuple) for name in ("now", "later"))

    assert (now.order, now.rest, now.revision) == (("a", "b", "c", "d"), ("a", "c"), "f" * 40)
    assert (later.order, later.rest) == (("a", "b", "c", "d"), ("b", "d"))


@pytest.mark.parametrize("form", RUNNERS)
def test_what_ran_with_others_is_not_run_again_later(form: Format, tmp_path: Path) -> None:
    both = {"surefire": ("A::a", "A::b"), "gradle": ("A::p[1]", "A::p[2]"), "go": ("m::TestA", "m::TestA/x"),
            "jest": ("a.js::a::a", "a.js::b::b")}[form]  # fmt: skip
    path = tmp_path / "later"
    path.write_text("of an earlier run")

    write_rest(path, Lists(run=both[:1], rest=both[1:]), form)

    assert not path.exists()


@pytest.mark.parametrize("form", FORMATS)
def test_an_empty_rest_is_an_empty_list_to_read_and_no_file_to_run(form: Format, tmp_path: Path) -> None:
    path = tmp_path / "later"
    path.write_text("of an earlier run")

    write_rest(path, Lists(run=ONE[form][:1]), form)

    is_list = form in {"ids", "json"}
    assert path.exists() == is_list
    assert not is_list or (json.loads(path.read_text() or "[]")) == []


def test_where_no_test_is_known_there_is_no_list(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "now"
    path.write_text("of an earlier run")

    write_run(path, Lists(run=()), "go")

    assert not path.exists()
    assert "is not written" in capsys.readouterr().err


@pytest.mark.parametrize("form", ["go", "jest", "gradle"])
@pytest.mark.parametrize(
    ("said", "seconds"),
    [
        ({}, "253402300799"),
        ({"expires_at": None}, "253402300799"),
        ({"expires_at": "2026-03-01T12:00:00Z"}, "1772366400"),
        ({"expires_at": datetime(2026, 3, 1, 12)}, "1772366400"),
    ],
)
def test_a_list_knows_until_when_it_holds(form: Format, said: dict[str, Any], seconds: str) -> None:
    text = render(Lists(run=ONE[form][:1], told=said), form).text

    assert text is not None
    assert seconds in text
