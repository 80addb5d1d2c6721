"""What changes mean is looked at in every ingest, a bounded number at a time, the newest first."""

import subprocess
import sys
from pathlib import Path

import pytest

from assets.core import change_semantics
from assets.verbs.loop import Runner
from weaver_forge.contracts.tables.changes import CORE_CHANGES_FILE_SEMANTICS, CORE_CHANGES_SEMANTICS
from weaver_forge.settings import Settings

START = 1772366400  # 2026-03-01T12:00:00Z
COMMITS = (
    {"a.py": "x = 1\n", "README.md": "a\n"},
    {"a.py": "x = 1  # one\n"},
    {"README.md": "b\n"},
    {"a.py": "x = 2  # one\n", "README.md": "c\n"},
)


def repository(folder: Path, commits: tuple[dict[str, str], ...]) -> Path:
    folder.mkdir()
    subprocess.run(("git", "init", "-q", "-b", "main", str(folder)), check=True)
    stream = []
    for number, files in enumerate(commits):
        stream.append(f"commit refs/heads/main\ncommitter N <n@example.org> {START + number * 60} +0000\ndata 1\nx\n")
        stream += [f"M 100644 inline {path}\ndata {len(text)}\n{text}\n" for path, text in files.items()]
    subprocess.run(("git", "-C", str(folder), "fast-import", "--quiet"), input="".join(stream).encode(), check=True)
    return folder


def test_ingests_find_the_class_of_the_newest_changes_and_go_on_where_the_last_one_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run that leaves changes is not taken for done; one that has nothing to do computes nothing."""
    settings = Settings(root=tmp_path / "deployment", python=Path(sys.executable), decisions={})
    settings.dagster_home.mkdir(parents=True)
    given = {"git": {"paths": [str(repository(tmp_path / "shop", COMMITS))]}}
    events: list[dict[str, object]] = []

    classes, computed = [], []
    for at_once in (1, 100, 100):
        monkeypatch.setattr(change_semantics, "CHANGES_A_RUN", at_once)
        events.clear()
        runner = Runner(settings, lambda event: events.append(dict(event)))
        runner.ingest(given)
        rows = runner.deployment.warehouse.read(CORE_CHANGES_SEMANTICS).sort("committed_at", descending=True)
        classes.append(rows["semantic_class"].to_list())
        computed.append("core_change_semantics" in {event.get("step") for event in events if "message" not in event})
    files = runner.deployment.warehouse.read(CORE_CHANGES_FILE_SEMANTICS)

    whole = ["behaviour", "docs", "comment", "behaviour"]
    assert 1 <= len(classes[0]) <= 2  # an ingest computes twice where marts are still to come
    assert classes[0] == whole[: len(classes[0])]
    assert classes[1:] == [whole, whole]
    assert computed == [True, True, False]
    assert (rows["known_at"] == rows["committed_at"]).all()
    assert files.filter(files["semantic_class"] == "comment")["reason"].to_list() == [
        "only comments changed: the syntax tree is the same"
    ]
    assert files.height == 6
