"""Requests over HTTP: timeouts, bounded retries, and redirects that keep the token at home."""

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from importlib.metadata import PackageNotFoundError, version
from typing import Any, NoReturn, TypeVar
from urllib.parse import urljoin, urlsplit

import requests
from requests.auth import AuthBase
from urllib3.exceptions import HTTPError, ReadTimeoutError

from .errors import Interrupted, MachineError, RseiError
from .login import PROFILE, REMEDY, Login, Refused, plain, private

HOPS = 10
"""Redirects that are followed: a login by redirects takes four."""

BLOCK = 1 << 18
"""Bytes taken from a body at a time."""

PASSING = {408, 425, 429, 500, 502, 503, 504}
"""Statuses that another try may change. Source: RFC 9110, RFC 6585."""

T = TypeVar("T")


class Unreachable(MachineError):
    """A server gives no answer, however often it is asked."""


class Rejected(RseiError):
    """A server answers that it will not do what it is asked for."""


@dataclass(frozen=True)
class Patience:
    """How often and how long a server is waited for."""

    tries: int = 6
    """Requests before one gives up."""

    connect: float = 15.0
    """Seconds for a connection."""

    read: float = 60.0
    """Seconds without a byte."""

    pause: float = 1.0
    """Seconds before the second try; twice as many before each further one."""

    longest: float = 120.0
    """Most seconds between two tries, whatever the server asks for."""

    slowest: float = 1000.0
    """Bytes a second that a body has to bring; one that trickles would never time out."""

    def before(self, attempt: int, asked: float | None) -> float:
        """Seconds to wait after the failure of ``attempt``, 1 for the first.

        >>> Patience().before(3, None), Patience().before(1, 7.0), Patience().before(1, 9e9)
        (4.0, 7.0, 120.0)
        """
        own = self.pause * 2 ** (attempt - 1)
        return min(self.longest, own if asked is None else max(own, asked))


PATIENCE = Patience()
"""How a link waits where nobody says otherwise."""


class Dropped(Exception):
    """A try that failed, where another may succeed."""

    def __init__(
        self, reason: str, wait: float | None = None, kind: type[RseiError] = Unreachable
    ) -> None:
        super().__init__(reason)
        self.wait = wait
        self.kind = kind


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

    def __init__(self, login: Login | None = None, patience: Patience | None = None) -> None:
        self.login = login or Login()
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


@contextmanager
def faults(patience: Patience) -> Iterator[None]:
    """Turn the library's errors into ours; theirs may quote signed addresses.

    Raises Dropped, Unreachable for a certificate that is not trusted, Rejected.
    """
    try:
        yield
    except requests.exceptions.SSLError as error:
        if "CERTIFICATE_VERIFY_FAILED" not in str(error):
            raise Dropped("a broken TLS connection") from None
        raise Unreachable(
            "expected a server with a certificate that this machine trusts, found another; where a "
            "proxy stands between, name its certificate in REQUESTS_CA_BUNDLE"
        ) from None
    except (requests.Timeout, ReadTimeoutError):
        raise Dropped(f"no answer within {patience.read:g} s") from None
    except (requests.ConnectionError, requests.exceptions.ChunkedEncodingError, HTTPError):
        raise Dropped("a connection that could not be made, or broke") from None
    except requests.RequestException as error:
        raise Rejected(f"expected an address that can be asked, {type(error).__name__}") from None


def wait_of(header: str | None, now: datetime) -> float | None:
    """Seconds that a Retry-After header asks for: a number, or a date. None where it says nothing.

    >>> wait_of("120", datetime.now(UTC)), wait_of("soon", datetime.now(UTC))
    (120.0, None)
    """
    text = (header or "").strip()
    if text.isascii() and text.isdigit():
        return float(text[:9])
    try:
        until = parsedate_to_datetime(text)
    except ValueError:
        return None
    return max(0.0, (until.replace(tzinfo=until.tzinfo or UTC) - now).total_seconds())


def _version() -> str:
    try:
        return version("rsei")
    except PackageNotFoundError:
        return "unknown"
