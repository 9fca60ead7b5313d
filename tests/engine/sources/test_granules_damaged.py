# SPDX-License-Identifier: Apache-2.0
"""Bad granules: each is named, and nothing else is lost."""

import os
import shutil
import warnings
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pytest
from affine import Affine
from appeears_files import appeears, write_tiff
from granule_files import core_metadata, granule_name, noise, struct_metadata, write_granule

from rsei.engine.sources.errors import GranuleError
from rsei.engine.sources.granules import Granule, catalogue, read
from rsei.engine.sources.grids import SINUSOIDAL_500M, Window, tile_window
from rsei.engine.sources.products import products

DAY = date(2022, 6, 2)


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
