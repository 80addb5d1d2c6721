"""What a finding is: the 23 ids of OpenTelemetry Weaver's live check, and their levels.

Ids, levels and context keys are Weaver's (open-telemetry/weaver, ``live_check.yaml``, Apache-2.0), so that reports
of both can be read side by side. Rules that make findings are in ``advice`` (attributes) and ``signals``.
"""

from collections.abc import Mapping
from typing import Any, Literal

import msgspec

FindingLevel = Literal["violation", "improvement", "information"]
SignalType = Literal["span", "resource", "metric", "log", ""]

LEVELS: dict[str, FindingLevel] = {
    "missing_attribute": "violation",
    "template_attribute": "information",
    "missing_metric": "violation",
    "missing_event": "violation",
    "deprecated": "violation",
    "type_mismatch": "violation",
    "not_stable": "improvement",
    "unit_mismatch": "violation",
    "unexpected_instrument": "violation",
    "undefined_enum_variant": "information",
    "required_attribute_not_present": "violation",
    "recommended_attribute_not_present": "improvement",
    "opt_in_attribute_not_present": "information",
    "conditionally_required_attribute_not_present": "information",
    "entity_required_attribute_not_present": "violation",
    "entity_recommended_attribute_not_present": "improvement",
    "entity_opt_in_attribute_not_present": "information",
    "entity_conditionally_required_attribute_not_present": "information",
    "entity_association_not_satisfied": "violation",
    "missing_namespace": "improvement",
    "invalid_format": "violation",
    "illegal_namespace": "violation",
    "extends_namespace": "information",
}
"""Finding id -> level."""


class Finding(msgspec.Struct, frozen=True):
    """One thing that telemetry does otherwise than the registry says.

    Args:
        id: A key of :data:`LEVELS`.
        level: How serious it is.
        message: For people; says what ``context`` says.
        signal_type: The signal it was found in; empty for an attribute that stands alone.
        signal_name: Span name, metric name or event name; empty where the signal has none.
        context: For programs: ``attribute_key``, ``expected``, ``entity_type``, ...
    """

    id: str
    level: FindingLevel
    message: str
    signal_type: SignalType = ""
    signal_name: str = ""
    context: Mapping[str, Any] = {}


class Place(msgspec.Struct, frozen=True):
    """The signal that findings are made for."""

    signal_type: SignalType = ""
    signal_name: str = ""

    def finding(self, identity: str, message: str, **context: Any) -> Finding:
        """Make a finding here, at the level of its id."""
        return Finding(identity, LEVELS[identity], message, self.signal_type, self.signal_name, context)
