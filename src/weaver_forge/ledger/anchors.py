"""Heads and daily roots kept outside the ledger, as JSON lines, to hold it against later.

A line is an object: ``{"batch_seq": ..., "hash": ...}`` is a head, one with ``merkle_root`` a daily root (the lines
of ``ledger export roots`` are such). Further keys say nothing here. Put no checking here: that is in ``verifying``.
"""

import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from weaver_forge.errors import MissingInput, SourceError
from weaver_forge.ledger.chain import Head
from weaver_forge.ledger.roots import Root
from weaver_forge.ledger.verifying import Known


def lines(head: Head | None, roots: Iterable[Root]) -> Iterator[str]:
    """What to keep elsewhere, a line each; nothing for an empty ledger."""
    for root in roots:
        yield json.dumps(asdict(root))
    if head is not None:
        yield json.dumps(asdict(head))


def read(path: Path) -> list[Known]:
    """What was kept.

    Raises:
        MissingInput: If there is no such file, or nothing in it.
        SourceError: If a line is neither a head nor a root.
    """
    if not path.is_file():
        raise MissingInput("no such file", where=str(path), do="Make one with `weaver-forge ledger verify --keep FILE`")
    known = [
        _known(line, f"{path}, line {n}")
        for n, line in enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(), 1)
        if line.strip()
    ]
    if not known:
        raise MissingInput(
            "holds no heads or roots", where=str(path), do="Make it with `weaver-forge ledger verify --keep FILE`"
        )
    return known


def _known(line: str, where: str) -> Known:
    try:
        row: Any = json.loads(line)
        if "merkle_root" in row:
            first, last, n_rows, own = (int(row[n]) for n in ("first_batch", "last_batch", "n_rows", "batch_seq"))
            return Root(str(row["day"]), first, last, n_rows, str(row["merkle_root"]), own)
        return Head(int(row["batch_seq"]), str(row["hash"]))
    except (ValueError, TypeError, KeyError) as error:
        raise SourceError(f"neither a head nor a daily root: {error!r}", where=where) from error
