# SPDX-License-Identifier: Apache-2.0
"""The simulator: its files are the archive's in form, and its truth is what its pixels show."""

import datetime as dt
import json
import re
import shutil
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pytest
import rasterio
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from pyhdf.SD import SD
from pyproj import Transformer

from rsei.engine.sources.errors import GranuleError
from rsei.engine.sources.grids import SINUSOIDAL, SINUSOIDAL_1KM, SINUSOIDAL_500M, Window
from rsei.engine.sources.simulate import (
    DEMO_EPOCHS,
    DEMO_WINDOW,
    Region,
    Scene,
    Surface,
    World,
    demo_place,
    demo_world,
    even,
    season_dates,
    truth,
    write_demo,
    write_granules,
)
from rsei.engine.sources.simulated_granules import Header, product_form, write_granule
from rsei.engine.sources.simulated_noise import fractal
from rsei.engine.sources.simulated_region import METRIC, carried, share
from rsei.engine.sources.simulated_world import REACH_KM, WEIGHTS

PRODUCTS = (
    "MOD09A1.061",
    "MOD13A1.061",
    "MOD11A2.061",
    "MYD09A1.006",
    "MYD13A1.006",
    "MYD11A2.061",
)
SEAM = Window(11990, 65230, 20, 24)
"""A few pixels of the demo on both sides of the seam between h27v04 and h27v05."""

Pixels = NDArray[Any]


def layers_of(path: Path) -> dict[str, Pixels]:
    """Every data set of a file, by plain pyhdf."""
    file = SD(str(path))
    return {name: file.select(name)[:] for name in file.datasets()}


def write(folder: Path, product: str, world: World, year: int = 2012, count: int = 1) -> list[Path]:
    return write_granules(folder, product, world, season_dates(product, [year])[:count])


@pytest.fixture(scope="module")
def world() -> World:
    return demo_world()


@pytest.fixture(scope="module")
def small(world: World) -> World:
    return World(SEAM, world.region, world.seed)


@given(st.integers(-300, 300), st.integers(-300, 300), st.integers(1, 40), st.integers(1, 40))
@settings(max_examples=30, deadline=None)
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


@pytest.mark.parametrize("product", PRODUCTS)
def test_a_granule_holds_every_layer_of_its_product(
    product: str, small: World, tmp_path: Path
) -> None:
    form = product_form(product[:7])
    for path in write(tmp_path, product, small):
        file = SD(str(path))
        assert list(file.datasets()) and file.info()[0] == len(form.layers)
        for number, layer in enumerate(form.layers):
            data = file.select(number)
            assert data.info()[0] == layer.name
            values = data[:]
            assert values.dtype == layer.dtype
            valid = (values >= layer.valid[0]) & (values <= layer.valid[1])
            assert (valid | (values == layer.fill)).all(), layer.name
            assert data.attributes().get("_FillValue") == layer.fill
            assert data.attributes().get("scale_factor") == layer.scale


def test_layers_and_attributes_are_those_of_a_real_reflectance_granule(
    real_data: Path, small: World, tmp_path: Path
) -> None:
    real = SD(str(next((real_data / "granules").glob("MOD09A1*.hdf"))))
    made = SD(str(write(tmp_path, "MOD09A1.006", small)[0]))
    assert real.info()[0] == made.info()[0] == 13
    for number in range(13):
        theirs, ours = real.select(number), made.select(number)
        assert theirs.info()[0] == ours.info()[0] and theirs.info()[3] == ours.info()[3]
        known = {k: v for k, v in theirs.attributes().items() if "QA bitmap" not in k}
        assert ours.attributes() == known


def test_attributes_are_those_of_a_real_vegetation_granule(
    real_data: Path, small: World, tmp_path: Path
) -> None:
    real = SD(str(next((real_data / "granules").glob("MOD13A2*.hdf"))))
    made = SD(str(write(tmp_path, "MOD13A1.006", small)[0]))
    for layer in ("NDVI", "VI Quality"):
        theirs = real.select(f"1 km 16 days {layer}")
        ours = made.select(f"500m 16 days {layer}")
        assert theirs.info()[3] == ours.info()[3]
        for name in ("valid_range", "_FillValue", "scale_factor", "add_offset", "units"):
            assert theirs.attributes().get(name) == ours.attributes().get(name)


