"""The question that a gate asks: standings, kill switch, usage, paths, environment, lot; and the same again offline."""

import itertools
import json
import math
import os
import subprocess
from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from weaver_forge.contracts.values import Level, Scope
from weaver_forge.hooks.asking import Asked, declared_action, judged_again, question, way_of
from weaver_forge.hooks.ci_gate import Circumstances, GateAnswer, GateRequest, gate
from weaver_forge.hooks.revision import changed_paths
from weaver_forge.hooks.standing import Standings, read_standings
from weaver_forge.ledger import Ledger
from weaver_forge.policy import Policy, Usage, draw_of, evaluate, in_force, parse

NOW = datetime(2026, 3, 6, 15)  # a Friday
ACTION = {"name": "hold_change", "on": "high", "doc": "holds a change"}
CHANGES = {
    "entity": "changes",
    "key": ["repo_id", "revision"],
    "decided_per": ["repo_id", "revision"],
    "table": "p",
    "actions": [ACTION],
}
SPEC = {"name": "d", "kinds": [CHANGES], "sources": {}, "score_unit": "p"}
EARNED = Standings(levels={("d", "changes", "hold_change", "deployment"): Level.AUTONOMOUS})
RULES = "ceiling: autonomous, review_at: 0.3, deny_at: 0.7"


class FakeSnapshot:
    """One row a revision, as ``Snapshot`` gives them."""

    version, path = 7, Path("serving-000007.duckdb")

    def __init__(self, rows: list[dict[str, Any]]) -> None:
        self.specs, self._rows = {"d": SPEC}, rows

    def tables(self) -> list[str]:
        """None but predictions."""
        return []

    def predictions(self, decision: str, entity: str, match: Mapping[str, str]) -> list[dict[str, Any]]:
        """Rows that match."""
        return [row for row in self._rows if all(row.get(k) == v for k, v in match.items())]


def _row(revision: str, probability: float | None, age_hours: float = 1.0) -> dict[str, Any]:
    made = NOW - timedelta(hours=age_hours)
    known = {"repo_id": "h/o/n", "revision": revision, "made_at": made, "score": None, "sources_missing": "[]"}
    return {**known, "probability": probability, "prediction_id": f"p-{revision}"}


def _ask(
    ledger: Path | None, policy: str, revision: str = "a", probability: float | None = 0.9, **more: Any
) -> GateAnswer:
    rows = [_row(revision, probability, more.pop("age_hours", 1.0))] if more.pop("found", True) else []
    snapshot: Any = FakeSnapshot(rows)
    tags, hook = more.pop("tags", ()), more.pop("hook", "ci")
    around = Circumstances(
        snapshot=snapshot,
        policy=in_force(policy, "policy.yaml"),
        policy_text=policy,
        ledger=(lambda: Ledger.open(f"sqlite:///{ledger}")) if ledger else None,
        spool=(ledger.parent if ledger else Path(os.devnull)) / "spool",
        now=more.pop("now", NOW),
        entropy=os.urandom(10),
        **{"standings": EARNED, **more},
    )
    match = {"repo_id": "h/o/n", "revision": revision}
    return gate(GateRequest(decision="d", match=match, tags=tags, hook=hook), around)


def _policy(rules: str = RULES, more: str = "") -> str:
    return f"version: 1\ndecisions:\n  d: {{{rules}{more}}}\n"


def _clear_of_holdout(share: float = 0.03) -> list[str]:
    return [name for n in range(500) if draw_of("d", f"h/o/n|{(name := f'r{n}')}", "ci") >= share]


LATER = {**CHANGES, "actions": [{"name": "leave", "on": "low"}, {"name": "wake", "on": "high"}]}


def test_the_action_of_a_hook_is_the_kinds_first_that_is_declared_on_its_side() -> None:
    assert declared_action(CHANGES, "high") == "hold_change"
    assert not declared_action(CHANGES, "low")
    assert (declared_action(LATER, "low"), declared_action(LATER, "high")) == ("leave", "wake")
    assert not declared_action({"entity": "old"}, "high")


def test_how_an_action_is_asked_about_is_declared_not_guessed_from_its_name() -> None:
    scaled = {"actions": [{"name": "skip_tests", "on": "upper"}]}

    assert way_of(LATER, "leave") == ("low", False)
    assert way_of(LATER, "wake") == ("high", True)
    assert way_of(scaled, "skip_tests") == ("upper", False)
    assert way_of(scaled, "") == ("high", False)
    assert way_of({"entity": "old"}, "") == ("high", True)


