# SPDX-License-Identifier: Apache-2.0
"""Copies, kernels and readers in any order that a GPU may take them: the sums are the same.

There is no GPU here, so a machine of two streams stands in for it, which goes on by a schedule.
"""

import random
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scheduled_gpu import Array, Event, Inline, Machine, Memory

from rsei.engine.index.composite import ReflectanceSum
from rsei.engine.index.quality import Policy
from rsei.engine.run import blocks, devices, partials, streaming
from rsei.engine.run.blocks import Blocks
from rsei.engine.run.scenes import BenchOptions, Scenes
from rsei.engine.run.store import Key, Store
from rsei.engine.run.streaming import Layout, Stacks, streamed
from rsei.engine.run.tasks import carry_out
from rsei.engine.sources.errors import GranuleError
from rsei.engine.sources.granules import Granule, read


@pytest.fixture
def patch() -> Iterator[pytest.MonkeyPatch]:
    with pytest.MonkeyPatch.context() as made:
        yield made


def machine_of(patch: pytest.MonkeyPatch, schedule: list[int], eager: bool) -> Machine:
    """A machine in the place of CuPy's, and of the reader."""
    machine = Machine(schedule)
    cuda = SimpleNamespace(
        get_current_stream=lambda: machine.current,
        Stream=lambda non_blocking: machine.copies if non_blocking else None,
        Event=lambda block, disable_timing: Event(machine),
    )

    def empty(shape: tuple[int, ...], dtype: np.dtype[Any]) -> Array:
        return Array(Memory(machine, int(np.prod(shape)) * dtype.itemsize), shape, dtype)

    library = SimpleNamespace(cuda=cuda, empty=empty)
    patch.setattr(streaming, "home", lambda device: library)
    patch.setattr(streaming, "PINNED", blocks := Blocks(lambda size: np.zeros(size + 7, np.uint8)))
    machine.idle = blocks._idle
    patch.setattr(streaming, "ThreadPoolExecutor", type("Reader", (Inline,), {"eager": eager}))
    return machine


LAYOUT: Layout = {
    "bands": ((2, 7, 3, 5), np.dtype(">i2")),
    "state": ((2, 3, 5), np.dtype(">u2")),
    "qc": ((2, 3, 5), np.dtype(">u4")),
}
RNG = np.random.default_rng(4)
DATES = 9
STORED: Stacks = {
    "bands": RNG.integers(-300, 16500, (DATES, 7, 3, 5)).astype(">i2"),
    "state": (RNG.integers(0, 2**16, (DATES, 3, 5)) & 0b100_1000).astype(">u2"),
    "qc": (RNG.integers(0, 2**32, (DATES, 3, 5)) & 0x44000001).astype(">u4"),
}


def filling(dates: list[int]) -> Callable[[Stacks], Stacks]:
    """Fills a room with some of the stored dates."""

    def fill(room: Stacks) -> Stacks:
        for name, stack in room.items():
            stack[...] = -1 if name == "bands" else 0  # whoever reads the last batch now is wrong
            stack[: len(dates)] = STORED[name][dates]
        return {name: stack[: len(dates)] for name, stack in room.items()}

    return fill


FILLS = [filling(dates) for dates in ([0, 1], [2], [3, 4], [], [5, 6], [7], [8])]


def expected(dates: Any = slice(None)) -> Any:
    total = ReflectanceSum((3, 5), Policy())
    total.add(*(layer[dates] for layer in STORED.values()))
    return total.partial()


EXACT = expected()


def added(machine: Machine, most: int = len(FILLS)) -> ReflectanceSum:
    """The sums by kernels that stand in the machine's current stream."""
    total = ReflectanceSum((3, 5), Policy())
    with closing(streamed(FILLS, LAYOUT, "cuda")) as batches:
        for n, arrays in enumerate(batches):
            if n == most:
                break

            def add(arrays: list[Any] = arrays) -> None:
                layers = [array.read().copy() for array in arrays]
                if len(layers[0]):
                    total.add(*layers, other_order=True)

            machine.current.tell(add)
            del arrays, add
    machine.current.synchronize()
    return total


def same(total: ReflectanceSum) -> bool:
    found = total.partial()
    pairs = (found.sums, EXACT.sums), (found.counts, EXACT.counts)
    return all(np.array_equal(*pair) for pair in pairs)


