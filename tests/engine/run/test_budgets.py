# SPDX-License-Identifier: Apache-2.0
"""A task that needs more memory than there is is refused before it is tried, with a way out."""

import sys
import tracemalloc
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import shapely
import studies

from rsei.engine.analysis.change import Scopes, Trend, changes, pixel_trends
from rsei.engine.analysis.densities import densities
from rsei.engine.analysis.forest_settings import ForestSettings
from rsei.engine.analysis.grades import grades
from rsei.engine.analysis.rings import Rings, RingSettings, scale_range
from rsei.engine.analysis.series import latitude_profile, series
from rsei.engine.analysis.stacks import Stack, parts_of
from rsei.engine.run import clusters, devices, pipeline
from rsei.engine.run.analyses import PIXEL
from rsei.engine.run.budgets import on_card, refusal, shared
from rsei.engine.run.composites import composite_tasks
from rsei.engine.run.driver_settings import DriverRaster
from rsei.engine.run.forests import ForestTask
from rsei.engine.run.nearness import MineLayers
from rsei.engine.run.orders import RunOptions
from rsei.engine.run.partials import partial_tasks
from rsei.engine.run.rasterlayers import RasterLayer
from rsei.engine.run.store import Store
from rsei.engine.run.survey import survey
from rsei.engine.run.tasks import lighter
from rsei.engine.sources.errors import MachineError, RseiError, StudyError
from rsei.engine.sources.grids import SINUSOIDAL, SINUSOIDAL_500M, Window

SMALL = 'memory = "100 MiB"'
"""Less than what putting the tables together takes."""


