"""The rule by which entities are linked: what may be argued about, as data."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass

CONFIDENCE: Mapping[str, float] = {
    "revision": 1.0,
    "run_id": 1.0,
    "review": 1.0,
    "version": 1.0,
    "revision_in_version": 0.9,
    "version_is_revision": 0.9,
    "revision_before": 0.9,
    "revision_near": 0.6,
    "service_tag": 0.8,
    "service_served": 0.7,
    "service_after": 0.6,
    "service_first_seen": 0.5,
    "service_tag_during": 0.5,
}
"""What a link of a method is worth before others are weighed against it: 1 where both ends name the same thing, less
where only place and time agree. They order links; they are no measured probabilities."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkRule:
    """What may be argued about.

    Args:
        revision_digits: Hex digits of a revision that a version must contain to be taken for it.
        build_near_h: Hours between a test run and a build of the same revision that has no common run id.
        seen_within_h: Hours after a deployment within which a new version of its service is taken to be its.
        incident_within_h: Hours after a deployment within which an incident of its service is linked to it.
        service_tags: Tags of a charge that name a service, first one said holds.
    """

    revision_digits: int = 7
    build_near_h: float = 6.0
    seen_within_h: float = 24.0
    incident_within_h: float = 24.0
    service_tags: tuple[str, ...] = ("service.name", "service", "app", "application", "app.kubernetes.io/name")

    @property
    def digest(self) -> str:
        """Twelve hex digits that tell rules apart."""
        said = json.dumps({**asdict(self), "confidence": dict(CONFIDENCE)}, sort_keys=True)
        return hashlib.sha256(said.encode()).hexdigest()[:12]
