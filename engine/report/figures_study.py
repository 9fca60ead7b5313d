# SPDX-License-Identifier: Apache-2.0
"""Figures of the study as a whole: where it lies, and what is done to the images."""

import textwrap
from collections.abc import Mapping, Sequence
from itertools import product
from typing import Any

import numpy as np
import shapely
from affine import Affine
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch
from matplotlib.patheffects import withStroke

from ..sources.grids import LONLAT, SINUSOIDAL_500M, Window, tile_window, tiles
from .findings import Site, moved, on_globe
from .maps import Sheet, graticule, north_arrow, scale_bar
from .style import FAINT, INK, MINES, RSEI_MAP, TWO_COLUMNS, Look, drawable, figure, styled

STEP = {
    "granules": "#dfe8ee",
    "index": "#e4ecd8",
    "analysis": "#f3e6d0",
    "result": "#ead9e2",
}
"""Colours of the boxes, by part of the work."""

LETTER = 8
"""Height of the names of areas, points."""

LETTER_WIDTH = 0.58
"""Width of a bold letter as a share of that, on average."""

WIDTH = TWO_COLUMNS * 0.72
"""Width of the map of areas, inches."""


def locator(sites: Sequence[Site], tiled: bool = True) -> Figure:
    """Where the areas lie: outlines on a net of degrees, with the tiles of the images."""
    outlines = [site.outline for site in sites if site.outline is not None]
    box = shapely.union_all([shapely.box(*outline.bounds) for outline in outlines])
    west, south, east, north = box.bounds
    margin = max(1.2, 0.18 * max(east - west, north - south))
    wide = (
        max(west - margin, -180.0),
        max(south - margin, -90.0),
        min(east + margin, 180.0),
        min(north + margin, 90.0),
    )
    sheet = _sheet(*wide)
    blank = np.full(sheet.shape, np.nan, np.float32)
    with styled():
        drawing = figure(WIDTH, WIDTH * sheet.aspect + 0.3)
        axes = drawing.subplots()
        left, right, bottom, top = sheet.box
        axes.set(xlim=(left, right), ylim=(bottom, top), aspect="equal")
        axes.spines[:].set_visible(True)
        _net(axes, sheet, wide)
        if tiled:
            _tiles(axes, sheet, wide)
        for site in sites:
            _area(axes, sheet, site)
        _names(axes, sheet, sites)
        graticule(axes, sheet)
        scale_bar(axes, sheet, blank)
        north_arrow(axes, blank)
        axes.set_title("Study area" if len(sites) == 1 else "Study areas")
    return drawing


def _sheet(west: float, south: float, east: float, north: float) -> Sheet:
    lon, lat = (west + east) / 2, (south + north) / 2
    crs = f"+proj=laea +lat_0={lat:.4f} +lon_0={lon:.4f} +datum=WGS84 +units=m +no_defs"
    edge = shapely.segmentize(shapely.box(west, south, east, north), 0.2)
    at = shapely.get_coordinates(moved(edge, LONLAT, crs))
    x, y = at[np.isfinite(at).all(axis=1)].T  # the other side of the globe has no place
    step = max(np.ptp(x), np.ptp(y)) / 400
    shape = int(np.ceil(np.ptp(y) / step)), int(np.ceil(np.ptp(x) / step))
    return Sheet(crs, Affine(step, 0, x.min(), 0, -step, y.max()), shape)


def _net(axes: Axes, sheet: Sheet, wide: tuple[float, float, float, float]) -> None:
    west, south, east, north = wide
    step = next(s for s in (0.5, 1, 2, 5, 10, 30, 60) if (east - west) / s <= 7)
    lines = [
        *(shapely.LineString([(v, south), (v, north)]) for v in _steps(west, east, step)),
        *(shapely.LineString([(west, v), (east, v)]) for v in _steps(south, north, step)),
    ]
    for line in lines:
        x, y = shapely.get_coordinates(sheet.shaped(shapely.segmentize(line, 0.1))).T
        axes.plot(x, y, color="#e2e2e2", lw=0.5, zorder=0)


def _steps(low: float, high: float, step: float) -> list[float]:
    return [float(v) for v in np.arange(np.ceil(low / step), np.floor(high / step) + 1) * step]


