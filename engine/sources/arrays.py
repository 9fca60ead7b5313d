"""Named arrays in one file, as NumPy's ``.npz``; nothing of it is pickled."""

import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .errors import InputError

FAULTS = (OSError, ValueError, EOFError, KeyError, TypeError, AttributeError, zipfile.BadZipFile)
"""What NumPy raises for a file that is damaged, or none of its own."""


def write_arrays(path: Path, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Write ``arrays``; the same ones give the same bytes. Raises ValueError for objects."""
    with path.open("wb") as file:  # given a path, NumPy would add an ending to a temporary name
        np.savez_compressed(file, allow_pickle=False, **dict(arrays))


def read_arrays(path: Path) -> dict[str, NDArray[Any]]:
    """The arrays of a file, whatever it is: no code in it is run.

    Raises InputError where there is none, or it is damaged or something else.
    """
    try:
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as file:
            return {name: file[name] for name in file.files}
    except FileNotFoundError:
        raise InputError(f"{path}: expected a file of arrays, found none") from None
    except FAULTS as error:
        raise InputError(f"{path}: expected a file of arrays (.npz), found {error}") from error
