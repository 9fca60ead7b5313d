# SPDX-License-Identifier: Apache-2.0
"""A cloud-optimised GeoTIFF written from the left to the right is the one that is written whole."""

import json
import subprocess
import sys
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from rsei.engine.sources.errors import RasterError
from rsei.engine.sources.geotiff import BLOCK, Form, write_cog
from rsei.engine.sources.grids import SINUSOIDAL_500M, Window
from rsei.engine.sources.large_cog import write_large_cog

FORM = Form(("a", "b"), units=("1", "m"), tags={"of": "both"})


def columns(pixels: NDArray[np.float32]) -> Iterator[NDArray[np.float32]]:
    return (pixels[:, :, x : x + BLOCK] for x in range(0, pixels.shape[2], BLOCK))


@pytest.mark.parametrize("height", [1, 300])
@pytest.mark.parametrize("width", [1, BLOCK, 2 * BLOCK + 1])
def test_the_bytes_are_those_of_the_whole(tmp_path: Path, height: int, width: int) -> None:
    rng = np.random.default_rng(height + width)
    pixels = rng.random((2, height, width), np.float32)
    pixels[rng.random(pixels.shape) < 0.1] = np.nan
    pixels[:, :, : BLOCK + 20] = np.nan if width > BLOCK else 0.5
    place = SINUSOIDAL_500M, Window(12_000, 60_000, height, width)
    write_cog(tmp_path / "whole.tif", pixels, *place, FORM)
    write_large_cog(tmp_path / "parts.tif", columns(pixels), *place, FORM)
    assert (tmp_path / "parts.tif").read_bytes() == (tmp_path / "whole.tif").read_bytes()
    assert {path.name for path in tmp_path.iterdir()} == {"parts.tif", "whole.tif"}


@pytest.mark.parametrize("width", [2 * BLOCK, 2 * BLOCK + 2])
def test_columns_that_do_not_fill_the_window_are_refused(tmp_path: Path, width: int) -> None:
    pixels = np.zeros((2, 20, width), np.float32)
    place = SINUSOIDAL_500M, Window(0, 0, 20, 2 * BLOCK + 1)
    with pytest.raises(RasterError, match="expected"):
        write_large_cog(tmp_path / "a.tif", columns(pixels), *place, FORM)
    assert not list(tmp_path.iterdir())


def test_a_file_that_the_disk_cut_short_is_noticed(tmp_path: Path) -> None:
    """Of what the map is made of, as of itself."""
    script = Path(__file__).with_name("full_disk.py")
    command = [sys.executable, str(script), str(tmp_path / "a.tif"), "large"]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    outcomes = json.loads(done.stdout)
    assert len(outcomes) == 9
    for case, outcome in outcomes.items():
        if case.endswith(" 0"):
            assert outcome == "written"
        else:
            assert "the disk or the quota may be full: free some space" in outcome, case
    assert [path.name for path in tmp_path.iterdir()] == ["a.tif"]


def test_more_columns_take_no_more_memory(tmp_path: Path) -> None:
    """Of what Python holds; a process as a whole is looked at where forests are grown."""
    peaks = []
    for blocks in (2, 8):
        place = SINUSOIDAL_500M, Window(0, 0, 300, blocks * BLOCK)
        made = (np.full((2, 300, BLOCK), x, np.float32) for x in range(blocks))
        tracemalloc.start()
        write_large_cog(tmp_path / "a.tif", made, *place, FORM)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] - peaks[0] < 2 * 300 * BLOCK * 4, peaks
