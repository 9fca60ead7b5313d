# SPDX-License-Identifier: Apache-2.0
"""NetCDF files of AppEEARS: all dates of a product, one variable a layer, nothing decoded."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any

import h5py
from numpy.typing import NDArray

from . import hdf5
from .encoding import Tags, canonical, encoding
from .errors import GranuleError, RasterError
from .files import first_bytes
from .grids import Window
from .layerfiles import refuse
from .located import Located, Name, Source
from .products import Layer, Product, Variant
from .rasterfiles import HDF5

SLAB = 32 << 20
"""Bytes of decoded dates that are worth keeping, for each of eight layers and windows."""


@contextmanager
def opened(path: Path) -> Iterator[h5py.File]:
    """The open file. Raises GranuleError for another format and for damage, also while reading."""
    start = first_bytes(path, 512, GranuleError)
    if not start.startswith(HDF5):
        raise refuse(path, "NetCDF-4", start)
    try:
        with hdf5.opened(path) as file:
            yield file
    except RasterError as error:
        raise GranuleError(str(error)) from error
    except (ValueError, OverflowError) as error:
        raise GranuleError(
            f"{path}: expected a whole NetCDF-4 file, found damage ({error}); download it again"
        ) from error


def locate(path: Path, name: Name, product: Product) -> list[Located]:
    """One granule for each date of a file, with all its layers; none where none is read.

    Raises GranuleError for a damaged file, one without grid, and a title that contradicts the name.
    """
    with opened(path) as file:
        _agree(path, name, hdf5.text(file, "title"))
        layers = {}
        for stored in hdf5.candidates(file):
            layer = product.stored(stored)
            if layer:
                _variant(path, hdf5.dataset(path, file, stored), layer)
                layers[stored] = layer.name
        forms = [hdf5.describe(path, stored, None) for stored in layers]
    for form in forms:
        same = (form.shape, form.dates) == (forms[0].shape, forms[0].dates)
        if not same or len(form.dates) != form.bands:
            raise GranuleError(
                f"{path}: expected rows, columns and dates of {forms[0].name} in {form.name}, "
                f"found {form.shape} at {len(form.dates)} dates; download it again"
            )
    return [
        Located(
            name,
            day,
            forms[0].crs,
            forms[0].transform,
            forms[0].shape,
            tuple(Source(layer, path, "netcdf", stored, k) for stored, layer in layers.items()),
        )
        for k, day in enumerate(forms[0].dates if forms else ())
    ]


def _agree(path: Path, name: Name, title: str) -> None:
    """Raises GranuleError where a file's title, ``MOD11A2.006 for aid0001``, is another's."""
    promised = f"{name.product}.{name.collection}"
    said = re.match(r"\w+\.\d{3}\b", title)
    if said and said[0] != promised:
        raise GranuleError(
            f"{path}: expected {promised} as in its name, found the title {title!r}; "
            "download it again, or give it its own name"
        )


def _variant(path: Path, data: h5py.Dataset, layer: Layer) -> Variant:
    keys = ("_FillValue", "scale_factor", "add_offset")
    tags = Tags(*(hdf5.number(data, key) for key in keys))
    return encoding(layer, data.dtype, tags, str(path))


def read(source: Source, layer: Layer, window: Window, out: NDArray[Any]) -> None:
    """Writes the pixels of ``window``, counted from the file's corner, of one layer and date.

    Raises GranuleError for damage and for tags that contradict the product table.
    """
    path = source.path
    with opened(path) as file:
        data = hdf5.dataset(path, file, source.stored)
        variant = _variant(path, data, layer)
        values = _values(path, data, source.index, window)
    out[...] = canonical(values, layer, variant, str(path))


def _values(path: Path, data: h5py.Dataset, index: int, window: Window) -> NDArray[Any]:
    """The pixels of one date. AppEEARS packs hundreds of dates in a chunk, so they are kept."""
    dates = data.chunks[0] if data.chunks else 1
    part = slice(window.top, window.bottom), slice(window.left, window.right)
    if dates == 1 or dates * window.size * data.dtype.itemsize > SLAB:
        return data[(index, *part)]
    state = path.stat()
    version = (state.st_mtime_ns, state.st_size)
    return _slab(path, version, data.name, index // dates * dates, dates, window)[index % dates]


@lru_cache(maxsize=8)
def _slab(
    path: Path, version: tuple[int, int], stored: str, first: int, dates: int, window: Window
) -> NDArray[Any]:
    """Several dates of a window, (dates, h, w); ``version`` tells a file from its successor."""
    with opened(path) as file:
        data = hdf5.dataset(path, file, stored)
        part = slice(window.top, window.bottom), slice(window.left, window.right)
        return data[(slice(first, first + dates), *part)]
