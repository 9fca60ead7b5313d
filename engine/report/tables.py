# SPDX-License-Identifier: Apache-2.0
"""Every table of a run as data: its columns with their types and units, and the key of its rows."""

from collections.abc import Mapping

from .columns import Column, Table
from .tables_areas import OF_THE_AREAS, OF_THE_TRENDS
from .tables_drivers import OF_THE_DRIVERS, OF_THE_FOREST
from .tables_index import OF_THE_INDEX, OF_THE_RUN
from .tables_mines import OF_THE_MINES

__all__ = ["TABLES", "Column", "Table"]

TABLES: Mapping[str, Table] = {
    table.name: table
    for table in (
        *OF_THE_RUN,
        *OF_THE_INDEX,
        *OF_THE_AREAS,
        *OF_THE_MINES,
        *OF_THE_TRENDS,
        *OF_THE_DRIVERS,
        *OF_THE_FOREST,
    )
}
"""Every table of a run, by name."""
