# SPDX-License-Identifier: Apache-2.0
"""Earthdata login: where a token comes from, and which servers may see it.

No secret is ever part of a repr, a message, a log line or a file.
"""

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from importlib.util import find_spec
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from .errors import MachineError, StudyError

LOGIN = "https://urs.earthdata.nasa.gov"
"""Earthdata login. Source: earthaccess, ``system.PROD``."""

OWNERS = (".nasa.gov", ".usgs.gov")
"""Ends of the names of hosts whose owners issue the token or hold its data."""

PROFILE = f"{LOGIN}/profile"
"""Where a user makes a token and authorises applications."""

REMEDY = (
    "make a token at https://urs.earthdata.nasa.gov (Generate Token) and put it in the environment "
    "as EARTHDATA_TOKEN, or put login and password of urs.earthdata.nasa.gov in ~/.netrc"
)
"""How a user logs in."""


class Refused(MachineError):
    """A server wants a login, or another one, or a right that the user has to grant."""


@dataclass(frozen=True)
class Login:
    """A token, and the servers that may see it."""

    token: str = field(default="", repr=False)
    """The bearer token; empty where none is needed."""

    server: str = LOGIN
    """Address of the login server."""

    hosts: tuple[str, ...] = ()
    """Further hosts, ``name`` or ``name:port``, that may see the token: mirrors of the archive."""

    def may_see(self, url: str, first: str) -> bool:
        """Whether a request to ``url`` carries the token, where ``first`` was asked for.

        A redirect leads to storage that signs its own addresses: only the first server itself and
        the login server get the token, both over a line that nobody else reads.
        """
        if not self.token or not private(url):
            return False
        if place(url) == place(self.server):
            return True
        return place(url) == place(first) and self._trusts(url)

    def _trusts(self, url: str) -> bool:
        parts = urlsplit(url)
        name = (parts.hostname or "").lower()
        return name.endswith(OWNERS) or bool({name, parts.netloc.lower()} & set(self.hosts))

    def hide(self, text: str) -> str:
        """``text`` without the token.

        >>> Login("s3cret").hide("sent s3cret")
        'sent ***'
        """
        return text.replace(self.token, "***") if self.token else text


def require_packages() -> None:
    """Raises MachineError where the extra ``download`` is not installed."""
    for name in ("requests", "earthaccess", "pystac_client"):
        if find_spec(name) is None:
            raise MachineError(
                f'expected the package {name}, found none; `pip install "rsei[download]"`'
            )


def place(url: str) -> tuple[str, str, int | None]:
    """Scheme, host and port of an address.

    >>> place("https://e4ftl01.cr.usgs.gov/MOLT")
    ('https', 'e4ftl01.cr.usgs.gov', 443)
    """
    parts = urlsplit(url)
    port = parts.port or {"https": 443, "http": 80}.get(parts.scheme)
    return parts.scheme, (parts.hostname or "").lower(), port


def private(url: str) -> bool:
    """Whether nobody on the way can read what is sent to ``url``: HTTPS, or this machine.

    >>> private("https://nasa.gov"), private("http://nasa.gov"), private("http://127.0.0.1:80")
    (True, False, True)
    """
    scheme, host, _ = place(url)
    if scheme == "https" or host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def plain(url: str) -> str:
    """An address without user, password, query and fragment, any of which may be a credential.

    >>> plain("https://me:pw@host:80/a.hdf?Signature=1#x")
    'https://host:80/a.hdf'
    """
    parts = urlsplit(url)
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


def login(server: str = LOGIN, hosts: tuple[str, ...] = ()) -> Login:
    """The user's login: of EARTHDATA_TOKEN, else of login and password.

    Login and password, of EARTHDATA_USERNAME and EARTHDATA_PASSWORD or of ~/.netrc, are exchanged
    for a token by earthaccess. Raises Refused where there is none, or the server takes none.
    """
    token = os.environ.get("EARTHDATA_TOKEN", "").strip()
    if not token:
        token = _exchanged(server)
    if not token.isascii() or not token.isprintable() or " " in token:
        raise Refused(f"expected an Earthdata token of one word, found other characters; {REMEDY}")
    return Login(token, server, tuple(host.lower() for host in hosts))


def _exchanged(server: str) -> str:
    """The token that the login server gives for the user's login and password."""
    import earthaccess  # a second to import, and needless with a token
    from earthaccess.exceptions import LoginAttemptFailure, LoginStrategyUnavailable
    from requests import RequestException

    parts = urlsplit(server)
    if not parts.hostname or not private(server):
        raise StudyError(f"expected an HTTPS address of the login server, found {plain(server)}")
    auth: Any = earthaccess.Auth()
    auth.system = replace(auth.system, edl_hostname=parts.hostname)
    auth.EDL_FIND_OR_CREATE_TOKEN_URL = f"{server.rstrip('/')}/api/users/find_or_create_token"
    wanted = {"EARTHDATA_USERNAME", "EARTHDATA_PASSWORD"} <= os.environ.keys()
    try:
        with _silent("earthaccess"):  # it logs the server's answer, which may quote the request
            auth.login(strategy="environment" if wanted else "netrc")
    except LoginStrategyUnavailable:
        raise Refused(f"expected an Earthdata login, found none; {REMEDY}") from None
    except LoginAttemptFailure:
        raise Refused(
            f"{parts.hostname} refused the login and password of "
            f"{'the environment' if wanted else '~/.netrc'}; {REMEDY}"
        ) from None
    except (RequestException, ValueError, KeyError) as error:
        raise MachineError(
            f"{plain(server)}: expected a token for the login, found "
            f"{type(error).__name__}; check the network, then run the same command again"
        ) from None
    found: Any = auth.token
    return str(found["access_token"]) if found else ""


@contextmanager
def _silent(name: str) -> Iterator[None]:
    logger = logging.getLogger(name)
    before, logger.disabled = logger.disabled, True
    children = [
        child
        for key, child in logging.root.manager.loggerDict.items()
        if key.startswith(name + ".") and isinstance(child, logging.Logger) and not child.disabled
    ]
    for child in children:
        child.disabled = True
    try:
        yield
    finally:
        logger.disabled = before
        for child in children:
            child.disabled = False
