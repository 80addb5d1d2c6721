"""The running receiver: what starts and stops in which order.

Put here sockets, signals and the lifetime of what ``otlp_http``, ``otlp_grpc`` and ``webhooks`` need. Stopping is:
take no more connections, answer what was begun, store what is queued, hand the files over.
"""

import contextlib
import logging
import signal
import socket
from collections.abc import Callable, Generator
from typing import Any

import uvicorn

from weaver_forge.errors import ConfigurationError, SourceError
from weaver_forge.receivers import health, otlp_grpc, otlp_http
from weaver_forge.receivers.app import Application, application
from weaver_forge.receivers.budget import Budget
from weaver_forge.receivers.configuration import Receiver
from weaver_forge.receivers.http_protocol import GuardedProtocol, Seldom
from weaver_forge.receivers.otlp_intake import OtlpIntake
from weaver_forge.receivers.webhooks import open_webhooks
from weaver_forge.settings import Settings

RECEIVED = "received"
"""The folder of a source's inbox that receivers write to, and intake removes from."""

_MAX_BYTES_IN_FLIGHT = 4
"""Times the largest request."""

_CONNECTIONS = 800
"""HTTP connections at once, each with its buffers; with more, requests are answered with 503."""

_KEEP_ALIVE_S = 75
"""Longer than the minute in which SDKs send metrics, so that their connections stay."""

_STOP_S = 10
"""Seconds for what was begun, of HTTP and then of gRPC: together less than the half minute that Kubernetes gives."""

_HTTP, _GRPC = ("OTLP/HTTP", "--host or --http-port"), ("OTLP/gRPC", "--host or --grpc-port, or --no-grpc")
"""What cannot listen -> what to give instead."""


def serve(settings: Settings, receiver: Receiver, listening: Callable[[dict[str, str]], None]) -> None:
    """Receive until SIGTERM or SIGINT.

    Args:
        settings: The deployment.
        receiver: Where, from whom, how much.
        listening: Called once everything listens, with what listens where.

    Raises:
        ConfigurationError: If a port is in use.
        SourceError: If the inbox cannot be written.
    """
    with contextlib.ExitStack() as stack:
        stack.callback(signal.signal, signal.SIGTERM, signal.getsignal(signal.SIGTERM))
        http = stack.enter_context(_bound(receiver.host, receiver.http_port, _HTTP))
        if receiver.grpc_port:
            with _bound(receiver.host, receiver.grpc_port, _GRPC):
                pass  # grpc would say it too, but with a line of its own before ours
        with _inbox(settings):
            intake = OtlpIntake(settings.inbox / "otlp" / RECEIVED, receiver.limits, settings.now)
            stack.callback(intake.close)
            webhooks = open_webhooks(settings, min_free_bytes=receiver.limits.free)
            stack.callback(webhooks.close)
        budget = Budget(_MAX_BYTES_IN_FLIGHT * receiver.limits.message)
        where = {"http": _url(http)}
        if receiver.grpc_port is not None:
            grpc = otlp_grpc.start(intake, receiver.tokens, receiver.host, receiver.grpc_port, budget=budget)
            stack.callback(grpc.stop, _STOP_S)
            where["grpc"] = f"{_named(receiver.host)}:{grpc.port}"
        if webhooks.senders:
            where["webhooks"] = ", ".join(f"{_url(http)}/webhooks/{sender}" for sender in webhooks.senders)
        routes = [*otlp_http.routes(intake), *webhooks.routes, *health.routes((intake, webhooks))]
        _run_http(http, application(routes, tokens=receiver.tokens, budget=budget), lambda: listening(where))


def _run_http(http: socket.socket, app: Application, listening: Callable[[], None]) -> None:
    config = uvicorn.Config(
        app,
        http=GuardedProtocol,
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        limit_concurrency=_CONNECTIONS,
        timeout_keep_alive=_KEEP_ALIVE_S,
        timeout_graceful_shutdown=_STOP_S,
    )
    logging.getLogger("uvicorn.error").addFilter(Seldom())
    _Server(config, listening).run(sockets=[http])


class _Server(uvicorn.Server):
    """Says when it listens, and ends without passing the signal on: stopping it is no failure."""

    def __init__(self, config: uvicorn.Config, listening: Callable[[], None]) -> None:
        super().__init__(config)
        self._listening = listening

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._listening()

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        # What uvicorn puts back when it has stopped: a second SIGTERM must not keep us from storing what was taken.
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        with super().capture_signals():
            try:
                yield
            finally:
                self._captured_signals.clear()


@contextlib.contextmanager
def _inbox(settings: Settings) -> Generator[None]:
    """What goes wrong with the inbox, in words.

    Raises:
        SourceError: If it cannot be written.
    """
    try:
        yield
    except OSError as error:
        raise SourceError(
            f"the inbox cannot be written: {error.strerror}",
            where=str(error.filename or settings.inbox),
            do="Check the disk and its permissions",
        ) from error


@contextlib.contextmanager
def _bound(host: str, port: int, said: tuple[str, str]) -> Generator[socket.socket, None, None]:
    """A listening socket; one of a receiver that was just killed does not block it.

    Raises:
        ConfigurationError: If the port is in use, or the address is none of this machine's; ``said`` is the protocol
            and the flags that change it.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        bound = socket.socket(family, kind, protocol)
    except OSError as error:
        raise _unbindable(host, port, said, error) from error
    with bound:
        try:
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            bound.bind(address)
            bound.listen(1024)
        except OSError as error:
            raise _unbindable(host, port, said, error) from error
        yield bound


def _unbindable(host: str, port: int, said: tuple[str, str], error: OSError) -> ConfigurationError:
    protocol, way_out = said
    return ConfigurationError(
        f"{protocol} cannot listen on {_named(host)}:{port}: {error.strerror}",
        where="serve",
        do=f"Stop what listens there, or give another {way_out}",
    )


def _url(bound: socket.socket) -> str:
    name: Any = bound.getsockname()
    return f"http://{_named(name[0])}:{name[1]}"


def _named(host: str) -> str:
    return f"[{host}]" if ":" in host else host
