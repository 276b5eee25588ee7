"""Opening http and https addresses that somebody gave, and reading what they answer within limits.

What was given may be anywhere, also in one's own network. A redirect may lead to public addresses and to the machine
that was given, nowhere else: a server elsewhere must not choose what is asked of the machines around this one. Each
name is resolved once, and the connection goes to the address that was checked, so that a name cannot change its
meaning in between. Behind a proxy, which resolves names itself, redirects are checked by what the names mean here.
Certificates are checked; the content type is for the caller to doubt.
"""

from __future__ import annotations

import base64
import http.client
import ipaddress
import re
import socket
import ssl
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import suppress
from functools import cache, partial
from typing import Any
from urllib.parse import SplitResult, unquote, urlsplit, urlunsplit

from yolo._version import __version__

CHUNK = 1 << 18
_RETRY_STATUS = frozenset({408, 425, 429, 500, 502, 503, 504})
# so many timeouts may pass until all redirects are followed and the headers are there
_TIMEOUTS_TO_ANSWER = 3
_SCHEME = re.compile(r"[a-zA-Z][a-zA-Z0-9+.-]+://")
# what comes behind the scheme where there is neither user nor password: an @ further on is of the path
_HOST_WITHOUT_USER = re.compile(r"(\[[^\]@]*\]|[^/?#@:]*)(:\d*)?[/?#]")
_SECRET_VALUE = re.compile(r"([?&;][^=&;#]*(?:pass|pwd|token|key|secret)[^=&;#]*=)[^&;#]*", re.IGNORECASE)
_NAT64 = ipaddress.ip_network("64:ff9b::/96")


class TransientError(Exception):
    """The connection failed; trying again may help."""


class PermanentError(Exception):
    """This address will not give the file."""


class StatusError(PermanentError):
    """The server refuses, with a status of HTTP."""

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


def open_address(address: str, *, timeout: float, headers: Mapping[str, str] | None = None) -> http.client.HTTPResponse:
    """Request an address, follow redirects, and return the answer with its body unread.

    Args:
        address: http or https; may have a user and a password, which are sent to that host only.
        timeout: seconds without a byte.
        headers: of the request, in addition to the usual ones.

    Raises:
        TransientError: no connection, no answer in time, or a status that may pass; its cause is the system's error.
        PermanentError: an answer that will not change, a bad certificate, or a redirect that is not followed.
    """
    parts = urlsplit(address)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise PermanentError("is not an http or https address")
    common = {"User-Agent": f"gridyolo/{__version__}", "Accept-Encoding": "identity"}
    request = urllib.request.Request(_without_user(parts), headers=common | dict(headers or {}))
    if parts.username is not None:
        user = f"{unquote(parts.username)}:{unquote(parts.password or '')}".encode()
        request.add_unredirected_header("Authorization", f"Basic {base64.b64encode(user).decode()}")
    visit = _Visit()
    opener = urllib.request.build_opener(_HttpHandler(visit), _HttpsHandler(visit), _RedirectHandler(visit))
    timer = threading.Timer(timeout * _TIMEOUTS_TO_ANSWER, visit.expire)
    timer.daemon = True
    timer.start()
    late = TransientError(f"no answer within {timeout * _TIMEOUTS_TO_ANSWER:g} seconds")
    try:
        response = _answer(opener, request, timeout)
    except TransientError as error:
        raise (late if visit.is_expired else error) from error.__cause__
    finally:
        timer.cancel()
    if visit.is_expired:  # headers that are cut off look like headers that end
        response.close()
        raise late
    return response


def _answer(
    opener: urllib.request.OpenerDirector, request: urllib.request.Request, timeout: float
) -> http.client.HTTPResponse:
    try:
        response: http.client.HTTPResponse = opener.open(request, timeout=timeout)
    except urllib.error.HTTPError as error:
        error.close()
        # urllib's own reasons have several lines
        message = " ".join(f"the server answers {error.code} {error.reason}".split())
        if error.code in _RETRY_STATUS:
            raise TransientError(message) from error
        raise StatusError(message, error.code) from error
    except urllib.error.URLError as error:
        reason = error.reason
        if isinstance(reason, ssl.SSLCertVerificationError):
            raise PermanentError(f"its certificate is not valid ({reason.verify_message})") from error
        raise TransientError(f"no connection ({reason})") from (reason if isinstance(reason, OSError) else error)
    except (http.client.InvalidURL, ValueError) as error:  # a port that is no number, a name that cannot be
        raise PermanentError(f"cannot be requested ({error})") from error
    except (http.client.HTTPException, OSError) as error:
        raise TransientError(f"the connection broke ({error or type(error).__name__})") from error
    return response


