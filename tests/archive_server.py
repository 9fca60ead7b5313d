# SPDX-License-Identifier: Apache-2.0
"""A local server that speaks the protocols of catalogue and download, with faults on demand."""

import hashlib
import json
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from fnmatch import fnmatchcase
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from rsei.engine.sources.patience import Patience

TOKEN = "tok-5ecret-0123456789"
"""The one token that is accepted."""

NAME = "MOD09A1.A2012161.h27v05.061.2021212041320.hdf"
"""A granule of the archive."""

PATIENCE = Patience(tries=4, connect=30, read=30, pause=0.01, longest=0.5)
"""Pauses that are short, as the server is near; a busy machine may take long to answer."""

HDF4 = b"\x0e\x03\x13\x01"

Fault = Callable[["Handler", str], bool]
"""Does something wrong with a request for a file; False: carry on as if nothing was."""


def content(name: str, size: int = 5000) -> bytes:
    """Bytes of a file that are its own, and start as HDF4 does."""
    seed = hashlib.sha256(name.encode()).digest()
    return (HDF4 + seed * (size // len(seed) + 1))[:size]


@dataclass
class Archive:
    """What the server holds, and what it saw."""

    files: dict[str, bytes] = field(default_factory=dict)
    items: list[dict[str, Any]] = field(default_factory=list)
    faults: dict[str, list[Fault]] = field(default_factory=dict)
    """By name of a file, or ``catalogue``: one for each request, the first one first."""
    page: int = 2000
    redirect: str | None = None
    """Address of the storage that the archive sends its users to."""
    login: bool = True
    """Whether a file needs the token."""
    base: str = ""
    requests: list[tuple[str, str]] = field(default_factory=list)
    """Method and path of each."""
    tokens: list[tuple[str, str]] = field(default_factory=list)
    """Path and Authorization of each request that carried one."""
    ranges: list[str] = field(default_factory=list)
    queries: list[dict[str, list[str]]] = field(default_factory=list)
    features: list[dict[str, Any]] = field(default_factory=list)
    """Items of the STAC API."""
    signing: bool = False
    """Whether a GeoTIFF needs a signed address."""
    lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, name: str, data: bytes | None = None, **changes: Any) -> bytes:
        """Take in a file and its record; ``changes`` replace what the record says of it."""
        data = content(name) if data is None else data
        self.files[name] = data
        self.items.append(self.item(name, data, **changes))
        return data

    def item(self, name: str, data: bytes, **changes: Any) -> dict[str, Any]:
        """The record of a file as the catalogue gives it."""
        entry = {
            "Name": name,
            "SizeInBytes": len(data),
            "Size": len(data) / 1e6,
            "SizeUnit": "MB",
            "Checksum": {"Algorithm": "MD5", "Value": hashlib.md5(data).hexdigest()},
        } | changes
        stem = name.removesuffix(".hdf")
        url = f"{self.base}/data/{name}"
        return {
            "meta": {"concept-id": f"G{len(self.items)}-LPCLOUD", "provider-id": "LPCLOUD"},
            "umm": {
                "GranuleUR": stem,
                "RelatedUrls": [
                    {"URL": f"s3://bucket/{name}", "Type": "GET DATA VIA DIRECT ACCESS"},
                    {"URL": f"{url}.xml", "Type": "EXTENDED METADATA"},
                    {"URL": url, "Type": "GET DATA"},
                    {"URL": f"{self.base}/{stem}.jpg", "Type": "GET RELATED VISUALIZATION"},
                ],
                "DataGranule": {
                    "ArchiveAndDistributionInformation": [{"Name": f"{name}.xml"}, entry]
                },
            },
        }

    def add_layers(self, identity: str, layers: dict[str, bytes], **asset: Any) -> None:
        """Take in the GeoTIFFs of a granule, and their item."""
        product, day, tile, collection, _ = identity.split(".")
        start = datetime.strptime(day, "A%Y%j")
        assets: dict[str, Any] = {"hdf": {"href": f"{self.base}/data/{identity}.hdf"}}
        for layer, data in layers.items():
            self.files[f"{identity}_{layer}.tif"] = data
            assets[layer] = {"href": f"{self.base}/data/{identity}_{layer}.tif", **asset}
        self.features.append(
            {
                "type": "Feature",
                "stac_version": "1.0.0",
                "id": identity,
                "collection": f"modis-{product[3:]}-{collection}",
                "geometry": None,
                "properties": {
                    "start_datetime": f"{start:%Y-%m-%d}T00:00:00Z",
                    "modis:horizontal-tile": int(tile[1:3]),
                    "modis:vertical-tile": int(tile[4:6]),
                },
                "assets": assets,
                "links": [],
            }
        )

    def count(self) -> int:
        return len(self.requests)

    def asked(self, name: str) -> int:
        """How often a file was asked for."""
        return Counter(path for _, path in self.requests)[f"/data/{name}"]


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # else each answer waits 40 ms for an acknowledgement
    archive: Archive

    def log_message(self, *words: Any) -> None: ...

    def do_GET(self) -> None:
        archive, path = self.archive, urlsplit(self.path).path
        with archive.lock:
            archive.requests.append(("GET", path))
            if "Authorization" in self.headers:
                archive.tokens.append((path, self.headers["Authorization"]))
            name = "catalogue" if path.startswith("/search") else path.rpartition("/")[2]
            waiting = archive.faults.get(name)
            fault = waiting.pop(0) if waiting else None
        if fault is not None and fault(self, name):
            return
        if path == "/stac/search":
            self.stac()
        elif path == "/sign":
            href = parse_qs(urlsplit(self.path).query)["href"][0]
            self.answer(200, json.dumps({"href": f"{href}?Signature=s1gned"}).encode())
        elif name == "catalogue":
            self.search()
        elif name in archive.files:
            self.file(name)
        else:
            self.answer(404, b"")

    def do_POST(self) -> None:
        self.archive.requests.append(("POST", self.path))
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        given = self.headers.get("Authorization", "")
        if given != "Basic bWU6cGFzcy13MHJk":  # me:pass-w0rd
            self.answer(401, b'{"error": "invalid_credentials"}')
            return
        answer = {"access_token": TOKEN, "token_type": "Bearer", "expiration_date": "1/1/2030"}
        self.answer(200, json.dumps(answer).encode())

    def search(self) -> None:
        """As granules.umm_json: names and seasons filter, a header leads to the next page."""
        archive = self.archive
        query = parse_qs(urlsplit(self.path).query)
        archive.queries.append(query)
        found = [item for item in archive.items if matches(item["umm"]["GranuleUR"], query)]
        size = min(archive.page, int(query["page_size"][0]))
        start = int(json.loads(self.headers.get("CMR-Search-After", "[0]"))[0])
        some = found[start : start + size]
        more = {"CMR-Search-After": json.dumps([start + size])} if some else {}
        body = json.dumps({"hits": len(found), "took": 1, "items": some}).encode()
        self.answer(200, body, {"CMR-Hits": str(len(found)), **more})

    def stac(self) -> None:
        """As an item search: collections and dates filter, a link leads to the next page."""
        archive = self.archive
        query = {key: one for key, (one, *_) in parse_qs(urlsplit(self.path).query).items()}
        archive.queries.append({key: [one] for key, one in query.items()})
        first, last = query["datetime"].split("/")
        found = [
            item
            for item in archive.features
            if item["collection"] in query["collections"].split(",")
            and first <= item["properties"]["start_datetime"] <= last
        ]
        start, size = int(query.pop("token", "0")), min(archive.page, int(query["limit"]))
        links = []
        if start + size < len(found):
            more = urlencode({**query, "token": str(start + size)})
            links = [{"rel": "next", "method": "GET", "href": f"{archive.base}/stac/search?{more}"}]
        page = {"type": "FeatureCollection", "features": found[start : start + size]}
        self.answer(200, json.dumps({**page, "links": links}).encode())

    def file(self, name: str) -> None:
        """A file, or the rest of it, to those who show the token or a signed address."""
        archive = self.archive
        signed = "Signature" in urlsplit(self.path).query
        if archive.signing and not signed:
            self.answer(409, b"PublicAccessNotPermitted")
            return
        public = signed or archive.signing or not archive.login
        if not public and self.headers.get("Authorization") != f"Bearer {TOKEN}":
            self.answer(401, b"HTTP Basic: Access denied.")
            return
        if archive.redirect and not signed:
            target = f"{archive.redirect}/data/{name}?Signature=s1gned"
            self.answer(303, b"", {"Location": target})
            return
        data, asked = archive.files[name], self.headers.get("Range")
        if asked is None:
            self.answer(200, data)
            return
        archive.ranges.append(asked)
        start = int(asked.removeprefix("bytes=").rstrip("-"))
        if start >= len(data):
            self.answer(416, b"", {"Content-Range": f"bytes */{len(data)}"})
        else:
            span = f"bytes {start}-{len(data) - 1}/{len(data)}"
            self.answer(206, data[start:], {"Content-Range": span})

    def answer(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
        self.head(status, len(body), headers)
        self.wfile.write(body)

    def head(self, status: int, length: int, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for key, value in {"Content-Type": "application/octet-stream", **(headers or {})}.items():
            self.send_header(key, value)
        self.send_header("Content-Length", str(length))
        self.end_headers()


def matches(name: str, query: dict[str, list[str]]) -> bool:
    """Whether a granule answers a question: product, version, patterns, and any of the seasons."""
    assert query["options[readable_granule_name][pattern]"] == ["true"]
    product, day, _, version = name.split(".")[:4]
    first = datetime.strptime(day, "A%Y%j")
    last = first + timedelta(16 if product.endswith("13A1") else 8)
    spans = [
        [datetime.fromisoformat(end.removesuffix("Z")) for end in span.split(",")]
        for span in query["temporal[]"]
    ]
    return (
        query["short_name"] == [product]
        and query["version"] == [version]
        and query["provider"] == ["LPCLOUD"]
        and any(fnmatchcase(name, pattern) for pattern in query["readable_granule_name[]"])
        and any(first <= end and start < last for start, end in spans)
    )


def status(code: int, **headers: str) -> Fault:
    """Answers with a status alone."""

    def fault(handler: Handler, name: str) -> bool:
        handler.answer(code, b"no", {key.replace("_", "-"): text for key, text in headers.items()})
        return True

    return fault


def page(handler: Handler, name: str) -> bool:
    """A login page, with status 200, where a file is expected."""
    body = b"<!DOCTYPE html>\n<html><title>Earthdata Login</title></html>"
    handler.answer(200, body, {"Content-Type": "text/html; charset=utf-8"})
    return True


def drop(after: int) -> Fault:
    """Breaks the connection after some bytes of the body."""

    def fault(handler: Handler, name: str) -> bool:
        data = handler.archive.files[name]
        start = int(handler.headers.get("Range", "bytes=0-").removeprefix("bytes=").rstrip("-"))
        span = {"Content-Range": f"bytes {start}-{len(data) - 1}/{len(data)}"} if start else {}
        handler.head(206 if start else 200, len(data) - start, span)
        handler.wfile.write(data[start : start + after])
        handler.close_connection = True
        return True

    return fault


def silent(seconds: float) -> Fault:
    """Says nothing for a while, then breaks off."""

    def fault(handler: Handler, name: str) -> bool:
        time.sleep(seconds)
        handler.close_connection = True
        return True

    return fault


def trickle(step: int, seconds: float) -> Fault:
    """A few bytes now and then, without end."""

    def fault(handler: Handler, name: str) -> bool:
        data = handler.archive.files[name]
        handler.head(200, len(data))
        try:
            for start in range(0, len(data), step):
                handler.wfile.write(data[start : start + step])
                time.sleep(seconds)
        except OSError:
            handler.close_connection = True
        return True

    return fault


def body(data: bytes, **headers: str) -> Fault:
    """Other bytes than the file's."""

    def fault(handler: Handler, name: str) -> bool:
        handler.answer(200, data, {key.replace("_", "-"): text for key, text in headers.items()})
        return True

    return fault


def chunked(data: bytes, whole: bool = True) -> Fault:
    """Bytes in chunks, their number not told beforehand; without the last chunk if not whole."""

    def fault(handler: Handler, name: str) -> bool:
        handler.send_response(200)
        handler.send_header("Transfer-Encoding", "chunked")
        handler.end_headers()
        for start in range(0, len(data), 700):
            part = data[start : start + 700]
            handler.wfile.write(b"%x\r\n%s\r\n" % (len(part), part))
        if whole:
            handler.wfile.write(b"0\r\n\r\n")
        else:
            handler.close_connection = True
        return True

    return fault


class Server(ThreadingHTTPServer):
    """One that takes it calmly when a client is killed."""

    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


@contextmanager
def serving(archive: Archive, host: str = "127.0.0.1") -> Iterator[str]:
    """Run the server; its address."""
    handler = type("Bound", (Handler,), {"archive": archive})
    server = Server((host, 0), handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    archive.base = f"http://{host}:{server.server_address[1]}"
    try:
        yield archive.base
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)
