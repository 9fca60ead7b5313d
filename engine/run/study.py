# SPDX-License-Identifier: Apache-2.0
"""What was asked: the settings of a study, composed of the settings that each stage owns."""

from pathlib import Path
from typing import Annotated, Any, Literal, Self, get_args

from pydantic import BaseModel, Field, PrivateAttr, field_validator, model_validator
from pyproj import CRS
from pyproj.exceptions import CRSError

from ..analysis.forest_settings import ForestSettings
from ..analysis.rings import RingSettings
from ..index.indicators import IndicatorSettings, WaterSettings
from ..index.quality import Policy
from ..index.rsei import RseiSettings
from ..index.season import Season
from ..report.settings import ReportSettings
from ..sources.settings import Settings
from .driver_settings import DriverLayers
from .entries import Day, Memory, Name, Tile, Year, in_bytes

FINEST = 100.0
"""Least side of a drivers' pixel, m: the window of the mine share, 10 km, has 100 rows at most."""


class StudyPart(Settings):
    """The study, and where its results go."""

    name: Name = Field(examples=["my-city"])
    """Name of the study."""
    out: Path = Field(examples=["runs/my-city"])
    """Folder of the results; a run that was interrupted resumes there."""
    epochs: tuple[Year, ...] = Field(min_length=1, examples=[[2001, 2010, 2019]])
    """Years to map; each is the mean of the seasons of the years around it."""

    @model_validator(mode="after")
    def _distinct(self) -> Self:
        twice = sorted({year for year in self.epochs if self.epochs.count(year) > 1})
        if twice:
            raise ValueError(f"epochs: expected each year once, found {twice[0]} more than once")
        return self


class Granules(Settings):
    """The images: which files, which season, which years."""

    path: Path = Field(examples=["granules"])
    """Folder of the granules, searched recursively: HDF4-EOS, AppEEARS GeoTIFF or NetCDF."""
    season: tuple[Day, Day] = ("06-01", "09-30")
    """First and last day of the growing season; it may reach over the new year."""
    membership: Literal["start", "overlap", "inside"] = "start"
    """Which composites are of the season: those that start in it, overlap it, or lie inside it."""
    reach: Annotated[int, Field(ge=0, le=20)] = 1
    """Years on either side of an epoch that are averaged with it."""
    platforms: tuple[Literal["terra", "aqua"], ...] | None = None
    """Platforms to use; all that are found when absent."""
    collection: str = "061"
    """Collection of the products."""
    mixed_collections: bool = False
    """Whether granules of other collections may be used beside it."""
    on_bad_granule: Literal["error", "skip"] = "error"
    """Whether a damaged granule ends the run, or is left out and reported."""

    @property
    def calendar(self) -> Season:
        """The season, with the rule of membership."""
        return Season.of(self.season, self.membership)


class AreaSettings(Settings):
    """A city, a province or a nation."""

    name: Name = Field(examples=["My city"])
    """Name of the area."""
    boundary: Path | None = Field(None, examples=["boundary.gpkg"])
    """Polygons of the area, in any CRS: the union of the file's features."""
    name_field: str | None = None
    """Attribute that names the features: each then is an area of its own."""
    bounds: tuple[float, float, float, float] | None = None
    """West, south, east and north in degrees, in place of a boundary."""
    tiles: tuple[Tile, ...] | None = Field(None, min_length=1)
    """Tiles of the sinusoidal grid, in place of a boundary."""
    by_tile: bool | None = None
    """Whether its rasters are a file a tile, beside an index; when absent, where its rectangle has
    more than 33 million pixels."""
    mines: Path | None = None
    """Polygons of the mines, in any CRS."""
    coast: Path | None = None
    """Coast line or land polygons: the distance to the mines goes round the water."""
    zones: Path | None = None
    """Polygons of any kind, such as districts: statistics of each by exact coverage."""
    zones_field: str | None = None
    """Attribute that names the zones; they are numbered from 0 when absent."""

    @model_validator(mode="after")
    def _one_outline(self) -> Self:
        given = [n for n in ("boundary", "bounds", "tiles") if getattr(self, n) is not None]
        if len(given) != 1:
            found = " and ".join(given) or "none"
            raise ValueError(f"expected one of boundary, bounds and tiles, found {found}")
        if self.name_field is not None and self.boundary is None:
            raise ValueError("name_field: expected a boundary whose features it names, found none")
        if self.bounds is not None:
            west, south, east, north = self.bounds
            if not (-180 <= west < east <= 180 and -90 <= south < north <= 90):
                raise ValueError(
                    "bounds: expected [west, south, east, north] in degrees, "
                    f"found {list(self.bounds)}"
                )
        return self

    @property
    def outline(self) -> Path | tuple[float, ...] | tuple[str, ...]:
        """Where the area lies: a file, degrees or tiles."""
        return self.boundary or self.bounds or self.tiles or ()


