"""Which run of CI a process is part of, by its environment."""

from collections.abc import Sequence

import pytest

from weaver_forge.contracts.identity import pipeline_root_span_id, pipeline_trace_id
from weaver_forge.hooks.ci_run import CiRun, attributes, ci_run

HEAD, MERGED = "a" * 40, "b" * 40
GITHUB = {"GITHUB_RUN_ID": "91", "GITHUB_RUN_ATTEMPT": "2", "GITHUB_REPOSITORY": "o/r", "GITHUB_SHA": HEAD}


def found(said: dict[str, str], checked_out: Sequence[str] = ()) -> CiRun:
    return ci_run(said.get, lambda: checked_out)


def test_a_run_of_github_names_everything_and_the_trace_follows_from_it() -> None:
    run = found(GITHUB)

    assert run == CiRun(
        run_id="91", revision=HEAD, repo_id="github.com/o/r", trace_id=pipeline_trace_id("91", 2),
        span_id=pipeline_root_span_id("91", 2),
    )  # fmt: skip


@pytest.mark.parametrize(("checked_out", "revision"), [((HEAD, MERGED), MERGED), ((HEAD,), ""), ((), "")])
def test_a_pull_request_is_known_by_its_head_not_by_the_merge(checked_out: tuple[str, ...], revision: str) -> None:
    """A shallow clone has the merge alone: then the run says what it was of."""
    run = found({**GITHUB, "GITHUB_REF": "refs/pull/7/merge"}, checked_out)

    assert run.revision == revision


def test_a_merge_on_a_branch_is_known_by_itself() -> None:
    assert found({}, (HEAD, MERGED)).revision == HEAD


def test_gitlab_names_pipeline_project_and_the_head_of_merged_results() -> None:
    said = {"CI_PIPELINE_ID": "5", "CI_COMMIT_SHA": HEAD, "CI_PROJECT_URL": "https://gitlab.example.com/g/s/p"}

    run, merged = found(said), found({**said, "CI_MERGE_REQUEST_SOURCE_BRANCH_SHA": MERGED})

    assert run == CiRun(run_id="5", revision=HEAD, repo_id="gitlab.example.com/g/s/p")
    assert merged.revision == MERGED


def test_attributes_of_opentelemetry_hold_over_what_ci_says() -> None:
    text = f"cicd.pipeline.run.id=x%2C1, vcs.ref.head.revision={MERGED},vcs.repository.url.full=https://h.io/a/b.git"

    run = found({**GITHUB, "OTEL_RESOURCE_ATTRIBUTES": text})

    assert (run.run_id, run.revision, run.repo_id) == ("x,1", MERGED, "h.io/a/b")


REF = {"GITHUB_REF_TYPE": "branch", "GITHUB_REF_NAME": "7/merge"}
GITLAB = {"CI_PIPELINE_ID": "5", "CI_COMMIT_REF_NAME": "fix"}


@pytest.mark.parametrize(
    ("said", "branch"),
    [
        ({**GITHUB, **REF, "GITHUB_REF_NAME": "main"}, "main"),
        ({**GITHUB, **REF, "GITHUB_HEAD_REF": "fix"}, "fix"),
        ({**GITHUB, "GITHUB_REF_TYPE": "tag", "GITHUB_REF_NAME": "v1"}, ""),
        (GITLAB, "fix"),
        ({**GITLAB, "CI_MERGE_REQUEST_REF_PATH": "refs/merge-requests/1/head"}, "refs/merge-requests/1/head"),
        ({**GITLAB, "CI_COMMIT_TAG": "v1", "CI_COMMIT_REF_NAME": "v1"}, ""),
        ({**GITLAB, "OTEL_RESOURCE_ATTRIBUTES": "vcs.ref.head.name=other"}, "other"),
        ({}, ""),
    ],
)
def test_the_branch_is_the_one_that_ci_tells_of_the_run_later(said: dict[str, str], branch: str) -> None:
    assert found(said).branch == branch


@pytest.mark.parametrize("text", ["", "=", "a", "a,b=", ",,=x"])
def test_broken_attributes_name_nothing(text: str) -> None:
    assert {name: value for name, value in attributes(text).items() if value} == {}


@pytest.mark.parametrize("said", [{}, {"GITHUB_RUN_ID": "x"}, {**GITHUB, "GITHUB_RUN_ATTEMPT": "x"}])
def test_without_a_whole_run_there_is_no_trace(said: dict[str, str]) -> None:
    assert not found(said).trace_id
