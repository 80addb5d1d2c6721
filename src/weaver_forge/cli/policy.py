"""``policy``: what a policy file means, before it is used."""

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from weaver_forge.cli import text
from weaver_forge.cli.place import deployment, place
from weaver_forge.errors import MissingInput, SourceError
from weaver_forge.policy import Reading, explain, read

_COLUMNS = ("decision", "action", "scope", "ceiling", "bar", "review_at", "deny_at", "skip_below", "cover_at")


def check(file: Path | None = None, /, *, json: Annotated[bool, Parameter(negative="")] = False) -> int:
    """Read a policy file and say what it means; a mistake names its line and exits with 4.

    Args:
        file: A policy.yaml or the blueprint's pipeline.yaml; default: the deployment's.
        json: Print everything as JSON.
    """
    path = file or deployment().policy
    if not path.is_file():
        raise MissingInput("there is no policy file", where=str(path), do="Name one, or write policy.yaml")
    _show(read(_text(path), str(path)), str(path), as_json=json)
    return 0


def show(
    *,
    from_: Annotated[Path | None, Parameter(name="--from")] = None,
    json: Annotated[bool, Parameter(negative="")] = False,
) -> int:
    """Show the policy that holds here: the deployment's, or the one published with a snapshot.

    Args:
        from_: A deployment, its published folder, or one snapshot file; wins over the deployment found from here.
        json: Print everything as JSON.
    """
    at = place(from_)
    reading = read(at.policy_text or "version: 1", at.policy_name)
    _show(reading, at.policy_name if at.policy_text else "no policy: the defaults hold", as_json=json)
    return 0


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise SourceError(
            f"the policy cannot be read: {error}", where=str(path), do="Write it as UTF-8 text"
        ) from error


def _show(reading: Reading, name: str, *, as_json: bool) -> None:
    rows = explain.as_rows(reading.policy)
    formulas = explain.formulas(reading.policy)
    if as_json:
        text.as_json({"policy": name, "rules": rows, "formulas": formulas, "notes": list(reading.notes)})
        return
    text.out(name)
    text.group("What holds", text.table(_COLUMNS, [[row[column] for column in _COLUMNS] for row in rows]))
    text.group("Derived from money", formulas)
    for title, key in (("Freeze windows", "freeze"), ("Protected paths", "protected_paths")):
        text.group(title, _for_whom((_about(row), item) for row in rows for item in row[key]))
    budgets = [(row, key) for row in rows for key in ("rate_limit", "blast_radius") if row[key]]
    text.group("Budgets", _for_whom((_about(row), f"{key} {row[key]}") for row, key in budgets))
    text.group("Notes", reading.notes)
    if any(row["ceiling"] != "assisted" for row in rows):
        text.out("\nA ceiling is how far a hook may act at most; how far it does is earned.")


def _for_whom(pairs: Iterable[tuple[str, str]]) -> list[str]:
    """One line a rule, with everything that it holds for."""
    holders: dict[str, list[str]] = {}
    for about, item in pairs:
        holders.setdefault(item, []).append(about)
    return [f"{item} ({', '.join(dict.fromkeys(abouts))})" for item, abouts in holders.items()]


def _about(row: dict[str, Any]) -> str:
    return row["decision"] if row["action"] == explain.ALONE else f"{row['decision']} {row['action']}"
