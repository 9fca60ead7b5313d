# SPDX-License-Identifier: Apache-2.0
"""Figures of areas and mines: latitude, densities, classes, rings and sizes."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from .findings import Site
from .maps import Sheet, draw_map, graticule, north_arrow, scale_bar, seen
from .style import (
    FAINT,
    MINES,
    ONE_COLUMN,
    OUTSIDE,
    RSEI_MAP,
    TWO_COLUMNS,
    WHOLE,
    Look,
    drawable,
    epoch_colours,
    figure,
    grades_map,
    styled,
)

ALL = "all"
"""The epoch of the multi-year mean."""

CLASSES = tuple(step / 10 for step in range(11))
"""Edges of the ten classes."""

ZONES = {"area": ("whole area", WHOLE), "mines": ("mines", MINES), "outside": ("outside", OUTSIDE)}
"""Zones: their names in figures, and their colours."""


def epochs_of(table: pd.DataFrame) -> list[str]:
    """The single epochs of a table, in order."""
    return sorted(epoch for epoch in table["epoch"].unique() if epoch != ALL)


def ends(epochs: Sequence[Any]) -> list[Any]:
    """The first and the last; one where there is only one."""
    return [epochs[0], epochs[-1]] if len(epochs) > 1 else list(epochs[:1])


def series(table: pd.DataFrame, title: str = "") -> Figure:
    """Mean RSEI by epoch of each zone, with its standard deviation and the middle half."""
    epochs = epochs_of(table)
    at = np.array([int(epoch) for epoch in epochs])
    with styled():
        drawing = figure(ONE_COLUMN * 1.2, 2.5)
        axes = drawing.subplots()
        for zone, (label, colour) in ZONES.items():
            rows = table[table["zone"] == zone].set_index("epoch").reindex(epochs)
            if rows["mean"].isna().all():
                continue
            mean = rows["mean"].to_numpy(float)
            axes.plot(at, mean, "o-", color=colour, ms=4, label=label)
            if zone == "area":
                spread = rows["std"].to_numpy(float)
                band = mean - spread, mean + spread
                axes.fill_between(at, *band, color=colour, alpha=0.12, lw=0, label="± sd")
                if len(epochs) == 1:
                    axes.errorbar(at, mean, spread, color=colour, capsize=3, lw=1)
        axes.set_xticks(at, epochs, rotation=45 if len(epochs) > 6 else 0)
        axes.set(ylim=(0, 1), ylabel="Mean RSEI", xlabel="Epoch")
        axes.grid(axis="y")
        axes.legend(ncols=4, loc="lower left", bbox_to_anchor=(-0.1, 1), columnspacing=0.9)
        if title:
            drawing.suptitle(title, fontsize=9.5)
    return drawing


def latitude(table: pd.DataFrame, title: str = "") -> Figure:
    """RSEI by latitude at the first and last epoch, and the mines of each bin."""
    with styled():
        drawing = figure(ONE_COLUMN * 1.25, 2.9)
        panels = _latitude(drawing, table, 3)
        panels[0].legend(loc="lower right", bbox_to_anchor=(1.05, 1), ncols=2, columnspacing=0.8)
        if title:
            drawing.suptitle(title, fontsize=9.5)
    return drawing


def _latitude(
    drawing: Figure | SubFigure, table: pd.DataFrame, ratio: float
) -> NDArray[np.object_]:
    """The profile, and beside it, where there are mines, how many each bin has."""
    epochs = epochs_of(table)
    mines = table[table["epoch"] == epochs[0]]
    ratios = (ratio, 1)[: 1 + bool(mines["mines"].sum())]
    panels = drawing.subplots(1, len(ratios), width_ratios=ratios, sharey=True, squeeze=False)[0]
    profile = panels[0]
    colours = epoch_colours(epochs)
    for epoch in ends(epochs):
        rows = table[table["epoch"] == epoch].sort_values("latitude")
        lat, mean = rows["latitude"].to_numpy(float), rows["mean"].to_numpy(float)
        spread = rows["std"].to_numpy(float)
        look: Look = {"color": colours[epoch], "alpha": 0.15, "lw": 0}
        profile.fill_betweenx(lat, mean - spread, mean + spread, **look)
        profile.plot(mean, lat, "o-", ms=2.5, color=colours[epoch], label=epoch)
    profile.set(xlabel="RSEI, mean ± sd", ylabel="Latitude, °N", xlim=(0, 1))
    profile.grid()
    if len(panels) > 1:
        _bars(panels[1], mines)
    return panels


def _bars(bars: Axes, mines: pd.DataFrame) -> None:
    heights = np.diff(np.unique(mines["latitude"].to_numpy(float)))
    height = 0.8 * float(heights.min()) if len(heights) else 0.08
    bars.barh(mines["latitude"].astype(float), mines["mines"].astype(float), height, color=MINES)
    bars.set(xlabel="Mines")
    bars.xaxis.set_major_locator(MaxNLocator(4, integer=True))
    bars.tick_params(labelleft=False)


def ridgelines(table: pd.DataFrame, zone: str = "area", title: str = "") -> Figure:
    """Densities of RSEI, one above the other by epoch."""
    rows = table[table["zone"] == zone]
    epochs = epochs_of(rows)
    with styled():
        drawing = figure(ONE_COLUMN * 1.1, 1.0 + 0.42 * len(epochs))
        _ridges(drawing.subplots(), rows, epochs)
        if title:
            drawing.suptitle(title, fontsize=9.5)
    return drawing


def _ridges(axes: Axes, rows: pd.DataFrame, epochs: Sequence[str]) -> None:
    colours = epoch_colours(epochs)
    highest = float(rows.loc[rows["epoch"].isin(epochs), "density"].max()) or 1.0
    for number, epoch in enumerate(epochs):
        one = rows[rows["epoch"] == epoch].sort_values("rsei")
        base = -number
        at, height = one["rsei"].to_numpy(float), 1.5 * one["density"].to_numpy(float) / highest
        order = 2 * number
        axes.fill_between(
            at, base, base + height, color=colours[epoch], alpha=0.75, lw=0, zorder=order
        )
        axes.plot(at, base + height, color="white", lw=1, zorder=order + 1)
        axes.axhline(base, color=FAINT, lw=0.4, zorder=order + 1)
    axes.set_yticks([-n for n in range(len(epochs))], epochs)
    axes.set(xlim=(0, 1), ylim=(-len(epochs) + 0.85, 1.65), xlabel="RSEI")
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)


def overview_of(site: Site, lat: pd.DataFrame, dens: pd.DataFrame) -> Figure:
    """Maps of the first and last epoch, latitude profile, mines per latitude, and densities."""
    chosen, most = ends(site.epochs), seen(TWO_COLUMNS / 2)
    sheet = Sheet.of(site.rsei(chosen[0], most), most)
    rows = dens[dens["zone"] == "area"]
    epochs = epochs_of(rows)
    with styled():
        height = len(chosen) * (TWO_COLUMNS * 0.42 * sheet.aspect + 0.25) + 0.6
        drawing = figure(TWO_COLUMNS, max(height, 2.9))
        left, middle, right = parted(drawing)
        panels = left.subplots(len(chosen), 1, squeeze=False)[:, 0]
        for axes, epoch, letter in zip(panels, chosen, "ab"):
            picture = sheet.picture(site.rsei(epoch, most))
            drawn = draw_map(axes, sheet, picture, site, cmap=RSEI_MAP, vmin=0, vmax=1)
            graticule(axes, sheet)
            axes.set_title(f"{letter}  {epoch}", loc="left", fontweight="bold")
            if epoch == chosen[0]:
                scale_bar(axes, sheet, picture)
                north_arrow(axes, picture)
        bar = left.colorbar(drawn, ax=list(panels), location="bottom", shrink=0.8, aspect=30)
        bar.set_label("RSEI")
        columns = _latitude(middle, lat, 2.4)
        edge = 1.3 if len(columns) > 1 else 1.05
        columns[0].legend(
            loc="lower right", bbox_to_anchor=(edge, 1.04), ncols=2, columnspacing=0.8
        )
        ridges = right.subplots()
        _ridges(ridges, rows, epochs)
        for axes, letter in zip((*columns, ridges), "cde"):
            axes.set_title(letter, loc="left", fontweight="bold")
        drawing.suptitle(drawable(site.name, site.slug), fontsize=9.5)
    return drawing


def parted(drawing: Figure) -> Sequence[Any]:
    """The three parts of the overview."""
    parts: Any = drawing.subfigures(1, 3, width_ratios=(1.75, 1.35, 1))
    return list(parts)


def classes(site: Site, dens: pd.DataFrame | None) -> Figure:
    """Maps in ten classes at the first and last epoch, with densities of mines and area."""
    chosen, most = ends(site.epochs), seen(TWO_COLUMNS / 2)
    sheet = Sheet.of(site.rsei(chosen[0], most), most)
    colours, norm = grades_map(CLASSES)
    number = len(chosen)
    width = TWO_COLUMNS if number > 1 else ONE_COLUMN * 1.35
    with styled():
        map_height = width / number * sheet.aspect + 0.3
        drawing = figure(width, map_height + 0.7 + 1.75 * (dens is not None))
        ratios = (map_height + 0.6, 1.7)[: 1 + (dens is not None)]
        panels = drawing.subplots(len(ratios), number, squeeze=False, height_ratios=ratios)
        for axes, epoch in zip(panels[0], chosen):
            picture = sheet.picture(site.rsei(epoch, most))
            drawn = draw_map(axes, sheet, picture, site, cmap=colours, norm=norm)
            graticule(axes, sheet)
            axes.set_title(str(epoch), fontweight="bold")
        scale_bar(panels[0, 0], sheet, picture)
        north_arrow(panels[0, 0], picture)
        place: Look = {
            "location": "bottom",
            "shrink": 0.7,
            "aspect": 34,
            "ticks": CLASSES,
        }
        drawing.colorbar(drawn, ax=list(panels[0]), **place).set_label("RSEI, ten classes")
        if dens is not None:
            for axes, epoch in zip(panels[-1], chosen):
                _zone_densities(axes, dens[dens["epoch"] == str(epoch)])
        drawing.suptitle(drawable(site.name, site.slug), fontsize=9.5)
    return drawing


def _zone_densities(axes: Axes, table: pd.DataFrame) -> None:
    for zone, (label, colour) in ZONES.items():
        rows = table[table["zone"] == zone].sort_values("rsei")
        if zone != "outside" and not rows.empty:
            at, height = rows["rsei"].to_numpy(float), rows["density"].to_numpy(float)
            axes.fill_between(at, height, color=colour, alpha=0.2, lw=0)
            axes.plot(at, height, color=colour, label=label)
    axes.set(xlim=(0, 1), xlabel="RSEI", ylabel="Density")
    axes.set_ylim(bottom=0)
    axes.legend(ncols=2, loc="lower right", bbox_to_anchor=(1, 0.98))  # curves may be anywhere


def grades(table: pd.DataFrame, title: str = "") -> Figure:
    """Share of the area in each of five grades, by epoch."""
    five = table["high"] - table["low"] > 0.15
    table = table[five & (table["zone"] == "area") & (table["epoch"] != ALL)]
    epochs = epochs_of(table)
    order = table.drop_duplicates("grade").sort_values("low")
    with styled():
        drawing = figure(ONE_COLUMN * 1.25, max(2.9, 0.9 + 0.26 * len(epochs)))
        axes = drawing.subplots()
        start = np.zeros(len(epochs))
        for grade, low in zip(order["grade"], order["low"]):
            rows = table[table["grade"] == grade].set_index("epoch").reindex(epochs)
            share = 100 * rows["share"].to_numpy(float)
            axes.barh(epochs, share, 0.6, left=start, color=RSEI_MAP(low + 0.1), label=grade)
            start += share
        axes.invert_yaxis()
        axes.set(xlim=(0, 100), xlabel="Share of the area, %")
        legend: Look = {"columnspacing": 0.8, "handlelength": 1.4}
        axes.legend(ncols=5, loc="lower left", bbox_to_anchor=(-0.12, 1), **legend)
        if title:
            drawing.suptitle(title, fontsize=9.5)
    return drawing


def small_multiples(sites: Sequence[Site], epoch_of: int = -1) -> Figure:
    """The last map of every area, each to its own scale."""
    columns = min(4, len(sites))
    most = seen(TWO_COLUMNS / columns)
    rows = -(-len(sites) // columns)
    with styled():
        drawing = figure(TWO_COLUMNS, rows * TWO_COLUMNS / columns * 1.05 + 0.6)
        panels = drawing.subplots(rows, columns, squeeze=False)
        for axes in panels.flat[len(sites) :]:
            axes.set_axis_off()
        for axes, site in zip(panels.flat, sites):
            epoch = site.epochs[epoch_of]
            layer = site.rsei(epoch, most)
            sheet = Sheet.of(layer, most)
            picture = sheet.picture(layer)
            drawn = draw_map(axes, sheet, picture, site, cmap=RSEI_MAP, vmin=0, vmax=1)
            scale_bar(axes, sheet, picture)
            axes.set_title(f"{drawable(site.name, site.slug)}, {epoch}")
        place: Look = {"location": "bottom", "shrink": 0.6, "aspect": 34}
        drawing.colorbar(drawn, ax=panels, **place).set_label("RSEI")
    return drawing
