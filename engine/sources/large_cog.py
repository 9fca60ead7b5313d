# SPDX-License-Identifier: Apache-2.0
"""Cloud-optimised GeoTIFFs of more pixels than one wants to hold, from the left to the right."""

import math
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.windows import Window as Part

from .errors import MachineError, RasterError
from .geotiff import BLOCK, Form, cut_short, describe, explained, grid, pack, require_written
from .grids import Lattice, Window
from .rasterfiles import SAFE, tiff

CACHE = 1 << 26
"""Bytes of tiles that GDAL holds; left to itself, a twentieth of the machine's memory."""


def write_large_cog(
    path: Path, columns: Iterable[NDArray[Any]], lattice: Lattice, window: Window, form: Form
) -> None:
    """Writes (bands, h, ``BLOCK``) columns, the last as many as are left, as ``write_cog`` does.

    The bytes are those of the whole at once. Until it is done the pixels lie beside ``path`` as
    they are, in a file whose name is longer by ``.whole``, and GDAL's overviews by ``.ovr.tmp``.
    Raises RasterError where the columns do not fill the window, MachineError where the disk takes
    no more of them.
    """
    whole = path.with_name(f"{path.name}.whole")
    profile = {"driver": "GTiff", "tiled": True, "blockxsize": BLOCK, "blockysize": BLOCK}
    profile |= {"interleave": "band", "sparse_ok": True, "bigtiff": "if_safer"}
    path.unlink(missing_ok=True)
    try:
        with rasterio.Env(**SAFE, GDAL_NUM_THREADS=1, GDAL_CACHEMAX=CACHE):
            with (
                explained(path),
                rasterio.open(whole, "w", **profile, **grid(lattice, window, form)) as dataset,
            ):
                describe(dataset, form)
            first = 0
            for block in columns:
                _require_next(block, first, window, form)
                values = block.astype(form.dtype, copy=False)
                with explained(path), tiff(whole, placed=False, mode="r+") as dataset:
                    dataset.write(values, window=Part(first, 0, values.shape[2], window.height))
                require_written(whole, (0, first // BLOCK), values, form, path)
                first += values.shape[2]
            if first != window.width:
                raise RasterError(f"expected {window.width} columns of pixels, found {first}")
            with explained(path):
                pack(str(whole), str(path), form)
            _require_packed(path)
    finally:
        whole.unlink(missing_ok=True)


def _require_next(block: NDArray[Any], first: int, window: Window, form: Form) -> None:
    """Raises RasterError for a block that is not what the window awaits at a column."""
    expected = (len(form.names), window.height, min(BLOCK, window.width - first))
    if block.shape != expected:
        raise RasterError(f"expected pixels {expected} of column {first}, found {block.shape}")


def _require_packed(path: Path) -> None:
    """Raise MachineError unless every tile of a COG, which has no empty ones, is in the file."""
    size = path.stat().st_size if path.exists() else 0
    with explained(path):
        with tiff(path, placed=False) as dataset:
            levels = range(len(dataset.overviews(1)))
        for level in ({}, *({"overview_level": number} for number in levels)):
            with rasterio.open(path, driver="GTiff", **level) as dataset:
                if not all(0 < offset < end <= size for offset, end in _tiles(dataset)):
                    raise MachineError(cut_short(path))


def _tiles(dataset: rasterio.DatasetReader) -> Iterator[tuple[int, int]]:
    """Where each tile of an open file begins and ends, 0 where it does not say."""
    tiles = (math.ceil(side / BLOCK) for side in dataset.shape)
    for row, column, band in np.ndindex(*tiles, dataset.count):
        offset, length = (
            dataset.get_tag_item(f"{what}_{column}_{row}", "TIFF", bidx=band + 1)
            for what in ("BLOCK_OFFSET", "BLOCK_SIZE")
        )
        yield int(offset or 0), int(offset or 0) + int(length or 0)
