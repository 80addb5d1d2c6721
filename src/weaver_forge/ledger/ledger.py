"""The ledger itself: open it, append to it, verify it, look one row up.

Put a figure (a count, a score, a list for a page) in :mod:`weaver_forge.ledger.queries`; the methods here that
give figures only pass on to it. Opening and appending load neither SQLAlchemy nor polars.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from types import TracebackType
from typing import Any, Self

from weaver_forge.errors import ConfigurationError, ContractError, MissingInput
from weaver_forge.ledger import appending, chain, ddl, queries
from weaver_forge.ledger.canonical import instant_text, loaded
from weaver_forge.ledger.schema import CURRENT, Schema
from weaver_forge.ledger.stores import Store, open_store


class Ledger:
    """Append-only tables under one hash chain. One per thread; processes may share the database.

    Rows are plain dicts. What comes out has naive UTC datetimes, lists and dicts; what goes in may also have
    ISO text and JSON text.
    """

    def __init__(self, store: Store, schema: Schema) -> None:
        self._store, self._schema = store, schema

    @classmethod
    def open(cls, url: str, *, create: bool = True, schema: Schema = CURRENT) -> "Ledger":
        """Connect to the ledger and bring an old one forward.

        Args:
            url: ``sqlite:///PATH`` or ``postgresql://...``.
            create: Make it where there is none.
            schema: The version to write; another one than the current is for tests of migrations.

        Raises:
            MissingInput: If there is none and it may not be made.
            ConfigurationError: If the URL names another database, or a newer program made the ledger.
            StoreBusy: If another process holds it for too long.
            SourceError: If it cannot be reached or is no ledger.
        """
        store = open_store(url, create=create)
        try:
            _bring_forward(store, schema, create=create)
        except BaseException:
            store.close()
            raise
        return cls(store, schema)

    def __enter__(self) -> Self:
        """Use as a context manager to let go of the database."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close."""
        self.close()

    def close(self) -> None:
        """Let go of the database."""
        self._store.close()

    def append(self, kind: str, rows: Sequence[Mapping[str, Any]], *, now: datetime) -> int:
        """Add rows as one batch with one chain link, durably; return how many were new.

        A prediction whose idempotency_key is known adds nothing, nor does a row sent twice under one id; a
        batch with nothing new writes no link. Ids, idempotency keys and ``supersedes`` are made where absent.

        Raises:
            ContractError: If a row does not fit its table, or a known id says something else. Nothing is added.
            StoreBusy: If another process held the ledger for too long.
        """
        return appending.append(self._store, self._schema, kind, rows, now)

    def verify(self, *, known: chain.Head | None = None) -> chain.Verification:
        """Check every row and link; see :func:`weaver_forge.ledger.chain.verify`."""
        return chain.verify(self._store, self._schema, known=known)

    def head(self) -> chain.Head | None:
        """The newest link, to be kept elsewhere and handed to :meth:`verify` later; None when empty."""
        return chain.head_of(self._store)

    def select(self, sql: str, parameters: Mapping[str, Any] | None = None) -> list[tuple[Any, ...]]:
        """Rows of a query over the stored text form. For ``queries``; callers ask that module."""
        return self._store.query(sql, parameters)

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
        try:
            stored = self._schema.table(kind).stored
        except KeyError as error:
            raise ContractError(str(error.args[0]), where="ledger") from error
        wanted = [("r", c) for c in stored if not columns or c.name in columns]
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


def _bring_forward(store: Store, schema: Schema, *, create: bool) -> None:
    """Create or migrate under the head lock, once however many processes open it together."""
    if _version(store) == schema.version:
        return
    if _version(store) == 0 and not create:
        raise MissingInput("there is no ledger", where=store.where, do="Run `weaver-forge run` first")
    with store.write():
        version = _version(store)
        if version > schema.version:
            raise ConfigurationError(
                f"the ledger has schema version {version}, this program knows {schema.version}",
                where=store.where,
                do="Use the newer weaver-forge that wrote it",
            )
        if version == 0:
            for statement in ddl.create(schema, store.dialect):
                store.execute(statement)
        for step in range(max(version, 1) + 1, schema.version + 1):
            for statement in ddl.migrate(schema, step, store.dialect) if version else ():
                store.execute(statement)
        store.insert("schema_version", ["version"], [(n,) for n in range(version + 1, schema.version + 1)])


def _version(store: Store) -> int:
    """The newest schema version that the database has; 0 for none."""
    if not store.has_table("schema_version"):
        return 0
    newest = store.query("select max(version) from schema_version")[0][0]
    return int(newest or 0)
