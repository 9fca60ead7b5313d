# SPDX-License-Identifier: Apache-2.0
"""Figures of the index itself: maps of every epoch, loadings, and what data there were."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.colors import ListedColormap, Normalize
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from .findings import Site
from .maps import MOST, Sheet, draw_map, graticule, north_arrow, scale_bar, seen
from .style import (
    BLANK,
    CHANGE_MAP,
    FAINT,
    LINES,
    MINES,
    ONE_COLUMN,
    PAGE,
    RSEI_MAP,
    TWO_COLUMNS,
    Look,
    drawable,
    epoch_colours,
    figure,
    reach,
    styled,
)

INDICATORS = {"ndvi": "NDVI", "wet": "Wetness", "ndbsi": "NDBSI", "lst": "Heat"}
"""The indicators and their names in figures."""

COARSE = 200
"""Pixels along a side of a map that only tells how high it is by its width."""

STATUSES = {"present": LINES[0], "missing": BLANK, "bad": MINES}
"""Colour of each fate of a composite."""


def maps(site: Site, epochs: Sequence[int] | None = None) -> Figure:
    """RSEI of each epoch, one scale of colours for all."""
    chosen = tuple(epochs or site.epochs)
    aspect = Sheet.of(site.rsei(chosen[0], COARSE), COARSE).aspect
    columns, width = arranged(len(chosen), aspect)
    rows = -(-len(chosen) // columns)
    most = seen(max(1, aspect) * width / columns)
    sheet = Sheet.of(site.rsei(chosen[0], most), most)
    with styled():
        drawing = figure(width, rows * (width / columns * sheet.aspect + 0.35) + 0.75)
        panels = drawing.subplots(rows, columns, squeeze=False, gridspec_kw={"hspace": 0.1})
        for number, axes in enumerate(panels.flat):
            if number >= len(chosen):
                axes.set_axis_off()
                continue
            picture = sheet.picture(site.rsei(chosen[number], most))
            drawn = draw_map(axes, sheet, picture, site, cmap=RSEI_MAP, vmin=0, vmax=1)
            graticule(axes, sheet)
            axes.tick_params(
                labelleft=number % columns == 0, labelbottom=number + columns >= len(chosen)
            )
            axes.set_title(str(chosen[number]), fontweight="bold")
            if number == 0:
                scale_bar(axes, sheet, picture)
                north_arrow(axes, picture)
        bar = drawing.colorbar(drawn, ax=panels, location="bottom", shrink=0.6, aspect=34, pad=0.03)
        bar.set_label("RSEI   (0 poor … 1 excellent)")
        bar.outline.set_linewidth(0.5)
        drawing.suptitle(f"{drawable(site.name, site.slug)}: ecological index", fontsize=9.5)
    return drawing


def arranged(panels: int, aspect: float) -> tuple[int, float]:
    """Columns and width, inches, of a figure of maps that are ``aspect`` times as high as wide.

    The fewest columns, and so the largest maps, with which a page still holds them.

    >>> arranged(1, 1.0)[0], arranged(3, 0.5)[0], arranged(8, 1.0)[0]
    (1, 2, 3)
    """
    if panels == 1:
        return 1, ONE_COLUMN * 1.35
    for columns in range(2, panels):
        height = -(-panels // columns) * (TWO_COLUMNS / columns * aspect + 0.3) + 0.9
        if height <= PAGE:
            return columns, TWO_COLUMNS
    return panels, TWO_COLUMNS


def change_map(site: Site) -> Figure:
    """Difference of RSEI between the first and the last epoch."""
    first, last = site.epochs[0], site.epochs[-1]
    before, after = (site.rsei(epoch, MOST) for epoch in (first, last))
    sheet = Sheet.of(before)
    picture = sheet.picture(after) - sheet.picture(before)
    widest = reach(picture)
    with styled():
        drawing = figure(ONE_COLUMN * 1.35, ONE_COLUMN * 1.35 * sheet.aspect + 0.9)
        axes = drawing.subplots()
        drawn = draw_map(
            axes, sheet, picture, site, cmap=CHANGE_MAP, norm=Normalize(-widest, widest)
        )
        graticule(axes, sheet)
        scale_bar(axes, sheet, picture)
        north_arrow(axes, picture)
        axes.set_title(f"{drawable(site.name, site.slug)}: {last} less {first}", fontsize=9)
        bar = drawing.colorbar(
            drawn, ax=axes, location="bottom", shrink=0.8, aspect=30, extend="both"
        )
        bar.set_label("Difference of RSEI   (magenta: loss, green: gain)")
        bar.outline.set_linewidth(0.5)
    return drawing


def loadings(pca: pd.DataFrame, title: str = "") -> Figure:
    """Loadings of the four indicators on PC1, and what each component explains, by epoch."""
    epochs = [str(epoch) for epoch in pca["epoch"]]
    colours = epoch_colours(epochs)
    with styled():
        drawing = figure(TWO_COLUMNS, 2.35)
        left, right = drawing.subplots(1, 2, width_ratios=(1.9, 1))
        width = 0.8 / len(epochs)
        for number, (epoch, row) in enumerate(zip(epochs, pca.to_dict("records"))):
            at = np.arange(4) + (number - (len(epochs) - 1) / 2) * width
            values = np.array([row[name] for name in INDICATORS], dtype=float)
            left.bar(at, values, width * 0.92, color=colours[epoch], label=epoch)
            if len(epochs) <= 2:
                for x, y in zip(at, values):
                    align = "bottom" if y >= 0 else "top"
                    left.text(x, y, f"{y:+.2f}", ha="center", va=align, fontsize=6.5)
        left.axhline(0, color="black", lw=0.6)
        left.set_xticks(range(4), list(INDICATORS.values()))
        left.set(ylim=(-1.08, 1.08), ylabel="Loading on PC1")
        left.tick_params(axis="x", length=0)
        left.spines["bottom"].set_visible(False)
        bottom = np.zeros(len(epochs))
        for number in range(1, 5):
            share = pca[f"pc{number}"].to_numpy(float)
            colour = LINES[0] if number == 1 else FAINT
            opacity = {1: 1.0, 2: 0.8, 3: 0.5, 4: 0.25}[number]
            look: Look = {"color": colour, "alpha": opacity, "label": f"PC{number}"}
            right.bar(epochs, share, 0.7, bottom=bottom, **look)
            bottom += share
        turned: Look = {"rotation": 90 if len(epochs) > 4 else 0, "fontsize": 7, "color": "white"}
        for number, share in enumerate(pca["pc1"]):
            right.text(number, share / 2, f"{share:.0f} %", ha="center", va="center", **turned)
        right.set(ylim=(0, 100), xlim=(-0.8, len(epochs) - 0.2), ylabel="Variance explained, %")
        right.legend(loc="center left", bbox_to_anchor=(1, 0.5), reverse=True)
        if len(epochs) > 4:
            right.tick_params(axis="x", rotation=90)
        if len(epochs) > 1:
            place: Look = {
                "loc": "lower left",
                "bbox_to_anchor": (-0.05, 1.0),
                "columnspacing": 0.8,
            }
            left.legend(ncols=min(len(epochs), 8), handlelength=1, **place)
        if title:
            drawing.suptitle(title, fontsize=9.5)
    return drawing


def coverage(table: pd.DataFrame) -> Figure:
    """Which composites of the season were there: a row a product and tile, a column a date."""
    table = table.assign(year=table["date"].str[:4], day=table["date"].str[5:])
    rows = sorted({(p, t) for p, t in zip(table["product"], table["tile"])})
    dates = sorted(table["date"].unique())
    status = list(STATUSES)
    grid = np.full((len(rows), len(dates)), np.nan)
    places = {row: i for i, row in enumerate(rows)}, {date: i for i, date in enumerate(dates)}
    for row in table.itertuples():
        grid[places[0][row.product, row.tile], places[1][row.date]] = status.index(str(row.status))
    years = [date[:4] for date in dates]
    starts = [i for i, year in enumerate(years) if i == 0 or years[i - 1] != year]
    with styled():
        drawing = figure(TWO_COLUMNS, 0.9 + 0.2 * len(rows))
        axes = drawing.subplots()
        colours = ListedColormap(list(STATUSES.values()))
        look: Look = {
            "vmin": -0.5,
            "vmax": 2.5,
            "edgecolors": "white",
            "lw": 0.3,
            "rasterized": True,
        }
        axes.pcolormesh(grid, cmap=colours, **look)
        axes.invert_yaxis()
        axes.set_yticks(np.arange(len(rows)) + 0.5, [f"{p}  {t}" for p, t in rows])
        axes.set_xticks(starts, [years[i] for i in starts], ha="left")
        for start in starts[1:]:
            axes.axvline(start, color="white", lw=2)
        axes.tick_params(length=0)
        axes.spines[:].set_visible(False)
        found = {s: int((table["status"] == s).sum()) for s in status}
        keys = [Patch(fc=c, label=f"{s} ({found[s]})") for s, c in STATUSES.items() if found[s]]
        place: Look = {"loc": "lower right", "bbox_to_anchor": (1, 1.0), "ncols": 3}
        axes.legend(handles=keys, borderaxespad=0.2, **place)
        axes.set_title("Composites of the season", loc="left")
    return drawing


def lost_pixels(exclusions: pd.DataFrame, pca: pd.DataFrame, title: str = "") -> Figure:
    """Where the pixels of the area went, by epoch: used, or left out by which reason."""
    inside = exclusions[exclusions["reason"] != "outside"]
    wide = inside.pivot_table(index="epoch", columns="reason", values="n", aggfunc="sum")
    wide = wide.loc[:, wide.sum() > 0].fillna(0)
    used = pca.set_index("epoch")["n"].reindex(wide.index).fillna(0).astype(float)
    total = used + wide.sum(axis=1)
    with styled():
        drawing = figure(TWO_COLUMNS, 0.75 + 0.24 * len(wide))
        axes = drawing.subplots()
        ends = np.zeros(len(wide))
        parts = {"used": used, **{name: wide[name] for name in wide.columns}}
        colours = (LINES[0], *LINES[1:], *LINES[1:])
        for (name, values), colour in zip(parts.items(), colours):
            share = 100 * (values / total).to_numpy(float)
            label = f"{name.replace('_', ' ')} ({share.mean():.1f} %)"
            axes.barh(
                [str(e) for e in wide.index], share, 0.7, left=ends, color=colour, label=label
            )
            ends += share
        axes.invert_yaxis()
        axes.set(xlim=(0, 100), xlabel="Pixels of the area, %")
        axes.legend(loc="lower left", bbox_to_anchor=(0, 1.0), ncols=4, borderaxespad=0.2)
        if title:
            drawing.suptitle(title, fontsize=9.5)
    return drawing