@pytest.fixture(scope="module")
def granules(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return studies.write_some(tmp_path_factory.mktemp("granules"))


def test_plan_says_what_is_refused_and_how_to_go_on(granules: Path, tmp_path: Path) -> None:
    file = studies.written(tmp_path, granules, compute=SMALL)
    said = [one for one in pipeline.plan(studies.load(file)).warnings if "compute.memory" in one]
    assert said[0].startswith("analyse tables: expected tasks of at most 100 MiB")
    assert 'set compute.memory = "256 MiB"' in said[0]
    enough = studies.written(tmp_path, granules)
    assert not any("compute.memory" in one for one in pipeline.plan(studies.load(enough)).warnings)


@pytest.mark.parametrize(
    ("options", "error", "text"),
    [
        ({"workers": 400}, StudyError, "--workers: expected at least 512 MiB of memory a worker"),
        ({"scheduler": "tcp://127.0.0.1:9"}, MachineError, "expected a Dask scheduler, found none"),
    ],
)
def test_workers_that_cannot_be_are_refused_before_the_first_stage(
    options: dict[str, Any],
    error: type[RseiError],
    text: str,
    granules: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(clusters, "ANSWER", 0.2)
    file = studies.written(tmp_path, granules, compute='memory = "8 GiB"')
    watcher = studies.Silent()
    monkeypatch.setattr(watcher, "begin", None)
    with pytest.raises(error, match=text):
        pipeline.run(studies.load(file), RunOptions(**options), watcher)


def test_run_refuses_after_it_has_done_the_rest(granules: Path, tmp_path: Path) -> None:
    file = studies.written(tmp_path, granules, compute=SMALL)
    with pytest.raises(StudyError, match=r"analyse tables: .* found one that takes about 256 MiB"):
        studies.run(file)
    stages = {marker.stage for marker in Store(tmp_path / "run").markers()}
    assert "write" in stages and not (tmp_path / "run/tables").exists()
    assert studies.run(studies.written(tmp_path, granules)).failed == ()


def test_blocks_of_a_gpu_are_cut_to_its_memory(
    granules: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is free on it is asked for where the study does not say; the plan tells it."""
    card = devices.Gpu("H100", 80 << 30, "13.0")
    runtime = SimpleNamespace(memGetInfo=lambda: (5 << 20, 80 << 30))
    cupy = SimpleNamespace(cuda=SimpleNamespace(runtime=runtime))
    monkeypatch.setattr(devices, "gpus", lambda: (card,))
    monkeypatch.setitem(sys.modules, "cupy", cupy)
    study = studies.load(studies.written(tmp_path, granules, compute='device = "cuda"'))
    found = survey(study)
    free = int(0.8 * (5 << 20))
    cut = on_card(found, free)
    whole, less = partial_tasks(found, "cuda"), partial_tasks(cut, "cuda")
    assert max(task.budget for task in less) <= free < min(task.budget for task in whole)
    assert partial_tasks(cut, "cpu") == tuple(replace(one, device="cpu") for one in whole)
    strips, lower = (composite_tasks(one, "cuda") for one in (found, on_card(found, 1 << 18)))
    assert max(one.memory for one in lower) < max(one.memory for one in strips)
    assert max(one.budget for one in composite_tasks(cut, "cuda")) <= free
    assert on_card(found, None) is found
    plan = pipeline.plan(study)
    assert plan.device_budget == free and plan.record()["device_budget"] == free
    asked = 'device = "cuda"\ndevice_memory = "3 MiB"'
    said = pipeline.plan(studies.load(studies.written(tmp_path, granules, compute=asked)))
    assert said.device_budget == 3 << 20


def test_what_a_gpu_has_no_room_for_is_refused_with_a_way_out() -> None:
    """A driver is shuffled among all rows of a tree: they are on the GPU together."""
    ground: Any = SimpleNamespace(count=10**6, window=Window(0, 0, 1000, 1000))
    ground.place = SimpleNamespace(area=SimpleNamespace(slug="a"))
    task = ForestTask(ground, ForestSettings(trees=2), "cuda", 100 << 20)
    assert task.least == 108 * 10**6 and refusal(replace(task, device="cpu"), 1 << 40) is None
    said = str(refusal(task, 1 << 40))
    assert said.startswith("analyse forests/a: expected at most 100 MiB on the GPU at a time, ")
    assert 'found 103 MiB that cannot be parted; set compute.device_memory = "206 MiB"' in said
    assert "forest.sample" in said and said.endswith('or take device = "cpu"')
    enough = replace(task, budget=206 << 19)
    assert refusal(enough, 1 << 40) is None and lighter(enough) == replace(task, budget=206 << 18)
    ground.padded = SimpleNamespace(size=10**6)
    mines = MineLayers(ground, "cuda", budget=64 << 20)
    said = str(refusal(mines, 1 << 40))
    assert said.startswith("analyse layers/a/mines: expected at most 64 MiB on the GPU at a time")
    assert "drivers.resolution" in said and refusal(replace(mines, budget=1 << 27), 1 << 40) is None
    assert lighter(mines) is None and refusal(replace(mines, device="cpu"), 1 << 40) is None
    dem = RasterLayer(ground, "cuda", "dem", DriverRaster(raster="dem.tif"), budget=1 << 27)
    assert lighter(dem) == replace(dem, budget=258 * 1002 * 4)
    assert lighter(replace(dem, driver="gdp")) is None


def test_workers_share_the_memory(granules: Path, tmp_path: Path) -> None:
    found = survey(studies.load(studies.written(tmp_path, granules)))
    assert shared(found, 1) is found
    alone, among = (shared(found, n).study for n in (1, 4))
    assert among.compute.memory_bytes == alone.compute.memory_bytes // 4
    assert among.resolved() == alone.resolved()  # what stands in the run's record


@pytest.mark.slow
def test_tables_of_an_area_take_what_the_plan_says(monkeypatch: pytest.MonkeyPatch) -> None:
    """The most that each table takes beside the index, of 360,000 pixels with mines."""
    window, epochs = Window(12000, 65000, 800, 900), (2001, 2004, 2007, 2010)
    pixels = np.flatnonzero(np.indices(window.shape).sum(axis=0) % 2)
    rsei = np.random.default_rng(1).random((len(epochs), len(pixels)), np.float32)
    stack = Stack("Nation", SINUSOIDAL_500M, window, epochs, rsei, pixels)
    left, _, _, top = SINUSOIDAL_500M.bounds(window)
    mines = [
        shapely.box(left + 9e3 * k, top - 9e4, left + 9e3 * k + 2e3, top - 8e4) for k in range(9)
    ]
    monkeypatch.setattr("rsei.engine.analysis.rings.BLOCK", 1 << 16)  # of few pixels, too
    tracemalloc.start()
    try:
        zones = parts_of(stack, mines, SINUSOIDAL)
        series(stack, zones)
        latitude_profile(stack)
        densities(stack, zones)
        grades(stack, zones)
        changes(stack, zones, [(2001, 2010)], Scopes(), stack)
        pixel_trends(stack, zones, Trend.of(stack))
        Rings.of(stack, mines, SINUSOIDAL).table(stack)
        scale_range(stack, RingSettings())
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert 60 * len(pixels) < peak < PIXEL * len(pixels) + (16 << 20)
