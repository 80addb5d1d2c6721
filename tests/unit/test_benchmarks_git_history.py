"""Tables of commits and files as a history to measure impact on: what counts as a change, and what is left out."""

import gzip
from typing import Any

import pytest

from weaver_forge.benchmarks import git_history
from weaver_forge.contracts.tables.changes import CORE_CHANGES_FILES

COMMITS = b"""sha,parents,author,author_time,commit_time,subject
c4,c3 c9,ann,400,400,Release
c3,c2,bob,150,300,"Fix, quickly"
c2,c1,bob,150,200,"Fix, quickly"
c1,,ann,100,100,Begin
"""
FILES = b"""sha,path,added,deleted
c1,a.py,1,0
c1,b.py,1,0
c2,a.py,,
c3,a.py,2,1
c4,a.py,5,5
zz,lost.py,1,1
"""


def test_merges_and_repeated_commits_are_no_changes() -> None:
    (data,) = git_history.read({"x.commits.csv.gz": gzip.compress(COMMITS), "x.files.csv.gz": gzip.compress(FILES)})

    files = data.tables[CORE_CHANGES_FILES.name]

    assert files.select("revision", "path").rows() == [("c1", "a.py"), ("c1", "b.py"), ("c2", "a.py")]
    assert data.notes == ("2 changes; left out: 1 merges, 1 commits that were there before",)


def test_where_one_parent_is_kept_git_s_own_words_tell_a_merge() -> None:
    commits = (
        b"sha,parent,author,author_time,commit_time,subject\n"
        b"m,p,ann,2,2,Merge pull request #1 from x/y\n"
        b"c,p,ann,1,1,Merge two tables into one\n"
    )

    (data,) = git_history.read({"s/commits.csv": commits, "s/commit_files.csv": b"sha,path\nm,a\nc,a\n"})

    assert data.set == "s"
    assert data.tables[CORE_CHANGES_FILES.name]["revision"].to_list() == ["c"]


@pytest.mark.parametrize(
    ("names", "sets"),
    [
        (("d/a.commits.csv", "d/a.files.csv", "d/b.commits.csv", "d/b.files.csv"), ["d/a", "d/b"]),
        (("a.commits.csv", "a.files.csv"), ["a"]),
        (("a.commits.csv",), []),
    ],
)
def test_each_history_is_a_set_of_its_own(names: tuple[str, ...], sets: list[str]) -> None:
    files = {name: COMMITS if "commits" in name else FILES for name in names}

    problems: list[Any] = []

    assert [data.set for data in git_history.read(files, problems)] == sets
    assert [str(problem)[:37] for problem in problems] == ([] if sets else ["a.commits.csv: commits without their "])
