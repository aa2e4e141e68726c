"""The same work for many items, in several threads."""

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from rich.progress import track

T = TypeVar("T")
R = TypeVar("R")


def in_parallel(work: Callable[[T], R], items: Sequence[T], description: str) -> list[R]:
    """Do the same for every item, one thread a core, and show progress; returns the results in order."""
    with ThreadPoolExecutor(os.cpu_count()) as threads:
        return list(track(threads.map(work, items), description, len(items)))


def ahead(work: Callable[[T], R], items: Iterable[T], threads: int) -> Iterator[R]:
    """Do the same for every item and return the results in order, some of them made while earlier ones are used.

    Without threads each is made when it is asked for.
    """
    if not threads:
        yield from map(work, items)
        return
    with ThreadPoolExecutor(threads) as pool:
        waiting: deque[Future[R]] = deque()
        for item in items:
            waiting.append(pool.submit(work, item))
            if len(waiting) > 2 * threads:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
