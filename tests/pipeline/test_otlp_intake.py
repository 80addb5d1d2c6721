"""OTLP files are taken in once and whole: growing, renamed, cut off, compressed, by one process or several."""

import gzip
import os
import shutil
import sys
from datetime import timedelta
from pathlib import Path

import pytest
from opentelemetry.proto.logs.v1.logs_pb2 import LogsData
from opentelemetry.proto.metrics.v1.metrics_pb2 import MetricsData
from opentelemetry.proto.trace.v1.trace_pb2 import TracesData

from assets.raw import otlp
from assets.raw.intake import Inputs, take_in
from assets.raw.replay import replay
from assets.resources import Deployment
from weaver_forge.contracts.tables.ingest import RAW_INGEST_INPUTS, RAW_INGEST_REJECTED
from weaver_forge.settings import Settings
from weaver_forge.warehouse import Warehouse

BAD = b"\x0a\x04\x12\x02\xff\xff"  # a scope that is no message
T0 = 1_767_600_000_000_000_000


def traces(*numbers: int) -> bytes:
    """One message with a span a number, its length before it."""
    data = TracesData()
    resource = data.resource_spans.add()
    resource.resource.attributes.add(key="service.name").value.string_value = "web"
    scope = resource.scope_spans.add()
    for number in numbers:
        span = scope.spans.add(name="GET /", kind=2)
        span.trace_id, span.span_id = number.to_bytes(16, "big"), number.to_bytes(8, "big")
        span.start_time_unix_nano = T0 + number
        span.end_time_unix_nano = span.start_time_unix_nano + 1_000_000
    return framed(data.SerializeToString())


def framed(body: bytes) -> bytes:
    return len(body).to_bytes(4, "big") + body


def metrics() -> bytes:
    data = MetricsData()
    metric = data.resource_metrics.add().scope_metrics.add().metrics.add(name="load")
    metric.gauge.data_points.add(time_unix_nano=T0, as_double=0.5)
    return framed(data.SerializeToString())


def logs() -> bytes:
    data = LogsData()
    record = data.resource_logs.add().scope_logs.add().log_records.add(time_unix_nano=T0)
    record.body.string_value = "it works"
    return framed(data.SerializeToString())


def opened(root: Path, **more: object) -> Deployment:
    settings = Settings(root=root, python=Path(sys.executable), decisions={}, **more)
    warehouse = Warehouse(settings.warehouse, settings.lake)
    warehouse.migrate([RAW_INGEST_INPUTS, RAW_INGEST_REJECTED])
    return Deployment(settings, (), warehouse)


@pytest.fixture
def deployment(tmp_path: Path) -> Deployment:
    return opened(tmp_path)


def take(deployment: Deployment, *paths: Path) -> dict[str, object]:
    return dict(take_in(otlp.SOURCE, Inputs(paths=[str(path) for path in paths]), deployment))


def count(deployment: Deployment, table: str = "raw_otlp__spans") -> int:
    return int(deployment.warehouse.query(f"select count(*) as n from {table}")["n"][0])


def test_every_signal_goes_to_its_lake(deployment: Deployment, tmp_path: Path) -> None:
    (tmp_path / "all.pb").write_bytes(traces(1, 2) + metrics() + logs() + traces(3))

    said = take(deployment, tmp_path / "all.pb")

    assert (said["inputs_read"], said["rows_decoded"], said["rows_new"], said["rejected"]) == (1, 5, 5, 0)
    assert [count(deployment, f"raw_otlp__{n}") for n in ("spans", "metric_points", "log_records")] == [3, 1, 1]


def test_a_growing_file_goes_on_where_it_was(deployment: Deployment, tmp_path: Path) -> None:
    file = tmp_path / "a.pb"
    file.write_bytes(traces(1) + traces(2))
    take(deployment, file)
    with file.open("ab") as more:
        more.write(traces(3))

    said = take(deployment, file)
    again = take(deployment, file)

    assert (said["rows_decoded"], said["rows_new"]) == (1, 1)
    assert (again["inputs_read"], again["inputs_known"]) == (0, 1)
    assert count(deployment) == 3


def test_a_rotated_file_is_known_by_its_bytes(deployment: Deployment, tmp_path: Path) -> None:
    """Renamed with new messages at its end, and another begun under its name."""
    file, rotated = tmp_path / "a.pb", tmp_path / "a-1.pb"
    file.write_bytes(traces(*range(1, 201)))  # beyond the bytes that files are told apart by first
    take(deployment, file)
    with file.open("ab") as more:
        more.write(traces(300))
    file.rename(rotated)
    file.write_bytes(traces(301))

    said = take(deployment, file, rotated)

    assert said["rows_decoded"] == 2
    assert count(deployment) == 202


