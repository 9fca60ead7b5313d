# SPDX-License-Identifier: Apache-2.0
"""How long a server is waited for, and what its failures are called."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import requests
from urllib3.exceptions import HTTPError, ReadTimeoutError

from .errors import MachineError, RseiError


class Unreachable(MachineError):
    """A server gives no answer, however often it is asked."""


class Rejected(MachineError):
    """A server will not do what it is asked for, or answers something else."""


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
