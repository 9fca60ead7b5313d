# SPDX-License-Identifier: Apache-2.0
"""Named arrays in one file, as NumPy's ``.npz``; nothing of it is pickled."""

import math
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .errors import InputError

FAULTS = (
    OSError, ValueError, EOFError, LookupError, TypeError, NotImplementedError, RuntimeError,
    zipfile.BadZipFile, zlib.error,
)  # fmt: skip
"""What NumPy and zipfile raise for a file that is damaged, or none of theirs."""

EXPANSION = 100
"""Times that a file of arrays may grow when it is unpacked; forests grow 3 to 20 times."""

SMALL = 1 << 26
"""Bytes that any file may grow to."""


def write_arrays(path: Path, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Write ``arrays``; the same ones give the same bytes. Raises ValueError for objects."""
    with path.open("wb") as file:  # given a path, NumPy would add an ending to a temporary name
        np.savez_compressed(file, allow_pickle=False, **dict(arrays))


def read_arrays(path: Path) -> dict[str, NDArray[Any]]:
    """The arrays of a file, whatever it is: no code in it is run, and no length is believed.

    Raises InputError where there is none, or it is damaged or something else.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
            declared = sum(entry.file_size for entry in entries)
            if declared > SMALL + EXPANSION * path.stat().st_size:
                raise ValueError(f"{declared} bytes in {path.stat().st_size}")
            return {
                entry.filename.removesuffix(".npy"): _array(archive, entry) for entry in entries
            }
    except FileNotFoundError:
        raise InputError(f"{path}: expected a file of arrays, found none") from None
    except FAULTS as error:
        raise InputError(f"{path}: expected a file of arrays (.npz), found {error}") from error


def _array(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> NDArray[Any]:
    """One array; raises ValueError where it is not as long as its own header says."""
    with archive.open(entry) as member:
        np.lib.format.read_magic(member)
        shape, _, dtype = np.lib.format.read_array_header_1_0(member)
        size, held = math.prod(shape) * dtype.itemsize, entry.file_size - member.tell()
    if size != held:
        raise ValueError(f"{entry.filename} of {shape} {dtype} in {held} bytes")
    with archive.open(entry) as member:
        return np.lib.format.read_array(member, allow_pickle=False)
