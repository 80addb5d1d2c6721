"""Log records of one chunk, gathered column by column -> rows of ``raw_otlp__log_records``, for both encodings.

**What is one record?** A log record has no id, and senders send again whatever was not acknowledged: the same message,
or its records gathered anew by a collector on the way. So a record is what it says, all of it, to the nanosecond.
Equal ones within a message are numbered, for there they were all meant; equal ones in different messages are one and
the same record, sent again. That makes any re-sending harmless, re-encoded and re-batched too. Its price: of equal
records that were meant (the same line of the same source in the same nanosecond, observed in the same nanosecond)
and sent in two messages, the greater number that one message has is kept, not their sum. Only sources with coarse
clocks and no time of observation can meet it. Hashing the message too would keep these, and would count every record
of a re-batched message twice: the greater evil, and silent.
"""

import hashlib
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import msgspec
import numpy as np
import polars as pl

from weaver_forge.contracts.batch import Rejected
from weaver_forge.contracts.dtypes import shaped
from weaver_forge.contracts.tables.logs import RAW_OTLP_LOG_RECORDS
from weaver_forge.decode.otlp_framing import Message, shown
from weaver_forge.decode.otlp_signals import (
    Numbering,
    Owner,
    Reader,
    first_reasons,
    read_origins,
    read_sets,
    reasons_by_code,
)

HIGHEST_SEVERITY = 24


@dataclass(slots=True)
class Records:
    """The records of a chunk, field by field; every sequence has one entry a record.

    Args:
        time: UInt64; null where it is no 64-bit integer, 0 where not said. So is ``observed``.
        severity_text: Null where it is not UTF-8. So is ``event_name``.
        trace_id: Lower-case text of any length. So is ``span_id``.
        attributes: Raw attributes.
        reasons: Record -> why it cannot be read.
    """

    time: pl.Series
    observed: pl.Series
    severity_number: list[int]
    severity_text: pl.Series
    body: list[str | None]
    is_structured: list[bool]
    event_name: pl.Series
    trace_id: pl.Series
    span_id: pl.Series
    attributes: list[tuple[bytes, ...]]
    reasons: dict[int, str]


def assemble(
    records: Records,
    owners: Sequence[Owner],
    sources: Sequence[tuple[Message, int]],
    reader: Reader,
    piece: Callable[[int], bytes],
    name: str,
) -> tuple[pl.DataFrame, list[Rejected]]:
    """Make the contract's rows of one chunk, and a Rejected for every record that cannot be one.

    Args:
        records: What was gathered.
        owners: Raw resource and scope of each record.
        sources: Message of each record, and the record's number in it.
        reader: How the encoding reads raw pieces.
        piece: Makes of a record a message of its own, for the quarantine.
        name: The file, for messages.
    """
    origin_numbers, set_numbers = Numbering(), Numbering()
    origin = pl.Series("origin", origin_numbers.codes(owners), dtype=pl.UInt32)
    sets = pl.Series("set", set_numbers.codes(records.attributes), dtype=pl.UInt32)
    origins, read = read_origins(list(origin_numbers), reader), read_sets(list(set_numbers), reader)
    frame = _frame(records)
    reasons = _reasons(records, frame)
    for codes, refused in ((origin, origins.reasons), (sets, read.reasons)):
        reasons = dict(reasons_by_code(codes, refused)) | reasons
    ids = _record_ids(frame, [origins.digests[code] for code in origin], [read.digests[code] for code in sets], sources)
    rows = shaped(
        RAW_OTLP_LOG_RECORDS,
        frame.with_columns(
            pl.Series("record_id", ids, dtype=pl.String),
            read.maps.gather(sets).alias("attributes"),
            *origins.frame[origin].get_columns(),
        ),
    )
    if not reasons:
        return rows, []
    rejected = []
    for row, reason in sorted(reasons.items()):
        message, number = sources[row]
        data = piece(row)
        rejected.append(
            Rejected(name, f"{message.position}, record {number}", reason, shown(data), data, message.offset)
        )
    return rows.filter(~pl.int_range(pl.len()).is_in(list(reasons))), rejected


def _frame(records: Records) -> pl.DataFrame:
    severity = np.array([n if 0 <= n <= HIGHEST_SEVERITY else 0 for n in records.severity_number], dtype=np.int32)
    observed = records.observed.cast(pl.Int64, strict=False)
    time = records.time.cast(pl.Int64, strict=False)
    return pl.DataFrame(
        {
            "time_unix_ns": time,
            "observed_unix_ns": observed,
            "severity_number": severity,
            "severity_text": records.severity_text,
            "body": pl.Series(records.body, dtype=pl.String),
            "is_structured": pl.Series(records.is_structured, dtype=pl.Boolean),
            "event_name": records.event_name,
            "trace_id": _id_or_null(records.trace_id, 32),
            "span_id": _id_or_null(records.span_id, 16),
        }
    ).with_columns(
        pl.when(pl.col("time_unix_ns") == 0).then("observed_unix_ns").otherwise("time_unix_ns").alias("time_unix_ns"),
        pl.when(pl.col("observed_unix_ns") != 0).then("observed_unix_ns").alias("observed_unix_ns"),
        pl.when(pl.col("event_name").str.len_bytes() > 0).then("event_name").alias("event_name"),
    )  # fmt: skip


def _id_or_null(ids: pl.Series, digits: int) -> pl.Series:
    """OTLP asks receivers to take a record with an invalid id for one that belongs to no trace."""
    return pl.select(pl.when(ids.str.contains(f"^[0-9a-f]{{{digits}}}$") & (ids != "0" * digits)).then(ids)).to_series()


def _reasons(records: Records, frame: pl.DataFrame) -> dict[int, str]:
    unsaid = (records.time == 0) & (records.observed == 0)
    far = records.time.cast(pl.Int64, strict=False).is_null() | records.observed.cast(pl.Int64, strict=False).is_null()
    found = first_reasons(
        [
            ("a time is not an integer of nanoseconds", records.time.is_null() | records.observed.is_null()),
            ("a time is beyond the year 2262", far),
            ("the record says neither when it happened nor when it was observed", unsaid.fill_null(value=False)),
            (
                "its severity or event name is not UTF-8",
                frame["severity_text"].is_null() | records.event_name.is_null(),
            ),
        ]
    )
    return records.reasons | found


def _record_ids(
    frame: pl.DataFrame, origins: Sequence[str], sets: Sequence[str], sources: Sequence[tuple[Message, int]]
) -> list[str]:
    """The identity of each record: what it says, and which of its equals within the message it is (see above)."""
    encoder = msgspec.json.Encoder()
    seen: Counter[bytes] = Counter()
    message: Message | None = None
    ids: list[str] = []
    for said, origin, attributes, source in zip(frame.iter_rows(), origins, sets, sources, strict=True):
        if source[0] is not message:
            message = source[0]
            seen.clear()
        text = encoder.encode((origin, attributes, said))
        key = hashlib.blake2b(text, digest_size=16)
        first = key.digest()
        repeated = seen[first]
        seen[first] = repeated + 1
        if repeated:
            key.update(b"\0%d" % repeated)
        ids.append(key.hexdigest())
    return ids
