"""A decision is reproduced from the ledger alone, and policy is asked again; live decisions are counted in buckets."""

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from weaver_forge.cli.app import run
from weaver_forge.contracts.values import Level
from weaver_forge.errors import UsageError
from weaver_forge.hooks.asking import inputs_of
from weaver_forge.hooks.reproducing import About, left_again, reproduced
from weaver_forge.ledger import Ledger, uuid7
from weaver_forge.ledger.queries_accounting import accounting
from weaver_forge.policy import Question, evaluate, parse
from weaver_forge.policy.leaving import Left, names_sha256
from weaver_forge.policy.question import PredictionView

NOW = datetime(2026, 5, 4, 12)
POLICY = """version: 1
decisions:
  deploy_risk: {scope: deployment, ceiling: autonomous, review_at: 0.3, deny_at: 0.7}
  test_selection: {scope: development, ceiling: autonomous, skip_below: 0.01}
"""
SHA256 = sha256(POLICY.encode()).hexdigest()
Decide = Callable[..., str]
AUTONOMOUS = Level.AUTONOMOUS
EXTRA = {"schema_version", "row_sha256", "batch_seq", "position", "recorded_at"}


@pytest.fixture
def ledger(ledger_url: str) -> Iterator[Ledger]:
    """An empty ledger that knows the policy."""
    with Ledger.open(ledger_url) as opened:
        opened.append("policies", [{"policy_sha256": SHA256, "text": POLICY, "first_used_at": NOW}], now=NOW)
        yield opened


def predict(ledger: Ledger, number: int, subject: dict[str, str], decision: str, entity: str, **said: Any) -> str:
    made = uuid7(NOW, number.to_bytes(10, "big"))
    unit = "|".join(value for name, value in subject.items() if name != "test_id")
    ledger.append(
        "predictions",
        [
            {
                "prediction_id": made, "decision": decision, "entity": entity, "subject": subject, "unit": unit,
                "predicted_at": NOW, "made_at": NOW, "origin": "live", "model_name": "m", "model_version": "3",
                "is_baseline": False, "baseline_name": "b", "data_as_of": NOW,
                "evidence": [{"fact": "touches a hot file", "contribution": 1.5, "link": ""}],
                "sources_missing": ["incidents"], **said,
            }
        ],
        now=NOW,
    )  # fmt: skip
    return made


def decide(
    ledger: Ledger, number: int, decision: str, entity: str, unit: str, ids: list[str], asked: Question, **more: Any
) -> str:
    ruling = evaluate(parse(POLICY, "policy"), asked)
    made = uuid7(NOW + timedelta(seconds=number), (1000 + number).to_bytes(10, "big"))
    ledger.append(
        "decisions",
        [
            {
                "decision_id": made, "decision": decision, "entity": entity, "unit": unit, "hook": "ci",
                "prediction_ids": ids, "verdict": str(ruling.verdict), "level": str(ruling.level),
                "scope": str(ruling.scope), "applied": ruling.applied, "exit_code": ruling.exit_code,
                "reasons": list(ruling.reasons), "rules": list(ruling.rules), "policy_sha256": SHA256,
                "made_at": NOW, "inputs": inputs_of(asked, ruling), **more,
            }
        ],
        now=NOW,
    )  # fmt: skip
    return made


def about_change(ledger: Ledger, number: int, probability: float, earned: str = "autonomous", **more: Any) -> str:
    revision = f"{number:040x}"
    subject = {"repo_id": "host/shop", "revision": revision}
    id_ = predict(ledger, number, subject, "deploy_risk", "changes", probability=probability)
    view = PredictionView(probability=probability, made_at=NOW)
    asked = Question(decision="deploy_risk", now=NOW, prediction=view, earned=earned)  # type: ignore[arg-type]
    return decide(ledger, number, "deploy_risk", "changes", f"host/shop|{revision}", [id_], asked, **more)


def resolve(ledger: Ledger, number: int, outcome: float, link: str = "blame") -> None:
    row = {"prediction_id": uuid7(NOW, number.to_bytes(10, "big")), "outcome": outcome, "maturity": "mature",
           "outcome_known_at": NOW, "link_method": link}  # fmt: skip
    ledger.append("outcomes", [row], now=NOW)


