# SPDX-License-Identifier: Apache-2.0
"""The simulator's truth is what its pixels show, and what was put in is in it."""

import numpy as np
import pytest
import shapely
from landscapes import Pixels
from pyproj import Transformer

from rsei.engine.sources.grids import SINUSOIDAL, SINUSOIDAL_500M, Window
from rsei.engine.sources.simulate import (
    DEMO_WINDOW,
    Scene,
    Surface,
    World,
    demo_place,
    season_dates,
    truth,
)
from rsei.engine.sources.simulated_region import METRIC, carried, share
from rsei.engine.sources.simulated_world import REACH_KM, WEIGHTS, WITHOUT_EFFECT


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


def test_quality_depends_on_drivers_as_stated(world: World) -> None:
    """A linear fit finds the weights again, and nothing of the drivers without effect."""
    quality, bare = world.state(2020)
    plain = (bare == 0) & (world.mine_distance >= REACH_KM) & (quality > 0.01) & (quality < 0.99)
    scores = {name: field[plain] for name, field in world.drivers.items()}
    design = np.stack([np.ones(plain.sum()), *scores.values()]).T
    slopes = np.linalg.lstsq(design, quality[plain], rcond=None)[0][1:]
    for name, slope in zip(scores, slopes, strict=True):
        assert slope == pytest.approx(WEIGHTS.get(name, 0.0), abs=0.004), name
        assert (name in WEIGHTS) != (name in WITHOUT_EFFECT), name
