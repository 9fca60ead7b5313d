# SPDX-License-Identifier: Apache-2.0
"""Work on many maps or pictures of a page at a time."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from ...kernels.launch import own_cores

A = TypeVar("A")
B = TypeVar("B")

HANDS = 4
"""Most threads: a picture that is being shrunk takes 60 MB."""


def alongside(work: Callable[[A], B], every: Sequence[A]) -> list[B]:
    """What ``work`` makes of each, in order, several at a time.

    The page is the last task of a run, with nothing beside it: it takes cores that are another
    worker's until then. GDAL, WebP and the resampling of pictures do without Python's lock.
    """
    with ThreadPoolExecutor(min(HANDS, own_cores()), "page") as hands:
        return list(hands.map(work, every))
