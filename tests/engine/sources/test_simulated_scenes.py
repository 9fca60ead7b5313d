# SPDX-License-Identifier: Apache-2.0
"""What the simulated satellites see: one landscape in all tiles, under a sky with faults."""

import datetime as dt
from pathlib import Path

import geopandas as gpd
import landscapes
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from landscapes import PRODUCTS, SEAM, layers_of, write
from pyhdf.SD import SD

from rsei.engine.sources.grids import SINUSOIDAL, SINUSOIDAL_500M, Window
from rsei.engine.sources.simulate import (
    Region,
    Scene,
    Surface,
    World,
    even,
    season_dates,
    write_granules,
)
from rsei.engine.sources.simulated_noise import fractal
from rsei.engine.sources.simulated_region import carried
from rsei.engine.sources.simulated_world import REACH_KM


@pytest.fixture(scope="module")
def small() -> World:
    return landscapes.small()


@given(st.integers(-300, 300), st.integers(-300, 300), st.integers(1, 40), st.integers(1, 40))
@settings(max_examples=30)
def test_a_field_does_not_depend_on_the_window_it_is_made_for(
    top: int, left: int, height: int, width: int
) -> None:
    inner = Window(top, left, height, width)
    outer = inner.grown(13)
    whole = fractal(5, outer, (16, 4))
    assert np.array_equal(whole[inner.slices(outer)], fractal(5, inner, (16, 4)))


def test_a_field_has_mean_0_and_sd_1() -> None:
    field = fractal(1, Window(0, 0, 1500, 1500), (12, 6))
    assert field.mean() == pytest.approx(0, abs=0.03)
    assert field.std() == pytest.approx(1, abs=0.03)


@pytest.mark.parametrize("product", ["MOD09A1.061", "MOD13A1.061", "MOD11A2.061"])
def test_two_tiles_show_one_landscape(product: str, small: World, tmp_path: Path) -> None:
    upper, lower = map(layers_of, write(tmp_path, product, small))
    whole = Scene(small, Surface.of(small, 2012), product, season_dates(product, [2012])[0])
    for name, values in whole.layers().items():
        assert np.array_equal(np.vstack((upper[name], lower[name])), values)


def test_a_real_city_with_real_mines_and_coast_lies_on_four_tiles(
    real_data: Path, tmp_path: Path
) -> None:
    mines = gpd.read_file(next((real_data / "mines").glob("*Tangshan*")))
    land = gpd.read_file(real_data / "coast" / "land-50m.json").geometry.iloc[0]
    region = Region(mines=list(mines.geometry.make_valid()), land=land)
    corner = World(Window(11984, 64780, 40, 40), region)
    paths = write(tmp_path, "MOD09A1.061", corner)
    tiles = {path.name.split(".")[2]: layers_of(path)["sur_refl_b02"] for path in paths}
    assert sorted(tiles) == ["h26v04", "h26v05", "h27v04", "h27v05"]
    whole = Scene(corner, Surface.of(corner, 2012), "MOD09A1.061", dt.date(2012, 6, 1)).layers()
    upper = np.hstack((tiles["h26v04"], tiles["h27v04"]))
    lower = np.hstack((tiles["h26v05"], tiles["h27v05"]))
    assert np.array_equal(np.vstack((upper, lower)), whole["sur_refl_b02"])
    outlines = [carried(mine, "EPSG:4326", SINUSOIDAL) for mine in region.mines]
    biggest = max(outlines, key=lambda mine: mine.area)
    around = World(even(SINUSOIDAL_500M.bounding(*biggest.bounds)).grown(10), region)
    bare, _ = around.pit(2020)
    assert bare.sum() * SINUSOIDAL_500M.dx**2 >= 0.98 * biggest.area
    quality = around.quality(2020)
    assert quality[bare > 0.9].mean() < quality[around.mine_distance >= REACH_KM].mean() - 0.3


