"""What ``[receiver]`` of weaver-forge.toml means, merged with flags and environment.

::

    [receiver]
    host = "127.0.0.1"
    http_port = 4318
    grpc_port = 4317                    # 0 chooses a free one
    token_file = "secrets/receiver"     # relative to the deployment; one token a line, any of them is valid
    max_request_mib = 64                # before and after unpacking; not more: larger messages are not decoded
    max_queued_mib = 64                 # that may wait for the disk, a signal
    min_free_mib = 256                  # left on the disk for the pipeline that drains the inbox
    max_file_mib = 64                   # a file is handed to the pipeline once it is this large ...
    max_file_age_s = 10                 # ... or this old

The environment has WEAVER_FORGE_RECEIVER_HOST, _HTTP_PORT, _GRPC_PORT, _TOKEN_FILE and _TOKENS (separated by commas).
"""

import ipaddress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from weaver_forge.decode.otlp_framing import MAX_MESSAGE_BYTES
from weaver_forge.errors import ConfigurationError
from weaver_forge.receivers.auth import Tokens, read_tokens
from weaver_forge.receivers.otlp_intake import Limits
from weaver_forge.settings import MARKER, Settings, variable

if TYPE_CHECKING:
    from collections.abc import Mapping

_MIB = 2**20
_MAX_MIB = 1024
_MAX_MESSAGE = MAX_MESSAGE_BYTES // _MIB
_TOO_LARGE = f": a message of more than {_MAX_MESSAGE} MiB would be stored, but no decoder takes it"


@dataclass(frozen=True, slots=True, kw_only=True)
class Receiver:
    """Where it listens, who may send, how much.

    Args:
        grpc_port: None for no OTLP/gRPC.
    """

    host: str
    http_port: int
    grpc_port: int | None
    tokens: Tokens
    limits: Limits


def receiver(
    settings: Settings,
    *,
    host: str | None = None,
    http_port: int | None = None,
    grpc_port: int | None = None,
    has_grpc: bool = True,
    is_insecure: bool = False,
) -> Receiver:
    """Merge flags over environment over file over defaults.

    Raises:
        ConfigurationError: If a value cannot be meant, a token file cannot be read, or the receiver would take data
            from other machines without a token.
    """
    given = _Given(settings)
    made = Receiver(
        host=host or given.text("host", "127.0.0.1"),
        http_port=given.port("http_port", 4318, http_port),
        grpc_port=given.port("grpc_port", 4317, grpc_port) if has_grpc else None,
        tokens=_tokens(settings, given),
        limits=Limits(
            message=given.number("max_request_mib", _MAX_MESSAGE, low=1, high=_MAX_MESSAGE, why=_TOO_LARGE) * _MIB,
            queued=given.number("max_queued_mib", 64, low=1) * _MIB,
            free=given.number("min_free_mib", 256, low=0, high=_MAX_MIB**3) * _MIB,
            segment=given.number("max_file_mib", 64, low=1) * _MIB,
            segment_age_s=float(given.number("max_file_age_s", 10, low=1, high=3600)),
        ),
    )
    if not (made.tokens.is_needed or is_insecure or _is_loopback(made.host)):
        raise ConfigurationError(
            f"on {made.host} everybody in reach could send data: no token is configured",
            where=given.where,
            do='Set token_file = "..." in [receiver], or give --insecure where the network itself keeps others out',
        )
    return made


class _Given:
    """The section, with the environment over it."""

    def __init__(self, settings: Settings) -> None:
        self.where = f"{settings.root / MARKER}, [receiver]"
        self._section: Mapping[str, Any] = settings.receiver

    def value(self, key: str) -> Any:
        return variable(f"WEAVER_FORGE_RECEIVER_{key.upper()}") or self._section.get(key)

    def text(self, key: str, default: str) -> str:
        value = self.value(key)
        if value is None:
            return default
        if not isinstance(value, str) or not value:
            raise self._wrong(key, value, "a text")
        return value

    def number(self, key: str, default: int, *, low: int, high: int = _MAX_MIB, why: str = "") -> int:
        value = self._section.get(key, default)
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise self._wrong(key, value, f"a whole number from {low} to {high}{why}")
        return value

    def port(self, key: str, default: int, flag: int | None) -> int:
        value = flag if flag is not None else self.value(key)
        if isinstance(value, str) and value.isascii() and value.isdigit():
            value = int(value)
        value = default if value is None else value
        if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= 65535:
            raise self._wrong(key, value, "a port from 0 to 65535")
        return value

    def _wrong(self, key: str, value: Any, meant: str) -> ConfigurationError:
        return ConfigurationError(f"{key} = {value!r} is not {meant}", where=self.where, do="Mend or remove it")


def _tokens(settings: Settings, given: _Given) -> Tokens:
    """Those of the environment, or else of the file that is named, and of the section."""
    environment = variable("WEAVER_FORGE_RECEIVER_TOKENS")
    if environment:
        return Tokens(environment.split(","), where="WEAVER_FORGE_RECEIVER_TOKENS")
    file = given.text("token_file", "")
    listed = settings.receiver.get("tokens", [])
    if not isinstance(listed, list) or not all(isinstance(token, str) for token in listed):
        raise ConfigurationError("tokens is not a list of texts", where=given.where, do='Write tokens = ["..."]')
    return Tokens([*listed, *(read_tokens(settings.root / Path(file)) if file else [])], where=given.where)


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
