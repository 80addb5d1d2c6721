"""Lists that no runner's rules bend: ids, JSON, and what the pytest plugin reads. Pure."""

import json

from weaver_forge.hooks.rendering.lists import Lists, Rendered


def ids(lists: Lists) -> Rendered:
    """A test id a line, in order."""
    return Rendered(text="".join(f"{test_id}\n" for test_id in lists.run), use="")


def rows(lists: Lists) -> Rendered:
    """A list of objects, as ``rank-tests --json`` has them."""
    return Rendered(text=json.dumps([lists.row(test_id) for test_id in lists.run], indent=2), use="")


def pytest(lists: Lists) -> Rendered:
    """The document that the pytest plugin reads: the order of all tests, and which of them wait.

    pytest itself is never given ids: one that is gone ends the run, and none at all runs everything.
    """
    ranked = lists.run + lists.rest
    if all("rank" in lists.row(test_id) for test_id in ranked):
        place = {test_id: lists.row(test_id)["rank"] for test_id in ranked}
    else:
        place = {test_id: rank for rank, test_id in enumerate(ranked, 1)}
    document = {
        "run_everything": False,
        "ranking_reasons": [],
        **lists.told,
        "run": [{**lists.row(test_id), "rank": place[test_id]} for test_id in lists.run],
        "rest": [{**lists.row(test_id), "rank": place[test_id]} for test_id in lists.rest],
    }
    mode = "select" if lists.rest else "order"
    return Rendered(
        text=json.dumps(document, indent=2, default=str) + "\n",
        use=f"pytest -p weaver_forge.hooks.pytest_plugin --weaver-mode={mode} --weaver-from=FILE",
    )
