# SPDX-License-Identifier: Apache-2.0
"""Granules that several tests read."""

from datetime import date, timedelta
from pathlib import Path

import pytest
from granule_files import write_granule

DAY = date(2022, 6, 2)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("granules")
    for day in (DAY, DAY + timedelta(8)):
        write_granule(folder / f"{day:%Y}", "MOD09A1", day)
    write_granule(folder / "heat", "MOD11A2", DAY)
    write_granule(folder / "ndvi", "MOD13A1", date(2022, 6, 10))
    (folder / "README.txt").write_text("nothing")
    return folder
