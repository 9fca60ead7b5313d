# SPDX-License-Identifier: Apache-2.0
"""Simulated stacks of granules: coherent clouds, faults of detectors, gaps; no pixel is zero."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

MEAN = (900, 2600, 500, 800, 2900, 2200, 1300)
"""Typical stored reflectance of vegetation, red to swir2, 1e-4."""

SPREAD = (400, 700, 220, 320, 600, 550, 450)
"""Standard deviation of the same."""

CLOUDY = 0.35
"""Mean share of a date that is cloud."""

FILL, STATE_FILL, QC_FILL = -28672, 65535, 0xFFFFFFFF


@dataclass(frozen=True)
class Stack:
    """Dates of one tile, as they are stored."""

    bands: NDArray[np.int16]
    """Reflectance, (T, 7, h, w), 1e-4."""

    state: NDArray[np.uint16]
    """State words, (T, h, w)."""

    qc: NDArray[np.uint32]
    """Band quality words, (T, h, w)."""

    @property
    def nbytes(self) -> int:
        """Bytes of all layers."""
        return self.bands.nbytes + self.state.nbytes + self.qc.nbytes

    @property
    def layers(self) -> tuple[NDArray[np.int16], NDArray[np.uint16], NDArray[np.uint32]]:
        """Bands, state and band quality."""
        return self.bands, self.state, self.qc

    def swapped(self) -> "Stack":
        """The same values, big-endian, as HDF4 keeps them."""
        return Stack(self.bands.astype(">i2"), self.state.astype(">u2"), self.qc.astype(">u4"))


def rough(side: int, slope: float, rng: np.random.Generator) -> Floats:
    """A surface with spectrum k**-slope, mean 0 and standard deviation 1, (side, side)."""
    k = np.hypot(np.fft.fftfreq(side)[:, None], np.fft.rfftfreq(side)[None, :])
    k[0, 0] = np.inf
    noise = rng.standard_normal((2, *k.shape))
    surface = np.fft.irfft2((noise[0] + 1j * noise[1]) * k ** (-slope / 2), s=(side, side))
    return ((surface - surface.mean()) / surface.std()).astype(np.float32)


def stack(side: int, dates: int = 16, seed: int = 0) -> Stack:
    """``dates`` composites of a tile of ``side`` x ``side`` pixels, about half of them usable."""
    rng = np.random.default_rng(seed)
    scene = Stack(
        np.empty((dates, 7, side, side), np.int16),
        np.empty((dates, side, side), np.uint16),
        np.empty((dates, side, side), np.uint32),
    )
    land = [rough(side, 3.0, rng) for _ in range(3)]
    mix = rng.normal(size=(7, 3)).astype(np.float32)
    mix /= np.linalg.norm(mix, axis=1, keepdims=True)
    height = rough(side, 2.6, rng)
    water = height < np.quantile(height, 0.06)
    surfaces = [
        np.where(water, 120, MEAN[b] + SPREAD[b] * sum(m * f for m, f in zip(mix[b], land)))
        for b in range(7)
    ]
    for t in range(dates):
        share = np.clip(CLOUDY + 0.15 * rng.standard_normal(), 0.05, 0.8)
        cover = rough(side, 2.9, rng)
        cover -= np.quantile(cover, 1 - share)
        _observe(scene, t, surfaces, cover, rng)
        scene.state[t] |= np.where(water, 3, 1).astype(np.uint16) << 3
        if t % 5 == 0:  # a swath's edge
            edge = slice(0, max(1, side // 25))
            scene.bands[t, :, :, edge] = FILL
            scene.state[t, :, edge], scene.qc[t, :, edge] = STATE_FILL, QC_FILL
    return scene


def _observe(
    scene: Stack, t: int, surfaces: list[Floats], cover: Floats, rng: np.random.Generator
) -> None:
    """Write date ``t``: the surfaces under clouds where ``cover`` is positive."""
    side = cover.shape[0]
    cloud, mixed = cover > 0, (cover > -0.12) & (cover <= 0)
    shadow = np.roll(cloud, (7, 5), (0, 1)) & ~cloud
    haze = np.clip((cover + 0.8) * 1.5, 0, 3).astype(np.uint16)
    aerosol = np.clip((cover + 1.2) * 1.3, 0, 3).astype(np.uint16)
    scene.state[t] = np.where(cloud, 1, np.where(mixed, 2, 0))
    scene.state[t] |= (shadow.astype(np.uint16) << 2) | (aerosol << 6) | (haze << 8)
    near = (cover > -0.25) & ~cloud
    scene.state[t] |= (cloud.astype(np.uint16) << 10) | (near.astype(np.uint16) << 13)
    scene.qc[t] = cloud.astype(np.uint32) | np.uint32(1 << 30)
    noisy = np.zeros((side, 1), bool)
    noisy[rng.integers(0, side, max(1, side // 40))] = True  # Terra's band 5, detector 3
    for b, surface in enumerate(surfaces):
        grain = rng.standard_normal(cover.shape, np.float32) * 8
        value = np.where(cloud, 4500 + 1500 * cover + 0.25 * surface, surface) + grain
        scene.bands[t, b] = np.clip(value, 1, 16000)
        chance = rng.random(cover.shape, np.float32)
        nibble = np.where(chance < 0.004, 13, np.where(chance < 0.006, 12, 0)).astype(np.uint32)
        if b == 4:
            nibble[np.broadcast_to(noisy, nibble.shape)] = 7
        scene.qc[t] |= nibble << np.uint32(2 + 4 * b)
