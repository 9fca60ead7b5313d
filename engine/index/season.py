# SPDX-License-Identifier: Apache-2.0
"""Which dates are averaged: a season of the year, and the periods that belong to it."""

import calendar
from collections.abc import Sequence
from datetime import date, timedelta
from typing import Any, Literal, Self

from ..sources.errors import StudyError
from ..sources.products import Product
from ..sources.settings import Settings


class Season(Settings):
    """The part of a year whose observations are averaged; it may reach over the new year."""

    start: tuple[int, int] = (6, 1)
    """Month and day of its first day."""

    end: tuple[int, int] = (9, 30)
    """Month and day of its last day; before ``start``, it lies in the next year."""

    membership: Literal["start", "overlap", "inside"] = "start"
    """A period belongs to it by its first day, by any of its days, or by all of them."""

    @classmethod
    def of(cls, ends: Sequence[str], membership: Any = "start") -> Self:
        """The season between two days written ``MM-DD``. Raises StudyError for anything else.

        >>> Season.of(["12-01", "02-29"]).days(2001)
        (datetime.date(2001, 12, 1), datetime.date(2002, 2, 28))
        """
        try:
            start, end = (_month_and_day(text) for text in ends)
        except (TypeError, ValueError):
            raise StudyError(
                f'season: expected two days such as ["06-01", "09-30"], found {ends!r}'
            ) from None
        return cls(start=start, end=end, membership=membership)

    @property
    def months(self) -> tuple[int, ...]:
        """Months it has days in, in order.

        >>> Season(start=(12, 1), end=(2, 28)).months
        (12, 1, 2)
        """
        first, last = self.start[0], self.end[0]
        return tuple((first - 1 + i) % 12 + 1 for i in range((last - first) % 12 + 1))

    def days(self, year: int) -> tuple[date, date]:
        """First and last day of the season that starts in ``year``."""
        later = year + 1 if self.end < self.start else year
        month, day = self.end
        last = min(day, calendar.monthrange(later, month)[1])  # 29 February is 28 in most years
        first = min(self.start[1], calendar.monthrange(year, self.start[0])[1])
        return date(year, self.start[0], first), date(later, month, last)

    def holds(self, start: date, period_days: int, year: int) -> bool:
        """Whether the period that begins on ``start`` belongs to the season of ``year``."""
        first, last = self.days(year)
        end = start + timedelta(period_days - 1)
        if self.membership == "overlap":
            return start <= last and first <= end
        return first <= start <= last and (self.membership == "start" or end <= last)

    def dates(self, year: int, product: Product) -> tuple[date, ...]:
        """Starts of the product's periods that belong to the season of ``year``."""
        near = (start for y in (year - 1, year, year + 1) for start in product.dates(y))
        return tuple(start for start in near if self.holds(start, product.period_days, year))


def _month_and_day(text: str) -> tuple[int, int]:
    day = date.fromisoformat(f"2000-{text}")  # a leap year: 29 February is a day
    return day.month, day.day
