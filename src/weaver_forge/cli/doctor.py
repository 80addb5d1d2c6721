"""``doctor``: what is there, what is missing, what that disables, and the next command."""

from collections.abc import Mapping
from typing import Annotated, Any

from cyclopts import Parameter

from weaver_forge.cli import text
from weaver_forge.cli.place import Place, place
from weaver_forge.errors import PolicyError
from weaver_forge.hooks.facts import instant, plain
from weaver_forge.hooks.health import Health, examine
from weaver_forge.hooks.matrix import without_trials
from weaver_forge.hooks.wording import FLAG_HINT, link_in_words, share, unfinished_in_words, unread_in_words
from weaver_forge.ledger import Ledger
from weaver_forge.policy import in_force


def doctor(*, json: Annotated[bool, Parameter(negative="")] = False) -> int:
    """Say what this deployment has, what it lacks, what that disables, and what to do next.

    Args:
        json: Print as JSON.
    """
    at = place(None)
    settings = at.settings
    health = examine(
        settings, at.snapshot, at.problem, lambda: Ledger.open(settings.ledger_url, create=False), settings.now()
    )
    idle = _idle(at)
    if json:
        fields = {name: getattr(health, name) for name in Health.__dataclass_fields__}
        text.as_json(plain({"root": str(settings.root), "python": str(settings.python), **fields, "no_trials": idle}))
        return 0
    clock = f", clock fixed at {instant(settings.fixed_now)}" if settings.fixed_now else ""
    text.out(f"Deployment {settings.root}{clock}")
    text.out(f"Pipeline   {settings.python}")
    for problem in health.problems:
        text.out(f"PROBLEM    {problem}")
    _taken(health)
    _never_read(health)
    _published(health)
    text.group(
        "Can never have a trial, so never earn anything", [f"{r['decision']} {r['action']}: {r['why']}" for r in idle]
    )
    _record(health)
    text.out(f"\nNext: {health.next_command}")
    return 0


def _idle(at: Place) -> list[dict[str, str]]:
    """Actions that the policy here can never have taken; none where it cannot be read: a problem of its own."""
    try:
        return without_trials(in_force(at.policy_text, at.policy_name), at.snapshot.specs if at.snapshot else {})
    except PolicyError:
        return []


def _taken(health: Health) -> None:
    if health.taken is None:
        text.group("Taken in", ["nothing yet"])
        return
    rows = [
        [r["source"], r["n_inputs"], r["n_rows"], r["n_refused"], r["n_waiting"], instant(r["newest_at"]), _age(r),
         r.get("newest_is")]
        for r in health.sources
    ]  # fmt: skip
    columns = ("source", "inputs", "rows", "refused", "unfinished", "newest", "age", "which is the")
    title = f"Taken in, last at {instant(health.taken)} (files with the same in them are one input)"
    text.group(title, text.table(columns, rows))
    refused = [f"{r['n']:,} x {r['source']}: {r['reason']} ({_first(r)}{r['first']})" for r in health.refused]
    more = ["all of them: weaver-forge rejected; again after an upgrade: weaver-forge rejected --replay"]
    text.group("Refused most often", [*refused, *more] if refused else [])
    text.group("Unfinished files", [unfinished_in_words(r) for r in health.unfinished])
    _links(health)
    _telemetry(health)


def _never_read(health: Health) -> None:
    told = unread_in_words(health.unread)
    title = f"Never read: {len(health.unread):,} {'file' if len(health.unread) == 1 else 'files'} that no source knows"
    text.group(title, [*told, FLAG_HINT] if told else [])


def _first(refused: Mapping[str, Any]) -> str:
    return "first: " if refused["n"] > 1 else ""


def _age(source: Mapping[str, Any]) -> str | None:
    """How old the newest data is, in the unit that a person would choose."""
    hours = source["lag_hours"]
    if hours is None:
        return None
    return f"{hours:.0f} h" if hours < 72 else f"{hours / 24:.0f} days"


def _links(health: Health) -> None:
    n, linked = health.results.get("n", 0), health.results.get("n_linked", 0)
    rows = [["test result to its revision", share(linked, n), None]] if n else []
    rows += [[link_in_words(r), share(r["n_linked"], r["n"]), r["n_ambiguous"]] for r in health.links]
    more = ["each by its method: weaver-forge links"] if health.links else []
    text.group("Links, weakest first", [*text.table(("link", "linked", "to several"), rows), *more] if rows else [])


def _published(health: Health) -> None:
    if health.published["version"] is None:
        text.group("Published", [f"nothing yet: {health.published['problem']}"])
    else:
        newest = health.published
        since = f"{instant(newest['published_at'])} ({newest['age_hours']} h ago)"
        text.group("Published", [f"snapshot {newest['version']}, {since}, data as of {instant(newest['data_as_of'])}"])
    speaks = {True: "baseline", False: "model", None: "-"}
    rows = [
        [r["decision"], r["entity"], speaks[r["is_baseline"]], r["method"], r["n_predictions"], instant(r["newest_at"]),
         r["why"]]
        for r in health.decisions
    ]  # fmt: skip
    columns = ("decision", "of", "speaks", "method", "predictions", "newest", "why")
    text.group("Decisions", text.table(columns, rows) if rows else [])
    missing = [f"{r['source']}: {r['decision']} is without it: {r['without_it']}" for r in health.missing]
    text.group("Missing", [*missing, *health.unusable])


def _telemetry(health: Health) -> None:
    rows = []
    for r in health.telemetry:
        worst = f"{r['n']} x {r['finding_id']}: {r['attribute']}" if r["finding_id"] else None
        rows.append([r["service_key"], r["score"], r["coverage"], worst])
    if rows:
        lines = text.table(
            ("service (namespace/name/environment)", "score", "attributes known", "most frequent violation"), rows
        )
        text.group("Telemetry against the semantic conventions, worst first", lines)


def _record(health: Health) -> None:
    ledger = health.ledger
    if ledger.get("ok") is None:
        text.group("Ledger", [f"not there: {ledger.get('problem')}"])
    elif ledger["ok"]:
        text.group("Ledger", [f"whole: {ledger['n_rows']} rows in {ledger['n_batches']} batches"])
    else:
        text.group("Ledger", ["DOES NOT VERIFY", *ledger["broken"]])
    text.group("In the inbox", [f"{name}: {n} files" for name, n in health.waiting.items()])
