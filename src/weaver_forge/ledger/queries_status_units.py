"""What became of decision units, from the ledger: acted on or held out, how they turned out, what they took.

Put here how predictions, outcomes and policies are brought together a unit. Which decisions are meant is
``queries_status``', what follows from units is ``insights.status_effects``'.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from weaver_forge.contracts.values import Maturity
from weaver_forge.insights.status_effects import Known, Unit
from weaver_forge.ledger.queries_status import Row, chunks
from weaver_forge.policy import effective, in_force

if TYPE_CHECKING:
    from weaver_forge.ledger.reading import Reading

Clusters = Mapping[tuple[str, str], Sequence[str]]
"""(decision, entity) -> key columns that name independent evidence; an instant among them counts by its day."""

Prices = dict[tuple[str, str, str], tuple[Decimal | None, str]]
"""(policy, decision, action) -> price of a CI minute and its currency."""

_MINUTE_MS = 60_000.0
_DAY = len("2026-03-01")


def units(
    ledger: "Reading", decisions: Sequence[Row], cluster_of: Clusters, now: datetime
) -> Iterator[tuple[Row, Unit]]:
    """Each of these decisions as a unit that was acted on or held out, and how it turned out.

    Args:
        ledger: The record.
        decisions: As :func:`~weaver_forge.ledger.queries_status.allowed` gives them.
        cluster_of: What is independent evidence.
        now: Outcomes whose time is not up are pending, also where only bad ones can be known so early.
    """
    known = predictions_behind(ledger, decisions)
    prices = _minute_prices(ledger, decisions)
    for row in decisions:
        behind = [known.get(id_) for id_ in row["prediction_ids"] or ()]
        price, currency = prices.get((row["policy_sha256"], row["decision"], row["action"] or ""), (None, ""))
        yield (
            row,
            Unit(
                name=row["unit"],
                cluster=_cluster(row, cluster_of.get((row["decision"], row["entity"]), ())),
                is_held_out=bool(row["held_out"]),
                known=_known(behind, now),
                minutes=_minutes(behind),
                price=price,
                currency=currency,
            ),
        )


def predictions_behind(ledger: "Reading", decisions: Sequence[Row]) -> dict[str, dict[str, Any]]:
    """Prediction -> origin, is_baseline, resolve_by, subject, and outcome, maturity and cost of its newest outcome."""
    found: dict[str, dict[str, Any]] = {}
    for named in chunks({id_ for row in decisions for id_ in row["prediction_ids"] or ()}):
        where = (
            "left join newest_outcomes o on o.prediction_id = r.prediction_id "
            f"where r.prediction_id in ({', '.join(f':{name}' for name in named)})"
        )
        columns = ("prediction_id", "origin", "is_baseline", "resolve_by", "subject")
        rows = ledger.rows("predictions", where, named, columns=columns, outcome=("outcome", "maturity", "cost"))
        found |= {row["prediction_id"]: row for row in rows}
    return found


def _known(behind: Sequence[Row | None], now: datetime) -> Known:
    rows = [row for row in behind if row is not None]
    if any(_is_open(row, now) for row in rows):
        return Known.PENDING
    if any(row["maturity"] == Maturity.MATURE and row["outcome"] == 1 for row in rows):
        return Known.BAD
    is_seen = rows and len(rows) == len(behind) and all(row["maturity"] == Maturity.MATURE for row in rows)
    return Known.GOOD if is_seen else Known.LOST


def _is_open(row: Row, now: datetime) -> bool:
    too_early = row["resolve_by"] is not None and row["resolve_by"] > now
    return too_early or row["maturity"] in {None, Maturity.PENDING.value}


def _minutes(behind: Sequence[Row | None]) -> float | None:
    """What ran, in minutes; what nobody ran took none. None where it is not known of all."""
    rows = [row for row in behind if row is not None]
    ran = [row["cost"] for row in rows if row["maturity"] == Maturity.MATURE]
    is_known = rows and len(rows) == len(behind) and all(cost is not None for cost in ran)
    return sum(ran) / _MINUTE_MS if is_known else None


def _cluster(row: Row, names: Sequence[str]) -> str:
    subject = row["subject"] or {}
    if not names or any(name not in subject for name in names):
        return str(row["unit"])
    return "|".join(str(subject[name])[:_DAY] if _is_instant(name) else str(subject[name]) for name in names)


def _is_instant(name: str) -> bool:
    """Columns of instants are called so in every table."""
    return name == "at" or name.endswith("_at")


def _minute_prices(ledger: "Reading", decisions: Iterable[Row]) -> Prices:
    """Of every policy that is on record."""
    asked = {(row["policy_sha256"], row["decision"], row["action"] or "") for row in decisions}
    texts = {row["policy_sha256"]: row["text"] for row in ledger.rows("policies")}
    found: Prices = {}
    for sha256, decision, action in asked:
        if sha256 in texts:
            rule = effective(in_force(str(texts[sha256]), f"policy {sha256}"), decision, action)
            found[sha256, decision, action] = (rule.prices.amounts.get("ci_minute"), rule.prices.currency)
    return found
