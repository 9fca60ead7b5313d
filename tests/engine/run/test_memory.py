# SPDX-License-Identifier: Apache-2.0
"""A task for which the memory is too small is done in less of it, and gives the same bytes."""

import sys
import weakref
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import studies
from faulty_tasks import Faulty
from run_hashes import hashes

from rsei.engine.index.composite import ReflectanceSum
from rsei.engine.index.indicators import epoch_block
from rsei.engine.index.limits import Histogram
from rsei.engine.index.rsei import project
from rsei.engine.run import cluster, devices
from rsei.engine.run.cluster import Failed, TaskError, attempt
from rsei.engine.run.orders import RunOptions
from rsei.engine.run.store import Draft, Key, Store
from rsei.engine.run.tasks import Done, lighter


@dataclass(frozen=True)
class Large:
    """A task that takes its budget, and 60 bytes at least, of which the machine has ``room``."""

    name: str
    budget: int = 800
    room: int = 100
    stage = "composite"
    inputs = ()
    files = ()
    read = write = 0

    @property
    def memory(self) -> int:
        return max(self.budget, 60)

    def key(self, store: Store) -> Key:
        return Key(self.stage, self.name, 1, {}, {})

    def make(self, store: Store, draft: Draft) -> None:
        begun.append(self.memory)
        if self.memory > self.room:
            raise MemoryError


class OutOfMemoryError(MemoryError):
    """As CuPy's: ``cupy.cuda.memory.OutOfMemoryError``."""


class CUDARuntimeError(RuntimeError):
    """As that of CUDA's runtime in CuPy: what pinned memory that cannot be had raises."""


ERRORS: dict[str, tuple[type[Exception], str]] = {
    "array": (OutOfMemoryError, "Out of memory allocating 800 bytes"),
    "pool": (MemoryError, "std::bad_alloc: out_of_memory: RMM failure: Maximum pool size exceeded"),
    "pinned": (CUDARuntimeError, "cudaErrorMemoryAllocation: out of memory"),
    "kernel": (RuntimeError, "CUDA_ERROR_OUT_OF_MEMORY: The API call failed"),
    "other": (CUDARuntimeError, "cudaErrorIllegalAddress: an illegal memory access"),
}


class Block:
    """An array of a GPU."""


@dataclass(frozen=True)
class OnGpu(Large):
    """A task whose blocks are on a GPU, which is too small for them."""

    fails: str = "array"

    def make(self, store: Store, draft: Draft) -> None:
        block = Block()
        blocks.append(weakref.ref(block))
        begun.append(self.memory)
        if self.memory > self.room:
            kind, text = ERRORS[self.fails]
            raise kind(text)


blocks: list[weakref.ref[Block]] = []
"""The arrays of each try of an ``OnGpu``."""

begun: list[int] = []
"""The memory of each try of a ``Large``."""


def test_the_memory_of_a_task_is_halved_three_times(tmp_path: Path) -> None:
    begun.clear()
    store = Store(tmp_path)
    found = attempt(Large("a"), store)
    assert isinstance(found, Done) and found.task == Large("a")
    assert begun == [800, 400, 200, 100]
    found = attempt(Large("b", room=99), store)
    assert isinstance(found, Failed) and isinstance(found.error, TaskError)
    assert found.task == Large("b", room=99) and begun[4:] == begun[:4]
    assert "not enough memory" in str(found.error)


def test_a_task_that_cannot_do_with_less_is_tried_no_more(tmp_path: Path) -> None:
    store = Store(tmp_path)
    begun.clear()
    assert isinstance(attempt(Large("a", budget=100, room=50), store), Failed)
    assert begun == [100, 60]
    assert isinstance(attempt(Faulty("b", "memory"), store), Failed)
    assert Faulty("b").tries(store) == 1
    assert lighter(Faulty("b")) is None