class AnalysisSettings(Settings):
    """How the index is looked at: by latitude, by distance to the mines, through time."""

    latitude_width: Annotated[float, Field(gt=0, le=90)] = 0.1
    """Width of a bin of latitude, degrees."""
    alpha: Annotated[float, Field(gt=0, lt=1)] = 0.05
    """Share of false discoveries among the pixels whose trend is called significant."""
    rings: RingSettings = Field(default_factory=RingSettings)
    """Rings around the mines."""


class DriversSettings(Settings):
    """What may explain the index, on a grid of its own."""

    year: Year = Field(examples=[2019])
    """The epoch to explain."""
    crs: str = "ESRI:102025"
    """CRS of the grid: an equal-area projection in metres."""
    resolution: Annotated[float, Field(ge=FINEST)] = 1000
    """Width and height of its pixels, m: 100 or more, a hundredth of the window of the mine
    share; the index itself has 500."""
    layers: DriverLayers
    """The rasters."""

    @field_validator("crs")
    @classmethod
    def _in_metres(cls, text: str) -> str:
        try:
            crs = CRS.from_user_input(text)
        except CRSError:
            crs = None
        if crs is None or {axis.unit_name for axis in crs.axis_info} != {"metre"}:
            found = "an unknown one" if crs is None else crs.name
            raise ValueError(f"expected a projection in metres (ESRI:102025), found {found}")
        return text


class Compute(Settings):
    """Where it runs."""

    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Processor; auto takes a GPU where there is one and the work is worth it."""
    memory: Memory = "8 GiB"
    """Most memory a run may use."""
    device_memory: Memory | None = None
    """Most memory of a GPU it may use, a GPU of each worker; when absent, 80 % of what is free."""

    @property
    def memory_bytes(self) -> int:
        """Most memory a run may use, bytes."""
        return in_bytes(self.memory)

    @property
    def device_memory_bytes(self) -> int | None:
        """Most memory of the GPU it may use, bytes; None where the GPU is to be asked."""
        return in_bytes(self.device_memory) if self.device_memory else None

    def block_bytes(self, device: str) -> int:
        """Most memory of what is calculated at once, bytes: a GPU's block is on both sides."""
        card = self.device_memory_bytes if device == "cuda" else None
        return min(self.memory_bytes, card or self.memory_bytes)


class Study(Settings):
    """All settings of a study; its paths are absolute."""

    study: StudyPart
    granules: Granules
    quality: Policy = Field(default_factory=Policy)
    indicators: IndicatorSettings = Field(default_factory=IndicatorSettings)
    water: WaterSettings = Field(default_factory=WaterSettings)
    rsei: RseiSettings = Field(default_factory=RseiSettings)
    area: tuple[AreaSettings, ...] = Field(min_length=1)
    analysis: AnalysisSettings = Field(default_factory=AnalysisSettings)
    report: ReportSettings = Field(default_factory=ReportSettings)
    drivers: DriversSettings | None = None
    forest: ForestSettings | None = None
    compute: Compute = Field(default_factory=Compute)
    _written: dict[str, Any] = PrivateAttr(default_factory=dict)
    _file: Path | None = PrivateAttr(default=None)

    @model_validator(mode="after")
    def _agreeing(self) -> Self:
        names = [area.name for area in self.area]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f'area: expected each name once, found "{twice[0]}" more than once')
        reference = self.rsei.reference
        if reference is not None and reference not in self.study.epochs:
            raise ValueError(f"rsei.reference: {_no_epoch(reference, self.epochs)}")
        if self.drivers and self.drivers.year not in self.study.epochs:
            raise ValueError(f"drivers.year: {_no_epoch(self.drivers.year, self.epochs)}")
        if self.forest and not self.drivers:
            raise ValueError("forest: expected a section [drivers] beside [forest], found none")
        return self

    @property
    def epochs(self) -> tuple[int, ...]:
        """Epochs, in order."""
        return tuple(sorted(self.study.epochs))

    def years(self, epoch: int | None = None) -> tuple[int, ...]:
        """Years whose granules ``epoch``, or every epoch together, is made of, in order."""
        reach = self.granules.reach
        epochs = self.epochs if epoch is None else (epoch,)
        return tuple(sorted({y for e in epochs for y in range(e - reach, e + reach + 1)}))

    @property
    def file(self) -> Path | None:
        """The file it was read from, absolute; None where it was made otherwise."""
        return self._file

    def resolved(self) -> dict[str, Any]:
        """Every setting as JSON values, defaults included, with paths as the user wrote them."""
        return self._written or self.model_dump(mode="json")


def _no_epoch(year: int, epochs: tuple[int, ...]) -> str:
    return f"expected one of the epochs {', '.join(map(str, epochs))}, found {year}"


def models(annotation: Any) -> list[type[BaseModel]]:
    """The settings types in a type annotation, however deep."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [found for part in get_args(annotation) for found in models(part)]
