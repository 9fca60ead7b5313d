# SPDX-License-Identifier: Apache-2.0
"""Figures of mines: against the area, by distance, by size, and seen from above."""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from .figures_zones import ALL, ZONES, epochs_of
from .findings import Site
from .maps import Sheet, draw_map
from .style import (
    FAINT,
    INK,
    MINES,
    ONE_COLUMN,
    OUTSIDE,
    RSEI_MAP,
    TWO_COLUMNS,
    Look,
    drawable,
    epoch_colours,
    figure,
    styled,
)

NOTHING: Look = {"facecolor": "white", "edgecolor": FAINT, "hatch": "//////"}
"""Where there is no value: lines, since white is what a bright pixel is, and pale a poor one."""


def contrast(table: pd.DataFrame, title: str = "") -> Figure:
    """Mean RSEI of mines and area by epoch; below, bubbles as large as their difference."""
    epochs = epochs_of(table)
    rows = table.set_index("epoch").reindex(epochs)
    at = np.arange(len(epochs))
    with styled():
        drawing = figure(ONE_COLUMN * 1.25, 2.9)
        axes, below = drawing.subplots(2, 1, sharex=True, height_ratios=(2.6, 1))
        axes.vlines(at, rows["mines"].astype(float), rows["whole"].astype(float), color=FAINT)
        for name, (label, colour) in {"whole": ZONES["area"], "mines": ZONES["mines"]}.items():
            axes.scatter(at, rows[name].astype(float), 28, color=colour, label=label, zorder=3)
        axes.set(ylabel="Mean RSEI")
        axes.grid(axis="y")
        axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=2)
        difference = rows["difference"].to_numpy(float)
        shades = [MINES if value < 0 else OUTSIDE for value in difference]
        below.scatter(at, np.zeros(len(at)), 1500 * np.abs(difference), color=shades, alpha=0.35)
        for x, value in zip(at, difference):
            below.text(x, 0, f"{value:+.2f}", ha="center", va="center", fontsize=7)
        below.set_xticks(at, epochs)
        below.set(xlim=(-0.6, len(at) - 0.4), ylim=(-1, 1), yticks=[], ylabel="Mines\nless area")
        below.spines["left"].set_visible(False)
        if title:
            drawing.suptitle(title, fontsize=9.5)
    return drawing


def rings(
    table: pd.DataFrame,
    fits: pd.DataFrame | None,
    breaks: pd.DataFrame | None = None,
    title: str = "",
) -> Figure:
    """RSEI by distance to the mines: each epoch, their mean, the fitted curve and its band."""
    epochs = epochs_of(table)
    colours = epoch_colours(epochs)
    with styled():
        drawing = figure(ONE_COLUMN * 1.35, 2.7)
        axes = drawing.subplots()
        for epoch in epochs:
            rows = table[table["epoch"] == epoch].sort_values("ring_km")
            look: Look = {
                "color": colours[epoch],
                "lw": 0.8,
                "alpha": 0.75,
                "label": epoch,
            }
            axes.plot(middles(rows), rows["mean"].astype(float), **look)
        rows = table[table["epoch"] == ALL].sort_values("ring_km")
        if len(rows):
            axes.scatter(middles(rows), rows["mean"].astype(float), 14, color=INK, zorder=4)
        curve = None if fits is None else fits[fits["epoch"] == ALL].dropna(subset="fit")
        if curve is not None and len(curve):
            curve = curve.sort_values("distance_km")
            at = curve["distance_km"].to_numpy(float)
            band = curve["low"].to_numpy(float), curve["high"].to_numpy(float)
            axes.fill_between(at, *band, color=MINES, alpha=0.2, lw=0, label="95 % band")
            axes.plot(
                at, curve["fit"].astype(float), color=MINES, lw=1.8, label="LOESS of the mean"
            )
        if breaks is not None and len(breaks := breaks[breaks["epoch"] == ALL]):
            _breakpoint(axes, breaks.iloc[0])
        axes.set(xlabel="Distance to the nearest mine, km   (0: inside)", ylabel="Mean RSEI")
        axes.set_xlim(left=-0.3)
        axes.grid(axis="y")
        axes.legend(loc="lower right", ncols=2)
        if title:
            axes.set_title(title)
    return drawing


def _breakpoint(axes: Axes, row: "pd.Series[Any]") -> None:
    place, low, high = (row[name] for name in ("breakpoint_km", "low", "high"))
    if pd.isna(place):
        return
    axes.axvline(place, color=INK, lw=0.8, ls="--")
    if pd.notna(low) and pd.notna(high):
        axes.axvspan(low, high, color=INK, alpha=0.07, lw=0)
    look: Look = {"textcoords": "offset points", "va": "bottom", "fontsize": 7}
    where = (place, 0.02), (3, 0), axes.get_xaxis_transform()
    axes.annotate(f"levels off\nat {place:.1f} km", *where, **look)


