"""What is kept between assessments changes no figure: whatever happened, reading all of it gives the same trials."""

import json
import subprocess
import sys
import time
import zipfile
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from models.test_selection import SPEC
from weaver_forge.autonomy.trials import Trials
from weaver_forge.contracts.decision import Action, DecisionSpec, Method, Predictions, SubjectKind
from weaver_forge.contracts.table import Column
from weaver_forge.ledger import Ledger
from weaver_forge.ledger import kept as files
from weaver_forge.ledger.assessing import Circumstances, assess_all
from weaver_forge.ledger.gathering import Asked, Gathering
from weaver_forge.policy import parse

START = datetime(2026, 3, 1)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
HOLD = Action(name="hold", on="high", doc="It waits.", hides_outcome=True)
SKIP = Action(name="skip", on="low", doc="It is left out.")
SCALE = Action(name="scale", on="upper", doc="There is room for it.")
WEIGHTS = {"live": 1.0, "replay": 0.25, "simulated": 0.0}
BY_COST = (0.004 * pl.col("duration_ms") / 60_000).clip(upper_bound=1.0)

POLICY = """\
version: 1
decisions:
  guess: {scope: deployment, ceiling: autonomous, deny_at: 0.5, skip_below: 0.5, evidence: {stale_days: 1000}}
"""


def nothing(*_: Any) -> Any:
    """Methods and functions that no test here calls."""
    raise AssertionError


def kind(*actions: Action, **changed: Any) -> SubjectKind:
    method = Method("none", nothing, lambda _a, _f: Predictions(pl.DataFrame()))
    given: dict[str, Any] = {
        "key": (
            Column("thing", "VARCHAR", "Which."),
            Column("at", "TIMESTAMP", "When."),
            Column("part", "VARCHAR", "Of it."),
        ),
        "decided_per": ("thing", "at"),
        **changed,
    }
    return SubjectKind(
        entity="things", predicts="event", label="It broke.", maturity="At once.", link="given",
        resolve_after=DAY, feature_columns=(), history=nothing, current=nothing, features=nothing, labels=nothing,
        baseline=method, model=method, metrics=("brier",), actions=actions, **given,
    )  # fmt: skip


PER_UNIT = kind(HOLD, SKIP)
PER_DAY = kind(HOLD, SKIP, judged_per=("thing", "at"), one_sided_for=timedelta(days=2))
FORECAST = kind(SCALE, decided_per=("thing",), judged_per=("thing", "at"))
WIDER = kind(SKIP, decided_per=("at",), judged_per=("thing",))


