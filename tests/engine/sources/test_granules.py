# SPDX-License-Identifier: Apache-2.0
"""The catalogue of a folder, and reading, on real files and on granules written by pyhdf."""

import logging
import os
import pickle
import shutil
import warnings
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pytest
import rasterio
from granule_files import core_metadata, granule_name, noise, struct_metadata, write_granule
from hypothesis import given, settings
from hypothesis import strategies as st
from pyhdf.SD import SD

from rsei.engine.sources import encoding
from rsei.engine.sources.errors import GranuleError, GridError
from rsei.engine.sources.granules import Granule, catalogue, read
from rsei.engine.sources.grids import SINUSOIDAL_500M, Window, tile_window
from rsei.engine.sources.products import products

DAY = date(2022, 6, 2)
BANDS = ["red", "nir", "blue", "green", "nir2", "swir1", "swir2"]


# ---- real files


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


# ---- windows


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("granules")
    for day in (DAY, DAY + timedelta(8)):
        write_granule(folder / f"{day:%Y}", "MOD09A1", day)
    write_granule(folder / "heat", "MOD11A2", DAY)
    write_granule(folder / "ndvi", "MOD13A1", date(2022, 6, 10))
    (folder / "README.txt").write_text("nothing")
    return folder


@given(st.tuples(*[st.integers(-40, 40)] * 2, *[st.integers(1, 45)] * 2), st.booleans())
@settings(max_examples=30, deadline=None)
def test_any_window_is_part_of_the_whole_and_fill_outside(
    folder: Path, box: tuple[int, int, int, int], given_out: bool
) -> None:
    for product in ("MOD09A1", "MOD11A2"):
        granule = catalogue(folder).of(product)[0]
        window = Window(granule.window.top + box[0], granule.window.left + box[1], *box[2:])
        layers = products()[product].layers
        names = [layer.name for layer in layers]
        out = {layer.name: np.zeros(window.shape, layer.dtype) for layer in layers}
        arrays = read(granule, names, window, out if given_out else None)
        whole = read(granule, names, granule.window)
        for layer in layers:
            expected = np.full((200, 200), layer.outside, layer.dtype)
            expected[80:100, 80:110] = whole[layer.name]
            top, left = 80 + box[0], 80 + box[1]
            part = expected[top : top + window.height, left : left + window.width]
            assert np.array_equal(arrays[layer.name], part)
            assert not given_out or arrays[layer.name] is out[layer.name]


def test_the_fill_of_a_quality_word_without_one_means_not_produced() -> None:
    assert products()["MOD11A2"].layer("lst_qc").outside & 3 == 3


def test_reading_into_part_of_a_stack(folder: Path) -> None:
    granules = catalogue(folder).of("MOD09A1")
    window = granules[0].window
    stack = np.zeros((2, 7, *window.shape), ">i2")
    for t, granule in enumerate(granules):
        read(granule, BANDS, window, {name: stack[t, b] for b, name in enumerate(BANDS)})
        for b, name in enumerate(BANDS):
            assert np.array_equal(stack[t, b], read(granule, [name], window)[name])


def test_an_output_of_another_type_is_refused(folder: Path) -> None:
    granule = catalogue(folder).of("MOD09A1")[0]
    with pytest.raises(TypeError, match="expected int16"):
        read(granule, ["red"], granule.window, {"red": np.zeros(granule.window.shape, "int32")})


# ---- the catalogue


def test_a_folder_is_searched_below_and_other_files_are_counted(folder: Path) -> None:
    found = catalogue(folder)
    assert [(one.product, one.date.timetuple().tm_yday) for one in found.granules] == [
        ("MOD09A1", 153), ("MOD09A1", 161), ("MOD11A2", 153), ("MOD13A1", 161),
    ]  # fmt: skip
    assert [path.name for path in found.skipped] == ["README.txt"]
    assert found.lattice == SINUSOIDAL_500M and found.tiles == ("h27v05",)
    assert pickle.loads(pickle.dumps(found)) == found