def test_a_freeze_stops_no_hook_that_only_orders_or_scales() -> None:
    """A freeze of everything holds changes and deployments; tests are ordered all the same."""
    policy = parse("version: 1\nscopes: {all: {ceiling: autonomous, freeze: [{days: [fri], reason: r}]}}", "p")
    ordering = {"entity": "tests", "key": ["revision"], "actions": [{"name": "skip_tests", "on": "low"}]}

    codes = []
    for kind in (CHANGES, ordering):
        asked = Asked(decision="t", kind=kind, unit="u", subject={}, hook="ci", now=NOW)
        codes.append(evaluate(policy, question(policy, asked, None, lambda *_: Usage())).exit_code)

    assert codes == [1, 0]


def test_a_row_holds_action_ceiling_earned_lot_and_inputs(tmp_path: Path) -> None:
    revision = _clear_of_holdout()[0]

    answer = _ask(tmp_path / "l.sqlite", _policy(), revision)

    with Ledger.open(f"sqlite:///{tmp_path / 'l.sqlite'}") as ledger:
        row = ledger.decision(answer.decision_id)
    assert row is not None
    assert (row["exit_code"], row["action"], row["ceiling"], row["earned"]) == (
        1,
        "hold_change",
        "autonomous",
        "autonomous",
    )
    assert row["held_out"] is False
    assert row["draw"] == draw_of("d", f"h/o/n|{revision}", "ci")
    assert row["inputs"]["question"]["prediction"]["probability"] == pytest.approx(0.9)


def test_the_same_unit_has_the_same_lot_and_a_held_out_one_stops_nothing(tmp_path: Path) -> None:
    held = next(name for n in range(500) if draw_of("d", f"h/o/n|{(name := f'r{n}')}", "ci") < 0.03)

    first, second = (_ask(tmp_path / "l.sqlite", _policy(), held) for _ in range(2))

    assert (first.ruling.verdict, first.ruling.exit_code, first.ruling.held_out) == ("deny", 0, True)
    assert first.ruling == second.ruling
    assert not first.ruling.applied


def test_lots_are_spread_evenly_and_fall_anew_at_another_hook() -> None:
    draws = [draw_of("d", f"unit-{n}", "ci") for n in range(4000)]

    assert sum(draw < 0.03 for draw in draws) == pytest.approx(120, abs=40)
    assert all(0 <= draw < 1 for draw in draws)
    assert draw_of("d", "u", "ci") != draw_of("d", "u", "release")


@pytest.mark.parametrize(
    ("halted", "code"),
    [
        ({"halted": [{"scope": "all", "reason": "it went mad", "actor": "ana"}]}, 0),
        ({"halted": [{"scope": "deployment", "reason": "r", "actor": "a"}]}, 0),
        ({"halted": [{"scope": "operations", "reason": "r", "actor": "a"}]}, 1),
        ({"halted": [{"scope": "all", "is_on": False}]}, 1),
        ({"halted": []}, 1),
        ("not json at all", 0),
    ],
)
def test_a_halt_beside_the_snapshot_is_heeded_and_an_unreadable_one_halts(
    tmp_path: Path, halted: object, code: int
) -> None:
    standing = {"decision": "d", "entity": "changes", "action": "hold_change", "scope": "deployment"}
    (tmp_path / "standings.json").write_text(json.dumps({"standings": [{**standing, "level": "autonomous"}]}))
    (tmp_path / "halted.json").write_text(halted if isinstance(halted, str) else json.dumps(halted))

    answer = _ask(tmp_path / "l.sqlite", _policy(), _clear_of_holdout()[0], standings=read_standings(tmp_path))

    assert answer.ruling.exit_code == code
    assert (answer.ruling.rules[0] == "halted") is (code == 0)


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{", '{"standings": {}}', '{"standings": [1, null]}', '{"standings": [{"level": "godlike"}]}', "\\xff"],
)
def test_standings_that_cannot_be_read_have_earned_nothing(tmp_path: Path, text: str) -> None:
    (tmp_path / "standings.json").write_text(text)

    standings = read_standings(tmp_path)

    assert standings.earned("d", "changes", "hold_change", Scope.DEPLOYMENT) is Level.ASSISTED


def test_a_ceiling_that_somebody_set_lowers_the_policys_and_never_raises_it(tmp_path: Path) -> None:
    rows = [
        {"decision": None, "scope": "all", "level": "supervised"},
        {"decision": "d", "scope": "deployment", "level": "autonomous"},
    ]
    (tmp_path / "standings.json").write_text(json.dumps({"standings": [], "ceilings": rows}))
    standings = read_standings(tmp_path)

    assert standings.ceiling("d", Scope.DEPLOYMENT) is Level.SUPERVISED
    assert standings.ceiling("other", Scope.OPERATIONS) is Level.SUPERVISED
    assert Standings().ceiling("d", Scope.DEPLOYMENT) is None


