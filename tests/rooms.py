# SPDX-License-Identifier: Apache-2.0
"""A machine of little memory, which counts what is carried to it."""

import weakref
from typing import Any

import numpy as np
from numpy.typing import NDArray


class Room:
    """Carries arrays nowhere, and counts how many bytes of them are there at a time."""

    def __init__(self, room: int) -> None:
        self.room, self.held, self.most = room, 0, 0

    def __call__(self, array: NDArray[Any]) -> NDArray[Any]:
        there = np.array(array)
        self.held += there.nbytes
        self.most = max(self.most, self.held)
        weakref.finalize(there, self.left, there.nbytes)
        return there

    def left(self, size: int) -> None:
        self.held -= size
