"""The lot that puts a decision unit into the holdout: a number that nobody chooses and everybody can draw again.

Put nothing random here. The draw is a hash of what is decided and where, so that asking twice is the same draw: a
second run of a held-back job must not be a second ticket.
"""

from hashlib import sha256


def draw_of(decision: str, unit: str, hook: str) -> float:
    """A number from 0 to below 1, evenly spread over units.

    Args:
        decision: Its name.
        unit: What one decision covers, as the ledger names it.
        hook: The enforcement point.
    """
    text = f"holdout\0{decision}\0{unit}\0{hook}"
    return (int.from_bytes(sha256(text.encode()).digest()[:8], "big") >> 11) / 2**53