def test_a_rate_limit_counts_units_in_the_ledger_and_then_lets_go(tmp_path: Path) -> None:
    """A unit asked again is the same unit; what falls out of the window counts no more."""
    ledger, policy = tmp_path / "l.sqlite", _policy(more=", rate_limit: {max: 2, per_hours: 4}")
    a, b, c, d = _clear_of_holdout()[:4]

    codes = [_ask(ledger, policy, unit).ruling.exit_code for unit in (a, a, b, c, a)]
    later = _ask(ledger, policy, d, now=NOW + timedelta(hours=5), age_hours=-4)

    assert codes == [1, 1, 1, 0, 1]
    assert later.ruling.exit_code == 1


def test_a_blast_radius_is_a_share_of_what_was_decided(tmp_path: Path) -> None:
    ledger, policy = tmp_path / "l.sqlite", _policy(more=", blast_radius: {max_share: 0.25, then: supervised}")
    units = _clear_of_holdout()[:8]

    calm = [_ask(ledger, policy, unit, 0.1).ruling.exit_code for unit in units[:5]]
    risky = [_ask(ledger, policy, unit).ruling.exit_code for unit in units[5:]]

    assert calm == [0] * 5
    assert risky == [1, 3, 1]  # 1 of 6, then 1 of 7 is all that a quarter allows, then 2 of 8


def test_what_a_persons_rule_held_back_does_not_use_up_the_budget(tmp_path: Path) -> None:
    ledger = tmp_path / "l.sqlite"
    frozen = _policy(
        more=", rate_limit: {max: 1, per_hours: 24}, freeze: [{days: [fri], hours: 15:00-16:00, reason: r}]"
    )
    a, b, c = _clear_of_holdout()[:3]

    during = [_ask(ledger, frozen, unit, 0.1).ruling.exit_code for unit in (a, b)]
    after = _ask(ledger, frozen, c, now=NOW + timedelta(hours=2), age_hours=-1)

    assert during == [1, 1]
    assert after.ruling.exit_code == 1


def test_without_a_ledger_a_budget_counts_as_used_up_and_it_is_said(tmp_path: Path) -> None:
    revision = _clear_of_holdout()[0]

    answer = _ask(None, _policy(more=", rate_limit: {max: 9, per_hours: 1}"), revision)

    assert (answer.ruling.verdict, answer.ruling.exit_code) == ("deny", 0)
    assert any("is not known, so the budget counts as used up" in reason for reason in answer.ruling.reasons)


@pytest.mark.parametrize(
    ("paths", "verdict", "code"),
    [(("a.py", "db/migrations/1.sql"), "review", 3), (("a.py",), "allow", 0), ((), "allow", 0), (None, "unknown", 0)],
)
def test_a_change_to_a_protected_path_needs_a_person_and_unknown_paths_are_no_allow(
    tmp_path: Path, paths: tuple[str, ...] | None, verdict: str, code: int
) -> None:
    """Without anything earned: the rule is a person's."""
    policy = _policy(more=", protected_paths: [migrations/]")

    answer = _ask(tmp_path / "l.sqlite", policy, probability=0.1, standings=Standings(), changed_paths=lambda _: paths)

    assert (answer.ruling.verdict, answer.ruling.exit_code) == (verdict, code)


def test_paths_are_looked_up_only_where_policy_protects_any(tmp_path: Path) -> None:
    def never(_: Mapping[str, Any]) -> tuple[str, ...]:
        raise AssertionError("asked git for nothing")

    assert _ask(tmp_path / "l.sqlite", _policy(), changed_paths=never).ruling.verdict == "deny"


@pytest.mark.parametrize(
    ("key", "subject", "environment"),
    [
        (["service_key", "environment"], {"environment": "prod", "service_key": "a/b/c"}, "prod"),
        (["service_key", "environment"], {"service_key": "ns/web/staging"}, "staging"),
        (["service_key", "environment"], {"service_key": "web"}, None),
        (["repo_id", "revision"], {"revision": "a"}, ""),
    ],
)
def test_the_environment_is_the_subjects_own_or_its_services(
    key: list[str], subject: dict[str, str], environment: str | None
) -> None:
    kind = {"entity": "e", "key": key}
    asked = Asked(decision="d", kind=kind, unit="u", subject=subject, hook="ci", now=NOW)

    assert question(Policy(version=1), asked, None, lambda *_: Usage()).environment == environment


