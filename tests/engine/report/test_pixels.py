# SPDX-License-Identifier: Apache-2.0
"""Tables of a row a pixel are drawn part by part, as if they had been read whole."""

import tracemalloc
from collections.abc import Iterator, Sequence
from functools import partial
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.figure import Figure
from numpy.typing import NDArray

from rsei.engine.report import figures_drivers, tabular
from rsei.engine.report.meshes import Mesh, Raster
from rsei.engine.report.percentiles import Percentiles
from rsei.engine.report.pixels import PixelTable, joined
from rsei.engine.report.tables import TABLES

SIZE = 500.0
"""From a pixel to the next, m."""


def pixels(side: int, seed: int = 1) -> pd.DataFrame:
    """A table of drivers of most pixels of a square, by x and then y."""
    rng = np.random.default_rng(seed)
    x, y = (SIZE * at.reshape(-1) - 1e6 for at in np.mgrid[:side, :side])
    table = pd.DataFrame({"area": "Land", "x": x, "y": y})
    for name in ("rsei", "dem", "gdp"):
        table[name] = rng.gamma(2, 3, x.size).astype(np.float32).astype(float)
        table.loc[rng.random(x.size) < 0.05, name] = np.nan
    table["split"] = np.where(rng.random(x.size) < 0.3, "valid", "train")
    return table[rng.random(x.size) < 0.9].reset_index(drop=True)


def cut(table: pd.DataFrame, ends: list[int]) -> Iterator[pd.DataFrame]:
    """A table in parts that end there, none of them empty."""
    every = sorted({0, len(table), *(end % len(table) for end in ends)})
    return (table.iloc[first:last] for first, last in pairwise(every))


def raster_of(table: pd.DataFrame, name: str) -> NDArray[np.float64]:
    """All rows as a raster at once."""
    column, row = ((table[at] - table[at].min()).to_numpy() / SIZE for at in ("x", "y"))
    row = row.max() - row
    out = np.full((int(row.max()) + 1, int(column.max()) + 1), np.nan)
    out[row.astype(int), column.astype(int)] = table[name]
    return out


ENDS = st.lists(st.integers(1, 10_000), max_size=6)


@settings(max_examples=25)
@given(side=st.integers(2, 40), most=st.integers(1, 50), ends=ENDS, seed=st.integers(0, 99))
def test_rows_become_the_raster_they_came_from(
    side: int, most: int, ends: list[int], seed: int
) -> None:
    """Of a coarser one the middle pixels, or the means of all."""
    table = pixels(side, seed)
    mesh, found = Mesh.of(cut(table, ends), most), dict[str, Raster]()
    whole = {name: raster_of(table, name) for name in ("rsei", "dem")}
    times, middle = mesh.times, mesh.times // 2
    assert mesh.shape == whole["dem"].shape and (times == 1 or max(mesh.shape) / times <= most)
    handed = pd.concat(mesh.laid(cut(table, ends), list(whole), found))
    pd.testing.assert_frame_equal(handed, table)
    for name, expected in whole.items():
        np.testing.assert_array_equal(found[name], expected[middle::times, middle::times])
    means = mesh.averaged(cut(table, ends), "dem")
    edge = [(0, -length % times) for length in mesh.shape]
    full = np.pad(whole["dem"], edge, constant_values=np.nan)
    blocks = full.reshape(means.shape[0], times, means.shape[1], times)
    known = np.isfinite(blocks)
    counts = known.sum((1, 3))
    expected = np.where(known, blocks, 0).sum((1, 3)) / np.where(counts, counts, np.nan)
    np.testing.assert_allclose(means, expected, rtol=1e-6)


@settings(max_examples=30)
@given(
    values=st.lists(st.floats(width=32) | st.sampled_from([0.0, -0.0, 1.0]), max_size=60),
    ends=ENDS,
    reach=st.floats(0, 49),
)
def test_percentiles_of_parts_are_those_of_all(
    values: list[float], ends: list[int], reach: float
) -> None:
    table = pd.DataFrame({"a": values, "b": np.nan}, dtype=float)
    known = table["a"].to_numpy()[np.isfinite(table["a"])]
    once = Percentiles(["a", "b"])
    parts = list(cut(table, ends)) if len(table) else []
    assert sum(map(len, once.seen(parts))) == len(table)
    found = once.limits(parts, reach)
    assert found["b"] == (0, 1)
    if not known.size:
        assert found["a"] == (0, 1)
        return
    low, high = np.percentile(known, [reach, 100 - reach])
    low, high = (low, high) if high > low else (low - 0.5, high + 0.5)
    assert found["a"] == pytest.approx((low, high), rel=1e-12, abs=1e-12 * np.abs(known).max())


