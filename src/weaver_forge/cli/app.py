"""Which commands there are. A command's module is loaded when it runs, never before."""

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated

from cyclopts import App, CycloptsError, Parameter

from weaver_forge import __version__
from weaver_forge.errors import UsageError, WeaverForgeError

COMMANDS: tuple[tuple[str, str, str, str], ...] = (
    # group, command, where it is, what it does
    ("Start", "demo", "weaver_forge.cli.start:demo", "Simulate an organisation as files and run the whole loop on it."),
    ("Start", "init", "weaver_forge.cli.start:init", "Make a working deployment directory."),
    (
        "Start",
        "upgrade",
        "weaver_forge.cli.upgrade:upgrade",
        "Bring a deployment's copied files to this release; what you changed is kept.",
    ),
    (
        "Start",
        "doctor",
        "weaver_forge.cli.doctor:doctor",
        "What is there, what is missing, what that disables, and the next command.",
    ),
    (
        "The loop",
        "ingest",
        "weaver_forge.cli.loop:ingest",
        "Take in sources: git history, test reports, CI runs, traces, costs, deployments, incidents.",
    ),
    ("The loop", "run", "weaver_forge.cli.loop:run", "The whole loop: take in, learn, predict, publish, score."),
    (
        "The loop",
        "train",
        "weaver_forge.cli.loop:train",
        "Learn from what has been taken in, predict, publish and score.",
    ),
    (
        "The loop",
        "serve",
        "weaver_forge.cli.serve:serve",
        "Receive OpenTelemetry data and webhooks into the inbox.",
    ),
    (
        "The loop",
        "rejected",
        "weaver_forge.cli.loop:rejected",
        "What was refused and why; decode it again after a fix.",
    ),
    (
        "The loop",
        "compact",
        "weaver_forge.cli.loop:compact",
        "Join small files of traces, metrics and logs; delete unneeded ones.",
    ),
    ("The loop", "dev", "weaver_forge.cli.loop:dev", "The Dagster UI on this deployment."),
    ("Hooks", "gate", "weaver_forge.cli.gate:gate", "The verdict on a change or deployment, as text and exit code."),
    (
        "Hooks",
        "rank-tests",
        "weaver_forge.cli.rank:rank_tests",
        "Order a revision's tests; with a budget, say what to run now and what later.",
    ),
    (
        "Hooks",
        "select",
        "weaver_forge.cli.select:select",
        "Choose a revision's tests by confidence, time or share of it; the rest list; the confidence curve.",
    ),
    ("Hooks", "approve", "weaver_forge.cli.approve:approve", "Record a person's yes to a decision."),
    (
        "Hooks",
        "enable",
        "weaver_forge.cli.enable:enable",
        "Set how far hooks may go at most; says what it would change first.",
    ),
    (
        "Questions",
        "predict",
        "weaver_forge.cli.predict:predict",
        "Compute a prediction now and write it to the ledger.",
    ),
    ("Questions", "why", "weaver_forge.cli.why:why", "Why a decision came out as it did: facts first, score last."),
    (
        "Questions",
        "status",
        "weaver_forge.cli.status:status",
        "Health, coverage, optimizations, prevented incidents, savings, performance: measured, or why not.",
    ),
    (
        "Questions",
        "links",
        "weaver_forge.cli.loop:links",
        "How much is linked, the same under another rule, and what one entity is linked to.",
    ),
    (
        "Questions",
        "replay",
        "weaver_forge.cli.replay:replay",
        "What a policy would have done on the history that is on disk, point in time.",
    ),
    (
        "Questions",
        "backtest",
        "weaver_forge.cli.replay:backtest",
        "Replay in short: decisions judged on their newest history, under today's policy.",
    ),
    (
        "Questions",
        "intelligence",
        "weaver_forge.cli.intelligence:intelligence",
        "What the stored history shows, tested: insights with effect, confidence and evidence.",
    ),
    (
        "Questions",
        "evolve",
        "weaver_forge.cli.evolve:evolve",
        "A plan from measured hot spots; with --confirm it carries out what can be taken back.",
    ),
    (
        "Questions",
        "semantic-diff",
        "weaver_forge.cli.semantic_diff:semantic_diff",
        "What a change means, file by file, and whether CI is needed for it.",
    ),
    (
        "Questions",
        "impact",
        "weaver_forge.cli.impact:impact",
        "What a change touches: files, tests, endpoints, services, owners, and which signal says so.",
    ),
    ("Questions", "benchmark", "weaver_forge.cli.loop:benchmark", "Measure a model or a reader on public data."),
)
SUBCOMMANDS: dict[str, tuple[str, tuple[tuple[str, str, str], ...]]] = {
    "ledger": (
        "The record of predictions, decisions and outcomes.",
        (
            ("tail", "weaver_forge.cli.ledger:tail", "The newest rows of a kind."),
            ("show", "weaver_forge.cli.ledger:show", "A decision or prediction with everything that hangs on it."),
            ("score", "weaver_forge.cli.ledger:score", "How predictions turned out, against the baseline."),
            ("escapes", "weaver_forge.cli.escapes:escapes", "What became of real failures: caught, escaped, unstable."),
            ("verify", "weaver_forge.cli.ledger:verify", "Check every row, the hash chain and its daily roots."),
            ("export", "weaver_forge.cli.ledger:export", "Rows of any kind as JSON lines, CSV or Parquet."),
        ),
    ),
    "autonomy": (
        "What hooks have earned, and the kill switch.",
        (
            ("halt", "weaver_forge.cli.autonomy:halt", "Return every hook to assisted at once, until resumed."),
            ("resume", "weaver_forge.cli.autonomy:resume", "Turn the kill switch off."),
        ),
    ),
    "quarantine": (
        "Flaky tests whose failures stop nobody until a date.",
        (
            ("add", "weaver_forge.cli.quarantine:add", "Put a flaky test in, with a reason and a date."),
            ("remove", "weaver_forge.cli.quarantine:remove", "Let a test out before its date."),
            ("propose", "weaver_forge.cli.quarantine:propose", "Which tests came out both ways, with the evidence."),
            (
                "check",
                "weaver_forge.cli.quarantine:check",
                "Whether anything failed in test reports besides tests in quarantine, as exit code.",
            ),
        ),
    ),
    "policy": (
        "What hooks may do, and what that means in numbers.",
        (
            ("check", "weaver_forge.cli.policy:check", "Read a policy file and say what it means."),
            ("show", "weaver_forge.cli.policy:show", "The policy that holds here."),
        ),
    ),
    "semconv": (
        "The semantic conventions, and what telemetry makes of them.",
        (
            (
                "check",
                "weaver_forge.cli.semconv:check",
                "Hold OTLP files or Weaver samples against the conventions; needs no deployment.",
            ),
        ),
    ),
    "import": (
        "Fetch history from where it is kept, into the inbox.",
        (
            ("github", "weaver_forge.cli.imports:github", "Runs, jobs and deployments of GitHub repositories."),
            (
                "gitlab",
                "weaver_forge.cli.imports:gitlab",
                "Pipelines, jobs, test reports and deployments of GitLab projects.",
            ),
        ),
    ),
    "models": (
        "What has been learned.",
        (
            (
                "list",
                "weaver_forge.cli.loop:models_list",
                "Every model, its version, and why it or the baseline speaks.",
            ),
        ),
    ),
}


