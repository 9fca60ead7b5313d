# SPDX-License-Identifier: Apache-2.0
"""Stacks on their way to where they are added, one being filled while the last is added.

On a GPU three go on together: a reader fills pinned memory, a stream of copies carries what was
filled before, and CuPy's current stream calculates with what came before that. Two rooms are enough
for it, each a room of the host's and its like on the device. Events keep the order:

- a room is filled again once the copy from it has ended, for which the reader waits;
- what is on the device is written over once what reads it has ended, for which the copies wait;
- what is on the device is read once it is all there, for which the calculation waits.
"""

from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from math import prod
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from .blocks import PAGEABLE, PINNED
from .devices import home, marked

Layout = Mapping[str, tuple[tuple[int, ...], np.dtype[Any]]]
"""Shape and type of each stack that a room has place for."""

Stacks = dict[str, NDArray[Any]]
"""Arrays of the host by name; the first axis is of dates."""

Fill = Callable[[Stacks], Stacks]
"""Fills a room, and says which part of it: the first so many dates."""

ROOMS = 2
"""One is filled while the other is added."""


class Room(Protocol):
    """Place for stacks on the host, and the way from there."""

    host: Stacks
    """What is filled."""

    def emptied(self) -> None:
        """Wait until the room may be filled: the reader asks."""

    def sent(self, stacks: Stacks) -> list[Any]:
        """Send what was filled; the arrays that it will be in: the reader asks."""

    def taken(self) -> None:
        """What is calculated next finds the arrays whole."""

    def left(self) -> None:
        """What was told to calculate so far is all that reads the arrays."""


class Here:
    """A room whose stacks are added where they are: by the cores, which nobody has to wait for."""

    def __init__(self, layout: Layout, memory: NDArray[np.uint8]) -> None:
        self.host = _laid_out(memory, layout)

    def emptied(self) -> None:
        """Nothing to wait for."""

    def sent(self, stacks: Stacks) -> list[Any]:
        """The stacks themselves."""
        return list(stacks.values())

    def taken(self) -> None:
        """Nothing to wait for."""

    def left(self) -> None:
        """Nobody to tell."""


class Across:
    """A room of pinned memory, and its like on a GPU."""

    def __init__(self, layout: Layout, memory: NDArray[np.uint8], xp: Any, copies: Any) -> None:
        self.copies = copies
        self.current = xp.cuda.get_current_stream()
        self.host = _laid_out(memory, layout)
        self.device = {
            name: xp.empty(shape, dtype.newbyteorder("="))
            for name, (shape, dtype) in layout.items()
        }
        self.copied, self.read = (xp.cuda.Event(block=True, disable_timing=True) for _ in range(2))
        self.left()  # this memory of the device was another's, which may still be told to read it

    def emptied(self) -> None:
        """Wait for the copy."""
        self.copied.synchronize()

    def sent(self, stacks: Stacks) -> list[Any]:
        """Tell the copies, bytes as they are: CuPy has no type for those of the other order."""
        self.copies.wait_event(self.read)
        arrays = [self.device[name][: len(stack)] for name, stack in stacks.items()]
        for array, stack in zip(arrays, stacks.values(), strict=True):
            array.data.copy_from_host_async(stack.ctypes.data, stack.nbytes, self.copies)
        self.copied.record(self.copies)
        return arrays

    def taken(self) -> None:
        """The current stream waits for the copy, and with it whoever is given this memory next."""
        self.current.wait_event(self.copied)

    def left(self) -> None:
        """Mark the current stream."""
        self.read.record(self.current)


@contextmanager
def _on_cores(layout: Layout, number: int, xp: Any) -> Iterator[Sequence[Room]]:
    with ExitStack() as stack:
        blocks = [stack.enter_context(PAGEABLE.lent(_size(layout))) for _ in range(number)]
        yield [Here(layout, block) for block in blocks]


@contextmanager
def _on_gpu(layout: Layout, number: int, xp: Any) -> Iterator[Sequence[Room]]:
    # One that does not wait for the legacy default stream, where CuPy calculates if not told other.
    copies = xp.cuda.Stream(non_blocking=True)
    with ExitStack() as stack:
        blocks = [stack.enter_context(PINNED.lent(_size(layout))) for _ in range(number)]
        rooms = [Across(layout, block, xp, copies) for block in blocks]
        try:
            yield rooms
        finally:
            for room in rooms:
                room.taken()  # or the memory would be given to others while it is copied to
            copies.synchronize()  # as would be the pinned memory


WAYS = {"cpu": _on_cores, "cuda": _on_gpu}
"""Opens rooms, by the processor that their stacks are for."""


def streamed(fills: Sequence[Fill], layout: Layout, device: str) -> Generator[list[Any]]:
    """What each of ``fills``, one or more, filled, on ``device``; good until the next is asked for.

    Whoever may not ask for all of them closes it.
    """
    with WAYS[device](layout, min(ROOMS, len(fills)), home(device)) as rooms:
        with ThreadPoolExecutor(1, "read") as reader:

            def bring(n: int) -> list[Any]:
                room = rooms[n % ROOMS]
                room.emptied()
                stacks = fills[n](room.host)
                with marked("send"):
                    return room.sent(stacks)

            coming = reader.submit(bring, 0)
            for n in range(len(fills)):
                arrays = coming.result()
                if n + 1 < len(fills):  # into the room that was left before this turn
                    coming = reader.submit(bring, n + 1)
                rooms[n % ROOMS].taken()
                yield arrays
                rooms[n % ROOMS].left()


def _size(layout: Layout) -> int:
    """Bytes of all stacks."""
    return sum(map(_padded, layout.values()))


def _padded(form: tuple[tuple[int, ...], np.dtype[Any]]) -> int:
    """Bytes of a stack, so that the next begins where any type may."""
    return -(-prod(form[0]) * form[1].itemsize // 64) * 64


def _laid_out(memory: NDArray[np.uint8], layout: Layout) -> Stacks:
    """Stacks of ``layout``, one after the other, in ``memory``."""
    stacks, first = {}, 0
    for name, (shape, dtype) in layout.items():
        stacks[name] = np.ndarray(shape, dtype, memory, first)
        first += _padded((shape, dtype))
    return stacks
