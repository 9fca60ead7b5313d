# SPDX-License-Identifier: Apache-2.0
"""The forest and its importance beside R's randomForest: the same rows, trained and judged alike.

Rows come from the drivers' table of runs (the demo's), and from real rasters of two places, where
what is explained is the share of a pixel under forest or semi-natural land, as no index lies there.
Either grows a forest for each of a few seeds, and their means are compared, as one forest of R
against another of R's differs by up to a tenth. What must hold is stated with each figure. Times
are processor time on one thread: ours of this process, R's as it tells them itself.

    python benchmarks/bench_r.py [--run DIR ...] [--data DIR] [--trees 1000] [--json FILE]

``--data`` is a folder with ``drivers/sierra-de-neiba`` and ``drivers/sao-miguel``.
"""

import argparse
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

os.environ.setdefault("RSEI_THREADS", "1")

import numpy as np
import pandas as pd
import rasterio
import rasterio.warp
from measured import keep
from numpy.typing import NDArray

from rsei.engine.analysis import drivers as made
from rsei.engine.analysis.forest import BLANK, TRAIN, VALID, ForestSettings, split
from rsei.engine.analysis.importance import added_error, scaled
from rsei.engine.analysis.trees import grown
from rsei.engine.analysis.validation import Scores, variance_explained
from rsei.engine.run.machine import processor
from rsei.engine.sources.grids import Lattice, Window
from rsei.engine.sources.rasters import on_lattice

Floats = NDArray[Any]

R_CODE = """
suppressMessages(library(randomForest))
a <- commandArgs(TRUE); set.seed(as.integer(a[4]))
d <- read.csv(a[1]); learn <- d$learn == 1; y <- d$rsei
x <- d[, setdiff(names(d), c("rsei", "learn"))]
t <- system.time(m <- randomForest(x[learn, ], y[learn], ntree = as.integer(a[2]),
                                   mtry = as.integer(a[3]), importance = TRUE))
p <- predict(m, x[!learn, ]); truth <- y[!learn]
say <- function(name, v) cat(name, sprintf("%.12g", v), "\\n")
say("seconds", t[["user.self"]]); say("explained", 100 * tail(m$rsq, 1))
say("r2", 1 - sum((truth - p)^2) / sum((truth - mean(truth))^2))
say("raw", importance(m, type = 1, scale = FALSE)[, 1]); say("se", m$importanceSD)
say("scaled", importance(m, type = 1)[, 1]); say("purity", m$importance[, "IncNodePurity"])
"""


def has_r() -> bool:
    """Whether R and its randomForest are installed."""
    if not shutil.which("Rscript"):
        return False
    asked = ["Rscript", "-e", "quit(status = !requireNamespace('randomForest', quietly = TRUE))"]
    return subprocess.run(asked, capture_output=True).returncode == 0


def of_r(
    table: pd.DataFrame, names: Sequence[str], trees: int, mtry: int, seed: int
) -> dict[str, Floats]:
    """What R says of rows with columns rsei, ``split`` and the drivers ``names``."""
    rows = table[["rsei", *names]].astype({name: np.float32 for name in names})
    with tempfile.TemporaryDirectory() as folder:
        file, code = Path(folder, "rows.csv"), Path(folder, "forest.R")
        learn = (table["split"] == TRAIN).astype(int)
        rows.assign(learn=learn).to_csv(file, index=False, float_format="%.17g")
        code.write_text(R_CODE)
        command = ["Rscript", str(code), str(file), str(trees), str(mtry), str(seed)]
        lines = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    words = (line.split() for line in lines.splitlines())
    return {name: np.array(values, float) for name, *values in words}


def of_ours(
    table: pd.DataFrame, names: Sequence[str], trees: int, mtry: int, seed: int
) -> dict[str, Floats]:
    """The same of our forest."""
    x, y = table[list(names)].to_numpy(np.float32), table["rsei"].to_numpy(np.float64)
    learn, judge = (np.flatnonzero(table["split"] == part) for part in (TRAIN, VALID))
    x_learn, y_learn = np.ascontiguousarray(x[learn]), y[learn]
    start = time.process_time()
    forest, unseen = grown(tuple(names), x_learn, y_learn, trees, mtry, seed)
    raw, error, ratio = scaled(added_error(forest, x_learn, y_learn, unseen, seed))
    seconds = time.process_time() - start
    explained = variance_explained(y_learn, forest.predict(x_learn, unseen))
    r2 = Scores.of(y[judge], forest.predict(x[judge])).r2
    found = {"seconds": seconds, "explained": explained, "r2": r2, "raw": raw}
    found |= {"se": error, "scaled": ratio, "purity": forest.purity}
    return {name: np.atleast_1d(value) for name, value in found.items()}


