"""The ledger's tables as data, by schema version, and nothing that touches a database.

Put a new column here with ``since`` set to the next version and ``nullable=True``; it may never be renamed,
retyped or removed, because the hash of every row written since covers it under its name. DDL is made from
these values in :mod:`weaver_forge.ledger.ddl`.

The prediction columns repeat those of ``contracts.decision`` on purpose: a contract that gains a column must
not silently change what version 1 of the ledger hashed. A test keeps the two in step.
"""

from dataclasses import dataclass

from weaver_forge.contracts.table import Column

TYPES = ("VARCHAR", "DOUBLE", "BIGINT", "BOOLEAN", "TIMESTAMP", "JSON")


@dataclass(frozen=True, slots=True)
class LedgerColumn(Column):
    """A column and the schema version that brought it. Types are :data:`TYPES`."""

    since: int = 1

    def __post_init__(self) -> None:
        """Refuse a type the canonical form does not know, and a later column that old rows cannot have."""
        if self.type not in TYPES:
            raise ValueError(f"{self.name}: type {self.type!r} is not one of {TYPES}")
        if self.since > 1 and not self.nullable:
            raise ValueError(f"{self.name}: a column added later must be nullable")


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerTable:
    """One kind of row.

    Args:
        kind: The table's name, and the word ``append`` takes.
        grain: What one row is.
        key: The column that identifies a row; made by ``append`` where a row comes without.
        columns: The kind's own columns, after :data:`STAMPS`.
        idempotent_by: A unique column; a row whose value is known adds nothing, whatever else it says. Where it
            is empty, a row whose key is known adds nothing if it says the same, and is refused if not.
        indexes: Column lists that queries look rows up by.
    """

    kind: str
    grain: str
    key: str
    columns: tuple[LedgerColumn, ...]
    idempotent_by: str = ""
    indexes: tuple[tuple[str, ...], ...] = ()

    @property
    def stored(self) -> tuple[LedgerColumn, ...]:
        """All columns of the table in the database, in order."""
        return (*STAMPS, *self.columns)

    def hashed(self, version: int) -> tuple[LedgerColumn, ...]:
        """The columns that a row of this schema version is hashed over, in order."""
        return tuple(c for c in self.stored if c.since <= version and c.name != ROW_SHA256)


@dataclass(frozen=True, slots=True)
class Schema:
    """A version of the whole ledger: what ``append`` writes and ``verify`` knows."""

    version: int
    tables: tuple[LedgerTable, ...]

    def table(self, kind: str) -> LedgerTable:
        """The table of a kind.

        Raises:
            KeyError: If there is no such kind.
        """
        for table in self.tables:
            if table.kind == kind:
                return table
        raise KeyError(f"no ledger table {kind!r}; there are {[t.kind for t in self.tables]}")


def _text(name: str, doc: str, *, nullable: bool = False) -> LedgerColumn:
    return LedgerColumn(name, "VARCHAR", doc, nullable)


def _real(name: str, doc: str) -> LedgerColumn:
    return LedgerColumn(name, "DOUBLE", doc, nullable=True)


def _count(name: str, doc: str, *, nullable: bool = False) -> LedgerColumn:
    return LedgerColumn(name, "BIGINT", doc, nullable)


def _flag(name: str, doc: str) -> LedgerColumn:
    return LedgerColumn(name, "BOOLEAN", doc)


def _instant(name: str, doc: str, *, nullable: bool = False) -> LedgerColumn:
    return LedgerColumn(name, "TIMESTAMP", doc, nullable)


def _json(name: str, doc: str, *, nullable: bool = False) -> LedgerColumn:
    return LedgerColumn(name, "JSON", doc, nullable)


ROW_SHA256 = "row_sha256"

STAMPS: tuple[LedgerColumn, ...] = (
    _count("batch_seq", "The chain link that covers the row."),
    _count("position", "0-based place in the batch."),
    _instant("recorded_at", "When the ledger took it in, UTC."),
    _count("schema_version", "Version of the ledger's schema whose columns the hash covers."),
    _text(ROW_SHA256, "Hex SHA-256 of the canonical row; lets verify name the row."),
)

