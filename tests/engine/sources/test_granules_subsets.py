# SPDX-License-Identifier: Apache-2.0
"""Subsets as AppEEARS cuts them: on grids of their own."""

import logging
import shutil
from pathlib import Path

import numpy as np
import pytest
from affine import Affine
from appeears_files import appeears, write_tiff

from rsei.engine.sources import encoding
from rsei.engine.sources.errors import GridError
from rsei.engine.sources.granules import catalogue, read
from rsei.engine.sources.grids import Window


def test_layers_of_one_request_share_one_tile_name(tmp_path: Path) -> None:
    appeears(tmp_path, "MOD09A1", "red", np.zeros((20, 30), "int16"))
    appeears(tmp_path, "MOD13A1", "ndvi", np.zeros((20, 30), "int16"))
    for shift in ((0, 0), (-1, 1)):
        appeears(tmp_path / str(shift), "MOD11A2", "lst", np.zeros((10, 15), "uint16"), shift)
        found = catalogue(tmp_path)
        assert len(found.tiles) == 1 and found.tiles[0] == found.lattice.name
        heat = found.of("MOD11A2")[0]
        assert heat.lattice.dx == pytest.approx(2 * found.lattice.dx)
        west = (heat.lattice.left - found.lattice.left) / found.lattice.dx
        assert west + 2 * heat.window.left == pytest.approx(shift[0])
        shutil.rmtree(tmp_path / str(shift))


def test_rounded_corners_are_one_lattice(tmp_path: Path) -> None:
    appeears(tmp_path, "MOD09A1", "red", np.zeros((20, 30), "int16"))
    appeears(tmp_path, "MOD09A1", "nir", np.zeros((20, 30), "int16"), (1e-7, -1e-7))
    appeears(tmp_path, "MOD13A1", "ndvi", np.zeros((8, 9), "int16"), (5, 3))
    found = catalogue(tmp_path)
    assert len(found.granules) == 2 and len(found.granules[0].sources) == 2
    assert found.granules[1].window == Window(3, 5, 8, 9)


def test_unrelated_grids_are_an_error(tmp_path: Path) -> None:
    appeears(tmp_path, "MOD09A1", "red", np.zeros((20, 30), "int16"))
    appeears(tmp_path, "MOD13A1", "ndvi", np.zeros((20, 30), "int16"), (0.4, 0))
    with pytest.raises(GridError, match="expected granules on one grid"):
        _ = catalogue(tmp_path).lattice


def test_rows_from_the_south_are_bad_and_the_rest_is_kept(tmp_path: Path) -> None:
    appeears(tmp_path, "MOD13A1", "ndvi", np.zeros((20, 30), "int16"))
    path = tmp_path / "MOD09A1.061_sur_refl_b01_doy2022153_aid0001.tif"
    write_tiff(path, np.zeros((4, 5), "int16"), Affine(0.1, 0, 110, 0, 0.1, 30), "EPSG:4326")
    found = catalogue(tmp_path)
    assert [one.product for one in found.granules] == ["MOD13A1"]
    assert "expected a north-up raster" in found.bad[0].reason and path.name in found.bad[0].reason


def test_a_differing_tag_of_a_quality_word_is_a_log_line(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    words = np.arange(150, dtype="int16").reshape(10, 15)
    appeears(tmp_path, "MOD11A2", "lst_qc", words, nodata=0)
    encoding._note.cache_clear()
    with caplog.at_level(logging.INFO):
        found = catalogue(tmp_path)
        array = read(found.granules[0], ["lst_qc"], found.granules[0].window)["lst_qc"]
    assert array.dtype == "uint8" and np.array_equal(array, words)
    assert "QC_Day" in caplog.text and "the product table wins" in caplog.text
