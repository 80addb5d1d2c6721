"""``python -m assets.measuring NAME JSON``: run one measure and print its figures as JSON.

A module of its own because a spawned worker imports again what its parent was started as, except a ``__main__``.
"""

import importlib
import json
import sys

if __name__ == "__main__":
    name = sys.argv[1]
    family = name.partition("_")[0]
    module = importlib.import_module(f"assets.measuring.{family if family in {'ledger', 'ranking'} else 'ingest'}")
    print(json.dumps(module.MEASURES[name](**json.loads(sys.argv[2]))))  # noqa: T201 - the protocol with the process above
