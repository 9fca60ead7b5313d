# SPDX-License-Identifier: Apache-2.0
"""Curves through a few points: a local regression with its band, and two lines with their break."""

from dataclasses import dataclass
from typing import Self

import numpy as np
import scipy
from numpy.typing import NDArray

Points = NDArray[np.float64]
"""Places or values, (n,)."""

CONFIDENCE = 0.95
"""Probability of every band and interval."""

SPAN = 0.75
"""Share of the points that a local regression looks at. Source: the default of R's loess."""


@dataclass(frozen=True)
class Smooth:
    """A local regression and its pointwise confidence band, at given places."""

    fit: Points
    """Fitted value."""

    low: Points
    """Lower end of the band."""

    high: Points
    """Upper end of the band."""

    @classmethod
    def of(cls, x: Points, y: Points, at: Points, span: float = SPAN) -> Self:
        """LOESS of degree 2 through at least 6 points, in any order.

        Source: Cleveland & Grosse 1991, doi:10.1007/BF01890836; the same numbers as R's loess
        with surface "direct" and exact statistics. Raises ValueError for too few points.
        """
        near = int(len(x) * span + 1e-5)
        if len(np.unique(x)) < 6 or near < 4:
            raise ValueError(f"expected 6 different places or more, found {len(np.unique(x))}")
        rest = np.eye(len(x)) - np.array([smoother_row(x, place, near) for place in x])
        rows = np.array([smoother_row(x, place, near) for place in at])
        quadratic = rest.T @ rest
        first, second = np.trace(quadratic), np.sum(quadratic**2)
        spread = np.sqrt(np.sum((rest @ y) ** 2) / first)
        reach = scipy.stats.t.ppf(0.5 + CONFIDENCE / 2, first**2 / second) * spread
        fit, half = rows @ y, reach * np.sqrt(np.sum(rows**2, axis=1))
        return cls(fit, fit - half, fit + half)


def smoother_row(x: Points, place: float, near: int) -> Points:
    """Weight of each y in the local parabola's value at ``place``, tricube over ``near`` points."""
    distance = np.abs(x - place)
    width = np.sort(distance)[near - 1]
    root = np.sqrt(np.clip(1 - (distance / width) ** 3, 0, None) ** 3)
    design = np.vander((x - place) / width, 3, increasing=True) * root[:, None]
    row: Points = np.linalg.pinv(design)[0] * root
    return row


GRID = 400
"""Places of the break that are tried before the best is refined."""


