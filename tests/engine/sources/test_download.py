# SPDX-License-Identifier: Apache-2.0
"""Downloads over real HTTP on this machine, with faults of every kind."""

import hashlib
import zlib
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import archive_server as server
import pytest
from archive_server import NAME, PATIENCE, TOKEN, Archive, serving

from rsei.engine.sources.archive import Question, record_of, records
from rsei.engine.sources.download import QUARANTINE, digest, fault, fetch
from rsei.engine.sources.errors import GranuleError, Interrupted
from rsei.engine.sources.link import Link
from rsei.engine.sources.login import Login, Refused
from rsei.engine.sources.manifest import Held
from rsei.engine.sources.patience import Patience, Rejected, Unreachable, wait_of
from rsei.engine.sources.records import Checksum, Record


def link_to(archive: Archive, token: str = TOKEN, **changes: Any) -> Link:
    host = archive.base.removeprefix("http://")
    patience = Patience(**(PATIENCE.__dict__ | changes))
    return Link(Login(token, "http://127.0.0.1:9", (host,)), patience)


def record_in(archive: Archive, name: str = NAME) -> Record:
    """The record of a file as the catalogue's answer has it."""
    item = next(i for i in archive.items if i["umm"]["GranuleUR"] == name.removesuffix(".hdf"))
    record = record_of(item)
    assert record is not None
    return record


def bring(archive: Archive, folder: Path, **changes: Any) -> Held:
    return fetch(link_to(archive, **changes), record_in(archive), folder / "a" / NAME, folder)


