# SPDX-License-Identifier: Apache-2.0
"""Strips of an area are cut to a budget: none takes more, and no result depends on the cut."""

import json
import tracemalloc
from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import studies
from hypothesis import given, settings
from hypothesis import strategies as st

from rsei.engine.index.area import Projection
from rsei.engine.index.indicators import LAYERS, IndicatorSettings, Layers, epoch_block
from rsei.engine.index.scopes import FixedTables, RseiSettings
from rsei.engine.run import analyses, composites, maps
from rsei.engine.run.areatasks import HISTOGRAMS, PIXEL, ROWS, AreaTask
from rsei.engine.run.budgets import on_card
from rsei.engine.run.composites import CompositeTask, composite_tasks, water_tasks
from rsei.engine.run.pipeline import WAVES
from rsei.engine.run.projections import ProjectTask, project_tasks
from rsei.engine.run.reductions import ReduceTask, reduce_tasks
from rsei.engine.run.store import Draft, Store
from rsei.engine.run.survey import Survey, survey
from rsei.engine.run.tasks import lighter
from rsei.engine.run.waters import WaterTask
from rsei.engine.sources.geotiff import Form, write_geotiff
from rsei.engine.sources.grids import SINUSOIDAL_500M, Window

RSEI = 'limits = [2, 98]\ndirection = "reference"\nreference = 2012'
"""What makes every pass over the strips: percentiles, correlations, the index."""


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> tuple[Survey, Store]:
    """A small study, done as far as its indicators and its scale."""
    folder = tmp_path_factory.mktemp("strips")
    file = studies.written(folder, studies.write_all(folder / "granules"), rsei=RSEI)
    assert not studies.run(file, until="project").failed
    return survey(studies.load(file)), Store(folder / "run")


def made(task: Any, store: Store) -> str:
    """What a task keeps, as text."""
    draft = Draft({})
    task.make(store, draft)
    return json.dumps(draft.payload, sort_keys=True, default=list)


@pytest.fixture(scope="module")
def exact(small: tuple[Survey, Store]) -> Callable[[], list[tuple[Any, str]]]:
    """Tasks of least and greatest values, and what each keeps when its raster is one strip."""
    found, store = small
    every: list[Any] = [*reduce_tasks(found, "cpu"), *project_tasks(found, "cpu")]
    how = every[0].settings.model_copy(update={"limits": "minmax"})
    pairs = [(replace(one, settings=how), "") for one in every]
    pairs = [(one, made(one, store)) for one, _ in pairs]
    return lambda: pairs


@settings(max_examples=4)
@given(st.integers(2, 30))
def test_no_result_depends_on_the_cut(
    small: tuple[Survey, Store], exact: Callable[[], list[tuple[Any, str]]], rows: int
) -> None:
    """Components, correlations, extremes and the maps' own values, to the bit."""
    found, store = small
    for whole, kept in exact():
        cut: Any = replace(whole, budget=rows * whole.widest * PIXEL + 7)
        assert cut.rows == rows
        assert made(cut, store) == kept
    (projection,) = project_tasks(found, "cpu")
    cut = replace(projection, budget=rows * projection.widest * PIXEL)
    assert index_of(cut, store) == index_of(projection, store)


def test_no_percentile_depends_on_the_cut(small: tuple[Survey, Store]) -> None:
    """Of indicators, and of the index: their histograms take most of the time, so once."""
    found, store = small
    for whole in (*reduce_tasks(found, "cpu"), *project_tasks(found, "cpu")):
        cut: Any = replace(whole, budget=17 * whole.widest * PIXEL)
        assert cut.rows == 17 and made(cut, store) == made(whole, store)


def index_of(task: ProjectTask, store: Store) -> bytes:
    """The index of both epochs before it is scaled."""
    reduced = store.marker("reduce", task.slug)
    assert reduced
    layers = (task.rsei0(store, reduced.payload, epoch) for epoch in task.epochs)
    return b"".join(rows.tobytes() for layer in layers for rows, _, _ in layer)


def test_every_task_that_puts_strips_on_a_gpu_is_cut_to_it_and_can_do_with_half(
    small: tuple[Survey, Store],
) -> None:
    """Whatever it holds beside, which no budget makes less."""
    card = 1 << 16
    cut = on_card(small[0], card)
    strips: list[Any] = [
        task
        for _, make in WAVES
        for task in make(cut, "cuda")
        if isinstance(task, AreaTask | CompositeTask | analyses.AreaAnalysis)
    ]
    kinds = {type(task) for task in strips}
    assert {maps.WriteTask, ReduceTask, ProjectTask, CompositeTask} < kinds
    for task in strips:
        assert task.budget <= card // 2
        if hasattr(task, "held"):
            assert task.memory - task.held <= card // 2
            less: Any = lighter(task)
            assert less.memory - task.held <= (task.memory - task.held + 1) // 2 and less != task


