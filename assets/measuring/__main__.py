"""``python -m assets.measuring NAME JSON``: run one measure and print its figures as JSON.

A module of its own because a spawned worker imports again what its parent was started as, except a ``__main__``.
"""

import json
import sys

from assets.measuring.ingest import MEASURES

if __name__ == "__main__":
    print(json.dumps(MEASURES[sys.argv[1]](**json.loads(sys.argv[2]))))  # noqa: T201 - the protocol with the process above
