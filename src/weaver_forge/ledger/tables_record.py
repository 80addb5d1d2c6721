"""The record's tables: predictions, decisions, approvals, outcomes, evaluations, scores, policies.

Put a new column here with ``since`` set to the next version and ``nullable=True``; it may never be renamed,
retyped or removed, because the hash of every row written since covers it under its name.

The prediction columns repeat those of ``contracts.decision`` on purpose: a contract that gains a column must
not silently change what version 1 of the ledger hashed. A test keeps the two in step.
"""

from weaver_forge.ledger.declared import LedgerTable, count, flag, instant, json, real, text

_DECISION = text("decision", "The decision's name.")
_ENTITY = text("entity", "The subject kind.")
_UNIT = text("unit", "Values of decided_per joined by '|': what one decision covers.")
_ORIGIN = text("origin", "live, replay or simulated.")
_GAIN = (
    real("baseline_value", "The baseline's value of the metric on the same rows."),
    real("gain", "Difference to the baseline, oriented so that positive = the model is better."),
    real("gain_low", "5 % quantile of the paired bootstrap."),
    real("gain_high", "95 % quantile of the paired bootstrap."),
)

PREDICTIONS = LedgerTable(
    kind="predictions",
    grain="prediction, written before its outcome can be known",
    key="prediction_id",
    idempotent_by=("idempotency_key",),
    indexes=(("decision", "entity", "origin"),),
    later_indexes=((2, ("decision", "unit")),),
    columns=(
        text("prediction_id", "UUIDv7."),
        text("idempotency_key", "Hash of decision, entity, subject, predicted_at and model version."),
        _DECISION,
        _ENTITY,
        json("subject", "Key column -> value."),
        _UNIT,
        instant("predicted_at", "The time the prediction is for: nothing known later was used, UTC."),
        instant("made_at", "When it was computed, UTC."),
        _ORIGIN,
        real("probability", "Calibrated probability that it goes wrong; null for quantities."),
        real("value", "Point prediction of a quantity; null for events."),
        real("q_025", "2.5 % quantile."),
        real("q_100", "10 % quantile."),
        real("q_900", "90 % quantile."),
        real("q_975", "97.5 % quantile."),
        real("score", "Order within a decision, higher first."),
        text("baseline_name", "The named naive baseline.", nullable=True),
        real("baseline_probability", "Its probability for the same subject."),
        real("baseline_value", "Its point prediction."),
        real("baseline_score", "Its order."),
        text("model_name", "Method that made it."),
        text("model_version", "Registered version, or baseline-<fit time>."),
        flag("is_baseline", "True where the baseline was published because no model beat it."),
        instant("data_as_of", "Newest known_at of the data behind it, UTC.", nullable=True),
        text("feature_sha256", "Hash of the feature row.", nullable=True),
        json("evidence", "List of {fact, contribution, link}.", nullable=True),
        json("candidates", "List of ranked candidates.", nullable=True),
        json("sources_missing", "List of sources that were absent.", nullable=True),
        instant("resolve_by", "When its outcome must be known, UTC.", nullable=True),
    ),
)

DECISIONS = LedgerTable(
    kind="decisions",
    grain="what policy made of 1..n predictions at a hook",
    key="decision_id",
    indexes=(("decision", "unit", "hook"),),
    later_indexes=((2, ("decision", "made_at")),),
    columns=(
        text("decision_id", "UUIDv7."),
        _DECISION,
        _ENTITY,
        _UNIT,
        json("subject", "Key column -> value of what was asked.", nullable=True),
        text("hook", "The enforcement point."),
        json("prediction_ids", "List of the predictions it rests on; empty for unknown.", nullable=True),
        text("verdict", "allow, deny, review or unknown."),
        text("level", "assisted, supervised or autonomous: what had been earned."),
        text("scope", "development, deployment or operations."),
        flag("applied", "False for shadow and dry runs, and for the holdout."),
        count("exit_code", "What the hook answered."),
        json("reasons", "List of reasons in words.", nullable=True),
        json("rules", "List of the policy rules that fired.", nullable=True),
        text("policy_sha256", "The policy text, see policies.", nullable=True),
        text("freshness", "fresh, stale, missing or contradictory.", nullable=True),
        text("actor", "Who or what asked.", nullable=True),
        count("snapshot_version", "Published snapshot it was read from.", nullable=True),
        instant("made_at", "When the verdict was given, UTC."),
        instant("expires_at", "When it ceases to hold, UTC.", nullable=True),
        text("action", "The action that policy was asked about.", nullable=True, since=2),
        text("ceiling", "The highest level that a person allowed at the time.", nullable=True, since=2),
        text("earned", "The level that the evidence had earned at the time.", nullable=True, since=2),
        flag("held_out", "True where the holdout kept it from being enforced.", nullable=True, since=2),
        real("draw", "The holdout's draw, 0-1: from the hash of unit and hook.", since=2),
        json(
            "inputs",
            "What the verdict was made of: probability, thresholds, usage, matched paths; enough to make it again.",
            nullable=True,
            since=2,
        ),
    ),
)

