# SPDX-License-Identifier: Apache-2.0
"""A study on a GPU that is simulated has the bytes of one on the cores, however it is cut."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import simulated_gpu
import studies
from run_hashes import hashes

AREA = 'name = "Village"\nbounds = [119.80, 39.985, 119.83, 40.01]'
"""Some dozen pixels on both sides of a seam of tiles."""

RSEI = 'limits = [2, 98]\ndirection = "reference"\nreference = 2012'


@pytest.mark.slow
def test_a_study_on_a_simulated_gpu(tmp_path: Path) -> None:
    """Nothing mixes arrays of the two, and what is not contracted there is equal to the bit."""
    granules = studies.write_all(tmp_path / "granules")
    files = {
        name: studies.written(
            tmp_path / name, granules, area=AREA, rsei=RSEI, compute=f'device_memory = "{size}"'
        )
        for name, size in (("cores", "1 GiB"), ("gpu", "16 KiB"))
    }
    assert not studies.run(files["cores"], until="write").failed
    done = subprocess.run(
        [sys.executable, simulated_gpu.__file__, str(files["gpu"]), "write"],
        env=os.environ | {"NUMBA_ENABLE_CUDASIM": "1"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    found = hashes(tmp_path / "gpu/run")
    assert len(found) > 10 and found == hashes(tmp_path / "cores/run")
