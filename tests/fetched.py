# SPDX-License-Identifier: Apache-2.0
"""A study of one month and two tiles, and the granules that it needs."""

from pathlib import Path

from archive_server import Archive


def town(season: tuple[str, str], north: float) -> str:
    """A study of one season of a town that reaches to a latitude, degrees."""
    return f"""
[study]
name = "town"
out = "run"
epochs = [2012]
[granules]
path = "granules"
season = ["{season[0]}", "{season[1]}"]
reach = 0
[[area]]
name = "Town"
bounds = [119.78, 39.93, 119.93, {north}]
"""


STUDY = town(("06-01", "06-30"), 40.06)
"""On both sides of 40 degrees north, where tiles h27v04 and h27v05 meet."""

TILES = ("h27v04", "h27v05")


def names(produced: str = "2021212041320") -> list[str]:
    """The files of the study: of June 2012, MOD09A1 and MOD11A2 every 8 days, MOD13A1 every 16."""
    days = {"MOD09A1": range(153, 183, 8), "MOD11A2": range(153, 183, 8), "MOD13A1": (161, 177)}
    return [
        f"{product}.A2012{day}.{tile}.061.{produced}.hdf"
        for product, own in sorted(days.items())
        for tile in TILES
        for day in own
    ]


def fill(archive: Archive) -> list[str]:
    for name in names():
        archive.add(name)
    return names()


def granules(study: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (study.parent / "granules").rglob("*.hdf")}
