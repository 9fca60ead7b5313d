# SPDX-License-Identifier: Apache-2.0
"""The HDF4 library's process, made to crash for as many times as a file says."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from granule_files import write_hdf4
from pyhdf.SD import SD

SITE = """\
import ctypes, os, pathlib, sys
if any("hdf4_library" in word for word in sys.orig_argv):
    deaths = pathlib.Path(os.environ["RSEI_TEST_DEATHS"])
    left = int(deaths.read_text())
    if left:
        deaths.write_text(str(left - 1))
        ctypes.string_at(0)
"""
"""Python runs this first in every process that the environment below reaches."""


@contextmanager
def deaths(folder: Path, times: int) -> Iterator[Path]:
    """Until the end, the process crashes; the file that is given holds how often it still will."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "sitecustomize.py").write_text(SITE)
    left = folder / "deaths"
    left.write_text(str(times))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", f"{folder}{os.pathsep}{os.environ.get('PYTHONPATH', '')}")
        patch.setenv("RSEI_TEST_DEATHS", str(left))
        yield left


def recoded(path: Path, how: str = "rle") -> None:
    """Store the layers of a granule anew, in a way that only the HDF4 library knows."""
    file = SD(str(path))
    arrays = {name: file.select(name).get() for name in file.datasets()}
    tags = {name: file.select(name).attributes() for name in arrays}
    attributes = file.attributes()
    file.end()
    path.unlink()
    write_hdf4(path, arrays, attributes, tags, how)


if sys.platform == "win32":
    pytest.skip("needs processes that crash by signals", allow_module_level=True)
