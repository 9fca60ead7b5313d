# SPDX-License-Identifier: Apache-2.0
"""The rasters that may explain the index, as a study names them."""

from typing import Literal, Self

from pydantic import model_validator

from ..sources.resampling import Method
from ..sources.settings import Settings


class DriverRaster(Settings):
    """A raster that may explain the index."""

    raster: str | None = None
    """File, or a pattern with {year}."""
    months: str | None = None
    """Pattern with {month:02d}, and perhaps {year}, for twelve monthly files, in place of one."""
    reduce: Literal["sum", "mean"] = "sum"
    """How twelve months become a year."""
    resampling: Method | None = None
    """How it reaches the drivers' grid: ``sum`` for totals, ``mode`` for classes; when absent
    average from finer pixels, else bilinear."""
    units: str | None = None
    """Unit of its values; a DEM may be in m, dm, cm, mm, km or ft."""
    range: tuple[float, float] | None = None
    """Least and most that a value may be; others are missing."""

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if (self.raster is None) == (self.months is None):
            raise ValueError(
                f"expected either raster or months, found {'both' if self.raster else 'neither'}"
            )
        if self.range is not None and not self.range[0] <= self.range[1]:
            raise ValueError(f"range: expected [least, most], found {list(self.range)}")
        return self


DriverLayer = str | DriverRaster
"""A file, or a table that says more of it."""


class DriverLayers(Settings):
    """The rasters of the drivers; slope, distance to the mines and mine share are made."""

    dem: DriverLayer | None = None
    """Elevation, m."""
    prec: DriverLayer | None = None
    """Precipitation, mm."""
    gdp: DriverLayer | None = None
    """Gross domestic product."""
    ntl: DriverLayer | None = None
    """Night lights."""
    elec: DriverLayer | None = None
    """Electricity consumption."""
    co2: DriverLayer | None = None
    """CO2 emissions."""
    pm25: DriverLayer | None = None
    """PM2.5 concentration."""
