# SPDX-License-Identifier: Apache-2.0
"""A study file is read strictly, and what is wrong with it is said in plain words."""

import json
import os
import pickle
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from rsei.engine.run import reading
from rsei.engine.run.skeleton import skeleton
from rsei.engine.run.study import Compute, Study, in_bytes, models
from rsei.engine.sources.errors import StudyError

MINIMAL = """
[study]
name = "tangshan"
out = "runs/tangshan"
epochs = [2004, 2001]

[granules]
path = "granules"

[[area]]
name = "Tangshan"
boundary = "boundary.gpkg"
"""

HERE = Path("/home/me/study.toml")


def study(text: str = MINIMAL) -> Study:
    return reading.parse(text.encode(), HERE)


def with_line(section: str, line: str) -> str:
    """The minimal study with ``line`` in ``section``, which may be new."""
    if section in MINIMAL:
        return MINIMAL.replace(section, f"{section}\n{line}", 1)
    return f"{MINIMAL}\n{section}\n{line}\n"


def problem(text: str) -> str:
    with pytest.raises(StudyError) as caught:
        study(text)
    message = str(caught.value)
    # What pydantic calls things is nothing to a user.
    for jargon in ("pydantic", "Input should", "validation error", "type=", "literal[", "tuple["):
        assert jargon not in message
    assert message.startswith(f"{HERE}: ") and caught.value.exit_code == 2
    return message.removeprefix(f"{HERE}: ")


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


@pytest.mark.parametrize(
    ("section", "key"),
    [
        ("study", "name"),
        ("study", "out"),
        ("study", "epochs"),
        ("granules", "path"),
        ("area[1]", "name"),
    ],
)
def test_a_missing_required_key_is_named(section: str, key: str) -> None:
    lines = MINIMAL.splitlines()
    first = lines.index(f"[{section}]" if section != "area[1]" else "[[area]]")
    where = next(i for i, line in enumerate(lines) if i > first and line.startswith(key))
    found = problem("\n".join(lines[:where] + lines[where + 1 :]))
    assert found.startswith(f"{section}.{key}: expected this required key, found none (")


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


def test_a_remote_path_stays_what_it_is() -> None:
    text = with_line("[water]", 'land_cover = { raster = "/vsizip/a.zip/b.tif", classes = [17] }')
    assert study(text).water.land_cover.raster == "/vsizip/a.zip/b.tif"  # type: ignore[union-attr]


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


