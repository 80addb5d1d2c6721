"""What is said of the state of the data: parts with what they are parts of, and what to do."""

import json
from datetime import datetime
from pathlib import Path

import pytest

from weaver_forge.cli import doctor as module
from weaver_forge.hooks.health import Health, unread
from weaver_forge.hooks.wording import (
    link_in_words,
    methods_in_words,
    next_for_results,
    share,
    unread_in_words,
    unused_results,
)

AT = datetime(2026, 3, 1, 12)
PICTURE = {"file": "/a.png", "reason": "a PNG picture", "try": ""}


@pytest.mark.parametrize(
    ("n", "of", "said"), [(2, 4, "2 of 4 (50 %)"), (1999, 2000, "1,999 of 2,000 (99 %)"), (0, 0, "none there")]
)
def test_a_part_is_said_with_what_it_is_a_part_of_and_is_all_only_when_it_is(n: int, of: int, said: str) -> None:
    assert share(n, of) == said


def test_a_link_and_its_methods_have_one_name() -> None:
    row = {"from_kind": "change", "to_kind": "test_run", "methods": json.dumps({"run_id": 2, "revision": 1200})}

    assert link_in_words(row) == "test run to its change"
    assert methods_in_words(row["methods"]) == "revision 1,200, run_id 2"
    assert methods_in_words("{}") is None


def test_results_without_a_revision_are_said_to_be_unused_with_what_to_do() -> None:
    results = {"n": 10, "n_linked": 3, "n_waiting": 5}

    waiting, untold = unused_results(results, {"gitlab"})

    assert waiting.startswith("5 of 10 test results are of CI runs that were not taken in yet")
    assert untold.startswith("2 of 10 test results have no revision and are not used")
    assert "--revision SHA" in untold
    assert "import gitlab" in untold
    assert "github" not in untold


def test_where_every_result_has_a_revision_nothing_is_said() -> None:
    results = {"n": 3, "n_linked": 3, "n_waiting": 0}

    assert unused_results(results, ()) == []
    assert not next_for_results(results)


def test_files_that_nothing_reads_are_counted_by_reason_with_the_flag_to_try() -> None:
    database = {"file": "/b", "reason": "a SQLite database", "try": "--coverage"}

    told = unread_in_words([PICTURE, database, {**database, "file": "/c"}])

    assert told == ["2 x a SQLite database (try --coverage): /b, ...", "1 x a PNG picture: /a.png"]


def test_a_file_that_is_gone_is_no_longer_among_those_that_were_never_read(tmp_path: Path) -> None:
    noted, there = tmp_path / "unread.json", tmp_path / "there"
    there.touch()
    rows = [{**PICTURE, "file": str(there)}, {**PICTURE, "file": str(tmp_path / "gone")}]
    noted.write_text(json.dumps(rows), encoding="utf-8")

    assert unread(noted) == rows[:1]
    assert unread(tmp_path / "nothing") == []


def test_doctor_says_what_its_times_are_and_links_with_denominators(capsys: pytest.CaptureFixture[str]) -> None:
    source = {"source": "tests", "n_inputs": 1, "n_rows": 4, "n_refused": 0, "n_waiting": 0, "lag_hours": 2.0}
    link = {"from_kind": "change", "to_kind": "build", "n": 4, "n_linked": 1, "n_ambiguous": 0, "rate": 0.25}
    health = Health(
        taken=AT,
        published={"version": None, "problem": "there is no published snapshot"},
        sources=[{**source, "newest_at": AT, "newest_is": "time of the file"}],
        links=[link],
        results={"n": 4, "n_linked": 0},
        unusable=["4 of 4 test results have no revision and are not used"],
        unread=[PICTURE],
    )

    module._taken(health)
    module._never_read(health)
    module._published(health)

    lines = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    assert "tests 1 4 0 0 2026-03-01 12:00 UTC 2 h time of the file" in lines
    assert "test result to its revision 0 of 4 (0 %) -" in lines
    assert "build to its change 1 of 4 (25 %) 0" in lines
    assert lines.index("Never read: 1 file that no source knows") < lines.index("1 x a PNG picture: /a.png")
    assert "4 of 4 test results have no revision and are not used" in lines
