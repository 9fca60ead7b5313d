# SPDX-License-Identifier: Apache-2.0
"""What a granule or raster holds, whatever it is: it reports what it finds and refuses nothing."""

import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import hdf5
from .descriptors import MAGIC, reading
from .encoding import Tags
from .errors import InputError, RasterError
from .files import beginning, first_bytes
from .grids import SINUSOIDAL
from .hdf4 import HDF4File
from .located import name_of
from .products import QUALITY_FIELDS, plain, products
from .rasterfiles import HDF5, TIFF, opened_tiff, readable
from .structure import Grid, block, grids

BLOCK = 1 << 24
"""Pixels that are held at a time."""

NO_FILL = {
    layer.word
    for product in products().values()
    for layer in product.layers
    if layer.word and layer.fill is None
}
"""Words without a fill: where a file tags one all the same, as AppEEARS does 0, it means good."""

PIXEL_LIMIT = 1 << 32
"""Pixels of the largest layer that is counted; some minutes. A file may declare any number."""

Blocks = Iterator[NDArray[Any]]
"""The stored values of a layer, in parts."""


@dataclass(frozen=True)
class Found:
    """One layer as a file has it."""

    name: str
    """Its name in the file."""

    shape: tuple[int, ...]
    """Length of each dimension."""

    dtype: np.dtype[Any]
    """Its type."""

    tags: Tags
    """What the file says of its values."""

    blocks: Callable[[], Blocks]
    """Its stored values."""

    crs: str | None = None
    """Coordinate system."""

    transform: tuple[float, ...] | None = None
    """GDAL's six numbers: left, width, 0, top, 0, minus height of a pixel."""


def inspect(path: Path) -> dict[str, Any]:
    """The layers of a file: name, shape, dtype, nodata, valid pixels and quality fields as counts.

    ``fields`` stands beside quality words alone, with decimal keys; its counts leave out the fill.
    Raises InputError for a damaged file, and one that is not HDF4, GeoTIFF or NetCDF-4.
    """
    start = first_bytes(path, 512, InputError)
    known = _known(path)
    if start.startswith(MAGIC):
        layers = _hdf4(path)
    elif start.startswith(TIFF):
        layers = _geotiff(path)
    elif start.startswith(HDF5):
        layers = _netcdf(path)
    else:
        raise InputError(
            f"{path}: expected HDF4, GeoTIFF or NetCDF-4, found {beginning(start)}; "
            "name a granule or a raster"
        )
    name = name_of(path.name)
    report: dict[str, Any] = {
        "file": path.name,
        "product": name.product if name else None,
        "collection": name.collection if name else None,
        "tile": name.tile if name else None,
        "date": name.date.isoformat() if name and name.date else None,
        "layers": [],
    }
    for found in layers:
        if math.prod(found.shape) > PIXEL_LIMIT or found.shape[-1] > hdf5.AXIS_LIMIT:
            raise InputError(
                f"{path}: expected at most {PIXEL_LIMIT} pixels in {found.name}, in rows of at "
                f"most {hdf5.AXIS_LIMIT}, found {' x '.join(map(str, found.shape))}"
            )
        report["layers"].append(_report(found, *known(found.name)))
    return report


def _known(path: Path) -> Callable[[str], tuple[str, str | None]]:
    """Stored name and quality word of a layer, by the file's product, else by any product's."""
    name = name_of(path.name)
    every = products()
    own = [every[name.product]] if name and name.product in every else []
    known: dict[str, tuple[str, str | None]] = {}
    for product in [*reversed(list(every.values())), *own]:
        for layer in product.layers:
            for called in filter(None, (layer.stored, layer.alias)):
                known[plain(called)] = layer.stored, layer.word
        known |= {plain(stored): (stored, word) for stored, word in product.words.items()}
    promised = plain(name.layer) if name and name.layer else None

    def known_layer(called: str) -> tuple[str, str | None]:
        if promised and called == path.stem:  # the one layer of a GeoTIFF has no name of its own
            fitting = [key for key in known if promised.startswith(key)]
            return known[max(fitting, key=len)] if fitting else (called, None)
        return called, known.get(plain(called), (called, None))[1]

    return known_layer