WRONG = [
    # section, line, what the message has to say
    ("[granules]", "resch = 1", 'granules.resch: unknown key; did you mean "reach"?'),
    ("[study]", "reach = 1", 'study.reach: unknown key here; did you mean "granules.reach"?'),
    ("[study]", "xyzzy = 1", "study.xyzzy: unknown key; expected one of epochs, name, out"),
    ("[granule]", "x = 1", 'granule: unknown key; did you mean "granules"?'),
    ("[[area]]", 'mine = "x"', 'area[1].mine: unknown key; did you mean "mines"?'),
    ("[granules]", 'reach = "1"', 'granules.reach: expected a whole number, found "1"'),
    ("[granules]", "reach = 1.0", "granules.reach: expected a whole number, found 1.0"),
    ("[granules]", "reach = true", "granules.reach: expected a whole number, found true"),
    ("[granules]", "reach = -1", "granules.reach: expected at least 0, found -1"),
    ("[granules]", "reach = 99", "granules.reach: expected at most 20, found 99"),
    ("[granules]", "collection = 61", "granules.collection: expected text in quotes, found 61"),
    ("[granules]", 'mixed_collections = "no"', 'expected true or false, found "no"'),
    (
        "[granules]",
        'membership = "strat"',
        '"overlap" or "inside", found "strat"; did you mean "st',
    ),
    ("[granules]", 'on_bad_granule = "ignore"', 'expected "error" or "skip", found "ignore"'),
    ("[granules]", 'season = ["06-01"]', "granules.season[2]: expected one more value, found none"),
    ("[granules]", 'season = "06-01"', 'granules.season: expected a list in [ ], found "06-01"'),
    (
        "[granules]",
        'season = ["06-31", "09-30"]',
        'season[1]: expected a month and a day such as "06',
    ),
    ("[granules]", 'season = ["W01-1", "09-30"]', "season[1]: expected a month and a day"),
    ("[granules]", 'season = ["6-1", "09-30"]', "season[1]: expected a month and a day"),
    ("[granules]", 'platforms = ["tera"]', 'platforms[1]: expected "terra", "aqua" or "viirs"'),
    (
        "[[area]]",
        "bounds = [1, 2, 3, 4]",
        "area[1]: expected one of boundary, bounds and tiles, found boundary and bounds",
    ),
    ("[[area]]", 'name_field = ""', None),
    ("[compute]", 'memory = "8"', 'expected a number and a unit such as "8 GiB", found "8"'),
    ("[compute]", 'memory = "0 GiB"', "compute.memory: expected a number and a unit"),
    ("[compute]", "memory = 8", "compute.memory: expected text in quotes, found 8"),
    (
        "[compute]",
        'device = "gpu"',
        'compute.device: expected "auto", "cpu" or "cuda", found "gpu"',
    ),
    ("[quality]", 'preset = "standart"', "did you mean"),
    ("[quality.fields.stat]", "cloud = [0]", "did you mean state?"),
    ("[quality.fields.state]", "clouds = [0]", "did you mean cloud?"),
    ("[quality.fields.state]", "cloud = [4]", "expected a list of values from 0 to 3"),
    ("[indicators]", 'greenness = "band"', 'found "band"; did you mean "bands"?'),
    ("[indicators]", 'heat = { rastr = "x" }', 'heat.rastr: unknown key; did you mean "raster"?'),
    ("[indicators]", 'lst_resampling = "cubic"', "indicators.lst_resampling: expected"),
    ("[water]", 'mndwi = "ostu"', 'found "ostu"; did you mean "otsu"?'),
    ("[water]", "mndwi = nan", "water.mndwi: expected a finite number, found nan"),
    ("[water]", "land_cover = { classes = [17] }", "water.land_cover.raster: expected this requ"),
    ("[rsei]", 'limits = "minimax"', 'did you mean "minmax"?'),
    ("[rsei]", "limits = [1]", "rsei.limits"),
    ("[rsei]", 'direction = "up"', "rsei.direction: expected"),
    (
        "[rsei]",
        "reference = 2003",
        "rsei.reference: expected one of the epochs 2001, 2004, found 2003",
    ),
    ("[forest]", "trees = 10", "forest: expected a section [drivers] beside [forest], found none"),
    (
        "[drivers]",
        "year = 2003\nlayers = {}",
        "drivers.year: expected one of the epochs 2001, 2004",
    ),
    ("[drivers]", "year = 2004", "drivers.layers: expected this required key, found none"),
    (
        "[drivers]",
        'year = 2004\nlayers = {demm = "x"}',
        'layers.demm: unknown key; did you mean "dem"',
    ),
]


@pytest.mark.parametrize(("section", "line", "said"), WRONG)
def test_a_wrong_line_is_explained(section: str, line: str, said: str | None) -> None:
    if said is None:
        study(with_line(section, line))
    else:
        assert said in problem(with_line(section, line))


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("[2004, 2001]", "[2001, 2001]", "study.epochs: expected each year once, found 2001 more"),
        ("[2004, 2001]", "[]", "study.epochs: expected at least 1 item(s), found []"),
        ("[2004, 2001]", "2001", "study.epochs: expected a list in [ ], found 2001"),
        ("[2004, 2001]", "[1999]", "study.epochs[1]: expected at least 2000, found 1999"),
        ("[2004, 2001]", "[2001, 20040]", "study.epochs[2]: expected at most 2100, found 20040"),
        ("[2004, 2001]", '["2001"]', 'study.epochs[1]: expected a whole number, found "2001"'),
        ("[2004, 2001]", "[2001-01-01]", 'expected a whole number, found "2001-01-01"'),
        ('name = "tangshan"', 'name = " "', "study.name: expected a name without blanks"),
        ('name = "tangshan"', "name = 7", "study.name: expected text in quotes, found 7"),
        ("[[area]]", "[area]", "write [[area]]"),
        (
            'boundary = "boundary.gpkg"',
            "",
            "area[1]: expected one of boundary, bounds and tiles, found none",
        ),
        (
            'boundary = "boundary.gpkg"',
            "bounds = [9, 2, 3, 4]",
            "area[1].bounds: expected [west, s",
        ),
        ('boundary = "boundary.gpkg"', "bounds = [1, 2, 3]", "bounds[4]: expected one more value"),
        ('boundary = "boundary.gpkg"', "bounds = [1, 2, 3, 4, 5]", "bounds: expected at most 4 it"),
        (
            'boundary = "boundary.gpkg"',
            'bounds = [1, 2, 3, 4]\nname_field = "x"',
            "area[1].name_field: expected a boundary whose features it names",
        ),
        ("epochs = [", "epochs = ", "expected TOML, found a fault: "),
        ("[granules]", "[granules", "(at line 7, column "),
        ("[granules]", "[study]", "(at line 7, column "),
    ],
)
def test_a_wrong_value_is_explained(old: str, new: str, said: str) -> None:
    assert said in problem(MINIMAL.replace(old, new, 1))


