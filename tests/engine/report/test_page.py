# SPDX-License-Identifier: Apache-2.0
"""The page: safe, complete, and on its own."""

import base64
import hashlib
import json
import re
from html.parser import HTMLParser
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
import rasterio
from numpy.typing import NDArray
from PIL import Image
from reported import HOSTILE

from rsei.engine.report.findings import Findings
from rsei.engine.report.overlays import LEVELS, TREND_LEVELS, overlay
from rsei.engine.report.page import map_data, page, policy
from rsei.engine.report.pictures import drawing

pytestmark = pytest.mark.slow


class Elements(HTMLParser):
    """Every element of a page with its attributes, and the text of scripts, styles and the rest."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.inside: list[str] = []
        self.scripts: list[str] = []
        self.styles: list[str] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))
        self.inside.append(tag)
        if tag == "script":
            self.scripts.append("")
        if tag == "style":
            self.styles.append("")

    def handle_endtag(self, tag: str) -> None:
        if tag in self.inside:
            while self.inside.pop() != tag:
                pass

    def handle_data(self, data: str) -> None:
        if self.inside and self.inside[-1] == "script":
            self.scripts[-1] += data
        elif self.inside and self.inside[-1] == "style":
            self.styles[-1] += data
        else:
            self.text += data


@pytest.fixture(scope="module")
def elements(folder: Path) -> Elements:
    parsed = Elements()
    parsed.feed((folder / "report.html").read_text(encoding="utf-8"))
    return parsed


def test_it_is_small(folder: Path) -> None:
    assert (folder / "report.html").stat().st_size < 5_000_000


def test_it_is_small_with_seven_cities_at_eight_epochs(cities: Findings) -> None:
    html = (cities.folder / "report.html").read_text(encoding="utf-8")
    assert 1_000_000 < len(html.encode()) < 5_000_000
    data = json.loads(html.split('id="map-data">')[1].split("</script>")[0])
    assert [len(site["images"]) for site in data["sites"]] == [8] * 7
    assert html.count("<figure") >= 7 * 12


def test_the_trend_is_a_layer(cities: Findings) -> None:
    """A slope is told within half a step; those beyond the scale's reach are its ends."""
    data, slope = overlay(cities.sites[0])["trend"], cities.sites[0].slope()
    found, widest = steps_of(data["image"]), data["reach"]
    shown = ((found[found > 0].astype(float) - 1) / TREND_LEVELS * 2 - 1) * widest
    assert slope is not None and found.max() == TREND_LEVELS + 1 and found[found > 0].min() == 1
    known = np.clip(slope.values[np.isfinite(slope.values)], -widest, widest)
    quantiles = np.linspace(0.05, 0.95, 19)
    expected = np.quantile(known, quantiles)
    np.testing.assert_allclose(np.quantile(shown, quantiles), expected, atol=0.02 * widest)


def test_without_a_trend_there_is_no_such_layer(elements: Elements, findings: Findings) -> None:
    assert all(site["trend"] is None for site in map_data(findings)["sites"])
    assert not [a for t, a in elements.found if t == "input" and a.get("value") == "trend"]


def test_clear_shares_are_those_of_the_composites(elements: Elements, findings: Findings) -> None:
    """Of each area and epoch, counted here from the files."""
    table = findings.of("coverage")
    assert table is not None
    for site in findings.sites:
        for epoch in site.epochs:
            with rasterio.open(site.folder / f"composites/{site.slug}/{epoch}.tif") as dataset:
                counts = dict(zip(dataset.descriptions, dataset.read()))
            inside = np.isfinite(site.rsei(epoch).values)
            for layer, product in {"red": "MOD09A1", "ndvi": "MOD13A1", "lst": "MOD11A2"}.items():
                rows = table[(table["product"] == product) & (table["status"] == "present")]
                dates = rows.loc[rows["date"].str.startswith(str(epoch)), "date"].nunique()
                mean = counts[f"count_{layer}"][inside].mean()
                assert dates and f"{mean:.1f} ({100 * mean / dates:.0f} %)" in elements.text


def test_nothing_in_it_asks_the_network(elements: Elements) -> None:
    for tag, attributes in elements.found:
        for name in ("src", "href", "srcset", "action", "poster", "data"):
            value = attributes.get(name)
            assert value is None or value.startswith(("#", "data:")), (tag, name, value)
    assert not re.findall(r"url\((?!#)[^)]*\)|@import", "".join(elements.styles))


