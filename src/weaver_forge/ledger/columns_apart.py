"""Parts of a SQLite ledger read as columns by processes side by side: making Python values of rows is what costs.

Run as ``python -m weaver_forge.ledger.columns_apart``, it reads the part that standard input describes as JSON into an
Arrow file. What columns are is in ``columns``.
"""

import json
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from weaver_forge.errors import SourceError

if TYPE_CHECKING:
    import polars as pl

    from weaver_forge.ledger.reading import Reading


@dataclass(frozen=True, slots=True)
class Part:
    """What ``columns.frame`` takes."""

    kind: str
    where: str
    parameters: Mapping[str, Any]
    columns: tuple[str, ...]


def side_by_side(ledger: "Reading", parts: Sequence[Part], *, apart: bool) -> "list[pl.DataFrame]":
    """Read all parts, the last one here and, if ``apart``, the others in a process each meanwhile.

    They see states of the ledger that may be some rows apart; nothing is ever changed or removed.

    Raises:
        SourceError: If a part could not be read.
    """
    if not apart or ledger.file is None:
        return [_read(ledger, part) for part in parts]
    with tempfile.TemporaryDirectory(prefix="weaver-forge-columns-") as folder:
        files = [Path(folder) / f"{number}.arrow" for number in range(len(parts) - 1)]
        readers = [_start(ledger.file, part, file) for part, file in zip(parts, files, strict=False)]
        try:
            last = _read(ledger, parts[-1])
            return [*map(_finished, readers, files), last]
        finally:
            for reader in readers:
                reader.kill()
                reader.wait()


def _read(ledger: "Reading", part: Part) -> "pl.DataFrame":
    from weaver_forge.ledger import columns

    return columns.frame(ledger, part.kind, part.where, part.parameters, columns=part.columns)


def _start(path: str, part: Part, file: Path) -> "subprocess.Popen[str]":
    reader = subprocess.Popen(
        [sys.executable, "-m", "weaver_forge.ledger.columns_apart"],
        stdin=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert reader.stdin is not None
    reader.stdin.write(json.dumps({"path": str(Path(path).resolve()), "file": str(file), **asdict(part)}))
    reader.stdin.close()
    reader.stdin = None  # it has all it gets
    return reader


def _finished(reader: "subprocess.Popen[str]", file: Path) -> "pl.DataFrame":
    import polars as pl

    _, said = reader.communicate()
    if reader.returncode:
        reason = said.strip().rpartition("\n")[2] or f"it ended with {reader.returncode}"
        raise SourceError(f"a part of the ledger could not be read: {reason}", where="ledger")
    return pl.read_ipc(file.read_bytes())


def _main() -> None:
    from weaver_forge.ledger.ledger import Ledger

    asked = json.load(sys.stdin)
    path, file = asked.pop("path"), asked.pop("file")
    with Ledger.open(f"sqlite:///{path}", create=False) as ledger:
        _read(ledger, Part(**asked)).write_ipc(file)


if __name__ == "__main__":
    _main()