def next_piece(response: http.client.HTTPResponse) -> bytes:
    """The bytes that have arrived, at least one; none at the end."""
    try:
        return response.read1(CHUNK)  # not `read`: on a slow line the bar moves, and a break loses nothing
    except (http.client.HTTPException, OSError) as error:
        raise TransientError(f"the connection broke ({error or type(error).__name__})") from error


def read_pieces(
    response: http.client.HTTPResponse, *, limit: int, seconds: float, first: bytes = b""
) -> Iterator[bytes]:
    """The body of an answer, piece by piece.

    Args:
        response: from `open_address`.
        limit: the most bytes it may have.
        seconds: how long it may take from now on.
        first: what was read of it before.

    Raises:
        PermanentError: it has more than `limit` bytes, or is encoded.
        TransientError: it ends too early, or not within so many seconds.
    """
    if response.headers.get("Content-Encoding", "identity") != "identity":
        raise PermanentError(f"the server encodes it ({response.headers['Content-Encoding']}), unasked")
    stated = response.headers.get("Content-Length", "")
    began, have = time.monotonic(), len(first)
    if first:
        yield first
    while have <= limit and (piece := next_piece(response)):
        have += len(piece)
        if time.monotonic() - began > seconds:
            raise TransientError(f"is not complete after {seconds:g} seconds; {have:,} bytes have come")
        if have <= limit:
            yield piece
    if have > limit or (stated.isdecimal() and int(stated) > limit):
        raise PermanentError(f"has more than {limit:,} bytes")
    if stated.isdecimal() and have < int(stated):
        raise TransientError(f"the connection ended after {have} of {stated} bytes")


def has_scheme(text: str) -> bool:
    """Whether a text is an address with a scheme, not a path.

    >>> has_scheme("rtsp://host/1"), has_scheme("file:///a.jpg"), has_scheme("a/b://c"), has_scheme("C:/a.jpg")
    (True, True, False, False)
    """
    return _SCHEME.match(text) is not None


def is_web_address(text: str) -> bool:
    """Whether a text is an http or https address.

    >>> is_web_address("HTTPS://host/a.jpg"), is_web_address("http.jpg"), is_web_address("rtsp://host/1")
    (True, False, False)
    """
    return text.lower().startswith(("http://", "https://"))


def shown_address(address: str) -> str:
    """An address as outputs may show it: without its password, and without keys in its query.

    A password may have characters that it should not have unescaped; what may be part of it is not shown.

    >>> shown_address("rtsp://admin:secret@10.0.0.5/1?a=b")
    'rtsp://admin:***@10.0.0.5/1?a=b'
    >>> shown_address("rtsp://u:pa/ss@host/"), shown_address("rtsp://u:p@ss@host/")
    ('rtsp://u:***@host/', 'rtsp://u:***@host/')
    >>> shown_address("http://host:8080/a@2x.jpg"), shown_address("http://[::1]/a@2x.jpg")
    ('http://host:8080/a@2x.jpg', 'http://[::1]/a@2x.jpg')
    >>> shown_address("https://host/a.jpg?size=2&access_token=abc&Password=d")
    'https://host/a.jpg?size=2&access_token=***&Password=***'
    """
    head, separator, rest = address.partition("://")
    user, at, host = rest.rpartition("@")
    if ":" in user and not _HOST_WITHOUT_USER.match(rest):
        user = f"{user.partition(':')[0]}:***"
    shown = f"{head}{separator}{user}{at}{host}"
    return _SECRET_VALUE.sub(r"\1***", shown) if separator else shown


def is_internal(address: str) -> bool:
    """Whether an IP address is not one of the public internet: loopback, private, link-local, reserved or the like.

    >>> is_internal("127.0.0.1"), is_internal("169.254.169.254"), is_internal("::ffff:10.0.0.1"), is_internal("8.8.8.8")
    (True, True, True, False)
    """
    parsed = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(parsed, ipaddress.IPv6Address):
        inner = parsed.ipv4_mapped or parsed.sixtofour
        if parsed in _NAT64:
            inner = ipaddress.IPv4Address(int(parsed) & 0xFFFFFFFF)
        if inner is not None:
            return is_internal(str(inner))
    return not parsed.is_global or parsed.is_reserved or parsed.is_multicast


