# SPDX-License-Identifier: Apache-2.0
"""Change of RSEI: between two epochs, over all of them, and under two ways of scaling."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import pandas as pd
import scipy
from numpy.typing import NDArray

from ...kernels import trend
from ...kernels.launch import namespace
from .series import PERCENTS, statistics
from .stacks import ALL, Stack, Zone

LEAST = 4
"""Epochs that a trend needs: with three, no order of them has p below 0.1."""

ALPHA = 0.05
"""Share of false discoveries among the pixels called significant."""


@dataclass(frozen=True)
class Scopes:
    """What the RSEI of a stack was scaled by: a change means something only with it."""

    normalisation: str = "epoch"
    """Scope of the limits: epoch, pooled, fixed or reference."""

    pca: str = "epoch"
    """Scope of the components."""


def difference(stack: Stack, earlier: int, later: int) -> NDArray[np.float32]:
    """RSEI of the later epoch less that of the earlier one, as a layer."""
    return stack.at(later) - stack.at(earlier)


def changes(
    stack: Stack,
    zones: Sequence[Zone],
    pairs: Sequence[tuple[int, int]],
    scopes: Scopes,
    pooled: Stack | None = None,
) -> pd.DataFrame:
    """The table ``change``: differences between pairs of epochs, by zone.

    ``improved`` and ``degraded`` are the shares of pixels that gained and lost. With the RSEI of
    ``pooled`` scope, ``pooled_mean`` is the mean change in it, and ``renormalisation`` what of
    ``mean`` is not in it: the share of the scaling anew at each epoch.
    """
    rows = []
    for zone in zones:
        for earlier, later in pairs:
            values, shares = zone.of(difference(stack, earlier, later))
            n, mean, std, _, *marks, _ = statistics(values, shares)
            weight = np.ones(len(values)) if shares is None else shares
            moved = [
                float(weight[part].sum()) / n if n else np.nan for part in (values > 0, values < 0)
            ]
            other = np.nan
            if pooled is not None:
                other = statistics(*zone.of(difference(pooled, earlier, later)))[1]
            row = [stack.area, zone.name, earlier, later, scopes.normalisation, scopes.pca]
            rows.append([*row, n, mean, std, *marks, *moved, other, mean - other])
    names = ["area", "zone", "from_epoch", "to_epoch", "normalisation", "pca", "n", "mean", "std"]
    rest = ["improved", "degraded", "pooled_mean", "renormalisation"]
    return pd.DataFrame(rows, columns=[*names, *PERCENTS, *rest])


@dataclass(frozen=True)
class Trend:
    """Trend of each pixel over the epochs, each a layer of float32, NaN with too few epochs."""

    slope: Any
    """Theil-Sen slope, RSEI per year."""

    score: Any
    """Mann-Kendall's normal score, corrected for ties and continuity."""

    p: Any
    """Its two-sided probability."""

    @classmethod
    def of(cls, stack: Stack, rsei: Any = None, least: int = LEAST) -> Self:
        """The trend of the epochs of ``stack``, missing ones left out.

        ``rsei`` is the RSEI of the stack where it lives, such as a copy on the GPU.
        """
        rsei = stack.rsei if rsei is None else rsei
        xp = namespace(rsei)
        flat = rsei.reshape(len(stack.epochs), -1)
        out = xp.zeros((3, flat.shape[1]), np.float32)
        years = xp.asarray(np.array(stack.epochs, np.float32))
        trend.trend(flat, years, least, out)
        return cls(*out.reshape(3, *stack.shape))

    def moved(self, put: Callable[[Any], Any]) -> Self:
        """These maps carried by ``put``, such as ``cupy.asnumpy``: q and tables are made there."""
        return type(self)(put(self.slope), put(self.score), put(self.p))

    def q(self) -> NDArray[np.float64]:
        """Benjamini and Hochberg's adjusted probability, a layer: q <= 0.05 is significant where
        one of twenty pixels called so may be false.

        Source: Benjamini & Hochberg 1995, doi:10.1111/j.2517-6161.1995.tb02031.x.
        """
        p = np.asarray(self.p, np.float64)
        found = np.full(p.shape, np.nan)
        valid = ~np.isnan(p)
        if valid.any():
            found[valid] = scipy.stats.false_discovery_control(p[valid])
        return found