@settings(max_examples=40)
@given(first=ENDS, second=ENDS, share=st.floats(0.02, 1), seed=st.integers(0, 99))
def test_parts_are_joined_as_tables_are(
    first: list[int], second: list[int], share: float, seed: int
) -> None:
    table = pixels(12, seed)
    kept = table[np.random.default_rng(seed).random(len(table)) < share].reset_index(drop=True)
    others = pixels(12, seed + 1)[["x", "y"]].assign(told=1.0)
    if kept.empty:
        return
    parts = list(joined(cut(kept, first), cut(others, second)))
    expected = kept.merge(others, on=["x", "y"])
    found = pd.concat(parts, ignore_index=True) if parts else expected.iloc[:0]
    pd.testing.assert_frame_equal(found, expected, check_dtype=bool(len(found)))


def stored(path: Path, name: str, table: pd.DataFrame) -> PixelTable:
    """The rows of Land in a file of the run that holds other areas, too."""
    around = [table.assign(area=area) for area in ("Hill", "Land", "Sea")]
    tabular.write(path, name, pd.concat(around).reindex(columns=TABLES[name].names))
    return PixelTable(path, "Land")


@pytest.fixture
def small_groups(monkeypatch: pytest.MonkeyPatch) -> None:
    """Files of groups of few rows."""
    monkeypatch.setattr(tabular, "ROWS", 2048)


@pytest.mark.usefixtures("small_groups")
def test_an_area_has_its_own_rows(tmp_path: Path) -> None:
    table = pixels(60)
    found = stored(tmp_path / "t.parquet", "drivers", table)
    names = ["x", "y", "gdp", "split"]
    parts = list(found.parts(names))
    assert len(parts) > 1 and max(map(len, parts)) <= 2048
    pd.testing.assert_frame_equal(
        pd.concat(parts, ignore_index=True), table[names].astype({"split": "str"})
    )
    assert found and not PixelTable(found.path, "Lake")
    assert sum(map(len, PixelTable(found.path).parts(["x"]))) == 3 * len(table)


@pytest.mark.usefixtures("small_groups")
def test_hexagons_count_every_point(tmp_path: Path) -> None:
    """As matplotlib does with all of them at once."""
    table = pixels(90)
    told = table[table["rsei"].notna()][["area", "x", "y", "rsei"]]
    told = told.assign(predicted=told["rsei"] * 0.9 + 0.1, residual=0.0, in_sample=0.0)
    pair = (
        stored(tmp_path / "drivers.parquet", "drivers", table),
        stored(tmp_path / "predictions.parquet", "predictions", told.drop(columns="rsei")),
    )
    axes, plain = Figure().subplots(), Figure().subplots()
    ends = figures_drivers._hexagons(axes, partial(figures_drivers._validated, *pair))
    both = table.merge(told.drop(columns=["area", "rsei"]), on=["x", "y"])
    both = both[both["split"] == "valid"]
    expected = plain.hexbin(both["rsei"], both["predicted"], gridsize=45, mincnt=1)
    (found,) = axes.collections
    np.testing.assert_array_equal(found.get_array(), expected.get_array())
    centres = [np.asarray(one.get_offsets(), float) for one in (found, expected)]
    np.testing.assert_allclose(centres[0], centres[1])
    every = both[["rsei", "predicted"]].to_numpy()
    assert ends.tolist() == [every.min(), every.max()]


@pytest.mark.usefixtures("small_groups")
def test_nine_times_the_pixels_take_no_more_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of rasters of the same size: in NumPy's arrays at most, and in Arrow's at every part."""
    arrow: list[int] = []
    parts = PixelTable.parts

    def watched(self: PixelTable, columns: Sequence[str]) -> Iterator[pd.DataFrame]:
        for part in parts(self, columns):
            arrow.append(pa.total_allocated_bytes())
            yield part

    monkeypatch.setattr(PixelTable, "parts", watched)
    peaks, axes = [], Figure().subplots()
    for side in (64, 192):
        table = pixels(side)
        told = table[["x", "y"]].assign(predicted=table["dem"], residual=0.0, in_sample=0.0)
        drivers = stored(tmp_path / f"{side}.parquet", "drivers", table)
        predictions = stored(tmp_path / f"{side}p.parquet", "predictions", told)
        before = pa.total_allocated_bytes()
        arrow.clear()
        tracemalloc.start()
        figures_drivers._measured(drivers, ("rsei", "dem", "gdp"), 50)
        figures_drivers._hexagons(axes, partial(figures_drivers._validated, drivers, predictions))
        mesh = Mesh.of(predictions.parts(["x", "y"]), 50)
        mesh.averaged(predictions.parts(["x", "y", "predicted"]), "predicted")
        peaks.append((tracemalloc.get_traced_memory()[1], max(arrow) - before))
        tracemalloc.stop()
    column = 8 * len(table)
    for few, many in zip(*peaks, strict=True):
        assert many - few < column / 2, (peaks, column)
