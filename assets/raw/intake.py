"""Taking input in, the same way for every source: what to read, what is known, what was refused.

A source says how one input is identified and decoded; this module skips inputs that were taken in before,
stores the good rows in bounded batches, and keeps every refused piece with its reason.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import dagster as dg
import polars as pl

from assets.resources import POOL, Deployment
from assets.tables import Metadata, asset_spec, contract_checks, results
from weaver_forge.contracts.batch import Batch, Rejected
from weaver_forge.contracts.dtypes import from_rows
from weaver_forge.contracts.table import Table
from weaver_forge.contracts.tables.ingest import RAW_INGEST_INPUTS, RAW_INGEST_REJECTED
from weaver_forge.errors import MissingInput, SourceError
from weaver_forge.sources.files import expand
from weaver_forge.sources.patterns import expand_named

FLUSH_ROWS = 200_000
"""Rows held before they are written: many small files cost one write, a large one bounded memory."""
TOP_REASONS = 3
"""Reasons for refusals that a summary names, a source; the table of refused pieces has all."""


class Inputs(dg.Config):
    """What one source is to take in. Without paths: what the deployment names, and the inbox."""

    paths: list[str] = []  # noqa: RUF012 - Dagster's Config is a pydantic model and copies it
    revision: str = ""
    run_id: str = ""
    repo_id: str = ""
    skip: bool = False


@dataclass(frozen=True, slots=True)
class Request:
    """One input and what the caller said about it."""

    path: Path
    said: dict[str, str]

    @property
    def context(self) -> str:
        """What was said, as canonical JSON: part of the input's identity."""
        return json.dumps(self.said, sort_keys=True)

    @property
    def stamp(self) -> tuple[str, str, int | None, datetime | None]:
        """Path, context, size and modification time: a file that has not changed is not read to find that out.

        A repository has no stamp that could be trusted; it is identified by its head.
        """
        is_file = self.path.is_file()
        size = self.path.stat().st_size if is_file else None
        return str(self.path), self.context, size, self.received_at if is_file else None

    @property
    def received_at(self) -> datetime:
        """Modification time, UTC: the best arrival time that a file has."""
        return datetime.fromtimestamp(self.path.stat().st_mtime, tz=UTC).replace(tzinfo=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class RawSource:
    """A source: its raw tables, and how one input is identified and decoded."""

    name: str
    tables: tuple[Table, ...]
    decode: Callable[[Request, Deployment], Iterator[Batch]]
    identify: Callable[[Path], str] = field(default=lambda path: hashlib.sha256(path.read_bytes()).hexdigest())
    folders: bool = False
    """An input is a folder (a repository), not a file."""


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
        said = take_in(source, config, deployment)
        for problem in deployment.problems:
            context.log.error("%s", problem)
        yield from results(deployment, source.tables, {table.name: said for table in source.tables})

    return build


def take_in(source: RawSource, config: Inputs, deployment: Deployment) -> Metadata:
    """Read what is new, store it, and say what came of it."""
    intake = _Intake(source, deployment)
    for request in () if config.skip else requests(source, config, deployment):
        intake.take(request)
    intake.flush()
    deployment.emit({"event": "intake", "source": source.name, **intake.summary()})
    return intake.summary()


def requests(source: RawSource, config: Inputs, deployment: Deployment) -> Iterator[Request]:
    """List the inputs: those asked for, else the deployment's standing ones and its inbox."""
    said = {
        name: value
        for name, value in (("revision", config.revision), ("run_id", config.run_id), ("repo_id", config.repo_id))
        if value
    }
    settings = deployment.settings
    if source.folders:
        for path in config.paths or settings.sources.get(source.name, ()):
            yield Request((settings.root / path).resolve(), said)
        return
    for pattern in config.paths:
        yield from _matching([pattern], deployment, said, missing_is_a_problem=True)
    if not config.paths:
        for pattern in settings.sources.get(source.name, ()):
            yield from _matching([pattern], deployment, said, missing_is_a_problem=False)
        inbox = settings.inbox / source.name
        if inbox.is_dir() and any(path.is_file() for path in inbox.rglob("*")):
            yield from (Request(path, said) for path in expand([str(inbox)], settings.root))


def _matching(
    patterns: Sequence[str], deployment: Deployment, said: dict[str, str], *, missing_is_a_problem: bool
) -> Iterator[Request]:
    try:
        found = expand_named(patterns, deployment.settings.root)
    except MissingInput as problem:
        if missing_is_a_problem:
            deployment.problems.append(problem)
        else:
            deployment.notes.append(str(problem))
        return
    yield from (Request(path, {**named, **said}) for path, named in found)


class _Intake:
    """The state of one source's intake: rows not yet written, and what was counted."""

    def __init__(self, source: RawSource, deployment: Deployment) -> None:
        self._source, self._deployment = source, deployment
        self._tables = {table.name: table for table in source.tables}
        known = deployment.warehouse.read(RAW_INGEST_INPUTS, where=f"source = '{source.name}'")
        self._known = set(zip(known["input_sha256"], known["context"], strict=True))
        self._seen = set(known.select("name", "context", "size_bytes", "modified_at").iter_rows())
        self._rows: dict[str, list[pl.DataFrame]] = {}
        self._inputs: list[dict[str, object]] = []
        self._rejected: list[dict[str, object]] = []
        self.read, self.skipped, self.decoded, self.refused = 0, 0, 0, 0
        self.new: Counter[str] = Counter()
        self.reasons: Counter[str] = Counter()
        self.first_of: dict[str, str] = {}

    def take(self, request: Request) -> None:
        """Decode one input unless it was taken in before. A source that cannot be read is a problem, not a stop."""
        try:
            self._take(request)
        except (SourceError, OSError) as error:
            problem = error if isinstance(error, SourceError) else SourceError(str(error), where=str(request.path))
            self._deployment.problems.append(problem)

    def _take(self, request: Request) -> None:
        if request.path.is_file() and request.stamp in self._seen:
            self.skipped += 1
            return
        identity = self._source.identify(request.path)
        if (identity, request.context) in self._known:
            self.skipped += 1
        else:
            self._decode(request, identity)

    def _decode(self, request: Request, identity: str) -> None:
        now = self._deployment.settings.now()
        n_rows, refused = 0, 0
        for batch in self._source.decode(request, self._deployment):
            for name, frame in batch.tables.items():
                self._keep(name, frame)
                n_rows += frame.height
            self._rejected += [_row(self._source.name, identity, item, now) for item in batch.rejected]
            self.reasons.update(item.reason for item in batch.rejected)
            for item in batch.rejected:
                self.first_of.setdefault(item.reason, f"{item.name}, {item.position}")
            refused += len(batch.rejected)
            self._deployment.notes += batch.notes
            if sum(frame.height for frames in self._rows.values() for frame in frames) > FLUSH_ROWS:
                self._write_rows()
        self._inputs.append({
            "source": self._source.name, "input_sha256": identity, "context": request.context,
            "name": str(request.path), "size_bytes": request.stamp[2], "modified_at": request.stamp[3],
            "n_rows": n_rows, "n_rejected": refused, "ingested_at": now,
        })  # fmt: skip
        self._known.add((identity, request.context))
        self.read, self.decoded, self.refused = self.read + 1, self.decoded + n_rows, self.refused + refused

    def flush(self) -> None:
        """Write what is held: rows first, then the inputs, so that a crash in between only means reading again."""
        self._write_rows()
        warehouse = self._deployment.warehouse
        if self._rejected:
            warehouse.append(RAW_INGEST_REJECTED, from_rows(RAW_INGEST_REJECTED, self._rejected))
        if self._inputs:
            warehouse.append(RAW_INGEST_INPUTS, from_rows(RAW_INGEST_INPUTS, self._inputs))

    def _keep(self, name: str, frame: pl.DataFrame) -> None:
        """Hold rows until enough are there; a restated set (a billing period) replaces the old one at once."""
        table = self._tables[name]
        if table.replace_by in {(), table.key}:
            self._rows.setdefault(name, []).append(frame)
        else:
            self.new[name] += self._deployment.warehouse.replace(table, frame)

    def _write_rows(self) -> None:
        warehouse = self._deployment.warehouse
        for name, frames in self._rows.items():
            table, rows = self._tables[name], pl.concat(frames)
            self.new[name] += warehouse.replace(table, rows) if table.replace_by else warehouse.append(table, rows)
        self._rows.clear()

    def summary(self) -> dict[str, int | str]:
        """Counts for the asset's metadata and for the terminal."""
        return {
            "inputs_read": self.read,
            "inputs_known": self.skipped,
            "rows_decoded": self.decoded,
            "rows_new": sum(self.new.values()),
            "rejected": self.refused,
            "top_reasons": json.dumps(
                [
                    {"reason": reason, "n": n, "first": self.first_of[reason]}
                    for reason, n in self.reasons.most_common(TOP_REASONS)
                ]
            ),
        }


def _row(source: str, identity: str, item: Rejected, now: datetime) -> dict[str, object]:
    return {
        "source": source, "input_sha256": identity, "name": item.name, "position": item.position,
        "reason": item.reason, "raw": item.raw, "rejected_at": now,
    }  # fmt: skip
