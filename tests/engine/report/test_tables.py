# SPDX-License-Identifier: Apache-2.0
"""Tables are what their description says, byte for byte."""

import random
import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from rsei.engine.report import tabular
from rsei.engine.report.tables import TABLES, Table

CONTRACT = {
    "pca": "area,epoch,normalisation,pca,n,ndvi,wet,ndbsi,lst,pc1,pc2,pc3,pc4,direction,flipped,"
    "agreement,v_dot_e,ndvi_min,ndvi_max,wet_min,wet_max,ndbsi_min,ndbsi_max,lst_min,lst_max,"
    "rsei0_min,rsei0_max",
    "directions": "area,epoch,rule,sign,margin",
    "exclusions": "area,epoch,reason,n",
    "view_time": "area,epoch,n,hour",
    "extremes": "area,epoch,layer,side,value,x,y,lon,lat",
    "series": "area,zone,epoch,n,mean,std,min,p5,p25,median,p75,p95,max",
    "latitude": "area,epoch,latitude,n,mean,std,mines",
    "rings": "area,epoch,ring_km,n,mean,std",
    "mines": "area,mine,epoch,area_km2,size_class,coverage_px,mean",
    "drivers": "area,x,y,rsei,dem,slope,prec,gdp,ntl,elec,co2,pm25,dism,minea,split",
    "correlation": "area,driver,n,pearson,p,n_eff,p_eff,spearman",
    "forest": "area,trees,mtry,n_train,n_valid,var_explained,r2,rmse,mae,r2_block",
    "importance": "area,driver,estimator,raw,se,scaled,inc_node_purity,rank",
    "ranking": "driver,rank_sum,rank",
}
"""Headings that others rely on, as the design writes them."""

VALUES: dict[str, list[Any]] = {
    "text": ["Tangshan", "Ma'anshan", 'a "b", c', "唐山", "x\ny", "-1", "true"],
    "int": [0, 1, -7, 2022, 2**63 - 1, -(2**63)],
    "float": [0.0, -0.0, 0.1, 1 / 3, -1e-300, 1.7e308, 5e-324, np.float32(0.1), 463.312716527778],
    "bool": [True, False, np.True_],
}
"""Awkward legal values of each kind of column."""


def any_frame(table: Table, seed: int) -> pd.DataFrame:
    """A legal frame of ``table``: distinct keys in any order, blanks where allowed."""
    dice = random.Random(seed)
    rows = [
        [dice.choice([*VALUES[c.kind], None] if c.blank else VALUES[c.kind]) for c in table.columns]
        for _ in range(dice.randrange(9))
    ]
    frame = pd.DataFrame(rows, columns=table.names, dtype=object)
    return frame.drop_duplicates(list(table.key), ignore_index=True)


@pytest.mark.parametrize("name", CONTRACT)
def test_headings_are_those_of_the_contract(name: str) -> None:
    assert ",".join(TABLES[name].names) == CONTRACT[name]
    assert TABLES[name].suffix == ("parquet" if name == "drivers" else "csv")


@pytest.mark.parametrize("table", TABLES.values(), ids=TABLES)
def test_a_description_is_complete(table: Table) -> None:
    assert TABLES[table.name] is table and table.about
    assert len(set(table.names)) == len(table.names)
    assert set(table.key) <= set(table.names)
    # The key's columns come in the order they sort by, and hold a value in every row.
    assert [name for name in table.names if name in table.key] == list(table.key)
    assert not [
        column.name for column in table.columns if column.blank and column.name in table.key
    ]
    assert all(
        column.about and re.fullmatch(r"[a-z0-9_]+", column.name) for column in table.columns
    )


@pytest.mark.parametrize("name", TABLES)
@pytest.mark.parametrize("seed", [0, *(pytest.param(n, marks=pytest.mark.slow) for n in (1, 2, 3))])
def test_any_legal_frame_reads_back_exactly_from_the_same_bytes_in_any_order(
    tmp_path: Path, name: str, seed: int
) -> None:
    table = TABLES[name]
    frame = any_frame(table, seed)
    path, turned = tmp_path / table.file, tmp_path / f"turned.{table.suffix}"
    path.parent.mkdir()
    tabular.write(path, name, frame)
    tabular.write(turned, name, frame[::-1])
    assert path.read_bytes() == turned.read_bytes()
    read, expected = tabular.read(path, name), tabular.ordered(table, frame)
    pd.testing.assert_frame_equal(read, expected, check_exact=True)
    assert tabular.check_run_tables(tmp_path) == []


def series(**changes: Any) -> pd.DataFrame:
    row: dict[str, Any] = {"area": "Tangshan", "zone": "area", "epoch": "2001", "n": 4.0}
    row |= dict.fromkeys(TABLES["series"].names[4:], 0.1)
    return pd.DataFrame([row | changes])