def left(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def test_a_file_arrives_whole_and_is_noted(archive: Archive, tmp_path: Path) -> None:
    data = archive.add(NAME)
    held = bring(archive, tmp_path)
    assert (tmp_path / "a" / NAME).read_bytes() == data
    assert left(tmp_path) == {f"a/{NAME}"}
    assert (held.file, held.size, held.algorithm) == (f"a/{NAME}", len(data), "MD5")
    assert held.checksum == hashlib.md5(data).hexdigest()
    assert held.url == f"{archive.base}/data/{NAME}"
    assert archive.asked(NAME) == 1


@pytest.mark.parametrize(
    "faults",
    [
        [server.status(500), server.status(503), server.status(502)],
        [server.status(429, Retry_After="0")],
        [server.drop(0)],
        [server.body(b"\x0e\x03\x13\x01 but not the file")],
        [server.body(server.content("another"))],
    ],
    ids=["5xx", "429", "dropped before the body", "short", "wrong checksum"],
)
def test_a_passing_fault_is_survived(archive: Archive, tmp_path: Path, faults: list[Any]) -> None:
    data = archive.add(NAME)
    archive.faults[NAME] = list(faults)
    bring(archive, tmp_path)
    assert (tmp_path / "a" / NAME).read_bytes() == data
    assert left(tmp_path) == {f"a/{NAME}"}
    assert archive.asked(NAME) == len(faults) + 1


def test_silence_is_broken_off(archive: Archive, tmp_path: Path) -> None:
    data = archive.add(NAME)
    archive.faults[NAME] = [server.silent(0.6)]
    bring(archive, tmp_path, read=0.3)
    assert (tmp_path / "a" / NAME).read_bytes() == data
    assert left(tmp_path) == {f"a/{NAME}"} and archive.asked(NAME) >= 2


def test_a_drop_is_gone_on_from(archive: Archive, tmp_path: Path) -> None:
    data = archive.add(NAME)
    archive.faults[NAME] = [server.drop(1000), server.drop(500)]
    bring(archive, tmp_path)
    assert (tmp_path / "a" / NAME).read_bytes() == data
    assert archive.ranges == ["bytes=1500-"]
    assert archive.asked(NAME) == 3


def test_a_trickle_is_broken_off_and_gone_on_from(archive: Archive, tmp_path: Path) -> None:
    data = archive.add(NAME)
    archive.faults[NAME] = [server.trickle(10, 0.02)]
    bring(archive, tmp_path, read=0.3, slowest=5000.0)
    assert (tmp_path / "a" / NAME).read_bytes() == data
    assert len(archive.ranges) == 1


def test_what_a_dead_process_left_is_gone_on_from(archive: Archive, tmp_path: Path) -> None:
    data = archive.add(NAME)
    part = tmp_path / "a" / f"{NAME}.part"
    part.parent.mkdir()
    part.write_bytes(data[:4321])
    bring(archive, tmp_path)
    assert archive.ranges == ["bytes=4321-"]
    assert (tmp_path / "a" / NAME).read_bytes() == data


@pytest.mark.parametrize("length", [6000, 5000])
def test_what_cannot_be_gone_on_from_is_fetched_again(
    archive: Archive, tmp_path: Path, length: int
) -> None:
    data = archive.add(NAME)
    part = tmp_path / "a" / f"{NAME}.part"
    part.parent.mkdir()
    part.write_bytes(b"x" * length)
    bring(archive, tmp_path)
    assert archive.ranges == []
    assert (tmp_path / "a" / NAME).read_bytes() == data


@pytest.mark.parametrize("told", [True, False], ids=["checksum", "nothing known"])
def test_a_body_in_chunks_is_taken_whole(archive: Archive, tmp_path: Path, told: bool) -> None:
    data = archive.add(NAME)
    if not told:
        archive.items[0]["umm"]["DataGranule"] = {}
    archive.faults[NAME] = [server.chunked(data[:1400], whole=False), server.chunked(data)]
    bring(archive, tmp_path)
    assert (tmp_path / "a" / NAME).read_bytes() == data
    assert archive.asked(NAME) == 2


def test_a_server_without_ranges_gives_the_whole_file(archive: Archive, tmp_path: Path) -> None:
    data = archive.add(NAME)
    archive.faults[NAME] = [server.drop(1000), server.body(data)]
    bring(archive, tmp_path)
    assert (tmp_path / "a" / NAME).read_bytes() == data


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"Checksum": {"Algorithm": "MD5", "Value": "0" * 32}}, "expected MD5 000000"),
        ({"SizeInBytes": 4999}, "expected 4999 bytes, found 5000"),
    ],
)
def test_a_file_that_never_comes_right_is_set_aside(
    archive: Archive, tmp_path: Path, change: dict[str, Any], said: str
) -> None:
    data = archive.add(NAME, **change)
    with pytest.raises(GranuleError, match=said):
        bring(archive, tmp_path)
    assert left(tmp_path) == {f"{QUARANTINE}/{NAME}.bad"}
    assert (tmp_path / QUARANTINE / f"{NAME}.bad").read_bytes() == data
    assert archive.asked(NAME) == PATIENCE.tries


def test_a_file_that_is_no_granule_is_set_aside(archive: Archive, tmp_path: Path) -> None:
    archive.add(NAME, b"PK\x03\x04 an archive of something")
    with pytest.raises(GranuleError, match="first bytes of HDF4"):
        bring(archive, tmp_path)


def test_a_record_that_asks_for_more_than_there_is_ends(archive: Archive, tmp_path: Path) -> None:
    archive.add(NAME, SizeInBytes=6000)
    with pytest.raises(GranuleError, match="expected 6000 bytes"):
        bring(archive, tmp_path)
    assert archive.asked(NAME) <= 2 * PATIENCE.tries


@pytest.mark.parametrize(
    ("algorithm", "value"),
    [
        ("SHA-256", lambda data: hashlib.sha256(data).hexdigest()),
        ("SHA-512", lambda data: hashlib.sha512(data).hexdigest().upper()),
        ("SHA-1", lambda data: hashlib.sha1(data).hexdigest()),
        ("CRC-32", lambda data: str(zlib.crc32(data))),
        ("Adler-32", lambda data: f"{zlib.adler32(data):08x}"),
    ],
)
def test_every_checksum_of_the_catalogue_is_compared(
    archive: Archive, tmp_path: Path, algorithm: str, value: Any
) -> None:
    data = archive.add(NAME)
    right = Checksum(algorithm, value(data).lower())
    path = tmp_path / NAME
    path.write_bytes(data)
    record = Record(**(record_in(archive).__dict__ | {"checksum": right}))
    assert fault(path, record) is None
    path.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    assert f"expected {algorithm}" in str(fault(path, record))