_DECISION = _text("decision", "The decision's name.")
_ENTITY = _text("entity", "The subject kind.")
_UNIT = _text("unit", "Values of decided_per joined by '|': what one decision covers.")
_ORIGIN = _text("origin", "live, replay or simulated.")
_GAIN = (
    _real("baseline_value", "The baseline's value of the metric on the same rows."),
    _real("gain", "Difference to the baseline, oriented so that positive = the model is better."),
    _real("gain_low", "5 % quantile of the paired bootstrap."),
    _real("gain_high", "95 % quantile of the paired bootstrap."),
)

PREDICTIONS = LedgerTable(
    kind="predictions",
    grain="prediction, written before its outcome can be known",
    key="prediction_id",
    idempotent_by="idempotency_key",
    indexes=(("decision", "entity", "origin"),),
    columns=(
        _text("prediction_id", "UUIDv7."),
        _text("idempotency_key", "Hash of decision, entity, subject, predicted_at and model version."),
        _DECISION,
        _ENTITY,
        _json("subject", "Key column -> value."),
        _UNIT,
        _instant("predicted_at", "The time the prediction is for: nothing known later was used, UTC."),
        _instant("made_at", "When it was computed, UTC."),
        _ORIGIN,
        _real("probability", "Calibrated probability that it goes wrong; null for quantities."),
        _real("value", "Point prediction of a quantity; null for events."),
        _real("q_025", "2.5 % quantile."),
        _real("q_100", "10 % quantile."),
        _real("q_900", "90 % quantile."),
        _real("q_975", "97.5 % quantile."),
        _real("score", "Order within a decision, higher first."),
        _text("baseline_name", "The named naive baseline.", nullable=True),
        _real("baseline_probability", "Its probability for the same subject."),
        _real("baseline_value", "Its point prediction."),
        _real("baseline_score", "Its order."),
        _text("model_name", "Method that made it."),
        _text("model_version", "Registered version, or baseline-<fit time>."),
        _flag("is_baseline", "True where the baseline was published because no model beat it."),
        _instant("data_as_of", "Newest known_at of the data behind it, UTC.", nullable=True),
        _text("feature_sha256", "Hash of the feature row.", nullable=True),
        _json("evidence", "List of {fact, contribution, link}.", nullable=True),
        _json("candidates", "List of ranked candidates.", nullable=True),
        _json("sources_missing", "List of sources that were absent.", nullable=True),
        _instant("resolve_by", "When its outcome must be known, UTC.", nullable=True),
    ),
)

DECISIONS = LedgerTable(
    kind="decisions",
    grain="what policy made of 1..n predictions at a hook",
    key="decision_id",
    indexes=(("decision", "unit", "hook"),),
    columns=(
        _text("decision_id", "UUIDv7."),
        _DECISION,
        _ENTITY,
        _UNIT,
        _json("subject", "Key column -> value of what was asked.", nullable=True),
        _text("hook", "The enforcement point."),
        _json("prediction_ids", "List of the predictions it rests on; empty for unknown.", nullable=True),
        _text("verdict", "allow, deny, review or unknown."),
        _text("level", "assisted, supervised or autonomous: what had been earned."),
        _text("scope", "development, deployment or operations."),
        _flag("applied", "False for shadow and dry runs, and for the holdout."),
        _count("exit_code", "What the hook answered."),
        _json("reasons", "List of reasons in words.", nullable=True),
        _json("rules", "List of the policy rules that fired.", nullable=True),
        _text("policy_sha256", "The policy text, see policies.", nullable=True),
        _text("freshness", "fresh, stale, missing or contradictory.", nullable=True),
        _text("actor", "Who or what asked.", nullable=True),
        _count("snapshot_version", "Published snapshot it was read from.", nullable=True),
        _instant("made_at", "When the verdict was given, UTC."),
        _instant("expires_at", "When it ceases to hold, UTC.", nullable=True),
    ),
)

APPROVALS = LedgerTable(
    kind="approvals",
    grain="a person's yes for a decision, unit and hook until it expires",
    key="approval_id",
    indexes=(("decision", "unit", "hook"), ("decision_id",)),
    columns=(
        _text("approval_id", "UUIDv7."),
        _text("decision_id", "The decision that was approved against its verdict."),
        _DECISION,
        _UNIT,
        _text("hook", "The enforcement point it holds for."),
        _text("actor", "Who approved."),
        _text("reason", "Why, in words.", nullable=True),
        _instant("approved_at", "From when it holds, UTC."),
        _instant("expires_at", "The first instant at which it no longer holds, UTC."),
    ),
)