def test_links_are_followed_and_cycles_end(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "data").symlink_to(folder)
    (tmp_path / "again").symlink_to(folder)
    (tmp_path / "cycle").symlink_to(tmp_path)
    (tmp_path / "broken.hdf").symlink_to(tmp_path / "absent")
    found = catalogue(tmp_path)
    assert len(found.granules) == 4 and not found.replaced and not found.bad


def test_one_content_under_two_names_is_two_files(tmp_path: Path) -> None:
    first = appeears(tmp_path / "store", "MOD09A1", "red", np.zeros((20, 30), "int16"))
    content = first.rename(tmp_path / "store" / "object")
    for band in ("b01", "b02"):
        name = f"MOD09A1.061_sur_refl_{band}_doy2022161_aid0001.tif"
        (tmp_path / name).symlink_to(content)
    (granule,) = catalogue(tmp_path).granules
    assert [source.layer for source in granule.sources] == ["red", "nir"]


def test_the_newest_production_wins_and_the_loser_is_recorded(tmp_path: Path) -> None:
    old = write_granule(tmp_path, "MOD09A1", DAY, produced="2022170000000")
    new = write_granule(tmp_path / "later", "MOD09A1", DAY, produced="2022180000000")
    found = catalogue(tmp_path)
    assert [one.files for one in found.granules] == [(new,)]
    assert found.replaced == ((old, new),)


def test_subsets_side_by_side_are_both_kept(tmp_path: Path) -> None:
    corner = tile_window("h27v05")
    for k in range(2):
        window = Window(corner.top + 100, corner.left + 40 * k, 20, 30)
        write_granule(tmp_path / str(k), "MOD09A1", DAY, window=window)
    assert len(catalogue(tmp_path).granules) == 2


def test_mixed_collections_are_an_error_unless_allowed(tmp_path: Path) -> None:
    write_granule(tmp_path, "MOD09A1", DAY, collection="061")
    old = write_granule(tmp_path, "MOD09A1", DAY, collection="006", produced="2030001000000")
    write_granule(tmp_path, "MOD09A1", DAY + timedelta(8), collection="006")
    with pytest.raises(GranuleError, match=r"collection 061, found 2 of 006.*mixed_collections"):
        catalogue(tmp_path)
    found = catalogue(tmp_path, mixed_collections=True)
    assert [one.collection for one in found.granules] == ["061", "006"]
    assert [loser for loser, _ in found.replaced] == [old]


def test_missing_granules_are_a_matrix_of_dates_and_tiles(tmp_path: Path) -> None:
    days = list(products()["MOD09A1"].dates(2022))[19:23]
    for tile, held in (("h27v05", days[:3]), ("h27v04", days[1:])):
        for day in held:
            write_granule(tmp_path, "MOD09A1", day, tile=tile)
    found = catalogue(tmp_path)
    assert found.tiles == ("h27v04", "h27v05")
    assert found.presence("MOD09A1", days).T.tolist() == [
        [False, *[True] * 3],
        [*[True] * 3, False],
    ]
    assert found.missing("MOD09A1", days) == ((days[0], "h27v04"), (days[3], "h27v05"))


def test_a_folder_that_is_none_is_named(tmp_path: Path) -> None:
    with pytest.raises(GranuleError, match="absent: expected a folder of granules"):
        catalogue(tmp_path / "absent")


# ---- other grids


def write_tiff(path: Path, array: np.ndarray, transform, crs: str, **profile) -> Path:  # type: ignore
    path.parent.mkdir(parents=True, exist_ok=True)
    height, width = array.shape
    form = {"driver": "GTiff", "height": height, "width": width, "count": 1, "dtype": array.dtype}
    with rasterio.open(path, "w", transform=transform, crs=crs, **form | profile) as file:
        file.write(array, 1)
    return path


def appeears(folder: Path, product: str, layer: str, array: np.ndarray, shift=(0, 0), **profile):  # type: ignore
    """A layer as AppEEARS cuts it, shifted by (columns, rows) of 500 m."""
    from affine import Affine

    known = products()[product]
    side = 0.0041666666667 * known.pixel / 500
    left, top = 110 + shift[0] * 0.0041666666667, 36 - shift[1] * 0.0041666666667
    stored = known.layer(layer).stored.replace(" ", "_")
    stored = "_" + stored if stored[0].isdigit() else stored
    path = folder / f"{product}.061_{stored}_doy2022161000000_aid0001.tif"
    return write_tiff(path, array, Affine(side, 0, left, 0, -side, top), "EPSG:4326", **profile)


