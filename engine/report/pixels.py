# SPDX-License-Identifier: Apache-2.0
"""Tables with a row a pixel, of which a nation has millions: read part by part, never whole."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import pyarrow.compute as pc
import pyarrow.parquet as pq


@dataclass(frozen=True)
class PixelTable:
    """The rows of one area, or of all, of a Parquet table of the run."""

    path: Path
    """The file, sorted by area, x and y."""

    area: str | None = None
    """Name of the area; None for all of them."""

    def parts(self, columns: Sequence[str]) -> Iterator[pd.DataFrame]:
        """Some columns of the rows, at least one row at a time, in the order of the table."""
        with pq.ParquetFile(self.path) as file:
            for group in range(file.num_row_groups):
                if self._may_be_in(file, group):
                    rows = file.read_row_group(group, ["area", *columns])
                    if self.area is not None:
                        rows = rows.filter(pc.equal(rows["area"], self.area))
                    if rows.num_rows:
                        yield rows.select([*columns]).to_pandas()

    def __bool__(self) -> bool:
        """Whether there is any row."""
        return next(self.parts(["x"]), None) is not None

    def _may_be_in(self, file: pq.ParquetFile, group: int) -> bool:
        """Whether a group of rows may have some of the area, by its first and last one's name."""
        column = file.schema_arrow.get_field_index("area")
        ends = file.metadata.row_group(group).column(column).statistics
        if self.area is None or ends is None or not ends.has_min_max:
            return True
        return bool(ends.min <= self.area <= ends.max)


def joined(first: Iterable[pd.DataFrame], second: Iterable[pd.DataFrame]) -> Iterator[pd.DataFrame]:
    """The rows that two tables share by x and y, in which both rise, a part of ``first`` at a time.

    Of ``second`` the parts are held that one of ``first`` reaches into.
    """
    others, held, last = iter(second), list[pd.DataFrame](), None
    for part in first:
        start, end = _place(part, 0), _place(part, -1)
        held = [one for one in held if _place(one, -1) >= start]
        while last is None or last < end:
            if (more := next(others, None)) is None:
                break
            last = _place(more, -1)
            held += [more] if last >= start else []
        if held:
            yield part.merge(pd.concat(held), on=["x", "y"])


def _place(rows: pd.DataFrame, number: int) -> tuple[float, float]:
    """x and y of one of the rows."""
    return float(rows["x"].iloc[number]), float(rows["y"].iloc[number])
