# SPDX-License-Identifier: Apache-2.0
"""Maps are valid, and open in a GIS as they look in the figures."""

import json
import shutil
import subprocess
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
import rasterio
from matplotlib.colors import to_hex
from reported import HOSTILE
from rio_cogeo.cogeo import cog_validate

from rsei.engine.report.findings import Findings
from rsei.engine.report.rasters import graded
from rsei.engine.report.style import CHANGE_MAP, RSEI_MAP

pytestmark = pytest.mark.slow

MAPS = ("rsei", "grades", "change", "trends")
NAMES = ["poor", "fair", "moderate", "good", "excellent"]
SHADES = [to_hex(RSEI_MAP(share)) for share in (0.1, 0.3, 0.5, 0.7, 0.9)]


def rasters(folder: Path, *names: str) -> list[Path]:
    found = [path for name in names for path in sorted((folder / name).rglob("*.tif"))]
    assert found
    return found


def test_every_map_is_a_valid_cog(folder: Path) -> None:
    for path in rasters(folder, *MAPS):
        assert cog_validate(path, strict=True) == (True, [], []), path


def test_every_map_says_what_it_holds(folder: Path) -> None:
    for path in rasters(folder, *MAPS, "indicators", "composites"):
        with rasterio.open(path) as dataset:
            assert all(dataset.descriptions) and all(dataset.units)
            assert dataset.nodata is not None and dataset.crs is not None
            assert dataset.tags()["area"] in (HOSTILE, "Plain")
            kelvin = {n for n, unit in zip(dataset.descriptions, dataset.units) if unit == "K"}
            assert kelvin == {"lst"} & set(dataset.descriptions)
    for path in rasters(folder, "rsei", "grades"):
        with rasterio.open(path) as dataset:
            assert {"area", "epoch", "normalisation", "pca", "direction"} <= set(dataset.tags())


def test_a_grade_is_a_fifth_of_the_index(findings: Findings) -> None:
    for site in findings.sites:
        for epoch in site.epochs:
            rsei = site.rsei(epoch).values
            with rasterio.open(site.folder / f"grades/{site.slug}/{epoch}.tif") as dataset:
                found = dataset.read(1)
            expected = np.ceil(np.where(rsei > 0, rsei, 0.1) * np.float64(5))
            inside = np.abs(rsei * 5 - np.rint(rsei * 5)) > 1e-6  # off the edges
            assert inside.sum() > 50
            np.testing.assert_array_equal(found[inside], expected[inside])
            assert (found[np.isnan(rsei)] == 0).all()


def test_an_edge_belongs_to_the_grade_above_it(tmp_path: Path) -> None:
    values = np.array([[0, 0.2, 0.4, 0.6, 0.8, 1, np.nan]], np.float32)
    grid = rasterio.Affine(500, 0, 1e6, 0, -500, 4e6)
    shape = {"height": 1, "width": 7, "count": 1, "dtype": "float32", "nodata": np.nan}
    with rasterio.open(
        tmp_path / "a.tif", "w", "GTiff", **shape, crs="EPSG:3857", transform=grid
    ) as file:
        file.write(values, 1)
    (tmp_path / "b.tif").write_bytes(graded(tmp_path / "a.tif"))
    with rasterio.open(tmp_path / "b.tif") as dataset:
        assert dataset.read(1).tolist() == [[1, 2, 3, 4, 5, 5, 0]]
        assert dataset.transform == grid


def test_classes_have_colours_and_names(folder: Path) -> None:
    for path in rasters(folder, "grades"):
        with rasterio.open(path) as dataset:
            table = dataset.colormap(1)
        assert table[0][3] == 0
        for number, shade in enumerate(SHADES, 1):
            red, green, blue, _ = (part / 255 for part in table[number])
            assert to_hex((red, green, blue)) == shade
        names = ElementTree.parse(path.with_name(f"{path.name}.aux.xml")).iterfind(".//Category")
        assert [one.text for one in names] == [None, *NAMES]


def test_each_map_has_its_style(folder: Path) -> None:
    """Colours of the figures, from the least to the greatest value."""
    for path in rasters(folder, *MAPS):
        root = ElementTree.parse(path.with_suffix(".qml")).getroot()
        renderer = root.find("./pipe/rasterrenderer")
        assert root.tag == "qgis" and renderer is not None and renderer.get("band") == "1"
        if path.parts[-3] == "grades":
            entries = [one.attrib for one in renderer.iterfind(".//paletteEntry")]
            assert [(e["value"], e["label"], e["color"]) for e in entries] == [
                (str(i), *pair) for i, pair in enumerate(zip(NAMES, SHADES), 1)
            ]
            continue
        items = [one.attrib for one in renderer.iterfind(".//item")]
        values = [float(one["value"]) for one in items]
        colours = RSEI_MAP if path.parts[-3] == "rsei" else CHANGE_MAP
        low, high = (0, 1) if colours is RSEI_MAP else (-values[-1], values[-1])
        np.testing.assert_allclose(values, np.linspace(low, high, len(items)), rtol=1e-5, atol=1e-9)
        for step, one in enumerate(items):
            assert one["color"] == to_hex(colours(step / (len(items) - 1)))


ASK = """
import json, os, sys
from qgis.core import QgsApplication, QgsRasterLayer
app = QgsApplication([], False)
app.initQgis()
for path in sys.argv[1:]:
    layer = QgsRasterLayer(path, "x")
    renderer = layer.renderer()
    if renderer.type() == "paletted":
        said = [(c.value, c.label, c.color.name()) for c in renderer.classes()]
    else:
        shown = renderer.shader().rasterShaderFunction()
        said = [(c.value, c.color.name()) for c in shown.colorRampItemList()]
    print(json.dumps([renderer.type(), said]), flush=True)
os._exit(0)  # QGIS crashes on its way out
"""
"""What QGIS says of rasters that it opens."""


def test_qgis_takes_the_style(folder: Path) -> None:
    python = shutil.which("python3", path="/usr/bin")
    known = python and subprocess.run([python, "-c", "import qgis.core"], capture_output=True)
    if not python or not known or known.returncode:
        pytest.skip("needs python3-qgis")
    paths = [rasters(folder, name)[0] for name in ("rsei", "grades", "change")]
    environment = {"QT_QPA_PLATFORM": "offscreen", "HOME": str(folder), "PATH": "/usr/bin"}
    done = subprocess.run(
        [python, "-c", ASK, *map(str, paths)], env=environment, capture_output=True, text=True
    )
    rsei, grades, change = (json.loads(line) for line in done.stdout.splitlines())
    assert rsei[0] == change[0] == "singlebandpseudocolor" and grades[0] == "paletted"
    assert (rsei[1][0], rsei[1][-1]) == ([0, to_hex(RSEI_MAP(0.0))], [1, to_hex(RSEI_MAP(1.0))])
    assert grades[1] == [[i, *pair] for i, pair in enumerate(zip(NAMES, SHADES), 1)]
    assert change[1][0][0] == -change[1][-1][0] != 0
