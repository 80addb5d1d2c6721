"""Which test executes which file: coverage reports with a context a test (raw), joined to test identities (core)."""

from weaver_forge.contracts.table import Column, Table
from weaver_forge.contracts.tables.changes import KNOWN_AT, REPO_ID

_KIND = Column("kind", "VARCHAR", "test; import (executed while modules were imported, by no test); other (a label).")
_FILE = Column("file", "VARCHAR", "Source file, relative to the repository where that is known, with slashes.")
_N_LINES = Column("n_lines", "INTEGER", "Distinct lines of the file that it executed.")

RAW_COVERAGE_TEST_FILES = Table(
    layer="raw",
    source="coverage",
    entity="test_files",
    grain="file executed by a test in a coverage report",
    columns=(
        Column("report_sha256", "VARCHAR", "Hex SHA-256 of the report's bytes."),
        Column("context", "VARCHAR", "Revision, run and repository given with the report: canonical JSON."),
        Column("format", "VARCHAR", "json (coverage.py JSON report) or sqlite (its data file)."),
        Column("test", "VARCHAR", "Context as written, without its phase (setup, run, teardown); empty for import."),
        _KIND,
        Column("test_id", "VARCHAR", "The test as core_ci__test_results names it; empty for import and other."),
        _FILE,
        _N_LINES,
        Column("repo_id", "VARCHAR", "Repository given; null when unknown.", nullable=True),
        Column("revision", "VARCHAR", "Revision given; null when unknown.", nullable=True),
        Column("run_id", "VARCHAR", "Run given; null when unknown.", nullable=True),
        Column("received_at", "TIMESTAMP", "Modification time of the file, UTC."),
    ),
    key=("report_sha256", "context", "test", "file"),
)

CORE_COVERAGE_TEST_FILES = Table(
    layer="core",
    source="coverage",
    entity="test_files",
    grain="file executed by a test in a coverage report",
    columns=(
        REPO_ID,
        Column("report_sha256", "VARCHAR", "The report, as in raw_coverage__test_files."),
        Column("run_id", "VARCHAR", "Run that was measured; null when unknown.", nullable=True),
        Column("revision", "VARCHAR", "Commit that was measured; null when unknown.", nullable=True),
        _KIND,
        Column("test_id", "VARCHAR", "Test identity as in core_ci__test_results; empty for import."),
        _FILE,
        _N_LINES,
        Column("is_known_test", "BOOLEAN", "Some test report of the repository has this test."),
        KNOWN_AT,
    ),
    key=("repo_id", "report_sha256", "kind", "test_id", "file"),
)