def _tiles(axes: Axes, sheet: Sheet, wide: tuple[float, float, float, float]) -> None:
    """The tiles' edges, and their names where they have room."""
    corner = shapely.segmentize(shapely.box(*wide), 0.2)
    there = moved(corner, LONLAT, SINUSOIDAL_500M.crs)
    edges: list[shapely.Geometry] = []
    for name in tiles(SINUSOIDAL_500M.bounding(*there.bounds)):
        window: Window = tile_window(name)
        whole = shapely.segmentize(shapely.box(*SINUSOIDAL_500M.bounds(window)), 20_000)
        edge = on_globe(whole, SINUSOIDAL_500M.crs)
        shape = moved(edge, SINUSOIDAL_500M.crs, sheet.crs)
        if shape.is_empty or not np.isfinite(shapely.get_coordinates(shape)).all():
            continue
        # To the metre, so that neighbours have the same points.
        edges.append(shapely.set_precision(shapely.boundary(shape), 1.0))
        left, right, bottom, top = sheet.box
        seen = shapely.intersection(shape, shapely.box(left, bottom, right, top))
        if seen.area > 0.02 * (right - left) * (top - bottom):
            at = seen.representative_point()
            look: Look = {
                "ha": "center",
                "va": "center",
                "fontsize": 7,
                "color": "#4d7189",
            }
            axes.text(at.x, at.y, name, **look, zorder=1)
    # Each edge once: dashes of two tiles upon each other would make a full line.
    for line in shapely.get_parts(shapely.line_merge(shapely.union_all(edges))):
        x, y = shapely.get_coordinates(line).T
        axes.plot(x, y, color="#6d8fa6", lw=0.8, ls=(0, (4, 2)), zorder=1)


def _area(axes: Axes, sheet: Sheet, site: Site) -> None:
    if site.outline is None:
        return
    shape = sheet.shaped(site.outline)
    for part in shapely.get_parts(shape):
        x, y = shapely.get_coordinates(part.exterior).T
        axes.fill(x, y, fc=RSEI_MAP(0.55), alpha=0.55, ec=INK, lw=0.8, zorder=3)
    for mine in site.mines:
        at = sheet.shaped(mine).representative_point()
        axes.plot(at.x, at.y, ".", ms=2.5, color=MINES, zorder=4)


def _names(axes: Axes, sheet: Sheet, sites: Sequence[Site]) -> None:
    """The areas' names, those of small areas first, each where it covers no other if it can."""
    left, right, bottom, top = sheet.box
    point = (right - left) / (0.93 * WIDTH * 72)  # m; the rest is for the labels of its edges
    frame = shapely.box(left, bottom, right, top)
    drawn = [site for site in sites if site.outline is not None]
    shapes = [(shapely.make_valid(sheet.shaped(site.outline)), site) for site in drawn]
    mines = [sheet.shaped(mine).representative_point() for _, site in shapes for mine in site.mines]
    taken: list[shapely.Geometry] = [mine.buffer(2 * point) for mine in mines]
    for shape, site in sorted(shapes, key=lambda one: one[0].area):
        name = drawable(site.name, site.slug)
        wide = (LETTER_WIDTH * len(name) + 0.4) * LETTER * point
        high = 1.4 * LETTER * point
        spots = [
            shapely.box(x - wide / 2, y - high / 2, x + wide / 2, y + high / 2)
            for x, y in _spots(shape, wide, high)
        ]
        seen = [spot for spot in spots if frame.contains(spot)] or spots
        hidden = [shapely.area(shapely.intersection(spot, taken)).sum() for spot in seen]
        spot = seen[int(np.argmin(hidden))]  # the first of several
        taken.append(spot)
        at = spot.centroid
        look: Look = {"ha": "center", "va": "center", "fontsize": LETTER, "fontweight": "bold"}
        halo = [withStroke(linewidth=2, foreground="white", alpha=0.7)]
        axes.text(at.x, at.y, name, **look, zorder=6, path_effects=halo)


def _spots(shape: shapely.Geometry, wide: float, high: float) -> list[tuple[float, float]]:
    """Where a name of this size may be centred: within a wide area, over, under, or beside it."""
    west, south, east, north = shape.bounds
    x, y = (west + east) / 2, (south + north) / 2
    rows = north + high / 2, south - high / 2, y, north + 1.5 * high, south - 1.5 * high
    ways = product((0, -1, 1), rows)
    around = [(x + way * (east - west + wide) / 2, at) for way, at in ways if way or at != y]
    if east - west < 2 * wide:
        return around
    inner = shape.representative_point()
    net = np.meshgrid(np.linspace(west, east, 25), np.linspace(south, north, 25))
    points = shapely.points(*net).ravel()
    points = points[shapely.contains(shape, points)]
    near = points[np.argsort(shapely.distance(points, inner), kind="stable")]
    return [(at.x, at.y) for at in (inner, *near)] + around