def test_all_problems_come_at_once() -> None:
    text = with_line("[granules]", "reach = -1\nseasn = 3").replace("tangshan", "", 1)
    assert problem(text).splitlines() == [
        "3 problems",
        '  study.name: expected a name without blanks at its ends, found ""',
        "  granules.reach: expected at least 0, found -1",
        '  granules.seasn: unknown key; did you mean "season"?',
    ]


def test_a_flood_of_problems_is_cut() -> None:
    lines = problem(MINIMAL.replace("[2004, 2001]", str([1] * 200))).splitlines()
    assert lines[0] == "200 problems" and lines[-1] == "  and 190 more" and len(lines) == 12


def test_two_areas_of_one_name_are_refused() -> None:
    more = '\n[[area]]\nname = "Tangshan"\nbounds = [1, 2, 3, 4]\n'
    assert 'area: expected each name once, found "Tangshan" more than once' in problem(
        MINIMAL + more
    )


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"\xff\xfe\x00", "expected UTF-8 text"),
        (b"", "study: expected this required key"),
        (b"a = " + b"[" * 5000, "expected"),
        (b"a = " + b"9" * 5000, "expected TOML"),
        (b"\x00", "expected TOML"),
    ],
)
def test_a_file_that_is_no_study_is_explained(data: bytes, said: str) -> None:
    with pytest.raises(StudyError, match=said):
        reading.parse(data, HERE)


def test_files_that_cannot_be_read_are_explained(tmp_path: Path) -> None:
    with pytest.raises(StudyError, match="no such file; `rsei init"):
        reading.load(tmp_path / "none.toml")
    with pytest.raises(StudyError, match="expected a study file"):
        reading.load(tmp_path)
    (tmp_path / "large.toml").write_bytes(b"#" * (reading.LARGEST + 1))
    with pytest.raises(StudyError, match="at most 1 MiB"):
        reading.load(tmp_path / "large.toml")


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


def test_the_skeleton_is_a_study_with_every_default() -> None:
    text = skeleton()
    minimal = study(
        '[study]\nname="a"\nout="b"\nepochs=[2001]\n[granules]\npath="c"\n'
        '[[area]]\nname="d"\nboundary="e"\n'
    ).resolved()
    filled = study(text).resolved()
    for section in ("quality", "indicators", "water", "rsei", "compute"):
        assert filled[section] == minimal[section]
    assert filled["granules"] == minimal["granules"] | {"path": "granules"}


def test_the_skeleton_shows_every_key_with_its_meaning() -> None:
    text = skeleton()
    for name, field in Study.model_fields.items():
        assert f"[{name}]" in text
        for table in models(field.annotation)[:1]:
            for key, inner in table.model_fields.items():
                assert f"{key} = " in text or f"{name}.{key}]" in text
                assert inner.description and inner.description.split()[0] in text
    assert max(map(len, text.splitlines())) <= 120 and "``" not in text


def test_every_key_that_the_skeleton_leaves_out_is_legal_when_uncommented() -> None:
    lines = skeleton().splitlines()
    end = lines.index("# [drivers]")
    left_out = [i for i, line in enumerate(lines[:end]) if re.match(r"# [a-z_]+ = ", line)]
    assert len(left_out) >= 8
    for i in left_out:
        text = "\n".join([*lines[:i], lines[i].removeprefix("# "), *lines[i + 1 :]])
        if lines[i].startswith(("# bounds", "# tiles")):
            text = text.replace('boundary = "boundary.gpkg"', "")
        assert study(text) != study(skeleton())


def test_the_optional_sections_of_the_skeleton_are_legal_when_uncommented() -> None:
    lines = skeleton().splitlines()
    first, last = lines.index("# [drivers]"), lines.index("[compute]")
    lines[first:last] = [line.removeprefix("# ") for line in lines[first:last]]
    settings = study("\n".join(lines))
    assert settings.drivers and settings.drivers.crs == "ESRI:102025"
    assert settings.forest and settings.forest.trees == 1000


@pytest.mark.parametrize(
    ("text", "amount"), [("1 B", 1), ("2kB", 2000), (" 1.5 MiB ", 3 << 19), ("1 TiB", 1 << 40)]
)
def test_amounts_of_memory(text: str, amount: int) -> None:
    assert in_bytes(text) == amount


@pytest.mark.parametrize(
    "text", ["", "GiB", "-1 GiB", "1e9 B", "1 PiB", "nan GiB", "1,5 GiB", "8 iB"]
)
def test_other_texts_are_no_amounts(text: str) -> None:
    with pytest.raises(ValueError, match="expected a number and a unit"):
        in_bytes(text)
