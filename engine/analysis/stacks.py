# SPDX-License-Identifier: Apache-2.0
"""RSEI of an area through time, and the parts of the area that are compared."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

from ..sources.grids import LONLAT, Lattice, Window, carrier
from .polygons import Geometries, polygonal
from .zones import Coverage, labels_of, pixel_areas

ALL = "all"
"""Epoch of the multi-year mean in a table."""


@dataclass(frozen=True)
class Stack:
    """RSEI of one area, a raster for each epoch."""

    area: str
    """Name of the area, first column of every table."""

    lattice: Lattice
    """The grid."""

    window: Window
    """The pixels."""

    epochs: tuple[int, ...]
    """Middle years, rising."""

    rsei: NDArray[np.float32]
    """RSEI, 0 to 1, (T, h, w), or (T, n) of the pixels below; NaN where it is not known or outside
    the area."""

    pixels: NDArray[np.int64] | None = None
    """Of a stack that holds but n pixels of the window, such as a nation's, which ones: counted
    along the rows, rising."""

    def __post_init__(self) -> None:
        """Raises ValueError where shapes or epochs do not fit."""
        shape = (len(self.epochs), *self.shape)
        if self.rsei.shape != shape:
            raise ValueError(f"expected RSEI of shape {shape}, found {self.rsei.shape}")
        if list(self.epochs) != sorted(set(self.epochs)):
            raise ValueError(f"expected epochs that rise, found {self.epochs}")

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of a layer: (h, w) or (n,)."""
        return self.window.shape if self.pixels is None else self.pixels.shape

    @property
    def flat(self) -> NDArray[np.int64]:
        """The pixels of a layer, along the rows of the window."""
        return np.arange(self.window.size) if self.pixels is None else self.pixels

    def flat_of(self, part: slice) -> NDArray[np.int64]:
        """Those of a block of a layer."""
        return np.arange(part.start, part.stop) if self.pixels is None else self.pixels[part]

    def held(self, raster: NDArray[Any]) -> NDArray[Any]:
        """The pixels of the stack, flat, of a raster (h, w)."""
        return raster.reshape(-1) if self.pixels is None else raster.reshape(-1)[self.pixels]

    def raster(self, layer: NDArray[np.float32], part: Window) -> NDArray[np.float32]:
        """A layer as pixels (h, w) of a part of the window."""
        rows, columns = part.slices(self.window)
        if self.pixels is None:
            return layer[rows, columns]
        width = self.window.width
        ends = np.searchsorted(self.pixels, [rows.start * width, rows.stop * width])
        row, column = np.divmod(self.pixels[ends[0] : ends[1]], width)
        inner = (column >= columns.start) & (column < columns.stop)
        result = np.full(part.shape, np.nan, np.float32)
        place = row[inner] - rows.start, column[inner] - columns.start
        result[place] = layer[ends[0] : ends[1]][inner]
        return result

    def centres(
        self, crs: str = LONLAT, flat: NDArray[np.int64] | None = None
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """x and y of every pixel's centre in another CRS, flat; of those in ``flat`` alone."""
        row, column = np.divmod(self.flat if flat is None else flat, self.window.width)
        x, y = self.lattice.x(self.window)[column], self.lattice.y(self.window)[row]
        there = carrier(self.lattice.crs, crs).transform(x, y)
        return np.asarray(there[0]), np.asarray(there[1])

    @cached_property
    def areas(self) -> NDArray[np.float64]:
        """Area of each pixel, km2, flat."""
        whole = pixel_areas(self.lattice, self.window)
        if self.pixels is None:
            return whole.reshape(-1)
        return whole[np.divmod(self.pixels, self.window.width)]

    def coverage(
        self, geometries: Sequence[shapely.Geometry | None] | Geometries, crs: str
    ) -> Coverage:
        """The share of each pixel of a layer in each of some polygons."""
        found = Coverage.of(geometries, crs, self.lattice, self.window)
        return found if self.pixels is None else found.among(self.pixels)

    @cached_property
    def mean(self) -> NDArray[np.float32]:
        """Multi-year mean, as a layer: of the epochs at which a pixel is valid."""
        total, count = np.zeros(self.shape), np.zeros(self.shape, np.uint8)
        for layer in self.rsei:
            valid = ~np.isnan(layer)
            total[valid] += layer[valid]
            count += valid
        with np.errstate(invalid="ignore"):
            return (total / count).astype(np.float32)

    def layers(self) -> Iterator[tuple[str, NDArray[np.float32]]]:
        """Each epoch as text with its layer, and the multi-year mean as the last."""
        yield from ((str(epoch), layer) for epoch, layer in zip(self.epochs, self.rsei))
        yield ALL, self.mean

    def at(self, epoch: int) -> NDArray[np.float32]:
        """The layer of one epoch; raises KeyError."""
        if epoch not in self.epochs:
            raise KeyError(f"expected one of the epochs {self.epochs}, found {epoch}")
        layer: NDArray[np.float32] = self.rsei[self.epochs.index(epoch)]
        return layer


@dataclass(frozen=True)
class Zone:
    """Pixels of a window, each wholly or in part."""

    name: str
    """area, mines or outside."""

    pixels: NDArray[np.int64]
    """Places of its pixels in a layer, flat."""

    shares: NDArray[np.float64] | None = None
    """Share of each pixel in the zone; None where each counts as 1."""

    def of(
        self, layer: NDArray[np.float32]
    ) -> tuple[NDArray[np.float32], NDArray[np.float64] | None]:
        """The values that are not NaN of ``layer`` and their shares."""
        values = layer.reshape(-1)[self.pixels]
        there = ~np.isnan(values)
        return values[there], None if self.shares is None else self.shares[there]

    def where(self, layer: NDArray[np.float32]) -> NDArray[np.int64]:
        """The flat pixels that are not NaN in ``layer``."""
        return self.pixels[~np.isnan(layer.reshape(-1)[self.pixels])]


def parts_of(
    stack: Stack, mines: Sequence[shapely.Geometry] | Geometries | None, crs: str = "OGC:CRS84"
) -> tuple[Zone, ...]:
    """The zones area, mines and outside; the area alone where there are no ``mines``.

    In the mines a pixel counts by the share of it that any of them covers; outside are the pixels
    whose centre is in none.
    """
    whole = Zone("area", np.arange(stack.rsei[0].size))
    if mines is None or len(mines) == 0:
        return (whole,)
    union = shapely.union_all(polygonal(np.asarray(mines, dtype=object)))
    coverage = stack.coverage([union], crs)
    labels = labels_of([union], crs, stack.lattice, stack.window)
    outside = np.flatnonzero(stack.held(labels) == 0)
    return whole, Zone("mines", *coverage.entries(0)), Zone("outside", outside)


def covered_zones(names: Sequence[str], coverage: Coverage) -> tuple[Zone, ...]:
    """A zone for each polygon of ``coverage``, in its order; one without pixel is kept."""
    return tuple(
        Zone(name, *coverage.entries(number))
        for number, name in zip(range(len(coverage.reasons)), names, strict=True)
    )


def labelled_zones(names: Sequence[str], labels: NDArray[Any]) -> tuple[Zone, ...]:
    """A zone for each of the labels 1, 2, ... of a raster, (h, w), such as land-cover classes."""
    flat = labels.reshape(-1)
    return tuple(Zone(name, np.flatnonzero(flat == label)) for label, name in enumerate(names, 1))
