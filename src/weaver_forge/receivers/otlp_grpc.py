"""OTLP/gRPC: the three Export services, over the same intake as OTLP/HTTP.

Put here how gRPC carries messages and answers. The handlers take bytes, not objects: a message is stored as it was
sent and is parsed once, by the pruned classes. grpc's own decompression is off, because it knows no limit on what
comes out; a message says by its first bytes how it is packed, which no OTLP message begins with. The token is looked
at before a message is read, and a message is read by the thread that handles it: no more are in memory than threads.
"""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import NoReturn

import grpc

from weaver_forge.errors import ConfigurationError
from weaver_forge.receivers.auth import Tokens
from weaver_forge.receivers.otlp_answers import INVALID_ARGUMENT, UNAVAILABLE, status, success
from weaver_forge.receivers.otlp_bodies import BodyTooLarge, BodyUnreadable, unpacked
from weaver_forge.receivers.otlp_intake import RETRY_LATER_S, RETRY_SOON_S, OtlpIntake
from weaver_forge.receivers.otlp_signals import SIGNALS, BadData, Signal
from weaver_forge.receivers.segments import InboxFull, InboxUnwritable

_SERVICES: dict[Signal, str] = {
    "traces": "opentelemetry.proto.collector.trace.v1.TraceService",
    "metrics": "opentelemetry.proto.collector.metrics.v1.MetricsService",
    "logs": "opentelemetry.proto.collector.logs.v1.LogsService",
}
_THREADS = 8
"""Messages in memory at once: the rest of the calls waits unread, each with no more than a window of the transport."""

_WAITING = 64
"""Calls at once; more are turned away with RESOURCE_EXHAUSTED by grpc itself."""

_DEADLINE_S = 60.0


def start(intake: OtlpIntake, tokens: Tokens, host: str, port: int) -> tuple[grpc.Server, int]:
    """Listen; returns the running server and its port (one is chosen where ``port`` is 0).

    Raises:
        ConfigurationError: If the port cannot be listened on.
    """
    server = grpc.server(
        ThreadPoolExecutor(_THREADS, thread_name_prefix="otlp-grpc"),
        handlers=[_service(intake, signal) for signal in SIGNALS],
        interceptors=[_Door(intake, tokens)],
        options=[
            ("grpc.max_receive_message_length", intake.limits.message),
            ("grpc.max_send_message_length", 4 * 2**20),
            ("grpc.per_message_decompression", 0),
            ("grpc.so_reuseport", 0),  # two receivers on one port would take turns
        ],
        maximum_concurrent_rpcs=_WAITING,
    )
    address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    try:
        bound = server.add_insecure_port(address)
    except RuntimeError as error:
        raise ConfigurationError(
            f"OTLP/gRPC cannot listen on {address}: the port is in use, or the address is not this machine's",
            where="serve",
            do="Stop what listens there, or give --grpc-port or --no-grpc",
        ) from error
    server.start()
    return server, bound


class _Door(grpc.ServerInterceptor):  # type: ignore[misc] # grpc has no types
    """Turns away who shows no valid token, before anything of the message is read."""

    def __init__(self, intake: OtlpIntake, tokens: Tokens) -> None:
        self._intake, self._tokens = intake, tokens
        # For a stream of requests grpc reads only what the handler asks for: this one asks for nothing.
        self._refusing = {
            f"/{service}/Export": grpc.stream_unary_rpc_method_handler(self._refuser(signal))
            for signal, service in _SERVICES.items()
        }

    def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], grpc.RpcMethodHandler | None],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> grpc.RpcMethodHandler | None:
        """Go on to the service, or to a refusal; what is no Export is grpc's to answer."""
        headers = {str(key): str(value) for key, value in handler_call_details.invocation_metadata}
        refusing = self._refusing.get(handler_call_details.method)
        if refusing is None or self._tokens.admits(headers):
            return continuation(handler_call_details)
        return refusing

    def _refuser(self, signal: Signal) -> Callable[[Iterator[bytes], grpc.ServicerContext], bytes]:
        def refuse(_: Iterator[bytes], context: grpc.ServicerContext) -> bytes:
            self._intake.count_refused("grpc", signal, "unauthorized")
            context.abort(grpc.StatusCode.UNAUTHENTICATED, "a valid bearer token is needed")
            raise AssertionError("abort raises")

        return refuse


def _service(intake: OtlpIntake, signal: Signal) -> grpc.GenericRpcHandler:
    # Without serializers messages are bytes, in and out.
    export = grpc.unary_unary_rpc_method_handler(_exporter(intake, signal))
    return grpc.method_handlers_generic_handler(_SERVICES[signal], {"Export": export})


def _exporter(intake: OtlpIntake, signal: Signal) -> Callable[[bytes, grpc.ServicerContext], bytes]:
    def export(body: bytes, context: grpc.ServicerContext) -> bytes:
        try:
            data = unpacked(body, _packing(body), intake.limits.message)
            taken = intake.take(signal, "protobuf", data)
            if taken.stored is not None:
                taken.stored.result(_DEADLINE_S)
        except BodyTooLarge:
            intake.count_refused("grpc", signal, "too_large")
            limit = intake.limits.message
            context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, f"a request has at most {limit} bytes, unpacked too")
        except (BadData, BodyUnreadable) as error:
            intake.count_refused("grpc", signal, "bad_data")
            _abort(context, grpc.StatusCode.INVALID_ARGUMENT, INVALID_ARGUMENT, str(error), None)
        except (InboxFull, TimeoutError) as error:
            intake.count_refused("grpc", signal, "unavailable")
            after = RETRY_LATER_S if isinstance(error, InboxUnwritable) else RETRY_SOON_S
            said = error.what if isinstance(error, InboxFull) else "the disk takes too long"
            _abort(context, grpc.StatusCode.UNAVAILABLE, UNAVAILABLE, said, after)
        intake.count_accepted("grpc", signal, taken.outline, len(data))
        return success(signal, "protobuf", taken.outline)

    return export


def _packing(body: bytes) -> str:
    """How a message is packed; every field of the outer OTLP message begins with a newline's code."""
    if body[:2] == b"\x1f\x8b":
        return "gzip"
    return "deflate" if body[:1] == b"\x78" else ""


def _abort(
    context: grpc.ServicerContext, code: grpc.StatusCode, number: int, message: str, retry_after_s: int | None
) -> NoReturn:
    """End the call; RetryInfo is what tells a sender to keep its data."""
    details = status("protobuf", number, message, retry_after_s=retry_after_s)
    context.set_trailing_metadata((("grpc-status-details-bin", details),))
    context.abort(code, message)
    raise AssertionError("abort raises")
