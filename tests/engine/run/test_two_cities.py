# SPDX-License-Identifier: Apache-2.0
"""Tangshan and Panzhihua in one study: real boundaries, real mines, real coast, simulated skies."""

from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import studies
from pyproj import Geod

from rsei.engine.report.tabular import check_run_tables
from rsei.engine.sources.areas import areas, window_of
from rsei.engine.sources.grids import SINUSOIDAL_500M
from rsei.engine.sources.simulate import Region, World, even, season_dates, write_granules

pytestmark = pytest.mark.slow

CITIES = {"Tangshan": "130200", "Panzhihua": "510400"}
EPOCHS = (2005, 2020)
MINES = {"Tangshan": 4, "Panzhihua": 2}
"""Mines of the file in each city."""

TABLES = "pca series change densities grades latitude contrast rings ring_fits mines size_classes"
PIXEL_KM2 = SINUSOIDAL_500M.dx * abs(SINUSOIDAL_500M.dy) / 1e6


def boundary(folder: Path, city: str) -> Path:
    return folder / "cities" / f"{CITIES[city]}.geojson"


def mine_file(folder: Path) -> Path:
    return folder / "mines" / "gem_coal_mine_boundaries_Tangshan_Panzhihua.geojson"


@pytest.fixture(scope="module")
def run(real_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run folder; three weeks, and one year an epoch, so that it takes little."""
    folder = tmp_path_factory.mktemp("cities")
    mines = gpd.read_file(mine_file(real_data)).geometry.make_valid()
    land = gpd.read_file(real_data / "coast" / "land-50m.json").geometry.iloc[0]
    for city in CITIES:
        (area,) = areas(boundary(real_data, city), city)
        window = even(window_of(area, SINUSOIDAL_500M).grown(2))
        world = World(window, Region(mines=list(mines), land=land), 5)
        for product in studies.PRODUCTS:
            dates = [
                day for day in season_dates(product, EPOCHS) if day.month == 6 and day.day <= 20
            ]
            write_granules(folder / "granules", product, world, dates)
    sections = {
        "study": f'name = "cities"\nout = "run"\nepochs = {list(EPOCHS)}',
        "granules": f'path = "{folder}/granules"\nreach = 0\nseason = ["06-01", "06-20"]',
        "area": "\n[[area]]\n".join(
            f'name = "{city}"\nboundary = "{boundary(real_data, city)}"\n'
            f'mines = "{mine_file(real_data)}"'
            for city in CITIES
        ),
    }
    outcome = studies.run(studies.written(folder, folder / "granules", **sections))
    assert outcome.failed == () and outcome.exit_code == 0
    return outcome.out


def table(run: Path, name: str) -> pd.DataFrame:
    return pd.read_csv(run / f"tables/{name}.csv")


def test_every_table_has_both_cities(run: Path) -> None:
    assert check_run_tables(run) == []
    for name in TABLES.split():
        assert set(table(run, name)["area"]) == set(CITIES), name


def test_a_city_is_as_large_as_its_boundary(run: Path, real_data: Path) -> None:
    """Pixels inside, used or left out, against the boundary's area on the ellipsoid.

    The sphere's pixels are within 0.5 % of it at these latitudes.
    """
    counts = table(run, "exclusions")
    inside = counts[counts["reason"] != "outside"].groupby(["area", "epoch"])["n"].sum()
    used = table(run, "pca").set_index(["area", "epoch"])["n"]
    for city in CITIES:
        shape = gpd.read_file(boundary(real_data, city)).geometry.union_all()
        known = abs(Geod(ellps="WGS84").geometry_area_perimeter(shape)[0]) / 1e6
        for epoch in EPOCHS:
            found = (inside[city, epoch] + used[city, epoch]) * PIXEL_KM2
            assert found == pytest.approx(known, rel=0.006)


def test_each_city_has_its_own_mines_with_their_size(run: Path, real_data: Path) -> None:
    """Sizes against the outlines' area between geodesics; all their pixels are covered."""
    found = table(run, "mines")
    outlines = gpd.read_file(mine_file(real_data)).geometry.make_valid()
    geod = Geod(ellps="WGS84")
    for city in CITIES:
        rows = found[(found["area"] == city) & (found["epoch"] == str(EPOCHS[0]))]
        assert len(rows) == MINES[city]
        inside = gpd.read_file(boundary(real_data, city)).geometry.union_all()
        own = [number for number, one in enumerate(outlines) if one.intersects(inside)]
        assert sorted(rows["mine"]) == own
        for row in rows.to_dict("records"):
            known = abs(geod.geometry_area_perimeter(outlines[row["mine"]])[0]) / 1e6
            assert row["area_km2"] == pytest.approx(known, rel=5e-4)
            assert row["coverage_px"] * PIXEL_KM2 == pytest.approx(known, rel=0.01)
            assert 0 <= row["mean"] <= 1


def test_mines_are_worse_and_it_is_better_farther_away(run: Path) -> None:
    """As the simulator has put in: within 5 km of a mine quality falls."""
    contrast = table(run, "contrast").set_index(["area", "epoch"])["difference"]
    rings = table(run, "rings").set_index(["area", "epoch", "ring_km"])["mean"]
    for city in CITIES:
        for epoch in map(str, EPOCHS):
            assert contrast[city, epoch] < -0.1
            near = [rings[city, epoch, k] for k in range(6)]
            assert np.all(np.diff(near) > 0), near


def test_the_cities_lie_on_their_tiles(run: Path) -> None:
    """Tangshan on three, and its rectangle on a fourth; Panzhihua on one."""
    tiles = {path.name for path in (run / "store/partials").iterdir()}
    assert tiles == {"h26v04", "h26v05", "h27v04", "h27v05", "h27v06"}
