# SPDX-License-Identifier: Apache-2.0
"""The HDF4 library crashes, hangs and hoards in a process of its own; the file alone is blamed."""

import sys
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import numpy as np
import pytest
from crashing_library import deaths
from granule_files import write_granule
from pyhdf.SD import SD

from rsei.engine.sources import hdf4, hdf4_library
from rsei.engine.sources.errors import GranuleError
from rsei.engine.sources.hdf4 import HDF4File
from rsei.engine.sources.hdf4_library import Library

NAME = "QC_Day"


@pytest.fixture
def granule(tmp_path: Path) -> Path:
    return write_granule(tmp_path, "MOD11A2", date(2022, 6, 2), how="rle")


@pytest.fixture
def library(monkeypatch: pytest.MonkeyPatch) -> Iterator[Library]:
    """A process that is not started yet."""
    fresh = Library()
    monkeypatch.setattr(hdf4, "LIBRARY", fresh)
    yield fresh
    fresh.close()


def whole(path: Path) -> np.ndarray:
    with HDF4File(path) as file:
        return file.whole(NAME)


def test_a_part_is_as_pyhdf_reads_it_here(granule: Path, library: Library) -> None:
    expected = SD(str(granule)).select(NAME).get((3, 5), (4, 2))
    for _ in range(2):  # the second time by the same process
        found = library.read(granule, NAME, (3, 5), (4, 2))
        assert found.dtype == expected.dtype and np.array_equal(found, expected)


def test_a_crash_is_tried_once_more(granule: Path, library: Library, tmp_path: Path) -> None:
    expected = SD(str(granule)).select(NAME).get()
    with deaths(tmp_path / "site", 1) as left:
        assert np.array_equal(whole(granule), expected)
    assert left.read_text() == "0"


def test_a_second_crash_is_the_files_fault(granule: Path, library: Library, tmp_path: Path) -> None:
    with deaths(tmp_path / "site", 9) as left:
        with pytest.raises(GranuleError, match=rf"{granule.name}.*{NAME}.*SIGSEGV.*of 2 times"):
            whole(granule)
    assert left.read_text() == "7"
    assert whole(granule).size  # the next file has a process again


def test_a_process_that_says_nothing_is_ended(granule: Path) -> None:
    silent = Library([sys.executable, "-c", "import time; time.sleep(600)"], patience=0.2)
    with pytest.raises(ValueError, match=r"no answer in 0\.2 s"):
        silent.read(granule, NAME, (0, 0), (1, 1))


def test_a_process_that_answers_half_is_not_believed(granule: Path) -> None:
    half = """input(); print('{"dtype": "|u1"}', flush=True); raise SystemExit(3)"""
    with pytest.raises(ValueError, match="ended with status 3"):
        Library([sys.executable, "-c", half]).read(granule, NAME, (0, 0), (5, 5))


def test_what_the_library_refuses_is_told_and_costs_no_process(
    granule: Path, library: Library
) -> None:
    for name, count in (("absent", (1, 1)), (NAME, (1000, 1000))):
        with pytest.raises(ValueError, match="the HDF4 library: "):
            library.read(granule, name, (0, 0), count)
    assert library._process is not None and library._process.poll() is None


def test_the_process_ends_with_its_owner(granule: Path, library: Library) -> None:
    library.read(granule, NAME, (0, 0), (1, 1))
    process = library._process
    assert process is not None and process.stdin is not None
    process.stdin.close()
    assert process.wait(60) == 0


@pytest.mark.skipif(sys.platform != "linux", reason="limits of memory are the system's")
def test_the_process_cannot_hoard(granule: Path) -> None:
    hoarder = f"""
from rsei.engine.sources import hdf4_library
hdf4_library.limited()
input()
bytearray({hdf4_library.ROOM})
"""
    with pytest.raises(ValueError, match="ended with status 1"):
        Library([sys.executable, "-c", hoarder]).read(granule, NAME, (0, 0), (1, 1))
