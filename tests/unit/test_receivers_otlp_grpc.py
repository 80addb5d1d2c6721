"""OTLP/gRPC: whoever shows no token is turned away before his message is read."""

import threading
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import grpc
import pytest

from weaver_forge.receivers import otlp_grpc
from weaver_forge.receivers.auth import Tokens
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
def channel(intake: OtlpIntake) -> Iterator[Any]:
    server, port = otlp_grpc.start(intake, Tokens(("t",)), "127.0.0.1", 0)
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        yield channel
    server.stop(None).wait()


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
