# SPDX-License-Identifier: Apache-2.0
"""Published numbers and hours of day stand in the report beside what the run found."""

import csv
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import studies

from rsei.engine.report.drift import drifted, view_times
from rsei.engine.report.findings import Findings
from rsei.engine.report.page import page
from rsei.engine.report.published import COLUMNS, published, read
from rsei.engine.run import reporting
from rsei.engine.run.store import Store
from rsei.engine.sources.errors import InputError

PAPER = Path(__file__).parents[3] / "examples" / "mining-cities" / "published.csv"


@pytest.fixture(scope="module")
def findings(tmp_path_factory: pytest.TempPathFactory) -> Findings:
    """Of a run as far as its tables: what is shown here needs no figure."""
    folder = tmp_path_factory.mktemp("small")
    file = studies.written(folder, studies.write_all(folder / "granules"))
    return reporting.findings(Store(studies.run(file).out))


def written(path: Path, *rows: str) -> Path:
    path.write_text("\n".join([",".join(COLUMNS), *rows]) + "\n")
    return path


def with_file(findings: Findings, path: Path, tables: dict[str, pd.DataFrame]) -> Findings:
    """The run, whose study file lies beside ``path`` and names it."""
    (path.parent / "study.toml").write_text("")
    settings = {**findings.settings, "report": {"published": path.name}}
    record = {**findings.record, "settings": settings, "study_file": "../study.toml"}
    folder = path.parent / "run"
    folder.mkdir(exist_ok=True)
    named = tuple(replace(site, name="Ma'anshan", slug="ma-anshan") for site in findings.sites[:1])
    more = Findings(folder, record, named)
    vars(more)["tables"] = tables
    return more


TABLES = {
    "series": [{"area": "Ma'anshan", "zone": zone, "epoch": epoch, "mean": mean}
               for zone, epoch, mean in [("area", "all", 0.7012), ("area", "2001", 0.1),
                                         ("mines", "all", 0.2)]],
    "size_classes": [{"area": "Ma'anshan", "epoch": "all", "size_class": name, "mean": mean}
                     for name, mean in [("<0.25", 0.5), ("0.5-0.75", np.nan), (">=1", 0.3)]],
    "correlation": [{"area": "Ma'anshan", "driver": "prec", "pearson": -0.3211}],
    "forest": [{"area": "Ma'anshan", "r2": 0.9, "rmse": 0.04, "mae": 0.03}],
    "ranking": [{"driver": "dism", "rank": 1.0}, {"driver": "dem", "rank": 2.5}],
    "pca": [{"area": "Ma'anshan", "epoch": "2001", "v_dot_e": 0.0061}],
}  # fmt: skip


def tables() -> dict[str, pd.DataFrame]:
    return {name: pd.DataFrame(rows) for name, rows in TABLES.items()}


@pytest.mark.parametrize(
    ("row", "told", "own"),
    [
        ("Ma'anshan,mean RSEI,area,=,0.695,,highest", "0.695", "0.701"),
        ("Ma'anshan,mean RSEI,mines under 0.25 km2,=,0.681,,", "0.681", "0.500"),
        ("Ma'anshan,mean RSEI,mines by size class,range,0.332,0.382,", "0.332 to 0.382",
         "0.300 to 0.500"),
        ("Ma'anshan,Pearson r with RSEI,prec,>,0.55,,", "> 0.55", "-0.321"),
        ("Ma'anshan,Pearson r with RSEI,gdp,=,0.11,,", "0.11", ""),
        ("all,forest R2,validation,range,0.80,0.947,", "0.80 to 0.947", "0.900"),
        ("all,rank of importance,dism,=,1,,", "1", "1"),
        ("all,rank of importance,dem,=,2,,", "2", "2.500"),
        ("Ma'anshan,v . e of PC1,2001,=,0.006,,", "0.006", "0.006"),
        ("Ma'anshan,PC1 contribution,Table A1,copied,,,wrong", "no value", ""),
        ("Ma'anshan,something else,area,=,1,,", "1", ""),
    ],
)  # fmt: skip
def test_each_number_stands_beside_its_own(
    row: str, told: str, own: str, findings: Findings, tmp_path: Path
) -> None:
    more = with_file(findings, written(tmp_path / "p.csv", row), tables())
    (found,) = published(more)
    assert (found.published, found.own) == (told, own)


