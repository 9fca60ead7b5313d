# SPDX-License-Identifier: Apache-2.0
"""Files of a partial: the sums and counts of one tile, year and role."""

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..index.composite import Partial
from ..sources.geotiff import Form, read_geotiff, write_geotiff
from ..sources.grids import Lattice, Window
from .store import Store

FILES: Mapping[str, tuple[str, ...]] = {
    "reflectance": ("reflectance.tif", "counts.tif"),
    "greenness": ("ndvi.tif",),
    "heat": ("heat.tif",),
}
"""Files of each role in a partial's folder."""


def write_partial(
    paths: Sequence[Path], partial: Partial, lattice: Lattice, window: Window
) -> None:
    """Write the sums of a role; counts of bands to a file of their own, as bytes."""
    place = lattice, window
    if len(paths) == 2:
        sums = Form(partial.names, "int32", None, compression="lerc")
        counts = Form(partial.names, "uint8", None, compression="lzw")
        with ThreadPoolExecutor(2, "write") as writers:  # each packs on one core
            jobs = [
                writers.submit(write_geotiff, path, layers, *place, form)
                for path, layers, form in zip(
                    paths, (partial.sums, partial.counts), (sums, counts), strict=True
                )
            ]
        for job in jobs:
            job.result()
        return
    names = tuple(f"{kind}_{name}" for name in partial.names for kind in ("sum", "count"))
    pairs = [layer for pair in zip(partial.sums, partial.counts) for layer in pair]
    form = Form(names, "int32", None, compression="lerc")
    write_geotiff(paths[0], np.stack(pairs).astype(np.int32), *place, form)


def read_partial(
    store: Store, tile: str, year: int, role: str, lattice: Lattice, window: Window
) -> tuple[NDArray[np.int32], NDArray[np.uint8]]:
    """Sums and counts, (B, h, w), of a window that a committed partial holds."""
    folder = store.folder / "store" / "partials" / tile / str(year)
    layers = [read_geotiff(folder / file, lattice, window) for file in FILES[role]]
    if len(layers) == 2:
        return layers[0], layers[1]
    return layers[0][0::2], layers[0][1::2].astype(np.uint8)
