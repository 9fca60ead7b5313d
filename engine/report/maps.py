# SPDX-License-Identifier: Apache-2.0
"""Maps on paper: a picture grid that is not slanted, outlines, degrees, a scale and north."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self

import numpy as np
import rasterio.crs
import shapely
from affine import Affine
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.collections import LineCollection
from matplotlib.patches import Rectangle
from matplotlib.patheffects import withStroke
from numpy.ma import masked_invalid
from numpy.typing import NDArray
from rasterio.transform import array_bounds
from shapely.geometry.base import BaseGeometry

from ..sources.grids import LONLAT, carrier
from .findings import Layer, Site, moved
from .nearest import Grid, brought
from .style import CHANGE_MAP, FAINT, INK, MINES, RULES

HALO = [withStroke(linewidth=2, foreground="white")]
"""A white rim that keeps text readable on a map."""

MOST = 1400
"""Greatest number of pixels along a side of a picture."""


def seen(inches: float) -> int:
    """Pixels along ``inches`` of a figure's file: what is finer costs time, and nobody sees it."""
    return min(MOST, int(np.ceil(inches * RULES["savefig.dpi"])))


def rim(chosen: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Those of the ``chosen`` pixels, (h, w), that have a neighbour which is not chosen.

    >>> int(rim(np.ones((3, 3), bool)).sum())
    8
    """
    around = np.pad(chosen, 1)
    inner = around[:-2, 1:-1] & around[2:, 1:-1] & around[1:-1, :-2] & around[1:-1, 2:]
    return chosen & ~inner


@dataclass(frozen=True)
class Sheet:
    """The picture grid of a site: a local equal-area projection, north up in its middle.

    The products' grid is sheared by up to 60 degrees far from its meridian: as it is, a city
    would be drawn slanted. This grid is for the eye alone; nothing is measured in it.
    """

    crs: str
    """Lambert azimuthal equal-area, centred on the site, m."""

    transform: Affine
    """Of columns and rows to that system."""

    shape: tuple[int, int]
    """Rows and columns."""

    @classmethod
    def of(cls, layer: Layer, most: int = MOST) -> Self:
        """The sheet that holds the valid pixels of ``layer`` with a small margin.

        It has ``most`` pixels along a side at most.
        """
        valid = np.isfinite(layer.values)
        rows, columns = np.nonzero(rim(valid))  # no pixel within reaches farther
        if not rows.size:
            rows, columns = (np.array([0, size - 1]) for size in layer.values.shape)
        x = layer.transform.c + (columns + 0.5) * layer.transform.a
        y = layer.transform.f + (rows + 0.5) * layer.transform.e
        middle = (x.min() + x.max()) / 2, (y.min() + y.max()) / 2
        lon, lat = carrier(layer.crs, LONLAT).transform(*middle)
        crs = f"+proj=laea +lat_0={lat:.4f} +lon_0={lon:.4f} +datum=WGS84 +units=m +no_defs"
        u, v = carrier(layer.crs, crs).transform(x, y)
        margin = 0.03 * max(np.ptp(u), np.ptp(v)) + 500
        width, height = np.ptp(u) + 2 * margin, np.ptp(v) + 2 * margin
        step = max(-layer.transform.e * _metres(layer.crs) / 2, max(width, height) / most)
        shape = int(np.ceil(height / step)), int(np.ceil(width / step))
        return cls(crs, Affine(step, 0, u.min() - margin, 0, -step, v.max() + margin), shape)

    @property
    def box(self) -> tuple[float, float, float, float]:
        """Left, right, bottom and top, m."""
        left, bottom, right, top = array_bounds(*self.shape, self.transform)
        return left, right, bottom, top

    @property
    def aspect(self) -> float:
        """Height by width."""
        return self.shape[0] / self.shape[1]

    def picture(self, layer: Layer) -> NDArray[np.float32]:
        """``layer`` on the sheet, the nearest pixel at each place."""
        grid = Grid(self.crs, self.transform, self.shape)
        return brought(layer, grid, np.nan).astype(np.float32, copy=False)

    @cached_property
    def degrees(self) -> Any:
        """What carries metres of the sheet to degrees."""
        return carrier(self.crs, LONLAT)

    def shaped(self, shape: BaseGeometry) -> BaseGeometry:
        """A geometry in degrees, on the sheet."""
        return moved(shape, LONLAT, self.crs)


def _metres(crs: str) -> float:
    """Metres in the unit of ``crs``, roughly: of a degree, those of the equator."""
    return 111_320.0 if rasterio.crs.CRS.from_user_input(crs).is_geographic else 1.0


def draw_map(
    axes: Axes, sheet: Sheet, picture: NDArray[np.float32], site: Site | None, **look: Any
) -> ScalarMappable:
    """Draw a picture, of numbers or colours, with outlines of the site; returns what they mean.

    ``look`` has the ``cmap``, and ``norm`` or ``vmin`` and ``vmax``, as in ``imshow``. Mines are
    red, but black where the colours tell a loss: nobody should take a rim for one.
    """
    left, right, bottom, top = sheet.box
    colours = ScalarMappable(look.get("norm"), look["cmap"])
    if "norm" not in look:
        colours.set_clim(look["vmin"], look["vmax"])
    # As colours, a byte each: matplotlib takes twelve times the memory for numbers on the way.
    pixels = picture if picture.ndim > 2 else colours.to_rgba(masked_invalid(picture), bytes=True)
    axes.imshow(pixels, extent=(left, right, bottom, top), interpolation="nearest")
    if site is not None:
        outlines(axes, sheet, site, INK if colours.get_cmap().name == CHANGE_MAP.name else MINES)
    axes.set(xlim=(left, right), ylim=(bottom, top), xticks=[], yticks=[])
    axes.spines[["top", "right"]].set_visible(True)
    return colours


def outlines(axes: Axes, sheet: Sheet, site: Site, mines: str = MINES, width: float = 0.7) -> None:
    """Draw the boundary, and the mines over it."""
    if site.outline is not None:
        _lines(axes, sheet.shaped(site.outline), colors=INK, linewidths=width)
    if site.mines:
        _lines(axes, sheet.shaped(shapely.union_all(site.mines)), colors=mines, linewidths=width)


def _lines(axes: Axes, shape: BaseGeometry, **look: Any) -> None:
    rings = shapely.get_rings(shapely.get_parts(shape))
    axes.add_collection(LineCollection([shapely.get_coordinates(r) for r in rings], **look))


def graticule(axes: Axes, sheet: Sheet, ticks: int = 4) -> None:
    """Mark degrees of longitude along the lower edge and of latitude along the left one."""
    left, right, bottom, top = sheet.box
    along = np.linspace(0, 1, 200)
    x, y = left + along * (right - left), bottom + along * (top - bottom)
    lon = sheet.degrees.transform(x, np.full_like(x, bottom))[0]
    lat = sheet.degrees.transform(np.full_like(y, left), y)[1]
    # The corners of a sheet of half the globe lie beyond it.
    known_x, known_y = np.isfinite(lon), np.isfinite(lat)
    if known_x.any():
        lons, east = marks(lon[known_x], "EW", ticks)
        axes.set_xticks(np.interp(lons, lon[known_x], x[known_x]), east)
    if known_y.any():
        lats, north = marks(lat[known_y], "NS", ticks)
        axes.set_yticks(np.interp(lats, lat[known_y], y[known_y]), north, rotation=90, va="center")
    axes.tick_params(length=2.5, labelsize=6.5, pad=2)


def marks(
    angles: NDArray[np.float64], sides: str, most: int
) -> tuple[NDArray[np.float64], list[str]]:
    """At most ``most`` round angles within the range of ``angles``, degrees, and their labels."""
    low, high = float(angles.min()), float(angles.max())
    step, found = 0.0, np.arange(most + 1.0)
    while len(found) > most:
        step = round_step((high - low) / most) if not step else round_step(2.5 * step)
        found = np.arange(np.ceil(low / step), np.floor(high / step) + 1) * step
    digits = max(0, -int(np.floor(np.log10(step) + 1e-9)))
    return found, [degree(angle, sides, digits) for angle in found]


def round_step(wanted: float) -> float:
    """The largest of 1, 2, 5 times a power of ten that is not above ``wanted``.

    >>> round_step(0.37), round_step(17_000.0)
    (0.2, 10000.0)
    """
    power = 10.0 ** np.floor(np.log10(wanted))
    return float(max(f * power for f in (1, 2, 5) if f * power <= wanted * (1 + 1e-9)))


def degree(value: float, sides: str, digits: int) -> str:
    """An angle with its side of the world.

    >>> degree(-71.25, "EW", 2), degree(40, "NS", 0)
    ('71.25°W', '40°N')
    """
    side = sides[0] if value > 0 else sides[1] if value < 0 else ""
    return f"{abs(value):.{digits}f}°{side}"


def scale_bar(axes: Axes, sheet: Sheet, picture: NDArray[np.float32]) -> None:
    """A bar of a round number of kilometres in the emptier lower corner."""
    left, right, bottom, top = sheet.box
    width, height = right - left, top - bottom
    length = round_step(width * 0.3)
    _, column = emptier(picture, [(1, 0), (1, 1)])
    x = left + 0.05 * width if column == 0 else right - 0.05 * width - length
    y = bottom + 0.045 * height
    for part, colour in ((0, INK), (1, "white")):
        bar = (x + part * length / 2, y), length / 2, 0.016 * height
        axes.add_patch(Rectangle(*bar, fc=colour, ec=INK, lw=0.5, zorder=5))
    text = axes.text(x + length / 2, y + 0.03 * height, f"{length / 1000:g} km", zorder=6)
    text.set(ha="center", va="bottom", fontsize=6.5, path_effects=HALO)


def north_arrow(axes: Axes, picture: NDArray[np.float32]) -> None:
    """An arrow to the north in the emptier upper corner: the middle meridian points up."""
    _, column = emptier(picture, [(0, 1), (0, 0)])
    x = 0.95 if column else 0.05
    arrow = {"arrowstyle": "-|>", "color": INK, "lw": 0.8, "shrinkA": 4, "shrinkB": 0}
    axes.annotate("", (x, 0.97), (x, 0.79), "axes fraction", arrowprops=arrow, zorder=5)
    text = axes.text(x, 0.79, "N", transform=axes.transAxes, zorder=6)
    text.set(ha="center", va="center", fontsize=7, path_effects=HALO)


def emptier(picture: NDArray[np.float32], corners: list[tuple[int, int]]) -> tuple[int, int]:
    """The one of some corners, (lower, right) each 0 or 1, with the fewest pixels near it."""
    rows, columns = (max(1, size // 4) for size in picture.shape)

    def pixels(corner: tuple[int, int]) -> int:
        lower, right = corner
        part = picture[-rows:] if lower else picture[:rows]
        return int(np.isfinite(part[:, -columns:] if right else part[:, :columns]).sum())

    return min(corners, key=pixels)


def nothing_here(axes: Axes, text: str) -> None:
    """Say in an empty panel why it is empty."""
    axes.set_axis_off()
    axes.text(0.5, 0.5, text, ha="center", va="center", color=FAINT, transform=axes.transAxes)
