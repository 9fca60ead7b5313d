# SPDX-License-Identifier: Apache-2.0
"""A map of a table's pixels that is made in columns is the one that all of them make."""

from pathlib import Path

import large_ground
import numpy as np
import pandas as pd
import pytest

from rsei.engine.analysis.autocorrelation import moran
from rsei.engine.report import tabular
from rsei.engine.report.pixels import PixelTable
from rsei.engine.report.tables import TABLES
from rsei.engine.run.canvas import alike, columns, write_map
from rsei.engine.run.driver_settings import DriverLayers
from rsei.engine.sources.geotiff import BLOCK, Form, read_geotiff, write_cog

NAMES = ("predicted", "residual")


@pytest.mark.parametrize("side", [40, BLOCK + 30])
def test_a_map_is_made_of_the_rows_of_a_table(
    side: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tabular, "ROWS", 1 << 11)
    ground = large_ground.ground(tmp_path, side, DriverLayers(dem="dem.tif"))
    lattice, window = ground.lattice, ground.window
    whole = np.stack([large_ground.hills(side, seed).astype(np.float64) for seed in (1, 2)])
    whole = np.pad(whole, ((0, 0), (0, window.height - side), (0, window.width - side)),
                   constant_values=np.nan)  # fmt: skip
    whole[:, :, 3:9] = np.nan
    row, column = np.nonzero(np.isfinite(whole[0]))
    table = pd.DataFrame({"area": "Land", "x": lattice.x(window)[column]})
    table = table.assign(y=lattice.y(window)[row], in_sample=np.nan)
    table = table.assign(**dict(zip(NAMES, whole[:, row, column], strict=True)))
    path = tmp_path / "predictions.parquet"
    tabular.write(path, "predictions", table[TABLES["predictions"].names])
    whole[1, np.isnan(whole[0])] = np.nan
    blocks = list(columns(ground, PixelTable(path), NAMES))
    assert all(block.shape[2] == BLOCK for block in blocks[:-1])
    np.testing.assert_array_equal(np.concatenate(blocks, axis=2), whole)
    found, expected = alike(ground, PixelTable(path), "residual"), moran(whole[1])
    assert vars(found) == pytest.approx(vars(expected), rel=1e-11)
    write_map(tmp_path / "map.tif", ground, PixelTable(path), NAMES)
    form = Form(NAMES, units=("1", "1"))
    write_cog(tmp_path / "whole.tif", whole.astype(np.float32), lattice, window, form)
    assert (tmp_path / "map.tif").read_bytes() == (tmp_path / "whole.tif").read_bytes()
    values = read_geotiff(tmp_path / "map.tif", lattice)
    np.testing.assert_array_equal(values, whole.astype(np.float32))
