"""OTLP/gRPC: whoever shows no token is turned away before his message is read, and nobody holds a slot for ever."""

import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future
from datetime import datetime
from pathlib import Path
from typing import Any

import grpc
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from weaver_forge.receivers import otlp_grpc
from weaver_forge.receivers.auth import Tokens
from weaver_forge.receivers.budget import Budget
from weaver_forge.receivers.counters import REQUESTS
from weaver_forge.receivers.otlp_intake import Limits, OtlpIntake

EXPORT = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"
TOKEN = (("authorization", "Bearer t"),)


@pytest.fixture
def intake(tmp_path: Path) -> Iterator[OtlpIntake]:
    one = OtlpIntake(tmp_path / "received", Limits(message=2**20, free=0), lambda: datetime(2026, 3, 1))
    yield one
    one.close()


@pytest.fixture
def budget() -> Budget:
    return Budget(1000)


@pytest.fixture
def channel(intake: OtlpIntake, budget: Budget) -> Iterator[Any]:
    listening = otlp_grpc.start(intake, Tokens(("t",)), "127.0.0.1", 0, budget=budget, message_s=0.4)
    with grpc.insecure_channel(f"127.0.0.1:{listening.port}") as channel:
        yield channel
    listening.stop()


def code(call: Any) -> grpc.StatusCode:
    try:
        call()
    except grpc.RpcError as error:
        return error.code()
    return grpc.StatusCode.OK


def refused(intake: OtlpIntake) -> int:
    return intake.values()[REQUESTS].get(("grpc", "traces", "unauthorized"), 0)


def test_a_call_without_a_token_is_answered_before_its_message_came(channel: Any, intake: OtlpIntake) -> None:
    never = threading.Event()

    def messages() -> Iterator[bytes]:
        never.wait(20)
        yield b""

    said = code(lambda: channel.stream_unary(EXPORT)(messages(), timeout=5))
    never.set()

    assert said == grpc.StatusCode.UNAUTHENTICATED
    assert refused(intake) == 1


def test_a_token_opens_and_a_wrong_one_does_not(channel: Any, intake: OtlpIntake) -> None:
    export = channel.unary_unary(EXPORT)

    said = [
        code(lambda metadata=metadata: export(b"", metadata=metadata, timeout=5))
        for metadata in (TOKEN, (("authorization", "Bearer x"),), None)
    ]

    assert said == [grpc.StatusCode.OK, grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.UNAUTHENTICATED]
    assert refused(intake) == 2


def test_what_is_no_export_is_not_there(channel: Any) -> None:
    assert code(lambda: channel.unary_unary("/other/Export")(b"", timeout=5)) == grpc.StatusCode.UNIMPLEMENTED


def outcome(intake: OtlpIntake, name: str) -> int:
    return intake.values()[REQUESTS].get(("grpc", "traces", name), 0)


def counted(intake: OtlpIntake, name: str, times: int) -> bool:
    """Whether it is counted so often, or soon is: a sender knows before the count does that its call has ended."""
    deadline = time.monotonic() + 5
    while outcome(intake, name) != times and time.monotonic() < deadline:
        time.sleep(0.01)
    return outcome(intake, name) == times


def request(name: str = "GET /") -> bytes:
    message = ExportTraceServiceRequest()
    message.resource_spans.add().scope_spans.add().spans.add(
        trace_id=b"t" * 16, span_id=b"s" * 8, name=name, start_time_unix_nano=10**18, end_time_unix_nano=10**18
    )
    return message.SerializeToString()


def test_a_message_that_does_not_come_is_given_up_and_its_slot_is_free_again(channel: Any, intake: OtlpIntake) -> None:
    never = threading.Event()

    def messages() -> Iterator[bytes]:
        never.wait(20)
        yield b""

    slow = [channel.stream_unary(EXPORT).future(messages(), metadata=TOKEN) for _ in range(otlp_grpc._THREADS)]
    said = code(lambda: channel.unary_unary(EXPORT)(b"", metadata=TOKEN, timeout=5))
    ended = [code(call.result) for call in slow]
    never.set()

    assert said == grpc.StatusCode.OK
    assert ended == [grpc.StatusCode.CANCELLED] * otlp_grpc._THREADS  # which OTLP has senders try again
    assert counted(intake, "too_slow", otlp_grpc._THREADS)


def test_a_call_without_a_message_is_bad_data(channel: Any, intake: OtlpIntake) -> None:
    said = code(lambda: channel.stream_unary(EXPORT)(iter(()), metadata=TOKEN, timeout=5))

    assert said == grpc.StatusCode.INVALID_ARGUMENT
    assert outcome(intake, "bad_data") == 1


def test_the_budget_is_that_of_all_protocols(channel: Any, intake: OtlpIntake, budget: Budget) -> None:
    export = channel.unary_unary(EXPORT)
    body = request("n" * 600)

    with budget.ticket() as of_http:
        of_http.take(600)
        too_much = code(lambda: export(body, metadata=TOKEN, timeout=5))
    enough = code(lambda: export(body, metadata=TOKEN, timeout=5))

    assert (too_much, enough) == (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.OK)
    assert (outcome(intake, "unavailable"), outcome(intake, "accepted")) == (1, 1)
    assert budget.used == 0


class SlowDisk:
    """Segments whose disk takes nothing for now."""

    def __init__(self) -> None:
        self.put_in = threading.Event()
        self.futures: list[Future[None]] = []

    def put(self, _: bytes) -> "Future[None]":
        """Queue it for ever."""
        self.futures.append(Future())
        self.put_in.set()
        return self.futures[-1]


@pytest.fixture
def slow_disk(intake: OtlpIntake, monkeypatch: pytest.MonkeyPatch) -> SlowDisk:
    disk = SlowDisk()
    monkeypatch.setattr(intake._segments["traces"], "put", disk.put)
    return disk


def test_what_a_sender_that_hung_up_sent_is_not_written_any_more(
    channel: Any, intake: OtlpIntake, slow_disk: SlowDisk
) -> None:
    call = channel.unary_unary(EXPORT).future(request(), metadata=TOKEN)
    assert slow_disk.put_in.wait(5)
    call.cancel()

    assert counted(intake, "cancelled", 1)
    assert slow_disk.futures[0].cancelled()


@pytest.mark.parametrize("is_being_written", [False, True])
def test_a_disk_that_takes_too_long_is_to_try_again_and_what_is_unwritten_is_dropped(
    channel: Any, intake: OtlpIntake, slow_disk: SlowDisk, monkeypatch: pytest.MonkeyPatch, *, is_being_written: bool
) -> None:
    monkeypatch.setattr(otlp_grpc, "DISK_S", 0.2)
    call = channel.unary_unary(EXPORT).future(request(), metadata=TOKEN)
    assert slow_disk.put_in.wait(5)
    if is_being_written:
        slow_disk.futures[0].set_running_or_notify_cancel()

    assert code(call.result) == grpc.StatusCode.UNAVAILABLE
    assert slow_disk.futures[0].cancelled() != is_being_written
    assert outcome(intake, "unavailable") == 1


def test_a_fault_of_ours_is_to_try_again_and_one_line(
    channel: Any, intake: OtlpIntake, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_: Any) -> None:
        raise ZeroDivisionError("nobody thought of this")

    monkeypatch.setattr(intake, "take", broken)

    assert code(lambda: channel.unary_unary(EXPORT)(b"", metadata=TOKEN, timeout=5)) == grpc.StatusCode.UNAVAILABLE
    assert [(r.levelname, "nobody thought of this" in r.getMessage(), r.exc_info) for r in caplog.records] == [
        ("ERROR", True, None)
    ]
