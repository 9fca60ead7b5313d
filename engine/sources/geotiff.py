# SPDX-License-Identifier: Apache-2.0
"""GeoTIFFs that a run writes: the same pixels give the same bytes, on any number of threads."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

import numpy as np
import rasterio
import rasterio.errors
import rasterio.shutil
from numpy.typing import NDArray
from rasterio._err import CPLE_BaseError
from rasterio.io import MemoryFile
from rasterio.windows import Window as Part

from .errors import MachineError, RasterError
from .grids import Lattice, Window
from .rasterfiles import SAFE, opened_tiff, tiff
from .tags import blank, moved, told
from .tags import stored_transform as stored_transform

BLOCK = 256
"""Side of a tile within a file, pixels."""

HEADS = 16
"""Heads of files that are kept: of a form each, some 30 kB for a tile of a nation."""

Strips = Iterable[tuple[Window, NDArray[Any]]]
"""Parts of a raster from the top down, of full width, each (bands, rows, columns)."""


@dataclass(frozen=True)
class Form:
    """What a raster holds, and how it is packed."""

    names: tuple[str, ...]
    """Name of each band."""

    dtype: str = "float32"
    """NumPy's name of the stored numbers."""

    nodata: float | None = float("nan")
    """Stored value of a missing pixel."""

    units: tuple[str, ...] = ()
    """Unit of each band; none for all, or one for each."""

    tags: Mapping[str, str] = field(default_factory=dict)
    """Settings and sources: never a time, a host or a path."""

    compression: Literal["deflate", "lerc", "lzw"] = "deflate"
    """Deflate opens in every GIS. For the run's own files, which are read again and again: LERC,
    without loss, for sums; LZW for counts. ZSTD is out: a file that is opened again to be gone on
    with packs at GDAL's level 9, six times slower than LERC and 7 % larger."""

    colours: Mapping[int, tuple[int, int, int, int]] | None = None
    """Red, green, blue and opacity of each class of a uint8 raster, 0..255."""

    def __hash__(self) -> int:
        """Of what can be hashed."""
        return hash((self.names, self.dtype, tuple(sorted(self.tags.items())), self.compression))

    @property
    def options(self) -> dict[str, Any]:
        """GDAL's options: differences of neighbours are packed, bytewise for floats."""
        if self.compression == "lerc":
            return {"compress": "lerc", "max_z_error": 0}
        predictor = 3 if np.dtype(self.dtype).kind == "f" else 2
        level = {"zlevel": 6} if self.compression == "deflate" else {}
        return {"compress": self.compression, "predictor": predictor, **level}


