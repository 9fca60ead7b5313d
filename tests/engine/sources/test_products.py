# SPDX-License-Identifier: Apache-2.0
"""The product tables against the documents and real files they were taken from."""

from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pytest

from rsei.engine.sources.errors import GranuleError
from rsei.engine.sources.products import QUALITY_FIELDS, plain, products

WIDTH = {"qc": 32, "state": 16, "vi": 16, "reliability": 8, "lst": 8}


@pytest.mark.parametrize("word", QUALITY_FIELDS)
def test_fields_cover_every_bit_of_a_word_once(word: str) -> None:
    bits = [bit for first, last in QUALITY_FIELDS[word].values() for bit in range(first, last + 1)]
    assert sorted(bits) == list(range(WIDTH[word]))


@pytest.mark.parametrize("product", products().values(), ids=lambda product: product.name)
def test_a_layer_can_hold_its_own_fill_and_range(product) -> None:  # type: ignore[no-untyped-def]
    for layer in product.layers:
        limits = np.iinfo(layer.dtype)
        values = [layer.outside, *(layer.valid or ()), *([layer.fill] if layer.fill else [])]
        assert all(limits.min <= value <= limits.max for value in values)
        if layer.valid and layer.fill is not None and layer.name != "reliability":
            assert not layer.valid[0] <= layer.fill <= layer.valid[1]
        assert layer.kind != "quality" or (layer.scale, layer.offset) == (1, 0)


def test_aqua_shares_the_layers_of_terra() -> None:
    for name in ("09A1", "13A1", "11A2"):
        terra, aqua = products()[f"MOD{name}"], products()[f"MYD{name}"]
        assert terra.layers == aqua.layers
        assert (terra.platform, aqua.platform) == ("terra", "aqua")


def test_a_season_has_the_dates_of_the_method() -> None:
    season = {
        name: [d.timetuple().tm_yday for d in products()[name].dates(2022) if 6 <= d.month <= 9]
        for name in ("MOD09A1", "MOD11A2", "MOD13A1", "MYD13A1")
    }
    assert season["MOD09A1"] == season["MOD11A2"] == list(range(153, 274, 8))
    assert season["MOD13A1"] == list(range(161, 274, 16))
    assert season["MYD13A1"] == list(range(153, 274, 16))


def test_two_periods_of_heat_were_never_made() -> None:
    summer = {d.timetuple().tm_yday for d in products()["MOD11A2"].dates(2001)}
    assert set(range(1, 366, 8)) - summer == {169, 177}


def test_no_period_lies_before_the_first() -> None:
    assert next(products()["MYD09A1"].dates(2002)) == date(2002, 7, 4)
    assert list(products()["MYD13A1"].dates(2001)) == []
    assert next(products()["MOD13A1"].dates(2000)).timetuple().tm_yday == 49


def test_the_calendar_is_that_of_a_real_series(real_data: Path) -> None:
    import h5py

    with h5py.File(real_data / "western-new-york" / "MOD11A2.006_aid0001.nc") as file:
        real = [date(2000, 1, 1) + timedelta(int(day)) for day in file["time"][:]]
    ours = [day for year in range(2000, 2018) for day in products()["MOD11A2"].dates(year)]
    assert real == [day for day in ours if day <= real[-1]]


def test_names_of_tools_are_one() -> None:
    greenness = products()["MOD13A1"]
    for name in ("500m 16 days VI Quality", "_500m_16_days_VI_Quality", "VI_QA"):
        layer = greenness.stored(name)
        assert layer is not None and layer.name == "vi"
    assert plain("_1_km_16_days_EVI") == "1_km_16_days_EVI"
    assert greenness.stored("500m 16 days EVI") is None


def test_an_unknown_layer_is_named() -> None:
    with pytest.raises(GranuleError, match=r"MOD11A2: expected one of .*lst_qc.*found state"):
        products()["MOD11A2"].layer("state")
