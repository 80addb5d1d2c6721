"""A replay as Markdown for a pull request: one table an action, escapes by name folded away."""

from collections.abc import Sequence

from weaver_forge.cli import replay_rows as rows

SHOWN = 50
"""Escapes listed by name: a comment that nobody can scroll through helps nobody."""


def document(data: Sequence[rows.Data]) -> str:
    """The whole comment."""
    return "\n\n".join(part for kind in data for part in _kind(kind)) + "\n"


def _kind(kind: rows.Data) -> list[str]:
    parts = [f"### Replay of {kind['decision']}, {kind['entity']}", rows.about(kind) + "."]
    if not kind["steps"]:
        return [*parts, "Nothing to replay: no decision of this window has a known outcome.", *rows.left_out(kind)]
    first = kind["scores"][0] if kind["scores"] else None
    if first is not None and first["value"] is not None and first["baseline"] is not None:
        parts.append(
            f"{first['model']}: {first['metric']} {first['value']:.4g} against {first['baseline']:.4g} of"
            f" {first['baseline_name']}, n = {first['n']}; {rows.learnt(kind)}."
        )
    else:
        parts.append(rows.learnt(kind) + ".")
    for action in kind["actions"]:
        parts += _action(action)
    return parts + [line + "." for line in rows.left_out(kind)]


def _action(action: rows.Data) -> list[str]:
    found = action["policies"]
    title = f"**{action['action']}**: {action['doc']}" if action["action"] else "**The decision as a whole**"
    if action["on"] == "upper":
        columns = ["policy", *rows.CAPACITY_COLUMNS]
        return [title, _table(columns, [[row["policy"], *rows.capacity_cells(row)] for row in found])]
    is_low = action["on"] == "low"
    columns = ["policy", "view", "left for later" if is_low else "held", "caught", "escaped", "unstable", "escape rate"]
    columns += ["went through", "minutes saved", "net"] if is_low else ["net"]
    parts = [title, _table(columns, [_cells(row, action["on"]) for row in found])]
    parts.append("\n".join(f"- {_plain(line)}" for line in rows.remarks(found, action["on"])))
    return parts + [_folded(row) for row in found if row["escapes"] and row["acted"]["subjects"]]


def _cells(row: rows.Data, on: str) -> list[str]:
    cells = [row["policy"], row["view"], rows.acted(row, on), row["caught"], row["escaped"], row["unstable"]]
    cells += [rows.escape_rate(row, on), *([rows.went_through(row), rows.minutes(row)] if on == "low" else [])]
    cells.append(rows.net(row))
    return [str(cell) for cell in cells]


def _folded(row: rows.Data) -> str:
    listed = [f"- `{rows.escape_name(escape)}` ({rows.escape_chance(escape)})" for escape in row["escapes"][:SHOWN]]
    more = len(row["escapes"]) - len(listed)
    lines = [*listed, *([f"- and {more} more"] if more else [])]
    title = f"{len(row['escapes'])} escapes of {_plain(row['policy'])}, {row['view']}"
    return f"<details><summary>{title}</summary>\n\n" + "\n".join(lines) + "\n\n</details>"


def _table(columns: Sequence[str], cells: Sequence[Sequence[str]]) -> str:
    lines = [columns, ["---"] * len(columns), *cells]
    return "\n".join("| " + " | ".join(_plain(cell) for cell in line) + " |" for line in lines)


def _plain(cell: str) -> str:
    """Text that stays within its cell, whatever a file or test is called."""
    return " ".join(cell.split()).replace("|", "\\|").replace("<", "&lt;")
