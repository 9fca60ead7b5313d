"""A landscape whose ecological quality is known: what the simulated satellites look at."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import shapely
from numpy.typing import NDArray
from pyproj import Transformer
from rasterio.features import rasterize
from shapely.affinity import scale as scaled

from .grids import RADIUS, SINUSOIDAL, SINUSOIDAL_500M, Window
from .simulated_noise import Field, fractal, key, nodes, spread

METRIC = "ESRI:102025"
"""The plane in which distances and areas are measured, as the study does."""

REACH_KM = 5.0
"""Distance from a mine at which quality stops rising, km: the truth that rings must find."""

NEAR = 0.30
"""Loss of quality at a mine's edge; it falls in a straight line to none at ``REACH_KM``."""

THRESHOLD_KM2 = 1.5
"""Size from which a larger mine is no worse inside, km²: the truth that mine sizes must find."""

PIT = (0.06, 0.26)
"""Further loss inside a mine: of the smallest, and what is added up to ``THRESHOLD_KM2``."""

PIT_SHARE = 0.25
"""Share of pit from which a pixel counts as wholly disturbed: roads and dumps go further."""

WEIGHTS: Mapping[str, float] = {
    "dem": 0.080,
    "gdp": -0.056,
    "prec": 0.044,
    "slope": 0.034,
    "pm25": -0.026,
    "co2": -0.020,
    "ntl": -0.014,
    "elec": 0.0,
}
"""Change of quality with one standard deviation of each driver, in the order of their importance.

Distance to mines stands before them all. Source: the study's published order; electricity, which
comes last there, does nothing here.
"""

SPECTRA: Mapping[str, tuple[float, ...]] = {
    "forest": (0.028, 0.340, 0.020, 0.046, 0.310, 0.150, 0.062),
    "crop": (0.045, 0.390, 0.030, 0.075, 0.365, 0.225, 0.105),
    "soil": (0.165, 0.245, 0.085, 0.125, 0.310, 0.335, 0.285),
    "urban": (0.140, 0.205, 0.100, 0.122, 0.235, 0.260, 0.235),
    "pit": (0.205, 0.250, 0.150, 0.178, 0.285, 0.300, 0.270),
    "sea": (0.024, 0.014, 0.036, 0.042, 0.008, 0.005, 0.003),
    "river": (0.065, 0.045, 0.048, 0.075, 0.016, 0.010, 0.006),
}
"""Surface reflectance of pure surfaces, b1 … b7. Source: typical of spectral libraries, rounded."""


@dataclass(frozen=True)
class Region:
    """What stands where; geometries in EPSG:4326."""

    mines: Sequence[shapely.Geometry] = ()
    """Outlines of the mines at their largest."""

    land: shapely.Geometry | None = None
    """Land; the sea is all the rest. None: land everywhere."""

    rivers: shapely.Geometry | None = None
    """Inland water, as polygons."""

    towns: Sequence[tuple[float, float, float]] = ()
    """Longitude, latitude and radius in km of each town."""

    hills: float = 1.0
    """Height of the relief, times the usual."""


def carried(geometry: shapely.Geometry, source: str, target: str) -> shapely.Geometry:
    """``geometry`` in another coordinate system, vertex by vertex."""
    transformer = Transformer.from_crs(source, target, always_xy=True)
    return shapely.transform(
        geometry, lambda xy: np.column_stack(transformer.transform(xy[:, 0], xy[:, 1]))
    )


def share(geometry: shapely.Geometry, window: Window, parts: int) -> Field:
    """Share of each pixel inside ``geometry`` (m, sinusoidal), (h, w), by parts² points a pixel."""
    fine = SINUSOIDAL_500M.transform(window) @ type(SINUSOIDAL_500M.transform(window)).scale(
        1 / parts
    )
    shape = window.height * parts, window.width * parts
    inside = rasterize([geometry], shape, transform=fine, dtype="uint8")
    blocks = inside.reshape(window.height, parts, window.width, parts)
    return blocks.mean(axis=(1, 3), dtype=np.float32)


