"""Raw charges, from FOCUS cost exports.

A large export is decoded block by block into files beside the warehouse before any row is stored: one that turns out
to be cut off leaves what is stored as it was.
"""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import polars as pl

from assets.raw.intake import RawSource, Request
from assets.resources import Deployment
from weaver_forge.contracts.batch import Batch
from weaver_forge.contracts.tables.cost import RAW_FOCUS_CHARGES
from weaver_forge.decode.focus import decode_chunks, is_refused
from weaver_forge.sources.sheets import open_sheet


def _decode(request: Request, deployment: Deployment) -> Iterator[Batch]:
    with TemporaryDirectory(prefix=".focus-", dir=deployment.settings.data) as folder:
        kept: list[Batch] = []
        with open_sheet(request.path) as stream:
            for batch in decode_chunks(str(request.path), stream, received_at=request.received_at):
                kept.append(_put_away(batch, Path(folder) / f"{len(kept)}.parquet"))
        if is_refused(kept[-1]):
            yield kept[-1]
            return
        for number, batch in enumerate(kept):
            path = Path(folder) / f"{number}.parquet"
            yield replace(batch, tables={RAW_FOCUS_CHARGES.name: pl.read_parquet(path)})


def _put_away(batch: Batch, path: Path) -> Batch:
    for table in batch.tables.values():
        table.write_parquet(path)
    return replace(batch, tables={})


SOURCE = RawSource(name="focus", tables=(RAW_FOCUS_CHARGES,), decode=_decode)
