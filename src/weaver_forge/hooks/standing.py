"""What has been earned, and whether everything is halted: small files beside the published snapshot.

Put here how hooks read them. Whatever is missing or cannot be read gives no hook more power than ``assisted``: a file
that is not there has earned nothing, one that halts and cannot be read halts.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from weaver_forge.contracts.values import Level, Scope
from weaver_forge.policy import lowest

STANDINGS = "standings.json"
HALTED = "halted.json"
ALL = "all"
_REACHES = (ALL, *(scope.value for scope in Scope))


@dataclass(frozen=True, slots=True, kw_only=True)
class Standings:
    """Levels as published.

    Args:
        levels: (decision, entity, action, scope) -> earned level.
        ceilings: (decision or empty for all, scope or ``all``) -> a ceiling that somebody set.
        halts: scope or ``all`` -> why everything there is assisted.
        notes: What could not be read.
    """

    levels: Mapping[tuple[str, str, str, str], Level] = field(default_factory=dict)
    ceilings: Mapping[tuple[str, str], Level] = field(default_factory=dict)
    halts: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def earned(self, decision: str, entity: str, action: str, scope: Scope) -> Level:
        """The level of an action; assisted where nothing is known of it."""
        return self.levels.get((decision, entity, action, str(scope)), Level.ASSISTED)

    def ceiling(self, decision: str, scope: Scope) -> Level | None:
        """The lowest ceiling that was set for it; None where none was."""
        names = [(name, reach) for name in (decision, "") for reach in (str(scope), ALL)]
        found = [self.ceilings[name] for name in names if name in self.ceilings]
        return lowest(*found) if found else None

    def halted(self, scope: Scope) -> str:
        """Why this scope is halted; empty where it is not."""
        return self.halts.get(ALL) or self.halts.get(str(scope), "")


def read_standings(folder: Path | None) -> Standings:
    """What is published in a snapshot's folder; nothing earned where there is none."""
    if folder is None:
        return Standings()
    notes: list[str] = []
    published = _read(folder / STANDINGS, notes, "nothing counts as earned")
    levels, ceilings = {}, {}
    for row in _rows(published, "standings"):
        key = tuple(str(row.get(name) or "") for name in ("decision", "entity", "action", "scope"))
        levels[key] = _level(row)
    for row in _rows(published, "ceilings"):
        ceilings[str(row.get("decision") or ""), str(row.get("scope") or ALL)] = _level(row)
    halts = _halts(folder / HALTED, notes)
    return Standings(levels=levels, ceilings=ceilings, halts=halts, notes=tuple(notes))  # type: ignore[arg-type] # four texts


def read_halts(folder: Path) -> tuple[Mapping[str, str], tuple[str, ...]]:
    """What is halted and why, by scope or ``all``; and what could not be read, which halts everything."""
    notes: list[str] = []
    return _halts(folder / HALTED, notes), tuple(notes)


def _halts(path: Path, notes: list[str]) -> dict[str, str]:
    found = _read(path, notes, "everything counts as halted")
    if found is None:
        return {ALL: f"{path.name} cannot be read"} if path.exists() else {}
    rows = found.get("halted") if isinstance(found, dict) else None
    if not isinstance(rows, list) or not all(isinstance(row, dict) and row.get("scope") in _REACHES for row in rows):
        notes.append(f"{path} is not what it should be, everything counts as halted")
        return {ALL: f"{path.name} cannot be understood"}
    return {
        str(row["scope"]): f"{row.get('reason') or 'no reason given'} ({row.get('actor') or 'unknown'})"
        for row in rows
        if row.get("is_on") is not False
    }


def _read(path: Path, notes: list[str], so: str) -> Any:
    """The document, or None where there is none or it cannot be read; the second is noted."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        notes.append(f"{path} cannot be read, {so}: {error}")
        return None


def _rows(document: Any, name: str) -> list[dict[str, Any]]:
    rows = document.get(name) if isinstance(document, dict) else None
    return [row for row in rows if isinstance(row, dict)] if isinstance(rows, list) else []


def _level(row: Mapping[str, Any]) -> Level:
    """A level that is none of ours is none that was earned."""
    value = str(row.get("level") or "")
    return Level(value) if value in set(Level) else Level.ASSISTED
