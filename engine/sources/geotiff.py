# SPDX-License-Identifier: Apache-2.0
"""GeoTIFFs that a run writes: the same pixels give the same bytes, on any number of threads."""

import struct
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, Literal

import numpy as np
import rasterio
import rasterio.errors
import rasterio.shutil
from affine import Affine
from numpy.typing import NDArray
from rasterio._err import CPLE_BaseError
from rasterio.io import MemoryFile
from rasterio.windows import Window as Part

from .errors import MachineError, RasterError
from .grids import Lattice, Window
from .rasterfiles import SAFE, opened_tiff, tiff

BLOCK = 256
"""Side of a tile within a file, pixels."""

PIXEL_SCALE, TIE_POINT, DOUBLE = 33550, 33922, 12
"""Tags of a TIFF that say where it lies, and the type of their numbers."""

TAGS = 1000
"""Tags of a TIFF that are looked at; ours have 20."""

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
    path.unlink(missing_ok=True)
    with rasterio.Env(**SAFE, GDAL_NUM_THREADS=1):
        with (
            _explained(path),
            rasterio.open(path, "w", **profile, **grid(lattice, window, form)) as dataset,
        ):
            describe(dataset, form)
        for rows, values in whole_tiles(strips, window, form):
            with _explained(path), rasterio.open(path, "r+", driver="GTiff") as dataset:
                for band, layer in enumerate(values, 1):
                    dataset.write(layer, band, window=Part(0, rows.start, window.width, len(layer)))
            _require_written(path, rows.start // BLOCK, values, form)


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    """Raise MachineError for what GDAL says of a file that it writes: the disk is at fault."""
    try:
        yield
    except (rasterio.errors.RasterioError, CPLE_BaseError) as error:
        raise MachineError(_cut_short(path)) from error


def _cut_short(path: Path) -> str:
    return (
        f"{path}: expected all pixels to be written, found the file cut short; the disk or the "
        "quota may be full: free some space and run the same command again"
    )


def _require_written(path: Path, row: int, values: NDArray[Any], form: Form) -> None:
    """Raise MachineError unless a row of tiles is in the file: full disks fail quietly on closing.

    What GDAL cannot write when it closes a file, it only logs; the tile then lies beyond the end,
    or has no place at all, as tiles without a value do.
    """
    size = path.stat().st_size
    with _explained(path), tiff(path, placed=False) as dataset:
        for band, layer in enumerate(values, 1):
            for column in range(-(-layer.shape[1] // BLOCK)):
                place = f"{column}_{row}"
                offset = dataset.get_tag_item(f"BLOCK_OFFSET_{place}", "TIFF", bidx=band)
                length = dataset.get_tag_item(f"BLOCK_SIZE_{place}", "TIFF", bidx=band)
                if offset is None:
                    whole = _empty(layer[:, column * BLOCK :][:, :BLOCK], form.nodata)
                else:
                    whole = int(offset) + int(length or 0) <= size
                if not whole:
                    raise MachineError(_cut_short(path))


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
    overviews = "MODE" if form.colours else "AVERAGE"
    options = {"COMPRESS": "DEFLATE", "LEVEL": 6, "PREDICTOR": "YES"}
    expected = (len(form.names), *window.shape)
    if pixels.shape != expected:
        raise RasterError(f"expected pixels {expected}, found {pixels.shape}")
    with rasterio.Env(**SAFE, GDAL_NUM_THREADS=1), MemoryFile() as plain, MemoryFile() as packed:
        with plain.open(driver="GTiff", **grid(lattice, window, form)) as dataset:
            describe(dataset, form)
            dataset.write(pixels.astype(form.dtype, copy=False))
        with plain.open() as dataset:
            rasterio.shutil.copy(
                dataset,
                packed.name,
                driver="COG",
                BLOCKSIZE=BLOCK,
                BIGTIFF="IF_SAFER",
                OVERVIEW_RESAMPLING=overviews,
                OVERVIEWS="IGNORE_EXISTING",
                **options,
            )
        return bytes(packed.getbuffer())


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


def stored_transform(path: Path) -> Affine | None:
    """Where the pixels of a TIFF lie, by its own tags; None where they do not say it plainly.

    GDAL would build the coordinate system besides, which takes ten times as long as all else.
    Source: TIFF 6.0, section 2; BigTIFF; OGC GeoTIFF 1.1, annex B.6.
    """
    try:
        with path.open("rb") as file:
            tags = {tag: data for tag, data in _doubles(file)}
    except (OSError, struct.error, KeyError, MemoryError, OverflowError):
        return None  # whoever opens it says what is wrong
    scale, tie = tags.get(PIXEL_SCALE, ()), tags.get(TIE_POINT, ())
    if len(scale) != 3 or len(tie) != 6:
        return None
    dx, dy = scale[0], -abs(scale[1])
    return Affine(dx, 0, tie[3] - tie[0] * dx, 0, dy, tie[4] - tie[1] * dy)


def _doubles(file: BinaryIO) -> Iterator[tuple[int, tuple[float, ...]]]:
    """The tags of a TIFF's first image that say where it lies, and their values."""
    start = file.read(16)
    order = {b"II": "<", b"MM": ">"}[start[:2]]
    big = struct.unpack_from(order + "H", start, 2) == (43,)
    entry, places = (order + "HHQQ", "Q") if big else (order + "HHII", "I")
    (at,) = struct.unpack_from(order + places, start, 8 if big else 4)
    file.seek(at)
    counter = order + ("Q" if big else "H")
    (count,) = struct.unpack(counter, file.read(struct.calcsize(counter)))
    table = file.read(min(count, TAGS) * struct.calcsize(entry))
    for tag, kind, length, place in struct.iter_unpack(entry, table):
        if tag in (PIXEL_SCALE, TIE_POINT) and kind == DOUBLE and length <= 6:
            file.seek(place)
            yield tag, struct.unpack(f"{order}{length}d", file.read(8 * length))


def window_in(path: Path, lattice: Lattice) -> Window:
    """The window of ``lattice`` that a GeoTIFF holds; raises GridError for another grid."""
    with opened_tiff(path) as dataset:
        return lattice.window(dataset.transform, dataset.shape)
