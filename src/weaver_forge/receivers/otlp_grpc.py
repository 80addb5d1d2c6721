"""OTLP/gRPC: the three Export services, over the same intake as OTLP/HTTP.

Put here how gRPC carries messages and answers. The handlers take bytes, not objects: a message is stored as it was
sent and is parsed once, by the pruned classes. grpc's own decompression is off, because it knows no limit on what
comes out; a message says by its first bytes how it is packed, which no OTLP message begins with. The token is looked
at before a message is read, and a message is read by the thread that handles it, with a deadline. How long it is, grpc
says only once it is there: then it counts in the budget that OTLP/HTTP shares, so that no more are in memory beyond
it than there are threads.
"""

import contextlib
import logging
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError, ThreadPoolExecutor
from typing import NoReturn

import grpc

from weaver_forge.errors import ConfigurationError
from weaver_forge.receivers.auth import Tokens
from weaver_forge.receivers.budget import Budget, Crowded, Ticket
from weaver_forge.receivers.grpc_deadlines import Deadlines
from weaver_forge.receivers.otlp_answers import INVALID_ARGUMENT, UNAVAILABLE, status, success
from weaver_forge.receivers.otlp_bodies import BodyTooLarge, BodyUnreadable, unpacked
from weaver_forge.receivers.otlp_intake import DISK_S, LARGE_AT_ONCE, OtlpIntake, retry_after
from weaver_forge.receivers.otlp_signals import SIGNALS, BadData, Outline, Signal
from weaver_forge.receivers.segments import InboxFull

_LOG = logging.getLogger(__name__)

_SERVICES: dict[Signal, str] = {
    "traces": "opentelemetry.proto.collector.trace.v1.TraceService",
    "metrics": "opentelemetry.proto.collector.metrics.v1.MetricsService",
    "logs": "opentelemetry.proto.collector.logs.v1.LogsService",
}
_THREADS = 8
"""Messages in memory at once: the rest of the calls waits unread, each with no more than a window of the transport."""

_WAITING = 64
"""Calls at once; more are turned away with RESOURCE_EXHAUSTED by grpc itself."""

_MESSAGE_S = 60.0
"""Seconds that a message may take, once a thread waits for it."""


class Listening:
    """A running server.

    Args:
        server: It.
        port: Where it listens.
        deadlines: Of its calls.
    """

    def __init__(self, server: grpc.Server, port: int, deadlines: Deadlines) -> None:
        self.port = port
        self._server, self._deadlines = server, deadlines

    def stop(self, grace_s: float | None = None) -> None:
        """Take no more calls, and wait for those that were begun; after the grace they are cancelled."""
        self._server.stop(grace_s).wait()
        self._deadlines.close()


def start(
    intake: OtlpIntake, tokens: Tokens, host: str, port: int, *, budget: Budget, message_s: float = _MESSAGE_S
) -> Listening:
    """Listen.

    Args:
        intake: What messages are given to.
        tokens: Who may send.
        host: An address of this machine.
        port: One is chosen where it is 0.
        budget: Of messages in memory, as they were sent.
        message_s: Seconds that a message may take.

    Raises:
        ConfigurationError: If the port cannot be listened on.
    """
    deadlines = Deadlines(message_s)
    exports = {signal: _Export(intake, signal, budget, deadlines) for signal in SIGNALS}
    server = grpc.server(
        ThreadPoolExecutor(_THREADS, thread_name_prefix="otlp-grpc"),
        # Without serializers messages are bytes, in and out. As a stream, of which one message is read: only for
        # that does grpc let the handler wait for the message itself.
        handlers=[
            grpc.method_handlers_generic_handler(
                _SERVICES[signal], {"Export": grpc.stream_unary_rpc_method_handler(export)}
            )
            for signal, export in exports.items()
        ],
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
        deadlines.close()
        raise ConfigurationError(
            f"OTLP/gRPC cannot listen on {address}: the port is in use, or the address is not this machine's",
            where="serve",
            do="Stop what listens there, or give --grpc-port or --no-grpc",
        ) from error
    server.start()
    return Listening(server, bound, deadlines)


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


class _Gone(Exception):  # noqa: N818
    """The call has ended; nobody waits for an answer."""


class _Export:
    """The one method of a service."""

    def __init__(self, intake: OtlpIntake, signal: Signal, budget: Budget, deadlines: Deadlines) -> None:
        self._intake, self._signal, self._budget, self._deadlines = intake, signal, budget, deadlines
        self._unpacking = threading.BoundedSemaphore(LARGE_AT_ONCE)

    def __call__(self, messages: Iterator[bytes], context: grpc.ServicerContext) -> bytes:
        """Answer a call: OTLP's success or partial success."""
        limit = self._intake.limits.message
        try:
            with self._budget.ticket() as ticket:
                ticket.take(0)  # nothing is read while there is no room for it
                outline, size = self._stored(self._message(messages, context), ticket, context)
        except BodyTooLarge:
            self._count("too_large")
            context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, f"a request has at most {limit} bytes, unpacked too")
        except (BadData, BodyUnreadable) as error:
            self._count("bad_data")
            _abort(context, grpc.StatusCode.INVALID_ARGUMENT, INVALID_ARGUMENT, str(error), None)
        except (InboxFull, Crowded, TimeoutError) as error:
            self._count("unavailable")
            _abort(context, grpc.StatusCode.UNAVAILABLE, UNAVAILABLE, *retry_after(error))
        except _Gone:
            return b""
        except grpc.RpcError:  # grpc's own: the call has ended
            raise
        except Exception as error:  # noqa: BLE001 - the last line of defence of a server
            _LOG.error("Export of %s failed, which is a fault of this program: %r", self._signal, error)
            _LOG.debug("where it failed", exc_info=error)
            self._count("unavailable")
            _abort(context, grpc.StatusCode.UNAVAILABLE, UNAVAILABLE, "internal error", 5)
        self._intake.count_accepted("grpc", self._signal, outline, size)
        return success(self._signal, "protobuf", outline)

    def _message(self, messages: Iterator[bytes], context: grpc.ServicerContext) -> bytes:
        try:
            with self._deadlines.over(context):
                body = next(messages, None)
        except TimeoutError as error:
            self._count("too_slow")
            raise _Gone from error
        if body is None:
            raise BadData("the call has no message")
        return body

    def _stored(self, body: bytes, ticket: Ticket, context: grpc.ServicerContext) -> tuple[Outline, int]:
        """Have a message on disk; gives what it has and its size."""
        ticket.take(len(body))
        packing = _packing(body)
        with self._unpacking if packing else contextlib.nullcontext():
            data = unpacked(body, packing, self._intake.limits.message)
        taken = self._intake.take(self._signal, "protobuf", data)
        if taken.stored is None:
            return taken.outline, len(data)
        # A sender that hangs up sends again: what is not written yet need not be.
        if not context.add_callback(taken.stored.cancel):
            taken.stored.cancel()
        try:
            taken.stored.result(DISK_S)
        except TimeoutError:
            taken.stored.cancel()
            raise
        except CancelledError as error:
            self._count("cancelled")
            raise _Gone from error
        return taken.outline, len(data)

    def _count(self, outcome: str) -> None:
        self._intake.count_refused("grpc", self._signal, outcome)


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
