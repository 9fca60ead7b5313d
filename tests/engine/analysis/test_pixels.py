# SPDX-License-Identifier: Apache-2.0
"""Pixels of an area as columns: their places, their order, and their grids."""

import numpy as np
import pandas as pd
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from rsei.engine.analysis.pixels import Pixels, parts
from rsei.engine.sources.grids import Lattice, Window

GRID = Lattice("ESRI:102025", 0.0, 0.0, 1000.0, 1000.0)


def test_grid_puts_pixels_where_they_lie() -> None:
    table = pd.DataFrame({"x": [500.0, 2500, 1500], "y": [3500.0, 1500, 1500], "v": [1.0, 2, 3]})
    pixels = Pixels.of_table(table)
    expected = [[1, np.nan, np.nan], [np.nan] * 3, [np.nan, 3, 2]]
    np.testing.assert_array_equal(pixels.grid(pixels["v"]), expected)
    among = pixels["v"] > 1
    np.testing.assert_array_equal(pixels.grid(pixels["v"], among), [[3, 2]])


@given(st.integers(1, 9).flatmap(lambda side: arrays(bool, (side, 10 - side))), st.integers(1, 9))
def test_places_order_and_parts_are_those_of_the_coordinates(inside: np.ndarray, size: int) -> None:
    if not inside.any():
        return
    window = Window(-3, 2, *inside.shape)
    layer = np.arange(inside.size, dtype=np.float32).reshape(inside.shape)
    pixels = Pixels.of("Town", GRID, window, inside, [("rsei", layer)])
    y, x = np.meshgrid(GRID.y(window), GRID.x(window), indexing="ij")
    frame = pixels.frame()
    np.testing.assert_array_equal(frame[["x", "y"]], np.stack([x[inside], y[inside]], 1))
    np.testing.assert_array_equal(frame["rsei"], layer[inside])
    order = pixels.by_place()
    sorted_ = pd.concat([pixels.frame(one) for one in parts(order, size)], ignore_index=True)
    expected = frame.sort_values(["x", "y"], ignore_index=True)
    pd.testing.assert_frame_equal(sorted_, expected, check_exact=True)
    grid = pixels.grid(pixels["rsei"])
    rows, columns = (np.flatnonzero(inside.any(axis=axis)) for axis in (1, 0))
    box = slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
    np.testing.assert_array_equal(grid, np.where(inside, layer, np.nan)[box])
    whole = Pixels.of_table(frame.sample(frac=1, random_state=1))
    if len(frame) > 1 and whole.lattice.dx == 1000:
        np.testing.assert_array_equal(whole.grid(whole["rsei"]), grid)
