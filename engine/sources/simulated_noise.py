# SPDX-License-Identifier: Apache-2.0
"""Random fields of an endless lattice: a value depends on its place alone, so no seam shows."""

import hashlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from .grids import Window

Field = NDArray[np.float32]

SPLINE_SQUARES = 151 / 315
"""Mean sum of squared cubic B-spline weights: the sd that a field of unit nodes has."""


def key(*parts: int | str) -> int:
    """A 64-bit number that depends on every part, the same on every machine.

    >>> key(1, "cloud") == key(1, "cloud") != key(2, "cloud")
    True
    """
    text = "|".join(map(str, parts)).encode()
    return int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "little")


def uniform(*parts: int | str) -> float:
    """A number in 0 … 1 that depends on every part."""
    return key(*parts) / 2**64


def _mixed(state: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """SplitMix64's finaliser: neighbouring integers become unrelated words."""
    with np.errstate(over="ignore"):
        state = state + np.uint64(0x9E3779B97F4A7C15)
        state = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        state = (state ^ (state >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return state ^ (state >> np.uint64(31))


def words(seed: int, window: Window) -> NDArray[np.uint64]:
    """64 random bits a pixel, (h, w)."""
    rows = np.arange(window.top, window.bottom, dtype=np.int64).astype(np.uint64)
    columns = np.arange(window.left, window.right, dtype=np.int64).astype(np.uint64)
    start = _mixed(rows ^ np.uint64(seed))
    return _mixed(start[:, None] ^ columns[None, :])


def octets(seed: int, window: Window) -> NDArray[np.uint8]:
    """Eight independent random bytes a pixel, (h, w, 8)."""
    return words(seed, window).view(np.uint8).reshape(*window.shape, 8)


def _normal(seed: int, window: Window) -> Field:
    """Nearly normal values, mean 0 and sd 1, (h, w): the sum of four uniform ones."""
    parts = words(seed, window).view(np.uint16).reshape(*window.shape, 4)
    total = parts.sum(axis=-1, dtype=np.uint32).astype(np.float32)
    return (total - np.float32(131070)) * np.float32(1 / 37837.1)


def nodes(window: Window, spacing: int) -> Window:
    """The nodes, ``spacing`` pixels apart, that ``spread`` needs for ``window``."""
    top, left = window.top // spacing - 1, window.left // spacing - 1
    bottom, right = (window.bottom - 1) // spacing + 3, (window.right - 1) // spacing + 3
    return Window(top, left, bottom - top, right - left)


def spread(values: Field, window: Window, spacing: int) -> Field:
    """Cubic B-spline through ``values`` at ``nodes(window, spacing)``, (h, w)."""
    outer = nodes(window, spacing)
    row, across = _taps(window.top, window.height, spacing, outer.top)
    column, along = _taps(window.left, window.width, spacing, outer.left)
    strips = np.zeros((window.height, outer.width), np.float32)
    for tap in range(4):
        strips += values[row + tap] * across[tap][:, None]
    out = np.zeros(window.shape, np.float32)
    for tap in range(4):
        out += np.take(strips, column + tap, axis=1) * along[tap]
    return out


def _taps(start: int, count: int, spacing: int, origin: int) -> tuple[NDArray[np.intp], Field]:
    """First node of each pixel and the weights of its four nodes, (count,) and (4, count)."""
    place = (np.arange(start, start + count) + 0.5) / spacing
    cell = np.floor(place).astype(np.intp)
    t = place - cell
    weights = [(1 - t) ** 3, 3 * t**3 - 6 * t**2 + 4, -3 * t**3 + 3 * t**2 + 3 * t + 1, t**3]
    return cell - 1 - origin, np.asarray(weights, np.float32) / np.float32(6)


def fractal(seed: int, window: Window, spacings: Sequence[int], roughness: float = 0.5) -> Field:
    """A smooth random field, mean 0 and sd 1 over the endless lattice, (h, w).

    ``spacings`` are the widths of its features in pixels, the largest first; each has ``roughness``
    times the amplitude of the one before.
    """
    out = np.zeros(window.shape, np.float32)
    power, amplitude = 0.0, 1.0
    for spacing in spacings:
        values = _normal(key(seed, spacing), nodes(window, spacing))
        out += spread(values, window, spacing) * np.float32(amplitude / SPLINE_SQUARES)
        power, amplitude = power + amplitude**2, amplitude * roughness
    return out / np.float32(np.sqrt(power))
