"""A receiver in a process of its own, to be sent to, killed and started again; and what it has on disk.

Put here what tests and benchmarks need to run ``weaver-forge serve``; the load is in ``otlp_load``.
"""

import json
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from weaver_forge.settings import MARKER, environment_with

_STOP_S = 30


class Receiver:
    """``weaver-forge serve`` on free ports of this machine; as a context manager it is stopped at the end.

    Args:
        root: The deployment; made if there is none.
        arguments: More of the command line.
        settings: Text of a new deployment's weaver-forge.toml.

    Attributes:
        program: What the interpreter is to run; another than the command's own takes effect with ``restart``.
    """

    def __init__(self, root: Path, *arguments: str, settings: str = "") -> None:
        self.root = root
        self.program: Sequence[str] = ("-m", "weaver_forge")
        self._arguments = arguments
        self._ports = ("0", "0")
        if not (root / MARKER).is_file():
            root.mkdir(parents=True, exist_ok=True)
            (root / MARKER).write_text(settings, encoding="utf-8")
        self.process = self._started()

    @property
    def folder(self) -> Path:
        """Where received OTLP lies."""
        return self.root / "data" / "inbox" / "otlp" / "received"

    def restart(self) -> None:
        """Start it again on the same ports, after ``kill`` or ``stop``."""
        self.process = self._started()

    def kill(self) -> None:
        """End it as a crash would: at once, with nothing said."""
        self.process.send_signal(signal.SIGKILL)
        self._ended()

    def stop(self) -> int:
        """End it as an operator would; returns its exit code."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self._ended()

    def messages(self, name: str = "traces") -> list[bytes]:
        """Every message on disk, growing files included, in order of arrival.

        Raises:
            AssertionError: If a file ends inside a message.
        """
        return [message for path in sorted(self.folder.glob(f"*{name}-*.otlp*")) for message in framed(path)]

    def span_names(self) -> Counter[str]:
        """How often a span of each name is on disk; for spans that came as protobuf."""
        found: Counter[str] = Counter()
        for message in self.messages():
            request = ExportTraceServiceRequest.FromString(message)
            found.update(span.name for r in request.resource_spans for s in r.scope_spans for span in s.spans)
        return found

    def __enter__(self) -> Self:
        """The running receiver."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Leave no process behind."""
        if self.process.poll() is None:
            self.kill()

    def _ended(self) -> int:
        code = self.process.wait(_STOP_S)
        if self.process.stdout is not None:
            self.process.stdout.close()
        return code

    def _started(self) -> "subprocess.Popen[str]":
        http, grpc = self._ports
        ports: Sequence[str] = ("--http-port", http, "--grpc-port", grpc)
        process = subprocess.Popen(
            [sys.executable, *self.program, "serve", "--json", *ports, *self._arguments],
            cwd=self.root,
            env=environment_with(WEAVER_FORGE_HOME=str(self.root)),
            stdout=subprocess.PIPE,
            text=True,
        )
        assert process.stdout is not None
        where = json.loads("".join(_document(iter(process.stdout.readline, ""))))
        self.url, self.grpc = where["http"], where.get("grpc", "")
        self._ports = (self.url.rsplit(":", 1)[1], self.grpc.rsplit(":", 1)[-1] or "0")
        return process


def framed(path: Path) -> Iterator[bytes]:
    """The messages of a received file.

    Raises:
        AssertionError: If it ends inside one.
    """
    data = path.read_bytes()
    at = 0
    while at < len(data):
        size = int.from_bytes(data[at : at + 4], "big")
        assert at + 4 + size <= len(data), f"{path} ends inside a message"
        yield data[at + 4 : at + 4 + size]
        at += 4 + size


def _document(lines: Iterator[str]) -> Iterator[str]:
    """Lines up to the end of the JSON document."""
    for line in lines:
        yield line
        if line.rstrip() == "}":
            return
    raise AssertionError("the receiver did not start")