def test_a_freeze_holds_deployments_and_a_tag_gets_through(tmp_path: Path) -> None:
    policy = _policy(more=", freeze: [{days: [fri], reason: no Fridays, except: [hotfix]}]")

    held = _ask(tmp_path / "l.sqlite", policy, probability=0.1, standings=Standings())
    hotfix = _ask(tmp_path / "l.sqlite", policy, probability=0.1, standings=Standings(), tags=("hotfix",))

    assert (held.ruling.verdict, held.ruling.exit_code, held.ruling.by) == ("deny", 1, "person")
    assert held.ruling.reasons[0] == "frozen: no Fridays"
    assert hotfix.ruling.exit_code == 0


POLICIES = [
    "",
    _policy(),
    _policy("level: supervised, review_at: 0.3, deny_at: 0.7, on_unknown: fail_closed"),
    _policy(more=", protected_paths: ['*.sql']"),
    _policy(more=", freeze: [{days: [fri], reason: r, except: [hotfix]}]"),
    _policy(more=", rate_limit: {max: 1, per_hours: 24}, blast_radius: {max_share: 0.5}"),
    (
        "version: 1\ncosts: {currency: EUR, escape: 9, delayed_change: 1, review: 0.5}\n"
        "decisions: {d: {ceiling: autonomous, deny_at: from_costs, review_at: from_costs}}\n"
    ),
    "trigger_intelligence: {risk_assessment: supervised}\n",
]


def test_every_recorded_decision_is_judged_the_same_again_from_its_record_alone(tmp_path: Path) -> None:
    """Verdict, exit code, reasons and rules: from the ledger's row and the policy's text, nothing else."""
    path = tmp_path / "l.sqlite"
    circumstances: list[dict[str, Any]] = [
        {},
        {"standings": Standings()},
        {"standings": Standings(halts={"all": "stop (ana)"})},
        {"standings": Standings(levels=EARNED.levels, ceilings={("", "all"): Level.SUPERVISED})},
        {"tags": ("hotfix",), "changed_paths": lambda _: ("a.sql", "b.py")},
        {"found": False},
        {"age_hours": 30.0},
    ]
    asked = []
    for (n, policy), case, p in itertools.product(
        enumerate(POLICIES), circumstances, (0.0, 0.3, 0.7, 1.0, math.nan, math.inf, None)
    ):
        asked.append(_ask(path, policy, f"r{n}", p, **case))

    with Ledger.open(f"sqlite:///{path}") as ledger:
        rows = {row["decision_id"]: row for row in ledger.tail("decisions", 10_000)}
        texts = {row["policy_sha256"]: row["text"] for row in ledger.tail("policies", 100)}
        verified = ledger.verify().ok
    assert verified
    assert len(rows) == len(asked) == len(POLICIES) * len(circumstances) * 7
    for answer in asked:
        row = rows[answer.decision_id]
        again = judged_again(in_force(texts[row["policy_sha256"]], "as recorded"), row["inputs"])
        assert again == answer.ruling
        assert (row["verdict"], row["exit_code"], row["rules"]) == (again.verdict, again.exit_code, list(again.rules))


def test_git_says_what_a_revision_changes_with_both_names_of_a_rename(tmp_path: Path) -> None:
    def git(*words: str) -> str:
        config = ["-c", "user.name=a", "-c", "user.email=a@b.c", "-c", "init.defaultBranch=main"]
        command = ["git", *config, "-C", str(tmp_path), *words]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    git("init", "-q")
    (tmp_path / "safe").mkdir()
    (tmp_path / "safe" / "ü.py").write_text("x = 1\n" * 20)
    git("add", ".")
    git("commit", "-q", "-m", "first")
    first = git("rev-parse", "HEAD")
    git("checkout", "-q", "-b", "topic")
    git("mv", "safe/ü.py", "moved.py")
    git("commit", "-q", "-m", "second")
    (tmp_path / "third").write_text("3")
    git("add", ".")
    git("commit", "-q", "-m", "third")
    git("checkout", "-q", "main")
    git("merge", "-q", "--no-ff", "-m", "merged", "topic")

    assert changed_paths(tmp_path, first) == ("safe/ü.py",)
    assert changed_paths(tmp_path, git("rev-parse", "topic~1")) == ("moved.py", "safe/ü.py")
    assert changed_paths(tmp_path, git("rev-parse", "topic"), first) == ("moved.py", "safe/ü.py", "third")
    assert changed_paths(tmp_path, git("rev-parse", "main")) == ("moved.py", "safe/ü.py", "third")
    assert changed_paths(tmp_path, "0" * 40) is None
