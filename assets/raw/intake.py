"""Taking input in, the same way for every source: what is known, what is stored, what was refused.

A source says how one input is identified and decoded; this module skips inputs that were taken in before,
stores the good rows in bounded batches, and keeps every refused piece with its reason. What a source is and which
inputs it is asked for is in ``source``; which of them are known in ``books``; files that are read piece by piece are
in ``streaming``; what is counted in ``tally``.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import polars as pl

from assets.raw import problems
from assets.raw.books import Books, Request
from assets.raw.collecting import seldom
from assets.raw.growing import Chunk
from assets.raw.received import is_received, settle
from assets.raw.restating import Restating
from assets.raw.source import Inputs, RawSource, requests
from assets.raw.streaming import Streams, note
from assets.raw.tally import Tally
from assets.resources import POOL, Deployment
from assets.staging import Decoded
from assets.tables import Metadata, asset_spec, contract_checks, results
from weaver_forge.errors import SourceError, StoreBusy, StoreFull
from weaver_forge.warehouse.lake import Staged

__all__ = ["Inputs", "RawSource", "Request", "raw_assets", "requests", "take_in"]

FLUSH_ROWS = 200_000
"""Rows held before they are written: many small files cost one write, a large one bounded memory."""
COMMIT_ROWS = 300_000
"""Rows staged before they are committed: a crash makes so much be read again at most."""
STAGE_ROWS = 60_000
"""Rows of small files that are held before they are staged as one."""
HELD_BYTES = 128 * 1024 * 1024
"""Refused bytes that are held before they are written."""


def raw_assets(source: RawSource) -> dg.AssetsDefinition:
    """Make the assets of a source's raw tables: one op, one blocking check a table."""
    op = f"raw_{source.name}"

    @dg.multi_asset(
        name=op,
        specs=[asset_spec(table) for table in source.tables],
        check_specs=contract_checks(source.tables),
        pool=POOL,
    )
    def build(
        context: dg.AssetExecutionContext, config: Inputs, deployment: dg.ResourceParam[Deployment]
    ) -> Iterator[dg.MaterializeResult[Any]]:
        deployment.step(op)
        before = len(deployment.problems)
        said = take_in(source, config, deployment)
        for problem in deployment.problems[before:]:
            context.log.error("%s", problem)
        yield from results(deployment, source.tables, {table.name: said for table in source.tables})

    return build


def take_in(source: RawSource, config: Inputs, deployment: Deployment) -> Metadata:
    """Read what is new, store it, and say what came of it."""
    intake = _Intake(source, deployment)
    if not config.skip:
        with seldom():
            intake.take_all(requests(source, config, deployment))
    said = intake.tally.summary()
    deployment.emit({"event": "intake", "source": source.name, **said})
    return dict(said)


