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
        Column("format", "VARCHAR", "junit, pytest (its plugin's record), go_test, ctrf, gitlab, trx, nunit or xunit."),
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

TOUCHED_AT = Column("touched_at", "TIMESTAMP", "Latest instant that the report names, UTC: orders reports.")

RAW_GITLAB_PIPELINES = Table(
    layer="raw",
    source="gitlab",
    entity="pipelines",
    grain="pipeline",
    columns=(
        REPO_ID,
        Column("pipeline_id", "VARCHAR", "GitLab's pipeline id."),
        Column("number", "INTEGER", "iid: number within the project; null in partial exports.", nullable=True),
        Column("name", "VARCHAR", "Pipeline name; null where workflow:name is not set.", nullable=True),
        Column("event", "VARCHAR", "source: push, merge_request_event, schedule, ...; empty when not told."),
        Column("branch", "VARCHAR", "ref: branch, tag or merge request ref; null when not told.", nullable=True),
        Column("revision", "VARCHAR", "Head commit."),
        Column("status", "VARCHAR", "created, pending, running, success, failed, canceled, skipped, manual, ..."),
        Column("created_at", "TIMESTAMP", "UTC."),
        Column("started_at", "TIMESTAMP", "UTC; null in lists and webhooks, which do not tell it.", nullable=True),
        Column("finished_at", "TIMESTAMP", "UTC; null until finished.", nullable=True),
        Column("queued_ms", "DOUBLE", "Milliseconds from creation to start; null when not told.", nullable=True),
        TOUCHED_AT,
        PROGRESS,
    ),
    key=("repo_id", "pipeline_id"),
    replace_by=("repo_id", "pipeline_id"),
    # A finished pipeline goes back to running when a job of it is retried.
    newest_by=("touched_at", "progress"),
)

RAW_GITLAB_JOBS = Table(
    layer="raw",
    source="gitlab",
    entity="jobs",
    grain="execution of a job; a retry is a row of its own",
    columns=(
        REPO_ID,
        Column("job_id", "VARCHAR", "GitLab's job id; a retry has a new one."),
        Column("pipeline_id", "VARCHAR", "GitLab's pipeline id."),
        Column("name", "VARCHAR", "Job name."),
        Column("stage", "VARCHAR", "Stage; empty when not told."),
        Column("revision", "VARCHAR", "Head commit; null in old exports.", nullable=True),
        Column("status", "VARCHAR", "created, pending, running, success, failed, canceled, skipped, manual, ..."),
        Column("failure_reason", "VARCHAR", "script_failure, runner_system_failure, ...; null else.", nullable=True),
        Column("allow_failure", "BOOLEAN", "Its failure does not fail the pipeline."),
        Column("created_at", "TIMESTAMP", "UTC."),
        Column("started_at", "TIMESTAMP", "UTC; null when it never started.", nullable=True),
        Column("finished_at", "TIMESTAMP", "UTC; null until finished.", nullable=True),
        Column("queued_ms", "DOUBLE", "Milliseconds it waited for a runner; null when not told.", nullable=True),
        Column("duration_ms", "DOUBLE", "Milliseconds as reported; null when not told.", nullable=True),
        TOUCHED_AT,
        PROGRESS,
    ),
    key=("repo_id", "job_id"),
    replace_by=("repo_id", "job_id"),
    # A skipped job is revived under its id when one before it is retried, so progress alone does not order.
    newest_by=("touched_at", "progress"),
)

CORE_CI_PIPELINE_SPANS = Table(
    layer="core",
    source="ci",
    entity="pipeline_spans",
    grain="span that tells of a CI pipeline run, a job or a step",
    columns=(
        Column("trace_id", "VARCHAR", "32 lower-case hex digits."),
        Column("span_id", "VARCHAR", "16 lower-case hex digits."),
        Column("parent_span_id", "VARCHAR", "Null for a root.", nullable=True),
        Column("name", "VARCHAR", "Span name."),
        Column("start_unix_ns", "BIGINT", "Start, nanoseconds since 1970, UTC."),
        Column("end_unix_ns", "BIGINT", "End, nanoseconds since 1970, UTC."),
        Column("status_code", "INTEGER", "0 unset, 1 ok, 2 error."),
        Column("status_message", "VARCHAR", "GitHub's own conclusion, from the Collector; empty when there is none."),
        *(
            Column(name, "VARCHAR", f"{said}; null when absent.", nullable=True)
            for name, said in (
                ("run_id", "cicd.pipeline.run.id"),
                ("run_url", "cicd.pipeline.run.url.full"),
                ("run_result", "cicd.pipeline.result (old: cicd.pipeline.run.status)"),
                ("run_attempt", "github.workflow.run.attempt"),
                ("previous_url", "cicd.pipeline.run.previous_attempt.url.full"),
                ("pipeline", "cicd.pipeline.name"),
                ("task", "cicd.pipeline.task.name"),
                ("task_run_id", "cicd.pipeline.task.run.id"),
                ("task_url", "cicd.pipeline.task.run.url.full"),
                ("task_result", "cicd.pipeline.task.run.result (old: cicd.pipeline.run.task.status)"),
                ("queue", "cicd.pipeline.run.queue.duration"),
                ("branch", "vcs.ref.head.name (old: vcs.ref.head)"),
                ("revision", "vcs.ref.head.revision"),
                ("repository_url", "vcs.repository.url.full"),
            )
        ),
    ),
    key=("trace_id", "span_id"),
    replace_by=("trace_id", "span_id"),
)

