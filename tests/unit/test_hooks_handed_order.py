"""An order that is handed to a test runner: what is read, what is refused, and what is chosen by it."""

import json
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from weaver_forge.cli.rank import ranking_as_data
from weaver_forge.errors import SourceError, UsageError
from weaver_forge.hooks.attempts import Attempt, Trace, span_of, trace_of
from weaver_forge.hooks.chosen_items import choose, or_files
from weaver_forge.hooks.handed_order import Handed, read_handed
from weaver_forge.hooks.rank_tests import cut, ordered, parse_budget

HEAD = "a" * 40


def row(test_id: str, rank: int, **more: Any) -> dict[str, Any]:
    return {"test_id": test_id, "rank": rank, "score": None, "probability": 0.1, "duration_ms": 1.0, **more}


def ranking(**changes: Any) -> dict[str, Any]:
    return {
        "run_everything": False, "ranking_reasons": [], "subject": {"repo_id": "x", "revision": HEAD},
        "expires_at": "2026-03-06T15:00:00Z", "scope": "development",
        "run": [row("t::a", 1), row("t::c", 3)], "rest": [row("t::b", 2, why="later")], **changes,
    }  # fmt: skip


def read(path: Path) -> Handed:
    return read_handed(path, lambda: (HEAD,))


def test_the_whole_answer_keeps_the_order_over_both_lists(tmp_path: Path) -> None:
    (tmp_path / "ranking.json").write_text(json.dumps(ranking()))

    handed = read(tmp_path)

    assert handed.order == ("t::a", "t::b", "t::c")
    assert (handed.rest, handed.revision, handed.scope) == (("t::b",), HEAD, "development")
    assert handed.expires_at == datetime(2026, 3, 6, 15)


def test_what_rank_tests_writes_is_what_is_read(tmp_path: Path) -> None:
    durations = {"t::a": 1.0, "t::b": 9.0, "t::c": 1.0}
    rows = [{"test_id": name, "probability": chance} for name, chance in (("t::a", 0.9), ("t::b", 0.5), ("t::c", 0.1))]
    written = ranking_as_data(cut(ordered(rows, durations), parse_budget("25%")))
    (tmp_path / "ranking.json").write_text(json.dumps(written))

    handed = read(tmp_path)

    assert (handed.order, handed.rest) == (("t::a", "t::b", "t::c"), ("t::b",))


@pytest.mark.parametrize("form", ["json", "txt"])
def test_run_and_rest_files_are_read_together(tmp_path: Path, form: str) -> None:
    for name, ids in (("run", ["t::a", "t::c"]), ("rest", ["t::b"])):
        rows = [row(test_id, 1) for test_id in ids]
        text = json.dumps(rows) if form == "json" else "".join(f"{test_id}\n" for test_id in ids)
        (tmp_path / f"{name}.{form}").write_text(text)

    handed = read(tmp_path)

    assert (handed.order, handed.rest) == (("t::a", "t::c", "t::b"), ("t::b",))


def test_a_run_file_alone_says_nothing_about_the_rest(tmp_path: Path) -> None:
    (tmp_path / "now.txt").write_text("t::a\n\nt::b\n")

    handed = read(tmp_path / "now.txt")

    assert (handed.order, handed.rest) == (("t::a", "t::b"), None)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "names no test"),
        ("[]", "names no test"),
        ('{"run": [', "cannot be read"),
        ('{"run": []}', "no ranking"),
        ("[1, 2]", "no ranking"),
        ("\ud83d", "cannot be read"),
        (json.dumps(ranking(run_everything=True, ranking_reasons=["RUN EVERYTHING: stale"])), "RUN EVERYTHING: stale"),
        (json.dumps(ranking(expires_at="soon")), "no ranking"),
    ],
)
def test_what_is_no_ranking_is_refused_by_name(tmp_path: Path, text: str, why: str) -> None:
    path = tmp_path / "ranking.json"
    path.write_bytes(text.encode("utf-8", "surrogatepass"))

    with pytest.raises(SourceError, match=why) as refused:
        read(path)

    assert str(path) in str(refused.value)


