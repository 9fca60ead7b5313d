# SPDX-License-Identifier: Apache-2.0
"""Memory of the host that outlives a task, for the next that needs as much."""

import importlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
from numpy.typing import NDArray


class Blocks:
    """Memory of the host that is asked for time and again: what was put back is taken again.

    A block that turns out too small is given up, so that no size that was ever asked for stays.
    """

    def __init__(self, make: Callable[[int], NDArray[np.uint8]]) -> None:
        self._make = make
        self._idle: list[NDArray[np.uint8]] = []

    def take(self, size: int) -> NDArray[np.uint8]:
        """``size`` bytes or more, holding anything."""
        while self._idle:
            block = self._idle.pop()  # at once, for threads that ask together
            if block.nbytes >= size:
                return block
        return self._make(size)

    def put_back(self, block: NDArray[np.uint8]) -> None:
        """Keep what nobody reads or writes any more for whoever asks next."""
        self._idle.append(block)

    @contextmanager
    def lent(self, size: int) -> Iterator[NDArray[np.uint8]]:
        """``size`` bytes or more, holding anything, for as long as the context lasts.

        Who borrows several opens one within the other: the next then has each in the same place.
        """
        block = self.take(size)
        try:
            yield block
        finally:
            self.put_back(block)

    def let_go(self) -> None:
        """Give up what is kept."""
        self._idle.clear()


def _pinned(size: int) -> NDArray[np.uint8]:
    # CuPy's own pool would keep a block of every size that was ever asked for.
    importlib.import_module("cupy").get_default_pinned_memory_pool().free_all_blocks()
    found: NDArray[np.uint8] = importlib.import_module("cupyx").empty_pinned(size, np.uint8)
    return found


PAGEABLE = Blocks(lambda size: np.empty(size, np.uint8))
"""Memory for the cores. The system clears each page that is touched for the first time: new memory
for each year took a third of the time of decoding and adding it."""

PINNED = Blocks(_pinned)
"""Memory that a GPU copies from while the cores go on, for CuPy: to pin a GB takes as long as to
read it."""


def let_go() -> None:
    """Give up the host's memory that is kept for whoever asks next."""
    PAGEABLE.let_go()
    PINNED.let_go()
