"""How many threads linear algebra may take. Put nothing here that computes."""

from collections.abc import Generator
from contextlib import contextmanager

from threadpoolctl import threadpool_limits


@contextmanager
def one_thread() -> Generator[None]:
    """Matrices as narrow as a model's are multiplied by one thread, also as a decorator.

    Several gain little on them, and wait for each other by spinning: beside other work that costs ten times as much.
    """
    with threadpool_limits(limits=1, user_api="blas"):
        yield
