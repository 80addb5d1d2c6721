"""When Python looks for cycles of dead objects while input is taken in.

Decoders make a hundred thousand small objects at once, of which none is part of a cycle: each is freed when it is no
longer referred to. At the interpreter's own pace the search for cycles goes through all of them again and again, a
fifth of what reading test reports costs.
"""

import gc
from collections.abc import Generator
from contextlib import contextmanager

THRESHOLDS = (100_000, 50, 50)
"""Objects made before the young are searched, and how often that is done before the older ones are."""


@contextmanager
def seldom() -> Generator[None]:
    """Search seldom inside the block, and as before after it."""
    before = gc.get_threshold()
    gc.set_threshold(*THRESHOLDS)
    try:
        yield
    finally:
        gc.set_threshold(*before)