def test_a_decision_is_judged_again_from_its_record_and_comes_out_the_same(ledger: Ledger) -> None:
    made = about_change(ledger, 1, 0.9)

    found = reproduced(ledger, About(id=made))

    assert found["again"] == {"same": True, "why": "", "differences": {}}
    assert found["predictions"][0]["sources_missing"] == ["incidents"]
    assert found["predictions"][0]["evidence"][0]["fact"] == "touches a hot file"


def test_a_record_that_policy_would_not_have_made_is_found_out(ledger: Ledger) -> None:
    made = about_change(ledger, 1, 0.9, verdict="allow", exit_code=0)

    again = reproduced(ledger, About(id=made))["again"]

    assert again["same"] is False
    assert again["differences"]["verdict"] == {"recorded": "allow", "now": "deny"}


def test_a_decision_from_before_inputs_were_kept_says_that_it_cannot_be_made_again(ledger: Ledger) -> None:
    made = about_change(ledger, 1, 0.9, inputs=None)

    again = reproduced(ledger, About(id=made))["again"]

    assert again["same"] is None
    assert again["why"]


def test_what_held_a_change_back_is_found_by_its_beginning(ledger: Ledger) -> None:
    held = about_change(ledger, 0xABC, 0.9)
    about_change(ledger, 2, 0.1)

    found = reproduced(ledger, About(blocked=f"{0xABC:040x}"))

    assert found["id"] == held
    assert found["notes"] == []


def test_a_verdict_that_was_only_said_is_found_as_not_held(ledger: Ledger) -> None:
    about_change(ledger, 1, 0.9, earned="assisted")

    found = reproduced(ledger, About(blocked=f"{1:040x}"))

    assert "not held back" in found["notes"][0]


def test_what_was_never_held_back_is_said(ledger: Ledger) -> None:
    about_change(ledger, 1, 0.1)

    with pytest.raises(UsageError, match="nothing held back"):
        reproduced(ledger, About(blocked=f"{1:040x}"))


def with_tests(ledger: Ledger, *chances: float, left: Left | None = None) -> str:
    revision = f"{7:040x}"
    ids = [
        predict(
            ledger, 50 + number, {"repo_id": "host/shop", "revision": revision, "test_id": f"tests/a.py::t{number}"},
            "test_selection", "tests", probability=chance, score=chance,
        )
        for number, chance in enumerate(chances)
    ]  # fmt: skip
    view = PredictionView(probability=max(chances), made_at=NOW)
    if left is None:  # as older programs asked
        asked = Question(decision="test_selection", now=NOW, prediction=view, holds=False)
        return decide(ledger, 7, "test_selection", "tests", f"host/shop|{revision}", ids, asked)
    asked = Question(
        decision="test_selection", action="leave", on="low", holds=False, now=NOW, prediction=view, earned=AUTONOMOUS
    )
    inputs = {**inputs_of(asked, evaluate(parse(POLICY, "policy"), asked)), "left": left.as_data()}
    return decide(
        ledger, 7, "test_selection", "tests", f"host/shop|{revision}", ids, asked, inputs=inputs, action="leave"
    )


def left(*below: int, skipped: bool = True, **more: Any) -> Left:
    names = names_sha256(f"tests/a.py::t{number}" for number in below)
    return Left(**{"n": 3, "below": below, "skipped": below if skipped else (), "below_sha256": names, **more})


def test_a_test_of_a_change_has_its_place_and_what_policy_says_of_it(ledger: Ledger) -> None:
    made = with_tests(ledger, 0.5, 0.001, 0.2, left=left(1))

    found = reproduced(ledger, About(change=f"{7:040x}", test="a.py::t1"))

    assert found["id"] == made
    asked = found["test"]
    assert (asked["test_id"], asked["place"], asked["of"], asked["may_wait"]) == ("tests/a.py::t1", 3, 3, True)
    assert "below skip_below" in asked["why"][0]
    assert asked["left_for_later"] == "threshold"


def test_what_was_left_for_later_is_found_again_by_name_from_predictions_and_policy(ledger: Ledger) -> None:
    made = with_tests(ledger, 0.5, 0.001, 0.2, left=left(1, over_budget=(2,), budget="25%"))

    found = reproduced(ledger, About(id=made))["left"]

    assert (found["n"], found["below"], found["skipped"]) == (3, ["tests/a.py::t1"], ["tests/a.py::t1"])
    assert found["over_budget"] == ["tests/a.py::t2"]
    assert (found["same"], found["why"]) == (True, "")


