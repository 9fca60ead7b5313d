# SPDX-License-Identifier: Apache-2.0
"""Variables with a place in NetCDF-4 and HDF5 files of the user."""

import math
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from affine import Affine
from numpy.typing import NDArray
from pyproj import CRS
from pyproj.exceptions import CRSError

from .errors import RasterError
from .files import require_no_file
from .grids import Window
from .heaps import require_ends

ACROSS = {"projection_x_coordinate", "longitude", "grid_longitude", "x", "xdim", "lon"}
"""Names, standard or usual, of the axis from west to east. Source: CF conventions, chapter 4."""

DOWN = {"projection_y_coordinate", "latitude", "grid_latitude", "y", "ydim", "lat"}
"""Names of the axis from north to south."""

EVEN = 0.02
"""Share of a pixel by which a centre may lie off an even spacing: axes are often float32."""


AXIS_LIMIT = 1 << 24
"""Coordinates of the longest axis that is believed: pixels of 2.4 m round the equator."""

CHUNK_LIMIT = 1 << 30
"""Bytes of the largest chunk that is believed: HDF5 unpacks whole ones."""


@dataclass(frozen=True)
class Variable:
    """A variable whose last two axes are rows and columns."""

    name: str
    """Path in the file."""

    crs: str
    """Coordinate system, as WKT."""

    transform: Affine
    """From column and row, as the file counts them, to x and y."""

    shape: tuple[int, int]
    """Rows and columns."""

    bands: int
    """Layers: length of the axis before them, 1 without."""

    dtype: str
    """NumPy's name of the stored numbers."""

    nodata: float | None
    """Stored value of a missing pixel."""

    scale: float
    """Factor to the stored values."""

    offset: float
    """Added after the factor."""

    dates: tuple[date, ...]
    """Date of each layer; none without a time axis in days since a day."""

    selected: int | None
    """Layer of the date asked for, from 1."""


def describe(path: Path, name: str | None, when: str | None) -> Variable:
    """The variable ``name``, or the only one with a place; raises RasterError."""
    with opened(path) as file:
        data = dataset(path, file, name) if name else only(path, file)
        rows, columns = (axis(data, index) for index in (data.ndim - 2, data.ndim - 1))
        if (columns and labels(columns) & DOWN) or (rows and labels(rows) & ACROSS):
            raise RasterError(
                f"{path}: expected {data.name} by rows and columns, found the reverse"
            )
        crs = coordinate_system(path, file, data, columns)
        x, y = spacing(path, columns), spacing(path, rows)
        dates = days(data)
        return Variable(
            name=data.name,
            crs=crs,
            transform=Affine(x[1], 0, x[0], 0, y[1], y[0]),
            shape=data.shape[-2:],
            bands=int(np.prod(data.shape[:-2], dtype=np.int64)),
            dtype=data.dtype.name,
            nodata=number(data, "_FillValue", "missing_value"),
            scale=number(data, "scale_factor") or 1.0,
            offset=number(data, "add_offset") or 0.0,
            dates=dates,
            selected=layer(path, dates, when) if when else None,
        )


@contextmanager
def pixels(
    path: Path, name: str, band: int, nodata: float | None
) -> Iterator[Callable[[Window], tuple[NDArray[Any], NDArray[np.bool_]]]]:
    """Reads windows of one layer, as the file counts its rows, and which pixels are valid."""
    with opened(path) as file:
        data = dataset(path, file, name)
        before = (band - 1,) * (data.ndim - 2)

        def read(window: Window) -> tuple[NDArray[Any], NDArray[np.bool_]]:
            part = window.slices(Window(0, 0, *data.shape[-2:]))
            values = data[(*before, *part)]
            valid = np.isfinite(values)
            return values, valid if nodata is None else valid & (values != nodata)

        yield read


@contextmanager
def opened(path: Path) -> Iterator[h5py.File]:
    """The file; raises RasterError where it is damaged.

    A damaged file may open: then its names, numbers and axes contradict each other.
    """
    with readable(path):
        require_ends(path)
        with h5py.File(path, "r") as file:
            yield file


@contextmanager
def readable(path: Path) -> Iterator[None]:
    """Raises RasterError for whatever a damaged file provokes."""
    try:
        yield
    except (OSError, RuntimeError, LookupError, ValueError, TypeError, OverflowError) as error:
        raise RasterError(f"{path}: damaged: {error}; get it again") from error


def dataset(path: Path, file: h5py.File, name: str) -> h5py.Dataset:
    """The dataset ``name`` of this very file: a link to another file is not followed."""
    place: Any = file
    for part in name.strip("/").split("/"):
        link = place.get(part, getlink=True) if isinstance(place, h5py.Group) else None
        if not isinstance(link, h5py.HardLink):
            names = ", ".join(sorted(candidates(file))) or "none"
            raise RasterError(f"{path}: expected a variable {name!r}, found {names}")
        place = place[part]
    if not isinstance(place, h5py.Dataset) or place.is_virtual or place.external:
        raise RasterError(f"{path}: expected {name!r} to hold its own numbers, found a reference")
    if not 2 <= place.ndim <= 3 or place.dtype.kind not in "iuf":
        found = f"{place.dtype} with {place.ndim} axes"
        raise RasterError(f"{path}: expected numbers in 2 or 3 axes in {name!r}, found {found}")
    chunk = math.prod(place.chunks or ()) * place.dtype.itemsize
    if max(place.shape) > AXIS_LIMIT or chunk > CHUNK_LIMIT:
        found = f"{place.shape} in chunks of {place.chunks}"
        raise RasterError(
            f"{path}: expected at most {AXIS_LIMIT} values along an axis and {CHUNK_LIMIT >> 20} "
            f"MiB in a chunk of {name!r}, found {found}; cut out the part that you need"
        )
    return place


