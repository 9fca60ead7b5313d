# SPDX-License-Identifier: Apache-2.0
"""Rings around the mines: how far their effect on RSEI reaches."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, Self

import numpy as np
import pandas as pd
import shapely
from numpy.typing import NDArray
from pydantic import Field
from pyproj import CRS, Proj

from ...kernels.zonal import LabelSums, Runs
from ..sources.grids import Lattice, Window, carrier
from ..sources.settings import Settings
from .curves import SPAN, Segmented, Smooth
from .polygons import ANALYSIS, Geometries, carried, polygonal
from .series import statistics
from .stacks import Stack, Zone

BLOCK = 1 << 20
"""Pixels whose distance is asked for at a time: a point takes about 200 bytes."""

BEND_M = 0.01
"""Metres by which a carried edge of a mine may leave its true course."""


class RingSettings(Settings):
    """Which rings, and how their distance is measured."""

    width_km: float = Field(default=1.0, gt=0)
    """Width of a ring, km."""

    reach_km: float = Field(default=30.0, gt=0)
    """Outer edge of the last ring, km; the last ring may be narrower."""

    metric: Literal["paper", "ground"] = "paper"
    """paper: planar in `crs`; ground: azimuthal equidistant about the middle of the area."""

    crs: str = ANALYSIS
    """CRS of the paper metric, in metres."""

    span: float = Field(default=SPAN, gt=0, le=1)
    """Share of the rings that the local regression looks at."""

    @property
    def edges(self) -> NDArray[np.float64]:
        """Outer edge of each ring, km; 0 for the mines themselves."""
        number = int(np.ceil(self.reach_km / self.width_km - 1e-9))
        edges = np.round(np.arange(number + 1) * self.width_km, 9)
        return np.minimum(edges, self.reach_km)


def metric_crs(lattice: Lattice, window: Window, settings: RingSettings) -> str:
    """The CRS, in metres, in which distances are measured."""
    if settings.metric == "paper":
        return settings.crs
    left, bottom, right, top = lattice.bounds(window)
    middle = carrier(lattice.crs, "OGC:CRS84").transform((left + right) / 2, (bottom + top) / 2)
    lon, lat = (round(float(angle), 6) for angle in middle)
    return f"+proj=aeqd +lat_0={lat} +lon_0={lon} +datum=WGS84 +units=m +no_defs"


def scale_range(stack: Stack, settings: RingSettings) -> tuple[float, float]:
    """Least and most metres measured for a metre on the ground, anywhere in the area.

    Both are 1 for a true distance. The ground metric is within (r / R)**2 / 6 of it, r being the
    distance from the middle of the window and R the Earth's radius: 4e-5 at 100 km.
    """
    valid = stack.flat[~np.isnan(stack.mean.reshape(-1))]
    lon, lat = stack.centres(flat=some_of(valid, stack.window.width))
    projection = Proj(CRS(metric_crs(stack.lattice, stack.window, settings)))
    factors = projection.get_factors(lon, lat)
    return float(np.min(factors.tissot_semiminor)), float(np.max(factors.tissot_semimajor))


def some_of(valid: NDArray[np.int64], width: int) -> NDArray[np.int64]:
    """The ends of each row of some flat pixels, where scales are extreme, and some between."""
    row, column = np.divmod(valid, width)
    new = row[1:] != row[:-1]
    ends = np.concatenate([[True], new]) | np.concatenate([new, [True]])
    stride = max(1, int(np.sqrt(len(valid)) // 32))
    return valid[ends | ((row % stride == 0) & (column % stride == 0))]


def distances(
    stack: Stack,
    mines: Sequence[shapely.Geometry] | Geometries,
    crs: str,
    settings: RingSettings,
) -> NDArray[np.float64]:
    """Distance of each pixel's centre to the nearest mine, m, a layer; 0 inside.

    Infinite beyond the reach, NaN where RSEI is never known. Exact in the metric's CRS: an
    R-tree finds the mines near, and the distance is to the polygon itself.
    """
    found = np.full(stack.rsei[0].size, np.nan)
    for part, known, distance in _near(stack, mines, crs, settings):
        found[part][known] = distance
    return found.reshape(stack.shape)


Near = tuple[slice, NDArray[np.bool_], NDArray[np.float64]]
"""A block of a layer, flat, which of its pixels are ever known, and the distance of these, m."""


def _near(
    stack: Stack,
    mines: Sequence[shapely.Geometry] | Geometries,
    crs: str,
    settings: RingSettings,
) -> Iterator[Near]:
    """Each block of a layer with its distances to the nearest mine."""
    plane = metric_crs(stack.lattice, stack.window, settings)
    shapes = carried(mines, crs, plane, BEND_M)
    tree = shapely.STRtree(shapes[~shapely.is_empty(shapes)])
    mean = stack.mean.reshape(-1)
    for part in blocks(mean.size):
        known = ~np.isnan(mean[part])
        (place, _), distance = tree.query_nearest(
            shapely.points(*stack.centres(plane, stack.flat_of(part)[known])),
            max_distance=settings.reach_km * 1000,
            return_distance=True,
            all_matches=False,
        )
        found = np.full(np.count_nonzero(known), np.inf)
        found[place] = distance
        yield part, known, found


def blocks(size: int) -> Iterator[slice]:
    """Blocks of a layer of so many pixels."""
    return (slice(first, min(first + BLOCK, size)) for first in range(0, size, BLOCK))


@dataclass(frozen=True)
class Rings:
    """The ring of each pixel: made once for an area, used for every epoch."""

    settings: RingSettings
    """Width, reach and metric."""

    labels: NDArray[np.int32]
    """Number of the ring of each pixel, a layer: 0 inside a mine, -1 in no ring."""

    inside: Zone
    """The mines, each pixel by the share of it that they cover."""

    @classmethod
    def of(
        cls,
        stack: Stack,
        mines: Sequence[shapely.Geometry] | Geometries,
        crs: str,
        settings: RingSettings | None = None,
    ) -> Self:
        """Rings of the pixels that are valid in any epoch, about at least one mine."""
        settings = settings or RingSettings()
        labels, edges = np.full(stack.rsei[0].size, -1, np.int32), settings.edges * 1000
        for part, known, distance in _near(stack, mines, crs, settings):
            # Ring k holds its outer edge: (k - 1, k].
            rings = np.searchsorted(edges, distance, side="left")
            labels[part][known] = np.where(np.isfinite(distance), rings, -1)
        union = shapely.union_all(polygonal(np.asarray(mines, dtype=object)))
        inside = Zone("mines", *stack.coverage([union], crs).entries(0))
        return cls(settings, labels.reshape(stack.shape), inside)

    def table(self, stack: Stack) -> pd.DataFrame:
        """The table ``rings``: n, mean and std of RSEI in each ring, by epoch.

        Ring 0 is weighted by coverage, so its n is a sum of shares; ``ring_km`` is the outer edge.
        """
        edges = self.settings.edges
        whole = bool((edges == np.round(edges)).all())
        tables = []
        for (epoch, layer), sums in zip(stack.layers(), self._sums(stack), strict=True):
            found = sums.statistics()
            mines = statistics(*self.inside.of(layer))[:3]
            table = pd.DataFrame(np.vstack([mines, found[:, :3]]), columns=["n", "mean", "std"])
            table.insert(0, "ring_km", edges.astype(np.int64) if whole else edges)
            table.insert(0, "epoch", epoch)
            table.insert(0, "area", stack.area)
            tables.append(table)
        return pd.concat(tables, ignore_index=True)

    def _sums(self, stack: Stack) -> list[LabelSums]:
        """Exact sums of each epoch's layer, and of the mean, over the rings."""
        labels, number = self.labels.reshape(-1), len(self.settings.edges) - 1
        sums: list[LabelSums] = []
        for part in blocks(labels.size):
            runs = Runs.of(labels[part], number)
            layers = (np.ascontiguousarray(layer).reshape(-1) for _, layer in stack.layers())
            found = [LabelSums.of(layer[part], runs) for layer in layers]
            sums = [a + b for a, b in zip(sums, found, strict=True)] if sums else found
        return sums


