"""What the ledger holds of the quarantine of flaky tests, in the order of the chain. What it means is ``hooks``'."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from weaver_forge.ledger.reading import Reading


def quarantines(ledger: "Reading") -> list[dict[str, Any]]:
    """Every time a test was put in or let out, oldest first; the newest row of a repository's test holds."""
    return ledger.rows("quarantines", "order by batch_seq, position")