def test_layers_of_one_request_share_one_tile_name(tmp_path: Path) -> None:
    appeears(tmp_path, "MOD09A1", "red", np.zeros((20, 30), "int16"))
    appeears(tmp_path, "MOD13A1", "ndvi", np.zeros((20, 30), "int16"))
    for shift in ((0, 0), (-1, 1)):
        appeears(tmp_path / str(shift), "MOD11A2", "lst", np.zeros((10, 15), "uint16"), shift)
        found = catalogue(tmp_path)
        assert len(found.tiles) == 1 and found.tiles[0] == found.lattice.name
        heat = found.of("MOD11A2")[0]
        assert heat.lattice.dx == pytest.approx(2 * found.lattice.dx)
        west = (heat.lattice.left - found.lattice.left) / found.lattice.dx
        assert west + 2 * heat.window.left == pytest.approx(shift[0])
        shutil.rmtree(tmp_path / str(shift))


def test_rounded_corners_are_one_lattice(tmp_path: Path) -> None:
    appeears(tmp_path, "MOD09A1", "red", np.zeros((20, 30), "int16"))
    appeears(tmp_path, "MOD09A1", "nir", np.zeros((20, 30), "int16"), (1e-7, -1e-7))
    appeears(tmp_path, "MOD13A1", "ndvi", np.zeros((8, 9), "int16"), (5, 3))
    found = catalogue(tmp_path)
    assert len(found.granules) == 2 and len(found.granules[0].sources) == 2
    assert found.granules[1].window == Window(3, 5, 8, 9)


def test_unrelated_grids_are_an_error(tmp_path: Path) -> None:
    appeears(tmp_path, "MOD09A1", "red", np.zeros((20, 30), "int16"))
    appeears(tmp_path, "MOD13A1", "ndvi", np.zeros((20, 30), "int16"), (0.4, 0))
    with pytest.raises(GridError, match="expected granules on one grid"):
        _ = catalogue(tmp_path).lattice


def test_rows_from_the_south_are_bad_and_the_rest_is_kept(tmp_path: Path) -> None:
    from affine import Affine

    appeears(tmp_path, "MOD13A1", "ndvi", np.zeros((20, 30), "int16"))
    path = tmp_path / "MOD09A1.061_sur_refl_b01_doy2022153_aid0001.tif"
    write_tiff(path, np.zeros((4, 5), "int16"), Affine(0.1, 0, 110, 0, 0.1, 30), "EPSG:4326")
    found = catalogue(tmp_path)
    assert [one.product for one in found.granules] == ["MOD13A1"]
    assert "expected a north-up raster" in found.bad[0].reason and path.name in found.bad[0].reason


