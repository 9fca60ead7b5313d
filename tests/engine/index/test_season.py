# SPDX-License-Identifier: Apache-2.0
from datetime import date

import pytest

from rsei.engine.index.season import Season
from rsei.engine.sources.errors import StudyError
from rsei.engine.sources.products import products

EIGHT_DAYS, SIXTEEN_DAYS = products()["MOD09A1"], products()["MOD13A1"]


def days_of_year(starts: tuple[date, ...]) -> list[int]:
    return [start.timetuple().tm_yday for start in starts]


@pytest.mark.parametrize("year", range(2000, 2027))
def test_the_papers_dates_in_every_year(year: int) -> None:
    season = Season.of(["06-01", "09-30"])
    assert days_of_year(season.dates(year, EIGHT_DAYS)) == list(range(153, 274, 8))
    assert days_of_year(season.dates(year, SIXTEEN_DAYS)) == list(range(161, 274, 16))


def test_the_two_weeks_without_terra() -> None:
    heat = products()["MOD11A2"]
    assert len(Season().dates(2001, heat)) == 14
    assert sum(len(Season().dates(year, heat)) for year in (2000, 2001, 2002)) == 46


@pytest.mark.parametrize(("year", "earliest"), [(2019, 145), (2020, 153)])
def test_overlap_and_inside(year: int, earliest: int) -> None:
    ends = ["06-01", "09-30"]
    overlap = Season.of(ends, "overlap").dates(year, EIGHT_DAYS)
    inside = Season.of(ends, "inside").dates(year, EIGHT_DAYS)
    assert days_of_year(overlap) == list(range(earliest, 274, 8))  # day 145 ends on 31 May in 2020
    assert days_of_year(inside) == list(range(153, 266, 8))


def test_one_day_of_overlap_is_enough() -> None:
    season = Season(start=(6, 8), end=(6, 9), membership="overlap")
    assert season.holds(date(2021, 6, 1), 8, 2021)
    assert not season.holds(date(2021, 5, 31), 8, 2021)
    assert season.holds(date(2021, 6, 9), 8, 2021)
    assert not season.holds(date(2021, 6, 10), 8, 2021)


def test_a_winter_belongs_to_the_year_it_starts_in() -> None:
    winter = Season.of(["12-01", "02-28"])
    starts = winter.dates(2010, EIGHT_DAYS)
    assert starts[0] == date(2010, 12, 3)
    assert starts[-1] == date(2011, 2, 26)
    assert winter.holds(date(2011, 1, 1), 8, 2010)
    assert not winter.holds(date(2011, 1, 1), 8, 2011)
    assert not set(starts) & set(winter.dates(2011, EIGHT_DAYS))


def test_every_date_of_a_whole_year() -> None:
    season = Season.of(["01-01", "12-31"])
    assert season.dates(2012, EIGHT_DAYS) == tuple(EIGHT_DAYS.dates(2012))


def test_leap_day() -> None:
    season = Season.of(["02-29", "02-29"])
    assert season.days(2020) == (date(2020, 2, 29), date(2020, 2, 29))
    assert season.days(2021) == (date(2021, 2, 28), date(2021, 2, 28))


@pytest.mark.parametrize("ends", [["06-01"], ["6-1", "09-30"], ["06-01", "09-31"], [6, 9], "June"])
def test_other_spellings_are_named(ends: list[str]) -> None:
    with pytest.raises(StudyError, match="expected two days such as"):
        Season.of(ends)
