# SPDX-License-Identifier: Apache-2.0
"""What a run says of itself: its record, its log, and the granules it left out."""

import csv
import io
import json
import os
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any

from ..sources.errors import InputError, told_beside
from .disk import host
from .shards import Shard
from .store import Marker, Store
from .survey import Survey
from .tasks import Done, label
from .upkeep import RUN

LOG = "log.jsonl"
"""The log: one JSON object a line."""

LOGS = "store/logs"
"""Folder of the logs of shares, a file each: network file systems mix up what two nodes add."""

QUARANTINE = "quarantine.csv"
"""The granules left out, and why."""


@dataclass
class Journal:
    """Keeps the record of one run."""

    store: Store
    """The run folder."""

    survey: Survey
    """What there is to work on."""

    device: str = "cpu"
    """Processor of the run."""

    shard: Shard | None = None
    """The share of the tasks that it does; all where None."""

    markers: dict[str, Marker] = field(default_factory=dict)
    """What is committed, by stage and name."""

    seconds: dict[str, float] = field(default_factory=dict)
    """Time of the tasks of each stage."""

    started: str = field(default_factory=lambda: now())
    """When it began, UTC."""

    def open(self) -> None:
        """Write the record before the first task, so that the folder says whose it is."""
        self._write_record(finished=None)
        self._write_quarantine()

    def note(self, done: Done) -> None:
        """Add what came of a task."""
        self.markers[label(done.task)] = done.marker
        stage = done.task.stage
        self.seconds[stage] = self.seconds.get(stage, 0.0) + done.seconds
        if done.fresh:
            self.log(
                "done",
                host=done.host,
                stage=stage,
                task=done.task.name,
                seconds=round(done.seconds, 3),
                read=done.task.read,
                written=sum(file.size for file in done.marker.files.values()),
            )

    def log(self, event: str, **facts: Any) -> None:
        """Add a line to the log."""
        line = json.dumps({"time": now(), "host": host(), "event": event} | facts)
        self.store.disk.append(self._log, line.encode() + b"\n")

    @cached_property
    def _log(self) -> Path:
        if self.shard is None:
            return self.store.folder / LOG
        folder = self.store.folder / LOGS
        self.store.disk.make_folder(folder)
        return folder / f"shard-{self.shard.index}-of-{self.shard.count}.jsonl"

    def stage(self, stage: str, tasks: Sequence[Done], seconds: float) -> None:
        """Log what a stage came to, and how fast: read, bytes as stored, of the tasks done."""
        fresh = [one for one in tasks if one.fresh]
        read = sum(one.task.read for one in fresh)
        busy = sum(one.seconds for one in fresh)
        self.log(
            "stage",
            stage=stage,
            done=len(fresh),
            committed=len(tasks) - len(fresh),
            seconds=round(seconds, 3),
            busy_seconds=round(busy, 3),
            read=read,
            read_per_second=round(read / seconds) if seconds > 0 else None,
        )

    def close(self) -> None:
        """Write the record again, with what the run came to."""
        self._write_record(finished=now())
        self._write_quarantine()

    def quarantined(self) -> tuple[tuple[Path, str], ...]:
        """Granules that were left out, and why."""
        found = {bad.path: told_beside(bad.path, bad.reason) for bad in self.survey.bad}
        for marker in self.markers.values():
            for bad in marker.payload.get("bad", ()):
                found[self.survey.study.granules.path / bad["path"]] = bad["reason"]
        return tuple(sorted(found.items()))

    def warnings(self) -> tuple[str, ...]:
        """What the results have to be read with, each once."""
        said = [*self.survey.warnings]
        for _, marker in sorted(self.markers.items()):
            said += [f"{marker.name}: {one}" for one in marker.payload.get("warnings", ())]
        if left := self.quarantined():
            said.append(f"{len(left)} granules were left out; see {QUARANTINE}")
        return tuple(dict.fromkeys(said))

    def quarantine(self, bad: Iterable[tuple[Path, str]]) -> None:
        """Write the list of granules left out."""
        folder = self.survey.study.granules.path
        text = io.StringIO(newline="")
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(["file", "reason"])
        writer.writerows((os.path.relpath(path, folder), reason) for path, reason in bad)
        self.store.put(self.store.folder / QUARANTINE, text.getvalue().encode())

    def _write_quarantine(self) -> None:
        self.quarantine(self.quarantined())

    def _write_record(self, finished: str | None) -> None:
        study = self.survey.study
        granules: dict[str, Any] = {}
        for name, marker in self.markers.items():
            if name.startswith("partial "):
                granules |= marker.payload["granules"]
        record = {
            "study": study.study.name,
            "study_file": study.file and os.path.relpath(study.file, self.store.folder),
            "settings": study.resolved(),
            "device": self.device,
            "granules": {
                name: {"size": print_["size"], "sha256": print_["sha256"]}
                for name, print_ in sorted(granules.items())
            },
            "replaced": [
                [os.path.relpath(path, study.granules.path) for path in pair]
                for pair in self.survey.catalogue.replaced
            ],
            "skipped_files": len(self.survey.catalogue.skipped),
            "warnings": list(self.warnings()),
            "versions": dict(self.store.versions),
            "timings": {
                "started": self.started,
                "finished": finished,
                "seconds": {stage: round(time_, 3) for stage, time_ in self.seconds.items()},
            },
        }
        self.store.put_json(RUN, record)


def failures(store: Store) -> dict[str, str]:
    """When and why each task failed, by its label, of those not done since, as the logs tell."""
    events = []
    for path in (store.folder / LOG, *store.disk.files(store.folder / LOGS)):
        for line in (store.disk.read(path) or b"").splitlines():
            with suppress(ValueError, KeyError, TypeError):  # a killed process left half a line
                one = json.loads(line)
                named = f"{one['stage']} {one['task']}"
                reason = f"failed at {one['time']}: {one.get('reason', '')}"
                events.append((one["time"], named, reason if one["event"] == "failed" else None))
    last = {named: reason for _, named, reason in sorted(events, key=lambda one: one[0])}
    return {named: reason for named, reason in last.items() if reason}


def now() -> str:
    """The time, UTC, ISO 8601."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def refuse_damaged(journal: Journal) -> None:
    """Raise InputError for damaged granules, unless the study leaves them out."""
    study, bad = journal.survey.study, journal.survey.bad
    if bad and study.granules.on_bad_granule == "error":
        first = bad[0]
        more = f" (and {len(bad) - 1} more; see {QUARANTINE})" if len(bad) > 1 else ""
        raise InputError(
            f'{first.reason}{more}; mend or remove it, or set granules.on_bad_granule = "skip"'
        )
