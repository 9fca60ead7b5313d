# SPDX-License-Identifier: Apache-2.0
"""Kill writers of a store at chosen and at random moments; run as a script by test_store.

One light process forks a child a trial, so that hundreds of trials take seconds.
"""

import json
import os
import random
import shutil
import signal
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from rsei.engine.run.disk import Disk, writer
from rsei.engine.run.store import Key, Store
from rsei.engine.run.upkeep import sweep, verification

POINTS = ("written", "synced", "renamed", "folder synced", "marker written", "marker renamed")
"""The moments of the protocol at which a writer is killed; the last is just after the commit."""

KINDS: dict[str, tuple[tuple[str, int], ...]] = {
    "partial": tuple(
        (f"store/partials/h27v05/2019/{name}.tif", size)
        for name, size in (("reflectance", 70_000), ("counts", 9_000), ("ndvi", 5_000), ("heat", 1))
    ),
    "composite": (("composites/tangshan/2019.tif", 300_000),),
    "reduce": (),
    "write": (("rsei/tangshan/2019.tif", 40_000),),
    "analyse": (("tables/pca.csv", 700), ("tables/directions.csv", 0)),
}
"""Files of each kind of artefact, with their sizes."""


def key(kind: str, preset: str) -> Key:
    return Key(kind, "h27v05/2019", 1, {"quality": {"preset": preset}}, {"granule": "ab12"})


def content(name: str, size: int, preset: str) -> bytes:
    # The sizes do not depend on the preset: only the bytes tell the old artefact from the new.
    return random.Random(f"{name} {preset}").randbytes(size)


def make(store: Store, kind: str, preset: str) -> None:
    with store.writing(key(kind, preset), [name for name, _ in KINDS[kind]]) as draft:
        for name, size in KINDS[kind]:
            data = content(name, size, preset)
            with draft.paths[name].open("wb") as file:
                for start in range(0, size, 4096):
                    file.write(data[start : start + 4096])
        draft.payload["preset"] = preset


class Doomed(Disk):
    """A disk whose process dies at the ``nth`` passage of a point of the protocol."""

    def __init__(self, point: str, nth: int, die: Callable[[], Any]) -> None:
        self.point, self.left, self.die = point, nth, die

    def passed(self, point: str) -> None:
        if point == self.point:
            self.left -= 1
            if self.left < 0:
                self.die()

    def sync(self, path: Path) -> None:
        self.passed("marker written" if "markers" in path.parts else "written")
        super().sync(path)
        self.passed("synced")

    def rename(self, source: Path, target: Path) -> None:
        super().rename(source, target)
        self.passed("marker renamed" if "markers" in target.parts else "renamed")

    def sync_folder(self, folder: Path) -> None:
        super().sync_folder(folder)
        self.passed("folder synced")


class Careless(Store):
    """A store that leaves the old marker over new files: the trials have to find it out."""

    def _withdraw(self, key: Key, stored: Any) -> None:
        return


def hard_exit() -> None:
    os._exit(9)


def sigkill() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def killed(store: Store, wait: float | None) -> bool:
    """Whether a child that makes every kind of artefact in ``store`` died on its way."""
    child = os.fork()
    if child == 0:
        for kind in KINDS:
            make(store, kind, "strict")
        os._exit(0)
    if wait is not None:
        time.sleep(wait)
        os.kill(child, signal.SIGKILL)
    return os.waitpid(child, 0)[1] != 0


def faults(folder: Path) -> list[str]:
    """What is wrong after a crash, and after resuming."""
    store, wrong = Store(folder), []
    for kind in KINDS:
        for preset in ("standard", "strict"):
            if store.find(key(kind, preset)):
                wrong += [f"accepted {name}" for name in differing(folder, kind, preset)]
    sweep(store)
    for kind in KINDS:
        if store.find(key(kind, "strict")) is None:
            make(store, kind, "strict")
        wrong += [f"resumed {name}" for name in differing(folder, kind, "strict")]
    found = verification(store)
    if not found.intact or found.orphaned or found.temporaries:
        wrong.append(str(found))
    return wrong + [str(path) for path in folder.rglob("*") if writer(path)]


def differing(folder: Path, kind: str, preset: str) -> list[str]:
    return [
        name
        for name, size in KINDS[kind]
        if not (folder / name).is_file()
        or (folder / name).read_bytes() != content(name, size, preset)
    ]


def timed(number: int) -> bool:
    """Whether the writer of this trial is killed at a random time, and not at a point."""
    return number % 3 == 2


def trial(root: Path, stores: type[Store], number: int, duration: float) -> tuple[bool, list[str]]:
    """Whether the writer died, and what was wrong afterwards."""
    dice, folder = random.Random(number), root / str(number)
    if dice.random() < 0.5:  # an older result with another setting, to be replaced
        for kind in KINDS:
            make(Store(folder), kind, "standard")
    if timed(number):
        died = killed(stores(folder), dice.uniform(0, duration))
    else:
        turn = number - number // 3
        point, die = POINTS[turn % len(POINTS)], (hard_exit, sigkill)[turn // len(POINTS) % 2]
        died = killed(stores(folder, disk=Doomed(point, dice.randrange(5), die)), None)
    wrong = faults(folder)
    shutil.rmtree(folder)
    return died, wrong


def main(root: Path, trials: int, stores: type[Store]) -> None:
    durations = []
    for number in range(3):  # the quickest: a writer that has ended cannot be killed
        start = time.perf_counter()
        for kind in KINDS:
            make(Store(root / f"timing{number}"), kind, "strict")
        durations.append(time.perf_counter() - start)
    run = partial(trial, root, stores, duration=min(durations))
    outcomes = [run(number) for number in range(trials)]
    deaths: dict[bool, list[bool]] = {True: [], False: []}
    for number, (died, _) in enumerate(outcomes):
        deaths[timed(number)].append(died)
    counts = {"timed": sum(deaths[True]), "missed": deaths[False].count(False)}
    print(json.dumps(counts | {"wrong": [line for _, wrong in outcomes for line in wrong]}))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), Careless if sys.argv[3:] else Store)
