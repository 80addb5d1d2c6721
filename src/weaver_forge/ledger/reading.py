"""Looking rows up in a ledger. Put a figure (a count, a score, a list for a page) in ``queries``; the methods here that
give figures only pass on to it.
"""

from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from weaver_forge.errors import ContractError
from weaver_forge.ledger import queries
from weaver_forge.ledger.canonical import instant_text, loaded
from weaver_forge.ledger.schema import LedgerTable, Schema
from weaver_forge.ledger.stores import Row, Store


class Reading:
    """What can be asked of a ledger."""

    def __init__(self, store: Store, schema: Schema) -> None:
        self._store, self._schema = store, schema

    def select(self, sql: str, parameters: Mapping[str, Any] | None = None) -> list[tuple[Any, ...]]:
        """Rows of a query over the stored text form. For ``queries``; callers ask that module."""
        return self._store.query(sql, parameters)

    @contextmanager
    def one_view(self) -> Generator[None]:
        """All that is read within sees the same state, while writers go on."""
        with self._store.read():
            yield

    def batches(
        self, sql: str, parameters: Mapping[str, Any] | None = None, *, size: int = 10_000
    ) -> Iterator[list[Row]]:
        """Rows of a query over the stored text form, many at a time, within ``one_view``; memory stays bounded."""
        yield from self._store.batches(sql, parameters, size=size)

    @property
    def file(self) -> str | None:
        """Path of the SQLite file, which another process can read beside this one; None of any other ledger."""
        return self._store.where if self._store.dialect == "sqlite" and self._store.where != ":memory:" else None

    def table(self, kind: str) -> LedgerTable:
        """The declaration of a kind.

        Raises:
            ContractError: If there is no such kind.
        """
        try:
            return self._schema.table(kind)
        except KeyError as error:
            raise ContractError(str(error.args[0]), where="ledger") from error

    def rows(
        self,
        kind: str,
        where: str = "",
        parameters: Mapping[str, Any] | None = None,
        *,
        columns: Sequence[str] = (),
        outcome: Sequence[str] = (),
    ) -> list[dict[str, Any]]:
        """Rows of a kind as values.

        Args:
            kind: The table; ``r`` in SQL.
            where: SQL after the table's name: joins, where, order by, limit.
            parameters: Values of the ``:named`` parameters.
            columns: Columns to give; all where empty.
            outcome: Columns to give besides of ``newest_outcomes``, which ``where`` joins as ``o``.

        Raises:
            ContractError: If there is no such kind.
        """
        wanted = [("r", c) for c in self.table(kind).stored if not columns or c.name in columns]
        wanted += [("o", c) for c in self._schema.table("outcomes").stored if c.name in outcome]
        listed = ", ".join(f'{alias}."{column.name}"' for alias, column in wanted)
        sql = f'select {listed} from "{kind}" r {where}'  # noqa: S608 - names from schema.py, where from queries.py
        return [loaded([column for _, column in wanted], row) for row in self._store.query(sql, parameters)]

    def prediction(self, prediction_id: str) -> dict[str, Any] | None:
        """A prediction by its full id."""
        return next(iter(self.rows("predictions", "where prediction_id = :id", {"id": prediction_id})), None)

    def decision(self, decision_id: str) -> dict[str, Any] | None:
        """A decision by its full id."""
        return next(iter(self.rows("decisions", "where decision_id = :id", {"id": decision_id})), None)

    def approval(self, *, decision: str, unit: str, hook: str, now: datetime) -> dict[str, Any] | None:
        """A person's yes that holds now, the one that expires last; None when there is none."""
        found = self.rows(
            "approvals",
            "where decision = :decision and unit = :unit and hook = :hook "
            "and approved_at <= :now and expires_at > :now order by expires_at desc limit 1",
            {"decision": decision, "unit": unit, "hook": hook, "now": instant_text(now)},
        )
        return found[0] if found else None

    def tail(self, kind: str, n: int) -> list[dict[str, Any]]:
        """The last n rows of a kind, oldest first."""
        return queries.tail(self, kind, n)

    def unresolved(self, decision: str, entity: str) -> list[dict[str, Any]]:
        """Predictions whose outcome is still open."""
        return queries.unresolved(self, decision, entity)

    def resolved(self, decision: str, entity: str, *, origin: str | None = None) -> list[dict[str, Any]]:
        """Predictions with their newest, mature outcome."""
        return queries.resolved(self, decision, entity, origin=origin)

    def counts(self, decision: str, entity: str) -> dict[str, dict[str, int]]:
        """Per origin: n, n_mature, n_pending, n_unresolvable."""
        return queries.counts(self, decision, entity)

    def latest_scores(self) -> list[dict[str, Any]]:
        """The newest score per decision, entity, origin and metric."""
        return queries.latest_scores(self)

    def latest_evaluations(self) -> list[dict[str, Any]]:
        """The newest evaluation per decision, entity and metric."""
        return queries.latest_evaluations(self)