def test_a_renamed_file_is_not_even_hashed_the_second_time(deployment: Deployment, tmp_path: Path) -> None:
    file, moved = tmp_path / "a.pb", tmp_path / "b.pb"
    file.write_bytes(traces(1))
    take(deployment, file)
    file.rename(moved)

    take(deployment, moved)

    names = deployment.warehouse.read(RAW_INGEST_INPUTS)["name"].to_list()
    assert names == [str(moved)]


def test_a_half_written_message_waits_for_its_rest(deployment: Deployment, tmp_path: Path) -> None:
    file = tmp_path / "a.pb"
    whole = traces(1) + traces(2)
    file.write_bytes(whole[:-5])

    first = take(deployment, file)
    waiting = deployment.warehouse.read(RAW_INGEST_INPUTS).row(0, named=True)
    second = take(deployment, file)
    file.write_bytes(whole)
    third = take(deployment, file)

    assert (first["rows_new"], first["rejected"], second["inputs_read"], third["rows_new"]) == (1, 0, 0, 1)
    assert (waiting["bytes_taken"], waiting["tail_state"]) == (len(traces(1)), "waiting")
    assert waiting["tail_bytes"] == len(traces(2)) - 5
    assert count(deployment, "raw_ingest__rejected") == 0


def test_a_tail_that_got_no_rest_in_a_day_is_refused_until_it_does(deployment: Deployment, tmp_path: Path) -> None:
    file = tmp_path / "a.pb"
    whole = traces(1) + traces(2)
    file.write_bytes(whole[:-5])
    take(deployment, file)
    old = (deployment.settings.now() - timedelta(days=2)).timestamp()
    os.utime(file, (old, old))

    refused = take(deployment, file)
    again = take(deployment, file)
    kept = deployment.warehouse.read(RAW_INGEST_REJECTED).row(0, named=True)
    file.write_bytes(whole)
    late = take(deployment, file)

    assert (refused["rejected"], again["rejected"], late["rows_new"]) == (1, 0, 1)
    assert (kept["data"], kept["byte_offset"]) == (traces(2)[:-5], len(traces(1)))
    assert deployment.warehouse.read(RAW_INGEST_REJECTED)["resolved_at"].null_count() == 0


def test_a_compressed_file_is_one_whole(deployment: Deployment, tmp_path: Path) -> None:
    file = tmp_path / "a.pb.gz"
    file.write_bytes(gzip.compress(traces(1) + traces(2)))

    first = take(deployment, file)
    shutil.copy(file, tmp_path / "b.gz")
    copied = take(deployment, tmp_path / "b.gz")

    assert (first["rows_new"], copied["inputs_same"], copied["inputs_read"]) == (2, 1, 0)


def test_what_a_receiver_wrote_is_deleted_after_it_is_in_the_books(deployment: Deployment) -> None:
    received = deployment.settings.inbox / "otlp" / "received"
    received.mkdir(parents=True)
    (received / "traces-1.otlp").write_bytes(traces(1))
    (received / "traces-2.otlp").write_bytes(traces(1) + traces(2)[:-3])
    (received / ".3.open").write_bytes(traces(3))

    said = dict(take_in(otlp.SOURCE, Inputs(), deployment))

    assert sorted(path.name for path in received.iterdir()) == [".3.open"]
    assert (said["rows_new"], said["rejected"]) == (1, 1)  # a sealed file does not grow any more


def test_received_again_after_a_crash_before_the_deletion_is_only_deleted(deployment: Deployment) -> None:
    received = deployment.settings.inbox / "otlp" / "received"
    received.mkdir(parents=True)
    (received / "traces-1.otlp").write_bytes(traces(1))
    take_in(otlp.SOURCE, Inputs(), deployment)
    (received / "traces-1.otlp").write_bytes(traces(1))

    said = dict(take_in(otlp.SOURCE, Inputs(), deployment))

    assert (said["inputs_known"], said["inputs_read"], list(received.iterdir())) == (1, 0, [])


def test_a_bad_message_is_kept_with_its_bytes_and_place(deployment: Deployment, tmp_path: Path) -> None:
    bad = framed(BAD)
    (tmp_path / "a.pb").write_bytes(traces(1) + bad + traces(2))

    take(deployment, tmp_path / "a.pb")

    kept = deployment.warehouse.read(RAW_INGEST_REJECTED).row(0, named=True)
    assert count(deployment) == 2
    assert (kept["data"], kept["byte_offset"], kept["resolved_at"]) == (BAD, len(traces(1)), None)


