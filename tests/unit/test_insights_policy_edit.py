"""A path more among the protected ones, and nothing else in the file is another byte."""

import pytest

from weaver_forge.errors import PolicyError
from weaver_forge.insights.evolution.policy_edit import protect, unprotect
from weaver_forge.policy import parse

HEAD = "# reviewed like code\nversion: 1\n\ndecisions:\n"
REST = "  test_selection: {scope: development}  # quick\n"
FORMS = {
    "no key": "    # a comment\n    scope: deployment   # where\n    ceiling: assisted\n",
    "flow list": "    scope: deployment\n    protected_paths: [migrations/, '**/*.tf']  # kept\n",
    "empty list": "    protected_paths: []\n    scope: deployment\n",
    "block list": "    protected_paths:\n      # schema\n      - migrations/\n      - 'a b/'\n    max_age_hours: 3\n",
    "list at the level of its key": "    protected_paths:\n    - migrations/   # why\n    on_unknown: fail_open\n",
    "last line without an end": "    protected_paths:\n      - migrations/",
    "flow mapping": " {scope: deployment, ceiling: assisted}\n",
}


def text_of(form: str) -> str:
    key = "  deploy_risk:" + ("" if form == "flow mapping" else "\n")
    return HEAD + key + FORMS[form] + ("" if form == "last line without an end" else REST)


@pytest.mark.parametrize("form", FORMS)
def test_a_path_is_added_in_every_form_and_every_other_byte_stays(form: str) -> None:
    before = text_of(form)

    made = protect(before, "policy.yaml", "deploy_risk", "src/ä hot.py")

    assert made.text.replace(made.inserted, "", 1) == before
    assert parse(made.text, "p").decisions["deploy_risk"].protected_paths[-1] == "src/ä hot.py"


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 0, 2)])
def test_several_are_taken_out_in_any_order_until_the_text_is_what_it_was(form: str, order: tuple[int, ...]) -> None:
    before = text_of(form)
    patterns = ["src/a.py", "src/b.py", "src/c.py"]
    text, with_key = before, []
    for pattern in patterns:
        made = protect(text, "p", "deploy_risk", pattern)
        with_key.append("protected_paths" in made.inserted)
        text = made.text

    for i in order:
        text = unprotect(text, "p", "deploy_risk", patterns[i], with_key=any(with_key))

    assert text.rstrip("\n") == before.rstrip("\n")


def test_what_was_changed_since_by_others_is_kept() -> None:
    made = protect(text_of("no key"), "p", "deploy_risk", "src/a.py").text
    changed = made.replace("ceiling: assisted", "ceiling: supervised").replace('["src/a.py"]', '["src/a.py", docs/]')

    after = unprotect(changed, "p", "deploy_risk", "src/a.py", with_key=True)

    rules = parse(after, "p").decisions["deploy_risk"]
    assert (rules.ceiling, rules.protected_paths) == ("supervised", ("docs/",))


def test_what_cannot_be_changed_alone_is_refused() -> None:
    with pytest.raises(PolicyError, match="not among its decisions"):
        protect(text_of("no key"), "p", "anomaly", "src/a.py")
    with pytest.raises(PolicyError, match="protected already"):
        protect(text_of("flow list"), "p", "deploy_risk", "migrations/")
    with pytest.raises(PolicyError, match="not protected by"):
        unprotect(text_of("flow list"), "p", "deploy_risk", "src/a.py", with_key=False)
    anchored = HEAD + "  a: &rules {scope: deployment, protected_paths: [x/]}\n  b: *rules\n"
    with pytest.raises(PolicyError):
        protect(anchored, "p", "b", "src/a.py")
