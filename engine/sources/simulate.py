# SPDX-License-Identifier: Apache-2.0
"""Simulated studies: granules of any tile and window, and a whole mining city with its truth."""

import datetime as dt
import json
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from itertools import groupby
from operator import itemgetter
from pathlib import Path

import numpy as np
import rasterio

from ...kernels.launch import cores
from .errors import GranuleError
from .grids import SINUSOIDAL, SINUSOIDAL_500M, Window, tile_window, tiles
from .products import products
from .simulated_files import written_once
from .simulated_granules import Header, product_form, write_granule
from .simulated_inputs import write_rasters, write_vectors
from .simulated_place import DEMO_SEED, DEMO_WINDOW, demo_place
from .simulated_region import Region
from .simulated_scenes import Scene, even
from .simulated_surface import SEASON, Surface
from .simulated_truth import Truth, truth
from .simulated_world import (
    BY_IMPORTANCE,
    PIT,
    REACH_KM,
    THRESHOLD_KM2,
    WEIGHTS,
    WITHOUT_EFFECT,
    World,
)

__all__ = [
    "DEMO_EPOCHS",
    "DEMO_SEED",
    "DEMO_WINDOW",
    "Region",
    "Scene",
    "Surface",
    "Truth",
    "World",
    "demo_place",
    "demo_world",
    "even",
    "season_dates",
    "truth",
    "write_demo",
    "write_granules",
]

DEMO_EPOCHS = (2004, 2012, 2020)
"""Epochs of the demo, each of three years."""

NEVER_MADE = {
    ("MOD11A2", dt.date(2001, 6, 18)),
    ("MOD11A2", dt.date(2001, 6, 26)),
    ("MOD09A1", dt.date(2012, 7, 27)),
}
"""Granules that do not exist: Terra was off in June 2001; the third is the demo's own gap."""

MOST_PROCESSES = 4
"""Processes that simulate the demo at most: each takes a second to start, and there is little."""

Progress = Callable[[int, int], None]
"""Called with the number of granules written and to write."""


def season_dates(product: str, years: Iterable[int]) -> list[dt.date]:
    """Starts of the June–September periods of a product, such as ``MOD13A1.061``.

    >>> [len(season_dates(name, [2012])) for name in ("MOD09A1.061", "MOD13A1.061")]
    [16, 8]
    >>> season_dates("MYD13A1.061", [2013])[0].isoformat()
    '2013-06-02'
    """
    calendar = products()[product.split(".")[0]]  # Aqua's 16 days begin 8 after Terra's
    first, last = SEASON[0], SEASON[-1]
    return [
        date
        for year in years
        for date in calendar.dates(year)
        if first <= date.timetuple().tm_yday <= last
    ]


def write_granules(
    folder: Path, product: str, world: World, dates: Iterable[dt.date]
) -> list[Path]:
    """Write a product's granules over ``world``, one a tile and date; their paths.

    ``product`` is an ESDT name with its collection, such as ``MYD11A2.006``; the world's window may
    lie over several tiles. Files that exist are kept and their scenes not made again. Raises
    GranuleError for an unknown product, and where a 1 km product would cut a pixel (see ``even``).
    """
    return list(_granules(folder, product, world, dates))


def _granules(folder: Path, product: str, world: World, dates: Iterable[dt.date]) -> Iterator[Path]:
    """``write_granules``, a path at a time."""
    form = product_form(product.split(".")[0])
    if form.lattice != SINUSOIDAL_500M and world.window != even(world.window):
        raise GranuleError(f"expected a window of whole 1 km pixels, found {world.window}")
    surface, year = None, 0
    for date in dates:
        if (form.name, date) in NEVER_MADE:
            continue
        headers = [Header(product, date, window) for window in _by_tile(world.window, product)]
        if not all((folder / header.file_name).exists() for header in headers):
            if surface is None or year != date.year:
                surface, year = Surface.of(world, date.year), date.year
            layers = Scene(world, surface, product, date).layers()
            outer = _on(product, world.window)
            for header in headers:
                where = header.window.slices(outer)
                write_granule(folder, header, {k: v[where] for k, v in layers.items()})
        yield from (folder / header.file_name for header in headers)