@settings(max_examples=60)
@given(st.lists(st.integers(0, 9), max_size=30), st.booleans())
def test_any_order_of_copies_and_kernels_gives_the_same_sums(
    schedule: list[int], eager: bool
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        machine = machine_of(patch, schedule, eager)
        total = added(machine)
    assert same(total) and total.partial().losses == EXACT.losses
    assert not machine.copies.work and len(machine.freed) == 2 * len(LAYOUT)
    assert len(machine.idle) == 2


@settings(max_examples=30)
@given(st.lists(st.integers(0, 9), max_size=20), st.booleans(), st.integers(0, 6))
def test_whoever_leaves_early_leaves_nothing_on_its_way(
    schedule: list[int], eager: bool, most: int
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        machine = machine_of(patch, schedule, eager)
        added(machine, most)
    assert not machine.copies.work and len(machine.freed) == 2 * len(LAYOUT)
    assert len(machine.idle) == 2


@pytest.mark.parametrize("method", ["emptied", "left", "taken"])
def test_each_wait_is_needed(patch: pytest.MonkeyPatch, method: str) -> None:
    """Without it, some schedule of a hundred gives other sums, or writes into others' memory."""
    patch.setattr(streaming.Across, method, lambda room: None)
    wrong = 0
    for seed in range(100):
        chance = random.Random(seed)
        schedule = [chance.randrange(1 + seed % 10) for _ in range(20)]
        machine = machine_of(patch, schedule, seed % 2 == 0)
        try:
            wrong += not same(added(machine))
        except AssertionError:
            wrong += 1
    assert wrong > 0


def added_on_cores(rooms: set[int] | None = None) -> ReflectanceSum:
    total = ReflectanceSum((3, 5), Policy())
    for layers in streamed(FILLS, LAYOUT, "cpu"):
        if rooms is not None:
            rooms.add(layers[0].__array_interface__["data"][0])
        if len(layers[0]):
            total.add(*layers, other_order=True)
    return total


def test_the_cores_add_in_the_rooms_that_are_filled() -> None:
    rooms: set[int] = set()
    assert same(added_on_cores(rooms)) and len(rooms) == 2


def test_rooms_are_kept_for_the_next_year_whatever_they_hold(patch: pytest.MonkeyPatch) -> None:
    made: list[int] = []

    def make(size: int) -> NDArray[np.uint8]:
        made.append(size)
        return np.full(size, 0xA5, np.uint8)

    patch.setattr(streaming, "PAGEABLE", Blocks(make))
    for _ in range(2):
        assert same(added_on_cores())
    assert len(made) == 2
    with closing(streamed(FILLS, LAYOUT, "cpu")) as batches:  # left before its end
        next(batches)
    assert same(added_on_cores()) and len(made) == 2


def test_other_stages_have_the_memory_of_the_rooms(tmp_path: Path) -> None:
    task = Scenes.made(BenchOptions(64, 6, 1, "cpu"), tmp_path / "scenes", "cpu").task
    blocks.let_go()
    store = Store(tmp_path / "run")
    carry_out(task, store)
    assert len(blocks.PAGEABLE._idle) == 3  # two rooms, and the sums

    key = Key("composite", "nothing", 1, {}, {})
    other: Any = SimpleNamespace(
        stage=key.stage,
        name=key.name,
        files=(),
        key=lambda store: key,
        make=lambda store, draft: None,
    )
    carry_out(other, store)
    assert not blocks.PAGEABLE._idle


def test_an_error_of_a_reader_comes_in_its_turn() -> None:
    def fail(room: Stacks) -> Stacks:
        raise ArithmeticError("a granule")

    batches = streamed([FILLS[0], fail], LAYOUT, "cpu")
    assert len(next(batches)[0]) == 2
    with pytest.raises(ArithmeticError, match="a granule"):
        next(batches)


def test_a_granule_that_is_left_out_leaves_no_gap(
    tmp_path: Path, patch: pytest.MonkeyPatch
) -> None:
    """Those after it move up in their room, which stays the one that a GPU copies from."""
    task = replace(Scenes.made(BenchOptions(64, 6, 1, "cpu"), tmp_path, "cpu").task, skip=True)
    every = task.shelf.granules["reflectance"]
    torn = every[1]

    def spoilt(granule: Granule, *args: Any) -> Any:
        if granule is torn:
            raise GranuleError("torn")
        return read(granule, *args)

    patch.setattr(partials, "read", spoilt)
    found, bad = task.added("reflectance")
    left = {"reflectance": tuple(one for one in every if one is not torn)}
    exact, none = replace(task, shelf=replace(task.shelf, granules=left)).added("reflectance")
    assert len(bad) == 2 and not none and found.observations == exact.observations == 4
    np.testing.assert_array_equal(found.sums, exact.sums)
    np.testing.assert_array_equal(found.counts, exact.counts)
    assert found.losses == exact.losses


def test_pinned_memory_is_kept_for_the_next_and_given_back(patch: pytest.MonkeyPatch) -> None:
    made: list[int] = []
    freed: list[bool] = []
    pool = SimpleNamespace(free_all_blocks=lambda: freed.append(True))
    cupy = SimpleNamespace(
        get_default_pinned_memory_pool=lambda: pool, get_default_memory_pool=lambda: pool
    )

    def empty_pinned(size: int, dtype: Any) -> NDArray[Any]:
        made.append(size)
        return np.empty(size, dtype)

    patch.setitem(sys.modules, "cupy", cupy)
    patch.setitem(sys.modules, "cupyx", SimpleNamespace(empty_pinned=empty_pinned))
    pinned = blocks.PINNED
    first, second = pinned.take(100), pinned.take(50)
    pinned.put_back(second)
    pinned.put_back(first)
    assert pinned.take(60) is first and pinned.take(40) is second and made == [100, 50]
    assert pinned.take(101).size == 101 and made[2:] == [101]
    pinned.put_back(second)
    assert pinned.take(60).size == 60 and made[3:] == [60]  # too small, and given up
    pinned.put_back(first)
    freed.clear()
    devices.free_memory()
    assert pinned.take(10).size == 10 and made[4:] == [10] and freed
