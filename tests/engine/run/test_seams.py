# SPDX-License-Identifier: Apache-2.0
"""Where four tiles meet: a mosaic is made before anything is bent, so that no seam shows."""

from itertools import product
from pathlib import Path

import numpy as np
import pytest
import rasterio
import studies
from studies import written

from rsei.engine.sources.grids import SINUSOIDAL_1KM, SINUSOIDAL_500M, Window, carrier
from rsei.engine.sources.simulate import World, demo_place, season_dates, write_granules

CORNER = Window(12000 - 12, 64800 - 12, 24, 24)
"""Twelve pixels of each of h26v04, h27v04, h26v05 and h27v05: the middle of Tangshan."""

INNER = Window(12000 - 6, 64800 - 6, 12, 12)
"""What is looked at: at least six pixels from the edge of the granules."""


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bilinear study of the corner."""
    folder = tmp_path_factory.mktemp("corner")
    world = World(CORNER, demo_place().region, 3)
    for name in studies.PRODUCTS:
        for _ in write_granules(folder / "granules", name, world, season_dates(name, [2012])):
            pass
    x, y = SINUSOIDAL_500M.x(INNER), SINUSOIDAL_500M.y(INNER)
    lon, lat = carrier(SINUSOIDAL_500M.crs, "OGC:CRS84").transform(*np.meshgrid(x, y))
    bounds = [float(one) for one in (lon.min(), lat.min(), lon.max(), lat.max())]
    sections = {
        "study": 'name = "corner"\nout = "run"\nepochs = [2012]',
        "area": f'name = "Corner"\nbounds = {bounds}',
        "indicators": 'lst_resampling = "bilinear"',
        "water": 'mndwi = "off"',
    }
    outcome = studies.run(written(folder, folder / "granules", **sections), until="composite")
    assert outcome.failed == ()
    return outcome.out


def joined(run: Path, file: str) -> tuple[Window, np.ndarray]:
    """A file of the partials of all four tiles, pasted by their coordinates."""
    lattice = SINUSOIDAL_1KM if file == "heat.tif" else SINUSOIDAL_500M
    whole = lattice.covering(CORNER, SINUSOIDAL_500M, margin=4)
    total: np.ndarray | None = None
    tiles = [f"h{h}v{v:02d}" for h, v in product((26, 27), (4, 5))]
    for tile in tiles:
        with rasterio.open(run / f"store/partials/{tile}/2012/{file}") as source:
            window = lattice.window(source.transform, source.shape)
            values = source.read().astype(np.int64)
        if total is None:
            total = np.zeros((len(values), *whole.shape), np.int64)
        rows, columns = window.slices(whole)
        total[:, rows, columns] += values
    assert total is not None
    return whole, total


def test_reflectance_is_that_of_each_tile(run: Path) -> None:
    whole, sums = joined(run, "reflectance.tif")
    _, counts = joined(run, "counts.tif")
    with rasterio.open(run / "composites/corner/2012.tif") as file:
        window = SINUSOIDAL_500M.window(file.transform, file.shape)
        found = file.read(range(1, 8))
    shared = window & INNER
    with np.errstate(invalid="ignore"):
        expected = (sums / counts * 1e-4)[:, *shared.slices(whole)]
    np.testing.assert_allclose(found[:, *shared.slices(window)], expected, rtol=2e-7)
    seams = SINUSOIDAL_500M.window(SINUSOIDAL_500M.transform(shared), shared.shape)
    assert seams.top < 12000 < seams.bottom and seams.left < 64800 < seams.right


@pytest.mark.slow
def test_bilinear_heat_crosses_both_kinds_of_seam(run: Path) -> None:
    """Each 500 m pixel against the four 1 km pixels around its centre, of whichever tile."""
    whole, heat = joined(run, "heat.tif")
    with np.errstate(invalid="ignore", divide="ignore"):
        kelvin = heat[0] / heat[1] * 0.02
    with rasterio.open(run / "composites/corner/2012.tif") as file:
        window = SINUSOIDAL_500M.window(file.transform, file.shape)
        lst = file.read(file.descriptions.index("lst") + 1)
    checked = 0
    for row, column in product(range(INNER.top, INNER.bottom), range(INNER.left, INNER.right)):
        y, x = (row + 0.5) / 2 - 0.5 - whole.top, (column + 0.5) / 2 - 0.5 - whole.left
        top, left = int(np.floor(y)), int(np.floor(x))
        down, across = y - top, x - left
        weights = np.outer([1 - down, down], [1 - across, across])
        four = kelvin[top : top + 2, left : left + 2]
        if np.isfinite(four).all() and (window & Window(row, column, 1, 1)).size:
            found = lst[row - window.top, column - window.left]
            assert found == pytest.approx(float((weights * four).sum()), abs=2e-4)
            checked += row in (11999, 12000) or column in (64799, 64800)
    assert checked > 20  # pixels beside a seam
