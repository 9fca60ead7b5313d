# SPDX-License-Identifier: Apache-2.0
"""Patterns of file names: what they stand for, and what they lack."""

from pathlib import Path

import pytest

from rsei.engine.sources.errors import RasterError
from rsei.engine.sources.patterns import expand, fields, of_year, years_of


def touch(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).write_bytes(b"")


def test_pattern_names_the_files_of_an_epoch(tmp_path: Path) -> None:
    touch(tmp_path, *(f"t_{y}_{m:02d}.tif" for y in (2000, 2001, 2002) for m in (6, 7)))
    found = expand(f"{tmp_path}/t_{{year}}_{{month:02d}}.tif", 2001, [2000, 2001, 2002], [6, 7])
    assert [Path(path).name for path in found] == [
        "t_2000_06.tif",
        "t_2000_07.tif",
        "t_2001_06.tif",
        "t_2001_07.tif",
        "t_2002_06.tif",
        "t_2002_07.tif",
    ]
    touch(tmp_path, "e_2001.tif", "dem.tif")
    assert expand(f"{tmp_path}/e_{{epoch}}.tif", 2001, [2000]) == (f"{tmp_path}/e_2001.tif",)
    assert expand(f"{tmp_path}/dem.tif", 2001, [2000, 2001]) == (f"{tmp_path}/dem.tif",)


def test_missing_files_are_named(tmp_path: Path) -> None:
    touch(tmp_path, "t_2000.tif")
    with pytest.raises(RasterError) as caught:
        expand(f"{tmp_path}/t_{{year}}.tif", 2001, [2000, 2001, 2002])
    assert "expected 3 files for epoch 2001, found 1" in str(caught.value)
    assert "t_2001.tif" in str(caught.value)
    assert "t_2002.tif" in str(caught.value)


@pytest.mark.parametrize(
    "pattern", ["a_{day}.tif", "a_{year.__class__}.tif", "a_{}.tif", "a_{year.tif", "a_{0}.tif"]
)
def test_other_braces_are_refused(pattern: str) -> None:
    with pytest.raises(RasterError, match="expected"):
        fields(pattern)


def test_bad_width_is_refused() -> None:
    with pytest.raises(RasterError, match="month:02d"):
        expand("a_{month:02q}.tif", 2001, [2001], [6])


def test_land_cover_is_of_the_year_or_the_nearest(tmp_path: Path) -> None:
    touch(tmp_path, "lc_2005.tif", "lc_2010.tif", "lc_99.tif", "lc_2010.tif.aux.xml")
    pattern = f"{tmp_path}/lc_{{year}}.tif"
    assert years_of(pattern) == (2005, 2010)
    assert of_year(pattern, 2010) == (f"{tmp_path}/lc_2010.tif", None)
    for year, chosen in ((2009, 2005), (2022, 2010), (2001, 2005)):
        path, warning = of_year(pattern, year)
        assert path == f"{tmp_path}/lc_{chosen}.tif"
        assert warning == f"no land cover of {year}: that of {chosen} is used"
    with pytest.raises(RasterError, match="for some year"):
        of_year(f"{tmp_path}/cover_{{year}}.tif", 2010)


def test_one_land_cover_for_all_years_is_said(tmp_path: Path) -> None:
    touch(tmp_path, "lc.tif")
    path, warning = of_year(f"{tmp_path}/lc.tif", 2010)
    assert path == f"{tmp_path}/lc.tif"
    assert warning is not None
    assert "serves every year" in warning
    with pytest.raises(RasterError, match="found none"):
        of_year(f"{tmp_path}/none.tif", 2010)


def test_a_name_with_the_year_twice(tmp_path: Path) -> None:
    (tmp_path / "2005").mkdir()
    touch(tmp_path, "a2005_2005.tif", "a2006_2005.tif")
    assert years_of(f"{tmp_path}/a{{year}}_{{year}}.tif") == (2005,)


def test_years_within_one_netcdf(real_data: Path) -> None:
    pattern = f"{real_data}/western-new-york/MCD12Q1.051_aid0001.nc:Land_Cover_Type_1@{{year}}"
    assert years_of(pattern) == tuple(range(2001, 2014))
    assert of_year(pattern, 2005) == (pattern.format(year=2005), None)
    path, warning = of_year(pattern, 2016)
    assert path == pattern.format(year=2013)
    assert warning == "no land cover of 2016: that of 2013 is used"
