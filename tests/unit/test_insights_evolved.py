"""From a published snapshot to a plan, to a changed policy, to a check that came true or did not."""

import json
from datetime import datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import duckdb
import pytest

from assets.verbs import evolve as evolve_verb
from assets.verbs import intelligence as intelligence_verb
from weaver_forge.cli.evolve import _rescored
from weaver_forge.contracts.tables import ALL as TABLES
from weaver_forge.errors import NothingPublished, UsageError
from weaver_forge.hooks.evolving import Workshop, carried_out, carry_out
from weaver_forge.ledger import Ledger
from weaver_forge.policy import parse
from weaver_forge.settings import Settings
from weaver_forge.snapshot import open_snapshot
from weaver_forge.warehouse.publish import Publication, publish

NOW = datetime(2026, 3, 1)
POLICY = "version: 1\ndecisions:\n  guard:\n    scope: deployment  # kept\n"
SPEC = {"name": "guard", "kinds": [{"entity": "changes", "actions": [{"name": "hold_change"}]}]}
CHANGED = ("core_changes__changes", "core_changes__files", "core_changes__blames")


def published(root: Path, *, until: int, bad: tuple[int, ...], now: datetime) -> Settings:
    """A change to ``src/hot.py`` every eight hours from January on; the numbers of those that are blamed later."""
    (root / "policy.yaml").write_text(POLICY)
    with duckdb.connect() as con:
        tables = tuple(table for table in TABLES if table.name in CHANGED)
        for table in tables:
            con.execute(table.ddl)
        con.execute(f"""
            insert into core_changes__changes
            select 'r', i, 'p', 'a' || (i % 3), timestamp '2026-01-01' + interval (8 * i) hours, 's', false, null,
                1, 1, 1, timestamp '2026-01-01' from range({until}) t(i)
        """)
        con.execute("""
            insert into core_changes__files select repo_id, revision, 'src/hot.py', 1, 1, author, committed_at, known_at
            from core_changes__changes
        """)
        con.execute(f"""
            insert into core_changes__blames select repo_id, revision, 'f' || revision, 1, 'szz_blame', known_at
            from core_changes__changes where revision::int in ({", ".join(map(str, bad))})
        """)
        publication = Publication(
            tables=tables, specs=(SPEC,), policy_text=POLICY, artifacts={}, published_at=now, data_as_of=now,
            lake=root / "lake", delta_version=None,
        )  # fmt: skip
        publish(con, root / "data" / "published", publication, keep=2)
    return Settings(root=root, python=Path("python"), decisions={}, fixed_now=now)


def told(verb: Any, settings: Settings, arguments: dict[str, Any]) -> dict[str, Any]:
    events: list[dict[str, Any]] = []
    assert verb(settings, arguments, events.append) == 0
    data: dict[str, Any] = json.loads(json.dumps(events[-1]["data"]))  # what goes through a pipe
    return data


@pytest.mark.parametrize(
    ("bad_after", "words"), [((200,), "came true: "), (tuple(range(180, 230, 2)), "did not come true: ")]
)
def test_a_plan_is_made_carried_out_and_judged_by_what_comes_after(
    tmp_path: Path, bad_after: tuple[int, ...], words: str
) -> None:
    bad = tuple(range(20, 170, 5))
    settings = published(tmp_path, until=177, bad=bad, now=NOW)

    plan = told(evolve_verb.evolve, settings, {"budget_hours": 30})

    item = next(each for each in plan["items"] if each["kind"] == "protect_path")
    assert item["effect"]["low"] < item["effect"]["reach"] < item["effect"]["high"]
    assert any("no data" in each for each in plan["missing"])
    with Ledger.open(f"sqlite:///{tmp_path / 'ledger.sqlite'}") as ledger:
        work = Workshop(
            policy=settings.policy, published=settings.published, copies=tmp_path / "evolve", ledger=ledger,
            clock=lambda: NOW, actor="ana",
        )  # fmt: skip
        carry_out(work, item)
        assert parse(settings.policy.read_text(), "p").decisions["guard"].protected_paths == ("src/hot.py",)
        done = carried_out(ledger)[0]
    with open_snapshot(settings.published) as snapshot:
        soon = _rescored(SimpleNamespace(snapshot=snapshot, problem=""), done)
    published(tmp_path, until=300, bad=(*bad, *bad_after), now=NOW + timedelta(days=41))
    with open_snapshot(settings.published) as snapshot:
        later = _rescored(SimpleNamespace(snapshot=snapshot, problem=""), done)

    assert soon["check"] == "insufficient data: 0 of 12 changes"
    assert later["check"].startswith(words)


def test_what_is_protected_already_is_not_proposed_again(tmp_path: Path) -> None:
    settings = published(tmp_path, until=177, bad=tuple(range(20, 170, 5)), now=NOW)
    settings.policy.write_text(POLICY + "    protected_paths: [src/]\n")

    plan = told(evolve_verb.evolve, settings, {})

    assert "protect_path" not in {each["kind"] for each in plan["items"]}


def test_what_holds_already_takes_its_part_of_the_budget(tmp_path: Path) -> None:
    settings = published(tmp_path, until=177, bad=tuple(range(20, 170, 5)), now=NOW)

    free = told(evolve_verb.evolve, settings, {"budget_hours": 40})
    bound = told(evolve_verb.evolve, settings, {"budget_hours": 40, "bound_hours": 39.9})

    assert any(each["is_chosen"] for each in free["items"])
    assert not any(each["is_chosen"] for each in bound["items"])


def test_intelligence_says_what_it_read_and_what_it_could_not_ask(tmp_path: Path) -> None:
    settings = published(tmp_path, until=177, bad=tuple(range(20, 170, 5)), now=NOW)

    data = told(intelligence_verb.intelligence, settings, {"categories": ["cost"]})

    assert data["snapshot"].endswith("serving-000001.duckdb")
    assert data["since"].startswith("2026-01-01")
    assert {each["missing"].split(":")[0] for each in data["families"]} == {"no data"}
    with pytest.raises(UsageError, match="no category"):
        told(intelligence_verb.intelligence, settings, {"categories": ["luck"]})
    with pytest.raises(NothingPublished):
        told(evolve_verb.evolve, Settings(root=tmp_path / "none", python=Path("p"), decisions={}, fixed_now=NOW), {})
