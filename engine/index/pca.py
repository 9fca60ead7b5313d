# SPDX-License-Identifier: Apache-2.0
"""Principal components of normalised indicators, from the moments of the raw ones."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..sources.errors import InputError
from .summaries import INDICATORS, Summary

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]


class NothingValid(InputError):
    """An epoch of an area has no valid pixel."""


class ConstantIndicator(InputError):
    """An indicator has one value in all pixels, and cannot be normalised."""


@dataclass(frozen=True)
class Limits:
    """What normalisation takes for 0 and 1."""

    low: tuple[float, ...]
    """Value of each indicator that becomes 0, in its unit."""

    high: tuple[float, ...]
    """Value of each indicator that becomes 1."""

    @property
    def widths(self) -> Vector:
        """Distance of the limits of each indicator, (4,)."""
        return np.array(self.high) - np.array(self.low)


@dataclass(frozen=True)
class Normalised:
    """Mean and covariance of the four indicators after normalisation."""

    count: int
    """Pixels."""

    mean: Vector
    """Mean of each, dimensionless, (4,)."""

    covariance: Matrix
    """Covariance over the population, (4, 4)."""

    @classmethod
    def of(cls, summary: Summary, limits: Limits) -> "Normalised":
        """Those of the pixels of ``summary``, by algebra: no pixel is read again."""
        scales = 1 / limits.widths
        mean = (summary.moments.mean() - np.array(limits.low)) * scales
        return cls(summary.count, mean, summary.moments.covariance() * np.outer(scales, scales))


@dataclass(frozen=True)
class Components:
    """Principal components, the first with the most variance."""

    vectors: Matrix
    """Unit eigenvectors as columns, (4, 4), each with its largest component positive."""

    contributions: Vector
    """Share of the variance along each, %, (4,)."""

    @property
    def first(self) -> Vector:
        """The loadings of PC1, canonical: unit norm, the largest component positive."""
        return self.vectors[:, 0]


def components(covariance: Matrix) -> Components:
    """The principal components of a covariance, (4, 4).

    Raises ConstantIndicator where nothing varies.
    """
    values, vectors = np.linalg.eigh(covariance)
    values, vectors = np.maximum(values[::-1], 0), vectors[:, ::-1]
    if not values.sum() > 0:
        raise ConstantIndicator(
            "expected indicators that vary, found the same values in every pixel; "
            "check their rasters and the water mask"
        )
    columns = [canonical(vectors[:, k]) for k in range(len(values))]
    return Components(np.stack(columns, axis=1), 100 * values / values.sum())


def canonical(vector: Vector) -> Vector:
    """``vector`` or its opposite: the one whose largest component is positive.

    >>> canonical(np.array([0.5, -0.7, 0.1, 0.5])).tolist()
    [-0.5, 0.7, -0.1, -0.5]
    """
    return vector * np.sign(vector[np.abs(vector).argmax()])


def along(covariance: Matrix, vector: Vector) -> Components:
    """Components whose first is a given unit ``vector``; the shares of the others are unknown."""
    share = 100 * float(vector @ covariance @ vector) / float(np.trace(covariance))
    rest = np.full((len(vector), len(vector) - 1), np.nan)
    vectors = np.column_stack([canonical(vector), rest])
    return Components(vectors, np.array([share, *rest[0]]))


def pooled(parts: Sequence[Normalised]) -> Normalised:
    """Mean and covariance of all pixels of several epochs, each normalised by its own limits."""
    counts = np.array([part.count for part in parts], np.float64)
    shares = counts / counts.sum()
    means = np.stack([part.mean for part in parts])
    mean = shares @ means
    within = sum(share * part.covariance for share, part in zip(shares, parts, strict=True))
    between = (means - mean).T @ ((means - mean) * shares[:, None])
    return Normalised(sum(part.count for part in parts), mean, within + between)


def require_pixels(summary: Summary, where: str) -> None:
    """Raise NothingValid where no pixel is left, saying what took them."""
    if summary.count:
        return
    taken = {
        name: n for name, n in summary.reasons.items() if n and name not in ("valid", "outside")
    }
    causes = ", ".join(f"{name} {n}" for name, n in sorted(taken.items(), key=lambda one: -one[1]))
    raise NothingValid(
        f"{where}: expected valid pixels, found none of {sum(taken.values())} inside the area "
        f"({causes or 'the area holds no pixel centre'}); check the boundary, the granules of the "
        "season (`rsei plan` lists missing ones), the quality preset and the water settings"
    )


def require_widths(limits: Limits, where: str) -> None:
    """Raise ConstantIndicator for the first indicator whose limits coincide, naming it."""
    for name, low, high in zip(INDICATORS, limits.low, limits.high, strict=True):
        if not high > low:
            raise ConstantIndicator(
                f"{where}: expected limits of {name} with min < max, found {low:.6g} and "
                f"{high:.6g}; check its raster, or use limits that do not coincide"
            )
