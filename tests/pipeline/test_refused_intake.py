"""What was acknowledged is never lost: refused webhooks are kept whole, files that change while they are read."""

import json
import sys
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from assets.raw import deployments, github_actions, intake, otlp
from assets.raw.books import Request
from assets.raw.intake import Inputs, RawSource, take_in
from assets.raw.replay import replay
from assets.resources import Deployment
from weaver_forge.contracts.batch import Batch, Rejected
from weaver_forge.contracts.tables.ingest import RAW_INGEST_INPUTS, RAW_INGEST_REJECTED
from weaver_forge.decode import envelope
from weaver_forge.decode import github_actions as decoder
from weaver_forge.decode.envelope import sealed
from weaver_forge.settings import Settings
from weaver_forge.warehouse import Warehouse

AT = datetime(2026, 3, 1, 12)
RUN = {
    "workflow_id": 1, "id": 7, "head_sha": "a" * 40, "status": "completed", "created_at": "2026-03-01T12:00:00Z",
    "updated_at": "2026-03-01T12:01:00Z", "repository": {"full_name": "acme/shop"},
}  # fmt: skip


@pytest.fixture
def deployment(tmp_path: Path) -> Deployment:
    settings = Settings(root=tmp_path, python=Path(sys.executable), decisions={})
    warehouse = Warehouse(settings.warehouse, settings.lake)
    tables = (*github_actions.SOURCE.tables, *deployments.SOURCE.tables)
    warehouse.migrate([RAW_INGEST_INPUTS, RAW_INGEST_REJECTED, *tables])
    return Deployment(settings, (), warehouse)


def received(deployment: Deployment, source: str, name: str, data: bytes) -> Path:
    path = deployment.settings.inbox / source / "received" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def webhook(body: object) -> bytes:
    return sealed("github", "workflow_run", "d", AT, json.dumps(body).encode())


def span(number: int) -> bytes:
    one = {"traceId": f"{number:032x}", "spanId": f"{number:016x}", "name": "GET /", "startTimeUnixNano": "1767600000"}
    body = {"resourceSpans": [{"scopeSpans": [{"spans": [one | {"endTimeUnixNano": "1767600001"}]}]}]}
    return json.dumps(body).encode() + b"\n"


def ids(deployment: Deployment) -> list[int]:
    found = deployment.warehouse.query("select trace_id from raw_otlp__spans order by trace_id")
    return [int(text, 16) for text in found["trace_id"]]