def middles(rows: pd.DataFrame) -> "pd.Series[Any]":
    """Where each ring is drawn, km, of rows from the mines outwards: 0, then each ring's middle."""
    outer = rows["ring_km"].astype(float)
    return (outer + outer.shift(1, fill_value=0.0)).where(outer > 0, 0.0) / 2


def sizes(table: pd.DataFrame, title: str = "") -> Figure:
    """Boxes of the mines' RSEI by size class and epoch."""
    epochs, names = epochs_of(table), list(dict.fromkeys(table["size_class"]))
    names.sort(key=lambda name: (name[0] == ">", name[0] != "<", name))
    colours = epoch_colours(epochs)
    width = 0.8 / len(epochs)
    with styled():
        drawing = figure(TWO_COLUMNS, 2.6)
        axes = drawing.subplots()
        for number, epoch in enumerate(epochs):
            rows = table[table["epoch"] == epoch].set_index("size_class")
            held = [name for name in names if name in rows.index and rows.loc[name, "n"] > 0]
            stats = [_box(rows.loc[name]) for name in held]
            at = [names.index(n) + (number - (len(epochs) - 1) / 2) * width for n in held]
            look: Look = {"facecolor": colours[epoch], "alpha": 0.85, "lw": 0.5}
            axes.bxp(
                stats,
                at,
                widths=width * 0.8,
                showfliers=False,
                patch_artist=True,
                boxprops=look,
                medianprops={"color": "white", "lw": 1.2},
                whiskerprops={"lw": 0.6},
                capprops={"lw": 0.6},
            )
            axes.bar([np.nan], [np.nan], color=colours[epoch], label=epoch)
        counts = table[table["epoch"].isin(epochs)].groupby("size_class")["n"].max()
        labels = [f"{name} km²\n({int(counts[name])} mines)" for name in names]
        axes.set_xticks(range(len(names)), labels)
        axes.set(xlim=(-0.6, len(names) - 0.4), ylabel="Mean RSEI of a mine")
        axes.grid(axis="y")
        axes.legend(ncols=min(len(epochs), 8), loc="lower left", bbox_to_anchor=(0, 1))
        if title:
            drawing.suptitle(title, fontsize=9.5)
    return drawing


def _box(row: "pd.Series[Any]") -> dict[str, Any]:
    names: Look = {
        "med": "median",
        "q1": "p25",
        "q3": "p75",
        "whislo": "whisker_low",
        "whishi": "whisker_high",
    }
    return {key: float(row[name]) for key, name in names.items()}


def insets(site: Site, epoch: int, most: int = 3) -> Figure | None:
    """True colour (bands 1, 4, 3) of the largest mines above their RSEI.

    None where there are no mines, or the index was made without these bands.
    """
    chosen = sorted(site.mines, key=lambda mine: -mine.area)[:most]
    found = [site.band(epoch, name) for name in ("red", "green", "blue")]
    colour = [layer for layer in found if layer is not None]
    if not chosen or len(colour) < 3:
        return None
    whole = site.rsei(epoch)
    sheet = Sheet.of(whole)
    picture = sheet.picture(whole)
    light = np.stack([sheet.picture(layer) for layer in colour], axis=-1)
    known = np.isfinite(light).all(axis=-1)
    top = max(float(np.percentile(light[known], 99.7)) if known.any() else 0.25, 0.05)
    shown = np.dstack([np.clip(np.nan_to_num(light) / top, 0, 1) ** 0.9, known])
    with styled():
        drawing = figure(TWO_COLUMNS, 2 * 0.82 * TWO_COLUMNS / max(len(chosen), 2) + 0.7)
        panels = drawing.subplots(2, len(chosen), squeeze=False)
        for number, mine in enumerate(chosen):
            x, y = (float(v) for v in sheet.shaped(mine).centroid.coords[0])
            reach = max(4000.0, 1.6 * float(np.sqrt(sheet.shaped(mine).area)))
            for axes, image in zip(panels[:, number], (shown, picture)):
                drawn = draw_map(axes, sheet, image, site, cmap=RSEI_MAP, vmin=0, vmax=1)
                axes.set(xlim=(x - reach, x + reach), ylim=(y - reach, y + reach))
                axes.patch.set(**NOTHING)
            panels[0, number].set_title(f"mine {number + 1}: {2 * reach / 1000:.0f} km across")
        panels[0, 0].set_ylabel("True colour (b1 b4 b3)")
        panels[1, 0].set_ylabel("RSEI")
        bar = drawing.colorbar(drawn, ax=panels, shrink=0.42, aspect=18, anchor=(0, 0.06))
        bar.set_label("RSEI")
        blank = Patch(lw=0.5, **NOTHING, label="no value")
        drawing.legend(handles=[blank], loc="outside lower right")
        drawing.suptitle(f"{drawable(site.name, site.slug)}, {epoch}: largest mines", fontsize=9.5)
    return drawing
