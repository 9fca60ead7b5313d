# SPDX-License-Identifier: Apache-2.0
"""A small run with mines, of an area with a hostile name and of a plain one."""

import shutil
from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import studies
from made_once import made_once
from reported import HOSTILE, PITS

from rsei.engine.analysis import change, densities, grades, mines, rings, series
from rsei.engine.analysis.stacks import Stack, parts_of
from rsei.engine.report import figures
from rsei.engine.report.contents import with_text_epochs
from rsei.engine.report.findings import Findings, Site
from rsei.engine.report.page import page
from rsei.engine.report.tables import TABLES
from rsei.engine.report.tabular import write
from rsei.engine.run import reporting
from rsei.engine.run.store import Store
from rsei.engine.sources.geotiff import Form, read_geotiff, window_in, write_cog
from rsei.engine.sources.grids import SINUSOIDAL_500M, Lattice, Window
from rsei.engine.sources.rasterfiles import opened_tiff


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run folder, with its report."""
    return made_once(tmp_path_factory, "reported", reported) / "run"


def reported(home: Path) -> None:
    """Carry out the study in ``home``."""
    granules = studies.write_all(home / "granules")
    gpd.GeoDataFrame(geometry=PITS, crs="OGC:CRS84").to_file(home / "mines.gpkg", engine="pyogrio")
    other = f'[[area]]\nname = "Plain"\nbounds = {[119.80, 39.95, 119.90, 40.03]}\n'
    name = HOSTILE.replace('"', '\\"')
    area = f'name = "{name}"\nbounds = {list(studies.BOUNDS)}\nmines = "mines.gpkg"\n\n{other}'
    file = studies.written(home, granules, area=area)
    studies.run(file, until=None)


@pytest.fixture(scope="session")
def findings(folder: Path) -> Findings:
    return reporting.findings(Store(folder))


@pytest.fixture(scope="session")
def full(findings: Findings, tmp_path_factory: pytest.TempPathFactory) -> Findings:
    """The same, with every table of areas and mines."""
    site = findings.sites[0]
    stack, crs = stacked(findings), "OGC:CRS84"
    zones = parts_of(stack, PITS, crs)
    found = {
        "series": series.series(stack, zones),
        "latitude": series.latitude_profile(stack, PITS, crs),
        "densities": densities.densities(stack, zones),
        "grades": grades.grades(stack, zones),
        "mines": mines.mine_table(stack, PITS, crs),
        "rings": rings.Rings.of(stack, PITS, crs).table(stack),
    }
    found["ring_fits"] = rings.ring_fits(found["rings"])
    found["breakpoints"] = rings.breakpoints(found["ring_fits"])
    found["size_classes"] = mines.size_classes(found["mines"])
    found["contrast"] = change.contrast(found["series"])
    tables = {name: with_text_epochs(table) for name, table in found.items()}
    more = Findings(tmp_path_factory.mktemp("full"), findings.record, (site,))
    vars(more)["tables"] = {**findings.tables, **tables, **drivers(stack)}
    (more.folder / "tables").mkdir()
    for name in ("drivers", "predictions"):
        rows = more.tables[name].reindex(columns=TABLES[name].names)
        write(more.folder / TABLES[name].file, name, rows)
    return more


@pytest.fixture(scope="session")
def cities(findings: Findings, tmp_path_factory: pytest.TempPathFactory) -> Findings:
    """Seven cities at eight epochs, of the size of real ones and rougher, with their page.

    Maps are drawn once, and other figures are those of the small run: every city has the same.
    """
    folder = tmp_path_factory.mktemp("cities")
    epochs, window = tuple(range(2001, 2023, 3)), Window(12000, 21900, 330, 420)
    y, x = np.mgrid[-1:1:330j, -1:1:420j]
    place = (SINUSOIDAL_500M, window)
    sites = []
    for number in range(7):
        rng = np.random.default_rng(number)
        smooth = 0.5 + 0.3 * np.sin(3 * x + number) * np.cos(4 * y)
        slug = f"city-{number}"
        for kind in ("rsei", "trends"):
            (folder / kind / slug).mkdir(parents=True)
        for step, epoch in enumerate(epochs):
            rsei = smooth + 0.01 * step * x + rng.normal(0, 0.05, x.shape)
            rsei = np.where(x**2 + y**2 < 1, np.clip(rsei, 0, 1), np.nan).astype(np.float32)
            write_cog(folder / f"rsei/{slug}/{epoch}.tif", rsei[None], *place, Form(("rsei",)))
        slope = np.where(np.isfinite(rsei), x / 300, np.nan).astype(np.float32)
        write_cog(folder / f"trends/{slug}.tif", slope[None], *place, Form(("slope",)))
        sites.append(Site(folder, f"City {number}", slug, epochs, findings.sites[0].outline, ()))
    found = Findings(folder, findings.record, tuple(sites))
    vars(found)["tables"] = {}
    drawn = list(figures.of_an_area(found, sites[0]))
    for site in sites:
        others = findings.folder / "figures" / findings.sites[0].slug
        shutil.copytree(others, folder / "figures" / site.slug)
        for one in drawn:
            for kind, data in one.files.items():
                (folder / f"figures/{site.slug}/{one.sketch.name}.{kind}").write_bytes(data)
    (folder / "report.html").write_bytes(page(found))
    return found


def stacked(findings: Findings) -> Stack:
    """The maps of the first area."""
    site = findings.sites[0]
    paths = [site.folder / f"rsei/{site.slug}/{epoch}.tif" for epoch in site.epochs]
    with opened_tiff(paths[0]) as dataset:
        lattice = Lattice.of(SINUSOIDAL_500M.crs, dataset.transform)
    layers = [read_geotiff(path, lattice)[0] for path in paths]
    return Stack(site.name, lattice, window_in(paths[0], lattice), site.epochs, np.stack(layers))


def drivers(stack: Stack) -> dict[str, pd.DataFrame]:
    """Tables of drivers with a known relation: elevation explains the index, GDP does not."""
    rng = np.random.default_rng(5)
    y, x = np.mgrid[0:20, 0:30] * 1000.0
    dem = x.reshape(-1) / 30 + rng.normal(0, 20, x.size)
    rsei = np.clip(dem / 1000, 0, 1)
    table = pd.DataFrame({"area": stack.area, "x": x.reshape(-1), "y": y.reshape(-1)})
    table = table.assign(rsei=rsei, dem=dem, gdp=rng.random(x.size))
    table["split"] = np.where(rng.random(x.size) < 0.3, "valid", "train")
    predictions = table[["area", "x", "y"]].assign(predicted=rsei * 0.9 + 0.05)
    names = ["dem", "gdp"]
    correlation = pd.DataFrame({"area": stack.area, "driver": names, "pearson": [0.97, 0.01]})
    importance = pd.DataFrame({"area": stack.area, "driver": names, "estimator": "oob"})
    scores = {"area": stack.area, "r2": 0.9, "rmse": 0.03, "n_valid": 180, "r2_block": 0.8}
    return {
        "drivers": table,
        "predictions": predictions,
        "correlation": correlation.assign(p_eff=[0.001, 0.9]),
        "importance": importance.assign(scaled=[120.0, 2.0], rank=[1.0, 2.0]),
        "forest": pd.DataFrame([scores]),
        "ranking": pd.DataFrame({"driver": names, "rank_sum": [1.0, 2.0], "rank": [1.0, 2.0]}),
    }
