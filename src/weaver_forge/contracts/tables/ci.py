"""Continuous integration: test reports, runs and jobs (raw), and verdicts per test and revision (core)."""

from weaver_forge.contracts.table import Column, Table
from weaver_forge.contracts.tables.changes import KNOWN_AT, REPO_ID

PROGRESS = Column(
    "progress",
    "INTEGER",
    "How far it has come: 0 waiting, 1 queued, 2 in progress, 3 completed; null in rows of older releases.",
    nullable=True,
)

RAW_TEST_RESULTS = Table(
    layer="raw",
    source="tests",
    entity="results",
    grain="execution attempt of a test case in a report",
    columns=(
        Column("report_sha256", "VARCHAR", "Hex SHA-256 of the report's bytes."),
        Column(
            "context", "VARCHAR", "Revision, run or its number, and repository given with the report: canonical JSON."
        ),
        Column("format", "VARCHAR", "junit, go_test, ctrf, trx, nunit or xunit."),
        Column("producer", "VARCHAR", "Tool that wrote it (pytest, surefire, go, ...); empty where it does not say."),
        Column("position", "INTEGER", "0-based position of the test case in the report."),
        Column("attempt", "INTEGER", "1 for the first execution, 2 for the first rerun, and so on."),
        Column("suite", "VARCHAR", "Name of the enclosing testsuite; empty when there is none."),
        Column("classname", "VARCHAR", "classname exactly as the report has it; empty when absent."),
        Column("name", "VARCHAR", "name exactly as the report has it."),
        Column(
            "parent", "VARCHAR", "Name of the test that this one is a subtest of; null when of none.", nullable=True
        ),
        Column("file", "VARCHAR", "file attribute or pytest nodeid's file; null when absent.", nullable=True),
        Column(
            "status",
            "VARCHAR",
            "passed, failed, error, skipped, xfailed, xpassed; failed_by_child (a parent whose subtest failed: no "
            "failure of its own) or collection_error (of the infrastructure, not of a test).",
        ),
        Column("duration_ms", "DOUBLE", "Wall-clock milliseconds as reported; null when omitted.", nullable=True),
        Column("message", "VARCHAR", "First 500 characters of the failure or skip message.", nullable=True),
        Column("suite_started_raw", "VARCHAR", "timestamp attribute of the suite as written.", nullable=True),
        Column(
            "suite_started_at",
            "TIMESTAMP",
            "The same in UTC; zone-less times are read as UTC.",
            nullable=True,
        ),
        Column("hostname", "VARCHAR", "hostname of the suite; null when absent.", nullable=True),
        Column(
            "repo_id",
            "VARCHAR",
            "Repository given or found in suite properties; null when unknown.",
            nullable=True,
        ),
        Column(
            "revision",
            "VARCHAR",
            "Revision given or found in suite properties; null when unknown.",
            nullable=True,
        ),
        Column("run_id", "VARCHAR", "Run given or found in suite properties; null when unknown.", nullable=True),
        Column(
            "received_at",
            "TIMESTAMP",
            "Modification time of the file, UTC: the best arrival time a file has.",
        ),
    ),
    key=("report_sha256", "context", "position", "attempt"),
)

RAW_GITHUB_ACTIONS_RUNS = Table(
    layer="raw",
    source="github_actions",
    entity="runs",
    grain="attempt of a workflow run",
    columns=(
        REPO_ID,
        Column("run_id", "VARCHAR", "GitHub's run id."),
        Column("run_attempt", "INTEGER", "1 for the first attempt."),
        Column("run_number", "INTEGER", "Number within the workflow; null in partial exports.", nullable=True),
        Column("workflow", "VARCHAR", "Workflow name."),
        Column("event", "VARCHAR", "push, pull_request, schedule, ..."),
        Column("branch", "VARCHAR", "Head branch; null for tags.", nullable=True),
        Column("revision", "VARCHAR", "Head commit."),
        Column("status", "VARCHAR", "queued, in_progress, completed, ..."),
        Column("conclusion", "VARCHAR", "success, failure, cancelled, ...; null until completed.", nullable=True),
        Column("created_at", "TIMESTAMP", "UTC."),
        Column("started_at", "TIMESTAMP", "UTC; null in old exports.", nullable=True),
        Column("updated_at", "TIMESTAMP", "UTC; the end of a completed run."),
        PROGRESS,
    ),
    key=("repo_id", "run_id", "run_attempt"),
    # A run exported while it was in progress is exported again when it has completed; webhooks come out of order.
    replace_by=("repo_id", "run_id", "run_attempt"),
    # GitHub's times are whole seconds, and a run of skipped jobs is over within one.
    newest_by=("updated_at", "progress"),
)

