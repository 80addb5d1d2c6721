"""An upgrade of a deployment replaces what nobody changed, keeps the rest, and can be done again."""

import json
from pathlib import Path
from typing import Any

import pytest

from weaver_forge.cli import upgrade as module
from weaver_forge.cli.init import make_deployment
from weaver_forge.cli.released import NOTE, digest, read_note, released, write_note
from weaver_forge.cli.upgrade import Plan, carry_out, planned, upgrade
from weaver_forge.errors import ConfigurationError, NotADeployment, SourceError

OLD = {"assets/a.py": b"a1", "assets/b.py": b"b1", "assets/gone.py": b"g1", "models/c.py": b"c1", "policy.yaml": b"p1"}
NEW = {"assets/a.py": b"a2", "assets/b.py": b"b2", "assets/new.py": b"n2", "models/c.py": b"c1", "policy.yaml": b"p2"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """As the old release made it."""
    for name, content in OLD.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(content)
    (tmp_path / "weaver-forge.toml").touch()
    write_note(tmp_path, {name: digest(content) for name, content in OLD.items()})
    return tmp_path


def tree(folder: Path) -> dict[str, bytes]:
    files = {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    return {name: content for name, content in files.items() if name not in {NOTE, "weaver-forge.toml"}}


def upgraded(folder: Path, files: dict[str, bytes] = NEW) -> Plan:
    plan = planned(folder, files)
    carry_out(plan, folder, files)
    return plan


def test_what_nobody_changed_is_as_the_release_has_it_and_the_policy_is_left_to_people(folder: Path) -> None:
    plan = upgraded(folder)

    assert tree(folder) == {**NEW, "policy.yaml": b"p1", "policy.yaml.new": b"p2"}
    assert (plan.replaced, plan.added) == (["assets/a.py", "assets/b.py"], ["assets/new.py"])
    assert (plan.removed, plan.beside, plan.kept) == (["assets/gone.py"], ["policy.yaml"], [])


def test_what_somebody_changed_is_kept_and_the_new_one_lies_beside(folder: Path) -> None:
    for name in ("assets/a.py", "assets/gone.py", "models/c.py"):
        (folder / name).write_bytes(b"mine")
    (folder / "assets/b.py").unlink()
    (folder / "assets/new.py").write_bytes(b"mine too")
    (folder / "assets/mine.py").write_bytes(b"only mine")

    plan = upgraded(folder)

    assert (plan.beside, plan.kept) == (
        ["assets/a.py", "assets/new.py", "policy.yaml"],
        ["assets/b.py", "assets/gone.py", "models/c.py"],
    )
    assert tree(folder) == {
        "assets/a.py": b"mine", "assets/a.py.new": b"a2", "assets/gone.py": b"mine", "assets/mine.py": b"only mine",
        "assets/new.py": b"mine too", "assets/new.py.new": b"n2", "models/c.py": b"mine",
        "policy.yaml": b"p1", "policy.yaml.new": b"p2",
    }  # fmt: skip


def test_a_second_upgrade_writes_nothing_and_still_names_what_is_kept(folder: Path) -> None:
    (folder / "assets/a.py").write_bytes(b"mine")
    upgraded(folder)
    before = tree(folder)

    plan = upgraded(folder)

    assert plan.is_empty
    assert plan.kept == ["assets/a.py", "policy.yaml"]
    assert tree(folder) == before


def test_what_was_merged_with_the_new_one_is_not_offered_again_until_the_release_changes_it(folder: Path) -> None:
    (folder / "assets/a.py").write_bytes(b"mine")
    upgraded(folder)
    (folder / "assets/a.py").write_bytes(b"mine and a2")
    (folder / "assets/a.py.new").unlink()

    same, next_one = planned(folder, NEW), planned(folder, {**NEW, "assets/a.py": b"a3"})

    assert (same.beside, next_one.beside) == ([], ["assets/a.py"])


def test_an_upgrade_that_was_stopped_is_finished_by_the_next_one(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def stopped(path: Path, content: bytes) -> None:
        if path.name == "b.py":
            raise OSError(28, "No space left on device", str(path))
        path.write_bytes(content)

    with monkeypatch.context() as patched:
        patched.setattr(module, "put", stopped)
        with pytest.raises(SourceError, match=r"b\.py: cannot be written: No space left on device"):
            upgraded(folder)
    plan = upgraded(folder)

    assert plan.replaced == ["assets/b.py"]
    assert tree(folder) == {**NEW, "policy.yaml": b"p1", "policy.yaml.new": b"p2"}


def test_a_dry_run_says_the_same_and_writes_nothing(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(module, "released", lambda: NEW)
    (folder / "assets/a.py").write_bytes(b"mine")
    before = tree(folder)

    def said(*, dry_run: bool) -> dict[str, Any]:
        assert upgrade(folder, dry_run=dry_run, json=True) == 0
        answer: dict[str, Any] = json.loads(capsys.readouterr().out)
        assert answer.pop("dry_run") == dry_run
        return answer

    foreseen = said(dry_run=True)
    untouched = tree(folder)
    done = said(dry_run=False)

    assert untouched == before
    assert foreseen == done
    assert done["beside"] == ["assets/a.py", "policy.yaml"]


def test_the_lists_of_an_upgrade_are_told_with_what_to_do(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(module, "released", lambda: NEW)
    (folder / "assets/a.py").write_bytes(b"mine")

    upgrade(folder)
    first = capsys.readouterr().out
    upgrade(folder)
    again = capsys.readouterr().out

    assert "1 replaced: nobody had changed them\n  assets/b.py" in first
    assert "2 kept, because changed here (policy.yaml always): the release's put beside as NAME.new" in first
    assert "Next: take over what you want of each NAME.new and delete it" in first
    assert "Nothing to do" in again
    assert "assets/a.py (.new of an upgrade before lies beside)" in again


def test_without_the_note_of_init_nothing_is_replaced(folder: Path) -> None:
    (folder / NOTE).unlink()

    with pytest.raises(ConfigurationError, match="cannot be told, so none is replaced") as refused:
        upgrade(folder)

    assert "weaver-forge init DIR" in refused.value.do
    assert tree(folder) == OLD


@pytest.mark.parametrize("said", ["", "[]", '{"version": "1"}', '{"version": "1", "files": []}'])
def test_a_note_that_cannot_be_read_is_refused(folder: Path, said: str) -> None:
    (folder / NOTE).write_text(said, encoding="utf-8")

    with pytest.raises(ConfigurationError, match="cannot be read"):
        planned(folder, NEW)


def test_a_folder_that_is_no_deployment_is_refused(tmp_path: Path) -> None:
    with pytest.raises(NotADeployment):
        upgrade(tmp_path)


def test_init_notes_every_file_that_it_copied_and_a_new_deployment_needs_no_upgrade(tmp_path: Path) -> None:
    make_deployment(tmp_path / "new")

    note, plan = read_note(tmp_path / "new"), planned(tmp_path / "new", released())

    assert {"assets/__main__.py", "policy.yaml", "dagster_home/dagster.yaml", ".gitignore"} <= note.files.keys()
    assert "weaver-forge.toml" not in note.files
    assert (plan.is_empty, plan.kept) == (True, [])
