"""Curves through a few points: a local regression with its band, and two lines with their break."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray
from scipy import optimize, stats

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
        reach = stats.t.ppf(0.5 + CONFIDENCE / 2, first**2 / second) * spread
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
    def of(cls, x: Points, y: Points) -> Self:
        """The lines through at least 6 different places; the break lies between them.

        The interval holds the breaks whose residual sum of squares an F test does not tell from
        the least one. Source: Seber & Wild 1989, Nonlinear Regression, section 9.3. Raises
        ValueError for too few points.
        """
        places = np.unique(x)
        if len(places) < 6:
            raise ValueError(f"expected 6 different places or more, found {len(places)}")
        tried = np.linspace(places[1], places[-2], GRID + 1)

        def squares(place: float) -> float:
            return lines(x, y, place)[1]

        found = np.array([squares(place) for place in tried])
        around = tried[max(0, found.argmin() - 1)], tried[min(GRID, found.argmin() + 1)]
        best = optimize.minimize_scalar(
            squares, bounds=around, method="bounded", options={"xatol": 1e-9 * np.ptp(places)}
        )
        place = float(best.x) if best.fun < found.min() else float(tried[found.argmin()])
        (_, before, bend), least = lines(x, y, place)
        free = len(x) - 4
        limit = least * (1 + stats.f.ppf(CONFIDENCE, 1, free) / free)
        low, high = interval(squares, tried, found, place, limit)
        return cls(place, low, high, before, before + bend, davies(x, y, tried[:: GRID // 10]))


def lines(x: Points, y: Points, place: float) -> tuple[tuple[float, float, float], float]:
    """Intercept, slope and bend of the lines that meet at ``place``, and their squared residuals.

    The columns are made orthogonal one by one: the exact fit of a straight line leaves no noise.
    """
    design = np.column_stack([np.ones_like(x), x - x.mean(), np.maximum(x - place, 0)])
    answer, *_ = np.linalg.lstsq(design, y, rcond=None)
    intercept, slope, bend = answer.tolist()
    squares = float(np.sum((y - design @ answer) ** 2))
    return (intercept - slope * float(x.mean()), slope, bend), squares


def interval(
    squares: Callable[[float], float], tried: Points, found: Points, place: float, limit: float
) -> tuple[float, float]:
    """First and last place with no more than ``limit`` squares, refined between those tried."""
    held = np.flatnonzero(found <= limit)
    first, last = (held[0], held[-1]) if len(held) else np.searchsorted(tried, [place] * 2)
    ends = []
    for inner, outer in ((first, first - 1), (last, last + 1)):
        start = place if not len(held) else tried[inner]
        if not 0 <= outer < len(tried):
            ends.append(float(tried[inner]))
        elif squares(start) >= limit:  # an exact fit: the interval is the place
            ends.append(float(start))
        else:
            ends.append(optimize.brentq(lambda at: squares(at) - limit, start, tried[outer]))
    return min(ends[0], place), max(ends[1], place)


def davies(x: Points, y: Points, tried: Points) -> float:
    """Upper bound of the probability that data of one line bend as clearly at one of the places.

    Source: Davies 1987, doi:10.1093/biomet/74.1.33, two-sided, with the score's total variation.
    """
    scores = []
    for place in tried:
        design = np.column_stack([np.ones_like(x), x - x.mean(), np.maximum(x - place, 0)])
        (_, _, bend), squares = lines(x, y, place)
        variance = squares / (len(x) - 3) * np.linalg.inv(design.T @ design)[2, 2]
        scores.append(bend / np.sqrt(variance) if variance > 0 else np.sign(bend) * np.inf)
    score = np.array(scores)
    if np.isinf(score).any():
        return 0.0
    # Scores of t are carried to those of a normal with the same tail.
    free = len(x) - 3
    score = np.sign(score) * stats.norm.isf(stats.t.sf(np.abs(score), free))
    highest, variation = np.abs(score).max(), np.abs(np.diff(score)).sum()
    bound = stats.norm.sf(highest) + variation * np.exp(-(highest**2) / 2) / np.sqrt(8 * np.pi)
    return float(min(1.0, 2 * bound))