CORE_CI_SPAN_FILES = Table(
    layer="core",
    source="ci",
    entity="span_files",
    grain="file of the span lake that was searched for spans of CI pipelines",
    columns=(
        Column("file", "VARCHAR", "Name of the file; files never change."),
        Column("has_pipelines", "BOOLEAN", "Whether an attribute in it is of a pipeline."),
        Column("has_tests", "BOOLEAN", "The same of a test case; null: not asked.", nullable=True),
        Column("has_code", "BOOLEAN", "The same of where code is; null: not asked.", nullable=True),
    ),
    key=("file",),
)

CORE_CI_TEST_CODE = Table(
    layer="core",
    source="ci",
    entity="test_code",
    grain="place of code that ran below the span of a test, in any service",
    columns=(
        Column("test_id", "VARCHAR", "test.case.name of the span above: the test as core_ci__test_results names it."),
        Column("code_file", "VARCHAR", "code.file.path (old: code.filepath), as sent; empty when absent."),
        Column("code_function", "VARCHAR", "code.function.name (old: namespace and function); empty when absent."),
        Column("known_at", "TIMESTAMP", "End of the test's span that was read first, UTC."),
    ),
    key=("test_id", "code_file", "code_function"),
)

CORE_CI_RUNS = Table(
    layer="core",
    source="ci",
    entity="runs",
    grain="attempt of a CI run",
    columns=(
        REPO_ID,
        Column("run_id", "VARCHAR", "Provider's run or pipeline id, or report-<hash> for reports without a run."),
        Column("run_attempt", "INTEGER", "1 for the first attempt; a GitLab pipeline has one, its jobs are retried."),
        Column("revision", "VARCHAR", "Commit the run tested; null when unknown.", nullable=True),
        Column("branch", "VARCHAR", "Branch; null when unknown.", nullable=True),
        Column("workflow", "VARCHAR", "Workflow or pipeline name; empty when unknown."),
        Column("conclusion", "VARCHAR", "success, failure, cancelled, ...; null when unknown.", nullable=True),
        Column("started_at", "TIMESTAMP", "UTC."),
        Column("ended_at", "TIMESTAMP", "UTC."),
        Column("link_method", "VARCHAR", "How the revision was found: provider, spans, given, properties, run, none."),
        Column(
            "trace_id",
            "VARCHAR",
            "Trace in which the OpenTelemetry Collector tells a run of GitHub; null elsewhere.",
            nullable=True,
        ),
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
        Column("run_id", "VARCHAR", "Provider's run or pipeline id."),
        Column(
            "run_attempt",
            "INTEGER",
            "Attempt of the run, from 1; on GitLab, where single jobs are retried, of the job.",
        ),
        Column("name", "VARCHAR", "Job name."),
        Column("conclusion", "VARCHAR", "success, failure, cancelled, ...; null until completed.", nullable=True),
        Column("started_at", "TIMESTAMP", "UTC; null when it never started.", nullable=True),
        Column("queued_ms", "DOUBLE", "Milliseconds from creation to start; null when not known.", nullable=True),
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
        Column("n_failed", "INTEGER", "Executions that failed; null in rows of older releases.", nullable=True),
        Column("duration_ms", "DOUBLE", "Mean milliseconds of an attempt; null when omitted.", nullable=True),
        Column("file", "VARCHAR", "Test file when a report names it.", nullable=True),
        Column("run_ended_at", "TIMESTAMP", "End of the run, UTC."),
        KNOWN_AT,
    ),
    key=("repo_id", "run_id", "test_id"),
)

CORE_CI_TEST_DURATIONS = Table(
    layer="core",
    source="ci",
    entity="test_durations",
    grain="test with what it takes, so that who orders tests need not read all verdicts",
    columns=(
        REPO_ID,
        Column("test_id", "VARCHAR", "Test identity as in core_ci__test_results."),
        Column("duration_ms", "DOUBLE", "Mean milliseconds over its verdicts; null when omitted.", nullable=True),
    ),
    key=("repo_id", "test_id"),
)

CORE_CI_RUN_ERRORS = Table(
    layer="core",
    source="ci",
    entity="run_errors",
    grain="error of a run outside its tests",
    columns=(
        REPO_ID,
        Column("run_id", "VARCHAR", "Run."),
        Column("revision", "VARCHAR", "Commit under test; null when unlinked.", nullable=True),
        Column("name", "VARCHAR", "What failed: a module that was not collected, a package that did not build."),
        Column("producer", "VARCHAR", "Tool that reported it; empty where it does not say."),
        Column("message", "VARCHAR", "First 500 characters of its message; null when omitted.", nullable=True),
        KNOWN_AT,
    ),
    key=("repo_id", "run_id", "name"),
)

CORE_CI_QUARANTINES = Table(
    layer="core",
    source="ci",
    entity="quarantines",
    grain="time at which a flaky test was put in quarantine or let out of it, from the ledger",
    columns=(
        REPO_ID,
        Column("test_id", "VARCHAR", "Test identity as in core_ci__test_results."),
        Column("state", "VARCHAR", "in or out; the newest row of a test holds until expires_at."),
        Column("expires_at", "TIMESTAMP", "First instant at which it ends, UTC; null: let out.", nullable=True),
        Column("reason", "VARCHAR", "Why, in words."),
        KNOWN_AT,
    ),
    key=("repo_id", "test_id", "known_at"),
)
