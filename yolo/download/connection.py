"""One http(s) request for a file or the rest of it. The only module of the package that opens a connection.

Certificates are checked, only http and https are spoken, and what fails is told apart: trying again may help (`Broken`)
or will not (`Refused`).
"""

from __future__ import annotations

import http.client
import ssl
import urllib.error
import urllib.request
from typing import Any
from urllib.parse import urlsplit

from yolo._version import __version__

_CHUNK = 1 << 18
_RETRY_STATUS = frozenset({408, 425, 429, 500, 502, 503, 504})


class Broken(Exception):  # noqa: N818 - a state of affairs, handled by the caller
    """The connection failed; trying again may help."""


class Refused(Exception):  # noqa: N818 - a state of affairs, handled by the caller
    """This address will not give the file."""


class NoSuchRange(Exception):  # noqa: N818 - a state of affairs, handled by the caller
    """The file of the server has no byte at the place asked for."""


def ask(address: str, *, begin: int, validator: str, timeout: float) -> http.client.HTTPResponse:
    """Ask for a file from its byte `begin` on; the server may send all of it all the same.

    Args:
        address: http or https.
        begin: first byte that is wanted.
        validator: from `validator_of`: send the rest only if the file is still this version; empty if not known.
        timeout: seconds without a byte.

    Raises:
        Broken: no connection, or a status that may pass.
        Refused: an answer that another attempt will not change.
        NoSuchRange: the file is not as long as `begin`.
    """
    request = urllib.request.Request(address, headers=_headers(begin, validator))
    try:
        response: http.client.HTTPResponse = _opener().open(request, timeout=timeout)
    except urllib.error.HTTPError as error:
        error.close()
        raise _bad_status(error.code, error.reason) from error
    except urllib.error.URLError as error:
        reason = error.reason
        if isinstance(reason, ssl.SSLCertVerificationError):
            raise Refused(f"its certificate is not valid ({reason.verify_message})") from error
        raise Broken(f"no connection ({reason})") from (reason if isinstance(reason, OSError) else error)
    except (http.client.HTTPException, OSError) as error:
        raise Broken(f"the connection broke ({error or type(error).__name__})") from error
    return response


def next_piece(response: http.client.HTTPResponse) -> bytes:
    """The bytes that have come, some at least; none at the end.

    Raises:
        Broken: the connection.
    """
    try:
        return response.read1(_CHUNK)  # what has come: on a slow line the bar moves, and a break loses nothing
    except (http.client.HTTPException, OSError) as error:
        raise Broken(f"the connection broke ({error or type(error).__name__})") from error


def validator_of(response: http.client.HTTPResponse) -> str:
    """The strong ETag or else the date of an answer, which name a version of the file."""
    etag = response.headers.get("ETag", "")
    return etag if etag.startswith('"') else response.headers.get("Last-Modified", "")


def _opener() -> urllib.request.OpenerDirector:
    """Http and https only, wherever a server sends us; certificates are checked."""
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler(),
        urllib.request.HTTPHandler(),
        urllib.request.HTTPSHandler(context=ssl.create_default_context()),
        urllib.request.HTTPDefaultErrorHandler(),
        _RedirectHandler(),
        urllib.request.HTTPErrorProcessor(),
    ):
        opener.add_handler(handler)
    return opener


class _RedirectHandler(urllib.request.HTTPRedirectHandler):
    def redirect_request(
        self, req: urllib.request.Request, fp: Any, code: int, msg: str, headers: Any, newurl: str
    ) -> urllib.request.Request | None:
        fp.close()  # unread: its length is the server's choice
        if urlsplit(newurl).scheme not in ("http", "https"):
            raise Refused(f"sends on to {newurl!r}, which is not http")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _headers(begin: int, validator: str) -> dict[str, str]:
    headers = {"User-Agent": f"gridyolo/{__version__}", "Accept-Encoding": "identity"}
    if begin:
        headers["Range"] = f"bytes={begin}-"
        if validator:
            headers["If-Range"] = validator
    return headers


def _bad_status(status: int, reason: str) -> Exception:
    message = " ".join(f"the server answers {status} {reason}".split())  # urllib's own reasons have several lines
    if status == 416:
        return NoSuchRange(message)
    return Broken(message) if status in _RETRY_STATUS else Refused(message)