def candidates(file: h5py.File) -> list[str]:
    """Names of the datasets that may be rasters, without those behind links."""
    found: list[str] = []

    def visit(name: str, item: Any) -> None:
        if isinstance(item, h5py.Dataset) and item.ndim in (2, 3) and item.dtype.kind in "iuf":
            found.append(name)

    file.visititems(visit)
    return found


def only(path: Path, file: h5py.File) -> h5py.Dataset:
    """The only raster of a file; raises RasterError, with the names, where there are several."""
    names = candidates(file)
    if len(names) != 1:
        found = ", ".join(sorted(names)) or "none"
        raise RasterError(
            f"{path}: expected one variable with rows and columns, found {found}; "
            f"name one after a colon: {path.name}:{names[0] if names else 'variable'}"
        )
    return dataset(path, file, names[0])


def axis(data: h5py.Dataset, index: int) -> h5py.Dataset | None:
    """The coordinates along an axis, where the file has them."""
    scales = data.dims[index]
    fits = len(scales) > 0 and scales[0].shape == (data.shape[index],)
    return scales[0] if fits else None


def labels(scale: h5py.Dataset) -> set[str]:
    """By what names an axis goes."""
    names = {scale.name.rsplit("/", 1)[-1].lower(), text(scale, "standard_name").lower()}
    return names - {""}


def text(item: h5py.Dataset, key: str) -> str:
    """An attribute as text; empty where there is none."""
    value = item.attrs.get(key, "")
    value = value[0] if isinstance(value, np.ndarray) and value.size == 1 else value
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def number(item: h5py.Dataset, *keys: str) -> float | None:
    """The first of these attributes that the variable has, as a number."""
    for key in keys:
        if key in item.attrs and np.size(item.attrs[key]) == 1:
            return float(np.ravel(item.attrs[key])[0])
    return None


def spacing(path: Path, scale: h5py.Dataset | None) -> tuple[float, float]:
    """First edge and step of an axis, from its centres; raises RasterError for an uneven one."""
    if scale is None or scale.shape[0] < 2:
        raise RasterError(
            f"{path}: expected axes with coordinates, found none; "
            "write it as a GeoTIFF with its place and coordinate system"
        )
    at = scale[:].astype(np.float64)
    step = (at[-1] - at[0]) / (len(at) - 1)
    off = np.abs(at - at[0] - step * np.arange(len(at))).max() / abs(step) if step else np.inf
    if not off < EVEN:
        raise RasterError(f"{path}: expected {scale.name} evenly spaced, found it off by {off:.2g}")
    return at[0] - step / 2, step


def coordinate_system(
    path: Path, file: h5py.File, data: h5py.Dataset, columns: h5py.Dataset | None
) -> str:
    """The CRS of a variable's grid mapping, or longitude and latitude by the axes' names."""
    name = text(data, "grid_mapping").split(":")[0]
    if name and isinstance(file.get(name, getlink=True), h5py.HardLink):
        mapping = file[name]
        known = {key: plain(mapping.attrs[key]) for key in mapping.attrs if not key.startswith("_")}
        try:
            return require_no_file(CRS.from_cf(known).to_wkt(), path, RasterError)
        except (CRSError, KeyError) as error:
            raise RasterError(f"{path}: expected a known grid mapping, found: {error}") from error
    if columns is not None and labels(columns) & {"longitude", "lon"}:
        return CRS("OGC:CRS84").to_wkt()
    raise RasterError(
        f"{path}: expected a grid mapping or axes of longitude and latitude, found none; "
        "write it as a GeoTIFF with its place and coordinate system"
    )


def plain(value: Any) -> Any:
    """An attribute as Python's own numbers and text."""
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    if isinstance(value, np.ndarray):
        return plain(value[0]) if value.size == 1 else value.tolist()
    return value.item() if isinstance(value, np.generic) else value


def days(data: h5py.Dataset) -> tuple[date, ...]:
    """Dates of the layers, from a first axis in ``days since YYYY-MM-DD``."""
    scale = axis(data, 0) if data.ndim == 3 else None
    match = re.match(
        r"days since (\d{4})-(\d{1,2})-(\d{1,2})", text(scale, "units") if scale else ""
    )
    if scale is None or match is None:
        return ()
    start = date(*map(int, match.groups()))
    return tuple(start + timedelta(days=int(day)) for day in scale[:])


def layer(path: Path, dates: tuple[date, ...], when: str) -> int:
    """The only layer, from 1, of a year (``2005``) or a month (``2005-07``)."""
    found = [n for n, day in enumerate(dates, 1) if day.isoformat().startswith(when)]
    if len(found) != 1:
        known = ", ".join(sorted({day.isoformat()[: len(when)] for day in dates})) or "no dates"
        raise RasterError(
            f"{path}: expected one layer of {when}, found {len(found)}; it holds {known}"
        )
    return found[0]