def test_the_text_of_a_table_is_plain(tmp_path: Path) -> None:
    rows = [
        series(epoch="all", mean=np.float32(0.1), std=np.nan),
        series(epoch="2004", mean=1 / 3, std=-0.0, n=2),
        series(area="Anshan", mean=1e-30),
    ]
    tabular.write(tmp_path / "series.csv", "series", pd.concat(rows))
    lines = (tmp_path / "series.csv").read_bytes().decode().split("\n")
    assert lines[1].startswith("Anshan,area,2001,4.0,1e-30,0.1,")
    assert lines[2].startswith("Tangshan,area,2004,2.0,0.3333333333333333,0.0,0.1")
    assert lines[3].startswith("Tangshan,area,all,4.0,0.10000000149011612,,0.1")
    assert lines[4:] == [""]


def test_booleans_and_counts_are_written_as_the_contract_says() -> None:
    table = TABLES["pca"]
    row: dict[str, Any] = dict.fromkeys(table.names, np.nan)
    row |= {"area": "A", "epoch": 2001, "normalisation": "epoch", "pca": "epoch", "n": 99.0}
    row |= {"direction": "expected", "flipped": np.True_, "agreement": False}
    line = tabular.csv_bytes(table, pd.DataFrame([row])).decode().splitlines()[1]
    assert line == "A,2001,epoch,epoch,99,,,,,,,,,expected,true,false,,,,,,,,,,,"


@pytest.mark.parametrize("name", ["pca", "series", "drivers"])
def test_an_empty_table_keeps_its_headings(tmp_path: Path, name: str) -> None:
    path = tmp_path / TABLES[name].file
    path.parent.mkdir()
    tabular.write(path, name, pd.DataFrame(columns=TABLES[name].names))
    assert list(tabular.read(path, name).columns) == TABLES[name].names
    assert tabular.check_run_tables(tmp_path) == []


@pytest.mark.parametrize(
    ("frame", "fault"),
    [
        (series().drop(columns="std"), "expected .*'std'"),
        (series()[TABLES["series"].names[::-1]], "expected"),
        (series(area=""), "a value of area in every row"),
        (series(n=None), "a value of n in every row"),
        (series(mean=np.inf), "finite values of mean"),
        (series(mean="high"), "values of mean of type float"),
        (pd.concat([series(), series()]), "'Tangshan', 'area', '2001'.* again"),
    ],
)
def test_a_frame_that_breaks_its_description_is_refused(frame: pd.DataFrame, fault: str) -> None:
    with pytest.raises(ValueError, match=fault):
        tabular.csv_bytes(TABLES["series"], frame)


def test_a_fraction_is_no_count() -> None:
    frame = pd.DataFrame([["A", 2001, "floor", 1.5]], columns=TABLES["exclusions"].names)
    with pytest.raises(ValueError, match="values of n of type int"):
        tabular.csv_bytes(TABLES["exclusions"], frame)


GOOD = "area,epoch,reason,n\nA,2001,floor,3\nA,2001,outside,4\n"


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        (GOOD.replace(",n\n", ",count\n"), "expected rows of"),
        (GOOD.replace("\n", "\r\n"), "lines"),
        (GOOD.replace("floor", "floor "), None),
        (GOOD.replace(",3", ", 3"), "lines without blanks"),
        (GOOD.replace(",3", ",3.0"), "of type int"),
        (GOOD.replace("A,2001,floor,3\n", "") + "A,2001,floor,3\n", "sorted"),
        (GOOD + "A,2001,floor,3\n", "again"),
        (GOOD + "A,2001\n", "expected rows of"),
        ("", "expected rows of"),
        (GOOD, None),
    ],
)
def test_a_written_file_is_held_against_its_description(
    tmp_path: Path, text: str, fault: str | None
) -> None:
    (tmp_path / "tables").mkdir()
    (tmp_path / "tables/exclusions.csv").write_bytes(text.encode())
    found = tabular.check_run_tables(tmp_path)
    assert found == [] if fault is None else re.search(fault, found[0])


def test_an_unknown_table_is_a_fault(tmp_path: Path) -> None:
    (tmp_path / "tables").mkdir()
    (tmp_path / "tables/mine.csv").write_text("a\n")
    assert "expected a table that is described" in tabular.check_run_tables(tmp_path)[0]


def test_rows_of_parquet_out_of_order_are_a_fault(tmp_path: Path) -> None:
    table = TABLES["drivers"]
    rows = [["A", x, 0.0, *[0.5] * 11, "train"] for x in (2.0, 1.0)]
    path = tmp_path / table.file
    path.parent.mkdir()
    pd.DataFrame(rows, columns=table.names).to_parquet(path, index=False)
    faults = " ".join(tabular.check_run_tables(tmp_path))
    assert "expected rows sorted" in faults