class _Intake:
    """The state of one source's intake: rows not yet written, and what was counted."""

    def __init__(self, source: RawSource, deployment: Deployment) -> None:
        self._source, self._deployment = source, deployment
        self._tables = {table.name: table for table in source.tables}
        self._books = Books(source.name, deployment.warehouse)
        self._rows: dict[str, list[pl.DataFrame]] = {}
        self._staged: dict[str, list[Staged]] = {}
        self._received: list[Path] = []
        self._first_read: Path | None = None
        self._restating = Restating(deployment.warehouse)
        self._differed = deployment.warehouse.spans.n_differing
        self.tally = Tally()

    def take_all(self, found: Iterable[Request]) -> None:
        """Take in every input that is new; one that cannot be read is a problem, not a stop.

        Raises:
            StoreBusy: If another process holds the warehouse for too long. What was committed stays.
            StoreFull: If there is no room. What was committed stays.
        """
        if self._source.streamed:
            self._take_streams(found)
        else:
            for request in found:
                self._take(request)
        self.flush()
        self.tally.differing = n = self._deployment.warehouse.spans.n_differing - self._differed
        if n:
            self._deployment.notes.append(self._differing_in_words(n))

    def _differing_in_words(self, n: int) -> str:
        """What is said of spans with ids that others have, with the file where only one was read."""
        said = "1 span has the ids of another span and another start: left out"
        if n > 1:
            said = f"{n:,} spans have the ids of other spans and other starts: left out"
        is_one = self._first_read is not None and (self.tally.read, self.tally.unread) == (1, 0)
        return f"{self._first_read}: {said}" if is_one else said

    def _take_streams(self, found: Iterable[Request]) -> None:
        settings = self._deployment.settings
        streams = Streams(self._books, settings, unreadable=self._unreadable, known=self._skip, empty=self._empty)
        for chunk, result in streams.results(found, settings.ingest_processes):
            self._keep_chunk(chunk, result)
            if self._n_staged() >= COMMIT_ROWS or self._books.n_bytes_held >= HELD_BYTES:
                self.flush()

    def _keep_chunk(self, chunk: Chunk, result: Decoded) -> None:
        for name, staged in result.staged.items():
            self._staged.setdefault(name, []).append(staged)
        for name, frame in result.small.items():
            self._rows.setdefault(name, []).append(frame)
            if sum(held.height for held in self._rows[name]) >= STAGE_ROWS:
                self._stage(name)
        self.tally.refuse(note(self._books, chunk, result, self._deployment.settings))
        self._deployment.notes += result.notes
        self.tally.decoded += result.n_rows
        if not chunk.last:
            return
        if chunk.file.lost is not None:
            self.tally.read += 1  # its rows are stored; what has its name now was not read
            problems.add(self._deployment.problems, chunk.file.lost, self._source.name)
        elif chunk.file.same:
            self._skip(chunk.file.request, same=True)
        else:
            self._read(chunk.file.request)

    def _take(self, request: Request) -> None:
        try:
            self._take_new(request)
        except (StoreBusy, StoreFull):
            raise
        except (SourceError, OSError) as error:
            self._unreadable(problems.as_problem(error, request.path))

    def _take_new(self, request: Request) -> None:
        if request.path.is_file() and self._books.unchanged(request) is not None:
            self._skip(request)
            return
        _, _, size, modified = request.stamp  # before it is read: a change from now on is seen the next time
        identity = self._source.identify(request.path)
        known = self._books.row_of(identity, request.context)
        if known is not None:
            self._skip(request, same=request.is_other_than(known["name"]))
        else:
            self._decode(request, identity, {"size_bytes": size, "modified_at": modified})

    def _decode(self, request: Request, identity: str, more: dict[str, object]) -> None:
        now = self._deployment.settings.now()
        n_rows, n_refused = 0, 0
        self._restating.begin()
        for batch in self._source.decode(request, self._deployment):
            for name, frame in batch.tables.items():
                self._keep(name, frame)
                n_rows += frame.height
            for item in batch.rejected:
                self._books.note_rejected(item, identity, request.context, now)
            self.tally.refuse(batch.rejected)
            n_refused += len(batch.rejected)
            self._deployment.notes += batch.notes
            if sum(frame.height for frames in self._rows.values() for frame in frames) > FLUSH_ROWS:
                self._write_rows()
            if self._books.n_bytes_held >= HELD_BYTES:
                self.flush()
        self._books.note_input(request, identity, now, more | {"n_rows": n_rows, "n_rejected": n_refused})
        self._read(request)
        self.tally.decoded += n_rows

    def flush(self) -> None:
        """Write what is held: rows, then the books, so that a crash in between only means reading again.

        What a receiver wrote is deleted, or moved aside, last of all.
        """
        with self._deployment.warehouse.connect():  # held to the end: DuckDB opens its file once, not nine times
            self._write_rows()
            self._books.write(self._deployment.settings.now())
        settings, warehouse = self._deployment.settings, self._deployment.warehouse
        self._deployment.problems += settle(self._received, self._source.name, settings, warehouse)
        self._received.clear()

    def _keep(self, name: str, frame: pl.DataFrame) -> None:
        """Hold rows until there are enough; a restated set (a billing period) replaces the old one at once."""
        table = self._tables[name]
        if table.replace_by in {(), table.key}:
            self._rows.setdefault(name, []).append(frame)
        else:
            self.tally.new[name] += self._restating.write(table, frame)

    def _write_rows(self) -> None:
        warehouse = self._deployment.warehouse
        for name in [name for name in self._rows if name in warehouse.lakes]:
            self._stage(name)
        for name, staged in self._staged.items():
            self.tally.new[name] += warehouse.lakes[name].commit(staged)
        if self._staged:
            warehouse.refresh_lake_views()
        rows = [(self._tables[name], pl.concat(frames)) for name, frames in self._rows.items()]
        if rows:
            self.tally.new.update(warehouse.write_together(rows))
        self._staged.clear()
        self._rows.clear()

    def _stage(self, name: str) -> None:
        frames = self._rows.pop(name)
        self._staged.setdefault(name, []).append(self._deployment.warehouse.lakes[name].stage(pl.concat(frames)))

    def _n_staged(self) -> int:
        staged = sum(part.n_rows for parts in self._staged.values() for part in parts)
        return staged + sum(frame.height for frames in self._rows.values() for frame in frames)

    def _skip(self, request: Request, *, same: bool = False) -> None:
        self.tally.known += not same
        self.tally.same += same
        self._done_with(request)

    def _empty(self, request: Request) -> None:
        self.tally.empty += 1
        self._done_with(request)

    def _unreadable(self, problem: SourceError) -> None:
        self.tally.unread += 1
        if self._source.folders:
            self._deployment.problems.append(problem)
        else:
            problems.add(self._deployment.problems, problem, self._source.name)

    def _read(self, request: Request) -> None:
        self.tally.read += 1
        self._first_read = self._first_read or request.path
        self._done_with(request)

    def _done_with(self, request: Request) -> None:
        if is_received(request.path, self._deployment.settings):
            self._received.append(request.path)
