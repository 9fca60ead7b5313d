# SPDX-License-Identifier: Apache-2.0
"""What is wrong with a study file is said in plain words."""

from pathlib import Path

import pytest
from study_texts import HERE, MINIMAL, study, with_line

from rsei.engine.run import reading
from rsei.engine.sources.errors import StudyError


def problem(text: str) -> str:
    with pytest.raises(StudyError) as caught:
        study(text)
    message = str(caught.value)
    # What pydantic calls things is nothing to a user.
    for jargon in ("pydantic", "Input should", "validation error", "type=", "literal[", "tuple["):
        assert jargon not in message
    assert message.startswith(f"{HERE}: ") and caught.value.exit_code == 2
    return message.removeprefix(f"{HERE}: ")


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


ADDED = [
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
    ("[granules]", 'platforms = ["tera"]', 'platforms[1]: expected "terra" or "aqua", found "t'),
    ("[granules]", 'platforms = ["viirs"]', 'expected "terra" or "aqua", found "viirs"'),
    (
        "[[area]]",
        "bounds = [1, 2, 3, 4]",
        "area[1]: expected one of boundary, bounds and tiles, found boundary and bounds",
    ),
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
        'year = 2004\nresolution = 30\nlayers = { dem = "dem.tif" }',
        "drivers.resolution: expected at least 100.0, found 30",
    ),
    (
        "[drivers]",
        'year = 2004\nlayers = {demm = "x"}',
        'layers.demm: unknown key; did you mean "dem"',
    ),
]


CHANGED = [
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
]
"""What stands in the minimal study, what is put there, and what is said of it."""


@pytest.mark.parametrize(
    ("text", "said"),
    [
        *((with_line(section, line), said) for section, line, said in ADDED),
        *((MINIMAL.replace(old, new, 1), said) for old, new, said in CHANGED),
    ],
)
def test_a_mistake_is_explained(text: str, said: str) -> None:
    assert said in problem(text)


def test_an_empty_name_field_is_none() -> None:
    (area,) = study(with_line("[[area]]", 'name_field = ""')).area
    assert not area.name_field


@pytest.mark.parametrize(
    ("section", "line", "place"),
    [
        ("[[area]]", 'mines = "https://me:s3cret@my-site.org/m.gpkg"', "area[1].mines"),
        (
            "[water]",
            'land_cover = { raster = "/vsizip/s3cret.zip/b.tif", classes = [17] }',
            "water.land_cover.raster",
        ),
        ("[drivers]", 'year = 2004\nlayers.dem = "s3://s3cret@b/a"', "drivers.layers.dem"),
        (
            "[drivers]",
            'year = 2004\nlayers.prec = { months = "/vsicurl/http://s3cret/a" }',
            "drivers.layers.prec.months",
        ),
    ],
)
def test_a_path_on_a_server_is_refused_and_not_repeated(
    section: str, line: str, place: str
) -> None:
    found = problem(with_line(section, line))
    assert found.startswith(f"{place}: expected a path on disk, found an address")
    assert "s3cret" not in found


def test_a_name_may_be_an_address() -> None:
    assert study(MINIMAL.replace('"tangshan"', '"doi:/10.1"')).study.name == "doi:/10.1"


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
