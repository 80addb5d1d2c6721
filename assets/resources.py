"""What every asset is given: the deployment, its specs, its warehouse, and where to report progress."""

import json
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import polars as pl

from weaver_forge.contracts.decision import DecisionSpec
from weaver_forge.contracts.table import Table
from weaver_forge.errors import WeaverForgeError
from weaver_forge.ledger import Ledger
from weaver_forge.settings import Settings

if TYPE_CHECKING:  # what answers a question reads a snapshot: loading the warehouse would cost it a fifth of a second
    from weaver_forge.warehouse import Warehouse

POOL = "warehouse"
"""Concurrency pool of everything that writes the warehouse; DuckDB's file lock is the guard below it."""

Emit = Callable[[Mapping[str, Any]], None]


def emit_json_line(event: Mapping[str, Any]) -> None:
    """Report an event on standard output as one JSON line, the protocol between pipeline and CLI."""
    sys.stdout.write(json.dumps(event, default=str) + "\n")
    sys.stdout.flush()


def emit_nothing(_event: Mapping[str, Any]) -> None:
    """Report nowhere: runs that Dagster launched show their progress in its own log."""


@dataclass(slots=True)
class Deployment:
    """The deployment as assets see it.

    Args:
        problems: Inputs that could not be read at all during this process; the rest was stored.
        notes: Things a person should know about what was read.
    """

    settings: Settings
    specs: tuple[DecisionSpec, ...]
    warehouse: "Warehouse"
    emit: Emit = emit_nothing
    problems: list[WeaverForgeError] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    _held: dict[str, pl.DataFrame] = field(default_factory=dict)

    def read(self, table: Table) -> pl.DataFrame:
        """Read a table once: several decisions use the same millions of points in one run."""
        if table.name not in self._held:
            self._held[table.name] = self.warehouse.read(table)
        return self._held[table.name]

    def wrote(self, table: Table) -> None:
        """Forget what was read of a table before it was written."""
        self._held.pop(table.name, None)

    def forget(self) -> None:
        """Let go of everything read: what a job shared between its steps is not kept for the next one."""
        self._held.clear()

    def step(self, name: str, message: str = "") -> None:
        """Say that a step begins, and of what."""
        self.emit({"event": "progress", "step": name, **({"message": message} if message else {})})

    def ledger(self) -> Ledger:
        """Open the ledger; use as a context manager."""
        return Ledger.open(self.settings.ledger_url)


class SpecTables(Mapping[str, pl.DataFrame]):
    """The core tables a spec declares, read when first used. Any other name is a KeyError."""

    def __init__(self, deployment: Deployment, tables: tuple[Table, ...]) -> None:
        self._deployment = deployment
        self._tables = {table.name: table for table in tables}

    def __getitem__(self, name: str) -> pl.DataFrame:
        """Read the table, once a process and write."""
        return self._deployment.read(self._tables[name])

    def __iter__(self) -> Iterator[str]:
        """Iterate over the declared names."""
        return iter(self._tables)

    def __len__(self) -> int:
        """Count the declared tables."""
        return len(self._tables)
