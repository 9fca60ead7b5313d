# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest
from conftest import Home
from worlds_index import ground, layers

from rsei.engine.index.assessment import assess
from rsei.engine.index.indicators import IndicatorSettings, epoch_block
from rsei.engine.index.rows import direction_rows, exclusion_rows, extreme_rows, pca_row
from rsei.engine.index.scopes import RseiSettings
from rsei.engine.index.summaries import INDICATORS, REASONS
from rsei.engine.sources.grids import RADIUS, SINUSOIDAL_500M

SETTINGS = RseiSettings()
BLOCK = epoch_block(
    layers(Home("numpy", 0), ground((60, 70))), IndicatorSettings(greenness="bands"), 0.0
)
FOUND = assess({2004: BLOCK})[2004]


def test_pca_row_has_its_columns_in_order() -> None:
    row = pca_row("Handan", 2004, FOUND.pca, SETTINGS, FOUND.scale)
    assert [*row] == (
        "area epoch normalisation pca n ndvi wet ndbsi lst pc1 pc2 pc3 pc4 direction flipped "
        "agreement v_dot_e ndvi_min ndvi_max wet_min wet_max ndbsi_min ndbsi_max lst_min lst_max "
        "rsei0_min rsei0_max"
    ).split()
    loadings = np.array([row[name] for name in INDICATORS])
    assert np.linalg.norm(loadings) == pytest.approx(1)
    assert row["v_dot_e"] == pytest.approx(loadings @ [1, 1, -1, -1])
    assert row["flipped"] == (loadings[np.abs(loadings).argmax()] < 0)
    assert sum(row[f"pc{k}"] for k in range(1, 5)) == pytest.approx(100)
    valid = BLOCK.indicators[:, BLOCK.reason == 0]
    assert [row[f"{name}_min"] for name in INDICATORS] == valid[:4].min(axis=1).tolist()
    assert [row[f"{name}_max"] for name in INDICATORS] == valid[:4].max(axis=1).tolist()
    assert row["n"] == valid.shape[1]


def test_every_rule_has_a_row() -> None:
    rows = direction_rows("Handan", 2004, FOUND.pca)
    assert [row["rule"] for row in rows] == ["expected", "ndvi", "heat", "reference", "none"]
    assert all([*row] == ["area", "epoch", "rule", "sign", "margin"] for row in rows)
    for row in rows[:4]:
        assert row["sign"] == np.sign(row["margin"])


def test_exclusions_and_valid_pixels_make_the_rectangle() -> None:
    rows = exclusion_rows("Handan", 2004, BLOCK.summary)
    assert [row["reason"] for row in rows] == list(REASONS)
    assert sum(row["n"] for row in rows) + BLOCK.summary.count == BLOCK.reason.size


def test_extremes_have_places() -> None:
    shifted = layers(Home("numpy", 0), ground((60, 70)))
    there = type(shifted)(**{**vars(shifted), "origin": (12_100, 65_000)})
    block = epoch_block(there, IndicatorSettings(greenness="bands"), 0.0)
    extremes = block.summary.extremes
    rows = extreme_rows("Handan", 2004, SINUSOIDAL_500M, extremes, FOUND.projected.extremes)
    assert [(row["layer"], row["side"]) for row in rows[:2]] == [("ndvi", "min"), ("ndvi", "max")]
    assert len(rows) == 10
    for row in rows[:8]:
        line = int((SINUSOIDAL_500M.top - row["y"]) // SINUSOIDAL_500M.dy) - 12_100
        column = int((row["x"] - SINUSOIDAL_500M.left) // SINUSOIDAL_500M.dx) - 65_000
        layer = block.indicators[INDICATORS.index(row["layer"])]
        assert layer[line, column] == np.float32(row["value"])
        assert np.degrees(row["y"] / RADIUS) == pytest.approx(row["lat"])
        radius = RADIUS * np.cos(np.radians(row["lat"]))
        assert np.degrees(row["x"] / radius) == pytest.approx(row["lon"])
