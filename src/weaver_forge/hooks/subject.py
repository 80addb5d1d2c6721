"""Which subject kind a question is about, and which unit one decision covers. Pure; works on specs as data."""

from collections.abc import Mapping, Sequence
from typing import Any

from weaver_forge.errors import UsageError

Kind = Mapping[str, Any]


def kind_for(spec: Mapping[str, Any], names: Sequence[str]) -> Kind:
    """The subject kind that the given key columns identify best.

    Of the kinds that have all of them in their key, the one of whose ``decided_per`` the most are given.

    Args:
        spec: A spec as data, from a snapshot.
        names: Key columns the caller gave.

    Raises:
        UsageError: If no kind has these columns.
    """
    fitting = [kind for kind in spec["kinds"] if set(names) <= set(kind["key"])]
    if not fitting or not names:
        known = "; ".join(f"{kind['entity']}: {', '.join(kind['key'])}" for kind in spec["kinds"])
        given = ", ".join(names) or "nothing"
        raise UsageError(f"{spec['name']} has no subject that is identified by {given}", do=f"Its subjects are {known}")
    return max(fitting, key=lambda kind: len(set(kind["decided_per"]) & set(names)) / len(kind["decided_per"]))


def unit_of(kind: Kind, values: Mapping[str, Any]) -> str:
    """What one decision covers, as the ledger names it: the values of ``decided_per`` joined by a bar."""
    return "|".join(str(values.get(name) or "") for name in kind["decided_per"])