@dataclass(frozen=True)
class World:
    """The landscape in one window of the 500 m sinusoidal lattice; every field is (h, w) float32."""

    window: Window
    region: Region = field(default_factory=Region)
    seed: int = 0

    def noise(self, name: str, *spacings: int) -> Field:
        """A random field of this world, mean 0 and sd 1."""
        return fractal(key(self.seed, name), self.window, spacings)

    @cached_property
    def lonlat(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Longitude and latitude of the pixel centres, degrees."""
        x, y = SINUSOIDAL_500M.x(self.window), SINUSOIDAL_500M.y(self.window)
        latitude = np.degrees(y / RADIUS)
        longitude = np.degrees(x[None, :] / (RADIUS * np.cos(y / RADIUS))[:, None])
        return longitude, np.broadcast_to(latitude[:, None], longitude.shape)

    @cached_property
    def land(self) -> Field:
        """Share of land."""
        if self.region.land is None:
            return np.ones(self.window.shape, np.float32)
        return share(carried(self.region.land, "EPSG:4326", SINUSOIDAL), self.window, 4)

    @cached_property
    def river(self) -> Field:
        """Share of inland water."""
        if self.region.rivers is None:
            return np.zeros(self.window.shape, np.float32)
        rivers = share(carried(self.region.rivers, "EPSG:4326", SINUSOIDAL), self.window, 4)
        return np.minimum(rivers, self.land)

    @cached_property
    def water(self) -> Field:
        """Share of water, of the sea and inland."""
        return 1 - self.land + self.river

    @cached_property
    def inland(self) -> Field:
        """0 at the coast to 1 far from it; 1 without a coast."""
        if self.region.land is None:
            return np.ones(self.window.shape, np.float32)
        step = 4
        outer = nodes(self.window, step)
        rows, columns = (np.arange(outer.top, outer.bottom), np.arange(outer.left, outer.right))
        x = SINUSOIDAL_500M.left + columns * step * SINUSOIDAL_500M.dx
        y = SINUSOIDAL_500M.top - rows * step * SINUSOIDAL_500M.dy
        land = carried(self.region.land, "EPSG:4326", METRIC)
        points = _points(*np.meshgrid(x, y), SINUSOIDAL)
        shapely.prepare(land)
        far = shapely.distance(points, land.boundary) * shapely.intersects(land, points)
        return spread((1 - np.exp(-far / 22e3)).astype(np.float32), self.window, step)

    @cached_property
    def dem(self) -> Field:
        """Height above the sea, m."""
        relief = np.abs(self.noise("relief", 48, 24, 12)) + 0.35 * self.noise("rough", 10, 5)
        height = 40 + 850 * self.region.hills * np.maximum(relief + 0.1, 0) * self.inland**1.5
        return (height * np.clip(self.land * 2 - 1, 0, 1)).astype(np.float32)

    @cached_property
    def slope(self) -> Field:
        """Slope at about 1 km, degrees; on the ground, for the sinusoidal grid is sheared."""
        world = World(self.window.grown(2), self.region, self.seed)
        down, right = np.gradient(world.dem, 2 * SINUSOIDAL_500M.dy, 2 * SINUSOIDAL_500M.dx)
        east = 2 * right
        latitude, longitude = np.radians(world.lonlat[1]), np.radians(world.lonlat[0])
        north = -2 * down - longitude * np.sin(latitude) * east
        return np.degrees(np.arctan(np.hypot(east, north)))[2:-2, 2:-2].astype(np.float32)

    @cached_property
    def town(self) -> Field:
        """How much of a town a place is, 0 … 1."""
        out = np.zeros(self.window.shape, np.float32)
        longitude, latitude = self.lonlat
        ragged = np.exp(0.35 * self.noise("town", 8, 4))
        for east, north, radius in self.region.towns:
            dx = np.radians(longitude - east) * np.cos(np.radians(north)) * RADIUS / 1e3
            dy = np.radians(latitude - north) * RADIUS / 1e3
            away = np.hypot(dx, dy) / (radius * ragged)
            out = np.maximum(out, np.exp(-(away**2)).astype(np.float32))
        return out

    @cached_property
    def mine_distance(self) -> Field:
        """Distance to the nearest mine's outline, km, in ``METRIC``; no more than ``REACH_KM``."""
        out = np.full(self.window.shape, REACH_KM, np.float32)
        longitude, latitude = self.lonlat
        for mine in self.region.mines:
            west, south, east, north = mine.bounds
            margin = np.degrees(1.5e3 * REACH_KM / RADIUS)
            wide = margin / np.cos(np.radians(north))
            near = (latitude > south - margin) & (latitude < north + margin)
            near &= (longitude > west - wide) & (longitude < east + wide)
            if near.any():
                points = _points(longitude[near], latitude[near], "EPSG:4326")
                km = shapely.distance(points, carried(mine, "EPSG:4326", METRIC)) / 1e3
                out[near] = np.minimum(out[near], km)
        return out

    @cached_property
    def drivers(self) -> Mapping[str, Field]:
        """Each driver as a standard score, by the names of ``WEIGHTS``."""
        town = self.town
        return {
            "dem": np.tanh((self.dem - 420) / 300),
            "gdp": 0.85 * self.noise("gdp", 14, 7) + 2.6 * town,
            "prec": self.noise("prec", 16, 8),
            "slope": np.tanh((self.slope - 5) / 4),
            "pm25": self.noise("pm25", 15, 8) + 0.5 * town,
            "co2": self.noise("co2", 12, 6) + 0.8 * town,
            "ntl": self.noise("ntl", 12, 6) + 1.5 * town,
            "elec": self.noise("elec", 13, 6) + 1.2 * town,
        }

    def pit(self, year: int) -> tuple[Field, Field]:
        """Share of open pit, and the loss of quality that it brings, in one year."""
        bare = np.zeros(self.window.shape, np.float32)
        loss = np.zeros(self.window.shape, np.float32)
        for mine in self.region.mines:
            km2 = carried(mine, "EPSG:4326", METRIC).area / 1e6
            shape = carried(grown(mine, year), "EPSG:4326", SINUSOIDAL)
            near = SINUSOIDAL_500M.bounding(*shape.bounds) & self.window
            if not near.size:
                continue
            where = near.slices(self.window)
            part = share(shape, near, 16)
            depth = PIT[0] + PIT[1] * min(km2 / THRESHOLD_KM2, 1.0)
            bare[where] = np.minimum(bare[where] + part, 1)
            loss[where] = np.maximum(loss[where], depth * np.minimum(part / PIT_SHARE, 1))
        return bare, loss

    def quality(self, year: int) -> Field:
        """The latent ecological quality, 0 … 1."""
        _, inside = self.pit(year)
        near = 1 - self.mine_distance / np.float32(REACH_KM)
        quality = 0.60 - NEAR * extent(year) * near - inside + 0.0015 * (year - 2012)
        for name, weight in WEIGHTS.items():
            quality = quality + np.float32(weight) * self.drivers[name]
        quality += 0.024 * self.noise("chance", 12, 6) + 0.006 * self.noise(f"year {year}", 20, 10)
        return np.clip(quality, 0.01, 0.99).astype(np.float32)

    def surface(self, year: int) -> "Surface":
        """Season's mean reflectance and temperature of one year."""
        return Surface.of(self, year)


def extent(year: int) -> float:
    """How far the mining has come, 0.35 in 2001 to 1 in 2020.

    >>> round(extent(2001), 3), extent(2020)
    (0.35, 1.0)
    """
    return float(np.clip(0.35 + 0.65 * (year - 2001) / 19, 0.35, 1.0))


def grown(mine: shapely.Geometry, year: int) -> shapely.Geometry:
    """The pit of one year: the outline shrunk about its centroid to ``extent`` of its area."""
    side = float(np.sqrt(extent(year)))
    return scaled(mine, side, side, origin=mine.centroid)


def _points(x: NDArray[np.float64], y: NDArray[np.float64], crs: str) -> NDArray[np.object_]:
    """Points in ``METRIC``."""
    transformer = Transformer.from_crs(crs, METRIC, always_xy=True)
    return shapely.points(*transformer.transform(x, y))


@dataclass(frozen=True)
class Surface:
    """What a perfect instrument would see, averaged over one season."""

    reflectance: Field
    """Surface reflectance, b1 … b7, (7, h, w)."""

    greening: Field
    """What more vegetation, in place of soil, would add to the reflectance, (7, h, w)."""

    lst: Field
    """Daytime land surface temperature at 10:42, K, (h, w)."""

    @classmethod
    def of(cls, world: World, year: int) -> "Surface":
        """The surface of ``world``: shares of pure surfaces that follow its quality."""
        quality, (bare, _) = world.quality(year), world.pit(year)
        spectra = {name: np.asarray(value, np.float32) for name, value in SPECTRA.items()}
        forest = _step((world.dem - 260) / 90 + 0.9 * world.noise("forest", 16, 8, 4))
        urban = _step(7 * (world.town - 0.45) + 0.7 * world.noise("street", 4))
        green = np.clip(0.03 + 0.94 * quality, 0, 1)
        field_tone = 1 + 0.05 * (1 - forest) * world.noise("parcel", 4)
        plants = _blend(spectra["crop"], spectra["forest"], forest) * field_tone
        ground = _blend(spectra["soil"], spectra["urban"], urban)
        ground = ground + (spectra["pit"][:, None, None] - ground) * bare
        dry = 1 + 0.06 * world.noise("moisture", 12, 6)
        greening = plants - ground
        land = ground + greening * green
        land[4:] *= dry
        land[6] *= dry
        wet = world.water
        river = np.divide(world.river, wet, out=np.zeros_like(wet), where=wet > 0)
        deep = _blend(spectra["sea"], spectra["river"], river)
        heat = 311.5 - 15 * (quality - 0.5) + 1.6 * urban + 1.2 * bare - 0.0045 * world.dem
        heat = heat + 1.0 * world.noise("heat", 14, 7) + 0.4 * (key("warm", year) % 7 - 3) / 3
        heat = heat + (297.5 - heat) * wet
        mixed = land + (deep - land) * wet
        return cls(mixed, greening * (1 - wet), heat.astype(np.float32))


def _step(value: Field) -> Field:
    """A smooth step from 0 to 1 about 0."""
    return (1 / (1 + np.exp(-3 * value))).astype(np.float32)


def _blend(first: Field, second: Field, part: Field) -> Field:
    """Two spectra mixed pixel by pixel, (7, h, w)."""
    return first[:, None, None] + (second - first)[:, None, None] * part