def pixel_trends(
    stack: Stack, zones: Sequence[Zone], found: Trend, alpha: float = ALPHA
) -> pd.DataFrame:
    """The table ``pixel_trends``: slopes of the pixels of a zone, and the area with a trend, km2.

    ``improving`` and ``degrading`` are the areas with q <= ``alpha``, ``stable`` is the rest.
    """
    areas = stack.areas
    slope, q = np.asarray(found.slope), found.q().reshape(-1)
    rows = []
    for zone in zones:
        values, shares = zone.of(slope)
        where = zone.where(slope)
        size = areas[where] if shares is None else areas[where] * shares
        sure = q[where] <= alpha
        parts = sure & (values > 0), sure & (values < 0)
        up, down = (float(size[part].sum()) for part in parts)
        n, mean, std, _, _, _, middle, *_ = statistics(values, shares)
        rest = float(size.sum()) - up - down
        rows.append([stack.area, zone.name, n, mean, std, middle, alpha, up, down, rest])
    names = ["area", "zone", "n", "mean", "std", "median", "alpha"]
    return pd.DataFrame(rows, columns=[*names, "improving_km2", "degrading_km2", "stable_km2"])


def contrast(series: pd.DataFrame) -> pd.DataFrame:
    """The table ``contrast``: mean RSEI of the mines against the whole area and the rest, by epoch.

    ``series`` is the table of that name. ``difference`` is mines less whole, ``absolute`` its size;
    ``to_outside`` is mines less outside. Areas without mines have no row.
    """
    wide = series.pivot(index=["area", "epoch"], columns="zone", values="mean")
    wide = wide.rename(columns={"area": "whole"}).reindex(columns=["mines", "whole", "outside"])
    table = wide.dropna(subset=["mines"]).reset_index().rename_axis(columns=None)
    table["difference"] = table["mines"] - table["whole"]
    table["absolute"] = table["difference"].abs()
    table["to_outside"] = table["mines"] - table["outside"]
    return table


def trends(series: pd.DataFrame) -> pd.DataFrame:
    """The table ``trends``: trend of the zones' means, and of mines less area, by area.

    Sen's slope per year with its 95 % interval, S and p of Mann–Kendall, over the epochs at
    which there is a mean; fewer than 4 of them give a blank row.
    """
    rows = []
    for (area, zone), group in series[series["epoch"] != ALL].groupby(["area", "zone"], sort=False):
        rows.append([area, zone, *trend_of(group["epoch"], group["mean"])])
    between = contrast(series)
    for area, group in between[between["epoch"] != ALL].groupby("area", sort=False):
        rows.append([area, "mines - area", *trend_of(group["epoch"], group["difference"])])
    return pd.DataFrame(rows, columns=["area", "zone", "n", "slope", "low", "high", "s", "p"])


def trend_of(epochs: pd.Series, means: pd.Series) -> list[float]:
    """Number of epochs, slope, ends of its interval, S and p of one short series."""
    values = means.to_numpy(np.float64)
    years = epochs.astype(float).to_numpy()[~np.isnan(values)]
    values = values[~np.isnan(values)]
    if len(values) < LEAST:
        return [len(values), *[np.nan] * 5]
    slope = scipy.stats.theilslopes(values, years, alpha=0.95)
    score, variance = trend.mann_kendall(values, len(values))
    z = (abs(score) - 1) / math.sqrt(variance / 18) if score else 0.0
    ends = float(slope.low_slope), float(slope.high_slope)
    return [len(values), float(slope.slope), *ends, score, math.erfc(z / math.sqrt(2))]