def test_a_list_that_runs_everything_in_an_order_of_an_ancestor_leaves_nothing_for_later(tmp_path: Path) -> None:
    of = {"revision": "b" * 40, "n_commits": 3, "made_at": "2026-03-06T15:00:00Z"}
    told = ["RUN EVERYTHING: new", "all 3 known tests, in the order of bbbbbbbbbbbb"]
    document = ranking(run_everything=True, order_of=of, ranking_reasons=told, expires_at=None)
    (tmp_path / "ranking.json").write_text(json.dumps(document))

    handed = read(tmp_path)

    assert (handed.order, handed.rest) == (("t::a", "t::b", "t::c"), ())
    assert handed.warning == "; ".join(told)


def test_missing_places_and_addresses_are_refused(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="no such file"):
        read(tmp_path / "none.json")
    with pytest.raises(SourceError, match="no ranking and no published snapshot"):
        read(tmp_path)
    with pytest.raises(UsageError, match="address"):
        read(Path("http://localhost:1"))


def test_an_order_is_outdated_when_it_expired_or_is_for_another_revision() -> None:
    handed = Handed(order=("t",), revision=HEAD, expires_at=datetime(2026, 3, 6, 15))
    before, after = datetime(2026, 3, 6, 14), datetime(2026, 3, 6, 15)

    assert not handed.outdated((HEAD,), before)
    assert not handed.outdated(("b" * 40, HEAD), before)
    assert not handed.outdated((), before)
    assert "expired" in handed.outdated((HEAD,), after)
    assert "another" not in handed.outdated(("b" * 40,), before)
    assert "checked out" in handed.outdated(("b" * 40,), before)


def test_unknown_tests_come_first_and_ties_keep_their_order() -> None:
    found = [("b",), ("new2",), ("a",), ("new1",), ("a",)]

    chosen = choose(found, ["a", "b"])

    assert (chosen.keep, chosen.rest, chosen.n_unknown) == ((1, 3, 2, 4, 0), (), 2)


def test_the_rest_is_left_exactly_and_never_everything() -> None:
    found = [("a",), ("b@g", "b"), ("c",)]

    some = choose(found, ["c", "b", "a"], {"b", "a"})
    everything = choose(found[:2], ["c", "b", "a"], {"b", "a"})
    strangers = choose([("x",), ("y",)], ["a"], {"a"})

    assert (some.keep, some.rest) == ((2,), (0, 1))
    assert (everything.keep, everything.rest) == ((1, 0), ())
    assert "never empty" in everything.problem
    assert strangers.keep == (0, 1)
    assert "none of the 2" in strangers.problem


def test_nothing_found_is_nothing_chosen() -> None:
    assert choose([], ["a"], {"a"}).keep == ()


@pytest.mark.parametrize(
    "text", ["", "00-" + "0" * 32 + "-" + "1" * 16 + "-01", "00-" + "1" * 32 + "-" + "0" * 16 + "-01", "00-1-1-01"]
)
def test_what_is_no_traceparent_is_no_trace(text: str) -> None:
    assert trace_of(text) is None
    assert trace_of(f"00-{'1' * 32}-{'2' * 16}-01") == Trace("1" * 32, "2" * 16)


def test_an_attempt_without_times_is_no_span() -> None:
    attempt = Attempt(nodeid="t.py::a", classname="t", name="a", worker="gw0", number=1, outcome="failed")

    assert span_of(attempt, Trace("1" * 32), "3" * 16) is None


def test_a_test_goes_by_its_file_only_where_it_is_not_named_itself() -> None:
    names = or_files([("p.test_a::x",), ("p.test_a::y",)], ["p/test_a.py::x", "p/test_a.py::y"], ["p.test_a::x"])

    chosen = choose(names, ["p.test_a::x", "p/test_a.py"], {"p/test_a.py"})

    assert names == [("p.test_a::x",), ("p.test_a::y", "p/test_a.py")]
    assert (chosen.keep, chosen.rest) == ((0,), (1,))
