# SPDX-License-Identifier: Apache-2.0
"""Raster files of the user: opened by an explicit format, and nothing but the file itself."""

import re
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Literal

import numpy as np
import rasterio
from affine import Affine
from numpy.typing import NDArray
from rasterio.windows import Window as Part

from . import hdf5
from .errors import InputError, RasterError
from .files import first_bytes, require_no_file
from .grids import Window
from .placed import Placed

Pixels = Callable[[Window], tuple[NDArray[np.generic], NDArray[np.bool_]]]
"""Reads a part of a raster: the stored values, and which of them are valid."""

TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
"""First bytes of TIFF and BigTIFF. Source: TIFF 6.0, section 2; libtiff's BigTIFF page."""

HDF5 = b"\x89HDF\r\n\x1a\n"
"""First bytes of HDF5 and so of NetCDF-4. Source: HDF5 file format, section II.A."""

ENDINGS = {".tif": "GTiff", ".tiff": "GTiff"} | dict.fromkeys(
    (".nc", ".nc4", ".h5", ".hdf5", ".he5"), "HDF5"
)
"""Format by ending."""

SAFE = {
    "GDAL_DISABLE_READDIR_ON_OPEN": "EMPTY_DIR",
    "GDAL_PAM_ENABLED": "NO",
    "GDAL_GEOREF_SOURCES": "INTERNAL",
}
"""GDAL options that keep it to the file itself: no .aux.xml, .ovr, .msk or .tfw beside it."""


CACHE = 1 << 27
"""Bytes of a raster's blocks that GDAL holds while strips of it are read, of all that are open;
left to itself, a twentieth of the machine's memory: a gigabyte of twelve months of a nation."""

BLOCK_LIMIT = 1 << 30
"""Bytes of the largest block of a TIFF that is believed."""


@dataclass(frozen=True)
class Raster:
    """One raster file, or one variable of a NetCDF file: what it is and where its pixels lie."""

    path: Path
    """The file."""

    variable: str | None
    """The variable of a NetCDF or HDF5 file."""

    placed: Placed
    """Where the pixels lie, rows counted from the north."""

    bands: int
    """Number of layers."""

    dtype: str
    """NumPy's name of the stored numbers."""

    nodata: tuple[float | None, ...]
    """Stored value of a missing pixel, for each layer."""

    scale: tuple[float, ...]
    """Factor to the stored values, for each layer."""

    offset: tuple[float, ...]
    """Added after the factor, for each layer."""

    flipped: bool
    """Whether the file counts its rows from the south."""

    selected: int | None = None
    """The layer that the path asks for by its date (``file.nc:name@2005``), from 1."""

    dates: tuple[date, ...] = ()
    """Date of each layer, where the file has a time axis."""

    @contextmanager
    def pixels(self, band: int = 1) -> Iterator[Pixels]:
        """The file, open: a function that reads a window of it, as stored, with its mask."""
        band = self.selected or band
        if not 1 <= band <= self.bands:
            raise RasterError(f"{self.path}: expected layer {band}, found {self.bands} layers")
        height = self.placed.shape[0]
        source = tiff_pixels(self.path, band)
        if self.variable is not None:
            source = hdf5.pixels(self.path, self.variable, band, self.nodata[band - 1])
        with source as read:

            def north_up(window: Window) -> tuple[NDArray[np.generic], NDArray[np.bool_]]:
                if not self.flipped:
                    return read(window)
                top = height - window.bottom
                values, valid = read(Window(top, window.left, window.height, window.width))
                return values[::-1], valid[::-1]

            yield north_up


def open_raster(source: str | Path) -> Raster:
    """What a GeoTIFF, or a variable of a NetCDF-4 or HDF5 file, holds and where.

    A variable is named after a colon, ``land.nc:LC_Type1``, unless the file has only one with a
    place; of one with a time axis ``@2005`` or ``@2005-07`` takes a year's or month's layer.
    Raises RasterError: missing, another format inside than its ending says, no CRS, rotated.
    """
    path, variable, when = split(source)
    found = ENDINGS.get(path.suffix.lower())
    start = first_bytes(path, 8, RasterError)
    if found is None:
        endings = " ".join(ENDINGS)
        raise RasterError(
            f"{path}: expected one of {endings}, found {path.suffix or 'no'} ending; "
            "convert it, for example: gdal_translate -of COG"
        )
    if found == "GTiff" and start.startswith(TIFF):
        return open_tiff(path)
    if found == "HDF5" and start == HDF5:
        return open_hdf5(path, variable, when)
    hint = "; convert it with: nccopy -k nc4" if start.startswith(b"CDF") else ""
    raise RasterError(f"{path}: expected {found} content, found {start!r}{hint}")


def split(source: str | Path) -> tuple[Path, str | None, str | None]:
    """File, variable and date of ``file.nc:name@date``.

    >>> split("lc.nc:LC_Type1@2005")
    (PosixPath('lc.nc'), 'LC_Type1', '2005')
    >>> split("dem.tif")
    (PosixPath('dem.tif'), None, None)
    """
    text = str(source)
    match = re.fullmatch(r"(.+\.(?:nc4?|h5|hdf5|he5)):([^:@]+)(?:@(\d{4}(?:-\d{2})?))?", text)
    return (Path(match[1]), match[2], match[3]) if match else (Path(text), None, None)