APPROVALS = LedgerTable(
    kind="approvals",
    grain="a person's yes for a decision, unit and hook until it expires",
    key="approval_id",
    indexes=(("decision", "unit", "hook"), ("decision_id",)),
    columns=(
        text("approval_id", "UUIDv7."),
        text("decision_id", "The decision that was approved against its verdict."),
        _DECISION,
        _UNIT,
        text("hook", "The enforcement point it holds for."),
        text("actor", "Who approved."),
        text("reason", "Why, in words.", nullable=True),
        instant("approved_at", "From when it holds, UTC."),
        instant("expires_at", "The first instant at which it no longer holds, UTC."),
    ),
)

OUTCOMES = LedgerTable(
    kind="outcomes",
    grain="what is known about how a prediction turned out; the newest row of a prediction holds",
    key="outcome_id",
    indexes=(("prediction_id", "batch_seq", "position"),),
    columns=(
        text("outcome_id", "UUIDv7."),
        text("prediction_id", "The prediction."),
        real("outcome", "1 or 0 for events, the observed value for quantities; null unless mature."),
        text("maturity", "pending, mature or unresolvable."),
        instant("outcome_known_at", "When it became knowable, UTC; null unless mature.", nullable=True),
        text("link_method", "How outcome and subject were joined.", nullable=True),
        real("link_confidence", "0-1."),
        real("cost", "Duration in ms or effort in lines, for cost-aware metrics."),
        text("supersedes", "outcome_id of the row it replaces; null for the first.", nullable=True),
    ),
)

EVALUATIONS = LedgerTable(
    kind="evaluations",
    grain="metric of a trained model against the baseline on held-out, later data",
    key="evaluation_id",
    indexes=(("decision", "entity", "metric"),),
    columns=(
        text("evaluation_id", "UUIDv7."),
        _DECISION,
        _ENTITY,
        text("model_name", "The candidate."),
        text("model_version", "Its registered version; null when it was not kept.", nullable=True),
        text("baseline_name", "The named naive baseline."),
        flag("promoted", "True if it earned publication."),
        text("reason", "Why it was promoted or not, in words."),
        text("metric", "Name of the metric."),
        real("value", "Null when it could not be estimated."),
        *_GAIN,
        count("n", "Rows it was measured on."),
        instant("trained_until", "End of the training data, UTC.", nullable=True),
        instant("tested_until", "End of the test data, UTC.", nullable=True),
        real("low", "Lower end of the 95 % interval of the value.", since=3),
        real("high", "Upper end of the 95 % interval of the value.", since=3),
    ),
)

SCORES = LedgerTable(
    kind="scores",
    grain="metric of a decision's resolved predictions over a window",
    key="score_id",
    indexes=(("decision", "entity", "origin", "metric"),),
    columns=(
        text("score_id", "UUIDv7."),
        _DECISION,
        _ENTITY,
        _ORIGIN,
        text("model_name", "Methods that made the predictions.", nullable=True),
        text("metric", "Name of the metric."),
        real("value", "Null when it cannot be estimated from n."),
        real("low", "Lower end of the 95 % interval."),
        real("high", "Upper end of the 95 % interval."),
        *_GAIN,
        count("n", "Mature predictions it rests on."),
        count("n_pending", "Predictions whose outcome is not known yet."),
        count("n_unresolvable", "Predictions whose outcome never will be."),
        instant("window_start", "First predicted_at, UTC.", nullable=True),
        instant("window_end", "Last predicted_at, UTC.", nullable=True),
    ),
)

POLICIES = LedgerTable(
    kind="policies",
    grain="text of a policy",
    key="policy_sha256",
    idempotent_by=("policy_sha256",),
    columns=(
        text("policy_sha256", "Hex SHA-256 of the text."),
        text("text", "The policy file as it was."),
        instant("first_used_at", "When it was first used, UTC."),
    ),
)

QUARANTINES = LedgerTable(
    kind="quarantines",
    grain="flaky test put in quarantine or let out of it; the newest row of repository and test holds",
    key="quarantine_id",
    since=4,
    indexes=(("repo_id", "test_id"),),
    columns=(
        text("quarantine_id", "UUIDv7."),
        text("repo_id", "The repository."),
        text("test_id", "Test identity as in core_ci__test_verdicts."),
        text("state", "in or out."),
        text("reason", "Why, in words."),
        text("actor", "Who put it in or let it out."),
        instant("made_at", "From when it holds, UTC."),
        instant(
            "expires_at", "The first instant at which it no longer holds, UTC; null where it is let out.", nullable=True
        ),
        json("evidence", "What past runs showed of it then.", nullable=True),
    ),
)
