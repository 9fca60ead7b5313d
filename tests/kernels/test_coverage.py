# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest
import shapely
from numpy.typing import NDArray

from rsei.kernels.coverage import MARGIN, cover


def shares(polygon: str, box: tuple[int, int, int, int]) -> NDArray[np.float64]:
    """Shares of the pixels of ``box`` in one polygon, (h, w)."""
    rings = shapely.get_rings(shapely.from_wkt(polygon))
    points, ring = shapely.get_coordinates(rings, return_index=True)
    starts = np.searchsorted(ring, np.arange(len(rings) + 1))
    found, cells = cover(points, starts, np.array([0, len(rings)]), np.array([box]))
    assert cells.tolist() == [0, found.size]
    left, top, right, bottom = box
    return found.reshape(bottom - top, right - left + MARGIN)[:, :-MARGIN]


@pytest.mark.parametrize("reverse", [False, True])
def test_either_way_round(reverse: bool) -> None:
    shape = shapely.from_wkt(
        "POLYGON ((1 1, 3 1, 3 2.5, 1 1), (2 1.25, 2.5 1.25, 2.5 1.5, 2 1.25))"
    )
    found = shares((shape.reverse() if reverse else shape).wkt, (1, 1, 3, 3))
    np.testing.assert_allclose(found, [[0.375, 23 / 24 - 1 / 16], [0, 1 / 6]], rtol=1e-15)


def test_edges_along_the_pixels() -> None:
    found = shares("POLYGON ((2 1, 4 1, 4 3, 3 3, 3 2, 2 2, 2 1))", (2, 1, 4, 3))
    np.testing.assert_array_equal(found, [[1, 1], [0, 1]])


def test_a_sliver_thinner_than_a_pixel() -> None:
    found = shares("POLYGON ((0 0.5, 4 0.5, 4 0.500001, 0 0.500001, 0 0.5))", (0, 0, 4, 1))
    np.testing.assert_allclose(found, [[1e-6] * 4], rtol=1e-9)


def test_flat_edges_and_repeated_vertices_add_nothing() -> None:
    found = shares("POLYGON ((0 0, 1 0, 1 0, 2 0, 2 1, 1 1, 0 1, 0 0))", (0, 0, 2, 1))
    np.testing.assert_array_equal(found, [[1, 1]])
