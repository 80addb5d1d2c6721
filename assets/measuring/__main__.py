"""``python -m assets.measuring NAME JSON``: run one measure and print its figures as JSON.

A module of its own because a spawned worker imports again what its parent was started as, except a ``__main__``.
"""

import importlib
import json
import sys

if __name__ == "__main__":
    name = sys.argv[1]
    module = importlib.import_module(
        "assets.measuring.ledger" if name.startswith("ledger_") else "assets.measuring.ingest"
    )
    print(json.dumps(module.MEASURES[name](**json.loads(sys.argv[2]))))  # noqa: T201 - the protocol with the process above
