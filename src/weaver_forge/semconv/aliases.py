"""Names that instrumentation used before the conventions named the thing: data, shared by all who read CI spans.

The collector's github receiver (opentelemetry-collector-contrib, still so at 0829e77) writes its own older names.
They are in no registry, so ``renaming`` cannot know them. Value traps of the old receiver:

* A *skipped* job or step is written as ``failure``; the span's status is then unset, while a real failure has
  status error. Trust the status: :func:`task_result`.
* ``cicd.pipeline.run.id`` is an integer; as text it is the same.
* A span named ``queue-<job>`` is the time a job waited, and no run of it.
"""

from weaver_forge.semconv.registry import Renames

GITHUB_RECEIVER: dict[str, str] = {
    "cicd.pipeline.run.status": "cicd.pipeline.result",
    "cicd.pipeline.run.task.id": "cicd.pipeline.task.run.id",
    "cicd.pipeline.run.task.name": "cicd.pipeline.task.name",
    "cicd.pipeline.run.task.status": "cicd.pipeline.task.run.result",
    "cicd.pipeline.run.task.url": "cicd.pipeline.task.run.url.full",
    "cicd.pipeline.run.url": "cicd.pipeline.run.url.full",
    "cicd.pipeline.task.run.status": "cicd.pipeline.task.run.result",
    "cicd.pipeline.worker.id": "cicd.worker.id",
    "cicd.pipeline.worker.name": "cicd.worker.name",
    "vcs.ref.head": "vcs.ref.head.name",
    "vcs.vendor.name": "vcs.provider.name",
}
"""Old name -> current name."""

RESULTS: dict[str, str] = {
    "action_required": "error",
    "cancelled": "cancellation",
    "canceled": "cancellation",
    "failed": "failure",
    "neutral": "success",
    "passed": "success",
    "skipped": "skip",
    "stale": "cancellation",
    "startup_failure": "error",
    "succeeded": "success",
    "timed_out": "timeout",
}
"""Words of CI systems -> members of ``cicd.pipeline.result``; a word that is a member already is not here."""

ALIASES = Renames(attributes=GITHUB_RECEIVER)
"""The aliases as renames, which ``renaming`` puts below the registry's own."""

QUEUE_SPAN = "queue-"
"""How the name of the old receiver's waiting spans begins."""


def task_result(said: str, status_code: int) -> str:
    """The result of a task as the conventions write it, from the old receiver's word and the span's status.

    Args:
        said: Value of ``cicd.pipeline.run.task.status``, of any case.
        status_code: OTLP status of the span: 0 unset, 1 ok, 2 error.
    """
    word = said.lower()
    if word == "failure" and status_code == 0:
        return "skip"
    return RESULTS.get(word, word)