class World:
    """Things of which more and more becomes known, in any order, with whatever goes wrong with an order."""

    def __init__(self, ledger: Ledger, rng: np.random.Generator, subject: SubjectKind) -> None:
        self.ledger, self.rng, self.subject = ledger, rng, subject
        self.said: list[dict[str, Any]] = []
        self.n = 0

    def step(self) -> None:
        """Something happens."""
        happening = self.rng.choice(["predicted", "resolved", "decided", "approved"], p=[0.35, 0.4, 0.15, 0.1])
        getattr(self, str(happening))()

    def predicted(self) -> None:
        """Some parts of a thing at once, seen before or not."""
        at = START + HOUR * int(self.rng.integers(0, 120))
        thing, origin = f"t{self.rng.integers(0, 4)}", str(self.rng.choice(["live", "live", "replay", "simulated"]))
        subjects = [{"thing": thing, "at": at.isoformat(), "part": f"p{n}"} for n in range(self.rng.integers(1, 5))]
        rows = [self._said(subject, at, origin) for subject in subjects]
        self.said += rows
        self.ledger.append("predictions", rows, now=START)

    def resolved(self) -> None:
        """Of any that were said, resolved before or not."""
        some = self.rng.permutation(len(self.said))[: self.rng.integers(1, 30)]
        self.ledger.append("outcomes", [self._outcome(self.said[n]) for n in some], now=START)

    def decided(self) -> None:
        """By either hook, about some units."""
        units = {row["unit"] for row in self.rng.permutation(np.array(self.said, dtype=object))[:2]}
        rows = [
            {
                "decision": "guess", "entity": "things", "unit": unit, "hook": str(self.rng.choice(["ci", "cd"])),
                "verdict": "deny", "level": str(self.rng.choice(["assisted", "autonomous"])), "scope": "deployment",
                "applied": bool(self.rng.integers(0, 2)), "held_out": bool(self.rng.integers(0, 2)),
                "exit_code": int(self.rng.integers(0, 2)), "made_at": START,
            }
            for unit in sorted(units)
        ]  # fmt: skip
        self.ledger.append("decisions", rows, now=START)

    def approved(self) -> None:
        """One unit, at one hook."""
        unit = self.said[int(self.rng.integers(0, len(self.said)))]["unit"] if self.said else "nothing"
        row = {
            "decision_id": "d", "decision": "guess", "unit": unit, "hook": "ci", "actor": "ana",
            "approved_at": START, "expires_at": START + DAY,
        }  # fmt: skip
        self.ledger.append("approvals", [row], now=START)

    def _said(self, subject: dict[str, str], at: datetime, origin: str) -> dict[str, Any]:
        self.n += 1
        return {
            "prediction_id": f"p{self.n}", "decision": "guess", "entity": "things", "subject": subject,
            "unit": "|".join(subject[name] for name in self.subject.decided_per), "predicted_at": at, "made_at": at,
            "origin": origin, "probability": float(self.rng.random()), "q_975": float(self.rng.random()),
            "model_name": "m", "model_version": str(self.n), "is_baseline": False,
            "data_as_of": at if self.rng.random() < 0.8 else None,
        }  # fmt: skip

    def _outcome(self, row: dict[str, Any]) -> dict[str, Any]:
        maturity = str(self.rng.choice(["mature"] * 6 + ["pending", "unresolvable"]))
        known = row["predicted_at"] + HOUR * int(self.rng.integers(1, 200)) if maturity == "mature" else None
        return {
            "prediction_id": row["prediction_id"], "maturity": maturity, "outcome_known_at": known,
            "outcome": float(self.rng.integers(0, 2)) if known else None,
            "cost": float(self.rng.random() * 1e5) if self.rng.random() < 0.7 else None,
        }  # fmt: skip


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with Ledger.open(f"sqlite:///{tmp_path / 'ledger.sqlite'}") as opened:
        yield opened


def asked(subject: SubjectKind, threshold: float | pl.Expr = 0.5) -> list[Asked]:
    return [
        Asked(action=action, threshold=None if action.on == "upper" else threshold, weights=WEIGHTS)
        for action in subject.actions
    ]


def whole(ledger: Ledger, subject: SubjectKind, wanted: Sequence[Asked]) -> tuple[list[str], list[Trials]]:
    everything = Gathering(ledger, "guess", subject)
    return everything.scopes, everything.trials(wanted)


def assert_same(some: tuple[list[str], list[Trials]], other: tuple[list[str], list[Trials]]) -> None:
    assert some[0] == other[0]
    for mine, theirs in zip(some[1], other[1], strict=True):
        assert_frame_equal(mine.mature, theirs.mature, check_exact=True)
        assert mine.recent_probability.tolist() == theirs.recent_probability.tolist()
        assert (mine.n_pending, mine.n_unresolvable, mine.data_as_of) == (
            theirs.n_pending, theirs.n_unresolvable, theirs.data_as_of,
        )  # fmt: skip


@pytest.mark.parametrize("threshold", [0.5, BY_COST], ids=["given", "by cost"])
@pytest.mark.parametrize("subject", [PER_UNIT, PER_DAY, FORECAST, WIDER], ids=["unit", "day", "forecast", "wider"])
def test_adding_what_is_new_gives_what_reading_everything_gives(
    ledger_url: str, tmp_path: Path, subject: SubjectKind, threshold: float | pl.Expr
) -> None:
    """Late outcomes, superseded ones, decisions and approvals before and after, subjects predicted again."""
    with Ledger.open(ledger_url) as ledger:
        _add_and_compare(ledger, tmp_path, subject, threshold)


