# SPDX-License-Identifier: Apache-2.0
"""Figures are drawn of whatever there is, and look the same each time."""

import xml.etree.ElementTree as ET
from io import BytesIO

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from PIL import Image

from rsei.engine.report import figures, figures_drivers, figures_index, figures_mines
from rsei.engine.report.findings import Findings
from rsei.engine.report.style import (
    CHANGE_MAP,
    ONE_COLUMN,
    RSEI_MAP,
    TWO_COLUMNS,
    drawable,
    grades_map,
    saved,
)

NAMES = {sketch.name for sketch in (*figures.OF_AN_AREA, *figures.OF_THE_RUN)}

DEUTERANOPIA = np.array(
    [
        [0.367322, 0.860646, -0.227968],
        [0.280085, 0.672501, 0.047413],
        [-0.011820, 0.042940, 0.968881],
    ]
)
"""Linear RGB as seen without green cones. Source: Machado et al. (2009), severity 1.0."""


XYZ = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
"""CIE XYZ of linear sRGB. Source: IEC 61966-2-1."""


def linear(rgb: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)


def lab(flat: NDArray[np.float64]) -> NDArray[np.float64]:
    """CIE L*a*b* of linear sRGB, D65."""
    matrix = np.array(
        [[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]
    )
    xyz = flat @ matrix.T / np.array([0.9505, 1.0, 1.089])
    f = np.where(xyz > (6 / 29) ** 3, np.cbrt(xyz), xyz / (3 * (6 / 29) ** 2) + 4 / 29)
    lightness = 116 * f[:, 1] - 16
    return np.stack([lightness, 500 * (f[:, 0] - f[:, 1]), 200 * (f[:, 1] - f[:, 2])], axis=1)


def test_lightness_of_the_index_falls_all_the_way() -> None:
    colours = linear(RSEI_MAP(np.linspace(0, 1, 101))[:, :3])
    assert (np.diff(lab(colours)[:, 0]) < 0).all()


@pytest.mark.parametrize("seen", [np.eye(3), DEUTERANOPIA], ids=["all cones", "no green cones"])
def test_neighbouring_classes_can_be_told_apart(seen: NDArray[np.float64]) -> None:
    """A difference of 2.3 is just noticeable; Mahy et al. (1994)."""
    colours, _ = grades_map([step / 10 for step in range(11)])
    shades = np.array(colours.colors)[:, :3]
    found = lab(np.clip(linear(shades) @ seen.T, 0, 1))
    assert np.linalg.norm(np.diff(found, axis=0), axis=1).min() > 2.3


def test_loss_and_gain_are_equally_strong() -> None:
    ends = linear(np.array([CHANGE_MAP(0.1)[:3], CHANGE_MAP(0.9)[:3]]))
    assert abs(np.subtract(*lab(ends)[:, 0])) < 12


@pytest.mark.slow
def test_every_figure_of_the_study_is_drawn(full: Findings) -> None:
    drawn = [*figures.of_an_area(full, full.sites[0]), *figures.of_the_run(full)]
    # One area alone is not compared with others.
    assert {one.sketch.name for one in drawn} == NAMES - {"areas", "ranking"}
    for one in drawn:
        with Image.open(BytesIO(one.files["png"])) as image:
            width = image.width / 300
        assert ONE_COLUMN * 0.9 < width < TWO_COLUMNS * 1.05
        assert ET.fromstring(one.files["svg"]).tag.endswith("svg")


@pytest.mark.slow
def test_the_ranks_of_two_areas_are_drawn(full: Findings) -> None:
    table, importance = full.of("ranking"), full.of("importance")
    assert table is not None and importance is not None
    both = pd.concat([importance, importance.assign(area="Other")])
    drawn = figures_drivers.ranking(table, both)
    legend = drawn.axes[1].get_legend()
    assert legend is not None and len(legend.get_texts()) == 2


@pytest.mark.slow
def test_a_pixel_without_a_value_looks_like_no_value_of_the_index(full: Findings) -> None:
    """White is a bright pixel and sand a poor one: only lines tell what has no value."""
    drawing = figures_mines.insets(full.sites[0], full.sites[0].epochs[-1])
    assert drawing is not None
    maps = [axes for axes in drawing.axes if axes.images and axes.get_xlabel() != "RSEI"]
    assert len(maps) >= 2
    for axes in maps:
        assert axes.patch.get_hatch() and axes.patch.get_visible()
    light, index = (np.asarray(axes.images[0].get_array()) for axes in (maps[0], maps[-1]))
    # Every pixel of the picture that lies outside of the area has no value: it is seen through.
    assert (light[..., 3] == 0).any() and (index[..., 3] == 0).any()


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "start"), [("pdf", b"%PDF"), ("png", b"\x89PNG")])
def test_a_figure_can_be_saved_otherwise(findings: Findings, kind: str, start: bytes) -> None:
    table = findings.of("coverage")
    assert table is not None
    assert saved(figures_index.coverage(table), kind).startswith(start)


@pytest.mark.slow
def test_a_figure_without_its_table_is_left_out(findings: Findings) -> None:
    bare = Findings(findings.folder, findings.record, findings.sites)
    vars(bare)["tables"] = {}
    drawn = {one.sketch.name for one in figures.of_an_area(bare, bare.sites[1])}
    needing = {sketch.name for sketch in figures.OF_AN_AREA if sketch.needs}
    assert "maps" in drawn and not drawn & needing


@pytest.mark.slow
def test_the_same_figure_has_the_same_bytes(findings: Findings) -> None:
    table = findings.of("pca", findings.sites[0].name)
    assert table is not None
    first, second = (saved(figures_index.loadings(table), "svg") for _ in range(2))
    assert first == second


def test_a_name_without_letters_in_the_font_is_replaced() -> None:
    assert drawable("Huángshí", "x") == "Huángshí"
    assert drawable("黄石", "huangshi") == "huangshi"
