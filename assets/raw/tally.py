"""What was counted while a source was taken in. How it is shown belongs in ``verbs.summary``.

An input is what is in it: of files with the same in them, or of which one is the beginning of another, one is read,
and the others are counted as the same as another, not as known before. So ``read`` + ``known`` is what ``doctor``
counts as inputs, and each refused piece counts once.
"""

import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from weaver_forge.contracts.batch import Rejected, kind_of_reason

TOP_REASONS = 3
"""Kinds of reasons for refusals that a summary names, a source; the table of refused pieces has all."""


@dataclass(slots=True)
class Tally:
    """Counts of one source's intake.

    Args:
        read: Inputs with something new.
        known: Inputs without, known before.
        same: Inputs that have nothing in them that another which is there has not.
        empty: Files without a byte, of a source whose files may still grow.
        unread: Inputs that could not be read.
        decoded: Rows decoded.
        new: Rows that were not there before, by table.
        differing: Spans left out because others of their ids and with other starts were there.
        refused: Pieces refused.
    """

    read: int = 0
    known: int = 0
    same: int = 0
    empty: int = 0
    unread: int = 0
    decoded: int = 0
    new: Counter[str] = field(default_factory=Counter)
    differing: int = 0
    refused: int = 0
    _kinds: Counter[str] = field(default_factory=Counter)
    _first_of: dict[str, Rejected] = field(default_factory=dict)

    def refuse(self, rejected: Iterable[Rejected]) -> None:
        """Count refused pieces by the kind of their reason."""
        for item in rejected:
            kind = kind_of_reason(item.reason)
            self.refused += 1
            self._kinds[kind] += 1
            self._first_of.setdefault(kind, item)

    def summary(self) -> dict[str, int | str]:
        """The counts for the asset's metadata and for the terminal."""
        firsts = [(self._first_of[kind], n) for kind, n in self._kinds.most_common(TOP_REASONS)]
        return {
            "inputs_read": self.read,
            "inputs_known": self.known,
            "inputs_same": self.same,
            "inputs_empty": self.empty,
            "inputs_unread": self.unread,
            "rows_decoded": self.decoded,
            "rows_new": sum(self.new.values()),
            "rows_differing": self.differing,
            "rejected": self.refused,
            "top_reasons": json.dumps(
                [{"reason": item.reason, "n": n, "first": f"{item.name}, {item.position}"} for item, n in firsts]
            ),
        }