RAW_GITHUB_ACTIONS_JOBS = Table(
    layer="raw",
    source="github_actions",
    entity="jobs",
    grain="job of a workflow run attempt",
    columns=(
        REPO_ID,
        Column("job_id", "VARCHAR", "GitHub's job id."),
        Column("run_id", "VARCHAR", "GitHub's run id."),
        Column("run_attempt", "INTEGER", "1 for the first attempt."),
        Column("name", "VARCHAR", "Job name."),
        Column("revision", "VARCHAR", "Head commit."),
        Column("status", "VARCHAR", "queued, in_progress, completed, ..."),
        Column(
            "conclusion",
            "VARCHAR",
            "success, failure, cancelled, skipped, ...; null until completed.",
            nullable=True,
        ),
        Column("created_at", "TIMESTAMP", "UTC; null in old exports.", nullable=True),
        Column("started_at", "TIMESTAMP", "UTC; null when it never started.", nullable=True),
        Column("completed_at", "TIMESTAMP", "UTC; null until completed.", nullable=True),
        Column("labels", "VARCHAR", "Runner labels joined by a comma."),
        PROGRESS,
    ),
    key=("repo_id", "job_id"),
    replace_by=("repo_id", "job_id"),
    # A job says no time of its report, but it only ever moves on: a rerun is a job of its own.
    newest_by="progress",
)

CORE_CI_RUNS = Table(
    layer="core",
    source="ci",
    entity="runs",
    grain="attempt of a CI run",
    columns=(
        REPO_ID,
        Column("run_id", "VARCHAR", "Provider's run id, or report-<hash> for reports without a run."),
        Column("run_attempt", "INTEGER", "1 for the first attempt."),
        Column("revision", "VARCHAR", "Commit the run tested; null when unknown.", nullable=True),
        Column("branch", "VARCHAR", "Branch; null when unknown.", nullable=True),
        Column("workflow", "VARCHAR", "Workflow or pipeline name; empty when unknown."),
        Column("conclusion", "VARCHAR", "success, failure, cancelled, ...; null when unknown.", nullable=True),
        Column("started_at", "TIMESTAMP", "UTC."),
        Column("ended_at", "TIMESTAMP", "UTC."),
        Column("link_method", "VARCHAR", "How the revision was found: provider, given, properties, run, none."),
        KNOWN_AT,
    ),
    key=("repo_id", "run_id", "run_attempt"),
)

CORE_CI_JOBS = Table(
    layer="core",
    source="ci",
    entity="jobs",
    grain="job of a CI run attempt",
    columns=(
        REPO_ID,
        Column("job_id", "VARCHAR", "Provider's job id."),
        Column("run_id", "VARCHAR", "Provider's run id."),
        Column("run_attempt", "INTEGER", "1 for the first attempt."),
        Column("name", "VARCHAR", "Job name."),
        Column("conclusion", "VARCHAR", "success, failure, ...; null until completed.", nullable=True),
        Column("started_at", "TIMESTAMP", "UTC; null when it never started.", nullable=True),
        Column("duration_ms", "DOUBLE", "Wall clock; null until completed.", nullable=True),
        KNOWN_AT,
    ),
    key=("repo_id", "job_id"),
)

CORE_CI_TEST_RESULTS = Table(
    layer="core",
    source="ci",
    entity="test_results",
    grain="execution attempt of a test in a run",
    columns=(
        REPO_ID,
        Column("run_id", "VARCHAR", "Run the attempt belongs to."),
        Column("revision", "VARCHAR", "Commit under test; null when unlinked.", nullable=True),
        Column("test_id", "VARCHAR", "suite-independent identity: classname::name, or name alone."),
        Column("attempt", "INTEGER", "1 for the first execution over all reports of the run."),
        Column("status", "VARCHAR", "passed, failed, error, skipped, xfailed or xpassed."),
        Column("duration_ms", "DOUBLE", "Milliseconds; null when omitted.", nullable=True),
        Column("file", "VARCHAR", "Test file when the report names it.", nullable=True),
        KNOWN_AT,
    ),
    key=("repo_id", "run_id", "test_id", "attempt"),
)

CORE_CI_TEST_VERDICTS = Table(
    layer="core",
    source="ci",
    entity="test_verdicts",
    grain="test in a run, retries resolved",
    columns=(
        REPO_ID,
        Column("run_id", "VARCHAR", "Run."),
        Column("revision", "VARCHAR", "Commit under test; never null here."),
        Column("test_id", "VARCHAR", "Test identity as in core_ci__test_results."),
        Column("verdict", "VARCHAR", "passed, failed, flaky or skipped; flaky = both outcomes within the run."),
        Column("n_attempts", "INTEGER", "Executions in the run."),
        Column("duration_ms", "DOUBLE", "Mean milliseconds of an attempt; null when omitted.", nullable=True),
        Column("file", "VARCHAR", "Test file when a report names it.", nullable=True),
        Column("run_ended_at", "TIMESTAMP", "End of the run, UTC."),
        KNOWN_AT,
    ),
    key=("repo_id", "run_id", "test_id"),
)
