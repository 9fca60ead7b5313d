# SPDX-License-Identifier: Apache-2.0
"""Spoilt studies, tables and records of a run, and who reads them."""

import hashlib
import json
import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import timedelta
from functools import cache
from pathlib import Path
from unittest.mock import patch

import driven
import numpy as np
import studies
from fuzz.damage import bytes_like, json_like, text_like
from fuzz.target import DAY, TILE, Act, within
from granule_files import granule_name, write_granule
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from rsei.engine.run import applying, headline, pipeline, reading
from rsei.engine.run.opening import open_run
from rsei.engine.run.skeleton import skeleton
from rsei.engine.run.store import Key, Store
from rsei.engine.run.upkeep import verification
from rsei.engine.sources import headers
from rsei.engine.sources.errors import RseiError
from rsei.engine.sources.fixed import numbers
from rsei.engine.sources.granules import catalogue
from rsei.engine.sources.headers import Headers
from rsei.engine.sources.manifest import MANIFEST, Manifest
from rsei.engine.sources.records import Wanted


def study_texts(folder: Path) -> SearchStrategy[bytes]:
    text = driven.study(folder, folder).read_text()
    return text_like(text) | bytes_like(text.encode()) | text_like(skeleton().replace("# ", ""))


def read_study(data: bytes, folder: Path) -> None:
    study = reading.parse(data, folder / "study.toml")
    study.resolved()


def tables(folder: Path) -> SearchStrategy[bytes]:
    text = "indicator,min,max\nndvi,-0.1,0.9\nwet,-0.3,0.2\nndbsi,-0.5,0.5\nlst,280,320\n"
    return text_like(text) | bytes_like(text.encode())


def read_table(data: bytes, folder: Path) -> None:
    numbers(within(folder, "limits.csv", data), ("indicator", "min", "max"))


def marker_texts(folder: Path) -> SearchStrategy[bytes]:
    store = Store(folder / "store-seed")
    with store.writing(KEY, ["store/a.bin"]) as draft:
        draft.paths["store/a.bin"].write_bytes(b"pixels")
        draft.payload["observations"] = {"red": 16}
    data = store.marker_path(KEY.stage, KEY.name).read_bytes()
    return json_like(data) | bytes_like(data)


def manifests(folder: Path) -> SearchStrategy[bytes]:
    name = granule_name("MOD09A1", DAY, TILE)
    entry = {"file": name, "size": 3, "algorithm": "md5", "checksum": "0" * 32,
             "url": "https://a/b", "time": "2026-01-01T00:00:00+00:00"}  # fmt: skip
    absent = {"absent": name[:27], "time": entry["time"]}
    failed = {"failed": name, "reason": "404", "time": entry["time"]}
    lines = [json.dumps(one).encode() for one in (entry, absent, failed)]
    spoilt = st.one_of(*map(json_like, lines), *map(bytes_like, lines))
    return st.lists(spoilt, min_size=1, max_size=3).map(b"\n".join)


def read_manifest(data: bytes, folder: Path) -> None:
    found = Manifest.read(within(folder, MANIFEST, data).parent)
    found.stems()
    found.lacking()
    found.settled(Wanted("MOD09A1", "061", TILE, DAY))


KEY = Key("partial", "h27v05/2019", 1, {"preset": "standard"}, {"a": "b"})


def read_marker(data: bytes, folder: Path) -> None:
    store = Store(folder / "store-seed")
    store.marker_path(KEY.stage, KEY.name).write_bytes(data)
    store.find(KEY)
    store.why(KEY)
    verification(store)


@cache
def dated(folder: Path) -> Path:
    """Two granules that were written long ago."""
    home = folder / "granules-of-headers"
    for day in (DAY, DAY + timedelta(8)):
        path = write_granule(home, "MOD09A1", day)
        os.utime(path, (1e9, 1e9))
    return home


def kept_headers(folder: Path) -> SearchStrategy[bytes]:
    """What is kept of headers, spoilt below its seal."""
    home = dated(folder)
    found = Headers(home)
    with patch.object(headers, "now", lambda: 4e9):
        catalogue(home, headers=found)
    seal, _, body = found.data.partition(b"\n")
    assert seal and b"MOD09A1" in body
    return json_like(body)


def read_headers(data: bytes, folder: Path) -> None:
    sealed = hashlib.sha256(data).hexdigest().encode() + b"\n" + data
    for granule in catalogue(dated(folder), headers=Headers.of(sealed, dated(folder))).granules:
        granule.lattice.bounds(granule.window)


@cache
def finished(folder: Path) -> Path:
    """A small study with drivers and a forest, run."""
    home = folder / "study"
    driven.inputs(home)
    studies.run(driven.study(home, studies.write_all(folder / "granules")), until="analyse")
    return home


def records(folder: Path) -> Iterator[Path]:
    """What a run remembers of itself."""
    run = finished(folder) / "run"
    yield run / "run.json"
    yield from sorted((run / "store/markers").rglob("*.json"))


def run_records(folder: Path) -> SearchStrategy[bytes]:
    run = finished(folder) / "run"

    def named(path: Path) -> SearchStrategy[bytes]:
        name = path.relative_to(run).as_posix().encode() + b"\0"
        spoilt = json_like(path.read_bytes()) | bytes_like(path.read_bytes())
        return spoilt.map(lambda data: name + data)

    return st.one_of(*map(named, records(folder)))


def with_record(look: Callable[[Path], None]) -> Act:
    """Replace one record of the run, look at the run, and put the record back."""

    def act(data: bytes, folder: Path) -> None:
        run = finished(folder) / "run"
        name, _, text = data.partition(b"\0")
        path = run / name.decode()
        sound = path.read_bytes()
        path.write_bytes(text)
        try:
            look(run)
        finally:
            path.write_bytes(sound)

    return act


def look_at(run: Path) -> None:
    for look in (
        lambda: pipeline.status(run, why=True),
        lambda: verification(Store(run)),
        lambda: headline.headline(run),
        lambda: open_run(run).rsei.mean().compute(),
        lambda: applying.saved(run, None),
    ):
        with suppress(RseiError):
            look()


def go_on(run: Path) -> None:
    """What a record says wrong may cost work, and may end the run: with an error for the user."""
    outcome = studies.run(run.parent / "study.toml", until="analyse")
    unforeseen = [reason for _, reason in outcome.failed if "unexpected" in reason]
    assert not unforeseen, unforeseen


def forest_bytes(folder: Path) -> SearchStrategy[bytes]:
    (path,) = (finished(folder) / "run/forests").glob("*.npz")
    arrays = np.load(path)
    plain = folder / "plain.npz"
    np.savez(plain, **{name: arrays[name] for name in arrays.files})
    return bytes_like(plain.read_bytes()) | bytes_like(path.read_bytes())


def read_forest(data: bytes, folder: Path) -> None:
    path = within(folder, "forests", b"")
    path.unlink()
    path.mkdir()
    (path / "small-town.npz").write_bytes(data)
    found = applying.saved(path.parent, None)
    rows = np.random.default_rng(0).normal(size=(50, len(found.trees.drivers)))
    found.trees.predict(rows)
