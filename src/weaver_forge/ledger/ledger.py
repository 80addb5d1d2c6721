"""The ledger itself: open it, append to it, verify it. Looking rows up is in ``reading``, figures are in ``queries``.

Opening and appending load neither SQLAlchemy nor polars.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from types import TracebackType
from typing import Any, Self

from weaver_forge.errors import ConfigurationError, MissingInput
from weaver_forge.ledger import appending, chain, ddl, roots, verifying
from weaver_forge.ledger.reading import Reading
from weaver_forge.ledger.schema import CURRENT, Schema
from weaver_forge.ledger.stores import Store, open_store


class Ledger(Reading):
    """Append-only tables under one hash chain. One per thread; processes may share the database.

    Rows are plain dicts. What comes out has naive UTC datetimes, lists and dicts; what goes in may also have
    ISO text and JSON text.
    """

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

    def append_all(self, requests: Sequence[appending.Request]) -> list[int]:
        """Add several prepared requests in one transaction; see :func:`weaver_forge.ledger.appending.append_all`."""
        return appending.append_all(self._store, requests, self._schema)

    def verify(self, *, known: "verifying.Known | Iterable[verifying.Known] | None" = None) -> verifying.Verification:
        """Check every row, link and root; see :func:`weaver_forge.ledger.verifying.verify`.

        Args:
            known: Heads and daily roots kept elsewhere.
        """
        noted = () if known is None else (known,) if isinstance(known, chain.Head | roots.Root) else known
        return verifying.verify(self._store, self._schema, known=noted)

    def head(self) -> chain.Head | None:
        """The newest link, to be kept elsewhere and handed to :meth:`verify` later; None when empty."""
        return chain.head_of(self._store)

    def seal(self, *, now: datetime) -> bool:
        """Make the daily root that is due, if one is; appends do so by themselves when a later day begins."""
        return appending.seal(self._store, self._schema, now)


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