def middles(edges: NDArray[np.float64]) -> NDArray[np.float64]:
    """Distance that stands for each ring, km: 0 for the mines, the middle of a ring."""
    return np.concatenate([edges[:1], (edges[1:] + edges[:-1]) / 2])


def ring_fits(table: pd.DataFrame, span: float = SPAN) -> pd.DataFrame:
    """The table ``ring_fits``: LOESS of the mean on distance with its 95 % band, by epoch.

    ``table`` is the table ``rings``. The mines, ring 0, keep their row, but no curve passes
    through them: what happens in them is no matter of distance, and would bend it for the rings
    beside them. An epoch with fewer than 6 rings round the mines that hold a pixel has none.
    """
    tables = []
    for (area, epoch), group in table.groupby(["area", "epoch"], sort=False):
        distance = middles(group["ring_km"].to_numpy(np.float64))
        mean = group["mean"].to_numpy(np.float64)
        held = ~np.isnan(mean)
        round_them = distance[held] > 0
        if round_them.sum() < 6:
            continue
        rings = distance[held][round_them], mean[held][round_them]
        smooth = Smooth.of(*rings, rings[0], span)
        curve = np.full((3, held.sum()), np.nan)
        curve[:, round_them] = smooth.fit, smooth.low, smooth.high
        tables.append(
            pd.DataFrame(
                {
                    "area": area,
                    "epoch": epoch,
                    "ring_km": group["ring_km"].to_numpy()[held],
                    "distance_km": distance[held],
                    "n": group["n"].to_numpy(np.float64)[held],
                    "mean": mean[held],
                    **dict(zip(("fit", "low", "high"), curve, strict=True)),
                }
            )
        )
    names = ["area", "epoch", "ring_km", "distance_km", "n", "mean", "fit", "low", "high"]
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame(columns=names)


def breakpoints(table: pd.DataFrame) -> pd.DataFrame:
    """The table ``breakpoints``: where the rise of RSEI stops, and its extremes, by epoch.

    ``table`` is the table ``ring_fits``. Two lines are fitted to the rings, each counting by its
    pixels: the last ones hold few. The mines are left out of them, as of the curve. ``max_km`` and
    ``min_km`` are the distances of the highest and lowest ring, mines included, ``fit_max_km`` and
    ``fit_min_km`` those of the fitted curve. An epoch with fewer than 6 rings has no row.
    """
    rows = []
    for (area, epoch), group in table.groupby(["area", "epoch"], sort=False):
        rings = group[group["ring_km"] > 0]
        if len(rings) < 6:
            continue
        counted = (rings[name].to_numpy(np.float64) for name in ("distance_km", "mean", "n"))
        found = Segmented.of(*counted)
        distance = group["distance_km"].to_numpy()
        ends = [
            distance[pick(group[column].to_numpy())]
            for column in ("mean", "fit")
            for pick in (np.nanargmax, np.nanargmin)
        ]
        lines = [found.breakpoint, found.low, found.high, found.before, found.after, found.p]
        rows.append([area, epoch, *lines, *ends])
    names = ["breakpoint_km", "low", "high", "slope_before", "slope_after", "p"]
    extremes = ["max_km", "min_km", "fit_max_km", "fit_min_km"]
    return pd.DataFrame(rows, columns=["area", "epoch", *names, *extremes])
