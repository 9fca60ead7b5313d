# SPDX-License-Identifier: Apache-2.0
"""GeoTIFFs of a run: the same bytes however they are written, and what other programs read."""

import hashlib
import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from rasterio.windows import Window as Part
from rio_cogeo import cog_validate

from rsei.engine.sources.errors import GridError, RasterError
from rsei.engine.sources.geotiff import (
    Form,
    describe,
    grid,
    read_geotiff,
    stored_transform,
    window_in,
    write_cog,
    write_geotiff,
)
from rsei.engine.sources.grids import SINUSOIDAL_1KM, SINUSOIDAL_500M, Window
from rsei.engine.sources.placed import same_grid
from rsei.engine.sources.rasterfiles import open_raster

WINDOW = Window(12_003, 64_811, 530, 301)
FORM = Form(("ndvi", "lst"), units=("1", "K"), tags={"season": "06-01", "reach": "1"})


def pixels(bands: int = 2) -> NDArray[np.float32]:
    values = np.random.default_rng(3).normal(size=(bands, *WINDOW.shape)).astype(np.float32)
    values[:, 40:330, 20:290] = np.nan
    return values


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def cut(values: NDArray[np.float32], rows: list[int]) -> Iterator[tuple[Window, NDArray[Any]]]:
    top = 0
    for height in rows:
        strip = Window(WINDOW.top + top, WINDOW.left, height, WINDOW.width)
        yield strip, values[:, top : top + height]
        top += height


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.integers(1, WINDOW.height - 1), max_size=6))
def test_bytes_do_not_depend_on_the_strips(tmp_path: Path, edges: list[int]) -> None:
    values = pixels()
    write_geotiff(tmp_path / "whole.tif", values, SINUSOIDAL_500M, WINDOW, FORM)
    rows = np.diff(sorted({0, *edges, WINDOW.height})).tolist()
    write_geotiff(tmp_path / "cut.tif", cut(values, rows), SINUSOIDAL_500M, WINDOW, FORM)
    assert digest(tmp_path / "cut.tif") == digest(tmp_path / "whole.tif")


@pytest.mark.parametrize("write", [write_geotiff, write_cog])
@pytest.mark.parametrize("option", [{"GDAL_NUM_THREADS": 4}, {"GDAL_CACHEMAX": 300_000}])
def test_bytes_do_not_depend_on_threads_or_cache(tmp_path, write, option) -> None:  # type: ignore[no-untyped-def]
    write(tmp_path / "a.tif", pixels(), SINUSOIDAL_500M, WINDOW, FORM)
    with rasterio.Env(**option):
        write(tmp_path / "b.tif", pixels(), SINUSOIDAL_500M, WINDOW, FORM)
    assert digest(tmp_path / "a.tif") == digest(tmp_path / "b.tif")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.tif", "b.tif"]


def test_no_time_or_path_is_in_the_file(tmp_path: Path) -> None:
    path = tmp_path / "somewhere.tif"
    write_geotiff(path, pixels(), SINUSOIDAL_500M, WINDOW, FORM)
    assert b"somewhere" not in path.read_bytes()
    with rasterio.open(path) as dataset:
        assert dataset.tags() == {"AREA_OR_POINT": "Area", "season": "06-01", "reach": "1"}


@pytest.mark.parametrize(
    ("dtype", "nodata", "compression"),
    [("float32", float("nan"), "deflate"), ("int32", -(2**31), "lerc"), ("uint8", None, "lzw")],
)
def test_pixels_come_back(tmp_path: Path, dtype: str, nodata: float, compression: str) -> None:
    path = tmp_path / "a.tif"
    values = (np.random.default_rng(1).normal(size=(3, *WINDOW.shape)) * 100).astype(np.int8)
    form = Form(("a", "b", "c"), dtype, nodata, compression=compression)  # type: ignore[arg-type]
    write_geotiff(path, values.astype(dtype), SINUSOIDAL_500M, WINDOW, form)
    back = read_geotiff(path, SINUSOIDAL_500M)
    assert back.dtype == dtype
    assert np.array_equal(back, values.astype(dtype))
    part = Window(WINDOW.top + 200, WINDOW.left + 7, 90, 12)
    inner = read_geotiff(path, SINUSOIDAL_500M, part, bands=[3])
    assert np.array_equal(inner, values.astype(dtype)[2:, 200:290, 7:19])
    assert window_in(path, SINUSOIDAL_500M) == WINDOW
    assert same_grid(open_raster(path).placed, SINUSOIDAL_500M) == WINDOW


def test_windows_outside_the_file_are_refused(tmp_path: Path) -> None:
    write_geotiff(tmp_path / "a.tif", pixels(), SINUSOIDAL_500M, WINDOW, FORM)
    with pytest.raises(RasterError, match="expected pixels"):
        read_geotiff(tmp_path / "a.tif", SINUSOIDAL_500M, WINDOW.grown(1))
    with pytest.raises(GridError, match="off by"):
        read_geotiff(tmp_path / "a.tif", SINUSOIDAL_1KM)


@pytest.mark.parametrize("rows", [[200, 300], [530, 1], [10, -5, 525]])
def test_strips_that_do_not_fill_the_window_are_refused(tmp_path: Path, rows: list[int]) -> None:
    with pytest.raises(RasterError, match="expected"):
        write_geotiff(tmp_path / "a.tif", cut(pixels(), rows), SINUSOIDAL_500M, WINDOW, FORM)
    with pytest.raises(RasterError, match="expected pixels"):
        write_cog(tmp_path / "a.tif", pixels(1), SINUSOIDAL_500M, WINDOW, FORM)


