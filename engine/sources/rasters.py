# SPDX-License-Identifier: Apache-2.0
"""Rasters of the user, laid on the grid of the study: values, and shares of classes."""

from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from .errors import RasterError
from .grids import Lattice, Window, extent
from .placed import blocks, same_grid
from .rasterfiles import Pixels, Raster, open_raster
from .resampling import Method, Read, centres, resample

Resampling = Method | Literal["auto"]
"""How values get from one grid to another; ``auto``: copied on the same grid, bilinear from pixels
of the same size or coarser, average (the mean by area) from finer ones."""


def on_lattice(
    source: str | Path,
    lattice: Lattice,
    window: Window,
    resampling: Resampling = "auto",
    band: int = 1,
    required: bool = True,
) -> NDArray[np.float32]:
    """A raster's values, scaled by its tags, at the pixels of ``window``; (h, w), NaN missing.

    ``nearest`` takes the pixel under the centre; ``bilinear`` the four nearest valid pixels, with
    weights renormalised, missing where less than half the weight is valid; ``average``, ``mode``
    and ``sum`` go by the area that the pixel shares with the source's. On the same grid all of
    them copy. A pixel's value does not depend on the window, but what ``auto`` means is decided
    in its middle: ask ``method`` once to go by strips.
    Raises RasterError where the raster covers no pixel of the window, unless not ``required``.
    """
    raster = open_raster(source)
    if required:
        require_cover(raster, lattice, window)
    how = method(raster, lattice, window) if resampling == "auto" else resampling
    with raster.pixels(band) as pixels:
        return laid(raster, scaled(raster, pixels, band), lattice, window, how)


def scaled(raster: Raster, pixels: Pixels, band: int) -> Read:
    """Reads a layer's values as float64, by its scale and offset, NaN where missing."""
    index = (raster.selected or band) - 1
    scale, offset = raster.scale[index], raster.offset[index]

    def read(window: Window) -> NDArray[np.float64]:
        stored, valid = pixels(window)
        return np.where(valid, stored.astype(np.float64) * scale + offset, np.nan)

    return read


def laid(
    raster: Raster, read: Read, lattice: Lattice, window: Window, how: Method
) -> NDArray[np.float32]:
    """What ``read`` gives, on the lattice: copied on the same grid, else resampled by blocks."""
    result = np.full(window.shape, np.nan, dtype=np.float32)
    own = same_grid(raster.placed, lattice)
    if own is not None:
        common = own & window
        if common.size:
            rows, columns = common.slices(own)
            part = Window(rows.start, columns.start, *common.shape)
            result[common.slices(window)] = read(part)
        return result
    for block in blocks(raster.placed, lattice, window):
        part = block & window
        values = resample(read, raster.placed, lattice, block, part, how)
        result[part.slices(window)] = values
    return result


def method(raster: Raster, lattice: Lattice, window: Window) -> Method:
    """What ``auto`` means for an area: ``average`` from finer pixels, else ``bilinear``."""
    return "average" if raster.placed.step(lattice, window).pixels > 1.001 else "bilinear"


def covered(raster: Raster, lattice: Lattice, window: Window) -> Iterator[NDArray[np.bool_]]:
    """Whether each pixel's centre lies within the raster's extent, in strips of (rows, w)."""
    for strip in window.strips(256):
        columns, rows = centres(raster.placed, lattice, strip)
        yield np.isfinite(columns) & np.isfinite(rows)


def share_covered(raster: Raster, lattice: Lattice, window: Window) -> float:
    """The share, 0..1, of the window's pixels whose centre lies within the raster's extent."""
    inside = sum(int(strip.sum()) for strip in covered(raster, lattice, window))
    return inside / window.size if window.size else 0.0


def require_cover(raster: Raster, lattice: Lattice, window: Window) -> None:
    """Raises RasterError, with both extents, where the raster covers no pixel of the window."""
    if not any(strip.any() for strip in covered(raster, lattice, window)):
        ours = extent(lattice.bounds(window), lattice.crs)
        theirs = extent(raster.placed.bounds, raster.placed.crs)
        raise RasterError(
            f"{raster.path}: expected a raster that covers {ours}, found one of {theirs}; "
            "check the file and its coordinate system"
        )


def averaged(
    sources: Sequence[str | Path],
    lattice: Lattice,
    window: Window,
    resampling: Resampling = "auto",
    band: int = 1,
) -> NDArray[np.float32]:
    """The mean, at each pixel, of the rasters that are valid there; (h, w), NaN where none is.

    For the layers of an epoch's years, or of a season's months.
    """
    total, count = np.zeros(window.shape), np.zeros(window.shape, dtype=np.int32)
    for source in sources:
        values = on_lattice(source, lattice, window, resampling, band).astype(np.float64)
        valid = np.isfinite(values)
        total += np.where(valid, values, 0)
        count += valid
    mean = np.divide(total, count, out=np.full(window.shape, np.nan), where=count > 0)
    return mean.astype(np.float32)


def class_share(
    source: str | Path,
    classes: Collection[int],
    lattice: Lattice,
    window: Window,
    band: int = 1,
    required: bool = True,
) -> NDArray[np.float32]:
    """The share, 0..1, of each pixel's area in the ``classes``; (h, w), NaN without any class.

    Of the area that has a class: nodata is left out, unless it is one of the ``classes``. From
    pixels of the same size or coarser it is 0 or 1, by the class under the centre, since a class
    describes its whole pixel; from finer ones it is exact where the grids nest, and off by 0.005
    in the mean (0.03 at worst) along the edges of classes where they do not.
    Raises RasterError as ``on_lattice`` does.
    """
    raster = open_raster(source)
    if required:
        require_cover(raster, lattice, window)
    how: Method = "average" if method(raster, lattice, window) == "average" else "nearest"
    wanted = np.array(sorted(classes))
    with raster.pixels(band) as pixels:

        def read(part: Window) -> NDArray[np.float64]:
            stored, valid = pixels(part)
            chosen = np.isin(stored, wanted)
            return np.where(valid | chosen, chosen.astype(np.float64), np.nan)

        return laid(raster, read, lattice, window, how)
