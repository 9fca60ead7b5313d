# SPDX-License-Identifier: Apache-2.0
"""Figures of what explains the index: drivers, correlations, the forest and its ranking."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from ..sources.areas import slug
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
    percent_limits,
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


def label(driver: str) -> str:
    """A driver's name in figures; an unknown one keeps its own.

    >>> label("dem"), label("road")
    ('Elevation', 'road')
    """
    return DRIVERS.get(driver, (driver, ""))[0]


def driver_maps(table: pd.DataFrame, title: str = "") -> Figure:
    """A map of each driver on the drivers' grid, and of the index on it."""
    names = [n for n in ("rsei", *DRIVERS) if n in table and table[n].notna().any()]
    columns = 4
    rows = -(-len(names) // columns)
    grids = {name: gridded(table, name) for name in names}
    height, width = next(iter(grids.values())).shape
    with styled():
        panel = TWO_COLUMNS / columns
        drawing = figure(TWO_COLUMNS, rows * (panel * min(height / width, 1.6) + 0.55) + 0.3)
        panels = drawing.subplots(rows, columns, squeeze=False)
        for axes in panels.flat[len(names) :]:
            axes.set_axis_off()
        for axes, name in zip(panels.flat, names):
            low, high = (0.0, 1.0) if name == "rsei" else percent_limits(grids[name])
            look: Look = {
                "cmap": RSEI_MAP if name == "rsei" else DRIVER_MAP,
                "vmin": low,
                "vmax": high,
            }
            drawn = axes.imshow(grids[name], interpolation="nearest", **look)
            axes.set(xticks=[], yticks=[])
            axes.spines[:].set_visible(False)
            what, unit = ("RSEI", "") if name == "rsei" else DRIVERS[name]
            axes.set_title(f"{what}, {unit}" if unit else what)
            bar = drawing.colorbar(drawn, ax=axes, location="bottom", shrink=0.85, aspect=16)
            bar.ax.tick_params(labelsize=6)
            bar.locator = bar.ax.xaxis.get_major_locator()
            bar.outline.set_linewidth(0.4)
            bar.ax.locator_params(nbins=4)
        if title:
            drawing.suptitle(title, fontsize=9.5)
    return drawing


def gridded(table: pd.DataFrame, name: str) -> NDArray[np.float64]:
    """The rows of a table of pixels as a raster, north up, NaN where there is no row."""
    xs, x = np.unique(table["x"].to_numpy(float), return_inverse=True)
    ys, y = np.unique(table["y"].to_numpy(float), return_inverse=True)
    step = min((float(np.diff(at).min()) for at in (xs, ys) if len(at) > 1), default=1.0)
    columns = np.rint((xs - xs[0]) / step).astype(int)
    rows = np.rint((ys[-1] - ys) / step).astype(int)
    raster = np.full((rows.max() + 1, columns.max() + 1), np.nan)
    raster[rows[y], columns[x]] = table[name].to_numpy(float)
    return raster


def explained(
    correlation: pd.DataFrame | None,
    table: pd.DataFrame | None,
    predictions: pd.DataFrame | None,
    importance: pd.DataFrame | None,
    scores: pd.DataFrame | None = None,
    title: str = "",
) -> Figure:
    """Correlations, observed against predicted, the predicted map, and importance: what exists."""
    joined = None
    if table is not None and predictions is not None:
        joined = table.merge(predictions, on=["x", "y"], suffixes=("", "_forest"))
    parts = [
        ("correlation", correlation),
        ("scatter", joined),
        ("map", joined),
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
            elif name == "scatter" and joined is not None:
                _scatter(axes, joined, scores)
            elif joined is not None:
                drawn = axes.imshow(gridded(joined, "predicted"), cmap=RSEI_MAP, vmin=0, vmax=1)
                axes.set(xticks=[], yticks=[])
                axes.spines[:].set_visible(False)
                drawing.colorbar(drawn, ax=axes, shrink=0.8, aspect=16).set_label("RSEI, predicted")
            axes.set_title(letter, loc="left", fontweight="bold")
        if title:
            drawing.suptitle(title, fontsize=9.5)
    return drawing


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


def _scatter(axes: Axes, table: pd.DataFrame, scores: pd.DataFrame | None) -> None:
    rows = table[table["split"] == "valid"].dropna(subset=["rsei", "predicted"])
    seen, told = rows["rsei"].astype(float), rows["predicted"].astype(float)
    axes.hexbin(seen, told, gridsize=45, cmap=DRIVER_MAP, mincnt=1, lw=0)
    ends = np.array([min(seen.min(), told.min()), max(seen.max(), told.max())])
    axes.plot(ends, ends, color=MINES, lw=1, ls="--", label="1 : 1")
    axes.set(xlabel="RSEI, validation pixels", ylabel="RSEI, predicted", aspect="equal")
    if scores is not None:
        one = scores.iloc[0]
        text = f"R² {one['r2']:.3f}\nRMSE {one['rmse']:.3f}\nn {int(one['n_valid'])}"
        if pd.notna(one["r2_block"]):
            text += f"\nR² by blocks {one['r2_block']:.3f}"
        axes.text(0.03, 0.97, text, va="top", fontsize=7, transform=axes.transAxes)
    axes.legend(loc="lower right")


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