def test_a_differing_tag_of_a_quality_word_is_a_log_line(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    words = np.arange(150, dtype="int16").reshape(10, 15)
    appeears(tmp_path, "MOD11A2", "lst_qc", words, nodata=0)
    encoding._note.cache_clear()
    with caplog.at_level(logging.INFO):
        found = catalogue(tmp_path)
        array = read(found.granules[0], ["lst_qc"], found.granules[0].window)["lst_qc"]
    assert array.dtype == "uint8" and np.array_equal(array, words)
    assert "QC_Day" in caplog.text and "the product table wins" in caplog.text


# ---- bad input: each is named, and nothing else is lost


def only_bad(folder: Path) -> str:
    found = catalogue(folder)
    assert len(found.bad) == 1 and not found.granules, found
    assert found.bad[0].path.name in found.bad[0].reason
    return found.bad[0].reason


def test_damaged_hdf4_is_bad_and_the_rest_is_kept(folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder, tmp_path / "granules")
    good = next((tmp_path / "granules").rglob("MOD09A1*.hdf"))
    for k, content in enumerate(
        [b"", b"<!DOCTYPE html><title>Earthdata Login</title>", good.read_bytes()[:20_000]]
    ):
        name = granule_name("MOD09A1", DAY + timedelta(8 * (k + 2)), "h27v05")
        (tmp_path / "granules" / name).write_bytes(content)
    found = catalogue(tmp_path / "granules")
    assert len(found.granules) == 4
    reasons = " ".join(bad.reason for bad in found.bad)
    for text in ("an empty file", "a web page", "damage"):
        assert text in reasons


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"core_day": DAY + timedelta(8)}, "expected date 2022-06-02 as in its name"),
        ({"core_tile": "h28v05"}, "expected tile h27v05 as in its name, found h28v05"),
        ({"core": core_metadata(granule_name("MYD09A1", DAY, "h27v05"), DAY, "061", "h27v05")},
         "expected product MOD09A1 as in its name, found MYD09A1"),
        ({"core": core_metadata(granule_name("MOD09A1", DAY, "h27v05"), DAY, "006", "h27v05")},
         "expected collection 61 as in its name, found 6"),
        ({"name": granule_name("MOD09A1", DAY, "h27v05", produced="2022999000000")},
         "expected production time"),
        ({"window": Window(0, 0, 20, 30)}, "expected a grid in tile h27v05"),
        ({"struct": "END"}, "expected a grid with a layer sur_refl_b01"),
        ({"collection": "005"}, "expected collection 006 or 061 of MOD09A1, found 005"),
    ],
)  # fmt: skip
def test_name_and_metadata_that_disagree_are_bad(tmp_path: Path, changes, text: str) -> None:  # type: ignore
    write_granule(tmp_path, "MOD09A1", DAY, **changes)
    assert text in only_bad(tmp_path)


def test_another_sphere_is_bad(tmp_path: Path) -> None:
    corner = tile_window("h27v05")
    window = Window(corner.top, corner.left, 20, 30)
    fields = {layer.stored: layer.dtype for layer in products()["MOD09A1"].layers}
    struct = struct_metadata(SINUSOIDAL_500M, window, fields)
    write_granule(tmp_path, "MOD09A1", DAY, struct=struct.replace("6371007.181", "6378137.000"))
    assert "expected the sinusoidal projection of the MODIS sphere" in only_bad(tmp_path)


def test_a_missing_band_is_bad(tmp_path: Path) -> None:
    arrays = noise(products()["MOD09A1"], (20, 30))
    del arrays["sur_refl_b06"]
    write_granule(tmp_path, "MOD09A1", DAY, arrays=arrays)
    assert "expected a layer sur_refl_b06" in only_bad(tmp_path)


def test_a_layer_of_another_shape_is_bad(tmp_path: Path) -> None:
    arrays = noise(products()["MOD09A1"], (20, 30))
    arrays["sur_refl_b03"] = arrays["sur_refl_b03"][:-1]
    write_granule(tmp_path, "MOD09A1", DAY, arrays=arrays)
    assert "expected 20 x 30 pixels in sur_refl_b03" in only_bad(tmp_path)


def test_a_fraction_for_a_quality_word_is_bad(tmp_path: Path) -> None:
    arrays = noise(products()["MOD09A1"], (20, 30))
    arrays["sur_refl_qc_500m"] = arrays["sur_refl_qc_500m"].astype("float32")
    write_granule(tmp_path, "MOD09A1", DAY, arrays=arrays)
    assert "expected uint32 or int64 in sur_refl_qc_500m, found float32" in only_bad(tmp_path)


def test_a_contradicting_scale_is_an_error_when_read(tmp_path: Path) -> None:
    write_granule(tmp_path, "MOD09A1", DAY, tags={"sur_refl_b01": {"scale_factor": 0.01}})
    granule = catalogue(tmp_path).granules[0]
    with pytest.raises(GranuleError, match=r"hdf: expected .*scale 0\.0001.*found .*scale 0\.01"):
        read(granule, ["red"], granule.window)
    assert read(granule, ["nir"], granule.window)["nir"].shape == granule.window.shape


def test_a_layer_that_was_not_requested_is_an_error_when_read(tmp_path: Path) -> None:
    appeears(tmp_path, "MOD09A1", "red", np.zeros((20, 30), "int16"))
    granule = catalogue(tmp_path).granules[0]
    with pytest.raises(GranuleError, match="expected the layer sur_refl_state_500m of MOD09A1"):
        read(granule, ["red", "state"], granule.window)


