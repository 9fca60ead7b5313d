# SPDX-License-Identifier: Apache-2.0
"""The methods tell what was done, with its settings, and nothing that was not."""

from pathlib import Path

import pandas as pd
import pytest

from rsei.engine.report.findings import Findings, Site
from rsei.engine.report.methods import REFERENCES, methods, references
from rsei.engine.run import reading

TABLES = ("series", "mines", "correlation", "forest")

TEXT = """
[study]
name = "one"
out = "run"
epochs = [2019]
[granules]
path = "granules"
[[area]]
name = "Town"
bounds = [117, 39, 118, 40]
[analysis]
alpha = 0.01
[analysis.rings]
width_km = 2
reach_km = 14
[drivers]
year = 2019
resolution = 2000
[drivers.layers]
dem = "dem.tif"
[forest]
trees = 321
mtry = 4
validation = 0.2
"""


def told(tmp_path: Path, *tables: str, text: str = TEXT) -> list[str]:
    """The methods of a run that has made these tables."""
    settings = reading.parse(text.encode(), tmp_path / "study.toml").resolved()
    site = Site(tmp_path, "Town", "town", (2019,), None, ())
    findings = Findings(tmp_path, {"settings": settings, "versions": {"rsei": "9.9"}}, (site,))
    row = pd.DataFrame([{"area": "Town"}])
    vars(findings)["tables"] = {name: row for name in tables}
    vars(findings)["products"] = ("MOD09A1",)
    return methods(findings)


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ("series", ["Theil-Sen", "share of 0.01 of false"]),
        ("mines", ["Rings of 2 km up to 14 km", "in the plane of ESRI:102025"]),
        ("correlation", ["Drivers of 2019", "a grid of 2000 m in ESRI:102025"]),
        ("forest", ["321 trees, 4 drivers", "80 % of the pixels", "blocks of 10 km"]),
    ],
)
def test_a_stage_is_told_with_its_settings_where_it_ran(
    table: str, said: list[str], tmp_path: Path
) -> None:
    with_it, without = told(tmp_path, table), told(tmp_path)
    assert len(with_it) == len(without) + 1
    assert all(words in with_it[-1] for words in said)
    assert not any(words in " ".join(without) for words in said)


def test_the_metric_of_the_rings_is_told(tmp_path: Path) -> None:
    text = TEXT.replace("width_km = 2", 'metric = "ground"')
    assert "equidistant projection about the area" in told(tmp_path, "mines", text=text)[-1]


def test_a_sample_of_the_pixels_is_told(tmp_path: Path) -> None:
    assert "a sample" not in told(tmp_path, "forest")[-1]
    text = TEXT.replace("trees = 321", "trees = 321\nsample = 5000")
    assert (
        "of the pixels of a sample of at most 5,000, drawn"
        in told(tmp_path, "forest", text=text)[-1]
    )


def test_what_is_cited_is_listed_and_nothing_else(tmp_path: Path) -> None:
    assert references(told(tmp_path, *TABLES)) == list(REFERENCES.values())
    few = references(told(tmp_path))
    assert [work.split(" (")[0] for work in few] == ["Lobser SE, Cohen WB", "Xu H", "Xu H"]
    assert list(REFERENCES) == sorted(REFERENCES)
