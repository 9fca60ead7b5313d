# SPDX-License-Identifier: Apache-2.0
"""How every figure looks: sizes, fonts, colours, and how it becomes a file."""

import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from typing import Any, cast

import matplotlib as mpl
import numpy as np
from cmcrameri import cm
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import BoundaryNorm, ListedColormap, to_hex
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties, findfont, get_font
from numpy.typing import NDArray

from .png import png

INCH = 25.4
"""Millimetres in an inch, the unit in which matplotlib measures."""

ONE_COLUMN, TWO_COLUMNS = 88 / INCH, 180 / INCH
"""Widths of figures, inches: 88 and 180 mm. Source: the usual columns of journals in A4."""

PAGE = 230 / INCH
"""Greatest height of a figure, inches, which leaves room for its caption."""

RSEI_MAP = cm.bamako_r
"""Colours of RSEI: sand where it is poor, deep green where it is good.

Perceptually uniform and readable without red-green vision, as are all of its family; its
lightness falls all the way, so that a grey print keeps the order. Source: Crameri, F. (2018),
Scientific colour maps, doi:10.5281/zenodo.1243862.
"""

CHANGE_MAP = cm.bam
"""Colours of differences: magenta for a loss, white for none, green for a gain; same source."""

DRIVER_MAP = cm.lapaz_r
"""Colours of drivers: other than those of RSEI, so that nobody takes one for the other."""

LINES = tuple(to_hex(cm.batlow(step)) for step in (0.05, 0.55, 0.8, 0.3, 0.95, 0.68, 0.18))
"""Colours of lines and bars that have no order, dark and light by turns."""

MINES, OUTSIDE, WHOLE = "#b0004e", "#7a8b2f", "#11405f"
"""Colours of the mines, of what lies outside of them, and of the whole area."""

BLANK = "#e3e3e3"
"""Colour of pixels without a value."""

INK, FAINT = "#222222", "#8a8a8a"
"""Colours of text and of grids."""

RULES: dict[str, Any] = {
    "axes.axisbelow": True,
    "axes.edgecolor": INK,
    "axes.grid": False,
    "axes.labelsize": 8,
    "axes.linewidth": 0.6,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlesize": 8.5,
    "figure.autolayout": False,
    "figure.constrained_layout.use": False,
    "figure.dpi": 100,
    "figure.facecolor": "white",
    "font.family": ["DejaVu Sans"],
    "font.size": 8,
    "grid.color": "#d8d8d8",
    "grid.linewidth": 0.5,
    "legend.fontsize": 7.5,
    "legend.frameon": False,
    "lines.linewidth": 1.3,
    "savefig.dpi": 300,
    "svg.fonttype": "none",
    "svg.hashsalt": "rsei",
    "text.parse_math": False,
    "xtick.labelsize": 7.5,
    "xtick.major.width": 0.6,
    "ytick.labelsize": 7.5,
    "ytick.major.width": 0.6,
}
"""matplotlib's settings. Names of places are never read as formulas."""


Look = dict[str, Any]
"""Keywords of matplotlib that say how something looks."""


@contextmanager
def styled() -> Iterator[None]:
    """Draw in this style; the settings of the caller come back afterwards."""
    with mpl.rc_context(cast(Any, RULES)):
        yield


def figure(width: float, height: float, **options: Any) -> Figure:
    """An empty figure, inches wide and high, whose parts make room for each other."""
    return Figure(figsize=(width, min(height, PAGE)), layout="constrained", **options)


def grades_map(edges: Sequence[float]) -> tuple[ListedColormap, BoundaryNorm]:
    """Colours of classes of RSEI with these edges, and where a value belongs."""
    number = len(edges) - 1
    colours = [RSEI_MAP((step + 0.5) / number) for step in range(number)]
    chosen = ListedColormap(colours, name="rsei classes")
    return chosen, BoundaryNorm(list(edges), number)


def epoch_colours(epochs: Sequence[str]) -> dict[str, str]:
    """A colour for each epoch, from dark to light as time goes by, none too pale for a line."""
    last = max(1, len(epochs) - 1)
    return {epoch: to_hex(cm.batlow(0.02 + 0.63 * i / last)) for i, epoch in enumerate(epochs)}


@cache
def _letters() -> frozenset[int]:
    """Characters that the font of the figures can draw."""
    found = get_font(findfont(FontProperties(family=RULES["font.family"])))
    return frozenset(found.get_charmap())


def drawable(name: str, otherwise: str) -> str:
    """``name`` where the font has all its letters, else ``otherwise``: boxes tell nothing.

    >>> drawable("Ma'anshan", "ma-anshan"), drawable("唐山", "tangshan")
    ("Ma'anshan", 'tangshan')
    """
    return name if all(ord(letter) in _letters() for letter in name) else otherwise


def saved(drawing: Figure, kind: str) -> bytes:
    """The file of a figure, ``png``, ``svg`` or ``pdf``, without a date in it."""
    buffer = io.BytesIO()
    with styled():
        if engine := drawing.get_layout_engine():
            # Making room takes a third of the time: once is enough for files of all kinds. With an
            # engine, even one that does nothing, each file is drawn once more before it is drawn.
            engine.execute(drawing)
            drawing.set_layout_engine(None)
        if kind == "png":
            drawing.set_dpi(RULES["savefig.dpi"])
            canvas: Any = FigureCanvasAgg(drawing)
            data, (width, height) = canvas.print_to_buffer()
            return png(np.frombuffer(data, np.uint8).reshape(height, width, 4), drawing.dpi)
        undated = {"svg": {"Date": None}, "pdf": {"CreationDate": None}}[kind]
        drawing.savefig(buffer, format=kind, metadata=undated)
    return buffer.getvalue()


def reach(values: NDArray[Any], least: float = 0.05) -> float:
    """The greatest change that has a colour of its own: a percent of the pixels may leave it."""
    known = np.abs(values[np.isfinite(values)])
    found = float(np.percentile(known, 99)) if known.size else 1.0
    return max(least, found) or 1.0
