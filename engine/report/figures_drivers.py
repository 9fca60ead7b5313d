# SPDX-License-Identifier: Apache-2.0
"""Figures of what explains the index: drivers, correlations, the forest and its ranking."""

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from numpy.ma import masked_invalid
from numpy.typing import NDArray

from ..sources.areas import slug
from .maps import seen
from .meshes import Mesh, Raster
from .percentiles import Percentiles
from .pixels import PixelTable, joined
from .style import (
    DRIVER_MAP,
    FAINT,
    INK,
    LINES,
    MINES,
    ONE_COLUMN,
    RSEI_MAP,
    TWO_COLUMNS,
    WHOLE,
    Look,
    drawable,
    figure,
    styled,
)

DRIVERS = {
    "dem": ("Elevation", "m"),
    "slope": ("Slope", "°"),
    "prec": ("Precipitation", "mm"),
    "gdp": ("GDP", ""),
    "ntl": ("Night lights", ""),
    "elec": ("Electricity", ""),
    "co2": ("CO2", ""),
    "pm25": ("PM2.5", ""),
    "dism": ("Distance to mines", "m"),
    "minea": ("Mine share", ""),
}
"""The drivers, their names in figures, and their units."""

Floats = NDArray[np.float64]

FINER = 2
"""Pixels of a map of many to one of its picture's: a reader cannot see that there were more."""


def label(driver: str) -> str:
    """A driver's name in figures; an unknown one keeps its own.

    >>> label("dem"), label("road")
    ('Elevation', 'road')
    """
    return DRIVERS.get(driver, (driver, ""))[0]