def flow(settings: Mapping[str, Any], products: Sequence[str]) -> Figure:
    """What is done to the images, step by step, with the settings of this very run."""
    rows = steps(settings, products)
    with styled():
        drawing = figure(TWO_COLUMNS, 0.74 * len(rows) + 0.2)
        axes = drawing.subplots()
        axes.set(xlim=(0, 100), ylim=(-len(rows), 0.1))
        axes.set_axis_off()
        for number, (part, boxes) in enumerate(rows):
            width = 100 / len(boxes)
            for place, (head, body) in enumerate(boxes):
                _step_box(
                    axes, place * width + 1, -number - 0.82, width - 2, head, body, STEP[part]
                )
            if number:
                arrow = {"arrowstyle": "-|>", "color": FAINT, "lw": 1}
                axes.annotate("", (50, -number - 0.02), (50, -number + 0.19), arrowprops=arrow)
    return drawing


def _step_box(
    axes: Axes, left: float, bottom: float, width: float, head: str, body: str, colour: str
) -> None:
    style = "round,pad=0,rounding_size=0.1"
    box = FancyBboxPatch((left, bottom), width, 0.8, boxstyle=style, fc=colour, ec=FAINT, lw=0.5)
    box.set_mutation_aspect(0.1)
    axes.add_patch(box)
    middle = left + width / 2
    look: Look = {"ha": "center", "va": "center"}
    axes.text(middle, bottom + 0.6, head, fontsize=8, fontweight="bold", **look)
    axes.text(middle, bottom + 0.27, body, fontsize=7, **look)


Rows = list[tuple[str, list[tuple[str, str]]]]


def steps(settings: Mapping[str, Any], products: Sequence[str]) -> Rows:
    """Part of the work and its boxes, (head, text), row by row, as the settings have it."""
    granules, index = settings["granules"], settings["rsei"]
    first, last = granules["season"]
    reach = granules["reach"]
    years = "one year" if not reach else f"{2 * reach + 1} years"
    epochs = ", ".join(map(str, settings["study"]["epochs"]))
    rows: Rows = [
        (
            "granules",
            [
                ("Images", f"{', '.join(products) or 'none'}\ncollection {granules['collection']}"),
                ("Season", f"{first} to {last}\nby {granules['membership']} of the composite"),
                ("Quality bits", f"preset {settings['quality']['preset']}\nmasked band by band"),
            ],
        ),
        ("granules", [("Mean of the season", f"{years} an epoch: {epochs}\nsum / count")]),
        (
            "index",
            [
                ("Greenness", source(settings, "greenness", "NDVI")),
                ("Wetness", source(settings, "wetness", "tasselled cap")),
                ("Dryness", source(settings, "ndbsi", "NDBSI = (SI + IBI) / 2")),
                ("Heat", source(settings, "heat", "LST")),
            ],
        ),
        ("index", [("One common mask", f"all four valid, inside the area\n{water(settings)}")]),
        (
            "index",
            [
                ("Normalised", f"{limits(index)}\nscope {index['normalisation']}"),
                (
                    "First component",
                    f"covariance PCA, scope {index['pca']}\nsign: {index['direction']}",
                ),
                ("RSEI", "scaled to 0 … 1"),
            ],
        ),
    ]
    mined = any(area["mines"] for area in settings["area"])
    last_row = [("Over time", "series, grades, change, trends")]
    if mined:
        last_row.append(("Mines", "rings, sizes, contrast"))
    if settings.get("drivers"):
        year = settings["drivers"]["year"]
        last_row.append(("Drivers", f"correlation, {year}"))
    if settings.get("forest"):
        forest = settings["forest"]
        last_row.append(("Random forest", f"{forest['trees']} trees, mtry {forest['mtry']}"))
    return [*rows, ("analysis", last_row)]


def source(settings: Mapping[str, Any], name: str, what: str) -> str:
    """What an indicator is and where it comes from, in two short lines."""
    found = settings["indicators"].get(name)
    if isinstance(found, Mapping):
        text = str(found.get("label") or f"{what} from the user's raster")
        return textwrap.fill(text, 30, max_lines=2, placeholder=" …")
    how = {"product": "as delivered", "bands": "from the mean bands"}
    return f"{what}\n{how.get(str(found), str(found))}"


def water(settings: Mapping[str, Any]) -> str:
    """How water is left out, in a few words."""
    rule = settings["water"]
    said = [] if rule["mndwi"] == "off" else [f"MNDWI > {rule['mndwi']}"]
    if rule.get("land_cover"):
        classes = ", ".join(map(str, rule["land_cover"]["classes"]))
        said.append(f"land cover {classes}")
    return "no water: " + " or ".join(said) if said else "water kept"


def limits(index: Mapping[str, Any]) -> str:
    """How the limits of the indicators are found, in a few words."""
    rule = index["limits"]
    return "minimum to maximum" if rule == "minmax" else f"percentiles {rule[0]} to {rule[1]}"
