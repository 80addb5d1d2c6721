"""``serve``: the receiver in this process."""

import importlib.util
import logging
import sys
from typing import Annotated

from cyclopts import Parameter

from weaver_forge.cli import text
from weaver_forge.cli.place import deployment
from weaver_forge.errors import ConfigurationError
from weaver_forge.hooks.switch import Halts, Watch

_NEEDED = ("google.protobuf", "grpc", "httptools", "uvicorn", "zstandard")
Flag = Annotated[bool, Parameter(negative="")]


def serve(
    *,
    host: str | None = None,
    http_port: int | None = None,
    grpc_port: int | None = None,
    no_grpc: Flag = False,
    insecure: Flag = False,
    json: Flag = False,
) -> int:
    """Receive OTLP (HTTP 4318, gRPC 4317) and webhooks until stopped; what is acknowledged is on disk in the inbox.

    Args:
        host: The address to listen on, 127.0.0.1 unless [receiver] says otherwise.
        http_port: For OTLP/HTTP, webhooks, /healthz, /readyz and /metrics; 0 chooses a free one.
        grpc_port: For OTLP/gRPC; 0 chooses a free one.
        no_grpc: Leave OTLP/gRPC out.
        insecure: Listen for other machines though no token is configured.
        json: Say where it listens as JSON.
    """
    at = deployment()
    missing = [name for name in _NEEDED if not _is_there(name)]
    if missing:
        raise ConfigurationError(
            f"this interpreter cannot receive: it has no {', '.join(missing)}",
            where="serve",
            do='First pip install "weaver-forge[server]"',
        )
    from weaver_forge.receivers.configuration import receiver
    from weaver_forge.receivers.serving import serve as run

    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    asked = receiver(
        at, host=host, http_port=http_port, grpc_port=grpc_port, has_grpc=not no_grpc, is_insecure=insecure
    )

    def listening(where: dict[str, str]) -> None:
        if json:
            text.as_json(where)
        else:
            text.out(f"OTLP/HTTP  {where['http']}  (/v1/traces, /v1/metrics, /v1/logs)")
            text.out(f"OTLP/gRPC  {where.get('grpc', 'off')}")
            text.out(f"webhooks   {where.get('webhooks', 'off: [webhooks] of weaver-forge.toml names no secret')}")
            text.out(f"inbox      {at.inbox}")
            text.out(f"senders    {'must show a token' if asked.tokens.is_needed else 'need no token'}")
        sys.stdout.flush()  # a pipe would keep it until the end

    with Watch(at.published, _told):
        run(at, asked, listening)
    return 0


def _told(halts: Halts) -> None:
    """Say within a second what is halted, though receiving goes on: nothing that is received acts."""
    for scope, why in halts.items():
        text.note(f"HALTED {scope}: {why}")


def _is_there(name: str) -> bool:
    try:
        return importlib.util.find_spec(name) is not None
    except ModuleNotFoundError:  # its parent is missing
        return False
