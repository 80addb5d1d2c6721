"""One query layer: what the CLI, pages and notebooks show of the ledger is asked for in ``ledger.queries`` alone."""

import json
import re
from pathlib import Path

from weaver_forge import ledger

PROJECT = Path(__file__).parents[2]
ASKED = re.compile(r"\b(?:ledger|reading|opened|book)\.(?:select|rows)\(")
LOOK_UPS = {
    "src/weaver_forge/hooks/evolving.py": "the decisions that a plan has carried out, to undo or check them",
    "src/weaver_forge/hooks/record.py": "whether the text of a policy is there already",
    "src/weaver_forge/hooks/reproducing.py": "which decision a question in words means",
    "assets/deferring.py": "under which ids a large ranking is there already",
    "assets/predicting.py": "which predictions are there already",
    "assets/replaying.py": "which replayed predictions are there already",
}
"""Where rows are looked up to act on them: nothing that is counted or estimated of them is shown."""
MEASURING = "assets/measuring/"
"""Measures the ledger itself."""


def code() -> dict[str, str]:
    """Everything that shows something: the library but the ledger, the pipeline, the cells of the notebooks."""
    inside = Path(ledger.__file__).parent
    files = [*(PROJECT / "src").rglob("*.py"), *(PROJECT / "assets").rglob("*.py")]
    found = {path.relative_to(PROJECT).as_posix(): path.read_text() for path in files if inside not in path.parents}
    for path in (PROJECT / "notebooks").glob("*.ipynb"):
        cells = json.loads(path.read_text())["cells"]
        found[path.name] = "\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "code")
    return {name: text for name, text in found.items() if not name.startswith(MEASURING)}


def test_nothing_outside_the_query_layer_asks_the_ledger_for_figures() -> None:
    asking = {name for name, text in code().items() if ASKED.search(text)}

    assert asking == set(LOOK_UPS)


def test_no_look_up_counts_or_averages() -> None:
    texts = code()

    counting = [name for name in LOOK_UPS if re.search(r"select (?:count|sum|avg|min|max)\(", texts[name])]

    assert not counting
