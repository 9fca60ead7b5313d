# SPDX-License-Identifier: Apache-2.0
"""What ``rsei inspect`` reports, counted again from the pixels as other libraries read them."""

import json
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import rasterio
from numpy.typing import NDArray
from pyhdf.SD import SD

from rsei.engine.sources.errors import InputError
from rsei.engine.sources.inspection import inspect
from rsei.engine.sources.products import QUALITY_FIELDS

WORDS = {
    "sur_refl_qc_500m": "qc",
    "QC_500m_1": "qc",
    "sur_refl_state_500m": "state",
    "state_1km_1": "state",
    "state_1km_c": "state",
    "1 km 16 days VI Quality": "vi",
    "1 km 16 days pixel reliability": "reliability",
}


def counts(words: NDArray[Any], word: str) -> dict[str, dict[str, int]]:
    """Slow and obvious: the bits of each pixel as text."""
    width = 1 + max(last for _, last in QUALITY_FIELDS[word].values())
    report: dict[str, dict[str, int]] = {}
    values, numbers = np.unique(words.ravel(), return_counts=True)
    for name, (first, last) in QUALITY_FIELDS[word].items():
        found: dict[str, int] = {}
        for value, number in zip(values.tolist(), numbers.tolist()):
            text = format(value, f"0{width}b")[::-1][first : last + 1][::-1]
            found[str(int(text, 2))] = found.get(str(int(text, 2)), 0) + number
        report[name] = found
    return report


@pytest.mark.parametrize("which", ["MOD09A1", "MOD09GA", "MOD13A2"])
def test_a_real_granule_is_reported_as_pyhdf_reads_it(real_data: Path, which: str) -> None:
    path = next((real_data / "granules").glob(f"{which}.*.hdf"))
    report = inspect(path)
    assert json.loads(json.dumps(report)) == report
    peer = SD(str(path))
    assert [layer["name"] for layer in report["layers"]] == list(peer.datasets())
    for layer in report["layers"]:
        sds = peer.select(layer["name"])
        values, fill = sds.get(), sds.attributes().get("_FillValue")
        assert layer["nodata"] == fill
        assert layer["dtype"] == values.dtype.name and layer["shape"] == list(values.shape)
        kept = values if fill is None else values[values != fill]
        assert layer["valid"] == kept.size
        word = WORDS.get(layer["name"])
        assert ("fields" in layer) == (word is not None)
        if word:
            assert layer["fields"] == counts(kept, word)
            assert all(sum(field.values()) == kept.size for field in layer["fields"].values())
    peer.end()


def test_the_daily_granule_has_its_own_fill_and_divisor(real_data: Path) -> None:
    path = next((real_data / "granules").glob("MOD09GA.*.hdf"))
    layers = {layer["name"]: layer for layer in inspect(path)["layers"]}
    assert layers["QC_500m_1"]["nodata"] == 787410671
    assert layers["sur_refl_b01_1"]["scale"] == 10000
    assert layers["sur_refl_b01_1"]["valid"] / 2400**2 == pytest.approx(0.0025, abs=5e-4)
    assert "sinu" in layers["sur_refl_b01_1"]["crs"]


def test_the_names_of_fields_are_those_of_the_method(real_data: Path) -> None:
    path = next((real_data / "granules").glob("MOD09A1.*.hdf"))
    layers = {layer["name"]: layer for layer in inspect(path)["layers"]}
    assert list(layers["sur_refl_state_500m"]["fields"]) == [
        "cloud", "shadow", "land_water", "aerosol", "cirrus", "internal_cloud", "fire", "snow",
        "adjacent", "salt_pan", "internal_snow",
    ]  # fmt: skip
    assert "fields" not in layers["sur_refl_b01"]


def test_a_geotiff_of_a_quality_word(real_data: Path) -> None:
    path = next((real_data / "munich-2022").glob("*state_500m_doy2022257*.tif"))
    (layer,) = inspect(path)["layers"]
    with rasterio.open(path) as peer:
        values = peer.read(1)
    assert layer["name"] == "sur_refl_state_500m" and layer["nodata"] == 65535
    assert layer["fields"] == counts(values[values != 65535], "state")
    assert layer["valid"] == np.count_nonzero(values != 65535)


def test_fields_of_greenness_have_one_more_underscore(real_data: Path) -> None:
    path = next((real_data / "central-america-ndvi-2018").glob("*2018145*reliability*.tif"))
    (layer,) = inspect(path)["layers"]
    with rasterio.open(path) as peer:
        values = peer.read(1)
    assert layer["name"] == "1 km 16 days pixel reliability"
    assert layer["fields"] == counts(values[values != 255], "reliability")


def test_a_fraction_is_reported_and_not_refused(real_data: Path) -> None:
    (layer,) = inspect(real_data / "como-ndvi-2016" / "MOD13A1_NDVI_2016_337.tif")["layers"]
    with rasterio.open(real_data / "como-ndvi-2016" / "MOD13A1_NDVI_2016_337.tif") as peer:
        values = peer.read(1)
    assert layer["dtype"] == "float32" and layer["nodata"] == 32767
    assert layer["valid"] == np.count_nonzero(np.isfinite(values) & (values != 32767))


def test_zero_is_good_where_appeears_tags_it_as_fill(real_data: Path) -> None:
    path = real_data / "western-new-york" / "MOD11A2.006_aid0001.nc"
    layers = {layer["name"]: layer for layer in inspect(path)["layers"]}
    with h5py.File(path) as peer:
        words, heat = peer["QC_Day"][()], peer["LST_Day_1km"][()]
    assert layers["QC_Day"]["nodata"] == 0
    assert layers["QC_Day"]["fields"] == counts(words, "lst")
    assert layers["LST_Day_1km"]["valid"] == np.count_nonzero(heat)


def test_any_raster_is_reported(real_data: Path) -> None:
    path = next((real_data / "munich-2022" / "heat-stand-in").glob("*.tif"))
    layers = inspect(path)["layers"]
    assert len(layers) == 2 and all("fields" not in layer for layer in layers)
    (layer,) = inspect(real_data / "drivers" / "Altitude.h5")["layers"]
    assert layer["shape"] == [2160, 4320]


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (b"", "an empty file"),
        (b"<html><body>log in</body></html>", "a web page"),
        (b"some text", "some tex"),
        (b"\x0e\x03\x13\x01\0\x10", "damage"),
        (b"II*\0" + bytes(50), "damaged"),
        (b"\x89HDF\r\n\x1a\n" + bytes(50), "damaged"),
    ],
)
def test_what_cannot_be_read_is_named(tmp_path: Path, content: bytes, found: str) -> None:
    path = tmp_path / "file.hdf"
    path.write_bytes(content)
    with pytest.raises(InputError, match=found) as error:
        inspect(path)
    assert "file.hdf" in str(error.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"absent\.hdf"):
        inspect(tmp_path / "absent.hdf")