def write_geotiff(
    path: Path, pixels: NDArray[Any] | Strips, lattice: Lattice, window: Window, form: Form
) -> None:
    """Writes (bands, h, w) pixels, or strips of them, as a tiled GeoTIFF; replaces the file.

    However strips are cut, the bytes are the same: rows are gathered into whole tiles, and the
    file is closed after each row of tiles, or GDAL's cache would choose their order in it.
    Raises RasterError where the pixels do not fill the window, MachineError where the disk takes
    no more of them.
    """
    strips = [(window, pixels)] if isinstance(pixels, np.ndarray) else pixels
    path.unlink(missing_ok=True)
    with rasterio.Env(**SAFE, GDAL_NUM_THREADS=1):
        with explained(path):
            path.write_bytes(_begun(lattice, window, form))
        for rows, values in whole_tiles(strips, window, form):
            with explained(path), tiff(path, placed=False, mode="r+") as dataset:
                for band, layer in enumerate(values, 1):
                    dataset.write(layer, band, window=Part(0, rows.start, window.width, len(layer)))
            require_written(path, (rows.start // BLOCK, 0), values, form)


def _begun(lattice: Lattice, window: Window, form: Form) -> bytes:
    """The bytes of a file without a tile."""
    head = _head(lattice, *window.shape, replace(form, tags=blank(form.tags)))
    transform = lattice.transform(window)
    return moved(told(head, form.tags), transform.c, transform.f)


@lru_cache(maxsize=HEADS)
def _head(lattice: Lattice, height: int, width: int, form: Form) -> bytes:
    """The bytes of a file at the corner of ``lattice``, without a tile.

    Kept, as GDAL asks its database for the names in the coordinate system of each file that it
    begins, 7 ms, twice what the pixels of a small one take.
    """
    profile = {
        "driver": "GTiff",
        "tiled": True,
        "blockxsize": BLOCK,
        "blockysize": BLOCK,
        "interleave": "band",
        "sparse_ok": True,
        "bigtiff": "if_safer",
        **form.options,
    }
    place = lattice, Window(0, 0, height, width)
    with MemoryFile() as file:
        with file.open(**profile, **grid(*place, form)) as dataset:
            describe(dataset, form)
        return bytes(file.getbuffer())


@contextmanager
def explained(path: Path) -> Iterator[None]:
    """Raise MachineError for what is said of a file that is written: the disk is at fault."""
    try:
        yield
    except (rasterio.errors.RasterioError, CPLE_BaseError, OSError) as error:
        raise MachineError(cut_short(path)) from error


def cut_short(path: Path) -> str:
    """What to say of a file that the disk has not taken whole."""
    return (
        f"{path}: expected all pixels to be written, found the file cut short; the disk or the "
        "quota may be full: free some space and run the same command again"
    )


def require_written(
    path: Path, corner: tuple[int, int], values: NDArray[Any], form: Form, shown: Path | None = None
) -> None:
    """Raise MachineError unless tiles are in the file: full disks fail quietly on closing.

    ``corner`` is the row and column of the first one, counted in tiles; ``shown`` the path that is
    told instead. What GDAL cannot write when it closes a file, it only logs; the tile then lies
    beyond the end, or has no place at all, as tiles without a value do.
    """
    size = path.stat().st_size
    with explained(shown or path), tiff(path, placed=False) as dataset:
        for band, layer in enumerate(values, 1):
            for row, column in np.ndindex(*(-(-side // BLOCK) for side in layer.shape)):
                place = f"{corner[1] + column}_{corner[0] + row}"
                offset = dataset.get_tag_item(f"BLOCK_OFFSET_{place}", "TIFF", bidx=band)
                length = dataset.get_tag_item(f"BLOCK_SIZE_{place}", "TIFF", bidx=band)
                if offset is None:
                    tile = layer[row * BLOCK :, column * BLOCK :][:BLOCK, :BLOCK]
                    whole = _empty(tile, form.nodata)
                else:
                    whole = int(offset) + int(length or 0) <= size
                if not whole:
                    raise MachineError(cut_short(shown or path))


def _empty(tile: NDArray[Any], nodata: float | None) -> bool:
    """Whether a tile holds nothing but what GDAL reads where there is none."""
    missing = 0 if nodata is None else nodata
    return bool((np.isnan(tile) if np.isnan(missing) else tile == missing).all())


def whole_tiles(strips: Strips, window: Window, form: Form) -> Iterator[tuple[slice, NDArray[Any]]]:
    """The strips, cut anew to rows of tiles; raises RasterError where they do not fill them."""
    held = np.empty((len(form.names), BLOCK, window.width), dtype=form.dtype)
    done = 0
    for strip, values in strips:
        expected = (len(form.names), strip.height, window.width)
        if values.shape != expected or strip.top != window.top + done:
            raise RasterError(
                f"expected pixels {expected} of row {window.top + done}, "
                f"found {values.shape} of row {strip.top}"
            )
        taken = 0
        while taken < strip.height:
            at = done % BLOCK
            rows = min(BLOCK - at, strip.height - taken)
            held[:, at : at + rows] = values[:, taken : taken + rows]
            taken, done = taken + rows, done + rows
            if done % BLOCK == 0 or done == window.height:
                start = (done - 1) // BLOCK * BLOCK
                yield slice(start, done), held[:, : done - start]
    if done != window.height:
        raise RasterError(f"expected {window.height} rows of pixels, found {done}")


def write_cog(
    path: Path, pixels: NDArray[Any], lattice: Lattice, window: Window, form: Form
) -> None:
    """Writes (bands, h, w) pixels as a cloud-optimised GeoTIFF with overviews; replaces the file.

    Overviews are means of the valid pixels; of a raster with colours, the most frequent class.
    It is made in memory, since GDAL would leave temporary files beside ``path`` in a crash.
    """
    path.write_bytes(cog(pixels, lattice, window, form))


def cog(pixels: NDArray[Any], lattice: Lattice, window: Window, form: Form) -> bytes:
    """The bytes of a cloud-optimised GeoTIFF; see ``write_cog``."""
    expected = (len(form.names), *window.shape)
    if pixels.shape != expected:
        raise RasterError(f"expected pixels {expected}, found {pixels.shape}")
    with rasterio.Env(**SAFE, GDAL_NUM_THREADS=1), MemoryFile() as packed:
        # Bare memory: a GeoTIFF there, written and read again, takes as long as all the rest.
        with rasterio.open("", "w", driver="MEM", **grid(lattice, window, form)) as dataset:
            describe(dataset, form)
            dataset.write(pixels.astype(form.dtype, copy=False))
            pack(dataset, packed.name, form)
        return bytes(packed.getbuffer())


def pack(source: Any, path: str, form: Form) -> None:
    """Copy a raster, an open one or by its path, to a cloud-optimised GeoTIFF."""
    rasterio.shutil.copy(
        source,
        path,
        driver="COG",
        BLOCKSIZE=BLOCK,
        BIGTIFF="IF_SAFER",
        OVERVIEW_RESAMPLING="MODE" if form.colours else "AVERAGE",
        OVERVIEWS="IGNORE_EXISTING",
        COMPRESS="DEFLATE",
        LEVEL=6,
        PREDICTOR="YES",
    )


def grid(lattice: Lattice, window: Window, form: Form) -> dict[str, Any]:
    """Shape, type and place of a raster, as rasterio's keywords."""
    return {
        "height": window.height,
        "width": window.width,
        "count": len(form.names),
        "dtype": form.dtype,
        "nodata": form.nodata,
        "crs": lattice.crs,
        "transform": lattice.transform(window),
    }


def describe(dataset: Any, form: Form) -> None:
    """Band names, units, tags and colours of an open file."""
    dataset.descriptions = form.names
    if form.units:
        dataset.units = form.units
    dataset.update_tags(**{key: form.tags[key] for key in sorted(form.tags)})
    if form.colours:
        dataset.write_colormap(1, dict(sorted(form.colours.items())))


def read_geotiff(
    path: Path, lattice: Lattice, window: Window | None = None, bands: Sequence[int] | None = None
) -> NDArray[Any]:
    """The stored values, (bands, h, w), of ``window`` (default: all), bands counted from 1.

    Raises RasterError where the file does not hold the window, GridError where its pixels are not
    pixels of ``lattice``.
    """
    known = stored_transform(path)
    with opened_tiff(path, placed=known is None) as dataset:
        whole = lattice.window(known or dataset.transform, dataset.shape)
        part = window or whole
        if part not in whole:
            raise RasterError(f"{path}: expected pixels {part}, found {whole}")
        rows, columns = part.slices(whole)
        inner = Part(columns.start, rows.start, part.width, part.height)
        return dataset.read(list(bands) if bands else None, window=inner)


def window_in(path: Path, lattice: Lattice) -> Window:
    """The window of ``lattice`` that a GeoTIFF holds; raises GridError for another grid."""
    known = stored_transform(path)
    with opened_tiff(path, placed=known is None) as dataset:
        return lattice.window(known or dataset.transform, dataset.shape)
