# SPDX-License-Identifier: Apache-2.0
"""Small simulated studies: two epochs of a mining landscape on both sides of a tile seam."""

import tomllib
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from rsei.engine.run import pipeline, reading
from rsei.engine.run.orders import Outcome, RunOptions
from rsei.engine.run.study import Study
from rsei.engine.sources.grids import Window
from rsei.engine.sources.simulate import (
    DEMO_WINDOW,
    World,
    demo_place,
    season_dates,
    write_granules,
)

EPOCHS = (2012, 2013)

WINDOW = Window(12000 - 20, DEMO_WINDOW.left + 30, 44, 40)
"""Twenty rows in h27v04 and twenty-four in h27v05."""

PRODUCTS = ("MOD09A1.061", "MOD13A1.061", "MOD11A2.061")


@cache
def world() -> World:
    """The landscape of every small study."""
    return World(WINDOW, demo_place().region, 7)


@cache
def granules() -> dict[str, bytes]:
    """Each granule of every epoch, by its name: made once a process, for all studies."""
    with TemporaryDirectory() as folder:
        for product in PRODUCTS:
            for _ in write_granules(Path(folder), product, world(), season_dates(product, EPOCHS)):
                pass
        return {path.name: path.read_bytes() for path in sorted(Path(folder).iterdir())}


def write_all(folder: Path, days: range = range(1, 367)) -> Path:
    """Write the granules of every epoch that begin on these days of the year into ``folder``."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, data in granules().items():
        if int(name.split(".")[1][5:]) in days:
            (folder / name).write_bytes(data)
    return folder


def write_some(folder: Path) -> Path:
    """Write those of six weeks: enough where it matters how a study runs, not what it finds."""
    return write_all(folder, range(177, 225))


BOUNDS = (119.78, 39.93, 119.93, 40.06)
"""Within the window, on both sides of 40 degrees north, where the tiles meet."""


def study_text(source: Path, /, **changes: Any) -> str:
    """A study file; ``changes`` replace whole sections, as TOML text by section name."""
    sections = {
        "study": f'name = "small"\nout = "run"\nepochs = {list(EPOCHS)}',
        "granules": f'path = "{source}"\nreach = 0',
        "area": f'name = "Small town"\nbounds = {list(BOUNDS)}',
    } | changes
    return "\n".join(
        f"{'[[area]]' if name == 'area' else f'[{name}]'}\n{text}\n"
        for name, text in sections.items()
        if text
    )


def written(folder: Path, source: Path, /, **changes: Any) -> Path:
    """The study file in ``folder``, written."""
    folder.mkdir(parents=True, exist_ok=True)
    text = study_text(source, **changes)
    tomllib.loads(text)
    path = folder / "study.toml"
    path.write_text(text)
    return path


class Silent:
    """Nobody watches."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def begin(self, stage: str, tasks: int, size: int) -> None: ...

    def advance(self, stage: str, tasks: int, size: int, found: bool = False) -> None: ...

    def say(self, message: str) -> None:
        self.said.append(message)


def load(path: Path) -> Study:
    return reading.load(path)


def run(path: Path, until: str | None = "analyse", **options: Any) -> Outcome:
    """Carry out the study in the file ``path``; figures, which take longest, only if asked for."""
    return pipeline.run(reading.load(path), RunOptions(until=until, **options), Silent())