@pytest.mark.parametrize("wrong", [left(), left(0), left(0, 1), left(1, below_sha256="0")])
def test_a_record_of_other_tests_than_are_below_the_threshold_is_found_out(ledger: Ledger, wrong: Left) -> None:
    made = with_tests(ledger, 0.5, 0.001, 0.2, left=wrong)

    assert reproduced(ledger, About(id=made))["left"]["same"] is False


def test_a_threshold_from_money_is_found_again_with_the_durations_of_that_time(ledger: Ledger) -> None:
    """0.5 EUR a minute and 100 EUR an escape: 10 minutes may wait below 0.05; what nobody has timed runs."""
    text = POLICY.replace("skip_below: 0.01", "skip_below: from_costs") + (
        "costs: {currency: EUR, ci_minute: 0.5, escape: 100}\n"
    )
    sha256_ = sha256(text.encode()).hexdigest()
    ledger.append("policies", [{"policy_sha256": sha256_, "text": text, "first_used_at": NOW}], now=NOW)
    made = with_tests(ledger, 0.04, 0.04, 0.04, left=left(1, durations_ms=(60_000.0, 600_000.0, None)))
    row = ledger.decision(made)
    assert row is not None
    anew = {k: v for k, v in row.items() if k not in {"decision_id", "batch_seq", "position", "recorded_at"}}
    fields = {**anew, "decision_id": uuid7(NOW, bytes(10)), "policy_sha256": sha256_}
    ledger.append("decisions", [{k: v for k, v in fields.items() if k not in EXTRA}], now=NOW)

    found = reproduced(ledger, About(id=fields["decision_id"]))["left"]

    assert (found["below"], found["same"]) == (["tests/a.py::t1"], True)


def test_predictions_that_are_not_in_the_ledger_leave_it_open_what_was_below(ledger: Ledger) -> None:
    made = with_tests(ledger, 0.5, 0.001, left=left(1))
    row = ledger.decision(made)
    assert row is not None

    found = left_again({**row, "prediction_ids": [row["prediction_ids"][1], "gone"]}, [], POLICY)

    assert found is not None
    assert (found["same"], "2 of 2 predictions" in found["why"]) == (None, True)


def test_whether_a_test_could_wait_is_open_in_a_record_that_does_not_say(ledger: Ledger) -> None:
    with_tests(ledger, 0.5, 0.001, 0.2)

    asked = reproduced(ledger, About(change=f"{7:040x}", test="a.py::t1"))["test"]

    assert (asked["place"], asked["may_wait"], asked["left_for_later"]) == (3, None, None)


def test_an_order_that_was_not_known_left_nothing_for_later(ledger: Ledger) -> None:
    made = with_tests(ledger, 0.001, left=Left())

    found = reproduced(ledger, About(id=made))["left"]

    assert (found["n"], found["below"], found["same"]) == (0, [], True)


def test_a_part_of_several_tests_is_refused(ledger: Ledger) -> None:
    with_tests(ledger, 0.5, 0.001)

    with pytest.raises(UsageError, match="part of 2 tests"):
        reproduced(ledger, About(change=f"{7:040x}", test="a.py"))


def test_what_set_the_capacity_of_a_service_is_found_by_its_name(ledger: Ledger) -> None:
    subject = {"service_key": "shop/web/prod", "metric": "requests"}
    id_ = predict(ledger, 90, subject, "load_forecast", "points", value=10.0, q_975=20.0)
    view = PredictionView(probability=None, value=10.0, made_at=NOW)
    asked = Question(decision="load_forecast", action="scale", on="upper", holds=False, now=NOW, prediction=view)
    made = decide(ledger, 90, "load_forecast", "points", "shop/web/prod|requests", [id_], asked)

    assert reproduced(ledger, About(scaled="web"))["id"] == made
    with pytest.raises(UsageError, match="no decision about we"):
        reproduced(ledger, About(scaled="we"))