@pytest.mark.parametrize("product", ["MOD09A1.061", "MOD11A2.006"])
def test_the_metadata_say_what_the_name_says(product: str, small: World, tmp_path: Path) -> None:
    paths = write(tmp_path, product, small)
    assert [path.name.split(".")[2] for path in paths] == ["h27v04", "h27v05"]
    for path in paths:
        attributes = SD(str(path)).attributes()
        core, structure = attributes["CoreMetadata.0"], attributes["StructMetadata.0"]
        assert f'"{path.name}"' in core
        assert re.search(r'"HORIZONTALTILENUMBER".*?VALUE = "27"', core, re.S)
        assert re.search(rf'"VERTICALTILENUMBER".*?VALUE = "{path.name[21:23]}"', core, re.S)
        assert re.search(r'RANGEBEGINNINGDATE\n.*\n\s*VALUE = "2012-06-01"', core)
        assert re.search(rf"VERSIONID\n.*\n\s*VALUE = {int(product[-3:])}\n", core)
        corner = re.search(r"UpperLeftPointMtrs=\((.*),(.*)\)", structure)
        assert corner
        lattice = product_form(product[:7]).lattice
        rows = re.search(r"YDim=(\d+)", structure)
        assert rows and layers_of(path).popitem()[1].shape[0] == int(rows[1])
        bounds = lattice.bounds(Window(SEAM.top, SEAM.left, 1, 1))
        if lattice == SINUSOIDAL_1KM:
            bounds = lattice.bounds(Window(SEAM.top // 2, SEAM.left // 2, 1, 1))
        assert float(corner[1]) == pytest.approx(bounds[0], abs=1e-5)
        if path.name[21:23] == "04":
            assert float(corner[2]) == pytest.approx(bounds[3], abs=1e-5)


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


def test_a_finished_granule_is_not_written_again(small: World, tmp_path: Path) -> None:
    paths = write(tmp_path, "MOD11A2.061", small, count=2)
    paths[0].write_bytes(b"kept")
    paths[2].unlink()
    assert write(tmp_path, "MOD11A2.061", small, count=2) == paths
    assert paths[0].read_bytes() == b"kept" and paths[2].stat().st_size > 1000


def test_a_failed_write_leaves_nothing(small: World, tmp_path: Path) -> None:
    header = Header("MOD11A2.061", dt.date(2012, 6, 1), Window(5990, 32600, 4, 4))
    with pytest.raises(
        GranuleError, match=r"expected \(4, 4\) uint16 in LST_Day_1km, found \(2, 2\)"
    ):
        write_granule(tmp_path, header, {"LST_Day_1km": np.zeros((2, 2), np.uint16)})
    assert not list(tmp_path.iterdir())


def test_what_cannot_be_written_is_named(tmp_path: Path) -> None:
    with pytest.raises(GranuleError, match="expected MOD or MYD"):
        product_form("VNP09A1")
    across = Header("MOD09A1.061", dt.date(2012, 6, 1), SEAM)
    with pytest.raises(GranuleError, match="within one tile"):
        write_granule(tmp_path, across, {})
    odd = World(Window(12001, 65230, 4, 4))
    with pytest.raises(GranuleError, match="whole 1 km pixels"):
        write_granules(tmp_path, "MOD11A2.061", odd, [dt.date(2012, 6, 1)])
    inside = Header("MOD09A1.061", dt.date(2012, 6, 1), Window(12000, 65230, 4, 4))
    with pytest.raises(GranuleError, match=r"found \['sur_refl_b08'\]"):
        write_granule(tmp_path, inside, {"sur_refl_b08": np.zeros((4, 4), np.int16)})


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


def season_mean(world: World, years: range, masked: bool) -> dict[str, Pixels]:
    """Means of b1 … b7, NDVI and LST over all dates: by the preset ``standard``, or of all."""
    sums: dict[str, Pixels] = {}
    counts: dict[str, Pixels] = {}

    def add(name: str, values: Pixels, valid: Pixels, scale: float) -> None:
        empty = np.zeros(values.shape)
        sums[name] = sums.get(name, empty) + np.where(valid, values * scale, 0)
        counts[name] = counts.get(name, empty) + valid

    for year in years:
        surface = Surface.of(world, year)
        for product in ("MOD09A1.061", "MOD13A1.061", "MOD11A2.061"):
            for date in season_dates(product, [year]):
                layers = Scene(world, surface, product, date).layers()
                stored = {k: v.astype(np.int64) for k, v in layers.items()}
                if product == "MOD09A1.061":
                    state, qc = stored["sur_refl_state_500m"], stored["sur_refl_qc_500m"]
                    clear = np.isin(state & 3, (0, 3)) & (state & 0xB404 == 0)
                    clear &= (state >> 8 & 3 <= 1) & (qc & 3 <= 1) & (state != 65535)
                    for band in range(7):
                        values = stored[f"sur_refl_b{band + 1:02d}"]
                        good = clear & (qc >> (2 + 4 * band) & 15 <= 1)
                        good = (values >= -100) & (good if masked else True)
                        add(f"b{band + 1}", values, good, 1e-4)
                elif product == "MOD13A1.061":
                    values = stored["500m 16 days NDVI"]
                    rank = stored["500m 16 days pixel reliability"]
                    use = stored["500m 16 days VI Quality"] >> 2 & 15
                    good = np.isin(rank, (0, 1)) & (use <= 12) if masked else values > -3000
                    add("ndvi", values, good, 1e-4)
                else:
                    values, qc = stored["LST_Day_1km"], stored["QC_Day"]
                    good = (qc & 3 <= 1) & (qc >> 6 <= 1) if masked else values > 0
                    add("lst", values, good & (values > 0), 0.02)
    return {name: sums[name] / counts[name] for name in sums}


def test_masked_composites_find_the_truth_and_unmasked_ones_do_not(world: World) -> None:
    part = World(Window(11960, 65210, 40, 50), world.region, world.seed)
    true = truth(part, 2012)
    land = true.water < 0.05
    error = {}
    for masked in (True, False):
        found = season_mean(part, range(2011, 2014), masked)
        bands = np.stack([found[f"b{band}"] for band in range(1, 8)])
        lst = np.repeat(np.repeat(found["lst"], 2, axis=0), 2, axis=1)
        error[masked] = (
            np.abs(bands - true.reflectance)[:, land].mean(),
            np.abs(found["ndvi"] - true.ndvi)[land].mean(),
            np.abs(lst - true.lst)[land].mean(),
        )
    assert error[True][0] < 0.002 and error[True][1] < 0.005 and error[True][2] < 0.15
    assert error[False][0] > 10 * error[True][0] and error[False][1] > 3 * error[True][1]


@pytest.fixture(scope="module")
def rsei(world: World) -> Pixels:
    """RSEI of the true indicators of 2020 in the city, NaN elsewhere: plain NumPy."""
    true = truth(world, 2020)
    fields = true.indicators()
    inside = shapely.contains_xy(demo_place().boundary, *world.lonlat)
    valid = inside & (fields["mndwi"] <= 0) & (true.water < 0.5)
    raw = np.stack([fields[name][valid] for name in ("ndvi", "wet", "ndbsi", "lst")])
    scaled = (raw.T - raw.min(axis=1)) / np.ptp(raw, axis=1)
    values, vectors = np.linalg.eigh(np.cov(scaled.T))
    first = vectors[:, -1] * np.sign(vectors[:, -1] @ (1, 1, -1, -1))
    assert (first * (1, 1, -1, -1) > 0.2).all()
    assert 0.6 < values[-1] / values.sum() < 0.92
    out = np.full(valid.shape, np.nan)
    component = scaled @ first
    out[valid] = (component - component.min()) / np.ptp(component)
    return out


def test_rings_rise_to_the_known_distance(world: World, rsei: Pixels) -> None:
    to_plane = Transformer.from_crs("EPSG:4326", METRIC, always_xy=True)
    valid = np.isfinite(rsei)
    longitude, latitude = (field[valid] for field in world.lonlat)
    places = shapely.points(*to_plane.transform(longitude, latitude))
    mines = shapely.union_all([carried(m, "EPSG:4326", METRIC) for m in world.region.mines])
    shapely.prepare(mines)
    ring = np.ceil(shapely.distance(places, mines) / 1e3).astype(int)
    rings = np.arange(1, 15)
    mean = np.array([rsei[valid][ring == k].mean() for k in rings])
    weight = np.array([(ring == k).sum() for k in rings], float)

    def misfit(at: float) -> float:
        middle = rings - 0.5
        bent = (
            np.column_stack((np.ones(14), np.minimum(middle, at), np.maximum(middle - at, 0)))
            * np.sqrt(weight)[:, None]
        )
        return float(np.linalg.lstsq(bent, mean * np.sqrt(weight), rcond=None)[1][0])

    assert min(np.arange(2, 12, 0.1), key=misfit) == pytest.approx(REACH_KM, abs=0.5)
    assert (np.diff(mean[:5]) > 0.02).all() and np.abs(np.diff(mean[5:])).max() < 0.03


def test_larger_mines_are_worse(world: World, rsei: Pixels) -> None:
    place = demo_place()
    means = []
    for mine in place.region.mines:
        outline = carried(mine, "EPSG:4326", SINUSOIDAL)
        near = SINUSOIDAL_500M.bounding(*outline.bounds)
        values = rsei[near.slices(DEMO_WINDOW)]
        part = share(outline, near, 16) * np.isfinite(values)
        means.append((part * np.nan_to_num(values)).sum() / part.sum())
    size = np.digitize(place.areas_km2, (0.25, 0.5, 0.75, 1))
    assert np.bincount(size).min() >= 4
    assert (np.diff(np.bincount(size, means) / np.bincount(size)) < 0).all()


def test_drivers_matter_in_the_known_order(world: World, rsei: Pixels) -> None:
    """Standardised slopes of a linear fit: the six that differ by more than chance."""
    valid = np.isfinite(rsei)
    near = {"dism": world.mine_distance}
    fields = np.stack([field[valid] for field in {**near, **world.drivers}.values()])
    scores = (fields - fields.mean(axis=1, keepdims=True)) / fields.std(axis=1, keepdims=True)
    design = np.vstack((np.ones(valid.sum()), scores)).T
    slope = np.abs(np.linalg.lstsq(design, rsei[valid], rcond=None)[0][1:])
    names = ["dism", *WEIGHTS]
    assert [names[k] for k in np.argsort(-slope)][:7] == names[:7]
    assert slope[names.index("elec")] < 0.005


def test_an_independent_gdal_reads_the_granules(small: World, tmp_path: Path) -> None:
    if not shutil.which("gdalinfo"):
        pytest.skip("no gdalinfo on this machine")
    formats = subprocess.run(["gdalinfo", "--formats"], capture_output=True, text=True, check=True)
    if "HDF4Image" not in formats.stdout:
        pytest.skip("this machine's GDAL has no HDF4")
    for product in ("MOD09A1.061", "MOD13A1.061", "MOD11A2.061"):
        form = product_form(product[:7])
        path = write(tmp_path, product, small)[-1]
        layer = form.layers[0]
        name = f'HDF4_EOS:EOS_GRID:"{path}":{form.grid}:{layer.name}'
        told = json.loads(
            subprocess.run(
                ["gdalinfo", "-json", name], capture_output=True, text=True, check=True
            ).stdout
        )
        values = layers_of(path)[layer.name]
        assert told["size"] == list(values.shape[::-1])
        assert "Sinusoidal" in told["coordinateSystem"]["wkt"]
        assert "6371007.181" in told["coordinateSystem"]["wkt"]
        top = 12000 if form.lattice == SINUSOIDAL_500M else 6000
        left = SEAM.left if form.lattice == SINUSOIDAL_500M else SEAM.left // 2
        bounds = form.lattice.bounds(Window(top, left, *values.shape))
        corners = told["cornerCoordinates"]
        assert corners["upperLeft"] == pytest.approx([bounds[0], bounds[3]], abs=1e-3)
        assert corners["lowerRight"] == pytest.approx([bounds[2], bounds[1]], abs=1e-3)
        seen = subprocess.run(
            ["gdallocationinfo", "-valonly", name, "3", "2"],
            capture_output=True,
            text=True,
            check=True,
        )
        assert int(float(seen.stdout)) == values[2, 3]


@pytest.mark.slow
def test_the_demo_is_whole_and_is_not_written_twice(tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    write_demo(tmp_path, progress=lambda done, total: told.append((done, total)))
    assert told[-1][0] == told[-1][1] == len(list((tmp_path / "granules").iterdir()))
    study = tomllib.loads((tmp_path / "study.toml").read_text("utf-8"))
    area = study["area"][0]
    assert all((tmp_path / area[name]).is_file() for name in ("boundary", "mines", "coast"))
    layers = dict(study["drivers"]["layers"])
    months = layers.pop("prec")["months"]
    paths = [*layers.values(), *(months.format(year=2020, month=m) for m in range(1, 13))]
    paths += [study["water"]["land_cover"]["raster"].format(year=y) for y in DEMO_EPOCHS]
    assert all((tmp_path / path).is_file() for path in paths)
    mines = gpd.read_file(tmp_path / "inputs" / "mines.gpkg")
    assert mines.is_valid.all() and len(mines) == 32
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*") if path.is_file()}
    write_demo(tmp_path)
    assert before == {p: p.stat().st_mtime_ns for p in tmp_path.rglob("*") if p.is_file()}
    assert sum(path.stat().st_size for path in before) < 45e6
    _compare_height(tmp_path / "inputs" / "dem.tif")


def _compare_height(path: Path) -> None:
    """A driver raster shows the world's own field where both are."""
    world = demo_world()
    with rasterio.open(path) as file:
        points = np.column_stack([field[::9, ::9].ravel() for field in world.lonlat])
        seen = np.array([value[0] for value in file.sample(points)])
    assert np.abs(seen - world.dem[::9, ::9].ravel()).mean() < 8