def test_cog_is_valid_and_described(tmp_path: Path) -> None:
    path = tmp_path / "rsei.tif"
    values = np.broadcast_to(np.arange(301, dtype=np.float32) + 0.5, (1, *WINDOW.shape)).copy()
    values[:, :100, 150:] = np.nan
    form = Form(("rsei",), units=("1",), tags={"limits": "minmax"})
    write_cog(path, values, SINUSOIDAL_500M, WINDOW, form)
    valid, errors, warnings = cog_validate(path, strict=True)
    assert (valid, errors, warnings) == (True, [], [])
    with rasterio.open(path) as dataset:
        assert dataset.descriptions == ("rsei",)
        assert dataset.units == ("1",)
        assert np.isnan(dataset.nodata)
        assert dataset.tags()["limits"] == "minmax"
        assert dataset.overviews(1) == [2, 4]
        assert np.array_equal(dataset.read(), values, equal_nan=True)
    with rasterio.open(path, overview_level=0) as half:
        means = half.read(1)
    # The values are their own columns, so that a misplaced overview shows as a distance.
    columns = (np.arange(means.shape[1]) + 0.5) * 301 / means.shape[1]
    assert np.abs(means[-1] - columns).max() < 0.5
    assert np.isfinite(means[0]).sum() == 75


def test_classes_keep_their_colours(tmp_path: Path) -> None:
    path = tmp_path / "grades.tif"
    grades = np.random.default_rng(2).integers(0, 6, (1, *WINDOW.shape)).astype(np.uint8)
    colours = {1: (200, 0, 0, 255), 5: (0, 100, 0, 255)}
    write_cog(path, grades, SINUSOIDAL_500M, WINDOW, Form(("grade",), "uint8", 0, colours=colours))
    assert cog_validate(path, strict=True)[0]
    with rasterio.open(path) as dataset:
        assert dataset.colormap(1)[5] == (0, 100, 0, 255)
        assert np.array_equal(dataset.read(), grades)


@pytest.mark.skipif(sys.platform == "win32", reason="needs a limit on the size of files")
@pytest.mark.parametrize(
    "options",
    [{}, {"BIGTIFF": "YES"}, {"ENDIANNESS": "BIG"}, {"BIGTIFF": "YES", "ENDIANNESS": "BIG"}],
    ids=str,
)
def test_the_tags_of_a_file_say_where_it_lies_as_gdal_does(
    tmp_path: Path, options: dict[str, str]
) -> None:
    path, window = tmp_path / "a.tif", Window(-7, 130_001, 3, 2)
    where = {"crs": SINUSOIDAL_500M.crs, "transform": SINUSOIDAL_500M.transform(window)}
    profile = {"driver": "GTiff", "width": 2, "height": 3, "count": 1, "dtype": "uint8"}
    with rasterio.open(path, "w", **profile, **where, **options):
        pass
    with rasterio.open(path) as dataset:
        assert stored_transform(path) == dataset.transform
    data = path.read_bytes()
    for size in range(0, len(data), 7):  # whatever is left of a file, none is made up
        path.write_bytes(data[:size])
        assert stored_transform(path) in (None, where["transform"])


def test_a_file_without_a_place_says_none(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("no TIFF")
    assert stored_transform(path) is None and stored_transform(tmp_path) is None


def test_a_file_that_the_disk_cut_short_is_noticed(tmp_path: Path) -> None:
    """GDAL only logs what it cannot write when it closes a file: 1 byte too few has to be found."""
    script = Path(__file__).with_name("full_disk.py")
    command = [sys.executable, str(script), str(tmp_path / "a.tif")]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    outcomes = json.loads(done.stdout)
    assert len(outcomes) == 27
    for case, outcome in outcomes.items():
        if case.endswith(" 0"):
            assert outcome == "written"
        else:
            assert "the disk or the quota may be full: free some space" in outcome, case


@settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.tuples(*[st.integers(0, 80_000)] * 2, *[st.integers(1, 300)] * 2),
    st.booleans(),
    st.dictionaries(
        st.sampled_from(["area", "epoch", "pca"]),
        st.sampled_from(["Nation", "2003", "0", "São Paulo", "a<b & c", " ", '"', "x" * 300]),
    ),
)
def test_the_head_of_a_file_is_what_gdal_writes_there(
    tmp_path: Path, place: tuple[int, int, int, int], coarse: bool, tags: dict[str, str]
) -> None:
    form = replace(FORM, tags=tags)
    lattice, window = SINUSOIDAL_1KM if coarse else SINUSOIDAL_500M, Window(*place)
    write_geotiff(tmp_path / "elsewhere.tif", np.zeros((2, *window.shape), "float32"), lattice,
                  Window(0, 0, *window.shape), form)  # fmt: skip
    values = np.random.default_rng(3).random((2, *window.shape), "float32")
    write_geotiff(tmp_path / "kept.tif", values, lattice, window, form)
    profile = {"tiled": True, "blockxsize": 256, "blockysize": 256, "interleave": "band"}
    path = tmp_path / "gdal.tif"
    with rasterio.open(
        path, "w", driver="GTiff", **profile, sparse_ok=True, **form.options,
        **grid(lattice, window, form),
    ) as file:  # fmt: skip
        describe(file, form)
    for top in range(0, window.height, 256):
        rows = values[:, top : top + 256]
        with rasterio.open(path, "r+") as file:
            for band, layer in enumerate(rows, 1):
                file.write(layer, band, window=Part(0, top, window.width, len(layer)))
    assert digest(tmp_path / "kept.tif") == digest(path)
    with rasterio.open(tmp_path / "kept.tif") as file:
        assert file.transform == lattice.transform(window)