OUTCOMES = LedgerTable(
    kind="outcomes",
    grain="what is known about how a prediction turned out; the newest row of a prediction holds",
    key="outcome_id",
    indexes=(("prediction_id", "batch_seq", "position"),),
    columns=(
        _text("outcome_id", "UUIDv7."),
        _text("prediction_id", "The prediction."),
        _real("outcome", "1 or 0 for events, the observed value for quantities; null unless mature."),
        _text("maturity", "pending, mature or unresolvable."),
        _instant("outcome_known_at", "When it became knowable, UTC; null unless mature.", nullable=True),
        _text("link_method", "How outcome and subject were joined.", nullable=True),
        _real("link_confidence", "0-1."),
        _real("cost", "Duration in ms or effort in lines, for cost-aware metrics."),
        _text("supersedes", "outcome_id of the row it replaces; null for the first.", nullable=True),
    ),
)

EVALUATIONS = LedgerTable(
    kind="evaluations",
    grain="metric of a trained model against the baseline on held-out, later data",
    key="evaluation_id",
    indexes=(("decision", "entity", "metric"),),
    columns=(
        _text("evaluation_id", "UUIDv7."),
        _DECISION,
        _ENTITY,
        _text("model_name", "The candidate."),
        _text("model_version", "Its registered version; null when it was not kept.", nullable=True),
        _text("baseline_name", "The named naive baseline."),
        _flag("promoted", "True if it earned publication."),
        _text("reason", "Why it was promoted or not, in words."),
        _text("metric", "Name of the metric."),
        _real("value", "Null when it could not be estimated."),
        *_GAIN,
        _count("n", "Rows it was measured on."),
        _instant("trained_until", "End of the training data, UTC.", nullable=True),
        _instant("tested_until", "End of the test data, UTC.", nullable=True),
    ),
)

SCORES = LedgerTable(
    kind="scores",
    grain="metric of a decision's resolved predictions over a window",
    key="score_id",
    indexes=(("decision", "entity", "origin", "metric"),),
    columns=(
        _text("score_id", "UUIDv7."),
        _DECISION,
        _ENTITY,
        _ORIGIN,
        _text("model_name", "Methods that made the predictions.", nullable=True),
        _text("metric", "Name of the metric."),
        _real("value", "Null when it cannot be estimated from n."),
        _real("low", "Lower end of the 95 % interval."),
        _real("high", "Upper end of the 95 % interval."),
        *_GAIN,
        _count("n", "Mature predictions it rests on."),
        _count("n_pending", "Predictions whose outcome is not known yet."),
        _count("n_unresolvable", "Predictions whose outcome never will be."),
        _instant("window_start", "First predicted_at, UTC.", nullable=True),
        _instant("window_end", "Last predicted_at, UTC.", nullable=True),
    ),
)

POLICIES = LedgerTable(
    kind="policies",
    grain="text of a policy",
    key="policy_sha256",
    idempotent_by="policy_sha256",
    columns=(
        _text("policy_sha256", "Hex SHA-256 of the text."),
        _text("text", "The policy file as it was."),
        _instant("first_used_at", "When it was first used, UTC."),
    ),
)

CHAIN: tuple[LedgerColumn, ...] = (
    _count("batch_seq", "1, 2, 3, ... without a gap."),
    _text("kind", "Table of the batch."),
    _count("n_rows", "Rows in the batch, at least 1."),
    _count("schema_version", "Version its rows are hashed under."),
    _instant("recorded_at", "When it was appended, UTC."),
    _text("rows_sha256", "Hex SHA-256 of the rows' hashes in order."),
    _text("previous_hash", "hash of the link before; 64 zeros for the first."),
    _text("hash", "Hex SHA-256 of the other columns as canonical JSON."),
)

CURRENT = Schema(
    version=1,
    tables=(PREDICTIONS, DECISIONS, APPROVALS, OUTCOMES, EVALUATIONS, SCORES, POLICIES),
)
