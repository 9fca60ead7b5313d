# SPDX-License-Identifier: Apache-2.0
"""What only a GPU can show: its streams and pinned memory, and what is done when it is full.

Left out where there is none; ``benchmarks/device.py`` asks for these tests by name.
"""

import importlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
import studies
from numpy.typing import NDArray
from run_hashes import hashes

from rsei.engine.run import devices
from rsei.engine.run.cluster import Failed, attempt
from rsei.engine.run.scenes import BenchOptions, Scenes
from rsei.engine.run.store import Store
from rsei.engine.run.tasks import Done

pytestmark = pytest.mark.skipif(not devices.gpus(), reason="no CUDA device")

NEAR = 2e-5
"""Most that a raster may differ between processors, of its greatest value."""


@pytest.fixture(scope="module")
def scenes(tmp_path_factory: pytest.TempPathFactory) -> Scenes:
    """Ten dates of 512 x 512 pixels: two full batches and a half one."""
    return Scenes.made(BenchOptions(512, 10, 1, "cuda"), tmp_path_factory.mktemp("g"), "cuda")


@pytest.fixture(scope="module")
def granules(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return studies.write_all(tmp_path_factory.mktemp("granules"))


@pytest.fixture
def full() -> Iterator[Any]:
    """Makes the GPU's memory as small as asked for; all of it is there again afterwards."""
    cupy: Any = importlib.import_module("cupy")
    allocator, pool = cupy.cuda.get_allocator(), cupy.cuda.MemoryPool()
    cupy.cuda.set_allocator(pool.malloc)
    yield lambda size: pool.set_limit(size=size)
    cupy.cuda.set_allocator(allocator)


def test_streams_add_what_the_cores_add(scenes: Scenes) -> None:
    """Sums, counts and losses to the bit, each of three times: no copy or kernel is too early."""
    exact = replace(scenes.task, device="cpu").added("reflectance")[0]
    for _ in range(3):
        found = scenes.task.added("reflectance")[0]
        np.testing.assert_array_equal(found.sums, exact.sums)
        np.testing.assert_array_equal(found.counts, exact.counts)
        assert found.losses == exact.losses


def test_a_full_gpu_halves_the_block(scenes: Scenes, tmp_path: Path, full: Any) -> None:
    """Four dates at a time do not fit; the sums of fewer are the same, and so are their files."""
    whole = attempt(replace(scenes.task, device="cpu"), Store(tmp_path / "cpu"))
    full(32 << 20)
    found = attempt(scenes.task, Store(tmp_path / "gpu"))
    assert isinstance(whole, Done) and isinstance(found, Done), found
    assert hashes(tmp_path / "gpu") == hashes(tmp_path / "cpu")


def test_a_gpu_too_small_for_any_block_is_told(scenes: Scenes, tmp_path: Path, full: Any) -> None:
    full(1 << 20)
    found = attempt(scenes.task, Store(tmp_path))
    assert isinstance(found, Failed) and "compute.device_memory" in str(found.error)


def test_a_study_has_the_same_results_on_both(granules: Path, tmp_path: Path) -> None:
    """Whole; and cut to so little of a GPU that every stage is in strips, to the bit."""
    asked = {"rsei": 'direction = "reference"\nreference = 2012'}
    sizes = {"cpu": "", "cuda": "", "cut": 'device_memory = "512 KiB"'}
    for name, size in sizes.items():
        file = studies.written(tmp_path / name, granules, **asked, compute=size)
        device = "cpu" if name == "cpu" else "cuda"
        assert not studies.run(file, until="write", device=device).failed
    runs = {name: tmp_path / name / "run" for name in sizes}
    assert hashes(runs["cut"]) == hashes(runs["cuda"])
    rasters = sorted(path.relative_to(runs["cpu"]) for path in runs["cpu"].rglob("*.tif"))
    assert rasters
    for raster in rasters:
        mine, theirs = (layers(runs[one] / raster) for one in ("cpu", "cuda"))
        assert (np.isnan(mine) == np.isnan(theirs)).all()
        largest = np.nanmax(np.abs(mine), axis=(1, 2), keepdims=True, initial=1e-30)
        assert np.nanmax(np.abs(mine - theirs) / largest, initial=0) <= NEAR, raster


def layers(path: Path) -> NDArray[np.float64]:
    """The bands of a raster."""
    with rasterio.open(path) as file:
        return np.asarray(file.read(), np.float64)