class _Visit:
    """One request and its redirects."""

    def __init__(self) -> None:
        self.is_expired = False
        self._given: frozenset[str] | None = None  # where the host that was given is
        self._socket: socket.socket | None = None

    def expire(self) -> None:
        """End it: whoever waits for the connection finds it closed."""
        self.is_expired = True
        if self._socket is not None:
            with suppress(OSError):
                self._socket.shutdown(socket.SHUT_RDWR)

    def hold(self, connected: socket.socket) -> socket.socket:
        self._socket = connected
        return connected

    def resolve(self, host: str, port: int) -> list[tuple[Any, ...]]:
        """Where a host is; PermanentError where a redirect may not go."""
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        places = frozenset(str(one[4][0]) for one in found)
        if self._given is None:
            self._given = places
        internal = sorted(place for place in places - self._given if is_internal(place))
        if internal:
            raise PermanentError(
                f"redirects to {host} ({internal[0]}), an internal address; only one that you give may be internal"
            )
        return list(found)

    def connect(self, host: str, port: int, timeout: float | None) -> socket.socket:
        """A connection to one of the addresses that were checked."""
        failure: OSError | None = None
        for family, kind, protocol, _, place in self.resolve(host, port):
            candidate = socket.socket(family, kind, protocol)
            try:
                candidate.settimeout(timeout)
                candidate.connect(place)
            except OSError as error:
                candidate.close()
                failure = error
                continue
            candidate.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            return self.hold(candidate)
        raise failure or OSError(f"{host} has no address")


class _HttpConnection(http.client.HTTPConnection):
    def __init__(self, *arguments: Any, visit: _Visit, **options: Any) -> None:
        super().__init__(*arguments, **options)
        # what `connect` of the standard library calls in place of socket.create_connection
        self._create_connection = partial(_connected, visit)


class _HttpsConnection(http.client.HTTPSConnection):
    def __init__(self, *arguments: Any, visit: _Visit, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._visit = visit
        self._create_connection = partial(_connected, visit)

    def connect(self) -> None:
        """Connect as usual; the socket that is in use is the encrypted one."""
        super().connect()
        self._visit.hold(self.sock)


def _connected(visit: _Visit, place: tuple[str, int], timeout: Any = None, source: Any = None) -> socket.socket:
    return visit.connect(*place, timeout if isinstance(timeout, int | float) else None)


class _HttpHandler(urllib.request.HTTPHandler):
    def __init__(self, visit: _Visit) -> None:
        super().__init__()
        self._visit = visit

    def http_open(self, req: urllib.request.Request) -> http.client.HTTPResponse:
        """Open with a connection that checks where it goes."""
        return self.do_open(partial(_HttpConnection, visit=self._visit), req)


class _HttpsHandler(urllib.request.HTTPSHandler):
    def __init__(self, visit: _Visit) -> None:
        urllib.request.AbstractHTTPHandler.__init__(self)  # its own would load the certificates at once
        self._visit = visit

    def https_open(self, req: urllib.request.Request) -> http.client.HTTPResponse:
        """Open with a connection that checks where it goes."""
        connection = partial(_HttpsConnection, visit=self._visit)
        return self.do_open(connection, req, context=_trusted_context())


@cache
def _trusted_context() -> ssl.SSLContext:
    return ssl.create_default_context()


class _RedirectHandler(urllib.request.HTTPRedirectHandler):
    def __init__(self, visit: _Visit) -> None:
        self._visit = visit

    def redirect_request(
        self, req: urllib.request.Request, fp: Any, code: int, msg: str, headers: Any, newurl: str
    ) -> urllib.request.Request | None:
        """Follow within http; where a proxy connects, check here what the name means."""
        fp.close()  # unread: its length is the server's choice
        target = urlsplit(newurl)
        if target.scheme not in ("http", "https"):
            raise PermanentError(f"redirects to {newurl!r}, which is not http")
        if req.host != urlsplit(req.full_url).netloc:
            with suppress(socket.gaierror):  # only the proxy knows
                self._visit.resolve(target.hostname or "", target.port or 0)
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _without_user(parts: SplitResult) -> str:
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))
