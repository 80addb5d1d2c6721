"""The tables of what was earned, allowed and done, and the daily roots of the chain. All since version 2.

Put a new column here as ``tables_record`` says: a later version, nullable, never taken back.
"""

from weaver_forge.ledger.declared import LedgerTable, count, flag, instant, real, text

STANDINGS = LedgerTable(
    kind="standings",
    grain="assessment of an action's earned level; the newest row of decision, entity, action and scope holds",
    key="standing_id",
    since=2,
    indexes=(("decision", "entity", "action", "scope"),),
    columns=(
        text("standing_id", "UUIDv7."),
        text("decision", "The decision's name."),
        text("entity", "The subject kind."),
        text("action", "The action class."),
        text("scope", "development, deployment or operations."),
        text("level", "assisted, supervised or autonomous: what is earned from here on."),
        text("previous_level", "What was earned before."),
        text("proposed_level", "A higher level that takes effect if a later assessment finds it too.", nullable=True),
        text("cause", "evidence, precision, calibration, drift, staleness, decay, ceiling or switch."),
        text("reason", "Why, in words."),
        real("n_trials", "Weighted mature trials that count.", nullable=False),
        real("n_right", "Weighted trials of these that came out right.", nullable=False),
        count("n_replay", "Trials of these from replayed history."),
        count("n_pending", "Units whose outcomes are not known yet."),
        count("n_unresolvable", "Units whose outcomes never will be."),
        count("n_needed", "Further right trials that the next level takes.", nullable=True),
        real("bound", "The time-uniform lower bound of the precision.", nullable=False),
        real("bar", "The precision that the next level asks for."),
        text("ceiling", "The highest level that a person allowed."),
        instant("evidence_from", "First trial that counts, UTC.", nullable=True),
        instant("evidence_until", "Newest trial that counts, UTC.", nullable=True),
        text("policy_sha256", "The policy text, see policies.", nullable=True),
        instant("assessed_at", "When it was assessed, UTC."),
    ),
)

SWITCHES = LedgerTable(
    kind="switches",
    grain="kill switch turned on or off; the newest row of a scope holds",
    key="switch_id",
    since=2,
    indexes=(("scope",),),
    columns=(
        text("switch_id", "UUIDv7."),
        text("scope", "all, development, deployment or operations."),
        flag("is_on", "True: nothing is done without a person."),
        text("actor", "Who turned it."),
        text("reason", "Why, in words."),
        instant("made_at", "When, UTC."),
    ),
)

CEILINGS = LedgerTable(
    kind="ceilings",
    grain="highest level that a person allows; the newest row of decision and scope holds",
    key="ceiling_id",
    since=2,
    indexes=(("scope",),),
    columns=(
        text("ceiling_id", "UUIDv7."),
        text("decision", "The decision's name; null for all of the scope.", nullable=True),
        text("scope", "all, development, deployment or operations."),
        text("level", "assisted, supervised or autonomous."),
        text("actor", "Who set it."),
        text("context", "The business context that was given.", nullable=True),
        instant("made_at", "When, UTC."),
    ),
)

ACTS = LedgerTable(
    kind="acts",
    grain="state that an action reached; claimed before it is taken, so that it is never taken twice",
    key="act_id",
    since=2,
    idempotent_by=("act_key", "state"),
    indexes=(("decision_id",),),
    columns=(
        text("act_id", "UUIDv7."),
        text("act_key", "Hash of decision, action, unit and hook."),
        text("decision_id", "The decision that it carries out."),
        text("decision", "The decision's name."),
        text("action", "The action class."),
        text("unit", "What the decision covers."),
        text("hook", "The enforcement point."),
        text("state", "claimed, done, failed or undone."),
        text("detail", "What was done, or why it failed, in words.", nullable=True),
        instant("made_at", "When, UTC."),
    ),
)

ROOTS = LedgerTable(
    kind="roots",
    grain="Merkle root over the links of the chain since the root before, made when a day has ended",
    key="root_id",
    since=2,
    idempotent_by=("day",),
    columns=(
        text("root_id", "UUIDv7."),
        text("day", "The day that ended, YYYY-MM-DD, by the newest link that it covers."),
        count("first_batch", "First link that it covers: the one after the last of the root before."),
        count("last_batch", "Last link that it covers."),
        count("n_rows", "Rows that these links cover."),
        text("merkle_root", "Hex SHA-256: RFC 6962's tree over the links' hashes in order."),
        instant("made_at", "When, UTC."),
    ),
)