def averaged(forests: Sequence[dict[str, Floats]]) -> dict[str, Floats]:
    """The mean over forests, and its standard error; a list of each one's scaled importance."""
    mean = {name: np.mean([one[name] for one in forests], axis=0) for name in forests[0]}
    mean["se"] = np.sqrt(np.sum([one["se"] ** 2 for one in forests], axis=0)) / len(forests)
    return mean | {"scaled of each": np.array([one["scaled"] for one in forests])}


def agreement(ours: dict[str, Floats], r: dict[str, Floats]) -> dict[str, Any]:
    """How far the two are apart; each bound is what must hold."""
    joint = np.hypot(ours["se"], r["se"])
    strong = r["scaled"] >= 50
    apart = r["raw"][:, None] - r["raw"] > 3 * np.hypot(r["se"][:, None], r["se"])
    turned = apart & (ours["raw"][:, None] <= ours["raw"])
    off = np.abs(ours["scaled"] / r["scaled"] - 1)
    itself = r["scaled of each"].max(axis=0) / r["scaled of each"].min(axis=0) - 1
    return {
        "explained, points (1)": float(abs(ours["explained"] - r["explained"])[0]),
        "r2 (0.01)": float(abs(ours["r2"] - r["r2"])[0]),
        "raw, joint standard errors (3)": float((np.abs(ours["raw"] - r["raw"]) / joint).max()),
        "scaled where R's is 50, share (0.1)": float(off[strong].max(initial=0)),
        "the same, R against itself": float(itself[strong].max(initial=0)),
        "pairs in another order (0)": int(turned.sum()),
        "times as fast": float((r["seconds"] / ours["seconds"])[0]),
    }


def of_run(run: Path) -> Iterator[tuple[str, pd.DataFrame, list[str]]]:
    """The rows of each area of a run, and the drivers that its forest knows."""
    pixels = pd.read_parquet(run / "tables/drivers.parquet")
    known = pd.read_csv(run / "tables/importance.csv")
    for area, rows in pixels.groupby("area"):
        names = known.loc[known["area"] == area, "driver"].tolist()
        ordered = [name for name in made.DRIVERS if name in names]
        yield str(area), rows.dropna(subset=["split"]).reset_index(drop=True), ordered


def place(crs: str, bounds: tuple[float, float, float, float], size: float) -> tuple[Any, Any]:
    """A lattice, and the window of a box in longitude and latitude."""
    corners = rasterio.warp.transform_bounds("EPSG:4326", crs, *bounds)
    lattice, window, _ = made.grid(corners, crs, size)
    return lattice, window


def share_of(raster: Path, classes: Sequence[int], lattice: Lattice, window: Window) -> Floats:
    """Share of each pixel that is of some classes of land cover, (h, w)."""
    with rasterio.open(raster) as file, tempfile.TemporaryDirectory() as folder:
        profile = {"driver": "GTiff", "dtype": "float32", "count": 1, "nodata": -1}
        profile |= {name: file.profile[name] for name in ("height", "width", "crs", "transform")}
        values = file.read(1)
        mask = np.isin(values, classes).astype(np.float32)
        if file.nodata is not None:
            mask[values == file.nodata] = -1
        with rasterio.open(path := Path(folder, "mask.tif"), "w", **profile) as out:
            out.write(mask, 1)
        return on_lattice(path, lattice, window, "average")


def tabled(layers: dict[str, Floats], lattice: Lattice, window: Window) -> pd.DataFrame:
    """One row a pixel that all ``layers`` know, split as the forest's rows are."""
    x, y = np.meshgrid(lattice.x(window), lattice.y(window))
    columns = {name: np.asarray(layer, np.float64).ravel() for name, layer in layers.items()}
    table = pd.DataFrame({"x": x.ravel(), "y": y.ravel()} | columns).dropna(ignore_index=True)
    names = [name for name in layers if name != "rsei"]
    return table.assign(split=split(table, names, ForestSettings())).query(f"split != '{BLANK}'")