def _add_and_compare(ledger: Ledger, tmp_path: Path, subject: SubjectKind, threshold: float | pl.Expr) -> None:
    world, wanted = World(ledger, np.random.default_rng(5), subject), asked(subject, threshold)
    world.predicted()
    n_continued = 0

    for _ in range(25):
        for _ in range(world.rng.integers(0, 4)):
            world.step()
        looked = Gathering(ledger, "guess", subject, tmp_path / "kept")
        assert_same((looked.scopes, looked.trials(wanted)), whole(ledger, subject, wanted))
        n_continued += looked.is_from_kept

    assert n_continued == (0 if subject is WIDER else 24)
    assert subject is WIDER or sum(trials.mature.height for trials in whole(ledger, subject, wanted)[1]) > 0


def test_few_among_many_are_made_anew_by_themselves(
    ledger: Ledger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("weaver_forge.ledger.gathering._FEW", 0)
    monkeypatch.setattr("weaver_forge.ledger.gathering._MOST_TOUCHED", 1.0)
    world, wanted = World(ledger, np.random.default_rng(6), PER_UNIT), asked(PER_UNIT)
    for _ in range(60):
        world.predicted()
    Gathering(ledger, "guess", PER_UNIT, tmp_path).trials(wanted)
    world.resolved()

    looked = Gathering(ledger, "guess", PER_UNIT, tmp_path)
    monkeypatch.setattr(Gathering, "_whole", nothing)
    found = looked.trials(wanted)
    monkeypatch.undo()

    assert_same((looked.scopes, found), whole(ledger, PER_UNIT, wanted))


def test_another_threshold_weight_or_program_has_everything_made_anew(
    ledger: Ledger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World(ledger, np.random.default_rng(7), PER_UNIT)
    for _ in range(30):
        world.predicted()
        world.resolved()
    lighter = {"live": 1.0, "replay": 0.0, "simulated": 1.0}
    changes = [
        asked(PER_UNIT, 0.5), asked(PER_UNIT, 0.3), asked(PER_UNIT, BY_COST), asked(PER_UNIT, BY_COST * 2),
        [Asked(action=HOLD, threshold=0.3, weights=lighter)], asked(PER_UNIT, 0.3),
    ]  # fmt: skip

    for wanted in changes:
        world.step()
        looked = Gathering(ledger, "guess", PER_UNIT, tmp_path)
        assert_same((looked.scopes, looked.trials(wanted)), whole(ledger, PER_UNIT, wanted))
    monkeypatch.setattr("weaver_forge.ledger.gathering.__version__", "another")

    assert not Gathering(ledger, "guess", PER_UNIT, tmp_path).is_from_kept


def test_what_is_removed_damaged_or_of_another_ledger_is_made_anew(tmp_path: Path) -> None:
    wanted, file = asked(PER_UNIT), tmp_path / "kept" / "guess.things.trials"
    for name in ("one", "other"):
        with Ledger.open(f"sqlite:///{tmp_path / name}") as ledger:
            world = World(ledger, np.random.default_rng(len(name)), PER_UNIT)
            for _ in range(20):
                world.predicted()
                world.resolved()
            looked = Gathering(ledger, "guess", PER_UNIT, file.parent)
            assert not looked.is_from_kept
            assert_same((looked.scopes, looked.trials(wanted)), whole(ledger, PER_UNIT, wanted))
    good = file.read_bytes()

    with Ledger.open(f"sqlite:///{tmp_path / 'other'}") as ledger:
        assert Gathering(ledger, "guess", PER_UNIT, file.parent).is_from_kept
        for damage in (b"", good[: len(good) // 2], b"\0" * len(good), good[:-30] + b"\1" * 30):
            file.write_bytes(damage)
            looked = Gathering(ledger, "guess", PER_UNIT, file.parent)
            assert not looked.is_from_kept
            assert_same((looked.scopes, looked.trials(wanted)), whole(ledger, PER_UNIT, wanted))


def test_any_byte_of_what_is_kept_that_is_flipped_is_noticed_or_means_nothing(ledger: Ledger, tmp_path: Path) -> None:
    wanted, rng = asked(PER_UNIT), np.random.default_rng(8)
    world = World(ledger, rng, PER_UNIT)
    for _ in range(20):
        world.predicted()
        world.resolved()
    expected = Gathering(ledger, "guess", PER_UNIT, tmp_path).trials(wanted)
    file = tmp_path / "guess.things.trials"
    good = file.read_bytes()

    for at in rng.integers(0, len(good), 60):
        file.write_bytes(good[:at] + bytes([good[at] ^ (1 << rng.integers(0, 8))]) + good[at + 1 :])
        looked = Gathering(ledger, "guess", PER_UNIT, tmp_path)
        assert_same((looked.scopes, looked.trials(wanted)), (looked.scopes, expected))


def spec(*kinds: SubjectKind) -> DecisionSpec:
    return DecisionSpec(name="guess", summary="A guess.", reads=(), sources={}, score_unit="", kinds=kinds)


def around(now: datetime, text: str = POLICY) -> Circumstances:
    return Circumstances(policy=parse(text, "p.yaml"), halted=lambda _scope: "", now=now)


def test_standings_with_what_is_kept_are_those_without_also_across_a_changed_policy(tmp_path: Path) -> None:
    """Two ledgers in which the same happens: one assessed with a folder, one without; promoted and fallen again."""
    changed = POLICY.replace("deny_at: 0.5", "deny_at: 0.6").replace("skip_below: 0.5", "skip_below: 0.3")
    said: dict[str, list[dict[str, Any]]] = {}
    for name in ("kept", "whole"):
        with Ledger.open(f"sqlite:///{tmp_path / f'{name}.sqlite'}") as ledger:
            said[name] = list(_lived(ledger, tmp_path / "folder" if name == "kept" else None, changed))

    assert said["kept"] == said["whole"]
    assert {"assisted", "supervised"} < {row["level"] for row in said["kept"]}
    assert {"precision", "evidence"} <= {row["cause"] for row in said["kept"]}


def _lived(ledger: Ledger, folder: Path | None, changed: str) -> Iterator[dict[str, Any]]:
    rng = np.random.default_rng(9)
    for day in range(36):
        at = START + DAY * day
        subjects = [{"thing": f"t{n}", "at": at.isoformat(), "part": "a"} for n in range(4)]
        rows = [
            {
                "prediction_id": f"p{day}-{n}", "decision": "guess", "entity": "things", "subject": subject,
                "unit": f"{subject['thing']}|{subject['at']}", "predicted_at": at, "made_at": at, "origin": "live",
                "probability": 0.95, "model_name": "m", "model_version": "1", "is_baseline": False, "data_as_of": at,
            }
            for n, subject in enumerate(subjects)
        ]  # fmt: skip
        ledger.append("predictions", rows, now=at)
        good = 0.99 if day < 28 else 0.3
        outcomes = [
            {
                "prediction_id": row["prediction_id"], "outcome": float(rng.random() < good), "maturity": "mature",
                "outcome_known_at": at + HOUR,
            }
            for row in rows
        ]  # fmt: skip
        ledger.append("outcomes", outcomes, now=at)
        now, text = at + 2 * HOUR, changed if 12 <= day < 18 else POLICY
        for standing in assess_all(ledger, [spec(kind(HOLD))], around(now, text), folder):
            yield {key: value for key, value in standing.items() if key != "standing_id"}


def test_a_file_that_claims_more_than_the_ledger_gives_nobody_a_level(ledger: Ledger, tmp_path: Path) -> None:
    """A valid file with trials that never were: the proposal may stand on it, the promotion goes by the ledger."""
    subject = kind(HOLD)
    _few(ledger)
    assess_all(ledger, [spec(subject)], around(START + HOUR), tmp_path)
    file = tmp_path / "guess.things.trials"
    made_for = json.loads(_manifest(file))["made_for"]
    honest = files.load(file, made_for)
    assert honest is not None
    [name] = [name for name in honest.frames if name.startswith("clusters-")]
    row = honest.frames[name].head(1)
    many = pl.concat(
        [row.with_columns(pl.lit(1.0).alias("probability"), unit=pl.lit(f"made up {n}")) for n in range(300)]
    )
    files.save(
        file,
        files.Kept(
            made_for=made_for, until=honest.until, link=honest.link, said=honest.said,
            frames={**honest.frames, name: many},
        ),
    )  # fmt: skip

    [proposed] = assess_all(ledger, [spec(subject)], around(START + 2 * HOUR), tmp_path)
    [then] = assess_all(ledger, [spec(subject)], around(START + 30 * HOUR), tmp_path)

    assert proposed["proposed_level"] is not None
    assert (then["level"], then["n_trials"]) == ("assisted", pytest.approx(3, abs=0.1))


def _few(ledger: Ledger) -> None:
    rows = [
        {
            "prediction_id": f"p{n}", "decision": "guess", "entity": "things",
            "subject": {"thing": f"t{n}", "at": START.isoformat(), "part": "a"}, "unit": f"t{n}|{START.isoformat()}",
            "predicted_at": START, "made_at": START, "origin": "live", "probability": 0.9, "model_name": "m",
            "model_version": "1", "is_baseline": False, "data_as_of": START,
        }
        for n in range(3)
    ]  # fmt: skip
    ledger.append("predictions", rows, now=START)
    ledger.append(
        "outcomes",
        [
            {
                "prediction_id": row["prediction_id"], "outcome": 1.0, "maturity": "mature",
                "outcome_known_at": START + HOUR / 2,
            }
            for row in rows
        ],
        now=START,
    )  # fmt: skip


def _manifest(file: Path) -> bytes:
    with zipfile.ZipFile(file) as opened:
        return opened.read("manifest.json")


_ASSESSOR = """
import sys
from pathlib import Path
from models.test_selection import SPEC
from weaver_forge.ledger import Ledger
from weaver_forge.ledger.gathering import Asked, Gathering

kind = SPEC.kinds[0]
asked = [Asked(action=kind.actions[0], threshold=0.5, weights={"live": 1.0})]
with Ledger.open(f"sqlite:///{sys.argv[1]}") as ledger:
    Gathering(ledger, SPEC.name, kind).trials(asked)
    print("ready", flush=True)
    while True:
        gathering = Gathering(ledger, SPEC.name, kind, Path(sys.argv[2]))
        gathering.forget()
        gathering.trials(asked)
"""


def test_an_assessment_killed_at_any_point_leaves_what_the_next_one_can_go_on_from(tmp_path: Path) -> None:
    """A process that assesses again and again is killed; the figures stay those of the ledger."""
    path, folder, subject = tmp_path / "ledger.sqlite", tmp_path / "kept", SPEC.kinds[0]
    rng, wanted = np.random.default_rng(10), [Asked(action=subject.actions[0], threshold=0.5, weights={"live": 1.0})]
    with Ledger.open(f"sqlite:///{path}") as ledger:
        for number in range(3):
            _append_run(ledger, number, rng)
            command = [sys.executable, "-c", _ASSESSOR, str(path), str(folder)]
            with subprocess.Popen(command, stdout=subprocess.PIPE) as child:
                assert child.stdout is not None
                child.stdout.readline()
                time.sleep(float(rng.uniform(0.0, 0.05)))
                child.kill()
            looked = Gathering(ledger, SPEC.name, subject, folder)
            mine, everything = looked.trials(wanted), Gathering(ledger, SPEC.name, subject)
            assert_same((looked.scopes, mine), (everything.scopes, everything.trials(wanted)))


def _append_run(ledger: Ledger, number: int, rng: np.random.Generator) -> None:
    at, tests = START + HOUR * number, range(2000)
    rows = [
        {
            "prediction_id": f"{number}-{n}", "decision": SPEC.name, "entity": "tests", "unit": f"shop|{number}",
            "subject": {"repo_id": "shop", "revision": str(number), "test_id": f"t{n}"}, "predicted_at": at,
            "made_at": at, "origin": "live", "probability": float(rng.random()), "model_name": "m",
            "model_version": "1", "is_baseline": False, "data_as_of": at,
        }
        for n in tests
    ]  # fmt: skip
    ledger.append("predictions", rows, now=at)
    outcomes = [
        {"prediction_id": f"{number}-{n}", "outcome": 0.0, "maturity": "mature", "outcome_known_at": at} for n in tests
    ]
    ledger.append("outcomes", outcomes, now=at)