def test_a_checksum_of_an_unknown_kind_leaves_ours(archive: Archive, tmp_path: Path) -> None:
    data = archive.add(NAME, Checksum={"Algorithm": "SYSV", "Value": "1234"})
    held = bring(archive, tmp_path)
    assert (held.algorithm, held.checksum) == ("SHA-256", hashlib.sha256(data).hexdigest())
    assert digest(tmp_path / held.file) == held.checksum


def test_a_bad_token_is_said_at_once(archive: Archive, tmp_path: Path) -> None:
    archive.add(NAME)
    with pytest.raises(Refused, match="EARTHDATA_TOKEN") as error:
        fetch(link_to(archive, "wr0ng-token"), record_in(archive), tmp_path / NAME, tmp_path)
    assert "wr0ng-token" not in str(error.value)
    assert error.value.exit_code == 4
    assert archive.asked(NAME) == 1


def test_a_right_that_lacks_is_said_at_once(archive: Archive, tmp_path: Path) -> None:
    archive.add(NAME)
    archive.faults[NAME] = [server.status(403)]
    with pytest.raises(Refused, match="authorise"):
        bring(archive, tmp_path)
    assert archive.asked(NAME) == 1


def test_a_login_page_is_no_granule(archive: Archive, tmp_path: Path) -> None:
    archive.add(NAME)
    archive.faults[NAME] = [server.page, server.body(b"\n<HTML><body>Sign in</body></HTML>")]
    for _ in range(2):
        with pytest.raises(Refused, match="found a web page, as a login gives"):
            bring(archive, tmp_path)
    assert left(tmp_path) == set()


def test_a_file_that_is_gone_is_asked_for_once(archive: Archive, tmp_path: Path) -> None:
    archive.add(NAME)
    archive.faults[NAME] = [server.status(404)]
    with pytest.raises(Rejected, match="status 404"):
        bring(archive, tmp_path)
    assert archive.asked(NAME) == 1


def test_tries_are_bounded(archive: Archive, tmp_path: Path) -> None:
    archive.add(NAME)
    archive.faults[NAME] = [server.status(500)] * 50
    with pytest.raises(Unreachable, match=r"gave up after 4 tries.*status 500"):
        bring(archive, tmp_path)
    assert archive.asked(NAME) == PATIENCE.tries


def test_nobody_there_is_an_error_of_the_machine() -> None:
    with pytest.raises(Unreachable, match="gave up after 4 tries") as error:
        question = Question("MOD09A1", "061", ("h27v05",), ())
        list(records(Link(patience=PATIENCE), question, "http://127.0.0.1:9/search"))
    assert error.value.exit_code == 4


@pytest.mark.parametrize(("asked", "waited"), [("9", 5.0), ("3", 3.0)])
def test_retry_after_is_honoured_up_to_a_limit(
    archive: Archive, tmp_path: Path, asked: str, waited: float
) -> None:
    archive.add(NAME)
    archive.faults[NAME] = [server.status(429, Retry_After=asked)]
    link = link_to(archive, longest=5.0)
    waits: list[float] = []
    link.closed.wait = waits.append  # type: ignore[assignment, method-assign]
    fetch(link, record_in(archive), tmp_path / "a" / NAME, tmp_path)
    assert waits == [waited]


def test_retry_after_may_be_a_date() -> None:
    now = datetime(2026, 1, 1, tzinfo=UTC)
    assert wait_of("Thu, 01 Jan 2026 00:00:30 GMT", now) == 30
    assert wait_of("Wed, 31 Dec 2025 00:00:00 GMT", now) == 0
    assert wait_of("-3", now) is None