@pytest.mark.parametrize("fails", [name for name in ERRORS if name != "other"])
def test_whatever_a_gpu_says_when_it_is_full_halves_the_block(
    fails: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Three times, each after its memory was given back: no traceback keeps an array of the try."""
    begun.clear()
    alive: list[int] = []

    def free() -> None:
        alive.append(sum(block() is not None for block in blocks))

    monkeypatch.setattr(cluster, "free_memory", free)
    store = Store(tmp_path)
    assert isinstance(attempt(OnGpu("a", fails=fails), store), Done)
    assert begun == [800, 400, 200, 100] and alive == [0, 0, 0]
    found = attempt(OnGpu("b", room=99, fails=fails), store)
    assert isinstance(found, Failed) and isinstance(found.error, TaskError)
    assert begun[4:] == begun[:4] and "compute.device_memory" in str(found.error)


def test_other_errors_of_cuda_are_told_as_they_are(tmp_path: Path) -> None:
    found = attempt(OnGpu("c", fails="other"), Store(tmp_path))
    assert isinstance(found, Failed) and "cudaErrorIllegalAddress" in str(found.error)


def test_a_process_limits_the_gpu_that_it_uses_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    monkeypatch.setattr(cluster, "limit_memory", asked.append)
    with cluster.crew(RunOptions(), 1 << 30, studies.Silent(), "cuda", 500):
        assert asked == [500]
    with cluster.crew(RunOptions(), 1 << 30, studies.Silent(), "cpu", None):
        assert asked == [500]


def test_cupys_pools_give_back_what_nobody_uses(monkeypatch: pytest.MonkeyPatch) -> None:
    freed = []

    class Pool:
        def free_all_blocks(self) -> None:
            freed.append(self)

    class CuPy:
        pools = Pool(), Pool()
        get_default_memory_pool = staticmethod(lambda: CuPy.pools[0])
        get_default_pinned_memory_pool = staticmethod(lambda: CuPy.pools[1])

    monkeypatch.setitem(sys.modules, "cupy", CuPy)
    devices.free_memory()
    assert freed == list(CuPy.pools)


@pytest.mark.slow
def test_a_run_short_of_memory_gives_the_same_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    granules = studies.write_some(tmp_path / "granules")
    asked = 'limits = [2, 98]\ndirection = "reference"\nreference = 2012'
    whole = studies.run(studies.written(tmp_path / "whole", granules, rsei=asked), until="write")
    refused = {"partial": 0, "composite": 0, "reduce": 0, "project": 0}
    add, make, count, draw = ReflectanceSum.add, epoch_block, Histogram.of, project

    def few_dates(total: Any, bands: Any, *words: Any, **order: bool) -> None:
        if len(bands) > 1:
            refused["partial"] += 1
            raise MemoryError
        add(total, bands, *words, **order)

    def few_rows(layers: Any, *rest: Any) -> Any:
        if layers.inside.shape[0] > 8:
            refused["composite"] += 1
            raise MemoryError
        return make(layers, *rest)

    def few_counted(layers: Any, reason: Any) -> Any:
        if reason.shape[0] > 8:
            refused["reduce"] += 1
            raise MemoryError
        return count(layers, reason)

    def few_projected(indicators: Any, reason: Any, *rest: Any) -> Any:
        if reason.shape[0] > 8:
            refused["project"] += 1
            raise MemoryError
        return draw(indicators, reason, *rest)

    monkeypatch.setattr("rsei.engine.run.areatasks.Histogram.of", few_counted)
    monkeypatch.setattr("rsei.engine.run.areatasks.project", few_projected)
    monkeypatch.setattr(ReflectanceSum, "add", few_dates)
    monkeypatch.setattr("rsei.engine.run.composites.epoch_block", few_rows)
    monkeypatch.setattr(cluster, "HALVINGS", 12)
    short = studies.run(studies.written(tmp_path / "short", granules, rsei=asked), until="write")
    assert not short.failed and min(refused.values()) > 0
    assert hashes(short.out) == hashes(whole.out)
