# SPDX-License-Identifier: Apache-2.0
"""What a task costs beside its work: key, commit, journal and scheduler, for tasks that do nothing.

A country of 22 tiles and 24 years is about 2,000 tasks. Each task here writes a file of 1 kB and
carries a payload of 6 kB, as a partial's marker does. Times are of the wall clock.

    python benchmarks/bench_bookkeeping.py [--tasks 1000] [--workers 2] [--json FILE]
"""

import argparse
import json
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
from measured import keep

from rsei.engine.run.cluster import Crew, crew
from rsei.engine.run.machine import processor
from rsei.engine.run.orders import RunOptions, Stop
from rsei.engine.run.shards import Ready, Shard
from rsei.engine.run.store import Draft, Key, Store
from rsei.engine.run.tasks import Done
from rsei.engine.run.upkeep import RUN

PAYLOAD = {"granules": {f"MOD09A1.A2001{i:03d}.h27v05.061.hdf": "0" * 64 for i in range(60)}}


@dataclass(frozen=True)
class Nothing:
    """A task without work."""

    name: str
    stage: str = "partial"
    inputs: tuple[str, ...] = ()
    read: int = 0
    write: int = 0
    memory: int = 0

    @property
    def files(self) -> tuple[str, ...]:
        return (f"store/partials/{self.name}.bin",)

    def key(self, store: Store) -> Key:
        return Key(self.stage, self.name, 1, {"preset": "standard"}, {})

    def make(self, store: Store, draft: Draft) -> None:
        draft.paths[self.files[0]].write_bytes(b"x" * 1024)
        draft.payload |= PAYLOAD


class Nobody:
    def begin(self, stage: str, tasks: int, size: int) -> None: ...

    def advance(self, stage: str, tasks: int, size: int, found: bool = False) -> None: ...

    def say(self, message: str) -> None: ...


def milliseconds(people: Crew, tasks: list[Nothing], store: Store) -> float:
    """Time of a task, ms; raises RuntimeError where one failed."""
    begun = time.perf_counter()
    found = list(people.each(tasks, store, Stop()))
    spent = time.perf_counter() - begun
    if len(found) != len(tasks) or not all(isinstance(one, Done) for one in found):
        raise RuntimeError("expected every task to be done")
    return 1000 * spent / len(tasks)


def measured(root: Path, tasks: list[Nothing], workers: int) -> dict[str, float]:
    """Milliseconds a task: made anew and found done, in this process or in ``workers``."""
    store = Store(root)
    store.put_json(RUN, {})
    begun = time.perf_counter()
    with crew(RunOptions(workers=workers), 4 << 30, Nobody()) as people:
        start = time.perf_counter() - begun
        fresh = milliseconds(people, tasks, store)
        again = milliseconds(people, tasks, store)
    return {"start_s": start, "fresh_ms": fresh, "found_done_ms": again}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--tasks", type=int, default=1000)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--json", type=Path)
    chosen = parser.parse_args()
    tasks = [Nothing(f"h{i // 24:02d}v05/{2001 + i % 24}") for i in range(chosen.tasks)]
    result: dict[str, Any] = {
        "machine": f"{processor()}, {psutil.cpu_count()} cores",
        "tasks": len(tasks),
    }
    with tempfile.TemporaryDirectory() as folder:
        result["in_process"] = measured(Path(folder) / "alone", tasks, 1)
        result[f"{chosen.workers}_workers"] = measured(Path(folder) / "many", tasks, chosen.workers)
        store, begun = Store(Path(folder) / "alone"), time.perf_counter()
        ready = Ready(store)
        ready.add(tasks)
        shares = [sum(map(Shard(i, 8).takes, tasks)) for i in range(8)]
        if not all(ready(f"partial {task.name}") for task in tasks):
            raise RuntimeError("expected every task to be committed")
        result["asked_by_a_share_ms"] = 1000 * (time.perf_counter() - begun) / len(tasks)
        result["sizes_of_8_shares"] = shares
    print(json.dumps(result, indent=2))
    keep(result, chosen.json)


if __name__ == "__main__":
    main()