def test_a_value_that_does_not_fit_is_an_error_when_read(tmp_path: Path) -> None:
    array = np.full((10, 15), 65536, "int32")
    appeears(tmp_path, "MOD11A2", "lst", array, nodata=0)
    granule = catalogue(tmp_path).granules[0]
    with pytest.raises(GranuleError, match=r"expected values of uint16 in LST_Day_1km.*65536"):
        read(granule, ["lst"], granule.window)


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (b'<VRTDataset rasterXSize="1" rasterYSize="1"></VRTDataset>', "starts with b'<VRTD"),
        (b"/vsicurl/https://example.org/a.tif", "starts with b'/vsicurl"),
        (b"<html>log in</html>", "a web page"),
        (b"", "an empty file"),
        (b"II*\0" + bytes(60), "download it again|get it again"),
    ],
)
def test_what_is_no_geotiff_is_bad(tmp_path: Path, content: bytes, found: str) -> None:
    import re

    path = tmp_path / "MOD09A1.061_sur_refl_b01_doy2022153_aid0001.tif"
    path.write_bytes(content)
    assert re.search(found, only_bad(tmp_path))


def test_a_geotiff_without_a_place_is_bad(tmp_path: Path) -> None:
    from affine import Affine
    from rasterio.errors import NotGeoreferencedWarning

    path = tmp_path / "MOD09A1.061_sur_refl_b01_doy2022153_aid0001.tif"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        write_tiff(path, np.zeros((4, 5), "int16"), Affine.identity(), "")
        assert "expected a coordinate system and a grid" in only_bad(tmp_path)


def test_files_beside_a_geotiff_change_nothing(tmp_path: Path) -> None:
    array = np.arange(600, dtype="int16").reshape(20, 30)
    path = appeears(tmp_path, "MOD09A1", "red", array, nodata=-28672)
    text = "<PAMDataset><PAMRasterBand band='1'><Scale>0.5</Scale></PAMRasterBand></PAMDataset>"
    path.with_suffix(".tif.aux.xml").write_text(text)
    path.with_suffix(".tfw").write_text("1\n0\n0\n-1\n0\n0\n")
    granule = catalogue(tmp_path).granules[0]
    assert np.array_equal(read(granule, ["red"], granule.window)["red"], array)


@pytest.mark.parametrize("content", [b"", b"CDF\x01", b"<html>", b"\x89HDF\r\n\x1a\n" + bytes(99)])
def test_what_is_no_netcdf_is_bad(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "MOD11A2.061_aid0001.nc").write_bytes(content)
    assert "MOD11A2.061_aid0001.nc" in only_bad(tmp_path)


def test_a_netcdf_of_another_product_is_bad(real_data: Path, tmp_path: Path) -> None:
    path = tmp_path / "MYD11A2.006_aid0001.nc"
    shutil.copy(real_data / "western-new-york" / "MOD11A2.006_aid0001.nc", path)
    assert "expected MYD11A2.006 as in its name" in only_bad(tmp_path)


def test_tags_of_a_geotiff_that_contradict_its_name_are_bad(
    real_data: Path, tmp_path: Path
) -> None:
    source = next((real_data / "central-america-ndvi-2018").glob("*2018145*NDVI*.tif"))
    name = source.name.replace("MOD13A2", "MOD13A1").replace("1_km_16", "500m_16")
    shutil.copy(source, tmp_path / name)
    assert "expected product MOD13A1 as in its name, found MOD13A2" in only_bad(tmp_path)


def test_a_stream_that_was_damaged_after_the_catalogue_names_file_and_layer(
    tmp_path: Path,
) -> None:
    path = write_granule(tmp_path, "MOD13A1", DAY)
    granule: Granule = catalogue(tmp_path).granules[0]
    size = os.path.getsize(path)
    data = bytearray(path.read_bytes())
    middle = data.index(b"\x78", 3000)
    data[middle + 40] ^= 255
    path.write_bytes(data)
    assert os.path.getsize(path) == size
    with pytest.raises(GranuleError, match=path.name):
        read(granule, ["ndvi", "vi", "reliability"], granule.window)
