"""``python -m assets VERB [JSON]``: the verbs that the command line starts in a deployment directory.

Speaks JSON lines on standard output and ends with the exit code of the command. Imports only what the verb
needs: ``predict`` must answer within seconds and loads neither Dagster nor MLflow.
"""

import gc
import importlib
import json
import logging
import sys
import traceback
import warnings

from assets.registry import load_spec
from assets.resources import emit_json_line
from weaver_forge import settings as settings_module
from weaver_forge.errors import UsageError, WeaverForgeError

VERBS = {
    "ingest": "assets.verbs.loop",
    "run": "assets.verbs.loop",
    "train": "assets.verbs.loop",
    "publish": "assets.verbs.loop",
    "predict": "assets.verbs.predict",
    "replay": "assets.verbs.replay",
    "backtest": "assets.verbs.backtest",
    "benchmark": "assets.verbs.benchmark",
    "models": "assets.verbs.models",
    "links": "assets.verbs.links",
    "intelligence": "assets.verbs.intelligence",
    "evolve": "assets.verbs.evolve",
    "impact": "assets.verbs.impact",
    "curve": "assets.verbs.curve",
    "rejected": "assets.verbs.rejected",
    "compact": "assets.verbs.compact",
    "demo": "assets.verbs.demo",
}
"""Verb -> module; the module has a function of the verb's name: ``(settings, arguments, emit) -> exit code``."""


def main(argv: list[str]) -> int:
    """Run one verb; whatever breaks is reported as an event and ends with 4 or more."""
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr, format="%(levelname)s %(name)s: %(message)s")
    # Dagster marks parts of its own API as beta by warnings; a user of a verb can do nothing about them.
    warnings.filterwarnings("ignore", module="dagster")
    try:
        return _run(argv)
    except WeaverForgeError as error:
        emit_json_line({
            "event": "error", "what": error.what, "where": error.where, "do": error.do, "exit_code": error.exit_code,
        })  # fmt: skip
        return error.exit_code
    except Exception as error:  # noqa: BLE001 - the process's last line of defence: report, never swallow
        emit_json_line({
            "event": "error", "what": f"{type(error).__name__}: {error}", "where": "the pipeline",
            "do": "This is a bug: please report it with the lines above", "exit_code": 70,
        })  # fmt: skip
        traceback.print_exc()
        return 70


def _run(argv: list[str]) -> int:
    verb = argv[1] if len(argv) > 1 else ""
    if verb not in VERBS:
        raise UsageError(f"unknown verb {verb!r}", do=f"Known: {', '.join(VERBS)}")
    if argv[2:3] == ["-"]:
        gc.disable()  # one answer and the end: cycles are not looked for
    function = getattr(importlib.import_module(VERBS[verb]), verb)
    settings = settings_module.find()
    if argv[2:3] == ["-"]:  # started ahead of its question: all is loaded when it comes
        load_spec(settings, argv[3])
        asked = sys.stdin.read()
    else:
        asked = argv[2] if len(argv) > 2 else "{}"
    return int(function(settings, json.loads(asked), emit_json_line)) if asked else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))
