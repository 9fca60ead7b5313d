# SPDX-License-Identifier: Apache-2.0
"""Land surface temperature of 1 km pixels on the 500 m pixels inside them."""

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ...kernels.launch import namespace
from ..sources.errors import GridError
from ..sources.grids import TOLERANCE, Lattice, Window

ENOUGH = np.float32(0.5)
"""Share of the bilinear weight that must fall on valid pixels."""


def heat_on_fine(
    coarse: Any,
    coarse_lattice: Lattice,
    coarse_window: Window,
    fine_lattice: Lattice,
    fine_window: Window,
    method: Literal["nearest", "bilinear"] = "nearest",
) -> Any:
    """Temperature, in the unit of ``coarse``, (h, w) float32, on the pixels of ``fine_window``.

    ``coarse`` fills its window, NaN where missing; beyond it all is missing. ``nearest`` takes the
    pixel that holds a fine one, ``bilinear`` the four around its centre, with the weights of the
    valid ones scaled to 1. Raises GridError where pixels do not nest.
    """
    _require_nesting(coarse_lattice, fine_lattice)
    y, x = fine_lattice.y(fine_window), fine_lattice.x(fine_window)
    vertical = _positions(coarse_lattice.top - y, coarse_lattice.dy) - coarse_window.top
    horizontal = _positions(x - coarse_lattice.left, coarse_lattice.dx) - coarse_window.left
    padded = _padded(coarse)
    if method == "nearest":
        return _taken(padded, np.floor(vertical), np.floor(horizontal))
    return _bilinear(padded, vertical - 0.5, horizontal - 0.5)


def _positions(distances: NDArray[np.float64], size: float) -> NDArray[np.float64]:
    """Distances in coarse pixels, to a 1024th: nested centres lie on such places exactly."""
    return np.round(distances / size * 1024) / 1024


def _padded(coarse: Any) -> Any:
    """``coarse`` with a border of NaN, on which all positions beyond it fall."""
    xp = namespace(coarse)
    padded = xp.full((coarse.shape[0] + 2, coarse.shape[1] + 2), np.nan, np.float32)
    padded[1:-1, 1:-1] = coarse
    return padded


def _taken(padded: Any, rows: NDArray[np.float64], columns: NDArray[np.float64]) -> Any:
    xp = namespace(padded)
    down = np.clip(rows + 1, 0, padded.shape[0] - 1).astype(np.int64)
    across = np.clip(columns + 1, 0, padded.shape[1] - 1).astype(np.int64)
    return padded[xp.asarray(down)[:, None], xp.asarray(across)[None, :]]


def _bilinear(padded: Any, vertical: NDArray[np.float64], horizontal: NDArray[np.float64]) -> Any:
    xp = namespace(padded)
    total = xp.zeros((vertical.size, horizontal.size), np.float32)
    weight = xp.zeros_like(total)
    for down in (0, 1):
        rows = np.floor(vertical) + down
        share_down = (1 - np.abs(vertical - rows)).astype(np.float32)
        for across in (0, 1):
            columns = np.floor(horizontal) + across
            share = (1 - np.abs(horizontal - columns)).astype(np.float32)
            values = _taken(padded, rows, columns)
            weights = xp.asarray(share_down)[:, None] * xp.asarray(share)[None, :]
            weights = xp.where(xp.isnan(values), np.float32(0), weights)
            total += weights * xp.where(xp.isnan(values), np.float32(0), values)
            weight += weights
    enough = weight >= ENOUGH
    return xp.where(enough, total / xp.where(enough, weight, np.float32(1)), np.float32(np.nan))


def _require_nesting(coarse: Lattice, fine: Lattice) -> None:
    """Raise GridError unless the edges of coarse pixels are edges of fine ones."""
    factors = coarse.dx / fine.dx, coarse.dy / fine.dy
    shifts = (coarse.left - fine.left) / fine.dx, (fine.top - coarse.top) / fine.dy
    misfits = [abs(value - round(value)) for value in (*factors, *shifts)]
    if coarse.crs != fine.crs or max(misfits) > TOLERANCE or min(map(round, factors)) < 1:
        raise GridError(
            f"expected heat on pixels of {fine.dx:g} x {fine.dy:g} or a multiple, aligned with "
            f"({fine.left:.3f}, {fine.top:.3f}) in {fine.crs}, found pixels of {coarse.dx:g} x "
            f"{coarse.dy:g} at ({coarse.left:.3f}, {coarse.top:.3f}) in {coarse.crs}"
        )
