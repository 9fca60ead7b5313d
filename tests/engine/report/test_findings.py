# SPDX-License-Identifier: Apache-2.0
"""Maps of an area by tiles put together, against one raster cut into larger pixels one by one.

And the outline of tiles that reach over the edge of the globe.
"""

from pathlib import Path

import numpy as np
import pytest
import shapely

from rsei.engine.report.figures_study import locator
from rsei.engine.report.findings import Site, in_degrees, read_layer
from rsei.engine.report.style import saved
from rsei.engine.sources.geotiff import Form, write_geotiff
from rsei.engine.sources.grids import SINUSOIDAL_500M, Window, tile_window

WHOLE = Window(900, 4800, 23, 31)
"""Pixels that the tiles lie in; the last of them is left out."""

EDGES = [(0, 10, 23), (0, 9, 20, 31)]
"""Rows and columns at which the tiles part: no multiples of any larger pixel."""


@pytest.fixture
def whole() -> np.ndarray:
    """Values of every pixel, a third of them none."""
    random = np.random.default_rng(2)
    values = random.random(WHOLE.shape).astype(np.float32)
    values[random.random(WHOLE.shape) < 0.3] = np.nan
    values[10:, 20:] = np.nan
    return values


@pytest.fixture
def tiles(tmp_path: Path, whole: np.ndarray) -> tuple[Path, ...]:
    """Its tiles but the last."""
    paths = []
    for top, bottom in zip(EDGES[0], EDGES[0][1:]):
        for left, right in zip(EDGES[1], EDGES[1][1:]):
            paths.append(tmp_path / f"{top:02d}{left:02d}.tif")
            window = Window(WHOLE.top + top, WHOLE.left + left, bottom - top, right - left)
            part = whole[None, top:bottom, left:right]
            write_geotiff(paths[-1], part, SINUSOIDAL_500M, window, Form(("rsei",), "float32"))
    return tuple(paths[:-1])


@pytest.mark.parametrize(("most", "times"), [(31, 1), (30, 2), (11, 3), (4, 8), (1, 31)])
def test_tiles_put_together_are_means_of_their_pixels(
    tiles: tuple[Path, ...], whole: np.ndarray, most: int, times: int
) -> None:
    found = read_layer(tiles, 1, most)
    rows, columns = (-(-side // times) for side in WHOLE.shape)
    assert found.values.shape == (rows, columns)
    for row in range(rows):
        for column in range(columns):
            block = whole[row * times : (row + 1) * times, column * times : (column + 1) * times]
            known = block[np.isfinite(block)]
            expected = known.astype(float).mean() if known.size else np.nan
            np.testing.assert_allclose(found.values[row, column], expected, rtol=1e-6)
    corner = SINUSOIDAL_500M.transform(WHOLE)
    assert (found.transform.c, found.transform.f) == pytest.approx((corner.c, corner.f))
    assert (found.transform.a, found.transform.e) == pytest.approx(
        (corner.a * times, corner.e * times)
    )


def test_tiles_at_the_edge_of_the_globe_end_there(tmp_path: Path) -> None:
    """At 60 degrees north the eastern side of h27v03 would be 200 degrees east."""
    tile = shapely.box(*SINUSOIDAL_500M.bounds(tile_window("h27v03")))
    outline = in_degrees(tile, SINUSOIDAL_500M.crs)
    west, south, east, north = outline.bounds
    assert (south, north) == pytest.approx((50, 60), abs=1e-3)
    assert west == pytest.approx(90 / np.cos(np.radians(50)), abs=1e-3)
    assert east == pytest.approx(180, abs=1e-3)
    site = Site(tmp_path, "East", "east", (2001,), outline, ())
    assert saved(locator([site]), "png").startswith(b"\x89PNG")
