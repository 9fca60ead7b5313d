# SPDX-License-Identifier: Apache-2.0
"""Pictures as PNG, against Pillow; and how often a figure is drawn for its files."""

import io
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.figure import Figure
from PIL import Image

from rsei.engine.report.png import png
from rsei.engine.report.style import RULES, figure, saved, styled


@given(st.integers(1, 40), st.integers(1, 40), st.integers(0, 9))
def test_a_picture_comes_back_with_every_pixel(height: int, width: int, seed: int) -> None:
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 4), np.uint8)
    with Image.open(io.BytesIO(png(pixels, 300))) as found:
        assert found.mode == "RGBA"
        assert np.array_equal(np.asarray(found), pixels)
        assert found.info["dpi"] == pytest.approx((300, 300), abs=0.02)


def drawing() -> Figure:
    """A figure of two panels with a legend, whose parts make room for each other."""
    with styled():
        found = figure(3.001, 1.999)
        for axes in found.subplots(1, 2):
            axes.plot([0, 1], [2, 3], label="a line")
            axes.set(xlabel="what", ylabel="how much")
            axes.legend()
    return found


def test_a_figure_has_the_pixels_that_matplotlib_itself_would_write() -> None:
    theirs, ours = io.BytesIO(), drawing()
    with styled():
        other = drawing()
        other.draw_without_rendering()
        other.set_layout_engine("none")
        other.savefig(theirs, format="png", dpi=RULES["savefig.dpi"])
    with Image.open(theirs) as first, Image.open(io.BytesIO(saved(ours, "png"))) as second:
        assert np.array_equal(np.asarray(first), np.asarray(second))


def test_a_figure_is_drawn_once_for_each_of_its_files() -> None:
    made = drawing()
    with patch.object(Figure, "draw", autospec=True, side_effect=Figure.draw) as drawn:
        for number, kind in enumerate(("png", "svg", "pdf"), 1):
            saved(made, kind)
            assert drawn.call_count == number