def _autonomy(
    *,
    history: Annotated[bool, Parameter(negative="")] = False,
    decision: str | None = None,
    json: Annotated[bool, Parameter(negative="")] = False,
) -> int:
    """Show what every action has earned, what is in force, and why.

    Args:
        history: Every change of a level, a proposal or a cause instead, oldest first.
        decision: Of this decision only.
        json: Print everything as JSON.
    """
    from weaver_forge.cli.autonomy import autonomy

    return autonomy(history=history, decision=decision, json=json)


def _quarantine(
    *,
    all: Annotated[bool, Parameter(negative="")] = False,  # noqa: A002 - the flag's name
    from_: Annotated[Path | None, Parameter(name="--from")] = None,
    json: Annotated[bool, Parameter(negative="")] = False,
) -> int:
    """Show which tests are in quarantine: they run and are recorded, and their failures stop nobody until they expire.

    Args:
        all: Everything that was ever put in or let out, oldest first, from the ledger.
        from_: A deployment or a published folder; wins over the deployment found from here.
        json: Print as JSON.
    """
    from weaver_forge.cli.quarantine import listed

    return listed(all=all, from_=from_, json=json)


ALONE: dict[str, tuple[Callable[..., int], str]] = {
    "autonomy": (_autonomy, "What every action has earned, what is in force, and why."),
    "quarantine": (_quarantine, "Which flaky tests are in quarantine, until when and why."),
}
"""Groups that are a command too when nothing follows them; their module is loaded within, when they run."""


def build() -> App:
    """The whole application; commands are import paths until one is called."""
    app = App(
        name="weaver-forge",
        help="Predicts what a software delivery system is about to do, and scores itself on what then happened.",
        version=__version__,
        help_format="plaintext",
    )
    for group, name, target, summary in COMMANDS:
        # --version is a deployment's version in `gate`, so only the root answers it.
        app.command(target, name=name, group=group, help=summary, version_flags=())
    for group, (about, commands) in SUBCOMMANDS.items():
        inner = App(name=group, help=about, version_flags=(), group="Records")
        for name, target, summary in commands:
            inner.command(target, name=name, help=summary, version_flags=())
        if group in ALONE:
            inner.default(ALONE[group][0])
        app.command(inner)
    return app


def run(argv: Sequence[str]) -> int:
    """Run one command; returns its exit code, 2 for what cannot be parsed.

    Raises:
        WeaverForgeError: What stopped the command; the console entry maps it to its exit code.
    """
    try:
        result = build()(list(argv), exit_on_error=False, print_error=False, result_action="return_value")
    except CycloptsError as error:
        if isinstance(error.__cause__, WeaverForgeError):
            raise error.__cause__ from error
        raise UsageError(_said(error), do="See `weaver-forge --help`, or `--help` after the command") from error
    sys.stdout.flush()
    return result if isinstance(result, int) and not isinstance(result, bool) else 0


def _said(error: CycloptsError) -> str:
    """The parser's message in one line, without its list of commands: it is cut off, and --help has it whole."""
    message = " ".join(str(error).split())
    return message.split(" Available commands:")[0].rstrip(".")