def _on(product: str, window: Window) -> Window:
    """``window`` in the product's own pixels."""
    if product_form(product[:7]).lattice == SINUSOIDAL_500M:
        return window
    return Window(*(edge // 2 for edge in (window.top, window.left, window.height, window.width)))


def _by_tile(window: Window, product: str) -> list[Window]:
    """The part of ``window`` in each tile, in the product's own pixels."""
    return [_on(product, window & tile_window(tile)) for tile in tiles(window)]


def demo_world(seed: int = DEMO_SEED) -> World:
    """The demo's mining city."""
    return World(DEMO_WINDOW, demo_place(seed).region, seed)


def write_demo(folder: Path, seed: int = DEMO_SEED, progress: Progress | None = None) -> None:
    """Write the demo's study: study.toml, granules/, inputs/ and truth/; what exists is kept."""
    folder.mkdir(parents=True, exist_ok=True)
    years = sorted({epoch + shift for epoch in DEMO_EPOCHS for shift in (-1, 0, 1)})
    shares = min(cores(), MOST_PROCESSES)
    # The HDF4 library holds Python's lock while it packs, so threads would not help.
    command = (sys.executable, "-P", "-m", __name__, str(folder), str(seed))
    others = [
        subprocess.Popen([*command, *map(str, years[share::shares])]) for share in range(1, shares)
    ]
    try:
        _write_demo(folder, seed, years, shares, progress)
        if any([one.wait() for one in others]):
            raise RuntimeError("expected every year to be simulated, found a process that failed")
    finally:
        for one in others:
            one.kill()
    written_once(folder / "study.toml", lambda path: path.write_text(_study(), "utf-8"))


def _write_demo(
    folder: Path, seed: int, years: Sequence[int], shares: int, progress: Progress | None
) -> None:
    """Write what the demo needs beside granules, and the granules of the first share of years."""
    world, place = demo_world(seed), demo_place(seed)
    (folder / "inputs").mkdir(exist_ok=True)
    write_vectors(folder / "inputs", place)
    write_rasters(folder / "inputs", world, max(DEMO_EPOCHS), DEMO_EPOCHS)
    _write_truth(folder / "truth", world, place.areas_km2)
    total, own = (len(list(_demo_jobs(part))) for part in (years, years[::shares]))
    total, own = total * len(tiles(DEMO_WINDOW)), own * len(tiles(DEMO_WINDOW))
    for written, _ in enumerate(_demo_granules(folder, world, years[::shares]), 1):
        if progress:
            progress(total * written // own, total)  # the other shares are about as far


def _demo_jobs(years: Iterable[int]) -> Iterator[tuple[str, dt.date]]:
    """Product and date of what the demo's archive holds of some years."""
    for product in ("MOD09A1.061", "MOD13A1.061", "MOD11A2.061"):
        for date in season_dates(product, years):
            if (product[:7], date) not in NEVER_MADE:
                yield product, date


def _demo_granules(folder: Path, world: World, years: Iterable[int]) -> Iterator[Path]:
    """Write the demo's granules of some years, a path at a time."""
    for product, jobs in groupby(_demo_jobs(years), key=itemgetter(0)):
        dates = [date for _, date in jobs]
        yield from _granules(folder / "granules", product, world, dates)


def _write_truth(folder: Path, world: World, areas_km2: tuple[float, ...]) -> None:
    """``{epoch}.tif``, the true fields of an epoch, and ``known.json``, what was put in."""
    for epoch in DEMO_EPOCHS:
        written_once(folder / f"{epoch}.tif", partial(_truth_tif, world=world, epoch=epoch))
    known = {
        "drivers_by_importance": list(BY_IMPORTANCE),
        "drivers_without_effect": list(WITHOUT_EFFECT),
        "driver_weights": dict(WEIGHTS),
        "ring_break_km": REACH_KM,
        "mine_size_threshold_km2": THRESHOLD_KM2,
        "mine_loss": {"smallest": PIT[0], "added_up_to_threshold": PIT[1]},
        "mine_areas_km2": [round(area, 4) for area in areas_km2],
    }
    written_once(folder / "known.json", lambda path: path.write_text(json.dumps(known, indent=1)))


def _truth_tif(path: Path, world: World, epoch: int) -> None:
    """The true indicators and quality on the demo's pixels, float32."""
    true = truth(world, epoch)
    bands = {**true.indicators(), "quality": true.quality, "water": true.water, "pit": true.pit}
    with rasterio.open(
        path,
        "w",
        driver="GTiff",
        height=DEMO_WINDOW.height,
        width=DEMO_WINDOW.width,
        count=len(bands),
        dtype="float32",
        crs=SINUSOIDAL,
        transform=SINUSOIDAL_500M.transform(DEMO_WINDOW),
        nodata=np.nan,
        compress="deflate",
    ) as file:
        for number, (name, values) in enumerate(bands.items(), 1):
            file.write(values.astype(np.float32), number)
            file.set_band_description(number, name)


STUDY = """\
# A mining city that does not exist, in the products' own file formats.
# Its true state is in truth/: what a run should find can be compared with it.

[study]
name = "demo"
out = "run"
epochs = [{epochs}]

[granules]
path = "granules"
season = ["06-01", "09-30"]
membership = "start"
reach = 1
collection = "061"

[quality]
preset = "standard"

[indicators]
greenness = "product"
heat = "product"

[water]
mndwi = 0.0
land_cover = {{ raster = "inputs/lc_{{year}}.tif", classes = [17, 11] }}

[rsei]
limits = "minmax"
direction = "expected"

[[area]]
name = "Demo city"
boundary = "inputs/boundary.gpkg"
mines = "inputs/mines.gpkg"
coast = "inputs/coast.gpkg"

[drivers]
year = {year}
crs = "ESRI:102025"
resolution = 1000

[drivers.layers]
dem = "inputs/dem.tif"
prec = {{ months = "inputs/prec_{{year}}_{{month:02d}}.tif" }}
gdp = "inputs/gdp.tif"
ntl = "inputs/ntl.tif"
elec = "inputs/elec.tif"
co2 = "inputs/co2.tif"
pm25 = "inputs/pm25.tif"

[forest]
trees = 500
mtry = 3
validation = 0.3
seed = 1
"""


def _study() -> str:
    """The demo's study file."""
    return STUDY.format(epochs=", ".join(map(str, DEMO_EPOCHS)), year=max(DEMO_EPOCHS))


if __name__ == "__main__":
    for _ in _demo_granules(
        Path(sys.argv[1]), demo_world(int(sys.argv[2])), [int(year) for year in sys.argv[3:]]
    ):
        pass
