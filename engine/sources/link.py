# SPDX-License-Identifier: Apache-2.0
"""Requests over HTTP: timeouts, bounded retries, and redirects that keep the token at home."""

import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from typing import Any, NoReturn, TypeVar
from urllib.parse import urljoin, urlsplit

import requests
from requests.auth import AuthBase

from .errors import Interrupted
from .login import PROFILE, REMEDY, Login, Refused, place, plain, private
from .patience import PATIENCE, Dropped, Patience, Rejected, faults, wait_of

HOPS = 10
"""Redirects that are followed: a login by redirects takes four."""

BLOCK = 1 << 18
"""Bytes taken from a body at a time."""

LARGEST = 64 << 20
"""Bytes of one answer: several times what 2,000 records of some 5 kB take."""

PASSING = {408, 425, 429, 500, 502, 503, 504}
"""Statuses that another try may change. Source: RFC 9110, RFC 6585."""

T = TypeVar("T")


class _Bearer(AuthBase):
    """Adds the token or nothing; that it is given keeps requests from looking into ~/.netrc."""

    def __init__(self, token: str) -> None:
        self.token = token

    def __call__(self, request: Any) -> Any:
        request.headers.pop("Authorization", None)
        if self.token:
            request.headers["Authorization"] = f"Bearer {self.token}"
        return request


class Link:
    """A way to the servers, for any number of threads."""

    def __init__(
        self,
        login: Login | None = None,
        patience: Patience | None = None,
        signer: str | None = None,
    ) -> None:
        self.login = login or Login()
        self.signer = signer
        self.patience = patience or PATIENCE
        self.closed = threading.Event()
        self._local = threading.local()

    def patiently(self, what: str, attempt: Callable[[], T]) -> T:
        """What ``attempt`` gives, tried again as often as ``patience`` allows.

        Raises Interrupted once the link is closed, and the kind of error of the last try.
        """
        for number in range(1, self.patience.tries + 1):
            if self.closed.is_set():
                raise Interrupted(f"{what}: interrupted; the same command goes on from here")
            try:
                return attempt()
            except Dropped as fault:
                last = fault
                if number < self.patience.tries:
                    self.closed.wait(self.patience.before(number, fault.wait))
        raise last.kind(
            f"{what}: gave up after {self.patience.tries} tries, the last of which found {last}; "
            "run the same command again later"
        )

    @contextmanager
    def open(
        self,
        url: str,
        headers: Mapping[str, str] | None = None,
        query: Mapping[str, Any] | None = None,
    ) -> Iterator[requests.Response]:
        """The answer to one request, redirects followed, its body not yet read.

        The status is 200, 206 or 416. Raises Dropped where another try may help, Refused where the
        login does not do, Rejected where nothing will.
        """
        with faults(self.patience):
            response = self._follow(url, headers or {}, query or {})
            try:
                if response.status_code not in (200, 206, 416):
                    self._complain(response)
                yield response
            finally:
                response.close()

    def body(self, response: requests.Response) -> Iterator[bytes]:
        """The parts of a body, as they come; raises Dropped where it stops, Interrupted."""
        begun, count = time.monotonic(), 0
        with faults(self.patience):
            while block := response.raw.read1(BLOCK, decode_content=False):
                if self.closed.is_set():
                    raise Interrupted("interrupted; the same command goes on from here")
                yield block
                count += len(block)
                passed = time.monotonic() - begun
                if passed > self.patience.read:
                    if count < passed * self.patience.slowest:
                        raise Dropped(f"{count} bytes in {passed:.0f} s")
                    begun, count = time.monotonic(), 0

    def read(
        self,
        url: str,
        headers: Mapping[str, str] | None = None,
        query: Mapping[str, Any] | None = None,
    ) -> tuple[bytes, Mapping[str, str]]:
        """A whole body, and the headers of the answer; raises as ``open``."""
        with self.open(url, headers, query) as response:
            data = bytearray()
            for block in self.body(response):
                data += block
                if len(data) > LARGEST:
                    raise Rejected(f"{plain(url)}: expected at most {LARGEST} bytes, found more")
            told = response.headers.get("Content-Length", "")
            if told.isdigit() and int(told) != len(data):
                raise Dropped(f"{len(data)} of {told} bytes")
            return bytes(data), response.headers

    def signed(self, url: str) -> str:
        """An address with the signature that its server wants, which lasts for minutes."""
        if self.signer is None:
            return url
        data, _ = self.read(self.signer, query={"href": url})
        try:
            found = str(json.loads(data)["href"])
        except (ValueError, KeyError, TypeError):
            raise Dropped(f"no signature from {urlsplit(self.signer).hostname}") from None
        if place(found) != place(url):
            raise Rejected(f"{plain(url)}: expected it signed, was sent to {plain(found)}")
        return found

    def _follow(
        self, url: str, headers: Mapping[str, str], query: Mapping[str, Any]
    ) -> requests.Response:
        first = url
        timeout = self.patience.connect, self.patience.read
        for _ in range(HOPS):
            token = self.login.token if self.login.may_see(url, first) else ""
            response = self._session.get(
                url,
                params=query,
                headers=headers,
                auth=_Bearer(token),
                stream=True,
                allow_redirects=False,
                timeout=timeout,
            )
            if not response.is_redirect:
                return response
            query = {}
            target = urljoin(url, response.headers["location"])
            response.close()
            if urlsplit(target).scheme not in ("http", "https") or (
                private(url) and not private(target)
            ):
                raise Rejected(f"{plain(first)}: expected HTTPS, was sent to {plain(target)}")
            url = target
        raise Rejected(f"{plain(first)}: expected an end of redirects within {HOPS}, found none")

    @property
    def _session(self) -> requests.Session:
        if not hasattr(self._local, "session"):
            self._local.session = requests.Session()
            self._local.session.headers["User-Agent"] = f"rsei/{_version()}"
            # A compressed body would have another size and checksum than the file.
            self._local.session.headers["Accept-Encoding"] = "identity"
        session: requests.Session = self._local.session
        return session

    def _complain(self, response: requests.Response) -> NoReturn:
        url, status = response.url, response.status_code
        host = urlsplit(url).hostname
        if status in PASSING:
            asked = wait_of(response.headers.get("Retry-After"), datetime.now(UTC))
            raise Dropped(f"status {status} of {host}", asked)
        if status == 401:
            if self.login.token:
                raise Refused(f"{host} refused the token (401), which may have run out; {REMEDY}")
            raise Refused(f"{host} wants an Earthdata login (401); {REMEDY}")
        if status == 403:
            raise Refused(
                f"{plain(url)}: {host} does not let this user have it (403); authorise "
                f"the application of the archive at {PROFILE}, and accept its terms"
            )
        raise Rejected(f"{plain(url)}: expected the file, found status {status}")


def _version() -> str:
    try:
        return version("rsei")
    except PackageNotFoundError:
        return "unknown"