def test_numbers_of_other_cities_are_left_out(findings: Findings, tmp_path: Path) -> None:
    path = written(tmp_path / "p.csv", "Anshan,mean RSEI,area,=,0.5,,")
    assert published(with_file(findings, path, tables())) == []


def test_the_papers_numbers_are_read(findings: Findings, tmp_path: Path) -> None:
    rows = read(PAPER)
    assert len(rows) == len(list(csv.reader(PAPER.read_text().splitlines()))) - 1
    path = tmp_path / "published.csv"
    path.write_bytes(PAPER.read_bytes())
    found = published(with_file(findings, path, tables()))
    own = [row for row in rows if row["city"] in ("Ma'anshan", "all")]
    assert len(found) == len(own)
    known = {(one.quantity, one.of): one.own for one in found}
    assert known["mean RSEI", "area"] == "0.701" and known["forest R2", "validation"] == "0.900"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "city,value\nAnshan,1\n",
        ",".join(COLUMNS) + "\nAnshan,mean RSEI,area,=,much,,\n",
        ",".join(COLUMNS) + "\nAnshan,mean RSEI,area,range,1,,\n",
        ",".join(COLUMNS) + "\nAnshan,mean RSEI,area,copied,1,,\n",
        ",".join(COLUMNS) + "\nAnshan,mean RSEI,area,<,1,,\n",
        ",".join(COLUMNS) + "\nAnshan,mean RSEI\n",
        ",".join(COLUMNS) + "\nAnshan,mean RSEI,area,=,nan,,\n",
    ],
)
def test_a_file_of_another_kind_is_named(text: str, tmp_path: Path) -> None:
    path = tmp_path / "p.csv"
    path.write_text(text)
    with pytest.raises(InputError, match=r"p\.csv: expected published numbers"):
        read(path)


def test_a_file_that_is_not_there_is_named_while_its_study_is(
    findings: Findings, tmp_path: Path
) -> None:
    more = with_file(findings, tmp_path / "p.csv", tables())
    with pytest.raises(InputError, match=r"p\.csv"):
        published(more)
    (tmp_path / "study.toml").unlink()
    assert published(more) == []


@pytest.mark.slow
def test_the_page_shows_them_and_is_made_again_when_they_change(tmp_path: Path) -> None:
    granules = studies.write_all(tmp_path / "granules")
    file = studies.written(tmp_path, granules, report='published = "p.csv"')
    written(tmp_path / "p.csv", "Small town,mean RSEI,area,=,0.123456,,<b>high</b>")
    run = studies.run(file, until=None).out
    html = (run / "report.html").read_text()
    assert "0.123456" in html and "&lt;b&gt;high&lt;/b&gt;" in html
    mean = pd.read_csv(run / "tables/series.csv").query("zone == 'area' and epoch == 'all'")["mean"]
    assert f"{mean.iloc[0]:.3f}" in html
    hours = view_times(reporting.findings(Store(run)))
    assert [one.epoch for one in hours] == ["2012", "2013"] and hours[0].minutes == 0
    assert f"<td>{hours[1].time}</td>" in html
    written(tmp_path / "p.csv", "Small town,mean RSEI,area,=,0.654321,,")
    assert "0.654321" in (studies.run(file, until=None).out / "report.html").read_text()


def drifting(findings: Findings, *hours: float) -> Any:
    rows = [
        {"area": "A", "epoch": str(2013 + 3 * k), "n": 9, "hour": h} for k, h in enumerate(hours)
    ]
    more = Findings(findings.folder, findings.record, findings.sites)
    vars(more)["tables"] = {**findings.tables, "view_time": pd.DataFrame(rows)}
    return more


def test_a_drift_is_told(findings: Findings) -> None:
    steady, late = drifting(findings, 10.52, 10.55), drifting(findings, 10.5, 10.49, 10.2)
    assert not drifted(view_times(steady)) and drifted(view_times(late))
    assert [(one.time, one.minutes) for one in view_times(late)] == [
        ("10:30", 0), ("10:29", -1), ("10:12", -18)
    ]  # fmt: skip
    assert b"The orbit has drifted" in page(late)
    assert b"The orbit has drifted" not in page(steady)
