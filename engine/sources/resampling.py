# SPDX-License-Identifier: Apache-2.0
"""Values from the pixels of one grid to those of another, in any coordinate systems.

Every target pixel, its centre or its corners, is carried to the source by PROJ itself, so that no
approximated warp, chunk or thread leaves a mark: a pixel's value does not depend on the window.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal, Self

import numpy as np
from numpy.typing import NDArray

from .errors import RasterError
from .grids import Lattice, Window
from .placed import Placed

Method = Literal["nearest", "bilinear", "average", "mode", "sum"]
"""How values get from one grid to another."""

Read = Callable[[Window], NDArray[np.float64]]
"""Reads a part of the source; NaN where a pixel is missing."""

Floats = NDArray[np.float64]

LIMIT = 1 << 27
"""Source pixels that a block may need, 1 GB; more is a mistake in a CRS, or a trap."""

FINEST = 1 << 22
"""Samples that a pixel may need: those of a 500 m pixel on a grid of 0.25 m."""

CLASSES = 256
"""Distinct values in a block above which a raster is no map of classes."""


@dataclass(frozen=True)
class Patch:
    """The part of a source that a block needs."""

    values: Floats
    """NaN where missing."""

    window: Window
    """Which part."""

    around: int | None
    """Columns of a global source, whose first follows upon the last."""

    @classmethod
    def of(cls, read: Read, placed: Placed, columns: Floats, rows: Floats) -> Self:
        """The pixels under and next to these positions."""
        whole = Window(0, 0, *placed.shape)
        around = placed.shape[1] if placed.global_ else None
        known = np.isfinite(columns) & np.isfinite(rows)
        if not known.any():
            return cls(np.empty((0, 0)), Window(0, 0, 0, 0), around)
        left, top = math.floor(columns[known].min()) - 2, math.floor(rows[known].min()) - 2
        right, bottom = math.ceil(columns[known].max()) + 2, math.ceil(rows[known].max()) + 2
        if around is not None and (left < 0 or right > around):
            left, right = 0, around
        window = Window(top, left, bottom - top, right - left) & whole
        if window.size > LIMIT:
            raise too_fine(window.size)
        values = read(window) if window.size else np.empty(window.shape)
        return cls(values, window, around)

    def at(self, columns: Floats, rows: Floats) -> Floats:
        """The values of the pixels at these positions, rounded down; NaN outside."""
        if not self.values.size:
            return np.full(columns.shape, np.nan)
        with np.errstate(invalid="ignore"):
            column = np.floor(columns).astype(np.int64)
            row = np.floor(rows).astype(np.int64) - self.window.top
        if self.around is not None:
            column %= self.around
        column -= self.window.left
        height, width = self.values.shape
        inside = (column >= 0) & (column < width) & (row >= 0) & (row < height)
        # As an integer NaN is 0 on ARM, and far outside on x86.
        inside &= (columns == columns) & (rows == rows)
        if inside.all():
            return self.values.take(row * width + column)
        row, column = np.where(inside, row, 0), np.where(inside, column, 0)
        return np.where(inside, self.values.take(row * width + column), np.nan)


def too_fine(pixels: int) -> RasterError:
    """What to do about a raster whose pixels are far too small."""
    return RasterError(
        f"expected up to {LIMIT} pixels for a block of the grid and {FINEST} for one of its "
        f"pixels, found {pixels}: the raster is too fine, or its coordinate system is wrong; "
        "average it first, for example: gdalwarp -tr 30 30 -r average"
    )


def centres(placed: Placed, lattice: Lattice, window: Window) -> tuple[Floats, Floats]:
    """Column and row of each pixel's centre, (h, w); NaN where it lies outside the raster."""
    columns, rows = placed.position(lattice, *np.meshgrid(lattice.x(window), lattice.y(window)))
    outside = ~((rows >= 0) & (rows < placed.shape[0]))
    outside |= ~((columns >= 0) & (columns < placed.shape[1]))
    if not placed.global_:
        columns = np.where(outside, np.nan, columns)
    return columns, np.where((rows >= 0) & (rows < placed.shape[0]), rows, np.nan)


def nearest(read: Read, placed: Placed, lattice: Lattice, window: Window) -> Floats:
    """The value of the source pixel under each centre, (h, w)."""
    columns, rows = centres(placed, lattice, window)
    return Patch.of(read, placed, columns, rows).at(columns, rows)


def bilinear(read: Read, placed: Placed, lattice: Lattice, window: Window) -> Floats:
    """The four nearest pixels weighted, renormalised over the valid ones, (h, w).

    Missing where the centre lies outside the source, or under half the weight is valid.
    """
    columns, rows = centres(placed, lattice, window)
    patch = Patch.of(read, placed, columns, rows)
    left, top = np.floor(columns - 0.5), np.floor(rows - 0.5)
    right_share, lower_share = columns - 0.5 - left, rows - 0.5 - top
    total, weight = np.zeros(window.shape), np.zeros(window.shape)
    for down, share in ((0, 1 - lower_share), (1, lower_share)):
        for across, part in ((0, 1 - right_share), (1, right_share)):
            value = patch.at(left + across, top + down)
            valid = np.isfinite(value)
            total += np.where(valid, share * part * value, 0)
            weight += np.where(valid, share * part, 0)
    # A centre on the line between two pixels, one of them missing, has half the weight exactly.
    enough = weight >= 0.5 - 1e-9
    return np.divide(total, weight, out=np.full(window.shape, np.nan), where=enough)