def test_the_token_goes_to_the_archive_alone(archive: Archive, tmp_path: Path) -> None:
    storage = Archive(login=False)
    with serving(storage):
        storage.files[NAME] = archive.add(NAME)
        archive.redirect = storage.base
        archive.faults[NAME] = [server.drop(9)]
        held = bring(archive, tmp_path)
    assert storage.asked(NAME) == 1 and storage.tokens == []
    assert {path for path, _ in archive.tokens} == {f"/data/{NAME}"}
    assert held.url == f"{archive.base}/data/{NAME}"


def test_the_range_follows_the_redirect(archive: Archive, tmp_path: Path) -> None:
    storage = Archive(login=False)
    with serving(storage):
        data = storage.files[NAME] = archive.add(NAME)
        storage.faults[NAME] = [server.drop(1000)]
        archive.redirect = storage.base
        bring(archive, tmp_path)
    assert storage.ranges == ["bytes=1000-"]
    assert (tmp_path / "a" / NAME).read_bytes() == data


def test_a_host_that_nobody_named_gets_no_token(archive: Archive, tmp_path: Path) -> None:
    archive.add(NAME)
    link = Link(Login(TOKEN), PATIENCE)
    with pytest.raises(Refused):
        fetch(link, record_in(archive), tmp_path / NAME, tmp_path)
    assert archive.tokens == []


@pytest.mark.parametrize(
    ("url", "first", "seen"),
    [
        ("https://data.lpdaac.earthdatacloud.nasa.gov/a", None, True),
        ("https://e4ftl01.cr.usgs.gov/a", None, True),
        ("https://urs.earthdata.nasa.gov/oauth", "https://e4ftl01.cr.usgs.gov/a", True),
        ("https://lp.s3.amazonaws.com/a", "https://data.lpdaac.earthdatacloud.nasa.gov/a", False),
        ("https://other.nasa.gov/a", "https://data.lpdaac.earthdatacloud.nasa.gov/a", False),
        ("http://data.lpdaac.earthdatacloud.nasa.gov/a", None, False),
        ("https://nasa.gov.evil.org/a", None, False),
        ("https://evilnasa.gov/a", None, False),
        ("https://mirror.org:8443/a", None, True),
        ("https://mirror.org/a", None, False),
    ],
)
def test_who_may_see_the_token(url: str, first: str | None, seen: bool) -> None:
    assert Login("t", hosts=("mirror.org:8443",)).may_see(url, first or url) is seen


def test_a_redirect_without_end_is_broken_off(archive: Archive, tmp_path: Path) -> None:
    archive.add(NAME)
    archive.faults[NAME] = [server.status(302, Location=f"/data/{NAME}")] * 20
    with pytest.raises(Rejected, match="redirects"):
        bring(archive, tmp_path)


@pytest.mark.parametrize(
    "target", ["file:///etc/passwd", "ftp://127.0.0.1/x", "http://192.0.2.1/x"]
)
def test_a_redirect_elsewhere_is_refused(archive: Archive, tmp_path: Path, target: str) -> None:
    archive.add(NAME)
    archive.faults[NAME] = [server.status(302, Location=target)]
    with pytest.raises(Rejected, match="expected HTTPS"):
        bring(archive, tmp_path)


def test_a_closed_link_stops_a_download(
    archive: Archive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = archive.add(NAME)
    archive.faults[NAME] = [server.trickle(100, 0.02)]
    link = link_to(archive)
    genuine = link.body

    def closed_after_the_first(response: Any) -> Iterator[bytes]:
        blocks = genuine(response)
        yield next(blocks)
        link.closed.set()
        yield from blocks

    monkeypatch.setattr(link, "body", closed_after_the_first)
    with pytest.raises(Interrupted):
        fetch(link, record_in(archive), tmp_path / NAME, tmp_path)
    assert 0 < (tmp_path / f"{NAME}.part").stat().st_size < len(data)


def test_a_file_without_a_known_size_is_compared_with_the_server(
    archive: Archive, tmp_path: Path
) -> None:
    data = archive.add(NAME)
    archive.items[0]["umm"]["DataGranule"] = {}
    archive.faults[NAME] = [server.drop(700)]
    bring(archive, tmp_path)
    assert (tmp_path / "a" / NAME).read_bytes() == data
