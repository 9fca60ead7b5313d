# SPDX-License-Identifier: Apache-2.0
"""Tables too large to hold, written and read in parts."""

import tempfile
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rsei.engine.report import tabular
from rsei.engine.report.tables import TABLES

NAMES = TABLES["drivers"].names


def pixels(count: int) -> pd.DataFrame:
    """Rows of the table of drivers in the order of its key, some of them blank."""
    rng = np.random.default_rng(count)
    made = pd.DataFrame(rng.normal(size=(count, len(NAMES))), columns=NAMES)
    made["area"] = np.repeat(["Anshan", "Zunyi"], [count // 2, count - count // 2])
    made["x"], made["y"] = np.arange(count) // 5 * 1000.0, np.arange(count) % 5 * 1000.0
    made["split"] = [("train", "valid", None)[row % 3] for row in range(count)]
    made.loc[::4, "gdp"] = np.nan
    return made


@settings(max_examples=10)
@given(st.integers(0, 40), st.lists(st.integers(0, 40), max_size=4), st.integers(9, 30))
def test_however_parts_are_cut_the_bytes_are_the_same(
    count: int, cuts: list[int], rows: int
) -> None:
    whole = pixels(count)
    parts = np.split(np.arange(count), sorted(cuts))
    with tempfile.TemporaryDirectory() as folder, patch.object(tabular, "ROWS", rows):
        first, second = Path(folder, "first"), Path(folder, "second")
        tabular.write(first, "drivers", whole.sample(frac=1, random_state=1))
        tabular.write_parts(second, "drivers", (whole.iloc[part] for part in parts))
        assert first.read_bytes() == second.read_bytes()
        groups = list(tabular.read_parts(second, "drivers"))
        sizes = [len(group) for group in groups if len(group)]
        assert sizes == [min(rows, count - first) for first in range(0, count, rows)]
        read = pd.concat(groups, ignore_index=True)
        pd.testing.assert_frame_equal(read, tabular.read(first, "drivers"))
        assert pq.read_schema(second).names == NAMES


def test_parts_out_of_order_are_refused(tmp_path: Path) -> None:
    whole = pixels(20)
    for parts in ([whole[10:], whole[:10]], [whole[:10], whole[9:]]):
        with pytest.raises(ValueError, match="drivers: expected rows after"):
            tabular.write_parts(tmp_path / "out.parquet", "drivers", parts)
