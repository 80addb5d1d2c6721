"""Identifiers of ledger rows: time-ordered ids, and the key that makes a repeated prediction add nothing."""

import hashlib
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from weaver_forge.ledger.canonical import canonical_json, instant_text

_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 - instants are naive UTC inside
_MILLISECOND = timedelta(milliseconds=1)
_VARIANT = {f"{digit:x}": f"{8 + digit % 4:x}" for digit in range(16)}


def uuid7(now: datetime, entropy: bytes) -> str:
    """A UUIDv7 (RFC 9562, section 5.7): 48 bits of milliseconds, then 74 random bits.

    Written out rather than taken from :mod:`uuid`, which has no version 7 before Python 3.14.

    Args:
        now: Naive UTC, 1970 or later.
        entropy: At least 10 random bytes.

    Raises:
        ValueError: If there is too little entropy or ``now`` is before 1970.
    """
    if len(entropy) < 10:
        raise ValueError(f"{len(entropy)} bytes of entropy; a UUIDv7 takes 10")
    milliseconds = (now - _EPOCH) // _MILLISECOND
    if not 0 <= milliseconds < 2**48:
        raise ValueError(f"{now} does not fit a UUIDv7")
    random = int.from_bytes(entropy[:10], "big")
    bits = milliseconds << 80 | 0x7 << 76 | (random >> 62 & 0xFFF) << 64 | 0b10 << 62 | random & (2**62 - 1)
    text = f"{bits:032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def uuid7s(now: datetime, entropy: bytes) -> list[str]:
    """UUIDv7s of one instant, one for each ten bytes of entropy: a large ranking needs an id for every test.

    Raises:
        ValueError: If ``now`` is before 1970.
    """
    head = uuid7(now, bytes(10))[:15]
    digits = entropy.hex()
    parts = [digits[start : start + 20] for start in range(0, len(digits) - 19, 20)]
    return [f"{head}{part[:3]}-{_VARIANT[part[3]]}{part[4:7]}-{part[7:19]}" for part in parts]


def idempotency_key(
    decision: str, entity: str, subject: Mapping[str, Any], predicted_at: datetime, model_version: str
) -> str:
    """Hex SHA-256 of what a prediction is about and who made it: the same again is the same prediction."""
    document = [decision, entity, dict(subject), instant_text(predicted_at), model_version]
    return hashlib.sha256(canonical_json(document).encode("ascii")).hexdigest()
