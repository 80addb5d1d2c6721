"""What labels say: which service something is about, and how bad it is. The rule of every decoder, in one place.

Alerts, events and objects of other tools name services by labels, annotations or payload keys, each in its own words.
They are read in this order, and the first name that says anything holds:

===========  =========================================================================================================
whole key    ``weaver-forge.dev/service``, ``service_key`` (namespace/name/environment)
name         ``service_name``, ``service.name``, ``service``, ``app.kubernetes.io/name``, ``app``; a Prometheus ``job``
             only where it is namespace/name, as OpenTelemetry writes it: any other job names a scrape, not a service
namespace    ``service_namespace``, ``service.namespace``, ``namespace``, ``exported_namespace``
environment  ``deployment_environment_name``, ``deployment.environment.name``, ``deployment_environment``,
             ``deployment.environment``, ``environment``, ``env``
version      ``service_version``, ``service.version``, ``version``, ``app.kubernetes.io/version``
===========  =========================================================================================================

Nothing is guessed: a part that no label names is empty, and whoever stores rows counts those without a name. A slash
inside a part would make another key of it and becomes an underscore.
"""

import re
from collections.abc import Mapping
from typing import Any

_NAME = ("service_name", "service.name", "service", "app.kubernetes.io/name", "app")
_NAMESPACE = ("service_namespace", "service.namespace", "namespace", "exported_namespace")
_ENVIRONMENT = (
    "deployment_environment_name",
    "deployment.environment.name",
    "deployment_environment",
    "deployment.environment",
    "environment",
    "env",
)
_VERSION = ("service_version", "service.version", "version", "app.kubernetes.io/version")
_KEY = ("weaver-forge.dev/service", "service_key")
# Prometheus allows no dot or slash in a label's name: its exporters write an underscore for each.
_OTHER_SPELLING = re.compile(r"[./-]")

_SEVERITY = {
    "critical": ("critical", "page", "emergency", "fatal", "disaster", "sev0", "sev1", "p0", "p1", "1"),
    "major": ("major", "high", "error", "sev2", "p2", "2"),
    "minor": ("minor", "medium", "moderate", "warning", "low", "info", "sev3", "sev4", "sev5", "p3", "p4", "p5"),
}
_SEVERITY_OF = {word: severity for severity, words in _SEVERITY.items() for word in words}

_VERSION_NUMBER = re.compile(r"(?:.*/)?v?\d+\.\d+[\w.+-]*")
_COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")


def service_of(*sources: Mapping[str, Any], environment: str = "") -> str:
    """The service key that labels name; empty parts where they name none.

    Args:
        sources: Labels, then annotations: the first that names a part holds.
        environment: What holds where no label names one.
    """
    for source in sources:
        if (key := _first(source, _KEY)).count("/") == 2:
            return key
    name, namespace = _any(sources, _NAME), _any(sources, _NAMESPACE)
    if not name and (job := _any(sources, ("job",))).count("/") == 1:
        namespace, _, name = job.partition("/")
    return key_of_parts(namespace, name, _any(sources, _ENVIRONMENT) or environment)


def key_of_parts(namespace: str, name: str, environment: str) -> str:
    """Join the parts of a service's key; a slash inside one becomes an underscore."""
    return "/".join(part.strip("/").replace("/", "_") for part in (namespace, name, environment))


def is_unknown(service_key: str) -> bool:
    """Whether a key names no service."""
    return not service_key.split("/")[1]


def version_of(*sources: Mapping[str, Any]) -> str:
    """The version of the service that labels name; empty where they name none."""
    return _any(sources, _VERSION)


def version_in_ref(ref: str) -> str:
    """A git ref that is a version number (``v1.2.3``, ``refs/tags/1.2``), without its path; else an empty text."""
    return ref.rpartition("/")[2] if _VERSION_NUMBER.fullmatch(ref) else ""


def commit_of(text: str) -> str | None:
    """A whole commit id, at the end of a text such as ``main@sha1:<id>`` or a URL; None where there is none."""
    last = re.split(r"[:/@]", text.strip().lower())[-1]
    return last if _COMMIT.fullmatch(last) else None


def severity_of(*words: object) -> str:
    """The first of some words that is known, as critical, major or minor; else unknown."""
    known = (_SEVERITY_OF.get(str(word).strip().lower().replace("-", "").replace(" ", "")) for word in words)
    return next((severity for severity in known if severity), "unknown")


def _any(sources: tuple[Mapping[str, Any], ...], names: tuple[str, ...]) -> str:
    return next((found for source in sources if (found := _first(source, names))), "")


def _first(source: Mapping[str, Any], names: tuple[str, ...]) -> str:
    for name in names:
        value = source.get(name) or source.get(_OTHER_SPELLING.sub("_", name))
        if isinstance(value, str) and value.strip():
            return value.strip()
    return ""
