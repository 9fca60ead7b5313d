# SPDX-License-Identifier: Apache-2.0
"""The catalogue of a folder, and reading, on real files."""

from datetime import date
from pathlib import Path

import numpy as np
import rasterio
from pyhdf.SD import SD

from rsei.engine.sources.granules import catalogue, read
from rsei.engine.sources.grids import SINUSOIDAL_500M, Window, tile_window
from rsei.engine.sources.products import products

BANDS = ["red", "nir", "blue", "green", "nir2", "swir1", "swir2"]


def test_munich_is_sixteen_complete_granules_on_one_lattice(real_data: Path) -> None:
    found = catalogue(real_data / "munich-2022")
    assert not found.bad and not found.replaced
    assert [one.date.timetuple().tm_yday for one in found.granules] == list(range(153, 274, 8))
    assert {one.window for one in found.granules} == {Window(0, 0, 108, 110)}
    assert found.tiles == (found.lattice.name,)
    assert all(one.lattice == found.lattice for one in found.granules)
    names = [source.layer for source in found.granules[0].sources]
    assert names == [*BANDS, "qc", "state"]
    others = [path for path in found.skipped if path.match("*day_of_year*.tif")]
    assert len(others) == 16


def test_munich_is_read_as_rasterio_reads_it(real_data: Path) -> None:
    found = catalogue(real_data / "munich-2022")
    for granule in found.granules[::5]:
        arrays = read(granule, [*BANDS, "qc", "state"], granule.window)
        for source in granule.sources:
            with rasterio.open(source.path) as peer:
                assert np.array_equal(arrays[source.layer], peer.read(1))
                assert arrays[source.layer].dtype == peer.dtypes[0]


def test_western_new_york_has_every_date_but_two(real_data: Path) -> None:
    found = catalogue(real_data / "western-new-york", "006")
    heat = products()["MOD11A2"]
    dates = [day for year in range(2000, 2018) for day in heat.dates(year)][:811]
    assert [one.date for one in found.of("MOD11A2")] == dates
    assert found.missing("MOD11A2", dates) == ()
    assert len(found.of("MOD13A2")) == 406
    unknown = date(2001, 6, 18)
    assert found.missing("MOD11A2", [dates[0], unknown]) == ((unknown, found.tiles[0]),)
    assert found.presence("MOD11A2", [dates[0], unknown]).tolist() == [[True], [False]]


def test_widened_heat_is_read_in_its_own_type(real_data: Path) -> None:
    import h5py

    found = catalogue(real_data / "western-new-york", "006")
    with h5py.File(real_data / "western-new-york" / "MOD11A2.006_aid0001.nc") as peer:
        for k in (0, 405, 406, 810):
            granule = found.of("MOD11A2")[k]
            arrays = read(granule, ["lst", "lst_qc"], granule.window)
            assert arrays["lst"].dtype == "uint16" and arrays["lst_qc"].dtype == "uint8"
            assert np.array_equal(arrays["lst"], peer["LST_Day_1km"][k])
            assert np.array_equal(arrays["lst_qc"], peer["QC_Day"][k])


def test_real_hdf4_granules_lie_where_their_metadata_says(real_data: Path) -> None:
    found = catalogue(real_data / "granules", "006")
    assert not found.bad
    reflectance, daily = found.of("MOD09A1")[0], found.of("MOD09GA")[0]
    assert reflectance.tile == "h18v04" and reflectance.collection == "006"
    assert reflectance.date == date(2017, 7, 12)
    assert reflectance.produced == "2017202035302"
    assert reflectance.window in tile_window("h18v04")
    assert reflectance.lattice == SINUSOIDAL_500M
    assert daily.window == tile_window("h14v17")
    # resampled by a subset tool: on a grid of its own, half a pixel off the tiles' lattice
    assert found.of("MOD13A2")[0].tile.startswith("g")


def test_a_real_granule_is_read_as_pyhdf_reads_it(real_data: Path) -> None:
    for granule in catalogue(real_data / "granules", "006").granules:
        names = [source.layer for source in granule.sources]
        arrays = read(granule, names, granule.window)
        peer = SD(str(granule.files[0]))
        for source in granule.sources:
            assert np.array_equal(arrays[source.layer], peer.select(source.stored).get())
        peer.end()


def test_a_fractional_file_among_integers_is_named(real_data: Path) -> None:
    found = catalogue(real_data / "como-ndvi-2016")
    assert [bad.path.name[-7:-4] for bad in found.bad] == ["337", "353"]
    assert all("expected int16 or int32" in bad.reason for bad in found.bad)
    assert all("float32" in bad.reason and bad.path.name in bad.reason for bad in found.bad)
    assert len(found.granules) == 21


def test_reliability_255_becomes_minus_one(real_data: Path) -> None:
    found = catalogue(real_data / "central-america-ndvi-2018", "006")
    assert len(found.granules) == 9
    for granule in found.granules:
        rank = read(granule, ["reliability"], granule.window)["reliability"]
        with rasterio.open(granule.source("reliability").path) as peer:
            stored = peer.read(1)
        assert rank.dtype == "int8"
        assert np.array_equal(rank, np.where(stored == 255, -1, stored.astype(int)))