def test_the_policy_allows_our_scripts_alone(elements: Elements) -> None:
    metas = [a for t, a in elements.found if t == "meta" and a.get("http-equiv")]
    (said,) = (a["content"] or "" for a in metas)
    rules = dict(rule.strip().split(" ", 1) for rule in said.split(";"))
    assert rules["default-src"] == "'none'" and rules["img-src"] == "data:"
    assert "unsafe" not in said and "http" not in said
    hashes = {
        "'sha256-" + base64.b64encode(hashlib.sha256(one.encode()).digest()).decode() + "'"
        for one in elements.scripts[1:]
    }
    assert set(rules["script-src"].split()) == hashes and len(hashes) == 2


def test_a_hostile_name_is_only_a_name(elements: Elements, folder: Path) -> None:
    assert HOSTILE in elements.text
    assert len(elements.scripts) == 3  # the map's data, Leaflet, and our own
    raw = (folder / "report.html").read_text(encoding="utf-8")
    assert "<script>document.title" not in raw
    names = [site["name"] for site in json.loads(elements.scripts[0])["sites"]]
    assert HOSTILE in names


def test_the_loadings_stand_in_it(elements: Elements, findings: Findings) -> None:
    pca = findings.of("pca")
    assert pca is not None
    for row in pca.to_dict("records"):
        for name in ("ndvi", "wet", "ndbsi", "lst"):
            assert f"{row[name]:+.3f}" in elements.text
        assert f"{row['n']:,}" in elements.text


def test_every_picture_has_words(elements: Elements) -> None:
    pictures = [attributes for tag, attributes in elements.found if tag == "img"]
    assert pictures and all(len(one["alt"] or "") > 20 for one in pictures)


def test_every_control_has_a_name(elements: Elements) -> None:
    text = (elements.text, elements.found)
    controls = [a for t, a in text[1] if t in ("input", "select")]
    labels = sum(t == "label" for t, _ in text[1])
    assert labels == len(controls) >= 8


def test_several_areas_are_compared(elements: Elements, findings: Findings) -> None:
    series = findings.of("series")
    assert series is not None
    rows = series[(series["zone"] == "area") & (series["epoch"] != "all")]
    assert "Overview of the areas" in elements.text
    assert all(f"{mean:.3f}" in elements.text for mean in rows["mean"])


def test_methods_name_the_settings(elements: Elements) -> None:
    for said in ("061", "06-01", "standard", "minimum to maximum", "MNDWI > 0.0", "Lobser"):
        assert said in elements.text


def test_warnings_come_first(findings: Findings) -> None:
    record = {**findings.record, "warnings": ["mind <b>this</b>"]}
    found = Findings(findings.folder, record, findings.sites)
    html = page(found).decode()
    assert "mind &lt;b&gt;this&lt;/b&gt;" in html
    assert html.index("mind &lt;b&gt;") < html.index('id="map-part"')


def test_a_changed_script_changes_the_policy() -> None:
    assert policy(["a"], ["b"]) != policy(["a "], ["b"])


def test_a_drawing_is_shortened_but_not_what_it_says() -> None:
    path, text = '<path d="M 1.2345 6.7891"/>', '<text x="9.8765">-0.2512</text>'
    svg = f"<svg><metadata>x</metadata>{path}{text}</svg>"
    short = base64.b64decode(drawing(svg).split(",")[1]).decode()
    assert short == '<svg><path d="M 1.2 6.7"/><text x="9.8">-0.2512</text></svg>'


def steps_of(url: str) -> NDArray[np.uint8]:
    """The steps of a picture of the map."""
    with Image.open(BytesIO(base64.b64decode(url.split(",")[1]))) as image:
        return np.asarray(image)[..., 0]


def test_the_map_has_every_epoch_and_its_mean(findings: Findings) -> None:
    """The mean of the steps of a picture is the mean of its map, within the bend of the warp."""
    for site, data in zip(findings.sites, map_data(findings)["sites"]):
        assert data["epochs"] == [str(epoch) for epoch in site.epochs]
        for epoch in site.epochs:
            steps = steps_of(data["images"][str(epoch)])
            shown = (steps[steps > 0].astype(float) - 1) / LEVELS
            assert abs(shown.mean() - np.nanmean(site.rsei(epoch).values)) < 0.02
