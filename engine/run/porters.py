"""Threads that bring files, and what each came to."""

import queue
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..sources import download
from ..sources.errors import Interrupted, RseiError
from ..sources.link import Link, Unreachable
from ..sources.login import Refused
from ..sources.manifest import Held, Manifest
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

    error: Exception | None = None
    """What was raised."""

    set_aside: str = ""
    """What was said of a file that was here under its name, and was not it."""


class Porters:
    """Bring files of the archive to a folder."""

    def __init__(self, link: Link, manifest: Manifest, found: Mapping[str, Path]) -> None:
        self.link, self.folder, self.found = link, manifest.folder, found

    def each(self, records: Sequence[Record], parallel: int) -> Iterator[Brought]:
        """What came of each file, as they end.

        Raises what stands in the way of all files: Refused or Unreachable for several in a row,
        and errors that are not of a file, such as a full disk.
        """
        tasks: queue.SimpleQueue[Record] = queue.SimpleQueue()
        for record in records:
            tasks.put(record)
        results: queue.Queue[Brought] = queue.Queue()
        # Daemons: an interrupt must not wait for a server. What they leave is gone on from.
        threads = [
            threading.Thread(target=self._work, args=(tasks, results), daemon=True)
            for _ in range(min(parallel, len(records)))
        ]
        for thread in threads:
            thread.start()
        patience = min(HOPELESS, len(records))
        hopeless = 0
        try:
            for _ in records:
                brought = results.get()
                if brought.held is None and not isinstance(brought.error, RseiError):
                    raise brought.error or RuntimeError("a file without an outcome")
                hopeless += isinstance(brought.error, Refused | Unreachable)
                if brought.held and not brought.adopted:
                    hopeless, patience = 0, WEARY
                yield brought
                if brought.error and hopeless >= patience:
                    raise brought.error
        finally:
            self.link.closed.set()
            for thread in threads:
                thread.join(0.5)

    def _work(self, tasks: "queue.SimpleQueue[Record]", results: "queue.Queue[Brought]") -> None:
        while not self.link.closed.is_set():
            try:
                record = tasks.get_nowait()
            except queue.Empty:
                return
            try:
                results.put(self._bring(record))
            except Interrupted:
                return
            except RseiError as error:
                results.put(Brought(record, None, self.link.login.hide(str(error)), error=error))
            except Exception as error:  # the thread that waits raises it
                results.put(Brought(record, None, error=error))

    def _bring(self, record: Record) -> Brought:
        here, said = self.found.get(record.name), ""
        if here is not None:
            reason = download.fault(here, record)
            if reason is None:
                return Brought(record, download.entry(record, here, self.folder), adopted=True)
            aside = download.set_aside(here, self.folder, f"{record.name}.found")
            said = f"{here}: {reason}; moved to {aside}, and fetched again"
        product = f"{record.wanted.product}.{record.wanted.collection}"
        target = self.folder / product / f"{record.wanted.date.year}" / record.name
        held = download.fetch(self.link, record, target, self.folder)
        return Brought(record, held, set_aside=said)
