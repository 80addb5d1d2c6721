"""The small closed vocabularies of the product: verdicts, levels, scopes, origins, maturities, freshness."""

from enum import StrEnum


class Verdict(StrEnum):
    """What policy makes of a prediction. ``unknown`` is a fourth value, never folded into allow or 0."""

    ALLOW = "allow"
    DENY = "deny"
    REVIEW = "review"
    UNKNOWN = "unknown"


class Level(StrEnum):
    """How far a hook may act: say it, stop for a person, act."""

    ASSISTED = "assisted"
    SUPERVISED = "supervised"
    AUTONOMOUS = "autonomous"


class Scope(StrEnum):
    """Where in the life of a change a hook stands."""

    DEVELOPMENT = "development"
    DEPLOYMENT = "deployment"
    OPERATIONS = "operations"


class Origin(StrEnum):
    """How a prediction came about; only live ones count fully towards autonomy."""

    LIVE = "live"
    REPLAY = "replay"
    SIMULATED = "simulated"


class Maturity(StrEnum):
    """Whether a label may be used: not yet, yes, or never."""

    PENDING = "pending"
    MATURE = "mature"
    UNRESOLVABLE = "unresolvable"


class Freshness(StrEnum):
    """The state of the prediction that a hook found."""

    FRESH = "fresh"
    STALE = "stale"
    MISSING = "missing"
    CONTRADICTORY = "contradictory"