def test_live_decisions_are_counted_as_they_were_and_as_if_they_had_been_enforced(ledger: Ledger) -> None:
    for number, (chance, earned) in enumerate([(0.9, "autonomous"), (0.9, "assisted"), (0.1, "autonomous")], 1):
        about_change(ledger, number, chance, earned)
        resolve(ledger, number, 1.0)
    about_change(ledger, 4, 0.1)
    resolve(ledger, 4, 0.0, "revision:both outcomes, flaky")

    (row,) = accounting(ledger, "deploy_risk")

    was, would = row["as_it_was"], row["if_enforced"]
    assert row["n_decisions"] == 4
    assert (was["caught"], was["escaped"], was["unstable"]) == (1, 2, 1)
    assert (would["caught"], would["escaped"], would["unstable"]) == (2, 1, 1)
    assert was["escape_rate"]["text"] == "insufficient data: 3 of 30"


def test_of_a_ranking_it_is_said_that_the_record_does_not_say_what_waited(ledger: Ledger) -> None:
    with_tests(ledger, 0.5, 0.001)
    resolve(ledger, 50, 1.0)
    resolve(ledger, 51, 1.0)

    (row,) = accounting(ledger, "test_selection")

    assert row["as_it_was"] is None
    assert row["why"]
    assert row["escapes"] == []
    assert (row["if_enforced"]["caught"], row["if_enforced"]["escaped"]) == (1, 1)


def test_what_a_ranking_left_for_later_is_counted_in_the_three_buckets(ledger: Ledger) -> None:
    """Test 1 waited and failed; test 0 failed too and ran; test 2 waited for want of room, and is flaky."""
    with_tests(ledger, 0.5, 0.001, 0.2, left=left(1, over_budget=(2,)))
    resolve(ledger, 50, 1.0)
    resolve(ledger, 51, 1.0)
    resolve(ledger, 52, 0.0, "revision:both outcomes, flaky")

    (row,) = accounting(ledger, "test_selection")

    was = row["as_it_was"]
    assert row["action"] == "leave"
    assert (was["caught"], was["escaped"], was["unstable"]) == (1, 1, 1)
    assert row["if_enforced"]["escaped"] == 1
    assert [(one["hook"], one["subject"]["test_id"]) for one in row["escapes"]] == [("ci", "tests/a.py::t1")]


def test_in_shadow_nothing_escaped_and_what_would_have_is_counted_beside(ledger: Ledger) -> None:
    with_tests(ledger, 0.5, 0.001, left=left(1, skipped=False))
    resolve(ledger, 50, 1.0)
    resolve(ledger, 51, 1.0)

    (row,) = accounting(ledger, "test_selection")

    assert (row["as_it_was"]["caught"], row["as_it_was"]["escaped"]) == (2, 0)
    assert (row["if_enforced"]["caught"], row["if_enforced"]["escaped"]) == (1, 1)


def test_only_decisions_since_then_count(ledger: Ledger) -> None:
    about_change(ledger, 1, 0.9)

    assert accounting(ledger, "deploy_risk", NOW + timedelta(seconds=1)) == []
    assert accounting(ledger, "deploy_risk", NOW)


def test_the_command_needs_nothing_but_the_ledger_and_says_facts_before_the_score(
    ledger: Ledger, ledger_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Neither warehouse nor snapshot nor policy file is there."""
    about_change(ledger, 1, 0.9)
    (tmp_path / "weaver-forge.toml").touch()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("WEAVER_FORGE_LEDGER_URL", ledger_url)

    code = run(["why", "--blocked", f"{1:040x}"])

    out = capsys.readouterr().out
    assert code == 0
    order = ["touches a hot file", "Unavailable", "incidents", "Score", "Rules that fired", "the same verdict"]
    assert [out.index(part) for part in order] == sorted(out.index(part) for part in order)
    assert {path.name.split(".")[0] for path in tmp_path.iterdir()} <= {"ledger", "weaver-forge"}


def test_the_command_counts_the_buckets_and_names_what_escaped(
    ledger: Ledger, ledger_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with_tests(ledger, 0.5, 0.001, left=left(1))
    resolve(ledger, 50, 1.0)
    resolve(ledger, 51, 1.0)
    (tmp_path / "weaver-forge.toml").touch()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("WEAVER_FORGE_LEDGER_URL", ledger_url)

    codes = [run(["ledger", "escapes"]), run(["ledger", "escapes", "--since", "2027-01-01"])]

    out = capsys.readouterr().out
    assert codes == [0, 0]
    assert "as it was" in out
    assert "insufficient data: 1 of 30" in out
    assert "tests/a.py::t1" in out
    assert "No hook has decided" in out
    with pytest.raises(UsageError, match="no date"):
        run(["ledger", "escapes", "--since", "soon"])