def driver_maps(table: PixelTable, title: str = "") -> Figure:
    """A map of each driver on the drivers' grid, and of the index on it."""
    columns = 4
    panel = TWO_COLUMNS / columns
    mesh, grids, limits = _measured(table, ("rsei", *DRIVERS), FINER * seen(panel))
    height, width = mesh.shape
    rows = -(-len(grids) // columns)
    with styled():
        drawing = figure(TWO_COLUMNS, rows * (panel * min(height / width, 1.6) + 0.55) + 0.3)
        panels = drawing.subplots(rows, columns, squeeze=False)
        for axes in panels.flat[len(grids) :]:
            axes.set_axis_off()
        for axes, (name, grid) in zip(panels.flat, grids.items()):
            low, high = (0.0, 1.0) if name == "rsei" else limits[name]
            colours = ScalarMappable(cmap=RSEI_MAP if name == "rsei" else DRIVER_MAP)
            colours.set_clim(low, high)
            # As colours, a byte each: matplotlib takes some times the memory for numbers.
            pixels = colours.to_rgba(masked_invalid(grid), bytes=True)
            mesh.drawn(axes, pixels, interpolation="nearest")
            what, unit = ("RSEI", "") if name == "rsei" else DRIVERS[name]
            axes.set_title(f"{what}, {unit}" if unit else what)
            bar = drawing.colorbar(colours, ax=axes, location="bottom", shrink=0.85, aspect=16)
            bar.ax.tick_params(labelsize=6)
            bar.locator = bar.ax.xaxis.get_major_locator()
            bar.outline.set_linewidth(0.4)
            bar.ax.locator_params(nbins=4)
        if title:
            drawing.suptitle(title, fontsize=9.5)
    return drawing


def _measured(
    table: PixelTable, names: Sequence[str], most: int
) -> tuple[Mesh, dict[str, Raster], dict[str, tuple[float, float]]]:
    """Rasters of those columns that have a value, and the limits of their colours."""
    mesh, grids = Mesh.of(table.parts(["x", "y"]), most), dict[str, Raster]()
    values = Percentiles(names)
    for _ in mesh.laid(values.seen(table.parts(["x", "y", *names])), names, grids):
        pass
    return mesh, {name: grids[name] for name in values.known}, values.limits(table.parts(names))


def explained(
    correlation: pd.DataFrame | None,
    table: PixelTable | None,
    predictions: PixelTable | None,
    importance: pd.DataFrame | None,
    scores: pd.DataFrame | None = None,
    title: str = "",
) -> Figure:
    """Correlations, observed against predicted, the predicted map, and importance: what exists."""
    both = (table, predictions) if table is not None and predictions is not None else None
    parts = [
        ("correlation", correlation),
        ("scatter", both),
        ("map", predictions if both else None),
        ("importance", importance),
    ]
    held = [name for name, rows in parts if rows is not None]
    with styled():
        drawing = figure(TWO_COLUMNS, 2.75 * -(-len(held) // 2) + 0.3)
        panels = drawing.subplots(-(-len(held) // 2), 2, squeeze=False)
        for axes in panels.flat[len(held) :]:
            axes.set_axis_off()
        for axes, name, letter in zip(panels.flat, held, "abcd"):
            if name == "correlation" and correlation is not None:
                _correlations(axes, correlation)
            elif name == "importance" and importance is not None:
                _importance(axes, importance)
            elif name == "scatter" and both is not None:
                _scatter(axes, *both, scores)
            elif predictions is not None:
                drawn = _predicted(axes, predictions)
                drawing.colorbar(drawn, ax=axes, shrink=0.8, aspect=16).set_label("RSEI, predicted")
            axes.set_title(letter, loc="left", fontweight="bold")
        if title:
            drawing.suptitle(title, fontsize=9.5)
    return drawing


def _predicted(axes: Axes, predictions: PixelTable) -> AxesImage:
    """A map of what the forest predicts."""
    mesh = Mesh.of(predictions.parts(["x", "y"]), FINER * seen(TWO_COLUMNS / 2))
    raster = mesh.averaged(predictions.parts(["x", "y", "predicted"]), "predicted")
    return mesh.drawn(axes, raster, cmap=RSEI_MAP, vmin=0, vmax=1)


def _correlations(axes: Axes, table: pd.DataFrame) -> None:
    rows = table.sort_values("pearson", key=lambda r: r.abs())
    sure = (rows["p_eff"] <= 0.05).fillna(False).astype(bool)
    colours = [LINES[0] if ok else FAINT for ok in sure]
    axes.barh(
        [label(name) for name in rows["driver"]], rows["pearson"].astype(float), color=colours
    )
    axes.axvline(0, color=INK, lw=0.6)
    axes.set(
        xlim=(-1, 1), xlabel="Pearson's r with RSEI   (grey: p > 0.05, autocorrelation counted)"
    )
    axes.xaxis.label.set_fontsize(7)
    axes.tick_params(axis="y", length=0)


def _scatter(
    axes: Axes, table: PixelTable, predictions: PixelTable, scores: pd.DataFrame | None
) -> None:
    ends = _hexagons(axes, lambda: _validated(table, predictions))
    axes.plot(ends, ends, color=MINES, lw=1, ls="--", label="1 : 1")
    axes.set(xlabel="RSEI, validation pixels", ylabel="RSEI, predicted", aspect="equal")
    if scores is not None:
        one = scores.iloc[0]
        text = f"R² {one['r2']:.3f}\nRMSE {one['rmse']:.3f}\nn {int(one['n_valid'])}"
        if pd.notna(one["r2_block"]):
            text += f"\nR² by blocks {one['r2_block']:.3f}"
        axes.text(0.03, 0.97, text, va="top", fontsize=7, transform=axes.transAxes)
    axes.legend(loc="lower right")


def _validated(table: PixelTable, predictions: PixelTable) -> Iterator[tuple[Floats, Floats]]:
    """RSEI of the validation pixels, and what the forest predicts there, part by part."""
    rows = (part[part["split"] == "valid"] for part in table.parts(["x", "y", "rsei", "split"]))
    some = (part[["x", "y", "rsei"]] for part in rows if len(part))
    for part in joined(some, predictions.parts(["x", "y", "predicted"])):
        known = part.dropna()
        if len(known):
            yield known["rsei"].to_numpy(float), known["predicted"].to_numpy(float)


def _hexagons(axes: Axes, pairs: Callable[[], Iterator[tuple[Floats, Floats]]]) -> Floats:
    """Draw how many points lie in each hexagon, (x, y) part by part; returns least and greatest."""
    ends = np.array([[(one.min(), one.max()) for one in pair] for pair in pairs()])
    (left, bottom), (right, top) = ends[..., 0].min(axis=0), ends[..., 1].max(axis=0)
    look: Look = {"gridsize": 45, "extent": (*_apart(left, right), *_apart(bottom, top))}
    aside, counts = Figure().subplots(), np.zeros(1)
    for pair in pairs():
        found = aside.hexbin(*pair, mincnt=0, **look)
        counts = counts + np.asarray(found.get_array())
        found.remove()
    centres, some = np.asarray(found.get_offsets())[counts > 0].T, counts[counts > 0]
    look |= {"C": some, "reduce_C_function": np.sum, "mincnt": 1}
    axes.hexbin(*centres, cmap=DRIVER_MAP, lw=0, **look)
    return np.array([min(left, bottom), max(right, top)])


def _apart(low: float, high: float) -> tuple[float, float]:
    """Two limits, moved from each other by a tenth where they are the same, as matplotlib does."""
    wider = 0.0 if high > low else 0.1 * abs(low) or 0.1
    return low - wider, high + wider


def _importance(axes: Axes, table: pd.DataFrame) -> None:
    chosen = "oob" if (table["estimator"] == "oob").any() else table["estimator"].iloc[0]
    rows = table[table["estimator"] == chosen].sort_values("scaled")
    axes.barh([label(n) for n in rows["driver"]], rows["scaled"].astype(float), color=WHOLE)
    axes.set(xlabel=f"%IncMSE, as R scales it   ({chosen})")
    axes.tick_params(axis="y", length=0)


def ranking(table: pd.DataFrame, importance: pd.DataFrame) -> Figure:
    """The drivers over all areas: sum of ranks, and each area's rank in a dot."""
    rows = table.sort_values("rank_sum", ascending=False)
    at = np.arange(len(rows))
    with styled():
        drawing = figure(ONE_COLUMN * 1.4, 0.8 + 0.22 * len(rows))
        left, right = drawing.subplots(1, 2, width_ratios=(1.3, 1), sharey=True)
        left.barh(at, rows["rank_sum"].astype(float), color=WHOLE)
        left.set_yticks(at, [label(name) for name in rows["driver"]])
        left.set(xlabel="Sum of ranks   (small: matters more)")
        left.tick_params(axis="y", length=0)
        _dots(right, importance, rows["driver"].tolist())
    return drawing


def _dots(axes: Axes, importance: pd.DataFrame, drivers: Sequence[str]) -> None:
    for number, (area, rows) in enumerate(importance.groupby("area", sort=False)):
        ranks = rows.drop_duplicates("driver").set_index("driver")["rank"].reindex(list(drivers))
        at = np.arange(len(drivers)) + 0.05 * (number % 5 - 2)
        colour = LINES[number % len(LINES)]
        axes.scatter(
            ranks.astype(float),
            at,
            12,
            color=colour,
            label=drawable(str(area), slug(str(area))),
            alpha=0.9,
        )
    axes.set(xlabel="Rank by area")
    axes.grid(axis="x")
    axes.legend(loc="lower right", bbox_to_anchor=(1, 1), ncols=3, columnspacing=0.5)
    axes.tick_params(axis="y", length=0, labelleft=False)
