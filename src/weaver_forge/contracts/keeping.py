"""What a decision keeps of the past, so that a question about now need not read all of it.

Put here only the shape of it. What is kept, and how it is used, is the decision's own; when it is made anew and
published, the assets'.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from weaver_forge.contracts.table import Table

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

    import polars as pl


@dataclass(frozen=True, slots=True, kw_only=True)
class Keeping:
    """Kept tables of a subject kind, and how a question is asked of them.

    Where the kept tables are among the tables that ``features`` is given, it may use them in place of the history, and
    must say the same as without them. They are made of the core tables as they are when a snapshot is published, and
    published with it; a history that was written to since does not come with them.

    Args:
        tables: Of layer ``feat``.
        keep: ``(core tables, as_of) -> name -> rows``: what all rows known at ``as_of`` left.
        ask: ``(tables, unit, as_of) -> key + predicted_at``: the subjects of one decision unit (column -> value) when
            it is asked about now; predicted as of the newest that is known, so that asking twice says it twice. The
            unit may have what is known with the question besides its columns.
    """

    tables: tuple[Table, ...]
    keep: "Callable[[Mapping[str, pl.DataFrame], datetime], Mapping[str, pl.DataFrame]]"
    ask: "Callable[[Mapping[str, pl.DataFrame], Mapping[str, str], datetime], pl.DataFrame]"