def test_a_task_that_holds_much_beside_its_strips_can_still_do_with_less_of_them(
    small: tuple[Survey, Store],
) -> None:
    """A map of a nation is packed in memory that is many times that of a strip."""
    place: Any = SimpleNamespace(
        pixels=1 << 32, parts=(SimpleNamespace(window=Window(0, 0, 50_000, 80_000)),)
    )
    task = replace(maps.write_tasks(small[0], "cpu")[0], place=place, budget=1 << 33)
    rows, less = [], lighter(task)
    while isinstance(less, maps.WriteTask):
        rows.append(less.rows)
        less = lighter(less)
    assert rows == [256, 128, 64, 32, 16, 8, 4, 2, 1]
    large = replace(composite_tasks(small[0], "cpu")[0], place=place.parts[0], budget=1 << 62)
    assert large.rows * 80_000 <= 1 << 28  # pixels that one call of the kernel takes
    halved: Any = lighter(replace(large, budget=1 << 33))
    assert halved.rows == (1 << 32) // (80_000 * composites.PIXEL)


def test_what_finds_the_threshold_of_water_is_cut_too(
    small: tuple[Survey, Store], tmp_path: Path
) -> None:
    """It makes the composite's strips, of its own budget."""
    found, store = small
    task = composite_tasks(found, "cpu")[0]
    water = WaterTask(task, task.budget)
    less = lighter(water)
    assert isinstance(less, WaterTask) and less.memory < water.memory
    assert less._cut.rows == less.budget // (task.place.window.width * composites.PIXEL)
    paths = {name: tmp_path / f"{n}.npz" for n, name in enumerate(("whole", "less"))}
    for name, one in (("whole", water), ("less", less)):
        one.make(store, Draft({one.files[0]: paths[name]}))
    with np.load(paths["whole"]) as whole, np.load(paths["less"]) as cut:
        np.testing.assert_array_equal(whole["counts"], cut["counts"])
    assert water_tasks(found, "cpu") == ()  # this study does not ask for it


WIDE = Window(12000, 65000, 700, 900)
"""Two strips, of which the last is not full."""


@pytest.fixture(scope="module")
def wide(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], Store]:
    """The fields of a task whose indicators are two strips, and their folder."""
    store = Store(tmp_path_factory.mktemp("wide"))
    place: Any = SimpleNamespace(window=WIDE, named=lambda epoch: f"a/{epoch}", area=None)
    place.parts = (place,)
    (store.folder / "indicators/a").mkdir(parents=True)
    rng = np.random.default_rng(5)
    for epoch in (2001, 2004):
        pixels = rng.random((6, *WIDE.shape), np.float32)
        pixels[3], pixels[5] = pixels[3] + 300, pixels[5] < 0.9
        path = store.folder / f"indicators/a/{epoch}.tif"
        write_geotiff(path, pixels, SINUSOIDAL_500M, WIDE, Form((*LAYERS, "valid")))
    asked = RseiSettings(limits=(2, 98), direction="reference", reference=2001)
    values = (place, (2001, 2004), asked, FixedTables({}, {}), SINUSOIDAL_500M, "cpu", 1 << 33)
    return dict(zip((field.name for field in fields(AreaTask)), values, strict=True)), store


def peak(work: Any) -> int:
    """Most bytes that Python and NumPy hold while something is done."""
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_a_strip_takes_what_the_plan_says(wide: tuple[dict[str, Any], Store]) -> None:
    """Of each pass, beside the histograms of percentiles."""
    shared, store = wide
    reduction = ReduceTask(**shared)
    weights, offsets = (0.4, 0.3, -0.5, -0.7), (0.5,) * 4
    reduced = {"epochs": {"2001": {"weights": weights, "offsets": offsets}}}
    projection = ProjectTask(**shared, chosen=(2001,))
    pixels = ROWS * WIDE.width
    assert reduction.strip == projection.strip == pixels * PIXEL

    @dataclass(frozen=True)
    class Known:
        sign: int
        projection: Projection

    how = Projection(weights, offsets)
    found: Any = {2001: Known(1, how), 2004: Known(1, how)}
    most = {
        "correlations": peak(lambda: reduction._agreement(store, found, 2004, 2001)),
        "percentiles": peak(lambda: reduction._percentiles_of(store, (2001, 2004))),
        "extremes": peak(lambda: projection.projected(store, reduced, 2001)),
        "scale": peak(lambda: projection.percentiles(store, reduced, [2001])),
    }
    assert 0.5 * pixels * PIXEL < max(most.values())
    assert all(one < pixels * PIXEL + HISTOGRAMS for one in most.values()), most
    assert most["correlations"] < pixels * PIXEL and most["extremes"] < pixels * PIXEL


def test_a_strip_of_a_composite_takes_what_the_plan_says() -> None:
    """With all indicators given and every layer there, and the last strip's block beside it."""
    shape, rng = (300, 1000), np.random.default_rng(6)

    def strips() -> None:
        for _ in range(2):
            layers = Layers(
                inside=np.ones(shape, bool),
                rasters={name: rng.random(shape, np.float32) for name in LAYERS[:3]}
                | {"lst": rng.random(shape, np.float32) + 300},
                sums=np.full((7, *shape), 3000, np.int32),
                counts=np.full((7, *shape), 1, np.uint8),
                land_cover_water=np.zeros(shape, bool),
            )
            block = epoch_block(layers, IndicatorSettings(), 0.0)
            assert block.indicators.shape == (5, *shape)

    assert 0.5 * composites.PIXEL < peak(strips) / (shape[0] * shape[1]) < composites.PIXEL