def _report(found: Found, name: str, word: str | None) -> dict[str, Any]:
    fill = None if word in NO_FILL else found.tags.fill
    integers = found.dtype.kind in "iu"
    valid, values = 0, dict[int, int]()
    for part in found.blocks():
        kept = part[_is_valid(part, fill)]
        valid += kept.size
        if word and integers:
            for value, count in zip(*np.unique(kept, return_counts=True)):
                values[int(value)] = values.get(int(value), 0) + int(count)
    nodata = found.tags.fill
    whole = nodata is not None and float(nodata).is_integer()
    report: dict[str, Any] = {
        "name": name,
        "shape": list(found.shape),
        "dtype": found.dtype.newbyteorder("=").name,
        "nodata": int(nodata) if nodata is not None and whole else nodata,
        "valid": int(valid),
        "scale": found.tags.scale,
        "offset": found.tags.offset,
        "crs": found.crs,
        "transform": list(found.transform) if found.transform else None,
    }
    if word and integers:
        report["fields"] = _fields(values, QUALITY_FIELDS[word])
    return report


def _is_valid(part: NDArray[Any], fill: float | None) -> NDArray[np.bool_]:
    if part.dtype.kind == "f":
        present = np.isfinite(part)
        return present if fill is None else present & (part != fill)
    return np.ones(part.shape, bool) if fill is None else part != fill


def _fields(
    values: Mapping[int, int], fields: Mapping[str, tuple[int, int]]
) -> dict[str, dict[str, int]]:
    """How many pixels have each value of each field.

    >>> _fields({5: 2, 4: 1}, {"low": (0, 0), "high": (2, 3)})
    {'low': {'0': 1, '1': 2}, 'high': {'1': 3}}
    """
    report: dict[str, dict[str, int]] = {}
    for name, (first, last) in fields.items():
        counts: dict[int, int] = {}
        for word, count in values.items():
            value = (word >> first) & ((1 << (last - first + 1)) - 1)
            counts[value] = counts.get(value, 0) + count
        report[name] = {str(value): counts[value] for value in sorted(counts)}
    return report


def _hdf4(path: Path) -> Iterator[Found]:
    with closing(HDF4File(path)) as file:
        with reading(path, "its metadata"):
            placed = grids(block(file.attributes, "StructMetadata"))
        for name, dataset in file.datasets.items():
            try:
                tags = Tags.of(file.tags(name))
            except ValueError:
                tags = Tags(None, None, None)
            grid = next((grid for grid in placed if _holds(grid, name, dataset.shape)), None)
            yield Found(
                name,
                dataset.shape,
                dataset.dtype,
                tags,
                partial(_whole, file, name),
                SINUSOIDAL if grid and grid.sinusoidal else None,
                grid.transform.to_gdal() if grid else None,
            )


def _whole(file: HDF4File, name: str) -> Blocks:
    yield file.whole(name)


def _holds(grid: Grid, name: str, shape: tuple[int, ...]) -> bool:
    return name in grid.fields and grid.shape == shape


def _geotiff(path: Path) -> Iterator[Found]:
    with opened_tiff(path) as file:
        for band in range(1, file.count + 1):
            try:
                said = Tags.of(file.tags() | file.tags(band))
            except ValueError:
                said = Tags(None, None, None)
            nodata = file.nodatavals[band - 1]
            scale, offset = file.scales[band - 1], file.offsets[band - 1]
            tags = Tags(
                nodata if nodata is not None else said.fill,
                scale if scale != 1 else said.scale,
                offset if offset != 0 else said.offset,
            )
            yield Found(
                file.descriptions[band - 1] or (path.stem if file.count == 1 else f"band {band}"),
                file.shape,
                np.dtype(file.dtypes[band - 1]),
                tags,
                partial(_strips, path, file, band),
                file.crs.to_string() if file.crs else None,
                None if file.transform.is_identity else file.transform.to_gdal(),
            )


def _strips(path: Path, file: Any, band: int) -> Blocks:
    height, width = file.shape
    rows = max(1, BLOCK // max(1, width))
    for top in range(0, height, rows):
        with readable(path):
            strip = file.read(band, window=((top, min(top + rows, height)), (0, width)))
        yield strip


def _netcdf(path: Path) -> Iterator[Found]:
    with hdf5.opened(path) as file:
        for name in hdf5.candidates(file):
            data = hdf5.dataset(path, file, name)
            keys = ("_FillValue", "scale_factor", "add_offset")
            crs, transform = None, None
            try:
                found = hdf5.describe(path, name, None)
                crs, transform = found.crs, found.transform.to_gdal()
            except RasterError:
                pass  # an array without a place is an array all the same
            yield Found(
                name,
                data.shape,
                data.dtype,
                Tags(*(hdf5.number(data, key) for key in keys)),
                partial(_layers, path, data),
                crs,
                transform,
            )


def _layers(path: Path, data: Any) -> Blocks:
    *before, height, width = data.shape
    rows = max(1, BLOCK // max(1, width))
    for layer in np.ndindex(*before):
        for top in range(0, height, rows):
            with hdf5.readable(path):
                strip = data[(*layer, slice(top, top + rows))]
            yield strip
