# SPDX-License-Identifier: Apache-2.0
"""Threads that bring files, and what each came to."""

import queue
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..sources import download
from ..sources.errors import GranuleError, Interrupted, RseiError
from ..sources.link import Link
from ..sources.login import Refused
from ..sources.manifest import Held, Manifest
from ..sources.patience import Unreachable
from ..sources.records import Record

HOPELESS = 3
"""Files in a row that may be refused, or not be reached, before the first one comes."""

WEARY = 20
"""Files in a row that may, later: the token runs out, or the network goes."""


@dataclass(frozen=True)
class Brought:
    """What came of one file."""

    record: Record
    """The file."""

    held: Held | None
    """Its entry in the manifest; None where it could not be had."""

    reason: str = ""
    """Why it could not be had."""

    adopted: bool = False
    """Whether it was here before, and only had to be checked."""

    set_aside: str = ""
    """What was said of a file that was here under its name, and was not it."""


class Failure(Exception):
    """A file that could not be had."""

    def __init__(self, record: Record, error: RseiError) -> None:
        super().__init__(record.name)
        self.record, self.error = record, error


class Porters:
    """Bring files of the archive to a folder."""

    def __init__(self, link: Link, manifest: Manifest, found: Mapping[str, Path]) -> None:
        self.link, self.folder, self.found = link, manifest.folder, found
        self.lock = threading.Lock()
        self.streak, self.patience = 0, HOPELESS
        self.obstacle: Exception | None = None

    def each(self, records: Sequence[Record], parallel: int) -> Iterator[Brought]:
        """What came of each file, as they end.

        Raises what stands in the way of all files: Refused or Unreachable for several in a row,
        and errors that are not of a file, such as a full disk.
        """
        self.patience = min(HOPELESS, len(records))
        tasks: queue.SimpleQueue[Record] = queue.SimpleQueue()
        for record in records:
            tasks.put(record)
        results: queue.SimpleQueue[Brought | None] = queue.SimpleQueue()
        # Daemons: an interrupt must not wait for a server. What they leave is gone on from.
        threads = [
            threading.Thread(target=self._work, args=(tasks, results), daemon=True)
            for _ in range(min(parallel, len(records)))
        ]
        for thread in threads:
            thread.start()
        try:
            working = len(threads)
            while working:
                brought = results.get()
                if brought is None:
                    working -= 1
                else:
                    yield brought
        finally:
            self.link.closed.set()
            for thread in threads:
                thread.join(0.5)
        if self.obstacle:
            raise self.obstacle

    def _work(
        self,
        tasks: "queue.SimpleQueue[Record]",
        results: "queue.SimpleQueue[Brought | None]",
    ) -> None:
        while not self.link.closed.is_set():
            try:
                brought = self._bring(tasks.get_nowait())
                self._judge(None, brought.adopted)
                results.put(brought)
            except (queue.Empty, Interrupted):
                break
            except Failure as failure:
                self._judge(failure.error)
                text = self.link.login.hide(str(failure.error))
                results.put(Brought(failure.record, None, text))
            except Exception as error:  # not of this file: the thread that waits raises it
                self._stop(error)
        results.put(None)

    def _judge(self, error: RseiError | None, adopted: bool = False) -> None:
        """Stop everything once several files in a row fail for a reason that all files share."""
        with self.lock:
            if isinstance(error, Refused | Unreachable):
                self.streak += 1
            elif not error and not adopted:
                self.streak, self.patience = 0, WEARY
            hopeless = self.streak >= self.patience
        if error and hopeless:
            self._stop(error)

    def _stop(self, error: Exception) -> None:
        with self.lock:
            self.obstacle = self.obstacle or error
        self.link.closed.set()

    def _bring(self, record: Record) -> Brought:
        here, said = self.found.get(record.name), ""
        if here is not None:
            reason = download.fault(here, record)
            if reason is None:
                return Brought(record, download.entry(record, here, self.folder), adopted=True)
            if not download.is_inside(here, self.folder):
                raise Failure(
                    record,
                    GranuleError(f"{here}: {reason}; mend it where it lies, or remove the link"),
                )
            aside = download.set_aside(here, self.folder, f"{record.name}.found")
            said = f"{here}: {reason}; moved to {aside}, and fetched again"
        product = f"{record.wanted.product}.{record.wanted.collection}"
        target = self.folder / product / f"{record.wanted.date.year}" / record.name
        try:
            held = download.fetch(self.link, record, target, self.folder)
        except Interrupted:
            raise
        except RseiError as error:
            raise Failure(record, error) from None
        return Brought(record, held, set_aside=said)