@pytest.mark.parametrize("product", PRODUCTS)
def test_a_subset_shows_what_the_whole_shows(product: str, world: World) -> None:
    wide = World(SEAM.grown(10), world.region, world.seed)
    small = World(SEAM, world.region, world.seed)
    date = season_dates(product, [2020])[3]
    outer = Scene(wide, Surface.of(wide, 2020), product, date).layers()
    inner = Scene(small, Surface.of(small, 2020), product, date).layers()
    edge = 5 if "11A2" in product else 10
    for name, values in inner.items():
        if name in ("sur_refl_qc_500m",) or not np.issubdtype(values.dtype, np.floating):
            difference = outer[name][edge:-edge, edge:-edge].astype(int) - values.astype(int)
            assert np.abs(difference).max() == 0, name


def test_the_same_seed_gives_the_same_pixels_and_metadata(small: World, tmp_path: Path) -> None:
    first, second = (write(tmp_path / name, "MOD09A1.061", small)[0] for name in "ab")
    assert SD(str(first)).attributes() == SD(str(second)).attributes()
    pairs = layers_of(first), layers_of(second)
    assert all(np.array_equal(values, pairs[1][name]) for name, values in pairs[0].items())
    other = write(tmp_path / "c", "MOD09A1.061", World(small.window, small.region, 1))[0]
    assert not np.array_equal(layers_of(other)["sur_refl_b01"], pairs[0]["sur_refl_b01"])


def test_granules_that_never_were_are_not_made(small: World, tmp_path: Path) -> None:
    dates = season_dates("MOD11A2.061", [2001])
    made = {path.name[9:16] for path in write_granules(tmp_path, "MOD11A2.061", small, dates)}
    assert len(made) == 14 and not {"2001169", "2001177"} & made


def test_the_quality_words_tell_what_the_sky_did(world: World) -> None:
    surface = Surface.of(world, 2004)
    shares = []
    for date in season_dates("MOD09A1.061", [2004]):
        layers = Scene(world, surface, "MOD09A1.061", date).layers()
        state, qc = layers["sur_refl_state_500m"], layers["sur_refl_qc_500m"]
        blue = layers["sur_refl_b03"]
        gap = state == 65535
        assert np.array_equal(gap, qc == 4294967295) and (blue[gap] == -28672).all()
        made = blue != -28672
        assert ((qc[~made & ~gap] & 3) == 2).all()
        cloud, shadow = (state & 3 == 1) & made & ~gap, made & (state & 0xB707 == 0x0004)
        plain = made & (state & 0xB707 == 0)
        if cloud.sum() > 100:
            assert blue[cloud].mean() > blue[plain].mean() + 1500
        clear = surface.on(date, 2) * 10000
        seen = layers["sur_refl_b02"] / clear
        land = world.water == 0
        if (shadow & land).sum() > 100:
            assert np.median(seen[shadow & land]) == pytest.approx(0.5, abs=0.08)
        if (plain & land).any():  # one date is clouded over
            assert np.median(seen[plain & land]) == pytest.approx(1, abs=0.01)
        nibble = qc >> 18 & 15
        shares.append([(nibble[made] == code).mean() for code in (7, 8)])
        assert ((qc[made] >> 2 & 15) == 0).all()
    assert np.mean(shares, axis=0) == pytest.approx([0.10, 0.05], abs=0.02)


def test_the_demo_has_snow_gaps_every_cirrus_and_both_adjacency_bits(world: World) -> None:
    states: set[int] = set()
    words: set[int] = set()
    for year in (2003, 2004, 2005, 2011, 2012, 2013, 2019, 2020, 2021):
        surface = Surface.of(world, year)
        for date in season_dates("MOD09A1.061", [year])[::5]:
            layers = Scene(world, surface, "MOD09A1.061", date).layers()
            states |= set(np.unique(layers["sur_refl_state_500m"]).tolist())
            words |= set(np.unique(layers["sur_refl_qc_500m"]).tolist())
    assert 65535 in states and 4294967295 in words
    states.discard(65535)
    assert {state >> 8 & 3 for state in states} == {0, 1, 2, 3}
    assert {state >> 12 & 1 for state in states} == {0, 1}
    assert {state & 3 for state in states} == {0, 1, 2, 3}
    assert {word >> 31 for word in words} == {0, 1}