def neiba(folder: Path) -> tuple[pd.DataFrame, list[str]]:
    """Forest in the Sierra de Neiba, at 500 m, by relief, rain, people and the way to towns."""
    crs = "+proj=aea +lat_0=18 +lon_0=-71.5 +lat_1=17 +lat_2=20 +datum=WGS84 +units=m"
    lattice, window = place(crs, (-71.79, 18.59, -71.35, 18.69), 500)
    dem = on_lattice(folder / "nasa_srtm/NASADEM_HGT_n18w072.tif", lattice, window.grown(1))
    months = [folder / f"chirps/chirps-v2.0.2010.{month:02d}.tif" for month in range(1, 13)]
    rain = [on_lattice(month, lattice, window) for month in months]
    cover = folder / "esalandcover/W080N20_LC100_v3.0.1_2019.tif"
    layers = {
        "rsei": share_of(cover, range(111, 127), lattice, window),
        "dem": dem[1:-1, 1:-1],
        "slope": made.slope(dem, lattice)[1:-1, 1:-1],
        "prec": made.year_of_months(rain, "sum", "prec", "Neiba"),
        "people": on_lattice(folder / "worldpop/ppp_2019_1km_Aggregated.tif", lattice, window),
        "towns": on_lattice(folder / "nelson_et_al/traveltime-100k_200k.tif", lattice, window),
    }
    return tabled(layers, lattice, window), [*layers][1:]


def azores(folder: Path) -> tuple[pd.DataFrame, list[str]]:
    """Forest and semi-natural land on an island, at 500 m, by relief, people, streets and coast."""
    lattice, window = place("EPSG:32626", (-25.87, 37.69, -25.12, 37.92), 500)
    cover = folder / "clc2018_v2020_20u1.tif"
    dem = on_lattice(folder / "eu_dem_v11.tif", lattice, window.grown(1))
    sea = share_of(cover, (44,), lattice, window) > 0.5
    town = share_of(cover, range(1, 12), lattice, window)
    near = made.near_mines((town * ~sea).astype(np.float32), sea, lattice, "the island")
    layers = {
        "rsei": np.where(sea, np.nan, share_of(cover, range(23, 30), lattice, window)),
        "dem": dem[1:-1, 1:-1],
        "slope": made.slope(dem, lattice)[1:-1, 1:-1],
        "people": on_lattice(folder / "gpw_v411_2020_density_2020.tif", lattice, window),
        "dism": near.dism,
        "minea": near.minea,
    }
    return tabled(layers, lattice, window), [*layers][1:]


def scenes(asked: argparse.Namespace) -> Iterator[tuple[str, pd.DataFrame, list[str]]]:
    """Everything that is asked for: its name, rows and drivers."""
    for run in asked.run:
        yield from of_run(run)
    if asked.data:
        yield "Sierra de Neiba, real", *neiba(asked.data / "drivers/sierra-de-neiba")
        yield "Sao Miguel, real", *azores(asked.data / "drivers/sao-miguel")


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--run", type=Path, nargs="*", default=[])
    options.add_argument("--data", type=Path)
    options.add_argument("--trees", type=int, default=1000)
    options.add_argument("--seeds", type=int, default=3)
    options.add_argument("--json", type=Path)
    asked = options.parse_args()
    if not has_r():
        raise SystemExit("R is not installed: apt-get install r-cran-randomforest")
    found: dict[str, Any] = {}
    for name, table, names in scenes(asked):
        seeds = range(1, asked.seeds + 1)
        pair = [
            averaged([form(table, names, asked.trees, 3, seed) for seed in seeds])
            for form in (of_ours, of_r)
        ]
        ours, r = ({key: value.tolist() for key, value in one.items()} for one in pair)
        found[name] = {"rows": len(table), "drivers": names, "rsei": ours, "R": r}
        found[name]["apart"] = agreement(*pair)
        print(f"{name}: {len(table)} rows")
        shown = {"R raw": r["raw"], "raw": ours["raw"]} | {
            "R scaled": r["scaled"],
            "scaled": ours["scaled"],
        }
        print(pd.DataFrame(shown, names).sort_values("R raw", ascending=False).round(5).to_string())
        for what, value in found[name]["apart"].items():
            print(f"  {what:40} {value:.3g}")
    machine = processor()
    found = {"machine": machine, "trees": asked.trees, "seeds": asked.seeds, "places": found}
    keep(found, asked.json)


if __name__ == "__main__":
    main()
