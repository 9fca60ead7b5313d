# SPDX-License-Identifier: Apache-2.0
"""The tables in a run folder, as its figures and its page take them."""

from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import Path

import pandas as pd

from .tables import TABLES
from .tabular import read


class RunTables(Mapping[str, pd.DataFrame]):
    """The tables in a run folder: each is read when it is asked for."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __getitem__(self, name: str) -> pd.DataFrame:
        """The table; raises KeyError where the run has none of that name."""
        if name not in self:
            raise KeyError(name)
        path = self._path(name)
        if TABLES[name].suffix == "parquet":  # may have a row a pixel: never kept
            return with_text_epochs(read(path, name))
        found = path.stat()
        return _read_once(path, name, found.st_mtime_ns, found.st_size)

    def __contains__(self, name: object) -> bool:
        """Whether the run has the table."""
        return name in TABLES and self._path(str(name)).is_file()

    def __iter__(self) -> Iterator[str]:
        """Names of the tables that the run has."""
        return (name for name in TABLES if name in self)

    def __len__(self) -> int:
        """Number of tables that the run has."""
        return sum(1 for _ in self)

    def _path(self, name: str) -> Path:
        return self.folder / TABLES[name].file


@lru_cache(maxsize=len(TABLES))  # the figures of the next area need the same
def _read_once(path: Path, name: str, time_ns: int, size: int) -> pd.DataFrame:
    return with_text_epochs(read(path, name))


def with_text_epochs(table: pd.DataFrame) -> pd.DataFrame:
    """The table with its epochs as text."""
    names = [n for n in ("epoch", "from_epoch", "to_epoch") if n in table.columns]
    return table.assign(**{name: table[name].astype(str) for name in names})