@dataclass(frozen=True)
class Segmented:
    """Two straight lines that meet, by least squares."""

    breakpoint: float
    """Where they meet."""

    low: float
    """Lower end of its interval, or the first place tried where the data set no limit."""

    high: float
    """Upper end of its interval."""

    before: float
    """Slope of the first line."""

    after: float
    """Slope of the second line."""

    p: float
    """Probability of so clear a break in data of one line, Davies' upper bound."""

    @classmethod
    def of(cls, x: Points, y: Points, weights: Points | None = None) -> Self:
        """The lines through at least 6 different places; the break lies between them.

        A point counts by its weight, such as the number of pixels that it is the mean of.

        The interval holds the breaks whose residual sum of squares an F test does not tell from
        the least one. Source: Seber & Wild 1989, Nonlinear Regression, section 9.3. Raises
        ValueError for too few points.
        """
        places = np.unique(x)
        if len(places) < 6:
            raise ValueError(f"expected 6 different places or more, found {len(places)}")
        line = Line.of(x, y, weights)
        tried = np.linspace(places[1], places[-2], GRID + 1)
        found = np.array([line.squares(place) for place in tried])
        lowest = int(found.argmin())
        around = tried[max(0, lowest - 1)], tried[min(GRID, lowest + 1)]
        best = scipy.optimize.minimize_scalar(
            line.squares, bounds=around, method="bounded", options={"xatol": 1e-9 * np.ptp(places)}
        )
        place = float(best.x) if best.fun < found.min() else float(tried[lowest])
        free = len(x) - 4
        limit = line.squares(place) * (1 + scipy.stats.f.ppf(CONFIDENCE, 1, free) / free)
        low, high = interval(line, tried, found, place, limit)
        _, before, bend = line.coefficients(place)
        return cls(place, low, high, before, before + bend, davies(line, tried[:: GRID // 10]))


@dataclass(frozen=True)
class Line:
    """A straight line through weighted points, and what a bend at any place would change."""

    x: Points
    """Places."""

    y: Points
    """Values, times the root of their weight."""

    root: Points
    """Square root of each point's weight, whose mean is 1."""

    basis: NDArray[np.float64]
    """Orthonormal columns that span all straight lines, times the root, (n, 2)."""

    rest: Points
    """What the best straight line leaves of ``y``."""

    @classmethod
    def of(cls, x: Points, y: Points, weights: Points | None = None) -> Self:
        """The best line through the points, each counting by its weight."""
        root = np.ones_like(x) if weights is None else np.sqrt(weights / weights.mean())
        design = np.column_stack([np.ones_like(x), x - x.mean()]) * root[:, None]
        basis, _ = np.linalg.qr(design)
        return cls(x, y * root, root, basis, y * root - basis @ (basis.T @ (y * root)))

    def bend(self, place: float) -> tuple[float, float, float]:
        """Best change of slope at ``place``, its variance for residuals of 1, and the squares
        of the residuals that are left.
        """
        ramp = np.maximum(self.x - place, 0) * self.root
        ramp -= self.basis @ (self.basis.T @ ramp)
        length = float(ramp @ ramp)
        change = float(ramp @ self.rest) / length
        return change, 1 / length, float(np.sum((self.rest - change * ramp) ** 2))

    def squares(self, place: float) -> float:
        """Sum of the squared residuals of the lines that meet at ``place``."""
        return self.bend(place)[2]

    def coefficients(self, place: float) -> tuple[float, float, float]:
        """Intercept, slope and bend of the lines that meet at ``place``."""
        ramp = np.maximum(self.x - place, 0)
        design = np.column_stack([np.ones_like(self.x), self.x, ramp]) * self.root[:, None]
        intercept, slope, bend = np.linalg.lstsq(design, self.y, rcond=None)[0].tolist()
        return intercept, slope, bend


def interval(
    line: Line, tried: Points, found: Points, place: float, limit: float
) -> tuple[float, float]:
    """First and last place with no more than ``limit`` squares, refined between those tried."""
    held = np.flatnonzero(found <= limit)
    if len(held) == 0:  # so exact a fit that no place tried is as good
        nearest = int(np.abs(tried - place).argmin())
        return min(place, float(tried[nearest])), max(place, float(tried[nearest]))
    ends = []
    for inner, outer in ((held[0], held[0] - 1), (held[-1], held[-1] + 1)):
        end = float(tried[inner])
        if 0 <= outer < len(tried) and found[inner] < limit:
            end = scipy.optimize.brentq(lambda at: line.squares(at) - limit, end, tried[outer])
        ends.append(end)
    return min(ends[0], place), max(ends[1], place)


def davies(line: Line, tried: Points) -> float:
    """Upper bound of the probability that data of one line bend as clearly at one of the places.

    Source: Davies 1987, doi:10.1093/biomet/74.1.33, two-sided, with the score's total variation.
    """
    free = len(line.x) - 3
    bends, variances, squares = np.array([line.bend(place) for place in tried]).T
    if squares.min() <= 1e-24 * np.sum(line.y**2):  # an exact fit: the residuals are rounding
        return 0.0 if np.sum(line.rest**2) > 1e-20 * np.sum(line.y**2) else 1.0
    t = bends / np.sqrt(variances * squares / free)
    # Scores of t are carried to those of a normal with the same tail.
    score = np.sign(t) * scipy.stats.norm.isf(scipy.stats.t.sf(np.abs(t), free))
    highest, variation = np.abs(score).max(), np.abs(np.diff(score)).sum()
    density = np.exp(-(highest**2) / 2) / np.sqrt(8 * np.pi)
    bound = scipy.stats.norm.sf(highest) + variation * density
    return float(min(1.0, 2 * bound))