def corners(placed: Placed, lattice: Lattice, window: Window) -> tuple[Floats, Floats]:
    """Column and row of the corners of each pixel, (2, 2, h, w): upper and lower, left and right.

    Between corners PROJ is replaced by straight lines: a 500 m pixel's sides bend by 5 mm.
    """
    x = lattice.left + (window.left + np.arange(window.width + 1)) * lattice.dx
    y = lattice.top - (window.top + np.arange(window.height + 1)) * lattice.dy
    columns, rows = (
        np.array([[at[:-1, :-1], at[:-1, 1:]], [at[1:, :-1], at[1:, 1:]]])
        for at in placed.position(lattice, *np.meshgrid(x, y))
    )
    if placed.world is not None:
        # A pixel across the cut has corners on both sides of the globe: bring them together.
        apart = columns - columns[0, 0]
        columns = columns[0, 0] + (apart + placed.world / 2) % placed.world - placed.world / 2
    return columns, rows


def sampled(
    read: Read, placed: Placed, lattice: Lattice, block: Window, part: Window
) -> Iterator[Floats]:
    """Values at evenly spread points in each pixel, one row of their net at a time: (h, w, n).

    The density follows the middle of ``block``, which is the same for every ``part`` of it.
    """
    step = placed.step(lattice, block)
    if step.across * step.down > FINEST:
        raise too_fine(step.across * step.down)
    columns, rows = (at[..., np.newaxis] for at in corners(placed, lattice, part))
    patch = Patch.of(read, placed, columns, rows)
    across, down = scatter(step.across), scatter(step.down)
    for row in range(step.down):
        along = (np.arange(step.across) + down[row]) / step.across
        deep = (row + across) / step.down
        at = []
        for corner in (columns, rows):
            left = corner[0, 0] * (1 - deep) + corner[1, 0] * deep
            right = corner[0, 1] * (1 - deep) + corner[1, 1] * deep
            at.append(left * (1 - along) + right * along)
        yield patch.at(*at)


def scatter(count: int) -> Floats:
    """Places, 0..1, of ``count`` samples within their cells of the net, evenly spread.

    On a plain net an edge along a row of the grid would gain or lose a whole row of samples.
    Nested grids stay exact, since every sample stays well inside its cell. Source: the fractional
    parts of multiples of the golden ratio are the most even sequence (Weyl; Knuth, TAOCP 6.4).
    """
    golden = (5**0.5 - 1) / 2
    return 0.05 + 0.9 * ((np.arange(count, dtype=np.float64) + 0.5) * golden % 1)


def average(read: Read, placed: Placed, lattice: Lattice, block: Window, part: Window) -> Floats:
    """The mean, by area, of the valid source pixels in each pixel, (h, w)."""
    total, count, _ = summed(read, placed, lattice, block, part)
    return np.divide(total, count, out=np.full(part.shape, np.nan), where=count > 0)


def amount(read: Read, placed: Placed, lattice: Lattice, block: Window, part: Window) -> Floats:
    """The sum of the source pixels in each pixel, each by its share in it, (h, w).

    Nothing is lost or doubled: for people, tonnes, areas.
    """
    total, count, points = summed(read, placed, lattice, block, part)
    columns, rows = corners(placed, lattice, part)
    (c0, c1), (r0, r1) = columns[[0, 0], [0, 1]], rows[[0, 0], [0, 1]]
    (c3, c2), (r3, r2) = columns[[1, 1], [0, 1]], rows[[1, 1], [0, 1]]
    pixels = np.abs((c2 - c0) * (r3 - r1) - (c3 - c1) * (r2 - r0)) / 2
    return np.where(count > 0, total / points * pixels, np.nan)


def summed(
    read: Read, placed: Placed, lattice: Lattice, block: Window, part: Window
) -> tuple[Floats, Floats, int]:
    """Sum and number of the valid samples in each pixel, and the number of all."""
    total, count, points = np.zeros(part.shape), np.zeros(part.shape), 0
    for values in sampled(read, placed, lattice, block, part):
        valid = np.isfinite(values)
        total += np.where(valid, values, 0).sum(axis=-1)
        count += valid.sum(axis=-1)
        points += values.shape[-1]
    return total, count, points


def mode(read: Read, placed: Placed, lattice: Lattice, block: Window, part: Window) -> Floats:
    """The value with the largest share of each pixel, the smallest of equals, (h, w)."""
    net = list(sampled(read, placed, lattice, block, part))
    found = np.unique(np.concatenate([np.unique(values) for values in net]))
    found = found[np.isfinite(found)]
    if len(found) > CLASSES:
        raise RasterError(f"expected up to {CLASSES} classes for `mode`, found {len(found)}")
    best, most = np.full(part.shape, np.nan), np.zeros(part.shape, dtype=np.int64)
    for value in found:
        count = np.sum([(values == value).sum(axis=-1) for values in net], axis=0)
        best = np.where(count > most, value, best)
        most = np.maximum(count, most)
    return best


def resample(
    read: Read, placed: Placed, lattice: Lattice, block: Window, part: Window, method: Method
) -> Floats:
    """The source's values at the pixels of ``part`` of ``block``; (h, w), NaN missing."""
    if method in CENTRED:
        return CENTRED[method](read, placed, lattice, part)
    return BY_AREA[method](read, placed, lattice, block, part)


CENTRED = {"nearest": nearest, "bilinear": bilinear}
"""Methods that look at a pixel's centre."""

BY_AREA = {"average": average, "mode": mode, "sum": amount}
"""Methods that look at its whole area."""
