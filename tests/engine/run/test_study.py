# SPDX-License-Identifier: Apache-2.0
"""A study file is read strictly, and what is wrong with it is said in plain words."""

import json
import os
import pickle
import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from study_texts import HERE, MINIMAL, study, with_line

from rsei.engine.analysis.drivers import SHARE_WINDOW
from rsei.engine.run import reading
from rsei.engine.run.study import FINEST, Compute, Study
from rsei.engine.sources.errors import StudyError
from rsei.kernels.focal import MOST_ROWS


def test_only_the_required_keys_are_required() -> None:
    settings = study()
    assert settings.epochs == (2001, 2004)
    assert settings.drivers is None and settings.forest is None
    assert settings.granules.reach == 1 and settings.granules.season == ("06-01", "09-30")
    assert settings.compute.memory_bytes == 8 * 2**30 and settings.compute.device == "auto"
    assert settings.compute.device_memory_bytes is None


@pytest.mark.parametrize(
    ("card", "cores", "gpu"), [(None, 8, 8), ("6 GiB", 8, 6), ("80 GiB", 8, 8)]
)
def test_a_block_of_a_gpu_is_on_both_sides(card: str | None, cores: int, gpu: int) -> None:
    compute = Compute(device_memory=card)
    assert compute.block_bytes("cpu") == cores << 30 and compute.block_bytes("cuda") == gpu << 30


def test_the_finest_drivers_have_the_largest_window() -> None:
    assert FINEST == SHARE_WINDOW / MOST_ROWS


def test_years_are_those_around_the_epochs() -> None:
    settings = study(with_line("[granules]", "reach = 2"))
    assert settings.years(2001) == (1999, 2000, 2001, 2002, 2003)
    assert settings.years() == tuple(range(1999, 2007))


def test_the_calendar_is_the_season() -> None:
    text = with_line("[granules]", 'season = ["11-15", "02-29"]\nmembership = "inside"')
    calendar = study(text).granules.calendar
    assert (calendar.start, calendar.end) == ((11, 15), (2, 29))
    assert calendar.membership == "inside"


def test_paths_are_relative_to_the_file_and_recorded_as_written(tmp_path: Path) -> None:
    text = MINIMAL + 'mines = "/data/mines.gpkg"\n'
    text += '[drivers]\nyear = 2004\n[drivers.layers]\ndem = "dem.tif"\n'
    text += 'prec = { months = "../prec_{year}_{month:02d}.tif" }\n'
    path = tmp_path / "studies" / "t.toml"
    path.parent.mkdir()
    path.write_text(text)
    settings = reading.load(path)
    assert settings.study.out == path.parent / "runs/tangshan"
    assert settings.granules.path == path.parent / "granules"
    assert settings.area[0].mines == Path("/data/mines.gpkg")
    assert settings.drivers is not None
    assert settings.drivers.layers.dem == str(path.parent / "dem.tif")
    assert settings.drivers.layers.prec.months == str(tmp_path / "prec_{year}_{month:02d}.tif")  # type: ignore[union-attr]
    record = json.dumps(settings.resolved())
    assert str(tmp_path) not in record and '"out": "runs/tangshan"' in record


def test_paths_are_those_of_the_file_wherever_one_stands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "t.toml").write_text(MINIMAL)
    monkeypatch.chdir(tmp_path)
    assert reading.load(Path("t.toml")).study.out == tmp_path / "runs/tangshan"
    monkeypatch.chdir("/")
    relative = Path(os.path.relpath(tmp_path / "t.toml"))
    assert reading.load(relative).study.out == tmp_path / "runs/tangshan"


def test_settings_are_frozen_and_travel_to_workers() -> None:
    settings = study()
    with pytest.raises(ValueError, match="frozen"):
        settings.granules.reach = 2  # type: ignore[misc]
    there = pickle.loads(pickle.dumps(settings))
    assert there == settings and there.resolved() == settings.resolved()


def test_resolved_settings_are_json_and_read_back_the_same() -> None:
    settings = study()
    again = Study.model_validate_json(json.dumps(settings.resolved()), strict=True)
    assert again.resolved() == settings.resolved()


def test_a_byte_order_mark_does_no_harm() -> None:
    assert reading.parse(b"\xef\xbb\xbf" + MINIMAL.encode(), HERE) == study()


VALUES = st.recursive(
    st.none().map(lambda _: "") | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)


@given(st.sampled_from(sorted(Study.model_fields)), VALUES)
@example("area", [{}])
@example("indicators", {"heat": {"raster": []}})
@example("quality", {"fields": {"state": []}})
def test_any_value_anywhere_is_a_study_or_a_study_error(section: str, value: Any) -> None:
    written = tomllib.loads(MINIMAL) | {section: value}
    try:
        reading.valid(written, HERE)
    except StudyError as error:
        assert section in str(error)


@given(st.binary(max_size=200))
def test_any_bytes_are_a_study_error(data: bytes) -> None:
    with pytest.raises(StudyError):
        reading.parse(data, HERE)