def test_the_same_bad_message_is_counted_once_however_its_file_is_cut(deployment: Deployment, tmp_path: Path) -> None:
    """A copy made while the file was shorter is the beginning of it."""
    bad = framed(BAD)
    (tmp_path / "a.pb").write_bytes(traces(1) + bad)
    (tmp_path / "b.pb").write_bytes(traces(1) + bad + traces(2))

    take(deployment, tmp_path / "a.pb", tmp_path / "b.pb")

    assert count(deployment, "raw_ingest__rejected") == 1


def test_replaying_takes_in_what_is_good_now_and_nothing_twice(deployment: Deployment, tmp_path: Path) -> None:
    bad = framed(BAD)
    (tmp_path / "a.pb").write_bytes(traces(1) + bad)
    take(deployment, tmp_path / "a.pb")
    with deployment.warehouse.writing() as con:  # as if an older release had refused a good message
        con.execute(
            "insert into raw_ingest__rejected"
            " (source, input_sha256, name, position, reason, raw, rejected_at, data, context)"
            " values ('otlp', 'x', 'old.pb', 'byte 0', 'not understood', '', timestamp '2026-01-01', ?, '{}')",
            [traces(1, 2)[4:]],
        )

    first = replay(otlp.SOURCE, deployment)
    second = replay(otlp.SOURCE, deployment)

    assert first == {"tried": 2, "resolved": 1, "rows": 1}
    assert second == {"tried": 1, "resolved": 0, "rows": 0}
    assert count(deployment) == 2
    assert count(deployment, "raw_ingest__rejected") == 2


def test_a_crash_before_the_books_repeats_nothing(deployment: Deployment, tmp_path: Path) -> None:
    (tmp_path / "a.pb").write_bytes(b"".join(traces(n) for n in range(1, 51)))
    take(deployment, tmp_path / "a.pb")
    with deployment.warehouse.writing() as con:
        con.execute("delete from raw_ingest__inputs")

    said = take(deployment, tmp_path / "a.pb")

    assert (said["rows_decoded"], said["rows_new"]) == (50, 0)


def test_several_processes_give_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("assets.raw.streaming.CHUNK_BYTES", 2000)
    bad = framed(BAD)
    for number in range(3):
        pieces = [traces(*range(k * 40 + 1, k * 40 + 51)) for k in range(number, number + 4)]
        (tmp_path / f"{number}.pb").write_bytes(b"".join([*pieces, bad]))
    files = [tmp_path / f"{number}.pb" for number in range(3)]
    one, two = opened(tmp_path / "one"), opened(tmp_path / "two", ingest_processes=2)

    said = [take(deployment, *files) for deployment in (one, two)]

    read = "select * exclude (events, links) from raw_otlp__spans order by all"
    assert said[0] == said[1]
    assert one.warehouse.query(read).equals(two.warehouse.query(read))
    assert count(one) == count(two) == 250
    assert count(one, "raw_ingest__rejected") == count(two, "raw_ingest__rejected") == 3


def test_a_growing_compressed_file_is_read_as_far_as_it_goes(deployment: Deployment, tmp_path: Path) -> None:
    """A writer that compresses as it writes leaves a stream that is cut off somewhere."""
    file = tmp_path / "a.pb.gz"
    whole = gzip.compress(b"".join(traces(n) for n in range(1, 400)), mtime=0)
    file.write_bytes(whole[:2000])

    first = take(deployment, file)
    unchanged = take(deployment, file)
    file.write_bytes(whole)
    second = take(deployment, file)
    last = take(deployment, file)

    assert 0 < int(str(first["rows_new"])) < 399
    assert (first["rejected"], unchanged["inputs_read"], last["inputs_read"]) == (0, 0, 0)
    assert int(str(first["rows_new"])) + int(str(second["rows_new"])) == count(deployment) == 399


def test_a_cut_off_compressed_file_is_refused_after_a_day(deployment: Deployment, tmp_path: Path) -> None:
    file = tmp_path / "a.pb.gz"
    file.write_bytes(gzip.compress(traces(1) + traces(2))[:-9])
    old = (deployment.settings.now() - timedelta(days=2)).timestamp()
    os.utime(file, (old, old))

    said = take(deployment, file)
    again = take(deployment, file)

    assert (said["rejected"], again["inputs_read"]) == (1, 0)


def test_a_file_that_is_gone_is_a_problem_and_the_others_go_on(deployment: Deployment, tmp_path: Path) -> None:
    (tmp_path / "b.pb").write_bytes(traces(2))

    said = take(deployment, tmp_path / "a.pb", tmp_path / "b.pb")

    assert (said["inputs_read"], count(deployment)) == (1, 1)
    assert [problem.where for problem in deployment.problems] == [str(tmp_path / "a.pb")]