def test_a_refused_webhook_is_replayed_whole_after_its_decoder_was_mended(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    line = webhook({"action": "completed", "workflow_run": RUN | {"display_title": "x" * 9000}})
    path = received(deployment, "github_actions", "a.jsonl", line + b"\n")

    def broken(*_: object) -> None:
        raise decoder.Refused("a defect")

    monkeypatch.setattr(decoder, "_store", broken)
    said = take_in(github_actions.SOURCE, Inputs(), deployment)
    monkeypatch.undo()

    done = replay(github_actions.SOURCE, deployment)

    assert (said["rejected"], path.exists()) == (1, False)
    assert done == {"tried": 1, "resolved": 1, "rows": 1}
    assert deployment.warehouse.query("select run_id from raw_github_actions__runs")["run_id"].to_list() == ["7"]


def test_refused_pieces_of_one_document_keep_its_bytes_once_and_are_resolved_together(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    document = json.dumps({"workflow_runs": [RUN, RUN | {"id": 8}]}).encode()
    path = received(deployment, "github_actions", "a.jsonl", document)
    with monkeypatch.context() as patched:
        patched.setattr(decoder, "_repo_id", lambda _: decoder.text({}, "repository"))
        take_in(github_actions.SOURCE, Inputs(), deployment)

    lengths = deployment.warehouse.query("select octet_length(data) as n from raw_ingest__rejected order by position")
    done = replay(github_actions.SOURCE, deployment)

    left = deployment.warehouse.query("select count(*) as n from raw_ingest__rejected where resolved_at is null")
    assert not path.exists()
    assert lengths["n"].to_list() == [len(document), None]
    assert done == {"tried": 1, "resolved": 1, "rows": 2}
    assert left["n"].item() == 0


def test_a_received_file_with_a_piece_too_large_to_keep_is_moved_aside_and_not_read_again(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(envelope, "KEPT_BYTES", 100)
    path = received(deployment, "deployments", "a.jsonl", webhook({"x": "y" * 200}))

    first = take_in(deployments.SOURCE, Inputs(), deployment)
    again = take_in(deployments.SOURCE, Inputs(), deployment)

    kept = deployment.settings.inbox / "deployments" / "kept" / "a.jsonl"
    assert (first["rejected"], again["inputs_read"], again["inputs_known"]) == (1, 0, 0)
    assert (path.exists(), kept.exists()) == (False, True)
    assert [problem.where for problem in deployment.problems] == [str(kept)]


def test_a_file_is_moved_aside_even_when_a_crash_came_before(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(envelope, "KEPT_BYTES", 100)
    path = received(deployment, "deployments", "a.jsonl", webhook({"x": "y" * 200}))
    with monkeypatch.context() as patched:
        patched.setattr(intake, "settle", lambda *_: [])  # killed before the files were seen to
        take_in(deployments.SOURCE, Inputs(), deployment)

    take_in(deployments.SOURCE, Inputs(), deployment)

    assert not path.exists()
    assert (deployment.settings.inbox / "deployments" / "kept" / "a.jsonl").exists()


def test_received_files_are_deleted_below_an_inbox_that_is_a_link(deployment: Deployment, tmp_path: Path) -> None:
    (tmp_path / "large disk").mkdir()
    deployment.settings.inbox.parent.mkdir(parents=True, exist_ok=True)
    deployment.settings.inbox.symlink_to(tmp_path / "large disk")
    path = received(deployment, "github_actions", "a.jsonl", webhook({"workflow_run": RUN}))

    take_in(github_actions.SOURCE, Inputs(), deployment)

    assert not path.exists()


def test_refused_bytes_are_written_before_there_are_too_many(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    held: list[int] = []

    def decode(request: Request, deployment: Deployment) -> Any:
        for number in range(10):
            written = deployment.warehouse.query("select count(*) as n from raw_ingest__rejected")["n"].item()
            held.append(number - written)
            yield Batch(rejected=(Rejected(str(request.path), f"line {number}", "bad", data=bytes([number]) * 100),))

    monkeypatch.setattr(intake, "HELD_BYTES", 300)
    (tmp_path / "a").write_bytes(b"x")
    source = RawSource(name="deployments", tables=deployments.SOURCE.tables, decode=decode)

    said = take_in(source, Inputs(paths=[str(tmp_path / "a")]), deployment)

    assert (said["rejected"], max(held)) == (10, 2)


def before_noting(monkeypatch: pytest.MonkeyPatch, name: str, act: Callable[[], object]) -> None:
    real, done = intake.note, []

    def note(books: Any, chunk: Any, *rest: Any) -> int:
        if chunk.file.request.path.name == name and not done:
            done.append(act())
        return real(books, chunk, *rest)

    monkeypatch.setattr(intake, "note", note)


def test_a_file_that_vanishes_while_it_is_read_is_a_problem_of_its_own(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = received(deployment, "otlp", "traces-1.otlp", span(1) + b"[]\n")
    second = received(deployment, "otlp", "traces-2.otlp", span(2))
    before_noting(monkeypatch, "traces-1.otlp", first.unlink)

    said = take_in(otlp.SOURCE, Inputs(), deployment)

    assert (said["inputs_read"], ids(deployment), second.exists()) == (2, [1, 2], False)
    assert [problem.where for problem in deployment.problems] == [f"{first} (given to otlp)"]
    assert deployment.warehouse.read(RAW_INGEST_INPUTS)["name"].to_list() == [str(second)]


def test_a_file_put_in_the_place_of_one_that_is_read_is_read_the_next_time(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file, other = tmp_path / "a.jsonl", tmp_path / "b.jsonl"
    file.write_bytes(span(1))
    other.write_bytes(span(2))
    before_noting(monkeypatch, "a.jsonl", lambda: other.replace(file))

    take_in(otlp.SOURCE, Inputs(paths=[str(file)]), deployment)
    noted = deployment.warehouse.read(RAW_INGEST_INPUTS).height
    take_in(otlp.SOURCE, Inputs(paths=[str(file)]), deployment)

    assert (noted, ids(deployment)) == (0, [1, 2])
    assert "replaced" in str(deployment.problems[0])


def test_a_file_that_grows_while_it_is_read_goes_on_where_it_was(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file = tmp_path / "a.jsonl"
    file.write_bytes(span(1))

    def grow() -> None:
        with file.open("ab") as more:
            more.write(span(2))

    before_noting(monkeypatch, "a.jsonl", grow)

    first = take_in(otlp.SOURCE, Inputs(paths=[str(file)]), deployment)
    second = take_in(otlp.SOURCE, Inputs(paths=[str(file)]), deployment)

    assert (first["rows_decoded"], second["rows_decoded"], ids(deployment)) == (1, 1, [1, 2])
    assert deployment.problems == []
