"""Raw rows of several sources -> core tables about one subject: who belongs to what, and since when it is known."""

from weaver_forge.links.ci import core_ci

__all__ = ["core_ci"]
