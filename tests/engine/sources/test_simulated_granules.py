# SPDX-License-Identifier: Apache-2.0
"""The simulator's files are the archive's in form."""

import datetime as dt
import json
import re
import shutil
import subprocess
from pathlib import Path

import landscapes
import numpy as np
import pytest
from landscapes import PRODUCTS, SEAM, layers_of, write
from pyhdf.SD import SD

from rsei.engine.sources.errors import GranuleError
from rsei.engine.sources.grids import SINUSOIDAL_1KM, SINUSOIDAL_500M, Window
from rsei.engine.sources.simulate import (
    World,
    write_granules,
)
from rsei.engine.sources.simulated_granules import Header, product_form, write_granule


@pytest.fixture(scope="module")
def small() -> World:
    return landscapes.small()


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
