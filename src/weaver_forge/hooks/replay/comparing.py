"""Policies side by side on the same past, as data: verdicts, the three buckets, escapes by name, minutes and money.

Put here which figures there are and in which order. Text and Markdown are made of this by ``cli``.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

import polars as pl

from weaver_forge.autonomy.accounting import ESCAPED, NEEDED, account, bucket, is_unstable
from weaver_forge.contracts.values import Verdict
from weaver_forge.hooks.rank_tests import Budget
from weaver_forge.hooks.replay import money
from weaver_forge.hooks.replay.budget import at_budget
from weaver_forge.hooks.replay.capacity import capacity
from weaver_forge.hooks.replay.deciding import AS_EARNED, AS_ENFORCED, VIEWS, Decided, Stage, decide
from weaver_forge.hooks.replay.selecting import at_aim
from weaver_forge.hooks.selecting.aim import Aim, aim_of
from weaver_forge.policy import Policy, Rule, effective
from weaver_forge.policy.judging import said
from weaver_forge.policy.money import MINUTE_MS, WRONG_HOLD, Prices

AS_RANKED = "if the rest waited"
_NO_AIMS: Mapping[str, Aim] = {}


@dataclass(frozen=True, slots=True)
class Named:
    """A policy and what to call it."""

    name: str
    policy: Policy


def compare(
    policies: Sequence[Named],
    stage: Stage,
    rows: pl.DataFrame,
    budgets: Mapping[str, Budget],
    aims: Mapping[str, Aim] = _NO_AIMS,
) -> list[dict[str, Any]]:
    """Judge the same predictions under each policy, as earned now and as if enforced, at each budget and for each aim.

    Args:
        policies: At least one.
        stage: What is common to all.
        rows: A row a subject: key, predicted_at, prediction and baseline columns, unit, cluster, label columns and
            expected_duration_ms.
        budgets: Name -> time budget of a ranking; for actions that leave something for later.
        aims: Name -> what a selection is to reach, beside those that the policies name.
    """
    if stage.action["on"] == "upper":
        return [_followed(named, stage, rows) for named in policies]
    found = [_judged(named, stage, rows, view) for named in policies for view in VIEWS]
    if stage.action["on"] == "low" and policies:
        prices = effective(policies[0].policy, stage.decision, str(stage.action["name"])).prices
        found += [
            _ranked(name, budget, stage, rows, prices, order)
            for name, budget in budgets.items()
            for order in ("", "baseline_")
        ]
        found += [selected(name, aim, stage, rows, policies[0].policy) for name, aim in aims.items()]
        found += [
            selected(f"{aim.words} of {named.name}", aim, stage, rows, named.policy)
            for named in policies
            if (aim := _aim_of(named.policy, stage)) is not None
        ]
    return found


def _judged(named: Named, stage: Stage, rows: pl.DataFrame, view: str) -> dict[str, Any]:
    made = decide(named.policy, stage, rows, view=view)
    action = str(stage.action["name"])
    if stage.action["on"] == "low":
        saved = money.of_skipping(made.rows, made.rule.prices)
    else:
        pages = WRONG_HOLD.get(action) == "review"
        saved = money.of_holding(made.rows, made.rule.prices, action, review_only=pages)
    return {
        "policy": named.name,
        "view": view,
        "level": _levels(made),
        "thresholds": _thresholds(made.rule, stage),
        "verdicts": _verdicts(made),
        **_figures(stage, made.rows, saved),
        "held_out": _held_out(made),
    }


def _ranked(name: str, budget: Budget, stage: Stage, rows: pl.DataFrame, prices: Prices, order: str) -> dict[str, Any]:
    marked = at_budget(rows, budget, order=order, key=stage.kind["key"][-1])
    by = stage.kind["baseline"] if order else "what spoke"
    return {
        "policy": f"budget {name}, in the order of {by}",
        "view": AS_RANKED,
        "level": None,
        "thresholds": [],
        "verdicts": None,
        **_figures(stage, marked, money.of_skipping(marked, prices)),
        "held_out": None,
    }


def _aim_of(policy: Policy, stage: Stage) -> Aim | None:
    """What a policy itself asks of a selection; None where it says nothing."""
    select = effective(policy, stage.decision, str(stage.action["name"])).select
    return aim_of(confidence=None, time=None, target=None, policy=select) if select is not None else None


def selected(
    name: str, aim: Aim, stage: Stage, rows: pl.DataFrame, policy: Policy, *, rules: bool = True
) -> dict[str, Any]:
    """A selection as ``select`` makes it, as data.

    Args:
        name: What to call it.
        aim: What to reach.
        stage: What is common to all.
        rows: As for :func:`compare`.
        policy: Its protected paths and prices hold.
        rules: Whether the rules of each change are asked; without, nothing needs to be known of changes.
    """
    rule = effective(policy, stage.decision, str(stage.action["name"]))
    key = str(stage.kind["key"][-1])
    made = at_aim(
        rows.rename({key: "test_id"}),
        aim,
        changed_paths=stage.changed_paths,
        protected=rule.protected_paths,
        rules=rules,
    )
    marked = made.rows.rename({"test_id": key})
    return {
        "policy": f"select {name}",
        "view": AS_RANKED,
        "level": None,
        "thresholds": [],
        "verdicts": None,
        **_figures(stage, marked, money.of_skipping(marked, rule.prices)),
        "held_out": None,
        "whole": {"insufficient_data": made.n_insufficient, **made.n_whole},
    }


def _figures(stage: Stage, rows: pl.DataFrame, saved: money.Saved) -> dict[str, Any]:
    acted = rows.filter(pl.col("is_acted"))
    counted = asdict(account(rows))
    return {
        "acted": {"units": acted.select("unit", "predicted_at").n_unique(), "subjects": acted.height},
        **{name: counted[name] for name in ("caught", "escaped", "unstable", "failing_units", "escaped_units")},
        "escape_rate": counted["escape_rate"],
        "money": saved.as_data(),
        **(_of_runs(rows) if stage.action["on"] == "low" else {}),
        "escapes": escapes(stage, rows),
    }


def _of_runs(rows: pl.DataFrame) -> dict[str, Any]:
    """Whole runs: how many that failed would still have failed, and what all of them took.

    A run that fails by one test although another of its failures was left for later is seen, so it is none that went
    through; one all of whose failures were left is.
    """
    failed = (pl.col("outcome") == 1) & ~is_unstable()
    seen = (pl.col("is_covered") & failed).any().over("unit", "predicted_at")
    counted = account(rows.with_columns(is_covered=seen)).escape_rate
    all_ms = rows["cost"].fill_null(0.0).fill_nan(0.0).sum()
    return {
        "went_through": {
            "n": counted.n,
            "units": counted.escaped,
            "rate": counted.rate,
            "upper": counted.upper,
            "text": counted.text,
        },
        "minutes_in_all": round(float(all_ms) / float(MINUTE_MS), 2),
    }


def escapes(stage: Stage, rows: pl.DataFrame) -> list[dict[str, Any]]:
    """Every real failure that was let through or skipped, by name, oldest first."""
    names = list(stage.kind["key"])
    found = rows.filter(bucket() == ESCAPED).sort("predicted_at", *names)
    return [
        {
            "subject": {name: _text(row[name]) for name in names},
            "predicted_at": row["predicted_at"].isoformat() + "Z",
            "probability": row["probability"],
            "baseline_probability": row["baseline_probability"],
            "link_method": row["link_method"],
        }
        for row in found.iter_rows(named=True)
    ]


def _followed(named: Named, stage: Stage, rows: pl.DataFrame) -> dict[str, Any]:
    """A quantity has no verdict: capacity follows the quantile that policy asks for."""
    made = decide(named.policy, stage, rows, view=AS_EARNED)
    enforced = decide(named.policy, stage, rows, view=AS_ENFORCED)
    found = capacity(rows, made.rule.cover_at, made.rule.prices, needed=NEEDED)
    return {
        "policy": named.name,
        "view": AS_ENFORCED,
        "level": _levels(made),
        "thresholds": _thresholds(made.rule, stage),
        "verdicts": _verdicts(made),
        "acted": {"units": sum(r.acts for r in enforced.rulings), "now": sum(r.acts for r in made.rulings)},
        "capacity": found.as_data(),
        "held_out": _held_out(enforced),
    }


def _verdicts(made: Decided) -> dict[str, int]:
    n = Counter(str(ruling.verdict) for ruling in made.rulings)
    return {str(verdict): n[verdict] for verdict in Verdict}


def _levels(made: Decided) -> dict[str, int]:
    """Level in force -> units; a budget or a window can lower it for some."""
    return dict(Counter(str(ruling.level) for ruling in made.rulings))


def _held_out(made: Decided) -> dict[str, Any]:
    """The lots that kept a unit from being enforced; share of all."""
    n = sum(ruling.held_out for ruling in made.rulings)
    return {"n": n, "of": len(made.rulings), "share": n / len(made.rulings) if made.rulings else None}


def _thresholds(rule: Rule, stage: Stage) -> list[str]:
    keys = {"low": ("skip_below",), "upper": ("cover_at",), "high": ("review_at", "deny_at")}[stage.action["on"]]
    return [said(rule, key) for key in keys if key in rule.origin]


def _text(value: Any) -> Any:
    return value.isoformat() + "Z" if isinstance(value, datetime) else value
