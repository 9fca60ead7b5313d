# SPDX-License-Identifier: Apache-2.0
"""The index of an area through time, gathered from its maps: the pixels that are ever valid."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ..analysis.stacks import Stack
from ..sources.geotiff import read_geotiff
from ..sources.grids import Lattice, Window
from .projections import index_under
from .reductions import ReduceTask
from .store import Store
from .survey import Place

Layer = NDArray[np.float32]


def gathered(place: Place, lattice: Lattice, epochs: Sequence[int], store: Store) -> Stack:
    """The index of an area at ``epochs``, from its maps; a nation is a quarter of its rectangle."""

    def read(epoch: int, part: Place) -> Layer:
        layer: Layer = read_geotiff(store.folder / f"rsei/{part.named(epoch)}.tif", lattice)[0]
        return layer

    flat = []
    for part in place.parts:
        valid = np.zeros(part.window.shape, bool)
        for epoch in epochs:
            valid |= ~np.isnan(read(epoch, part))
        flat.append(_flat(valid, part.window, place.window))
    pixels = np.sort(np.concatenate(flat))
    rsei = np.full((len(epochs), len(pixels)), np.nan, np.float32)
    for part in place.parts:
        for layer, epoch in zip(rsei, epochs, strict=True):
            _put(layer, pixels, read(epoch, part), part.window, place.window)
    return Stack(place.area.name, lattice, place.window, tuple(epochs), rsei, pixels)


def gathered_under_pooled(reduction: ReduceTask, store: Store, stack: Stack) -> Stack:
    """The same pixels under the pooled scope, at every epoch that it has."""
    layers: dict[int, Layer] = {}
    for epoch, part, values in index_under(reduction, store, "pooled"):
        layer = layers.setdefault(epoch, np.full(stack.shape, np.nan, np.float32))
        _put(layer, stack.flat, values, part.window, stack.window)
    epochs = tuple(sorted(layers))
    rsei = np.stack([layers.pop(epoch) for epoch in epochs])
    return Stack(stack.area, stack.lattice, stack.window, epochs, rsei, stack.pixels)


def _flat(chosen: NDArray[np.bool_], part: Window, whole: Window) -> NDArray[np.int64]:
    """Pixels of ``whole``, along its rows, of those that are ``chosen``, (h, w), of a part."""
    rows, columns = np.nonzero(chosen)
    return (rows + part.top - whole.top) * whole.width + columns + part.left - whole.left


def _put(
    layer: Layer, pixels: NDArray[np.int64], values: Layer, part: Window, whole: Window
) -> None:
    """Put the valid values of a part, (h, w), where they stand among ``pixels``."""
    valid = ~np.isnan(values)
    flat = _flat(valid, part, whole)
    place = np.minimum(np.searchsorted(pixels, flat), len(pixels) - 1)
    known = pixels[place] == flat
    layer[place[known]] = values[valid][known]