def open_tiff(path: Path) -> Raster:
    """As ``open_raster``, for a GeoTIFF."""
    with opened_tiff(path) as dataset:
        if dataset.crs is None or dataset.transform.is_identity:
            raise RasterError(
                f"{path}: expected a coordinate system and a place, found none; "
                "set them, for example: gdal_edit.py -a_srs EPSG:4326 -a_ullr ..."
            )
        placed, flipped = place(path, dataset.crs.to_wkt(), dataset.transform, dataset.shape)
        return Raster(
            path,
            None,
            placed,
            dataset.count,
            dataset.dtypes[0],
            dataset.nodatavals,
            dataset.scales,
            dataset.offsets,
            flipped,
        )


def open_hdf5(path: Path, variable: str | None, when: str | None) -> Raster:
    """As ``open_raster``, for a variable of a NetCDF-4 or HDF5 file."""
    found = hdf5.describe(path, variable, when)
    placed, flipped = place(path, found.crs, found.transform, found.shape)
    many = found.bands
    return Raster(
        path,
        found.name,
        placed,
        many,
        found.dtype,
        (found.nodata,) * many,
        (found.scale,) * many,
        (found.offset,) * many,
        flipped,
        found.selected,
        found.dates,
    )


def place(path: Path, crs: str, transform: Affine, shape: tuple[int, int]) -> tuple[Placed, bool]:
    """Where north-up pixels lie, and whether the rows had to be turned round."""
    require_no_file(crs, path, RasterError)
    if transform.b or transform.d or transform.a <= 0 or transform.e == 0:
        raise RasterError(
            f"{path}: expected rows from west to east without rotation, found {transform!r}; "
            "warp it first, for example: gdalwarp -t_srs EPSG:4326"
        )
    flipped = transform.e > 0
    if flipped:
        transform = Affine(
            transform.a, 0, transform.c, 0, -transform.e, transform.f + shape[0] * transform.e
        )
    return Placed(crs, transform, shape), flipped


def require_small_blocks(
    dataset: rasterio.DatasetReader, path: Path, error: type[InputError]
) -> None:
    """Raises ``error`` for blocks that are larger than memory may be: GDAL unpacks whole ones."""
    for (height, width), dtype in zip(dataset.block_shapes, dataset.dtypes):
        if (size := height * width * np.dtype(dtype).itemsize) > BLOCK_LIMIT:
            raise error(
                f"{path}: expected blocks of at most {BLOCK_LIMIT >> 20} MiB, found {height} x "
                f"{width} pixels of {dtype}, {size >> 20} MiB; rewrite it in tiles, for example: "
                "gdal_translate -of COG"
            )


OPENING = threading.Lock()
"""Held while a file is opened: what a thread does to warnings is seen by all of them."""


@contextmanager
def opened_tiff(path: Path, placed: bool = True) -> Iterator[rasterio.DatasetReader]:
    """A TIFF opened by that driver alone; raises RasterError where GDAL cannot read it."""
    with readable(path), tiff(path, placed) as dataset:
        require_small_blocks(dataset, path, RasterError)
        yield dataset


@contextmanager
def tiff(
    path: Path, placed: bool = True, mode: Literal["r", "r+"] = "r"
) -> Iterator[rasterio.DatasetReader]:
    """As ``opened_tiff``, but with GDAL's own errors; in mode ``r+`` to be gone on with.

    Without ``placed`` its coordinate system is left alone: to open it then takes a tenth, 0.15 ms.
    """
    where = {} if placed else {"GEOREF_SOURCES": "NONE"}
    with rasterio.Env(**SAFE):
        with OPENING, warnings.catch_warnings():
            warnings.simplefilter("ignore", rasterio.errors.NotGeoreferencedWarning)
            dataset = rasterio.open(path, mode, driver="GTiff", sharing=False, **where)
        with dataset:
            yield dataset


@contextmanager
def readable(path: Path) -> Iterator[None]:
    """Raises RasterError for what GDAL says of a file that it cannot read."""
    try:
        yield
    except (rasterio.errors.RasterioError, rasterio.errors.RasterioIOError, ValueError) as error:
        raise RasterError(f"{path}: damaged: {error.__cause__ or error}; get it again") from error


@contextmanager
def tiff_pixels(path: Path, band: int) -> Iterator[Pixels]:
    """Reads windows of one band, and its mask (nodata value, internal mask or alpha)."""
    with rasterio.Env(GDAL_CACHEMAX=CACHE), opened_tiff(path) as dataset:

        def read(window: Window) -> tuple[NDArray[np.generic], NDArray[np.bool_]]:
            part = Part(window.left, window.top, window.width, window.height)
            values = dataset.read(band, window=part)
            valid = dataset.read_masks(band, window=part) != 0
            return values, valid & np.isfinite(values)

        yield read
