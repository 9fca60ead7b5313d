# SPDX-License-Identifier: Apache-2.0
"""Names on the map of the areas, and what a profile by latitude shows where there are no mines."""

from itertools import combinations
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import shapely
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from rsei.engine.report.figures_study import locator
from rsei.engine.report.figures_zones import latitude
from rsei.engine.report.findings import Site


def site(name: str, *bounds: float) -> Site:
    return Site(Path("run"), name, name.lower(), (2020,), shapely.box(*bounds), ())


NATION = site("Nation", 100, 25, 118, 42)
PROVINCES = site("Province A", 100, 33, 109, 42), site("Province B", 109, 33, 118, 42)
CITIES = tuple(
    site(
        f"City {i}", 101 + 4.2 * (i % 4), 36 + 0.9 * (i // 4), 101.3 + 4.2 * (i % 4), 36.3 + i // 4
    )
    for i in range(8)
)


@pytest.mark.parametrize(
    "sites", [(NATION, *PROVINCES, *CITIES), CITIES, (NATION,), (CITIES[0], CITIES[0])]
)
def test_no_name_of_an_area_covers_another(sites: tuple[Site, ...]) -> None:
    drawing: Figure = locator(sites)
    canvas: Any = FigureCanvasAgg(drawing)
    canvas.draw()
    axes = drawing.axes[0]
    names = {one.name for one in sites}
    texts = [text for text in axes.texts if text.get_text() in names]
    boxes = [text.get_window_extent(canvas.get_renderer()) for text in texts]
    assert len(boxes) == len(sites)
    frame = axes.get_window_extent().padded(1)
    assert all(frame.contains(*corner) for box in boxes for corner in (box.p0, box.p1))
    for one, other in combinations(boxes, 2):
        assert not one.overlaps(other)


@pytest.mark.parametrize("mines", [0, 3])
def test_a_profile_has_bars_where_there_are_mines(mines: int) -> None:
    rows = {"latitude": [40.05, 40.15], "mean": [0.4, 0.5], "std": [0.1, 0.1], "mines": [0, mines]}
    drawing = latitude(pd.DataFrame(rows | {"epoch": "2020"}))
    assert [axes.get_xlabel() for axes in drawing.axes][1:] == ["Mines"] * bool(mines)
