"""The tables as a page for people: ``docs/tables.md`` is exactly what this makes of the declarations."""

from collections.abc import Sequence
from itertools import groupby

from weaver_forge.contracts.table import Layer, Table

_LAYERS: dict[Layer, str] = {
    "raw": "as the source says it, decoded and typed, nothing judged.",
    "core": "our subjects: linked, deduplicated, with the time each row became known.",
    "feat": "one row a past subject and prediction time.",
    "pred": "what was published.",
}

_HEAD = """\
# Tables

Made from `src/weaver_forge/contracts/tables/`; a test holds this page to it. A table's name is its asset key:
`{layer}_{source}__{entities}`. Instants are UTC. Columns may not be null unless it says so. The tables of a
decision (`feat_<decision>__...`, `pred_<decision>__...`) are declared by its spec.
"""


def tables_markdown(tables: Sequence[Table]) -> str:
    """The page on these tables, by layer and in the given order."""
    parts = [_HEAD]
    order = list(_LAYERS)
    by_layer = sorted(tables, key=lambda table: order.index(table.layer))
    for layer, members in groupby(by_layer, key=lambda table: table.layer):
        parts.append(f"## {layer}: {_LAYERS[layer]}\n")
        parts.extend(_section(table) for table in members)
    return "\n".join(parts)


def _section(table: Table) -> str:
    rows = "\n".join(
        f"| `{c.name}` | {c.type} | {'yes' if c.nullable else ''} | {c.doc.replace('|', '&#124;')} |"
        for c in table.columns
    )
    head = "| column | type | null | meaning |\n|---|---|---|---|"
    return f"### {table.name}\n\nA row: {table.grain}. {_traits(table)}\n\n{head}\n{rows}\n"


def _traits(table: Table) -> str:
    traits = [f"Key: {_names(table.key)}."]
    if table.replace_by:
        traits.append(f"Rows with the same {_names(table.replace_by)} are replaced together.")
    if table.day_column:
        traits.append(f"Daily by {_names((table.day_column,))}.")
    if table.view:
        traits.append("A view.")
    return " ".join(traits)


def _names(names: Sequence[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)
