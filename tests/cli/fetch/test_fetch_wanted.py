# SPDX-License-Identifier: Apache-2.0
"""What ``rsei fetch`` asks for: products, tiles and dates of a study."""

from dataclasses import replace
from datetime import date
from pathlib import Path
from urllib.parse import urlencode

import pytest
from archive_server import Archive
from commands import rsei
from fetched import STUDY, TILES, fill, names

from rsei.engine.run import errands, fetching, reading
from rsei.engine.sources.products import products


def test_the_example_counts_what_the_seasons_hold() -> None:
    assert len(names()) == 20


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("reach = 0", 'reach = 0\ncollection = "005"', "granules.collection: expected one of"),
        ("reach = 0", 'reach = 0\nplatforms = ["viirs"]', 'expected "terra" or "aqua"'),
        ("epochs = [2012]", "epochs = [2099]", "lie in the future"),
        ("reach = 0", "raech = 0", "did you mean"),
    ],
)
def test_settings_that_cannot_be_fetched(study: Path, old: str, new: str, said: str) -> None:
    study.write_text(STUDY.replace(old, new))
    result = rsei("fetch", study)
    assert result.exit_code == 2 and said in result.stderr


def test_tiles_and_dates_come_of_the_study(study: Path) -> None:
    text = STUDY.replace("reach = 0", 'reach = 1\nplatforms = ["terra", "aqua"]')
    study.write_text(text.replace("06-30", "09-30").replace("[2012]", "[2001]"))
    found, later = fetching.wanted(reading.load(study), date(2026, 1, 1))
    assert later == 0
    assert {one.tile for one in found} == set(TILES)
    count = {
        (name, year): sum(
            one.product == name and one.date.year == year and one.tile == TILES[0] for one in found
        )
        for name in products()
        for year in (2000, 2001, 2002, 2003)
    }
    # June to September: 16 dates of 8 days, 8 of 16. Terra was off for two of MOD11A2 in 2001;
    # Aqua's first are of 4 July 2002.
    assert [count["MOD09A1", y] for y in (2000, 2001, 2002, 2003)] == [16, 16, 16, 0]
    assert [count["MOD11A2", y] for y in (2000, 2001, 2002)] == [16, 14, 16]
    assert [count["MOD13A1", y] for y in (2000, 2001, 2002)] == [8, 8, 8]
    assert [count["MYD09A1", y] for y in (2000, 2001, 2002)] == [0, 0, 12]
    assert sum(one.product == "MCD12Q1" for one in found) == 0


def test_a_raster_of_the_user_needs_no_granule(study: Path) -> None:
    heat = '[indicators]\nheat = { raster = "t_{year}.tif", units = "K", range = [250, 330] }\n'
    study.write_text(STUDY.replace("[[area]]", f"{heat}[[area]]"))
    found, _ = fetching.wanted(reading.load(study), date(2026, 1, 1))
    assert {one.product for one in found} == {"MOD09A1", "MOD13A1"}


def test_the_future_is_not_asked_for(archive: Archive, study: Path) -> None:
    fill(archive)
    servers = errands.Servers(f"{archive.base}/search")
    options = errands.FetchOptions(servers=servers, today=date(2012, 6, 11))
    plan = fetching.plan(reading.load(study), options)
    assert (len(plan.wanted), plan.later) == (10, 10)
    assert {record.wanted.date for record in plan.records} <= {date(2012, 6, 1), date(2012, 6, 9)}


def test_questions_name_the_seasons_that_lack_something(study: Path) -> None:
    study.write_text(STUDY.replace("[2012]", "[2012, 2014]"))
    asked = reading.load(study)
    every, _ = fetching.wanted(asked, date(2026, 1, 1))
    lacking = [one for one in every if one.product == "MOD13A1" and one.date.year == 2014]
    (question,) = fetching.questions(asked, [one for one in lacking if one.date.day == 10])
    assert question.tiles == TILES
    assert question.spans == ((date(2014, 6, 10), date(2014, 6, 25)),)
    assert len(list(fetching.questions(asked, every))) == 3
    assert question.parameters()["temporal[]"] == ["2014-06-10T00:00:00Z,2014-06-25T23:59:59Z"]


def test_a_continent_is_asked_for_in_parts(study: Path) -> None:
    asked = reading.load(study)
    one, *_ = fetching.wanted(asked, date(2026, 1, 1))[0]
    tiles = [f"h{h:02d}v{v:02d}" for h in range(20, 30) for v in range(4, 14)]
    every = [replace(one, tile=tile) for tile in tiles]
    found = list(fetching.questions(asked, every))
    assert [tile for question in found for tile in question.tiles] == tiles
    longest = max(len(urlencode(question.parameters(), doseq=True)) for question in found)
    assert longest < 8000 - 24 * 80  # the seasons of 24 years come on top
