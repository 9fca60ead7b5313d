# SPDX-License-Identifier: Apache-2.0
"""The catalogue's answers, over real HTTP on this machine: pages, faults, records of any form."""

import json
from datetime import date, timedelta
from typing import Any

import archive_server as server
import pytest
from archive_server import NAME, PATIENCE, Archive

from rsei.engine.sources import link as link_module
from rsei.engine.sources.archive import Question, record_of, records
from rsei.engine.sources.link import Link
from rsei.engine.sources.patience import Rejected
from rsei.engine.sources.records import Wanted, newest

QUESTION = Question(
    "MOD09A1", "061", ("h27v05", "h27v04"), ((date(2000, 1, 1), date(2030, 12, 31)),)
)


def many(archive: Archive, count: int) -> list[str]:
    """Records, without files, of ``count`` composites; all answer QUESTION."""
    names = []
    for number in range(count):
        day = date(2000, 2, 18) + timedelta(number // 2)
        tile = ("h27v04", "h27v05")[number % 2]
        names.append(f"MOD09A1.A{day:%Y%j}.{tile}.061.2021212041320.hdf")
        archive.items.append(archive.item(names[-1], b"12"))
    return names


def test_every_page_is_read(archive: Archive) -> None:
    names = many(archive, 4501)
    found = [r.name for r in records(Link(patience=PATIENCE), QUESTION, f"{archive.base}/search")]
    assert found == names
    assert archive.count() == 4  # 2000, 2000, 501, and an empty one
    assert archive.tokens == []


def test_the_catalogue_may_be_out_of_order_for_a_while(archive: Archive) -> None:
    names = many(archive, 30)
    archive.page = 10
    archive.faults["catalogue"] = [
        server.status(503),
        server.body(b"<html>busy</html>"),
        server.body(b'{"errors": []}'),
    ]
    found = [r.name for r in records(Link(patience=PATIENCE), QUESTION, f"{archive.base}/search")]
    assert found == names


def test_only_what_is_asked_for_is_found(archive: Archive) -> None:
    many(archive, 8)
    question = Question("MOD09A1", "061", ("h27v05",), ((date(2000, 2, 1), date(2000, 2, 19)),))
    found = list(records(Link(patience=PATIENCE), question, f"{archive.base}/search"))
    assert [r.wanted for r in found] == [
        Wanted("MOD09A1", "061", "h27v05", date(2000, 2, 18)),
        Wanted("MOD09A1", "061", "h27v05", date(2000, 2, 19)),
    ]


def test_the_newest_production_counts(archive: Archive) -> None:
    stem = "MOD09A1.A2012161.h27v05.061"
    for produced in ("2021212041320", "2022001000000", "2020001000000", "2022001000000"):
        archive.items.append(archive.item(f"{stem}.{produced}.hdf", b"12"))
    found = newest(records(Link(patience=PATIENCE), QUESTION, f"{archive.base}/search"))
    assert [record.produced for record in found.values()] == ["2022001000000"]


@pytest.mark.parametrize(
    "name",
    [
        "MOD09A1.A2012161.h27v05.061.2021212041320/../../../x.hdf",
        "MOD09A1.A2012161.h27v05.061.2021212041320%2F..%2Fx.hdf",
        "MOD09A1.A2012161.h27v05.061.2021212041320.subset.hdf",
        "MOD09A1.A2012999.h27v05.061.2021212041320.hdf",
        "x.hdf",
        "",
    ],
)
def test_a_name_of_another_form_is_left_out(archive: Archive, name: str) -> None:
    item = archive.item(name, b"12")
    record = record_of(item)
    assert record is None or (record.url, record.name) == ("", f"{name.removesuffix('.hdf')}.hdf")
    assert record is None or "/" not in record.name


@pytest.mark.parametrize("item", [None, [], {}, {"umm": 3}, {"umm": {"RelatedUrls": [1, {}]}}])
def test_a_record_of_another_form_is_left_out(item: Any) -> None:
    assert record_of(item) is None


def test_a_record_may_say_little(archive: Archive) -> None:
    item = archive.item(NAME, b"12")
    del item["umm"]["DataGranule"]
    record = record_of(item)
    assert record and (record.size, record.checksum, record.about) == (None, None, 0.0)
    item = archive.item(NAME, b"12")
    entry = {"Name": "Not provided", "Size": 5.5, "SizeUnit": "MB"}
    item["umm"]["DataGranule"]["ArchiveAndDistributionInformation"] = [entry]
    record = record_of(item)
    assert record and (record.size, record.about) == (None, 5.5e6)


def test_a_granule_without_an_address_is_known(archive: Archive) -> None:
    old = archive.item(NAME.replace(".2021", ".2019"), b"12")
    item = archive.item(NAME, b"12")
    item["umm"]["RelatedUrls"] = []
    record, earlier = record_of(item), record_of(old)
    assert record and earlier and (record.name, record.url) == (NAME, "")
    assert newest([earlier, record]) == {earlier.wanted: earlier}


def test_a_page_that_gets_lost_is_noticed(archive: Archive) -> None:
    many(archive, 25)
    archive.page = 10
    answer = json.dumps({"items": archive.items[10:20]}).encode()
    archive.faults["catalogue"] = [lambda handler, name: False, server.body(answer, CMR_Hits="25")]
    with pytest.raises(Rejected, match="expected 25 records, found 20"):
        list(records(Link(patience=PATIENCE), QUESTION, f"{archive.base}/search"))


def test_an_answer_too_large_is_broken_off(
    archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(link_module, "LARGEST", 100)
    many(archive, 5)
    with pytest.raises(Rejected, match="at most 100 bytes"):
        list(records(Link(patience=PATIENCE), QUESTION, f"{archive.base}/search"))


def test_an_answer_in_chunks_is_read(archive: Archive) -> None:
    names = many(archive, 3)
    answer = json.dumps({"items": archive.items}).encode()
    archive.faults["catalogue"] = [
        server.chunked(answer[:-900], whole=False),
        server.chunked(answer),
    ]
    found = [r.name for r in records(Link(patience=PATIENCE), QUESTION, f"{archive.base}/search")]
    assert found == names
