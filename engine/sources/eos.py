# SPDX-License-Identifier: Apache-2.0
"""HDF4-EOS granules: where their layers lie, and their pixels."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .descriptors import reading
from .encoding import Tags, canonical, encoding, is_canonical
from .errors import GranuleError, GridError
from .grids import SINUSOIDAL, SINUSOIDAL_1KM, SINUSOIDAL_500M, Window, tile_window
from .hdf4 import HDF4File, Request, read_layers
from .located import Located, Name, Source, name_of
from .products import Layer, Product
from .structure import Grid, Origin, block, grids, origin


def locate(path: Path, name: Name, product: Product) -> list[Located]:
    """The granule of one file, by name and metadata.

    Raises GranuleError for a damaged file, a missing layer, and wherever name, core metadata, grid
    and layers contradict each other.
    """
    with HDF4File(path) as file:
        with reading(path, "its metadata"):
            found = grids(block(file.attributes, "StructMetadata"))
            core = block(file.attributes, "CoreMetadata") or block(
                file.attributes, "OldCoreMetadata"
            )
            said = origin(core)
        _agree(path, name, said)
        grid = _grid(path, product, found)
        _inside(path, name, grid, product)
        sources = []
        for layer in product.layers:
            if layer.kind == "diagnostic" and layer.stored not in file.datasets:
                continue
            dataset = file.dataset(layer.stored)
            encoding(layer, dataset.dtype, Tags(None, None, None), str(path))
            sources.append(Source(layer.name, path, "hdf4", layer.stored))
            if dataset.shape != grid.shape:
                raise GranuleError(
                    f"{path}: expected {_size(grid.shape)} pixels in {layer.stored}, as in the "
                    f"granule's own grid, found {_size(dataset.shape)}; download it again"
                )
        assert name.date is not None
        return [Located(name, name.date, SINUSOIDAL, grid.transform, grid.shape, tuple(sources))]


def _size(shape: Sequence[int]) -> str:
    return " x ".join(map(str, shape))


def _agree(path: Path, name: Name, said: Origin) -> None:
    """Raises GranuleError where name and core metadata tell different stories."""
    first = name_of(said.granule) if said.granule else None
    pairs = [
        ("product", name.product, said.product),
        ("collection", int(name.collection or 0), said.version),
        ("date", name.date, said.start),
        ("tile", name.tile, said.tile),
    ]
    if first:
        pairs += [
            ("product", name.product, first.product),
            ("date", name.date, first.date),
            ("tile", name.tile, first.tile),
            ("production time", name.produced, first.produced),
        ]
    for what, named, held in pairs:
        if held is not None and named != held:
            raise GranuleError(
                f"{path}: expected {what} {named} as in its name, found {held} in its metadata; "
                "download it again, or give it its own name"
            )


def _grid(path: Path, product: Product, found: Sequence[Grid]) -> Grid:
    """The grid that holds the product's layers."""
    wanted = product.layers[0].stored
    for grid in found:
        if wanted in grid.fields:
            break
    else:
        names = ", ".join(grid.name for grid in found) or "none"
        raise GranuleError(
            f"{path}: expected a grid with a layer {wanted} in StructMetadata, "
            f"found the grids {names}; download it again"
        )
    if not grid.sinusoidal:
        raise GranuleError(
            f"{path}: expected the sinusoidal projection of the MODIS sphere, found "
            f"{grid.projection} with {grid.parameters[:2]}; give granules as they were delivered"
        )
    side = (SINUSOIDAL_500M if product.pixel == 500 else SINUSOIDAL_1KM).dx
    across = grid.transform.a
    if abs(across - side) * grid.shape[1] > side / 2:
        raise GranuleError(
            f"{path}: expected pixels of {side:.3f} m in {grid.name}, found {across:.3f} m; "
            "download it again"
        )
    return grid


def _inside(path: Path, name: Name, grid: Grid, product: Product) -> None:
    """Raises GranuleError for a grid that does not lie in the tile of the name.

    A subset tool that resamples may reach over the edge of the tile; its pixels are not the tile's.
    """
    assert name.tile is not None
    lattice = SINUSOIDAL_500M if product.pixel == 500 else SINUSOIDAL_1KM
    tile = tile_window(name.tile, lattice)
    left, top, right, bottom = grid.corners
    try:
        inside = lattice.window(grid.transform, grid.shape) in tile
    except GridError:
        inside = (lattice.bounding(left, bottom, right, top) & tile).size > 0
    if not inside:
        raise GranuleError(
            f"{path}: expected a grid in tile {name.tile} as in its name, found one "
            f"from x {left:.0f}, y {top:.0f} to x {right:.0f}, y {bottom:.0f}; download it again"
        )


def read(
    sources: Sequence[tuple[Source, Layer, NDArray[Any]]], window: Window, threads: int | None
) -> None:
    """Writes the pixels of ``window``, counted from the granule's corner, of layers of one file.

    Raises GranuleError for damage and for tags that contradict the product table.
    """
    path = sources[0][0].path
    with HDF4File(path) as file:
        requests, widened = [], []
        for source, layer, out in sources:
            dataset = file.dataset(source.stored)
            with reading(path, f"the attributes of {source.stored}"):
                tags = Tags.of(file.tags(source.stored))
            variant = encoding(layer, dataset.dtype, tags, str(path))
            target = out
            if not is_canonical(layer, variant):
                target = np.empty(window.shape, dataset.dtype)
                widened.append((target, layer, variant, out))
            requests.append(Request(source.stored, window, target))
        read_layers(file, requests, threads)
    for values, layer, variant, out in widened:
        out[...] = canonical(values, layer, variant, str(path))
